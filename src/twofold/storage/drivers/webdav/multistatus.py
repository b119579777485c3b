"""What a WebDAV server tells of files and collections (RFC 4918 section 13), read as it arrives.

Always holds: document types are refused, so that no entity is ever expanded; what is not understood is skipped; no
element takes more than LONGEST_TEXT characters of memory.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote_to_bytes
from xml.parsers import expat

from twofold.model.value import record
from twofold.storage.told_numbers import told_number

REQUEST = (
    b'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/>'
    b"<quota-available-bytes/></prop></propfind>"
)
"""What PROPFIND asks for."""

LONGEST_TEXT = 1 << 16
_DEEPEST = 100
_DAV = "DAV: "
_FAILED_DEPENDENCY = 424


class Resource(NamedTuple):
    """One file or collection: its decoded path without a slash at the end; bytes that are no UTF-8 as surrogates."""

    path: str
    is_collection: bool
    size: int | None
    free_bytes: int | None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class NotUnderstood(Exception):
    """The answer is no multistatus document."""


@record
class _Response:
    """One <response> as far as it has been read."""

    href: str = ""
    is_collection: bool = False
    sizes: dict[str, int] | None = None
    odd_size: str = ""


class MultistatusReader:
    """Feed it bytes as they come; `end` gives what the server has told.

    `refusal` is the first status within that is none of success, 0 without one; what has failed only because something
    else has (424) counts last.
    """

    def __init__(self) -> None:
        self._found: list[Resource] = []
        self._current = _Response()
        self._text: list[str] = []
        self._length = 0
        self.refusal = 0
        self._depth = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._finish
        self._parser.CharacterDataHandler = self._read
        self._parser.StartDoctypeDeclHandler = self._refuse

    def feed(self, piece: bytes) -> None:
        """Raises NotUnderstood."""
        self._parse(piece, last=False)

    def end(self) -> list[Resource]:
        """Raises NotUnderstood when the document ended too early, too."""
        self._parse(b"", last=True)
        return self._found

    def _parse(self, piece: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(piece, last)
        except expat.ExpatError as error:
            raise NotUnderstood(str(error)) from error

    def _refuse(self, *_declaration: object) -> None:
        raise NotUnderstood("it declares a document type")

    def _read(self, text: str) -> None:
        self._length += len(text)
        if self._length > LONGEST_TEXT:
            raise NotUnderstood("one of its elements has no end")
        self._text.append(text)

    def _take_text(self) -> str:
        text = "".join(self._text).strip()
        self._text.clear()
        self._length = 0
        return text

    def _begin(self, name: str, _attributes: object) -> None:
        self._take_text()
        if self._depth == 0 and name != _DAV + "multistatus":
            raise NotUnderstood(f"it begins with {name}")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotUnderstood("its elements have no end")
        if name == _DAV + "response":
            self._current = _Response(sizes={})

    def _finish(self, name: str) -> None:
        self._depth -= 1
        text = self._take_text()
        current, word = self._current, name.removeprefix(_DAV)
        if current.sizes is None:
            return
        if word == "href" and not current.href:
            current.href = text
        elif word == "collection":
            current.is_collection = True
        elif word == "status":
            self._note(told_number((text.split() + ["", ""])[1]))
        elif word in {"getcontentlength", "quota-available-bytes"} and (size := told_number(text)) is not None:
            current.sizes[word] = size
        elif word == "getcontentlength":
            current.odd_size = text[:40]
        elif word == "response":
            self._found.append(_resource(current, current.sizes))

    def _note(self, status: int | None) -> None:
        if status is not None and status >= 300 and self.refusal in {0, _FAILED_DEPENDENCY}:
            self.refusal = status


def _resource(read: _Response, sizes: dict[str, int]) -> Resource:
    if read.odd_size and not read.is_collection:
        raise NotUnderstood(f"it tells the size {read.odd_size}")
    path = decoded_path(read.href)
    return Resource(path, read.is_collection, sizes.get("getcontentlength"), sizes.get("quota-available-bytes"))


def decoded_path(href: str) -> str:
    """The path of an address, whole or path alone, without slash at the end.

    Question marks are part of it: files have no queries, and some servers forget to encode them.
    """
    if not href.startswith("/"):
        href = "/" + href.partition("://")[2].partition("/")[2]
    return unquote_to_bytes(href).decode("utf-8", "surrogateescape").rstrip("/")
