"""The manual page and the completions: what they say agrees with the tables, and the repository's files with both."""

from __future__ import annotations

import re
import shlex
import tomllib
from itertools import pairwise

import pytest

from tests.support.programs import REPOSITORY_ROOT
from twofold.errors import TwofoldError, UnsupportedScheme
from twofold.storage.registry import SCHEMES, open_store
from twofold.storage.settings import StoreSettings
from twofold.storage.url import StorageUrl
from twofold.ui.commands import COMMANDS, Scope
from twofold.ui.documents import prose
from twofold.ui.documents.files import generated_files
from twofold.ui.documents.manual import actions_of, manual_page
from twofold.ui.documents.roff import Example, Heading, Item, Line, Paragraph, Section, page
from twofold.ui.documents.suggestions import suggested_options
from twofold.ui.help import URL_FORMS, help_text, is_available
from twofold.ui.option import Status
from twofold.ui.options import OPTIONS
from twofold.ui.parser import CommandLine, parse

FILES = generated_files()


@pytest.mark.parametrize("name", FILES)
def test_the_files_of_the_repository_are_those_that_the_tables_make(name: str) -> None:
    path = REPOSITORY_ROOT / name
    assert path.read_text(encoding="utf-8") == FILES[name], f"{name} is out of date: run `make documents`"


def test_every_generated_file_is_installed_where_it_is_looked_for() -> None:
    project = tomllib.loads((REPOSITORY_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    installed = project["tool"]["setuptools"]["data-files"]
    assert installed == {
        "share/man/man1": ["docs/man/twofold.1"],
        "share/bash-completion/completions": ["completions/twofold.bash"],
        "share/zsh/site-functions": ["completions/_twofold"],
        "share/fish/vendor_completions.d": ["completions/twofold.fish"],
    }
    assert {name for names in installed.values() for name in names} == FILES.keys()


def _plain(roff: str) -> str:
    """The page without fonts and escapes."""
    for command, text in ((r"\fB", ""), (r"\fI", ""), (r"\fR", ""), (r"\%", ""), (r"\-", "-"), (r"\(ti", "~")):
        roff = roff.replace(command, text)
    return roff


def test_the_manual_page_has_every_action_and_every_option_with_its_value() -> None:
    lines = _plain(manual_page()).splitlines()
    for command in COMMANDS:
        assert any(line.startswith(", ".join(command.names)) for line in lines), command.action
    terms = [term for command, term in pairwise(lines) if command == ".TP"]
    for option in OPTIONS:
        shown = [line for line in terms if re.search(rf"--{re.escape(option.name)}(?![a-z0-9-])", line)]
        assert len(shown) == (not option.hidden or option.status is Status.OLD_NAME), option.name
    assert "-t, --restore-time, --time TIME" in terms
    assert "--rename OLD NEW" in terms
    assert "--metadata-sync-mode full|partial" in terms


def test_the_manual_page_tells_defaults_and_for_which_actions_an_option_is() -> None:
    text = " ".join(_plain(manual_page()).split())
    assert (
        "--volsize MIB Size in MiB at which a volume is closed and the next one begun. Default: 200. For backup" in text
    )
    assert "--b2-hide-files Hide files instead of deleting them. Only for b2. For cleanup, remove-*." in text
    assert "--use-gpgsm Encrypt with S/MIME certificates, through gpgsm. It is not" in text


def test_the_actions_of_an_option_are_told_as_shortly_as_they_can_be() -> None:
    assert actions_of(Scope.ALL).startswith("backup, full, incremental, restore, verify, ")
    assert actions_of(Scope.INCREMENTAL) == "backup, incremental"
    assert actions_of(Scope.DELETING | Scope.RESTORE) == "restore, cleanup, remove-*"


def test_every_example_of_the_manual_page_is_understood() -> None:
    commands = [shlex.split("\n".join(block.lines)) for block in prose.EXAMPLES if isinstance(block, Example)]
    lines = [line for block in prose.EXAMPLES if isinstance(block, Example) for line in _joined(block.lines)]
    assert len(lines) > len(commands)
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "twofold"
        found = parse(arguments, now=1_700_000_000, expand_path=str, exists=lambda _: True)
        assert isinstance(found, CommandLine), line
        assert found.messages == (), line


def _joined(lines: tuple[str, ...]) -> list[str]:
    return "\n".join(lines).replace("\\\n", "").splitlines()


def test_the_times_of_the_manual_page_are_understood() -> None:
    terms = [block.term for block in prose.TIMES if isinstance(block, Item)]
    for typed in re.findall(r"`([^`]+)`", " ".join(terms)):
        parse(["ls", f"--time={typed}", "file:///x"], now=1_700_000_000, expand_path=str)


@pytest.mark.parametrize("name", FILES)
def test_nothing_that_is_planned_is_promised(name: str) -> None:
    planned = [option.name for option in OPTIONS if option.status is Status.PLANNED]
    assert planned
    assert [word for word in planned if re.search(rf"--(?:l )?{word}(?![a-z0-9-])", _plain(FILES[name]))] == []


def test_every_shell_suggests_every_option_worth_it() -> None:
    for option in suggested_options():
        assert re.search(rf"[ |]--{option.name}[ |\"]", FILES["completions/twofold.bash"]), option.name
        assert re.search(rf"--{option.name}[=\[]", FILES["completions/_twofold"]), option.name
        assert f" -l {option.name} " in FILES["completions/twofold.fish"], option.name


def test_no_place_of_a_template_was_left_empty() -> None:
    assert not [name for name, text in FILES.items() if re.search(r"@[A-Z]+@", text)]


# ---- targets ---------------------------------------------------------------------------------------------------------

SAMPLES = {
    "gdrive://account@host/dir?driveID=ID": "gdrive://account@host/dir?driveID=ID",
    "multi:///config.json[?mode=mirror]": "multi:///config.json",
    "par2+URL": "par2+file:///nowhere",
    "gio+URL": "gio+file:///nowhere",
}


@pytest.mark.parametrize("form", [form for forms, _ in URL_FORMS for form in forms.split(", ")])
def test_help_names_as_available_just_the_targets_that_can_be_opened(form: str) -> None:
    sample = SAMPLES.get(form) or re.sub(r"\[[^][]*(?:\[[^][]*\][^][]*)*\]", "", form)
    supported = True
    try:
        open_store(StorageUrl.parse(sample), settings=StoreSettings()).close()
    except UnsupportedScheme:
        supported = False
    except TwofoldError:
        pass  # a library or a place is missing, but there is a driver
    assert supported == is_available(form)


def test_help_and_manual_say_which_targets_are_not_available() -> None:
    available, _, missing = help_text("urls", program="twofold").partition("Known, but not available")
    for form, _ in URL_FORMS:
        assert (form in available) == is_available(form)
        assert (form in missing) != is_available(form)
    assert {scheme.name for scheme in SCHEMES.values() if scheme.driver} >= {"file"}
    assert "file:///absolute/dir" in _plain(manual_page())


# ---- the language of manual pages ------------------------------------------------------------------------------------


def _page(*blocks: Paragraph | Line | Item | Example | Heading) -> list[str]:
    text = page("x", "does `y`", date="2026-01-31", source="x 1", title="T", sections=(Section("S", tuple(blocks)),))
    head = ['.TH X 1 "2026-01-31" "x 1" "T"', ".ad l", ".SH NAME", r"x \- does \fB\%y\fR", ".SH S"]
    lines = text.splitlines()
    assert lines[: len(head)] == head
    return lines[len(head) :]


def test_literal_words_keep_their_dashes_and_quotes() -> None:
    assert _page(Paragraph("Say `--a-b 'c'` or {D} - it's \\ ~")) == [
        r"Say \fB\%\-\-a\-b \%\(aqc\(aq\fR or \fI\%D\fR - it's \e \(ti"
    ]


def test_no_text_is_taken_for_a_command() -> None:
    assert _page(Paragraph(".x"), Paragraph("'y"), Example((".z",))) == [
        r"\&.x",
        ".PP",
        r"\&'y",
        ".PP",
        ".RS 4",
        ".EX",
        r"\&.z",
        ".EE",
        ".RE",
    ]


def test_long_texts_become_several_lines_and_terms_do_not() -> None:
    words = " ".join(["word"] * 30)
    lines = _page(Item(words, words), Line("a"), Line("b"))
    assert lines[:2] == [".TP", words]
    assert all(len(line) <= 78 for line in lines[2:])
    assert lines[-4:] == [".br", "a", ".br", "b"]
