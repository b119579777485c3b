import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.ui.commands import BY_NAME, Action
from twofold.ui.conversion import Surroundings, log_targets
from twofold.ui.message import Level
from twofold.ui.option_values import Condition, MetadataSync, Rule
from twofold.ui.parser import CommandLine, HelpRequest, VersionRequest, is_url, parse
from twofold.ui.usage import AmbiguousOption, CommandLineError, CountTooSmall

NOW = 1_700_000_000
URL = "file:///b/t"


def read(*arguments: str, existing: bool = True) -> CommandLine | HelpRequest | VersionRequest:
    return parse(arguments, now=NOW, expand_path=lambda path: path.replace("~", "/home/me"), exists=lambda _: existing)


def command(*arguments: str) -> CommandLine:
    line = read(*arguments)
    assert isinstance(line, CommandLine)
    return line


def options(*arguments: str):
    return command(*arguments, "src", URL).options


def fault(*arguments: str, existing: bool = True) -> str:
    with pytest.raises(CommandLineError) as caught:
        read(*arguments, existing=existing)
    assert caught.value.exit_code in (2, 23)
    return str(caught.value)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_name_of_an_action_is_understood(name):
    known = BY_NAME[name]
    words = {"source_path": "src", "target_path": "out", "local_path": "src", "count": "2", "time": "3D"}
    line = command(name, *(words.get(word.value, URL) for word in known.words))
    assert line.action is known.action
    assert line.url == URL


def test_path_and_url_imply_a_backup_and_say_so():
    line = command("src", URL)
    assert (line.action, line.path, line.url) == (Action.BACKUP, "src", URL)
    assert [(message.level, message.text) for message in line.messages] == [
        (
            Level.NOTICE,
            "No valid action found. Will imply 'backup' because a path source was given and target is a url location.",
        )
    ]


def test_url_and_path_imply_a_restore_and_say_so():
    line = command(URL, "out")
    assert (line.action, line.path, line.url) == (Action.RESTORE, "out", URL)
    assert line.messages[0].text == (
        "No valid action found. Will imply 'restore' because url source was given and target is a local path."
    )


def test_an_explicit_action_needs_no_words():
    assert command("full", "src", URL).messages == ()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("file:///x", True),
        ("par2+sftp://h/x", True),
        ("file:/x", False),
        ("C:\\x", False),
        ("a b://c", False),
        ("file://x\ny", False),
        ("://x", False),
        ("./full", False),
    ],
)
def test_a_word_is_a_url_if_it_begins_with_a_scheme(word, expected):
    assert is_url(word) is expected


def test_words_that_do_not_fit_are_named_as_duplicity_names_them():
    assert fault() == (
        "Missing or invalid explicit or implicit action.\nActions are: backup, full, incremental, restore, verify, "
        "list-current-files, collection-status, cleanup, remove-older-than, remove-all-but-n-full, "
        "remove-all-inc-of-but-n-full"
    )
    assert fault("backup", "src") == (
        "Wrong number of positional args for 'backup', got 1\nExpected 2 positionals from ['src']."
    )
    assert fault("backup", "nosuch", URL, existing=False) == "Argument source_path 'nosuch' does not exist."
    assert fault("backup", URL, "src") == f"Source should be pathname, not url.  Got '{URL}' instead."
    assert fault("restore", "src", "out") == "Source should be url, not directory.  Got 'src' instead."
    assert fault("restore", URL, URL) == f"Target should be directory, not url.  Got '{URL}' instead."
    assert fault("collection-status", "src") == "Target should be url, not directory.  Got 'src' instead."
    assert fault("ra", "x", URL) == "'x' is not an int: invalid literal for int() with base 10: 'x'"
    assert fault("src", "t1").startswith("Invalid 'src' action and cannot be implied from the given arguments:\n['src'")


def test_a_mistyped_action_gets_a_suggestion():
    assert "Did you mean 'restore'?" in fault("restor", URL, "out", "more")
    assert "Did you mean 'cleanup'?" in fault("clean-up", URL, existing=False)


def test_a_missing_source_without_action_may_be_meant_as_one():
    text = fault("sync", URL, existing=False)
    assert text.startswith("Argument source_path 'sync' does not exist.\n'sync' is not an action.")
    assert "\n" not in fault("./sync", URL, existing=False)


def test_the_target_of_a_restore_need_not_exist():
    line = read("restore", URL, "out", existing=False)
    assert isinstance(line, CommandLine)


def test_an_empty_path_is_refused():
    assert "empty" in fault("restore", URL, "")


def test_at_least_one_chain_is_kept():
    with pytest.raises(CountTooSmall) as caught:
        read("remove-all-but-n-full", "0", URL)
    assert caught.value.exit_code == 30
    with pytest.raises(CountTooSmall):
        read("ri", "-1", URL)
    assert command("ri", "3", URL).count == 3


def test_a_time_word_is_a_point_in_time():
    assert command("remove-older-than", "3D", URL).time == NOW - 3 * 86400
    assert "zzz" in fault("remove-older-than", "zzz", URL)


def test_options_stand_anywhere():
    before = command("--volsize", "10", "full", "src", URL)
    between = command("full", "--volsize=10", "src", URL)
    after = command("full", "src", URL, "--vol", "10")
    assert before == between == after
    assert before.options.volsize_bytes == 10 * 1024 * 1024


def test_two_dashes_end_the_options():
    line = command("--encrypt-key", "K", "--", "--odd", URL)
    assert (line.path, line.options.encrypt_keys) == ("--odd", ("K",))
    assert command("full", "--", "-", URL).path == "-"


@pytest.mark.parametrize(
    "arguments", [["-v5"], ["-v", "5"], ["-v=5"], ["--verbosity", "info"], ["--verbosity=5"], ["-vI"]]
)
def test_verbosity_has_many_forms(arguments):
    assert options(*arguments).verbosity == 5


@pytest.mark.parametrize("level", ["10", "", "noise", "-1", "٣"])
def test_other_verbosities_are_refused(level):
    assert "Verbosity must be a digit from 0 to 9" in fault("--verbosity", level, "src", URL)


def test_short_options_take_their_value_joined_or_not():
    assert options("-t3D").restore_time == options("-t", "3D").restore_time == NOW - 3 * 86400
    assert options("-r", "a/b").path_to_restore == "a/b"


@pytest.mark.parametrize("value", ["--homedir=/x", "-z 0", "--homedir=/x -z 0", ""])
def test_a_value_may_begin_with_a_dash_in_either_form(value):
    assert options("--gpg-options", value).gpg_options == tuple(value.split())
    assert options(f"--gpg-options={value}").gpg_options == tuple(value.split())


def test_options_for_other_programs_may_look_like_ours():
    assert options("--rsync-options", "--timeout=5").rsync_options == "--timeout=5"


def test_a_forgotten_value_does_not_swallow_the_next_option():
    assert fault("--encrypt-key", "--tempdir", "/x", "src", URL) == "argument --encrypt-key: expected one argument"
    assert fault("src", URL, "--volsize") == "argument --volsize: expected one argument"
    assert fault("src", URL, "--rename", "a") == "argument --rename: expected 2 arguments"
    assert fault("--name", "--", "src", URL) == "argument --name: expected one argument"


def test_a_switch_takes_no_value():
    assert fault("--no-encryption=1", "src", URL) == "argument --no-encryption: ignored explicit argument '1'"


def test_abbreviations_have_to_be_unique():
    assert options("--no-enc").encryption is False
    with pytest.raises(AmbiguousOption) as caught:
        read("--no", "src", URL)
    assert str(caught.value) == (
        "ambiguous option: --no could match --no-check-remote, --no-compression, --no-encryption, --no-files-changed, "
        "--no-print-statistics, --no-restore-ownership"
    )
    assert caught.value.exit_code == 2


def test_options_that_duplicity_lacks_spoil_none_of_its_abbreviations():
    assert options("--compress").compression is True
    assert options("--ignore").ignore_errors is True
    assert options("--compression-l", "3").compression_level == 3
    assert options("--file-to", "x").path_to_restore == "x"


def test_unknown_options_are_named_and_the_nearest_is_suggested():
    assert fault("--exlude", "x", "src", URL) == "Unknown option '--exlude'. Did you mean '--exclude'?"
    assert "Unknown option '-x'" in fault("-x", "src", URL)
    assert fault("--qqqqqq", "src", URL) == "Unknown option '--qqqqqq'"


def test_the_later_of_two_values_wins_and_pairs_of_switches_share_one():
    assert options("--volsize", "5", "--volsize", "6").volsize_bytes == 6 * 1024 * 1024
    assert options("--no-encryption", "--encryption").encryption is True
    assert options("--ftp-passive", "--ftp-regular").ftp_passive is False


def test_repeatable_options_add_up_in_order():
    found = options("--encrypt-key", "A", "--encrypt-sign-key", "B", "--hidden-encrypt-key=C", "--encrypt-key", "D")
    assert found.encrypt_keys == ("A", "B", "D")
    assert found.hidden_encrypt_keys == ("C",)
    assert found.sign_key == "B"
    assert options("--rename", "a", "b", "--rename=c", "d").renames == (("a", "b"), ("c", "d"))
    assert options("--ssh-options", "-oA=b -oC=d", "--ssh-options=-i x").ssh_options == "-oA=b -oC=d -i x"
    assert options("--gpg-options", "'--homedir=/x -z 0'", "--gpg-options", "-v").gpg_options == (
        "--homedir=/x",
        "-z",
        "0",
        "-v",
    )
    assert options("--log-fd", "3", "--log-fd=4", "--log-file", "~/l").log_fds == (3, 4)


def test_numbers_are_checked_and_scaled():
    assert fault("--num-retries", "abc", "src", URL) == "argument --num-retries: invalid int value: 'abc'"
    assert fault("--volsize", "2.5", "src", URL) == "argument --volsize: invalid int value: '2.5'"
    assert fault("--volsize", "0", "src", URL) == "argument --volsize: must be at least 1, got 0"
    assert fault("--log-fd", "0", "src", URL) == "argument --log-fd: must be at least 1, got 0"
    assert fault("--compression-level", "9", "src", URL) == "argument --compression-level: must be at most 3, got 9"
    assert options("--show-changes-in-set", "-1").show_changes_in_set == -1
    assert options("--max-blocksize", "513").max_blocksize_bytes == 1024
    assert options("--max-blocksize", "0").max_blocksize_bytes == 0


def test_choices_and_characters_are_checked():
    assert fault("--metadata-sync-mode", "x", "src", URL) == (
        "argument --metadata-sync-mode: invalid choice: 'x' (choose from 'full', 'partial')"
    )
    assert options("--metadata-sync-mode", "full").metadata_sync_mode is MetadataSync.FULL
    assert "expected one character" in fault("--time-separator", "ab", "src", URL)


def test_times_are_read_with_a_separator_that_comes_later():
    found = options("--time", "2002-01-25T07_00_00Z", "--time-separator", "_")
    assert found.restore_time == 1011942000
    assert "Bad time" in fault("--time", "yesterday", "src", URL)
    assert options("--time", "0").restore_time is None


def test_the_start_of_the_run_can_be_moved_for_tests():
    line = command("--full-if-older-than", "1h", "--current-time", "10000", "src", URL)
    assert (line.now, line.options.full_if_older_than) == (10000, 6400)


def test_paths_are_expanded_and_patterns_are_not():
    line = command("--archive-dir", "~/a", "--exclude", "~/b", "src", URL)
    assert line.options.archive_dir == "/home/me/a"
    assert line.conditions == (Condition(Rule.EXCLUDE, "~/b"),)


def test_conditions_keep_their_order():
    line = command(
        "--include",
        "src/a",
        "--filter-regexp",
        "--exclude",
        "b",
        "--exclude-filelist-stdin",
        "--exclude-older-than",
        "1D",
        "--exclude-device-files",
        "--exclude-globbing-filelist",
        "f",
        "src",
        URL,
    )
    assert line.conditions == (
        Condition(Rule.INCLUDE, "src/a"),
        Condition(Rule.FILTER_REGEXP),
        Condition(Rule.EXCLUDE, "b"),
        Condition(Rule.EXCLUDE_FILELIST, "/dev/stdin"),
        Condition(Rule.EXCLUDE_OLDER_THAN, "1D", NOW - 86400),
        Condition(Rule.EXCLUDE_DEVICE_FILES),
        Condition(Rule.EXCLUDE_FILELIST, "f"),
    )


def test_an_empty_pattern_and_a_missing_list_are_refused():
    assert fault("--exclude", "", "src", URL) == "Option --exclude cannot be empty."
    assert fault("ls", URL, "--exclude-filelist", "nolist", existing=False) == (
        "[Errno 2] No such file or directory: 'nolist'"
    )


def test_what_only_a_source_can_answer_is_refused_for_a_restore():
    assert "--files-from cannot be used to restore" in fault("restore", URL, "out", "--files-from", "f")
    assert "not both" in fault("restore", URL, "out", "-r", "a", "--exclude", "b")
    assert command("verify", URL, "out", "-r", "a", "--exclude", "b").conditions


def test_backup_options_are_accepted_with_every_action():
    line = command("list-current-files", "--full-if-older-than", "1M", "--exclude-if-present", ".x", "--progress", URL)
    assert line.action is Action.LIST


@pytest.mark.parametrize(
    "arguments",
    [
        ["--s3-european-buckets"],
        ["--s3-multipart-max-timeout", "5"],
        ["--extra-clean"],
        ["--ssh-backend", "paramiko"],
        ["--scp-options", "-l 5"],
    ],
)
def test_options_without_effect_are_accepted_and_told(arguments):
    line = command(*arguments, "full", "src", URL)
    assert [message.level for message in line.messages] == [Level.WARNING]
    assert arguments[0] in line.messages[0].text


@pytest.mark.parametrize("name", ["--short-filenames", "--old-filenames"])
def test_options_that_are_no_longer_possible_are_refused(name):
    assert f"Option '{name}' is no longer possible" in fault(name, "src", URL)


@pytest.mark.parametrize(
    "arguments", [["--json"], ["--best-effort"], ["--limit-upload", "5"], ["--limit-download", "5"]]
)
def test_options_to_come_are_refused_rather_than_ignored(arguments):
    assert f"Option '{arguments[0]}' is not available yet" in fault(*arguments, "ls", URL)


@pytest.mark.parametrize(
    ("option", "typed", "meant"),
    [
        ("--gio", "file:///x", "gio+file:///x"),
        ("--gio", "gio+file:///x", "gio+file:///x"),
        ("--use-scp", "sftp://h/x", "scp://h/x"),
        ("--use-scp", "pexpect+sftp://h/x", "pexpect+scp://h/x"),
        ("--use-scp", "ssh://h/x", "scp://h/x"),
        ("--use-scp", "file:///x", "file:///x"),
    ],
)
def test_old_options_change_the_url_but_not_what_was_typed(option, typed, meant):
    line = command(option, "collection-status", typed)
    assert (line.url, line.url_as_typed) == (meant, typed)


def test_dangerous_options_are_warned_about():
    def warnings(*arguments: str) -> int:
        return len(command("full", "src", URL, *arguments).messages)

    assert warnings("--use-agent") == 1
    assert warnings("--use-agent", "--encrypt-key", "K") == 0
    assert warnings("--use-agent", "--no-encryption") == 0
    assert warnings("--ignore-errors") == 1
    assert warnings("--ignore-mdc-error") == 1


def test_help_and_version_win_wherever_they_stand():
    assert read("full", "--help") == HelpRequest("")
    assert read("-h") == HelpRequest("")
    assert read("full", "nosuch", "--help-inc", "--what", existing=False) == HelpRequest("inc")
    assert read("--help-all") == HelpRequest("all")
    assert read("--volsize", "x", "--version") == VersionRequest()
    assert read("-V") == VersionRequest()


def test_the_calls_of_front_ends_are_understood():
    line = command(
        "verify",
        "--name",
        "duply_p",
        "--verbosity",
        "4",
        "--gpg-options",
        "--homedir=/x",
        "-t",
        "1D",
        "--exclude-filelist",
        "c/exclude",
        "--file-to-restore",
        "a b",
        "--ssh-options",
        "-oIdentityFile=/x",
        URL,
        "src",
    )
    assert (line.options.path_to_restore, line.options.name) == ("a b", "duply_p")
    line = command(
        "restore",
        "--rename",
        "/old",
        "new",
        "--do-not-restore-ownership",
        "--force",
        URL,
        "/",
        "--verbosity=9",
        "--timeout=120",
        "--archive-dir=/a",
        "--tempdir=/t",
        "--log-fd=19",
    )
    assert (line.options.restore_ownership, line.options.log_fds) == (False, (19,))


def test_the_machine_log_is_found_on_a_faulty_command_line():
    targets = log_targets(["full", "--log-fd=3", "--log-file", "l", "--what", "--log-fd=5"], Surroundings(NOW, str))
    assert targets == ((3, 5), ("l",))
    assert log_targets(["--log-fd", "x"], Surroundings(NOW, str)) == ((), ())


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(["full", URL, "--", "-v", "--include", "--gpg-options", "--name=x", "-r", "ra"]),
            st.text(max_size=8),
            st.text(max_size=8).map("--".__add__),
        ),
        max_size=8,
    )
)
def test_any_command_line_is_understood_or_refused(arguments):
    try:
        line = parse(arguments, now=NOW, expand_path=str, exists=lambda _: True)
    except (CommandLineError, CountTooSmall):
        return
    assert isinstance(line, CommandLine | HelpRequest | VersionRequest)
