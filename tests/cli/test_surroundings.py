"""The program where it is not at home: other locales, cron, closed descriptors, signals, an ordinary user."""

from __future__ import annotations

import os
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

ODD_NAMES = (
    b"caf\xc3\xa9",
    b"latin-\xe9",
    b"\xff\xfe",
    b"new\nline",
    b"back\\slash",
    b'it\'s "quoted"',
    b" blank ",
    b"-v9",
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


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "xx_XX.ISO-8859-1"])
def test_names_of_any_bytes_survive_any_locale(workspace: Workspace, twofold: Program, locale: str) -> None:
    workspace.extra_variables["LC_ALL"] = locale
    source = workspace.path("source")
    os.mkdir(source)
    for name in ODD_NAMES:
        with open(os.path.join(source, name), "wb") as file:
            file.write(name)
    workspace.run(twofold, *_full(workspace)).expect()
    with workspace.start(twofold, "list-current-files", workspace.url(), "-v0") as process:
        listed, complaints = process.communicate()
    assert (process.returncode, complaints) == (0, b"")
    for name in ODD_NAMES:
        assert b" " + name + b"\n" in listed
    workspace.run(twofold, "restore", workspace.url(), workspace.path("out"), "--no-encryption").expect()
    assert_same_tree(workspace.path("out"), source, fidelity=Fidelity.FULL)


# ---- cron and descriptors --------------------------------------------------------------------------------------------


def test_a_run_from_cron_needs_neither_home_nor_terminal(filled: Workspace, twofold: Program) -> None:
    secret = filled.with_passphrase("a passphrase")
    full = secret.environment(twofold)
    kept = ("PATH", "PYTHONPATH", "PASSPHRASE", "GNUPGHOME", "TMPDIR")
    bare = {name: full[name] for name in kept if name in full}
    for words in (("full", secret.path("source"), secret.url()), ("restore", secret.url(), secret.path("out"))):
        done = subprocess.run(
            secret.command(twofold, words),
            env=bare,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
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
del sys.argv[1]
assert os.geteuid() != 0
sys.exit(twofold.ui.cli.run())
"""


def test_an_ordinary_user_can_back_up_and_restore(anybodys_folder: Path) -> None:
    folder = anybodys_folder
    program = Program("twofold", (sys.executable, "-c", AS_NOBODY, str(NOBODY)), (("PYTHONPATH", SOURCE_FOLDER),))
    space = Workspace.below(os.fsencode(folder), gnupg_home=str(folder / "home"))
    for words in (_full(space), ("restore", space.url(), space.path("out"), "--no-encryption")):
        done = space.run(program, *words).expect()
        assert done.stderr == ""
    assert_same_tree(space.path("out"), space.path("source"), fidelity=Fidelity.FULL)
    assert os.stat(space.path("target")).st_uid == os.stat(space.path("source")).st_uid != 0


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_backup_at_once_and_leaves_nothing_in_the_way(
    workspace: Workspace, twofold: Program, number: signal.Signals
) -> None:
    space = workspace.with_passphrase("a passphrase")
    os.mkdir(space.path("source"))
    with open(space.path("source", "big"), "wb") as file:
        file.write(incompressible(1 << 20) * 80)
    words = ("full", space.path("source"), space.url(), "--volsize", "1", "--gpg-options=--s2k-count=65536")
    with space.start(twofold, *words) as process:
        _wait_for_volume(space.path("target"), process)
        process.send_signal(number)
        began = time.monotonic()
        stdout, stderr = process.communicate()
        seconds = time.monotonic() - began
    assert (process.returncode, stderr) == (4, b"")
    assert stdout.endswith(
        b"\nInterrupted. Earlier backups are as they were; run the same command again to begin this one anew\n"
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
