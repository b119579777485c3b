"""Desks in an empty folder; the programs are put there once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frontends.desk import Desk, furnish, install
from tests.support.gnupg import GnupgHome


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to be put first in PATH, where `duplicity` is twofold."""
    return install(tmp_path_factory.mktemp("programs"))


@pytest.fixture
def desk(tmp_path: Path, programs: Path, gnupg_home: GnupgHome) -> Desk:
    return furnish(tmp_path, programs=programs, gnupg_home=gnupg_home.path)
