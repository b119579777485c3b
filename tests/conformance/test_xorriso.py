"""The driver of xorriso on image files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.process import program
from twofold.errors import InvalidUrl, MissingLibrary, NoPlace, StorageError, Unavailable, Unsupported
from twofold.storage.drivers.xorriso import Image, XorrisoStore
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, key, listed, put
from twofold.storage.url import StorageUrl


def opened(image: Path, directory: str = "/some where/daily", **variables: str) -> XorrisoStore:
    environment = {"PATH": os.path.dirname(program("xorriso")), **variables}
    return XorrisoStore.from_url(StorageUrl.parse(f"xorriso://{image}:{directory}"), StoreSettings(environment))


class TestXorrisoStore(StoreConformance):
    @pytest.fixture
    def image(self, tmp_path: Path) -> Path:
        return tmp_path / "image of a disc.iso"

    @pytest.fixture
    def place(self, image: Path) -> Callable[[], Store]:
        return lambda: opened(image)

    def test_1100_files_are_listed_once_each(self, store: Store, image: Path, files: Files) -> None:
        """Each put would be a session, so they are laid down in one."""
        one = files.source(b"x")
        names = {f"duplicity-full.20261122T044630Z.vol{number}.difftar.gpg" for number in range(1100)}
        mapping = [word for name in names for word in ("-map", one, f"/some where/daily/{name}")]
        subprocess.run([program("xorriso"), "-dev", image, *mapping, "-commit"], check=True, capture_output=True)
        assert listed(store) == dict.fromkeys(names, 1)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return tmp_path / "image.iso"


@pytest.fixture
def store(image: Path) -> XorrisoStore:
    return opened(image)


class TestImages:
    @pytest.mark.parametrize(
        ("url", "device", "path"),
        [
            ("xorriso:///dev/sr0", "/dev/sr0", "/n"),
            ("xorriso:///dev/sr0:/", "/dev/sr0", "/n"),
            ("xorriso:///dev/sr0:/a/b/", "/dev/sr0", "/a/b/n"),
            ("xorriso:///a:b.iso:/c", "/a:b.iso", "/c/n"),
            ("xorriso://a/b.iso", "HERE/a/b.iso", "/n"),
        ],
    )
    def test_a_url_names_an_image_and_a_directory(self, url: str, device: str, path: str) -> None:
        image = Image.of(StorageUrl.parse(url), {})
        assert (image.device, image.path("n")) == (device.replace("HERE", os.getcwd()), path)

    def test_one_without_an_image_is_refused(self) -> None:
        with pytest.raises(InvalidUrl, match="No image"):
            Image.of(StorageUrl.parse("xorriso:///:/x"), {})

    def test_a_file_that_is_no_image_is_left_alone(self, store: XorrisoStore, image: Path, files: Files) -> None:
        content = os.urandom(LARGE)
        image.write_bytes(content)
        with pytest.raises(Unsupported, match="no ISO image"):
            put(store, files, "a", b"content")
        assert image.read_bytes() == content

    def test_where_there_is_no_directory_no_image_is_made(self, tmp_path: Path, files: Files) -> None:
        with pytest.raises(StorageError):
            put(opened(tmp_path / "not mounted" / "image.iso"), files, "a", b"content")
        assert not (tmp_path / "not mounted").exists()

    def test_one_that_disappears_is_not_an_empty_one(self, store: XorrisoStore, image: Path, files: Files) -> None:
        put(store, files, "a", b"content")
        image.unlink()
        with pytest.raises(NoPlace):
            list(store.list())
        with pytest.raises(NoPlace):
            store.delete(key("a"))
        with pytest.raises(StorageError):
            put(store, files, "b", b"content")
        assert not image.exists()

    def test_a_missing_program_is_named(self, image: Path, tmp_path: Path, files: Files) -> None:
        with pytest.raises(MissingLibrary, match="XORRISO_PATH"):
            put(opened(image, XORRISO_PATH=str(tmp_path / "none")), files, "a", b"content")
        assert not image.exists()

    def test_variables_are_handed_on(self, image: Path, files: Files) -> None:
        put(opened(image, XORRISO_ARGS="-volid 'MY DISC'", XORRISO_WRITE_SPEED="max"), files, "a", b"content")
        put(opened(image, XORRISO_ASSERT_VOLID="MY*"), files, "b", b"content")
        assert listed(opened(image, XORRISO_ASSERT_VOLID="MY DISC")) == {"a": 7, "b": 7}
        with pytest.raises(StorageError, match="volid"):
            put(opened(image, XORRISO_ASSERT_VOLID="OTHER"), files, "c", b"content")


class TestSafety:
    def test_a_killed_session_leaves_the_one_before(self, store: XorrisoStore, image: Path, files: Files) -> None:
        put(store, files, "a", b"old")
        before, new = image.stat().st_size, os.urandom(8 * LARGE)
        mapping = ("-map", files.source(new), "/some where/daily/a")
        with subprocess.Popen(
            [program("xorriso"), "-dev", image, *mapping, "-commit"], stderr=subprocess.DEVNULL
        ) as writing:
            while image.stat().st_size == before and writing.poll() is None:
                pass
            writing.kill()
        assert files.fetched(store, "a") in {b"old", new}
        put(store, files, "b", b"new")
        assert files.fetched(store, "b") == b"new"

    def test_two_writers_exclude_each_other(self, store: XorrisoStore, image: Path, files: Files) -> None:
        put(store, files, "a", b"content")

        def meanwhile(_count: int) -> None:
            with pytest.raises(Unavailable):
                put(opened(image), files, "b", b"content")

        store.put(key("c"), files.source(b"content"), sent=meanwhile)
        assert listed(store) == {"a": 7, "c": 7}
