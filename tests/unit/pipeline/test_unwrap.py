"""Volumes read ahead of their reader: the same bytes and errors, bounded threads and memory."""

from __future__ import annotations

import io
import threading

import pytest

from twofold.concurrency import Crew
from twofold.errors import CorruptStream
from twofold.pipeline.unwrap import BLOCK, Unwrapped, Unwrapper

CONTENT = b"".join(number.to_bytes(4, "big") for number in range(5 * BLOCK // 4)) + b"rest"


class File:
    """A file in memory that knows who has read it, and fails behind its end if it is told to."""

    def __init__(self, content: bytes = CONTENT, error: Exception | None = None) -> None:
        self._stream = io.BytesIO(content)
        self._error = error
        self.readers: list[threading.Thread] = []
        self.closed = False

    def read(self, size: int) -> bytes:
        assert not self.closed, "read after it was given back"
        self.readers.append(threading.current_thread())
        data = self._stream.read(size)
        if not data and self._error is not None:
            raise self._error
        return data

    def close(self) -> None:
        self.closed = True

    @property
    def strangers(self) -> int:
        """Reads by another thread than the one that asks."""
        return sum(reader is not threading.current_thread() for reader in self.readers)


@pytest.mark.parametrize("size", [1000, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_the_content_is_the_same_whatever_sizes_are_asked_for(size: int) -> None:
    with Crew() as crew:
        content = Unwrapped(File(), Unwrapper(crew))
        pieces = list(iter(lambda: content.read(size), b""))
        content.close()
    assert b"".join(pieces) == CONTENT
    assert {len(piece) for piece in pieces[:-1]} <= {size}
    assert pieces


def test_what_ends_with_the_first_block_is_read_without_a_thread() -> None:
    file = File(b"small")
    before = threading.active_count()
    with Crew() as crew:
        content = Unwrapped(file, Unwrapper(crew))
        assert content.read(BLOCK) == b"small"
        assert threading.active_count() == before
        content.close()
    assert not file.strangers
    assert file.closed


def test_an_error_comes_behind_the_bytes_before_it_and_is_never_taken_for_the_end() -> None:
    with Crew() as crew:
        content = Unwrapped(File(error=CorruptStream("damaged")), Unwrapper(crew))
        assert b"".join(content.read(BLOCK) for _ in range(5)) == CONTENT[: 5 * BLOCK]
        for _ in range(3):
            with pytest.raises(CorruptStream, match="damaged"):
                content.read(BLOCK)
        content.close()


def test_only_so_many_files_are_read_ahead_at_once_and_the_others_in_place() -> None:
    with Crew() as crew:
        unwrapper = Unwrapper(crew)
        files = [File() for _ in range(5)]
        contents = [Unwrapped(file, unwrapper) for file in files]
        for content in contents:
            assert content.read(BLOCK) + content.read(BLOCK) == CONTENT[: 2 * BLOCK]
        assert [bool(file.strangers) for file in files] == [True, True, True, False, False]
        contents[0].close()
        assert contents[4].read(BLOCK) == CONTENT[2 * BLOCK : 3 * BLOCK]
        assert files[4].strangers, "the place of the first has become free"
        for content in contents[1:]:
            content.close()


def test_a_file_is_read_only_a_few_blocks_ahead_and_given_back_when_its_reader_has_ended() -> None:
    file = File(bytes(40 * BLOCK))
    with Crew() as crew:
        content = Unwrapped(file, Unwrapper(crew))
        content.read(BLOCK)
        content.read(BLOCK)
        content.close()
        content.close()
        assert file.closed
    assert len(file.readers) <= 6
