"""Mailboxes on a real server: the conformance suite, and what goes wrong on the way."""

from __future__ import annotations

import base64
import binascii
import email
import imaplib
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.servers.mail import PASSWORD, dovecot
from tests.servers.process import HOST, Running, free_ports
from tests.servers.proxy import Fault, proxied
from twofold.errors import (
    Forbidden,
    Incomplete,
    InvalidUrl,
    NoPlace,
    NoSpace,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
)
from twofold.storage.drivers.imap import messages, session, store
from twofold.storage.drivers.imap.messages import LINE_BYTES, decoded, encoded, encoded_size, fields, part_of
from twofold.storage.drivers.imap.old_messages import beginning, old_part
from twofold.storage.drivers.imap.refusals import meaning
from twofold.storage.drivers.imap.session import Fetched, numbers, taken_apart, utf7
from twofold.storage.drivers.imap.store import ImapStore
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import Store
from twofold.storage.testing.conformance import StoreConformance
from twofold.storage.testing.ground import LARGE, Files, key, listed, put
from twofold.storage.url import StorageUrl

MAILBOX = "backup"
NAME = "duplicity-full.20261122T191112Z.manifest"
PART = LINE_BYTES * 1000

OLD = """Content-Type: multipart/mixed; boundary="===============5917706553770147130=="
MIME-Version: 1.0
From: daily
Subject: NAME

--===============5917706553770147130==
Content-Type: application/binary
MIME-Version: 1.0
Content-Transfer-Encoding: base64

CONTENT
--===============5917706553770147130==--
"""
"""As duplicity 0.8.22 writes it."""


def old_message(content: bytes, name: str = NAME) -> bytes:
    text = OLD.replace("NAME", name).replace("CONTENT", base64.encodebytes(content).decode())
    return text.replace("\n", "\r\n").encode()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with dovecot() as running:
        yield running


def opened(
    running: Running,
    user: str,
    *,
    port: int | None = None,
    password: str | None = PASSWORD,
    timeout: float = 20.0,
    scheme: str = "imaps",
    sender: str = "daily",
    **options: object,
) -> ImapStore:
    settings = {"ssl_cacert_file": str(running.folder.parent / "cert.pem"), "imap_mailbox": MAILBOX, **options}
    address = f"{HOST}:{port or running.ports[scheme == 'imaps']}"
    url = StorageUrl.parse(f"{scheme}://{user}@{address}/{sender}")
    services = ServiceOptions(**settings)  # type: ignore[arg-type]
    return ImapStore.from_url(url, StoreSettings(password=password, timeout=timeout, options=services))


class Person:
    """Somebody with a mail program who looks into the same mailbox."""

    def __init__(self, running: Running, user: str) -> None:
        self.imap = imaplib.IMAP4(HOST, running.port)
        self.imap.login(user, PASSWORD)
        self.imap.create(MAILBOX)
        self.imap.select(MAILBOX)

    def add(self, *texts: bytes, flags: str = "") -> None:
        for text in texts:
            self.imap.append(MAILBOX, flags, "", text)

    def messages(self, what: str = "ALL") -> dict[str, bytes]:
        """By number, whole."""
        self.imap.select(MAILBOX)
        found = self.imap.uid("SEARCH", what)[1][0].split()
        return {uid.decode(): self.imap.uid("FETCH", uid.decode(), "(BODY.PEEK[])")[1][0][1] for uid in found}

    def flag(self, uid: str, flag: str, sign: str = "+") -> None:
        self.imap.uid("STORE", uid, f"{sign}FLAGS", f"({flag})")

    def subjects(self) -> list[str]:
        return [str(email.message_from_bytes(text)["Subject"]) for text in self.messages().values()]


class TestDovecot(StoreConformance):
    @pytest.fixture
    def place(self, running: Running, tmp_path: Path) -> Callable[[], Store]:
        return lambda: opened(running, tmp_path.name)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "local files")


@pytest.fixture
def user(tmp_path: Path) -> str:
    return tmp_path.name


@pytest.fixture
def place(running: Running, user: str) -> Iterator[ImapStore]:
    with closing(opened(running, user)) as place:
        yield place


@pytest.fixture
def person(running: Running, user: str) -> Iterator[Person]:
    person = Person(running, user)
    yield person
    person.imap.shutdown()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (messages, store):
        monkeypatch.setattr(module, "PART_BYTES", PART)
    monkeypatch.setattr(store, "_LINES_AT_ONCE", 300)


@pytest.mark.usefixtures("small_parts")
class TestParts:
    def test_a_large_file_is_several_messages(self, place: ImapStore, person: Person, files: Files) -> None:
        content = os.urandom(PART * 3 + 1000)
        put(place, files, NAME, content)
        assert person.subjects() == [f"part {number} of 4 of {NAME}" for number in (1, 2, 3, 4)]
        assert person.messages("UNSEEN") == {}
        assert files.fetched(place, NAME) == content
        assert listed(place) == {NAME: len(content)}

    @pytest.mark.parametrize(
        ("start", "size"), [(0, 10), (PART - 5, 10), (PART, PART), (50, 2 * PART), (3 * PART + 990, 50), (57, 57 * 400)]
    )
    def test_a_range_may_lie_in_several(self, place: ImapStore, files: Files, start: int, size: int) -> None:
        content = os.urandom(PART * 3 + 1000)
        put(place, files, "a", content)
        assert place.read_range(key("a"), start, size) == content[start : start + size]

    def test_replaced_and_deleted_with_all_parts(self, place: ImapStore, person: Person, files: Files) -> None:
        for content in (bytes(PART * 3), b"short", bytes(PART * 2)):
            put(place, files, "a", content)
            assert files.fetched(place, "a") == content
        put(place, files, "b", bytes(PART * 2))
        assert len(person.messages()) == 4
        assert [*place.delete_many([key("a"), key("missing")])] == [key("a"), key("missing")]
        assert listed(place) == {"b": PART * 2}
        assert len(person.messages()) == 2

    def test_without_one_of_them_there_is_no_file_but_the_rest_stays(
        self, running: Running, user: str, place: ImapStore, person: Person, files: Files
    ) -> None:
        put(place, files, "a", bytes(PART * 3))
        last = [*person.messages()][-1]
        person.flag(last, r"\Deleted")
        with closing(opened(running, user)) as later:
            assert listed(later) == {}
            put(later, files, "b", b"content")
            person.flag(last, r"\Deleted", "-")
            assert listed(later) == {"a": PART * 3, "b": 7}

    def test_what_a_killed_writer_left_is_not_listed_and_goes_with_the_next_put(
        self, running: Running, user: str, person: Person, files: Files
    ) -> None:
        child = os.fork()
        if not child:
            with closing(opened(running, user)) as dying:
                dying.put(key("a"), files.source(bytes(PART * 3)), sent=kill_after(PART * 2))
        os.waitpid(child, 0)
        left = person.messages()
        assert len(left) == 2
        living = left.popitem()[1]
        person.add(living.replace(b"-%d-" % child, b"-%d-" % os.getpid()))
        with closing(opened(running, user)) as later:
            assert listed(later) == {}
            put(later, files, "b", b"content")
            assert listed(later) == {"b": 7}
        assert person.subjects() == ["part 2 of 3 of a", "b"]

    def test_copies_of_messages_do_no_harm(self, place: ImapStore, person: Person, files: Files) -> None:
        content = os.urandom(PART * 2)
        put(place, files, "a", content)
        assert len(person.messages()) == 2
        person.imap.copy("1:2", MAILBOX)
        assert listed(place) == {"a": len(content)}
        assert files.fetched(place, "a") == content
        place.delete(key("a"))
        assert listed(place) == {}


def kill_after(size: int) -> Callable[[int], None]:
    """A ByteCounter that ends the process."""
    left = [size]

    def count(number: int) -> None:
        left[0] -= number
        if left[0] < 0:
            os._exit(0)

    return count


class TestMailbox:
    def test_other_mail_is_not_listed_and_stays(self, place: ImapStore, person: Person, files: Files) -> None:
        letter = b"From: daily\r\nSubject: lunch\r\n\r\nAt noon?\r\n"
        person.add(letter, flags=r"(\Deleted)")
        person.add(
            letter, letter.replace(b"daily", b"aunt"), b"Subject: =?x?b?!?=\r\n\r\n", b"X-Twofold-File: =\r\n\r\n"
        )
        put(place, files, "a", b"old")
        put(place, files, "a", b"content")
        assert listed(place) == {"a": 7}
        place.delete(key("a"))
        assert len(person.messages()) == 5

    def test_where_only_all_deleted_mail_can_go_at_once_other_mail_stays(
        self, place: ImapStore, person: Person, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(imaplib.IMAP4, "capability", lambda _: ("OK", [b"IMAP4REV1"]))
        put(place, files, "a", b"content")
        place.delete(key("a"))
        assert person.messages() == {}
        person.add(b"Subject: lunch\r\n\r\n", flags=r"(\Deleted)")
        put(place, files, "a", b"content")
        place.delete(key("a"))
        assert listed(place) == {}
        assert person.subjects() == ["lunch", "a"]
        assert place.free_bytes() is None

    def test_backups_of_other_senders_are_others(self, running: Running, user: str, files: Files) -> None:
        with closing(opened(running, user)) as one, closing(opened(running, user, sender="weekly/%C3%BC")) as other:
            put(one, files, "a", b"content")
            put(other, files, "a", b"another")
            one.delete(key("a"))
            assert (listed(one), listed(other)) == ({}, {"a": 7})

    def test_a_mailbox_may_have_any_name(self, running: Running, user: str, files: Files) -> None:
        with closing(opened(running, user, imap_mailbox='S\u00f6hne & "T\u00f6chter"')) as place:
            put(place, files, "a", b"content")
            assert listed(place) == {"a": 7}

    def test_a_mailbox_that_disappears_is_not_an_empty_one(
        self, place: ImapStore, person: Person, files: Files
    ) -> None:
        put(place, files, "a", b"content")
        place.close()
        person.imap.close()
        person.imap.delete(MAILBOX)
        with pytest.raises(NoPlace, match="--imap-mailbox"):
            list(place.list())

    def test_a_mailbox_made_anew_is_read_anew(self, place: ImapStore, person: Person, files: Files) -> None:
        put(place, files, "a", b"content")
        text = [*person.messages().values()]
        place._connections.close()
        person.imap.close()
        person.imap.delete(MAILBOX)
        person.imap.create(MAILBOX)
        person.add(*text, text[0].replace(b"name=YQ==", b"name=Yg=="))
        assert listed(place) == {"a": 7, "b": 7}

    def test_numbers_of_a_mailbox_made_anew_delete_nothing(
        self, place: ImapStore, person: Person, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(place, files, "a", b"content")
        entered = session.Session.enter
        monkeypatch.setattr(session.Session, "enter", lambda self, *, write=False: entered(self, write=write) + write)
        with pytest.raises(Unavailable, match="made anew"):
            place.delete(key("a"))
        assert person.subjects() == ["a"]

    def test_a_server_that_does_not_tell_what_is_new_is_asked(
        self, place: ImapStore, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(place, files, "a", b"content")
        search, answers = session.Session.search, [set[int]()]
        monkeypatch.setattr(
            session.Session, "search", lambda self, *words: answers.pop() if answers else search(self, *words)
        )
        put(place, files, "b", b"content")
        assert listed(place) == {"a": 7, "b": 7}

    @pytest.mark.parametrize("silent_about", ["", "UIDNEXT"])
    def test_so_much_mail_that_it_is_asked_for_in_parts(
        self, place: ImapStore, files: Files, monkeypatch: pytest.MonkeyPatch, silent_about: str
    ) -> None:
        told = session.Session._told
        monkeypatch.setattr(session.Session, "_told", lambda self, word: word != silent_about and told(self, word))
        monkeypatch.setattr(session, "_ONE_ANSWER", 2)
        monkeypatch.setattr(session, "_AT_ONCE", 2)
        for name in "abcdefg":
            put(place, files, name, name.encode())
        place._connections.close()
        assert listed(place) == dict.fromkeys("abcdefg", 1)
        assert listed(place) == dict.fromkeys("abcdefg", 1)

    def test_the_quota_is_told_and_kept(self, files: Files) -> None:
        with dovecot("2M") as running, closing(opened(running, "me")) as place:
            put(place, files, "a", bytes(500_000))
            free = place.free_bytes()
            assert free is not None
            assert 900_000 < free < 1_100_000
            with pytest.raises(NoSpace, match="OVERQUOTA"):
                put(place, files, "b", bytes(LARGE))
            assert listed(place) == {"a": 500_000}

    def test_a_server_that_changes_messages_is_found_out(
        self, place: ImapStore, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(place, files, "a", b"old")
        ends = store.end_of
        monkeypatch.setattr(store, "end_of", lambda part, end: (ends(part, end)[0] - 1, len(end)))
        with pytest.raises(Unsupported, match="changed a message"):
            put(place, files, "a", b"content")
        assert listed(place) == {"a": 3}


class TestOldMessages:
    @pytest.mark.parametrize("size", [0, 1, 2, 3, 56, 57, 58, 114, 300, 3000, 57 * 100, 100_000])
    def test_files_of_duplicity_are_read_and_deleted(
        self, place: ImapStore, person: Person, files: Files, size: int
    ) -> None:
        content = os.urandom(size)
        person.add(old_message(content))
        assert listed(place) == {NAME: size}
        assert files.fetched(place, NAME) == content
        assert place.read_range(key(NAME), 50, 100) == content[50:150]
        put(place, files, NAME, b"new")
        assert files.fetched(place, NAME) == b"new"
        assert len(person.messages()) == 1
        place.delete(key(NAME))
        assert listed(place) == {}

    def test_folded_and_encoded_subjects_are_names(self, place: ImapStore, person: Person) -> None:
        encoded_name = "=?utf-8?b?" + base64.b64encode("\u00fc-b".encode()).decode() + "?="
        person.add(old_message(b"content", "\n a"), old_message(b"content", encoded_name), old_message(b"", "a/b"))
        assert listed(place) == {"a": 7, "\u00fc-b": 7}

    def test_a_message_of_ours_is_one_with_an_attachment(self, place: ImapStore, person: Person, files: Files) -> None:
        """What duplicity 0.8.22 was seen to read: a name for a subject, the URL's word, one part that is the file."""
        put(place, files, NAME, b"content" * 20)
        (text,) = person.messages().values()
        mail = email.message_from_bytes(text)
        assert (mail["Subject"], mail["From"], mail.is_multipart()) == (NAME, "daily", True)
        (attachment,) = mail.get_payload()
        assert attachment.get_payload(decode=True) == b"content" * 20
        assert attachment.get_filename() == NAME
        assert mail.defects == attachment.defects == []

    def test_what_has_no_attachment_is_no_file(self) -> None:
        assert beginning(b"From: daily\r\nSubject: a\r\n\r\nHello\r\n") is None
        begins = beginning(old_message(b"content"))
        assert begins is not None
        assert old_part(1, "a", begins, size=2000, tail=b"this is no base64!\r\n") is None


class TestLogin:
    def test_a_wrong_password_is_forbidden_and_not_shown(self, running: Running, user: str) -> None:
        place = opened(running, user, password="wrong secret")
        with pytest.raises(Forbidden, match="check user, password") as caught:
            list(place.list())
        assert "wrong secret" not in f"{caught.value} {caught.value!r} {place!r}"

    def test_without_a_password_it_says_where_to_put_it(self, running: Running, user: str) -> None:
        with pytest.raises(Forbidden, match="set IMAP_PASSWORD"):
            list(opened(running, user, password=None).list())

    def test_where_nobody_answers_it_is_unavailable(self, running: Running, user: str) -> None:
        with pytest.raises(Unavailable, match="refused"):
            list(opened(running, user, port=free_ports(1)[0]).list())

    @pytest.mark.parametrize("scheme", ["imap", "imaps"])
    def test_an_unknown_certificate_is_not_trusted(self, running: Running, user: str, scheme: str) -> None:
        with pytest.raises(Untrusted, match="--ssl-cacert-file"):
            list(opened(running, user, scheme=scheme, ssl_cacert_file=None).list())

    def test_verification_can_be_switched_off(self, running: Running, user: str) -> None:
        with closing(opened(running, user, scheme="imap", ssl_no_check_certificate=True)) as place:
            assert listed(place) == {}

    def test_the_user_may_be_the_whole_address_and_the_server_another(
        self, running: Running, user: str, files: Files
    ) -> None:
        url = StorageUrl.parse(f"imaps://{user}@example.org:{running.ports[1]}/daily")
        options = ServiceOptions(
            imap_full_address=True, imap_mailbox=MAILBOX, ssl_cacert_file=str(running.folder.parent / "cert.pem")
        )
        settings = StoreSettings(environment={"IMAP_SERVER": HOST}, password=PASSWORD, options=options)
        with closing(ImapStore.from_url(url, settings)) as place:
            put(place, files, "a", b"content")
        assert (running.folder / "mail" / f"{user}@example.org").is_dir()

    @pytest.mark.parametrize("url", ["imaps://h/x", "imaps://u@h", "imaps://u@h/", "imap://u@h/" + "x" * 201])
    def test_a_url_that_lacks_something_says_how_to_write_it(self, url: str) -> None:
        with pytest.raises(InvalidUrl, match=r"write imaps?://user@host/sender"):
            ImapStore.from_url(StorageUrl.parse(url), StoreSettings(password="p"))

    @pytest.mark.parametrize("url", ["imaps://u%0d%0aX@h/x", "imaps://u@h/x%0aX"])
    def test_no_line_end_can_be_smuggled_in(self, url: str) -> None:
        with pytest.raises(InvalidUrl, match="line ends"):
            ImapStore.from_url(StorageUrl.parse(url), StoreSettings(password="p"))


class TestBadWeather:
    @contextmanager
    def through_a_proxy(self, running: Running, user: str, fault: Fault, **options: float) -> Iterator[ImapStore]:
        """The second connection is the one that is hit."""
        with (
            proxied(running.port) as proxy,
            closing(opened(running, user, scheme="imap", port=proxy.port, **options)) as place,
        ):  # type: ignore[arg-type]
            listed(place)
            place._connections.close()
            proxy.weather.fault, proxy.weather.times, proxy.weather.after = fault, 1, 1 << 20
            yield place

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT])
    def test_a_put_that_breaks_off_leaves_the_old_file_and_works_the_next_time(
        self, running: Running, user: str, place: ImapStore, files: Files, fault: Fault
    ) -> None:
        put(place, files, "a", b"old")
        with self.through_a_proxy(running, user, fault) as bad:
            with pytest.raises((Unavailable, Incomplete)):
                put(bad, files, "a", bytes(LARGE))
            assert files.fetched(place, "a") == b"old"
            put(bad, files, "a", bytes(LARGE))
            assert listed(place) == {"a": LARGE}

    @pytest.mark.parametrize("fault", [Fault.RESET, Fault.SHORT])
    def test_a_get_that_breaks_off_is_unavailable_and_leaves_nothing(
        self, running: Running, user: str, place: ImapStore, files: Files, fault: Fault
    ) -> None:
        put(place, files, "a", bytes(LARGE))
        with self.through_a_proxy(running, user, fault) as bad:
            before = files.names()
            with pytest.raises(Unavailable):
                bad.get(key("a"), files.target())
            assert files.names() == before
            assert files.fetched(bad, "a") == bytes(LARGE)

    def test_silence_is_unavailable_after_the_time_limit(
        self, running: Running, user: str, place: ImapStore, files: Files
    ) -> None:
        put(place, files, "a", bytes(LARGE))
        with (
            self.through_a_proxy(running, user, Fault.STALL, timeout=1) as bad,
            pytest.raises(Unavailable, match="--timeout"),
        ):
            bad.get(key("a"), files.target())

    def test_a_dropped_connection_is_replaced_at_the_next_call(
        self, running: Running, user: str, place: ImapStore, files: Files
    ) -> None:
        put(place, files, "a", b"content")
        with proxied(running.ports[1]) as proxy, closing(opened(running, user, port=proxy.port)) as bad:
            assert bad.stat(key("a")).size == 7
            proxy.drop_connections()
            with pytest.raises(Unavailable):
                bad.stat(key("a"))
            assert bad.stat(key("a")).size == 7


class TestMessages:
    def test_a_message_is_sent_in_pieces(self, place: ImapStore, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes: list[int] = []
        send = ssl.SSLSocket.sendall

        def count(channel: ssl.SSLSocket, data: bytes, flags: int = 0) -> None:
            sizes.append(len(data))
            send(channel, data, flags)

        monkeypatch.setattr(ssl.SSLSocket, "sendall", count)
        put(place, files, "a", bytes(LARGE))
        assert max(sizes) <= encoded_size(messages.PIECE_BYTES)
        assert sum(sizes) < encoded_size(LARGE) + 3000

    @pytest.mark.parametrize("size", [0, 1, 2, 56, 57, 58, 114, 5000])
    def test_base64_is_what_the_email_package_makes_of_it(self, size: int) -> None:
        content = os.urandom(size)
        assert encoded(content) == base64.encodebytes(content).replace(b"\n", b"\r\n")
        assert encoded_size(size) == len(encoded(content))
        assert decoded(encoded(content)) == content

    @pytest.mark.parametrize("text", [b"AAA\x00A\r\n", b"AA\r\n", b"AA=A\r\n", b"\xff\xff\xff\xff"])
    def test_what_is_no_base64_is_not_taken_for_some(self, text: bytes) -> None:
        with pytest.raises(binascii.Error):
            decoded(text)

    @pytest.mark.parametrize(
        "ours",
        [
            "",
            "put=p from=0 bytes=5 of=4 at=1 name=YQ== place=ZGFpbHk=",
            "put=p from=0 bytes=-5 of=4 at=1 name=YQ== place=ZGFpbHk=",
            "put=p from=0 bytes=4 of=4 at=1 name=YS9i place=ZGFpbHk=",
            "put=p from=0 bytes=4 of=4 at=1 name=Y place=ZGFpbHk=",
            "put=p from=0 bytes=4 of=4 at=1 name=YQ== place=YQ==",
            "put= from=0 bytes=4 of=4 at=1 name=YQ== place=ZGFpbHk=",
            f"put=p from=0 bytes={'9' * 50} of=4 at=1 name=YQ== place=ZGFpbHk=",
        ],
    )
    def test_a_header_that_makes_no_sense_is_no_part(self, ours: str) -> None:
        assert part_of(1, ours, place="daily") is None

    def test_headers_are_unfolded(self) -> None:
        text = "X-Twofold-File: put=p from=0 bytes=4\r\n of=4 at=1 name=YQ==\r\n\tplace=ZGFpbHk=\r\nFrom: x y \r\n\r\n"
        read = fields(text)
        assert read.sender == "x y"
        part = part_of(7, read.ours, place="daily")
        assert part is not None
        assert (part.uid, part.name, part.total) == (7, "a", 4)


class TestProtocol:
    def test_numbers_are_told_as_ranges(self) -> None:
        assert numbers([1, 2, 3, 7, 9, 10]) == "1:3,7,9:10"

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("INBOX", "INBOX"),
            ("a & b", "a &- b"),
            ("~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ],
    )
    def test_names_of_mailboxes_are_written_as_the_rfc_shows(self, name: str, told: str) -> None:
        assert utf7(name) == told

    def test_answers_are_taken_apart_however_they_are_put(self) -> None:
        answer: list[bytes | tuple[bytes, bytes] | None] = [
            (b"1 (UID 5 RFC822.SIZE 9 BODY[] {3}", b"abc"),
            b")",
            b"3 (FLAGS (\\Seen) UID 6)",
            (b"2 (BODY[TEXT]<0> {2}", b"de"),
            b" UID 7)",
            b'4 (UID 8 BODY[TEXT]<5> "f\\"g")',
            b"5 (UID 9 BODY[TEXT]<5> NIL)",
            None,
        ]
        assert [*taken_apart(answer)] == [
            Fetched(5, 9, b"abc"),
            Fetched(7, 0, b"de"),
            Fetched(8, 0, b'f"g'),
            Fetched(9, 0, b""),
        ]

    @pytest.mark.parametrize(
        ("said", "kind"),
        [
            ("[OVERQUOTA] full", NoSpace),
            ("Quota exceeded", NoSpace),
            ("[AUTHENTICATIONFAILED] no", Forbidden),
            ("[ALERT] Too many simultaneous connections", Unavailable),
            ("[UNAVAILABLE] later", Unavailable),
            ("Temporary failure, try again", Unavailable),
            ("[THROTTLED] slowly", Unavailable),
            ("[TOOBIG] no", Unsupported),
            ("something else", StorageError),
        ],
    )
    def test_refusals_are_understood(self, said: str, kind: type[StorageError]) -> None:
        assert meaning(said) is kind
