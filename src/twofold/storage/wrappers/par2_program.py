"""The par2 program: makes recovery files, checks a file with them and repairs it.

It works in a private folder that the caller made, in which the file has its own name: par2 knows files by their names.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable
from importlib.util import find_spec

from twofold.errors import MissingLibrary, StorageError, UserError
from twofold.storage import processes
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Operation

SUFFIX = ".par2"
_REMEDY = "pip install 'twofold[par2]', or your system's package par2; leave par2+ out of the URL to read without it"
_NOT_FOR_CREATING_ALONE = ("-m", "-t", "-T")
"""Options for memory and threads; par2 ends at once when it is told a number of blocks and is only to check."""


class Par2Program:
    """May be used from several threads at once; nothing is started before it is needed."""

    def __init__(self, settings: StoreSettings) -> None:
        options = settings.options
        self._environment = processes.child_environment(settings.environment)
        self._amounts = [f"-r{options.par2_redundancy}", f"-n{options.par2_volumes}"]
        try:
            self._further = shlex.split(options.par2_options)
        except ValueError as error:
            raise UserError(f"--par2-options cannot be taken apart: {error}; close each quotation mark") from error
        self._always = [word for word in self._further if word.startswith(_NOT_FOR_CREATING_ALONE)]

    def create(self, folder: str, name: str, source: str) -> list[str]:
        """Makes the recovery files of the local file `source` for the name it is to have; their names. Raises
        StorageError.
        """
        path = os.path.join(folder, name)
        os.symlink(os.path.realpath(source), path)
        ended = self._run("c", folder, *self._amounts, *self._further, "-q", "-q", path)
        made = sorted(set(os.listdir(folder)) - {name})
        if ended.code or name + SUFFIX not in made:
            reason = _last_line(ended) or f"exit code {ended.code}"
            word = Operation.PUT.value
            raise StorageError(f"par2 makes no recovery files for {name}: {reason}", name=name, operation=word)
        return made

    def is_sound(self, folder: str, name: str) -> bool:
        """Whether a file is what its index says, both in the folder."""
        return self._run("v", folder, *self._always, "-q", "-q", os.path.join(folder, name + SUFFIX)).code == 0

    def repair(self, folder: str, name: str, recovery: Iterable[str]) -> bool:
        """Repairs a file in the folder with all that lies beside it; whether it is now what it should be."""
        # Each of them has all that par2 must know: the first will do unless it is damaged itself.
        paths = (os.path.join(folder, each) for each in recovery)
        return any(self._run("r", folder, *self._always, "-q", "-q", path).code == 0 for path in paths)

    def _run(self, command: str, folder: str, *words: str) -> processes.Ended:
        words = (self._find(), command, *words)
        return processes.run(words, environment=self._environment, remedy=_REMEDY, folder=folder)

    def _find(self) -> str:
        """The one that pip brings, which is ten times as fast as Debian's, else that on PATH."""
        spec = find_spec("par2")
        for place in spec.submodule_search_locations or () if spec else ():
            if os.access(path := os.path.join(place, "binaries", "par2"), os.X_OK):
                return path
        found = shutil.which("par2", path=self._environment.get("PATH", os.defpath))
        if found is None:
            raise MissingLibrary(f"par2+ cannot be used: the program par2 is not installed; {_REMEDY}")
        return found


def _last_line(ended: processes.Ended) -> str:
    lines = [" ".join(line.split()) for line in (ended.said + ended.complaint).splitlines() if line.strip()]
    return lines[-1] if lines else ""
