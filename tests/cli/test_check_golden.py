"""Archives that duplicity and twofold wrote long ago are whole: each of them is checked in every way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.scene import Scene
from tests.support import gnupg
from tests.support.golden import Golden, all_goldens

EVERY = pytest.mark.parametrize("golden", [each for each in all_goldens() if not each.about.unfinished], ids=str)


@pytest.fixture
def opened(golden: Golden, tmp_path: Path, utc: None) -> Iterator[Scene]:
    with ExitStack() as stack:
        keys = [(golden.folder / golden.about.secret_key).read_bytes()] if golden.about.secret_key else []
        home = stack.enter_context(gnupg.imported(*keys))
        for name in ("tmp", "home"):
            (tmp_path / name).mkdir()
        golden.copy_into(os.fsencode(tmp_path))
        variables = {"GNUPGHOME": home}
        if golden.about.passphrase is not None:
            variables["PASSPHRASE"] = golden.about.passphrase
        yield Scene(tmp_path, golden.about.options).with_variables(**variables)
    assert os.listdir(tmp_path / "tmp") == []


def contents(scene: Scene) -> dict[str, bytes]:
    return {name: (scene.target / name).read_bytes() for name in scene.names()}


@EVERY
def test_a_kept_archive_is_whole(opened: Scene, golden: Golden) -> None:
    before = contents(opened)
    for options in ((), ("--read-data",), ("--sample", "50%", "--read-data")):
        done = opened.run("check", opened.url, *options)
        *_, last = done.stdout.splitlines()
        assert last.startswith(f"Check complete: {len(golden.about.times)} set"), str(done)
        assert last.endswith(", 0 damaged."), str(done)
        assert done.stderr == ""
    assert contents(opened) == before
    assert os.listdir(opened.archive_dir) == ["lockfile"]


@pytest.mark.parametrize(
    "golden",
    [each for each in all_goldens() if str(each) in ("duplicity-3.2.1/plain", "duplicity-0.8.22/gzip")],
    ids=str,
)
def test_a_volume_of_duplicity_that_lacks_its_end_is_found(opened: Scene, golden: Golden) -> None:
    volume = next(name for name in opened.names() if ".vol1." in name)
    with (opened.target / volume).open("r+b") as file:
        file.truncate((opened.target / volume).stat().st_size - 1)
    done = opened.run("check", opened.url, expect=21)
    assert done.stdout.splitlines()[-1].endswith(", 1 damaged.")
    assert volume in done.stderr
