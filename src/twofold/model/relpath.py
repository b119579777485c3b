"""Paths inside a backup: bytes below the backup root, components joined by one slash, the root itself empty.

Archive order compares paths component by component as unsigned bytes (docs/format.md section 1). Since no component
holds a NUL, that is the order of the bytes with every slash replaced by NUL, which `order_key` gives.
"""

from __future__ import annotations

from typing import NewType

RelPath = NewType("RelPath", bytes)

ROOT = RelPath(b"")
LONGEST_COMPONENT = 255


def order_key(path: bytes) -> bytes:
    """Bytes that compare as the archive orders paths."""
    return path.replace(b"/", b"\0")


def is_within(path: bytes, parent: bytes) -> bool:
    """Whether `path` is `parent` or lies below it."""
    return not parent or path == parent or path.startswith(parent + b"/")


def join(parent: bytes, name: bytes) -> RelPath:
    """The path of `name` in the directory `parent`."""
    return RelPath(parent + b"/" + name) if parent else RelPath(name)


def parent_of(path: bytes) -> RelPath:
    """The directory that holds `path`; the root for the root itself."""
    return RelPath(path.rpartition(b"/")[0])


def fault_of(path: bytes) -> str | None:
    """Why a path read from an archive must not be used, or None: the guard against escapes from the restore folder."""
    if not path:
        return None
    if b"\0" in path:
        return "a NUL byte in its name"
    for component in path.split(b"/"):
        if not component:
            return "an empty or absolute component"
        if component in (b".", b".."):
            return f"a component {component.decode()!r}"
        if len(component) > LONGEST_COMPONENT:
            return "a component of more than 255 bytes"
    return None
