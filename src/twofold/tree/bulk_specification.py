"""The batches of files in pure Python: what the compiled ones are tested against, and what runs without them."""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Sequence
from typing import Final, NamedTuple

from twofold import system
from twofold.tree.metadata import BLOCK, KEPT_OF_SYSTEM

_WRITING: Final = os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ACCESS: Final = os.O_RDONLY | os.O_WRONLY | os.O_RDWR
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVILEGE: Final = stat.S_ISUID | stat.S_ISGID
_HIGHEST_ID: Final = 2**32 - 2
_HIGHEST: Final = 2**63
_PIECE: Final = 256 << 10
_FACTS: Final = 7
_LISTED: Final = 11
_SIZE: Final = 3
_NO_NAMES: Final = frozenset({b"", b".", b".."})

_Data = bytes | bytearray | memoryview


class _New(NamedTuple):
    """What a file that is to be made shall be like."""

    content: memoryview
    mode: int
    uid: int
    gid: int
    mtime_ns: int


def read_files(
    directory: int,
    names: Sequence[bytes],
    buffer: bytearray | memoryview,
    *,
    listed: array[int] | memoryview[int],
    position: int,
    gap: int,
    limit: int,
    largest: int,
    flags: int,
    ignored: Sequence[bytes],
) -> int:
    """See `bulk.ReadFiles`."""
    _check_place(directory, names, flags)
    _check_range(position, gap, limit, largest)
    rows = list(zip(*[iter(listed)] * _FACTS, strict=True))
    _check_number(names, rows)
    view = _bytes_of(buffer)
    if view.readonly:
        raise ValueError("A buffer to write to is needed")
    if limit + gap + largest > len(view) or largest % BLOCK:
        raise ValueError(f"{len(view)} bytes are no room for files up to {limit}")
    for number, (name, facts) in enumerate(zip(names, rows, strict=True)):
        start = position + gap
        if position > limit:
            return number
        try:
            if not _read_file(directory, name, view[start : start + largest], facts, flags, ignored):
                return number
        except OSError:
            return number
        position = start + facts[_SIZE] + -facts[_SIZE] % BLOCK
    return len(names)


def _read_file(
    directory: int, name: bytes, target: memoryview, facts: tuple[int, ...], flags: int, ignored: Sequence[bytes]
) -> bool:
    """Whether the file was ordinary and has been read. Raises OSError."""
    descriptor = os.open(name, flags | os.O_CLOEXEC, dir_fd=directory)
    try:
        found = os.fstat(descriptor)
        size = found.st_size
        ordinary = found.st_nlink == 1 and size < len(target) and found.st_blocks * BLOCK >= size
        if not ordinary or _facts_of(found) != facts or not _may_pass(descriptor, found, ignored):
            return False
        # More is asked for than should come: a file that has grown is not what was listed.
        if os.readv(descriptor, [target]) != size:
            return False
    finally:
        os.close(descriptor)
    target[size : size + -size % BLOCK] = bytes(-size % BLOCK)
    return True


def compare_files(
    directory: int,
    names: Sequence[bytes],
    data: _Data,
    offsets: Sequence[int],
    lengths: Sequence[int],
    *,
    flags: int,
    ignored: Sequence[bytes],
) -> memoryview[int]:
    """See `bulk.CompareFiles`."""
    _check_place(directory, names, flags)
    contents = _slices(data, offsets, lengths)
    _check_number(names, contents)
    facts = array("q")
    for name, content in zip(names, contents, strict=True):
        try:
            if not _compare_file(directory, name, content, flags, ignored, facts):
                break
        except OSError:
            break
    return memoryview(facts)


def _compare_file(
    directory: int, name: bytes, content: memoryview, flags: int, ignored: Sequence[bytes], facts: array[int]
) -> bool:
    """False for a file that is not ordinary; adds to `facts`. Raises OSError."""
    descriptor = os.open(name, flags | os.O_CLOEXEC, dir_fd=directory)
    try:
        found = os.fstat(descriptor)
        if not _may_pass(descriptor, found, ignored):
            return False
        same = found.st_size == len(content) and _holds(descriptor, content)
    finally:
        os.close(descriptor)
    facts.extend((*_facts_of(found), same))
    return True


def _holds(descriptor: int, content: memoryview) -> bool:
    """Whether the file holds this content and no more. Raises OSError."""
    while piece := os.read(descriptor, min(_PIECE, len(content) + 1)):
        if piece != content[: len(piece)]:
            return False
        content = content[len(piece) :]
    return not content


def write_files(
    directory: int,
    names: Sequence[bytes],
    data: _Data,
    offsets: Sequence[int],
    lengths: Sequence[int],
    modes: Sequence[int],
    uids: Sequence[int],
    gids: Sequence[int],
    mtimes_ns: Sequence[int],
) -> int:
    """See `bulk.WriteFiles`."""
    _check_directory(directory, names)
    contents = _slices(data, offsets, lengths)
    _check_number(names, contents, modes, uids, gids, mtimes_ns)
    _check_attributes(modes, uids, gids, mtimes_ns)
    files = map(_New, contents, modes, uids, gids, mtimes_ns)
    for made, (name, file) in enumerate(zip(names, files, strict=True)):
        try:
            _make(directory, name, file)
        except OSError:
            return made
    return len(names)


def _make(directory: int, name: bytes, file: _New) -> None:
    """Raises OSError, and then nothing of it is left."""
    if file.mode & _PRIVILEGE:
        raise PermissionError
    descriptor = os.open(name, _CREATE, 0o600, dir_fd=directory)
    try:
        try:
            _fill(descriptor, file)
        finally:
            os.close(descriptor)
    except OSError:
        os.unlink(name, dir_fd=directory)
        raise


def _fill(descriptor: int, file: _New) -> None:
    """Owner before mode: changing it may clear bits of the mode. Raises OSError."""
    content = file.content
    while content:
        content = content[os.write(descriptor, content) :]
    found = os.fstat(descriptor)
    if file.uid not in (-1, found.st_uid) or file.gid not in (-1, found.st_gid):
        os.chown(descriptor, file.uid, file.gid)
    os.fchmod(descriptor, file.mode & 0o7777)
    # Python cannot leave the access time out; that of a new file is now.
    os.utime(descriptor, ns=(found.st_atime_ns, file.mtime_ns))


def list_files(directory: int, names: Sequence[bytes], /) -> memoryview[int]:
    """See `bulk.ListFiles`."""
    _check_directory(directory, names)
    numbers = array("q")
    for name in names:
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            others = found.st_dev, found.st_nlink, found.st_blocks, found.st_rdev
            numbers.extend((*_facts_of(found), *map(_as_signed, others)))
        except (OSError, OverflowError):
            break
    return memoryview(numbers[: len(numbers) // _LISTED * _LISTED].tobytes()).cast("q")


def _as_signed(number: int) -> int:
    return number - 2 * _HIGHEST if number >= _HIGHEST else number


def _may_pass(descriptor: int, found: os.stat_result, ignored: Sequence[bytes]) -> bool:
    """Whether it is a regular file with facts of 64 bits and no attribute that would be stored. Raises OSError."""
    if not stat.S_ISREG(found.st_mode) or not all(-_HIGHEST <= fact < _HIGHEST for fact in _facts_of(found)):
        return False
    return all(
        name in ignored or (name.startswith(b"system.") and name not in KEPT_OF_SYSTEM)
        for name in system.list_xattrs(descriptor)
    )


def _facts_of(found: os.stat_result) -> tuple[int, ...]:
    inode = _as_signed(found.st_ino)
    return found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns, found.st_ctime_ns, inode


def _check_place(directory: int, names: Sequence[bytes], flags: int) -> None:
    _check_directory(directory, names)
    if flags & _ACCESS != os.O_RDONLY or flags & _WRITING:
        raise ValueError(f"{flags} are not flags for reading")


def _check_directory(directory: int, names: Sequence[bytes]) -> None:
    if directory < 0:
        raise ValueError(f"{directory} is no file descriptor")
    for name in names:
        if name in _NO_NAMES or b"/" in name or b"\0" in name:
            raise ValueError(f"{os.fsdecode(name)!r} is no name of a file")


def _check_number(names: Sequence[bytes], *others: Sequence[object]) -> None:
    if any(len(other) != len(names) for other in others):
        raise ValueError("Names and what belongs to them differ in number")


def _check_attributes(modes: Sequence[int], uids: Sequence[int], gids: Sequence[int], mtimes_ns: Sequence[int]) -> None:
    if not all(0 <= mode < 2**32 for mode in modes):
        raise OverflowError("A mode is beyond 32 bits")
    if not all(-_HIGHEST <= mtime < _HIGHEST for mtime in mtimes_ns):
        raise OverflowError("A time is beyond 64 bits")
    for owner in (*uids, *gids):
        if not -1 <= owner <= _HIGHEST_ID:
            raise ValueError(f"{owner} is no user or group number")


def _check_range(*numbers: int) -> None:
    if not all(0 <= number < 2 * _HIGHEST for number in numbers):
        raise OverflowError("A number is negative or beyond 64 bits")


def _bytes_of(buffer: _Data) -> memoryview:
    view = memoryview(buffer)
    if not view.c_contiguous:
        raise ValueError("A contiguous buffer is needed")
    return view.cast("B")


def _slices(data: _Data, offsets: Sequence[int], lengths: Sequence[int]) -> list[memoryview]:
    """Raises ValueError, OverflowError."""
    view = _bytes_of(data)
    if len(offsets) != len(lengths):
        raise ValueError("Offsets and lengths differ in number")
    _check_range(*offsets, *lengths)
    found = []
    for offset, length in zip(offsets, lengths, strict=True):
        if offset + length > len(view):
            raise ValueError(f"{length} bytes at {offset} are not in the buffer")
        found.append(view[offset : offset + length])
    return found
