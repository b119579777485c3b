"""Signed messages put together beside gpg: one-pass signature, literal, signature (RFC 4880 section 11.3).

gpg refuses to sign a ready-made packet (docs/format.md section 7.3), but a binary signature covers the content of the
literal packet alone (RFC 4880 section 5.2.4, version 4). So `gpg --detach-sign` signs the raw bytes while they are
compressed, and its packet is put behind them. What the one-pass packet in front has to say is learned beforehand from
a signature of nothing by the same key.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from twofold.envelope import deflate, packets
from twofold.envelope.protocol import Buffer, Piece
from twofold.errors import EnvelopeError

_BINARY_DOCUMENT: Final = 0
_ISSUER: Final = 16
_ISSUER_FINGERPRINT: Final = 33
_KEY_ID_SIZE: Final = 8

_FIRST_PART: Final = 512
"""RFC 4880 section 4.2.2.4: the first part of a packet has 512 bytes or more, later ones any power of two."""

HEAD_SIZE: Final = _FIRST_PART - len(packets.LITERAL_FIELDS)
"""So many raw bytes complete the first part of a literal packet."""

_LARGEST_PART: Final = 30


class Signer(NamedTuple):
    """What a one-pass signature packet says about the signature that will follow."""

    hash_algorithm: int
    key_algorithm: int
    key_id: bytes

    def one_pass_packet(self) -> bytes:
        """The packet of RFC 4880 section 5.4, for a single signature."""
        body = bytes((3, _BINARY_DOCUMENT, self.hash_algorithm, self.key_algorithm)) + self.key_id + b"\x01"
        return bytes((0xC0 | packets.Tag.ONE_PASS_SIGNATURE, len(body))) + body


def signer_of(signature: bytes) -> Signer:
    """Reads one detached binary signature of version 4. Raises EnvelopeError when it is something else."""
    body = _only_packet(signature)
    if len(body) < 10 or body[0] != 4 or body[1] != _BINARY_DOCUMENT:
        raise EnvelopeError("gpg made no binary signature of version 4: check --gpg-options and gpg.conf")
    hashed_end = 6 + int.from_bytes(body[4:6], "big")
    unhashed_end = hashed_end + 2 + int.from_bytes(body[hashed_end : hashed_end + 2], "big")
    for kind, content in _subpackets(body[6:hashed_end]) + _subpackets(body[hashed_end + 2 : unhashed_end]):
        if kind == _ISSUER or (kind == _ISSUER_FINGERPRINT and content[:1] == b"\x04"):
            return Signer(hash_algorithm=body[3], key_algorithm=body[2], key_id=content[-_KEY_ID_SIZE:])
    raise EnvelopeError("gpg made a signature that does not name its key")


def _only_packet(signature: bytes) -> bytes:
    """The body of a signature packet of the old form, which is what every gpg writes."""
    kind = signature[0] if signature else 0
    sizes = {0x88: 1, 0x89: 2, 0x8A: 4}
    if kind in sizes:
        start = 1 + sizes[kind]
        end = start + int.from_bytes(signature[1:start], "big")
        if end == len(signature):
            return signature[start:]
    raise EnvelopeError("gpg did not make exactly one signature: check --gpg-options and gpg.conf")


def _subpackets(area: bytes) -> list[tuple[int, bytes]]:
    """Kinds and contents (RFC 4880 section 5.2.3.1); the critical bit is of no interest here."""
    found = []
    position = 0
    while position < len(area):
        octet = area[position]
        if octet < 0xC0:
            size, start = octet, position + 1
        elif octet < 0xFF:
            size, start = (
                ((octet - 0xC0) << 8) + int.from_bytes(area[position + 1 : position + 2], "big") + 0xC0,
                position + 2,
            )
        else:
            size, start = int.from_bytes(area[position + 1 : position + 5], "big"), position + 5
        content = area[start : start + size]
        if not content:
            raise EnvelopeError("gpg made a signature that cannot be understood")
        found.append((content[0] & 0x7F, content[1:]))
        position = start + size
    return found


def framed(data: Buffer) -> bytes:
    """The bytes as parts of a packet, none of them the last (RFC 4880 section 4.2.2.4)."""
    view = memoryview(data)
    parts: list[bytes | memoryview] = []
    position = 0
    while position < len(view):
        power = min((len(view) - position).bit_length() - 1, _LARGEST_PART)
        parts += (bytes((0xE0 | power,)), view[position : position + (1 << power)])
        position += 1 << power
    return b"".join(parts)


def framed_size(raw_size: int) -> int:
    """The length of `framed` for so many bytes."""
    largest, rest = divmod(raw_size, 1 << _LARGEST_PART)
    return raw_size + largest + rest.bit_count()


def signed_piece(data: Buffer, level: int | None) -> Piece:
    """A piece whose first HEAD_SIZE bytes stand by themselves, so that `LiteralFraming` can begin a packet with them.

    Nobody knows while compressing which piece will be a file's first. Without `level` nothing is deflated.
    """
    view = memoryview(data)
    head, rest = framed(view[:HEAD_SIZE]), framed(view[HEAD_SIZE:])
    if level is None:
        return Piece(head + rest, len(view), 0)
    return Piece(deflate.stored(head) + deflate.deflated(rest, level), len(view), 0)


def signed_worst_case(raw_size: int) -> int:
    """The most bytes that `signed_piece` makes of so many."""
    head = framed_size(min(raw_size, HEAD_SIZE))
    return deflate.stored_size(head) + deflate.stored_size(framed_size(max(0, raw_size - HEAD_SIZE)))


class LiteralFraming:
    """Makes one literal packet of pieces from `signed_piece`, whatever their sizes."""

    def __init__(self, *, compressed: bool) -> None:
        self._compressed = compressed
        self._waiting = b""
        self._begun = False

    def add(self, piece: Piece) -> bytes:
        """The bytes that go into the file for the next piece; none while there are too few for a first part."""
        if self._begun or not piece.raw_size:
            return piece.data
        head_size = min(piece.raw_size, HEAD_SIZE)
        start = deflate.STORED_HEADER if self._compressed else 0
        end = start + framed_size(head_size)
        self._waiting += _unframed(piece.data[start:end])
        if len(self._waiting) < HEAD_SIZE:
            return b""
        self._begun = True
        first, second = self._waiting[:HEAD_SIZE], self._waiting[HEAD_SIZE:]
        beginning = _tag() + framed(packets.LITERAL_FIELDS + first) + framed(second)
        return self._stored(beginning) + piece.data[end:]

    def finish(self, signature: bytes) -> bytes:
        """The end of the literal packet, and the signature behind it."""
        if self._begun:
            return self._stored(packets.definite_length(0) + signature)
        content = packets.LITERAL_FIELDS + self._waiting
        return self._stored(_tag() + packets.definite_length(len(content)) + content + signature)

    def _stored(self, data: bytes) -> bytes:
        return deflate.stored(data) if self._compressed else data


def _tag() -> bytes:
    return bytes((0xC0 | packets.Tag.LITERAL,))


def _unframed(data: bytes) -> bytes:
    """The content of parts made by `framed`."""
    parts = []
    position = 0
    while position < len(data):
        size = 1 << (data[position] & 31)
        parts.append(data[position + 1 : position + 1 + size])
        position += 1 + size
    return b"".join(parts)
