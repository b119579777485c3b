"""The benchmark's data sets: the same everywhere, changed as said, and put back exactly."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.catalogue import chain, chain_steps, compared, growing, home_files, source_files, tiny_files
from bench.comparison import file_differences, tree_differences
from bench.content import PAGE, SourceText, edited, random_bytes
from bench.data_sets import File, Image, Kind, Operation, Step, Tree

COUNT = 60


def _files() -> Iterator[File]:
    for number in range(COUNT):
        yield File(f"folder{number % 4}/deeper/file{number}", number * 13 % 700, Kind.RANDOM, number)


def _edited_files() -> Iterator[File]:
    """Of a kind that changes edit; they are made by the test, because making text takes too long."""
    return (file._replace(kind=Kind.CUT) for file in _files())


def _tree(*, edited_part: float = 0.3) -> Tree:
    return Tree("trial", "a few files", _files, 1, edited_part=edited_part)


def _folder(base: Path, name: str) -> str:
    path = base / name
    path.mkdir()
    return str(path)


def _state(folder: str) -> dict[str, tuple[int, int, bytes]]:
    """Mode, time and content by path, those of folders included."""
    found = {}
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(parent, name)
            stat = os.stat(path)
            content = Path(path).read_bytes() if name in names else b""
            found[os.path.relpath(path, folder)] = (stat.st_mode, stat.st_mtime_ns, content)
    return found


def test_a_tree_is_the_same_wherever_it_is_made(tmp_path: Path) -> None:
    one, other = _folder(tmp_path, "one"), _folder(tmp_path, "other")
    assert _tree().create(one) == _tree().create(other)
    assert _state(one) == _state(other)
    assert sum(content != b"" for _, _, content in _state(one).values()) == COUNT - 1
    assert os.access(os.path.join(one, "folder0/deeper/file0"), os.X_OK)
    assert not os.access(os.path.join(one, "folder1/deeper/file1"), os.X_OK)


def test_the_bytes_of_data_sets_are_these_with_every_python() -> None:
    """Results of different machines are worth comparing only as long as this holds."""
    text = SourceText(lines=1000).text(20_000, seed=7) + random_bytes(5000, seed=7)
    listed = repr([*source_files(50, seed=1), *tiny_files(50), *home_files(0.01)])
    assert hashlib.sha256(text).hexdigest()[:16] == "c1860b20661b5d99"
    assert hashlib.sha256(listed.encode()).hexdigest()[:16] == "0ec0b0c7adb1f074"


def test_text_compresses_as_source_code_does() -> None:
    text = SourceText(lines=5000).text(17_000, seed=3)
    assert len(text) == 17_000
    assert 0.22 < len(zlib.compress(text, 6)) / len(text) < 0.32


def test_data_sets_have_the_sizes_they_claim() -> None:
    sources = list(source_files(5000, seed=1))
    assert len({file.path for file in sources}) == len(sources) == 5000
    assert 14_000 < sum(file.size for file in sources) / len(sources) < 21_000
    assert max(file.path.count("/") for file in sources) >= 5
    home = list(home_files(1.0))
    total = sum(file.size for file in home)
    assert 600_000_000 < total < 800_000_000
    media = sum(file.size for file in home if file.kind is Kind.RANDOM)
    mixed = sum(file.size for file in home if file.kind is Kind.MIXED)
    assert 0.45 < (media + 0.3 * mixed) / total < 0.65
    assert {file.size for file in tiny_files(5000)} <= set(range(1501))


def test_an_edit_changes_little_and_never_nothing() -> None:
    content = bytes(3000)
    for seed in range(50):
        new = edited(content, seed=seed)
        assert new != content
        assert abs(len(new) - len(content)) < 200


def test_a_change_of_files_that_are_not_edited_adds_and_removes_some(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "tree")
    tree = _tree(edited_part=0.5)
    tree.create(folder)
    before = _state(folder)
    tree.change(folder, 1)
    after = _state(folder)
    assert before.keys() - after.keys()
    assert after.keys() - before.keys()
    untouched = [path for path in before.keys() & after.keys() if before[path] == after[path]]
    assert len(untouched) > COUNT / 4


def test_a_change_edits_the_part_of_the_files_that_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.data_sets.cut_text", random_bytes)
    folder = _folder(tmp_path, "tree")
    _tree().create(folder)
    before = _state(folder)
    Tree("trial", "the same files, of a kind that is edited", _edited_files, 1, edited_part=0.3).change(folder, 1)
    after = _state(folder)
    edited_files = [path for path in before.keys() & after.keys() if before[path][2] != after[path][2]]
    assert 0.1 < len(edited_files) / COUNT < 0.5


def test_changed_files_have_a_later_second_after_each_change(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "tree")
    tree = _tree(edited_part=0.5)
    tree.create(folder)
    newest = max(mtime_ns for _, mtime_ns, _ in _state(folder).values())
    for number in (1, 2, 3):
        tree.change(folder, number)
        later = max(mtime_ns for _, mtime_ns, _ in _state(folder).values())
        assert later // 10**9 > newest // 10**9
        newest = later


def test_the_file_to_restore_is_edited_by_every_other_change(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "tree")
    _tree().create(folder)
    tree = Tree("trial", "the same files, of a kind that is edited", _edited_files, 1, edited_part=1e-9)
    one = Path(folder, tree.one_file() or "none")
    contents = [one.read_bytes()]
    for number in (1, 2, 3):
        tree.change(folder, number)
        contents.append(one.read_bytes())
    assert contents[0] != contents[1] == contents[2] != contents[3]


def test_undoing_changes_puts_back_contents_modes_and_times_of_files_and_folders(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "tree")
    tree = _tree(edited_part=0.5)
    tree.create(folder)
    before = _state(folder)
    changes = [tree.change(folder, number) for number in (1, 2, 3)]
    assert _state(folder) != before
    for change in reversed(changes):
        change.undo()
    assert _state(folder) == before


def test_the_same_change_can_be_made_again(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "tree")
    tree = _tree(edited_part=0.5)
    tree.create(folder)
    change = tree.change(folder, 1)
    first = _state(folder)
    change.undo()
    tree.change(folder, 1)
    assert _state(folder) == first


def test_a_page_change_rewrites_as_many_pages_as_said_and_can_be_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.data_sets._part", lambda kind, size, *, seed: random_bytes(size, seed=seed))
    monkeypatch.setattr("bench.data_sets._TICK_SECONDS", 0.0)
    image = Image("image", "one file", 100 * PAGE, 7, (Step(Operation.FULL),))
    folder = _folder(tmp_path, "image")
    assert image.create(folder).size == 100 * PAGE
    before = _state(folder)
    change = image.change(folder, 1)
    _, mtime_ns, content = _state(folder)[image.FILE]
    _, old_mtime_ns, old = before[image.FILE]
    assert sum(content[at : at + PAGE] != old[at : at + PAGE] for at in range(0, len(old), PAGE)) == 7
    assert mtime_ns // 10**9 > old_mtime_ns // 10**9
    assert _state(folder)[image.NOTE] != before[image.NOTE]
    change.undo()
    assert _state(folder) == before


def test_a_chain_backs_up_after_each_change_and_then_reads() -> None:
    steps = chain_steps(10)
    assert [step.change for step in steps if step.operation is Operation.CHANGE] == list(range(1, 11))
    assert steps[0] == Step(Operation.FULL)
    assert {step.operation for step in steps[11:]} >= {Operation.RESTORE_ONE, Operation.LIST, Operation.STATUS}
    assert "10 incremental" in chain(100, 10).about


def test_names_of_data_sets_are_unique_at_every_scale() -> None:
    for scale in (0.001, 0.02, 1.0):
        names = [data_set.name for data_set in (*compared(scale), *growing(scale))]
        assert len(set(names)) == len(names)
        assert all(data_set.footprint > 0 for data_set in compared(scale) if data_set.name != "start")


def test_a_tree_that_was_restored_well_differs_nowhere(tmp_path: Path) -> None:
    one, other = _folder(tmp_path, "one"), _folder(tmp_path, "other")
    _tree().create(one)
    _tree().create(other)
    assert list(tree_differences(one, other, mtime_ns=1)) == []


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("content", "content differs"),
        ("length", "content differs"),
        ("mode", "mode"),
        ("time", "modification time"),
        ("missing", "is missing"),
        ("added", "should not be there"),
        ("kind", "mode"),
        ("folder time", "modification time"),
    ],
)
def test_whatever_was_restored_wrongly_is_found(tmp_path: Path, damage: str, told: str) -> None:
    one, other = _folder(tmp_path, "one"), _folder(tmp_path, "other")
    _tree().create(one)
    _tree().create(other)
    _spoil(Path(other, "folder1"), damage)
    found = list(tree_differences(one, other, mtime_ns=1))
    assert any(told in line for line in found), found


def _spoil(folder: Path, damage: str) -> None:
    """Spoils one file or folder and nothing beside it."""
    path, deeper = folder / "deeper" / "file5", folder / "deeper"
    times, folder_times = (os.stat(path).st_mtime_ns,) * 2, (os.stat(deeper).st_mtime_ns,) * 2
    content = path.read_bytes()
    match damage:
        case "content":
            path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
            os.utime(path, ns=times)
        case "length":
            path.write_bytes(content + b"x")
            os.utime(path, ns=times)
        case "mode":
            path.chmod(0o600)
        case "time":
            os.utime(path, ns=(times[0] + 1, times[1] + 1))
        case "missing" | "kind":
            path.unlink()
            if damage == "kind":
                path.symlink_to("file9")
        case "added":
            (deeper / "more").touch()
        case "folder time":
            folder_times = (folder_times[0] + 1, folder_times[1] + 1)
    os.utime(deeper, ns=folder_times)


def test_times_are_compared_as_finely_as_a_program_keeps_them(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for path, mtime_ns in ((one, 5_000_000_001), (other, 5_900_000_000)):
        path.write_bytes(b"same")
        os.utime(path, ns=(mtime_ns, mtime_ns))
    assert list(file_differences(str(one), str(other), mtime_ns=10**9)) == []
    assert len(list(file_differences(str(one), str(other), mtime_ns=1))) == 1
    assert list(file_differences(str(one), str(tmp_path / "none"), mtime_ns=1)) != []
