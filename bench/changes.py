"""Changing a tree of files so that it can be put back: what every round begins with is the same to the nanosecond."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

FIRST_MTIME_NS = 1_600_000_000 * 10**9
CHANGE_MTIME_NS = 1_750_000_000 * 10**9
_HOUR_NS = 3600 * 10**9


def pristine_mtime_ns(seed: int) -> int:
    """Between September 2020 and November 2023, with a fraction of a second as file systems have it."""
    return FIRST_MTIME_NS + (seed * 7_368_787) % 100_000_000 * 10**9 + (seed * 15_485_863) % 10**9


def changed_mtime_ns(number: int) -> int:
    """Later than every pristine time and another second for each change: duplicity compares whole seconds."""
    return CHANGE_MTIME_NS + number * _HOUR_NS + 123_456_789


def write_file(path: str, content: bytes, *, mtime_ns: int, executable: bool = False) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(content)
    os.chmod(path, 0o755 if executable else 0o644)
    os.utime(path, ns=(mtime_ns, mtime_ns))


@dataclass(frozen=True, slots=True)
class _Before:
    """A file as it was: None for content where there was none."""

    content: bytes | None
    mode: int
    mtime_ns: int


class TreeChange:
    """One change of a tree, made file by file; `undo` puts back contents, modes and times, those of folders too."""

    def __init__(self, number: int) -> None:
        self.touched: list[str] = []
        self._mtime_ns = changed_mtime_ns(number)
        self._files: dict[str, _Before] = {}
        self._folders: dict[str, int] = {}

    def write(self, path: str, content: bytes) -> None:
        """Adds the file, or gives it new content in place."""
        before = self._keep(path)
        executable = before.content is not None and bool(before.mode & 0o100)
        write_file(path, content, mtime_ns=self._mtime_ns, executable=executable)
        if before.content is None:
            self._date_folder(path)

    def remove(self, path: str) -> None:
        self._keep(path)
        os.unlink(path)
        self._date_folder(path)

    def undo(self) -> None:
        for path, before in self._files.items():
            if before.content is None:
                os.unlink(path)
            else:
                executable = bool(before.mode & 0o100)
                write_file(path, before.content, mtime_ns=before.mtime_ns, executable=executable)
        for folder, mtime_ns in self._folders.items():
            os.utime(folder, ns=(mtime_ns, mtime_ns))

    def _keep(self, path: str) -> _Before:
        folder = os.path.dirname(path)
        if folder not in self._folders:
            self._folders[folder] = os.stat(folder).st_mtime_ns
        if path in self._files:
            raise ValueError(f"{path} is changed twice in one change")
        before = _Before(None, 0, 0)
        if os.path.exists(path):
            found = os.stat(path)
            with open(path, "rb") as file:
                before = _Before(file.read(), found.st_mode, found.st_mtime_ns)
        self._files[path] = before
        self.touched.append(path)
        return before

    def _date_folder(self, path: str) -> None:
        os.utime(os.path.dirname(path), ns=(self._mtime_ns, self._mtime_ns))


class PageChange:
    """Pages of one large file rewritten in place. `after` is called with the number of the change whenever it has been
    made, and with that of the one before when it has been undone."""

    def __init__(self, path: str, number: int, *, after: Callable[[int], None]) -> None:
        self._path = path
        self._number = number
        self._after = after
        self._mtime_ns = changed_mtime_ns(number)
        self._before_ns = os.stat(path).st_mtime_ns
        self._pages: list[tuple[int, bytes]] = []

    def write(self, pages: list[tuple[int, bytes]]) -> None:
        """Takes byte offsets with their new content; no offset twice."""
        with open(self._path, "r+b", buffering=0) as file:
            for offset, content in pages:
                self._pages.append((offset, os.pread(file.fileno(), len(content), offset)))
                os.pwrite(file.fileno(), content, offset)
        os.utime(self._path, ns=(self._mtime_ns, self._mtime_ns))
        self._after(self._number)

    def undo(self) -> None:
        with open(self._path, "r+b", buffering=0) as file:
            for offset, content in self._pages:
                os.pwrite(file.fileno(), content, offset)
        os.utime(self._path, ns=(self._before_ns, self._before_ns))
        self._after(self._number - 1)
