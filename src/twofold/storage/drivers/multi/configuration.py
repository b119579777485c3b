"""What multi:// is told: the parameters of its URL, and the file that lists the stores (docs/cli.md section 5.3).

Pure. What is wrong is a StorageError, as in duplicity; no message repeats what the file says: there may be passwords.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import Enum
from typing import TypeVar

from twofold.errors import StorageError
from twofold.model.value import value

E = TypeVar("E", bound=Enum)


class Mode(Enum):
    """Whether a file goes to each store, or to one of them."""

    STRIPE = "stripe"
    MIRROR = "mirror"


class OnFailure(Enum):
    """Whether a store that fails is passed over, as long as another one does not, or the write fails with it."""

    CONTINUE = "continue"
    ABORT = "abort"


@value
class Plan:
    """What stands behind the question mark of the URL; `subpath` is put behind every store's URL."""

    mode: Mode = Mode.STRIPE
    on_failure: OnFailure = OnFailure.CONTINUE
    subpath: str = ""


@value
class Entry:
    """One store as the file describes it; the URL may hold a password, and variables do."""

    url: str
    description: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    prefixes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Entry({self.description!r})"


def read_plan(parameters: Iterable[tuple[str, str]], *, place: str) -> Plan:
    """What the parameters say. Raises StorageError for what duplicity refuses as well."""
    given: dict[str, str] = {}
    for name, text in parameters:
        if name not in {"mode", "onfail", "subpath"}:
            raise StorageError(f"{place}: unknown parameter {name}; there are mode, onfail and subpath")
        if name in given:
            raise StorageError(f"{place}: more than one value for {name}")
        given[name] = text
    return Plan(
        _chosen(Mode, "mode", given, place=place) or Mode.STRIPE,
        _chosen(OnFailure, "onfail", given, place=place) or OnFailure.CONTINUE,
        given.get("subpath", ""),
    )


def _chosen(kind: type[E], name: str, given: dict[str, str], *, place: str) -> E | None:
    if name not in given:
        return None
    try:
        return kind(given[name])
    except ValueError as error:
        choices = " or ".join(each.value for each in kind)
        raise StorageError(f"{place}: {name} is {choices}, not {given[name]}") from error


def read_entries(text: str, *, place: str) -> tuple[Entry, ...]:
    """The stores that a configuration describes; no message repeats any of it. Raises StorageError."""
    try:
        described = json.loads(text)
    except ValueError as error:
        where = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise StorageError(f"The list of stores of {place} is no JSON: there is a mistake{where}") from None
    if not isinstance(described, list) or not described:
        raise StorageError(f"The list of stores of {place} is none: it must be a JSON list of objects")
    return tuple(_entry(each, f"Store {number} of {place}") for number, each in enumerate(described, 1))


def _entry(described: object, what: str) -> Entry:
    if not isinstance(described, dict) or not isinstance(described.get("url"), str):
        raise StorageError(f'{what} has no "url"; it must be a JSON object with one')
    variables = described.get("env", [])
    prefixes = described.get("prefixes", [])
    description = described.get("description", "")
    if not isinstance(description, str):
        raise StorageError(f'The "description" of {what} is no text')
    if not isinstance(prefixes, list) or not all(isinstance(each, str) for each in prefixes):
        raise StorageError(f'The "prefixes" of {what} are no list of texts')
    if not isinstance(variables, list) or not all(map(_is_variable, variables)):
        raise StorageError(f'The "env" of {what} is no list of objects with "name" and "value"')
    pairs = tuple((each["name"], each["value"]) for each in variables)
    return Entry(described["url"], description, pairs, tuple(prefixes))


def _is_variable(described: object) -> bool:
    return isinstance(described, dict) and all(isinstance(described.get(word), str) for word in ("name", "value"))
