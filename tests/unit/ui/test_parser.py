import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.storage.url import is_url
from twofold.ui.commands import BY_NAME, Action
from twofold.ui.conversion import Surroundings, log_targets
from twofold.ui.message import Level
from twofold.ui.option_values import Condition, MetadataSync, Rule
from twofold.ui.parser import CommandLine, HelpRequest, VersionRequest, parse
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


ACTIONS_ARE = (
    "Actions are: backup, full, incremental, restore, verify, list-current-files, collection-status, cleanup, "
    "remove-older-than, remove-all-but-n-full, remove-all-inc-of-but-n-full, check, replicate, "
    "validate-storage"
)
QUOTE = "Names with blanks and patterns such as '*.txt' have to be quoted, or the shell takes them apart"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("", f"No action is given. {ACTIONS_ARE}"),
        (
            "src",
            "'src' is not an action. The URL of the target is missing, such as file:///mnt/backup, or an action\n"
            + ACTIONS_ARE,
        ),
        (URL, f"'{URL}' is not an action. The directory to restore to is missing, or an action\n{ACTIONS_ARE}"),
        (
            "src t1",
            (
                "Both words are local paths: 'src', 't1'. One has to be a URL such as file:///mnt/backup, or the first "
                "one an action"
            ),
        ),
        (
            f"{URL} {URL}",
            f"Both words are URLs: '{URL}', '{URL}'. One has to be a local path, or the first one an action",
        ),
        ("a b c", f"'a' is not an action, and there are 3 words: 'a', 'b', 'c'\n{QUOTE}\n{ACTIONS_ARE}"),
        (f"fulll src {URL}", "'fulll' is not an action. Did you mean 'full'?"),
    ],
)
def test_without_an_action_it_is_said_what_is_missing(words, text):
    assert fault(*words.split()) == text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            "backup src",
            (
                "backup takes source_path target_url, but got 'src'\n"
                "The URL of the target is missing, such as file:///mnt/backup"
            ),
        ),
        (
            "verify",
            (
                "verify takes source_url local_path, but got nothing\n"
                "The URL of the backup is missing, such as file:///mnt/backup\n"
                "The local path to compare with is missing"
            ),
        ),
        (f"bu {URL}", f"backup takes source_path target_url, but got '{URL}'\nThe source, a local path, is missing"),
        (f"rb {URL}", f"restore takes source_url target_path, but got '{URL}'\nThe directory to restore to is missing"),
        (f"ro {URL}", f"remove-older-than takes time target_url, but got '{URL}'\nThe time is missing, such as 6M"),
        (
            f"ra {URL}",
            (
                f"remove-all-but-n-full takes count target_url, but got '{URL}'\n"
                "The number of chains to keep is missing, such as 3"
            ),
        ),
        (
            f"full backup src {URL}",
            (
                f"full takes source_path target_url, but got 'backup', 'src', '{URL}'\n"
                "full and backup are both actions: give one. A path of that name is written './backup'"
            ),
        ),
        (
            f"backup my files {URL}",
            f"backup takes source_path target_url, but got 'my', 'files', '{URL}'\n{QUOTE}",
        ),
    ],
)
def test_words_too_few_or_too_many_are_named(words, text):
    assert fault(*words.split()) == text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            f"backup {URL} src",
            f"The source has to be a local path, not '{URL}'\nThe words are the wrong way round: backup src {URL}",
        ),
        (
            f"restore out {URL}",
            f"The place of the backup has to be a URL, not 'out'\nThe words are the wrong way round: restore {URL} out",
        ),
        (
            f"ra {URL} 3",
            (
                f"The number of chains to keep has to be a whole number, not '{URL}'\n"
                f"The words are the wrong way round: remove-all-but-n-full 3 {URL}"
            ),
        ),
        (
            f"ro {URL} 3D",
            (
                f"The time has to be one such as 6M or 2026-01-31, not '{URL}'\n"
                f"The words are the wrong way round: remove-older-than 3D {URL}"
            ),
        ),
        (
            "restore src out",
            "The place of the backup has to be a URL, not 'src'. A local directory is written file://src",
        ),
        (f"verify {URL} {URL}", f"What a backup is compared with has to be a local path, not '{URL}'"),
        ("st /b/t", "The target has to be a URL, not '/b/t'. A local directory is written file:///b/t"),
        (
            "st file:/b/t",
            "The target has to be a URL, not 'file:/b/t'. A URL has two slashes behind the colon: file:///b/t",
        ),
        (f"ra x {URL}", "The number of chains to keep has to be a whole number, not 'x'"),
    ],
)
def test_words_in_the_wrong_place_are_named_with_what_to_write(words, text):
    assert fault(*words.split()) == text


@pytest.mark.parametrize(
    "words",
    [
        "backup src sftp://me:s3cret@h/x more",
        "restore sftp://me:s3cret@h/x sftp://me:s3cret@h/y",
        "backup sftp://me:s3cret@h/x src",
        "st sftp:/me:s3cret@h/x",
        "st sftp:me:s3cret@h/x",
        "sftp://me:s3cret@h/x",
        "sftp://me:s3cret@h/x sftp://me:s3cret@h/x",
    ],
)
def test_no_message_shows_a_password(words):
    assert "s3cret" not in fault(*words.split())


def test_a_mistyped_action_gets_a_suggestion():
    assert "Did you mean 'restore'?" in fault("restor", URL, "out", "more")
    assert "Did you mean 'cleanup'?" in fault("clean-up", URL, existing=False)


def test_a_missing_source_without_action_may_be_meant_as_one():
    text = fault("sync", URL, existing=False)
    assert text == "The source 'sync' does not exist, nor is there an action of that name"
    assert fault("./sync", URL, existing=False) == "The source './sync' does not exist"
    assert fault("backup", "sync", URL, existing=False) == "The source 'sync' does not exist"


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
    assert fault("--encrypt-key", "--tempdir", "/x", "src", URL) == (
        "Option --encrypt-key needs a value: --encrypt-key KEY. What follows is '--tempdir'; a variable may be empty"
    )
    assert fault("src", URL, "--volsize") == "Option --volsize needs a value: --volsize MIB"
    assert fault("src", URL, "--rename", "a") == "Option --rename needs 2 values: --rename OLD NEW"
    assert fault("src", URL, "-t") == "Option -t needs a value: -t TIME"
    assert fault("--name", "--", "src", URL).startswith(
        "Option --name needs a value: --name NAME. What follows is '--'"
    )


def test_a_switch_takes_no_value():
    assert fault("--no-encryption=1", "src", URL) == "Option --no-encryption takes no value, but got '1'"


def test_one_dash_too_few_is_noticed():
    assert fault("-volsize", "5", "src", URL) == "Unknown option '-volsize'. Did you mean '--volsize'?"
    assert fault("-time=3D", "src", URL) == "Unknown option '-time=3D'. Did you mean '--time=3D'?"
    assert fault("-force", "src", URL) == "Unknown option '-force'. Did you mean '--force'?"
    assert options("-rename").path_to_restore == "ename"


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
    assert fault("--num-retries", "abc", "src", URL) == "Option --num-retries needs a whole number, not 'abc'"
    assert fault("--volsize", "2.5", "src", URL) == "Option --volsize needs a whole number of MiB, not '2.5'"
    assert fault("--volsize", "0", "src", URL) == "Option --volsize must be at least 1, not 0 (in MiB)"
    assert fault("--timeout", "-1", "src", URL) == "Option --timeout must be at least 1, not -1 (in seconds)"
    assert fault("--log-fd", "0", "src", URL) == "Option --log-fd must be at least 1, not 0"
    assert fault("--compression-level", "9", "src", URL) == "Option --compression-level must be at most 3, not 9"
    assert options("--show-changes-in-set", "-1").show_changes_in_set == -1
    assert options("--max-blocksize", "513").max_blocksize_bytes == 1024
    assert options("--max-blocksize", "0").max_blocksize_bytes == 0


@pytest.mark.parametrize(
    ("option", "typed", "unit", "written"),
    [
        ("--volsize", "200M", "MiB", 200),
        ("--volsize", "200 MB", "MiB", 200),
        ("--volsize", "1.5GiB", "MiB", 1536),
        ("--volsize", "10k", "MiB", 1),
        ("--copy-blocksize", "1m", "KiB", 1024),
        ("--max-blocksize", "64K", "bytes", 65536),
    ],
)
def test_a_size_with_a_unit_is_told_as_the_number_to_write(option, typed, unit, written):
    assert fault(option, typed, "src", URL) == (
        f"Option {option} needs a whole number of {unit}, not {typed!r}. Write {option} {written}"
    )


def test_choices_and_characters_are_checked():
    assert fault("--metadata-sync-mode", "x", "src", URL) == (
        "Option --metadata-sync-mode must be 'full' or 'partial', not 'x'"
    )
    assert options("--metadata-sync-mode", "full").metadata_sync_mode is MetadataSync.FULL
    assert fault("--time-separator", "ab", "src", URL) == "Option --time-separator needs a single character, not 'ab'"


def test_times_are_read_with_a_separator_that_comes_later():
    found = options("--time", "2002-01-25T07_00_00Z", "--time-separator", "_")
    assert found.restore_time == 1011942000
    assert fault("--time", "yesterday", "src", URL).startswith("Option --time: Bad time 'yesterday'. Write an interval")
    assert fault("--exclude-older-than", "3d", "src", URL).startswith(
        "Option --exclude-older-than: Bad time '3d'. Write"
    )
    assert fault("ro", "3d", URL).startswith("Argument time: Bad time '3d'. Write an interval")
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
    assert fault("--exclude", "", "src", URL) == "Option --exclude cannot be empty. A variable may be unset"
    assert fault("ls", URL, "--exclude-filelist", "nolist", existing=False) == (
        "The list 'nolist' of --exclude-filelist does not exist"
    )


def test_what_only_a_source_can_answer_is_refused_for_a_restore():
    assert "--files-from cannot be used to restore" in fault("restore", URL, "out", "--files-from", "f")
    assert "not both" in fault("restore", URL, "out", "-r", "a", "--exclude", "b")
    assert command("verify", URL, "out", "-r", "a", "--exclude", "b").conditions


@pytest.mark.parametrize("more", [(), ("-r", "a")])
def test_what_only_tells_what_is_backed_up_is_ignored_for_a_restore(more):
    others = ("--exclude-if-present", ".x", "--exclude-other-filesystems", "--exclude-if-present", ".y")
    line = command("restore", URL, "out", *others, *more)
    assert line.conditions == ()
    assert [message.text for message in line.messages] == [
        "--exclude-if-present tells what is backed up, so it is ignored here",
        "--exclude-other-filesystems tells what is backed up, so it is ignored here",
    ]


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


@pytest.mark.parametrize("arguments", [["--best-effort"]])
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
            st.from_regex(r"[0-9]{1,400}(\.[0-9]{1,400})?[kMGT]?(i?B)?", fullmatch=True).map("--volsize=".__add__),
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
