"""The driver of OpenSSH's own programs against its own server, and one that wants a password."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.process import HOST, program
from tests.servers.proxy import Fault, Proxy, proxied
from tests.servers.ssh import PASSWORD, USER, Sshd, rclone_sftp, sshd
from twofold.concurrency import spawn
from twofold.errors import (
    Forbidden,
    Incomplete,
    MissingLibrary,
    NoPlace,
    StorageError,
    Unavailable,
    Untrusted,
    UserError,
)
from twofold.storage import unfinished
from twofold.storage.drivers.ssh.listing import is_days_older
from twofold.storage.drivers.ssh.openssh import OpenSshStore
from twofold.storage.drivers.ssh.options import SshOptions, SshTarget
from twofold.storage.drivers.ssh.programs import MOMENT, Programs
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import Operation, Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, Interruption, key, listed, put
from twofold.storage.url import StorageUrl

PASSWORD_WITH_BLANK = "no such password"


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with sshd() as running:
        yield running


def open_store(
    server: Sshd,
    directory: Path,
    home: Path,
    *,
    options: str | None = None,
    password: str | None = None,
    sftp_command: str = "sftp",
) -> OpenSshStore:
    url = StorageUrl.parse(f"pexpect+sftp://{server.user}@{HOST}:{server.port}/{directory}")
    settings = StoreSettings(
        environment={"HOME": str(home), "PATH": str(Path(program("ssh")).parent)},
        password=password,
        timeout=1,
        options=ServiceOptions(
            ssh_options=f"-F/dev/null {server.client_options}" if options is None else options,
            sftp_command=sftp_command,
        ),
    )
    return OpenSshStore.from_url(url, settings)


class TestOpenSshStore(StoreConformance):
    @pytest.fixture
    def place(self, server: Sshd, tmp_path: Path) -> Callable[[], Store]:
        return lambda: open_store(server, tmp_path / "parent" / "target", tmp_path)

    def test_1100_files_are_listed_once_each(self, store: Store, tmp_path: Path) -> None:
        """Each put would be two processes, so they are laid down directly."""
        directory = tmp_path / "parent" / "target"
        directory.mkdir(parents=True)
        names = {f"duplicity-full.20261122T044630Z.vol{number}.difftar.gpg" for number in range(1100)}
        for name in names:
            (directory / name).write_bytes(b"x")
        assert listed(store) == dict.fromkeys(names, 1)

    def test_a_reader_never_sees_half_a_replacement(self, store: Store, files: Files) -> None:
        """Size and content are asked for one after the other: what was replaced twice between ends in an error."""
        contents = [b"a" * 300_000, b"b" * 200_000]
        sources = [files.source(content) for content in contents]
        store.put(key("a"), sources[0])
        task = spawn(lambda: [store.put(key("a"), sources[number % 2]) for number in range(5)], name="replace")
        while task.running:
            with contextlib.suppress(Incomplete):
                assert files.fetched(store, "a") in contents
        task.join()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture
def proxy(server: Sshd) -> Iterator[Proxy]:
    with proxied(server.port) as made:
        yield made


def through(server: Sshd, proxy: Proxy, directory: Path) -> OpenSshStore:
    options = f"-F/dev/null {server.client_options} -oHostKeyAlias=[{HOST}]:{server.port}"
    return open_store(server._replace(port=proxy.port), directory, directory.parent, options=options)


@pytest.fixture(scope="module")
def rclone_port() -> Iterator[int]:
    with rclone_sftp() as port:
        yield port


class TestLogin:
    def open(self, port: int, tmp_path: Path, password: str | None) -> OpenSshStore:
        options = f"-F/dev/null -oUserKnownHostsFile={tmp_path}/known -oStrictHostKeyChecking=accept-new"
        settings = StoreSettings(
            environment={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "BACKEND_PASSWORD": "dragon"},
            password=password,
            options=ServiceOptions(ssh_options=options, tempdir=str(tmp_path)),
        )
        return OpenSshStore.from_url(StorageUrl.parse(f"pexpect+scp://{USER}@{HOST}:{port}/x"), settings)

    def test_a_password_is_given_and_neither_shown_nor_kept(
        self, rclone_port: int, tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started: list[str] = []
        popen = subprocess.Popen

        def note(words: list[str], **how: object) -> object:
            started.append(f"{words} {how['env']}")
            return popen(words, **how)  # type: ignore[call-overload]

        monkeypatch.setattr(subprocess, "Popen", note)
        store = self.open(rclone_port, tmp_path, PASSWORD_WITH_BLANK)
        with pytest.raises(Forbidden) as caught:
            store.list()
        store.close()
        store = self.open(rclone_port, tmp_path, PASSWORD)
        put(store, files, "a", b"content")
        assert listed(store) == {"a": 7}
        store.close()
        assert started
        assert not [text for text in (*started, str(caught.value)) if PASSWORD_WITH_BLANK in text or "dragon" in text]
        assert not [name for name in os.listdir(tmp_path) if name.startswith("twofold-")]

    def test_without_a_password_the_login_is_refused(self, rclone_port: int, tmp_path: Path) -> None:
        store = self.open(rclone_port, tmp_path, None)
        with pytest.raises(Forbidden, match="check key, agent, password"):
            store.list()
        store.close()

    @pytest.mark.parametrize("password", [None, "dragon"])
    def test_an_unknown_host_is_untrusted(
        self, server: Sshd, directory: Path, tmp_path: Path, password: str | None
    ) -> None:
        options = f"-F/dev/null -oUserKnownHostsFile=/dev/null -oIdentityFile={server.folder}/id"
        store = open_store(server, directory, tmp_path, options=options, password=password)
        with pytest.raises(Untrusted, match="compare the fingerprint"):
            store.list()
        store.close()

    @pytest.mark.parametrize("word", ["no", "accept-new", "yes"])
    def test_a_changed_key_is_untrusted_whatever_is_said(
        self, server: Sshd, directory: Path, tmp_path: Path, word: str
    ) -> None:
        known = tmp_path / "known"
        other = (server.folder / "id.pub").read_text().split()[:2]
        known.write_text(f"[{HOST}]:{server.port} {' '.join(other)}\n")
        files = f"-F/dev/null -oUserKnownHostsFile={known} -oIdentityFile={server.folder}/id"
        options = f"{files} -oStrictHostKeyChecking={word}"
        store = open_store(server, directory, tmp_path, options=options)
        with pytest.raises(Untrusted, match=rf"ssh-keygen -R '\[{HOST}\]:{server.port}'"):
            store.list()
        store.close()

    @pytest.mark.parametrize(
        ("prompt", "answer"),
        [
            ("u@alias's password: ", PASSWORD),
            ("(u@alias) Password: ", PASSWORD),
            ("Enter passphrase for key '/id': ", PASSWORD),
            ("u@gate's password: ", ""),
            ("(u@gate) (u@alias) Password: ", ""),
            ("Are you sure you want to continue connecting (yes/no/[fingerprint])? ", ""),
        ],
    )
    def test_only_the_targets_own_questions_are_answered(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prompt: str, answer: str
    ) -> None:
        """Those of a host on the way (ProxyJump) come to the same helper."""
        monkeypatch.setattr("twofold.storage.drivers.ssh.programs._LONGEST_SOCKET", 1000)
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        options = SshOptions.parse("-F/dev/null -oHostKeyAlias=alias -oProxyCommand=false")
        target = SshTarget("host", "", user="u", password=PASSWORD, options=options, temp_dir=str(tmp_path))
        programs = Programs(target, environment, sftp="sftp")
        with pytest.raises(StorageError):
            programs.batch([], operation=Operation.LIST, name="", watch=lambda: None)
        (helper,) = tmp_path.glob("twofold-*/answer")
        said = subprocess.run([helper, prompt], stdout=subprocess.PIPE, text=True, timeout=30, check=False)
        assert (said.stdout.strip(), said.returncode) == (answer, 0 if answer else 1)
        programs.close()

    def test_a_refused_connection_is_unavailable(self, server: Sshd, directory: Path, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            store = open_store(server._replace(port=taken.getsockname()[1]), directory, tmp_path)
            with pytest.raises(Unavailable, match="refused"):
                store.list()
            store.close()

    def test_a_program_that_is_missing_is_named(self, server: Sshd, directory: Path, tmp_path: Path) -> None:
        store = open_store(server, directory, tmp_path, sftp_command="/missing/sftp")
        with pytest.raises(MissingLibrary, match="/missing/sftp is not installed"):
            store.list()
        store.close()


class TestBadNetwork:
    def test_a_reset_leaves_nothing_and_the_next_call_connects_anew(
        self, server: Sshd, proxy: Proxy, files: Files, directory: Path
    ) -> None:
        proxy.weather.fault, proxy.weather.times = Fault.RESET, 1
        store = through(server, proxy, directory)
        with pytest.raises(Unavailable):
            put(store, files, "a", bytes(LARGE))
        assert listed(store) == {}
        put(store, files, "a", bytes(LARGE))
        store.close()
        assert os.listdir(directory) == ["a"]

    def test_silence_is_unavailable(self, server: Sshd, proxy: Proxy, files: Files, directory: Path) -> None:
        proxy.weather.fault = Fault.STALL
        store = through(server, proxy, directory)
        with pytest.raises(Unavailable):
            put(store, files, "a", bytes(LARGE))
        proxy.weather.fault = Fault.NONE
        assert listed(store) == {}
        store.close()


class TestInterruptions:
    @pytest.mark.parametrize(
        ("end", "limits"), [(Unavailable("gone"), [math.inf]), (Interruption(), [math.inf, MOMENT])]
    )
    def test_a_put_that_ends_early_is_cleaned_up_after_in_haste_or_never(
        self, files: Files, monkeypatch: pytest.MonkeyPatch, end: BaseException, limits: list[float]
    ) -> None:
        given: list[float] = []

        def fail(_: Programs, *_commands: object, limit: float, **_how: object) -> str:
            given.append(limit)
            raise end

        store = OpenSshStore.from_url(StorageUrl.parse(f"pexpect+sftp://{HOST}/x"), StoreSettings())
        monkeypatch.setattr(store, "_is_prepared", True)
        monkeypatch.setattr(Programs, "batch", fail)
        with pytest.raises(type(end)):
            put(store, files, "a", b"content")
        assert given == limits

    def test_what_does_not_end_in_time_is_given_up(self, server: Sshd, tmp_path: Path) -> None:
        stuck = tmp_path / "stuck"
        stuck.write_text("#!/bin/sh\nexec sleep 1000\n")
        stuck.chmod(0o700)
        options = SshOptions.parse(f"-F/dev/null {server.client_options}")
        target = SshTarget(HOST, "", port=server.port, options=options)
        programs = Programs(target, {"PATH": os.environ["PATH"]}, sftp=str(stuck))
        with pytest.raises(Unavailable, match="not ended in time"):
            programs.batch(["rm x"], operation=Operation.DELETE, name="", watch=lambda: None, limit=0.1)
        programs.close()


class TestPaths:
    def test_a_path_that_would_be_a_command_is_refused(self, server: Sshd, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="control characters"):
            open_store(server, tmp_path / "x%0A!touch y", tmp_path)

    @pytest.mark.parametrize(
        ("date", "now", "is_older"),
        [
            ("Nov 20 17:00", "Nov 22 16:00", True),
            ("Nov 21 17:00", "Nov 22 16:00", False),
            ("Dec 31 17:00", "Jan  3 16:00", True),
            ("Jan 15  2026", "Nov 22 16:00", True),
            ("Nov 22  2026", "Nov 22 16:00", False),
            ("Nov 23  2026", "Nov 22 16:00", False),
            ("22 Nov 2026 ", "Nov 22 16:00", False),
            ("Okt 12 17:00", "Nov 22 16:00", False),
        ],
    )
    def test_the_age_of_a_file_is_read_off_its_date(self, date: str, now: str, is_older: bool) -> None:
        assert is_days_older(date, now) is is_older


class TestPlaces:
    def test_what_a_killed_writer_left_is_not_listed_and_removed_after_days(
        self, server: Sshd, directory: Path, tmp_path: Path, files: Files
    ) -> None:
        directory.mkdir()
        now = int(directory.stat().st_mtime)
        for name, days in {"old": 3, "older": 300, "new": 1}.items():
            part = directory / f"{unfinished.PART_PREFIX}{name}"
            part.write_bytes(b"half")
            os.utime(part, (now - days * 86_400,) * 2)
        store = open_store(server, directory, tmp_path)
        assert listed(store) == {}
        put(store, files, "a", b"content")
        store.close()
        assert set(os.listdir(directory)) == {"a", f"{unfinished.PART_PREFIX}new"}

    def test_a_place_that_vanishes_is_an_error(
        self, server: Sshd, directory: Path, tmp_path: Path, files: Files
    ) -> None:
        store = open_store(server, directory, tmp_path)
        put(store, files, "a", b"content")
        shutil.rmtree(directory)
        with pytest.raises(NoPlace):
            store.list()
        with pytest.raises(StorageError):
            put(store, files, "b", b"content")
        store.close()
        assert not directory.exists()
