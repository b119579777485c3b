import json

import pytest

from twofold import errors
from twofold.model.backup import SetKind
from twofold.model.entry import Entry, Kind
from twofold.model.times import format_asctime
from twofold.tree.compare import Aspect, Difference
from twofold.ui import files
from twofold.ui.failure import describe, describe_unexpected
from twofold.ui.message import Audience, Level
from twofold.ui.statistics import BackupFacts, BackupStatistics, statistics_json, statistics_message
from twofold.ui.status import (
    ChainRows,
    Change,
    FileHistory,
    SetChanges,
    SetRow,
    StatusReport,
    changes_json_message,
    changes_message,
    history_message,
    status_message,
)
from twofold.ui.terminal import Terminal
from twofold.ui.text import format_size, path_text
from twofold.ui.usage import AmbiguousOption, CommandLineError, CountTooSmall

T1, T2 = 1701728000, 1701814400


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (4100, "4.00 KB"),
        (4120, "4.02 KB"),
        (82310, "80.4 KB"),
        (142336, "139 KB"),
        (5 * 1024**2, "5.00 MB"),
        (3 * 1024**4, "3.00 TB"),
        (5000 * 1024**4, "5000 TB"),
    ],
)
def test_sizes_have_three_digits(size, text):
    assert format_size(size) == text


def test_the_statistics_block_has_every_line_in_order():
    message = statistics_message(
        BackupStatistics(
            1795319534.83,
            1795319535.05,
            source_files=7,
            source_file_size=82310,
            new_files=7,
            new_file_size=82310,
            raw_delta_size=70012,
            destination_size=70732,
        )
    )
    assert message.always
    assert message.text == (
        "--------------[ Backup Statistics ]--------------\n"
        "StartTime 1795319534.83 (Sun Nov 22 03:52:14 2026)\n"
        "EndTime 1795319535.05 (Sun Nov 22 03:52:15 2026)\n"
        "ElapsedTime 0.22 (0.22 seconds)\n"
        "SourceFiles 7\n"
        "SourceFileSize 82310 (80.4 KB)\n"
        "NewFiles 7\n"
        "NewFileSize 82310 (80.4 KB)\n"
        "DeletedFiles 0\n"
        "ChangedFiles 0\n"
        "ChangedFileSize 0 (0 bytes)\n"
        "ChangedDeltaSize 0 (0 bytes)\n"
        "DeltaEntries 7\n"
        "RawDeltaSize 70012 (68.4 KB)\n"
        "TotalDestinationSizeChange 70732 (69.1 KB)\n"
        "Errors 0\n"
        "-------------------------------------------------\n"
    )


def test_the_json_statistics_have_duplicitys_keys():
    facts = BackupFacts(SetKind.INCREMENTAL, T1, 2, 0, "file:///x", "src", earlier_files=(None, "a.jsonstat"))
    found = json.loads(statistics_json(BackupStatistics(T2 + 0.5, T2 + 1.5, new_files=1), facts))
    assert list(found) == [
        "Filename",
        "StartTime",
        "EndTime",
        "ElapsedTime",
        "Errors",
        "TotalDestinationSizeChange",
        "SourceFiles",
        "SourceFileSize",
        "NewFiles",
        "NewFileSize",
        "DeletedFiles",
        "ChangedFiles",
        "ChangedFileSize",
        "ChangedDeltaSize",
        "DeltaEntries",
        "RawDeltaSize",
        "StartTime_str",
        "EndTime_str",
        "backup_meta",
    ]
    assert found["StartTime_str"] == "20231205T221320Z"
    assert found["backup_meta"] == {
        "action": "inc",
        "skipped_inc": False,
        "time_full_bkp": T1,
        "time_full_bkp_str": "20231204T221320Z",
        "no_of_inc": 2,
        "concurrency": 0,
        "target": "file:///x",
        "source": "src",
        "local_json_stat": ["N/A", "a.jsonstat"],
    }


def chain(*times: int, encrypted: bool = False) -> ChainRows:
    kinds = [SetKind.FULL, *(SetKind.INCREMENTAL,) * (len(times) - 1)]
    return ChainRows(tuple(SetRow(kind, time, 1, encrypted) for kind, time in zip(kinds, times, strict=True)))


def test_the_collection_status_is_laid_out_as_duplicitys():
    message = status_message(StatusReport("/c", (chain(1700000000),), chain(T1, T2)))
    assert message.text == (
        "Collection Status\n"
        "-----------------\n"
        "Connecting with backend: BackendWrapper\n"
        "Archive dir: /c\n"
        "\n"
        "Found 1 secondary backup chain(s).\n"
        "Secondary chain 1 of 1:\n"
        "-------------------------\n"
        "Chain start time: Tue Nov 14 22:13:20 2023\n"
        "Chain end time: Tue Nov 14 22:13:20 2023\n"
        "Number of contained backup sets: 1\n"
        "Total number of contained volumes: 1\n"
        " Type of backup set:                            Time:      Num volumes:\n"
        "                Full         Tue Nov 14 22:13:20 2023                 1\n"
        "-------------------------\n"
        "\n"
        "\n"
        "Found primary backup chain with matching signature chain:\n"
        "-------------------------\n"
        "Chain start time: Mon Dec  4 22:13:20 2023\n"
        "Chain end time: Tue Dec  5 22:13:20 2023\n"
        "Number of contained backup sets: 2\n"
        "Total number of contained volumes: 2\n"
        " Type of backup set:                            Time:      Num volumes:\n"
        "                Full         Mon Dec  4 22:13:20 2023                 1\n"
        "         Incremental         Tue Dec  5 22:13:20 2023                 1\n"
        "-------------------------\n"
        "No orphaned or incomplete backup sets found."
    )


def test_the_collection_status_has_data_for_programs():
    report = StatusReport(
        "/c", (chain(1700000000),), chain(T1, T2, encrypted=True), 2, 1, faults=("Volume 2 is missing",)
    )
    message = status_message(report)
    assert (message.level, message.code, message.always) == (Level.INFO, 3, True)
    assert message.data == (
        "backend BackendWrapper",
        "archive-dir (. dir)",
        "chain-no-sig 0",
        " full 20231114T221320Z 1 noenc",
        "chain-complete",
        " full 20231204T221320Z 1 enc",
        " inc 20231205T221320Z 1 enc",
        "orphaned-sets-num 2",
        "incomplete-sets-num 1",
    )
    assert message.text.endswith(
        "Volume 2 is missing\nAlso found 2 backup set(s) not part of any chain,\nand 1 incomplete backup set(s).\n"
        'These may be deleted by running duplicity with the "cleanup" command.'
    )


def test_an_empty_target_has_a_status_too():
    message = status_message(StatusReport("/c"))
    assert "Found 0 secondary backup chain(s).\nNo backup chains with active signatures found\n" in message.text
    assert message.data is not None
    assert "chain-complete" not in message.data


def test_the_changes_of_a_set_are_a_table():
    changes = SetChanges(
        SetKind.INCREMENTAL,
        T2,
        ((b"docs/a.txt", Change.CHANGED), (b"newf", Change.NEW), (b"pics/p.jpg", Change.DELETED)),
    )
    assert changes_message(changes).text == (
        "-------------------------\n"
        " Backup set time: Tue Dec  5 22:13:20 2023\n"
        "Total number of changes: 3\n"
        "File:       Type of file change:\n"
        "docs/a.txt               changed\n"
        "newf                         new\n"
        "pics/p.jpg               deleted\n"
        "-------------------------"
    )
    assert json.loads(changes_json_message([changes]).text) == {
        "inc-20231205T221320Z": {
            "json_stat": {},
            "files_changed": {"docs/a.txt": "changed", "newf": "new", "pics/p.jpg": "deleted"},
        }
    }


def test_the_history_of_a_file_is_a_table():
    history = FileHistory(b"a", ((SetKind.FULL, T1, Change.NEW), (SetKind.INCREMENTAL, T2, Change.CHANGED)))
    assert history_message(history).text == (
        "-------------------------\n"
        "File: a\n"
        "Total number of backup: 2\n"
        " Type of backup set:                            Time:  Type of file change:\n"
        "                Full         Mon Dec  4 22:13:20 2023                   New\n"
        "         Incremental         Tue Dec  5 22:13:20 2023               Changed\n"
        "-------------------------"
    )


def test_a_listed_file_is_a_line_and_a_stanza():
    message = files.listed(b"it's", Kind.REGULAR, time=T1)
    assert message.text == "Mon Dec  4 22:13:20 2023 it's"
    assert (message.code, message.extra, message.always) == (10, r"20231204T221320Z 'it\x27s' reg", True)
    assert files.listed(b"", Kind.DIRECTORY, time=T1).text.endswith(" .")
    assert path_text(b"") == "."


ENTRY = Entry(Kind.REGULAR, 0o644, mtime_ns=T1 * 10**9)


@pytest.mark.parametrize(
    ("aspect", "found", "text"),
    [
        (Aspect.TYPE, ENTRY._replace(kind=Kind.DIRECTORY), "File p has type dir, expected reg"),
        (Aspect.PERMISSIONS, ENTRY._replace(uid=5, mode=0o100600), "File p has permissions 5:0 600, expected 0:0 644"),
        (
            Aspect.MTIME,
            ENTRY._replace(mtime_ns=T2 * 10**9),
            f"File p has mtime {format_asctime(T2)}, expected {format_asctime(T1)}",
        ),
        (Aspect.SIZE, ENTRY._replace(size=5), "File p has size 5, expected None"),
        (Aspect.TARGET, ENTRY._replace(target=b"zz"), "Symlink p points to zz, expected "),
        (Aspect.DEVICE, ENTRY._replace(device=(8, 1)), "Device file p has numbers (8, 1), expected (0, 0)"),
        (
            Aspect.XATTRS,
            ENTRY._replace(xattrs=((b"user.a", b""),)),
            "File p has extended attributes user.a that differ",
        ),
    ],
)
def test_differences_are_told_in_duplicitys_words(aspect, found, text):
    message = files.different(b"p", Difference(aspect, found, ENTRY))
    assert (message.level, message.text) == (Level.NOTICE, f"Difference found: {text}")


def test_nanoseconds_are_shown_where_seconds_are_the_same():
    found = ENTRY._replace(mtime_ns=ENTRY.mtime_ns + 5)
    assert (
        "and 5 ns, expected Mon Dec  4 22:13:20 2023 and 0 ns"
        in files.different(b"p", Difference(Aspect.MTIME, found, ENTRY)).text
    )


def test_the_other_lines_about_files():
    assert files.new_file(b"p").text == "Difference found: New file p"
    assert files.missing_file(b"p").text == "Difference found: File p is missing"
    assert files.other_data(b"p").text == "Difference found: Data for file p is different"
    assert files.verified(7, 3).text == "Verify complete: 7 file(s) compared, 3 difference(s) found."
    assert files.required_volumes(["v1", "v2"]).text == "Required volumes to restore:\n\tv1\n\tv2"
    assert files.stored(b"new\nline", "new")[1:4] == ("A new\nline", 4, r"'new\nline'")
    assert files.stored(b"", "deleted")[1:4] == ("D .", 6, "'.'")
    assert files.restored(b"a", "reg")[1:4] == ("Writing a of type reg", 7, "'a' reg")
    assert files.volume_processed(1, 2)[1:4] == ("Processed volume 1 of 2", 2, "1 2")
    assert files.volume_stored(1, 82308)[1:4] == ("Processed volume 1", 2, "82308")
    assert files.socket_skipped("s/x")[2:4] == (15, "'s/x'")
    assert files.unreadable("s/x", "Permission denied")[:3] == (
        Level.WARNING,
        "Error accessing possibly locked file s/x: Permission denied",
        10,
    )
    assert files.unrestorable(b"a", "No space")[2:4] == (12, "'a'")
    assert files.skipped_after_error(b"a/b").text == "Skipping a/b because of previous error"


@pytest.mark.parametrize(
    ("error", "code", "extra"),
    [
        (errors.UserError("x"), 23, ""),
        (CommandLineError("x"), 23, "CommandLineError"),
        (errors.InvalidUrl("x"), 23, "InvalidBackendURL"),
        (errors.UnsupportedScheme("x"), 23, "UnsupportedBackendScheme"),
        (CountTooSmall("x"), 30, "AssertionError"),
        (errors.NoBackups("x"), 30, "CollectionsError"),
        (errors.NoSignatures("x"), 17, ""),
        (errors.PassphraseNeeded("x"), 30, "EOFError"),
        (errors.EnvelopeError("x"), 31, "GPGError"),
        (errors.WrongSigner("x"), 22, ""),
        (errors.CorruptManifest("x"), 30, "CorruptManifest"),
        (errors.BadVolume("x", name="v"), 21, ""),
        (errors.HostChanged("x", now="other host", before="vm"), 3, "'other host' 'vm'"),
        (errors.SourceChanged("x", now="src2", before="src"), 42, "'src2' 'src'"),
        (errors.PathNotFound("x"), 19, ""),
        (errors.Incomplete("x", name="v", operation="put"), 56, ""),
        (errors.GoneService("x"), 50, "BackendException"),
    ],
)
def test_errors_have_duplicitys_numbers_and_words(error, code, extra):
    failure = describe(error, program="duplicity")
    assert failure.exit_code == code
    assert [(message.level, message.code, message.extra) for message in failure.messages] == [
        (Level.ERROR, code, extra)
    ]


def test_a_store_that_fails_tells_operation_and_file():
    failure = describe(errors.Forbidden("Permission denied", name="it's", operation="put"), program="twofold")
    assert failure.exit_code == 50
    first, second = failure.messages
    assert (first.code, first.extra, first.audience) == (51, r"put 'it\x27s' 'it\x27s'", Audience.ALL)
    assert first.text == "Giving up put of it's: Permission denied"
    assert (second.code, second.extra, second.audience) == (50, "BackendException", Audience.PROGRAMS)
    first, _ = describe(errors.NotFound("gone", operation="stat", name="v"), program="twofold").messages
    assert (first.code, first.extra) == (52, "query 'v'")
    first, _ = describe(errors.Unavailable("busy", operation="list"), program="twofold").messages
    assert (first.code, first.extra) == (50, "list")
    assert first.text == (
        "Giving up list of the target: busy. When the target can be reached again, run the same command again"
    )


def test_what_only_has_to_be_waited_for_is_said_without_blaming_anybody():
    failure = describe(errors.NeedsWarmUp("2 of the files lie in cold storage"), program="duplicity")
    (message,) = failure.messages
    assert (failure.exit_code, message.code, message.text) == (50, 50, "2 of the files lie in cold storage")
    first, _ = describe(errors.NeedsWarmUp("it is cold", name="v", operation="get"), program="twofold").messages
    assert (first.code, first.text) == (54, "Giving up get of v: it is cold")


def test_a_faulty_command_line_refers_to_the_help_of_the_program_that_was_called():
    message = describe(CommandLineError("Bad\nworse"), program="duplicity").messages[0]
    assert message.text == "CommandLineError: Bad\nworse\nEnter 'duplicity --help' for help screen."


def test_an_ambiguous_option_shows_the_usage_to_people_only():
    failure = describe(AmbiguousOption("ambiguous option: --no could match --no-a, --no-b"), program="duplicity")
    assert failure.exit_code == 2
    message = failure.messages[0]
    assert message.text.startswith("usage: duplicity backup")
    assert message.text.endswith("\nduplicity: error: ambiguous option: --no could match --no-a, --no-b")
    assert message.audience is Audience.PEOPLE


def test_the_log_of_gpg_is_passed_on():
    text = (
        describe(errors.EnvelopeError("GPG Failed, see log below:", "gpg: Bad session key\n"), program="x")
        .messages[0]
        .text
    )
    assert text == (
        "GPGError: GPG Failed, see log below:\n===== Begin GnuPG log =====\ngpg: Bad session key\n"
        "===== End GnuPG log =====\n"
    )


def test_a_mistake_in_the_program_is_named_for_the_log():
    failure = describe_unexpected(ZeroDivisionError(), traceback_text="Traceback\n x\n")
    assert (failure.exit_code, failure.messages[0].extra) == (30, "ZeroDivisionError")


def test_standard_streams_may_be_missing(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    made = Terminal.of_process()
    assert made.output.is_lost
    made.finish()
