"""The table of defects in docs/differences.md is complete, and each of its tests exists."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.programs import REPOSITORY_ROOT

ROW = re.compile(r"^\| (\d+) \| .+ \| .+ \| .+ \| `(tests/[\w/]+\.py)::(\w+)` \|$", re.MULTILINE)


def _rows() -> list[tuple[int, str, str]]:
    text = (REPOSITORY_ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    return [(int(number), path, name) for number, path, name in ROW.findall(text.partition("\n## Defects\n")[2])]


def test_the_table_has_a_row_for_each_defect_of_the_specification() -> None:
    text = (REPOSITORY_ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    section = text.partition("\n## 15. ")[2].partition("\n---")[0]
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", section, re.MULTILINE)]
    assert numbers == list(range(1, 14))
    assert [number for number, _, _ in _rows()] == numbers


@pytest.mark.parametrize(("number", "path", "name"), _rows(), ids=str)
def test_the_test_of_a_row_exists(number: int, path: str, name: str) -> None:
    tree = ast.parse((REPOSITORY_ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"row {number}"
