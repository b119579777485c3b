"""What the process was started with: variables, program name, host and terminal. The only module that reads them.

A value of this kind never shows its variables when printed, since some are passwords.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping

from twofold.model.value import field, value
from twofold.ui.version import TWOFOLD, program_name

_OUR_SECRETS = frozenset({"PASSPHRASE", "SIGN_PASSPHRASE", "BACKEND_PASSWORD", "FTP_PASSWORD"})

_CREDENTIALS = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "B2_APPLICATION_KEY",
        "B2_APPLICATION_KEY_ID",
        "CLOUDFILES_APIKEY",
        "CLOUDFILES_USERNAME",
        "DPBX_ACCESS_TOKEN",
        "DPBX_APP_KEY",
        "DPBX_APP_SECRET",
        "GOOGLE_DRIVE_ACCOUNT_KEY",
        "IMAP_PASSWORD",
        "JOTTACLOUD_PASSWORD",
        "JOTTACLOUD_USERNAME",
        "OAUTH2_CLIENT_ID",
        "OAUTH2_REFRESH_TOKEN",
        "PCA_PASSWORD",
        "PCA_PREAUTHTOKEN",
        "RSYNC_PASSWORD",
        "SLATE_API_KEY",
        "SWIFT_PASSWORD",
        "SWIFT_PREAUTHTOKEN",
    }
)
_CREDENTIAL_PREFIXES = ("AZURE_", "RCLONE_")  # any setting of rclone may be a password, and most of Azure are

_SYSTEM_TMPDIRS = ("/tmp", "/var/tmp", "/usr/tmp")  # noqa: S108 - candidates, a directory of our own is made below

_OLD_VARIABLE_ADVICE = (
    "The environment variable FTP_PASSWORD is deprecated for all targets. "
    "Please use BACKEND_PASSWORD instead, which means the same"
)


@value
class Environment:
    """Values from the start of the process (docs/cli.md section 3).

    `account_home` is the home directory that the system knows for the user, for runs from cron that lack HOME.
    Variables and arguments hold undecodable bytes as surrogates; `os.fsencode` gives them back.
    """

    program: str = TWOFOLD
    arguments: tuple[str, ...] = field(default=(), repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    account_home: str = "/"
    hostname: str = "localhost"
    working_directory: str | None = None
    stdin_is_terminal: bool = False
    stdout_is_terminal: bool = False
    stderr_is_terminal: bool = False

    @classmethod
    def of_process(cls) -> Environment:
        """This process, now; later changes of os.environ do not show."""
        variables = dict(os.environ)
        return cls(
            program=program_name(sys.argv[0]),
            arguments=tuple(sys.argv[1:]),
            variables=variables,
            account_home=variables.get("HOME") or _account_home(),
            hostname=os.uname().nodename,
            working_directory=_working_directory(),
            stdin_is_terminal=_is_terminal(0),
            stdout_is_terminal=_is_terminal(1),
            stderr_is_terminal=_is_terminal(2),
        )

    @property
    def passphrase(self) -> str | None:
        """PASSPHRASE; set but empty counts as set."""
        return self.variables.get("PASSPHRASE")

    @property
    def sign_passphrase(self) -> str | None:
        """SIGN_PASSPHRASE; set but empty counts as set."""
        return self.variables.get("SIGN_PASSPHRASE")

    @property
    def backend_password(self) -> str | None:
        """BACKEND_PASSWORD, or FTP_PASSWORD where that is empty; None if both are unset."""
        new, old = self.variables.get("BACKEND_PASSWORD"), self.variables.get("FTP_PASSWORD")
        return new or (old if old is not None else new)

    @property
    def password_advice(self) -> str | None:
        """What to tell whoever still uses FTP_PASSWORD."""
        uses_old = self.variables.get("FTP_PASSWORD") and not self.variables.get("BACKEND_PASSWORD")
        return _OLD_VARIABLE_ADVICE if uses_old else None

    @property
    def home(self) -> str:
        return self.variables.get("HOME") or self.account_home

    @property
    def cache_home(self) -> str:
        """Where caches live; duplicity's are in `duplicity` below."""
        return self.variables.get("XDG_CACHE_HOME") or os.path.join(self.home, ".cache")

    @property
    def config_home(self) -> str:
        return self.variables.get("XDG_CONFIG_HOME") or os.path.join(self.home, ".config")

    @property
    def tempdir_candidates(self) -> tuple[str, ...]:
        """Directories to try for temporary files when --tempdir is not given, best first; they may not exist."""
        own = (self.variables.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
        here = (self.working_directory,) if self.working_directory else ()
        return (*(value for value in own if value), *_SYSTEM_TMPDIRS, *here)

    @property
    def pager(self) -> str | None:
        return self.variables.get("PAGER") or None

    @property
    def holds_secrets(self) -> bool:
        """Whether there is a passphrase or credential among the variables."""
        return any(text and _is_secret(name) for name, text in self.variables.items())

    def child_environment(self, *, keep: Iterable[str] = ()) -> dict[str, str]:
        """The variables for a child process: without passphrases, and without credentials but those in `keep`."""
        kept = frozenset(keep)
        return {name: value for name, value in self.variables.items() if name in kept or not _is_secret(name)}

    def expand_path(self, path: str) -> str:
        """`path` with a leading ~ and all $NAME and ${NAME} replaced; unknown ones stay as they are."""
        if path.startswith("~"):
            user, slash, rest = path[1:].partition("/")
            home = _home_of(user) if user else self.home
            path = home + slash + rest if home is not None else path
        if "$" not in path:
            return path
        import re

        return re.sub(
            r"\$(?:(\w+)|\{([^}]*)\})", lambda found: self.variables.get(found[1] or found[2], found[0]), path
        )

    def fqdn(self) -> str:
        """The host's fully qualified name; may ask a name server, so call it only when it matters."""
        import socket

        return socket.getfqdn()


def _is_secret(name: str) -> bool:
    return name in _OUR_SECRETS or name in _CREDENTIALS or name.startswith(_CREDENTIAL_PREFIXES)


def _account_home() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/"


def _home_of(user: str) -> str | None:
    import pwd

    try:
        return pwd.getpwnam(user).pw_dir
    except KeyError:
        return None


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
