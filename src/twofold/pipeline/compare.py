"""Walks the source beside what the chain already holds and says what differs, a directory at a time.

An unchanged directory is one comparison of bytes and one value. The walk is in archive order; the steps must be handled
one after another, since a directory's descriptor is open only until its `Leave` has been handled.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

from twofold.model.relpath import join
from twofold.pipeline.judge import Verdict, judge
from twofold.pipeline.known import (
    CTIME,
    FIELDS,
    MODE,
    NOWHERE,
    SIZE,
    TYPE,
    KnownDirectory,
    KnownTree,
    join_names,
    pack_stats,
    subtree_entries,
)
from twofold.pipeline.known_directories import Unchanged, find_unchanged, known_parts
from twofold.tree.scan import MANY, AskedAgain, CompactStats, Listing, SourceTree


class Work:
    """A directory being stored: what the walk found in it, and the record that the state file will get of it."""

    __slots__ = (
        *("children", "fd", "index", "listing", "locations", "names", "packed", "parent", "path", "prefix", "stats"),
        "_listed",
    )

    def __init__(self, listing: Listing, parent: Work | None, index: int) -> None:
        count = len(listing.names)
        self.listing: Listing | None = listing
        self.path = listing.path
        self.prefix = listing.path + b"/" if listing.path else b""
        self.fd = listing.fd
        self.names = listing.names
        self.stats: Sequence[os.stat_result] = listing.stats
        self.packed = pack_stats(listing.stats)
        self.locations = array("Q", [NOWHERE]) * count
        self.children = array("Q", [0]) * count
        self.parent = parent
        self.index = index
        self._listed = count

    def record(self) -> KnownDirectory:
        """What the state file keeps: without entries marked absent, adopted ones in their places."""
        if len(self.names) == self._listed and 0 not in self.packed[MODE::FIELDS]:
            return KnownDirectory(join_names(self.names), self.packed, self.locations, self.children)
        kept = [index for index in range(len(self.names)) if self.packed[index * FIELDS + MODE]]
        kept.sort(key=self.names.__getitem__)
        packed = array("q")
        for index in kept:
            packed.extend(self.packed[index * FIELDS : (index + 1) * FIELDS])
        return KnownDirectory(
            join_names([self.names[index] for index in kept]),
            packed,
            array("Q", [self.locations[index] for index in kept]),
            array("Q", [self.children[index] for index in kept]),
        )

    def adopt(self, name: bytes, known: KnownDirectory, position: int) -> int:
        """Adds an entry that is there but cannot be read, as it is known; gives its index."""
        self.names.append(name)
        self.packed.extend(known.stats[position * FIELDS : (position + 1) * FIELDS])
        self.locations.append(known.locations[position])
        self.children.append(0)
        return len(self.names) - 1

    def ask_again(self, source: SourceTree) -> None:
        """Of very many entries the packed facts are kept; who wants all of one's facts has them looked up once more."""
        if isinstance(self.stats, CompactStats) and len(self.names) > MANY and self.listing is not None:
            self.stats.clear()  # whoever else still holds them
            self.stats = AskedAgain(source, self.fd, self.names)
            self.listing = self.listing._replace(stats=())

    def let_go(self) -> None:
        """Only the record is still wanted: what else is known of the entries takes far more memory."""
        self.stats = ()
        self.listing = None

    def forget(self, index: int) -> None:
        """The entry was not stored and was not known: the record must not have it."""
        self.packed[index * FIELDS + MODE] = 0

    def refresh(self, index: int, found: os.stat_result) -> None:
        """The file has changed between being listed and being opened: what is recorded is from the opening."""
        if isinstance(self.stats, list):
            self.stats[index] = found
        elif isinstance(self.stats, CompactStats):
            self.stats.replace(index, found)
        self.packed[index * FIELDS : (index + 1) * FIELDS] = pack_stats([found])

    def distrust(self, index: int) -> None:
        """The entry may be changed without its times showing it: the next comparison looks at the content."""
        self.packed[index * FIELDS + CTIME] = 0

    def trusted(self, index: int) -> bool:
        return bool(self.packed[index * FIELDS + CTIME])

    def keep(self, index: int, known: KnownDirectory, position: int) -> None:
        """The entry could not be read: the record keeps what was known of it."""
        self.packed[index * FIELDS : (index + 1) * FIELDS] = known.stats[position * FIELDS : (position + 1) * FIELDS]
        self.locations[index] = known.locations[position]


class Store(NamedTuple):
    """Entries, next to each other in archive order, that were not there before (or were of another type)."""

    work: Work
    indexes: Sequence[int]


class Change(NamedTuple):
    """An entry whose metadata differ from what is known; `where` locates its signature, if it has one of use."""

    work: Work
    at: int
    where: int
    known: KnownDirectory
    position: int


class Check(NamedTuple):
    """An entry that looks unchanged but may not be: its content decides."""

    work: Work
    at: int
    where: int
    known: KnownDirectory
    position: int


class Gone(NamedTuple):
    """A path that exists no more."""

    path: bytes
    mode: int


class Same(NamedTuple):
    """So many entries are unchanged."""

    entries: int
    size: int


class Keep(NamedTuple):
    """A directory that cannot be read: the record of it and all below stays what it was."""

    work: Work
    at: int
    offset: int


class Leave(NamedTuple):
    """A directory and all below it have been handled: its record is complete."""

    work: Work


class _Descend(NamedTuple):
    work: Work
    at: int
    listing: Listing
    offset: int


Step = Store | Change | Check | Gone | Same | Keep | Leave


def compare(source: SourceTree, known: KnownTree | None) -> Generator[Step, None, None]:
    """Every difference between the source and what is known, in archive order (everything is new without `known`).

    Raises DamagedState when a record of `known` is damaged, UserError when the root cannot be listed.
    """
    walker = _Walker(source, known)
    root = Listing(b"", -1, [b""], [source.root_stat])
    stack: list[Iterator[Step | _Descend]] = [walker.visit_root(root)]
    try:
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
            elif isinstance(step, _Descend):
                work = Work(step.listing, step.work, step.at)
                walker.pending = -1
                stack.append(walker.visit(work, step.offset))
            else:
                yield step
    finally:
        walker.close()
        while stack:
            stack.pop().close()  # type: ignore[attr-defined]


class _Cursor:
    """Goes through the known entries of a directory; `name` is None behind the last one."""

    __slots__ = ("_names", "_parts", "known", "name", "position")

    def __init__(self, parts: Iterator[KnownDirectory]) -> None:
        self._parts = parts
        self.known = next(parts)
        self._names = self.known.name_list()
        self.position = -1
        self.name: bytes | None = None
        self.step()

    def step(self) -> None:
        self.position += 1
        if self.position == len(self._names):
            part = next(self._parts, None)
            if part is None:
                self.name = None
                return
            self.known, self._names, self.position = part, part.name_list(), 0
        self.name = self._names[self.position]


class _Walker:
    def __init__(self, source: SourceTree, known: KnownTree | None) -> None:
        self._source = source
        self._known = known
        self._set_times = known.identity.set_times if known is not None else ()
        self.pending = -1  # the descriptor of a directory that has been opened and not been visited yet

    def close(self) -> None:
        if self.pending >= 0:
            os.close(self.pending)
            self.pending = -1

    def _enter(self, work: Work, index: int) -> Listing | None:
        assert work.listing is not None
        inside = self._source.enter(work.listing, index)
        if inside is not None:
            self.pending = inside.fd
        return inside

    def visit_root(self, listing: Listing) -> Iterator[Step | _Descend]:
        """The root stands in a pseudo-directory with one nameless entry."""
        work = Work(listing, None, 0)
        inside = self._source.open_root()
        if inside is not None:
            self.pending = inside.fd
        known = self._known.directory(self._known.root) if self._known is not None else None
        offset = 0
        if known is None or not known.locations:
            yield Store(work, (0,))
        else:
            yield from self._judged(work, 0, known, 0)
            if known.stats[MODE] & TYPE == stat.S_IFDIR:
                offset = known.children[0]
                if inside is None and offset and self._known is not None:
                    yield from (Gone(*each) for each in subtree_entries(self._known, offset, b""))
        if inside is not None:
            yield _Descend(work, 0, inside, offset)
        yield Leave(work)

    def visit(self, work: Work, offset: int) -> Iterator[Step | _Descend]:
        """One directory; `offset` is that of its known record, 0 if there is none."""
        # NB: a generator that is closed before its first step has no `finally` yet; compare() takes the first at once.
        try:
            work.ask_again(self._source)
            if not offset or self._known is None:
                yield from self._all_new(work)
            else:
                unchanged = find_unchanged(self._known, offset, work.names, packed=work.packed)
                if unchanged is not None:
                    yield from self._all_same(work, unchanged)
                else:
                    yield from self._merge(work, _Cursor(known_parts(self._known, offset)))
            work.let_go()
            yield Leave(work)
        finally:
            os.close(work.fd)

    def _all_new(self, work: Work) -> Iterator[Step | _Descend]:
        run: list[int] = []
        for index, mode in enumerate(work.packed[MODE::FIELDS]):
            if mode & TYPE != stat.S_IFDIR:
                run.append(index)
                continue
            inside = self._enter(work, index)
            if inside is None:
                work.forget(index)
                continue
            run.append(index)
            yield Store(work, run)
            run = []
            yield _Descend(work, index, inside, 0)
        if run:
            yield Store(work, run)

    def _all_same(self, work: Work, unchanged: Unchanged) -> Iterator[Step | _Descend]:
        work.locations, children = unchanged
        yield Same(len(work.names), sum(work.packed[SIZE::FIELDS]))
        for index, mode in enumerate(work.packed[MODE::FIELDS]):
            if mode & TYPE == stat.S_IFDIR:
                inside = self._enter(work, index)
                if inside is not None:
                    yield _Descend(work, index, inside, children[index])
                elif children[index]:
                    yield Keep(work, index, children[index])

    def _merge(self, work: Work, old: _Cursor) -> Iterator[Step | _Descend]:
        for index, name in enumerate(list(work.names)):
            while old.name is not None and old.name < name:
                yield from self._gone(work, old.known, old.position, old.name)
                old.step()
            there = old.name == name
            yield from self._entry(work, index, old.known if there else None, old.position)
            if there:
                old.step()
        while old.name is not None:
            yield from self._gone(work, old.known, old.position, old.name)
            old.step()

    def _gone(self, work: Work, known: KnownDirectory, position: int, name: bytes) -> Iterator[Step]:
        if work.listing is not None and name in work.listing.unread:
            index = work.adopt(name, known, position)
            if known.children[position]:
                yield Keep(work, index, known.children[position])
            return
        mode = known.stats[position * FIELDS + MODE]
        path = join(work.path, name)
        yield Gone(path, mode)
        if known.children[position] and self._known is not None:
            yield from (Gone(*each) for each in subtree_entries(self._known, known.children[position], path))

    def _entry(self, work: Work, index: int, known: KnownDirectory | None, position: int) -> Iterator[Step | _Descend]:
        directory = work.packed[index * FIELDS + MODE] & TYPE == stat.S_IFDIR
        inside = self._enter(work, index) if directory else None
        offset = known.children[position] if known is not None else 0
        if directory and inside is None:
            if known is None:
                work.forget(index)
                return
            work.keep(index, known, position)
            if offset:
                yield Keep(work, index, offset)
            return
        if known is None:
            yield Store(work, (index,))
        else:
            yield from self._judged(work, index, known, position)
        if inside is not None:
            yield _Descend(work, index, inside, offset)
        elif offset and work.packed[index * FIELDS + MODE] & TYPE == stat.S_IFDIR:
            yield Keep(work, index, offset)  # what has taken its place could not be read: all stays as it was
        elif offset and self._known is not None:
            path = join(work.path, work.names[index])
            yield from (Gone(*each) for each in subtree_entries(self._known, offset, path))

    def _judged(self, work: Work, index: int, known: KnownDirectory, position: int) -> Iterator[Step]:
        where = known.locations[position]
        old = known.stats[position * FIELDS : (position + 1) * FIELDS]
        new = work.packed[index * FIELDS : (index + 1) * FIELDS]
        match judge(old, new, where, self._set_times):
            case Verdict.SAME:
                work.locations[index] = where
                yield Same(1, work.packed[index * FIELDS + SIZE])
            case Verdict.CHANGED:
                replaced = (old[MODE] ^ new[MODE]) & TYPE
                yield Change(work, index, NOWHERE if replaced else where, known, position)
            case Verdict.CHECK:
                yield Check(work, index, where, known, position)
