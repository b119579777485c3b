"""One run of the program: command line in, exit code out. The only place where all errors end."""

from __future__ import annotations

import errno
import math
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from twofold import rsync, system
from twofold.errors import TwofoldError, UserError
from twofold.model.times import Clock, SystemClock
from twofold.model.value import field, record, value
from twofold.monitor import Monitor
from twofold.ui.actions import carry_out
from twofold.ui.assemble import assemble
from twofold.ui.commands import Action
from twofold.ui.conversion import Surroundings, log_targets
from twofold.ui.environment import Environment
from twofold.ui.failure import INTERRUPTED, Failure, describe, describe_unexpected
from twofold.ui.machine_log import MachineLog
from twofold.ui.message import Level, Message, Sink, Sinks, info, notice, warning
from twofold.ui.parser import CommandLine, HelpRequest, VersionRequest, parse
from twofold.ui.prompt import Prompter, TerminalPrompter
from twofold.ui.reporting import Reporter
from twofold.ui.terminal import Terminal, page
from twofold.ui.timings import Timings
from twofold.ui.usage import CommandLineError, CountTooSmall
from twofold.ui.version import DUPLICITY, version_line

if TYPE_CHECKING:
    from twofold.ui.answer import Answer
    from twofold.ui.screen import Screen

_OPEN_FILES = 4096
_JSON = "--json"
_SAME_WISH = 2.0


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
    with termination():
        return run_with(environment, terminal)


@record
class _Voices:
    """Who is told, as far as that is known by now; `screen` is there with --progress, `answer` with --json.

    `result_is_said` if what is asked for is to say something; `mourned` names the lost that have been told of.
    """

    sink: Sink
    log: MachineLog
    result_is_said: bool = True
    screen: Screen | None = None
    answer: Answer | None = None
    mourned: set[str] = field(default_factory=set)


def run_with(environment: Environment, terminal: Terminal) -> int:
    """One whole run; gives the exit code. Every error has become a message by then."""
    voices = _Voices(terminal, MachineLog(()))
    try:
        code = _without_lost(_guarded(environment, terminal, voices), environment, terminal, voices)
        if voices.answer is not None:
            voices.answer.finish(code)
            code = _without_lost(code, environment, terminal, voices)
        return code
    finally:
        voices.log.close()
        terminal.finish()


def _guarded(environment: Environment, terminal: Terminal, voices: _Voices) -> int:
    try:
        command = _understood(environment, terminal, voices)
        if not isinstance(command, CommandLine):
            return _answer(command, environment, terminal)
        _listen(command, environment, terminal, voices)
        return _carry_out(command, environment, terminal, voices)
    except KeyboardInterrupt:
        text = "Interrupted. Earlier backups are as they were; run the same command again to do what is left"
        if voices.answer is not None:
            voices.answer.fail("Interrupted", INTERRUPTED, text)
        voices.sink.tell(notice(text))
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - here errors become exit codes
        failure = _failure_of(error, environment.program)
        if voices.answer is not None:
            voices.answer.fail(type(error).__name__, failure.messages[0].code, failure.messages[0].text)
        for message in failure.messages:
            voices.sink.tell(message)
        return failure.exit_code


def _without_lost(code: int, environment: Environment, terminal: Terminal, voices: _Voices) -> int:
    """The exit code of a run that may have lost a voice; what can still speak says so, once.

    Scripts that call duplicity rely on 0 for a backup that was made, whatever became of its log.
    """
    terminal.finish()
    streams = (terminal.output, terminal.errors)
    lost = [(each.name, each.error) for each in streams if each.error is not None] + voices.log.lost
    fails = bool(lost) and (voices.result_is_said or environment.program != DUPLICITY)
    for name, error in lost:
        if name not in voices.mourned:
            voices.mourned.add(name)
            text = (
                f"Cannot write to {name}: {error.strerror}. The work went on, but what was to be said there is not "
                "complete. Make room there, or let it go elsewhere"
            )
            _mourn(Message(Level.ERROR, text) if fails else warning(text), terminal, voices)
    return code or int(fails)


def _mourn(message: Message, terminal: Terminal, voices: _Voices) -> None:
    voices.log.tell(message)
    if voices.answer is not None:
        voices.answer.note(message)
    stream = terminal.output if terminal.errors.is_lost and voices.answer is None else terminal.errors
    stream.write(f"{message.text}\n", flush=True)


def _understood(
    environment: Environment, terminal: Terminal, voices: _Voices
) -> CommandLine | HelpRequest | VersionRequest:
    """The command line. Of a faulty one the voices are those that can be made out in it."""
    surroundings = Surroundings(int(SystemClock().now()), environment.expand_path)
    try:
        return parse(
            environment.arguments,
            now=surroundings.now,
            expand_path=surroundings.expand_path,
            program=environment.program,
        )
    except (CommandLineError, CountTooSmall):
        voices.log = _log_of_faulty(environment, surroundings)
        people: Sink = terminal
        if _JSON in environment.arguments:
            people = _answering(terminal, voices, action=None, verbosity=Level.NOTICE)
        voices.sink = Sinks(people, voices.log)
        raise


def _listen(command: CommandLine, environment: Environment, terminal: Terminal, voices: _Voices) -> None:
    """Finds out who is to be told from here on. Raises LogUnavailable."""
    options = command.options
    output, errors = terminal.output, terminal.errors
    voices.result_is_said = options.json or command.action in (Action.LIST, Action.STATUS, Action.VALIDATE)
    if options.progress:
        from twofold.ui.showing import around, screen_for

        voices.screen = screen_for(command, environment, terminal)
        if voices.screen is not None:
            output, errors = around(terminal, voices.screen, environment)
    clock: Clock | None = SystemClock() if options.log_timestamp else None
    voices.sink = people = Terminal(output, errors, verbosity=options.verbosity, clock=clock)
    if options.json:
        voices.sink = _answering(people, voices, action=command.action.value, verbosity=options.verbosity)
    voices.log = MachineLog.open(options.log_fds, options.log_files, verbosity=options.verbosity)
    voices.sink = Sinks(voices.sink, voices.log)


def _answering(people: Terminal, voices: _Voices, *, action: str | None, verbosity: int) -> Sink:
    from twofold.ui.answer import Answer, AnswerSink

    voices.answer = Answer(people.output, action=action)
    return AnswerSink(voices.answer, people.errors, verbosity=verbosity)


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


def _carry_out(command: CommandLine, environment: Environment, terminal: Terminal, voices: _Voices) -> int:
    sink = voices.sink
    for message in command.messages:
        sink.tell(message)
    _warn(command, environment, sink)
    walks = command.action.makes_backup or command.action is Action.VERIFY
    timings = Timings(Reporter(sink, source=os.fsencode(command.path) if walks else b""))
    with ExitStack() as ending:
        system.open_files_limit(_OPEN_FILES)
        system.forbid_core_dumps()
        run = assemble(
            command,
            environment,
            prompter=_prompter(terminal, voices.screen),
            clock=_clock(command),
            sink=sink,
            monitor=_monitor(command, environment, timings, voices, ending),
            answer=voices.answer,
        )
        try:
            with ExitStack() as held:
                if command.action.uses_cache:
                    sink.tell(info(f"Using archive dir: {run.archive_dir.path}"))
                    held.enter_context(run.archive_dir)
                code = carry_out(run)
        finally:
            run.close()
            if command.options.timings:
                (terminal if voices.answer is None else Terminal(terminal.errors, terminal.errors)).tell(
                    timings.message()
                )
    if command.action.makes_backup:
        sink.tell(notice(_ending(environment.program, dry_run=command.options.dry_run)))
    return code


def _ending(program: str, *, dry_run: bool) -> str:
    """The last words of a backup; front ends know duplicity's, which never change."""
    if program == DUPLICITY:
        return "Duplicity backup complete."
    return "Dry run complete: no backup was made." if dry_run else "Backup complete."


def _monitor(
    command: CommandLine, environment: Environment, timings: Timings, voices: _Voices, ending: ExitStack
) -> Monitor:
    """The timings, and before them what shows progress, if somebody wants to see it."""
    if not command.options.progress:
        return timings
    from twofold.ui.showing import progress_monitor

    shown = progress_monitor(command, timings, sink=voices.sink, screen=voices.screen, program=environment.program)
    ending.callback(shown.finish, complete=False)
    return shown


def _prompter(terminal: Terminal, screen: Screen | None) -> Prompter:
    prompter = TerminalPrompter(warn=lambda text: terminal.errors.write(text + "\n", flush=True))
    if screen is None:
        return prompter
    from twofold.ui.screen import CalmPrompter

    return CalmPrompter(prompter, screen)


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
    unavailable = {
        "--use-gpgsm": command.options.use_gpgsm,
    }
    for name, given in unavailable.items():
        if given:
            raise UserError(f"{name} is not available in this version")


class termination:  # noqa: N801 - used as a statement
    """While it lasts, SIGTERM and SIGHUP end the run as Ctrl-C does: children and temporary files are cleared away.

    Signals that follow at once mean the same, so they do not end the clearing away; later ones come from somebody who
    has lost patience. What is ignored (nohup) stays ignored.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._first = math.inf

    def __enter__(self) -> None:
        self._before = {
            number: signal.signal(number, self._interrupt)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) is not signal.SIG_IGN
        }

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, _: object) -> None:
        now = self._now()
        if self._first > now or now > self._first + _SAME_WISH:
            self._first = min(self._first, now)
            raise KeyboardInterrupt(number)


def _translated(error: OSError) -> TwofoldError:
    """An error of this machine, such as a full disk; those of the target have been translated where they came in."""
    where = f" ({os.fsdecode(error.filename)})" if error.filename is not None else ""
    remedy = "Mend it"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = "Make room there, or choose another place with --tempdir or --archive-dir"
    return LocalError(f"{error.strerror or error}{where}. {remedy}, and run the same command again")


class LocalError(TwofoldError):
    """This machine would not do what was asked of it."""

    exit_code = 1
