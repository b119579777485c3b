"""The pure-Python kernel: simple, slow, and what the compiled one is tested against."""

from __future__ import annotations

from typing import Final

from twofold.rsync.composition import Composition
from twofold.rsync.delta import DeltaEncoder
from twofold.rsync.patch import Patcher, patch_bytes
from twofold.rsync.signature import ContentHasher, SignatureBuilder, block_sums, content_hashes, sign_many

IMPLEMENTATION: Final = "python"

__all__ = [
    "IMPLEMENTATION",
    "Composition",
    "ContentHasher",
    "DeltaEncoder",
    "Patcher",
    "SignatureBuilder",
    "block_sums",
    "content_hashes",
    "patch_bytes",
    "sign_many",
]
