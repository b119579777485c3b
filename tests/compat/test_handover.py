"""Moving from one program to the other: what the first has left behind must serve the second as it is."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support import nasty_tree
from tests.support.chain import Chain, Counts, Mode
from tests.support.gnupg import GnupgHome
from tests.support.programs import Program, Workspace
from tests.support.tree import Fidelity, assert_same_tree

pytestmark = pytest.mark.interop

TURNS = pytest.mark.parametrize("turns", ["TD", "DT"])


def _programs(turns: str, twofold: Program, duplicity: Program) -> tuple[Program, Program]:
    return (twofold, duplicity) if turns == "TD" else (duplicity, twofold)


@TURNS
def test_an_incremental_needs_no_secret_key_after_the_other_program_s_run(
    turns: str,
    twofold: Program,
    duplicity: Program,
    workspace: Workspace,
    gnupg_home: GnupgHome,
    public_gnupg_home: GnupgHome,
) -> None:
    first, second = _programs(turns, twofold, duplicity)
    key = gnupg_home.bare.fingerprint
    unattended = Chain(
        workspace=workspace.with_gnupg_home(public_gnupg_home.path),
        options=("--encrypt-key", key),
        source=workspace.path("source"),
    )
    for program in (first, second, first, second):
        unattended.back_up(program)
    chain = unattended.with_gnupg_home(gnupg_home.path)
    chain.workspace = chain.workspace.with_passphrase("")
    for program in (first, second):
        chain.assert_restores(program, fidelity=Fidelity.DUPLICITY)


@TURNS
@pytest.mark.parametrize("mode", [Mode.SYMMETRIC, Mode.GZIP], ids=lambda mode: mode.value)
def test_an_incremental_works_from_the_other_program_s_archive_dir_alone(
    turns: str, mode: Mode, twofold: Program, duplicity: Program, workspace: Workspace, gnupg_home: GnupgHome
) -> None:
    first, second = _programs(turns, twofold, duplicity)
    chain = Chain.begin(workspace, mode, gnupg_home)
    chain.back_up(first)
    chain.back_up(first)
    signatures = [name for name in os.listdir(chain.target) if b"signatures" in name]
    for name in signatures:
        with open(os.path.join(chain.target, name), "wb") as file:
            file.write(b"unreadable, so that only the copy in the archive dir can have been used")
    assert Counts.reported(chain.back_up(second)) == chain.expected_counts()
    chain.assert_restores(second, fidelity=Fidelity.DUPLICITY)


@TURNS
@pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.value)
def test_a_lost_archive_dir_is_rebuilt_from_the_other_program_s_target(
    turns: str, mode: Mode, twofold: Program, duplicity: Program, workspace: Workspace, gnupg_home: GnupgHome
) -> None:
    first, second = _programs(turns, twofold, duplicity)
    chain = Chain.begin(workspace, mode, gnupg_home)
    chain.back_up(first)
    chain.back_up(first)
    shutil.rmtree(chain.workspace.archive_dir)
    assert Counts.reported(chain.back_up(second)) == chain.expected_counts()
    shutil.rmtree(chain.workspace.archive_dir)
    assert Counts.reported(chain.back_up(first)) == chain.expected_counts()
    chain.assert_verifies(second)


@TURNS
def test_sizes_around_every_boundary_survive_the_change_of_programs(
    turns: str, twofold: Program, duplicity: Program, workspace: Workspace, gnupg_home: GnupgHome
) -> None:
    first, second = _programs(turns, twofold, duplicity)
    chain = Chain.begin(workspace, Mode.PLAIN, gnupg_home, "--volsize", "1")
    chain.build = lambda root: nasty_tree.build(root, sizes=nasty_tree.LARGE_SIZES)
    for program in (first, second):
        chain.back_up(program)
    for program in (first, second):
        chain.assert_restores(program, fidelity=Fidelity.DUPLICITY)


@TURNS
def test_a_single_path_comes_out_of_the_other_program_s_volumes(
    turns: str, twofold: Program, duplicity: Program, workspace: Workspace, gnupg_home: GnupgHome
) -> None:
    first, second = _programs(turns, twofold, duplicity)
    chain = Chain.begin(workspace, Mode.GZIP, gnupg_home, "--volsize", "1")
    chain.back_up(first)
    chain.back_up(first)
    for number, path in enumerate((b"order/dir", b"large", b"changes")):
        folder = chain.workspace.path(f"part-{number}")
        chain.run(second, "restore", "--path-to-restore", path, chain.workspace.url(), folder).expect()
        assert_same_tree(folder, os.path.join(chain.source, path), fidelity=Fidelity.DUPLICITY)


@TURNS
def test_the_newer_chain_of_the_other_program_is_preferred_and_the_older_can_be_removed(
    turns: str, twofold: Program, duplicity: Program, workspace: Workspace, gnupg_home: GnupgHome
) -> None:
    first, second = _programs(turns, twofold, duplicity)
    chain = Chain.begin(workspace, Mode.GZIP, gnupg_home)
    chain.back_up(first)
    chain.back_up(second)
    time = ("--current-time", "1701000000")
    chain.advance()
    chain.run(second, "full", *time, chain.source, chain.workspace.url()).expect()
    older = set(os.listdir(chain.target))
    chain.run(first, "remove-all-but-n-full", "1", "--force", chain.workspace.url()).expect()
    kept = set(os.listdir(chain.target))
    assert kept < older
    assert all(b"20231126T120000Z" in name for name in kept)
    for program in (first, second):
        chain.assert_verifies(program)
