"""One IMAP connection: Python's client with what it lacks.

That is: literals sent piece by piece, so that a time limit counts silence only, mailboxes and passwords of any
characters, answers taken apart, deleting nothing but what was asked for. No answer is taken for an empty one. What the
server refuses is SaidNo with its words, what it does not understand another Refusal, everything else Lost and OSError.
"""

from __future__ import annotations

import binascii
import contextlib
import imaplib
import re
import socket
import ssl
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from twofold.storage.drivers.imap.messages import Message

Refusal = imaplib.IMAP4.error
Lost = imaplib.IMAP4.abort

REMOVED = "DELETED ANSWERED"
"""The messages whose removal we have begun: mail programs do not set both for what nobody can answer."""

_AT_ONCE = 500
"""Messages named in one command, which must not become longer than 8000 bytes (RFC 7162 section 4)."""

_ONE_ANSWER = 50_000
"""Messages of which one answer may tell: imaplib refuses lines of more than a million bytes."""

_MOST_DIGITS = 19

_UID = re.compile(rb"\bUID (\d{1,19})")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d{1,19})")
_QUOTED = re.compile(rb'\](?:<\d+>)? "((?:[^"\\]|\\.)*)"')
_STORAGE = re.compile(rb"\bSTORAGE (\d{1,19}) (\d{1,19})")
_NOT_ASCII = re.compile(r"&|[^ -~]+")


class SaidNo(Refusal):
    """The server understands and will not do it; in its words."""


class Fetched(NamedTuple):
    """What the server told of one message: its whole size where asked for, and the piece asked for."""

    uid: int
    size: int
    content: bytes


class _Partly(SaidNo):
    """The same, with what it told nevertheless."""

    def __init__(self, words: str, told: list[Any]) -> None:
        super().__init__(words)
        self.told = told


class _Connection(imaplib.IMAP4):
    """Sends what comes in pieces piece by piece; each of them has the whole time limit."""

    def send(self, data: Any) -> None:
        for piece in data if isinstance(data, Message) else (data,):
            super().send(piece)


class _SecretConnection(_Connection, imaplib.IMAP4_SSL):
    """The same with TLS from the first byte."""


class Session:
    """A connection that has logged in. `mailbox` may have any characters."""

    def __init__(
        self, address: tuple[str, int], mailbox: str, *, context: ssl.SSLContext, secret: bool, timeout: float
    ) -> None:
        self._mailbox = quoted(utf7(mailbox))
        self._writes: bool | None = None
        self._told_now = False
        self._uids_expected = self._messages = self._generation = 0
        if secret:
            self._imap: _Connection = _SecretConnection(*address, ssl_context=context, timeout=timeout)
        else:
            self._imap = _Connection(*address, timeout=timeout)
        try:
            # The line end after a literal must not wait for the other side's acknowledgement: 40 ms a message.
            self._imap.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not secret and "STARTTLS" in self._imap.capabilities:
                self._imap.starttls(context)
        except BaseException:
            self.end()
            raise

    def login(self, user: str, password: str) -> None:
        """Shows password and name as they are: letters outside ASCII as UTF-8."""
        command: Any = self._imap.xatom
        _accepted(command("LOGIN", quoted(user), quoted(password)))
        self._imap.state = "AUTH"
        # Many tell only now what they can do.
        words: bytes = _accepted(self._imap.capability())[-1] or b""
        self._imap.capabilities = tuple(words.decode("ascii", "replace").upper().split())

    def end(self) -> None:
        """Hangs up."""
        with contextlib.suppress(OSError):
            self._imap.shutdown()

    def enter(self, *, write: bool = False) -> int:
        """Selects the mailbox, or looks whether it has changed; its generation: numbers of another mean nothing."""
        if self._writes is None or self._writes < write:
            self._writes = None
            command: Any = self._imap.select
            (count,) = _accepted(command(self._mailbox, readonly=not write))
            self._writes = write
            self._messages = _number(count)
            self._uids_expected = self._told("UIDNEXT")
            self._generation = self._told("UIDVALIDITY")
        elif not self._told_now:
            _accepted(self._imap.noop())
        self._told_now = False
        return self._generation

    def is_there(self) -> bool:
        """Whether the mailbox exists."""
        command: Any = self._imap.list
        return any(_accepted(command('""', self._mailbox)))

    def create(self) -> None:
        """Makes the mailbox."""
        command: Any = self._imap.create
        _accepted(command(self._mailbox))

    def search(self, criterion: str = "UNDELETED") -> set[int]:
        """The numbers of all messages that are so."""
        if self._messages <= _ONE_ANSWER:
            found = self._search(criterion)
        else:
            found = set()
            expected = self._uids_expected or max(self._search("UID *"), default=0)  # not all servers tell
            for first in range(1, expected + 1, _ONE_ANSWER):
                last = first + _ONE_ANSWER - 1
                found |= self._search(f"UID {first}:{last if last < expected else '*'} {criterion}")
        self._messages = max(self._messages, len(found))
        return found

    def fetch(self, uids: Collection[int], items: str) -> Iterator[Fetched]:
        """What the server tells about those that are still there; a piece of each at most."""
        for some in _batches(sorted(uids)):
            refusal: SaidNo | None = None
            try:
                data = self._asked("FETCH", numbers(some), f"(UID {items})")
            except _Partly as error:
                refusal, data = error, error.told
            told = [one for one in taken_apart(data) if one.uid in uids]
            missing = set(some) - {one.uid for one in told}
            # Some servers refuse when any has gone meanwhile (RFC 2180 section 4.1.2). No other reason is a good one.
            if (refusal and not missing) or (missing and missing & self._still_there()):
                raise refusal or Lost("the server does not tell of all messages")
            yield from told

    def append(self, message: Message, *, seen: bool) -> None:
        """Adds a message to the mailbox."""
        sending: Any = self._imap
        sending.literal = message
        try:
            _accepted(sending.xatom("APPEND", self._mailbox, r"(\Seen)" if seen else "()"))
            self._told_now = True  # most servers tell at once what is new (RFC 3501 section 6.3.11)
        finally:
            sending.literal = None

    def mark_seen(self, uids: Collection[int]) -> None:
        """Says that they have been read."""
        self._flag(uids, r"\Seen")

    def remove(self, uids: Collection[int]) -> None:
        """Deletes messages. Where only all deleted ones can go at once, they wait while there are others.

        Until they have gone they are REMOVED.
        """
        self._flag(uids, r"\Deleted \Answered")
        if "UIDPLUS" in self._imap.capabilities:
            for some in _batches(sorted(uids)):
                _accepted(self._imap.uid("EXPUNGE", numbers(some)))
        elif self.search("DELETED") <= set(uids):
            _accepted(self._imap.expunge())

    def free_bytes(self) -> int | None:
        """What the quota leaves; None without one, or where the server does not tell."""
        if "QUOTA" not in self._imap.capabilities:
            return None
        command: Any = self._imap.getquotaroot
        _, (_, quotas) = command(self._mailbox)
        found = [_STORAGE.search(quota) for quota in quotas if quota]
        return min(((int(each[2]) - int(each[1])) * 1024 for each in found if each), default=None)

    def _flag(self, uids: Collection[int], flag: str) -> None:
        known = self._generation
        if self.enter(write=True) != known:
            raise Lost("the mailbox has been made anew, and its messages have other numbers")
        for some in _batches(sorted(uids)):
            _accepted(self._imap.uid("STORE", numbers(some), "+FLAGS.SILENT", f"({flag})"))

    def _search(self, criteria: str) -> set[int]:
        data = self._asked("SEARCH", *criteria.split())
        return {_number(word) for line in data if line for word in line.split()} - {0}

    def _still_there(self) -> set[int]:
        _accepted(self._imap.noop())
        return self.search("ALL")

    def _asked(self, command: str, *words: str) -> list[Any]:
        answer = self._imap.uid(command, *words)
        if answer[0] != "OK":
            # imaplib would hand what came before the refusal to the next one who asks.
            raise _Partly(_words(answer), self._imap.response(command)[1])
        return answer[1]

    def _told(self, word: str) -> int:
        _, data = self._imap.response(word)
        return _number(data[-1]) if data else 0


def taken_apart(data: Iterable[bytes | tuple[bytes, bytes] | None]) -> Iterator[Fetched]:
    """The answers to a FETCH as imaplib gives them: tuples where a literal follows, bytes at the end of each."""
    words, content = b"", b""
    for item in data:
        if isinstance(item, tuple):
            words, content = words + item[0], item[1]
            continue
        words += item or b""
        uid, size, short = _UID.search(words), _SIZE.search(words), _QUOTED.search(words)
        if short is not None:
            content = re.sub(rb"\\(.)", rb"\1", short[1])
        if uid is not None and b"BODY[" in words:  # else it is news about flags
            yield Fetched(int(uid[1]), int(size[1]) if size else 0, content)
        words, content = b"", b""


def numbers(uids: Iterable[int]) -> str:
    """Ascending numbers as a set of the protocol: 1:5,7."""
    ranges: list[list[int]] = []
    for uid in uids:
        if ranges and ranges[-1][1] == uid - 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in ranges)


def quoted(text: str) -> bytes:
    """A string of the protocol; whoever calls sees to it that there is no line end in it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.encode("utf-8", "surrogateescape")


def utf7(name: str) -> str:
    """The name of a mailbox as the protocol writes it (RFC 3501 section 5.1.3)."""

    def shifted(match: re.Match[str]) -> str:
        text = match[0].encode("utf-16-be", "surrogatepass")
        return "&-" if match[0] == "&" else f"&{binascii.b2a_base64(text, newline=False).decode().rstrip('=')}-"

    return _NOT_ASCII.sub(lambda match: shifted(match).replace("/", ","), name)


def _accepted(answer: tuple[str, list[Any]]) -> list[Any]:
    if answer[0] != "OK":
        raise SaidNo(_words(answer))
    return answer[1]


def _words(answer: tuple[str, list[Any]]) -> str:
    kind, data = answer
    text = data[-1] if data else b""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else kind


def _number(word: bytes | None) -> int:
    """What is none counts as 0, which no message has."""
    return int(word) if word and len(word) <= _MOST_DIGITS and word.isdigit() else 0


def _batches(uids: Iterable[int]) -> Iterator[list[int]]:
    left = iter(uids)
    while some := list(islice(left, _AT_ONCE)):
        yield some
