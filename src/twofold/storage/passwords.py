"""Where a target's password comes from: pure, the environment and the question are handed in.

The order is docs/cli.md section 3.2: URL, BACKEND_PASSWORD, FTP_PASSWORD, a question on the terminal. Mailboxes have
IMAP_PASSWORD instead of the two variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from twofold.model.value import field, value
from twofold.storage.url import StorageUrl

_ASKED_ONLY_ON_REQUEST = frozenset(
    ["sftp", "scp", "paramiko+sftp", "paramiko+scp", "lftp+sftp", "pexpect+sftp", "pexpect+scp", "fish", "lftp+fish"]
)
_NEVER_ASKED = frozenset({"rsync", "gdrive", "pydrive", "pydrive+gdocs", "gdocs"})
_MAIL = frozenset({"imap", "imaps"})


class PasswordSource(Enum):
    """Who gave the password: a URL shows it to other users, FTP_PASSWORD is an old name. Both deserve a warning."""

    URL = "url"
    VARIABLE = "BACKEND_PASSWORD"
    OLD_VARIABLE = "FTP_PASSWORD"
    MAIL_VARIABLE = "IMAP_PASSWORD"
    PERSON = "prompt"


@value
class FoundPassword:
    """A password and where it was found."""

    value: str = field(repr=False)
    source: PasswordSource


def find_password(
    url: StorageUrl,
    environment: Mapping[str, str],
    *,
    ask: Callable[[str], str] | None,
    ask_for_ssh: bool = False,
) -> FoundPassword | None:
    """The first password in the order above; None when there is none and nobody is to be asked.

    An empty variable is none: front ends export all of them (docs/cli.md section 10).

    `ask` gets the question and returns the answer; None without a terminal. Hosts reached by ssh have keys, so there it
    is asked only with `ask_for_ssh` (--ssh-askpass); rsync takes no answer. Call it once a run and keep the result.
    """
    if url.password is not None:
        return FoundPassword(url.password, PasswordSource.URL)
    for source in _variables(url.scheme):
        if found := environment.get(source.value):
            return FoundPassword(found, source)
    if ask is None or url.scheme in _NEVER_ASKED or (url.scheme in _ASKED_ONLY_ON_REQUEST and not ask_for_ssh):
        return None
    return FoundPassword(ask(question(url)), PasswordSource.PERSON)


def exposed_password(url: StorageUrl) -> str | None:
    """What to say of a password that the URL shows to everybody; None when there is none in it."""
    if not url.password:
        return None
    variable = _variables(url.scheme)[0].value
    return (
        "Other users of this machine can see the password in the URL, in its list of processes. Leave it out and set "
        f"{variable} instead"
    )


def _variables(scheme: str) -> tuple[PasswordSource, ...]:
    if scheme in _MAIL:
        return (PasswordSource.MAIL_VARIABLE,)
    return PasswordSource.VARIABLE, PasswordSource.OLD_VARIABLE


def question(url: StorageUrl) -> str:
    """What a person is asked."""
    account = f"{url.user}@{url.host}" if url.user else url.host
    return f"Password for '{account}': "
