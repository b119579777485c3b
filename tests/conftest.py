"""What every test may count on: no settings of the person who runs it, and the programs that are compared."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import gnupg, programs
from tests.support.gnupg import GnupgHome
from tests.support.programs import Program, Workspace
from tests.support.tally import write_tally
from tests.support.tools import in_ci

PERSONAL = ("PASSPHRASE", "SIGN_PASSPHRASE", "BACKEND_PASSWORD", "FTP_PASSWORD", "GNUPGHOME", "XDG_CONFIG_HOME")

settings.register_profile("twofold", deadline=None, derandomize=in_ci(), print_blob=True)
settings.load_profile("twofold")


def pytest_configure(config: pytest.Config) -> None:
    """Takes the caller's passphrases and cache out of reach before any test module is imported."""
    for name in PERSONAL:
        os.environ.pop(name, None)
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    os.environ.setdefault("PIP_CACHE_DIR", str(Path(cache) / "pip"))
    folder = tempfile.TemporaryDirectory(prefix="twofold-cache-")
    os.environ["XDG_CACHE_HOME"] = folder.name
    config.add_cleanup(folder.cleanup)


def pytest_sessionfinish() -> None:
    """Each worker leaves what its tests have counted where tests.reliability asks for it."""
    folder = os.environ.get("TWOFOLD_TEST_TALLY")
    if folder:
        write_tally(folder)


@pytest.fixture(scope="session")
def gnupg_home() -> Iterator[GnupgHome]:
    with gnupg.gnupg_home() as home:
        yield home


@pytest.fixture(scope="session")
def public_gnupg_home(gnupg_home: GnupgHome) -> Iterator[GnupgHome]:
    with gnupg.public_only(gnupg_home) as home:
        yield home


@pytest.fixture(scope="session")
def twofold() -> Program:
    return programs.find_twofold()


@pytest.fixture(scope="session")
def duplicity() -> Program:
    return programs.find_duplicity()


@pytest.fixture
def workspace(tmp_path: Path, gnupg_home: GnupgHome) -> Workspace:
    return Workspace.below(os.fsencode(tmp_path), gnupg_home=gnupg_home.path)


@pytest.fixture(scope="session")
def swift_port() -> Iterator[int]:
    """Five processes, which take their time: one Swift for all modules."""
    from tests.servers import swift

    with swift.swift() as running:
        yield running.port
