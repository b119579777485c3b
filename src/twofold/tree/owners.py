"""Names of users and groups, looked up once.

Always holds: an unknown id has the name b"", an unknown name the number that the archive gives; names are bytes.
"""

from __future__ import annotations

import grp
import os
import pwd
from typing import TypeVar

from twofold.model.entry import Entry

REMEMBERED = 4096

Key = TypeVar("Key")
Value = TypeVar("Value")


class Owners:
    """The user database of this machine, with bounded memory. Not thread-safe beyond harmless double look-ups."""

    def __init__(self) -> None:
        self._user_names: dict[int, bytes] = {}
        self._group_names: dict[int, bytes] = {}
        self._user_ids: dict[bytes, int | None] = {}
        self._group_ids: dict[bytes, int | None] = {}

    def user_name(self, uid: int) -> bytes:
        """The name of a user, b"" if unknown."""
        name = self._user_names.get(uid)
        if name is None:
            try:
                name = os.fsencode(pwd.getpwuid(uid).pw_name)
            except (KeyError, OverflowError):
                name = b""
            _remember(self._user_names, uid, name)
        return name

    def group_name(self, gid: int) -> bytes:
        """The name of a group, b"" if unknown."""
        name = self._group_names.get(gid)
        if name is None:
            try:
                name = os.fsencode(grp.getgrgid(gid).gr_name)
            except (KeyError, OverflowError):
                name = b""
            _remember(self._group_names, gid, name)
        return name

    def user_id(self, name: bytes, otherwise: int) -> int:
        """The id of a user on this machine, `otherwise` if there is none of that name."""
        if not name:
            return otherwise
        if name not in self._user_ids:
            uid: int | None = None
            try:
                uid = pwd.getpwnam(os.fsdecode(name)).pw_uid
            except (KeyError, ValueError):  # ValueError: a NUL in the name
                pass
            _remember(self._user_ids, name, uid)
        found = self._user_ids[name]
        return otherwise if found is None else found

    def group_id(self, name: bytes, otherwise: int) -> int:
        """The id of a group on this machine, `otherwise` if there is none of that name."""
        if not name:
            return otherwise
        if name not in self._group_ids:
            gid: int | None = None
            try:
                gid = grp.getgrnam(os.fsdecode(name)).gr_gid
            except (KeyError, ValueError):
                pass
            _remember(self._group_ids, name, gid)
        found = self._group_ids[name]
        return otherwise if found is None else found

    def ids_of(self, entry: Entry) -> tuple[int, int]:
        """What owner and group an entry has on this machine: by name, else by number (docs/format.md section 11.2)."""
        return self.user_id(entry.uname, entry.uid), self.group_id(entry.gname, entry.gid)


def _remember(cache: dict[Key, Value], key: Key, value: Value) -> None:
    if len(cache) >= REMEMBERED:
        cache.clear()
    cache[key] = value
