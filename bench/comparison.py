"""Whether a restored tree is the tree that was backed up: names, kinds, modes, modification times and every byte."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

_PIECE = 1 << 20


def tree_differences(expected: str, actual: str, *, mtime_ns: int) -> Iterator[str]:
    """What differs below two folders, told by path; the folders themselves are not compared.

    Modification times are compared in whole multiples of `mtime_ns` nanoseconds.
    """
    left, right = _names(expected), _names(actual)
    for name in sorted(left ^ right):
        yield f"{name}: {'is missing' if name in left else 'should not be there'} in {actual}"
    for name in sorted(left & right):
        yield from _entry_differences(os.path.join(expected, name), os.path.join(actual, name), mtime_ns=mtime_ns)


def file_differences(expected: str, actual: str, *, mtime_ns: int) -> Iterator[str]:
    """The same for one file; one that was not restored is a difference, too."""
    if not os.path.lexists(actual):
        yield f"{actual}: was not restored"
        return
    yield from _entry_differences(expected, actual, mtime_ns=mtime_ns)


def _names(folder: str) -> set[str]:
    return set(os.listdir(folder)) if os.path.isdir(folder) else set()


def _entry_differences(expected: str, actual: str, *, mtime_ns: int) -> Iterator[str]:
    left, right = os.lstat(expected), os.lstat(actual)
    if left.st_mode != right.st_mode:
        yield f"{actual}: mode {right.st_mode:o} is not {left.st_mode:o}"
    if left.st_mtime_ns // mtime_ns != right.st_mtime_ns // mtime_ns:
        yield f"{actual}: modification time {right.st_mtime_ns} is not {left.st_mtime_ns}"
    if stat.S_IFMT(left.st_mode) != stat.S_IFMT(right.st_mode):
        return
    if stat.S_ISDIR(left.st_mode):
        yield from tree_differences(expected, actual, mtime_ns=mtime_ns)
    elif left.st_size != right.st_size or not _same_content(expected, actual):
        yield f"{actual}: content differs"


def _same_content(expected: str, actual: str) -> bool:
    with open(expected, "rb", buffering=0) as left, open(actual, "rb", buffering=0) as right:
        while True:
            one, other = left.read(_PIECE), right.read(_PIECE)
            if one != other:
                return False
            if not one:
                return True
