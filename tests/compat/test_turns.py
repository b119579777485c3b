"""Chains in which twofold and duplicity take turns: each must read, continue and check what the other has written."""

from __future__ import annotations

import pytest

from tests.support.chain import Chain, Counts, Mode
from tests.support.gnupg import GnupgHome
from tests.support.programs import Program, Workspace
from tests.support.tree import Fidelity

pytestmark = pytest.mark.interop

SHARED, SEPARATE = "one archive dir", "an archive dir each"

TURNS = (
    ("TTTT", SHARED),
    ("DDDD", SEPARATE),
    ("TDTD", SHARED),
    ("DTDT", SEPARATE),
    ("TDDT", SEPARATE),
    ("DTTD", SHARED),
)
"""Who makes the full backup and the three incrementals: T twofold, D duplicity."""


@pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.value)
@pytest.mark.parametrize(("turns", "sharing"), TURNS)
def test_both_programs_restore_every_step_of_a_chain_that_they_made_in_turns(
    turns: str,
    sharing: str,
    mode: Mode,
    twofold: Program,
    duplicity: Program,
    workspace: Workspace,
    gnupg_home: GnupgHome,
) -> None:
    programs = {"T": twofold, "D": duplicity}
    chain = Chain.begin(workspace, mode, gnupg_home, "--volsize", "1")
    for step, turn in enumerate(turns):
        if sharing == SEPARATE:
            chain.use_archive_dir(f"archive-{turn}")
        outcome = chain.back_up(programs[turn])
        if step > 0:
            assert Counts.reported(outcome) == chain.expected_counts(), str(outcome)

    written = chain.target_files()
    assert sum(b".vol" in name for name in written) > len(turns), "the large file has to straddle volumes"
    for program in (twofold, duplicity):
        if sharing == SEPARATE:
            chain.use_archive_dir(f"archive-{program.name[0].upper()}")
        outcome = chain.back_up_again(program)
        assert Counts.reported(outcome) == Counts(new=0, changed=0, deleted=0), str(outcome)
        own_chain = program is twofold and turns == "TTTT"
        chain.assert_restores(program, fidelity=Fidelity.FULL if own_chain else Fidelity.DUPLICITY)
        chain.assert_verifies(program)
    assert chain.target_files() == written, "reading and an unchanged source leave the target alone"


@pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("turns", ["TD", "DT"])
def test_both_programs_list_the_same_files(
    turns: str, mode: Mode, twofold: Program, duplicity: Program, workspace: Workspace, gnupg_home: GnupgHome
) -> None:
    programs = {"T": twofold, "D": duplicity}
    chain = Chain.begin(workspace, mode, gnupg_home)
    for turn in turns:
        chain.back_up(programs[turn])
    for step in range(len(turns)):
        listed = chain.listed(duplicity, step)
        assert len(listed) == len(chain.states[step])
        assert chain.listed(twofold, step) == listed
