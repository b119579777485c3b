"""The rsync algorithm alone: bytes in, bytes out. What each name does stands in `kernel`.

The compiled kernel is taken if it is there and of the expected version, else the pure-Python specification, which is
the same but hundreds of times slower: `IMPLEMENTATION` tells which, so that `ui` can warn.
"""

from __future__ import annotations

from twofold.rsync.kernel import (
    BlockSums,
    Composer,
    ContentHashes,
    Data,
    DeltaMaker,
    HashMaker,
    Kernel,
    MakeComposer,
    MakeDelta,
    MakeHash,
    MakePatch,
    MakeSignature,
    PatchBytes,
    PatchRunner,
    SignatureKind,
    SignatureMaker,
    SignMany,
)


def _choose() -> Kernel:
    try:
        import twofold.rsync.native as native
    except ImportError:
        import twofold.rsync.specification as specification

        return specification
    return native


_kernel = _choose()
IMPLEMENTATION: str = _kernel.IMPLEMENTATION
SignatureBuilder: MakeSignature = _kernel.SignatureBuilder
ContentHasher: MakeHash = _kernel.ContentHasher
DeltaEncoder: MakeDelta = _kernel.DeltaEncoder
Patcher: MakePatch = _kernel.Patcher
Composition: MakeComposer = _kernel.Composition
patch_bytes: PatchBytes = _kernel.patch_bytes
sign_many: SignMany = _kernel.sign_many
content_hashes: ContentHashes = _kernel.content_hashes
block_sums: BlockSums = _kernel.block_sums

__all__ = [
    "IMPLEMENTATION",
    "Composer",
    "Composition",
    "ContentHasher",
    "Data",
    "DeltaEncoder",
    "DeltaMaker",
    "HashMaker",
    "Kernel",
    "PatchRunner",
    "Patcher",
    "SignatureBuilder",
    "SignatureKind",
    "SignatureMaker",
    "block_sums",
    "content_hashes",
    "patch_bytes",
    "sign_many",
]
