"""Runs of whole files: restored and verified by a few calls, with the same outcome as one file after the other."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.archive import (
    DIRECTORY,
    FILE,
    Target,
    diff,
    one_volume,
    other,
    parts,
    record_of,
    snapshot,
    volume,
)
from tests.support.restoring import Place, Result, place
from tests.support.tree import Fidelity, assert_same_tree
from twofold.collection.sets import FoundFile
from twofold.envelope.protocol import Inside, Opened
from twofold.format.manifest import VolumeRecord
from twofold.model.backup import SetId
from twofold.model.entry import Entry, Kind
from twofold.operations import verify_runs
from twofold.operations.verify import DataDiffers, Differs, OnlyInBackup, OnlyLocal
from twofold.repository.repository import Repository
from twofold.tree import write_runs

FULL, FIRST = SetId(1000), SetId(2000, 1000)
MINE = {"uid": os.geteuid(), "gid": os.getegid()}
FILES = [b"%s/%02d" % (folder, number) for folder in (b"a", b"a/b", b"c") for number in range(20)]

Calls = list[tuple[int, int]]


def mine(entry: Entry, **fields: object) -> Entry:
    return entry._replace(**MINE, mtime_ns=1_600_000_000_123_456_789, mtime_exact=True, **fields)


def content_of(path: bytes) -> bytes:
    return path * (37 * int(path[-2:]))


def stored(path: bytes, content: bytes | None = None, **fields: object) -> bytes:
    return snapshot(path, content_of(path) if content is None else content, entry=mine(FILE, **fields))


def archive(**instead: bytes) -> Target:
    """Three folders of twenty files each, some of which are `instead` something else."""
    members = [other(folder, mine(DIRECTORY)) for folder in (b"", b"a", b"a/b", b"c")]
    members += [instead.get(path.decode(), stored(path)) for path in FILES]
    target = Target()
    target.add_set(FULL, one_volume(*sorted(members, key=_path_in)))
    return target


def _path_in(member: bytes) -> bytes:
    """The order key of a member: its name is the first that begins with what all names begin with."""
    start = member.index(b"snapshot/") + len(b"snapshot/")
    return member[start : member.index(b"\0", start)].strip(b"/").replace(b"/", b"\0")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """How many files each call was given and has written."""
    calls: Calls = []
    write_files = write_runs.write_files

    def counting(directory: int, names: list[bytes], *others: object) -> int:
        done = write_files(directory, names, *others)  # type: ignore[arg-type]
        calls.append((len(names), done))
        return done

    monkeypatch.setattr(write_runs, "write_files", counting)
    return calls


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls: Calls = []
    compare_files = verify_runs.compare_files

    def counting(directory: int, names: list[bytes], *others: object, **flags: object) -> memoryview[int]:
        found = compare_files(directory, names, *others, **flags)  # type: ignore[arg-type]
        calls.append((len(names), len(found) // 8))
        return found

    monkeypatch.setattr(verify_runs, "compare_files", counting)
    return calls


def both_ways(tmp_path: Path, target: Target) -> tuple[Place, Result]:
    """Restores in runs, and one by one into another folder: with the same outcome."""
    here, there = place(tmp_path / "runs", target), place(tmp_path / "singly", target)
    result, expected = here.restore(), there.restore(detailed=True)
    assert sorted(result.named) == sorted(expected.named)
    assert result.exit_code == expected.exit_code
    assert_same_tree(os.fsencode(here.target), os.fsencode(there.target), fidelity=Fidelity.FULL)
    return here, result


def test_a_folder_of_files_is_one_call(tmp_path: Path, written: Calls) -> None:
    here, result = both_ways(tmp_path, archive())
    assert result.error is None
    assert written == [(20, 20)] * 3
    contents = here.restored()
    assert {path: contents[path] for path in FILES} == {path: content_of(path) for path in FILES}
    found = os.stat(here.target / "c" / "07")
    assert (found.st_mtime_ns, stat.S_IMODE(found.st_mode)) == (1_600_000_000_123_456_789, 0o644)


@pytest.mark.parametrize("at", ["a/01", "a/b/10", "c/19"])
def test_a_damaged_content_is_not_restored_and_costs_no_other(tmp_path: Path, at: str, written: Calls) -> None:
    good = stored(at.encode())
    content = content_of(at.encode())
    damaged = good.replace(content, b"#" + content[1:])
    here, result = both_ways(tmp_path, archive(**{at: damaged}))
    assert result.named == [at.encode()]
    assert set(here.restored()) == {b"a", b"a/b", b"c", *FILES} - {at.encode()}
    assert sum(done for _, done in written) == len(FILES) - 1


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o1644, 0o000])
def test_every_mode_comes_back(tmp_path: Path, mode: int) -> None:
    here, result = both_ways(tmp_path, archive(**{"c/05": stored(b"c/05", mode=mode)}))
    assert result.error is None
    assert stat.S_IMODE(os.stat(here.target / "c" / "05").st_mode) == mode


def test_a_name_that_stands_twice_is_told_and_restored_once(tmp_path: Path) -> None:
    twice = stored(b"c/05") + stored(b"c/05", b"another content")
    here, result = both_ways(tmp_path, archive(**{"c/05": twice}))
    assert result.named == [b"c/05"]
    assert here.restored()[b"c/05"] == content_of(b"c/05")


@pytest.mark.parametrize("name", [b"../05", b"c/../05", b"c//05", b"/c/05", b"c/./05", b"c/..", b"c/."])
def test_a_name_that_leaves_its_folder_is_in_no_run(tmp_path: Path, name: bytes) -> None:
    hostile = snapshot(name, b"hostile", entry=mine(FILE))
    result = place(tmp_path / "runs", archive(**{"c/05": hostile})).restore()
    assert len(result.named) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"restored", "tmp", "cache"}
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"hostile"]


def test_what_exists_is_replaced_only_when_that_is_asked_for(tmp_path: Path, written: Calls) -> None:
    here = place(tmp_path, archive())
    assert here.restore().error is None
    (here.target / "a" / "b" / "03").write_bytes(b"newer")
    (here.target / "a" / "b" / "04").unlink()
    (here.target / "a" / "b" / "04").symlink_to("03")
    before = os.stat(here.target / "c" / "01").st_ino
    assert here.restore().error is not None
    assert here.restore(overwrite=True).error is None
    contents = here.restored()
    assert {path: contents[path] for path in FILES} == {path: content_of(path) for path in FILES}
    assert os.stat(here.target / "c" / "01").st_ino != before, "a new file was renamed to its name"
    in_vain = [given for given, done in written[3:] if not done]
    assert len(in_vain) == 16, "after that it is not tried again"


def test_a_part_of_the_tree_is_restored_in_runs(tmp_path: Path, written: Calls) -> None:
    here = place(tmp_path, archive())
    assert here.restore(within=b"a").error is None
    expected = {path.removeprefix(b"a/") for path in FILES if path.startswith(b"a/")}
    assert set(here.restored()) == {b"b", *expected}
    assert sum(done for _, done in written) == len(expected)


def test_files_that_a_later_set_mentions_are_in_no_run_of_the_first(tmp_path: Path, written: Calls) -> None:
    target = archive()
    new = b"the new content of a file"
    target.add_set(
        FIRST,
        one_volume(
            snapshot(b"a/07", new, entry=mine(FILE)),
            diff(b"a/b/12", content_of(b"a/b/12"), new, entry=mine(FILE)),
            stored(b"c/20"),
            stored(b"c/21"),
        ),
    )
    here, result = both_ways(tmp_path, target)
    assert result.error is None
    contents = here.restored()
    assert contents[b"a/07"] == contents[b"a/b/12"] == new
    assert contents[b"c/21"] == content_of(b"c/21")
    assert {given for given, _ in written} <= set(range(1, 21))
    assert sum(done for _, done in written) >= len(FILES) - 3


def sources(tmp_path: Path) -> tuple[Place, Path]:
    """A backup, and the folder that it was made of."""
    here = place(tmp_path, archive())
    assert here.restore().error is None
    return here, here.target


def told(result: Result) -> list[object]:
    kinds = (OnlyLocal, OnlyInBackup, Differs, DataDiffers)
    return [(type(event), event.path) for event in result.monitor.events if isinstance(event, kinds)]


@pytest.mark.parametrize("compare_data", [False, True])
def test_files_of_a_folder_are_verified_by_one_call(tmp_path: Path, compare_data: bool, compared: Calls) -> None:
    here, source = sources(tmp_path)
    result = here.verify(source, compare_data=compare_data)
    assert (result.error, result.summary) == (None, (64, 0, 0))
    assert compared == [(20, 20)] * 3


def edit(path: Path) -> None:
    """Changes a byte and nothing else."""
    times = os.stat(path)
    content = path.read_bytes()
    path.write_bytes(b"#" + content[1:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def lengthen(path: Path) -> None:
    times = os.stat(path)
    path.write_bytes(path.read_bytes() + b"#")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (edit, DataDiffers),
        (lengthen, Differs),
        (lambda path: path.chmod(0o600), Differs),
        (lambda path: os.utime(path, ns=(0, 1_600_000_000_123_456_788)), Differs),
        (lambda path: os.setxattr(path, "user.x", b"1"), Differs),
        (Path.unlink, OnlyInBackup),
        (replace_by_link, Differs),
    ],
)
@pytest.mark.parametrize("name", ["a/01", "a/b/07", "c/19"])
def test_whatever_differs_is_told(tmp_path: Path, change: Callable[[Path], None], expected: type, name: str) -> None:
    here, source = sources(tmp_path)
    folder = os.stat((source / name).parent)
    change(source / name)
    os.utime((source / name).parent, ns=(0, folder.st_mtime_ns))
    result = here.verify(source, compare_data=True)
    assert (told(result), result.summary) == ([(expected, name.encode())], (64, 1, 0))


def test_new_files_among_others_are_told(tmp_path: Path) -> None:
    here, source = sources(tmp_path)
    for name in ("a/000", "a/b/07x", "c/99"):
        folder = os.stat((source / name).parent)
        (source / name).write_bytes(b"")
        os.utime((source / name).parent, ns=(0, folder.st_mtime_ns))
    result = here.verify(source, compare_data=True)
    assert told(result) == [(OnlyLocal, name) for name in (b"a/000", b"a/b/07x", b"c/99")]
    assert result.summary == (67, 3, 0)


def test_a_damaged_content_is_told_though_the_local_file_is_damaged_alike(tmp_path: Path) -> None:
    content = content_of(b"c/05")
    damaged = stored(b"c/05").replace(content, b"#" + content[1:])
    here, source = sources(tmp_path)
    edit(source / "c" / "05")
    result = place(tmp_path / "other", archive(**{"c/05": damaged})).verify(source, compare_data=True)
    assert result.named == [b"c/05"]
    assert result.exit_code != 0
    assert here.verify(source, compare_data=True).summary == (64, 1, 0)


def test_a_file_that_cannot_be_opened_is_named_and_the_rest_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, source = sources(tmp_path)
    folder = os.stat(source / "c")
    (source / "c" / "05").unlink()
    os.mkfifo(source / "c" / "05", 0o644)
    os.utime(source / "c", ns=(0, folder.st_mtime_ns))
    result = here.verify(source, compare_data=True)
    assert told(result) == [(Differs, b"c/05")], "it was not waited for a writer"


def test_kinds_are_what_they_are_named(tmp_path: Path) -> None:
    here, result = both_ways(tmp_path, archive(**{"c/05": other(b"c/05", mine(Entry(Kind.FIFO, 0o600)))}))
    assert result.error is None
    assert stat.S_ISFIFO(os.lstat(here.target / "c" / "05").st_mode)


@pytest.mark.parametrize("chain", [False, True])
@pytest.mark.parametrize("failing", [2, 3])
def test_a_failure_between_the_volumes_of_a_file_ends_the_restore_and_not_only_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chain: bool, failing: int
) -> None:
    """Such as too many open files: what comes behind is in the backup, and must not be taken for missing in it."""
    content = bytes(range(256)) * 12_000
    pieces = parts(b"m", content, record=record_of(content))
    cut = len(pieces) // 2
    target = Target()
    target.add_set(
        FULL,
        [
            volume(1, [other(b"", mine(DIRECTORY)), stored(b"a00"), *pieces[:cut]], first=b"", last=(b"m", cut)),
            volume(2, pieces[cut:], first=(b"m", cut + 1), last=(b"m", len(pieces))),
            volume(3, [stored(b"z%02d" % number) for number in range(9)], first=b"z00", last=b"z08"),
        ],
    )
    if chain:
        new = content[:-1]
        target.add_set(FIRST, one_volume(diff(b"m", content, new), stored(b"z09")))
    open_volume = Repository.open_volume

    def failing_open(
        self: Repository, candidates: Sequence[FoundFile], record: VolumeRecord, *others: Inside | None
    ) -> Opened:
        if record.number == failing:
            raise OSError(errno.EMFILE, "Too many open files")
        return open_volume(self, candidates, record, *others)

    monkeypatch.setattr(Repository, "open_volume", failing_open)
    with pytest.raises(OSError, match="Too many open files"):
        place(tmp_path, target).restore()
