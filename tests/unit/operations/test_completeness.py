"""A backup concludes only when all that it has stored is at the target, whoever else has worked there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backups import Place
from twofold.errors import MissingVolume
from twofold.model.backup import SetId, SetKind
from twofold.model.value import replace
from twofold.operations.completeness import require_stored
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.store import StoredFile, StoreTraits


class MeddledStore(MemoryStore):
    """Somebody deletes or cuts the first volume before the first listing after the signatures have come."""

    def __init__(self, *, left: int | None) -> None:
        super().__init__()
        self._left = left
        self.listings = 0

    def list(self) -> Iterator[StoredFile]:
        self.listings += 1
        if any("signatures" in name for name in self.files):
            volume = next(name for name in self.files if ".vol1." in name)
            content = self.files.pop(volume)
            if self._left is not None:
                self.files[volume] = content[: self._left]
        return super().list()


class ForgetfulStore(MemoryStore):
    """Listings lack the newest file, as those of some services do for a while."""

    @property
    def traits(self) -> StoreTraits:
        return replace(super().traits, consistent_list=False)

    def list(self) -> Iterator[StoredFile]:
        return iter(list(super().list())[:-1])


def filled(folder: Path, store: MemoryStore) -> Place:
    place = Place(folder, store=store)
    (folder / "source" / "file").write_bytes(os.urandom(1000))
    return place


@pytest.mark.parametrize("left", [None, 0, 10])
def test_no_manifest_is_stored_when_a_volume_has_gone_or_shrunk_meanwhile(tmp_path: Path, left: int | None) -> None:
    place = filled(tmp_path, MeddledStore(left=left))
    with pytest.raises(MissingVolume, match=r"vol1\.difftar.*run the same command again"):
        place.back_up(SetKind.FULL)
    assert not any("manifest" in name for name in place.files)
    assert any("manifest.part" in name for name in place.partial_files())
    place.store = MemoryStore(place.files)
    place.back_up(SetKind.FULL)
    assert len(place.set_ids()) == 1
    assert sum(".vol1." in name for name in place.files) == 1


def test_what_a_forgetful_listing_lacks_is_asked_for_by_name(tmp_path: Path) -> None:
    place = filled(tmp_path, ForgetfulStore())
    place.back_up(SetKind.FULL)
    assert len(place.set_ids()) == 1


def test_the_target_is_listed_once_and_not_at_all_where_the_cache_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MeddledStore(left=None)
    repository = filled(tmp_path, store).repository()
    store.files["other"] = b"content"
    require_stored(repository, {"other": 7}, set_id=SetId(1))
    assert store.listings == 1
    monkeypatch.setattr(repository, "options", replace(repository.options, check_remote=False))
    require_stored(repository, {"absent": 1}, set_id=SetId(1))
    assert store.listings == 1
