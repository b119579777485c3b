"""Checkpoints: what an interrupted backup leaves behind so that the next run goes on where it has stopped.

A file of the archive directory that goes with the partial manifest, one line for each volume that is at the target:

    64 hexadecimal digits, a blank, JSON: SHA-256 of the digest of the line before and of this JSON

The first line says what has to be the same in both runs. A line that is torn or damaged counts for nothing, nor do
those behind it, so whatever can be read here was written once, and in this order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from twofold.format.manifest import BlockPosition, VolumeRecord, parse_manifest, volume_bytes
from twofold.model.backup import SetId
from twofold.model.entry import Entry
from twofold.model.value import value
from twofold.pipeline.tally import Tally
from twofold.repository.archive_dir import AppendOnlyFile, ArchiveDir, Beside

_VERSION: Final = 1
_DIGITS: Final = 64


class PositionLost(Exception):
    """The file in the middle of which a run is to go on is not the one that it was, or is not there any more."""


class ListMark(NamedTuple):
    """How far the list of changed files has come: its entries, bytes, and the CRC-32 of these."""

    entries: int = 0
    size: int = 0
    crc: int = 0


class Mark(NamedTuple):
    """What is known at the end of a volume: `signature_bytes` of the signature tar belong to what is stored by then.

    `identity` is that of the file whose parts go on in the next volume, if there is one, and `proof` tells whether its
    parts so far are the same in another run. What `tally` counts is done with.
    """

    tally: Tally
    identity: tuple[int, ...] | None
    proof: str
    signature_bytes: int = 0
    changes: ListMark = ListMark()


@value
class Checkpoint:
    """A volume that is at the target. Without a mark the next run cannot go on behind it, only behind a later one.

    `signature_crc` is the CRC-32 of as much of the signature tar as the mark says.
    """

    record: VolumeRecord
    mark: Mark | None
    signature_crc: int = 0

    @property
    def position(self) -> BlockPosition:
        """The last entry of the volume, or part of one."""
        return self.record.last


class Silence(NamedTuple):
    """Parts of a file, up to `block`, that are at the target: they are read and signed again, but not stored."""

    path: bytes
    block: int
    identity: tuple[int, ...]
    proof: str


def identity_of(entry: Entry) -> tuple[int, ...] | None:
    """What tells a regular file from what may become of it; None if it may be changed without a trace (entries.py)."""
    return (entry.inode, entry.size or 0, entry.mtime_ns, entry.ctime_ns) if entry.ctime_ns else None


def silence_of(checkpoint: Checkpoint) -> Silence | None:
    """What of a file is not to be stored again by whoever goes on behind a checkpoint."""
    position, mark = checkpoint.position, checkpoint.mark
    if position.block is None or mark is None:
        return None
    return Silence(position.path, position.block, mark.identity or (), mark.proof)


class CheckpointFile:
    """The checkpoints of a set in the making; grows durably with every volume."""

    def __init__(self, archive_dir: ArchiveDir, set_id: SetId, fingerprint: str) -> None:
        self._archive_dir = archive_dir
        self._path = archive_dir.path_beside(Beside.CHECKPOINTS, set_id)
        self._fingerprint = fingerprint
        self._file: AppendOnlyFile | None = None
        self._digest = ""
        self._waiting = b""
        self.last = 0

    def begin(self, kept: Iterable[Checkpoint] = ()) -> None:
        """Begins the file with those of another run; then they, and only they, count."""
        self.close()
        self._digest, self.last = "", 0
        lines = [self._line({"version": _VERSION, "fingerprint": self._fingerprint})]
        for each in kept:
            lines.append(self._line(_facts(each)))
            self.last = each.record.number
        self._archive_dir.write(self._path, b"".join(lines))
        self._file = AppendOnlyFile(self._path, keep=True)

    def add(self, checkpoint: Checkpoint) -> None:
        """A volume and all before it are at the target; what its mark speaks of is on the disk."""
        if checkpoint.mark is not None and self._file is None:
            self.begin()
        line = self._waiting + self._line(_facts(checkpoint))
        if checkpoint.mark is None or self._file is None:
            self._waiting = line
            return
        self._waiting = b""
        self._file.append(line)
        self.last = checkpoint.record.number

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _line(self, facts: object) -> bytes:
        import json

        body = json.dumps(facts)
        self._digest = _digest(self._digest, body)
        return f"{self._digest} {body}\n".encode()


def read_checkpoints(content: bytes) -> tuple[str, Sequence[Checkpoint]]:
    """The fingerprint of the run that wrote a checkpoint file, empty if that is damaged, and what it left."""
    import json

    digest, fingerprint = "", ""
    found: list[Checkpoint] = []
    for number, line in enumerate(content.decode("ascii", "replace").split("\n")[:-1]):
        body = line[_DIGITS + 1 :]
        digest = _digest(digest, body)
        if line[: _DIGITS + 1] != f"{digest} ":
            break
        facts = json.loads(body)
        if number:
            found.append(_checkpoint(facts))
        elif facts["version"] == _VERSION:
            fingerprint = facts["fingerprint"]
        else:
            break
    return fingerprint, found


def _digest(before: str, body: str) -> str:
    return hashlib.sha256(f"{before} {body}".encode("ascii", "replace")).hexdigest()


def _facts(checkpoint: Checkpoint) -> object:
    facts: dict[str, object] = {"volume": volume_bytes(checkpoint.record).decode("latin-1")}
    if (mark := checkpoint.mark) is not None:
        facts |= {
            "tally": [getattr(mark.tally, name) for name in Tally.__match_args__],
            "identity": mark.identity,
            "proof": mark.proof,
            "signatures": [mark.signature_bytes, checkpoint.signature_crc],
            "changes": mark.changes,
        }
    return facts


def _checkpoint(facts: dict[str, object]) -> Checkpoint:
    record = parse_manifest(str(facts["volume"]).encode("latin-1")).volumes[0]
    if "tally" not in facts:
        return Checkpoint(record, None)
    tally, changes, (size, crc) = (_numbers(facts[name]) for name in ("tally", "changes", "signatures"))
    identity = None if facts["identity"] is None else tuple(_numbers(facts["identity"]))
    return Checkpoint(record, Mark(Tally(*tally), identity, str(facts["proof"]), size, ListMark(*changes)), crc)


def _numbers(found: object) -> list[int]:
    assert isinstance(found, list)
    return found
