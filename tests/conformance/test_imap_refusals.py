"""Mailboxes when the server refuses, when removals are interrupted, and when others write into them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conformance.test_imap import PART, Person, old_message, opened
from tests.servers.line_proxy import LineProxy, line_proxy
from tests.servers.mail import dovecot
from tests.servers.process import Running
from twofold.errors import Forbidden, StorageError, Unavailable
from twofold.model.value import replace
from twofold.storage.drivers.imap import messages, session, store
from twofold.storage.drivers.imap.session import Refusal, SaidNo, Session
from twofold.storage.drivers.imap.store import ImapStore
from twofold.storage.testing.ground import Files, key, listed, put

WAYS_TO_READ: dict[str, Callable[[ImapStore, Files], object]] = {
    "list": lambda place, _: list(place.list()),
    "stat": lambda place, _: place.stat(key("a")),
    "get": lambda place, files: place.get(key("a"), files.target()),
    "range": lambda place, _: place.read_range(key("a"), 0, 3),
}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with dovecot() as running:
        yield running


@pytest.fixture
def user(tmp_path: Path) -> str:
    return tmp_path.name


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


@pytest.fixture
def place(running: Running, user: str) -> Iterator[ImapStore]:
    """Whom nothing disturbs."""
    with closing(opened(running, user)) as place:
        yield place


@pytest.fixture
def proxy(running: Running) -> Iterator[LineProxy]:
    with line_proxy(running.port) as proxy:
        yield proxy


@pytest.fixture
def bad(running: Running, user: str, proxy: LineProxy) -> Iterator[ImapStore]:
    """The same mailbox behind the proxy."""
    with closing(opened(running, user, scheme="imap", port=proxy.port)) as bad:
        yield bad


@pytest.fixture
def person(running: Running, user: str) -> Iterator[Person]:
    person = Person(running, user)
    yield person
    person.imap.shutdown()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of them in one command."""
    for module in (messages, store):
        monkeypatch.setattr(module, "PART_BYTES", PART)
    monkeypatch.setattr(session, "_AT_ONCE", 3)


class TestRefusals:
    @pytest.mark.parametrize("words", ["NO [SERVERBUG] Internal error", "NO [NONEXISTENT] 4 of them", "NO Sorry 4"])
    @pytest.mark.parametrize("command", ["UID FETCH", "UID SEARCH"])
    @pytest.mark.parametrize("way", WAYS_TO_READ)
    def test_a_refusal_to_read_is_not_an_absence(
        self, place: ImapStore, bad: ImapStore, proxy: LineProxy, files: Files, way: str, command: str, words: str
    ) -> None:
        put(place, files, "a", b"content")
        proxy.answer(command, words)
        with pytest.raises(Unavailable):
            WAYS_TO_READ[way](bad, files)
        WAYS_TO_READ[way](bad, files)
        assert listed(bad) == {"a": 7}

    def test_an_empty_answer_about_messages_that_are_there_is_not_believed(
        self, place: ImapStore, bad: ImapStore, proxy: LineProxy, files: Files
    ) -> None:
        put(place, files, "a", b"content")
        proxy.answer("UID FETCH", "OK Done")
        with pytest.raises(Unavailable, match="all messages"):
            list(bad.list())

    @pytest.mark.parametrize(
        ("words", "kind"),
        [
            ("NO [NOPERM] No", Forbidden),
            ("NO [UNAVAILABLE] Later", Unavailable),
            ("NO [STRANGE] No", StorageError),
            ("NO Temporary failure", Unavailable),
            ("BAD What?", StorageError),
        ],
    )
    def test_a_mailbox_that_cannot_be_entered_is_not_an_absent_one(
        self, bad: ImapStore, proxy: LineProxy, files: Files, words: str, kind: type[StorageError]
    ) -> None:
        proxy.answer("EXAMINE", words, words, words)
        proxy.answer("LIST", *["OK Done"] * 3)
        with pytest.raises(kind):
            list(bad.list())
        with pytest.raises(kind):
            bad.stat(key("a"))
        with pytest.raises(kind):
            put(bad, files, "a", b"content")
        assert not any(line.startswith("CREATE") for line in proxy.seen)

    def test_a_mailbox_of_which_the_server_says_without_a_code_that_it_is_not_there_is_made(
        self, bad: ImapStore, proxy: LineProxy, files: Files
    ) -> None:
        proxy.answer("EXAMINE", *["NO Mailbox does not exist"] * 2)
        assert listed(bad) == {}
        put(bad, files, "a", b"content")
        assert listed(bad) == {"a": 7}

    @pytest.mark.parametrize("words", ["NO Temporary failure, try again", "NO [THROTTLED] Slowly"])
    @pytest.mark.parametrize("command", ["LOGIN", "APPEND"])
    def test_passing_troubles_are_worth_another_try(
        self, bad: ImapStore, proxy: LineProxy, files: Files, command: str, words: str
    ) -> None:
        proxy.answer(command, words)
        with pytest.raises(Unavailable):
            put(bad, files, "a", b"content")
        put(bad, files, "a", b"content")
        assert listed(bad) == {"a": 7}

    @pytest.mark.parametrize("words", ["NO [SERVERBUG] Internal error", "NO Sorry"])
    def test_a_check_of_the_end_that_is_refused_does_not_remove_the_file(
        self, bad: ImapStore, place: ImapStore, proxy: LineProxy, files: Files, words: str
    ) -> None:
        proxy.answer(r"UID FETCH .*\[TEXT\]", words)
        with pytest.raises(StorageError):
            put(bad, files, "a", b"content")
        assert files.fetched(place, "a") == b"content"

    def test_a_message_that_another_writer_has_replaced_is_worth_another_try(
        self, bad: ImapStore, place: ImapStore, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ends, others = store.end_of, [b"other"]

        def replaced_before(part: messages.Part, end: bytes) -> tuple[int, int]:
            if others:
                put(place, files, "a", others.pop())
            return ends(part, end)

        monkeypatch.setattr(store, "end_of", replaced_before)
        with pytest.raises(Unavailable, match="replaced"):
            put(bad, files, "a", b"mine")
        put(bad, files, "a", b"mine")
        assert files.fetched(place, "a") == b"mine"

    @pytest.mark.parametrize("command", ["SELECT", "UID STORE", "UID EXPUNGE"])
    def test_who_may_not_delete_may_put_and_the_newest_counts(
        self, place: ImapStore, bad: ImapStore, proxy: LineProxy, files: Files, person: Person, command: str
    ) -> None:
        put(place, files, "a", b"old")
        proxy.answer(command, *["NO [NOPERM] No"] * 2)
        put(bad, files, "a", b"content")
        assert files.fetched(place, "a") == files.fetched(bad, "a") == b"content"
        assert len(person.messages()) == 2
        put(place, files, "a", b"newer")
        assert files.fetched(bad, "a") == b"newer"


@pytest.mark.usefixtures("small_parts")
class TestInterruptedRemovals:
    CUTS = pytest.mark.parametrize(
        ("command", "answers"),
        [
            ("UID EXPUNGE", ["CUT"]),
            ("UID EXPUNGE", ["PASS", "CUT"]),
            ("UID EXPUNGE", ["NO Sorry"]),
            ("UID STORE", ["PASS", "CUT"]),
        ],
    )

    @CUTS
    def test_another_try_removes_what_is_left(
        self,
        place: ImapStore,
        bad: ImapStore,
        proxy: LineProxy,
        files: Files,
        person: Person,
        command: str,
        answers: list[str],
    ) -> None:
        put(place, files, "a", bytes(PART * 8))
        put(place, files, "b", b"content")
        proxy.answer(command, *answers)
        with pytest.raises(StorageError):
            bad.delete(key("a"))
        assert listed(place) == {"b": 7}
        assert len(person.messages()) > 1
        bad.delete(key("a"))
        assert person.subjects() == ["b"]

    @CUTS
    def test_the_next_writer_removes_what_is_left(
        self,
        running: Running,
        place: ImapStore,
        bad: ImapStore,
        proxy: LineProxy,
        files: Files,
        person: Person,
        command: str,
        answers: list[str],
    ) -> None:
        put(place, files, "a", bytes(PART * 8))
        person.add(old_message(b"content"), b"From: daily\r\nSubject: lunch\r\n\r\n", flags=r"(\Deleted)")
        proxy.answer(command, *answers)
        with pytest.raises(StorageError):
            bad.delete(key("a"))
        with closing(opened(running, bad._user)) as later:
            put(later, files, "b", b"content")
        assert len(person.messages()) == 3
        assert listed(place) == {"b": 7}

    def test_an_old_message_whose_removal_was_cut_off_goes_and_another_one_of_its_name_stays(
        self, running: Running, user: str, bad: ImapStore, proxy: LineProxy, files: Files, person: Person
    ) -> None:
        person.add(old_message(b"content", "a"))
        proxy.answer("UID EXPUNGE", "CUT")
        with pytest.raises(Unavailable):
            bad.delete(key("a"))
        person.add(old_message(b"another content", "a"))
        with closing(opened(running, user)) as later:
            put(later, files, "b", b"content")
            assert listed(later) == {"a": 15, "b": 7}
        assert person.subjects() == ["a", "b"]

    def test_a_refused_sweep_does_not_hinder_a_put(
        self, running: Running, bad: ImapStore, proxy: LineProxy, files: Files
    ) -> None:
        put(bad, files, "a", b"content")
        proxy.answer("UID EXPUNGE", "NO Sorry", "NO Sorry")
        with pytest.raises(StorageError):
            bad.delete(key("a"))
        with closing(opened(running, bad._user, scheme="imap", port=proxy.port)) as later:
            put(later, files, "b", b"content")
            assert listed(later) == {"b": 7}

    def test_a_name_is_deleted_with_all_that_is_left_of_it_but_not_what_is_being_put(
        self, place: ImapStore, files: Files, person: Person
    ) -> None:
        put(place, files, "a", bytes(PART * 3))
        texts = [*person.messages().values()][:2]
        # The same put as if a living process had it under way, as if a dead one had left it, and with a part removed.
        person.add(*(text.replace(b"put=", b"put=x") for text in texts), flags=r"(\Seen)")
        person.add(*(text.replace(b"-%d-" % os.getpid(), b"-%d-" % (1 << 30)) for text in texts))
        living = [text.replace(b"put=.twofold-part-", b"put=.twofold-part-0") for text in texts]
        person.add(*living)
        assert len(person.messages()) == 9
        place.delete(key("a"))
        assert [*person.messages().values()] == living


class TestOthers:
    """Anybody can send mail, some people can write into the mailbox."""

    @pytest.fixture
    def told(self) -> list[str]:
        return []

    @pytest.fixture
    def place(self, running: Running, user: str, told: list[str]) -> Iterator[ImapStore]:
        with closing(opened(running, user)) as place:
            place._settings = replace(place._settings, warn=told.append)
            yield place

    def test_mail_does_not_replace_a_file(
        self, place: ImapStore, files: Files, person: Person, told: list[str]
    ) -> None:
        put(place, files, "a", b"content")
        person.add(b"Received: from aunt by host\r\n" + old_message(b"evil", "b"), old_message(b"evil", "a"))
        assert listed(place) == {"a": 7}
        assert files.fetched(place, "a") == b"content"
        assert place.stat(key("a")).size == 7
        (text,) = told
        assert text.startswith("There is more than one file a; ")
        assert "--imap-mailbox" in text
        place.delete(key("a"))
        assert person.subjects() == ["b"]

    @pytest.mark.parametrize("header", messages.DELIVERY)
    def test_mail_with_our_header_is_no_part_of_a_file(
        self, place: ImapStore, files: Files, person: Person, told: list[str], header: str
    ) -> None:
        put(place, files, "a", b"content")
        (text,) = person.messages().values()
        person.add(f"{header}: <aunt@host>\r\n".encode() + text.replace(b"put=", b"put=x"))
        assert listed(place) == {"a": 7}
        assert listed(place) == {"a": 7}
        assert [text.split(";")[0] for text in told] == ["There is mail that pretends to be part of the backup"]
        place.delete(key("a"))
        assert len(person.messages()) == 1

    def test_nothing_is_said_where_all_is_well(self, place: ImapStore, files: Files, told: list[str]) -> None:
        put(place, files, "a", b"old")
        put(place, files, "a", b"content")
        assert listed(place) == {"a": 7}
        assert told == []

    def test_a_message_that_somebody_has_marked_as_deleted_comes_back_with_that_mark_gone(
        self, running: Running, user: str, place: ImapStore, files: Files, person: Person
    ) -> None:
        put(place, files, "a", b"content")
        (uid,) = person.messages()
        person.flag(uid, r"\Deleted")
        with closing(opened(running, user)) as later:
            put(later, files, "b", b"content")
        person.flag(uid, r"\Deleted", "-")
        assert listed(place) == {"a": 7, "b": 7}


class Scripted:
    """An imaplib connection that answers with what it is given."""

    def __init__(self, **answers: list[tuple[str, list[object]]]) -> None:
        self._answers = answers
        self.left: list[object] = [None]

    def uid(self, command: str, *_words: str) -> tuple[str, list[object]]:
        return self._answers[command].pop(0)

    def noop(self) -> tuple[str, list[object]]:
        return "OK", [b""]

    def response(self, command: str) -> tuple[str, list[object]]:
        told, self.left = self.left, [None]
        return command, told


class TestAnswers:
    ONE = (b"1 (UID 1 BODY[TEXT]<0> {1}", b"x")

    def session(self, **answers: list[tuple[str, list[object]]]) -> tuple[Session, Scripted]:
        scripted, made = Scripted(**answers), Session.__new__(Session)
        made._imap = scripted  # type: ignore[assignment]
        made._messages = made._uids_expected = 0
        return made, scripted

    def test_a_refusal_because_some_have_gone_is_none(self) -> None:
        made, scripted = self.session(FETCH=[("NO", [b"Some are gone"])], SEARCH=[("OK", [b"1 3"])])
        scripted.left = [self.ONE, b")"]
        assert [found.uid for found in made.fetch([1, 2], "BODY.PEEK[TEXT]<0.1>")] == [1]
        assert scripted.left == [None]

    @pytest.mark.parametrize("there", [b"1 2", b"2", b"1"])
    def test_a_refusal_is_one_while_any_is_there_that_was_not_told(self, there: bytes) -> None:
        made, scripted = self.session(FETCH=[("NO", [b"Sorry"])], SEARCH=[("OK", [there])])
        with pytest.raises(SaidNo, match="Sorry"):
            list(made.fetch([1, 2], "BODY.PEEK[TEXT]<0.1>"))
        assert scripted.left == [None]

    def test_a_refusal_after_all_have_been_told_is_one(self) -> None:
        made, scripted = self.session(FETCH=[("NO", [b"Sorry"])])
        scripted.left = [self.ONE, b")"]
        with pytest.raises(SaidNo, match="Sorry"):
            list(made.fetch([1], "BODY.PEEK[TEXT]<0.1>"))

    def test_no_words_are_taken_for_numbers(self) -> None:
        assert self.session(SEARCH=[("OK", [b"5 0 x 7", None])])[0].search() == {5, 7}
        with pytest.raises(Refusal):
            self.session(SEARCH=[("NO", [b"Try 3 again"])])[0].search()
