"""docs/differences.md proves what it says: each rough edge has its row, and each row names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.support.programs import REPOSITORY_ROOT


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    document = (REPOSITORY_ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    section = document.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


@cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((REPOSITORY_ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


EDGES = rows("The rough edges")


def test_every_rough_edge_has_a_row() -> None:
    assert [row[0] for row in EDGES] == [str(number) for number in range(1, 38)]
    assert all(len(row) == 5 and all(row) for row in EDGES)


@pytest.mark.parametrize("row", EDGES, ids=lambda row: str(row[0]))
def test_the_tests_that_a_row_names_exist(row: list[str]) -> None:
    named = re.findall(r"`([^`]+\.py)::(test_\w+)`", row[4])
    assert named
    assert [f"{file}::{name}" for file, name in named if name not in names_in(file)] == []
