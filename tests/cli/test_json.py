"""--json: one document of documented fields for every action, errors included, and nothing else on standard output."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.cli.scene import DAY, NOON, PASSPHRASE, Scene, rewrite
from tests.support.programs import Outcome

FIELDS = ["schema", "action", "exit_code", "error", "messages", "result"]
FULL = {"kind": "full", "time": "2026-01-01T12:00:00Z"}
INCREMENT = {"kind": "inc", "time": "2026-01-02T12:00:00Z"}


def document(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(outcome.stdout)
    assert list(found) == FIELDS
    assert found["schema"] == 1
    assert found["exit_code"] == outcome.returncode
    assert outcome.stdout == json.dumps(found, indent=2) + "\n"
    return found


def answer(scene: Scene, *words: str, expect: int = 0) -> dict[str, Any]:
    return document(scene.run(*words, "--json", expect=expect))


@pytest.fixture
def twice(plain: Scene) -> Scene:
    """A full backup and an increment with one changed and one deleted file."""
    plain.back_up("--jsonstat")
    rewrite(plain.source / "docs" / "a.txt", b"another\n", time=NOON)
    (plain.source / "docs" / "b.txt").unlink()
    plain.at(NOON + DAY).back_up("--jsonstat")
    return plain


def test_a_backup_tells_its_set_and_statistics(plain: Scene) -> None:
    found = answer(plain, "backup", str(plain.source), plain.url)
    assert (found["action"], found["error"]) == ("backup", None)
    result = found["result"]
    assert list(result) == ["set", "skipped", "dry_run", "reason", "statistics"]
    assert result["set"] == FULL
    assert result["reason"] == "No signatures found, switching to full backup."
    statistics = result["statistics"]
    assert (statistics["source_files"], statistics["new_files"], statistics["errors"]) == (6, 6, 0)
    assert statistics["volume_bytes"] > 65_536
    assert found["messages"][-1] == {"level": "notice", "code": 1, "text": "Backup complete."}
    assert not any("Backup Statistics" in message["text"] for message in found["messages"])


def test_dry_runs_and_skipped_increments_have_no_set(plain: Scene) -> None:
    dry = answer(plain, "full", str(plain.source), plain.url, "--dry-run")["result"]
    assert (dry["set"], dry["skipped"], dry["dry_run"]) == (None, False, True)
    plain.back_up()
    later = plain.at(NOON + DAY)
    skipped = answer(later, "incremental", str(plain.source), plain.url, "--skip-if-no-change")["result"]
    assert (skipped["set"], skipped["skipped"], skipped["dry_run"]) == (None, True, False)


def test_the_collection_is_told_set_by_set(twice: Scene) -> None:
    result = answer(twice, "collection-status", twice.url)["result"]
    assert result["last_full"] == FULL["time"]
    (chain,) = result["chains"]
    assert chain["active"]
    assert [{key: each[key] for key in ("kind", "time")} for each in chain["sets"]] == [FULL, INCREMENT]
    assert [each["volumes"] for each in chain["sets"]] == [1, 1]
    sizes = [(twice.target / name).stat().st_size for name in twice.names() if ".vol1." in name]
    assert [each["volume_bytes"] for each in chain["sets"]] == sizes
    assert all(each["complete"] and not each["encrypted"] for each in chain["sets"])


def test_a_missing_volume_is_a_fault(plain: Scene) -> None:
    plain.back_up()
    (plain.target / next(name for name in plain.names() if ".vol1." in name)).unlink()
    result = answer(plain, "collection-status", plain.url)["result"]
    assert result["faults"] == [{"set_time": FULL["time"], "volume": 1, "reason": "is missing"}]


def test_changes_and_statistics_of_sets(twice: Scene) -> None:
    result = answer(twice, "collection-status", twice.url, "--show-changes-in-set", "-1")["result"]
    newest, oldest = result["sets"]
    assert newest["changes"] == [
        {"path": "docs/a.txt", "change": "changed"},
        {"path": "docs/b.txt", "change": "deleted"},
    ]
    assert newest["statistics"]["DeletedFiles"] == 1
    assert [each["change"] for each in oldest["changes"]] == ["new"] * 3
    history = answer(twice, "collection-status", twice.url, "--file-changed", "/docs/a.txt")["result"]
    assert history == {"path": "docs/a.txt", "history": [{**FULL, "change": "new"}, {**INCREMENT, "change": "changed"}]}


def test_a_listing_is_a_stream_that_ends_in_the_document(plain: Scene) -> None:
    with open(os.path.join(os.fsencode(plain.source), b"odd \xff"), "wb"):
        pass
    plain.back_up()
    lines = [json.loads(line) for line in plain.run("list-current-files", plain.url, "--json").stdout.splitlines()]
    assert [line["path"] for line in lines[:-1]] == [
        ".",
        "big",
        "docs",
        "docs/a.txt",
        "docs/b.txt",
        "link",
        "odd \N{REPLACEMENT CHARACTER}",
    ]
    assert lines[1] == {"path": "big", "type": "reg", "time": "2026-01-01T11:00:00Z"}
    assert lines[-2]["path_base64"] == "b2RkIP8="
    assert list(lines[-1]) == FIELDS
    assert lines[-1]["result"] == {"entries": 7}


def test_restores_tell_what_they_read_and_wrote(twice: Scene) -> None:
    words = ("restore", twice.url, str(twice.folder / "out"))
    dry = answer(twice, *words, "--dry-run")["result"]
    assert dry["entries"] is None
    assert dry["volumes"] == [name for name in twice.names() if ".vol1." in name]
    done = answer(twice, *words)["result"]
    assert (done["entries"], done["time"], done["volumes"]) == (5, INCREMENT["time"], dry["volumes"])


def test_a_verify_counts_and_names_differences(twice: Scene) -> None:
    words = ("verify", twice.url, str(twice.source))
    assert answer(twice, *words)["result"] == {"compared": 5, "differences": [], "time": INCREMENT["time"]}
    (twice.source / "new").touch()
    found = answer(twice, *words, expect=1)
    assert found["error"] is None
    assert found["result"]["differences"] == [
        {"path": ".", "difference": "mtime"},
        {"path": "new", "difference": "only local"},
    ]
    texts = [message["text"] for message in found["messages"]]
    assert "Difference found: New file new" in texts


def test_deleting_tells_what_goes_and_whether_it_went(twice: Scene) -> None:
    twice.at(NOON + 2 * DAY).back_up(action="full")
    words = ("remove-all-but-n-full", "1", twice.url)
    planned = answer(twice, *words)["result"]
    assert not planned["deleted"]
    assert planned["chains"] == [[FULL, INCREMENT]]
    done = answer(twice, *words, "--force")["result"]
    assert done["deleted"]
    assert done["target_files"] == planned["target_files"]
    assert not set(done["target_files"]) & set(twice.names())
    assert any(".jsonstat" in name for name in done["target_files"])
    (twice.target / "duplicity-full.20250101T120000Z.vol1.difftar.gz").touch()
    planned = answer(twice, "cleanup", twice.url)["result"]
    assert planned == {
        "deleted": False,
        "target_files": ["duplicity-full.20250101T120000Z.vol1.difftar.gz"],
        "local_files": [],
        "held_back": [],
    }
    assert answer(twice, "cleanup", twice.url, "--force")["result"] == {**planned, "deleted": True}


def test_nothing_but_measured_times_differs_between_runs(twice: Scene) -> None:
    for words in (("collection-status",), ("list-current-files",), ("collection-status", "--show-changes-in-set", "0")):
        first, second = (twice.run(*words, twice.url, "--json").stdout for _ in range(2))
        assert first == second


def test_errors_stand_in_the_document_and_on_standard_error(plain: Scene) -> None:
    done = plain.run("restore", plain.url, str(plain.folder / "out"), "--json", expect=30)
    found = document(done)
    assert found["result"] is None
    assert found["error"]["code"] == 30
    assert found["error"]["name"] == "NoBackups"
    assert done.stderr.strip() == found["error"]["message"]
    assert found["error"]["message"] not in [message["text"] for message in found["messages"]]


def test_a_command_line_that_makes_no_sense_is_answered_too(plain: Scene) -> None:
    done = plain.run_bare("backup", "--json", "--volsze", "3", str(plain.source), plain.url, expect=23)
    found = document(done)
    assert (found["action"], found["error"]["name"]) == (None, "CommandLineError")
    assert "--volsze" in found["error"]["message"]


def test_passwords_are_in_no_answer(plain: Scene) -> None:
    url = "webdav://me:secret-word@127.0.0.1:1/dir"
    done = plain.run("collection-status", url, "--json", "--num-retries", "1", expect=50)
    assert "127.0.0.1" in done.stdout
    assert "secret-word" not in done.stdout + done.stderr
    hidden = plain.with_variables(PASSPHRASE=PASSPHRASE).run("collection-status", plain.url, "--json", "-v9")
    assert PASSPHRASE not in hidden.stdout


def test_verbosity_decides_about_messages(twice: Scene) -> None:
    few = answer(twice, "collection-status", twice.url, "-v0")
    many = answer(twice, "collection-status", twice.url, "-v5")
    assert few["messages"] == []
    assert "info" in {message["level"] for message in many["messages"]}
    assert few["result"] == many["result"]


def test_the_machine_log_works_beside_it(twice: Scene) -> None:
    log = twice.folder / "log"
    answer(twice, "collection-status", twice.url, "--log-file", str(log))
    assert "chain-complete\n full 20260101T120000Z 1 noenc\n" in log.read_text()


def test_progress_lines_do_not_come_between(twice: Scene) -> None:
    found = answer(twice, "restore", twice.url, str(twice.folder / "out"), "--progress")
    assert not any(message["code"] == 16 for message in found["messages"])
