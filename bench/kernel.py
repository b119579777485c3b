"""Measures the compiled kernel against librsync, in CPU seconds: `PYTHONPATH=src python bench/kernel.py`.

Each figure is the best of several runs, taken in turns so that other load on the machine meets both. The kernel's delta
makes the new signature and content hash as well, always with twofold's own sums, also where the old signature has
duplicity's; the last column sets it against librsync's delta and signature.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Callable, Sequence

from bench.librsync import Librsync
from twofold.pipeline.blocks import SIGNATURE_KIND
from twofold.rsync import SignatureKind, native

PIECE = 1 << 20
STRONG_LEN = 16


def best_of(runs: int, *tasks: Callable[[], object]) -> list[float]:
    """CPU seconds of each task at its best."""
    best = [float("inf")] * len(tasks)
    for _ in range(runs):
        for number, task in enumerate(tasks):
            start = time.process_time()
            task()
            best[number] = min(best[number], time.process_time() - start)
    return best


def sign(content: bytes, kind: SignatureKind, block_len: int, *, with_hash: bool) -> bytes:
    builder = native.SignatureBuilder(kind, block_len, STRONG_LEN, with_hash=with_hash)
    view = memoryview(content)
    for start in range(0, len(content), PIECE):
        builder.update(view[start : start + PIECE])
    builder.finish()
    return builder.take()


def encode(signature: bytes, basis_size: int, content: bytes, block_len: int) -> int:
    encoder = native.DeltaEncoder(signature, SIGNATURE_KIND, block_len, STRONG_LEN, basis_size=basis_size)
    view = memoryview(content)
    size = sum(len(encoder.feed(view[start : start + PIECE])) for start in range(0, len(content), PIECE))
    return size + len(encoder.finish()[0])


def edited(content: bytes, *, inserts: bool, count: int = 200) -> bytes:
    chance = random.Random(1)
    new = bytearray(content)
    for _ in range(count):
        place = chance.randrange(len(new))
        new[place : place + (0 if inserts else 20)] = chance.randbytes(20)
    return bytes(new)


def show(name: str, size: int, ours: float, theirs: float, more: str = "") -> None:
    rates = f"librsync {size / theirs / 1e6:6.0f} MB/s   native {size / ours / 1e6:6.0f} MB/s"
    print(f"  {name:<34} {rates}   {theirs / ours:5.1f} x{more}", flush=True)


def measure(library: Librsync, kind: SignatureKind, size: int, runs: int) -> None:
    block_len = 8192
    old = os.urandom(size)

    def their_signature(content: bytes = old) -> object:
        return library.signature(content, kind=kind, block_len=block_len, strong_len=STRONG_LEN)

    theirs, plain, full = best_of(
        runs,
        their_signature,
        lambda: sign(old, kind, block_len, with_hash=False),
        lambda: sign(old, kind, block_len, with_hash=True),
    )
    show("signature", size, plain, theirs)
    show("signature and content hash", size, full, theirs)
    signature = sign(old, kind, block_len, with_hash=False)
    cases = {
        "delta, unchanged": old,
        "delta, all new": os.urandom(size),
        "delta, 200 edits in place": edited(old, inserts=False),
        "delta, 200 insertions": edited(old, inserts=True),
    }
    for name, new in cases.items():
        theirs, signing, ours = best_of(
            runs,
            lambda new=new: library.delta(signature, new),  # type: ignore[misc]
            lambda new=new: their_signature(new),  # type: ignore[misc]
            lambda new=new: encode(signature, size, new, block_len),  # type: ignore[misc]
        )
        show(name, len(new), ours, theirs, f"   {(theirs + signing) / ours:5.1f} x with signature")


def measure_many(library: Librsync, kind: SignatureKind, runs: int) -> None:
    """Small files: 1 MiB of them in one buffer, as a full backup has them."""
    chance = random.Random(2)
    lengths = [chance.randrange(1, 26000) for _ in range(80)]
    offsets = [sum(lengths[:number]) for number in range(80)]
    buffer = os.urandom(sum(lengths))
    contents = [buffer[offset : offset + length] for offset, length in zip(offsets, lengths, strict=True)]
    rounds, blocks = range(20), [512] * 80

    def theirs_many() -> None:
        for _ in rounds:
            for content in contents:
                library.signature(content, kind=kind, block_len=512, strong_len=STRONG_LEN)

    def ours_many() -> None:
        for _ in rounds:
            native.sign_many(buffer, offsets, lengths, blocks, kind, STRONG_LEN)

    theirs, ours = best_of(runs, theirs_many, ours_many)
    show("80 small files, with hashes", len(buffer) * len(rounds), ours, theirs)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--level", choices=("portable", "avx2", "avx512"), default=native.simd_level())
    options = parser.parse_args(arguments)
    native.set_simd_level(options.level)
    library = Librsync()
    print(f"{library.version} against the native kernel with {native.simd_level()}")
    for kind in (SignatureKind.BLAKE2_RABIN_KARP, SignatureKind.MD4_ROLLSUM):
        print(kind.name)
        measure(library, kind, options.megabytes << 20, options.runs)
        measure_many(library, kind, options.runs)


if __name__ == "__main__":
    main()
