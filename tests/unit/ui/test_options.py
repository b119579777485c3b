import re
import typing

import pytest

from twofold.ui.arguments import Occurrence
from twofold.ui.commands import COMMANDS, Action, commands_of
from twofold.ui.conversion import Surroundings, convert
from twofold.ui.help import help_text, metavar_of
from twofold.ui.option import Option, Status, Value
from twofold.ui.option_values import MetadataSync, Options
from twofold.ui.options import BY_NAME, OPTIONS
from twofold.ui.parser import CommandLine, parse

SAMPLES = {
    Value.TEXT: "text",
    Value.PATH: "path",
    Value.PATHS: "path",
    Value.KEYS: "key",
    Value.KEY_FOR_BOTH: "key",
    Value.JOINED: "-x",
    Value.WORDS: "-x -y",
    Value.INTEGER: "2",
    Value.INTEGERS: "2",
    Value.SHARE: "5%",
    Value.CHOICE: "full",
    Value.CHARACTER: "_",
    Value.VERBOSITY: "5",
    Value.TIME: "3D",
    Value.PATTERN: "3D",
    Value.PAIR: "old",
}

TAKEN = [
    option
    for option in OPTIONS
    if option.status in (Status.CURRENT, Status.OWN, Status.OLD_NAME) and not option.value.ends_program
]


def test_all_options_of_duplicity_are_in_the_table():
    current = [option for option in OPTIONS if option.status is Status.CURRENT and option.value is not Value.HELP]
    helps = [option for option in OPTIONS if option.status is Status.CURRENT and option.value is Value.HELP]
    assert len(current) == 124
    assert len(helps) == 13


def test_names_and_letters_are_unique():
    names = [name for option in OPTIONS for name in option.names]
    letters = [option.short for option in OPTIONS if option.short]
    assert len(names) == len(set(names))
    assert sorted(letters) == ["V", "h", "r", "t", "v"]


def _given(option: Option) -> Occurrence:
    return Occurrence(option, f"--{option.name}", (SAMPLES.get(option.value, ""),) * option.values_wanted)


@pytest.mark.parametrize("option", TAKEN, ids=lambda option: option.name)
def test_each_option_sets_a_value_of_its_fields_type(option):
    converted = convert([_given(option)], Surroundings(10**9, str))
    if option.rule is not None:
        assert [condition.rule for condition in converted.conditions] == [option.rule]
        return
    wanted = typing.get_type_hints(Options)[option.target_field]
    value = getattr(converted.options, option.target_field)
    allowed = tuple(typing.get_origin(kind) or kind for kind in typing.get_args(wanted) or (wanted,))
    allowed = (tuple,) if typing.get_origin(wanted) is tuple else allowed
    assert type(value) in allowed
    assert value is not None


def test_defaults_are_of_their_fields_types():
    defaults = Options()
    for name, wanted in typing.get_type_hints(Options).items():
        value = getattr(defaults, name)
        kinds = [typing.get_origin(kind) or kind for kind in (wanted, *typing.get_args(wanted))]
        assert type(value) in kinds, name


def test_every_field_has_an_option():
    assert set(Options.__match_args__) == {option.target_field for option in TAKEN if option.rule is None}


def test_every_selection_option_has_a_rule_and_no_other_option_has():
    for option in OPTIONS:
        assert (option.rule is not None) == (option.value in (Value.MARK, Value.PATTERN)), option.name


def test_sizes_are_given_in_bytes_by_default():
    assert Options().volsize_bytes == 200 * 1024 * 1024
    assert Options().copy_blocksize_bytes == 128 * 1024
    assert Options().metadata_sync_mode is MetadataSync.PARTIAL


def test_options_that_are_told_off_say_what_to_do_instead():
    for option in OPTIONS:
        if option.status in (Status.IGNORED, Status.REFUSED, Status.PLANNED):
            assert option.remedy
            assert option.hidden


def test_duplicity_has_eleven_actions_with_thirteen_short_names():
    assert [command.action for command in COMMANDS] == list(Action)
    assert len(commands_of("duplicity")) == 11
    assert sum(len(command.short_names) for command in commands_of("duplicity")) == 13


@pytest.mark.parametrize("topic", ["", "all"])
def test_the_help_of_duplicity_does_not_show_what_only_our_own_actions_have(topic: str) -> None:
    ours, duplicitys = (help_text(topic, program=program) for program in ("twofold", "duplicity"))
    assert "twofold check [options] target_url" in ours
    assert "--help-check" in help_text("all", program="twofold")
    assert not re.search(r"duplicity check|--help-check|--read-data|--sample", duplicitys)


def test_the_short_help_shows_only_important_options():
    text = help_text("", program="duplicity")
    assert text.startswith("duplicity 3.2.1\n\nusage: duplicity backup [options] source_path target_url\n")
    assert "--exclude PATTERN" in text
    assert "--s3-use-ia" not in text


def test_the_examples_of_the_short_help_are_understood():
    lines = help_text("", program="twofold").partition("\nExamples\n")[2].partition("\n\n")[0].splitlines()
    assert len(lines) == 3
    for line in lines:
        words = line.split()[1:]
        assert isinstance(parse(words, now=10**9, expand_path=str, exists=lambda _: True), CommandLine)


def test_the_help_never_takes_the_name_of_an_option_apart():
    for width in (60, 80, 100):
        text = help_text("all", program="twofold", width=width)
        assert not [line for line in text.splitlines() if line.endswith("-")]


def test_the_whole_help_shows_every_option_that_is_not_hidden():
    text = help_text("all", program="twofold")
    for option in OPTIONS:
        shown = re.search(rf"--{re.escape(option.name)}(?![a-z0-9-])", text) is not None
        assert shown != option.hidden or option.name in ("gio", "current-time"), option.name


def test_the_help_of_an_action_shows_what_has_a_meaning_there():
    text = help_text("remove-older-than", program="twofold")
    assert "--force" in text
    assert "--volsize" not in text
    assert "usage: twofold remove-older-than [options] time target_url" in text


def test_the_help_fits_the_width():
    for topic in ("", "all", "urls", "inc"):
        assert all(len(line) <= 100 for line in help_text(topic, program="twofold", width=100).splitlines())


def test_the_help_tells_defaults_as_they_are_typed():
    text = " ".join(help_text("full", program="twofold", width=200).split())
    assert "--volsize MIB Size in MiB at which a volume is closed and the next one begun (default: 200)" in text


def test_every_option_with_a_value_has_a_word_for_it():
    for option in OPTIONS:
        assert bool(metavar_of(option)) == (option.values_wanted > 0), option.name


def test_the_list_of_urls_is_a_help_of_its_own():
    text = help_text("urls", program="twofold")
    assert "par2+URL" in text
    assert "--volsize" not in text


def test_old_names_mean_the_new_fields():
    assert BY_NAME["file-to-restore"].target_field == "path_to_restore"
    assert BY_NAME["do-not-restore-ownership"].target_field == "restore_ownership"
