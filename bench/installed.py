"""Finds the programs on this machine.

`TWOFOLD_BENCH_TWOFOLD`, `TWOFOLD_BENCH_DUPLICITY` (or `TWOFOLD_TEST_DUPLICITY`), `TWOFOLD_BENCH_RESTIC` and
`TWOFOLD_BENCH_BORG` name other commands to measure; without them those that `make bench` installs are taken.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable

from bench.programs import Borg, DuplicityLike, Interpreter, Program, Restic, TarAndGpg

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS, INTERPRETER = "twofold", "python"
DUPLICITY, RESTIC, BORG, BORG_ZSTD, TAR = "duplicity", "restic", "borg", "borg zstd", "tar + gpg"
_SECOND = 10**9


def find(names: Iterable[str]) -> tuple[list[Program], list[str]]:
    """The programs of these names that are installed, and the names of those that are not."""
    there: list[Program] = []
    missing: list[str] = []
    for name in names:
        program = _FINDERS[name]()
        if program is None:
            missing.append(name)
        else:
            there.append(program)
    return there, missing


def _twofold() -> Program | None:
    script = os.path.join(os.path.dirname(sys.executable), "twofold")
    executable = _executable("TWOFOLD_BENCH_TWOFOLD", default=script)
    if executable is not None:
        return DuplicityLike(OURS, executable)
    variables = (("PYTHONPATH", os.path.join(ROOT, "src")),)
    return DuplicityLike(OURS, (sys.executable, "-m", "twofold"), variables=variables)


def _duplicity() -> Program | None:
    executable = _executable("TWOFOLD_BENCH_DUPLICITY", "TWOFOLD_TEST_DUPLICITY", default=_built("duplicity-3.2.1"))
    return None if executable is None else DuplicityLike(DUPLICITY, executable, mtime_ns=_SECOND)


def _restic() -> Program | None:
    executable = _executable("TWOFOLD_BENCH_RESTIC", default="restic")
    return None if executable is None else Restic(RESTIC, executable)


def _borg(name: str, compression: str | None) -> Program | None:
    built = _built("borg-1.4")
    executable = _executable("TWOFOLD_BENCH_BORG", default=built if os.path.exists(built) else "borg")
    return None if executable is None else Borg(name, executable, compression=compression)


def _tar() -> Program | None:
    there = all(map(shutil.which, ("bash", "tar", "gpg")))
    return TarAndGpg(TAR, ("bash",), mtime_ns=_SECOND) if there else None


_FINDERS: dict[str, Callable[[], Program | None]] = {
    OURS: _twofold,
    DUPLICITY: _duplicity,
    RESTIC: _restic,
    BORG: lambda: _borg(BORG, None),
    BORG_ZSTD: lambda: _borg(BORG_ZSTD, "zstd"),
    TAR: _tar,
    INTERPRETER: lambda: Interpreter(INTERPRETER, (sys.executable,)),
}
NAMES = tuple(_FINDERS)


def _built(name: str) -> str:
    return os.path.join(ROOT, ".build", name, "bin", name.partition("-")[0])


def _executable(*variables: str, default: str) -> tuple[str, ...] | None:
    """The command that a variable names, or the default if it can be run; a path is made absolute."""
    for variable in variables:
        words = shlex.split(os.environ.get(variable, ""))
        if words:
            return (_absolute(words[0]) or words[0], *words[1:])
    path = _absolute(default)
    return None if path is None else (path,)


def _absolute(command: str) -> str | None:
    found = shutil.which(command)
    return None if found is None else os.path.abspath(found)
