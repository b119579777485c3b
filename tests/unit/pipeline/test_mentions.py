"""Volumes that have nothing to say of the wanted path are not fetched, but only where that is certain."""

from __future__ import annotations

import io
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.archive import (
    DIRECTORY,
    Target,
    deleted,
    diff,
    directory,
    one_volume,
    other,
    sig_deleted,
    sig_file,
    sig_other,
    snapshot,
    symlink,
    volume,
)
from tests.support.restoring import Place, Result, place
from twofold.envelope.protocol import Opened
from twofold.errors import PathNotFound
from twofold.format.tar_writer import tail
from twofold.model.backup import FileRole, SetId, Wrapping
from twofold.monitor import VolumeRead
from twofold.pipeline import mentions
from twofold.pipeline.known import FIELDS, Identity, KnownDirectory, StateWriter
from twofold.pipeline.mentions import Mention, find_mentions
from twofold.repository.archive_dir import STATE_NAME

FULL, FIRST, SECOND = SetId(1000), SetId(2000, 1000), SetId(3000, 2000)
ROOT = directory(b"")
A = b"a" * 900
LINK = symlink(b"to")


def chain(*, algorithms: tuple[str, ...] = ("SHA1", "SHA256"), wrapping: Wrapping = Wrapping.GZIP) -> Target:
    """`a` changes in the second set, `b/x` goes in the third, `link` is replaced there, `c` and `b/y` stay as they are.

    All ranges of the increments are so wide that they can hold anything.
    """
    target = Target(wrapping, algorithms=algorithms)
    full = [ROOT, snapshot(b"a", A), directory(b"b"), snapshot(b"b/x", b"x"), snapshot(b"b/y", b"y")]
    full += [snapshot(b"c", b"c"), snapshot(b"link", b"a file")]
    known = [sig_other(b"", DIRECTORY), sig_file(b"a", A), sig_other(b"b", DIRECTORY), sig_file(b"b/x", b"x")]
    known += [sig_file(b"b/y", b"y"), sig_file(b"c", b"c"), sig_file(b"link", b"a file")]
    target.add_set(FULL, one_volume(*full), known)
    target.add_set(
        FIRST,
        one_volume(diff(b"a", A, A + b"1"), snapshot(b"new", b"new")),
        [sig_file(b"a", A + b"1"), sig_file(b"new", b"new")],
    )
    target.add_set(
        SECOND,
        one_volume(deleted(b"b/x"), snapshot(b"c-d", b"c-d"), _link()),
        [sig_deleted(b"b/x"), sig_file(b"c-d", b"c-d"), sig_other(b"link", LINK)],
    )
    return target


def _link() -> bytes:
    return other(b"link", LINK)


def fetched(result: Result) -> list[int]:
    """The ends of the sets of which a volume was fetched."""
    names = [event.name for event in result.monitor.events if isinstance(event, VolumeRead)]
    ends = {Target(Wrapping.GZIP).name(set_id, FileRole.VOLUME, 1): set_id.end for set_id in (FULL, FIRST, SECOND)}
    return sorted(ends[name] for name in names)


def restored(here: Place, within: bytes) -> tuple[dict[bytes, bytes] | bytes, list[int]]:
    result = here.restore(within=within)
    assert result.error is None
    content = here.target.read_bytes() if here.target.is_file() else here.restored()
    return content, fetched(result)


@pytest.mark.parametrize(
    ("within", "content", "ends"),
    [
        (b"c", b"c", [1000]),
        (b"a", A + b"1", [1000, 2000]),
        (b"new", b"new", [2000]),
        (b"b", {b"y": b"y"}, [1000, 3000]),
        (b"b/y", b"y", [1000]),
        (b"c-d", b"c-d", [3000]),
    ],
)
def test_only_sets_that_mention_the_path_are_read(
    tmp_path: Path, within: bytes, content: object, ends: list[int]
) -> None:
    here = place(tmp_path, chain())
    here.synchronize()
    assert restored(here, within) == (content, ends)


def test_nothing_older_is_read_than_the_last_word_on_a_path(tmp_path: Path) -> None:
    target = chain()
    target.add_set(SetId(4000, 3000), one_volume(deleted(b"new")), [sig_deleted(b"new")])
    here = place(tmp_path, target)
    here.synchronize()
    result = here.restore(within=b"new")
    assert isinstance(result.error, PathNotFound)
    names = [event.name for event in result.monitor.events if isinstance(event, VolumeRead)]
    assert names == [target.name(SetId(4000, 3000), FileRole.VOLUME, 1)]


def test_a_path_that_no_set_mentions_costs_no_volume(tmp_path: Path) -> None:
    here = place(tmp_path, chain())
    here.synchronize()
    result = here.restore(within=b"nowhere")
    assert isinstance(result.error, PathNotFound)
    assert fetched(result) == []


@pytest.mark.parametrize(
    ("within", "content", "searches"), [(b"c", b"c", 2), (b"b/y", b"y", 2), (b"new", b"new", 3), (b"b/y/z", None, 3)]
)
def test_the_full_set_is_not_searched_for_what_is_known_to_be_there(
    within: bytes, content: bytes | None, searches: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = place(tmp_path, chain())
    here.synchronize()
    state(here, {b"b": {b"y": None}, b"c": None})
    searched: list[bytes] = []
    search = mentions.find_mentions

    def noted(opener: Callable[[], Opened], path: bytes, *, parse: bool) -> list[Mention] | None:
        searched.append(path)
        return search(opener, path, parse=parse)

    monkeypatch.setattr(mentions, "find_mentions", noted)
    if content is None:
        assert isinstance(here.restore(within=within).error, PathNotFound)
    else:
        assert restored(here, within)[0] == content
    assert searched == [within] * searches


def state(here: Place, tree: dict[bytes, object]) -> None:
    """A state file with these names and nothing of use beside."""
    writer = StateWriter(str(here.cache / STATE_NAME))

    def write(names: dict[bytes, object]) -> int:
        children = [write(below) if isinstance(below, dict) else 0 for below in names.values()]
        count = len(names)
        record = (array("q", bytes(8 * FIELDS * count)), array("Q", bytes(8 * count)), array("Q", children))
        return writer.write(KnownDirectory(b"\0".join(names), *record))

    writer.finish(write({b"": tree}), Identity((), ()))


def test_without_signature_files_all_sets_are_read(tmp_path: Path) -> None:
    here = place(tmp_path, chain())
    assert restored(here, b"c") == (b"c", [1000, 2000, 3000])


def test_sets_that_duplicity_may_have_resumed_are_all_read(tmp_path: Path) -> None:
    """Their signature file can lack what a volume holds (docs/format.md section 10.4)."""
    here = place(tmp_path, chain(algorithms=("SHA1",)))
    here.synchronize()
    assert restored(here, b"c") == (b"c", [1000, 2000, 3000])


def test_copies_of_bare_tars_are_not_believed(tmp_path: Path) -> None:
    """Cut short at the target, between two members, such a file becomes a perfect copy."""
    target = chain(wrapping=Wrapping.PLAIN)
    name = target.name(FIRST, FileRole.SIGNATURES)
    target.files[name] = b""
    here = place(tmp_path, target)
    here.synchronize()
    result = here.restore(within=b"a")
    assert result.error is None
    assert here.target.read_bytes() == A + b"1"


def cached(here: Place, set_id: SetId) -> Path:
    name = Target(Wrapping.GZIP).name(set_id, FileRole.SIGNATURES)
    return here.cache / name


def test_a_signature_file_that_is_cut_short_or_damaged_is_not_believed(tmp_path: Path) -> None:
    here = place(tmp_path, chain())
    here.synchronize()
    path = cached(here, FIRST)
    path.write_bytes(path.read_bytes()[:-5])
    path = cached(here, SECOND)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # in the checksum
    path.write_bytes(content)
    assert restored(here, b"c") == (b"c", [1000, 2000, 3000])


def test_a_signature_file_with_an_unreadable_member_is_not_believed(tmp_path: Path) -> None:
    target = chain()
    faulty = [sig_file(b"a", A), sig_file(b"../b/y", b"")]
    target.add_set(FIRST, one_volume(diff(b"a", A, A + b"1")), faulty)
    here = place(tmp_path, target)
    here.synchronize()
    assert restored(here, b"b/y") == (b"y", [1000, 2000])


def test_a_manifest_that_knows_of_the_path_is_believed_more_than_the_signatures(tmp_path: Path) -> None:
    target = chain()
    target.add_set(
        FIRST, [volume(1, [snapshot(b"c", b"C")], first=b"c", last=b"c")], [sig_file(b"something else", b"")]
    )
    here = place(tmp_path, target)
    here.synchronize()
    assert restored(here, b"c") == (b"C", [1000, 2000])


def test_of_a_folder_only_volumes_with_a_mentioned_path_are_read(tmp_path: Path) -> None:
    """A volume may begin where the one before it ended, so behind a wanted path one more is read."""
    target = chain()
    names = [b"folder/%b" % name for name in (b"a", b"b", b"c", b"d", b"e")]
    volumes = [volume(1, [directory(b"folder")], first=b"folder", last=b"folder")]
    volumes += [volume(at, [snapshot(name, name)], first=name, last=name) for at, name in enumerate(names, 2)]
    added, pruned = SetId(4000, 3000), SetId(5000, 4000)
    target.add_set(added, volumes, [sig_other(b"folder", DIRECTORY), *(sig_file(name, name) for name in names)])
    target.add_set(pruned, one_volume(*map(deleted, names[:4])), [sig_deleted(name) for name in names[:4]])
    here = place(tmp_path, target)
    here.synchronize()
    result = here.restore(within=b"folder")
    assert here.restored() == {b"e": names[4]}
    found = {event.name for event in result.monitor.events if isinstance(event, VolumeRead)}
    assert found == {
        *(target.name(added, FileRole.VOLUME, number) for number in (1, 2, 6)),
        target.name(pruned, FileRole.VOLUME, 1),
    }


def test_a_name_is_found_where_two_pieces_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    members = b"".join([sig_file(b"%03d" % number, b"") for number in range(20)])
    stream = members + tail(len(members))
    for size in (7, 64, 511, 512, 513):
        monkeypatch.setattr(mentions, "_PIECE", size)
        found = find_mentions(lambda: io.BytesIO(stream), b"013", parse=True)
        assert found == [Mention(b"013", stands_alone=False)]
        assert find_mentions(lambda: io.BytesIO(stream), b"013", parse=False) is None
        assert find_mentions(lambda: io.BytesIO(stream), b"x/0130", parse=False) == []


@pytest.mark.parametrize("name", [b"n" * 100, b"n" * 101, b"n" * 255, "ü".encode() * 60, b"\xff\xfe" * 70])
@pytest.mark.parametrize("folder", [b"", b"f" * 90 + b"/", b"f" * 160 + b"/", b"/".join([b"g" * 200] * 4) + b"/"])
def test_long_names_are_found_as_well(name: bytes, folder: bytes) -> None:
    stream = sig_file(folder + name, b"")
    found = find_mentions(lambda: io.BytesIO(stream + tail(len(stream))), folder + name, parse=True)
    assert found == [Mention(folder + name, stands_alone=False)]
