"""The program where it is not at home: other locales, cron, closed descriptors, signals, an ordinary user."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.scene import fill, incompressible
from tests.support.programs import REPOSITORY_ROOT, Program, Workspace
from tests.support.tree import Fidelity, assert_same_tree
from twofold.ui.cli import termination

ODD_NAMES = (
    b"caf\xc3\xa9",
    b"latin-\xe9",
    b"\xff\xfe",
    b"new\nline",
    b"back\\slash",
    b'it\'s "quoted"',
    b" blank ",
    b"-v9",
    b"\x1b[31mred\x07\r",
)
SECONDS_TO_END = 2.0
NOBODY = 65534
SOURCE_FOLDER = str(REPOSITORY_ROOT / "src")


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    fill(Path(os.fsdecode(workspace.path("source"))))
    return workspace


def _full(space: Workspace) -> tuple[str | bytes, ...]:
    return ("full", space.path("source"), space.url(), "--no-encryption")


# ---- locales and names -----------------------------------------------------------------------------------------------


def _fill_oddly(space: Workspace, content: bytes) -> None:
    os.makedirs(space.path("source"), exist_ok=True)
    for name in ODD_NAMES:
        with open(space.path("source", name), "wb") as file:
            file.write(content + name)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "en_US.UTF-8", "xx_XX.ISO-8859-1"])
def test_names_of_any_bytes_survive_any_locale(workspace: Workspace, twofold: Program, locale: str) -> None:
    workspace.extra_variables["LC_ALL"] = locale
    source = workspace.path("source")
    _fill_oddly(workspace, b"first ")
    workspace.run(twofold, *_full(workspace)).expect()
    _fill_oddly(workspace, b"and then ")
    workspace.run(twofold, "incremental", source, workspace.url(), "--no-encryption").expect()
    verified = workspace.run(twofold, "verify", "--compare-data", workspace.url(), source, "--no-encryption").expect()
    assert "0 difference(s) found" in verified.stdout
    with workspace.start(twofold, "list-current-files", workspace.url(), "-v0") as process:
        listed, complaints = process.communicate()
    assert (process.returncode, complaints) == (0, b"")
    for name in ODD_NAMES:
        assert b" " + name + b"\n" in listed
    workspace.run(twofold, "restore", workspace.url(), workspace.path("out"), "--no-encryption").expect()
    assert_same_tree(workspace.path("out"), source, fidelity=Fidelity.FULL)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_no_name_commands_a_terminal(workspace: Workspace, twofold: Program, locale: str) -> None:
    workspace.extra_variables["LC_ALL"] = locale
    source, odd = workspace.path("source"), ODD_NAMES[-1]
    _fill_oddly(workspace, b"")
    shown = _on_a_terminal(workspace, twofold, (*_full(workspace), "-v5"))
    _fill_oddly(workspace, b"changed ")
    words: tuple[tuple[str | bytes, ...], ...] = (
        ("verify", "--compare-data", workspace.url(), source),
        ("list-current-files", workspace.url()),
        ("restore", workspace.url(), workspace.path("out"), "--path-to-restore", odd + b"no"),
        ("restore", workspace.url(), os.path.join(source, odd)),
        ("full", os.path.join(source, odd + b"no"), workspace.url()),
    )
    for each in words:
        shown += _on_a_terminal(workspace, twofold, each)
    assert shown.count(rb"\x1b[31mred\x07") == 6
    assert not set(shown) & {0x1B, 0x07}


def _on_a_terminal(space: Workspace, program: Program, words: tuple[str | bytes, ...]) -> bytes:
    """All that a person sees of a run."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        space.command(program, words),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=space.folder,
        env={**space.environment(program), "TERM": "xterm"},
        start_new_session=True,
    ) as process:
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # the last one at the other side has gone
            while block := os.read(controller, 1 << 16):
                shown += block
        os.close(controller)
    assert process.returncode is not None
    return shown


# ---- cron and descriptors --------------------------------------------------------------------------------------------


def test_a_run_from_cron_needs_neither_home_nor_terminal(filled: Workspace, twofold: Program) -> None:
    secret = filled.with_passphrase("a passphrase")
    full = secret.environment(twofold)
    bare = {name: full[name] for name in ("PYTHONPATH", "PASSPHRASE", "GNUPGHOME") if name in full}
    bare["PATH"] = "/usr/bin:/bin"
    common = ("--tempdir", secret.path("tmp"), "--progress")
    for words in (
        ("full", secret.path("source"), secret.url()),
        ("incremental", secret.path("source"), secret.url()),
        ("list-current-files", secret.url()),
        ("verify", "--compare-data", secret.url(), secret.path("source")),
        ("restore", secret.url(), secret.path("out")),
    ):
        command = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *secret.command(twofold, (*words, *common))]
        done = subprocess.run(command, env=bare, cwd="/", capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"\x1b" not in done.stdout
    assert_same_tree(secret.path("out"), secret.path("source"), fidelity=Fidelity.FULL)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_do_no_harm(filled: Workspace, twofold: Program, closed: str) -> None:
    words = filled.command(twofold, _full(filled))
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *words]
    assert subprocess.run(shell, env=filled.environment(twofold), cwd=filled.folder, check=False).returncode == 0
    done = filled.run(
        twofold, "verify", "--compare-data", filled.url(), filled.path("source"), "--no-encryption"
    ).expect()
    assert "0 difference(s) found" in done.stdout


def test_a_reader_that_goes_away_is_no_error(filled: Workspace, twofold: Program) -> None:
    filled.run(twofold, *_full(filled)).expect()
    with filled.start(twofold, "list-current-files", filled.url()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaints = process.stderr.read()
    assert (process.returncode, complaints) == (0, b"")


def test_a_full_backup_goes_on_when_its_reader_goes_away(filled: Workspace, twofold: Program) -> None:
    with filled.start(twofold, *_full(filled)) as process:
        assert process.stdout is not None
        process.stdout.close()
    assert process.returncode == 0
    filled.run(twofold, "verify", "--compare-data", filled.url(), filled.path("source"), "--no-encryption").expect()


# ---- an ordinary user ------------------------------------------------------------------------------------------------


@pytest.fixture
def anybodys_folder() -> Iterator[Path]:
    """Folders of pytest may be entered by their owner only."""
    with tempfile.TemporaryDirectory(prefix="twofold-") as folder:
        path = Path(folder)
        for name in ("home", "tmp"):
            (path / name).mkdir()
        fill(path / "source")
        if os.geteuid() == 0:
            for each in (path, *path.rglob("*")):
                os.lchown(each, NOBODY, NOBODY)
        yield path


# A checkout or an interpreter may lie where nobody else has access, so all is loaded before the rights are given up.
AS_NOBODY = """
import importlib, os, pkgutil, sys, twofold
for module in pkgutil.walk_packages(twofold.__path__, "twofold."):
    if module.name != "twofold.__main__":
        importlib.import_module(module.name)
import difflib, fcntl, grp, pwd, re, resource, socket, subprocess, tempfile
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(int(sys.argv[1]), int(sys.argv[1]), int(sys.argv[1]))
    os.setresuid(int(sys.argv[1]), int(sys.argv[1]), int(sys.argv[1]))
sys.argv[:] = sys.argv[2:]
assert os.geteuid() != 0
sys.exit(twofold.ui.cli.run())
"""


def _as_nobody(name: str) -> Program:
    return Program(name, (sys.executable, "-c", AS_NOBODY, str(NOBODY), name), (("PYTHONPATH", SOURCE_FOLDER),))


@pytest.mark.parametrize("name", ["twofold", "duplicity"])
def test_an_ordinary_user_can_back_up_and_restore(anybodys_folder: Path, name: str) -> None:
    folder, program = anybodys_folder, _as_nobody(name)
    (folder / "home").chmod(0o700)
    space = Workspace.below(os.fsencode(folder), gnupg_home=str(folder / "home")).with_passphrase("a passphrase")
    complete = "Duplicity backup complete.\n" if name == "duplicity" else "\nBackup complete.\n"
    source = space.path("source")
    for words in (("full", source, space.url()), ("incremental", source, space.url())):
        done = space.run(program, *words).expect()
        assert (done.stdout.endswith(complete), done.stderr) == (True, "")
    for words in (("verify", "--compare-data", space.url(), source), ("restore", space.url(), space.path("out"))):
        assert space.run(program, *words).expect().stderr == ""
    assert_same_tree(space.path("out"), source, fidelity=Fidelity.FULL)
    assert os.stat(space.path("target")).st_uid == os.stat(source).st_uid != 0


@pytest.mark.parametrize(
    ("closed", "code", "text"),
    [
        (
            "archive",
            23,
            "Cannot use the archive directory {}: Permission denied; name another one with --archive-dir\n",
        ),
        ("tmp", 23, "The temporary directory {} cannot be written to; choose another\n"),
        (
            "target",
            50,
            "Giving up put of the target: put failed at {}: Permission denied (check owner and permissions)\n",
        ),
        ("source", 23, "Cannot list the source {}: Permission denied. Check its permissions\n"),
    ],
)
def test_an_ordinary_user_is_told_where_access_is_denied(
    anybodys_folder: Path, closed: str, code: int, text: str
) -> None:
    folder = anybodys_folder
    space = Workspace.below(os.fsencode(folder), gnupg_home=str(folder / "home"))
    place = folder / closed
    place.mkdir(exist_ok=True)
    place.chmod(0o000 if closed == "source" else 0o555)
    done = space.run(_as_nobody("twofold"), *_full(space), "--tempdir", space.path("tmp"), "--name", "x").expect(code)
    place.chmod(0o700)
    assert done.stderr == text.format(place / "x" if closed == "archive" else place)


# ---- signals ---------------------------------------------------------------------------------------------------------


def _processes_of_session(session: int) -> list[str]:
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            status = Path(f"/proc/{name}/stat").read_text(errors="replace")
        except OSError:
            continue
        state, _, _, of_session = status.rpartition(")")[2].split()[:4]
        if int(of_session) == session and state != "Z":
            found.append(status)
    return found


def _wait_for_volume(target: bytes, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        if os.path.isdir(target) and any(name.endswith(b".vol1.difftar.gpg") for name in os.listdir(target)):
            return
        time.sleep(0.001)
    raise AssertionError("no volume within a minute")


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGHUP,), (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)],
)
def test_a_signal_ends_a_backup_at_once_and_leaves_nothing_in_the_way(
    workspace: Workspace, twofold: Program, numbers: tuple[signal.Signals, ...]
) -> None:
    space = workspace.with_passphrase("a passphrase")
    os.mkdir(space.path("source"))
    with open(space.path("source", "big"), "wb") as file:
        file.write(incompressible(1 << 20) * 80)
    words = ("full", space.path("source"), space.url(), "--volsize", "1", "--gpg-options=--s2k-count=65536")
    with space.start(twofold, *words) as process:
        _wait_for_volume(space.path("target"), process)
        for number in numbers:
            process.send_signal(number)
        began = time.monotonic()
        stdout, stderr = process.communicate()
        seconds = time.monotonic() - began
    assert (process.returncode, stderr) == (4, b"")
    assert stdout.endswith(
        b"\nInterrupted. Earlier backups are as they were; run the same command again to do what is left\n"
    )
    assert seconds < SECONDS_TO_END
    assert _processes_of_session(process.pid) == []
    assert os.listdir(space.path("tmp")) == []
    kept = [name for _, _, names in os.walk(space.archive_dir) for name in names]
    assert all(name.endswith(b".part") or name in (b"lockfile", b"twofold-state") for name in kept), kept
    assert all(b".difftar" in name for name in os.listdir(space.path("target")))

    os.truncate(space.path("source", "big"), 1 << 20)
    space.run(twofold, *words).expect()
    space.run(twofold, "verify", "--compare-data", space.url(), space.path("source")).expect()
    assert "No orphaned or incomplete backup sets found." in space.run(twofold, "collection-status", space.url()).stdout


def test_signals_close_together_are_one_wish() -> None:
    moments = iter([10.0, 10.03, 11.9, 15.0])
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with termination(now=lambda: next(moments)):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert {number: signal.getsignal(number) for number in before} == before


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with termination():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_interruption_while_the_program_is_loaded_is_no_accident() -> None:
    program = (
        "import sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'twofold.ui.parser': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "from twofold.__main__ import main\n"
        "sys.argv = ['twofold', 'collection-status', 'file:///nowhere']\n"
        "sys.exit(main())\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env={"PYTHONPATH": SOURCE_FOLDER}, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (4, b"", b"Interrupted\n")


# ---- start -----------------------------------------------------------------------------------------------------------


def _python(program: str, *words: str) -> str:
    command = [sys.executable, "-c", program, *words]
    variables = {"PYTHONPATH": SOURCE_FOLDER, "PATH": os.environ["PATH"]}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("name", "line"), [("twofold", "twofold "), ("duplicity", "duplicity 3.2.1\n")])
@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_one_line_in_both_names(tmp_path: Path, name: str, line: str, option: str) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nfrom twofold.__main__ import main\nsys.exit(main())\n")
    (tmp_path / name).symlink_to(script)
    done = subprocess.run(
        [sys.executable, str(tmp_path / name), option],
        env={"PYTHONPATH": SOURCE_FOLDER, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    from twofold._version import VERSION

    expected = f"twofold {VERSION}\n" if name == "twofold" else line
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_the_version_is_told_without_loading_the_program() -> None:
    program = (
        "import sys; sys.argv = ['twofold', '--version']; from twofold.__main__ import main; main();"
        "print(*sorted(name for name in sys.modules if name.startswith('twofold')))"
    )
    loaded = _python(program).splitlines()[1].split()
    assert loaded == ["twofold", "twofold.__main__", "twofold._version", "twofold.ui", "twofold.ui.version"]


def test_the_program_starts_without_what_it_may_never_need() -> None:
    heavy = "argparse asyncio email http importlib.metadata logging socket ssl subprocess tempfile urllib.request"
    program = (
        "import sys; before = set(sys.modules); import twofold.ui.cli;"
        "print(*sorted(set(sys.argv[1:]) & (set(sys.modules) - before)))"
    )
    assert _python(program, *heavy.split()).split() == []


def test_without_its_kernel_the_program_works_and_says_so(filled: Workspace, twofold: Program, tmp_path: Path) -> None:
    copy = tmp_path / "src"
    shutil.copytree(SOURCE_FOLDER, copy, ignore=shutil.ignore_patterns("*.so", "__pycache__", ".mypy_cache"))
    slow = Program("twofold", (sys.executable, "-m", "twofold"), (("PYTHONPATH", str(copy)),))
    done = filled.run(slow, *_full(filled)).expect()
    assert "The compiled kernel is missing, so its slow replacement in Python is used." in done.stdout
    filled.run(twofold, "verify", "--compare-data", filled.url(), filled.path("source"), "--no-encryption").expect()
