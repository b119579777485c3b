"""Deflate pieces and OpenPGP packets: whatever is cut wherever, it reads back the same."""

from __future__ import annotations

import bz2
import os
import tempfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.envelope import deflate, packets, signing
from twofold.envelope.streams import FileStream, Stream
from twofold.errors import CorruptStream

CONTENT = st.one_of(
    st.binary(max_size=2000),
    st.builds(lambda unit, count: unit * count, st.binary(min_size=1, max_size=50), st.integers(0, 5000)),
)
PIECES = st.lists(CONTENT, max_size=6)
LEVELS = st.sampled_from([None, 0, 1, 3])

ONE_PASS = bytes.fromhex("c40d03000816" + "0123456789abcdef" + "01")
SIGNATURE = b"\x88\x04" + b"four"


class Source(Stream):
    """Bytes that arrive in portions of any size."""

    def __init__(self, data: bytes, portion: int) -> None:
        super().__init__()
        self._data = data
        self._portion = portion

    def _produce(self, limit: int) -> bytes:
        size = min(limit, self._portion)
        part, self._data = self._data[:size], self._data[size:]
        return part

    def close(self) -> None:
        pass


PORTIONS = st.sampled_from([1, 2, 7, 100, 1 << 20])


def content_of(data: bytes, portion: int, step: int = 1 << 20) -> bytes | None:
    literal = packets.open_message(Source(data, portion))
    if literal is None:
        return None
    parts = []
    while part := literal.read(step):
        parts.append(part)
    return b"".join(parts)


@given(PIECES, st.integers(0, 3))
def test_pieces_of_deflate_in_a_row_are_one_stream(pieces: list[bytes], level: int) -> None:
    stream = b"".join(deflate.deflated(piece, level) for piece in pieces) + deflate.END_OF_DEFLATE
    decompressor = zlib.decompressobj(-15)
    assert decompressor.decompress(stream) == b"".join(pieces)
    assert decompressor.eof
    assert decompressor.unused_data == b""


@given(st.binary(max_size=200_000))
@settings(max_examples=20)
def test_stored_blocks_inflate_to_the_same_bytes(data: bytes) -> None:
    assert zlib.decompress(deflate.stored(data) + deflate.END_OF_DEFLATE, -15) == data


def signed_message(pieces: list[bytes], level: int | None) -> bytes:
    framing = signing.LiteralFraming(compressed=level is not None)
    made = [signing.signed_piece(piece, level) for piece in pieces]
    assert all(len(one.data) <= signing.signed_worst_case(len(raw)) for one, raw in zip(made, pieces, strict=True))
    body = b"".join(framing.add(piece) for piece in made) + framing.finish(SIGNATURE)
    if level is None:
        return ONE_PASS + body
    return packets.COMPRESSED_HEADER + deflate.stored(ONE_PASS) + body + deflate.END_OF_DEFLATE


@given(PIECES, LEVELS, PORTIONS, st.sampled_from([3, 512, 1 << 20]))
def test_signed_messages_hold_their_content(pieces: list[bytes], level: int | None, portion: int, step: int) -> None:
    if step == 3:
        pieces = [piece[:2000] for piece in pieces]
    assert content_of(signed_message(pieces, level), portion, step) == b"".join(pieces)


@given(PIECES, LEVELS)
def test_signed_literals_obey_the_rule_of_the_first_part(pieces: list[bytes], level: int | None) -> None:
    message = signed_message(pieces, level)
    if level is not None:
        message = zlib.decompress(message[len(packets.COMPRESSED_HEADER) :], -15)
    first_length = message[len(ONE_PASS) + 1]
    if sum(map(len, pieces)) >= signing.HEAD_SIZE:
        assert first_length == 0xE0 | 9
    else:
        assert first_length < 0xE0


@given(PIECES, st.integers(0, 3), PORTIONS)
def test_unsigned_messages_hold_their_content(pieces: list[bytes], level: int, portion: int) -> None:
    message = packets.COMPRESSED_HEADER + deflate.stored(packets.LITERAL_HEADER)
    message += b"".join(deflate.deflated(piece, level) for piece in pieces) + deflate.END_OF_DEFLATE
    assert content_of(message, portion) == b"".join(pieces)


def in_parts(tag: int, body: bytes, sizes: list[int]) -> bytes:
    """A packet of the new form, its body cut at the given powers of two."""
    result = bytes((0xC0 | tag,))
    for power in sizes:
        if len(body) >= 1 << power:
            result += bytes((0xE0 | power,)) + body[: 1 << power]
            body = body[1 << power :]
    return result + packets.definite_length(len(body)) + body


def in_old_form(tag: int, body: bytes, length_type: int) -> bytes:
    header = bytes((0x80 | tag << 2 | length_type,))
    return header + (b"" if length_type == 3 else len(body).to_bytes(1 << length_type, "big")) + body


def packet(tag: int, body: bytes, form: int | list[int]) -> bytes:
    return in_old_form(tag, body, form) if isinstance(form, int) else in_parts(tag, body, form)


FORMS: st.SearchStrategy[int | list[int]] = st.one_of(
    st.sampled_from([2, 3]), st.lists(st.sampled_from([0, 1, 9, 10, 13]), max_size=8)
)


def deflated_by_zlib(data: bytes, wbits: int) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, wbits)
    return compressor.compress(data) + compressor.flush()


@given(CONTENT, st.binary(max_size=255), FORMS, FORMS, st.sampled_from([None, 0, 1, 2, 3]), PORTIONS)
@settings(max_examples=200)
def test_all_forms_of_packets_are_read(
    content: bytes,
    name: bytes,
    inner: int | list[int],
    outer: int | list[int],
    algorithm: int | None,
    portion: int,
) -> None:
    literal = packet(11, b"b" + bytes((len(name),)) + name + b"\x12\x34\x56\x78" + content, inner)
    message = literal
    if algorithm == 0:
        message = packet(8, b"\x00" + literal, outer)
    elif algorithm in (1, 2):
        message = packet(8, bytes((algorithm,)) + deflated_by_zlib(literal, -15 if algorithm == 1 else 15), outer)
    elif algorithm == 3:
        message = packet(8, b"\x03" + bz2.compress(literal), outer)
    assert content_of(message, portion) == content


@pytest.mark.parametrize(("size", "octets"), [(0, 1), (191, 1), (192, 2), (8383, 2), (8384, 5), ((1 << 32) - 1, 5)])
def test_definite_lengths_are_the_shortest(size: int, octets: int) -> None:
    assert len(packets.definite_length(size)) == octets


@given(st.lists(CONTENT, min_size=1, max_size=4), LEVELS, st.data())
@settings(max_examples=60)
def test_a_message_cut_short_is_never_read_as_whole(
    pieces: list[bytes], level: int | None, data: st.DataObject
) -> None:
    message = signed_message(pieces, level)
    kept = data.draw(st.integers(0, len(message) - len(SIGNATURE) - 3))
    try:
        content = content_of(message[:kept], 1 << 20)
    except CorruptStream:
        return
    assert content is None


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_an_orderly_way(data: bytes) -> None:
    try:
        content = content_of(data, 64)
    except CorruptStream:
        return
    assert content is None or len(content) <= 1100 * len(data)


def test_packets_behind_the_content_are_refused() -> None:
    literal = in_old_form(11, b"b\x00\x00\x00\x00\x00text", 0)
    with pytest.raises(CorruptStream):
        content_of(literal + literal, 100)
    with pytest.raises(CorruptStream):
        content_of(literal + SIGNATURE, 100)
    assert content_of(ONE_PASS + literal + SIGNATURE, 100) == b"text"


@pytest.mark.parametrize("first", [SIGNATURE, in_old_form(10, b"PGP", 0), b""], ids=["old signature", "marker", "none"])
def test_unusual_messages_are_left_to_gpg(first: bytes) -> None:
    assert packets.open_message(Source(first + (SIGNATURE if first else b""), 100)) is None


def test_an_unknown_compression_is_named() -> None:
    with pytest.raises(CorruptStream, match="unknown method 9"):
        content_of(b"\xa3\x09abc", 100)


def test_a_file_is_closed_once() -> None:
    with tempfile.TemporaryFile() as file:
        descriptor = os.dup(file.fileno())
    stream = FileStream(descriptor)
    stream.close()
    stream.close()
    with pytest.raises(OSError):
        os.fstat(descriptor)
