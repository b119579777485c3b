"""`pip install .` into an empty environment, with a Rust tool chain and without: what a packager or a user gets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.golden_tree import GoldenTree, build_step
from tests.support.programs import REPOSITORY_ROOT, Outcome, Program, Workspace
from tests.support.tools import require_tool, unavailable
from tests.support.tree import Fidelity, assert_same_tree

pytestmark = pytest.mark.slow

SOURCES = ("src", "native", "docs/man", "completions", "pyproject.toml", "setup.py", "README.md", "LICENSE")
BUILT = ("__pycache__", "target", "*.so", "*.egg-info")
NO_NETWORK = re.compile(r"name resolution|Connection (?:refused|broken)|Max retries|NewConnectionError|timed out")
BUILD_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment of its own with nothing but twofold and what it depends on."""

    folder: Path
    log: str

    @property
    def program(self) -> Program:
        return Program("twofold", (str(self.folder / "bin" / "twofold"),))

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.folder / "bin" / "python"), "-I", "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def _install(folder: Path, *, search_path: str, home: str) -> Installed:
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        origin = REPOSITORY_ROOT / name
        if origin.is_dir():
            shutil.copytree(origin, source / name, ignore=shutil.ignore_patterns(*BUILT))
        else:
            shutil.copy(origin, source / name)
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, timeout=120)
    personal = ("PYTHONPATH", "CARGO", "RUSTC", "VIRTUAL_ENV")
    variables = {key: value for key, value in os.environ.items() if key not in personal}
    variables |= {"PATH": search_path, "HOME": home}
    variables["CARGO_TARGET_DIR"] = str(REPOSITORY_ROOT / "native" / "target")
    command = [str(environment / "bin" / "python"), "-m", "pip", "--verbose", "install", str(source)]
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS, cwd=folder
    )
    log = done.stdout + done.stderr
    if done.returncode != 0 and NO_NETWORK.search(log):
        unavailable("The package index cannot be reached")
    assert done.returncode == 0, log[-4000:]
    return Installed(environment, log)


@pytest.fixture(scope="module")
def without_rust(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("without-rust")
    tools = folder / "tools"
    tools.mkdir()
    for name in ("gpg", "gcc", "sh"):
        (tools / name).symlink_to(require_tool(name))
    home = folder / "home"
    home.mkdir()
    assert shutil.which("cargo", path=str(tools)) is None
    return _install(folder, search_path=str(tools), home=str(home))


@pytest.fixture(scope="module")
def with_rust(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    finder = REPOSITORY_ROOT / "scripts" / "find_cargo.sh"
    found = subprocess.run([str(finder)], capture_output=True, text=True, check=False, timeout=60)
    if found.returncode != 0:
        unavailable(found.stderr.strip())
    folder = tmp_path_factory.mktemp("with-rust")
    search_path = os.pathsep.join([found.stdout.strip(), os.environ["PATH"]])
    return _install(folder, search_path=search_path, home=os.environ["HOME"])


def _back_up_and_restore(installed: Installed, workspace: Workspace) -> list[Outcome]:
    """A full backup and an incremental, and the proof that they restore; returns all that was said."""
    source, target = workspace.path("source"), workspace.path("restored")
    said = []
    for step, action in enumerate(("full", "incremental")):
        build_step(GoldenTree.SMALL, source, step)
        time = str(1_700_000_000 + step)
        words = (action, "--no-encryption", "--current-time", time, source, workspace.url())
        said.append(workspace.run(installed.program, *words).expect())
    said.append(workspace.run(installed.program, "restore", "--no-encryption", workspace.url(), target).expect())
    assert_same_tree(target, source, fidelity=Fidelity.FULL)
    return said


def _lines_about_the_kernel(outcome: Outcome) -> list[str]:
    return [line for line in (outcome.stdout + outcome.stderr).splitlines() if "kernel" in line.lower()]


def test_it_installs_without_rust_and_names_its_version(without_rust: Installed, workspace: Workspace) -> None:
    said = workspace.run(without_rust.program, "--version").expect()
    assert re.fullmatch(r"twofold \d+\.\d+\S*\n", said.stdout)
    assert said.stderr == ""
    assert without_rust.python("import twofold._native").returncode != 0


def test_without_the_kernel_a_backup_works_and_one_line_warns(without_rust: Installed, workspace: Workspace) -> None:
    for outcome in _back_up_and_restore(without_rust, workspace):
        assert len(_lines_about_the_kernel(outcome)) == 1, str(outcome)


def test_with_rust_the_kernel_is_there_and_nothing_warns(with_rust: Installed, workspace: Workspace) -> None:
    loaded = with_rust.python("import twofold._native, twofold.rsync; print(twofold.rsync.IMPLEMENTATION)")
    assert loaded.stdout == "native\n", loaded.stderr + with_rust.log[-4000:]
    for outcome in _back_up_and_restore(with_rust, workspace):
        assert _lines_about_the_kernel(outcome) == [], str(outcome)


def test_the_type_marker_and_the_kernel_s_stub_are_shipped(without_rust: Installed) -> None:
    listed = without_rust.python("import twofold, os; print(sorted(os.listdir(os.path.dirname(twofold.__file__))))")
    assert "'py.typed'" in listed.stdout
    assert "'_native.pyi'" in listed.stdout
    assert "tests" not in without_rust.python("import importlib.util as u; print(u.find_spec('tests'))").stdout


def test_the_manual_page_and_the_completions_are_where_they_are_looked_for(without_rust: Installed) -> None:
    variables = {"PATH": f"{without_rust.folder / 'bin'}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    found = subprocess.run(
        [require_tool("man"), "-w", "twofold"], capture_output=True, text=True, env=variables, check=False
    )
    share = without_rust.folder / "share"
    assert found.stdout == f"{share}/man/man1/twofold.1\n", found.stderr
    for name in (
        "bash-completion/completions/twofold.bash",
        "zsh/site-functions/_twofold",
        "fish/vendor_completions.d/twofold.fish",
    ):
        assert (share / name).is_file()
