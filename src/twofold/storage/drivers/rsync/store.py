"""rsync:// as a Store. rsync itself checks the hash of all it moves and gives a file its name when it is complete.

What it writes meanwhile lies in a directory of ours (`--temp-dir`) whose name tells who made it, so that the rest of a
killed transfer is no file of the place; it goes with the store that made it, or with the next one after a crash.
rsync cannot be held up between the last byte and the name: what `sent` raises then comes after the fact.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from typing import Final, NamedTuple

from twofold.concurrency import exclusion
from twofold.errors import NoPlace, NotFound, StorageError
from twofold.storage import local_files
from twofold.storage.drivers.rsync.program import MOMENT, QUIET, Rsync, RsyncTarget, only
from twofold.storage.part_names import PartNames, is_unfinished
from twofold.storage.processes import Silence
from twofold.storage.settings import Rates, StoreSettings
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes
from twofold.storage.url import StorageUrl

_TRAITS: Final = StoreTraits(parallel=4, atomic_put=Atomicity.BY_RENAME, keeps_rates=True)
_LIMITED: Final = StoreTraits(parallel=1, atomic_put=Atomicity.BY_RENAME, keeps_rates=True)
"""Each run of rsync keeps to a rate for itself."""
_BLOCK: Final = 1 << 15
"""What rsync reads at once; the first is told when it is about to."""
_LINE: Final = re.compile(r"(\S)\S+ +([\d,.]+) \d{4}/\d\d/\d\d \d\d:\d\d:\d\d (.*)")
_ESCAPE: Final = re.compile(rb"\\#(\d{3})")
_PROGRESS: Final = re.compile(rb"\r *(\d+) +\d+%")
_TAIL: Final = 200
_ANYBODY: Final = "--chmod=ugo=rwX"
"""Permissions are left to the umask of the other side, as in other drivers."""


class _Listed(NamedTuple):
    kind: str
    size: int
    name: str


_Listing = list[_Listed]


class RsyncStore:
    """A Store that rsync reaches."""

    def __init__(self, rsync: Rsync, *, rates: Rates) -> None:
        self._rsync = rsync
        self._traits = _TRAITS if rates == Rates() else _LIMITED
        self._names = PartNames()
        self._preparing = exclusion()
        self._part = ""
        self._seen = False

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> RsyncStore:
        """Raises InvalidUrl."""
        return cls(Rsync(RsyncTarget.of(url, settings), settings), rates=settings.rates)

    @property
    def traits(self) -> StoreTraits:
        return self._traits

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        os.close(descriptor)
        part = self._prepare()
        told = min(size, _BLOCK)
        sent(told)
        silence = Silence(self._rsync.target.timeout)
        with tempfile.TemporaryFile() as said:

            def watch() -> None:
                nonlocal told
                now = _progress(said.fileno())
                if now > told:
                    sent(now - told)
                    told = now
                # At the end the other side writes the file out to its disk.
                silence.look(now, times=1 if now < size else QUIET)

            try:
                self._rsync.run(
                    *("--ignore-times", "--whole-file", _ANYBODY, f"--temp-dir={part}"),
                    *("--info=progress2", "--outbuf=N", os.path.abspath(source), self._rsync.target.path(key.name)),
                    operation=Operation.PUT,
                    name=key.name,
                    output=said.fileno(),
                    watch=watch,
                )
            except NotFound as error:
                # Somebody has removed the place, or our directory in it: looked at anew by the next put.
                self._forget(part)
                raise self._no_place(Operation.PUT, key.name) from error
        (stored,) = self._look(Operation.PUT, key.name) or [_Listed("-", -1, key.name)]
        local_files.require_size(stored.size, size, operation=Operation.PUT, name=key.name)
        sent(size - told)
        return StoredFile(key.name, size)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        with (
            local_files.arriving(target, size=None, name=key.name) as descriptor,
            tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(target)), prefix=".twofold-") as folder,
        ):
            part, arrived = target + local_files.PART_SUFFIX, os.path.join(folder, key.name)
            told = 0
            silence = Silence(self._rsync.target.timeout)

            def watch() -> None:
                nonlocal told
                now = os.fstat(descriptor).st_size
                received(now - told)
                told = now
                silence.look(now)

            os.rename(part, arrived)
            try:
                said = self._rsync.run(
                    *("--ignore-times", "--whole-file", "--inplace", "--copy-links", "--dirs", *only(key.name)),
                    *("--out-format=%i", self._rsync.target.source, folder),
                    operation=Operation.GET,
                    name=key.name,
                    watch=watch,
                )
            except NotFound as error:
                raise self._no_place(Operation.GET, key.name) from error
            finally:
                os.rename(arrived, part)
            # NB: no size to compare: rsync has compared the hash of what it sent, and a file may be replaced meanwhile.
            if not said.startswith(">f") and "\n>f" not in said:
                raise self._not_found(Operation.GET, key.name)
            watch()

    def list(self) -> Iterator[StoredFile]:
        found = self._look(Operation.LIST)
        if found is None:
            if self._seen:
                raise self._no_place(Operation.LIST, "")
            found = []
        self._names.see(file.name for file in found)
        return (StoredFile(file.name, file.size) for file in found if file.kind == "-" and not is_unfinished(file.name))

    def stat(self, key: Key) -> StoredFile:
        found = self._look(Operation.STAT, key.name)
        if found is None:
            raise self._no_place(Operation.STAT, key.name)
        for file in found:
            if file.kind == "-":
                return StoredFile(file.name, file.size)
        raise self._not_found(Operation.STAT, key.name)

    def delete(self, key: Key) -> None:
        try:
            # NB: rsync would make a place that is absent.
            self.stat(key)
        except NoPlace:
            if self._seen:
                raise
        except NotFound:
            return
        else:
            self._remove(*only(key.name), operation=Operation.DELETE, name=key.name)

    def close(self) -> None:
        with self._preparing:
            part, self._part = self._part, ""
            if part:
                self._names.abandon(part)
                with contextlib.suppress(StorageError):
                    self._sweep(limit=MOMENT)
        self._rsync.close()

    def _look(self, operation: Operation, name: str = "") -> _Listing | None:
        """What is at the place, or the one of this name; None when there is no place."""
        filters = only(name) if name else ()
        try:
            said = self._rsync.run(
                *("--list-only", "--dirs", "--copy-links", *filters, self._rsync.target.source),
                operation=operation,
                name=name,
            )
        except NoPlace:
            raise  # the daemon has no such module
        except NotFound:
            return None
        self._seen = True
        lines = filter(None, map(_LINE.fullmatch, said.split("\n")))
        found = [_Listed(line[1], int(re.sub("[,.]", "", line[2])), _unescaped(line[3])) for line in lines]
        return [file for file in found if file.name != "."]

    def _prepare(self) -> str:
        """Makes the place, with our directory for what is on its way there, before the first put; its name."""
        with self._preparing:
            if self._part:
                return self._part
            self.list()
            part = self._names.new()
            with tempfile.TemporaryDirectory(dir=self._rsync.target.temp_dir) as folder:
                path = os.path.join(".", self._rsync.target.directory.lstrip("/"), part)
                os.makedirs(os.path.join(folder, path))
                # What is above it is made where it is missing, and left alone where it is there, links included.
                self._rsync.run(
                    *("--dirs", "--relative", "--no-implied-dirs", _ANYBODY, path, self._rsync.target.root),
                    operation=Operation.PUT,
                    folder=folder,
                )
            self._seen = True
            self._part = part
            self._sweep()
            return part

    def _forget(self, part: str) -> None:
        with self._preparing:
            if self._part == part:
                self._part = ""
                self._names.abandon(part)

    def _sweep(self, *, limit: float | None = None) -> None:
        """Removes what we and dead processes have left unfinished, if there is anything."""
        if names := self._names.take_abandoned():
            filters = [f"--include=/{name}{below}" for name in names for below in ("", "/**")]
            self._remove("--recursive", *filters, "--exclude=*", operation=Operation.DELETE, name="", limit=limit)

    def _remove(self, *filters: str, operation: Operation, name: str, limit: float | None = None) -> None:
        """Makes the other side equal to an empty directory, as far as the filters reach."""
        with tempfile.TemporaryDirectory(dir=self._rsync.target.temp_dir) as empty:
            words = ("--dirs", "--delete", *filters, f"{empty}/", self._rsync.target.path())
            self._rsync.run(*words, operation=operation, name=name, limit=limit)

    def _not_found(self, operation: Operation, name: str) -> NotFound:
        return NotFound(f"No file {name} at {self._rsync.target.label}", name=name, operation=operation.value)

    def _no_place(self, operation: Operation, name: str) -> NoPlace:
        before = " any more" if self._seen else ""
        message = f"No directory at {self._rsync.target.label}{before} (is the path right and the disk mounted?)"
        return NoPlace(message, name=name, operation=operation.value)


def _unescaped(name: str) -> str:
    raw = name.encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), raw).decode("utf-8", "surrogateescape")


def _progress(descriptor: int) -> int:
    """The bytes that rsync says to have sent."""
    end = os.fstat(descriptor).st_size
    found = _PROGRESS.findall(os.pread(descriptor, _TAIL, max(0, end - _TAIL)))
    return int(found[-1]) if found else 0
