"""Both kernels beside librsync's own program, in both directions."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kernels import ALL_KINDS, kernel_variant, sign
from tests.support.tools import require_tool
from twofold.rsync import SignatureKind
from twofold.rsync.kernel import Kernel

OPTIONS = {
    SignatureKind.MD4_ROLLSUM: ("md4", "rollsum"),
    SignatureKind.BLAKE2_ROLLSUM: ("blake2", "rollsum"),
    SignatureKind.MD4_RABIN_KARP: ("md4", "rabinkarp"),
    SignatureKind.BLAKE2_RABIN_KARP: ("blake2", "rabinkarp"),
}
BLOCK_LEN = 512
SIZES = (0, 1, 511, 512, 513, 1535)
NOISE = b"".join(hashlib.blake2b(b"%d" % number).digest() for number in range(100))


@pytest.fixture(params=["python", "native"])
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    with kernel_variant(request.param) as chosen:
        yield chosen


def rdiff(command: str, *arguments: Path | str) -> None:
    subprocess.run(
        [require_tool("rdiff"), "--force", *arguments[:-3], command, *arguments[-3:]], check=True, timeout=60
    )


def rdiff_signature(folder: Path, content: bytes, kind: SignatureKind, *, strong_len: int) -> bytes:
    (folder / "content").write_bytes(content)
    strong, weak = OPTIONS[kind]
    words = ["--force", "-b", str(BLOCK_LEN), "-S", str(strong_len), "-H", strong, "-R", weak, "signature"]
    subprocess.run([require_tool("rdiff"), *words, folder / "content", folder / "signature"], check=True, timeout=60)
    return (folder / "signature").read_bytes()


def changed(old: bytes) -> list[bytes]:
    """Equal, grown, cut, with an insertion, with an edit in place, something else, nothing."""
    middle = len(old) // 2
    return [
        old,
        old + b"more",
        old[: -len(old) // 3],
        old[:middle] + b"inserted" + old[middle:],
        old[:middle] + b"!" + old[middle + 1 :],
        NOISE[::-1][: len(old)],
        b"",
    ]


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_both_make_the_same_signature(kernel: Kernel, tmp_path: Path, kind: SignatureKind, size: int) -> None:
    content = NOISE[:size]
    assert sign(kernel, content, kind, strong_len=8) == rdiff_signature(tmp_path, content, kind, strong_len=8)


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_rdiff_carries_out_our_deltas(kernel: Kernel, tmp_path: Path, kind: SignatureKind, size: int) -> None:
    old = NOISE[:size]
    signature = rdiff_signature(tmp_path, old, kind, strong_len=16)
    for new in changed(old):
        for basis_size in {None, size} if kind == SignatureKind.MD4_ROLLSUM else {size}:
            encoder = kernel.DeltaEncoder(signature, kind, BLOCK_LEN, 16, basis_size=basis_size)
            (tmp_path / "delta").write_bytes(encoder.feed(new) + encoder.finish()[0])
            rdiff("patch", tmp_path / "content", tmp_path / "delta", tmp_path / "result")
            assert (tmp_path / "result").read_bytes() == new


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_we_carry_out_deltas_by_rdiff(kernel: Kernel, tmp_path: Path, kind: SignatureKind, size: int) -> None:
    old = NOISE[:size]
    (tmp_path / "signature").write_bytes(sign(kernel, old, kind, strong_len=16))
    for new in changed(old):
        (tmp_path / "new").write_bytes(new)
        rdiff("delta", tmp_path / "signature", tmp_path / "new", tmp_path / "delta")
        assert kernel.patch_bytes(old, (tmp_path / "delta").read_bytes(), len(new)) == new
