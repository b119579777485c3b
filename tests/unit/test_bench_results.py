"""What the benchmark makes of its measurements: ratios, tables, verdicts, and that running programs is told truly."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from bench.__main__ import main
from bench.catalogue import chain
from bench.compare import Extent, compare, kind_of, stored_bytes, takes_part_again
from bench.data_sets import File, Kind, Operation, Step, Tree
from bench.installed import BORG, BORG_ZSTD, DUPLICITY, NAMES, OURS, RESTIC, find
from bench.measure import Command, CommandFailed, Cost, measured
from bench.plot import lines_of, svg
from bench.programs import Borg, DuplicityLike, Place, Program, Restic, TarAndGpg, command_of
from bench.report import document, write
from bench.results import Measurement, ResultFile, Results, Run, read_runs, seconds, spread
from bench.tables import NOTHING, markdown, ratio_cell
from bench.targets import Target, Verdict, target, verdict
from bench.workspace import room_needed, workspace

FULL = Operation.FULL


def _cost(wall: float, *, cpu: float | None = None, memory: int = 10**8) -> Cost:
    return Cost(wall, wall if cpu is None else cpu, memory, memory)


def _run(*measurements: Measurement, began: str = "2026-01-01", scale: float = 1.0) -> Run:
    machine = {"processor": "one", "load before": "0.00"}
    abouts: dict[str, dict[str, str | int]] = {one.data_set: {"about": "some files"} for one in measurements}
    return Run("compare", began, scale, machine, {OURS: "1"}, abouts, list(measurements))


def _measured(program: str, *walls: float, data_set: str = "sources", operation: Operation = FULL) -> list[Measurement]:
    return [Measurement(data_set, operation, program, at, 0, _cost(wall)) for at, wall in enumerate(walls)]


def test_a_ratio_is_the_median_of_rounds_that_both_took_part_in() -> None:
    results = Results([_run(*_measured(OURS, 1, 2, 4), *_measured(RESTIC, 3, 4, 40), *_measured(DUPLICITY, 7))])
    found = results.ratio("sources", FULL, ours=OURS, theirs=RESTIC, value=seconds)
    assert found == (3.0, 2.0, 10.0, 3)
    assert results.ratio("sources", FULL, ours=OURS, theirs=DUPLICITY, value=seconds) == (7.0, 7.0, 7.0, 1)
    assert results.ratio("sources", FULL, ours=OURS, theirs=BORG, value=seconds) is None


def test_the_steps_of_a_chain_are_paired_one_by_one() -> None:
    ours = [Measurement("chains", FULL, OURS, 0, step, _cost(1.0 + step)) for step in range(3)]
    theirs = [Measurement("chains", FULL, RESTIC, 0, step, _cost(2.0 * (1.0 + step))) for step in range(3)]
    found = Results([_run(*ours, *theirs)]).ratio("chains", FULL, ours=OURS, theirs=RESTIC, value=seconds)
    assert found == (2.0, 2.0, 2.0, 3)


def test_a_later_run_replaces_an_earlier_one_and_ratios_never_mix_runs() -> None:
    first = _run(*_measured(OURS, 1), *_measured(RESTIC, 8))
    second = _run(*_measured(OURS, 2), began="2026-01-02")
    results = Results([first, second])
    assert results.spread("sources", FULL, OURS, seconds) == (2.0, 2.0, 2.0, 1)
    assert results.ratio("sources", FULL, ours=OURS, theirs=RESTIC, value=seconds) == (8.0, 8.0, 8.0, 1)


def test_a_duration_of_nothing_divides_nothing() -> None:
    results = Results([_run(*_measured(OURS, 0.0), *_measured(RESTIC, 1.0))])
    found = results.ratio("sources", FULL, ours=OURS, theirs=RESTIC, value=seconds)
    assert found is not None
    assert found.median == pytest.approx(1000)
    assert spread([]) is None


def test_results_are_in_the_file_after_each_measurement(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "results.json")
    run = _run()
    file = ResultFile(path, run)
    for count, measurement in enumerate(_measured(OURS, 1, 2), start=1):
        file.add(measurement)
        assert [len(one.measurements) for one in read_runs(path)] == [count]
    ResultFile(path, _run(began="2026-01-02")).add(Measurement("image", FULL, OURS, 0, 0, None, failure="ended"))
    first, second = read_runs(path)
    assert first == run
    assert second.measurements[0].failure == "ended"
    assert second.measurements[0].operation is FULL


def test_verdicts_tell_missed_from_reached_from_hoped_for() -> None:
    assert [verdict(ratio, Target(2, 3)) for ratio in (1.99, 2, 2.99, 3)] == [
        Verdict.MISSED,
        Verdict.REACHED,
        Verdict.REACHED,
        Verdict.AIMED,
    ]
    assert verdict(1.6, Target(1.6)) is Verdict.AIMED


def test_targets_are_those_of_the_row_and_borg_with_zstd_has_none() -> None:
    assert target("sources", FULL, DUPLICITY) == Target(5, 8)
    assert target("image", Operation.CHANGE, BORG) == Target(1.5, 3)
    assert target("chains", Operation.RESTORE_ONE, RESTIC) == Target(1.6)
    assert target("sources", FULL, BORG_ZSTD) is None
    assert target("image1", FULL, BORG) is None


def test_a_cell_shows_spread_target_and_mark() -> None:
    results = Results([_run(*_measured(OURS, 1, 1), *_measured(RESTIC, 1.5, 1.7), *_measured(DUPLICITY, 12))])
    cell = ratio_cell(results, seconds, with_targets=True)
    assert cell("sources", FULL, RESTIC) == "1.60 (1.50-1.70) **✗** 2/3"
    assert cell("sources", FULL, DUPLICITY) == "12.0 ✓✓ 5/8"
    assert cell("sources", FULL, BORG) == NOTHING


def test_a_markdown_table_has_as_many_rules_as_columns() -> None:
    text = markdown(("a", "b", "c"), [("x", "y", "1")])
    assert text == "| a | b | c |\n| --- | --- | ---: |\n| x | y | 1 |\n"


def test_the_page_names_what_was_missed_and_what_failed(tmp_path: Path) -> None:
    measurements = [*_measured(OURS, 1), *_measured(RESTIC, 1), *_measured(BORG, 9)]
    failed = Measurement("sources", Operation.LIST, BORG, 0, 1, None, failure="ended with an error")
    listed = _measured(OURS, 1, operation=Operation.LIST)
    ResultFile(str(tmp_path / "results.json"), _run(*measurements, *listed, failed)).write()
    write(str(tmp_path))
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "1 of 2 targets reached, 1 of them as hoped for" in text
    assert "- sources, full, restic: 1.00 instead of 2" in text
    assert "| sources | list | - | failed |" in text
    assert (tmp_path / "ratios.svg").exists()


def test_runs_of_another_scale_are_left_out_of_the_page() -> None:
    trial = _run(*_measured(OURS, 123.0), scale=0.02)
    text, _ = document([trial, _run(*_measured(OURS, 45.0), began="2026-01-02")])
    assert "| 45.0 |" in text
    assert "123" not in text


def test_growth_has_a_column_for_each_size() -> None:
    run = _run(*(one for size in ("10000", "100000") for one in _measured(OURS, 5, data_set=f"files-{size}")))
    text, picture = document([run])
    assert "| operation | program | 10000 | 100000 |" in text
    assert picture == ""


def test_the_bytes_of_an_increment_are_held_against_their_bounds() -> None:
    stored = {"volumes": 3_000_000, "signatures": 6_000_000, "manifest": 300}
    change = Measurement("image1", Operation.CHANGE, OURS, 0, 1, _cost(1), stored)
    text, _ = document([_run(change)])
    assert "| volumes | 3,000,000 | 4,000,000 | ✓ |" in text
    assert "| volumes and signature file | 9,000,000 | 8,500,000 | **✗** |" in text


def test_the_picture_has_a_dot_for_each_ratio() -> None:
    results = Results([_run(*_measured(OURS, 1), *_measured(RESTIC, 2), *_measured(DUPLICITY, 7))])
    lines = lines_of(results, [("sources", FULL)], [DUPLICITY, RESTIC, BORG])
    picture = ET.fromstring(svg(lines, title="<ratios>"))
    dots = [one for one in picture.iter() if one.tag.endswith("circle") and one.get("fill-opacity")]
    places = [float(dot.get("cx", "0")) for dot in dots]
    assert len(places) == 2
    assert places[0] > places[1]


PLACE = Place("/s/source", "/s/repository", "/s/cache", {"PATH": "/bin"})
PROGRAMS: Sequence[Program] = (
    DuplicityLike(OURS, ("twofold",)),
    Restic(RESTIC, ("restic",)),
    Borg(BORG, ("borg",)),
    Borg(BORG_ZSTD, ("borg",), compression="zstd"),
)


@pytest.mark.parametrize("program", PROGRAMS, ids=[program.name for program in PROGRAMS])
def test_a_backup_program_has_every_operation(program: Program) -> None:
    for operation in Operation:
        command = command_of(program, operation, PLACE, number=2, output="/s/restored", one="a/b")
        assert command is not None
        assert command.arguments[0] == program.executable[0]
        assert command.environment["PATH"] == "/bin"
        assert "correct" not in " ".join(command.arguments), "a passphrase on the command line"


def test_borg_compresses_by_zstd_only_where_it_is_told_to() -> None:
    lz4, zstd = (command_of(program, FULL, PLACE, number=1, output="", one=None) for program in PROGRAMS[2:])
    assert lz4 is not None
    assert zstd is not None
    assert "--compression" not in lz4.arguments
    assert zstd.arguments[2:4] == ("--compression", "zstd")


def test_tar_has_neither_increments_nor_single_files() -> None:
    tar = TarAndGpg("tar + gpg", ("bash",))
    there = {one for one in Operation if command_of(tar, one, PLACE, number=1, output="/o", one="a") is not None}
    assert there == {Operation.FULL, Operation.RESTORE, Operation.LIST, Operation.VERSION}


def test_programs_are_found_by_variable_and_missed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOFOLD_BENCH_BORG", f"{sys.executable} -m borg")
    monkeypatch.setenv("PATH", "")
    there, missing = find([BORG, RESTIC])
    assert [program.executable for program in there] == [(sys.executable, "-m", "borg")]
    assert missing == [RESTIC]
    assert {OURS, BORG, RESTIC} < set(NAMES)


def _python(code: str, folder: Path) -> Command:
    return Command((sys.executable, "-I", "-S", "-c", code), {"A": "b"}, str(folder))


def test_a_run_counts_seconds_and_memory_of_the_program_with_its_children(tmp_path: Path) -> None:
    code = """
import os, time
pid = os.fork()
held = bytearray(30_000_000)
until = time.process_time() + 0.02
while time.process_time() < until: pass
print(os.environ["A"])
if pid: os.waitpid(pid, 0)
"""
    cost = measured(_python(code, tmp_path), log=str(tmp_path / "log"))
    assert (tmp_path / "log").read_text().split() == ["b", "b"]
    assert cost.cpu_seconds >= 0.04
    assert cost.process_bytes >= 30_000_000
    assert cost.tree_bytes >= cost.process_bytes


def test_a_program_that_fails_is_told_with_the_end_of_its_output(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="ended with 3:\nso it is"):
        measured(_python("print('so it is'); raise SystemExit(3)", tmp_path), log=str(tmp_path / "log"))
    with pytest.raises(CommandFailed):
        measured(Command(("no-such-program",), {}, str(tmp_path)), log=str(tmp_path / "log"))


def test_stored_bytes_are_told_apart_by_kind(tmp_path: Path) -> None:
    for name, size in (("duplicity-full.1.vol1.difftar.gpg", 5), ("duplicity-full.1.manifest.gpg", 2), ("pack", 9)):
        (tmp_path / name).write_bytes(bytes(size))
    assert stored_bytes(str(tmp_path)) == {"volumes": 5, "manifest": 2, "repository": 9}
    assert kind_of("duplicity-new-signatures.1.to.2.sigtar.gpg") == "signatures"


def test_a_work_folder_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.workspace._start_agent", lambda gnupg: None)
    with workspace(str(tmp_path)) as work:
        place = work.fresh_place(PROGRAMS[0])
        assert os.listdir(place.repository) == []
        assert place.environment["GNUPGHOME"] == work.gnupg
    assert os.listdir(tmp_path) == []
    assert room_needed(10**9, 6) > 6 * 10**9


def test_only_what_is_wanted_is_measured_and_what_that_needs_is_still_done() -> None:
    data_set = chain(10, 2)
    listed = Extent(1, 60, frozenset({Operation.LIST})).steps(data_set)
    changes = [Step(Operation.CHANGE, 1), Step(Operation.CHANGE, 2)]
    assert listed == [Step(FULL), *changes, *[Step(Operation.LIST)] * 3]
    assert Extent(1, 60, frozenset({FULL})).steps(data_set) == [Step(FULL)]


def test_who_is_slow_has_fewer_rounds_and_we_have_all() -> None:
    assert takes_part_again(RESTIC, [50.0], patience=100)
    assert not takes_part_again(RESTIC, [50.0, 40.0], patience=100)
    assert not takes_part_again(DUPLICITY, [51.0], patience=100)
    assert not takes_part_again(BORG_ZSTD, [1.0], patience=100)
    assert takes_part_again(OURS, [1000.0], patience=100)


class _Copier(Program):
    """A backup program as small as can be: it copies, and forgets `lost` when it restores."""

    __slots__ = ()
    lost = "nothing"

    def full(self, place: Place) -> Command | None:
        return place.command(
            "cp", "-pR", f"{place.source}/.", f"{place.repository}/{len(os.listdir(place.repository))}"
        )

    def increment(self, place: Place, number: int) -> Command | None:
        del number
        return self.full(place)

    def restore_all(self, place: Place, number: int, *, output: str) -> Command | None:
        copy = f'cp -pR "$0/{number - 1}/." "$1" && rm -f "$1/{self.lost}"'
        return place.command("sh", "-c", copy, place.repository, output)


class _Forgetful(_Copier):
    __slots__ = ()
    lost = "file1"


def test_programs_take_turns_and_one_that_restores_something_else_is_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.workspace._start_agent", lambda gnupg: None)
    monkeypatch.setattr("bench.compare._APART_SECONDS", 0.0)
    monkeypatch.setattr("os.sync", lambda: None)
    files = [File(f"file{number}", 10, Kind.RANDOM, number) for number in range(3)]
    steps = (Step(FULL), Step(Operation.RESTORE), Step(Operation.RESTORE, 1))
    data_set = Tree("trial", "three files", lambda: iter(files), 1, steps, edited_part=0.9)
    found: list[Measurement] = []
    with workspace(str(tmp_path)) as work:
        programs = [_Copier("good", ("cp",)), _Forgetful("bad", ("cp",))]
        extent = Extent(rounds=1, patience=60)
        assert compare(data_set, programs, work=work, extent=extent, add=found.append) is False
    told = [(one.program, one.operation, one.cost is not None) for one in found]
    assert told[:4] == [
        ("good", FULL, True),
        ("bad", FULL, True),
        ("good", Operation.RESTORE, True),
        ("bad", Operation.RESTORE, False),
    ]
    # The source has changed since the last backup, so that now the good one restores something else, too.
    assert told[4:] == [("good", Operation.RESTORE, False)]
    assert "bad failed: restore all of trial" in capsys.readouterr().err


def test_results_of_other_runs_are_merged_from_the_command_line(tmp_path: Path) -> None:
    ours, others = str(tmp_path / "ours"), str(tmp_path / "others" / "results.json")
    ResultFile(os.path.join(ours, "results.json"), _run(*_measured(OURS, 1))).write()
    ResultFile(others, _run(*_measured(OURS, 44, data_set="image"), began="2026-01-02")).write()
    for _ in range(2):
        assert main(["report", "--output", ours, others]) == 0
    assert len(read_runs(os.path.join(ours, "results.json"))) == 2
    assert "| image | full | 44.0 |" in Path(ours, "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--operations", "full,fly"], ["--programs", "rsync"]])
def test_a_name_mistyped_ends_the_run_before_it_begins(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="does not know"):
        main(["compare", *arguments])
