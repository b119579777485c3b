"""Applies the differences of a large file to what they belong to, while that streams by.

The deltas are read first, into a scratch file, and composed to one table of commands. Then the basis passes once and
is stored nowhere, but for what the result has of it in another order. Where the table would be too long, or states
in between have to be checked, the basis is stored and one difference after the other carried out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from twofold import rsync, system
from twofold.errors import TwofoldError
from twofold.model.entry import ContentRecord
from twofold.pipeline.recorded import check_written, final
from twofold.pipeline.versions import Version, read_some

BLOCK: Final = (1 << 20) + (1 << 17)
"""What is read of a content at once: a MiB of tar, and the rest of the part that it ends in."""
_MOST_COMMANDS: Final = 1 << 20  # 60 MB of memory
_UNLIMITED: Final = (1 << 63) - 1


class NoScratch(TwofoldError):
    """A scratch file cannot be made or written; that says nothing about what the archive holds."""


class _Delta(NamedTuple):
    """Where a delta lies in the scratch file, what is on record of its result, and what it was read from."""

    begin: int
    end: int
    record: ContentRecord | None
    version: Version


class Differences:
    """Deltas of one file, oldest first.

    Raises CorruptDelta, CorruptContent, NoScratch, and what reading a version raises.
    """

    def __init__(self, temp_dir: str, *, most_commands: int = _MOST_COMMANDS) -> None:
        self._temp_dir = temp_dir
        with scratching(temp_dir):
            self._held = system.scratch_file(temp_dir)
        self._composition = rsync.Composition(self._held, most_commands=most_commands)
        self._deltas: list[_Delta] = []

    def read(self, version: Version, beginning: bytes | None) -> None:
        """Takes the next difference, of which `beginning` has been read already."""
        begin = end = self._deltas[-1].end if self._deltas else 0
        block = read_some(version, BLOCK) if beginning is None else beginning
        while block:
            with scratching(self._temp_dir):
                self._composition.feed_delta(block)
            end += len(block)
            block = read_some(version, BLOCK)
        record = final(version.entry.content)
        self._composition.finish_delta(record.size if record is not None else _UNLIMITED)
        self._deltas.append(_Delta(begin, end, record, version))

    def applied(
        self,
        basis: Iterable[bytes],
        *,
        check_steps: bool,
        witness: Callable[[Version, Iterable[bytes]], Iterable[bytes]] | None = None,
    ) -> Iterator[bytes]:
        """The result, block by block; it is compared with its record by whoever takes it.

        `check_steps` says that the states before it are compared with theirs; a `witness` (rebuild.py) sees them
        between basis and result. All of the basis is read.
        """
        has_steps = check_steps and any(witness or delta.record is not None for delta in self._deltas[:-1])
        if self._composition.fits and not has_steps:
            return self._composed(basis)
        return self._one_by_one(basis, check_steps=check_steps, witness=witness)

    def close(self) -> None:
        """Gives the scratch file back."""
        os.close(self._held)

    def _composed(self, basis: Iterable[bytes]) -> Iterator[bytes]:
        composition = self._composition
        while made := composition.take(BLOCK):
            yield made
        for block in basis:
            with scratching(self._temp_dir):
                passes = composition.feed(block)
            if passes:
                yield block
            while made := composition.take(BLOCK):
                yield made
        composition.finish()

    def _one_by_one(
        self,
        basis: Iterable[bytes],
        *,
        check_steps: bool,
        witness: Callable[[Version, Iterable[bytes]], Iterable[bytes]] | None,
    ) -> Iterator[bytes]:
        with scratching(self._temp_dir):
            state = system.scratch_file(self._temp_dir)
        try:
            for block in basis:
                with scratching(self._temp_dir):
                    write_all(state, block)
            for delta in self._deltas:
                with scratching(self._temp_dir):
                    before, state = state, self._patched(state, delta)
                os.close(before)
                if check_steps and delta is not self._deltas[-1]:
                    check_written(state, delta.record)
                    for _ in witness(delta.version, blocks_of(state)) if witness is not None else ():
                        pass
            yield from blocks_of(state)
        finally:
            os.close(state)

    def _patched(self, basis: int, delta: _Delta) -> int:
        output = system.scratch_file(self._temp_dir)
        try:
            limit = delta.record.size if delta.record is not None else _UNLIMITED
            patcher = rsync.Patcher(basis, os.fstat(basis).st_size, output, max_size=limit)
            for begin in range(delta.begin, delta.end, BLOCK):
                patcher.feed(os.pread(self._held, min(BLOCK, delta.end - begin), begin))
            patcher.finish()
        except BaseException:
            os.close(output)
            raise
        return output


@contextmanager
def scratching(temp_dir: str) -> Iterator[None]:
    """While a scratch file is made or written. Raises NoScratch for OSError; the kernel's has no number."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).partition(" (os error")[0]
        raise NoScratch(f"{reason} ({temp_dir}). Make room there, or choose another place with --tempdir") from error


def blocks_of(descriptor: int) -> Iterator[bytes]:
    """All of a file."""
    offset = 0
    while block := os.pread(descriptor, BLOCK, offset):
        offset += len(block)
        yield block


def write_all(descriptor: int, data: bytes) -> None:
    """Writes everything at the current position. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
