"""How an error ends a run: exit code, and what people and programs are told (docs/cli.md sections 5.4, 7.5 and 10.2).

Front ends look for numbers and words of the machine log, which therefore are duplicity's; texts are ours, except for
those that they search.
"""

from __future__ import annotations

from typing import NamedTuple

from twofold.errors import (
    CollectionError,
    EnvelopeError,
    FormatError,
    NeedsWarmUp,
    PassphraseNeeded,
    SourceChanged,
    StorageError,
    TwofoldError,
    Unavailable,
    WrongSigner,
)
from twofold.ui.machine_log import quote_path
from twofold.ui.message import Audience, Level, Message
from twofold.ui.usage import AmbiguousOption, CommandLineError

UNEXPECTED = 30
INTERRUPTED = 4

# What the log calls an operation where a store's own word is another.
_OPERATIONS = {"stat": "query"}


class Failure(NamedTuple):
    """The end of a failed run; `messages` are to be told in this order."""

    exit_code: int
    messages: tuple[Message, ...]


def describe(error: TwofoldError, *, program: str) -> Failure:
    """Decides what to say about an error that ended the run; `program` is what the program is called as."""
    match error:
        case AmbiguousOption():
            return Failure(error.exit_code, (_ambiguity(error, program),))
        case CommandLineError():
            text = f"CommandLineError: {error}\nEnter '{program} --help' for help screen."
            return _failure(error, text, extra=error.log_word)
        case NeedsWarmUp(operation=""):  # nothing has gone wrong
            return _failure(error, str(error), extra="BackendException")
        case StorageError():
            return _storage_failure(error)
        case SourceChanged():
            extra = f"{quote_path(error.now)} {quote_path(error.before)}"
            return _failure(error, _source_changed_text(error), extra=extra)
        case EnvelopeError():
            return _envelope_failure(error)
    return _failure(error, _with_framed_log(error), extra=_class_word(error))


def describe_unexpected(error: BaseException, *, traceback_text: str) -> Failure:
    """For errors that are mistakes in the program; the traceback is for a report."""
    name = type(error).__name__
    message = Message(Level.ERROR, f"{traceback_text.rstrip()}\n", code=UNEXPECTED, extra=name)
    return Failure(UNEXPECTED, (message,))


def _failure(error: TwofoldError, text: str, *, extra: str = "") -> Failure:
    return Failure(error.exit_code, (Message(Level.ERROR, text, code=error.exit_code, extra=extra),))


def _ambiguity(error: AmbiguousOption, program: str) -> Message:
    """As argument parsers say it; programs are told nothing."""
    from twofold.ui.help import usage_text

    text = f"{usage_text(program)}\n{program}: error: {error}"
    return Message(Level.ERROR, text, code=error.exit_code, audience=Audience.PEOPLE)


def _class_word(error: TwofoldError) -> str:
    """The name of the exception that duplicity would have died of, where programs look for one."""
    match error:
        case CollectionError() if error.exit_code == UNEXPECTED:
            return "CollectionsError"
        case FormatError():
            return type(error).__name__
    return error.log_word


def _storage_failure(error: StorageError) -> Failure:
    """Two stanzas: what the target said of which file, and that it ended the run; a person reads the first only."""
    operation = _OPERATIONS.get(error.operation, error.operation)
    if error.exit_code != StorageError.exit_code:
        return _failure(error, str(error))
    ending = Message(Level.ERROR, f"BackendException: {error}", code=error.exit_code, extra="BackendException")
    if not operation:
        return Failure(error.exit_code, (ending,))
    name = quote_path(error.name) if error.name else ""
    # Front ends expect source and destination of an upload; ours have the same name.
    names = (name, name) if operation == "put" else (name,)
    extra = " ".join(word for word in (operation, *names) if word)
    text = f"Giving up {operation} of {error.name or 'the target'}: {error}"
    if isinstance(error, Unavailable):
        text = f"{text}. When the target can be reached again, run the same command again"
    first = Message(Level.ERROR, text, code=error.log_code, extra=extra)
    return Failure(error.exit_code, (first, ending._replace(audience=Audience.PROGRAMS)))


def _envelope_failure(error: EnvelopeError) -> Failure:
    if isinstance(error, PassphraseNeeded):
        return _failure(error, str(error), extra="EOFError")
    if isinstance(error, WrongSigner):
        return _failure(error, str(error))
    text = f"GPGError: {error}"
    if error.log:
        text = f"{text}\n{_framed(error.log)}"
    return _failure(error, text, extra="GPGError")


def _framed(log: str) -> str:
    """What gpg said, as front ends look for it to find out about a wrong passphrase (docs/cli.md section 10.2)."""
    return f"===== Begin GnuPG log =====\n{log.rstrip()}\n===== End GnuPG log =====\n"


def _with_framed_log(error: TwofoldError) -> str:
    """The text of an error; where it ends with what gpg said of its cause, that is framed."""
    text, cause = str(error), error.__cause__
    if not isinstance(cause, EnvelopeError) or not cause.log or not text.endswith(cause.log.rstrip()):
        return text
    return f"{text.removesuffix(cause.log.rstrip()).rstrip()}\n{_framed(cause.log)}"


def _source_changed_text(error: SourceChanged) -> str:
    return (
        f"Fatal Error: {error}\nNow: {error.now}\nBefore: {error.before}\n\n"
        "Stopping, because two different sources may be about to share one target or one archive directory. "
        "If this is what you want, add --allow-source-mismatch"
    )
