"""Takes down everything there is to know about a folder's contents, and compares two such accounts.

Sockets are left out: no backup holds them. Names are bytes, relative to the folder; the folder itself is `.`.
"""

from __future__ import annotations

import enum
import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields

ROOT = b"."
READ_BYTES = 1 << 20
LINES_SHOWN = 40


class Kind(enum.Enum):
    REGULAR = "regular"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    FIFO = "fifo"
    CHARACTER_DEVICE = "character device"
    BLOCK_DEVICE = "block device"


class Fidelity(enum.Enum):
    """How much of a tree has to come back: all of it, or what duplicity's format records."""

    FULL = "full"
    DUPLICITY = "duplicity"


@dataclass(frozen=True, slots=True)
class NodeState:
    """One name in a tree; `linked_names` are all names of a hard-linked file, sorted, its own included."""

    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    sha256: str = ""
    link_target: bytes = b""
    device: tuple[int, int] | None = None
    xattrs: tuple[tuple[str, bytes], ...] = ()
    linked_names: tuple[bytes, ...] = ()
    has_holes: bool = False


_KINDS = {
    stat.S_IFREG: Kind.REGULAR,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.CHARACTER_DEVICE,
    stat.S_IFBLK: Kind.BLOCK_DEVICE,
}

Snapshot = dict[bytes, NodeState]


def snapshot(folder: bytes) -> Snapshot:
    """The state of everything in the folder, or of `.` alone if it is a file."""
    found = {name: os.lstat(_join(folder, name)) for name in _names(folder)}
    names_of_inode: dict[tuple[int, int], list[bytes]] = {}
    for name, status in found.items():
        if not stat.S_ISDIR(status.st_mode) and status.st_nlink > 1:
            names_of_inode.setdefault((status.st_dev, status.st_ino), []).append(name)
    states: Snapshot = {}
    for name, status in found.items():
        linked = sorted(names_of_inode.get((status.st_dev, status.st_ino), ()))
        states[name] = _state(_join(folder, name), status, tuple(linked) if len(linked) > 1 else ())
    return states


def assert_same_tree(actual: bytes | Snapshot, expected: bytes | Snapshot, *, fidelity: Fidelity) -> None:
    """Fails with the differing names and what differs about them."""
    there = snapshot(actual) if isinstance(actual, bytes) else actual
    wanted = snapshot(expected) if isinstance(expected, bytes) else expected
    lines = differences(there, wanted, fidelity=fidelity)
    more = [f"… and {len(lines) - LINES_SHOWN} more"] if len(lines) > LINES_SHOWN else []
    assert not lines, "\n".join([f"{len(lines)} difference(s):", *lines[:LINES_SHOWN], *more])


def differences(actual: Snapshot, expected: Snapshot, *, fidelity: Fidelity) -> list[str]:
    """One line a differing name, in order of names."""
    lines = []
    for name in sorted(actual.keys() | expected.keys()):
        there, wanted = actual.get(name), expected.get(name)
        if there is None:
            lines.append(f"{name!r} is missing")
        elif wanted is None:
            lines.append(f"{name!r} should not be there ({there.kind.value})")
        else:
            facts, due = _facts(there, fidelity), _facts(wanted, fidelity)
            wrong = [
                f"{key} is {facts.get(key)!r}, expected {due.get(key)!r}"
                for key in due | facts
                if facts.get(key) != due.get(key)
            ]
            if wrong:
                lines.append(f"{name!r}: {'; '.join(wrong)}")
    return lines


def to_json(states: Mapping[bytes, NodeState]) -> dict[str, dict[str, object]]:
    """For golden archives; bytes become text with surrogate escapes, defaults are left out."""
    return {os.fsdecode(name): _plain(states[name]) for name in sorted(states)}


def from_json(plain: Mapping[str, Mapping[str, object]]) -> Snapshot:
    return {os.fsencode(name): _node(record) for name, record in plain.items()}


def _names(folder: bytes) -> Iterator[bytes]:
    yield ROOT
    if stat.S_ISDIR(os.lstat(folder).st_mode):
        yield from _names_below(folder, b"")


def _names_below(folder: bytes, prefix: bytes) -> Iterator[bytes]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                continue
            yield prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _names_below(entry.path, prefix + entry.name + b"/")


def _join(folder: bytes, name: bytes) -> bytes:
    return folder if name == ROOT else os.path.join(folder, name)


def _state(path: bytes, status: os.stat_result, linked_names: tuple[bytes, ...]) -> NodeState:
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    regular = kind is Kind.REGULAR
    is_device = kind in (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE)
    return NodeState(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        size=status.st_size if regular else 0,
        sha256=_sha256(path) if regular else "",
        link_target=os.readlink(path) if kind is Kind.SYMLINK else b"",
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else None,
        xattrs=_xattrs(path),
        linked_names=linked_names,
        has_holes=regular and _has_holes(path, status.st_size),
    )


def _sha256(path: bytes) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _xattrs(path: bytes) -> tuple[tuple[str, bytes], ...]:
    try:
        names = sorted(os.listxattr(path, follow_symlinks=False))
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.EPERM):
            raise
        return ()
    # security.selinux belongs to the machine's policy, not to the file
    return tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names if name != "security.selinux")


def _has_holes(path: bytes, size: int) -> bool:
    if size == 0:
        return False
    with open(path, "rb") as file:
        return os.lseek(file.fileno(), 0, os.SEEK_HOLE) < size


def _facts(state: NodeState, fidelity: Fidelity) -> dict[str, object]:
    facts: dict[str, object] = {field.name: getattr(state, field.name) for field in fields(state)}
    facts["mode"] = f"{state.mode:04o}"
    if state.kind is Kind.SYMLINK:
        facts.pop("mode")
    if fidelity is Fidelity.DUPLICITY:
        for name in ("xattrs", "linked_names", "has_holes"):
            facts.pop(name)
        facts["mtime_ns"] = 0 if state.kind is Kind.SYMLINK else state.mtime_ns // 10**9 * 10**9
    return facts


def _plain(state: NodeState) -> dict[str, object]:
    record = {
        **asdict(state),
        "kind": state.kind.value,
        "mode": f"{state.mode:04o}",
        "link_target": os.fsdecode(state.link_target),
        "device": list(state.device) if state.device else None,
        "xattrs": {name: value.hex() for name, value in state.xattrs},
        "linked_names": [os.fsdecode(name) for name in state.linked_names],
    }
    return {key: value for key, value in record.items() if value not in (None, "", {}, [], False) or key == "mtime_ns"}


def _node(record: Mapping[str, object]) -> NodeState:
    def number(key: str) -> int:
        value = record.get(key, 0)
        assert isinstance(value, int)
        return value

    device, xattrs, names = record.get("device"), record.get("xattrs", {}), record.get("linked_names", [])
    assert isinstance(xattrs, dict)
    assert isinstance(names, list)
    return NodeState(
        kind=Kind(record["kind"]),
        mode=int(str(record["mode"]), 8),
        uid=number("uid"),
        gid=number("gid"),
        mtime_ns=number("mtime_ns"),
        size=number("size"),
        sha256=str(record.get("sha256", "")),
        link_target=os.fsencode(str(record.get("link_target", ""))),
        device=(int(device[0]), int(device[1])) if isinstance(device, list) else None,
        xattrs=tuple((name, bytes.fromhex(value)) for name, value in xattrs.items()),
        linked_names=tuple(os.fsencode(name) for name in names),
        has_holes=bool(record.get("has_holes", False)),
    )
