"""--ssh-options and the place that a URL names, for all drivers of this folder: pure, asyncssh is not needed here."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from typing import Final

from twofold.errors import UserError
from twofold.model.value import field, value
from twofold.storage.places import server_directory
from twofold.storage.settings import StoreSettings
from twofold.storage.url import StorageUrl

_KEYWORDS: Final = {
    "i": "IdentityFile",
    "p": "Port",
    "l": "User",
    "J": "ProxyJump",
    "c": "Ciphers",
    "m": "MACs",
}
_SWITCHES: Final = {"4": "AddressFamily inet", "6": "AddressFamily inet6", "C": "Compression yes"}
_WITHOUT_MEANING: Final = frozenset("aAfgkKnNqsTvxXyY")
"""Flags of ssh about sessions and messages, of which there are none here."""

_ACCEPTING: Final = frozenset({"accept-new", "no", "off"})


@value
class SshOptions:
    """`words` are for the programs of OpenSSH; `lines` say the same as a configuration that goes before all others.

    `configuration` replaces the user's and the system's files (-F). `accepts_new` is said by StrictHostKeyChecking: the
    key of a host never met is noted down and trusted. A key that has changed is refused all the same, also with `no`.
    """

    words: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    configuration: str | None = None
    accepts_new: bool = False

    @classmethod
    def parse(cls, text: str) -> SshOptions:
        """Reads --ssh-options, words as a shell would split them. Raises UserError."""
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise UserError(f"--ssh-options cannot be split into words ({error}): {text}") from error
        lines: list[str] = []
        configuration = None
        for letter, argument in _flags(words, text):
            if letter == "F":
                configuration = argument
            elif letter == "o":
                lines.append(re.sub(r"\s*[\s=]\s*", " ", argument.strip(), count=1))
            elif letter in _KEYWORDS:
                lines.append(f'{_KEYWORDS[letter]} "{argument}"')
            else:
                lines.append(_SWITCHES[letter])
        return cls(tuple(words), tuple(lines), configuration, _accepts_new(lines))


def _flags(words: list[str], text: str) -> Iterator[tuple[str, str]]:
    """The flags that mean something here, with their arguments."""
    left = iter(words)
    for word in left:
        letter, rest = word[1:2], word[2:]
        if not word.startswith("-") or not letter:
            raise UserError(f"--ssh-options must consist of options of ssh, not of {word!r}: {text}")
        if letter in _KEYWORDS or letter in "oF":
            argument = rest or next(left, "")
            if not argument:
                raise UserError(f"--ssh-options: -{letter} lacks its argument: {text}")
            yield letter, argument
        elif letter in _SWITCHES:
            yield letter, ""
        elif letter not in _WITHOUT_MEANING:
            raise UserError(f"--ssh-options: {word} means nothing here; use -o, -i, -p, -l, -J, -c, -m, -F: {text}")


def _accepts_new(lines: list[str]) -> bool:
    for line in lines:
        keyword, _, setting = line.partition(" ")
        if keyword.lower() == "stricthostkeychecking":
            return setting.strip('"').lower() in _ACCEPTING
    return False


@value
class SshTarget:
    """Whom to reach and how; `password` opens the account and locked keys. Times are in seconds of silence.

    `home` has .ssh; `agent` is the socket of ssh-agent. `directory` is empty for the one that a login begins in.
    """

    host: str
    directory: str
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = 30.0
    options: SshOptions = SshOptions()
    home: str = ""
    agent: str = ""
    temp_dir: str | None = None

    @classmethod
    def of(cls, url: StorageUrl, settings: StoreSettings) -> SshTarget:
        """Raises UserError when the options cannot be read."""
        return cls(
            host=url.host,
            directory=server_directory(url),
            port=url.port,
            user=url.user or None,
            password=settings.password,
            timeout=settings.timeout,
            options=SshOptions.parse(settings.options.ssh_options),
            home=settings.environment.get("HOME") or os.path.expanduser("~"),
            agent=settings.environment.get("SSH_AUTH_SOCK", ""),
            temp_dir=settings.options.tempdir,
        )

    @property
    def label(self) -> str:
        """The account as messages name it."""
        account = f"{self.user}@{self.host}" if self.user else self.host
        return account if self.port is None else f"{account}:{self.port}"

    @property
    def place_label(self) -> str:
        """The directory as messages name it."""
        return f"{self.label}, {self.directory or 'the login directory'}"

    def path(self, name: str) -> str:
        """Where a file of the place lies on the server."""
        return f"{self.directory.rstrip('/')}/{name}" if self.directory else name

    @property
    def place(self) -> str:
        """The directory as the server is asked for it."""
        return self.directory or "."
