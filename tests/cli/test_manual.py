"""The manual page as people meet it, and what the help says of the program's gaps."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.cli.scene import Scene
from tests.support.programs import REPOSITORY_ROOT
from tests.support.tools import require_tool
from twofold.ui.help import NOT_AVAILABLE, help_text
from twofold.ui.option import Option
from twofold.ui.options import OPTIONS

PAGE = str(REPOSITORY_ROOT / "docs" / "man" / "twofold.1")
MISSING = [option for option in OPTIONS if option.missing]


def _rendered(command: list[str], width: int = 80) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MANWIDTH": str(width), "TERM": "dumb"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, env=variables)


def test_man_renders_the_page_without_warnings() -> None:
    require_tool("groff")
    done = _rendered([require_tool("man"), "--warnings", "-l", PAGE])
    assert (done.returncode, done.stderr) == (0, "")
    assert "twofold - encrypted, incremental backups in duplicity's format" in done.stdout
    assert "\n       -v, --verbosity LEVEL\n" in done.stdout
    assert "twofold restore --time 3D --path-to-restore letters/may.txt \\\n" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_mandoc_finds_nothing_to_complain_about() -> None:
    done = _rendered([require_tool("mandoc"), "-T", "lint", "-W", "style", PAGE])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("option", MISSING, ids=lambda option: option.name)
def test_options_that_the_help_calls_missing_say_so_themselves(plain: Scene, option: Option) -> None:
    words = [f"--{option.name}", *["1"] * option.values_wanted]
    said = plain.back_up(*words, expect=23).stderr
    assert f"--{option.name} is not available in this version" in said
    text = " ".join(help_text("all", program="twofold").split())
    assert f"{option.help} ({NOT_AVAILABLE}" in text
