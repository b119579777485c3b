"""No archive writes outside the restore folder, and no entry harms another (docs/format.md section 12)."""

import os
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.tree.conftest import directory, entry, losses, read, writing
from twofold.model.entry import Kind
from twofold.model.relpath import fault_of
from twofold.monitor import RecordingMonitor
from twofold.tree import directories
from twofold.tree.shortfalls import DegradedKind, EntryProblem
from twofold.tree.write import TreeWriter, WriteOptions

BAD = [
    b"..",
    b"../x",
    b"a/../../x",
    b"a/..",
    b"/abs",
    b"a//b",
    b"a/",
    b".",
    b"./a",
    b"a/.",
    b"a/./b",
    b"nul\0",
    b"n" * 256,
]
BAD += [b"n" * 256 + b"/x", b"", b"//", b"a/nul\0/b"]


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("untouched")
    yield os.fsencode(folder)
    assert os.listdir(folder) == ["file"]
    assert (folder / "file").read_text() == "untouched"


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"any_order": True}])
@pytest.mark.parametrize("path", BAD)
def test_paths_with_faults_are_refused_and_the_next_entry_follows(tmp_path, root, path, options):
    with writing(root, **options) as writer:
        makers = [
            lambda: writer.write_file(path, entry(), b"1"),
            lambda: writer.create_file(path, entry()),
            lambda: writer.make_fifo(path, entry(Kind.FIFO)),
            lambda: writer.make_hard_link(path, entry(), b"a"),
        ]
        if path:
            makers.append(lambda: writer.make_directory(path, directory()))
        for make in makers:
            with pytest.raises(EntryProblem, match="Its path has"):
                make()
        writer.write_file(b"a", entry(), b"good")
    assert sorted(os.listdir(tmp_path)) == ["restored"]
    assert os.listdir(root) == [b"a"]


@pytest.mark.parametrize(
    "options", [{}, {"overwrite": True}, {"any_order": True}, {"overwrite": True, "any_order": True}]
)
@pytest.mark.parametrize("below", [b"link/new", b"link/file", b"link/deeper/new"])
def test_a_planted_symlink_is_never_followed(root, outside, below, options):
    with writing(root, **options) as writer:
        writer.make_symlink(b"link", entry(Kind.SYMLINK, target=outside))
        for make in (
            lambda: writer.write_file(below, entry(), b"evil"),
            lambda: writer.make_directory(below, directory()),
            lambda: writer.make_symlink(below, entry(Kind.SYMLINK, target=b"evil")),
        ):
            with pytest.raises(EntryProblem):
                make()
        writer.write_file(b"z", entry(), b"good")
    assert os.readlink(root + b"/link") == outside
    assert read(root + b"/z") == b"good"


def test_a_symlink_swapped_in_for_a_directory_during_the_restore_is_not_followed(root, outside):
    with writing(root, overwrite=True) as writer:
        writer.make_directory(b"dir", directory())
        writer.make_directory(b"dir/sub", directory())
        os.rename(root + b"/dir", root + b"/moved")
        os.symlink(outside, root + b"/dir")
        writer.write_file(b"dir/sub/a", entry(), b"1")
        writer.write_file(b"dir/z", entry(), b"2")
    assert sorted(os.listdir(root + b"/moved")) == [b"sub", b"z"]


def test_a_symlink_at_the_place_of_a_file_is_not_written_through(root, outside):
    os.mkdir(root)
    os.symlink(outside + b"/file", root + b"/a")
    with writing(root) as writer, pytest.raises(EntryProblem, match="exists"):
        writer.write_file(b"a", entry(), b"evil")
    with writing(root, overwrite=True) as writer:
        writer.write_file(b"a", entry(), b"good")
    assert read(root + b"/a") == b"good"


def test_the_mode_of_a_symlinks_target_never_changes(root, outside):
    before = os.stat(outside).st_mode
    with writing(root) as writer:
        writer.make_symlink(b"link", entry(Kind.SYMLINK, 0o7777, target=outside))
    assert os.stat(outside).st_mode == before


def test_a_hard_link_to_a_file_outside_is_not_made(root, outside):
    with writing(root) as writer:
        writer.make_symlink(b"link", entry(Kind.SYMLINK, target=outside))
        for first in (b"link/file", b"../outside/file", outside + b"/file"):
            assert not writer.make_hard_link(b"second", entry(size=9), first)
    assert os.stat(outside + b"/file").st_nlink == 1


def test_an_entry_below_a_file_is_refused(root):
    with writing(root) as writer:
        writer.write_file(b"file", entry(), b"good")
        with pytest.raises(EntryProblem, match="parent is not a directory") as caught:
            writer.write_file(b"file/x", entry(), b"evil")
    assert caught.value.path == b"file/x"
    assert read(root + b"/file") == b"good"


def test_parents_that_the_archive_lacks_are_made_for_the_owner_alone(root, monitor):
    with writing(root, monitor) as writer:
        writer.write_file(b"a/b/file", entry(), b"1")
        writer.write_file(b"a/c/file", entry(), b"2")
    assert {stat.S_IMODE(os.stat(root + name).st_mode) for name in (b"/a", b"/a/b", b"/a/c")} == {0o700}
    assert losses(monitor) == {DegradedKind.MISSING_PARENT: (3, b"a")}


@pytest.mark.parametrize("overwrite", [False, True])
def test_entries_that_are_repeated_or_out_of_order_change_nothing(root, overwrite):
    with writing(root, overwrite=overwrite) as writer:
        writer.make_directory(b"", directory())
        writer.make_directory(b"dir", directory())
        writer.write_file(b"dir/b", entry(), b"good")
        for path in (b"dir/b", b"dir/a", b"dir", b"a", b"dir/b"):
            with pytest.raises(EntryProblem, match="out of order, or twice"):
                writer.write_file(path, entry(), b"evil")
        with pytest.raises(EntryProblem, match="twice"):
            writer.make_directory(b"", directory(0o777))
        writer.write_file(b"dir-x", entry(), b"after dir/b in archive order")
        with pytest.raises(EntryProblem, match="out of order, or twice"):
            writer.write_file(b"dir/c", entry(), b"evil")
    assert read(root + b"/dir/b") == b"good"
    assert sorted(os.listdir(root)) == [b"dir", b"dir-x"]


@pytest.mark.parametrize("device", [(-1, 0), (2**70, 1)])
def test_impossible_device_numbers_are_a_problem_of_that_entry(root, device):
    with writing(root) as writer, pytest.raises(EntryProblem):
        writer.make_device(b"device", entry(Kind.BLOCK_DEVICE, device=device))


@pytest.mark.parametrize("target", [b"", b"nul\0", b"t" * 5000])
def test_impossible_link_targets_are_a_problem_of_that_entry(root, target):
    with writing(root) as writer, pytest.raises(EntryProblem):
        writer.make_symlink(b"link", entry(Kind.SYMLINK, target=target))


names = st.sampled_from([b"a", b"b", b"..", b".", b"", b"link", b"outside", b"c\0"])
paths = st.lists(names, min_size=1, max_size=4).map(b"/".join)
moves = st.tuples(st.sampled_from(["dir", "file", "large", "link", "fifo", "hard"]), paths, paths)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(moves, max_size=12), overwrite=st.booleans(), any_order=st.booleans())
def test_no_sequence_of_entries_touches_anything_outside(tmp_path_factory, moves, overwrite, any_order):
    top = tmp_path_factory.mktemp("hostile")
    (top / "outside").mkdir()
    (top / "outside" / "file").write_text("untouched")
    before = os.stat(top / "outside").st_mtime_ns
    root = os.fsencode(top / "deep" / "restored")
    options = WriteOptions(overwrite=overwrite, any_order=any_order)
    with TreeWriter(root, options, monitor=RecordingMonitor()) as writer:
        for kind, path, other in moves:
            try:
                if kind == "dir":
                    writer.make_directory(path, directory())
                elif kind == "file":
                    writer.write_file(path, entry(size=4), b"evil")
                elif kind == "large":
                    writer.create_file(path, entry(size=0)).commit()
                elif kind == "link":
                    writer.make_symlink(path, entry(Kind.SYMLINK, target=b"../../" + other))
                elif kind == "fifo":
                    writer.make_fifo(path, entry(Kind.FIFO))
                else:
                    writer.make_hard_link(path, entry(size=4), other)
            except EntryProblem:
                continue
            assert fault_of(path) is None
            assert os.path.lexists(root + b"/" + path) or kind == "hard"
        writer.finish()
    assert sorted(os.listdir(top)) == ["deep", "outside"]
    assert os.listdir(top / "deep") == ["restored"]
    assert os.listdir(top / "outside") == ["file"]
    assert (top / "outside" / "file").read_text() == "untouched"
    assert os.stat(top / "outside").st_mtime_ns == before
    assert not [name for _, _, files in os.walk(root) for name in files if name.startswith(b".twofold")]


def test_a_deep_directory_that_was_moved_away_is_told_and_the_rest_goes_on(root, monitor, monkeypatch):
    monkeypatch.setattr(directories, "MOST_OPEN", 2)
    with writing(root, monitor) as writer:
        for path in (b"a", b"a/b", b"a/b/c", b"a/b/c/d", b"a/b/c/d/e"):
            writer.make_directory(path, directory(0o500))
        os.rename(root + b"/a/b", root + b"/elsewhere")
        writer.write_file(b"z", entry(), b"good")
    assert losses(monitor) == {DegradedKind.MOVED_DIRECTORY: (2, b"a/b/c")}
    assert read(root + b"/z") == b"good"
    assert stat.S_IMODE(os.stat(root + b"/a").st_mode) == 0o500
