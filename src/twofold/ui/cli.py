"""One run of the program: command line in, exit code out. The only place where all errors end."""

from __future__ import annotations

import gc
import os
import signal

from twofold import rsync, system
from twofold.errors import TwofoldError, UserError
from twofold.model.times import Clock, SystemClock
from twofold.model.value import value
from twofold.ui.actions import carry_out
from twofold.ui.assemble import assemble
from twofold.ui.conversion import Surroundings, log_targets
from twofold.ui.environment import Environment
from twofold.ui.failure import INTERRUPTED, Failure, describe, describe_unexpected
from twofold.ui.machine_log import MachineLog
from twofold.ui.message import Sink, Sinks, info, notice, warning
from twofold.ui.parser import CommandLine, HelpRequest, VersionRequest, parse
from twofold.ui.prompt import TerminalPrompter
from twofold.ui.reporting import Reporter
from twofold.ui.terminal import Terminal, page
from twofold.ui.timings import Timings
from twofold.ui.usage import CommandLineError
from twofold.ui.version import version_line

_OPEN_FILES = 4096


@value
class _StartedAt:
    """A clock that pretends that the run began at another moment (--current-time)."""

    pretended: float
    began: float

    def now(self) -> float:
        return self.pretended + SystemClock().now() - self.began


def run() -> int:
    """Runs the program with this process's arguments and environment."""
    environment = Environment.of_process()
    terminal = Terminal.of_process()
    try:
        return run_with(environment, terminal)
    finally:
        terminal.finish()


def run_with(environment: Environment, terminal: Terminal) -> int:
    """One whole run; gives the exit code. Every error has become a message by then."""
    surroundings = Surroundings(int(SystemClock().now()), environment.expand_path)
    log = MachineLog(())
    sink: Sink = terminal
    try:
        try:
            command = parse(environment.arguments, now=surroundings.now, expand_path=surroundings.expand_path)
        except CommandLineError:
            log = _log_of_faulty(environment, surroundings)
            sink = Sinks(terminal, log)
            raise
        if not isinstance(command, CommandLine):
            return _answer(command, environment, terminal)
        sink = _told(command, terminal)
        options = command.options
        log = MachineLog.open(options.log_fds, options.log_files, verbosity=options.verbosity)
        sink = Sinks(sink, log)
        return _carry_out(command, environment, terminal, sink=sink)
    except KeyboardInterrupt:
        sink.tell(
            notice("Interrupted. Earlier backups are as they were; run the same command again to begin this one anew")
        )
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - here errors become exit codes
        failure = _failure_of(error, environment.program)
        for message in failure.messages:
            sink.tell(message)
        return failure.exit_code
    finally:
        log.close()


def _failure_of(error: Exception, program: str) -> Failure:
    match error:
        case TwofoldError():
            return describe(error, program=program)
        case OSError():
            return describe(_translated(error), program=program)
    import traceback

    # A mistake of ours: number and class name are interface.
    return describe_unexpected(error, traceback_text="".join(traceback.format_exception(error)))


def _log_of_faulty(environment: Environment, surroundings: Surroundings) -> MachineLog:
    """Front ends read in the machine log what was wrong with the command line, so it is found even in a wrong one."""
    descriptors, paths = log_targets(environment.arguments, surroundings)
    try:
        return MachineLog.open(descriptors, paths)
    except UserError:
        return MachineLog(())


def _answer(request: HelpRequest | VersionRequest, environment: Environment, terminal: Terminal) -> int:
    if isinstance(request, VersionRequest):
        terminal.output.write(version_line(environment.program) + "\n", flush=True)
        return 0
    from twofold.ui.help import help_text

    pager = environment.pager if environment.stdout_is_terminal else None
    page(help_text(request.topic, program=environment.program), terminal, pager=pager)
    return 0


def _told(command: CommandLine, terminal: Terminal) -> Terminal:
    """The terminal as the options want it."""
    clock: Clock | None = SystemClock() if command.options.log_timestamp else None
    return Terminal(terminal.output, terminal.errors, verbosity=command.options.verbosity, clock=clock)


def _carry_out(command: CommandLine, environment: Environment, terminal: Terminal, *, sink: Sink) -> int:
    for message in command.messages:
        sink.tell(message)
    _warn(command, environment, sink)
    prompter = TerminalPrompter(warn=lambda text: terminal.errors.write(text + "\n", flush=True))
    monitor = Timings(Reporter(sink, source=os.fsencode(command.path) if command.action.makes_backup else b""))
    system.open_files_limit(_OPEN_FILES)
    # Few reference cycles are made, but millions of values: looking for cycles would cost a tenth of the time.
    gc.set_threshold(100_000, 50, 1000)
    run = assemble(command, environment, prompter=prompter, clock=_clock(command), sink=sink, monitor=monitor)
    with _termination():
        try:
            sink.tell(info(f"Using archive dir: {run.archive_dir.path}"))
            with run.archive_dir:
                code = carry_out(run)
        finally:
            run.close()
            if command.options.timings:
                sink.tell(monitor.message())
    if command.action.makes_backup:
        program = environment.program
        sink.tell(notice("Duplicity backup complete." if program == "duplicity" else "Backup complete."))
    return code


def _clock(command: CommandLine) -> Clock:
    pretended = command.options.current_time
    return SystemClock() if pretended is None else _StartedAt(float(pretended), SystemClock().now())


def _warn(command: CommandLine, environment: Environment, sink: Sink) -> None:
    if rsync.IMPLEMENTATION == "python":
        sink.tell(
            warning(
                "The compiled kernel is missing, so its slow replacement in Python is used. Install a Rust tool chain "
                "and install twofold again"
            )
        )
    if environment.password_advice is not None:
        sink.tell(warning(environment.password_advice))
    if command.options.progress:
        sink.tell(warning("--progress shows nothing yet in this version"))
    unavailable = {
        "--jsonstat": command.options.jsonstat,
        "--show-changes-in-set": command.options.show_changes_in_set is not None,
        "--file-changed": command.options.file_changed is not None,
        "--use-gpgsm": command.options.use_gpgsm,
    }
    for name, given in unavailable.items():
        if given:
            raise UserError(f"{name} is not available in this version")


class _termination:  # noqa: N801 - used as a statement
    """While it lasts, SIGTERM and SIGHUP end the run as Ctrl-C does: children and temporary files are cleared away."""

    def __enter__(self) -> None:
        self._before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt(number)


def _translated(error: OSError) -> TwofoldError:
    """An error of this machine, such as a full disk; those of the target have been translated where they came in."""
    where = f" ({os.fsdecode(error.filename)})" if error.filename is not None else ""
    return LocalError(f"{error.strerror or error}{where}. Make room or mend it, and run the same command again")


class LocalError(TwofoldError):
    """This machine would not do what was asked of it."""

    exit_code = 1
