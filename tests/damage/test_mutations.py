"""Random damage: never an accident of the program, never a wrong content as a success, never a path outside."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.archive import (
    DIRECTORY,
    Target,
    Volume,
    deleted,
    delta,
    diff,
    directory,
    other,
    parts,
    record_of,
    sig_deleted,
    sig_file,
    sig_other,
    snapshot,
    symlink,
    volume,
)
from tests.support.restoring import Place
from twofold.format.difftar import Action
from twofold.model.backup import SetId, Wrapping

FULL, FIRST = SetId(1000), SetId(2000, 1000)
SOURCE = random.Random(7)
OLD = SOURCE.randbytes(3000)
NEW = OLD[:1000] + b"inserted" + OLD[1000:]
BIG = SOURCE.randbytes(140_000)
BIGGER = SOURCE.randbytes(70_000) + BIG
LINK = symlink(b"../../outside")
FINAL = {b"big": BIGGER, b"changed": NEW, b"d": b"/", b"d/x": b"x", b"link": b"-> ../../outside", b"zero": b""}


def sets() -> list[tuple[SetId, list[Volume], list[bytes]]]:
    big = parts(b"big", BIG, record=record_of(BIG))
    bigger = parts(b"big", delta(BIG, BIGGER), action=Action.DIFF, record=record_of(BIGGER))
    full = [
        volume(1, [directory(b""), big[0]], first=b"", last=(b"big", 1)),
        volume(2, [*big[1:], snapshot(b"changed", OLD), directory(b"d")], first=(b"big", 2), last=b"d"),
        volume(3, [snapshot(b"d/x", b"x"), snapshot(b"gone", b"g"), other(b"link", LINK)], first=b"d/x", last=b"link"),
    ]
    increment = [
        volume(1, [*bigger, diff(b"changed", OLD, NEW)], first=b"big", last=b"changed"),
        volume(2, [deleted(b"gone"), snapshot(b"zero", b"")], first=b"gone", last=b"zero"),
    ]
    full_signatures = [
        sig_other(b"", DIRECTORY),
        sig_file(b"big", BIG),
        sig_file(b"changed", OLD),
        sig_other(b"d", DIRECTORY),
        sig_file(b"d/x", b"x"),
        sig_file(b"gone", b"g"),
        sig_other(b"link", LINK),
    ]
    increment_signatures = [
        sig_file(b"big", BIGGER),
        sig_file(b"changed", NEW),
        sig_deleted(b"gone"),
        sig_file(b"zero", b""),
    ]
    return [(FULL, full, full_signatures), (FIRST, increment, increment_signatures)]


SETS = sets()
HEADER = 512


def headers_of(members: tuple[bytes, ...]) -> list[tuple[int, int]]:
    """Where headers lie in a volume: everything but the data of files."""
    found, position = [], 0
    for member in members:
        size = int(member[124:136].rstrip(b"\0"), 8) if member[156:157] == b"x" else 0
        head = HEADER + (size + -size % 512 + HEADER if size else 0)
        found.append((position, position + head))
        position += len(member)
    return found


@st.composite
def damaged_volume(draw: st.DrawFn) -> tuple[int, int, list[tuple[int, int]]]:
    """A set, one of its volumes, and bytes in it with what they are combined with."""
    number = draw(st.integers(0, len(SETS) - 1))
    which = draw(st.integers(0, len(SETS[number][1]) - 1))
    length = len(SETS[number][1][which].content)
    near = st.integers(0, 1023) | st.integers(0, length - 1)
    changes = draw(st.lists(st.tuples(near, st.integers(1, 255)), min_size=1, max_size=3))
    return number, which, [(position % length, value) for position, value in changes]


@given(damaged_volume(), st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_damage_behind_a_right_hash_is_found_by_tar_records_or_parts(
    damage: tuple[int, int, list[tuple[int, int]]], with_signatures: bool
) -> None:
    number, which, changes = damage
    target = Target()
    for index, (set_id, volumes, signatures) in enumerate(SETS):
        written = list(volumes)
        if index == number:
            sound = written[which]
            content = bytearray(sound.content)
            for position, value in changes:
                content[position] ^= value
            written[which] = Volume(sound.number, sound.first, sound.last, (bytes(content),), ending=b"")
        target.add_set(set_id, written, signatures if with_signatures else None)
    heads = headers_of(SETS[number][1][which].members)
    in_data = all(not any(low <= position < high for low, high in heads) for position, _ in changes)
    check(target.files, strict=in_data)


@st.composite
def damaged_file(draw: st.DrawFn) -> tuple[int, str, int, int]:
    """A stored file, what happens to it, where, and a byte."""
    return (
        draw(st.integers(0, 8)),
        draw(st.sampled_from(("flip", "cut", "insert", "drop line"))),
        draw(st.integers(0, 1 << 20)),
        draw(st.integers(1, 255)),
    )


@given(damaged_file(), st.sampled_from((Wrapping.PLAIN, Wrapping.GZIP)))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@example((0, "cut", 0, 1), Wrapping.PLAIN)
def test_damage_of_any_stored_file_is_found_or_harmless(damage: tuple[int, str, int, int], wrapping: Wrapping) -> None:
    which, what, position, value = damage
    target = Target(wrapping)
    for each in SETS:
        target.add_set(*each)
    name = sorted(target.files)[which % len(target.files)]
    content = target.files[name]
    position %= len(content)
    if what == "flip":
        damaged = content[:position] + bytes([content[position] ^ value]) + content[position + 1 :]
    elif what == "cut":
        damaged = content[:position]
    elif what == "insert":
        damaged = content[:position] + bytes([value]) + content[position:]
    else:
        lines = content.split(b"\n")
        del lines[position % len(lines)]
        damaged = b"\n".join(lines)
    target.files[name] = damaged
    check(target.files, strict=True)


def check(files: dict[str, bytes], *, strict: bool) -> None:
    folder = Path(tempfile.mkdtemp(prefix="twofold-mutations-"))
    try:
        here = Place(folder / "deep" / "er", files, attempts=1)
        here.synchronize()
        result = here.restore()
        found = here.restored() if here.target.is_dir() else {}
        if strict:
            wrong = {path for path, content in found.items() if FINAL.get(path) != content}
            assert not wrong or result.error is not None
            assert not {path for path in wrong if path not in result.named}
            assert result.error is not None or found == FINAL
        below = {str(path.relative_to(folder)) for path in folder.rglob("*") if not within(path, here.target)}
        assert below <= {"deep", "deep/er", "deep/er/tmp", "deep/er/cache", "deep/er/restored"} | {
            os.path.join("deep/er/cache", name) for name in os.listdir(here.cache)
        }
    finally:
        shutil.rmtree(folder)


def within(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder) and path != folder


def test_the_sound_archive_is_restored_whole(tmp_path: Path) -> None:
    target = Target()
    for each in SETS:
        target.add_set(*each)
    here = Place(tmp_path, target.files)
    assert here.restore().error is None
    assert here.restored() == FINAL
