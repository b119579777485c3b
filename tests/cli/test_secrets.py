"""Passphrases and passwords stay where the caller put them: in no command line, no child, no log and no file.

Nor does anything of what is backed up lie anywhere outside the target in the clear.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import subprocess
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest

from tests.cli.scene import Scene, incompressible
from tests.servers import ftp, rsync, ssh
from tests.servers.process import HOST
from tests.support.gnupg import gnupg_folder, make_key
from tests.support.programs import Program, Workspace
from tests.support.tally import Tried, tally
from tests.support.tools import unavailable
from twofold import system
from twofold.storage.settings import StoreSettings
from twofold.storage.url import StorageUrl
from twofold.ui import assemble
from twofold.ui.cli import run_with
from twofold.ui.environment import Environment
from twofold.ui.terminal import OutputStream, Terminal

BYTES_IN_SOURCE = 3_000_000
_BETWEEN_LOOKS = 0.005
QUICK = "--gpg-options=--s2k-count=65536"


class Secrets(NamedTuple):
    """Words that are nowhere else on this machine, whatever other tests do beside."""

    passphrase: str
    sign_passphrase: str
    password: str
    content: str

    @classmethod
    def fresh(cls) -> Secrets:
        return cls(*(f"{name}-{uuid.uuid4().hex}" for name in ("phrase", "signing", "login", "content")))

    @property
    def markers(self) -> tuple[bytes, ...]:
        return tuple(map(str.encode, self))

    def are_in(self, text: bytes) -> bool:
        return any(marker in text for marker in self.markers)


@dataclass
class Sightings:
    """What was seen while a program ran; `older` are the processes that were there before, such as servers."""

    secrets: Secrets
    older: frozenset[str]
    children: set[bytes] = field(default_factory=set)
    leaks: set[str] = field(default_factory=set)

    def look_at_processes(self, own: int) -> None:
        """At all of the machine: a gpg-agent, for one, is no descendant any more.

        A child shows its parent's arguments and variables between fork and exec; it is no other program yet.
        """
        program = _read(f"/proc/{own}/cmdline")
        for name in os.listdir("/proc"):
            if not name.isdecimal() or name in self.older or int(name) == own:
                continue
            command, variables = _read(f"/proc/{name}/cmdline"), _read(f"/proc/{name}/environ")
            if command == program:
                continue
            self.children.add(os.path.basename(command.split(b"\0")[0]))
            if self.secrets.are_in(command):
                self.leaks.add(f"command line: {command!r}")
            if self.secrets.are_in(variables):
                self.leaks.add(f"environment of {command!r}")

    def look_at_files(self, folder: bytes) -> None:
        """Nobody else may open them, or come to those in the folders in it; and they hold no plaintext."""
        for path, _, names in os.walk(folder):
            for each in (path, *(os.path.join(path, name) for name in names)):
                is_top = os.path.dirname(each) == folder
                with contextlib.suppress(FileNotFoundError):
                    if is_top and stat.S_IMODE(os.lstat(each).st_mode) & 0o077:
                        self.leaks.add(f"others may open {each!r}")
                    if os.path.isfile(each) and self.secrets.are_in(_read(os.fsdecode(each))):
                        self.leaks.add(f"in {each!r}")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""  # ended meanwhile, or not ours to look at


def _watched(space: Workspace, twofold: Program, secrets: Secrets, *words: str | bytes) -> set[bytes]:
    """Runs to a good end and looks again and again; the names of the children that were seen at work."""
    log = space.path("machine.log")
    older = frozenset(name for name in os.listdir("/proc") if name.isdecimal())
    seen = Sightings(secrets, older)
    with space.start(twofold, *words, "-v9", QUICK, "--log-file", log) as process:
        while process.poll() is None:
            seen.look_at_processes(process.pid)
            seen.look_at_files(space.path("tmp"))
            seen.look_at_files(space.archive_dir)
            for cache in _folders(space.archive_dir):
                seen.look_at_files(cache)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_BETWEEN_LOOKS)
        stdout, stderr = process.communicate()
    assert process.returncode == 0, (stdout, stderr)
    assert seen.leaks == set()
    assert not secrets.are_in(stdout + stderr + _read(os.fsdecode(log)))
    assert os.path.exists(log)
    for name in ("tmp", "archive", "target", "home"):
        for path, _, names in os.walk(space.path(name)):
            for each in (os.path.join(path, each) for each in names):
                assert not secrets.are_in(_read(os.fsdecode(each))), each
    return seen.children


def _folders(above: bytes) -> list[bytes]:
    with contextlib.suppress(FileNotFoundError), os.scandir(above) as entries:
        return [entry.path for entry in entries if entry.is_dir()]
    return []


@pytest.fixture
def secrets() -> Secrets:
    if not os.path.isdir("/proc/self"):
        unavailable("no /proc to look at processes")
    return Secrets.fresh()


@pytest.fixture
def space(workspace: Workspace, secrets: Secrets) -> Workspace:
    source = workspace.path("source")
    os.mkdir(source)
    for name, content in ((b"big", incompressible(BYTES_IN_SOURCE)), (b"text", secrets.content.encode() * 9)):
        with open(os.path.join(source, name), "wb") as file:
            file.write(content)
    more = {"BACKEND_PASSWORD": secrets.password, "SIGN_PASSPHRASE": secrets.sign_passphrase}
    return replace(workspace, extra_variables=more).with_passphrase(secrets.passphrase)


def _travel(space: Workspace, twofold: Program, secrets: Secrets, url: str, *options: str) -> set[bytes]:
    common = (*options, "--num-retries", "1")
    children = _watched(space, twofold, secrets, "full", space.path("source"), url, "--volsize", "1", *common)
    children |= _watched(space, twofold, secrets, "restore", url, space.path("out"), *common)
    with open(space.path("out", "text"), "rb") as restored:
        assert restored.read() == secrets.content.encode() * 9
    tally(Tried.SECRETS, len(secrets) * 2)
    return children


def test_secrets_show_up_nowhere_while_a_signed_backup_and_a_restore_run(
    space: Workspace, twofold: Program, secrets: Secrets
) -> None:
    with gnupg_folder() as home:
        reader = make_key(home, "reader", secrets.passphrase)
        signer = make_key(home, "signer", secrets.sign_passphrase)
        keys = ("--encrypt-key", reader.fingerprint, "--sign-key", signer.fingerprint)
        children = _travel(space.with_gnupg_home(home), twofold, secrets, space.url(), *keys)
    assert b"gpg" in children, "no gpg was seen at work, so this test has seen nothing"


def _known(space: Workspace) -> str:
    return f"--ssh-options=-oStrictHostKeyChecking=accept-new -oUserKnownHostsFile={os.fsdecode(space.path('known'))}"


@pytest.mark.parametrize(("scheme", "child"), [("sftp", b"gpg"), ("pexpect+sftp", b"ssh")])
def test_the_password_of_a_host_reaches_no_child(
    space: Workspace, twofold: Program, secrets: Secrets, scheme: str, child: bytes
) -> None:
    with ssh.rclone_sftp(secrets.password) as port:
        url = f"{scheme}://{ssh.USER}@{HOST}:{port}/docs"
        assert child in _travel(space, twofold, secrets, url, _known(space))


def test_the_password_of_an_rsync_daemon_reaches_no_child(space: Workspace, twofold: Program, secrets: Secrets) -> None:
    with rsync.rsyncd(secrets.password) as running:
        url = f"rsync://{rsync.USER}@{HOST}:{running.port}::{rsync.MODULE}/docs"
        assert b"rsync" in _travel(space, twofold, secrets, url)


def test_a_password_in_a_url_goes_no_further(space: Workspace, twofold: Program, secrets: Secrets) -> None:
    without = replace(space, extra_variables={})
    with ftp.pyftpdlib(password=secrets.password) as running:
        url = f"ftp://{ftp.USER}:{secrets.password}@{HOST}:{running.port}/docs"
        assert b"gpg" in _travel(without, twofold, secrets, url)


def test_the_password_of_a_url_is_not_shown_when_it_fails(space: Workspace, twofold: Program, secrets: Secrets) -> None:
    log = space.path("machine.log")
    url = f"sftp://me:{secrets.password}@127.0.0.1:1/x"
    words = ("-v9", "full", space.path("source"), url, "--log-file", log, "--num-retries", "1")
    failed = space.run(twofold, *words).expect(50)
    assert "me@127.0.0.1" in failed.stderr
    assert not secrets.are_in((failed.stdout + failed.stderr).encode() + _read(os.fsdecode(log)))


def test_a_mistake_of_ours_shows_no_secret(tmp_path: Path, secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(url: StorageUrl, *, settings: StoreSettings) -> NoReturn:
        raise RuntimeError(f"{url!r} {settings!r}")

    monkeypatch.setattr(assemble, "open_store", mistaken)
    variables = {"PASSPHRASE": secrets.passphrase, "AWS_SECRET_ACCESS_KEY": secrets.password, "TMPDIR": str(tmp_path)}
    words = ("collection-status", f"ftp://me:{secrets.password}@host/x", "--archive-dir", str(tmp_path), "-v9")
    output, errors = io.BytesIO(), io.BytesIO()
    terminal = Terminal(OutputStream(output, encoding="utf-8"), OutputStream(errors, encoding="utf-8"))
    assert run_with(Environment(arguments=words, variables=variables), terminal) == 30
    said = output.getvalue() + errors.getvalue()
    assert b"Traceback" in said
    assert b"RuntimeError" in said
    assert not secrets.are_in(said)


@pytest.mark.parametrize(
    ("variables", "url", "shielded"),
    [
        ({}, "file://{}/target", False),
        ({"PASSPHRASE": "x"}, "file://{}/target", True),
        ({"AWS_SECRET_ACCESS_KEY": "x"}, "file://{}/target", True),
        ({"PASSPHRASE": ""}, "file://{}/target", False),
        ({}, "ftp://me:x@127.0.0.1:1/x", True),
    ],
)
def test_memory_with_secrets_in_it_is_shielded_and_never_dumped(
    plain: Scene, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, shielded: bool
) -> None:
    """Neither is done to the process of the tests."""
    done: list[str] = []
    monkeypatch.setattr(system, "shield_memory", lambda: done.append("shielded"))
    monkeypatch.setattr(system, "forbid_core_dumps", lambda: done.append("no core"))
    words = ("collection-status", url.format(plain.folder), "--num-retries", "1")
    plain.with_variables(**variables).run(*words, expect=50 if "ftp" in url else 0)
    assert done[0] == "no core"
    assert ("shielded" in done) == shielded
