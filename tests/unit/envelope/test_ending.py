"""What follows a wrapping is found, whatever form the wrapping has; what cannot be judged is left alone."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from twofold.envelope.ending import check_ending
from twofold.errors import CorruptStream
from twofold.model.backup import Wrapping

KEY = b"\x8c\x02ab"
SEALED = KEY + b"\xd2\x05\x01wxyz"
PARTIAL = KEY + b"\xd2\xe1\x01w\x03xyz"
OLD_FORM = KEY + b"\xa4\x05wxyzz"
ZIPPED = gzip.compress(b"a" * 3000, mtime=0)


def check(tmp_path: Path, content: bytes, wrapping: Wrapping) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    check_ending(str(path), wrapping, name="file")


@pytest.mark.parametrize(
    ("content", "wrapping"),
    [
        (SEALED, Wrapping.GPG),
        (PARTIAL, Wrapping.GPG),
        (OLD_FORM, Wrapping.GPG),
        (ZIPPED, Wrapping.GZIP),
        (ZIPPED + ZIPPED, Wrapping.GZIP),
    ],
)
def test_bytes_behind_the_end_are_found(tmp_path: Path, content: bytes, wrapping: Wrapping) -> None:
    check(tmp_path, content, wrapping)
    for added in (b"\0", b"more", bytes(1 << 19)):
        with pytest.raises(CorruptStream, match="file: bytes follow its end"):
            check(tmp_path, content + added, wrapping)


@pytest.mark.parametrize(
    ("content", "wrapping"),
    [
        (b"anything", Wrapping.PLAIN),
        (b"-----BEGIN PGP MESSAGE-----\n", Wrapping.GPG),
        (b"0anything", Wrapping.GPGSM),
        (SEALED[:-1], Wrapping.GPG),
        (b"", Wrapping.GPG),
        (ZIPPED[:-1], Wrapping.GZIP),
        (b"no gzip", Wrapping.GZIP),
    ],
)
def test_what_is_wrong_otherwise_or_has_no_such_end_is_left_to_others(
    tmp_path: Path, content: bytes, wrapping: Wrapping
) -> None:
    check(tmp_path, content, wrapping)
