"""`make demo` as a newcomer runs it: it must succeed, show what it does, and fail when a restored file is wrong."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import REPOSITORY_ROOT, Program
from tests.support.tools import require_tool
from tests.support.tree_editor import plain_text

pytestmark = pytest.mark.slow

DEMO = str(REPOSITORY_ROOT / "demo" / "demo.sh")
NEEDED_FILES = ("os.py", "argparse.py", "socket.py", "json/decoder.py", "email/message.py")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """For temporary files: gpg-agent's socket lies below it, and its path must fit in 108 characters."""
    with tempfile.TemporaryDirectory(prefix="twofold-") as folder:
        yield Path(folder)


@pytest.fixture
def some_files(tmp_path: Path) -> Path:
    """A small stand-in for Python's library, with the names that the demonstration changes."""
    folder = tmp_path / "files"
    for name in NEEDED_FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plain_text(name, 20_000).replace(b" ", b"\n"))
    return folder


def _wrapper(folder: Path, program: Program, *, afterwards: str = "") -> str:
    """A program that may do something of its own after the real one has succeeded."""
    variables = " ".join(f"{name}='{value}'" for name, value in program.variables)
    command = " ".join(f"'{word}'" for word in program.command)
    path = folder / "twofold"
    path.write_text(f'#!/usr/bin/env bash\nset -e\n{variables} {command} "$@"\n{afterwards}\n')
    path.chmod(0o755)
    return str(path)


def _run(some_files: Path, program: str, *, temporary: Path) -> subprocess.CompletedProcess[str]:
    require_tool("gpg")
    variables = {**os.environ, "TWOFOLD": program, "DEMO_SOURCE": str(some_files), "TMPDIR": str(temporary)}
    return subprocess.run(
        [DEMO], env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_demonstration_succeeds_and_cleans_up(
    some_files: Path, tmp_path: Path, short_folder: Path, twofold: Program
) -> None:
    done = _run(some_files, _wrapper(tmp_path, twofold), temporary=short_folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Both states came back exactly as they were" in done.stdout
    for command in ("full", "incremental", "collection-status", "list-current-files", "verify", "restore"):
        assert f"\n$ twofold {command} " in done.stdout
    assert list(short_folder.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    ["echo damaged >> restored-before/argparse.py", "chmod 640 restored-before/os.py", "touch restored-before/email"],
)
def test_the_demonstration_fails_when_a_restored_file_is_wrong(
    damage: str, some_files: Path, tmp_path: Path, short_folder: Path, twofold: Program
) -> None:
    program = _wrapper(tmp_path, twofold, afterwards=f"if [ -d restored-before ]; then {damage}; fi")
    done = _run(some_files, program, temporary=short_folder)
    assert done.returncode != 0
    assert "\n$ diff -r --no-dereference before restored-before\n" in done.stdout, done.stdout + done.stderr
    assert "the demonstration has failed" in done.stderr
    assert "Both states came back" not in done.stdout
