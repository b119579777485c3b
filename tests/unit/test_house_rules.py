"""The house rules that no linter knows: sizes of modules and functions, marks, what tracked files must not hold."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import REPOSITORY_ROOT
from tests.support.tools import require_tool

SOURCE = REPOSITORY_ROOT / "src" / "twofold"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST_MODULE = 400
LONGEST_FUNCTION = 40

LONG_MODULES: dict[str, str] = {}
"""Data tables that may be longer, with the reason."""

LONG_FUNCTIONS: dict[str, str] = {}
"""Hot loops that may be longer, with the reason."""

# Put together here, so that this file does not break the rules that it checks.
UNFINISHED = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
MARK = "COM" + "PAT:"
MARK_WITH_VERSION = re.compile(MARK + r" duplicity (?:<=|<|>=) \d+\.\d+")
BUILD_PATHS = re.compile(b"|".join((b"/" + b"work/", b"/" + b"opt/dup")))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    for node in ast.iter_child_nodes(tree):
        inner = prefix
        if isinstance(node, Function | ast.ClassDef):
            inner = f"{prefix}{node.name}."
        if isinstance(node, Function):
            yield inner[:-1], node
        yield from _functions(node, inner)


def _length(function: Function) -> int:
    """Lines from the first decorator or `def` to the end, without the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def _long_functions(path: Path) -> dict[str, int]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {f"{_name(path)}:{name}": _length(function) for name, function in _functions(tree)}
    return {name: lines for name, lines in found.items() if lines > LONGEST_FUNCTION}


def _tracked() -> list[Path]:
    if not (REPOSITORY_ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nothing is tracked")
    command = [require_tool("git"), "-C", str(REPOSITORY_ROOT), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout
    names = [REPOSITORY_ROOT / name.decode() for name in listed.split(b"\0") if name]
    return [path for path in names if path.is_file() and not path.is_symlink()]


def test_the_source_is_where_the_rules_look() -> None:
    assert {"__main__.py", "ui/cli.py", "operations/backup.py"} <= {_name(path) for path in MODULES}


def test_no_module_is_longer_than_a_person_can_oversee() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    long = {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE}
    assert {name: lines for name, lines in long.items() if name not in LONG_MODULES} == {}
    assert LONG_MODULES.keys() <= long.keys(), "an exemption that nothing needs any more"


def test_no_function_is_longer_than_a_screen() -> None:
    long = {name: lines for path in MODULES for name, lines in _long_functions(path).items()}
    assert {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS} == {}
    assert LONG_FUNCTIONS.keys() <= long.keys(), "an exemption that nothing needs any more"


def test_the_length_of_a_function_is_measured_without_its_docstring() -> None:
    text = (
        'def f():\n    """One.\n\n    Two.\n    """\n    return 1\n\n\nclass C:\n    def g(self):\n        return 2\n'
    )
    lengths = {name: _length(function) for name, function in _functions(ast.parse(text))}
    assert lengths == {"f": 2, "C.g": 2}


@pytest.mark.parametrize("folder", ["src", "tests", "native", "bench", "scripts", "demo", "docs"])
def test_nothing_is_left_for_later(folder: str) -> None:
    endings = {".py", ".pyi", ".rs", ".toml", ".sh", ".md"}
    paths = [path for path in (REPOSITORY_ROOT / folder).rglob("*") if path.suffix in endings and path.is_file()]
    assert paths
    found = [
        f"{path.relative_to(REPOSITORY_ROOT)}:{number}: {line.strip()}"
        for path in paths
        if "target" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if UNFINISHED.search(line)
    ]
    assert found == []


def test_behaviour_for_old_archives_names_the_version_it_is_for() -> None:
    marked = [
        (f"{_name(path)}:{number}", line)
        for path in MODULES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if MARK in line
    ]
    assert [place for place, line in marked if not MARK_WITH_VERSION.search(line)] == []


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    found = []
    for path in _tracked():
        content = path.read_bytes()
        if b"\0" in content[:4096]:
            continue  # archives of tests
        found += [
            f"{path.relative_to(REPOSITORY_ROOT)}: {line.decode(errors='replace').strip()[:120]}"
            for line in content.split(b"\n")
            if BUILD_PATHS.search(line)
        ]
    assert found == []


def test_only_the_user_interface_prints() -> None:
    """`print` is found by ruff; this finds what goes around it."""
    direct = re.compile(r"\bsys\.(?:stdout|stderr)\b")
    found = [
        _name(path)
        for path in MODULES
        if not _name(path).startswith("ui/") and direct.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["__main__.py"]
