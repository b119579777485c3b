"""duplicity's command line, as docs/cli.md lists it, against the table and the parser: nothing lacks or differs."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import pytest

from tests.unit.ui import reference
from twofold.ui.commands import BY_NAME as ACTIONS
from twofold.ui.commands import COMMANDS, Action, Scope, commands_of
from twofold.ui.environment import Environment
from twofold.ui.option import Option, Status, Value
from twofold.ui.option_values import KIB, MIB, Condition, MetadataSync, Options, Rule
from twofold.ui.options import BY_LETTER, BY_NAME, OPTIONS
from twofold.ui.parser import CommandLine, HelpRequest, VersionRequest, parse
from twofold.ui.usage import AmbiguousOption, CommandLineError

NOW = 1_700_000_000
URL = "sftp://h/b"
ROWS = {row.name: row for row in reference.options()}
HELPS = reference.helps()
NAMES = sorted({name for row in ROWS.values() for name in (row.name, *row.aliases)} | set(HELPS))
SCOPES = {
    "b": Scope.BACKUP,
    "i": Scope.INCREMENTAL,
    "f": Scope.FULL,
    "r": Scope.RESTORE,
    "v": Scope.VERIFY,
    "l": Scope.LIST,
    "s": Scope.STATUS,
    "c": Scope.CLEANUP,
    "x": Scope.REMOVE,
    "A": Scope.ALL,
    reference.NOTHING: Scope.NONE,
}

OTHER_SCOPES = {
    "concurrency": Scope.BACKUP | Scope.READING,
    "force": Scope.DELETING | Scope.RESTORE,  # docs/differences.md: --force writes over existing files again
    "progress": Scope.BACKUP | Scope.READING,  # docs/differences.md: restores and verifications have one, too
    "progress-rate": Scope.BACKUP | Scope.READING,
    "version": Scope.ALL,
    "pydevd": Scope.NONE,
}
OTHER_DEFAULTS = {"archive-dir", "config-dir", "gpg-binary", "name", "tempdir", "version", "ssl-cacert-file"}
"""Options whose default is found out at run time."""

WORDS = {
    "source_path": "src",
    "target_path": "out",
    "local_path": "src",
    "source_url": URL,
    "target_url": URL,
    "count": "2",
    "time": "3D",
}


def read(*arguments: str) -> CommandLine | HelpRequest | VersionRequest:
    return parse(arguments, now=NOW, expand_path=lambda path: f"expanded:{path}", exists=lambda _: True)


def command(*arguments: str) -> CommandLine:
    line = read(*arguments)
    assert isinstance(line, CommandLine)
    return line


# ---- what the table says of each option ------------------------------------------------------------------------------


def test_the_list_is_whole() -> None:
    assert len(ROWS) == 124
    assert len(HELPS) == 13
    ours = {option.name for option in OPTIONS if option.status is Status.CURRENT}
    assert ours == set(ROWS) | set(HELPS)


def test_letters_and_aliases_are_duplicitys() -> None:
    ours = {name: (BY_NAME[name].short, BY_NAME[name].aliases) for name in ROWS}
    assert ours == {row.name: (row.short, row.aliases) for row in ROWS.values()}
    assert all(BY_NAME[alias].name == row.name for row in ROWS.values() for alias in row.aliases)
    assert {letter: option.name for letter, option in BY_LETTER.items()} == {
        **{row.short: row.name for row in ROWS.values() if row.short},
        "h": "help",
    }


def _values_of(row: reference.Row) -> int:
    return {reference.NOTHING: 0, "**two** values: old new": 2}.get(row.value, 1)


@pytest.mark.parametrize("name", ROWS)
def test_each_option_takes_as_many_values_of_the_kind_as_duplicitys(name: str) -> None:
    option, row = BY_NAME[name], ROWS[name]
    assert option.values_wanted == _values_of(row)
    whole = option.value in (Value.INTEGER, Value.INTEGERS)
    assert whole == row.value.startswith("int")
    unit = {"KiB": KIB, "MiB": MIB}.get(next(iter(re.findall(r"\*\*(.iB)\*\*", row.value)), ""), 1)
    assert option.unit == unit
    assert option.multiple == (512 if "rounded up to 512" in row.value else 1)
    if whole:
        bytes_or_seconds = (
            "_bytes" if unit > 1 or "bytes" in row.value else "_seconds" if "seconds" in row.value else ""
        )
        assert re.search("_(?:bytes|seconds)$|$", option.target_field)[0] == bytes_or_seconds  # type: ignore[index]
    if "time" in row.value:
        assert option.value is Value.TIME or option.rule is Rule.EXCLUDE_OLDER_THAN
    if row.value == "options as one string":
        assert option.value in (Value.JOINED, Value.WORDS)
    if row.value in ("path", "existing directory"):
        assert option.value in (Value.PATH, Value.PATHS)


def _default_of(row: reference.Row, option: Option) -> object:
    """What Options has to hold, read from the table's words."""
    if row.default in ("unset", "none", "empty", "now"):
        field = getattr(Options(), option.target_field)
        return field if field in (None, "", ()) else "anything but this"
    if row.default in ("off", "on", "in force"):
        return option.sets if row.default != "off" else not option.sets
    text = row.default.partition(" ")[0].strip("`")
    if option.value in (Value.INTEGER, Value.VERBOSITY):
        return int(text) * option.unit
    return MetadataSync(text) if option.value is Value.CHOICE else text


@pytest.mark.parametrize("name", sorted(ROWS.keys() - OTHER_DEFAULTS))
def test_each_default_is_duplicitys(name: str) -> None:
    option, row = BY_NAME[name], ROWS[name]
    if row.name == "current-time":
        assert Options().current_time is None
    elif option.rule is not None:
        assert row.default in (reference.NOTHING, "off", "in force")  # conditions are there or not
    else:
        assert getattr(Options(), option.target_field) == _default_of(row, option)


@pytest.mark.parametrize("name", sorted(OTHER_DEFAULTS - {"version"}))
def test_what_is_found_out_at_run_time_is_unset_at_first(name: str) -> None:
    assert getattr(Options(), BY_NAME[name].target_field) is None


def _scope_of(row: reference.Row) -> tuple[Scope, bool]:
    """The actions for which the row says it means something, and whether it is for some services only."""
    parts = row.scope.split(", ")
    letters = parts[0].split() if all(letter in SCOPES for letter in parts[0].split()) else []
    services = parts[1:] if letters else parts
    scope = Scope.NONE
    for letter in letters or ["A"]:
        scope |= SCOPES[letter]
    return OTHER_SCOPES.get(row.name, scope), services not in ([], ["network"])


def test_each_option_is_for_the_actions_and_services_as_in_duplicity() -> None:
    ours = {name: (BY_NAME[name].scope & ~Scope.OWN, bool(BY_NAME[name].only_for)) for name in ROWS}
    expected = {name: _scope_of(row) for name, row in ROWS.items()}
    assert ours == {name: (scope & ~Scope.OWN, only_for) for name, (scope, only_for) in expected.items()}


# ---- what each option means ------------------------------------------------------------------------------------------

SWITCHES_ON = [
    "allow-source-mismatch",
    "asynchronous-upload",
    "b2-hide-files",
    "check-remote",
    "compare-data",
    "compression",
    "copy-links",
    "dry-run",
    "encryption",
    "files-changed",
    "force",
    "ftp-passive",
    "ignore-errors",
    "imap-full-address",
    "jsonstat",
    "log-timestamp",
    "mf-purge",
    "null-separator",
    "numeric-owner",
    "print-statistics",
    "progress",
    "pydevd",
    "restore-ownership",
    "s3-unencrypted-connection",
    "s3-use-deep-archive",
    "s3-use-glacier",
    "s3-use-glacier-ir",
    "s3-use-ia",
    "s3-use-onezone-ia",
    "s3-use-rrs",
    "s3-use-server-side-encryption",
    "s3-use-server-side-kms-encryption",
    "skip-if-no-change",
    "ssh-askpass",
    "ssl-no-check-certificate",
    "use-agent",
    "use-gpgsm",
]
SWITCHES_OFF = {
    "no-check-remote": "check_remote",
    "no-compression": "compression",
    "no-encryption": "encryption",
    "no-files-changed": "files_changed",
    "no-print-statistics": "print_statistics",
    "no-restore-ownership": "restore_ownership",
    "ftp-regular": "ftp_passive",
}
VALUES: dict[str, tuple[str, str, object]] = {
    "archive-dir": ("~/a", "archive_dir", "expanded:~/a"),
    "azure-blob-tier": ("Cool", "azure_blob_tier", "Cool"),
    "azure-max-block-size": ("4096", "azure_max_block_size_bytes", 4096),
    "azure-max-connections": ("7", "azure_max_connections", 7),
    "azure-max-single-put-size": ("4096", "azure_max_single_put_size_bytes", 4096),
    "backend-retry-delay": ("7", "backend_retry_delay_seconds", 7),
    "cf-backend": ("cloudfiles", "cf_backend", "cloudfiles"),
    "concurrency": ("4", "concurrency", 4),
    "config-dir": ("c", "config_dir", "expanded:c"),
    "copy-blocksize": ("64", "copy_blocksize_bytes", 64 * 1024),
    "encrypt-key": ("ABCD1234", "encrypt_keys", ("ABCD1234",)),
    "encrypt-secret-keyring": ("k", "encrypt_secret_keyring", "expanded:k"),
    "encrypt-sign-key": ("ABCD1234", "encrypt_keys", ("ABCD1234",)),
    "file-changed": ("a/b", "file_changed", "a/b"),
    "file-prefix": ("p-", "file_prefix", "p-"),
    "file-prefix-archive": ("p-", "file_prefix_archive", "p-"),
    "file-prefix-jsonstat": ("p-", "file_prefix_jsonstat", "p-"),
    "file-prefix-manifest": ("p-", "file_prefix_manifest", "p-"),
    "file-prefix-signature": ("p-", "file_prefix_signature", "p-"),
    "full-if-n-inc": ("6", "full_if_n_inc", 6),
    "full-if-older-than": ("1M", "full_if_older_than", NOW - 30 * 86400),
    "gpg-binary": ("gpg2", "gpg_binary", "expanded:gpg2"),
    "gpg-options": ("--homedir=/x -z 0", "gpg_options", ("--homedir=/x", "-z", "0")),
    "hidden-encrypt-key": ("ABCD1234", "hidden_encrypt_keys", ("ABCD1234",)),
    "idr-fakeroot": ("r", "idr_fakeroot", "expanded:r"),
    "imap-mailbox": ("Backup", "imap_mailbox", "Backup"),
    "log-fd": ("5", "log_fds", (5,)),
    "log-file": ("l", "log_files", ("expanded:l",)),
    "max-blocksize": ("2049", "max_blocksize_bytes", 2560),
    "metadata-sync-mode": ("full", "metadata_sync_mode", MetadataSync.FULL),
    "mp-segment-size": ("100", "mp_segment_size_bytes", 100 * 1024 * 1024),
    "name": ("documents", "name", "documents"),
    "num-retries": ("9", "num_retries", 9),
    "par2-options": ("-t4", "par2_options", "-t4"),
    "par2-redundancy": ("20", "par2_redundancy", 20),
    "par2-volumes": ("3", "par2_volumes", 3),
    "path-to-restore": ("a b/c", "path_to_restore", "a b/c"),
    "progress-rate": ("8", "progress_rate_seconds", 8),
    "restore-time": ("3D", "restore_time", NOW - 3 * 86400),
    "time": ("2W", "restore_time", NOW - 14 * 86400),
    "rsync-options": ("--partial", "rsync_options", "--partial"),
    "s3-endpoint-url": ("https://s", "s3_endpoint_url", "https://s"),
    "s3-kms-grant": ("g", "s3_kms_grant", "g"),
    "s3-kms-key-id": ("k", "s3_kms_key_id", "k"),
    "s3-multipart-chunk-size": ("50", "s3_multipart_chunk_size_bytes", 50 * 1024 * 1024),
    "s3-multipart-max-procs": ("2", "s3_multipart_max_procs", 2),
    "s3-region-name": ("eu-central-1", "s3_region_name", "eu-central-1"),
    "scp-command": ("scp2", "scp_command", "scp2"),
    "sftp-command": ("sftp2", "sftp_command", "sftp2"),
    "show-changes-in-set": ("1", "show_changes_in_set", 1),
    "sign-key": ("ABCD1234", "sign_key", "ABCD1234"),
    "ssh-options": ("-oPort=2222 -i k", "ssh_options", "-oPort=2222 -i k"),
    "ssl-cacert-file": ("c.pem", "ssl_cacert_file", "expanded:c.pem"),
    "ssl-cacert-path": ("c", "ssl_cacert_path", "expanded:c"),
    "swift-storage-policy": ("p", "swift_storage_policy", "p"),
    "tempdir": ("t", "tempdir", "expanded:t"),
    "time-separator": ("_", "time_separator", "_"),
    "timeout": ("60", "timeout_seconds", 60),
    "verbosity": ("info", "verbosity", 5),
    "volsize": ("25", "volsize_bytes", 25 * 1024 * 1024),
    "webdav-headers": ("X-A,1", "webdav_headers", "X-A,1"),
    "current-time": ("1000", "current_time", 1000),
    "skip-volume": ("2", "skip_volume", 2),
}
CONDITIONS = {
    "exclude": ("p", Condition(Rule.EXCLUDE, "p")),
    "exclude-device-files": ("", Condition(Rule.EXCLUDE_DEVICE_FILES)),
    "exclude-filelist": ("l", Condition(Rule.EXCLUDE_FILELIST, "l")),
    "exclude-if-present": (".no", Condition(Rule.EXCLUDE_IF_PRESENT, ".no")),
    "exclude-older-than": ("1Y", Condition(Rule.EXCLUDE_OLDER_THAN, "1Y", NOW - 365 * 86400)),
    "exclude-other-filesystems": ("", Condition(Rule.EXCLUDE_OTHER_FILESYSTEMS)),
    "exclude-regexp": ("r", Condition(Rule.EXCLUDE_REGEXP, "r")),
    "files-from": ("l", Condition(Rule.FILES_FROM, "l")),
    "filter-globbing": ("", Condition(Rule.FILTER_GLOBBING)),
    "filter-ignorecase": ("", Condition(Rule.FILTER_IGNORECASE)),
    "filter-literal": ("", Condition(Rule.FILTER_LITERAL)),
    "filter-regexp": ("", Condition(Rule.FILTER_REGEXP)),
    "filter-strictcase": ("", Condition(Rule.FILTER_STRICTCASE)),
    "include": ("p", Condition(Rule.INCLUDE, "p")),
    "include-filelist": ("l", Condition(Rule.INCLUDE_FILELIST, "l")),
    "include-regexp": ("r", Condition(Rule.INCLUDE_REGEXP, "r")),
}


def test_the_meaning_of_every_option_is_tested() -> None:
    tested = {*SWITCHES_ON, *SWITCHES_OFF, *VALUES, *CONDITIONS, "rename", "version"}
    assert tested == {name for row in ROWS.values() for name in (row.name, *row.aliases)}


@pytest.mark.parametrize("action", [Action.BACKUP, Action.LIST, Action.REMOVE_OLDER])
@pytest.mark.parametrize("name", [*SWITCHES_ON, *SWITCHES_OFF])
def test_each_switch_sets_its_field_with_every_action(name: str, action: Action) -> None:
    field, wanted = (SWITCHES_OFF[name], False) if name in SWITCHES_OFF else (name.replace("-", "_"), True)
    words = [WORDS[word.value] for word in ACTIONS[action.value].words]
    assert getattr(command(action.value, f"--{name}", *words).options, field) is wanted


@pytest.mark.parametrize("name", VALUES)
def test_each_value_arrives_in_its_unit_in_both_forms(name: str) -> None:
    typed, field, wanted = VALUES[name]
    for line in (command("ls", f"--{name}", typed, URL), command("ls", URL, f"--{name}={typed}")):
        if name == "current-time":
            assert line.now == wanted
        assert getattr(line.options, field) == wanted
        assert line.conditions == ()


def test_one_option_names_the_key_to_encrypt_and_to_sign_with() -> None:
    options = command("ls", "--encrypt-sign-key", "K", URL).options
    assert (options.encrypt_keys, options.sign_key) == (("K",), "K")


@pytest.mark.parametrize("name", CONDITIONS)
def test_each_selection_option_is_a_condition(name: str) -> None:
    typed, wanted = CONDITIONS[name]
    assert command("full", f"--{name}", *([typed] if typed else []), "src", URL).conditions == (wanted,)


def test_renames_take_two_values() -> None:
    assert command("rb", URL, "out", "--rename", "a", "b").options.renames == (("a", "b"),)


@pytest.mark.parametrize("letter", ["t", "r", "v"])
def test_letters_mean_what_the_long_names_mean(letter: str) -> None:
    name = BY_LETTER[letter].name
    typed, field, wanted = VALUES[name]
    assert getattr(command("rb", f"-{letter}", typed, URL, "out").options, field) == wanted
    assert getattr(command("rb", URL, "out", f"-{letter}{typed}").options, field) == wanted


@pytest.mark.parametrize("name", HELPS)
def test_each_help_is_a_request_wherever_it_stands(name: str) -> None:
    wanted = HelpRequest(name.removeprefix("help").removeprefix("-"))
    assert read(f"--{name}") == read("full", "nowhere", f"--{name}") == wanted


@pytest.mark.parametrize("option", [*(f"--{name}" for name in ROWS if _values_of(ROWS[name]) == 1), "-t", "-r", "-v"])
def test_a_value_that_is_missing_is_noticed(option: str) -> None:
    with pytest.raises(CommandLineError, match=option):
        read("full", "src", URL, option)


# ---- abbreviations ---------------------------------------------------------------------------------------------------


TAKEN_ABBREVIATIONS = {"json": "docs/differences.md: --json is an option of its own"}


def _beginnings(name: str) -> Iterator[str]:
    return (name[:length] for length in range(1, len(name)))


@pytest.mark.parametrize("name", NAMES)
def test_every_abbreviation_that_duplicity_understands_means_the_same(name: str) -> None:
    """A beginning that fits one of duplicity's names has its meaning, whatever options we have besides."""
    for beginning in _beginnings(name):
        fitting = [known for known in NAMES if known.startswith(beginning)]
        arguments = [f"--{beginning}", *["3"] * BY_NAME[name].values_wanted]
        if beginning in NAMES or beginning in TAKEN_ABBREVIATIONS:
            continue
        if len({BY_NAME[known].name for known in fitting}) > 1:
            with pytest.raises(AmbiguousOption, match=f"ambiguous option: --{beginning} could match --"):
                read(*arguments, "full", "src", URL)
        elif BY_NAME[name].value is Value.CHOICE:
            assert command(f"--{beginning}=full", "full", "src", URL).options.metadata_sync_mode is MetadataSync.FULL
        else:
            whole = [f"--{name}", *arguments[1:], "full", "src", URL]
            assert read(*arguments, "full", "src", URL) == read(*whole)


def test_no_name_of_ours_is_the_beginning_of_one_of_duplicitys() -> None:
    ours = [name for option in OPTIONS if option.status is not Status.CURRENT for name in option.names]
    taken = [name for name in ours if any(known.startswith(name) for known in NAMES)]
    assert taken == list(TAKEN_ABBREVIATIONS)


# ---- actions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", reference.actions(), ids=lambda row: row.name)
def test_each_action_has_duplicitys_names_and_words(row: reference.ActionRow) -> None:
    for name in (row.name, *row.short_names):
        line = command(name, *(WORDS[word] for word in row.words))
        assert line.action.value == row.name
        assert line.url == URL
        assert line.path == next((WORDS[word] for word in row.words if "path" in word), "")
        assert (line.count, line.time) == (
            2 if "count" in row.words else None,
            NOW - 3 * 86400 if "time" in row.words else None,
        )
    assert bool(ACTIONS[row.name].scope & BY_NAME["force"].scope & Scope.DELETING) == row.needs_force


def test_there_are_no_other_actions() -> None:
    rows = reference.actions()
    theirs = [name for command in commands_of("duplicity") for name in command.names]
    assert [name for row in rows for name in (row.name, *row.short_names)] == theirs


@pytest.mark.parametrize("name", [command.action.value for command in COMMANDS if command.own])
def test_an_action_of_our_own_is_a_source_for_who_calls_us_duplicity(name: str) -> None:
    line = parse([name, URL], now=NOW, expand_path=str, exists=lambda _: True, program="duplicity")
    assert isinstance(line, CommandLine)
    assert (line.action, line.path) == (Action.BACKUP, name)


@pytest.mark.parametrize("word", ["Full", "ful", "backu", "BACKUP", "incrementa"])
def test_names_of_actions_are_neither_abbreviated_nor_spelled_with_capitals(word: str) -> None:
    assert command(word, URL).action is Action.BACKUP  # a source of that name
    with pytest.raises(CommandLineError):
        read(word, "src", URL)


# ---- what duplicity removed and people still write -------------------------------------------------------------------

CHANGED: dict[str, tuple[list[str], str, object]] = {
    "--file-to-restore": (["a/b"], "path_to_restore", "a/b"),
    "--do-not-restore-ownership": ([], "restore_ownership", False),
    "--gio": ([], "gio", True),
    "--use-scp": ([], "use_scp", True),
    "--time-separator": (["_"], "time_separator", "_"),
    "--asynchronous-upload": ([], "asynchronous_upload", True),
}
CHANGED_LISTS = {
    "--exclude-globbing-filelist": (["l"], Condition(Rule.EXCLUDE_FILELIST, "l")),
    "--include-globbing-filelist": (["l"], Condition(Rule.INCLUDE_FILELIST, "l")),
    "--exclude-filelist-stdin": ([], Condition(Rule.EXCLUDE_FILELIST, "/dev/stdin")),
    "--include-filelist-stdin": ([], Condition(Rule.INCLUDE_FILELIST, "/dev/stdin")),
}
WITHOUT_EFFECT = {
    "--s3-european-buckets": [],
    "--s3-use-new-style": [],
    "--s3-use-multiprocessing": [],
    "--s3-multipart-max-timeout": ["5"],
    "--ssh-backend": ["paramiko"],
    "--scp-options": ["-l 5"],
    "--sftp-options": ["-l 5"],
    "--extra-clean": [],
}
REFUSED = ["--short-filenames", "--old-filenames"]


def test_every_old_option_is_tested() -> None:
    assert {*CHANGED, *CHANGED_LISTS, *WITHOUT_EFFECT, *REFUSED} == set(reference.changed_options())


@pytest.mark.parametrize("option", CHANGED)
def test_old_options_with_a_meaning_keep_it(option: str) -> None:
    values, field, wanted = CHANGED[option]
    assert getattr(command("full", option, *values, "src", URL).options, field) == wanted
    if values:
        assert getattr(command("full", "src", URL, f"{option}={values[0]}").options, field) == wanted


@pytest.mark.parametrize("option", CHANGED_LISTS)
def test_old_names_of_lists_are_conditions(option: str) -> None:
    values, wanted = CHANGED_LISTS[option]
    assert command("full", option, *values, "src", URL).conditions == (wanted,)


@pytest.mark.parametrize("option", WITHOUT_EFFECT)
def test_old_options_without_a_meaning_cost_one_line_of_advice(option: str) -> None:
    line = command("full", option, *WITHOUT_EFFECT[option], "src", URL)
    assert line.options == Options()
    assert [message.text.split()[:2] for message in line.messages] == [["Option", option]]


@pytest.mark.parametrize("option", REFUSED)
def test_old_options_that_would_write_other_files_are_refused(option: str) -> None:
    with pytest.raises(CommandLineError, match=f"Option '{option}' is no longer possible"):
        read("full", option, "src", URL)


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        (["--progress", "/etc", "scp://dd@example.com//var/backup"], Action.BACKUP),
        (["/etc", "scp://dd@example.com:2222//var/backup", "--no-compression", "--tempdir", "/t"], Action.BACKUP),
        (["--ssh-askpass", "--encrypt-key", "12345678", "/etc", "pexpect+scp://h/b"], Action.BACKUP),
        (["--encrypt-key", "K", "--", "local", "file://docsbackup"], Action.BACKUP),
        (["file://docsbackup", "docsrestore"], Action.RESTORE),
        (["--time", "3D", "--file-to-restore", "private/eff.txt", "file://docsbackup", "r"], Action.RESTORE),
        (["verify", "file://docsbackup", "Documents"], Action.VERIFY),
    ],
)
def test_the_commands_of_the_articles_are_understood(arguments: list[str], action: Action) -> None:
    assert command(*arguments).action is action


# ---- times and the environment ---------------------------------------------------------------------------------------

CORRECTED_TIMES = {
    "2002-06-25T07:00:00": -3600,  # docs/differences.md: local times obey summer time
    "2002-06-25": -3600,
    "2002-06-25T07:00:00-03:30": 3600,  # and such zones are computed right
}


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(("typed", "meant"), [pair for pair in reference.times() if pair[0] != "2002-02-30"])
def test_each_time_means_what_duplicity_takes_it_for(berlin: None, typed: str, meant: int) -> None:
    line = command("remove-older-than", typed, URL, "--time", typed)
    assert line.time == line.options.restore_time == meant + CORRECTED_TIMES.get(typed, 0)


@pytest.mark.parametrize("typed", [*reference.refused_times(), "2002-02-30", ""])
def test_what_is_no_time_is_refused_and_told_what_is(typed: str) -> None:
    for arguments in (["remove-older-than", typed, URL], ["ls", URL, f"--time={typed}"]):
        with pytest.raises(CommandLineError, match=r"Bad time|Unknown option"):
            read(*arguments)


def test_every_variable_is_looked_at_or_handed_on() -> None:
    values = {name: f"value of {name}" for name in reference.variables()}
    found = Environment(variables=values)
    assert found.passphrase == values["PASSPHRASE"]
    assert found.sign_passphrase == values["SIGN_PASSPHRASE"]
    assert found.backend_password == values["BACKEND_PASSWORD"]
    assert Environment(variables={"FTP_PASSWORD": "old"}).backend_password == "old"
    assert found.tempdir_candidates[:3] == (values["TMPDIR"], values["TEMP"], values["TMP"])
    assert (found.cache_home, found.config_home) == (values["XDG_CACHE_HOME"], values["XDG_CONFIG_HOME"])
    assert found.home == values["HOME"]
    assert found.pager == values["PAGER"]
    secret = {"PASSPHRASE", "SIGN_PASSPHRASE", "BACKEND_PASSWORD", "FTP_PASSWORD"}
    assert found.child_environment() == {name: value for name, value in values.items() if name not in secret}


def test_gpg_is_not_told_the_credentials_of_services() -> None:
    names = reference.credentials()
    assert len(names) > 15
    files = {"DUPLICITY_ONEDRIVE_TOKEN", "GOOGLE_CLIENT_SECRET_JSON_FILE", "GOOGLE_SECRETS_FILE"}  # names of files
    handed_on = Environment(variables=dict.fromkeys(names, "x") | {"PATH": os.defpath}).child_environment()
    assert handed_on.keys() - files == {"PATH"}
