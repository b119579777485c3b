"""Unencrypted files."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import zlib
from pathlib import Path

import pytest

from tests.support.envelopes import cut, read_all, sample, seal
from twofold.envelope.gzip import GzipEnvelope, open_gzip
from twofold.envelope.plain import PlainEnvelope
from twofold.envelope.protocol import Envelope
from twofold.errors import CorruptStream
from twofold.model.backup import Wrapping

CONTENT = sample(300_000)


@pytest.mark.parametrize("envelope", [PlainEnvelope(), GzipEnvelope(), GzipEnvelope(0), GzipEnvelope(3)])
def test_a_file_comes_back_and_is_described_rightly(envelope: Envelope, tmp_path: Path) -> None:
    path = tmp_path / "file"
    sealed = seal(envelope, path, cut(CONTENT, 70_000))
    stored = path.read_bytes()
    assert read_all(envelope, path, step=1000) == CONTENT
    assert sealed.path == str(path)
    assert sealed.size == len(stored)
    assert sealed.sha1 == hashlib.sha1(stored).hexdigest()
    assert sealed.sha256 == hashlib.sha256(stored).hexdigest()
    assert path.stat().st_mode & 0o777 == 0o600


def test_names_say_which_envelope_it_was() -> None:
    assert (PlainEnvelope().wrapping, GzipEnvelope().wrapping) == (Wrapping.PLAIN, Wrapping.GZIP)


def test_any_gzip_program_reads_our_files(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    seal(GzipEnvelope(), path, cut(CONTENT, 65_536))
    assert gzip.decompress(path.read_bytes()) == CONTENT


def test_an_empty_file_is_a_whole_gzip_member(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    seal(GzipEnvelope(), path, [])
    assert gzip.decompress(path.read_bytes()) == b""
    assert read_all(GzipEnvelope(), path) == b""


@pytest.mark.parametrize("raw", [b"", b"x", CONTENT[:200_000], CONTENT[-100_000:]])
def test_a_gzip_file_is_no_larger_than_announced(raw: bytes, tmp_path: Path) -> None:
    envelope = GzipEnvelope()
    sealed = seal(envelope, tmp_path / "file.gz", [raw])
    deflated = len(envelope.compress(raw).data)
    assert sealed.size == deflated + envelope.overhead(deflated)


def test_an_abandoned_file_is_removed(tmp_path: Path) -> None:
    for envelope in (PlainEnvelope(), GzipEnvelope()):
        sealer = envelope.create(str(tmp_path / "file"))
        sealer.write(envelope.compress(b"something"))
        sealer.abort()
        sealer.abort()
        assert list(tmp_path.iterdir()) == []


def test_abandoning_a_finished_file_changes_nothing(tmp_path: Path) -> None:
    sealer = PlainEnvelope().create(str(tmp_path / "file"))
    sealer.finish()
    sealer.abort()
    assert (tmp_path / "file").exists()


def _with_fields(data: bytes) -> bytes:
    """A member with extra field, name, comment and header checksum (RFC 1952 section 2.3)."""
    header = b"\x1f\x8b\x08" + bytes((2 | 4 | 8 | 16,)) + b"\0\0\0\0\0\x03"
    header += struct.pack("<H", 6) + b"AB\x02\x00xy" + b"name\x00" + b"a comment\x00"
    header += struct.pack("<H", zlib.crc32(header) & 0xFFFF)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return header + deflate.compress(data) + deflate.flush() + struct.pack("<II", zlib.crc32(data), len(data))


def _by_level(data: bytes, level: int) -> bytes:
    output = io.BytesIO()
    with gzip.GzipFile("a name", "wb", level, output) as file:
        file.write(data)
    return output.getvalue()


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(_by_level(CONTENT, 0), id="not compressed"),
        pytest.param(_by_level(CONTENT, 6), id="level 6"),
        pytest.param(_by_level(CONTENT, 9), id="level 9"),
        pytest.param(_with_fields(CONTENT), id="all header fields"),
        pytest.param(gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:]), id="two members"),
        pytest.param(gzip.compress(CONTENT[:0]) + gzip.compress(CONTENT), id="an empty member first"),
        pytest.param(gzip.compress(CONTENT) + bytes(600), id="zeros behind"),
        pytest.param(gzip.compress(CONTENT) + b"junk", id="junk behind"),
        pytest.param(gzip.compress(CONTENT) + b"\x1f", id="one byte behind"),
    ],
)
def test_whatever_gzip_programs_write_is_read(stored: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(stored)
    for step in (1 << 20, 777):
        assert read_all(GzipEnvelope(), path, step=step) == CONTENT


@pytest.mark.parametrize("position", [0, 1, 12, 5000, -9, -8, -4, -1])
def test_a_flipped_bit_is_noticed(position: int, tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    stored = bytearray(gzip.compress(CONTENT))
    stored[position] ^= 4
    path.write_bytes(stored)
    with pytest.raises(CorruptStream):
        read_all(GzipEnvelope(), path)


@pytest.mark.parametrize("kept", [0, 1, 5, 10, 30, 100_000, -9, -8, -1])
def test_a_file_cut_short_is_noticed(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(CONTENT)[:kept])
    with pytest.raises(CorruptStream):
        read_all(GzipEnvelope(), path)


def test_memory_stays_small_when_much_comes_out_of_little(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(bytes(30_000_000)))
    opened = open_gzip(str(path))
    total = 0
    while part := opened.read(4096):
        total += len(part)
        assert len(part) <= 4096
        if total > 1_000_000:
            break
    opened.close()
    opened.close()
