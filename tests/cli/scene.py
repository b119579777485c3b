"""Runs of the program inside the test's own process, with a clock of their own: a scene takes milliseconds.

What needs a real process (signals, pipes, secrets) uses `Workspace` of tests.support.programs instead.
"""

from __future__ import annotations

import gc
import io
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from tests.support.programs import Outcome
from twofold.ui.cli import run_with
from twofold.ui.environment import Environment
from twofold.ui.terminal import OutputStream, Terminal

NOON = 1_767_268_800
"""Thursday 2026-01-01 12:00:00 UTC: when scenes play unless they say otherwise."""

DAY = 86_400
NOON_TEXT = "Thu Jan  1 12:00:00 2026"
PASSPHRASE = "correct horse battery staple"
BLOCK = (
    "StartTime",
    "EndTime",
    "ElapsedTime",
    "SourceFiles",
    "SourceFileSize",
    "NewFiles",
    "NewFileSize",
    "DeletedFiles",
    "ChangedFiles",
    "ChangedFileSize",
    "ChangedDeltaSize",
    "DeltaEntries",
    "RawDeltaSize",
    "TotalDestinationSizeChange",
    "Errors",
)
TITLE = "--------------[ Backup Statistics ]--------------"
SYNCHRONIZED = "Local and Remote metadata are synchronized, no sync needed."


@dataclass(frozen=True, slots=True)
class Scene:
    """Folders of one test; `settings` go with every run, `program` is what the program is called as."""

    folder: Path
    settings: tuple[str, ...] = ()
    variables: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))
    program: str = "twofold"
    host: str = "here"
    now: int = NOON

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
    def archive_dir(self) -> Path:
        """The one of this scene: --name gives it a name of its own."""
        return self.folder / "archive" / "scene"

    @property
    def suffix(self) -> str:
        return ".gz" if "--no-encryption" in self.settings else ".gpg"

    @property
    def manifest_suffix(self) -> str:
        return "" if "--no-encryption" in self.settings else ".gpg"

    def at(self, now: int) -> Scene:
        return replace(self, now=now)

    def called(self, program: str) -> Scene:
        return replace(self, program=program)

    def on_host(self, host: str) -> Scene:
        return replace(self, host=host)

    def with_variables(self, **variables: str) -> Scene:
        return replace(self, variables=MappingProxyType({**self.variables, **variables}))

    def with_only(self, variables: dict[str, str]) -> Scene:
        return replace(self, variables=MappingProxyType(variables))

    def with_settings(self, *settings: str) -> Scene:
        return replace(self, settings=settings)

    def run(self, *arguments: str, expect: int | None = 0) -> Outcome:
        """Runs to the end; another exit code than expected (None: any) fails the test with all that was said."""
        words = (*arguments, *self.settings, "--archive-dir", str(self.archive_dir.parent), "--name", "scene")
        return self.run_bare(*words, "--current-time", str(self.now), expect=expect)

    def run_bare(self, *words: str, expect: int | None = 0) -> Outcome:
        """The same with just these words."""
        output, errors = io.BytesIO(), io.BytesIO()
        environment = Environment(
            program=self.program,
            arguments=words,
            variables={"PATH": os.environ["PATH"], "TMPDIR": str(self.folder / "tmp"), **self.variables},
            account_home=str(self.folder / "home"),
            hostname=self.host,
            working_directory=str(self.folder),
        )
        terminal = Terminal(OutputStream(output, encoding="utf-8"), OutputStream(errors, encoding="utf-8"))
        threshold = gc.get_threshold()
        try:
            code = run_with(environment, terminal)
        finally:
            gc.set_threshold(*threshold)
        texts = (stream.getvalue().decode("utf-8", "backslashreplace") for stream in (output, errors))
        outcome = Outcome((self.program, *words), code, *texts)
        assert "Traceback" not in outcome.stdout + outcome.stderr, str(outcome)
        return outcome if expect is None else outcome.expect(expect)

    def back_up(self, *options: str, action: str = "backup", expect: int | None = 0) -> Outcome:
        return self.run(action, str(self.source), self.url, *options, expect=expect)

    def names(self) -> list[str]:
        """What lies at the target."""
        return sorted(os.listdir(self.target))

    def temporary_names(self) -> list[str]:
        return os.listdir(self.folder / "tmp")


def fill(source: Path) -> None:
    """A directory, a text, 64 KiB that do not compress, a link; all an hour old."""
    (source / "docs").mkdir(parents=True)
    (source / "docs" / "a.txt").write_bytes(b"alpha\n")
    (source / "docs" / "b.txt").write_bytes(b"beta\n")
    (source / "big").write_bytes(incompressible(65_536))
    os.symlink("big", source / "link")
    for path in (*source.rglob("*"), source):
        set_time(path, NOON - 3600)


def incompressible(size: int, seed: int = 1) -> bytes:
    import random

    return random.Random(seed).randbytes(size)


def set_time(path: Path, time: int) -> None:
    os.utime(path, (time, time), follow_symlinks=False)


def rewrite(path: Path, content: bytes, *, time: int) -> None:
    """Changes one file and leaves its directory's time alone."""
    above = path.parent.stat()
    path.write_bytes(content)
    set_time(path, time)
    os.utime(path.parent, ns=(above.st_atime_ns, above.st_mtime_ns))


def make_scene(folder: Path, settings: tuple[str, ...], variables: dict[str, str]) -> Scene:
    for name in ("tmp", "home"):
        (folder / name).mkdir()
    scene = Scene(folder, settings, MappingProxyType(variables))
    fill(scene.source)
    return scene


def lines_of(text: str) -> list[str]:
    """Lines without their ends; the text ends with a line end or is empty."""
    assert not text or text.endswith("\n")
    return text.split("\n")[:-1]


def fails(scene: Scene, *words: str, code: int, stanza: str, said: str = "") -> str:
    """Runs what has to fail; checks exit code, output and the last stanza, gives all of standard error."""
    log = scene.folder / "machine.log"
    log.unlink(missing_ok=True)
    done = scene.run(*words, "--log-file", str(log), expect=code)
    assert done.stdout == said
    assert done.stderr.endswith("\n")
    assert log.read_text(encoding="utf-8") == _stanzas(said, stanza, done.stderr.removesuffix("\n"))
    return done.stderr


def _stanzas(said: str, stanza: str, error: str) -> str:
    ordinary = [f"NOTICE 1\n. {line}\n\n" for line in said.splitlines()]
    text = "".join(f". {line}\n" for line in error.split("\n"))
    return "".join([*ordinary, f"{stanza}\n{text}\n"])
