"""Deltas carried out while their basis streams by, as whoever restores does it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

from twofold.rsync.kernel import Composer, Kernel

MAGIC = b"rs\x026"
MOST = 1 << 20


def copy(position: int, length: int) -> bytes:
    return b"\x54" + position.to_bytes(8, "big") + length.to_bytes(8, "big")


def literal(data: bytes) -> bytes:
    return b"\x44" + len(data).to_bytes(8, "big") + data


def delta_of(*commands: bytes) -> bytes:
    return MAGIC + b"".join(commands) + b"\0"


def pieces(content: bytes, step: int) -> list[bytes]:
    return [content[start : start + step] for start in range(0, len(content), step)]


def stream(composition: Composer, basis: bytes, *, step: int, size: int) -> bytes:
    """The result, the basis being fed in pieces of `step` bytes and at most `size` taken at once."""
    result = b""
    for piece in (None, *pieces(basis, step)):
        if piece is not None and composition.feed(piece):
            result += piece
        while taken := composition.take(size):
            assert len(taken) <= size
            result += taken
    composition.finish()
    return result


def composed(
    kernel: Kernel,
    basis: bytes,
    deltas: Sequence[bytes],
    *,
    step: int = 1000,
    size: int = 1 << 16,
    most_commands: int = 1000,
    max_size: int = MOST,
) -> tuple[bytes | None, int]:
    """The result, None if the deltas have too many commands, and how large the scratch file was."""
    with tempfile.TemporaryFile() as held:
        composition = kernel.Composition(held.fileno(), most_commands=most_commands)
        for delta in deltas:
            for piece in pieces(delta, step):
                composition.feed_delta(piece)
            composition.finish_delta(max_size)
        result = stream(composition, basis, step=step, size=size) if composition.fits else None
        return result, held.seek(0, 2)
