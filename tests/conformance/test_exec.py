"""Commands of the user's own as a store: the conformance suite over a shell script, and what scripts do wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from twofold.errors import (
    Forbidden,
    Incomplete,
    InvalidUrl,
    MissingLibrary,
    NoPlace,
    NoSpace,
    StorageError,
    Unavailable,
    Unsupported,
)
from twofold.storage.drivers.exec.commands import checked, filled
from twofold.storage.drivers.exec.commands import listed as read_list
from twofold.storage.drivers.exec.store import ExecStore
from twofold.storage.part_names import PartNames
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Atomicity, Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import Files, key, listed, put
from twofold.storage.url import StorageUrl

SCRIPT = """
place=$2
name=${3#./}
case $(cat "$0.mode" 2>/dev/null) in
    "$1 fails") echo "first line" >&2; echo "the tape is busy" >&2; exit 1 ;;
    "$1 hangs") sleep 60 > "$0.pipe" & wait ;;
    "$1 is cut short") test "$1" = put && exec head -c 5 "$3" > "$place/$4"; exec head -c 5 "$place/$3" > "$4" ;;
    "$1 finds it full") exit 73 ;;
    "$1 is forbidden") exit 77 ;;
    "$1 does nothing") exit 0 ;;
    "$1 babbles") echo "total 8"; exit 0 ;;
    "$1 tells") { env; stat -c %a "$4"; } > "$0.told" ;;
esac
case $1 in
    put) mkdir -p "$place" && exec cp -- "$3" "$place/$4" ;;
    get) test -e "$place/$3" || exit 66; exec cp -- "$place/$3" "$4" ;;
    list) test -d "$place" || exit 66; exec find "$place" -maxdepth 1 -type f -printf '%s %f\\0' ;;
    stat) test -f "$place/$name" || exit 66; cd "$place" && exec stat -c '%s %n' -- "$name" ;;
    move) exec mv -f -- "$place/$3" "$place/$4" ;;
    delete) exec rm -- "$place/$3" ;;
esac
"""

SETTINGS = """
put = ["sh", "store.sh", "put", "{place}", "{local}", "./{name}"]
get = ["sh", "store.sh", "get", "{place}", "./{name}", "{local}"]
list = ["sh", "store.sh", "list", "{place}"]
delete = ["sh", "store.sh", "delete", "{place}", "./{name}"]
seconds = 5
parallel = 2
"""
MOVING = """
stat = ["sh", "store.sh", "stat", "{place}", "./{name}"]
move = ["sh", "store.sh", "move", "{place}", "./{name}", "./{to}"]
"""


class Ground:
    """A folder with the script, its settings and the place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.place = folder / "place"
        (folder / "store.sh").write_text(SCRIPT)

    def open(self, settings: str = SETTINGS + MOVING, **variables: str) -> ExecStore:
        path = self.folder / "settings.toml"
        path.write_text(settings)
        path.chmod(0o644)
        url = StorageUrl.parse(f"exec://{path}?place={self.place}")
        return ExecStore.from_url(url, StoreSettings(environment={"PATH": os.environ["PATH"], **variables}))

    def now(self, mode: str) -> None:
        """What the script does from here on."""
        (self.folder / "store.sh.mode").write_text(mode)

    def names(self) -> list[str]:
        """What lies at the place, hidden or not."""
        return sorted(os.listdir(self.place))


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path / "commands")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


class TestWithMove(StoreConformance):
    @pytest.fixture
    def place(self, ground: Ground) -> Callable[[], Store]:
        return ground.open

    def test_1100_files_are_listed_once_each(self, store: Store, files: Files, ground: Ground) -> None:  # type: ignore[override]
        """Made without the store: each put is three processes here."""
        ground.place.mkdir()
        names = [f"duplicity-full.20261122T044630Z.vol{number}.difftar.gpg" for number in range(1100)]
        for name in names:
            (ground.place / name).write_bytes(b"x")
        assert listed(store) == dict.fromkeys(names, 1)


class TestWithoutMove(TestWithMove):
    @pytest.fixture
    def place(self, ground: Ground) -> Callable[[], Store]:
        return lambda: ground.open(SETTINGS)

    def test_an_interrupted_put_leaves_the_old_file_whole(self, store: Store, files: Files) -> None:
        pytest.skip("needs a command that moves")

    def test_a_reader_never_sees_half_a_replacement(self, store: Store, files: Files) -> None:
        pytest.skip("needs a command that moves")


class TestSettings:
    def refused(self, ground: Ground, settings: str, match: str) -> None:
        with pytest.raises(InvalidUrl, match=match):
            ground.open(settings)

    @pytest.mark.parametrize(
        ("settings", "match"),
        [
            ("put = 5", "are no TOML|list of words"),
            ("put = [", "are no TOML"),
            (SETTINGS + "colour = 1", "colour is unknown; known are put, get, list, delete, stat, move, seconds"),
            (SETTINGS + "move = ['mv', '{name}']", r"move lacks \{to\}"),
            (SETTINGS.replace("./{name}", "./{nmae}"), r"put lacks \{name\}"),
            (SETTINGS.replace("{place}", "/x"), r"no command has \{place\}, which the URL sets"),
            (SETTINGS.replace("delete =", "stat ="), "delete must be a list of words"),
            (SETTINGS.replace("seconds = 5", "seconds = 0"), "seconds must be a number from 1 on"),
            (SETTINGS.replace("seconds = 5", "seconds = true"), "seconds must be a number"),
        ],
    )
    def test_what_is_wrong_is_said_before_anything_runs(self, ground: Ground, settings: str, match: str) -> None:
        self.refused(ground, settings, match)

    @pytest.mark.parametrize("mode", [0o664, 0o666, 0o602])
    def test_a_file_that_others_can_change_is_refused(self, ground: Ground, mode: int) -> None:
        ground.open()
        path = ground.folder / "settings.toml"
        path.chmod(mode)
        with pytest.raises(InvalidUrl, match="can be changed by others"):
            ExecStore.from_url(StorageUrl.parse(f"exec://{path}"), StoreSettings())

    def test_an_absent_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidUrl, match=r"exec:///.*/nothing cannot be read: No such file"):
            ExecStore.from_url(StorageUrl.parse(f"exec://{tmp_path}/nothing"), StoreSettings())

    def test_traits_tell_what_the_commands_allow(self, ground: Ground) -> None:
        assert ground.open().traits.atomic_put is Atomicity.BY_RENAME
        assert ground.open(SETTINGS).traits.atomic_put is Atomicity.BY_SIZE_CHECK
        assert ground.open(SETTINGS).traits.parallel == 2

    def test_parameters_of_the_url_cannot_be_our_own_words(self) -> None:
        with pytest.raises(ValueError, match="name cannot be a parameter"):
            checked({}, {"name": "x"}, folder="/")


class TestWords:
    def test_words_stay_words_whatever_the_name(self) -> None:
        assert filled(("cp", "{local}", "/x/{name}"), {"local": "/a b", "name": "$(id); {local}"}) == [
            "cp",
            "/a b",
            "/x/$(id); {local}",
        ]

    def test_a_plain_name_may_stand_in_the_text_of_another_language(self) -> None:
        assert filled(("hsi", "put {local} : {name}"), {"local": "/tmp/a", "name": "duplicity-full.vol1.gpg"}) == [
            "hsi",
            "put /tmp/a : duplicity-full.vol1.gpg",
        ]

    @pytest.mark.parametrize("name", ["a;rm -rf /", "a b", "$(id)", "`id`", "a'", 'a"', "a|b", "ü"])
    def test_no_other_name_may(self, name: str) -> None:
        with pytest.raises(ValueError, match="as a word of its own"):
            filled(("sh", "-c", "cat {name}"), {"name": name})

    def test_a_name_cannot_be_an_option_or_two_lines(self) -> None:
        with pytest.raises(ValueError, match="taken for an option"):
            filled(("rm", "{name}"), {"name": "-rf"})
        with pytest.raises(ValueError, match="cannot be given"):
            filled(("rm", "/x/{name}"), {"name": "a\nb"})

    def test_a_listing_is_read_by_lines_or_by_nuls(self) -> None:
        assert [(file.name, file.size) for file in read_list("   5 a b\n0\t c \n7 below/d\n")] == [
            ("a b", 5),
            (" c ", 0),
        ]
        assert [(file.name, file.size) for file in read_list("5 a\nb\x006 c\udcff\0")] == [("a\nb", 5), ("c\udcff", 6)]
        assert read_list("") == []

    @pytest.mark.parametrize("line", ["total 8", "a", "-1 a", "5", "5 ", "\u0665 a"])
    def test_what_is_no_listing_is_not_a_short_one(self, line: str) -> None:
        with pytest.raises(ValueError, match="is not size, blank and name"):
            read_list("5 a\n" + line)


class TestWhatScriptsDo:
    @pytest.mark.parametrize(
        ("mode", "error", "said"),
        [
            ("put fails", Unavailable, "sh ended with 1: the tape is busy"),
            ("put finds it full", NoSpace, "make room"),
            ("put is forbidden", Forbidden, "ended with 77"),
            ("put is cut short", Incomplete, "5 of 7 bytes"),
            ("put does nothing", Incomplete, "0 of 7 bytes"),
            ("move fails", Unavailable, "the tape is busy"),
            ("list babbles", StorageError, "is not size, blank and name"),
            ("stat babbles", StorageError, "is not size, blank and name"),
        ],
    )
    def test_a_put_that_fails_says_why_and_leaves_the_old_file(
        self, ground: Ground, files: Files, mode: str, error: type[StorageError], said: str
    ) -> None:
        put(ground.open(), files, "a", b"old")
        ground.now(mode)
        with pytest.raises(error, match=said):
            put(ground.open(), files, "a", b"content")
        ground.now("")
        assert listed(ground.open()) == {"a": 3}

    @pytest.mark.parametrize("mode", ["put is cut short", "put does nothing"])
    def test_without_a_move_a_put_that_fails_leaves_nothing(self, ground: Ground, files: Files, mode: str) -> None:
        store = ground.open(SETTINGS)
        put(store, files, "other", b"content")
        ground.now(mode)
        with pytest.raises(Incomplete):
            put(store, files, "a", b"content")
        assert ground.names() == ["other"]

    @pytest.mark.parametrize(
        ("mode", "error"),
        [("get fails", Unavailable), ("get is cut short", Incomplete), ("get does nothing", Incomplete)],
    )
    def test_a_get_that_fails_leaves_nothing(
        self, ground: Ground, files: Files, mode: str, error: type[StorageError]
    ) -> None:
        store = ground.open()
        put(store, files, "a", b"content")
        before = files.names()
        ground.now(mode)
        with pytest.raises(error):
            store.get(key("a"), files.target())
        assert files.names() == before

    def test_a_command_that_hangs_ends_after_its_time_with_its_children(self, ground: Ground, files: Files) -> None:
        store = ground.open((SETTINGS + MOVING).replace("seconds = 5", "seconds = 1"))
        ground.now("put hangs")
        os.mkfifo(ground.folder / "store.sh.pipe")
        pipe = os.open(ground.folder / "store.sh.pipe", os.O_RDONLY | os.O_NONBLOCK)
        try:
            with pytest.raises(Unavailable, match="sh has not ended in time, 1 seconds"):
                put(store, files, "a", b"content")
            os.set_blocking(pipe, True)
            assert os.read(pipe, 1) == b""  # waits for the last one that could write to it
        finally:
            os.close(pipe)

    def test_a_failed_deletion_counts_only_where_the_file_is_still_there(self, ground: Ground, files: Files) -> None:
        store = ground.open()
        put(store, files, "a", b"content")
        ground.now("delete fails")
        store.delete(key("b"))
        with pytest.raises(Unavailable, match="the tape is busy"):
            store.delete(key("a"))

    def test_a_place_that_disappears_is_not_an_empty_one(self, ground: Ground, files: Files) -> None:
        store = ground.open()
        put(store, files, "a", b"content")
        ground.place.rename(ground.folder / "elsewhere")
        with pytest.raises(NoPlace):
            list(store.list())

    def test_a_missing_program_is_named(self, ground: Ground) -> None:
        store = ground.open(SETTINGS.replace('list = ["sh"', 'list = ["no-such-program"'))
        with pytest.raises(MissingLibrary, match=r"no-such-program is not installed; .*name its whole path"):
            list(store.list())

    def test_a_name_that_no_command_can_be_given_is_unsupported(self, ground: Ground) -> None:
        with pytest.raises(Unsupported, match="cannot be given to a command"):
            ground.open().stat(key("a\nb"))

    def test_passphrases_are_not_passed_on_and_files_are_private(self, ground: Ground, files: Files) -> None:
        store = ground.open(PASSPHRASE="secret", SIGN_PASSPHRASE="secret", TAPE="7")
        put(store, files, "a", b"content")
        ground.now("get tells")
        assert files.fetched(store, "a") == b"content"
        told = (ground.folder / "store.sh.told").read_text()
        assert "TAPE=7" in told
        assert "secret" not in told
        assert told.split()[-1] == "600"

    def test_what_a_killed_writer_left_is_not_listed_and_goes_with_the_next_put(
        self, ground: Ground, files: Files
    ) -> None:
        ground.place.mkdir()
        child = os.fork()
        if not child:
            (ground.place / PartNames().new()).write_bytes(b"half")
            os._exit(0)
        os.waitpid(child, 0)
        living = PartNames().new()
        (ground.place / living).write_bytes(b"half")
        store = ground.open()
        assert listed(store) == {}
        put(store, files, "a", b"content")
        assert ground.names() == [living, "a"]
