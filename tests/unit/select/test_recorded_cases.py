"""Every selection that duplicity 3.2.1 was seen to make: tests/data/spec/selection_cases.json."""

import json
import os
import stat
import tempfile
from pathlib import Path

import pytest

from tests.support.tools import unavailable
from tests.unit.select.options import read_options
from tests.unit.select.walking import stored_paths
from twofold.errors import NothingRestored, UserError
from twofold.model.entry import Kind
from twofold.select.compiling import compile_selection
from twofold.select.conditions import Mode
from twofold.select.sifting import Recorded, sift

CASES = json.loads((Path(__file__).parents[2] / "data/spec/selection_cases.json").read_text(encoding="utf-8"))
BACKUPS = [case for case in CASES if case.get("action", "backup") == "backup"]
# Together with --path-to-restore no selection is allowed: the command line sees to that.
RESTORES = [case for case in CASES if case.get("action") == "restore" and "--path-to-restore" not in case["options"]]

# A component `.` would be stored, and refused by every careful reader: twofold drops it.
BETTER = {"files-from-dot-prefix": ["f.txt"]}


@pytest.fixture
def place():
    """A directory whose path holds nothing that occurs in a pattern: pytest's own would."""
    with tempfile.TemporaryDirectory(prefix="w") as path:
        home = Path(path, "parent")
        (home / "src").mkdir(parents=True)
        yield home


def plant(case, source: Path) -> None:
    special = case.get("special", {})
    for entry in case["tree"]:
        name, _, target = entry.partition(" -> ")
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if target:
            path.symlink_to(target)
        elif name in special:
            plant_special(path, special[name])
        elif name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.write_text(name)
    for name, mtime in case.get("mtimes", {}).items():
        os.utime(source / name, (mtime, mtime))


def plant_special(path: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    else:
        try:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError:
            unavailable("only root makes device files")


def conditions_of(case, source: str):
    def named(text):
        return text.replace("{SRC}", source).replace("{FILES}", "/lists")

    files = {f"/lists/{name}": named(text) for name, text in case.get("files", {}).items()}
    return read_options([named(option) for option in case["options"]], files)


def back_up(case, home: Path) -> list[str]:
    source = str(home / "src")
    typed = case.get("source", source).replace("{SRC}", source)
    conditions = conditions_of(case, source)
    selector = compile_selection(conditions, source=os.fsencode(typed), mode=Mode.BACKUP)
    return stored_paths(source, selector, copy_links="--copy-links" in case["options"])


@pytest.mark.parametrize("case", BACKUPS, ids=[case["id"] for case in BACKUPS])
def test_a_backup_takes_what_duplicity_takes(case, place):
    plant(case, place / "src")
    if case["exit"]:
        with pytest.raises(UserError) as caught:
            back_up(case, place)
        assert caught.value.exit_code == case["exit"]
    else:
        expected = BETTER.get(case["id"], case["included"])
        assert back_up(case, place) == sorted(expected)


def recorded_tree(case) -> list[Recorded]:
    """The tree as an archive would have it: parents implied, in archive order."""
    entries = {b"": Kind.DIRECTORY}
    for name in case["tree"]:
        path = name.rstrip("/").encode()
        entries[path] = Kind.DIRECTORY if name.endswith("/") else Kind.REGULAR
        while path := path.rpartition(b"/")[0]:
            entries[path] = Kind.DIRECTORY
    mtimes = {name.encode(): mtime * 10**9 for name, mtime in case.get("mtimes", {}).items()}
    now = 1_700_000_000 * 10**9
    ordered = sorted(entries, key=lambda path: path.replace(b"/", b"\0"))
    return [Recorded(path, entries[path], mtimes.get(path, now)) for path in ordered]


def restore(case) -> list[str]:
    selector = compile_selection(conditions_of(case, "/src"), mode=Mode.RESTORE)
    taken = list(sift(recorded_tree(case), selector=selector, describe=lambda recorded: recorded))
    shown = [one.path.decode() + ("/" if one.kind is Kind.DIRECTORY else "") for one in taken if one.path]
    if not shown:
        raise NothingRestored("No files found in archive")
    return sorted(shown)


@pytest.mark.parametrize("case", RESTORES, ids=[case["id"] for case in RESTORES])
def test_a_restore_takes_what_duplicity_takes(case):
    if case["exit"]:
        with pytest.raises((UserError, NothingRestored)) as caught:
            restore(case)
        assert caught.value.exit_code == case["exit"]
    else:
        assert restore(case) == sorted(case["included"])


def test_no_recorded_case_is_left_out():
    assert len(BACKUPS) + len(RESTORES) + 1 == len(CASES) == 196
