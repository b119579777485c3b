"""Called as duplicity, by whatever way, the program answers like duplicity 3.2.1 where programs look (docs/cli.md)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.scene import DAY, NOON, Scene, lines_of, make_scene, rewrite
from tests.frontends.desk import DUPLICITY, Desk
from tests.frontends.stanzas import errors, of_kind, only, read_log
from tests.support.tools import unavailable
from twofold._version import VERSION

VERSION_LINE = "duplicity 3.2.1\n"


@pytest.fixture
def duplicity(tmp_path: Path, utc: None) -> Scene:
    """A scene without encryption in which the program is called duplicity."""
    return make_scene(tmp_path, ("--no-encryption",), {}).called(DUPLICITY)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


# ---- how it comes to its name ----------------------------------------------------------------------------------------


def installed() -> Path:
    """The entry point that pip made beside this interpreter."""
    found = Path(sys.executable).with_name("twofold")
    if not found.exists():
        unavailable("twofold is not installed beside this interpreter")
    return found


@pytest.mark.parametrize("way", ["link", "copy", "link to a link", "hard link"])
@pytest.mark.parametrize("option", ["--version", "-V"])
def test_an_entry_point_under_that_name_gives_the_version_line(tmp_path: Path, way: str, option: str) -> None:
    named = tmp_path / DUPLICITY
    copied = tmp_path / "twofold"
    shutil.copy(installed(), copied)
    match way:
        case "link":
            named.symlink_to(installed())
        case "copy":
            shutil.copy(installed(), named)
        case "hard link":
            named.hardlink_to(copied)
        case _:
            (tmp_path / "elsewhere").mkdir()
            (tmp_path / "elsewhere" / "other").symlink_to(installed())
            named.symlink_to(tmp_path / "elsewhere" / "other")
    done = subprocess.run([str(named), option], env={}, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (VERSION_LINE, "")


def test_a_link_under_another_name_is_twofold(tmp_path: Path) -> None:
    named = tmp_path / "backup-tool"
    named.symlink_to(installed())
    done = subprocess.run([str(named), "--version"], env={}, capture_output=True, text=True, check=True)
    assert done.stdout == f"twofold {VERSION}\n"


def test_found_in_path_and_given_to_an_interpreter_it_is_duplicity(desk: Desk) -> None:
    assert desk.run(DUPLICITY, "--version").stdout == VERSION_LINE
    # duply does so where PYTHON is set in the profile.
    assert desk.run(sys.executable, desk.programs / DUPLICITY, "--version").stdout == VERSION_LINE


def test_its_first_line_names_python_as_duply_wants_it() -> None:
    first = installed().read_text().splitlines()[0]
    assert first.startswith("#!")
    assert "python" in first


def test_the_version_stands_where_three_programs_look(desk: Desk) -> None:
    words = desk.run(DUPLICITY, "--version").stdout.split()
    assert words[0] == "duplicity"
    assert words[1].split(".") == ["3", "2", "1"]
    assert words[-1].split(".")[0] == "3"


# ---- exit codes and the words that go with them ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "extra"),
    [
        ((), 23, "CommandLineError"),
        (("backup", "source"), 23, "CommandLineError"),
        (("backup", "nosuch", "{url}"), 23, "CommandLineError"),
        (("backup", "{url}", "source"), 23, "CommandLineError"),
        (("restore", "source", "out"), 23, "CommandLineError"),
        (("collection-status", "source"), 23, "CommandLineError"),
        (("collection-status", "nosuch://x/y"), 23, "UnsupportedBackendScheme"),
        (("collection-status", "file://a:b/c"), 23, "InvalidBackendURL"),
        (("remove-all-but-n-full", "x", "{url}"), 23, "CommandLineError"),
        (("remove-all-but-n-full", "0", "{url}"), 30, "AssertionError"),
        (("remove-older-than", "yesterday", "{url}"), 23, "CommandLineError"),
        (("--nonsense", "{source}", "{url}"), 23, "CommandLineError"),
        (("incremental", "{source}", "{url}"), 17, ""),
        (("restore", "{url}", "{out}"), 30, "CollectionsError"),
        (("verify", "{url}", "{source}"), 30, "CollectionsError"),
        (("list-current-files", "{url}"), 30, "CollectionsError"),
        (("full", "{source}", "{url}", "--exclude", "/elsewhere"), 14, ""),
        (("full", "{source}", "{url}", "--exclude", "{source}//a"), 15, ""),
        (("full", "{source}", "{url}", "--include", "{source}/docs"), 16, ""),
        (("full", "{source}", "{url}", "--filter-globbing", "--exclude", "{source}/a"), 70, ""),
        (("full", "{source}", "{url}", "--exclude", "{source}/a", "--filter-literal"), 71, ""),
    ],
)
def test_what_fails_has_duplicity_s_number(duplicity: Scene, words: tuple[str, ...], code: int, extra: str) -> None:
    names = {"url": duplicity.url, "source": str(duplicity.source), "out": str(duplicity.folder / "out")}
    log = duplicity.folder / "log"
    duplicity.run(*(word.format(**names) for word in words), f"--log-file={log}", expect=code)
    assert errors(read_log(log.read_bytes())) == [(code, extra)]


def test_an_ambiguous_option_ends_with_two_and_without_a_stanza(duplicity: Scene) -> None:
    log = duplicity.folder / "log"
    done = duplicity.run("full", str(duplicity.source), duplicity.url, "--no", f"--log-file={log}", expect=2)
    assert "duplicity: error: ambiguous option: --no could match " in done.stderr
    assert not log.exists() or read_log(log.read_bytes()) == []


def test_after_a_backup_there_are_numbers_for_what_cannot_be_restored(duplicity: Scene) -> None:
    duplicity.back_up()
    out = duplicity.folder / "out"
    duplicity.run("restore", "--path-to-restore", "none", duplicity.url, str(out), expect=19)
    duplicity.run("restore", duplicity.url, str(out), "--exclude", "**", expect=20)
    duplicity.run("restore", duplicity.url, str(duplicity.source), expect=11)
    duplicity.on_host("elsewhere").at(NOON + DAY).back_up(expect=3)
    other = duplicity.folder / "other"
    other.mkdir()
    duplicity.at(NOON + DAY).run("backup", str(other), duplicity.url, expect=42)
    volume = next(duplicity.target.glob("*.vol1.difftar.gz"))
    content = bytearray(volume.read_bytes())
    content[len(content) // 2] ^= 0xFF
    volume.write_bytes(content)
    duplicity.run("verify", duplicity.url, str(duplicity.source), expect=21)
    volume.unlink()
    duplicity.run("restore", duplicity.url, str(out), expect=1)


# ---- lines that programs and scripts look for ------------------------------------------------------------------------


def test_the_lines_of_a_backup_are_duplicity_s(duplicity: Scene) -> None:
    first = lines_of(duplicity.run(str(duplicity.source), duplicity.url).stdout)
    assert first[:4] == [
        "No valid action found. Will imply 'backup' because a path source was given and target is a url location.",
        "Local and Remote metadata are synchronized, no sync needed.",
        "Last full backup date: none",
        "No signatures found, switching to full backup.",
    ]
    assert first[-2:] == ["", "Duplicity backup complete."]
    later = duplicity.at(NOON + 40 * DAY)
    assert lines_of(later.back_up("--skip-if-no-change").stdout)[2] == (
        "Skipped volume upload, as effectivly nothing has changed"
    )
    assert lines_of(later.back_up("--full-if-older-than", "1M").stdout)[2] == (
        "Last full backup is too old, forcing full backup"
    )


def test_where_no_full_backup_is_there_yet_it_is_too_old_for_an_increment(duplicity: Scene) -> None:
    duplicity.back_up("--full-if-n-inc", "1", action="incremental", expect=17)
    duplicity.back_up("--full-if-older-than", "1M", action="incremental")
    assert any(name.startswith("duplicity-full.") for name in duplicity.names())
    duplicity.at(NOON + DAY).back_up("--full-if-older-than", "1M", action="incremental")
    assert any(name.startswith("duplicity-inc.") for name in duplicity.names())


def test_a_verify_without_compared_contents_is_a_success_whatever_it_finds(duplicity: Scene) -> None:
    duplicity.back_up()
    rewrite(duplicity.source / "docs" / "a.txt", b"other\n", time=NOON)
    (duplicity.source / "new").write_bytes(b"")
    found = lines_of(duplicity.run("verify", duplicity.url, str(duplicity.source)).stdout)
    assert found[-1] == "Verify complete: 7 file(s) compared, 3 difference(s) found."
    assert found[-2] == "Difference found: New file new"
    duplicity.run("verify", "--compare-data", duplicity.url, str(duplicity.source), expect=1)
    duplicity.called("twofold").run("verify", duplicity.url, str(duplicity.source), expect=1)


@pytest.mark.parametrize("action", ["list-current-files", "cleanup", "remove-older-than", "backup"])
@pytest.mark.parametrize(("verbosity", "count"), [("-v7", 0), ("-v8", 1), ("-v9", 1)])
def test_a_talkative_run_begins_with_the_collection_status(
    duplicity: Scene, action: str, verbosity: str, count: int
) -> None:
    duplicity.back_up()
    log = duplicity.folder / "log"
    words = {"remove-older-than": ("1D",), "backup": (str(duplicity.source),)}.get(action, ())
    duplicity.at(NOON + 60).run(action, *words, duplicity.url, verbosity, f"--log-file={log}")
    found = of_kind(read_log(log.read_bytes()), "INFO", 3)
    assert len(found) == count
    for stanza in found:
        assert " full 20260101T120000Z 1 noenc" in stanza.data


def test_the_status_is_told_once_however_talkative(duplicity: Scene) -> None:
    log = duplicity.folder / "log"
    duplicity.run("collection-status", duplicity.url, "-v9", f"--log-file={log}")
    assert only(read_log(log.read_bytes()), "INFO", 3).text.startswith("Collection Status\n")


def test_stanzas_that_tell_of_leftovers_name_what_cleanup_deletes(duplicity: Scene) -> None:
    duplicity.back_up()
    duplicity.at(NOON + DAY).back_up()
    duplicity.at(NOON + 2 * DAY).back_up(action="full")
    for path in duplicity.target.glob("duplicity-full*20260101T*"):
        path.unlink()
    log = duplicity.folder / "log"
    duplicity.run("cleanup", duplicity.url, f"--log-file={log}")
    stanzas = read_log(log.read_bytes())
    named = {line for code in (2, 6) for each in of_kind(stanzas, "WARNING", code) for line in each.text.split("\n")}
    named = {line for line in named if line.startswith("duplicity-")}
    deleted = next(each for each in stanzas if each.text.startswith("Found the following file(s) to delete:"))
    assert named == {line for line in deleted.text.split("\n") if line.startswith("duplicity-")}
    assert {name.partition(".")[0] for name in named} == {"duplicity-inc", "duplicity-new-signatures"}
