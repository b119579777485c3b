"""Volumes that were on their way at once leave gaps when a run dies: neither program may take such a set for whole.

docs/design.md section 10. The same arrangements come about with duplicity's own --concurrency.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.services.journey import contents
from tests.support.programs import Program, Workspace

pytestmark = pytest.mark.interop

_VOLUME = re.compile(rb"^(?=Volume )", re.MULTILINE)
_NUMBER = re.compile(r"\.vol(\d+)\.")
OPTIONS = ("--no-encryption", "--volsize", "1")


def _begun(workspace: Workspace, twofold: Program, *, there: set[int], recorded: int) -> Path:
    """A full backup of which only those volumes are `there` and as many are on record here; gives the source."""
    source = Path(os.fsdecode(workspace.path("source")))
    source.mkdir()
    for number in range(8):
        (source / f"file {number}").write_bytes(os.urandom(700_000))
    workspace.run(twofold, "full", str(source), workspace.url(), *OPTIONS).expect()
    for stored in Path(os.fsdecode(workspace.path("target"))).iterdir():
        number = _NUMBER.search(stored.name)
        if number is None or int(number[1]) not in there:
            stored.unlink()
    (manifest,) = Path(os.fsdecode(workspace.archive_dir)).rglob("*.manifest")
    header, *volumes = _VOLUME.split(manifest.read_bytes().partition(b"Filelist")[0])
    for file in manifest.parent.iterdir():
        if file.name != "lockfile":
            file.unlink()
    signatures = manifest.name.replace("full.", "full-signatures.").replace("manifest", "sigtar.part")
    (manifest.parent / signatures).touch()
    if recorded:
        manifest.with_name(manifest.name + ".part").write_bytes(header + b"".join(volumes[:recorded]))
    return source


@pytest.mark.parametrize(
    ("there", "recorded", "said"),
    [
        ({1, 2, 4, 5}, 2, "Restarting backup at volume 2"),
        ({1, 2, 3, 4}, 2, "Restart is impossible"),
        ({1, 3, 4}, 1, "Restart is impossible"),
        ({2, 3}, 0, "Cleaning up previous partial full backup set"),
    ],
)
@pytest.mark.parametrize("turn", ["D", "T"])
def test_a_set_with_a_gap_is_gone_on_with_before_it_or_made_anew(
    turn: str,
    there: set[int],
    recorded: int,
    said: str,
    twofold: Program,
    duplicity: Program,
    workspace: Workspace,
) -> None:
    source = _begun(workspace, twofold, there=there, recorded=recorded)
    next_one = twofold if turn == "T" else duplicity
    done = workspace.run(next_one, "full", str(source), workspace.url(), *OPTIONS).expect()
    if turn == "D":
        assert said in done.stdout
    for program in (twofold, duplicity):
        restored = Path(os.fsdecode(workspace.path(f"restored by {program.name}")))
        workspace.run(program, "restore", workspace.url(), str(restored), "--no-encryption").expect()
        assert contents(restored) == contents(source)
    status = workspace.run(twofold, "collection-status", workspace.url()).expect().stdout
    assert "Number of contained backup sets: 1" in status
    assert "No orphaned or incomplete backup sets found" in status
