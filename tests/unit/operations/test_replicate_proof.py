"""What proves that signatures and statistics are whole, and what leaves it open."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.support.archive import sig_file
from twofold.collection.sets import FoundFile
from twofold.envelope.gzip import GzipEnvelope
from twofold.envelope.plain import PlainEnvelope
from twofold.envelope.protocol import Inside, Opened
from twofold.errors import EnvelopeError, KeyMissing, WrongSigner
from twofold.format.names import NameCodec
from twofold.format.tar_writer import tail
from twofold.model.backup import FileRole, SetId, StoredName, Wrapping
from twofold.monitor import RecordingMonitor
from twofold.operations.replicate_proof import is_whole
from twofold.repository.archive_dir import ArchiveDir
from twofold.repository.repository import Repository, RepositoryOptions
from twofold.storage.drivers.memory import MemoryStore

MEMBERS = sig_file(b"a", b"text" * 300) + sig_file(b"b", b"more" * 300)
SIGNATURES = MEMBERS + tail(len(MEMBERS))


class Refusing(PlainEnvelope):
    """Opens nothing."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def open(self, path: str, inside: Inside | None = None) -> Opened:
        raise self._error


def judge(
    folder: Path,
    content: bytes,
    *,
    wrapping: Wrapping = Wrapping.PLAIN,
    role: FileRole = FileRole.SIGNATURES,
    refusal: Exception | None = None,
) -> bool | None:
    path = folder / "stored"
    path.write_bytes(content)
    plain = PlainEnvelope() if refusal is None else Refusing(refusal)
    repository = Repository(
        MemoryStore(),
        ArchiveDir(str(folder), NameCodec()),
        envelopes={Wrapping.PLAIN: plain, Wrapping.GZIP: GzipEnvelope()},
        written=Wrapping.PLAIN,
        options=RepositoryOptions(str(folder)),
        monitor=RecordingMonitor(),
    )
    meaning = StoredName(SetId(1000), role, wrapping, None)
    return is_whole(repository, FoundFile(NameCodec().format(meaning), meaning, len(content)), str(path))


def test_a_tar_is_whole_with_its_end(tmp_path: Path) -> None:
    assert judge(tmp_path, SIGNATURES) is True
    assert judge(tmp_path, gzip.compress(SIGNATURES), wrapping=Wrapping.GZIP) is True


@pytest.mark.parametrize("size", [0, 100, 700, len(sig_file(b"a", b"text" * 300)), len(MEMBERS)])
def test_a_tar_without_its_end_is_not_whole_even_if_no_entry_is_cut(tmp_path: Path, size: int) -> None:
    assert judge(tmp_path, SIGNATURES[:size]) is False


def test_a_damaged_header_is_found(tmp_path: Path) -> None:
    assert judge(tmp_path, b"?" + SIGNATURES[1:]) is False


def test_a_compressed_file_is_whole_with_its_checksum(tmp_path: Path) -> None:
    stored = gzip.compress(b"{}" * 500)
    assert judge(tmp_path, stored, wrapping=Wrapping.GZIP, role=FileRole.STATISTICS) is True
    assert judge(tmp_path, stored[:-5], wrapping=Wrapping.GZIP, role=FileRole.STATISTICS) is False


def test_nothing_tells_the_end_of_plain_statistics(tmp_path: Path) -> None:
    assert judge(tmp_path, b"{}", role=FileRole.STATISTICS) is None


def test_without_a_key_or_gpg_nothing_is_known(tmp_path: Path) -> None:
    no_gpg = EnvelopeError("No gpg")
    no_gpg.__cause__ = FileNotFoundError()
    for refusal in (KeyMissing("No key"), no_gpg, PermissionError("Not for you")):
        assert judge(tmp_path, SIGNATURES, refusal=refusal) is None
    assert judge(tmp_path, SIGNATURES, refusal=EnvelopeError("Damaged")) is False
    assert judge(tmp_path, SIGNATURES, wrapping=Wrapping.GPG) is None  # these options have no envelope for it


def test_another_signer_is_not_a_matter_of_wholeness(tmp_path: Path) -> None:
    with pytest.raises(WrongSigner):
        judge(tmp_path, SIGNATURES, refusal=WrongSigner("Somebody else"))
