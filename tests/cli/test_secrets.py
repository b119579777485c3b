"""Passphrases and passwords stay where the caller put them: in no command line, no child, no log and no file."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from dataclasses import dataclass, field

import pytest

from tests.cli.scene import incompressible
from tests.support.programs import Program, Workspace
from tests.support.tools import unavailable

MARKER = "Marker-7f3a-passphrase"
PASSWORD = "Marker-7f3a-password"
MARKERS = (MARKER.encode(), PASSWORD.encode())
BYTES_IN_SOURCE = 6_000_000


@dataclass
class Sightings:
    """What was seen while a program ran."""

    gpg_calls: set[bytes] = field(default_factory=set)
    leaks: set[str] = field(default_factory=set)
    open_to_others: set[bytes] = field(default_factory=set)


@pytest.fixture
def secret_workspace(workspace: Workspace) -> Workspace:
    if not os.path.isdir("/proc/self"):
        unavailable("no /proc to look at processes")
    source = workspace.path("source")
    os.mkdir(source)
    with open(os.path.join(source, b"big"), "wb") as file:
        file.write(incompressible(BYTES_IN_SOURCE))
    workspace.extra_variables.update(FTP_PASSWORD=PASSWORD, BACKEND_PASSWORD=PASSWORD, SIGN_PASSPHRASE=MARKER)
    return workspace.with_passphrase(MARKER)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""  # ended meanwhile, or not ours to look at


def _look_at_processes(own: int, seen: Sightings) -> None:
    """At all of the machine: a gpg-agent, for one, is no descendant any more.

    A child shows its parent's arguments and variables between fork and exec; it is no other program yet.
    """
    program = _read(f"/proc/{own}/cmdline")
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        command, variables = _read(f"/proc/{name}/cmdline"), _read(f"/proc/{name}/environ")
        if os.path.basename(command.split(b"\0")[0]) == b"gpg":
            seen.gpg_calls.add(command)
        if any(marker in command for marker in MARKERS):
            seen.leaks.add(f"command line: {command!r}")
        if int(name) != own and command != program and any(marker in variables for marker in MARKERS):
            seen.leaks.add(f"environment of {command!r}")


def _look_at_files(folders: list[bytes], seen: Sightings) -> None:
    for folder in folders:
        for path, _, names in os.walk(folder):
            for each in (path, *(os.path.join(path, name) for name in names)):
                with contextlib.suppress(FileNotFoundError):
                    if each != folder and stat.S_IMODE(os.lstat(each).st_mode) & 0o077:
                        seen.open_to_others.add(each)


def _watch(process: subprocess.Popen[bytes], folders: list[bytes]) -> tuple[Sightings, bytes]:
    """Looks again and again until the program ends; gives what was seen and all that it said."""
    seen = Sightings()
    while process.poll() is None:
        _look_at_processes(process.pid, seen)
        _look_at_files(folders, seen)
    stdout, stderr = process.communicate()
    assert process.returncode == 0, (stdout, stderr)
    return seen, stdout + stderr


def _assert_nowhere(folder: bytes) -> None:
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                content = file.read()
            assert not any(marker in content for marker in MARKERS), os.path.join(path, name)


def test_secrets_show_up_nowhere_while_a_backup_and_a_restore_run(
    secret_workspace: Workspace, twofold: Program
) -> None:
    space = secret_workspace
    folders = [space.path("tmp"), space.archive_dir]
    common = ("-v9", "--gpg-options=--s2k-count=65536", "--log-file", space.path("machine.log"))
    runs = (
        ("full", space.path("source"), space.url(), "--volsize", "1", *common),
        ("restore", space.url(), space.path("out"), *common),
    )
    for words in runs:
        with space.start(twofold, *words) as process:
            seen, said = _watch(process, folders)
        assert seen.gpg_calls, "no gpg was seen at work, so this test has seen nothing"
        assert seen.leaks == set()
        assert seen.open_to_others == set()
        assert not any(marker in said for marker in MARKERS)
    for name in ("tmp", "archive", "target", "machine.log", "home"):
        _assert_nowhere(space.path(name))
        assert os.path.exists(space.path(name))
    with open(space.path("machine.log"), "rb") as log:
        assert not any(marker in log.read() for marker in MARKERS)
    with open(space.path("out", "big"), "rb") as restored:
        assert restored.read() == incompressible(BYTES_IN_SOURCE)


def test_the_password_of_a_url_is_not_shown(workspace: Workspace, twofold: Program) -> None:
    os.mkdir(workspace.path("source"))
    log = workspace.path("machine.log")
    url = f"sftp://me:{PASSWORD}@127.0.0.1:1/x"
    arguments = ("-v9", "full", workspace.path("source"), url, "--log-file", log, "--num-retries", "1")
    done = workspace.run(twofold, *arguments, "--no-encryption").expect(50)
    assert "me@127.0.0.1" in done.stderr
    with open(log, encoding="utf-8") as file:
        assert PASSWORD not in done.stdout + done.stderr + file.read()
