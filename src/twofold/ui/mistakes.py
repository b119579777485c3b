"""What a person is told who has mistyped a command line: what is wrong, of which word, and what to write instead.

Loaded only when something is wrong. Texts may have several lines, the first of which names the mistake; passwords in
URLs are never shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from twofold.storage.url import is_url, redact
from twofold.ui.commands import BY_NAME, Command, Word, commands_of
from twofold.ui.option import Option, Status
from twofold.ui.option_values import KIB, MIB
from twofold.ui.options import BY_NAME as OPTIONS_BY_NAME

Fits = Callable[[Word, str], bool]
"""Whether a word can be what is wanted in its place."""

_UNITS = {KIB: "KiB", MIB: "MiB"}
_FACTORS = {"K": KIB, "M": MIB, "G": 1024 * MIB, "T": 1024 * 1024 * MIB}
_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([KMGT])(?:i?B)?", re.IGNORECASE)
# What was meant as a URL but is none, such as sftp:/user:secret@host.
_LOGIN = re.compile(r"^([A-Za-z0-9_+]+:/*[^/:@]*):.*@")

_MISSING = {
    Word.SOURCE_PATH: "The source, a local path, is missing",
    Word.TARGET_PATH: "The directory to restore to is missing",
    Word.LOCAL_PATH: "The local path to compare with is missing",
    Word.SOURCE_URL: "The URL of the backup is missing, such as file:///mnt/backup",
    Word.TARGET_URL: "The URL of the target is missing, such as file:///mnt/backup",
    Word.COUNT: "The number of chains to keep is missing, such as 3",
    Word.TIME: "The time is missing, such as 6M",
}
_WANTED = {
    Word.SOURCE_PATH: "The source has to be a local path",
    Word.TARGET_PATH: "The place to restore to has to be a local path",
    Word.LOCAL_PATH: "What a backup is compared with has to be a local path",
    Word.SOURCE_URL: "The place of the backup has to be a URL",
    Word.TARGET_URL: "The target has to be a URL",
    Word.COUNT: "The number of chains to keep has to be a whole number",
    Word.TIME: "The time has to be one such as 6M or 2026-01-31",
}


def suggestion(word: str, known: Sequence[str]) -> str | None:
    """The known word that looks most like a mistyped one."""
    import difflib

    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.6)), None)


# ---- options ---------------------------------------------------------------------------------------------------------


def unknown_option(name: str) -> str:
    """`name` is without its two dashes."""
    known = [name for name, option in OPTIONS_BY_NAME.items() if not option.hidden or option.status is Status.OLD_NAME]
    close = suggestion(name, known)
    return f"Unknown option '--{name}'" + (f". Did you mean '--{close}'?" if close else "")


def unknown_letter(argument: str) -> str:
    """`argument` is the whole word, which begins with one dash."""
    if argument[1:].partition("=")[0] in OPTIONS_BY_NAME:
        return f"Unknown option {argument!r}. Did you mean '-{argument}'?"
    return f"Unknown option {argument!r}. A file of that name is written './{argument}'"


def missing_value(option: Option, spelled: str, following: str | None) -> str:
    """`following` is the next word of the command line if there is one that cannot be meant as a value."""
    from twofold.ui.help import metavar_of

    how_many = "a value" if option.values_wanted == 1 else f"{option.values_wanted} values"
    text = f"Option {spelled} needs {how_many}: {spelled} {metavar_of(option)}"
    return text if following is None else f"{text}. What follows is {following!r}; a variable may be empty"


def needless_value(spelled: str, value: str) -> str:
    """For a switch with an equals sign."""
    return f"Option {spelled} takes no value, but got {value!r}"


def no_number(option: Option, spelled: str, text: str) -> str:
    """Sizes may have been written with a unit, which is then computed."""
    unit = _unit_of(option)
    wrong = f"Option {spelled} needs a whole number{f' of {unit}' if unit else ''}, not {text!r}"
    size = _SIZE.fullmatch(text.strip()) if unit in ("bytes", "KiB", "MiB") else None
    if size is None:
        return wrong
    number = max(1, round(float(size[1]) * _FACTORS[size[2].upper()] / option.unit))
    return f"{wrong}. Write {spelled} {number}"


def out_of_range(option: Option, spelled: str, number: int) -> str:
    """`number` is outside of what the option can take."""
    below = option.minimum is not None and number < option.minimum
    bound = f"at least {option.minimum}" if below else f"at most {option.maximum}"
    unit = _unit_of(option)
    return f"Option {spelled} must be {bound}, not {number}" + (f" (in {unit})" if unit else "")


def _unit_of(option: Option) -> str:
    if option.metavar in ("SECONDS", "BYTES"):
        return option.metavar.lower()
    return _UNITS.get(option.unit, "")


def no_choice(option: Option, spelled: str, text: str) -> str:
    """The option takes one of a few words."""
    return f"Option {spelled} must be {' or '.join(repr(choice) for choice in option.choices)}, not {text!r}"


# ---- words -----------------------------------------------------------------------------------------------------------


def no_action(words: Sequence[str], program: str) -> str:
    """Neither is the first word an action, nor are there two words that imply one."""
    names = [command.action.value for command in commands_of(program)]
    if not words:
        return f"No action is given. Actions are: {', '.join(names)}"
    close = suggestion(words[0], names)
    if close:
        return f"{_shown(words[0])} is not an action. Did you mean {close!r}?"
    if len(words) == 1:
        lacking = Word.TARGET_PATH if is_url(words[0]) else Word.TARGET_URL
        return (
            f"{_shown(words[0])} is not an action. {_MISSING[lacking]}, or an action\nActions are: {', '.join(names)}"
        )
    if len(words) > 2:
        return (
            f"{_shown(words[0])} is not an action, and there are {len(words)} words: {_listed(words)}\n"
            f"{_QUOTE}\nActions are: {', '.join(names)}"
        )
    kind, other = ("URLs", "a local path") if is_url(words[0]) else ("local paths", "a URL such as file:///mnt/backup")
    return f"Both words are {kind}: {_listed(words)}. One has to be {other}, or the first one an action"


_QUOTE = "Names with blanks and patterns such as '*.txt' have to be quoted, or the shell takes them apart"


def wrong_count(command: Command, words: Sequence[str], fits: Fits) -> str:
    """There are more or fewer words than the action takes."""
    name = command.action.value
    usage = " ".join(word.value for word in command.words)
    got = _listed(words) if words else "nothing"
    lines = [f"{name} takes {usage}, but got {got}"]
    others = [word for word in words if word in BY_NAME]
    if len(words) < len(command.words):
        lines += [_MISSING[word] for word in _lacking(command, words, fits)]
    elif others:
        lines.append(
            f"{name} and {others[0]} are both actions: give one. A path of that name is written './{others[0]}'"
        )
    else:
        lines.append(_QUOTE)
    return "\n".join(lines)


def _lacking(command: Command, words: Sequence[str], fits: Fits) -> list[Word]:
    """Which of the wanted words are not there, each word given taken for the first one that it fits."""
    wanted = list(command.words)
    for word in words:
        for kind in wanted:
            if fits(kind, word):
                wanted.remove(kind)
                break
    return wanted[: len(command.words) - len(words)]


def wrong_word(command: Command, words: Sequence[str], kind: Word, *, fits: Fits) -> str:
    """The word in the place of `kind` cannot be that."""
    word = words[command.words.index(kind)]
    text = f"{_WANTED[kind]}, not {_shown(word)}"
    swapped = list(reversed(words))
    if len(words) == 2 and all(fits(kind, word) for kind, word in zip(command.words, swapped, strict=True)):
        return f"{text}\nThe words are the wrong way round: {command.action.value} {' '.join(map(_masked, swapped))}"
    if kind in (Word.SOURCE_URL, Word.TARGET_URL):
        return f"{text}. {_as_url(word)}"
    return text


def _as_url(word: str) -> str:
    scheme, colon, path = word.partition(":")
    if not colon or "/" in scheme:
        return f"A local directory is written file://{word}"
    # One slash may stand for the three of a local path.
    rest = path if scheme == "file" else path.lstrip("/")
    return f"A URL has two slashes behind the colon: {_masked(f'{scheme}://{rest}')}"


def missing_source(word: str, implied_by: str | None) -> str:
    """The source does not exist; if a program only implied the action, the word may have been meant as one of its."""
    text = f"The source {word!r} does not exist"
    if implied_by is None or "/" in word:
        return text
    close = suggestion(word, [command.action.value for command in commands_of(implied_by)])
    return f"{text}, nor is there an action of that name" + (f". Did you mean {close!r}?" if close else "")


def _listed(words: Sequence[str]) -> str:
    return ", ".join(_shown(word) for word in words)


def _shown(word: str) -> str:
    return repr(_masked(word))


def _masked(word: str) -> str:
    return redact(word) if is_url(word) else _LOGIN.sub(r"\1:*****@", word)
