"""OpenPGP packets and gzip files: what is inside comes out, or CorruptStream, whatever the portions they arrive in."""

from __future__ import annotations

import bz2
import gzip
import zlib

from tests.fuzz.target import Numbers, Source, Target
from twofold.envelope import deflate, packets, signing
from twofold.envelope.gzip import GzipStream
from twofold.envelope.streams import Stream
from twofold.errors import CorruptStream, EnvelopeError

MOST = 1 << 20
"""So much is read of what may inflate without end."""

SIGNATURE = b"\x88\x04four"
ONE_PASS = bytes.fromhex("c40d03000816" + "0123456789abcdef" + "01")
LITERAL = b"\xcb\x0bb\x00\x00\x00\x00\x00inner"
DETACHED = bytes.fromhex("88130400160800060504657fffff00021621040000")


def content_of(stream: Stream | None, step: int) -> bytes | None:
    """At most MOST bytes, and never more at once than was asked for."""
    if stream is None:
        return None
    parts = []
    total = 0
    while total < MOST and (part := stream.read(step)):
        assert len(part) <= step
        parts.append(part)
        total += len(part)
    return b"".join(parts)


def read(data: bytes, portion: int, step: int) -> bytes | None:
    """The content; None for what is damaged, or left to gpg: which of them depends on how far one gets."""
    try:
        return content_of(packets.open_message(Source(data, portion)), step)
    except CorruptStream:
        return None


def agree(one: bytes | None, other: bytes | None) -> bool:
    """Damage behind what is read of something endless may be met or not."""
    return one == other or max(len(one or b""), len(other or b"")) >= MOST


def check_packets(data: bytes) -> None:
    numbers = Numbers(data)
    portion, step = 1 + numbers.below(256), 1 + numbers.below(1 << 16)
    whole = read(numbers.rest, MOST, 1 << 16)
    assert agree(read(numbers.rest, portion, 1 << 16), whole)
    assert agree(read(numbers.rest, MOST, max(step, len(whole or b"") // 64)), whole)


def check_signed(data: bytes) -> None:
    """Written in any pieces, a message is read back; and the signature that gpg made is one, or refused."""
    numbers = Numbers(data)
    compressed, level, cut, portion = (numbers.below(limit) for limit in (2, 4, 2048, 4096))
    rest = numbers.rest * (1 + numbers.below(2) * 20)
    framing = signing.LiteralFraming(compressed=bool(compressed))
    pieces = [rest[:cut], b"", rest[cut : 3 * cut], rest[3 * cut :]]
    made = [signing.signed_piece(piece, level if compressed else None) for piece in pieces]
    body = b"".join(framing.add(piece) for piece in made) + framing.finish(SIGNATURE)
    message = ONE_PASS + body
    if compressed:
        message = packets.COMPRESSED_HEADER + deflate.stored(ONE_PASS) + body + deflate.END_OF_DEFLATE
    assert read(message, 1 + portion, 1 << 16) == rest
    try:
        signer = signing.signer_of(numbers.rest)
    except EnvelopeError:
        return
    assert len(signer.one_pass_packet()) == 2 + 5 + len(signer.key_id)


def check_gzip(data: bytes) -> None:
    numbers = Numbers(data)
    portion = 1 + numbers.below(256)
    found = inflated(numbers.rest, MOST)
    assert agree(inflated(numbers.rest, portion), found)
    if found is not None and len(found) < MOST:
        assert python_inflated(numbers.rest) in (found, None)


def inflated(data: bytes, portion: int) -> bytes | None:
    try:
        return content_of(GzipStream(Source(data, portion)), 1 << 16)
    except CorruptStream:
        return None


def python_inflated(data: bytes) -> bytes | None:
    """By zlib, member by member; what follows the last is ignored. None where a header has reserved flags."""
    made = b""
    while data.startswith(b"\x1f\x8b"):
        if data[3] & 0xE0:
            return None
        member = zlib.decompressobj(31)
        made += member.decompress(data)
        assert member.eof
        data = member.unused_data
    return made


def gzip_seeds() -> list[bytes]:
    named = b"\x1f\x8b\x08\x0c" + bytes(6) + b"\x04\x00extrname\0" + gzip.compress(b"text", mtime=0)[10:]
    files = (gzip.compress(b"text", mtime=0), gzip.compress(b"x" * 5000, mtime=0), named, gzip.compress(b"", mtime=0))
    return [each + b"\x20" for each in (*files, files[0] + files[1], files[0] + b"rest", files[1][:-9])]


def packet_seeds() -> list[bytes]:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    zipped = compressor.compress(LITERAL) + compressor.flush()
    in_parts = b"\xcb\xe3b\0\0\0\0\0xx\xe1yy\x03end"
    messages = (
        LITERAL,
        ONE_PASS + LITERAL + SIGNATURE,
        in_parts,
        b"\xa3\x01" + zipped,
        b"\xa3\x02" + zlib.compress(LITERAL),
        b"\xa3\x03" + bz2.compress(LITERAL),
        b"\xa3\x00" + in_parts,
        b"\xac\x0bb\x00\x00\x00\x00\x00inner",
        b"\xad\x00\x0bb\x00\x00\x00\x00\x00inner",
        b"\xaf" + LITERAL[2:],
        b"\xc8" + packets.definite_length(1 + len(zipped)) + b"\x01" + zipped + SIGNATURE,
    )
    return [message + b"\x00\x08\x06" for message in messages]


def signed_seeds() -> list[bytes]:
    real = bytes.fromhex("88150400160800" + "06" + "0504657fffff" + "000a" + "0910" + "0123456789abcdef")
    contents = (b"", b"short", b"content " * 200, DETACHED, real)
    return [each + tail for each in contents for tail in (bytes(6), b"\x01\x01\x00\x50\x02\x01")]


TARGETS = {
    "packets": Target(check_packets, packet_seeds, (b"\xcb", b"\xa3\x01", b"\xe0", b"\xff\0\0\0\x05", b"\xc4\x0d\x03")),
    "signed": Target(check_signed, signed_seeds, (b"\x88", b"\x89", b"\x09\x10", b"\x21\x04")),
    "gzip": Target(check_gzip, gzip_seeds, (b"\x1f\x8b\x08", deflate.END_OF_DEFLATE)),
}
