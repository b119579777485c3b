"""What people do with a target, once from end to end: the same steps whatever the protocol."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.gnupg import SYMMETRIC_PASSPHRASE
from tests.support.programs import Program, Workspace

_MIB = 1 << 20
_NOISE = os.urandom(3 * _MIB)


def _states(source: Path) -> None:
    (source / "folder with blank").mkdir(parents=True)
    (source / "folder with blank" / "ünï.txt").write_text("one\n" * 1000)
    (source / "large").write_bytes(_NOISE)
    (source / "goes").write_text("away")


def _changed(source: Path) -> None:
    (source / "goes").unlink()
    (source / "new").write_text("later")
    (source / "large").write_bytes(_NOISE[:_MIB] + b"edited" + _NOISE[_MIB:])


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def travel(twofold: Program, workspace: Workspace, url: str, *options: str) -> dict[str, bytes]:
    """Full, incremental, verify, restore with the cache lost, status, retention; what was backed up last.

    Volumes are of 1 MiB, so that there are several. One full and its increment remain at the target.
    """
    there = workspace.with_passphrase(SYMMETRIC_PASSPHRASE)
    source = Path(os.fsdecode(there.path("source")))
    _states(source)
    there.run(twofold, "full", str(source), url, "--volsize", "1", *options).expect()
    _changed(source)
    after = contents(source)
    made = there.run(twofold, "incremental", str(source), url, "--volsize", "1", *options).expect()
    assert made.statistic("ChangedFiles") >= 1
    elsewhere = there.with_archive_dir("another cache")
    elsewhere.run(twofold, "verify", "--compare-data", url, str(source), *options).expect()
    restored = Path(os.fsdecode(there.path("restored")))
    elsewhere.run(twofold, "restore", url, str(restored), *options).expect()
    assert contents(restored) == after
    status = elsewhere.run(twofold, "collection-status", url, *options).expect().stdout
    assert status.count(" Full ") == status.count(" Incremental ") == 1
    there.run(twofold, "full", str(source), url, "--volsize", "1", *options).expect()
    there.run(twofold, "incremental", str(source), url, *options).expect()
    there.run(twofold, "remove-all-but-n-full", "1", "--force", url, *options).expect()
    left = there.run(twofold, "collection-status", url, *options).expect().stdout
    assert left.count(" Full ") == left.count(" Incremental ") == 1
    return after


def restored_by(program: Program, workspace: Workspace, url: str, *options: str) -> dict[str, bytes]:
    """What a program, with a cache of its own, gets back from the target."""
    there = workspace.with_passphrase(SYMMETRIC_PASSPHRASE).with_archive_dir(f"cache of {program}")
    target = Path(os.fsdecode(there.path(f"restored by {program}")))
    there.run(program, "restore", url, str(target), *options).expect()
    return contents(target)
