"""Reads what lstat does not tell: extended attributes (with ACLs and capabilities) and the holes of sparse files.

Always holds: a file system or system without them reads as "none"; only real input/output errors are raised.
"""

from __future__ import annotations

import errno
import os

from twofold import system

MOST_HOLES = 1000
BLOCK = 512  # the unit of st_blocks, whatever the file system's own blocks are

# Bound to one machine's policy, keys or inodes: wrong on any other file, and SELinux puts its label on every file,
# which would double the headers of an archive. `restorecon` and `evmctl` make them anew.
LEFT_OUT = frozenset({b"security.selinux", b"security.ima", b"security.evm"})
# Of the "system" namespace only POSIX ACLs are attributes of the file; the rest are views that network file systems
# show of their own state (nfs4_acl, cifs_acl), which the target could not take.
ACCESS_ACL = b"system.posix_acl_access"
DEFAULT_ACL = b"system.posix_acl_default"
KEPT_OF_SYSTEM = frozenset({ACCESS_ACL, DEFAULT_ACL})
# Gone since it was listed, or not for this user.
_UNREADABLE = frozenset({errno.ENODATA, errno.EACCES, errno.EPERM, errno.EOPNOTSUPP})

Xattrs = tuple[tuple[bytes, bytes], ...]
Holes = tuple[tuple[int, int], ...]


def read_xattrs(target: int | bytes, *, follow: bool = False) -> Xattrs:
    """All attributes that are worth storing and that the user may read, sorted by name. Raises OSError.

    One system call where there are none. A path is not followed when it is a symlink, unless asked for.
    """
    names = system.list_xattrs(target, follow=follow)
    return _values(target, names, follow=follow) if names else ()


def worth_storing(names: list[bytes]) -> bool:
    """Whether any of the attributes that a file has is stored."""
    return not all(map(_is_left_out, names))


def read_xattrs_below(name: bytes, *, dir_fd: int) -> Xattrs:
    """The attributes of something in an opened directory that must not be opened itself (symlink, fifo, device).

    Raises OSError. Nothing is read on a system where a directory descriptor is no part of a path.
    """
    path = system.path_below(dir_fd, name)
    return () if path is None else read_xattrs(path)


def _values(target: int | bytes, names: list[bytes], *, follow: bool) -> Xattrs:
    found = []
    for name in sorted(names):
        if _is_left_out(name):
            continue
        try:
            found.append((name, system.get_xattr(target, name, follow=follow)))
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
    return tuple(found)


def _is_left_out(name: bytes) -> bool:
    return name in LEFT_OUT or (name.startswith(b"system.") and name not in KEPT_OF_SYSTEM)


def holes_of(fd: int, size: int, *, blocks: int | None = None) -> Holes:
    """(offset, length) of the holes below `size`, by offset; of more than 1000 the largest. The position becomes 0.

    `blocks` is st_blocks if known. A file with as many blocks as its size needs is not searched.
    """
    if (os.fstat(fd).st_blocks if blocks is None else blocks) * BLOCK >= size:
        return ()
    holes: list[tuple[int, int]] = []
    data = 0
    while data < size:
        hole = system.next_hole(fd, data)
        if hole is None or hole >= size:
            break
        following = system.next_data(fd, hole)
        data = size if following is None else min(following, size)
        holes.append((hole, data - hole))
        if len(holes) >= 2 * MOST_HOLES:  # bounds memory for files made of holes
            holes = _largest(holes)
    os.lseek(fd, 0, os.SEEK_SET)
    return tuple(_largest(holes))


def _largest(holes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    if len(holes) <= MOST_HOLES:
        return holes
    return sorted(sorted(holes, key=lambda hole: hole[1], reverse=True)[:MOST_HOLES])
