"""The settings of exec://: a TOML file with the commands that store, fetch, list and delete.

A command is a list of words and runs without a shell. In its words stand {name}, the name of the stored file, {local},
the path of the file here, {to}, the name that a file is to get, and the parameters of the URL. Everything is checked
before anything runs; whoever can change the file can run what he likes, so nobody but its owner may.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping

from twofold.errors import InvalidUrl
from twofold.model.value import value
from twofold.storage.places import local_directory
from twofold.storage.store import StoredFile
from twofold.storage.told_numbers import told_number
from twofold.storage.url import StorageUrl

Words = tuple[str, ...]

_NEEDED = {"put": {"local", "name"}, "get": {"local", "name"}, "list": set[str](), "delete": {"name"}}
_OPTIONAL = {"stat": {"name"}, "move": {"name", "to"}}
_NUMBERS = {"seconds": 3600, "parallel": 1}
_OURS = frozenset({"name", "local", "to"})
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_HARMLESS = re.compile(r"[\w/.,:=@%+-]*", re.ASCII)
_LINE = re.compile(r"[ \t]*([0-9]+)[ \t](.+)", re.DOTALL)
_ANYBODY_ELSE = 0o022


@value
class Commands:
    """What to run; `stat` and `move` may be missing. `seconds` is how long one command may take."""

    put: Words
    get: Words
    list: Words
    delete: Words
    stat: Words | None
    move: Words | None
    seconds: float
    parallel: int
    folder: str


def read_commands(url: StorageUrl) -> Commands:
    """Raises InvalidUrl when the file cannot be read, says something else, or can be changed by others."""
    path = local_directory(url)
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            if found.st_mode & _ANYBODY_ELSE or found.st_uid not in {0, os.geteuid()}:
                remedy = "its commands would run as you; make it yours with chown and chmod go-w"
                raise InvalidUrl(f"The settings of {url.redacted()} can be changed by others: {remedy}")
            if not stat.S_ISREG(found.st_mode):
                raise InvalidUrl(f"The settings of {url.redacted()} are no file; write exec:///path/settings.toml")
            settings = tomllib.load(file)
    except OSError as error:
        raise InvalidUrl(f"The settings of {url.redacted()} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidUrl(f"The settings of {url.redacted()} are no TOML: {error}") from error
    try:
        return checked(settings, url.query, folder=os.path.dirname(os.path.abspath(path)))
    except ValueError as error:
        raise InvalidUrl(f"The settings of {url.redacted()} cannot be used: {error}") from error


def checked(settings: Mapping[str, object], parameters: Mapping[str, str], *, folder: str) -> Commands:
    """The commands with the parameters put in. Raises ValueError with what is wrong."""
    known = _NEEDED | _OPTIONAL
    if unknown := settings.keys() - known.keys() - _NUMBERS.keys():
        raise ValueError(f"{min(unknown)} is unknown; known are {', '.join([*known, *_NUMBERS])}")
    if ours := _OURS & parameters.keys():
        raise ValueError(f"{min(ours)} cannot be a parameter of the URL")
    templates = {word: _template(word, settings.get(word)) for word in known}
    used = {
        word: {name for text in template for name in _PLACEHOLDER.findall(text)} for word, template in templates.items()
    }
    for word, needed in known.items():
        if templates[word] and (missing := needed - used[word]):
            raise ValueError(f"{word} lacks {{{min(missing)}}}")
    if unused := parameters.keys() - set[str]().union(*used.values()):
        raise ValueError(f"no command has {{{min(unused)}}}, which the URL sets")
    seconds, parallel = (_number(word, settings.get(word, usual)) for word, usual in _NUMBERS.items())
    put, get, listing, delete, look, move = (
        tuple(filled(templates[word], parameters)) for word in ("put", "get", "list", "delete", "stat", "move")
    )
    return Commands(put, get, listing, delete, look or None, move or None, seconds, int(parallel), folder)


def filled(template: Words, values: Mapping[str, str]) -> list[str]:
    """The words of a command; what stands in braces and is none of `values` stays. Raises ValueError.

    A word with blanks in it is a text in another program's language. Only names and paths that mean nothing in any
    are put into such a word: a script gets others as words of their own.
    """

    def meant(match: re.Match[str]) -> str:
        found = values.get(match[1])
        if found is None:
            return match[0]
        if "\0" in found or "\n" in found:
            raise ValueError(f"{found!r} cannot be given to a command")
        if match.start() == 0 and found.startswith("-"):
            raise ValueError(f"{found} would be taken for an option; put something before {match[0]}")
        if len(match.string.split()) > 1 and not _HARMLESS.fullmatch(found):
            raise ValueError(f"{found} cannot stand in the text '{match.string}'; give {match[0]} as a word of its own")
        return found

    return [_PLACEHOLDER.sub(meant, word) for word in template]


def listed(output: str) -> list[StoredFile]:
    """The files of a listing: lines of size, one blank and name, ended by NUL where there is one. Raises ValueError."""
    files = []
    for line in filter(None, output.split("\0" if "\0" in output else "\n")):
        match = _LINE.fullmatch(line)
        size = told_number(match[1]) if match else None
        if match is None or size is None:
            raise ValueError(f"{line[:80]!r} is not size, blank and name")
        if "/" not in match[2]:
            files.append(StoredFile(match[2], size))
    return files


def _template(word: str, found: object) -> Words:
    if found is None and word in _OPTIONAL:
        return ()
    if not isinstance(found, list) or not found or not all(isinstance(each, str) and each for each in found):
        raise ValueError(f'{word} must be a list of words, such as {word} = ["program", "word"]')
    return tuple(found)


def _number(word: str, found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float) or not 1 <= found <= 1_000_000:
        raise ValueError(f"{word} must be a number from 1 on")
    return found
