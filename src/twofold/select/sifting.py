"""The selection applied to what comes in archive order instead of from a walk: a restore, a listing."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from twofold.model.entry import Kind
from twofold.model.relpath import is_within
from twofold.select.selector import Selector, Verdict

Item = TypeVar("Item")

_MODES = {
    Kind.REGULAR: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.FIFO: stat.S_IFIFO,
    Kind.CHARACTER_DEVICE: stat.S_IFCHR,
    Kind.BLOCK_DEVICE: stat.S_IFBLK,
}


class Recorded(NamedTuple):
    """What the archive knows of a file, as rules want it; `path` is relative to the root, which is empty."""

    path: bytes
    kind: Kind
    mtime_ns: int


class _Facts(NamedTuple):
    st_mode: int
    st_dev: int
    st_mtime_ns: int


def sift(items: Iterable[Item], *, selector: Selector, describe: Callable[[Item], Recorded]) -> Iterator[Item]:
    """Those of the items, given in archive order, that the selector takes, in the same order.

    A directory that is only looked into is held back until something below it is taken. What lies below an excluded
    directory is gone with it.
    """
    excluded: bytes | None = None
    waiting: list[tuple[bytes, Item]] = []
    for item in items:
        recorded = describe(item)
        path = recorded.path
        if excluded is not None and is_within(path, excluded):
            continue
        excluded = None
        while waiting and not is_within(path, waiting[-1][0]):
            waiting.pop()
        verdict = _verdict(selector, recorded)
        if verdict is Verdict.EXCLUDE:
            excluded = path
        elif verdict is Verdict.SCAN:
            waiting.append((path, item))
        else:
            yield from (parent for _, parent in waiting)
            waiting.clear()
            yield item


def _verdict(selector: Selector, recorded: Recorded) -> Verdict:
    if not recorded.path:
        return Verdict.INCLUDE
    directory, _, name = recorded.path.rpartition(b"/")
    facts = _Facts(_MODES[recorded.kind], 0, recorded.mtime_ns)
    return selector.choose(directory, [name], facts=[facts])[0]
