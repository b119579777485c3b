"""The archive directory: its lock, its files in the making, and what a killed run leaves there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from twofold.errors import UserError
from twofold.format.names import NameCodec
from twofold.model.backup import SetId
from twofold.repository.archive_dir import LOCK_NAME, AppendOnlyFile, ArchiveDir


@pytest.fixture
def archive_dir(tmp_path: Path) -> ArchiveDir:
    return ArchiveDir(str(tmp_path / "a" / "b"), NameCodec())


HOLD = """
import fcntl, os, sys
fcntl.lockf(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_that_another_process_has_is_an_error_with_its_place(archive_dir: ArchiveDir) -> None:
    os.makedirs(archive_dir.path)
    command = [sys.executable, "-c", HOLD, archive_dir.path_of(LOCK_NAME)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(UserError, match=LOCK_NAME) as caught:
            archive_dir.acquire()
        assert caught.value.exit_code == 23
        holder.communicate()
    with archive_dir:
        pass


def test_the_folder_is_made_for_its_owner_alone(archive_dir: ArchiveDir) -> None:
    assert list(archive_dir.list()) == []
    with archive_dir:
        assert os.stat(archive_dir.path).st_mode & 0o777 == 0o700
    archive_dir.release()


def test_a_folder_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="--archive-dir"):
        ArchiveDir(str(tmp_path / "file" / "below"), NameCodec()).acquire()


def test_what_a_killed_run_left_goes_at_the_next_start(archive_dir: ArchiveDir) -> None:
    with archive_dir:
        Path(archive_dir.scratch()).write_bytes(b"half")
        Path(archive_dir.state_path + ".1.new").write_bytes(b"half")
        Path(archive_dir.state_path).write_bytes(b"state")
        Path(archive_dir.path_of("somebody's")).write_bytes(b"")
    with archive_dir:
        assert {name for name, _ in archive_dir.list()} == {LOCK_NAME, "twofold-state", "somebody's"}


def test_files_appear_whole(archive_dir: ArchiveDir) -> None:
    with archive_dir:
        path = archive_dir.manifest_path(SetId(1000))
        archive_dir.write(path, b"content")
        assert Path(path).read_bytes() == b"content"
        assert dict(archive_dir.list())[os.path.basename(path)] == 7
        archive_dir.remove(os.path.basename(path))
        archive_dir.remove(os.path.basename(path))
        assert set(dict(archive_dir.list())) == {LOCK_NAME}


def test_a_list_of_entrances_goes_with_its_manifest(archive_dir: ArchiveDir) -> None:
    ours, others = SetId(1000), SetId(3000, 1000)
    with archive_dir:
        for set_id in (ours, others):
            Path(archive_dir.manifest_path(set_id)).write_bytes(b"")
            Path(archive_dir.entrances_path(set_id)).write_bytes(b"")
        archive_dir.remove(os.path.basename(archive_dir.manifest_path(ours)))
        left = {
            os.path.basename(path) for path in (archive_dir.manifest_path(others), archive_dir.entrances_path(others))
        }
        assert set(dict(archive_dir.list())) == {LOCK_NAME, *left}
        os.unlink(archive_dir.manifest_path(others))  # as duplicity does it
    with archive_dir:
        assert set(dict(archive_dir.list())) == {LOCK_NAME}


def test_a_growing_file_keeps_what_was_appended(archive_dir: ArchiveDir, tmp_path: Path) -> None:
    growing = AppendOnlyFile(str(tmp_path / "growing"))
    growing.append(b"one ")
    growing.append_softly(b"two ")
    growing.append(b"three")
    growing.close()
    growing.close()
    assert (tmp_path / "growing").read_bytes() == b"one two three"
