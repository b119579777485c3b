"""What is known of a mailbox: which messages hold which bytes of which files at one place.

Every header is read once. `look` brings the knowledge up to date; what came meanwhile and what went is seen by the
numbers of the messages alone, not by searches for names, whose indexes some services bring up to date later. Mail that
was delivered is never ours, and a message without our header never replaces one that has it: anybody can send mail.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from twofold.storage.drivers.imap.messages import FIELDS, Part, fields, is_name, part_of, whole
from twofold.storage.drivers.imap.old_messages import HEAD_BYTES, TAIL_BYTES, beginning, old_part
from twofold.storage.drivers.imap.session import REMOVED, Session

Put = list[Part]
"""The parts of one put in order; its last one was sent last."""

_Known = dict[int, Part | None]


class Mailbox:
    """For one thread at a time. Errors are those of the session. `forged` counts delivered mail with our header."""

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._generation = 0
        self._known: _Known = {}
        self._removed: _Known = {}
        self.forged = 0

    def look(self, session: Session, generation: int) -> None:
        """Reads what is new; `generation` is what the session told when it entered the mailbox."""
        if generation != self._generation:
            self._known, self._removed, self._generation = {}, {}, generation
        self._read(session, self._known, session.search())

    def look_for_removed(self, session: Session) -> None:
        """Reads which removals have begun and have not come to their end. After `look`."""
        self._read(session, self._removed, session.search(REMOVED))

    def puts(self, name: str = "") -> list[Put]:
        """Those that are whole, of one name if it is given; the last of a name is the file: the newest of ours."""
        return self._grouped(self._known, whole, name)

    def unfinished(self) -> list[Put]:
        """Those that are not whole."""
        return self._grouped(self._known, lambda parts: [] if whole(parts) else parts)

    def removed(self) -> list[Put]:
        """Those whose removal has begun."""
        return self._grouped(self._removed, lambda parts: parts)

    def remove(self, session: Session, puts: Iterable[Put]) -> None:
        """Removes puts, and what copies somebody has made of their messages."""
        doomed = {_identity(put[0]) for put in puts}
        known = (self._known, self._removed)
        uids = {part.uid for each in known for part in each.values() if part and _identity(part) in doomed}
        if uids:
            session.remove(uids)
            for each in known:
                for uid in uids & each.keys():
                    del each[uid]

    def _read(self, session: Session, known: _Known, uids: set[int]) -> None:
        for gone in known.keys() - uids:
            del known[gone]
        old: dict[int, str] = {}
        for found in session.fetch(uids - known.keys(), FIELDS):
            read = fields(found.content.decode("utf-8", "surrogateescape"))
            part = part_of(found.uid, read.ours, place=self._sender)
            if not (read.ours or read.delivered) and read.sender == self._sender and is_name(read.subject):
                old[found.uid] = read.subject
            else:
                known[found.uid] = None if read.delivered else part
                self.forged += read.delivered and part is not None
        self._read_old(session, known, old)

    def _read_old(self, session: Session, known: _Known, names: dict[int, str]) -> None:
        for found in [*session.fetch(names, f"RFC822.SIZE BODY.PEEK[]<0.{HEAD_BYTES}>")]:
            begins = beginning(found.content)
            if begins is None:
                known[found.uid] = None
                continue
            items = f"BODY.PEEK[]<{max(0, found.size - TAIL_BYTES)}.{TAIL_BYTES}>"
            for tail in session.fetch([found.uid], items):
                name = names[found.uid]
                known[found.uid] = old_part(found.uid, name, begins, size=found.size, tail=tail.content)

    def _grouped(self, known: _Known, keep: Callable[[Put], Put], name: str = "") -> list[Put]:
        puts: dict[tuple[str, str, int], Put] = defaultdict(list)
        for part in known.values():
            if part is not None and name in {"", part.name}:
                puts[_identity(part)].append(part)
        return sorted(filter(None, map(keep, puts.values())), key=lambda put: (bool(put[0].upload), put[-1].uid))


def _identity(part: Part) -> tuple[str, str, int]:
    """Which put it belongs to; each message of duplicity's is one of its own."""
    return part.name, part.upload, 0 if part.upload else part.uid
