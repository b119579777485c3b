"""Content with holes is the content."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.tree import output
from twofold.tree.output import pieces, write_all, write_sparse

numbers = st.integers(-20, 120)
holes = st.lists(st.tuples(numbers, numbers), max_size=6).map(sorted).map(tuple)


@settings(max_examples=60)
@given(start=st.integers(0, 100), length=st.integers(0, 100), holes=holes)
def test_pieces_cover_a_range_without_gaps_whatever_the_holes(start, length, holes):
    cut = list(pieces(start, start + length, holes))
    assert [piece[0] for piece in cut] == ([start] + [piece[1] for piece in cut])[: len(cut)]
    assert not cut or cut[-1][1] == start + length
    assert sum(stop - begin for begin, stop, _ in cut) == length
    for begin, stop, in_hole in cut:
        if in_hole:
            assert any(offset <= begin and stop <= offset + size for offset, size in holes)


def test_pieces_follow_well_formed_holes():
    assert list(pieces(5, 30, ((0, 10), (15, 5)))) == [(5, 10, True), (10, 15, False), (15, 20, True), (20, 30, False)]


@settings(max_examples=40)
@given(
    runs=st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(1, 40)), max_size=6),
    holes=holes,
    cut=st.integers(1, 90),
)
def test_sparse_writing_gives_the_same_bytes(tmp_path_factory, runs, holes, cut):
    data = b"".join(bytes([byte]) * count for byte, count in runs)
    path = tmp_path_factory.getbasetemp() / "sparse"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        end = 0
        for start in range(0, len(data), cut):
            end = write_sparse(fd, data[start : start + cut], offset=start, holes=holes) or end
        assert os.fstat(fd).st_size == end
        os.ftruncate(fd, len(data))
        assert os.pread(fd, 1000, 0) == data
    finally:
        os.close(fd)


@pytest.mark.parametrize("data", [b"0123456789", memoryview(b"0123456789")])
def test_a_short_write_is_continued(tmp_path, monkeypatch, data):
    real = os.write
    monkeypatch.setattr(output.os, "write", lambda fd, piece: real(fd, bytes(piece[:3])))
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        write_all(fd, data)
        assert os.pread(fd, 100, 0) == b"0123456789"
    finally:
        os.close(fd)
