"""The lists of places to begin reading at, in an archive directory that duplicity uses as well."""

from __future__ import annotations

import os
import random

import pytest

from tests.support.chain import Chain, Mode
from tests.support.gnupg import GnupgHome
from tests.support.programs import Program, Workspace

pytestmark = pytest.mark.interop

FILE = b"03"


def build(folder: bytes) -> None:
    """8 MiB in files of 1 MiB."""
    os.makedirs(folder)
    source = random.Random(1)
    for number in range(8):
        with open(os.path.join(folder, b"%02d" % number), "wb") as file:
            file.write(source.randbytes(1 << 20))


def change(folder: bytes, step: int) -> None:
    with open(os.path.join(folder, b"new-%d" % step), "wb") as file:
        file.write(b"new")


def lists(chain: Chain) -> list[bytes]:
    found: list[bytes] = []
    for _, _, names in os.walk(chain.workspace.archive_dir):
        found += [name for name in names if name.startswith(b"twofold-entrances.")]
    return found


def test_a_list_disturbs_no_command_of_duplicity_and_goes_with_the_set_that_it_deletes(
    twofold: Program, duplicity: Program, workspace: Workspace, gnupg_home: GnupgHome
) -> None:
    chain = Chain.begin(workspace, Mode.SYMMETRIC, gnupg_home)
    chain.build, chain.change = build, change
    chain.back_up(twofold)
    assert len(lists(chain)) == 1
    url = workspace.url()
    status = chain.run(duplicity, "collection-status", url).expect()
    assert "No orphaned or incomplete backup sets found" in status.stdout
    assert "nothing deleted in cleanup" in chain.run(duplicity, "cleanup", "--force", url).expect().stdout
    chain.back_up(duplicity)
    chain.back_up(twofold)
    assert len(lists(chain)) == 1
    alone = workspace.path("alone")
    chain.run(twofold, "restore", "--path-to-restore", FILE, url, alone).expect()
    with open(alone, "rb") as restored, open(os.path.join(chain.source, FILE), "rb") as original:
        assert restored.read() == original.read()
    chain.run(duplicity, "full", chain.source, url).expect()
    chain.run(duplicity, "remove-all-but-n-full", "1", "--force", url).expect()
    chain.run(twofold, "collection-status", url).expect()
    assert lists(chain) == []
