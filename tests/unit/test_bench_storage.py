"""The benchmark of storage protocols: what it runs, what it keeps and what its page says."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.__main__ import main
from bench.installed import DUPLICITY, OURS
from bench.measure import Cost
from bench.programs import Place
from bench.storage_contenders import Contender, Load
from bench.storage_move import main as move
from bench.storage_results import DRIVER, RCLONE, Move, Moved, Session, moved_before, page, write
from bench.storage_services import SERVICES, Target, serving

LOAD = Load("/source", 50_000_000, 4)
PLACE = Place("/source", "/repository", "/cache", {"PATH": "/bin"})
TARGET = Target("s3:///b/x", {"KEY": "k"}, {"s3_region_name": "r"}, {"type": "s3", "region": "r"}, "b/x")
SESSION = Session("2026-01-01", 1.0, {"processors": "2"}, {OURS: "1", DUPLICITY: "3.2.1"})


def _words(name: str, at_once: int, *, get: bool = False, target: Target = TARGET) -> tuple[str, ...] | None:
    wanted = Move.GET if get else Move.PUT
    made = Contender(name, ("it",)).command(wanted, target, LOAD, PLACE, output="/out", at_once=at_once)
    return None if made is None else made.arguments


def _moved(program: str, seconds: float, *, way: Move = Move.PUT, failure: str = "") -> Moved:
    cost = None if failure else Cost(seconds, seconds, 1, 1)
    return Moved("sftp", 20, 4, program, way, 200_000_000, cost, failure)


def test_volumes_are_as_large_as_the_files_and_as_many_move_as_are_asked_for() -> None:
    written = _words(OURS, 4)
    assert written is not None
    assert written[1:4] == ("full", "/source", "s3:///b/x")
    assert "--volsize 47" in " ".join(written)
    assert "--concurrency 4" in " ".join(written)
    assert "--s3-region-name=r" in written
    assert "--concurrency 0" in " ".join(_words(DUPLICITY, 1) or ())
    assert "--concurrency" not in (_words(DUPLICITY, 4, get=True) or ())
    assert _words(DRIVER, 4, get=True) == ("it", "get", "s3:///b/x", "/out", "4", "s3_region_name=r")


def test_rclone_gets_its_remote_by_variables_and_is_left_out_where_it_has_none() -> None:
    made = Contender(RCLONE, ("rclone",)).command(Move.GET, TARGET, LOAD, PLACE, output="/out", at_once=4)
    assert made is not None
    assert made.arguments[1:4] == ("copyto", "there:b/x", "/out")
    assert made.environment["RCLONE_CONFIG_THERE_TYPE"] == "s3"
    assert _words(RCLONE, 1, target=Target("rsync://h::m/x")) is None


def test_a_driver_alone_brings_files_there_and_back(tmp_path: Path) -> None:
    for name in ("source", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "source" / "one").write_bytes(b"content")
    with serving("file", str(tmp_path / "there"), round_trip=0) as target:
        move("put", target("x").url, str(tmp_path / "source"), "2")
        move("get", target("x").url, str(tmp_path / "out"), "2")
    assert (tmp_path / "out" / "one").read_bytes() == b"content"


def test_what_was_measured_anew_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    write(str(tmp_path), SESSION, [], [_moved(DRIVER, 4), _moved(OURS, 8)])
    before = moved_before(str(tmp_path), scale=1.0)
    assert before == [_moved(DRIVER, 4), _moved(OURS, 8)]
    write(str(tmp_path), SESSION, before, [_moved(OURS, 5), _moved(OURS, 2)])
    assert moved_before(str(tmp_path), scale=1.0) == [_moved(DRIVER, 4), _moved(OURS, 5), _moved(OURS, 2)]
    assert moved_before(str(tmp_path), scale=0.5) == []
    assert moved_before(str(tmp_path / "nowhere"), scale=1.0) == []


def test_the_page_shows_medians_failures_and_what_nobody_does() -> None:
    rounds = [_moved(OURS, seconds) for seconds in (1, 2, 50)]
    made = [_moved(DRIVER, 4), *rounds, _moved(DUPLICITY, 0, failure="ended with an error")]
    text = page(SESSION, [*made, _moved(DRIVER, 8, way=Move.GET)])
    assert "| service | round trip | at once | twofold's driver | twofold | duplicity |" in text
    assert "| sftp | 20 ms | 4 | 50.0 | 100 | failed |" in text
    assert "| sftp | 20 ms | 4 | 25.0 | - | - |" in text
    assert "A trial" not in text
    assert "200 MB in 4 files" in text


def test_a_protocol_that_is_not_there_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(SystemExit, match=f"there are {', '.join(SERVICES)}"):
        main(["storage", "--only", "gopher"])
