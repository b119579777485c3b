"""Scenes without encryption and with a passphrase; both play in UTC and leave no temporary files behind."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.scene import PASSPHRASE, Scene, make_scene
from tests.support.gnupg import GnupgHome
from tests.support.tools import unavailable


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def plain(tmp_path: Path, utc: None) -> Iterator[Scene]:
    """A scene without encryption."""
    scene = make_scene(tmp_path, ("--no-encryption",), {})
    yield scene
    assert os.listdir(tmp_path / "tmp") == []


@pytest.fixture
def symmetric(tmp_path: Path, utc: None, gnupg_home: GnupgHome) -> Iterator[Scene]:
    """A scene that is encrypted with a passphrase."""
    # Deriving a key from a passphrase takes gpg a tenth of a second unless told otherwise.
    settings = ("--gpg-options=--s2k-count=65536",)
    scene = make_scene(tmp_path, settings, {"PASSPHRASE": PASSPHRASE, "GNUPGHOME": gnupg_home.path})
    yield scene
    assert os.listdir(tmp_path / "tmp") == []


@pytest.fixture(params=["plain", "symmetric"])
def scene(request: pytest.FixtureRequest) -> Scene:
    """Both in turn."""
    found: Scene = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "twofold-test", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        unavailable("no right to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
