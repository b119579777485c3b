"""A machine on which `duplicity` is twofold: programs see the variables of this desk and none of the caller's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from tests.cli.scene import incompressible
from tests.frontends.stanzas import Stanza, read_log
from tests.support.programs import REPOSITORY_ROOT, SECONDS_LIMIT, Outcome

ENTRY_POINT = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(REPOSITORY_ROOT / "src")!r})
from twofold.__main__ import main
if __name__ == '__main__':
    sys.exit(main())
"""
DUPLICITY, TWOFOLD = "duplicity", "twofold"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
QUICK_KEYS = "--gpg-options=--s2k-count=65536"
"""Deriving a key from a passphrase takes gpg a tenth of a second unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Folders of one test; `variables` go with every run."""

    folder: Path
    programs: Path
    gnupg_home: str
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def target(self) -> Path:
        return self.folder / "target"

    @property
    def url(self) -> str:
        return f"file://{self.target}"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def cache(self) -> Path:
        """Where caches are unless --archive-dir says otherwise."""
        return self.home / ".cache" / "duplicity"

    def with_variables(self, **variables: str) -> Desk:
        return replace(self, variables={**self.variables, **variables})

    def names(self) -> list[str]:
        """What lies at the target."""
        return sorted(os.listdir(self.target))

    def environment(self) -> dict[str, str]:
        given = {
            "PATH": f"{self.programs}:{SYSTEM_PATH}",
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "GNUPGHOME": self.gnupg_home,
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        return {**given, **self.variables}

    def run(self, *words: str | Path, expect: int | None = 0, environment: Mapping[str, str] | None = None) -> Outcome:
        """Runs to the end, without terminal and input; another exit code than expected fails with all that was said."""
        done = subprocess.run(
            [*map(str, words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.folder,
            env=dict(environment) if environment is not None else self.environment(),
            timeout=SECONDS_LIMIT,
            check=False,
            start_new_session=True,
        )
        texts = (stream.decode("utf-8", "backslashreplace") for stream in (done.stdout, done.stderr))
        outcome = Outcome(tuple(map(str, words)), done.returncode, *texts)
        return outcome if expect is None else outcome.expect(expect)

    def run_logged(self, *words: str | Path, expect: int = 0) -> tuple[Outcome, list[Stanza]]:
        """The same as Déjà Dup does it: what it learns comes through --log-fd, the standard streams go nowhere."""
        reader, writer = os.pipe()
        with open(reader, "rb") as log:
            process = subprocess.Popen(
                [*map(str, words), f"--log-fd={writer}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self.folder,
                env=self.environment(),
                pass_fds=(writer,),
                start_new_session=True,
            )
            os.close(writer)
            told = log.read()
            process.wait(timeout=SECONDS_LIMIT)
        outcome = Outcome(tuple(map(str, words)), process.returncode, told.decode("utf-8", "backslashreplace"), "")
        return outcome.expect(expect), read_log(told)


def install(folder: Path) -> Path:
    """A folder for PATH with twofold under both names; gives it."""
    program = folder / TWOFOLD
    program.write_text(ENTRY_POINT)
    program.chmod(0o755)
    (folder / DUPLICITY).symlink_to(TWOFOLD)
    return folder


def furnish(folder: Path, *, programs: Path, gnupg_home: str) -> Desk:
    """A desk with a source of two folders and three files."""
    desk = Desk(folder, programs, gnupg_home)
    for each in (desk.home, desk.temporary, desk.source / "docs", desk.source / "pictures"):
        each.mkdir(parents=True)
    (desk.source / "docs" / "plan.txt").write_bytes(b"first\n")
    (desk.source / "docs" / "notes.txt").write_bytes(b"notes\n")
    (desk.source / "pictures" / "one.jpg").write_bytes(incompressible(70_000))
    return desk
