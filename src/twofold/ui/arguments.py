"""Takes the command line apart: which options were given, in order and with which values, and which words remain.

Written by hand over the option table and not with argparse, which neither takes values that begin with a dash, nor lets
abbreviations prefer duplicity's own names, nor keeps selection conditions in order without help; it would also cost
15 ms at every start. Nothing here knows what values mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twofold.model.value import value
from twofold.ui.option import Option, Status, Value
from twofold.ui.options import BY_LETTER, BY_NAME
from twofold.ui.usage import AmbiguousOption, CommandLineError

_READ_CLOSELY = (Value.VERBOSITY, Value.TIME)
_DUPLICITYS_OWN = frozenset({Status.CURRENT})


@value
class Occurrence:
    """One option as given; `spelled` is its full name with dashes, for messages."""

    option: Option
    spelled: str
    values: tuple[str, ...] = ()


@value
class Arguments:
    """What the command line consists of, each part in the order given."""

    occurrences: tuple[Occurrence, ...]
    words: tuple[str, ...]


def take_apart(arguments: Sequence[str]) -> Arguments:
    """Options may stand anywhere before a `--`. Raises CommandLineError, AmbiguousOption (docs/cli.md section 2.1).

    An option that prints something and ends the program ends the reading, too: what follows is not looked at.
    """
    occurrences: list[Occurrence] = []
    words: list[str] = []
    for piece in read_pieces(arguments):
        if isinstance(piece, str):
            words.append(piece)
        else:
            occurrences.append(piece)
    return Arguments(tuple(occurrences), tuple(words))


def read_pieces(arguments: Sequence[str]) -> Iterator[Occurrence | str]:
    """Options and words as they come; raises as `take_apart` when it gets there."""
    rest = list(reversed(arguments))
    while rest:
        argument = rest.pop()
        if argument == "--":
            yield from reversed(rest)
            return
        if not _is_option(argument):
            yield argument
            continue
        occurrence = _take_option(argument, rest)
        yield occurrence
        if occurrence.option.value.ends_program:
            return


def _is_option(argument: str) -> bool:
    """A lone dash and negative numbers are words."""
    return argument.startswith("-") and argument != "-" and not argument[1:].isdigit()


def _take_option(argument: str, rest: list[str]) -> Occurrence:
    """One option and its values; `rest` is what follows, the next argument last."""
    joined: str | None
    if argument.startswith("--"):
        name, equals, text = argument[2:].partition("=")
        option, spelled = _find_long(name)
        joined = text if equals else None
    else:
        option, spelled = _find_short(argument)
        joined = argument[2:].removeprefix("=") or None
    return Occurrence(option, spelled, _take_values(option, spelled, joined, rest))


def _find_short(argument: str) -> tuple[Option, str]:
    option = BY_LETTER.get(argument[1])
    # No verbosity and no time reads so, which is -volsize with one dash too few.
    one_dash = len(argument) > 2 and argument[1:].partition("=")[0] in BY_NAME
    if option is None or (one_dash and option.value in _READ_CLOSELY):
        from twofold.ui.mistakes import unknown_letter

        raise CommandLineError(unknown_letter(argument))
    return option, argument[:2]


def _find_long(name: str) -> tuple[Option, str]:
    """An option by its name or any beginning that fits just one.

    duplicity's own names come first, so that no abbreviation in an old script changes its meaning or becomes ambiguous.
    """
    option = BY_NAME.get(name)
    if option is not None:
        return option, f"--{name}"
    fitting = [known for known in BY_NAME if known.startswith(name)] if name else []
    preferred = [known for known in fitting if BY_NAME[known].status in _DUPLICITYS_OWN]
    for names in (preferred, fitting):
        if len({BY_NAME[known].name for known in names}) == 1:
            return BY_NAME[names[0]], f"--{names[0]}"
        if names:
            matches = ", ".join(f"--{known}" for known in sorted(names))
            raise AmbiguousOption(f"ambiguous option: --{name} could match {matches}")
    from twofold.ui.mistakes import unknown_option

    raise CommandLineError(unknown_option(name))


def _take_values(option: Option, spelled: str, joined: str | None, rest: list[str]) -> tuple[str, ...]:
    wanted = option.values_wanted
    if wanted == 0 and joined is not None:
        from twofold.ui.mistakes import needless_value

        raise CommandLineError(needless_value(spelled, joined))
    values = [] if joined is None else [joined]
    while len(values) < wanted:
        if not rest or _is_forgotten_value(rest[-1], option):
            from twofold.ui.mistakes import missing_value

            raise CommandLineError(missing_value(option, spelled, rest[-1] if rest else None))
        values.append(rest.pop())
    return tuple(values)


def _is_forgotten_value(following: str, option: Option) -> bool:
    """Whether what follows is the next option rather than a value that begins with a dash.

    A value may begin with a dash, but one that is just the full name of an option of ours tells of an empty variable in
    a script. Options for other programs are excepted: rsync, too, has a --timeout.
    """
    if following == "--":
        return True
    if option.value.is_for_other_program or not following.startswith("--"):
        return False
    return following[2:].partition("=")[0] in BY_NAME
