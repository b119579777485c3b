"""OpenPGP packets around file content (RFC 4880 sections 4, 5.4, 5.6 and 5.9; docs/format.md section 7.2).

Read are all forms that any program has written: old and new headers, definite, partial and indeterminate lengths,
three kinds of compression. Written are the few that gpg and duplicity read and that cost least.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from isal import igzip_lib

from twofold.envelope.streams import Decompressor, Inflated, Stream
from twofold.errors import CorruptStream


class Tag(IntEnum):
    """The kinds of packets that an encrypted file is, and is made of inside."""

    SIGNATURE = 2
    ONE_PASS_SIGNATURE = 4
    COMPRESSED = 8
    ENCRYPTED = 9
    LITERAL = 11
    ENCRYPTED_WITH_MDC = 18
    ENCRYPTED_WITH_TAG = 20


COMPRESSED_HEADER: Final = b"\xa3\x01"
"""A compressed packet up to the end of what surrounds it, as gpg writes it, holding raw deflate (ZIP)."""

LITERAL_FIELDS: Final = b"b\x00\x00\x00\x00\x00"
"""Binary, no name, no date."""

LITERAL_HEADER: Final = b"\xaf" + LITERAL_FIELDS
"""A literal packet up to the end of what surrounds it: its content needs no framing at all."""

_CUT_SHORT: Final = "An OpenPGP packet ends too early: the file is cut short"


class Packet(NamedTuple):
    """One packet, whose body has to be read before the next one."""

    tag: int
    body: Stream


def next_packet(source: Stream) -> Packet | None:
    """The next packet, None at the end. Raises CorruptStream."""
    first = source.read(1)
    if not first:
        return None
    header = first[0]
    if not header & 0x80:
        raise CorruptStream("There is no OpenPGP packet where one should begin")
    if header & 0x40:
        return Packet(header & 0x3F, FramedBody(source))
    kind = header & 3
    tag = header >> 2 & 15
    if kind == 3:
        return Packet(tag, source)
    return Packet(tag, FramedBody(source, int.from_bytes(source.exactly(1 << kind), "big")))


class FramedBody(Stream):
    """The body of a packet, without the lengths in between; what follows it stays below to be read.

    Without `size` the first length, of the new form, is still to come.
    """

    __slots__ = ("_last", "_remaining", "_source")

    def __init__(self, source: Stream, size: int | None = None) -> None:
        super().__init__()
        self._source = source
        self._remaining = size or 0
        self._last = size is not None

    def _produce(self, limit: int) -> bytes:
        while not self._remaining:
            if self._last:
                return b""
            self._read_length()
        if self._last or self._remaining >= limit:
            data = self._source.more(min(limit, self._remaining))
            self._remaining -= len(data)
        else:
            data = self._several_parts(limit)
        if not data:
            raise CorruptStream(_CUT_SHORT)
        return data

    def _several_parts(self, limit: int) -> bytes:
        """Takes a whole block and cuts the lengths out: gpg's own parts of 8 KiB are too small for a call each."""
        block = self._source.more(limit)
        view = memoryview(block)
        parts = []
        position = 0
        while position < len(block):
            if not self._remaining:
                octet = block[position]
                if self._last or not 0xE0 <= octet < 0xFF:
                    break  # the end of this packet, or its last length, which may take several octets
                self._remaining = 1 << (octet & 31)
                position += 1
            part = view[position : position + self._remaining]
            parts.append(part)
            position += len(part)
            self._remaining -= len(part)
        self._source.unread(block[position:])
        return b"".join(parts)

    def _read_length(self) -> None:
        """Reads a length of the new form (RFC 4880 section 4.2.2)."""
        octet = self._source.exactly(1)[0]
        if 0xE0 <= octet < 0xFF:
            self._remaining = 1 << (octet & 31)
            return
        self._last = True
        if octet < 0xC0:
            self._remaining = octet
        elif octet < 0xE0:
            self._remaining = ((octet - 0xC0) << 8) + self._source.exactly(1)[0] + 0xC0
        else:
            self._remaining = int.from_bytes(self._source.exactly(4), "big")

    def close(self) -> None:
        self._source.close()


class Literal(Stream):
    """The content of a message. At its end nothing may follow but `signatures` signature packets."""

    __slots__ = ("_body", "_rest", "_signatures")

    def __init__(self, body: Stream, rest: Stream, *, signatures: int) -> None:
        super().__init__()
        self._body = body
        self._rest = rest
        self._signatures = signatures

    def _produce(self, limit: int) -> bytes:
        data = self._body.more(limit)
        if not data:
            self._check_rest()
        return data

    def _check_rest(self) -> None:
        while (packet := next_packet(self._rest)) is not None:
            self._signatures -= 1
            if packet.tag != Tag.SIGNATURE or self._signatures < 0:
                raise CorruptStream("There are packets behind the content that do not belong there")
            skip(packet.body)

    def close(self) -> None:
        self._rest.close()


def open_message(source: Stream) -> Literal | None:
    """Finds the content of a message that gpg has decrypted; None if its structure is none of the usual ones.

    Usual is a literal packet, or one between one-pass signatures and signatures (which are not checked here), with
    or without a compressed packet around it all. Raises CorruptStream.
    """
    inner = source
    packet = next_packet(inner)
    if packet is not None and packet.tag == Tag.COMPRESSED:
        inner = _decompressed(packet.body)
        packet = next_packet(inner)
    signatures = 0
    while packet is not None and packet.tag == Tag.ONE_PASS_SIGNATURE:
        skip(packet.body)
        signatures += 1
        packet = next_packet(inner)
    if packet is None or packet.tag != Tag.LITERAL:
        return None
    name_length = packet.body.exactly(2)[1]
    packet.body.exactly(name_length + 4)
    return Literal(packet.body, inner, signatures=signatures)


def inflated(body: Stream) -> Inflated:
    """What comes out of raw deflate, from the beginning of a piece to the end."""
    return Inflated(body, igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_DEFLATE))


def _decompressed(body: Stream) -> Stream:
    algorithm = body.exactly(1)[0]
    if algorithm == 0:
        return body
    return Inflated(body, _decompressor(algorithm))


def _decompressor(algorithm: int) -> Decompressor:
    """Chooses by RFC 4880 section 9.3."""
    if algorithm == 1:
        return igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_DEFLATE)
    if algorithm == 2:
        return igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_ZLIB)
    if algorithm == 3:
        import bz2

        return bz2.BZ2Decompressor()
    raise CorruptStream(f"A packet is compressed by the unknown method {algorithm}")


def skip(body: Stream) -> None:
    """Reads a packet's body to its end. Raises CorruptStream."""
    while body.more(1 << 16):
        pass


def definite_length(size: int) -> bytes:
    """A length of the new form (RFC 4880 section 4.2.2)."""
    if size < 0xC0:
        return bytes((size,))
    if size < 0x20C0:
        return bytes((((size - 0xC0) >> 8) + 0xC0, (size - 0xC0) & 0xFF))
    return b"\xff" + size.to_bytes(4, "big")
