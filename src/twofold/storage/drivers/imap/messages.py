"""What a stored file is in a mailbox: a message for every 10 MB of it, each with one attachment in base64.

A file of one message looks as duplicity's do (Subject: its name, From: the last word of the URL), so that duplicity
can read it. The subjects of others begin with `part`, so that no program takes one of them for the file. What counts
is the header X-Twofold-File: which put, which bytes of how many, which name at which place. The parts of a put make a
file when they are all there, and the newest whole put of a name is the file. Nothing here talks to a server.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import NamedTuple

from twofold.storage.told_numbers import told_number

LINE_BYTES = 57
"""Bytes in a line of 76 characters (RFC 2045 section 6.8)."""

PART_BYTES = LINE_BYTES * 180_000
"""10.3 MB, 14 MB as a message: mail services refuse messages from 20 or 25 MB on."""

PIECE_BYTES = LINE_BYTES * 1150
"""What is read, encoded and sent at once."""

HEADER = "X-Twofold-File"
DELIVERY = ("Received", "Delivered-To", "Return-Path")
"""What mail gets on its way. A message that has one was sent by somebody, not put into the mailbox by us."""

FIELDS = f"BODY.PEEK[HEADER.FIELDS (From Subject {HEADER} {' '.join(DELIVERY)})]"

_BOUNDARY = "=twofold="
_END = f"\r\n--{_BOUNDARY}--\r\n".encode()
_CONTROL = re.compile(r"[^ -~]")
_PLAIN = re.compile(r"[\w.+-]+", re.ASCII)
_FIELD = re.compile(r"^([\w-]+):(.*)$", re.MULTILINE)
_TAIL = 8


class Part(NamedTuple):
    """A message that holds `size` bytes of a file of `total` bytes, from `start` on.

    `upload` is the put it belongs to, empty for a message of duplicity's. The base64 begins `offset` bytes into the
    IMAP section `section` of the message and has `line` bytes in each line.
    """

    uid: int
    name: str
    upload: str
    start: int
    size: int
    total: int
    section: str
    offset: int
    line: int = LINE_BYTES


class Fields(NamedTuple):
    """The headers of a message that tell what it is: whose mail, its subject, our own, whether it came by mail."""

    sender: str
    subject: str
    ours: str
    delivered: bool


class Message:
    """One part of a file as it is sent: its length is known before its content is read.

    `content` gives the bytes, all pieces but the last in whole lines; `end` is what the stored message must end with.
    """

    def __init__(self, fields: str, attachment: str, size: int, content: Iterable[bytes]) -> None:
        self._before = (fields + "\r\n" + attachment).encode("ascii")
        self._size = size
        self._content = content
        self.end = b""

    def __len__(self) -> int:
        return len(self._before) + encoded_size(self._size) + len(_END)

    def __iter__(self) -> Iterator[bytes]:
        yield self._before
        last = b""
        for piece in self._content:
            last = encoded(piece)
            yield last
        self.end = last[-_TAIL:] + _END
        yield _END


def message(part: Part, place: str, content: Iterable[bytes]) -> tuple[Part, Message]:
    """The message for a part, and the part with the place of its content; `place` is the last word of the URL."""
    whole = part.size == part.total
    kind = "" if whole else f"part {part.start // PART_BYTES + 1} of {-(-part.total // PART_BYTES)} of "
    shown = part.name if _PLAIN.fullmatch(part.name) else "file"
    attachment = (
        f"--{_BOUNDARY}\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        f'Content-Disposition: attachment; filename="{shown}"\r\n\r\n'
    )
    part = part._replace(section="TEXT", offset=len(attachment))
    fields = (
        f"From: {_CONTROL.sub('?', place)}\r\nSubject: {kind}{_CONTROL.sub('?', part.name)}\r\n"
        f"{HEADER}: put={part.upload} from={part.start} bytes={part.size} of={part.total} at={part.offset}\r\n"
        f" name={_armoured(part.name)}\r\n place={_armoured(place)}\r\n"
        f'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="{_BOUNDARY}"\r\n'
    )
    return part, Message(fields, attachment, part.size, content)


def end_of(part: Part, end: bytes) -> tuple[int, int]:
    """Where, in its section, the `end` of a part's message must stand, and how many bytes to ask for."""
    return part.offset + encoded_size(part.size) + len(_END) - len(end), len(end)


def fields(text: str) -> Fields:
    """The header lines of a message, unfolded and decoded."""
    unfolded = re.sub(r"\r?\n[ \t]+", " ", text).replace("\r", "")
    found = {match[1].lower(): match[2].strip() for match in _FIELD.finditer(unfolded)}
    delivered = any(header.lower() in found for header in DELIVERY)
    ours = found.get(HEADER.lower(), "")
    return Fields(_decoded(found.get("from", "")), _decoded(found.get("subject", "")), ours, delivered)


def part_of(uid: int, ours: str, *, place: str) -> Part | None:
    """The part that our own header tells of; None when it belongs to another place, or makes no sense."""
    words = dict(word.partition("=")[::2] for word in ours.split())
    numbers = [told_number(words.get(word, "")) for word in ("from", "bytes", "of", "at")]
    try:
        name, where = (_unarmoured(words.get(word, "")) for word in ("name", "place"))
    except ValueError:
        return None
    start, size, total, offset = numbers
    if start is None or size is None or total is None or offset is None or where != place:
        return None
    return (
        Part(uid, name, words["put"], start, size, total, "TEXT", offset)
        if is_name(name) and start + size <= total and words.get("put")
        else None
    )


def is_name(text: str) -> bool:
    """Whether a file can be called so: the subject of any mail may stand there."""
    return text not in {"", ".", ".."} and "/" not in text and "\0" not in text


def whole(parts: Iterable[Part]) -> list[Part]:
    """The parts of one put in order, each once; none when some are missing."""
    ordered = sorted({part.start: part for part in parts}.values(), key=lambda part: part.start)
    reached = 0
    for part in ordered:
        if part.start != reached:
            return []
        reached += part.size
    return ordered if ordered and reached == ordered[-1].total else []


def encoded_size(size: int, line: int = LINE_BYTES) -> int:
    """Bytes that `size` bytes are in base64, lines of `line` bytes, each with its end."""
    lines, rest = divmod(size, line)
    return lines * (line // 3 * 4 + 2) + (-(-rest // 3) * 4 + 2 if rest else 0)


def encoded(content: bytes) -> bytes:
    """Base64 in lines. By hand: the email package takes a hundred times as long and three times the memory."""
    text = binascii.b2a_base64(content, newline=False)
    width = LINE_BYTES // 3 * 4
    return b"".join([text[at : at + width] + b"\r\n" for at in range(0, len(text), width)])


def decoded(text: bytes) -> bytes:
    """Raises ValueError for what is no base64."""
    return binascii.a2b_base64(text.replace(b"\r\n", b""), strict_mode=True)


def _armoured(name: str) -> str:
    return urlsafe_b64encode(name.encode("utf-8", "surrogateescape")).decode("ascii")


def _unarmoured(word: str) -> str:
    return urlsafe_b64decode(word.encode("ascii", "replace")).decode("utf-8", "surrogateescape")


def _decoded(text: str) -> str:
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, ValueError, LookupError):
        return text
