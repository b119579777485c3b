"""Sets read from memory and rebuilt, for the tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.archive import Volume, feed, sig_lookup
from twofold.concurrency import Crew
from twofold.errors import TwofoldError
from twofold.format.manifest import VolumeRecord
from twofold.monitor import Problem, RecordingMonitor
from twofold.pipeline.merge import FileHistory, history_of, merge_sets, one_by_one
from twofold.pipeline.read_ahead import ReadAhead
from twofold.pipeline.rebuild import rebuild
from twofold.pipeline.replay import OpenVolume, SetReader


@dataclass
class Outcome:
    """What came of each path, in order: content, kind, or the error's text; and what was reported."""

    order: list[bytes] = field(default_factory=list)
    found: dict[bytes, bytes | str] = field(default_factory=dict)
    errors: dict[bytes, str] = field(default_factory=dict)
    monitor: RecordingMonitor = field(default_factory=RecordingMonitor)

    @property
    def problems(self) -> list[Problem]:
        return [event for event in self.monitor.events if isinstance(event, Problem)]


def read_sets(
    temp_dir: Path,
    *sets: Sequence[Volume],
    signatures: Sequence[Sequence[bytes] | None] = (),
    within: bytes = b"",
    skipping: frozenset[bytes] = frozenset(),
    to_file: bool = False,
) -> Outcome:
    """Replays the sets, oldest first; contents of paths in `skipping` are left unread.

    Once path by path, and once as restores do it: in runs, and with a thread that reads ahead. Both are the same.
    """
    outcome, ahead = Outcome(), Outcome()
    lookups = [sig_lookup(signatures[number] if number < len(signatures) else None) for number in range(len(sets))]

    def readers(monitor: RecordingMonitor) -> list[SetReader]:
        return [
            SetReader(feed(volumes), within=within, members_between=lookup, monitor=monitor)
            for volumes, lookup in zip(sets, lookups, strict=True)
        ]

    opened = readers(outcome.monitor)
    for history in one_by_one(merge_sets(opened)):
        _take(history, outcome, temp_dir, skipping=skipping, to_file=to_file)
    with Crew() as crew:
        opened_ahead = readers(ahead.monitor)
        stretches = ReadAhead(merge_sets(opened_ahead), crew)
        for stretch in stretches:
            if isinstance(stretch, FileHistory):
                _take(stretch, ahead, temp_dir, skipping=skipping, to_file=to_file)
                continue
            for at, path in enumerate(stretch.run.paths):
                if at in stretch.damaged or path in skipping:
                    _take(history_of(stretch.run, at), ahead, temp_dir, skipping=skipping, to_file=to_file)
                else:
                    ahead.order.append(path)
                    ahead.found[path] = stretch.run.content(at)
        stretches.close()
    for reader in (*opened, *opened_ahead):
        reader.close()
    assert outcome.order == sorted(outcome.order, key=lambda path: path.replace(b"/", b"\0"))
    assert outcome == ahead
    return outcome


def _take(history: FileHistory, outcome: Outcome, temp_dir: Path, *, skipping: frozenset[bytes], to_file: bool) -> None:
    assert not outcome.order or history.path not in outcome.order, "a path came twice"
    outcome.order.append(history.path)
    if history.path in skipping:
        return
    try:
        rebuilt = rebuild(history, temp_dir=str(temp_dir))
        if rebuilt is None:
            return
        if rebuilt.content is None:
            outcome.found[history.path] = rebuilt.entry.kind.value
            return
        try:
            if to_file:
                outcome.found[history.path] = _written(rebuilt.content, temp_dir)
            else:
                outcome.found[history.path] = b"".join(rebuilt.content.blocks())
        finally:
            rebuilt.content.close()
    except TwofoldError as error:
        outcome.errors[history.path] = str(error)


def _written(content: object, temp_dir: Path) -> bytes:
    path = temp_dir / "output"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        content.write_to(descriptor)  # type: ignore[attr-defined]
        return path.read_bytes()
    finally:
        os.close(descriptor)


class BrokenSource:
    """A volume whose reading fails as a dying disk does, after so many bytes."""

    def __init__(self, content: bytes, good_bytes: int) -> None:
        self._rest = content[:good_bytes]

    def read(self, size: int) -> bytes:
        if not self._rest:
            raise OSError(5, "Input/output error")
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def opened(record: VolumeRecord, source: BrokenSource) -> OpenVolume:
    return OpenVolume(record, source, lambda: None)
