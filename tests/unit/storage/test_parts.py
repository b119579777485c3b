"""Parts of files as the bodies of requests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twofold.errors import StorageError
from twofold.storage.parts import Piece


@pytest.fixture
def descriptor(tmp_path: Path) -> int:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return os.open(path, os.O_RDONLY)


def test_a_system_that_gives_less_than_is_asked_for_is_asked_again(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux gives 2 GiB at once at most."""
    pread, told = os.pread, list[int]()
    monkeypatch.setattr(os, "pread", lambda where, size, start: pread(where, min(size, 3), start))
    piece = Piece(descriptor, 1, 8, sent=told.append)
    assert piece.read() == b"12345678"
    assert piece.read() == b""
    assert (piece.seek(2), piece.read(4), piece.tell()) == (2, b"3456", 6)
    assert told == [8]


@pytest.mark.parametrize("size", [-1, 8])
def test_a_file_that_has_become_shorter_is_no_short_body(descriptor: int, size: int) -> None:
    with pytest.raises(StorageError, match="shorter"):
        Piece(descriptor, 4, 8).read(size)


def test_nothing_is_read_behind_the_end(descriptor: int) -> None:
    piece = Piece(descriptor, 4, 2)
    piece.seek(5)
    assert piece.read() == b""
