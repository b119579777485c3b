"""Whole files through envelopes, with fixed passphrases and throw-away keys."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from pathlib import Path

from twofold.envelope.gpg_command import GpgSettings
from twofold.envelope.protocol import Envelope, Sealed

# Deriving the key takes a tenth of a second by default; reading does not depend on it.
QUICK = ("--s2k-count", "65536")


class FixedPassphrases:
    """Answers with what it was given and remembers what it was asked for."""

    def __init__(self, decryption: str | None = None, signing: str | None = None) -> None:
        self.decryption = decryption
        self.signing = signing
        self.asked: list[str] = []

    def for_decryption(self) -> str | None:
        self.asked.append("decryption")
        return self.decryption

    def for_signing(self) -> str | None:
        self.asked.append("signing")
        return self.signing


def gnupg_variables(home: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": home, "GNUPGHOME": home}


def gpg_settings(home: str, temp_dir: Path, **changes: object) -> GpgSettings:
    temp_dir.mkdir(exist_ok=True)
    given = {"environment": gnupg_variables(home), "temp_dir": str(temp_dir), "options": QUICK, **changes}
    return GpgSettings(**given)  # type: ignore[arg-type]


def sample(size: int, *, seed: int = 1) -> bytes:
    """Half of it shrinks, half does not."""
    source = random.Random(seed)
    half = source.randbytes(size // 2)
    line = b"a line of text that repeats itself, number %d\n"
    text = b"".join(line % number for number in range(size // 40 + 1))
    return (text[: size - len(half)] + half)[:size]


def seal(envelope: Envelope, path: Path, pieces: Iterable[bytes]) -> Sealed:
    sealer = envelope.create(str(path))
    try:
        for raw in pieces:
            piece = envelope.compress(raw)
            assert len(piece.data) <= envelope.worst_case(len(raw))
            sealer.feed_raw(raw)
            sealer.write(piece)
        return sealer.finish()
    except BaseException:
        sealer.abort()
        raise


def read_all(envelope: Envelope, path: Path, *, step: int = 1 << 20) -> bytes:
    opened = envelope.open(str(path))
    try:
        parts = []
        while part := opened.read(step):
            parts.append(part)
            if len(part) < step:
                assert opened.read(1) == b""
        return b"".join(parts)
    finally:
        opened.close()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]
