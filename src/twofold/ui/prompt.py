"""Asks a person for a secret, without showing what is typed.

Without a terminal one line of standard input is taken, as duplicity does; at its end PassphraseNeeded tells front ends
that they have to ask (docs/cli.md section 8.3).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from twofold import system
from twofold.errors import PassphraseNeeded

_LONGEST_LINE = 64 * 1024


class Prompter(Protocol):
    """Somebody who can be asked."""

    @property
    def is_person(self) -> bool:
        """Whether there is a terminal, so that asking bothers somebody rather than fails."""

    def ask(self, prompt: str) -> str:
        """One answer without its line end. Raises PassphraseNeeded when there is nobody."""


class TerminalPrompter:
    """Asks on the controlling terminal, else reads `descriptor` (standard input)."""

    def __init__(self, *, warn: Callable[[str], None], terminal_path: str = "/dev/tty", descriptor: int = 0) -> None:
        self._warn = warn
        self._terminal_path = terminal_path
        self._descriptor = descriptor

    @property
    def is_person(self) -> bool:
        terminal = self._open_terminal()
        if terminal is not None:
            os.close(terminal)
        return terminal is not None

    def ask(self, prompt: str) -> str:
        system.shield_memory()
        terminal = self._open_terminal()
        if terminal is None:
            return self._read_without_terminal(prompt)
        try:
            return _ask_on(terminal, prompt)
        finally:
            os.close(terminal)

    def _open_terminal(self) -> int | None:
        try:
            return os.open(self._terminal_path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return None

    def _read_without_terminal(self, prompt: str) -> str:
        self._warn("There is no terminal: reading the answer from standard input, where it may be seen")
        self._warn(prompt.rstrip())
        try:
            line = _read_line(self._descriptor)
        except OSError:
            line = b""  # standard input is closed
        return _answer(line, prompt)


def _ask_on(terminal: int, prompt: str) -> str:
    import termios

    before = termios.tcgetattr(terminal)
    silent = [*before]
    silent[3] = before[3] & ~termios.ECHO
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
        os.write(terminal, os.fsencode(prompt))
        line = _read_line(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        os.write(terminal, b"\n")
    return _answer(line, prompt)


def _read_line(descriptor: int) -> bytes:
    """Byte by byte, since what follows in standard input is not ours to take."""
    line = bytearray()
    while len(line) < _LONGEST_LINE:
        byte = os.read(descriptor, 1)
        line += byte
        if byte in (b"", b"\n"):
            break
    return bytes(line)


def _answer(line: bytes, prompt: str) -> str:
    if not line:
        raise PassphraseNeeded(
            f"Nobody answers the question {prompt.strip()!r}. Set PASSPHRASE (for a key that signs SIGN_PASSPHRASE, "
            "for a password BACKEND_PASSWORD) or run on a terminal"
        )
    return os.fsdecode(line.removesuffix(b"\n").removesuffix(b"\r"))
