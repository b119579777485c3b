"""--jsonstat, --show-changes-in-set and --file-changed (docs/cli.md sections 1.5 and 7.7)."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.cli.scene import BLOCK, DAY, NOON, TITLE, Scene, lines_of, rewrite

LINE = "-" * 25
CHANGES = ("docs/a.txt", "changed"), ("docs/b.txt", "deleted"), ("new", "new")


def statistics_in(text: str) -> dict[str, Any]:
    begin = text.index("{\n")
    found: dict[str, Any] = json.loads(text[begin : text.index("\n}\n", begin) + 2])
    return found


def change(scene: Scene) -> Scene:
    rewrite(scene.source / "docs" / "a.txt", b"another\n", time=NOON)
    (scene.source / "docs" / "b.txt").unlink()
    (scene.source / "new").write_bytes(b"new\n")
    return scene.at(NOON + DAY)


@pytest.fixture
def twice(plain: Scene) -> Scene:
    plain.back_up("--jsonstat")
    change(plain).back_up("--jsonstat")
    return plain


def test_statistics_are_printed_before_the_block_and_stored_twice(scene: Scene) -> None:
    output = scene.back_up("--jsonstat", "-v0").stdout
    found = statistics_in(output)
    assert output.index("{\n") < output.index(TITLE)
    numbers = dict(line.split(" ")[:2] for line in lines_of(output) if line.split(" ")[0] in BLOCK)
    assert all(str(found[name]) == number for name, number in numbers.items() if "Time" not in name)
    assert found["backup_meta"]["action"] == "full"
    assert found["backup_meta"]["local_json_stat"] == ["N/A"]
    name = f"duplicity-full.20260101T120000Z.jsonstat{scene.suffix}"
    assert name in scene.names()
    copy = scene.archive_dir / "duplicity-full.20260101T120000Z.jsonstat.gz"
    assert json.loads(gzip.decompress(copy.read_bytes())) == found
    assert "No orphaned or incomplete" in scene.run("collection-status", scene.url).stdout


def test_statistics_of_an_increment_tell_of_those_before(plain: Scene) -> None:
    plain.back_up("--jsonstat")
    meta = statistics_in(change(plain).back_up("--jsonstat").stdout)["backup_meta"]
    assert meta == {
        "action": "inc",
        "skipped_inc": False,
        "time_full_bkp": NOON,
        "time_full_bkp_str": "20260101T120000Z",
        "no_of_inc": 0,
        "concurrency": 0,
        "target": plain.url,
        "source": str(plain.source),
        "local_json_stat": ["duplicity-full.20260101T120000Z.jsonstat.gz"],
    }
    third = plain.at(NOON + 2 * DAY)
    meta = statistics_in(third.back_up("--jsonstat").stdout)["backup_meta"]
    assert (meta["no_of_inc"], len(meta["local_json_stat"])) == (1, 2)


@pytest.mark.parametrize("option", ["--dry-run", "--skip-if-no-change"])
def test_statistics_of_what_stored_nothing_are_printed_only(plain: Scene, option: str) -> None:
    plain.back_up()
    before = plain.names()
    output = plain.at(NOON + DAY).back_up("--jsonstat", option, action="incremental").stdout
    assert statistics_in(output)["backup_meta"]["skipped_inc"] == (option == "--skip-if-no-change")
    assert plain.names() == before


def test_statistics_come_without_the_block_too(plain: Scene) -> None:
    output = plain.back_up("--jsonstat", "--no-print-statistics").stdout
    assert statistics_in(output)["NewFiles"] == 6
    assert TITLE not in output


def test_the_changes_of_a_set_are_a_table(twice: Scene) -> None:
    output = twice.run("collection-status", twice.url, "--show-changes-in-set", "0").stdout
    width = len("docs/a.txt")
    assert lines_of(output)[1:] == [
        LINE,
        " Backup set time: Fri Jan  2 12:00:00 2026",
        "Total number of changes: 3",
        f"{'File:':<{width}}  Type of file change:",
        *(f"{path:<{width}}  {kind:>20}" for path, kind in CHANGES),
        LINE,
    ]
    oldest = twice.run("collection-status", twice.url, "--show-changes-in-set", "1").stdout
    assert "Total number of changes: 3\n" in oldest
    both = twice.run("collection-status", twice.url, "--show-changes-in-set", "-1").stdout
    assert both.count("Backup set time") == 2


def test_the_changes_of_sets_as_json_hold_what_was_stored_with_them(twice: Scene) -> None:
    options = ("--show-changes-in-set", "-1", "--jsonstat")
    output = twice.run("collection-status", twice.url, *options).stdout
    found = json.loads(output[output.index("{") :])
    assert list(found) == ["inc-20260102T120000Z", "full-20260101T120000Z"]
    assert found["inc-20260102T120000Z"]["files_changed"] == dict(CHANGES)
    assert found["inc-20260102T120000Z"]["json_stat"]["backup_meta"]["action"] == "inc"


def test_statistics_are_found_at_the_target_when_the_cache_is_lost(twice: Scene) -> None:
    for path in twice.archive_dir.iterdir():
        path.unlink()
    options = ("--show-changes-in-set", "0", "--jsonstat")
    output = twice.run("collection-status", twice.url, *options).stdout
    assert json.loads(output[output.index("{") :])["inc-20260102T120000Z"]["json_stat"]["DeletedFiles"] == 1


def test_sets_without_statistics_have_none(plain: Scene) -> None:
    plain.back_up()
    output = plain.run("collection-status", plain.url, "--show-changes-in-set", "0", "--jsonstat").stdout
    assert json.loads(output[output.index("{") :])["full-20260101T120000Z"]["json_stat"] == {}


def test_a_set_without_a_list_of_changes_says_so(plain: Scene) -> None:
    plain.back_up("--no-files-changed")
    output = plain.run("collection-status", plain.url, "--show-changes-in-set", "0").stdout
    assert "Total number of changes: 0\n" in output


def test_the_history_of_a_file_is_a_table(twice: Scene) -> None:
    log = twice.folder / "log"
    output = twice.run(
        "collection-status", twice.url, "--file-changed", "docs/b.txt", "-v5", "--log-file", str(log)
    ).stdout
    table = output[output.index(LINE) :]
    assert lines_of(table) == [
        LINE,
        "File: docs/b.txt",
        "Total number of backup: 2",
        " Type of backup set:                            Time:  Type of file change:",
        "                Full         Thu Jan  1 12:00:00 2026                   New",
        "         Incremental         Fri Jan  2 12:00:00 2026               Deleted",
        LINE,
    ]
    assert f"INFO 3\n. {LINE}\n. File: docs/b.txt\n" in log.read_text()
    unknown = twice.run("collection-status", twice.url, "--file-changed", "nothing").stdout
    assert "Total number of backup: 0\n" in unknown


def test_a_set_that_is_not_there_is_named(twice: Scene) -> None:
    log = twice.folder / "log"
    words = ("collection-status", twice.url, "--show-changes-in-set", "2", "--log-file", str(log))
    assert twice.run(*words, expect=30).stderr == (
        "There is no set 2 in the newest chain, which has 2: 0 is the newest, 1 the oldest\n"
    )
    assert "ERROR 30 IndexError\n" in log.read_text()


@pytest.mark.parametrize("option", ["--show-changes-in-set=0", "--file-changed=x"])
def test_without_a_backup_there_is_nothing_to_look_at(plain: Scene, option: str) -> None:
    plain.target.mkdir()
    text = "There is no backup at the target that could be looked at\n"
    assert plain.run("collection-status", plain.url, option, expect=30).stderr == text
