"""Sets read from memory and rebuilt, for the tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.archive import Volume, feed, sig_lookup
from twofold.errors import TwofoldError
from twofold.format.manifest import VolumeRecord
from twofold.monitor import Problem, RecordingMonitor
from twofold.pipeline.merge import merge_sets
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
    """Replays the sets, oldest first; contents of paths in `skipping` are left unread."""
    outcome = Outcome()
    readers = [
        SetReader(
            feed(volumes),
            within=within,
            members_between=sig_lookup(signatures[number] if number < len(signatures) else None),
            monitor=outcome.monitor,
        )
        for number, volumes in enumerate(sets)
    ]
    for history in merge_sets(readers):
        assert not outcome.order or history.path not in outcome.order, "a path came twice"
        outcome.order.append(history.path)
        if history.path in skipping:
            continue
        try:
            rebuilt = rebuild(history, temp_dir=str(temp_dir))
            if rebuilt is None:
                continue
            if rebuilt.content is None:
                outcome.found[history.path] = rebuilt.entry.kind.value
                continue
            try:
                if to_file:
                    outcome.found[history.path] = _written(rebuilt.content, temp_dir)
                else:
                    outcome.found[history.path] = b"".join(rebuilt.content.blocks())
            finally:
                rebuilt.content.close()
        except TwofoldError as error:
            outcome.errors[history.path] = str(error)
    for reader in readers:
        reader.close()
    assert outcome.order == sorted(outcome.order, key=lambda path: path.replace(b"/", b"\0"))
    return outcome


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
