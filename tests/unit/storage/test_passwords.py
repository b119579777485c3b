"""The order of docs/cli.md section 3.2."""

from __future__ import annotations

import pytest

from twofold.storage.passwords import FoundPassword, PasswordSource, exposed_password, find_password
from twofold.storage.url import StorageUrl

BOTH = {"BACKEND_PASSWORD": "backend", "FTP_PASSWORD": "ftp"}


def find(
    text: str, environment: dict[str, str], *, terminal: bool = False, ask_for_ssh: bool = False
) -> FoundPassword | None:
    return find_password(
        StorageUrl.parse(text),
        environment,
        ask=(lambda question: f"answer to {question}") if terminal else None,
        ask_for_ssh=ask_for_ssh,
    )


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("ftp://u:url@h/x", BOTH, FoundPassword("url", PasswordSource.URL)),
        ("ftp://u@h/x", BOTH, FoundPassword("backend", PasswordSource.VARIABLE)),
        ("ftp://u@h/x", {"FTP_PASSWORD": "ftp"}, FoundPassword("ftp", PasswordSource.OLD_VARIABLE)),
        ("ftp://u@h/x", {**BOTH, "BACKEND_PASSWORD": ""}, FoundPassword("ftp", PasswordSource.OLD_VARIABLE)),
        ("ftp://u@h/x", {}, FoundPassword("answer to Password for 'u@h': ", PasswordSource.PERSON)),
        (
            "ftp://u@h/x",
            dict.fromkeys(BOTH, ""),
            FoundPassword("answer to Password for 'u@h': ", PasswordSource.PERSON),
        ),
        ("ftp://h/x", {}, FoundPassword("answer to Password for 'h': ", PasswordSource.PERSON)),
        ("imaps://u@h/x", {**BOTH, "IMAP_PASSWORD": "i"}, FoundPassword("i", PasswordSource.MAIL_VARIABLE)),
        ("sftp://u@h/x", BOTH, FoundPassword("backend", PasswordSource.VARIABLE)),
    ],
)
def test_the_first_source_wins(text: str, environment: dict[str, str], expected: FoundPassword) -> None:
    assert find(text, environment, terminal=True) == expected


def test_mailboxes_do_not_take_the_common_variables() -> None:
    assert find("imap://u@h/x", BOTH) is None


@pytest.mark.parametrize("text", ["rsync://u@h/x", "sftp://u@h/x", "pexpect+scp://u@h/x"])
def test_nobody_is_asked_where_keys_are_usual(text: str) -> None:
    assert find(text, {}, terminal=True) is None


def test_ssh_is_asked_for_on_request_and_rsync_never() -> None:
    assert find("sftp://u@h/x", {}, terminal=True, ask_for_ssh=True) is not None
    assert find("rsync://u@h/x", {}, terminal=True, ask_for_ssh=True) is None


def test_without_a_terminal_nobody_is_asked() -> None:
    assert find("ftp://u@h/x", {}) is None


def test_a_found_password_is_not_shown() -> None:
    assert "backend" not in repr(FoundPassword("backend", PasswordSource.URL))


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("sftp://me:secret@host/x", "BACKEND_PASSWORD"),
        ("imaps://me:secret@host/x", "IMAP_PASSWORD"),
        ("sftp://me@host/x", None),
        ("sftp://me:@host/x", None),
        ("multi:///etc/targets.json", None),
        ("file:///a:b@c", None),
    ],
)
def test_a_password_in_a_url_is_warned_about_without_being_said(url: str, variable: str | None) -> None:
    said = exposed_password(StorageUrl.parse(url))
    assert (said is None) == (variable is None)
    assert said is None or (f"set {variable} instead" in said and "secret" not in said)
