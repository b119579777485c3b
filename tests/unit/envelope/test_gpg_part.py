"""Parts of encrypted files: all of the file is decrypted and judged, whatever of it is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.envelopes import FixedPassphrases, cut, gpg_settings, sample
from tests.support.gnupg import SYMMETRIC_PASSPHRASE, GnupgHome
from tests.unit.envelope.conftest import MakeSettings
from twofold import system
from twofold.envelope.gpg import GpgEnvelope
from twofold.envelope.protocol import Inside
from twofold.errors import EnvelopeError
from twofold.model.backup import Wrapping

PIECES = list(cut(sample(600_000), 100_000))


@pytest.fixture(scope="module")
def packed(gnupg_home: GnupgHome, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A file of all pieces, and where each begins."""
    folder = tmp_path_factory.mktemp("packed")
    envelope = GpgEnvelope(gpg_settings(gnupg_home.path, folder), FixedPassphrases(SYMMETRIC_PASSPHRASE))
    sealer = envelope.create(str(folder / "file.gpg"))
    offsets = [0]
    for raw in PIECES:
        piece = envelope.compress(raw)
        sealer.write(piece)
        offsets.append(offsets[-1] + len(piece.data))
    sealer.finish()
    return folder / "file.gpg", offsets


def anything(_: bytes) -> bool:
    return True


def content(envelope: GpgEnvelope, path: Path, inside: Inside) -> bytes:
    opened = envelope.open(str(path), inside)
    try:
        return opened.read(10_000_000)
    finally:
        opened.close()


@pytest.fixture
def envelope(settings: MakeSettings) -> GpgEnvelope:
    return GpgEnvelope(settings(), FixedPassphrases(SYMMETRIC_PASSPHRASE))


@pytest.mark.parametrize(("first", "last"), [(0, 6), (1, 6), (2, 4), (5, 6), (0, 1)])
def test_a_part_is_what_its_pieces_hold(
    first: int, last: int, envelope: GpgEnvelope, packed: tuple[Path, list[int]], tmp_path: Path
) -> None:
    path, offsets = packed
    wanted = b"".join(PIECES[first:last])
    beginnings = []

    def is_sound(beginning: bytes) -> bool:
        beginnings.append(beginning)
        return True

    assert content(envelope, path, Inside(offsets[first], offsets[last], is_sound)) == wanted
    assert content(envelope, path, Inside(offsets[first], None, is_sound)) == b"".join(PIECES[first:])
    assert beginnings == [wanted[: 1 << 16], b"".join(PIECES[first:])[: 1 << 16]]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_closes_a_part_comes_out_behind_it(envelope: GpgEnvelope, packed: tuple[Path, list[int]]) -> None:
    path, offsets = packed
    assert content(envelope, path, Inside(offsets[2], offsets[3], anything, b"closed")) == PIECES[2] + b"closed"
    assert content(envelope, path, Inside(offsets[2], None, anything, b"closed")) == b"".join(PIECES[2:])


@pytest.mark.parametrize(
    ("begin", "end"), [(1, None), (10_000_000, None), (10_000_000, 20_000_000), (7, 9), (500, 500)]
)
def test_what_is_not_a_part_is_read_whole(
    begin: int, end: int | None, envelope: GpgEnvelope, packed: tuple[Path, list[int]]
) -> None:
    path, _ = packed
    assert content(envelope, path, Inside(begin, end, lambda found: found == PIECES[0])) == b"".join(PIECES)


def test_a_part_that_is_not_meant_is_read_whole(envelope: GpgEnvelope, packed: tuple[Path, list[int]]) -> None:
    path, offsets = packed
    assert content(envelope, path, Inside(offsets[2], None, lambda _: False)) == b"".join(PIECES)


@pytest.mark.parametrize("at", [-1, -40, -100_000])
def test_damage_behind_a_part_counts_as_well(
    at: int, envelope: GpgEnvelope, packed: tuple[Path, list[int]], tmp_path: Path
) -> None:
    path, offsets = packed
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 1
    (tmp_path / "damaged.gpg").write_bytes(damaged)
    (tmp_path / "short.gpg").write_bytes(damaged[:at])
    for name in ("damaged.gpg", "short.gpg"):
        with pytest.raises(EnvelopeError):
            envelope.open(str(tmp_path / name), Inside(offsets[1], offsets[2], anything))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_files_of_another_make_are_read_whole(settings: MakeSettings, tmp_path: Path) -> None:
    bare = GpgEnvelope(settings(level=None), FixedPassphrases(SYMMETRIC_PASSPHRASE))
    sealer = bare.create(str(tmp_path / "bare.gpg"))
    sealer.write(bare.compress(PIECES[0]))
    sealer.finish()
    assert content(bare, tmp_path / "bare.gpg", Inside(100, None, anything)) == PIECES[0]
    assert not bare.opens_inside


def test_only_what_is_laid_out_in_pieces_opens_inside(settings: MakeSettings) -> None:
    passphrases = FixedPassphrases(SYMMETRIC_PASSPHRASE)
    assert GpgEnvelope(settings(), passphrases).opens_inside
    assert not GpgEnvelope(settings(sign_key="A"), passphrases).opens_inside
    assert GpgEnvelope.wrapping is Wrapping.GPG


@pytest.mark.parametrize("with_splice", [True, False])
def test_what_comes_through_a_pipe_is_moved_to_the_end_or_so_far(
    with_splice: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_splice:
        monkeypatch.delattr(os, "splice", raising=False)
    reading, writing = os.pipe()
    target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    try:
        os.write(writing, b"first, second")
        assert system.move_from_pipe(reading, target, 5) == 5
        assert os.read(reading, 2) == b", "
        os.close(writing)
        assert system.move_from_pipe(reading, target, None) == 6
        assert system.move_from_pipe(reading, target, 3) == 0
    finally:
        os.close(reading)
        os.close(target)
    assert (tmp_path / "target").read_bytes() == b"firstsecond"
