"""The SFTP driver against OpenSSH and against a server without its extensions; bad networks, keys, known hosts."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

from tests.servers.process import HOST, program
from tests.servers.proxy import Fault, Proxy, proxied
from tests.servers.ssh import KEY_PASSPHRASE, PASSWORD, USER, Sshd, rclone_sftp, sshd
from twofold.errors import (
    Forbidden,
    NoPlace,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
    UserError,
)
from twofold.storage import unfinished
from twofold.storage.drivers.ssh.options import SshOptions
from twofold.storage.drivers.ssh.sftp import SftpStore
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, Interruption, interrupt, key, listed, put
from twofold.storage.url import StorageUrl

DAY = 86_400
STRIPED = 9 << 20
"""Large enough for all channels of a connection."""


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with sshd() as running:
        yield running


@pytest.fixture(scope="module")
def rclone_port() -> Iterator[int]:
    with rclone_sftp() as port:
        yield port


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    (folder / ".ssh").mkdir(parents=True, mode=0o700)
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "target"


class Opener:
    """Makes stores for one directory, each with settings of its own, and closes them all."""

    def __init__(self, server: Sshd, directory: Path, home: Path) -> None:
        self._server = server
        self._directory = directory
        self._home = home
        self._opened: list[SftpStore] = []

    def __call__(
        self,
        *,
        port: int | None = None,
        options: str | None = None,
        password: str | None = None,
        timeout: float = 20,
        agent: str = "",
    ) -> SftpStore:
        url = f"sftp://{self._server.user}@{HOST}:{port or self._server.port}/{self._directory}"
        settings = StoreSettings(
            environment={"HOME": str(self._home), "SSH_AUTH_SOCK": agent},
            password=password,
            timeout=timeout,
            options=ServiceOptions(ssh_options=self._server.client_options if options is None else options),
        )
        self._opened.append(SftpStore.from_url(StorageUrl.parse(url), settings))
        return self._opened[-1]

    def through(self, proxy: Proxy, *, timeout: float = 20, more: str = "") -> SftpStore:
        """One that reaches the server through a bad network: HostKeyAlias finds the server's key all the same."""
        alias = f"-oHostKeyAlias=[{HOST}]:{self._server.port}"
        return self(port=proxy.port, options=f"{self._server.client_options} {alias} {more}", timeout=timeout)

    def close(self) -> None:
        for store in self._opened:
            store.close()


@pytest.fixture
def opener(server: Sshd, directory: Path, home: Path) -> Iterator[Opener]:
    made = Opener(server, directory, home)
    yield made
    made.close()


@pytest.fixture
def proxy(server: Sshd) -> Iterator[Proxy]:
    with proxied(server.port) as made:
        yield made


class TestSftpStoreOnOpenSsh(StoreConformance):
    @pytest.fixture
    def place(self, server: Sshd, tmp_path: Path, home: Path) -> Callable[[], Store]:
        return Opener(server, tmp_path / "parent" / "target", home)


class TestSftpStoreOnRclone(StoreConformance):
    @pytest.fixture
    def place(self, rclone_port: int, tmp_path: Path, home: Path) -> Callable[[], Store]:
        url = StorageUrl.parse(f"sftp://{USER}@{HOST}:{rclone_port}/{tmp_path.parent.name}-{tmp_path.name}/target")
        return lambda: SftpStore.from_url(url, rclone_settings(home))

    @pytest.mark.skip("rclone has neither hard links nor copy-data: see the tests of what is Unsupported")
    def test_only_the_first_creation_succeeds(self) -> None: ...

    @pytest.mark.skip("as above")
    def test_of_many_creators_one_wins(self) -> None: ...

    @pytest.mark.skip("as above")
    def test_a_copy_is_equal_and_replaces(self) -> None: ...

    @pytest.mark.skip("rclone goes on in the new file when one is replaced while it is read")
    def test_a_reader_never_sees_half_a_replacement(self) -> None: ...

    def test_what_the_server_lacks_is_unsupported_and_leaves_nothing(self, store: SftpStore, files: Files) -> None:
        put(store, files, "a", b"content")
        with pytest.raises(Unsupported):
            store.create(key("lock"), b"")
        with pytest.raises(Unsupported):
            store.copy(key("a"), key("b"))
        assert listed(store) == {"a": 7}


def rclone_settings(home: Path, *, password: str | None = PASSWORD) -> StoreSettings:
    """rclone makes its host key itself, so it has to be met for the first time."""
    options = ServiceOptions(ssh_options="-oStrictHostKeyChecking=accept-new")
    return StoreSettings(environment={"HOME": str(home)}, password=password, options=options)


@pytest.fixture
def agent(server: Sshd, tmp_path: Path) -> Iterator[str]:
    """The socket of an agent that holds the locked key."""
    path = str(tmp_path / "agent")
    helper = tmp_path / "answer"
    helper.write_text(f"#!/bin/sh\necho '{KEY_PASSPHRASE}'\n")
    helper.chmod(0o700)
    process = subprocess.Popen([program("ssh-agent"), "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        while not os.path.exists(path):
            time.sleep(0.01)
        answering = {"SSH_ASKPASS": str(helper), "SSH_ASKPASS_REQUIRE": "force", "SSH_AUTH_SOCK": path}
        key_file = tmp_path / "key"
        shutil.copy(server.folder / "id_enc", key_file)
        key_file.chmod(0o600)
        adding = [program("ssh-add"), "-q", str(key_file)]
        subprocess.run(adding, check=True, env={**os.environ, **answering}, timeout=30)
        yield path
    finally:
        process.kill()
        process.wait()


class TestLogin:
    def test_a_wrong_password_is_forbidden_and_never_shown(self, rclone_port: int, home: Path) -> None:
        settings = rclone_settings(home, password="dragon")
        store = SftpStore.from_url(StorageUrl.parse(f"sftp://{USER}@{HOST}:{rclone_port}/x"), settings)
        with pytest.raises(Forbidden, match=f"refuses the login as {USER}") as caught:
            store.list()
        store.close()
        assert "dragon" not in f"{caught.value!r} {caught.value.__cause__!r} {settings!r} {store.__dict__}"

    def test_no_password_and_no_key_is_forbidden_and_says_where_one_is_looked_for(
        self, rclone_port: int, home: Path
    ) -> None:
        settings = rclone_settings(home, password=None)
        store = SftpStore.from_url(StorageUrl.parse(f"sftp://{USER}@{HOST}:{rclone_port}/x"), settings)
        with pytest.raises(Forbidden, match="--ssh-askpass"):
            store.list()
        store.close()

    def test_the_password_opens_a_locked_key(self, server: Sshd, opener: Opener) -> None:
        options = server.client_options.replace("/id", "/id_enc")
        assert listed(opener(options=options, password=KEY_PASSPHRASE)) == {}

    @pytest.mark.parametrize("password", ["wrong", None])
    def test_a_locked_key_that_stays_locked_is_forbidden(
        self, server: Sshd, opener: Opener, password: str | None
    ) -> None:
        options = server.client_options.replace("/id", "/id_enc")
        with pytest.raises(Forbidden):
            listed(opener(options=options, password=password))

    def test_the_agent_opens_the_door(self, server: Sshd, opener: Opener, agent: str) -> None:
        options = f"-oUserKnownHostsFile={server.folder}/known_hosts"
        assert listed(opener(options=options, agent=agent)) == {}

    def test_a_key_file_that_is_missing_is_passed_over(self, server: Sshd, opener: Opener) -> None:
        assert listed(opener(options=f"-oIdentityFile=/missing {server.client_options}")) == {}

    def test_a_key_file_that_cannot_be_read_is_an_error_that_is_not_tried_again(self, opener: Opener) -> None:
        with pytest.raises(StorageError, match="/") as caught:
            listed(opener(options="-oIdentityFile=/"))
        assert not isinstance(caught.value, Unavailable)

    def test_loading_the_library_starts_no_program(self) -> None:
        """It would inherit our environment, and so the password in it."""
        hook = "lambda event, _: sys.exit(event) if event == 'subprocess.Popen' else None"
        code = f"import sys; sys.addaudithook({hook}); import twofold.storage.drivers.ssh.sftp"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

    def test_a_refused_connection_is_unavailable(self, opener: Opener) -> None:
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            with pytest.raises(Unavailable, match=HOST):
                opener(port=taken.getsockname()[1]).list()

    def test_no_sftp_there_is_unsupported_and_names_another_way(self, opener: Opener, home: Path) -> None:
        with sshd(sftp=False) as other:
            store = Opener(other, Path("/x"), home)()
            with pytest.raises(Unsupported, match="fish://"):
                store.list()
            store.close()


class TestConfiguration:
    def test_host_match_include_and_hashed_known_hosts_count(
        self, server: Sshd, directory: Path, home: Path, tmp_path: Path
    ) -> None:
        known = home / ".ssh" / "known_hosts"
        shutil.copy(server.folder / "known_hosts", known)
        subprocess.run([program("ssh-keygen"), "-q", "-H", "-f", str(known)], check=True, stderr=subprocess.DEVNULL)
        included = tmp_path / "included"
        included.write_text(f"Match host {HOST} exec true\n  User {server.user}\n  IdentityFile {server.folder}/id\n")
        (home / ".ssh" / "config").write_text(
            f"Host backup\n  HostName {HOST}\n  Port {server.port}\n\nInclude {included}\n"
        )
        url = StorageUrl.parse(f"sftp://backup/{directory}")
        store = SftpStore.from_url(url, StoreSettings(environment={"HOME": str(home)}))
        assert listed(store) == {}
        store.close()

    def test_the_way_may_lead_through_another_host(
        self, server: Sshd, directory: Path, home: Path, files: Files
    ) -> None:
        with sshd() as gate:
            text = f"Host gate\n  HostName {HOST}\n  Port {gate.port}\n  User {gate.user}\n"
            text += f"  IdentityFile {gate.folder}/id\n  UserKnownHostsFile {gate.folder}/known_hosts\n"
            (home / ".ssh" / "config").write_text(text)
            options = ServiceOptions(ssh_options=f"{server.client_options} -J gate")
            url = StorageUrl.parse(f"scp://{server.user}@{HOST}:{server.port}/{directory}")
            store = SftpStore.from_url(url, StoreSettings(environment={"HOME": str(home)}, options=options))
            put(store, files, "a", b"content")
            assert listed(store) == {"a": 7}
            store.close()
        again = SftpStore.from_url(url, StoreSettings(environment={"HOME": str(home)}, options=options))
        with pytest.raises(Unavailable):
            again.list()
        again.close()

    def test_a_gate_behind_itself_is_an_error(self, directory: Path, home: Path) -> None:
        (home / ".ssh" / "config").write_text("Host *\n  ProxyJump gate\n")
        store = SftpStore.from_url(
            StorageUrl.parse(f"sftp://backup/{directory}"), StoreSettings(environment={"HOME": str(home)})
        )
        with pytest.raises(StorageError, match="circle"):
            store.list()
        store.close()

    def test_a_configuration_that_cannot_be_read_is_an_error(self, directory: Path, home: Path) -> None:
        (home / ".ssh" / "config").write_text("Port twenty-two\n")
        store = SftpStore.from_url(
            StorageUrl.parse(f"sftp://{HOST}/{directory}"), StoreSettings(environment={"HOME": str(home)})
        )
        with pytest.raises(StorageError, match="line 1"):
            store.list()
        store.close()

    @pytest.mark.parametrize("text", ["'", "id", "-o", "-L1:h:2", "-oPort=1 -i"])
    def test_options_that_mean_nothing_are_refused(self, text: str) -> None:
        with pytest.raises(UserError, match="--ssh-options"):
            SshOptions.parse(text)

    def test_options_are_read_as_ssh_reads_them(self) -> None:
        options = SshOptions.parse("-oPort=22 -o 'User = me' -i '/my key' -C -q -F/dev/null -oIdentityFile=/x")
        assert options.lines == ("Port 22", "User me", 'IdentityFile "/my key"', "Compression yes", "IdentityFile /x")
        assert options.configuration == "/dev/null"
        assert not options.accepts_new

    @pytest.mark.parametrize("word", ["=no", "\tno", " = no", '="accept-new"'])
    def test_new_hosts_are_accepted_however_it_is_written(self, word: str) -> None:
        assert SshOptions.parse(f"'-oStrictHostKeyChecking{word}'").accepts_new


class TestHostKeys:
    def test_an_unknown_host_is_untrusted_and_the_line_to_type_is_said(self, server: Sshd, opener: Opener) -> None:
        options = f"-oUserKnownHostsFile=/dev/null -oIdentityFile={server.folder}/id"
        with pytest.raises(Untrusted, match=rf"SHA256:.*ssh-keyscan -p {server.port} {HOST} >>"):
            opener(options=options).list()

    def test_none_does_not_mean_whoever_comes(self, server: Sshd, opener: Opener) -> None:
        with pytest.raises(Untrusted):
            opener(options=f"-oUserKnownHostsFile=none -oIdentityFile={server.folder}/id").list()

    @pytest.mark.parametrize("word", ["yes", "accept-new", "no"])
    def test_a_changed_key_is_untrusted_whatever_is_said(
        self, server: Sshd, opener: Opener, tmp_path: Path, word: str
    ) -> None:
        other = (server.folder / "id.pub").read_text().split()[:2]
        known = tmp_path / "known"
        known.write_text(f"[{HOST}]:{server.port} {' '.join(other)}\n")
        options = f"-oUserKnownHostsFile={known} -oIdentityFile={server.folder}/id -oStrictHostKeyChecking={word}"
        with pytest.raises(Untrusted, match="ssh-keygen -R"):
            opener(options=options).list()
        assert len(known.read_text().splitlines()) == 1

    def test_accept_new_notes_the_key_down_once(self, server: Sshd, opener: Opener, home: Path) -> None:
        options = f"-oIdentityFile={server.folder}/id -oStrictHostKeyChecking=accept-new"
        for _ in range(2):
            assert listed(opener(options=options)) == {}
        noted = (home / ".ssh" / "known_hosts").read_text().splitlines()
        assert [line.split()[:2] for line in noted] == [[f"[{HOST}]:{server.port}", "ssh-ed25519"]]
        assert listed(opener(options=f"-oIdentityFile={server.folder}/id")) == {}


class TestBadNetwork:
    def test_a_reset_while_sending_leaves_nothing_and_the_next_call_connects_anew(
        self, opener: Opener, proxy: Proxy, files: Files, directory: Path
    ) -> None:
        proxy.weather.fault, proxy.weather.times = Fault.RESET, 1
        store = opener.through(proxy)
        with pytest.raises(Unavailable):
            put(store, files, "a", bytes(LARGE))
        assert listed(store) == {}
        put(store, files, "a", bytes(LARGE))
        assert proxy.weather.connections == 2
        assert os.listdir(directory) == ["a"], "what the lost connection left is removed by the next put"

    @pytest.mark.parametrize("size", [LARGE, STRIPED])
    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT])
    def test_a_connection_lost_while_receiving_leaves_nothing(
        self, opener: Opener, proxy: Proxy, files: Files, size: int, fault: Fault
    ) -> None:
        put(opener(), files, "a", bytes(size))
        before = files.names()
        proxy.weather.fault, proxy.weather.times = fault, 1
        store = opener.through(proxy)
        with pytest.raises(Unavailable):
            store.get(key("a"), files.target())
        assert files.names() == before
        assert len(files.fetched(store, "a")) == size

    @pytest.mark.parametrize("direction", ["put", "get", "list"])
    def test_silence_is_unavailable(self, opener: Opener, proxy: Proxy, files: Files, direction: str) -> None:
        put(opener(), files, "a", bytes(LARGE))
        proxy.weather.fault = Fault.STALL
        proxy.weather.after = 500 if direction == "list" else 1 << 20
        store = opener.through(proxy, timeout=0.5)
        attempts = {
            "put": lambda: put(store, files, "b", bytes(LARGE)),
            "get": lambda: files.fetched(store, "a"),
            "list": store.list,
        }
        with pytest.raises(Unavailable):
            attempts[direction]()
        assert listed(opener()) == {"a": LARGE}

    def test_silence_ends_a_put_on_all_channels_though_nothing_watches_the_connection(
        self, opener: Opener, proxy: Proxy, files: Files
    ) -> None:
        proxy.weather.fault, proxy.weather.times, proxy.weather.after = Fault.STALL, 1, STRIPED // 3
        store = opener.through(proxy, timeout=0.5, more="-oServerAliveInterval=0")
        with pytest.raises(Unavailable, match="Nothing has come"):
            put(store, files, "a", bytes(STRIPED))
        assert listed(store) == {}

    @pytest.mark.parametrize("direction", ["put", "get"])
    def test_an_interruption_gets_through_though_the_line_is_dead(
        self, opener: Opener, proxy: Proxy, files: Files, monkeypatch: pytest.MonkeyPatch, direction: str
    ) -> None:
        """With the patience of a request this would take hours."""
        monkeypatch.setattr("twofold.storage.drivers.ssh.session._MOMENT", 0.05)
        put(opener(), files, "a", bytes(STRIPED))
        proxy.weather.fault, proxy.weather.after = Fault.STALL, 1 << 40
        store = opener.through(proxy, timeout=10_000, more="-oServerAliveInterval=0")

        def die(_count: int) -> None:
            proxy.weather.after = 0
            raise Interruption

        attempts: dict[str, Callable[[], object]] = {
            "put": lambda: store.put(key("b"), files.source(bytes(STRIPED)), sent=die),
            "get": lambda: store.get(key("a"), files.target(), received=die),
        }
        with pytest.raises(Interruption):
            attempts[direction]()
        assert listed(opener()) == {"a": STRIPED}

    def test_a_server_that_has_started_again_is_connected_anew(
        self, opener: Opener, proxy: Proxy, files: Files
    ) -> None:
        proxy.weather.fault, proxy.weather.after, proxy.weather.times = Fault.RESET, 30_000, 1
        store = opener.through(proxy)
        attempts = 0
        while proxy.weather.connections < 2:
            attempts += 1
            with contextlib.suppress(Unavailable):
                put(store, files, f"a{attempts}", bytes(8000))
            assert attempts < 20
        assert listed(store).keys() >= {f"a{attempts}"}


class TestPlaces:
    def test_a_large_file_takes_all_channels_and_arrives_whole(
        self, opener: Opener, files: Files, directory: Path
    ) -> None:
        content = os.urandom(STRIPED + 12_345)
        store = opener()
        put(store, files, "a", content)
        assert (directory / "a").read_bytes() == content
        assert files.fetched(store, "a") == content

    def test_a_relative_path_begins_at_the_login_directory(self, rclone_port: int, home: Path, files: Files) -> None:
        urls = (f"sftp://{USER}@{HOST}:{rclone_port}{path}" for path in ("/relative/x", "//relative/x"))
        first, second = (SftpStore.from_url(StorageUrl.parse(url), rclone_settings(home)) for url in urls)
        put(first, files, "a", b"content")
        assert listed(second) == {"a": 7}, "here the login directory is the root"
        first.close()
        second.close()

    def test_a_place_that_vanishes_is_an_error_and_not_made_again(
        self, opener: Opener, files: Files, directory: Path
    ) -> None:
        store = opener()
        put(store, files, "a", b"content")
        shutil.rmtree(directory)
        for attempt in (
            store.list,
            lambda: store.stat(key("a")),
            lambda: store.delete(key("a")),
            lambda: put(store, files, "b", b"content"),
        ):
            with pytest.raises(NoPlace, match="mounted"):
                attempt()
        assert not directory.exists()

    def test_directories_and_dead_links_are_not_listed(self, opener: Opener, files: Files, directory: Path) -> None:
        put(opener(), files, "a", b"content")
        (directory / "folder").mkdir()
        (directory / "dead").symlink_to("nowhere")
        (directory / "link").symlink_to("a")
        store = opener()
        assert listed(store) == {"a": 7, "link": 7}
        with pytest.raises(NotFound):
            store.get(key("folder"), files.target())
        with pytest.raises(NotFound):
            store.stat(key("folder"))

    def test_what_a_killed_writer_left_is_not_listed_and_removed_after_a_day(
        self, opener: Opener, files: Files, directory: Path
    ) -> None:
        put(opener(), files, "a", b"content")
        names = {"old": 2 * DAY, "new": DAY // 2}
        for name, age in names.items():
            part = directory / f"{unfinished.PART_PREFIX}{name}"
            part.write_bytes(b"half")
            written = (directory / "a").stat().st_mtime - age
            os.utime(part, (written, written))
        (directory / ".foreign-part-x").write_bytes(b"not ours")
        store = opener()
        assert listed(store).keys() == {"a", ".foreign-part-x"}
        put(store, files, "b", b"content")
        assert set(os.listdir(directory)) == {"a", "b", ".foreign-part-x", f"{unfinished.PART_PREFIX}new"}

    def test_an_interrupted_put_leaves_no_part(self, opener: Opener, files: Files, directory: Path) -> None:
        with pytest.raises(Interruption):
            opener().put(key("a"), files.source(bytes(STRIPED)), sent=interrupt)
        assert os.listdir(directory) == []

    def test_a_file_in_the_way_of_the_directory_is_said(self, opener: Opener, files: Files, directory: Path) -> None:
        directory.write_bytes(b"a file")
        with pytest.raises(StorageError):
            put(opener(), files, "a", b"content")
        assert directory.read_bytes() == b"a file"


class TestServersWithoutExtensions:
    @pytest.fixture
    def poor(self, opener: Opener, monkeypatch: pytest.MonkeyPatch) -> SftpStore:
        """As if the server offered none of OpenSSH's extensions: renaming over a name fails then."""
        monkeypatch.setattr("asyncssh.sftp.SFTPClientHandler.version", 3)

        async def lacking(*_arguments: object) -> None:
            raise asyncssh.SFTPOpUnsupported("not here")

        for name in ("posix_rename", "fsync", "statvfs"):
            monkeypatch.setattr(f"asyncssh.sftp.SFTPClientHandler.{name}", lacking)
        return opener()

    def test_files_are_stored_and_replaced_all_the_same(self, poor: SftpStore, files: Files, directory: Path) -> None:
        for content in (b"first", b"second"):
            put(poor, files, "a", content)
            assert files.fetched(poor, "a") == content
        assert os.listdir(directory) == ["a"]
        assert poor.free_bytes() is None
