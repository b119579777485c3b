"""Makes the content of a file from what the sets of a chain say of it: the newest whole copy and the deltas after it.

Nothing is read before it is asked for. Small contents stay in memory; large ones stream, however many deltas follow
each other (differences.py). Where the archive has a content record, nothing leaves here as right that does not match
it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from twofold import rsync, system
from twofold.errors import CorruptDelta
from twofold.format.difftar import Action
from twofold.model.entry import ContentRecord, Entry, Kind
from twofold.pipeline.differences import BLOCK, Differences, blocks_of, scratching, write_all
from twofold.pipeline.merge import FileHistory
from twofold.pipeline.recorded import CorruptContent, RunningCheck, check_whole, final
from twofold.pipeline.versions import Doubt, Lost, Version, read_some, read_up_to

IN_MEMORY: Final = 1 << 20

Witness: TypeAlias = Callable[[Version, Iterable[bytes]], Iterator[bytes]]
"""Hands on what the content of a file was at a version, block by block; raises FormatError where it knows better."""


class Content:
    """The content of one regular file, to be used once, before the next path is asked for.

    Everything but `close` raises CorruptContent, CorruptDelta, DataLost and CorruptTar where the archive does not give
    the content, NoScratch for scratch files and OSError for the output.
    """

    __slots__ = (
        "_applied",
        "_base",
        "_delta",
        "_differences",
        "_doubtful",
        "_first",
        "_newest",
        "_spooled",
        "_temp_dir",
        "_witness",
    )

    def __init__(
        self,
        base: Version,
        differences: list[Version],
        *,
        temp_dir: str,
        doubtful: bool = False,
        witness: Witness | None = None,
    ) -> None:
        """`doubtful` demands a content record: the differences may not belong to what they are applied to.

        With a `witness` what stood there between the differences is compared, too, and it sees every state.
        """
        self._base = base
        self._differences = differences
        self._newest = differences[-1] if differences else base
        self._temp_dir = temp_dir
        self._doubtful = doubtful
        self._witness = witness
        self._applied = 0  # how many differences have been, in memory
        self._first: bytes | None = None  # what they have made, or the beginning of a large base
        self._delta: bytes | None = None  # the beginning of the next difference, if it has been read
        self._spooled = -1

    @property
    def whole(self) -> bytes | None:
        """All of it, checked, if it is small."""
        first = self._first
        if first is None:
            first = self._begun()
        return first if self._applied == len(self._differences) and len(first) <= IN_MEMORY else None

    def blocks(self) -> Iterator[bytes]:
        """All of it in pieces. Raises after the last piece at the latest when it is not what was stored."""
        whole = self.whole
        if whole is not None:
            if whole:
                yield whole
        elif self._spooled >= 0:
            yield from blocks_of(self._spooled)
        elif self._differences:
            yield from self._witnessed(self._newest, self._with_differences())
        else:
            yield from self._witnessed(self._base, self._base_blocks(self._base.entry.content))

    def write_to(self, descriptor: int) -> None:
        """Writes all of it to a file at its current position."""
        for block in self.blocks():
            write_all(descriptor, block)

    def spool(self) -> None:
        """Makes a large content ahead of its use, so that its record is known, and that it is right."""
        if self.whole is not None or self._spooled >= 0:
            return
        with scratching(self._temp_dir):
            scratch = system.scratch_file(self._temp_dir)
        try:
            for block in self.blocks():
                with scratching(self._temp_dir):
                    write_all(scratch, block)
        except BaseException:
            os.close(scratch)
            raise
        self._spooled = scratch

    def close(self) -> None:
        """Gives a scratch file back; may be called twice."""
        if self._spooled >= 0:
            os.close(self._spooled)
            self._spooled = -1

    def _begun(self) -> bytes:
        """Goes as far as is needed to know whether the content is small; gives what is `_first` then."""
        if self._doubtful and self._newest.entry.content is None:
            raise CorruptDelta("What its difference belongs to may have stood in a volume that cannot be read")
        state, version = read_up_to(self._base, BLOCK), self._base
        if len(state) <= IN_MEMORY:
            self._check_small(state, version)
            for version in self._differences:
                self._delta = read_up_to(version, BLOCK)
                made = _patched_in_memory(state, self._delta, version.entry.content)
                if made is None:
                    break
                self._check_small(made, version)
                state, self._delta = made, None
                self._applied += 1
        self._first = state
        return state

    def _check_small(self, state: bytes, version: Version) -> None:
        if (version is self._newest or self._checks_steps) and not version.checked:
            check_whole(state, version.entry.content)
        for _ in self._witnessed(version, (state,)):
            pass

    def _witnessed(self, version: Version, blocks: Iterable[bytes]) -> Iterable[bytes]:
        return blocks if self._witness is None else self._witness(version, blocks)

    @property
    def _checks_steps(self) -> bool:
        """Without a record of the result, as when duplicity has continued the chain, those before it must do."""
        return self._witness is not None or self._newest.entry.content is None

    def _with_differences(self) -> Iterator[bytes]:
        differences = Differences(self._temp_dir)
        try:
            beginning, self._delta = self._delta, None
            for version in self._differences[self._applied :]:
                differences.read(version, beginning)
                beginning = None
            record = self._newest.entry.content
            if self._applied:
                basis: Iterable[bytes] = (self._first or b"",)
            else:
                basis = self._base_blocks(self._base.entry.content if self._checks_steps else None)
                if len(self._first or b"") > IN_MEMORY:  # else it has been seen
                    basis = self._witnessed(self._base, basis)
            with RunningCheck(record) as check:
                for block in differences.applied(basis, check_steps=self._checks_steps, witness=self._witness):
                    check.update(block)
                    yield block
                check.finish(record)
        finally:
            differences.close()

    def _base_blocks(self, announced: ContentRecord | None) -> Iterator[bytes]:
        """The base straight from the volumes, compared with its record if that has been announced."""
        with RunningCheck(announced) as check:
            block = self._first or b""
            while block:
                check.update(block)
                yield block
                block = read_some(self._base, BLOCK)
            if announced is not None:
                check.finish(self._base.entry.content)


class Rebuilt:
    """A path as it was at the end of a chain: its entry, and for a regular file its content."""

    __slots__ = ("content", "newest", "path")

    def __init__(self, path: bytes, newest: Version, content: Content | None) -> None:
        self.path = path
        self.newest = newest
        self.content = content

    @property
    def entry(self) -> Entry:
        """The metadata; its content record is complete once the content has been read."""
        return self.newest.entry


def rebuild(history: FileHistory, *, temp_dir: str, witness: Witness | None = None) -> Rebuilt | None:
    """The newest state of a path; None when it does not exist then. `witness` as for `Content`.

    Raises CorruptContent and CorruptDelta where the archive does not give it. Nothing of a content has been read then.
    """
    path, versions = history
    if len(versions) == 1:
        (only,) = versions
        if isinstance(only, Version) and only.action is Action.SNAPSHOT:
            content = Content(only, [], temp_dir=temp_dir, witness=witness) if only.entry.kind is Kind.REGULAR else None
            return Rebuilt(path, only, content)
    return _rebuild_from_several(history, temp_dir, witness)


def _rebuild_from_several(history: FileHistory, temp_dir: str, witness: Witness | None) -> Rebuilt | None:
    """Finds the newest whole copy and the differences after it."""
    base: Version | Lost | None = None
    differences: list[Version] = []
    doubted = doubtful = False  # something may be missing: since the base, before a difference
    for version in history.versions:
        if isinstance(version, Doubt):
            doubted = True
        elif isinstance(version, Version) and version.action is Action.DIFF:
            doubtful = doubted
            differences.append(version)
        else:
            base, differences, doubted, doubtful = version, [], False, False
    if isinstance(base, Lost):
        raise CorruptContent("It stood in a volume that cannot be read")
    if base is None or base.action is Action.DELETED:
        if differences:
            raise CorruptDelta("There is a difference, but nothing that it belongs to")
        return None
    if base.entry.kind is not Kind.REGULAR:
        if differences:
            raise CorruptDelta("There is a difference to something that is not a regular file")
        return Rebuilt(history.path, base, None)
    newest = differences[-1] if differences else base
    content = Content(base, differences, temp_dir=temp_dir, doubtful=doubtful, witness=witness)
    return Rebuilt(history.path, newest, content)


def _patched_in_memory(basis: bytes, delta: bytes, record: ContentRecord | None) -> bytes | None:
    """The result of a small difference, None if it is, or may become, a large one."""
    expected = final(record)
    if expected is None or max(len(delta), expected.size) > IN_MEMORY:
        return None
    return rsync.patch_bytes(basis, delta, expected.size)
