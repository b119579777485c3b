"""The driver of docs/drivers.md, installed as a package of somebody else's: conformance, a backup, a restore."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.services.journey import travel
from tests.support.programs import REPOSITORY_ROOT, Program, Workspace

PAGE = (REPOSITORY_ROOT / "docs" / "drivers.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^`([\w.]+)`:.*?^```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder of installed packages with the one of the page."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    files = dict(BLOCKS)
    assert list(files) == ["pyproject.toml", "twofold_sqlite.py", "test_twofold_sqlite.py"]
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    project = tomllib.loads(files["pyproject.toml"])["project"]
    about = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_it_is_as_short_as_the_page_says() -> None:
    assert "in 130 lines all" in PAGE
    assert len(dict(BLOCKS)["twofold_sqlite.py"].splitlines()) < 135


@pytest.fixture
def quick_folder() -> Iterator[str]:
    """In memory if there is such a place, since the suite makes thousands of files durable."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield folder


def test_it_passes_the_conformance_suite(packages: Path, quick_folder: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(packages)]
    paths = os.pathsep.join([str(packages), str(REPOSITORY_ROOT / "src")])
    done = subprocess.run(
        [*command, "--rootdir", str(packages), "-c", os.devnull, "--basetemp", str(Path(quick_folder, "tests"))],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=packages,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 50


def test_a_whole_backup_through_the_command_line(twofold: Program, workspace: Workspace, packages: Path) -> None:
    variables = dict(twofold.variables)
    path = os.pathsep.join(filter(None, [variables.get("PYTHONPATH"), str(packages)]))
    extended = replace(twofold, variables=tuple((variables | {"PYTHONPATH": path}).items()))
    travel(extended, workspace, f"sqlite://{os.fsdecode(workspace.path('backups.db'))}")
    assert sorted(os.listdir(packages)) == sorted([*dict(BLOCKS), "twofold_sqlite-1.0.dist-info", "__pycache__"])


def test_without_the_package_the_scheme_is_unknown(twofold: Program, workspace: Workspace) -> None:
    done = workspace.run(twofold, "validate-storage", "sqlite:///srv/backups.db").expect(23)
    assert "scheme not supported in url: sqlite:///srv/backups.db" in done.stderr
