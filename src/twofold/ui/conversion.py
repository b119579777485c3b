"""Turns options as given into typed values: numbers, times, lists that add up, conditions in their order.

Pure; every value is checked here, whether or not the action will look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from twofold.errors import UserError
from twofold.model.times import parse_time
from twofold.model.value import field, record, value
from twofold.ui.arguments import Occurrence, read_pieces
from twofold.ui.option import Option, Status, Value
from twofold.ui.option_values import Condition, MetadataSync, Options, Rule
from twofold.ui.usage import CommandLineError

_LEVELS = {"error": 0, "warning": 2, "notice": 3, "info": 5, "debug": 9}


@value
class Surroundings:
    """What the command line alone does not say: `now` is in seconds since 1970, `expand_path` resolves ~ and $NAME."""

    now: int
    expand_path: Callable[[str], str]


@value
class Converted:
    """All options; `now` is the start of the run, which the testing option --current-time can move."""

    options: Options
    conditions: tuple[Condition, ...]
    now: int
    advice: tuple[str, ...]


@record
class _Draft:
    """What has been read so far; `times` wait for the separator, which may come last."""

    surroundings: Surroundings
    values: dict[str, object] = field(default_factory=dict)
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    pairs: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    times: list[Occurrence] = field(default_factory=list)
    conditions: list[tuple[Rule, str]] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)


def convert(occurrences: Iterable[Occurrence], surroundings: Surroundings) -> Converted:
    """Later values win, those of repeatable options add up. Raises CommandLineError."""
    draft = _Draft(surroundings)
    for occurrence in occurrences:
        option = occurrence.option
        if option.status is Status.REFUSED:
            raise CommandLineError(f"Option '{occurrence.spelled}' is no longer possible. {option.remedy}")
        if option.status is Status.PLANNED:
            raise CommandLineError(f"Option '{occurrence.spelled}' is not available yet. {option.remedy}")
        if option.status is Status.IGNORED:
            draft.advice.append(f"Option {occurrence.spelled} has no effect any more. {option.remedy}")
        else:
            _READERS[option.value](draft, occurrence)
    return _finish(draft)


def log_targets(arguments: Sequence[str], surroundings: Surroundings) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Descriptors and files of the machine log as far as a faulty command line can be read, to tell of the fault."""
    draft = _Draft(surroundings)
    for position, word in enumerate(arguments):
        name, joined, _ = word.partition("=")
        if name not in ("--log-fd", "--log-file"):
            continue
        try:
            for piece in read_pieces(arguments[position : position + (1 if joined else 2)]):
                if not isinstance(piece, str):
                    _READERS[piece.option.value](draft, piece)
        except CommandLineError:
            continue  # the caller knows it already
    return draft.numbers.get("log_fds", ()), draft.texts.get("log_files", ())


def _finish(draft: _Draft) -> Converted:
    separator = draft.values.get("time_separator", ":")
    current_time = draft.values.get("current_time")
    now = current_time if isinstance(current_time, int) else draft.surroundings.now

    def instant(text: str, spelled: str) -> int:
        try:
            return parse_time(text, now=now, separator=str(separator))
        except UserError as error:
            raise CommandLineError(f"Option {spelled}: {error}") from error

    values: dict[str, object] = {**draft.values, **draft.texts, **draft.numbers, **draft.pairs}
    for given in draft.times:
        values[given.option.target_field] = instant(given.values[0], given.spelled)
    if values.get("restore_time") == 0:
        values["restore_time"] = None  # as in duplicity, where 0 means now
    conditions = tuple(
        Condition(rule, argument, instant(argument, f"--{rule.value}") if rule is Rule.EXCLUDE_OLDER_THAN else None)
        for rule, argument in draft.conditions
    )
    make: Callable[..., Options] = Options  # a test holds that the table fits the fields
    return Converted(make(**values), conditions, now, tuple(draft.advice))


def _read_switch(draft: _Draft, given: Occurrence) -> None:
    draft.values[given.option.target_field] = given.option.sets


def _read_mark(draft: _Draft, given: Occurrence) -> None:
    draft.conditions.append((_rule_of(given.option), ""))


def _read_pattern(draft: _Draft, given: Occurrence) -> None:
    argument = given.option.constant or given.values[0]
    if not argument:
        raise CommandLineError(f"Option {given.spelled} cannot be empty. A variable may be unset")
    draft.conditions.append((_rule_of(given.option), argument))


def _read_text(draft: _Draft, given: Occurrence) -> None:
    draft.values[given.option.target_field] = given.values[0]


def _read_path(draft: _Draft, given: Occurrence) -> None:
    draft.values[given.option.target_field] = draft.surroundings.expand_path(given.values[0])


def _read_paths(draft: _Draft, given: Occurrence) -> None:
    _add_texts(draft, given.option.target_field, draft.surroundings.expand_path(given.values[0]))


def _read_keys(draft: _Draft, given: Occurrence) -> None:
    _add_texts(draft, given.option.target_field, given.values[0])


def _read_key_for_both(draft: _Draft, given: Occurrence) -> None:
    _read_keys(draft, given)
    draft.values["sign_key"] = given.values[0]


def _read_joined(draft: _Draft, given: Occurrence) -> None:
    name = given.option.target_field
    draft.values[name] = f"{draft.values.get(name, '')} {given.values[0]}".strip()


def _read_words(draft: _Draft, given: Occurrence) -> None:
    text = given.values[0].strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    _add_texts(draft, given.option.target_field, *text.split())


def _read_integer(draft: _Draft, given: Occurrence) -> None:
    draft.values[given.option.target_field] = _integer(given)


def _read_integers(draft: _Draft, given: Occurrence) -> None:
    name = given.option.target_field
    draft.numbers[name] = (*draft.numbers.get(name, ()), _integer(given))


def _read_share(draft: _Draft, given: Occurrence) -> None:
    """Keeps millionths, so that nothing is lost to binary fractions."""
    text = given.values[0]
    whole, _, fraction = text.removesuffix("%").partition(".")
    digits = f"{whole}{fraction:0<4}"
    share = int(digits) if digits.isascii() and digits.isdigit() and len(digits) == len(whole) + 4 < 9 else 0
    if not text.endswith("%") or not whole or not 0 < share <= 1_000_000:
        raise CommandLineError(
            f"Option {given.spelled} needs a percentage above 0% and up to 100%, with at most four decimals, such as "
            f"5% or 0.5%, not {text!r}"
        )
    draft.values[given.option.target_field] = share


def _read_choice(draft: _Draft, given: Occurrence) -> None:
    text, choices = given.values[0], given.option.choices
    if text not in choices:
        from twofold.ui.mistakes import no_choice

        raise CommandLineError(no_choice(given.option, given.spelled, text))
    draft.values[given.option.target_field] = MetadataSync(text)


def _read_character(draft: _Draft, given: Occurrence) -> None:
    if len(given.values[0]) != 1:
        raise CommandLineError(f"Option {given.spelled} needs a single character, not {given.values[0]!r}")
    draft.values[given.option.target_field] = given.values[0]


def _read_verbosity(draft: _Draft, given: Occurrence) -> None:
    text = given.values[0].lower()
    if len(text) == 1 and text in "0123456789":
        draft.values["verbosity"] = int(text)
        return
    fitting = [level for name, level in _LEVELS.items() if text in (name, name[0])]
    if not fitting:
        raise CommandLineError(
            f"Verbosity must be a digit from 0 to 9, one of the letters e, w, n, i, d "
            f"or one of the words {', '.join(_LEVELS)}, not {given.values[0]!r}"
        )
    draft.values["verbosity"] = fitting[0]


def _read_time(draft: _Draft, given: Occurrence) -> None:
    draft.times.append(given)


def _read_pair(draft: _Draft, given: Occurrence) -> None:
    name = given.option.target_field
    draft.pairs[name] = (*draft.pairs.get(name, ()), (given.values[0], given.values[1]))


def _read_nothing(draft: _Draft, given: Occurrence) -> None:
    """Options that end the program have been seen to before anything is converted."""
    raise AssertionError(given.spelled)


def _integer(given: Occurrence) -> int:
    option, text = given.option, given.values[0]
    try:
        number = int(text)
    except ValueError as error:
        from twofold.ui.mistakes import no_number

        raise CommandLineError(no_number(option, given.spelled, text)) from error
    too_small = option.minimum is not None and number < option.minimum
    if too_small or (option.maximum is not None and number > option.maximum):
        from twofold.ui.mistakes import out_of_range

        raise CommandLineError(out_of_range(option, given.spelled, number))
    return -(-number * option.unit // option.multiple) * option.multiple


def _add_texts(draft: _Draft, name: str, *texts: str) -> None:
    draft.texts[name] = (*draft.texts.get(name, ()), *texts)


def _rule_of(option: Option) -> Rule:
    assert option.rule is not None  # a test holds that these rows have one
    return option.rule


_READERS: dict[Value, Callable[[_Draft, Occurrence], None]] = {
    Value.SWITCH: _read_switch,
    Value.MARK: _read_mark,
    Value.PATTERN: _read_pattern,
    Value.TEXT: _read_text,
    Value.PATH: _read_path,
    Value.PATHS: _read_paths,
    Value.KEYS: _read_keys,
    Value.KEY_FOR_BOTH: _read_key_for_both,
    Value.JOINED: _read_joined,
    Value.WORDS: _read_words,
    Value.INTEGER: _read_integer,
    Value.INTEGERS: _read_integers,
    Value.SHARE: _read_share,
    Value.CHOICE: _read_choice,
    Value.CHARACTER: _read_character,
    Value.VERBOSITY: _read_verbosity,
    Value.TIME: _read_time,
    Value.PAIR: _read_pair,
    Value.HELP: _read_nothing,
    Value.VERSION: _read_nothing,
}
