"""A run whose output or log cannot be written: the work goes on, and what still can be written says so."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from tests.cli.scene import Scene
from twofold.ui.cli import run_with
from twofold.ui.environment import Environment
from twofold.ui.terminal import OutputStream, Terminal

REST = (
    ": No space left on device. The work went on, but what was to be said there is not complete. "
    "Make room there, or let it go elsewhere\n"
)
PROGRAMS = pytest.mark.parametrize(("program", "code"), [("twofold", 1), ("duplicity", 0)])


@pytest.fixture
def full() -> Iterator[BinaryIO]:
    with open("/dev/full", "wb") as file:
        yield file


def run_over(scene: Scene, *words: str, output: BinaryIO | None = None, errors: BinaryIO | None = None) -> int:
    """A run with these streams; None is one that is closed."""
    settings = () if "--help" in words else (*scene.settings, "--archive-dir", str(scene.archive_dir.parent))
    environment = Environment(
        program=scene.program,
        arguments=(*words, *settings),
        variables={"PATH": os.environ["PATH"], "TMPDIR": str(scene.folder / "tmp")},
        account_home=str(scene.folder / "home"),
        hostname=scene.host,
        working_directory=str(scene.folder),
    )
    streams = (
        OutputStream(output, encoding="utf-8", name="standard output"),
        OutputStream(errors, encoding="utf-8", name="standard error"),
    )
    return run_with(environment, Terminal(*streams))


def words_of(scene: Scene, action: str) -> tuple[str, ...]:
    return (action, str(scene.source), scene.url) if action in ("full", "verify") else (action, scene.url)


@PROGRAMS
def test_a_backup_is_made_though_standard_output_is_full(plain: Scene, full: BinaryIO, program: str, code: int) -> None:
    scene, errors, log = plain.called(program), io.BytesIO(), plain.folder / "log"
    words = (*words_of(scene, "full"), "--log-file", str(log))
    assert run_over(scene, *words, output=full, errors=errors) == code
    assert errors.getvalue().decode() == f"Cannot write to standard output{REST}"
    assert log.read_text().endswith(f"\n{'ERROR' if code else 'WARNING'} 1\n. Cannot write to standard output{REST}\n")
    assert len(scene.names()) == 3


@PROGRAMS
def test_a_backup_is_made_though_its_log_file_is_full(plain: Scene, program: str, code: int) -> None:
    done = plain.called(program).back_up("--log-file", "/dev/full", expect=code)
    assert done.stderr == f"Cannot write to --log-file /dev/full{REST}"
    assert done.stdout.lower().endswith("backup complete.\n")
    assert len(plain.names()) == 3


@PROGRAMS
def test_a_backup_is_made_though_its_log_descriptor_is_full(
    plain: Scene, full: BinaryIO, program: str, code: int
) -> None:
    done = plain.called(program).back_up("--log-fd", str(full.fileno()), expect=code)
    assert done.stderr == f"Cannot write to --log-fd {full.fileno()}{REST}"
    assert len(plain.names()) == 3


@pytest.mark.parametrize("program", ["twofold", "duplicity"])
@pytest.mark.parametrize("action", ["list-current-files", "collection-status"])
def test_a_list_that_cannot_be_written_is_no_success(plain: Scene, full: BinaryIO, program: str, action: str) -> None:
    plain.back_up()
    errors = io.BytesIO()
    scene = plain.called(program)
    words = (*words_of(scene, action), "--name", "scene")
    assert run_over(scene, *words, output=full, errors=errors) == 1
    assert errors.getvalue().decode() == f"Cannot write to standard output{REST}"


def test_help_that_cannot_be_written_is_no_success(plain: Scene, full: BinaryIO) -> None:
    errors = io.BytesIO()
    assert run_over(plain, "--help", output=full, errors=errors) == 1
    assert errors.getvalue().decode() == f"Cannot write to standard output{REST}"


def test_an_error_that_cannot_be_told_keeps_its_exit_code(plain: Scene, full: BinaryIO) -> None:
    output = io.BytesIO()
    assert run_over(plain, "restore", plain.url, str(plain.folder / "out"), output=output, errors=full) == 30
    assert output.getvalue().decode().endswith(f"\nCannot write to standard error{REST}")


def test_with_nothing_left_to_speak_the_exit_code_does(plain: Scene, full: BinaryIO) -> None:
    words = (*words_of(plain, "full"), "--log-file", "/dev/full")
    with open("/dev/full", "wb") as other:
        assert run_over(plain, *words, output=full, errors=other) == 1
    assert len(plain.names()) == 3


def test_an_answer_tells_of_a_log_that_was_lost(plain: Scene) -> None:
    done = plain.back_up("--json", "--log-file", "/dev/full", expect=1)
    answer = json.loads(done.stdout)
    assert (answer["exit_code"], answer["error"]) == (1, None)
    text = f"Cannot write to --log-file /dev/full{REST}"
    assert answer["messages"][-1] == {"level": "error", "code": 1, "text": text.removesuffix("\n")}
    assert done.stderr == text


def test_an_answer_that_cannot_be_written_is_no_success(plain: Scene, full: BinaryIO) -> None:
    scene, errors = plain.called("duplicity"), io.BytesIO()
    assert run_over(scene, *words_of(scene, "full"), "--json", output=full, errors=errors) == 1
    assert errors.getvalue().decode() == f"Cannot write to standard output{REST}"
    assert len(plain.names()) == 3


def test_a_reader_that_went_away_is_still_no_error(plain: Scene) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    errors = io.BytesIO()
    with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as output:
        assert run_over(plain, *words_of(plain, "full"), output=output, errors=errors) == 0
    assert errors.getvalue() == b""
