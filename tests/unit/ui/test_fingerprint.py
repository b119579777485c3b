"""What an interrupted backup has in common with the run that goes on with it."""

import pytest

from twofold.ui.environment import Environment
from twofold.ui.fingerprint import fingerprint_of
from twofold.ui.parser import CommandLine, parse

FULL_PRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


def fingerprint(*options: str) -> str:
    words = ("full", "/src", "file:///target", *options)
    line = parse(words, now=0, expand_path=str, exists=lambda _: True)
    assert isinstance(line, CommandLine)
    return fingerprint_of(line, Environment(), b"/src", [])


@pytest.mark.parametrize("option", ["--encrypt-key", "--hidden-encrypt-key"])
def test_a_name_that_may_stand_for_another_key_tomorrow_is_nothing_to_go_by(option: str) -> None:
    assert fingerprint(option, "backup@example.org") == ""
    assert fingerprint(option, FULL_PRINT, option, "Me") == ""
    assert fingerprint(option, FULL_PRINT) != "" != fingerprint(option, FULL_PRINT[-16:])


@pytest.mark.parametrize("other", [("--volsize", "7"), ("--exclude", "**x"), ("--no-encryption",)])
def test_whatever_decides_what_is_stored_is_in_it(other: tuple[str, ...]) -> None:
    assert fingerprint() == fingerprint("--verbosity", "9") != fingerprint(*other)
