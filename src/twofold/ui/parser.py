"""From the command line to what is to be done: one typed value, or a CommandLineError (docs/cli.md sections 1 and 2).

Nothing is created, opened or printed here; of the file system only the existence of the source and of lists is asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from twofold.errors import UserError
from twofold.model.times import parse_time
from twofold.model.value import value
from twofold.storage.url import is_url
from twofold.ui.arguments import take_apart
from twofold.ui.commands import BY_ACTION, BY_NAME, Action, Command, Word, commands_of
from twofold.ui.conversion import Converted, Surroundings, convert
from twofold.ui.message import Message, notice, warning
from twofold.ui.option import Value
from twofold.ui.option_values import Condition, Options, Rule
from twofold.ui.usage import CommandLineError, CountTooSmall
from twofold.ui.version import TWOFOLD

_LONGEST_COUNT = 9
_OF_SOURCES = (Rule.EXCLUDE_IF_PRESENT, Rule.EXCLUDE_OTHER_FILESYSTEMS)


@value
class CommandLine:
    """One run as asked for.

    `path` is the source of a backup, the target of a restore or what a verify compares with, else empty. `url` is where
    the backup lies, `url_as_typed` the same before --gio and --use-scp: the default name of the cache comes from it.
    `copy_url` and `copy_url_as_typed` are where replicate copies it to, else empty.
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
    copy_url: str = ""
    copy_url_as_typed: str = ""


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
    copy_url: str = ""


def parse(
    arguments: Sequence[str],
    *,
    now: int,
    expand_path: Callable[[str], str],
    exists: Callable[[str], bool] = os.path.exists,
    program: str = TWOFOLD,
) -> CommandLine | HelpRequest | VersionRequest:
    """`arguments` are those behind the `program`. Raises CommandLineError, AmbiguousOption, CountTooSmall."""
    parts = take_apart(arguments)
    if parts.occurrences and parts.occurrences[-1].option.value.ends_program:
        option = parts.occurrences[-1].option
        return VersionRequest() if option.value is Value.VERSION else HelpRequest(option.name[len("help-") :])
    converted = convert(parts.occurrences, Surroundings(now, expand_path))
    command, words, implied = _find_command(parts.words, program)
    meaning = _read_words(command, words, converted)
    _check_files(meaning, converted, command, program if implied else None, exists=exists)
    conditions, advice = _applicable(command.action, converted)
    return CommandLine(
        command.action,
        _adapted(meaning.url, converted.options),
        meaning.url,
        meaning.path,
        meaning.count,
        meaning.time,
        converted.now,
        converted.options,
        conditions,
        (*advice, *_warnings(converted, command.action), *([notice(implied)] if implied else [])),
        _adapted(meaning.copy_url, converted.options) if meaning.copy_url else "",
        meaning.copy_url,
    )


def _find_command(words: tuple[str, ...], program: str) -> tuple[Command, tuple[str, ...], str | None]:
    """The action, its words, and what to say if it was only implied."""
    if words and (command := BY_NAME.get(words[0])) in commands_of(program) and command is not None:
        rest = words[1:]
        if len(rest) != len(command.words):
            from twofold.ui.mistakes import wrong_count

            raise CommandLineError(wrong_count(command, rest, _fits))
        return command, rest, None
    if len(words) == 2:
        match is_url(words[0]), is_url(words[1]):
            case False, True:
                implied = "'backup' because a path source was given and target is a url location."
                return BY_ACTION[Action.BACKUP], words, f"No valid action found. Will imply {implied}"
            case True, False:
                implied = "'restore' because url source was given and target is a local path."
                return BY_ACTION[Action.RESTORE], words, f"No valid action found. Will imply {implied}"
    from twofold.ui.mistakes import no_action

    raise CommandLineError(no_action(words, program))


def _fits(kind: Word, word: str) -> bool:
    """Whether a word can be what is wanted, as far as the word alone tells."""
    match kind:
        case Word.SOURCE_URL | Word.TARGET_URL:
            return is_url(word)
        case Word.SOURCE_PATH | Word.TARGET_PATH | Word.LOCAL_PATH:
            return not is_url(word)
        case Word.COUNT:
            digits = word.removeprefix("-")
            return digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_COUNT
        case Word.TIME:
            return not is_url(word)  # whether it is a time is found out when it is read


def _read_words(command: Command, words: tuple[str, ...], converted: Converted) -> _Words:
    url, path, copy_url = "", "", ""
    count: int | None = None
    time: int | None = None
    for kind, word in zip(command.words, words, strict=True):
        if not _fits(kind, word):
            from twofold.ui.mistakes import wrong_word

            raise CommandLineError(wrong_word(command, words, kind, fits=_fits))
        match kind:
            case Word.TARGET_URL if url:
                copy_url = word
            case Word.SOURCE_URL | Word.TARGET_URL:
                url = word
            case Word.SOURCE_PATH | Word.TARGET_PATH | Word.LOCAL_PATH:
                path = _checked_path(kind, word)
            case Word.COUNT:
                count = _checked_count(word)
            case Word.TIME:
                time = _checked_time(word, converted)
    return _Words(url, path, count, time, copy_url)


def _checked_path(kind: Word, word: str) -> str:
    if not word:
        raise CommandLineError(f"Argument {kind.value} is empty. A variable may be unset")
    return word


def _checked_count(word: str) -> int:
    count = int(word)
    if count < 1:
        raise CountTooSmall(f"At least one chain has to be kept, not {count}. Delete the last one by hand")
    return count


def _checked_time(word: str, converted: Converted) -> int:
    try:
        return parse_time(word, now=converted.now, separator=converted.options.time_separator)
    except UserError as error:
        raise CommandLineError(f"Argument time: {error}") from error


def _check_files(
    meaning: _Words, converted: Converted, command: Command, implied_by: str | None, *, exists: Callable[[str], bool]
) -> None:
    if command.action.makes_backup and not exists(meaning.path):
        from twofold.ui.mistakes import missing_source

        raise CommandLineError(missing_source(meaning.path, implied_by))
    for condition in converted.conditions:
        if condition.rule.names_file and not exists(condition.argument):
            raise CommandLineError(f"The list {condition.argument!r} of --{condition.rule.value} does not exist")


def _applicable(action: Action, converted: Converted) -> tuple[tuple[Condition, ...], list[Message]]:
    """The conditions that count for the action, and advice about others; some cannot be asked of a restore."""
    if action is not Action.RESTORE or not converted.conditions:
        return converted.conditions, []
    # duply gives the options of its profile to every action (docs/cli.md section 10.1).
    left_out = [each.rule for each in converted.conditions if each.rule in _OF_SOURCES]
    kept = tuple(each for each in converted.conditions if each.rule not in _OF_SOURCES)
    if kept and converted.options.path_to_restore is not None:
        raise CommandLineError("Use either --path-to-restore or selection options such as --include, not both")
    if any(condition.rule is Rule.FILES_FROM for condition in kept):
        raise CommandLineError("Option --files-from cannot be used to restore: there is no source to ask")
    return kept, [
        notice(f"--{rule.value} tells what is backed up, so it is ignored here") for rule in dict.fromkeys(left_out)
    ]


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
