"""Writes messages for people: errors to standard error, all else to standard output (docs/cli.md section 7.1).

Any file name can be written, whatever its bytes and the terminal's encoding; terminals get no control characters. A
stream that cannot be written ends no work: what would have been said there is dropped. A reader that went away is no
error; any other reason, such as a full disk, is kept for the end of the run.
"""

from __future__ import annotations

import os
import sys
import time
from typing import BinaryIO

from twofold.model.times import Clock
from twofold.ui.message import Audience, Level, Message, Messages

# All but tabulator and line feed, and bytes that are controls in encodings of one byte.
_CONTROLS = {
    code: f"\\x{code & 0xFF:02x}"
    for code in (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0xDC80, 0xDCA0))
}


def encode_for(encoding: str, text: str) -> bytes:
    """Undecodable bytes of names come out as they are; what the encoding lacks is written with backslashes."""
    try:
        return text.encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        return text.encode(encoding, "backslashreplace")


def harmless(text: str) -> str:
    """What a terminal would obey, such as escape sequences in names of files, is written with backslashes."""
    return text.translate(_CONTROLS)


class OutputStream:
    """Standard output or error as bytes; each write is one piece, whatever other threads write."""

    def __init__(
        self, file: BinaryIO | None, *, encoding: str, is_terminal: bool = False, name: str = "the output"
    ) -> None:
        self._file = file
        self.encoding = encoding
        self.is_terminal = is_terminal
        self.name = name
        self.error: OSError | None = None

    @property
    def is_lost(self) -> bool:
        """Whether nothing can be written any more; `error` says why, unless the reader went away."""
        return self._file is None

    def write(self, text: str, *, flush: bool) -> None:
        self._write(encode_for(self.encoding, text), flush=flush)

    def _write(self, data: bytes, *, flush: bool) -> None:
        file = self._file
        if file is None:
            return
        try:
            if data:  # for nothing, some files find that there is no room
                file.write(data)
            if flush:
                file.flush()
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.error = error
            self._drop(file)

    def write_if_clean(self, text: str) -> bool:
        """Writes a text if the encoding has all of it."""
        try:
            data = text.encode(self.encoding, "surrogateescape")
        except UnicodeEncodeError:
            return False
        self._write(data, flush=False)
        return True

    def flush(self) -> None:
        self.write("", flush=True)

    def _drop(self, file: BinaryIO) -> None:
        """Lets what is still buffered go to nowhere, or Python would complain about it at exit."""
        self._file = None
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, file.fileno())
        os.close(nowhere)


class Terminal:
    """The sink for people. Lines are prefixed with time and level if `clock` is given (docs/cli.md section 7.4)."""

    def __init__(
        self, output: OutputStream, errors: OutputStream, *, verbosity: int = Level.NOTICE, clock: Clock | None = None
    ) -> None:
        self.output = output
        self.errors = errors
        self._verbosity = verbosity
        self._clock = clock

    @classmethod
    def of_process(cls, *, verbosity: int = Level.NOTICE, clock: Clock | None = None) -> Terminal:
        """Standard output and error; either may be closed."""
        output, errors = _standard(sys.stdout, "standard output"), _standard(sys.stderr, "standard error")
        return cls(output, errors, verbosity=verbosity, clock=clock)

    def tell(self, message: Message) -> None:
        if message.audience is Audience.PROGRAMS or not message.is_wanted(self._verbosity):
            return
        text = message.text + "\n"
        if self._clock is not None:
            text = f"{_timestamp(self._clock.now())} {message.level.name:<6} {text}"
        stream = self.errors if message.level is Level.ERROR else self.output
        if stream.is_terminal:
            text = harmless(text)
        if message.level is Level.ERROR:
            self.output.flush()
        # Listings are a million INFO lines shown always; a flush for each would take longer than making them.
        stream.write(text, flush=not (message.always and message.level is Level.INFO))

    def tell_all(self, messages: Messages) -> None:
        if self._clock is None:
            text = messages.text()
            if self.output.write_if_clean(harmless(text) if self.output.is_terminal else text):
                return
        for message in messages.each():
            self.tell(message)

    def finish(self) -> None:
        """To be called at the end of the program, before its exit code is given."""
        self.output.flush()
        self.errors.flush()


def page(text: str, terminal: Terminal, *, pager: str | None) -> None:
    """Shows a long text through the person's pager, or prints it if there is none or it does not start."""
    if pager is not None:
        import shlex
        import subprocess

        try:
            subprocess.run(shlex.split(pager), input=text.encode(errors="replace"), check=False)
            return
        except (OSError, ValueError):
            terminal.errors.write(f"PAGER {pager!r} cannot be started; printing instead\n", flush=True)
    terminal.output.write(text, flush=True)


def _standard(stream: object, name: str) -> OutputStream:
    """One of sys.stdout and sys.stderr, which are None when the descriptor is closed."""
    buffer = getattr(stream, "buffer", None)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return OutputStream(buffer, encoding=encoding, is_terminal=buffer is not None and buffer.isatty(), name=name)


def _timestamp(now: float) -> str:
    seconds = int(now)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))},{int((now - seconds) * 1000):03}"
