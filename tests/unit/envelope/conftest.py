"""Settings for real gpg on throw-away keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.envelopes import gpg_settings
from tests.support.gnupg import GnupgHome
from twofold.envelope.gpg_command import GpgSettings

MakeSettings = Callable[..., GpgSettings]


@pytest.fixture
def settings(gnupg_home: GnupgHome, tmp_path: Path) -> MakeSettings:
    def make(**changes: object) -> GpgSettings:
        return gpg_settings(gnupg_home.path, tmp_path / "scratch", **changes)

    return make
