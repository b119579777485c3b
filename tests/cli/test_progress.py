"""--progress of whole runs: on terminals of every kind, in pipes, under cron, interrupted, for front ends."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cli.scene import PASSPHRASE, TITLE, Scene, fill, incompressible, lines_of
from tests.support.programs import Program, Workspace

SHOWN, HIDDEN = b"\x1b[?25h", b"\x1b[?25l"
ESCAPE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
PLAIN_LINE = re.compile(
    r"[0-9.]+[KMGT]?B [0-9:]{8} \[[0-9.]+[KMGT]?B/s\] \[[=> ]{41}\] (--|[0-9]+)% ETA [^()]+( \([a-z0-9, ]+\))?"
)
SECONDS_LIMIT = 60
AS_LEADER = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass
class Window:
    """A terminal, and a program that has it for its own."""

    process: subprocess.Popen[bytes]
    master: int
    slave: int
    settings: list[object]
    data: bytearray = field(default_factory=bytearray)

    def read(self) -> bool:
        """Takes what has been written; False when nobody is left to write."""
        try:
            block = os.read(self.master, 1 << 16)
        except OSError:
            block = b""
        self.data += block
        return bool(block)

    def read_until(self, wanted: bytes) -> None:
        until = time.monotonic() + SECONDS_LIMIT
        while wanted not in self.data:
            assert time.monotonic() < until, bytes(self.data)
            assert self.read(), bytes(self.data)

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def finish(self) -> int:
        """Reads to the end; gives the exit code. The terminal has to be as it was found."""
        code = self.process.poll()
        while code is None:
            if _readable(self.master, 0.01):
                self.read()
            code = self.process.poll()
        while _readable(self.master, 0):
            self.read()
        assert termios.tcgetattr(self.slave) == self.settings
        assert self.data.count(SHOWN) == self.data.count(HIDDEN)
        assert self.data.rfind(SHOWN) >= self.data.rfind(HIDDEN)
        return code

    def lines(self) -> list[str]:
        """What was drawn, without what moves and colours."""
        return ESCAPE.sub(b"", bytes(self.data)).decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _readable(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


class Desk:
    """Opens windows; `stdout` may go elsewhere."""

    def __init__(self, space: Workspace, twofold: Program) -> None:
        self._space = space
        self._twofold = twofold
        self._windows: list[Window] = []

    def open(
        self, *words: str | bytes, term: str = "xterm-256color", columns: int = 100, stdout: int | None = None
    ) -> Window:
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        command = self._space.command(self._twofold, words)
        process = subprocess.Popen(
            [sys.executable, "-c", AS_LEADER, "2", *command],
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            cwd=self._space.folder,
            env={**self._space.environment(self._twofold), "TERM": term},
        )
        self._windows.append(Window(process, master, slave, termios.tcgetattr(slave)))
        return self._windows[-1]

    def close(self) -> None:
        for window in self._windows:
            if window.process.poll() is None:
                window.process.kill()
                window.process.wait()
            os.close(window.master)
            os.close(window.slave)


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    fill(Path(os.fsdecode(workspace.path("source"))))
    return workspace


@pytest.fixture
def desk(filled: Workspace, twofold: Program) -> Iterator[Desk]:
    desk = Desk(filled, twofold)
    yield desk
    desk.close()


def full(space: Workspace) -> tuple[str | bytes, ...]:
    return ("full", space.path("source"), space.url(), "--no-encryption", "--progress")


# ---- terminals -------------------------------------------------------------------------------------------------------


def test_a_terminal_shows_a_display_that_stays_when_the_work_is_done(desk: Desk, filled: Workspace) -> None:
    window = desk.open(*full(filled))
    assert window.finish() == 0
    text = "\n".join(window.lines())
    assert (
        text.index("Last full backup date: none") < text.index("Backing up") < text.index("100 %") < text.index(TITLE)
    )
    assert "finished | 6 files | " in text
    assert "Backup complete." in text
    assert b"\x1b[32m" in window.data


@pytest.mark.parametrize("columns", [100, 40])
def test_the_display_fits_the_window(desk: Desk, filled: Workspace, columns: int) -> None:
    window = desk.open(*full(filled), "--no-print-statistics", columns=columns)
    assert window.finish() == 0
    drawn = [line for line in window.lines() if "Backing up" in line or "files" in line]
    assert drawn
    assert max(map(len, drawn)) <= columns


def test_no_colour_is_respected(desk: Desk, filled: Workspace) -> None:
    filled.extra_variables["NO_COLOR"] = "1"
    window = desk.open(*full(filled))
    assert window.finish() == 0
    assert b"100 %" in window.data
    assert not re.search(rb"\x1b\[(3[0-9]|38;[0-9;]+|9[0-9])m", window.data)


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(desk: Desk, filled: Workspace, term: str) -> None:
    window = desk.open(*full(filled), term=term)
    assert window.finish() == 0
    assert b"\x1b" not in window.data
    assert any(PLAIN_LINE.fullmatch(line) for line in window.lines())


def test_a_display_on_standard_error_leaves_standard_output_alone(desk: Desk, filled: Workspace) -> None:
    with open(filled.path("printed"), "wb") as printed:
        window = desk.open(*full(filled), stdout=printed.fileno())
        assert window.finish() == 0
    assert b"Backing up" in window.data
    text = Path(os.fsdecode(filled.path("printed"))).read_text()
    assert TITLE in text
    assert "\x1b" not in text
    assert "Backing up" not in text


def test_ctrl_c_leaves_the_terminal_sound_and_follows_a_resized_window(desk: Desk, filled: Workspace) -> None:
    with open(filled.path("source", "huge"), "wb") as file:
        file.write(incompressible(1 << 20) * 200)
    window = desk.open(*full(filled), "--volsize", "1")
    window.read_until(b"stored")
    window.resize(30)
    before = len(window.data)
    while b"Backing up" not in window.data[before:].partition(b"\n")[2]:
        assert window.read()
    window.type(b"\x03")
    assert window.finish() == 4
    assert len([line for line in window.lines() if "Backing up" in line][-1]) <= 30
    assert window.lines()[-2].startswith("Interrupted. ")
    assert "finished" not in "\n".join(window.lines())


def test_a_question_has_the_terminal_for_itself_and_its_answer_is_never_shown(
    desk: Desk, filled: Workspace, twofold: Program
) -> None:
    secret = filled.with_passphrase(PASSPHRASE)
    secret.run(twofold, "full", secret.path("source"), secret.url(), "--gpg-options=--s2k-count=65536").expect()
    window = desk.open("restore", filled.url(), filled.path("out"), "--progress")
    window.read_until(b"passphrase")
    asked = len(window.data)
    assert window.data.count(SHOWN) == window.data.count(HIDDEN)
    window.type(PASSPHRASE.encode() + b"\n")
    assert window.finish() == 0
    assert PASSPHRASE.encode() not in window.data
    assert b"100 %" in window.data[asked:]


# ---- elsewhere -------------------------------------------------------------------------------------------------------


def test_a_pipe_gets_lines_without_codes(filled: Workspace, twofold: Program) -> None:
    for words in (
        full(filled),
        ("verify", filled.url(), filled.path("source"), "--no-encryption", "--progress"),
        ("restore", filled.url(), filled.path("out"), "--no-encryption", "--progress"),
    ):
        output = filled.run(twofold, *words).expect().stdout
        assert "\x1b" not in output
        (last,) = (line for line in lines_of(output) if " ETA " in line)
        assert PLAIN_LINE.fullmatch(last)
        assert "100% ETA 0sec (finished)" in last


def test_under_cron_there_is_no_difference(filled: Workspace, twofold: Program) -> None:
    variables = filled.environment(twofold)
    bare = {name: variables[name] for name in ("PATH", "PYTHONPATH", "TMPDIR") if name in variables}
    done = subprocess.run(
        filled.command(twofold, full(filled)),
        env=bare,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"100% ETA 0sec" in done.stdout
    assert b"\x1b" not in done.stdout


def test_front_ends_read_numbers(plain: Scene) -> None:
    log = plain.folder / "log"
    output = plain.called("duplicity").back_up("--progress", "--log-file", str(log)).stdout
    (line,) = (line for line in lines_of(output) if " ETA " in line)
    assert line.endswith(f"[{'=' * 40}>] 100% ETA 0sec")
    stanza = re.search(r"NOTICE 16 (.*)\n\. (.*)\n\n", log.read_text())
    assert stanza is not None
    assert stanza[2] == line
    done, _, percent, left, _, stalled = stanza[1].split()
    assert (int(done), percent, left, stalled) == (65_547 + int(done) - 65_547, "100", "0", "0")
    assert 65_547 <= int(done) <= 65_547 + 6 * 4096


def test_work_that_fails_has_no_last_line(plain: Scene) -> None:
    plain.back_up()
    (volume,) = (name for name in plain.names() if ".vol1." in name)
    (plain.target / volume).write_bytes(b"damaged")
    done = plain.run("restore", plain.url, str(plain.folder / "out"), "--progress", expect=21)
    assert "100%" not in done.stdout
