"""What lies in cold storage is asked for all at once, and only what is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.support.archive import Target, snapshot, volume
from tests.support.restoring import Place
from twofold.errors import NeedsWarmUp
from twofold.model.backup import SetId
from twofold.model.value import replace
from twofold.monitor import RecordingMonitor
from twofold.pipeline.chain_reading import plan_reading
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.store import Key, StoredFile, Warming, Warmth

READY = 1_800_000_000


class ColdStore(MemoryStore):
    """Volumes are cold until they have been asked for, and then come when the test says so."""

    def __init__(self, files: dict[str, bytes], *, ready: int | None) -> None:
        super().__init__(files)
        self.ready = ready
        self.asked: list[list[str]] = []
        self.has_come = False

    def list(self) -> Iterator[StoredFile]:
        for file in super().list():
            yield replace(file, warmth=Warmth.COLD) if ".vol" in file.name else file

    def warm_up(self, keys: Iterable[Key]) -> Warming:
        wanted = tuple(keys)
        self.asked.append([key.name for key in wanted])
        return Warming(wanted, (), None) if self.has_come else Warming((), wanted, self.ready)


def place(tmp_path: Path, ready: int | None) -> tuple[Place, ColdStore]:
    made = Target()
    paths = (b"a", b"b", b"c")
    made.add_set(
        SetId(1000), [volume(at, [snapshot(path, b"")], first=path, last=path) for at, path in enumerate(paths, 1)]
    )
    store = ColdStore(made.files, ready=ready)
    return Place(tmp_path, store=store), store


@pytest.mark.parametrize(
    ("ready", "said"),
    [(READY, r"by Fri Jan 15 \d\d:00:00 2027 they can be read"), (None, "the service does not say when")],
)
def test_all_that_is_needed_is_asked_for_at_once(tmp_path: Path, ready: int | None, said: str) -> None:
    here, store = place(tmp_path, ready)
    repository = here.repository(RecordingMonitor())
    plan = plan_reading(repository, repository.collection().sets, within=b"b")
    with pytest.raises(NeedsWarmUp, match=f"^2 of the files that are needed lie in cold storage.*{said}") as raised:
        repository.require_warm(plan.files)
    assert raised.value.ready_at == ready
    assert [[name.split(".")[2] for name in names] for names in store.asked] == [["vol2", "vol3"]]


def test_what_has_come_is_read(tmp_path: Path) -> None:
    here, store = place(tmp_path, READY)
    store.has_come = True
    repository = here.repository(RecordingMonitor())
    repository.require_warm(plan_reading(repository, repository.collection().sets, within=b"").files)
    assert len(store.asked) == 1


def test_warm_files_are_not_asked_about(tmp_path: Path) -> None:
    here, store = place(tmp_path, READY)
    repository = here.repository(RecordingMonitor())
    (backup_set,) = repository.collection().sets
    repository.require_warm((*backup_set.manifests, *backup_set.signatures))
    assert store.asked == []


def test_a_store_without_cold_files_is_not_bothered(tmp_path: Path) -> None:
    here, store = place(tmp_path, READY)
    here.store = MemoryStore(store.files)
    repository = here.repository(RecordingMonitor())
    repository.require_warm(plan_reading(repository, repository.collection().sets, within=b"").files)
