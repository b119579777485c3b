"""Gives a restored file its owner, extended attributes, mode and times, as far as this user and file system allow.

Always holds: one refused attribute never stops the others; a refusal never leaves a file open to more people, or with
more privilege, than the archive says (docs/format.md section 12). The order is

1. owner: changing it clears set-user-ID bits and capabilities;
2. extended attributes, while the file is still 0600: an ordinary user may not set them on a read-only file. ACLs are
   among them: only when it is known whether one could be set is it known what the group bits of the mode mean;
3. mode;
4. times.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from twofold import system
from twofold.model.entry import Entry, Kind
from twofold.tree.metadata import ACCESS_ACL, Xattrs
from twofold.tree.owners import Owners
from twofold.tree.shortfalls import DegradedKind, Shortfalls

CAPABILITY = b"security.capability"
REMEMBERED_OWNERS = 4096
HIGHEST_ID = 2**32 - 2  # one more means "leave as it is"
PRIVILEGE = stat.S_ISUID | stat.S_ISGID
ACL_ENTRY = 8
ACL_GROUP_OBJECT = 4

OwnerIds = tuple[int, int]


class Birth(NamedTuple):
    """What a new file has by itself where it was made: owner and access time (now). The same for a whole directory."""

    owner: OwnerIds
    atime_ns: int


def birth_of(found: os.stat_result) -> Birth:
    """Taken from the first new file of a directory: neither set-group-ID directories nor NFS need be thought of."""
    return Birth((found.st_uid, found.st_gid), found.st_atime_ns)


class AttributeWriter:
    """Applies the metadata of entries. The access time becomes the time of the restore, as with duplicity."""

    def __init__(self, owners: Owners, *, restore_ownership: bool, numeric_owner: bool, shortfalls: Shortfalls) -> None:
        self._owners = owners
        self._restore_ownership = restore_ownership
        self._numeric = numeric_owner
        self._shortfalls = shortfalls
        self._wanted: dict[tuple[object, ...], OwnerIds] = {}
        self._refused: dict[OwnerIds, bool] = {}
        self._ordinary_user = os.geteuid() != 0

    def owner_at_birth(self, uid: int, gid: int, uname: bytes, gname: bytes) -> OwnerIds | None:
        """The owner that a file with this recorded owner gets, -1 and -1 if it keeps the one that it is made with.

        None where giving it away would be refused, so that the group alone may have to be tried.
        """
        if not self._restore_ownership:
            return -1, -1
        recorded = (uid, gid, uname, gname)
        wanted = self._wanted.get(recorded) or self._look_up(Entry(Kind.REGULAR, 0, *recorded))
        valid = 0 <= wanted[0] <= HIGHEST_ID and 0 <= wanted[1] <= HIGHEST_ID
        return wanted if valid and wanted not in self._refused else None

    def apply(self, fd: int, path: bytes, entry: Entry, birth: Birth) -> None:
        """To an open file or directory. NB: hot, called for every file; hence no helper objects."""
        wanted = self._wanted.get(entry[2:6]) or self._look_up(entry)
        owner = birth.owner
        if wanted != owner and self._restore_ownership:
            owner = self._change_owner(lambda uid, gid: os.chown(fd, uid, gid), path, wanted, owner)
        mode = entry.mode & 0o7777
        if mode & PRIVILEGE and owner != wanted:
            mode = self._without_privilege(path, mode, owner, wanted)
        if entry.xattrs:
            mode = self._set_xattrs(fd, path, entry.xattrs, mode, owned=owner == wanted)
        try:
            os.fchmod(fd, mode)
        except OSError as error:
            self._shortfalls.count(DegradedKind.MODE, path, error)
        try:
            os.utime(fd, ns=(birth.atime_ns, entry.mtime_ns))
        except (OSError, OverflowError) as error:
            self._shortfalls.count(DegradedKind.TIME, path, error)

    def apply_to_node(self, name: bytes, dir_fd: int, *, path: bytes, entry: Entry, birth: Birth) -> None:
        """To something that must not be opened: symlink, fifo, device."""
        wanted = self._wanted.get(entry[2:6]) or self._look_up(entry)
        owner = birth.owner
        if wanted != owner and self._restore_ownership:

            def change(uid: int, gid: int) -> None:
                os.chown(name, uid, gid, dir_fd=dir_fd, follow_symlinks=False)

            owner = self._change_owner(change, path, wanted, owner)
        mode = entry.mode & 0o7777
        if mode & PRIVILEGE and owner != wanted:
            mode = self._without_privilege(path, mode, owner, wanted)
        if entry.xattrs:
            target = system.path_below(dir_fd, name)
            mode = self._set_xattrs(target, path, entry.xattrs, mode, owned=owner == wanted)
        if entry.kind is not Kind.SYMLINK:
            try:
                system.change_mode(name, mode, dir_fd=dir_fd)
            except OSError as error:
                self._shortfalls.count(DegradedKind.MODE, path, error)
        try:
            os.utime(name, ns=(birth.atime_ns, entry.mtime_ns), dir_fd=dir_fd, follow_symlinks=False)
        except (OSError, OverflowError) as error:
            self._shortfalls.count(DegradedKind.TIME, path, error)

    def _look_up(self, entry: Entry) -> OwnerIds:
        wanted = (entry.uid, entry.gid) if self._numeric else self._owners.ids_of(entry)
        if len(self._wanted) >= REMEMBERED_OWNERS:
            self._wanted.clear()
        self._wanted[entry[2:6]] = wanted
        return wanted

    def _change_owner(
        self, change: Callable[[int, int], None], path: bytes, wanted: OwnerIds, owner: OwnerIds
    ) -> OwnerIds:
        """Changes owner and group, or the group alone, and answers what the file has now."""
        if not (0 <= wanted[0] <= HIGHEST_ID and 0 <= wanted[1] <= HIGHEST_ID):
            self._shortfalls.count(DegradedKind.OWNER, path, "Not a valid user or group number")
            return owner
        try:
            if wanted not in self._refused:
                change(*wanted)
                return wanted
        except OSError as error:
            self._shortfalls.count(DegradedKind.OWNER, path, error)
        else:
            self._shortfalls.count(DegradedKind.OWNER, path, "")
            if not self._refused[wanted]:
                return owner
        return self._change_group(change, wanted, owner)

    def _change_group(self, change: Callable[[int, int], None], wanted: OwnerIds, owner: OwnerIds) -> OwnerIds:
        """After a refusal, which has been counted. An ordinary user is refused alike for every file: remembered."""
        possible = True
        if wanted[1] != owner[1]:
            try:
                change(-1, wanted[1])
                owner = owner[0], wanted[1]
            except OSError:
                possible = False  # part of the same refusal
        if self._ordinary_user:
            if len(self._refused) >= REMEMBERED_OWNERS:
                self._refused.clear()
            self._refused[wanted] = possible
        return owner

    def _without_privilege(self, path: bytes, mode: int, owner: OwnerIds, wanted: OwnerIds) -> int:
        """Set-user-ID and set-group-ID are for the recorded owner and group only (docs/format.md section 12)."""
        kept = mode
        if owner[0] != wanted[0]:
            kept &= ~stat.S_ISUID
        if owner[1] != wanted[1]:
            kept &= ~stat.S_ISGID
        if kept != mode:
            self._shortfalls.count(DegradedKind.SETUID, path, "The owner it was meant for could not be restored")
        return kept

    def _set_xattrs(self, target: int | bytes | None, path: bytes, xattrs: Xattrs, mode: int, *, owned: bool) -> int:
        """Sets what can be set and answers the mode that is then right."""
        for name, value in xattrs:
            kind = kind_of_xattr(name)
            try:
                if kind is DegradedKind.CAPABILITY and not owned:
                    self._shortfalls.count(kind, path, "The owner it was meant for could not be restored")
                elif target is None:
                    self._shortfalls.count(kind, path, "/proc is not mounted")
                else:
                    system.set_xattr(target, name, value)
                    continue
            except (OSError, ValueError) as error:
                self._shortfalls.count(kind, path, error)
            if name == ACCESS_ACL:
                mode = mode_without_acl(mode, value)
        return mode


_NAMESPACES = (
    (b"user.", DegradedKind.USER_XATTR),
    (b"trusted.", DegradedKind.TRUSTED_XATTR),
    (CAPABILITY, DegradedKind.CAPABILITY),
    (b"security.", DegradedKind.SECURITY_XATTR),
    (b"system.posix_acl_", DegradedKind.ACL),
)


def kind_of_xattr(name: bytes) -> DegradedKind:
    """Under which heading the loss of an attribute is told."""
    for prefix, kind in _NAMESPACES:
        if name.startswith(prefix):
            return kind
    return DegradedKind.OTHER_XATTR


def mode_without_acl(mode: int, acl: bytes) -> int:
    """The mode for a file whose access ACL could not be set.

    With an ACL the group bits are the mask, which may be wider than what the owning group has: without the ACL they
    would open the file to that group. `acl` is the kernel's form (linux/posix_acl_xattr.h): a 4-byte version, then
    tag (2 bytes), permissions (2), id (4), little-endian. A malformed one gives the group nothing.
    """
    granted = 0
    for start in range(4, len(acl) - ACL_ENTRY + 1, ACL_ENTRY):
        if int.from_bytes(acl[start : start + 2], "little") == ACL_GROUP_OBJECT:
            granted = int.from_bytes(acl[start + 2 : start + 4], "little")
    return mode & ~0o070 | (mode & granted << 3 & 0o070)
