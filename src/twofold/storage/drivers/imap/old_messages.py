"""The messages of duplicity: one for a whole file, however large, with one base64 attachment.

COMPAT: duplicity <= 0.8: later versions cannot store in mailboxes. The size of the file stands nowhere; it follows
from where the base64 begins and ends and how long its lines are. Nothing here talks to a server.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from twofold.storage.drivers.imap.messages import Part, encoded_size

HEAD_BYTES = 4096
TAIL_BYTES = 512

_ATTACHMENT = re.compile(rb"\r\ncontent-transfer-encoding:[ \t]*base64[ \t]*\r\n(?:[^\r\n]+\r\n)*\r\n", re.IGNORECASE)
_END = re.compile(rb"([A-Za-z0-9+/]*)(=*)(?:\r\n)*(?:--[^\r\n]*--)?(?:\r\n)*\Z")


class Beginning(NamedTuple):
    """Where in a message the base64 begins, and how many bytes each of its lines holds."""

    offset: int
    line: int


def beginning(head: bytes) -> Beginning | None:
    """What the first HEAD_BYTES of a message tell; None for a mail without such an attachment."""
    found = _ATTACHMENT.search(head)
    if found is None:
        return None
    width = head.find(b"\r\n", found.end()) - found.end()
    return Beginning(found.end(), width // 4 * 3) if width > 0 and width % 4 == 0 else Beginning(found.end(), 57)


def old_part(uid: int, name: str, begins: Beginning, *, size: int, tail: bytes) -> Part | None:
    """The file in a message of `size` bytes that ends with `tail`; None when what is there is no base64."""
    found = _END.search(tail, max(0, begins.offset - (size - len(tail))))
    if found is None:
        return None
    text = size - len(tail) + found.end(2) - begins.offset
    lines, rest = divmod(text, begins.line // 3 * 4 + 2)
    bytes_there = lines * begins.line + rest // 4 * 3 - len(found[2])
    if bytes_there < 0 or encoded_size(bytes_there, begins.line) - text not in {0, 2}:
        return None
    return Part(uid, name, "", 0, bytes_there, bytes_there, "", begins.offset, begins.line)
