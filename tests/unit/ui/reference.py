"""What the tables of docs/cli.md say of duplicity's command line: the list that the option table is held against."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from tests.support.programs import REPOSITORY_ROOT

NOTHING = "\N{EN DASH}"
"""What stands in a cell where others have a value."""

_CODE = re.compile(r"`([^`]*)`")


class Row(NamedTuple):
    """One option of section 2.2."""

    name: str
    short: str
    aliases: tuple[str, ...]
    value: str
    default: str
    scope: str
    effect: str


@cache
def _tables() -> dict[str, tuple[tuple[str, ...], ...]]:
    """The rows of the tables below each heading, by its number; cells without the blanks around them."""
    found: dict[str, list[tuple[str, ...]]] = {}
    section = ""
    for line in (REPOSITORY_ROOT / "docs" / "cli.md").read_text(encoding="utf-8").splitlines():
        heading = re.match(r"#+ ([0-9.]+)", line)
        if heading is not None:
            section = heading[1].rstrip(".")
        elif line.startswith("|") and not set(line) <= set("|- "):
            cells = tuple(cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            found.setdefault(section, []).append(cells)
    return {number: tuple(rows[1:]) for number, rows in found.items()}


def codes(text: str) -> list[str]:
    """What stands in backticks."""
    return _CODE.findall(text)


def options() -> list[Row]:
    rows = []
    for name, short, value, default, scope, effect in _tables()["2.2"]:
        other = codes(short)
        letter = next((text[1:] for text in other if not text.startswith("--")), "")
        aliases = tuple(text[2:] for text in other if text.startswith("--"))
        rows.append(Row(codes(name)[0][2:], letter, aliases, value, default, scope, effect))
    return rows


def helps() -> list[str]:
    """The names of the thirteen help options."""
    text = (REPOSITORY_ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    paragraph = text.partition("Help options, in addition:")[2].partition("\n\n")[0]
    return [name[2:] for name in codes(paragraph) if name.startswith("--")]


class ActionRow(NamedTuple):
    """One action of section 1.1."""

    name: str
    short_names: tuple[str, ...]
    words: tuple[str, ...]
    needs_force: bool


def actions() -> list[ActionRow]:
    return [
        ActionRow(codes(name)[0], tuple(codes(short)), tuple(words.split()), force == "yes")
        for name, short, words, force, _ in _tables()["1.1"]
    ]


def changed_options() -> list[str]:
    """The old options of section 2.3, with their two dashes and without values."""
    return [code.split()[0] for row in _tables()["2.3"] for code in codes(row[0])]


def variables() -> list[str]:
    """The variables of section 3.1."""
    return [name for row in _tables()["3.1"] for name in codes(row[0])]


def credentials() -> set[str]:
    """The variables of section 3.2 whose name tells that they hold a secret or a login."""
    names = {name for row in _tables()["3.2"] for name in codes(row[1]) if re.fullmatch(r"[A-Z][A-Z0-9_]+", name)}
    stems = [f"SWIFT_{name.removeprefix('PCA_')}" for name in names if name.startswith("PCA_")]
    return {
        name for name in (*names, *stems) if re.search(r"PASSWORD|TOKEN|SECRET|APIKEY|_KEY|CONNECTION_STRING", name)
    }


def times() -> list[tuple[str, int]]:
    """The checked values of section 4: what is typed, and seconds since 1970."""
    pairs = []
    for row in _tables()["4"]:
        for typed, result in ((row[0], row[1]), (row[3], row[4])):
            pairs += [(code, int(result.split()[0])) for code in codes(typed)]
    return pairs


def refused_times() -> list[str]:
    text = (REPOSITORY_ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    return codes(text.partition("Refused (23): ")[2].partition("\n\n")[0])
