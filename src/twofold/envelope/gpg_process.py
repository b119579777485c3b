"""One gpg at work: its pipes, its log, its end. Nobody is asked and nothing waits for two pipes at once.

gpg reads from a pipe or a file and writes into files only (its output, its log, its status), so that it never waits
for us to read. Passphrases go through a pipe of their own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from twofold.envelope.gpg_command import GpgSettings, child_environment, version_command
from twofold.envelope.protocol import Buffer
from twofold.envelope.stored_file import SharedDescriptor, write_all
from twofold.errors import EnvelopeError, UserError
from twofold.system import enlarge_pipe, scratch_file

if TYPE_CHECKING:
    import subprocess

_PIPE_SIZE: Final = 1 << 20
_LOG_LIMIT: Final = 1 << 16
_PASSPHRASE_LIMIT: Final = 4096
"""What every pipe holds without a reader."""


class GpgProcess:
    """A running gpg whose log goes to a file of ours. Raises EnvelopeError when the program cannot be started."""

    def __init__(
        self,
        settings: GpgSettings,
        command: Callable[[int | None], list[str]],
        *,
        stdin: int,
        stdout: int,
        passphrase: str | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        """`command` makes the words, given the descriptor from which the passphrase is to be read."""
        _make_home(settings.environment)
        passphrase_fd = None if passphrase is None else _passphrase_pipe(passphrase)
        try:
            log = scratch_file(settings.temp_dir)
            self._log = SharedDescriptor(log)
            inherited = pass_fds if passphrase_fd is None else (*pass_fds, passphrase_fd)
            try:
                self._process = start_program(
                    command(passphrase_fd), settings.environment, files=(stdin, stdout, log), pass_fds=inherited
                )
            except BaseException:
                self._log.close()
                raise
        finally:
            if passphrase_fd is not None:
                os.close(passphrase_fd)

    def wait(self) -> int:
        """Waits for the end and returns the exit code, below zero for a signal."""
        return self._process.wait()

    def kill(self) -> None:
        """Ends the process whatever it does; may be called twice and after its end."""
        self._process.kill()
        self._process.wait()

    def log(self) -> str:
        """What gpg has said to people so far, the last 64 KiB of it; nothing after `close`."""
        try:
            with self._log as log:
                return read_text(log, max(0, os.fstat(log).st_size - _LOG_LIMIT))
        except OSError:
            return ""

    def close(self) -> None:
        """Ends the process and gives up its log; may be called twice and from any thread."""
        self.kill()
        self._log.close()


class FedProcess(GpgProcess):
    """A gpg that we write to, through a pipe of 1 MiB where the system allows it."""

    def __init__(
        self, settings: GpgSettings, command: Callable[[int | None], list[str]], *, stdout: int, passphrase: str | None
    ) -> None:
        reading, writing = os.pipe()
        self._writing = SharedDescriptor(writing)
        try:
            enlarge_pipe(writing, _PIPE_SIZE)
            super().__init__(settings, command, stdin=reading, stdout=stdout, passphrase=passphrase)
        except BaseException:
            self._writing.close()
            raise
        finally:
            os.close(reading)

    def feed(self, data: Buffer) -> None:
        """Writes everything. Raises OSError when gpg has ended or was closed by another thread."""
        with self._writing as writing:
            write_all(writing, data)

    def finish(self) -> int:
        """Lets gpg see the end of its input, waits for it and returns its exit code."""
        self._writing.close()
        return self.wait()

    def close(self) -> None:
        super().close()
        self._writing.close()


def start_program(
    command: list[str], environment: Mapping[str, str], *, files: tuple[int, int, int], pass_fds: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """Starts a program on three descriptors. Raises EnvelopeError when there is no such program."""
    import subprocess

    stdin, stdout, stderr = files
    variables = child_environment(environment)
    try:
        return subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=stderr, env=variables, close_fds=True, pass_fds=pass_fds
        )
    except OSError as error:
        raise EnvelopeError(
            f"Cannot run {command[0]}: {error.strerror}; install GnuPG or name the program with --gpg-binary"
        ) from error


def run_to_end(settings: GpgSettings, command: list[str]) -> tuple[int, bytes, str]:
    """Runs gpg on nothing: exit code, output and log. Raises EnvelopeError when it cannot be started."""
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    output = -1
    try:
        output = scratch_file(settings.temp_dir)
        process = GpgProcess(settings, lambda _: command, stdin=nothing, stdout=output)
        try:
            exit_code = process.wait()
            return exit_code, read_bytes(output), process.log()
        finally:
            process.close()
    finally:
        os.close(nothing)
        if output >= 0:
            os.close(output)


def gpg_version(settings: GpgSettings) -> tuple[int, ...]:
    """The version of the installed gpg, some 3 ms. Raises EnvelopeError when it is missing or none."""
    exit_code, output, log = run_to_end(settings, version_command(settings))
    first = output.decode("ascii", "replace").partition("\n")[0]
    numbers = first.rpartition(" ")[2].partition("-")[0].split(".")
    if exit_code or len(numbers) < 2 or not all(number.isdecimal() for number in numbers):
        raise EnvelopeError(f"{settings.binary} does not tell its version: is it GnuPG?", log)
    return tuple(int(number) for number in numbers)


def read_bytes(descriptor: int, start: int = 0) -> bytes:
    """The content of a small file from `start` on, wherever its position is."""
    size = os.fstat(descriptor).st_size - start
    return os.pread(descriptor, size, start) if size > 0 else b""


def read_text(descriptor: int, start: int = 0) -> str:
    """The same as text; gpg writes in the user's encoding, and file names may be anything."""
    return read_bytes(descriptor, start).decode("utf-8", "replace")


def _make_home(environment: Mapping[str, str]) -> None:
    """Makes gpg's folder where there is none yet.

    gpg makes it itself, but of several that begin at once all but the first fail over it ("can't create directory:
    File exists"): the first backup of a new user would.
    """
    home = environment.get("HOME")
    if not home or environment.get("GNUPGHOME"):
        return
    folder = os.path.join(home, ".gnupg")
    if not os.path.lexists(folder):
        # What is wrong with the place is gpg's to say.
        with contextlib.suppress(OSError):
            os.mkdir(folder, 0o700)


def _passphrase_pipe(passphrase: str) -> int:
    """The reading end of a pipe that holds the passphrase and then ends."""
    # NB: no newline, as duplicity writes it; gpg itself takes only the first line.
    secret = os.fsencode(passphrase)
    if len(secret) > _PASSPHRASE_LIMIT:
        raise UserError(f"The passphrase is longer than {_PASSPHRASE_LIMIT} bytes: use a shorter one")
    reading, writing = os.pipe()
    try:
        os.write(writing, secret)
    finally:
        os.close(writing)
    return reading
