"""The signature file and the state file, made from what lies in chunks."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from tests.support.backups import Place, tar_members
from twofold.format.manifest import FileChange
from twofold.model.backup import SetKind, Wrapping
from twofold.pipeline import sign
from twofold.pipeline.known import FIELDS, MODE, KnownTree, StateWriter, split_location
from twofold.pipeline.members import Chunk, RemovedFile
from twofold.pipeline.sign import Signer


def write(place: Place, name: bytes, content: bytes) -> None:
    with open(os.path.join(place.source, name), "wb") as file:
        file.write(content)


def test_every_location_in_the_state_file_is_where_the_signature_stands(tmp_path: Path) -> None:
    place = Place(tmp_path, Wrapping.PLAIN)
    for number in range(30):
        write(place, b"%02d" % number, os.urandom(number * 9000))
    place.back_up(SetKind.FULL)
    for number in range(0, 30, 4):
        write(place, b"%02d" % number, os.urandom(number * 9000 + 5))
    os.unlink(os.path.join(place.source, b"05"))
    place.back_up(SetKind.INCREMENTAL)
    starts = [
        {info.offset: os.fsencode(info.name) for info, _ in tar_members(place.signatures(set_id))}
        for set_id in place.set_ids()
    ]
    tree = KnownTree(os.path.join(place.archive, "twofold-state"))
    top = tree.directory(tree.directory(tree.root).children[0])
    tree.close()
    assert len(top.name_list()) == 29
    for name, where in zip(top.name_list(), top.locations, strict=True):
        number, offset = split_location(where)
        assert starts[number][offset] == b"signature/" + name
        assert number == (1 if int(name) % 4 == 0 else 0)
    assert all(mode == 0o100644 for mode in top.stats[MODE::FIELDS])


def test_signatures_are_blake2_with_sums_of_16_bytes_over_blocks_of_4_kib(tmp_path: Path) -> None:
    place = Place(tmp_path, Wrapping.PLAIN)
    for name, size in ((b"empty", 0), (b"one", 1), (b"large", 300_000)):
        write(place, name, os.urandom(size))
    set_id = place.back_up(SetKind.FULL).set_id
    found = {info.name: data for info, data in tar_members(place.signatures(set_id))}
    for name, size in (("empty", 0), ("one", 1), ("large", 300_000)):
        data = found[f"signature/{name}"]
        assert struct.unpack(">III", data[:12]) == (0x72730147, 4096, 16)
        assert len(data) == 12 + 20 * -(-size // 4096)


def test_the_list_of_changed_files_tells_what_has_become_of_each(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for name in (b"same", b"small", b"gone"):
        write(place, name, b"content")
    write(place, b"large", os.urandom(200_000))
    place.back_up(SetKind.FULL)
    write(place, b"small", b"other")
    write(place, b"large", os.urandom(200_001))
    write(place, b"new", b"")
    os.unlink(os.path.join(place.source, b"gone"))
    manifest = place.manifest(place.back_up(SetKind.INCREMENTAL).set_id)
    assert manifest.file_changes == (
        (FileChange.DELETED, b"gone"),
        (FileChange.CHANGED, b"large"),
        (FileChange.NEW, b"new"),
        (FileChange.CHANGED, b"small"),
    )


@pytest.mark.parametrize("size", [1, 5000, 70_000])
def test_large_signatures_travel_in_pieces(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign, "_PIECE", 4096)
    pieces: list[bytes] = []
    state = StateWriter(str(tmp_path / "state"))
    signer = Signer(pieces.append, state, set_number=0, known=None, changes=lambda *_: None)
    chunk = Chunk(0, 1, bytearray(10))
    chunk.members = [RemovedFile(b"p%d" % number, False) for number in range(size // 100 + 1)]
    assert list(signer.sign([chunk])) == [chunk]
    state.abort()
    stream = b"".join(pieces)
    assert len(stream) % 10240 == 0
    assert len(tar_members(stream)) == len(chunk.members)
    assert max(map(len, pieces)) <= 4096 + 10240
