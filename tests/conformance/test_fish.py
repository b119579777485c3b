"""The driver for hosts with a shell and no SFTP, against a server that has none."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.process import HOST
from tests.servers.proxy import Fault, Proxy, proxied
from tests.servers.ssh import Sshd, sshd
from twofold.concurrency import spawn
from twofold.errors import Incomplete, NoPlace, StorageError, Unavailable
from twofold.storage import unfinished
from twofold.storage.drivers.ssh.fish import FishStore
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, Interruption, interrupt, key, listed, put
from twofold.storage.url import StorageUrl


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with sshd(sftp=False) as running:
        yield running


def open_store(server: Sshd, directory: Path, *, timeout: float = 20, port: int | None = None) -> FishStore:
    url = StorageUrl.parse(f"fish://{server.user}@{HOST}:{port or server.port}/{directory}")
    alias = f"-oHostKeyAlias=[{HOST}]:{server.port}" if port else ""
    options = ServiceOptions(ssh_options=f"-F/dev/null {server.client_options} {alias}")
    return FishStore.from_url(url, StoreSettings(timeout=timeout, options=options))


class TestFishStore(StoreConformance):
    @pytest.fixture
    def place(self, server: Sshd, tmp_path: Path) -> Callable[[], Store]:
        return lambda: open_store(server, tmp_path / "parent's" / "tar get")

    def test_1100_files_are_listed_once_each(self, store: Store, tmp_path: Path) -> None:
        """Each put would be a shell, so they are laid down directly."""
        directory = tmp_path / "parent's" / "tar get"
        directory.mkdir(parents=True)
        names = {f"duplicity-full.20261122T044630Z.vol{number}.difftar.gpg" for number in range(1100)}
        for name in names:
            (directory / name).write_bytes(b"x")
        assert listed(store) == dict.fromkeys(names, 1)

    def test_a_reader_never_sees_half_a_replacement(self, store: Store, files: Files) -> None:
        """Size and content are asked for one after the other: what was replaced between ends in an error."""
        contents = [b"a" * 300_000, b"b" * 200_000]
        sources = [files.source(content) for content in contents]
        store.put(key("a"), sources[0])
        task = spawn(lambda: [store.put(key("a"), sources[number % 2]) for number in range(10)], name="replace")
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
def store(server: Sshd, directory: Path) -> Iterator[FishStore]:
    opened = open_store(server, directory)
    yield opened
    opened.close()


@pytest.fixture
def proxy(server: Sshd) -> Iterator[Proxy]:
    with proxied(server.port) as made:
        yield made


class TestBadNetwork:
    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT, Fault.STALL])
    def test_a_broken_connection_is_unavailable_and_leaves_the_old_files(
        self, server: Sshd, store: FishStore, proxy: Proxy, files: Files, directory: Path, fault: Fault
    ) -> None:
        put(store, files, "a", bytes(LARGE))
        proxy.weather.fault = fault
        bad = open_store(server, directory, port=proxy.port, timeout=1)
        before = files.names()
        with pytest.raises(Unavailable):
            bad.get(key("a"), files.target())
        assert files.names() == before
        with pytest.raises(Unavailable):
            put(bad, files, "a", bytes(LARGE + 1))
        assert listed(store) == {"a": LARGE}
        proxy.weather.fault = Fault.NONE
        assert listed(bad) == {"a": LARGE}
        bad.close()


class TestPlaces:
    def test_names_that_a_shell_would_understand_are_only_names(
        self, server: Sshd, tmp_path: Path, files: Files
    ) -> None:
        victim = tmp_path / "victim"
        victim.write_bytes(b"precious")
        store = open_store(server, tmp_path / f"$(rm {victim.name})`rm victim`'; rm -f *'")
        name = "$(rm victim); 'rm' \"victim\" & `rm victim` | *"
        put(store, files, name, b"content")
        assert listed(store) == {name: 7}
        assert files.fetched(store, name) == b"content"
        store.delete(key(name))
        assert listed(store) == {}
        store.close()
        assert victim.read_bytes() == b"precious"

    def test_what_a_login_file_prints_is_passed_over(self, server: Sshd, store: FishStore, files: Files) -> None:
        login_file = server.folder / ".bashrc"
        login_file.write_text("echo Welcome; printf 'no end'\n")
        try:
            put(store, files, "a", b"content")
            assert store.stat(key("a")).size == 7
            assert files.fetched(store, "a") == b"content"
            assert listed(store) == {"a": 7}
        finally:
            login_file.unlink()

    def test_links_are_listed_as_what_they_lead_to(self, store: FishStore, files: Files, directory: Path) -> None:
        put(store, files, "a", b"content")
        (directory / "folder").mkdir()
        for name, target in {"dead": "nowhere", "-a link": "a", ".hidden": "a", "to folder": "folder"}.items():
            (directory / name).symlink_to(target)
        assert listed(store) == {"a": 7, "-a link": 7, ".hidden": 7}

    def test_an_interrupted_put_leaves_no_part(self, store: FishStore, files: Files, directory: Path) -> None:
        with pytest.raises(Interruption):
            store.put(key("a"), files.source(bytes(LARGE)), sent=interrupt)
        put(store, files, "b", b"content")
        assert listed(store) == {"b": 7}

    def test_what_a_killed_writer_left_is_not_listed_and_removed_after_days(
        self, store: FishStore, files: Files, directory: Path
    ) -> None:
        directory.mkdir()
        now = int(directory.stat().st_mtime)
        for name, days in {"old": 3, "new": 1}.items():
            part = directory / f"{unfinished.PART_PREFIX}{name}"
            part.write_bytes(b"half")
            os.utime(part, (now - days * 86_400,) * 2)
        assert listed(store) == {}
        put(store, files, "a", b"content")
        assert set(os.listdir(directory)) == {"a", f"{unfinished.PART_PREFIX}new"}

    def test_a_place_that_vanishes_is_an_error_and_not_made_again(
        self, store: FishStore, files: Files, directory: Path
    ) -> None:
        put(store, files, "a", b"content")
        shutil.rmtree(directory)
        for attempt in (store.list, lambda: store.stat(key("a"))):
            with pytest.raises(NoPlace, match="mounted"):
                attempt()
        with pytest.raises(StorageError):
            put(store, files, "b", b"content")
        assert not directory.exists()
