"""multi:// over memory, directories and a WebDAV server: the conformance suite, and what happens when one fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.process import HOST, Running
from tests.servers.webdav import PASSWORD, USER, nginx
from twofold.errors import AlreadyExists, Forbidden, NotFound, StorageError, Unavailable, UnsupportedScheme
from twofold.storage.drivers.local import LocalStore
from twofold.storage.drivers.memory import MemoryStore
from twofold.storage.drivers.multi.configuration import Entry, Mode, OnFailure, Plan, read_entries, read_plan
from twofold.storage.drivers.multi.store import Member, MultiStore
from twofold.storage.registry import open_store
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Operation, Store, StoreWrapper
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.faulty import FaultyStore
from twofold.storage.testing.ground import LARGE, Files, key, listed, put
from twofold.storage.url import StorageUrl

MIRROR, STRIPE = Plan(Mode.MIRROR), Plan(Mode.STRIPE)


def members(*stores: Store) -> list[Member]:
    return [Member(f"store {number}", store) for number, store in enumerate(stores, 1)]


def written(tmp_path: Path, text: str, query: str = "") -> StorageUrl:
    (tmp_path / "stores.json").write_text(text)
    return StorageUrl.parse(f"multi://{tmp_path}/stores.json{query}")


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with nginx() as running:
        yield running


class TestMirrorInMemory(StoreConformance):
    @pytest.fixture
    def place(self) -> Callable[[], Store]:
        first: dict[str, bytes] = {}
        second: dict[str, bytes] = {}
        return lambda: MultiStore(members(MemoryStore(first), MemoryStore(second)), MIRROR)


class TestStripeInMemory(StoreConformance):
    @pytest.fixture
    def place(self) -> Callable[[], Store]:
        places: tuple[dict[str, bytes], ...] = ({}, {}, {})
        return lambda: MultiStore(members(*map(MemoryStore, places)), STRIPE)


class TestMirrorOfDirectoryAndServer(StoreConformance):
    unspeakable = frozenset({".leading dot"})  # nginx does not list it, so that it stays after it has been deleted

    @pytest.fixture
    def place(self, server: Running, tmp_path: Path) -> Callable[[], Store]:
        url = f"webdav://{USER}:{PASSWORD}@{HOST}:{server.port}/{tmp_path.name}"
        text = f'[{{"url": "file://{tmp_path}/first"}}, {{"description": "away", "url": "{url}"}}]'
        multi = written(tmp_path, text, "?mode=mirror&subpath=/below")
        return lambda: open_store(multi, settings=StoreSettings())

    def test_1100_files_are_listed_once_each(self, store: Store, files: Files) -> None:
        pytest.skip("the members' own conformance tests do it")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


class Two:
    """Two stores in memory that fail when told to, and what is said about them."""

    def __init__(self) -> None:
        self.first, self.second = MemoryStore(), MemoryStore()
        self.faulty = FaultyStore(self.first), FaultyStore(self.second)
        self.said: list[str] = []

    def opened(self, plan: Plan, *prefixes: tuple[str, ...]) -> MultiStore:
        joined = [
            member._replace(prefixes=own)
            for member, own in zip(members(*self.faulty), prefixes or ((), ()), strict=True)
        ]
        return MultiStore(joined, plan, warn=self.said.append)


@pytest.fixture
def two() -> Two:
    return Two()


class TestMirror:
    def test_each_file_is_on_every_store_and_deleted_everywhere(self, two: Two, files: Files) -> None:
        store = two.opened(MIRROR)
        put(store, files, "a", b"content")
        assert two.first.files == two.second.files == {"a": b"content"}
        store.delete(key("a"))
        assert two.first.files == two.second.files == {}

    def test_a_failing_store_is_passed_over_and_named(self, two: Two, files: Files) -> None:
        store = two.opened(MIRROR)
        two.faulty[0].fail(Operation.PUT)
        sent: list[int] = []
        store.put(key("a"), files.source(b"content"), sent=sent.append)
        assert (two.first.files, two.second.files) == ({}, {"a": b"content"})
        assert two.said == ["store 1 is passed over: A test wants this to fail"]
        assert sum(sent) == 7
        assert listed(store) == {"a": 7}
        assert files.fetched(store, "a") == b"content"
        assert store.stat(key("a")).size == 7
        assert len(two.said) == 1  # a file that is merely missing on one of them is no reason to worry

    def test_with_abort_the_first_failing_store_fails_the_put(self, two: Two, files: Files) -> None:
        two.faulty[1].fail(Operation.PUT, error=Forbidden("No"))
        with pytest.raises(Forbidden, match="store 2: No"):
            put(two.opened(Plan(Mode.MIRROR, OnFailure.ABORT)), files, "a", b"content")

    def test_when_all_fail_each_is_named_and_it_is_not_tried_again(self, two: Two, files: Files) -> None:
        for faulty in two.faulty:
            faulty.fail(Operation.PUT)
        with pytest.raises(StorageError, match=r"store 1: .*; store 2: ") as caught:
            put(two.opened(MIRROR), files, "a", b"content")
        assert type(caught.value) is StorageError

    def test_what_one_store_cannot_give_another_one_does(self, two: Two, files: Files) -> None:
        store = two.opened(MIRROR)
        put(store, files, "a", b"content")
        two.faulty[0].fail(Operation.GET)
        received: list[int] = []
        store.get(key("a"), files.target(), received=received.append)
        assert sum(received) == 7
        assert two.said == ["store 1 is passed over: A test wants this to fail"]

    def test_missing_on_one_and_out_of_reach_on_the_other_is_not_missing(self, two: Two, files: Files) -> None:
        store = two.opened(MIRROR)
        two.faulty[1].fail(Operation.STAT)
        with pytest.raises(StorageError) as caught:
            store.stat(key("a"))
        assert not isinstance(caught.value, NotFound)

    def test_whoever_gets_a_file_again_is_given_the_other_copy(self, two: Two, files: Files) -> None:
        store = two.opened(MIRROR)
        put(store, files, "a", b"content")
        two.first.files["a"] = b"damaged"
        assert [files.fetched(store, "a") for _ in range(3)] == [b"damaged", b"content", b"damaged"]

    def test_nothing_is_deleted_as_long_as_one_could_not_be_listed(self, two: Two, files: Files) -> None:
        store = two.opened(MIRROR)
        put(store, files, "a", b"content")
        two.faulty[1].fail(Operation.LIST)
        assert listed(store) == {"a": 7}
        with pytest.raises(StorageError, match="a is not deleted: store 2 could not be listed"):
            store.delete(key("a"))
        assert two.first.files

    def test_files_with_a_beginning_go_where_it_is_listed_and_others_everywhere(self, two: Two, files: Files) -> None:
        store = two.opened(MIRROR, ("man-", "sig-"), ())
        for name in ("man-a", "vol-a"):
            put(store, files, name, b"x")
        assert (set(two.first.files), set(two.second.files)) == ({"man-a", "vol-a"}, {"vol-a"})

    def test_another_writer_on_any_of_them_is_seen_and_an_absent_directory_is_no_hindrance(
        self, tmp_path: Path
    ) -> None:
        here, other = LocalStore(str(tmp_path / "here")), LocalStore(str(tmp_path / "here"))
        store = MultiStore(members(LocalStore(str(tmp_path / "absent")), here), MIRROR)
        other.staging_directory()
        assert store.has_other_writer()
        other.close()
        assert not store.has_other_writer()

    def test_the_smallest_room_counts(self) -> None:
        stores = members(MemoryStore(capacity=10), MemoryStore(capacity=3))
        assert MultiStore(stores, MIRROR).free_bytes() == 3
        assert MultiStore(stores, STRIPE).free_bytes() == 13
        assert MultiStore(members(MemoryStore(capacity=10), MemoryStore()), MIRROR).free_bytes() is None


class TestStripe:
    def test_files_go_round(self, two: Two, files: Files) -> None:
        store = two.opened(STRIPE)
        for name in "abcd":
            put(store, files, name, b"x")
        assert (set(two.first.files), set(two.second.files)) == ({"a", "c"}, {"b", "d"})

    def test_a_file_is_replaced_where_it_is_by_a_later_run_too(self, two: Two, files: Files) -> None:
        for content in (b"old", b"newer", b"newest"):
            put(two.opened(STRIPE), files, "a", content)
        assert (two.first.files, two.second.files) == ({"a": b"newest"}, {})
        two.faulty[0].fail(Operation.PUT)
        with pytest.raises(StorageError):
            put(two.opened(STRIPE), files, "a", b"elsewhere")
        assert two.second.files == {}

    def test_another_store_takes_what_one_refuses_and_its_bytes_count_once(self, two: Two, files: Files) -> None:
        sent: list[int] = []
        two.faulty[0].lose_answer(Operation.PUT)
        two.opened(STRIPE).put(key("a"), files.source(bytes(LARGE)), sent=sent.append)
        assert two.second.files
        assert sum(sent) == LARGE
        assert two.said

    def test_with_abort_nobody_else_takes_it(self, two: Two, files: Files) -> None:
        two.faulty[0].fail(Operation.PUT, error=AlreadyExists("No"))
        with pytest.raises(AlreadyExists):
            put(two.opened(Plan(Mode.STRIPE, OnFailure.ABORT)), files, "a", b"content")
        assert two.second.files == {}

    def test_all_stores_are_needed_to_know_what_is_there(self, two: Two, files: Files) -> None:
        two.faulty[1].fail(Operation.LIST, times=2)
        for attempt in (two.opened(STRIPE).list, lambda: put(two.opened(STRIPE), files, "a", b"x")):
            with pytest.raises(StorageError, match="store 2"):
                attempt()


class TestConfiguration:
    def test_parameters_are_duplicitys(self) -> None:
        assert read_plan([], place="x") == Plan(Mode.STRIPE, OnFailure.CONTINUE, "")
        given = [("mode", "mirror"), ("onfail", "abort"), ("subpath", "/a")]
        assert read_plan(given, place="x") == Plan(Mode.MIRROR, OnFailure.ABORT, "/a")

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ([("mode", "raid")], "mode is stripe or mirror, not raid"),
            ([("onfail", "stop")], "onfail is continue or abort, not stop"),
            ([("mod", "mirror")], "unknown parameter mod"),
            ([("mode", "mirror"), ("mode", "mirror")], "more than one value for mode"),
        ],
    )
    def test_other_parameters_are_refused(self, given: list[tuple[str, str]], message: str) -> None:
        with pytest.raises(StorageError, match=message):
            read_plan(given, place="multi:///x")

    def test_the_file_is_duplicitys(self) -> None:
        text = '[{"description": "d", "url": "u", "env": [{"name": "n", "value": "v"}], "prefixes": ["p"], "x": 1}]'
        assert read_entries(text, place="x") == (Entry("u", "d", (("n", "v"),), ("p",)),)

    @pytest.mark.parametrize(
        "text",
        [
            "{",
            '{"url": "secret"}',
            "[]",
            '["secret"]',
            '[{"description": "secret"}]',
            '[{"url": ["secret"]}]',
            '[{"url": "secret", "description": 1}]',
            '[{"url": "secret", "prefixes": "secret"}]',
            '[{"url": "secret", "env": {"secret": "secret"}}]',
            '[{"url": "secret", "env": [{"name": "secret"}]}]',
        ],
    )
    def test_mistakes_are_told_without_what_the_file_says(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(StorageError, match=r"stores\.json") as caught:
            open_store(written(tmp_path, text), settings=StoreSettings())
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_a_file_that_cannot_be_read_is_said_so(self, tmp_path: Path) -> None:
        for name, content in (("absent", None), ("latin1", b"[\xff]")):
            if content is not None:
                (tmp_path / name).write_bytes(content)
            with pytest.raises(StorageError, match=f"{name} cannot be read: "):
                open_store(StorageUrl.parse(f"multi://{tmp_path}/{name}"), settings=StoreSettings())

    def test_beginnings_make_no_sense_without_copies(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="mode=mirror only"):
            open_store(written(tmp_path, '[{"url": "file:///x", "prefixes": ["a"]}]'), settings=StoreSettings())

    def test_a_list_cannot_name_lists(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="cannot be one of several stores"):
            open_store(written(tmp_path, f'[{{"url": "multi://{tmp_path}/stores.json"}}]'), settings=StoreSettings())

    def test_a_service_that_is_not_there_is_told_without_its_password(self, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedScheme) as caught:
            open_store(written(tmp_path, '[{"url": "nowhere://u:secret@h/x"}]'), settings=StoreSettings())
        assert "secret" not in str(caught.value)

    def test_variables_and_passwords_reach_the_one_store_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[tuple[str, str | None, str, str]] = []

        def record(url: StorageUrl, *, settings: StoreSettings) -> Store:
            variables = settings.environment
            seen.append((url.host, settings.password, variables.get("A", ""), variables.get("B", "")))
            return MemoryStore()

        monkeypatch.setattr("twofold.storage.drivers.multi.store.open_store", record)
        text = """[
            {"url": "ftp://u:own@one/", "env": [{"name": "A", "value": "mine"}]},
            {"url": "ftp://u@two/", "env": [{"name": "FTP_PASSWORD", "value": "two's"}]},
            {"url": "ftp://u@three/"}
        ]"""
        settings = StoreSettings(environment={"A": "all", "B": "b", "FTP_PASSWORD": "all's"})
        MultiStore.from_url(written(tmp_path, text), settings)
        assert seen == [("one", "own", "mine", "b"), ("two", "two's", "all", "b"), ("three", "all's", "all", "b")]

    def test_each_store_is_patient_by_itself_and_named_without_its_password(self, tmp_path: Path, files: Files) -> None:
        said: list[str] = []

        class Gone(StoreWrapper):
            def put(self, *_arguments: object, **_more: object) -> object:  # type: ignore[override]
                raise Unavailable("Gone")

        settings = StoreSettings(
            warn=said.append, patient=lambda store: store if isinstance(store, LocalStore) else Gone(store)
        )
        text = f'[{{"description": "far", "url": "ftp://u:secret@h/x"}}, {{"url": "file://{tmp_path}/near"}}]'
        put(open_store(written(tmp_path, text, "?mode=mirror"), settings=settings), files, "a", b"content")
        assert said == ["far (ftp://u:*****@h/x) is passed over: Gone"]
        assert listed(LocalStore(str(tmp_path / "near"))) == {"a": 7}
