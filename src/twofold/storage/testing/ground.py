"""What the conformance tests start from: stores on one place, local files, and a few words to speak of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from twofold.model.backup import FileRole
from twofold.storage.store import Key, Store, ability

T = TypeVar("T")

ODD_NAMES = (
    "with space",
    " space at both ends ",
    "a+b",
    "100%",
    "a%20b",
    "%2Fetc",
    "ü",
    "e\u0301 composed or not \u00e9",
    "日本語",
    "-leading dash",
    ".leading dot",
    "~tilde",
    "a#b?c&d=e;f",
    "'single' \"double\" `back`",
    "back\\slash",
    "star*[x]",
    "two..dots..",
    "duplicity-full.20261122T044630Z.vol1.difftar.gpg",
    "n" * 255,
    "ü" * 127,
)

LARGE = 3 * (1 << 20) + 17


class Interruption(BaseException):
    """Stands for a signal in the middle of a transfer."""


def key(name: str) -> Key:
    """A key for a test file."""
    return Key(FileRole.VOLUME, name)


def need(store: Store, wanted: Callable[..., T]) -> T:
    """The ability, or a visible skip."""
    found = ability(store, wanted)
    if found is None:
        pytest.skip(f"this store has not the ability {wanted.__name__}")
    return found


def interrupt(_count: int) -> None:
    """A ByteCounter that ends the transfer."""
    raise Interruption


class Files:
    """Local files that a test sends and receives, in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir()
        self._made = 0

    def source(self, content: bytes) -> str:
        """The path of a new file with this content."""
        path = self.target()
        Path(path).write_bytes(content)
        return path

    def target(self) -> str:
        """A path where nothing is yet."""
        self._made += 1
        return str(self._directory / f"file {self._made}")

    def names(self) -> set[str]:
        """What lies in the directory now."""
        return set(os.listdir(self._directory))

    def fetched(self, store: Store, name: str) -> bytes:
        """The content of a stored file."""
        target = self.target()
        store.get(key(name), target)
        return Path(target).read_bytes()


def put(store: Store, files: Files, name: str, content: bytes) -> None:
    """Stores a content."""
    store.put(key(name), files.source(content))


def listed(store: Store) -> dict[str, int]:
    """Names and sizes of a listing, which must not hold a name twice."""
    found = list(store.list())
    assert len({file.name for file in found}) == len(found)
    return {file.name: file.size for file in found}


class GivenStores:
    """What the tests below start from."""

    @pytest.fixture
    def place(self) -> Callable[[], Store]:
        """Override: opens a Store on one place, absent at first and the same at every call within a test."""
        raise NotImplementedError

    @pytest.fixture
    def stores(self, place: Callable[[], Store]) -> Iterator[Callable[[], Store]]:
        """As `place`, and closes at the end of the test."""
        opened: list[Store] = []

        def open_another() -> Store:
            opened.append(place())
            return opened[-1]

        yield open_another
        for store in opened:
            store.close()

    @pytest.fixture
    def store(self, stores: Callable[[], Store]) -> Store:
        """One Store on the place."""
        return stores()

    @pytest.fixture
    def files(self, tmp_path: Path) -> Files:
        """Local files beside the place."""
        return Files(tmp_path / "local files")
