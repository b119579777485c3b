"""Folders, users and entries for tests that write real files."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from twofold.model.entry import Entry, Kind
from twofold.monitor import RecordingMonitor
from twofold.tree.shortfalls import Degraded, DegradedKind
from twofold.tree.write import TreeWriter, WriteOptions

NOBODY = 65534
MTIME_NS = 1_234_567_890_123_456_789

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def entry(kind: Kind = Kind.REGULAR, mode: int = 0o644, **fields: object) -> Entry:
    """An entry of the current user with a known mtime."""
    mine = Entry(kind, mode, os.geteuid(), os.getegid(), mtime_ns=MTIME_NS, mtime_exact=True)
    return mine._replace(**fields)


def directory(mode: int = 0o755, **fields: object) -> Entry:
    return entry(Kind.DIRECTORY, mode, **fields)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Drops what root may do; nothing changes if there is nothing to drop."""
    if os.geteuid() != 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


@pytest.fixture
def root(tmp_path: Path) -> bytes:
    """A restore folder that does not exist yet."""
    return os.fsencode(tmp_path / "restored")


@pytest.fixture
def open_root() -> Iterator[bytes]:
    """An empty folder that belongs to the ordinary user and that this user can reach."""
    folder = tempfile.mkdtemp()
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    try:
        yield os.fsencode(folder)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def monitor() -> RecordingMonitor:
    return RecordingMonitor()


@contextmanager
def writing(root: bytes, monitor: RecordingMonitor | None = None, **options: bool) -> Iterator[TreeWriter]:
    """A writer that is finished at the end."""
    with TreeWriter(root, WriteOptions(**options), monitor=monitor or RecordingMonitor()) as writer:
        yield writer
        writer.finish()


def losses(monitor: RecordingMonitor) -> dict[DegradedKind, tuple[int, bytes]]:
    """What was told, by kind: how often, and the first path."""
    told = [event for event in monitor.events if isinstance(event, Degraded)]
    assert len({event.kind for event in told}) == len(told), "a kind was told twice"
    assert all(event.reason for event in told)
    return {event.kind: (event.count, event.example) for event in told}


def read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()
