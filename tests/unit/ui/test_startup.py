"""What the program loads before it does anything: every run pays for it, also the one that only asks for a status."""

from __future__ import annotations

import subprocess
import sys

import pytest

SLOW_TO_LOAD = {
    "dataclasses",
    "inspect",
    "traceback",
    "subprocess",
    "random",
    "json",
    "datetime",
    "importlib.metadata",
    "rich",
}


def loaded_with(*modules: str) -> set[str]:
    code = f"import sys, {', '.join(modules)}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("action", ["showing", "removing", "backing_up", "restoring"])
def test_no_action_loads_what_is_slow_to_load(action: str) -> None:
    assert not loaded_with("twofold.ui.cli", f"twofold.ui.actions.{action}") & SLOW_TO_LOAD


def test_showing_backups_loads_neither_what_makes_them_nor_what_restores_them() -> None:
    found = loaded_with("twofold.ui.cli", "twofold.ui.actions.showing")
    assert not {name for name in found if name.startswith(("twofold.tree", "twofold.pipeline", "twofold.select."))}


@pytest.mark.parametrize("action", ["showing", "backing_up"])
def test_texts_for_people_who_ask_or_err_are_loaded_for_them_only(action: str) -> None:
    found = loaded_with("twofold.ui.cli", f"twofold.ui.actions.{action}")
    texts = {"twofold.ui.help", "twofold.ui.mistakes", "twofold.ui.documents", "difflib", "textwrap"}
    assert not found & texts
