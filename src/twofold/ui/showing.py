"""Decides how --progress is shown: by a display if there is a terminal that can move its cursor, else by lines.

Standard output is preferred; where it goes elsewhere, standard error is taken. Loaded only when progress is wanted.
"""

from __future__ import annotations

from twofold.monitor import Monitor
from twofold.ui.commands import Action
from twofold.ui.environment import Environment
from twofold.ui.estimate import Work
from twofold.ui.message import Audience, Sink
from twofold.ui.parser import CommandLine
from twofold.ui.progress import ProgressMonitor, estimator_for
from twofold.ui.screen import AboveScreen, Screen
from twofold.ui.terminal import OutputStream, Terminal
from twofold.ui.version import DUPLICITY


def screen_for(command: CommandLine, environment: Environment, terminal: Terminal) -> Screen | None:
    """The display that this run will have, if it is one that can have one."""
    if environment.variables.get("TERM", "dumb") in ("", "dumb", "unknown"):
        return None
    if environment.stdout_is_terminal and not command.options.json:
        stream = terminal.output
    elif environment.stderr_is_terminal:
        stream = terminal.errors
    else:
        return None
    return Screen(stream, environment.variables, work_of(command.action))


def around(terminal: Terminal, screen: Screen, environment: Environment) -> tuple[OutputStream, OutputStream]:
    """Standard output and error, those that are a terminal above the display."""
    output, errors = terminal.output, terminal.errors
    return (
        AboveScreen(output, screen) if environment.stdout_is_terminal else output,
        AboveScreen(errors, screen) if environment.stderr_is_terminal else errors,
    )


def progress_monitor(
    command: CommandLine, monitor: Monitor, *, sink: Sink, screen: Screen | None, program: str
) -> ProgressMonitor:
    """What shows the progress of a run whose other events go to `monitor`."""
    options = command.options
    return ProgressMonitor(
        monitor,
        estimator_for(work_of(command.action), rate=options.progress_rate_seconds, encrypts=options.encryption),
        sink=sink,
        rate=options.progress_rate_seconds,
        view=screen,
        audience=Audience.PROGRAMS if options.json else Audience.ALL,
        tells_stages=program != DUPLICITY,
    )


def work_of(action: Action) -> Work:
    """Actions without progress count as backups; nothing of theirs is ever shown."""
    works = {
        Action.RESTORE: Work.RESTORE,
        Action.VERIFY: Work.VERIFY,
        Action.REPLICATE: Work.REPLICATE,
        Action.CHECK: Work.CHECK,
    }
    return works.get(action, Work.BACKUP)
