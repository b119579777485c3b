"""What is backed up: deterministic trees and images, how they change, and which operations are measured on each.

A data set can be made anywhere, any number of times, and is always the same: paths, contents, modes and times all come
from its seed. Its change of a given number is the same, too, and can be undone.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import NamedTuple, Protocol

from bench.changes import PageChange, TreeChange, changed_mtime_ns, pristine_mtime_ns, write_file
from bench.content import PAGE, cut_text, edited, mixed, random_bytes, source_text

_REMOVED_OR_ADDED = 0.05
"""Files removed and files added, as parts of those edited."""
_WRITE_BYTES = 1 << 20
_TICK_SECONDS = 0.02
"""File systems tell times of changes apart by a tick of the kernel's clock, of ten milliseconds at most."""


class Operation(StrEnum):
    """What a program is asked to do; the values are what tables call it."""

    FULL = "full"
    UNCHANGED = "no change"
    CHANGE = "small change"
    RESTORE = "restore all"
    RESTORE_ONE = "restore one file"
    VERIFY = "verify"
    LIST = "list"
    STATUS = "status"
    VERSION = "start-up"


class Step(NamedTuple):
    """One operation of each program; `change` is the number of the change made to the source before, 0 for none."""

    operation: Operation
    change: int = 0


class Size(NamedTuple):
    files: int
    size: int


class Undo(Protocol):
    def undo(self) -> None: ...


class DataSet(Protocol):
    """One source of backups; `create` and `change` are given the same folder."""

    @property
    def name(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def steps(self) -> tuple[Step, ...]: ...

    @property
    def rounds(self) -> int | None:
        """How often it is measured at most; None leaves that to whoever runs it."""

    @property
    def footprint(self) -> int:
        """About how many bytes it takes on disk, to look for room before beginning."""

    def create(self, folder: str) -> Size:
        """Makes it in an empty folder."""

    def change(self, folder: str, number: int) -> Undo: ...

    def one_file(self) -> str | None:
        """The path below the folder of a file that most changes touch, or None where restoring one says nothing."""


class Kind(Enum):
    """What is in a file."""

    TEXT = "text"
    CUT = "cut"
    MIXED = "mixed"
    RANDOM = "random"


class File(NamedTuple):
    """One file of a tree before any change."""

    path: str
    size: int
    kind: Kind
    seed: int

    def content(self) -> bytes:
        match self.kind:
            case Kind.TEXT:
                return source_text().text(self.size, seed=self.seed)
            case Kind.CUT:
                return cut_text(self.size, seed=self.seed)
            case Kind.MIXED:
                return mixed(self.size, seed=self.seed)
            case Kind.RANDOM:
                return random_bytes(self.size, seed=self.seed)

    @property
    def executable(self) -> bool:
        return self.seed % 100 == 0


TREE_STEPS = (
    Step(Operation.FULL),
    Step(Operation.UNCHANGED),
    Step(Operation.CHANGE, 1),
    Step(Operation.RESTORE),
    *(Step(Operation.RESTORE_ONE),) * 3,
    Step(Operation.VERIFY),
    *(Step(Operation.LIST),) * 2,
)
"""What takes little time is measured several times in each round."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Many files. A change edits a part of all files that are edited at all, and adds and removes a few."""

    name: str
    about: str
    files: Callable[[], Iterator[File]]
    """Gives the same files each time, in the same order."""
    footprint: int
    steps: tuple[Step, ...] = TREE_STEPS
    edited_part: float = 0.01
    rounds: int | None = None

    def create(self, folder: str) -> Size:
        folders = {folder}
        count = total = 0
        for file in self.files():
            path = f"{folder}/{file.path}"
            parent = os.path.dirname(path)
            if parent not in folders:
                os.makedirs(parent, exist_ok=True)
                while parent not in folders:
                    folders.add(parent)
                    parent = os.path.dirname(parent)
            mtime_ns = pristine_mtime_ns(file.seed)
            write_file(path, file.content(), mtime_ns=mtime_ns, executable=file.executable)
            count, total = count + 1, total + file.size
        for number, made in enumerate(sorted(folders)):
            mtime_ns = pristine_mtime_ns(number)
            os.utime(made, ns=(mtime_ns, mtime_ns))
        return Size(count, total)

    def change(self, folder: str, number: int) -> Undo:
        chance = random.Random(f"{self.name} {number}")
        change = TreeChange(number)
        one = self.one_file()
        for file in self.files():
            fate = chance.random() / self.edited_part
            path = f"{folder}/{file.path}"
            if file.path == one:
                # In every other backup of a chain, so that restoring it has several differences to apply.
                if number % 2:
                    change.write(path, edited(_read(path), seed=file.seed + number))
            elif fate >= 1 + 2 * _REMOVED_OR_ADDED or not os.path.exists(path):
                continue
            elif fate >= 1 + _REMOVED_OR_ADDED:
                change.remove(path)
            elif fate >= 1 or file.kind is Kind.RANDOM:
                new = file._replace(seed=file.seed + number * 1_000_003)
                change.write(_sibling(path, number), new.content())
            else:
                change.write(path, edited(_read(path), seed=file.seed + number))
        return change

    def one_file(self) -> str | None:
        wanted = [file.path for number, file in zip(range(500), self.files(), strict=False) if number % 10 == 0]
        return wanted[len(wanted) // 2]


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _sibling(path: str, number: int) -> str:
    base, ending = os.path.splitext(path)
    return f"{base}-{number}{ending}"


@dataclass(frozen=True, slots=True)
class Image:
    """One large file: runs of zeros, of text and of random bytes. A change rewrites pages all over it.

    Beside it lies a note that is always written last: borg reads again whatever is the newest file of a backup.
    """

    name: str
    about: str
    footprint: int
    """Also its size in bytes, a multiple of the page size."""
    changed_pages: int
    steps: tuple[Step, ...]
    rounds: int | None = None

    FILE, NOTE = "disk.img", "disk.note"

    def create(self, folder: str) -> Size:
        chance = random.Random(self.name)
        path = f"{folder}/{self.FILE}"
        left = self.footprint
        with open(path, "wb") as file:
            while left:
                wanted = min(left, PAGE * chance.randrange(16, 2048))
                kind = chance.choices(("zero", "text", "random"), weights=(30, 35, 35))[0]
                sizes = (min(_WRITE_BYTES, wanted - start) for start in range(0, wanted, _WRITE_BYTES))
                file.writelines(_part(kind, size, seed=chance.getrandbits(32)) for size in sizes)
                left -= wanted
        os.utime(path, ns=(pristine_mtime_ns(1), pristine_mtime_ns(1)))
        self._write_note(folder, 0)
        return Size(2, self.footprint)

    def _write_note(self, folder: str, number: int) -> None:
        time.sleep(_TICK_SECONDS)
        mtime_ns = changed_mtime_ns(number) if number else pristine_mtime_ns(2)
        write_file(f"{folder}/{self.NOTE}", b"change %d\n" % number, mtime_ns=mtime_ns)
        os.utime(folder, ns=(pristine_mtime_ns(3), pristine_mtime_ns(3)))

    def change(self, folder: str, number: int) -> Undo:
        chance = random.Random(f"{self.name} {number}")
        pages = sorted(chance.sample(range(self.footprint // PAGE), self.changed_pages))
        kinds = ("random", "text")
        news = [(page * PAGE, _part(kinds[at % 2], PAGE, seed=chance.getrandbits(32))) for at, page in enumerate(pages)]
        change = PageChange(f"{folder}/{self.FILE}", number, after=lambda at: self._write_note(folder, at))
        change.write(news)
        return change

    def one_file(self) -> str | None:
        return None


def _part(kind: str, size: int, *, seed: int) -> bytes:
    if kind == "zero":
        return bytes(size)
    return random_bytes(size, seed=seed) if kind == "random" else source_text().text(size, seed=seed)


@dataclass(frozen=True, slots=True)
class Nothing:
    """No files at all, for measuring how long programs take to start."""

    name: str
    about: str
    steps: tuple[Step, ...]
    footprint: int = 0
    rounds: int | None = None

    def create(self, folder: str) -> Size:
        del folder
        return Size(0, 0)

    def change(self, folder: str, number: int) -> Undo:
        raise ValueError(f"Nothing changes in {folder}, not even {number}")

    def one_file(self) -> str | None:
        return None
