"""What is not installed is named with the words that install it, for every service that needs more than twofold."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.programs import REPOSITORY_ROOT
from twofold.storage.registry import SCHEMES, Form, Scheme

PROJECT = tomllib.loads((REPOSITORY_ROOT / "pyproject.toml").read_text())["project"]
DRIVEN = [row for row in SCHEMES.values() if row.driver and row.name != "file"]
FIRST_OF_EXTRA = {row.extra: row for row in reversed(DRIVEN) if row.extra}
PROGRAMS = {
    "pexpect+sftp://me@127.0.0.1/x": "ssh is not installed; install it (Debian: openssh-client)",
    "rsync://me@127.0.0.1::module/x": "rsync is not installed; install it (Debian: rsync)",
    "xorriso:///srv/image.iso:/x": "xorriso is not installed; install it (Debian: xorriso)",
    "gio+sftp://me@127.0.0.1/x": "gio is not installed; install it (Debian: libglib2.0-bin",
    "par2+file://{folder}/x": "par2 is not installed; pip install 'twofold[par2]'",
    "rclone://remote:/x": "needs rclone: pip install 'twofold[rclone]', or install it (Debian: rclone)",
}
"""What stands in the last line when the program that a service needs is not there."""

URLS = {"b2": "b2://id:key@bucket"}

# As if twofold had been installed without any extra: other libraries cannot be imported.
BARE = """
import sys
ours = {"twofold", "isal", "rich", "pygments", "markdown_it", "mdurl"}
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
class Hiding:
    def find_spec(name, path=None, target=None):
        hidden = name.partition(".")[0] not in ours | sys.stdlib_module_names
        return None if hidden else PathFinder.find_spec(name, path, target)
sys.meta_path = [BuiltinImporter, FrozenImporter, Hiding]
sys.executable = "/missing/python"  # beside which there is no rclone
from twofold.__main__ import main
sys.exit(main())
"""


def bare(folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    """A run without libraries and without any program on PATH."""
    for name in ("home", "programs"):
        (folder / name).mkdir()
    return subprocess.run(
        [sys.executable, "-c", BARE, "validate-storage", url, "--num-retries", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
        env={
            "PATH": str(folder / "programs"),
            "HOME": str(folder / "home"),
            "PYTHONPATH": str(REPOSITORY_ROOT / "src"),
            "TMPDIR": str(folder),
            "BACKEND_PASSWORD": "x",
        },
    )


def url_of(row: Scheme) -> str:
    return URLS.get(row.name, f"{row.name}://me@127.0.0.1/x" if row.form is Form.HOST else f"{row.name}:///bucket/x")


@pytest.mark.parametrize("row", FIRST_OF_EXTRA.values(), ids=FIRST_OF_EXTRA)
def test_a_service_without_its_library_says_what_to_install(tmp_path: Path, row: Scheme) -> None:
    done = bare(tmp_path, url_of(row))
    (line,) = done.stderr.splitlines()
    assert re.search(rf"needs [a-z][\w-]+: pip install 'twofold\[{row.extra}\]'", line), line
    assert (done.returncode, "Traceback" in done.stderr) == (50, False)


@pytest.mark.parametrize("url", PROGRAMS)
def test_a_service_without_its_program_names_the_package(tmp_path: Path, url: str) -> None:
    done = bare(tmp_path, url.format(folder=tmp_path))
    line = done.stderr.splitlines()[-1]
    assert PROGRAMS[url] in line, done.stderr
    assert (done.returncode, "Traceback" in done.stderr) == (50, False)


def test_every_extra_that_is_named_can_be_installed_and_is_tested() -> None:
    extras = PROJECT["optional-dependencies"]
    assert FIRST_OF_EXTRA.keys() <= extras.keys()
    tested = set(extras["dev"])
    assert {need for name in FIRST_OF_EXTRA for need in extras[name]} <= tested
    assert all(re.search(r">=\d", need) for name in FIRST_OF_EXTRA for need in extras[name])
