"""Single entries are found in signature files, forward, once, and never the wrong one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.backups import Place, tar_members
from tests.unit.pipeline.test_basis import FromMemory
from twofold.model.backup import SetKind, Wrapping
from twofold.monitor import Problem, RecordingMonitor
from twofold.pipeline.known import NOWHERE, location
from twofold.pipeline.lookup import SignatureLookup


@pytest.fixture
def stream(tmp_path: Path) -> bytes:
    place = Place(tmp_path, Wrapping.PLAIN)
    for number in range(20):
        path = os.path.join(place.source, b"%02d" % number)
        with open(path, "wb") as file:
            file.write(os.urandom(number * 50_000))
    place.back_up(SetKind.FULL)
    return place.signatures(place.set_ids()[0])


def places(stream: bytes) -> dict[bytes, int]:
    return {os.fsencode(info.name).partition(b"/")[2]: info.offset for info, _ in tar_members(stream)}


def counting(stream: bytes) -> tuple[list[FromMemory], Callable[[], FromMemory]]:
    opened: list[FromMemory] = []

    def opener() -> FromMemory:
        opened.append(FromMemory(stream))
        return opened[-1]

    return opened, opener


def test_entries_asked_for_in_order_are_found_in_one_pass_and_twice_if_need_be(stream: bytes) -> None:
    opened, opener = counting(stream)
    lookup = SignatureLookup([opener], monitor=RecordingMonitor())
    for path, offset in list(places(stream).items())[2::3]:
        for _ in range(2):
            found = lookup.find(location(0, offset), path)
            assert found is not None
            assert found.entry.content is not None
            assert len(found.signature) == 12 + 20 * -(-found.entry.content.size // found.entry.content.block_len)
    assert len(opened) == 1
    lookup.close()
    assert opened[0].closed


def test_going_back_opens_the_file_again(stream: bytes) -> None:
    opened, opener = counting(stream)
    lookup = SignatureLookup([opener], monitor=RecordingMonitor())
    where = places(stream)
    for path in (b"15", b"03"):
        assert lookup.find(location(0, where[path]), path) is not None
    assert len(opened) == 2
    assert opened[0].closed
    lookup.close()


def test_a_place_that_is_another_paths_or_nobodys_gives_nothing(stream: bytes) -> None:
    _, opener = counting(stream)
    monitor = RecordingMonitor()
    lookup = SignatureLookup([opener], monitor=monitor)
    where = places(stream)
    assert lookup.find(NOWHERE, b"03") is None
    assert lookup.find(location(7, 0), b"03") is None
    assert lookup.find(location(0, where[b"04"]), b"03") is None
    assert monitor.events == []
    lookup.close()


def test_a_damaged_signature_is_reported_and_done_without(stream: bytes) -> None:
    where = places(stream)
    damaged = bytearray(stream)
    damaged[where[b"09"] + 5] ^= 1
    _, opener = counting(bytes(damaged))
    monitor = RecordingMonitor()
    lookup = SignatureLookup([opener], monitor=monitor)
    assert lookup.find(location(0, where[b"09"]), b"09") is None
    assert lookup.find(location(0, where[b"12"]), b"12") is not None
    assert [event.path for event in monitor.events if isinstance(event, Problem)] == [b"09"]
    lookup.close()
