"""Messages for programs, written to --log-fd and --log-file (docs/cli.md section 7.3). Front ends depend on every byte.

Each stanza is written whole and at once. A target that cannot be written ends no work: it gets no more. A reader that
went away is no error; any other reason, such as a full disk, is kept for the end of the run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import BinaryIO

from twofold.errors import UserError
from twofold.ui.message import Audience, Level, Message, Messages


class LogUnavailable(UserError):
    """A target of the machine log cannot be written."""

    exit_code = 30


class MachineLog:
    """The sink for programs; at most `verbosity` is written, as on the terminal."""

    def __init__(self, files: Iterable[BinaryIO], *, verbosity: int = Level.NOTICE) -> None:
        self._opened = tuple(files)
        self._files = list(self._opened)
        self._verbosity = verbosity
        self.lost: list[tuple[str, OSError]] = []
        """Targets that could not be written, and why."""

    @classmethod
    def open(cls, descriptors: Iterable[int], paths: Iterable[str], *, verbosity: int = Level.NOTICE) -> MachineLog:
        """Descriptors have to be open already, files are made and appended to. Raises LogUnavailable."""
        files = [_open_descriptor(descriptor) for descriptor in descriptors]
        return cls([*files, *(_open_file(path) for path in paths)], verbosity=verbosity)

    def tell(self, message: Message) -> None:
        if message.audience is Audience.PEOPLE or not message.is_wanted(self._verbosity):
            return
        if not self._files:
            return
        data = stanza(message)
        for file in tuple(self._files):
            try:
                file.write(data)
                file.flush()
            except OSError as error:
                self._lose(file, error)

    def tell_all(self, messages: Messages) -> None:
        if self._files:
            for message in messages.each():
                self.tell(message)

    def close(self) -> None:
        """Closes files; descriptors that others opened stay open."""
        self._files.clear()
        for file in self._opened:
            try:
                file.close()
            except OSError as error:
                self.lost.append((_target(file), error))

    def _lose(self, file: BinaryIO, error: OSError) -> None:
        """Lets what is still buffered go to nowhere, or Python would complain about it at exit."""
        if file not in self._files:
            return
        self._files.remove(file)
        if not isinstance(error, BrokenPipeError):
            self.lost.append((_target(file), error))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, file.fileno())
        os.close(nowhere)


def stanza(message: Message) -> bytes:
    """One message as UTF-8, its empty line included; undecodable bytes of names appear as `\\udcNN`."""
    first = f"{message.level.name} {message.code}"
    if message.extra or message.data is not None:
        first = f"{first} {message.extra}"
    lines = [first, *(message.data or ())]
    if message.text:
        lines += [f". {line}" for line in message.text.split("\n")]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "backslashreplace")


def quote_path(path: bytes | str) -> str:
    """A path as the log's first lines hold it; blanks stay as they are, which readers rely on. The root is `'.'`."""
    text = os.fsdecode(path) or "."
    return "'" + text.encode("unicode_escape").decode("ascii").replace("'", r"\x27") + "'"


def _target(file: BinaryIO) -> str:
    return f"--log-{'fd' if isinstance(file.name, int) else 'file'} {file.name}"


def _open_descriptor(descriptor: int) -> BinaryIO:
    try:
        return open(descriptor, "wb", closefd=False)
    except OSError as error:
        raise LogUnavailable(
            f"Cannot write to --log-fd {descriptor}: {error.strerror}. Open it before the program starts"
        ) from error


def _open_file(path: str) -> BinaryIO:
    try:
        return open(path, "ab")
    except OSError as error:
        raise LogUnavailable(f"Cannot write to --log-file {path}: {error.strerror}. Name another file") from error
