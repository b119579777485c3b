"""The content of a changed file in pieces: read ahead by threads, it is the same content with the same sums."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.backups import Place
from tests.support.tree import Fidelity, assert_same_tree
from twofold import rsync
from twofold.format.difftar import PART_SIZE
from twofold.model.backup import SetKind
from twofold.pipeline import pieces
from twofold.pipeline.blocks import SIGNATURE_KIND
from twofold.pipeline.pieces import ContentReader

MIB = 1 << 20
CONTENT = random.Random(1).randbytes(3 * MIB + 12345)


@pytest.fixture
def with_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "WORTH_THREADS", 1)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(CONTENT)
    opened = os.open(tmp_path / "file", os.O_RDWR)
    yield opened
    os.close(opened)


def read(reader: ContentReader, block_len: int = 4096) -> tuple[bytes, list[bool]]:
    """All content, and for each piece whether it came with sums, which must be right."""
    content, summed = b"", []
    for data, sums in reader.pieces(block_len):
        content += data
        summed.append(sums is not None)
        if sums is not None:
            assert sums == rsync.block_sums(data, SIGNATURE_KIND, block_len)
    return content, summed


@pytest.mark.usefixtures("with_threads")
@pytest.mark.parametrize("position", [0, 1, 4096, 65536, 3 * MIB, len(CONTENT) - 1, len(CONTENT)])
@pytest.mark.parametrize("block_len", [512, 4096, 298496])
def test_what_is_left_is_read_from_any_position(descriptor: int, position: int, block_len: int) -> None:
    reader = ContentReader(descriptor, position=position, expected=len(CONTENT))
    assert read(reader, block_len)[0] == CONTENT[position:]
    assert reader.problem is None


@pytest.mark.usefixtures("with_threads")
def test_only_what_leads_to_the_next_block_comes_without_sums(descriptor: int) -> None:
    assert read(ContentReader(descriptor, position=4096, expected=len(CONTENT)))[1] == [True] * 4
    assert read(ContentReader(descriptor, position=4095, expected=len(CONTENT)))[1] == [False] + [True] * 4


def test_a_smaller_file_starts_no_threads(descriptor: int) -> None:
    reading = ContentReader(descriptor, position=0, expected=len(CONTENT)).pieces(4096)
    before = threading.active_count()
    assert next(reading).sums is None
    assert threading.active_count() == before


@pytest.mark.usefixtures("with_threads")
def test_blocks_that_do_not_fit_a_piece_are_not_hashed_ahead(descriptor: int) -> None:
    content, summed = read(ContentReader(descriptor, position=0, expected=len(CONTENT)), 2 * MIB)
    assert content == CONTENT
    assert not any(summed)


@pytest.mark.usefixtures("with_threads")
def test_a_file_that_shrank_ends_where_it_ends(descriptor: int) -> None:
    os.truncate(descriptor, MIB + 100)
    reader = ContentReader(descriptor, position=0, expected=len(CONTENT))
    assert read(reader)[0] == CONTENT[: MIB + 100]
    assert reader.problem is None


@pytest.mark.usefixtures("with_threads")
def test_a_file_that_shrank_to_less_than_has_been_read_has_no_more(descriptor: int) -> None:
    os.truncate(descriptor, 10)
    assert read(ContentReader(descriptor, position=4095, expected=len(CONTENT)))[0] == b""


@pytest.mark.parametrize("worth_threads", [1, 100 * MIB])
def test_of_what_is_added_meanwhile_at_most_a_piece_is_read(
    descriptor: int, monkeypatch: pytest.MonkeyPatch, worth_threads: int
) -> None:
    monkeypatch.setattr(pieces, "WORTH_THREADS", worth_threads)
    content, _ = read(ContentReader(descriptor, position=0, expected=MIB + 1))
    assert content == CONTENT[: 2 * MIB]


@pytest.mark.parametrize("worth_threads", [1, 100 * MIB])
def test_a_read_error_ends_the_content_there_and_is_named(
    descriptor: int, monkeypatch: pytest.MonkeyPatch, worth_threads: int
) -> None:
    monkeypatch.setattr(pieces, "WORTH_THREADS", worth_threads)
    whole = os.preadv

    def failing(descriptor: int, buffers: Sequence[memoryview], offset: int) -> int:
        if offset >= 2 * MIB:
            raise OSError(errno.EIO, "The disk is broken")
        return whole(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", failing)
    reader = ContentReader(descriptor, position=0, expected=len(CONTENT))
    assert read(reader)[0] == CONTENT[: 2 * MIB]
    assert reader.problem == "The disk is broken"


@pytest.mark.usefixtures("with_threads")
def test_closing_in_the_middle_ends_the_threads(descriptor: int) -> None:
    before = threading.active_count()
    reading = ContentReader(descriptor, position=0, expected=len(CONTENT)).pieces(4096)
    assert bytes(next(reading).data) == CONTENT[:MIB]
    assert threading.active_count() > before
    reading.close()
    assert threading.active_count() <= before


@pytest.mark.usefixtures("with_threads")
def test_a_large_file_with_edits_comes_back(tmp_path: Path) -> None:
    place = Place(tmp_path, volume_size=4 << 20)
    path = os.path.join(os.fsdecode(place.source), "image")
    new = CONTENT[:MIB] + b"page" * 1024 + CONTENT[MIB + 4096 : 2 * MIB] + b"inserted" + CONTENT[2 * MIB :]
    Path(path).write_bytes(CONTENT)
    place.back_up(SetKind.FULL)
    Path(path).write_bytes(new)
    place.back_up(SetKind.INCREMENTAL)
    assert_same_tree(place.restore(), place.source, fidelity=Fidelity.FULL)


@pytest.mark.parametrize("block_len", [512, 3072, 4608, 5120, 8192, 65536])
def test_the_first_part_without_sums_and_the_rest_with_them_make_one_signature(
    descriptor: int, with_threads: None, block_len: int
) -> None:
    """Of blocks that no part is a multiple of, too: 4608 bytes are those of a file of 5 GB."""
    old = rsync.SignatureBuilder(SIGNATURE_KIND, block_len, 16)
    old.update(CONTENT)
    old.finish()
    signature = old.take()
    encoder = rsync.DeltaEncoder(signature, SIGNATURE_KIND, block_len, 16, basis_size=len(CONTENT))
    encoder.feed(os.pread(descriptor, PART_SIZE, 0))
    for data, sums in ContentReader(descriptor, position=PART_SIZE, expected=len(CONTENT)).pieces(block_len):
        encoder.feed(data, sums)
    encoder.finish()
    assert encoder.take_signature() == signature
