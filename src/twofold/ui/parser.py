"""From the command line to what is to be done: one typed value, or a CommandLineError (docs/cli.md sections 1 and 2).

Nothing is created, opened or printed here; of the file system only the existence of the source and of lists is asked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

from twofold.errors import UserError
from twofold.model.times import parse_time
from twofold.model.value import value
from twofold.ui.arguments import take_apart
from twofold.ui.commands import BY_ACTION, BY_NAME, COMMANDS, Action, Command, Word
from twofold.ui.conversion import Converted, Surroundings, convert
from twofold.ui.message import Message, notice, warning
from twofold.ui.option import Value
from twofold.ui.option_values import Condition, Options
from twofold.ui.usage import CommandLineError, CountTooSmall, suggestion

_URL = re.compile(r"[A-Za-z0-9_+]+://.*")


@value
class CommandLine:
    """One run as asked for.

    `path` is the source of a backup, the target of a restore or what a verify compares with, else empty. `url` is where
    the backup lies, `url_as_typed` the same before --gio and --use-scp: the default name of the cache comes from it.
    `count` and `time` (seconds since 1970) belong to the remove actions. `now` is the start of the run. `messages` are
    to be told once it is known where.
    """

    action: Action
    url: str
    url_as_typed: str
    path: str
    count: int | None
    time: int | None
    now: int
    options: Options
    conditions: tuple[Condition, ...]
    messages: tuple[Message, ...]


@value
class HelpRequest:
    """Nothing but a help text is wanted; `topic` is what follows `--help-`, empty for the short help."""

    topic: str


@value
class VersionRequest:
    """Nothing but the version is wanted."""


@value
class _Words:
    """What the words other than the action say."""

    url: str = ""
    path: str = ""
    count: int | None = None
    time: int | None = None


def parse(
    arguments: Sequence[str],
    *,
    now: int,
    expand_path: Callable[[str], str],
    exists: Callable[[str], bool] = os.path.exists,
) -> CommandLine | HelpRequest | VersionRequest:
    """`arguments` are those behind the program's name. Raises CommandLineError, AmbiguousOption, CountTooSmall."""
    parts = take_apart(arguments)
    if parts.occurrences and parts.occurrences[-1].option.value.ends_program:
        option = parts.occurrences[-1].option
        return VersionRequest() if option.value is Value.VERSION else HelpRequest(option.name[len("help-") :])
    converted = convert(parts.occurrences, Surroundings(now, expand_path))
    command, words, implied = _find_command(parts.words)
    meaning = _read_words(command, words, converted)
    _check_files(meaning, converted, command, implied=implied is not None, exists=exists)
    _check_selection(command.action, converted)
    return CommandLine(
        command.action,
        _adapted(meaning.url, converted.options),
        meaning.url,
        meaning.path,
        meaning.count,
        meaning.time,
        converted.now,
        converted.options,
        converted.conditions,
        (*_warnings(converted, command.action), *([notice(implied)] if implied else [])),
    )


def is_url(word: str) -> bool:
    """Whether a word is a target rather than a path (docs/cli.md section 1.2)."""
    return _URL.fullmatch(word) is not None


def _find_command(words: tuple[str, ...]) -> tuple[Command, tuple[str, ...], str | None]:
    """The action, its words, and what to say if it was only implied."""
    if words and words[0] in BY_NAME:
        command, rest = BY_NAME[words[0]], words[1:]
        if len(rest) != len(command.words):
            raise CommandLineError(
                f"Wrong number of positional args for {words[0]!r}, got {len(rest)}\n"
                f"Expected {len(command.words)} positionals from {list(rest)}."
            )
        return command, rest, None
    if len(words) != 2:
        raise CommandLineError("Missing or invalid explicit or implicit action." + _nearest_action(words[:1]))
    match is_url(words[0]), is_url(words[1]):
        case False, True:
            implied = "'backup' because a path source was given and target is a url location."
            return BY_ACTION[Action.BACKUP], words, f"No valid action found. Will imply {implied}"
        case True, False:
            implied = "'restore' because url source was given and target is a local path."
            return BY_ACTION[Action.RESTORE], words, f"No valid action found. Will imply {implied}"
    raise CommandLineError(
        f"Invalid {words[0]!r} action and cannot be implied from the given arguments:\n{list(words)}\n"
        f"Valid actions are: {', '.join(BY_NAME)}"
    )


def _nearest_action(words: tuple[str, ...]) -> str:
    """A line about a first word that may have been meant as an action."""
    names = [command.action.value for command in COMMANDS]
    if not words or is_url(words[0]):
        return f"\nActions are: {', '.join(names)}"
    close = suggestion(words[0], names)
    if close:
        return f"\n{words[0]!r} is not an action. Did you mean {close!r}?"
    return f"\n{words[0]!r} is not an action. Actions are: {', '.join(names)}"


def _read_words(command: Command, words: tuple[str, ...], converted: Converted) -> _Words:
    url, path = "", ""
    count: int | None = None
    time: int | None = None
    for kind, word in zip(command.words, words, strict=True):
        match kind:
            case Word.SOURCE_URL | Word.TARGET_URL:
                url = _checked_url(kind, word)
            case Word.SOURCE_PATH | Word.TARGET_PATH | Word.LOCAL_PATH:
                path = _checked_path(kind, word)
            case Word.COUNT:
                count = _checked_count(word)
            case Word.TIME:
                time = _checked_time(word, converted)
    return _Words(url, path, count, time)


def _checked_url(kind: Word, word: str) -> str:
    if is_url(word):
        return word
    end = "Source" if kind is Word.SOURCE_URL else "Target"
    raise CommandLineError(f"{end} should be url, not directory.  Got {word!r} instead.")


def _checked_path(kind: Word, word: str) -> str:
    if is_url(word):
        expected = "Source should be pathname" if kind is Word.SOURCE_PATH else "Target should be directory"
        raise CommandLineError(f"{expected}, not url.  Got {word!r} instead.")
    if not word:
        raise CommandLineError(f"Argument {kind.value} is empty. A variable may be unset")
    return word


def _checked_count(word: str) -> int:
    try:
        count = int(word)
    except ValueError as error:
        raise CommandLineError(f"{word!r} is not an int: {error}") from error
    if count < 1:
        raise CountTooSmall(f"At least one chain has to be kept, not {count}. Delete the last one by hand")
    return count


def _checked_time(word: str, converted: Converted) -> int:
    try:
        return parse_time(word, now=converted.now, separator=converted.options.time_separator)
    except UserError as error:
        raise CommandLineError(str(error)) from error


def _check_files(
    meaning: _Words, converted: Converted, command: Command, *, implied: bool, exists: Callable[[str], bool]
) -> None:
    if command.action.makes_backup and not exists(meaning.path):
        hint = _nearest_action((meaning.path,)) if implied and os.sep not in meaning.path else ""
        raise CommandLineError(f"Argument source_path {meaning.path!r} does not exist.{hint}")
    for condition in converted.conditions:
        if condition.rule.names_file and not exists(condition.argument):
            raise CommandLineError(f"[Errno 2] No such file or directory: {condition.argument!r}")


def _check_selection(action: Action, converted: Converted) -> None:
    """What cannot be asked of a restore (docs/cli.md section 6.9)."""
    if action is not Action.RESTORE or not converted.conditions:
        return
    if converted.options.path_to_restore is not None:
        raise CommandLineError("Use either --path-to-restore or selection options such as --include, not both.")
    for condition in converted.conditions:
        if condition.rule.needs_source:
            raise CommandLineError(f"Option --{condition.rule.value} cannot be used to restore.")


def _adapted(url: str, options: Options) -> str:
    """The URL that old options mean.

    COMPAT: duplicity <= 0.8 had --gio and --use-scp where today the scheme says it.
    """
    if options.use_scp:
        scheme, mark, rest = url.partition("://")
        if scheme in ("sftp", "ssh", "pexpect+sftp", "paramiko+sftp"):
            url = f"{scheme[: -len(scheme.rpartition('+')[2])]}scp{mark}{rest}"
    return f"gio+{url}" if options.gio and not url.startswith("gio+") else url


def _warnings(converted: Converted, action: Action) -> list[Message]:
    options = converted.options
    messages = [warning(text) for text in converted.advice]
    symmetric = options.encryption and not (options.encrypt_keys or options.hidden_encrypt_keys)
    if options.use_agent and symmetric and action.makes_backup:
        messages.append(
            warning("Option --use-agent is unsafe with symmetric encryption: the agent may know another passphrase")
        )
    if options.ignore_errors:
        messages.append(
            warning("With --ignore-errors damaged files may be restored incompletely or wrongly; read the messages")
        )
    if options.ignore_mdc_error:
        messages.append(
            warning(
                "With --ignore-mdc-error files are accepted that anybody may have changed; use it for old files only"
            )
        )
    return messages
