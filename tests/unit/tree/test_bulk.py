"""Batches of files: the compiled functions and the specification, and what ends a batch."""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tools import unavailable
from tests.support.tree_editor import supports_xattrs
from tests.unit.tree.conftest import NOBODY, needs_root, ordinary_user
from twofold import rsync
from twofold.pipeline.known import FIELDS, pack_stats
from twofold.tree import bulk, bulk_specification
from twofold.tree.scan import FILE_FLAGS

FLAGS = FILE_FLAGS | os.O_NOFOLLOW
LARGEST = 65536
MTIME_NS = 1_234_567_890_123_456_789
IGNORED = (b"security.selinux",)


@pytest.fixture(params=["specification", "native"], scope="module")
def batches(request: pytest.FixtureRequest) -> ModuleType:
    if request.param == "specification":
        return bulk_specification
    if rsync.IMPLEMENTATION != "native":
        unavailable("no compiled kernel")
    from twofold.tree import bulk_native

    return bulk_native


class Folder:
    """An opened directory and what the batches make of it."""

    def __init__(self, batches: ModuleType, path: Path) -> None:
        self.batches = batches
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self.buffer = bytearray(b"?" * (1 << 20))

    def names(self) -> list[bytes]:
        return sorted(os.listdir(os.fsencode(self.path)))

    def put(self, name: str, content: bytes) -> Path:
        path = self.path / name
        path.write_bytes(content)
        return path

    def facts(self, names: list[bytes]) -> array[int]:
        return pack_stats([os.stat(name, dir_fd=self.fd, follow_symlinks=False) for name in names])

    def read(
        self,
        names: list[bytes] | None = None,
        *,
        listed: array[int] | None = None,
        position: int = 0,
        gap: int = 1024,
        limit: int = 500_000,
        largest: int = LARGEST,
        flags: int = FLAGS,
        ignored: tuple[bytes, ...] = IGNORED,
    ) -> int:
        names = self.names() if names is None else names
        count = self.batches.read_files(
            self.fd,
            names,
            self.buffer,
            listed=self.facts(names) if listed is None else listed,
            position=position,
            gap=gap,
            limit=limit,
            largest=largest,
            flags=flags,
            ignored=ignored,
        )
        assert isinstance(count, int)
        return count

    def compare(self, contents: list[bytes], *, ignored: tuple[bytes, ...] = IGNORED) -> list[tuple[int, ...]]:
        """What is known of the files in order of their names, each compared with one of these."""
        data = b"<" + b"|".join(contents) + b">"
        offsets, lengths = _places(contents)
        names = self.names()[: len(contents)]
        found = self.batches.compare_files(self.fd, names, data, offsets, lengths, flags=FLAGS, ignored=ignored)
        flat = found.tolist()
        assert len(flat) % bulk.COMPARED == 0
        return [tuple(flat[start : start + bulk.COMPARED]) for start in range(0, len(flat), bulk.COMPARED)]

    def same(self, contents: list[bytes], *, ignored: tuple[bytes, ...] = IGNORED) -> list[int]:
        return [row[bulk.SAME] for row in self.compare(contents, ignored=ignored)]

    def write(self, files: dict[bytes, bytes], **attributes: int) -> int:
        contents = list(files.values())
        given = {"mode": 0o640, "uid": -1, "gid": -1, "mtime_ns": MTIME_NS, **attributes}
        count = self.batches.write_files(
            self.fd,
            list(files),
            b"<" + b"|".join(contents) + b">",
            *_places(contents),
            *([given[key]] * len(files) for key in ("mode", "uid", "gid", "mtime_ns")),
        )
        assert isinstance(count, int)
        return count


def _places(contents: list[bytes]) -> tuple[list[int], list[int]]:
    lengths = [len(content) for content in contents]
    return [1 + sum(lengths[:number]) + number for number in range(len(lengths))], lengths


@pytest.fixture
def folder(batches: ModuleType, tmp_path: Path) -> Iterator[Folder]:
    """Whatever is done in it, no descriptor stays open."""
    made = Folder(batches, tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    yield made
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(made.fd)


def make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_symlink(path: Path) -> None:
    path.rename(path.with_name("z-target"))
    path.symlink_to("z-target")


def make_linked(path: Path) -> None:
    os.link(path, path.with_name("z-other"))


def make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(20_000)


def make_large(path: Path) -> None:
    path.write_bytes(bytes(LARGEST))


def make_attributed(path: Path) -> None:
    if not supports_xattrs(os.fsencode(path.parent)):
        pytest.skip("this file system has no extended attributes")
    os.setxattr(path, "user.colour", b"red")


EXTRAORDINARY = [make_directory, make_fifo, make_symlink, make_linked, make_sparse, make_large, make_attributed]


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_files_are_read_to_where_their_data_belong_with_zeros_behind(folder: Folder) -> None:
    contents = {"a": b"", "b": b"1", "c": bytes(range(256)) * 2, "d": b"x" * 513, "e": b"y" * (LARGEST - 1)}
    for name, content in contents.items():
        folder.put(name, content)
    assert folder.read(position=512, gap=1000) == 5
    expected = b"?" * 512
    for content in contents.values():
        expected += b"?" * 1000 + content + bytes(-len(content) % 512)
    assert folder.buffer == expected + b"?" * (len(folder.buffer) - len(expected))


@pytest.mark.parametrize("make", EXTRAORDINARY)
def test_a_batch_of_reading_ends_at_what_is_not_ordinary(folder: Folder, make: Callable[[Path], None]) -> None:
    folder.put("a", b"before")
    make(folder.put("b", b"other"))
    folder.put("c", b"behind")
    assert folder.read([b"a", b"b", b"c"]) == 1
    assert folder.read([b"c"]) == 1


def change_nothing_but(field: int) -> Callable[[Folder, array[int]], None]:
    def change(_: Folder, listed: array[int]) -> None:
        listed[FIELDS + field] += 1

    return change


def grow(folder: Folder, _: array[int]) -> None:
    found = os.stat(folder.path / "b")
    with (folder.path / "b").open("ab") as file:
        file.write(b"more")
    os.utime(folder.path / "b", ns=(found.st_atime_ns, found.st_mtime_ns))


def vanish(folder: Folder, _: array[int]) -> None:
    (folder.path / "b").unlink()


@pytest.mark.parametrize("change", [grow, vanish, *map(change_nothing_but, range(FIELDS))])
def test_a_batch_of_reading_ends_at_what_is_not_as_listed(
    folder: Folder, change: Callable[[Folder, array[int]], None]
) -> None:
    for name in "abc":
        folder.put(name, b"content")
    names = folder.names()
    listed = folder.facts(names)
    change(folder, listed)
    assert folder.read(names, listed=listed) == 1


def test_a_file_that_grows_while_it_is_read_ends_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the kernel nothing comes between the two calls that a test could hook into; it is written alike."""
    folder = Folder(bulk_specification, tmp_path)
    for name in "abc":
        folder.put(name, b"content")
    readv = os.readv

    def meddle(descriptor: int, buffers: list[memoryview]) -> int:
        grow(folder, array("q"))
        return readv(descriptor, buffers)

    listed = folder.facts(folder.names())
    monkeypatch.setattr(os, "readv", meddle)
    assert folder.read(listed=listed) == 1
    os.close(folder.fd)


def test_no_file_is_begun_behind_the_limit(folder: Folder) -> None:
    for number in range(5):
        folder.put(f"{number}", b"x" * 600)
    # Each takes 1024 bytes for what goes in front, and as many for its data.
    assert [folder.read(limit=limit) for limit in (0, 2047, 2048, 8191, 8192)] == [1, 1, 2, 4, 5]
    assert folder.read(position=9, limit=8) == 0


def test_what_is_not_readable_ends_a_batch(batches: ModuleType, open_root: bytes) -> None:
    os.chmod(open_root, 0o755)
    folder = Folder(batches, Path(os.fsdecode(open_root)))
    folder.put("a", b"content")
    folder.put("b", b"content").chmod(0)
    with ordinary_user():
        assert folder.read() == 1
        assert len(folder.compare([b"content", b"content"])) == 1
    os.close(folder.fd)


def test_ignored_attributes_make_no_file_extraordinary(folder: Folder) -> None:
    make_attributed(folder.put("a", b"content"))
    assert folder.read(ignored=(b"user.colour", b"user.shape")) == 1
    assert folder.same([b"content"], ignored=(b"user.colour",)) == [1]
    os.setxattr(folder.path / "a", "user.colour2", b"red")
    assert folder.read(ignored=(b"user.colour",)) == 0
    assert folder.same([b"content"], ignored=(b"user.colour",)) == []


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 5000),
    st.integers(0, 3000),
    st.integers(0, 5000),
    st.integers(0, 20).map(lambda blocks: blocks * 512),
    st.lists(st.integers(0, 3000), max_size=6),
)
def test_nothing_is_written_outside_the_room_that_was_given(
    batches: ModuleType,
    tmp_path_factory: pytest.TempPathFactory,
    position: int,
    gap: int,
    limit: int,
    largest: int,
    sizes: list[int],
) -> None:
    folder = Folder(batches, tmp_path_factory.mktemp("room"))
    for number, size in enumerate(sizes):
        folder.put(f"{number}", b"x" * size)
    end = limit + gap + largest
    folder.buffer = bytearray(b"?" * (end + 100))
    whole, folder.buffer = folder.buffer, memoryview(folder.buffer)[50 : 50 + end]  # type: ignore[assignment]
    count = folder.read(position=position, gap=gap, limit=limit, largest=largest)
    os.close(folder.fd)
    expected = 0
    at = position
    while expected < len(sizes) and at <= limit and sizes[expected] < largest:
        at += gap + sizes[expected] + -sizes[expected] % 512
        expected += 1
    assert count == expected
    assert whole[:50] == whole[-50:] == b"?" * 50
    assert whole[50 : 50 + min(position + gap, end)] == b"?" * min(position + gap, end)


# ---- comparing -------------------------------------------------------------------------------------------------------


def test_files_are_compared_to_their_last_byte(folder: Folder) -> None:
    contents = [b"", b"one", b"two", b"three", b"x" * 300_000, b"y" * 262_144, b"z" * 262_143]
    for number, content in enumerate(contents):
        folder.put(f"{number}", content)
    assert folder.same(contents) == [1] * 7
    assert (
        folder.same([b"", b"onE", b"tw", b"threes", b"x" * 299_999 + b"X", b"y" * 262_143 + b"Y", b""]) == [1] + [0] * 6
    )
    rows = [tuple(row[: bulk.FACTS]) for row in folder.compare(contents)]
    flat = folder.facts(folder.names()).tolist()
    assert rows == [tuple(flat[start : start + FIELDS]) for start in range(0, len(flat), FIELDS)]


def test_only_what_has_the_right_size_is_read(folder: Folder) -> None:
    """What cannot be read would end the batch."""
    folder.put("a", b"content")
    os.symlink("/proc/self/mem", folder.path / "b")
    data = b"content"
    args = (folder.fd, [b"b"], data, [0], [7])
    found = folder.batches.compare_files(*args, flags=FILE_FLAGS, ignored=())
    assert found.tolist()[bulk.SAME :] == [0]


def test_a_failing_read_ends_a_batch_of_comparing(folder: Folder) -> None:
    os.symlink("/proc/self/mem", folder.path / "a")
    folder.put("b", b"content")
    found = folder.batches.compare_files(folder.fd, [b"a", b"b"], b"", [0, 0], [0, 0], flags=FILE_FLAGS, ignored=())
    assert found.tolist() == []


@pytest.mark.parametrize("make", [make_directory, make_fifo, make_symlink, make_attributed])
def test_a_batch_of_comparing_ends_at_what_is_not_ordinary(folder: Folder, make: Callable[[Path], None]) -> None:
    folder.put("a", b"content")
    make(folder.put("b", b"content"))
    folder.put("c", b"content")
    assert folder.same([b"content"] * 3) == [1]


def test_links_and_holes_are_ordinary_where_only_content_is_compared(folder: Folder) -> None:
    make_linked(folder.put("a", b"content"))
    make_sparse(folder.put("b", b""))
    assert folder.same([b"content", bytes(20_000), b"content"]) == [1, 1, 1]


# ---- writing ---------------------------------------------------------------------------------------------------------


def test_files_are_written_with_their_attributes(folder: Folder) -> None:
    contents = {b"a": b"", b"b": b"content", b"\xff": b"x" * 300_000}
    before = os.umask(0o077)
    try:
        assert folder.write(contents, mode=stat.S_IFREG | 0o1664) == 3
    finally:
        os.umask(before)
    for name, content in contents.items():
        with open(os.path.join(os.fsencode(folder.path), name), "rb") as file:
            found = os.fstat(file.fileno())
            assert file.read() == content
        assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o1664, MTIME_NS)
        assert (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())
        assert found.st_atime_ns != MTIME_NS


@pytest.mark.parametrize("mtime_ns", [-1, -1_000_000_001, 0, 10**9, 2**32 * 10**9 + 1])
def test_times_before_the_epoch_and_far_behind_it_are_kept(folder: Folder, mtime_ns: int) -> None:
    assert folder.write({b"a": b"content"}, mtime_ns=mtime_ns) == 1
    assert os.stat(folder.path / "a").st_mtime_ns == mtime_ns


@needs_root
def test_owners_are_changed_before_modes_are(folder: Folder) -> None:
    assert folder.write({b"a": b"content"}, mode=0o600, uid=NOBODY, gid=NOBODY - 1) == 1
    assert folder.write({b"b": b"content"}, mode=0o600, gid=NOBODY) == 1
    found = [os.stat(folder.path / name) for name in "ab"]
    assert [(each.st_uid, each.st_gid) for each in found] == [(NOBODY, NOBODY - 1), (0, NOBODY)]


@pytest.mark.parametrize("kind", ["file", "directory", "symlink", "lost symlink"])
def test_what_was_there_before_ends_a_batch_and_stays_as_it_is(folder: Folder, kind: str) -> None:
    path = folder.path / "b"
    if kind == "file":
        path.write_bytes(b"old")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("a" if kind == "symlink" else "nowhere")
    before = os.lstat(path)
    assert folder.write({b"a": b"new", b"b": b"new", b"c": b"new"}) == 1
    after = os.lstat(path)
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)
    assert folder.names() == [b"a", b"b"]


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_set_user_and_group_ids_are_left_to_the_general_way(folder: Folder, mode: int) -> None:
    assert folder.write({b"a": b"content"}, mode=mode) == 0
    assert folder.names() == []


def test_nothing_is_left_of_a_file_that_may_not_have_its_owner(batches: ModuleType, open_root: bytes) -> None:
    folder = Folder(batches, Path(os.fsdecode(open_root)))
    with ordinary_user():
        assert folder.write({b"a": b"content"}, uid=NOBODY - 1) == 0
        assert folder.names() == []
        assert folder.write({b"a": b"content"}, uid=os.geteuid(), gid=os.getegid()) == 1
    os.close(folder.fd)


def test_a_full_disk_leaves_nothing_of_the_file_it_was_met_with(batches: ModuleType, tmp_path: Path) -> None:
    """A limit on file sizes stands for it: writing fails half way."""
    import resource
    import signal

    folder = Folder(batches, tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        assert folder.write({b"a": b"x" * 5000, b"b": b"x" * 9000, b"c": b"x"}) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
        os.close(folder.fd)
    assert folder.names() == [b"a"]


# ---- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"/", b"a\0"])
def test_only_names_of_one_component_are_taken(folder: Folder, name: bytes) -> None:
    with pytest.raises(ValueError):
        folder.read([name], listed=array("q", range(FIELDS)))
    with pytest.raises(ValueError):
        folder.batches.compare_files(folder.fd, [name], b"", [0], [0], flags=FLAGS, ignored=())
    with pytest.raises(ValueError):
        folder.write({name: b""})


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"position": -1}, OverflowError),
        ({"gap": -1}, OverflowError),
        ({"limit": 2**64}, OverflowError),
        ({"limit": 2**64 - 1}, ValueError),
        ({"limit": (1 << 20) - LARGEST - 1023}, ValueError),
        ({"largest": 1000}, ValueError),
        ({"largest": 2 << 20}, ValueError),
        ({"flags": os.O_RDWR}, ValueError),
        ({"flags": os.O_WRONLY}, ValueError),
        ({"flags": os.O_RDONLY | os.O_CREAT}, ValueError),
        ({"flags": os.O_RDONLY | os.O_TRUNC}, ValueError),
        ({"listed": array("q", [1] * FIELDS)}, ValueError),
        ({"listed": array("q", [1] * (2 * FIELDS - 1))}, ValueError),
    ],
)
def test_wrong_room_flags_or_facts_are_refused(folder: Folder, changes: dict[str, object], error: type) -> None:
    folder.put("a", b"content")
    folder.put("b", b"content")
    with pytest.raises(error):
        folder.read(**changes)  # type: ignore[arg-type]
    assert folder.buffer == b"?" * len(folder.buffer)


def test_a_buffer_that_cannot_be_written_to_is_refused(folder: Folder) -> None:
    folder.put("a", b"content")
    folder.buffer = bytes(folder.buffer)  # type: ignore[assignment]
    with pytest.raises(ValueError):
        folder.read()


@pytest.mark.parametrize(
    ("offset", "length", "error"),
    [
        (-1, 1, OverflowError),
        (0, -1, OverflowError),
        (0, 8, ValueError),
        (8, 0, ValueError),
        (2**63, 2**63, ValueError),
    ],
)
def test_slices_outside_their_buffer_are_refused(folder: Folder, offset: int, length: int, error: type) -> None:
    with pytest.raises(error):
        folder.batches.compare_files(folder.fd, [b"a"], b"content", [offset], [length], flags=FLAGS, ignored=())
    with pytest.raises(error):
        folder.batches.write_files(folder.fd, [b"a"], b"content", [offset], [length], [0o600], [-1], [-1], [0])
    assert folder.names() == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"mode": -1}, OverflowError),
        ({"uid": -2}, ValueError),
        ({"uid": 2**32 - 1}, ValueError),
        ({"gid": 2**32 - 1}, ValueError),
        ({"mtime_ns": 2**63}, OverflowError),
    ],
)
def test_attributes_that_no_file_can_have_are_refused(folder: Folder, changes: dict[str, int], error: type) -> None:
    with pytest.raises(error):
        folder.write({b"a": b"content"}, **changes)
    assert folder.names() == []


@pytest.mark.parametrize("short", range(6))
def test_lists_of_different_length_are_refused(folder: Folder, short: int) -> None:
    lists: list[list[int]] = [[0, 0], [1, 1], [0o600, 0o600], [-1, -1], [-1, -1], [0, 0]]
    lists[short].pop()
    with pytest.raises(ValueError):
        folder.batches.write_files(folder.fd, [b"a", b"b"], b"content", *lists)
    assert folder.names() == []


@pytest.mark.parametrize("directory", [-1, -100])
def test_only_an_open_directory_is_taken(folder: Folder, directory: int) -> None:
    with pytest.raises(ValueError):
        folder.batches.write_files(directory, [b"a"], b"", [0], [0], [0o600], [-1], [-1], [0])
    with pytest.raises(ValueError):
        folder.batches.compare_files(directory, [b"a"], b"", [0], [0], flags=FLAGS, ignored=())
    closed = os.dup(folder.fd)
    os.close(closed)
    assert folder.batches.write_files(closed, [b"a"], b"", [0], [0], [0o600], [-1], [-1], [0]) == 0


@pytest.mark.parametrize("shape", [bytes, bytearray, memoryview])
def test_every_kind_of_buffer_is_taken(folder: Folder, shape: Callable[[bytes], bytes]) -> None:
    data = shape(b"content")
    assert folder.batches.write_files(folder.fd, [b"a"], data, [0], [7], [0o600], [-1], [-1], [0]) == 1
    found = folder.batches.compare_files(folder.fd, [b"a"], data, [0], [7], flags=FLAGS, ignored=())
    assert found.tolist()[bulk.SAME] == 1
    with pytest.raises(ValueError):
        folder.batches.write_files(folder.fd, [b"b"], memoryview(data)[::2], [0], [1], [0o600], [-1], [-1], [0])


def test_nothing_is_done_for_no_names(folder: Folder) -> None:
    assert folder.read([]) == 0
    assert folder.compare([]) == []
    assert folder.write({}) == 0


def test_the_functions_in_use_are_those_of_the_kernel_that_is_there() -> None:
    if rsync.IMPLEMENTATION == "native":
        from twofold.tree import bulk_native

        assert bulk.read_files is bulk_native.read_files
    else:
        assert bulk.read_files is bulk_specification.read_files


def test_whatever_has_a_name_is_listed_with_what_lstat_says(batches: ModuleType, tmp_path: Path) -> None:
    folder = Folder(batches, tmp_path)
    folder.put("file", b"content")
    os.link(tmp_path / "file", tmp_path / "other name")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    os.utime(tmp_path / "file", ns=(0, -1_500_000_001))
    rows = batches.list_files(folder.fd, folder.names())
    assert len(rows) == bulk.LISTED * 5
    for at, name in enumerate(folder.names()):
        found = os.lstat(os.path.join(os.fsencode(tmp_path), name))
        assert list(rows[at * bulk.LISTED : (at + 1) * bulk.LISTED]) == [
            *(found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns, found.st_ctime_ns),
            *(found.st_ino, found.st_dev, found.st_nlink, found.st_blocks, found.st_rdev),
        ]


def test_listing_ends_at_what_is_not_there_and_at_times_beyond_64_bits(batches: ModuleType, tmp_path: Path) -> None:
    folder = Folder(batches, tmp_path)
    for name in ("a", "c"):
        folder.put(name, b"")
    assert len(batches.list_files(folder.fd, [b"a", b"b", b"c"])) == bulk.LISTED
    assert len(batches.list_files(folder.fd, [])) == 0
    os.utime(tmp_path / "c", ns=(0, 10_000_000_000 * 10**9))
    if os.stat(tmp_path / "c").st_mtime_ns < 1 << 63:
        pytest.skip("this file system has no such times")
    assert len(batches.list_files(folder.fd, [b"a", b"c"])) == bulk.LISTED


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"a\0"])
def test_what_is_no_name_is_not_listed(batches: ModuleType, tmp_path: Path, name: bytes) -> None:
    with pytest.raises(ValueError):
        batches.list_files(Folder(batches, tmp_path).fd, [name])
    with pytest.raises(ValueError):
        batches.list_files(-1, [b"a"])
