"""How gpg is called (docs/format.md section 7.2, docs/cli.md section 8.2): settings in, words and variables out.

No passphrase is ever among the words or the variables. Words of the user come after ours, so that they win, but before
those on which the shape of our messages depends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from twofold.envelope import deflate
from twofold.model.value import value

IGNORE_MDC_ERROR: Final = "--ignore-mdc-error"
_S2K_COUNT: Final = "65011712"
"""Bytes hashed to make a key of a passphrase (RFC 4880 section 3.7.1.3)."""


class Passphrases(Protocol):
    """Where passphrases come from. Asked only when one is needed, from any thread, every time anew."""

    def for_decryption(self) -> str | None:
        """The one for symmetric encryption, and for secret keys that decrypt; None when gpg has to do without."""

    def for_signing(self) -> str | None:
        """The one of the secret key that signs; None when gpg has to do without."""


@value
class GpgSettings:
    """How files are encrypted, signed and read again.

    `environment` is what gpg gets, save variables that look like secrets. `temp_dir` takes decrypted data while
    they are read. Without
    `recipients` and `hidden_recipients` the encryption is symmetric. `sign_key` signs what is written,
    `demanded_signer` must have signed what is read. `level` is isal's (0 to 3), None leaves data as they are.
    `ignore_mdc_error` accepts messages older than integrity packets, which nothing protects from changes.
    """

    environment: Mapping[str, str]
    temp_dir: str
    binary: str = "gpg"
    options: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    hidden_recipients: tuple[str, ...] = ()
    sign_key: str | None = None
    demanded_signer: str | None = None
    level: int | None = deflate.DEFAULT_LEVEL
    use_agent: bool = False
    ignore_mdc_error: bool = False

    @property
    def symmetric(self) -> bool:
        return not self.recipients and not self.hidden_recipients

    @property
    def needs_integrity(self) -> bool:
        return not self.ignore_mdc_error and IGNORE_MDC_ERROR not in self.options


_SECRET_NAMES: Final = ("PASSPHRASE", "PASSWORD", "SECRET", "TOKEN", "CREDENTIAL", "ACCESS_KEY", "ACCOUNT_KEY")

_COMMON: Final = (
    "--batch",
    "--no-tty",
    "--no-secmem-warning",
    "--always-trust",
    # Processes that run at once would sleep for this file's lock, up to a second and a half (docs/design.md section 3).
    "--no-random-seed-file",
    # A key that is not in the keyring is a mistake to report, not a question to the network.
    "--no-auto-key-locate",
)


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for gpg: all but those whose names speak of secrets."""
    return {
        name: value for name, value in environment.items() if not any(word in name.upper() for word in _SECRET_NAMES)
    }


def encrypt_command(settings: GpgSettings, *, passphrase_fd: int | None) -> list[str]:
    """Encrypts ready-made packets from stdin to stdout (docs/format.md section 7.3)."""
    words = _beginning(settings, passphrase_fd)
    if settings.symmetric:
        # SHA-256 takes half the time of SHA-1 at the same count. The count is the largest there is, and what gpg takes
        # where gpg-agent finds the machine fast enough; named here, no agent has to be started to find out.
        words += ("--s2k-digest-algo", "SHA256", "--s2k-count", _S2K_COUNT)
    words += settings.options
    # NB: armour would make files a third larger than announced, compression would be done twice.
    words += ("--no-armor", "--compress-algo", "none", "--compress-level", "0", "--no-literal")
    for key in settings.recipients:
        words += ("--recipient", key)
    for key in settings.hidden_recipients:
        words += ("--hidden-recipient", key)
    words.append("--symmetric" if settings.symmetric else "--encrypt")
    return words


def sign_command(settings: GpgSettings, key: str, *, passphrase_fd: int | None) -> list[str]:
    """Makes a detached binary signature of stdin."""
    words = _beginning(settings, passphrase_fd)
    words += settings.options
    words += ("--no-armor", "--no-textmode", "--local-user", key, "--detach-sign")
    return words


def decrypt_command(
    settings: GpgSettings, *, passphrase_fd: int | None, status_fd: int, keep_packets: bool
) -> list[str]:
    """Decrypts stdin to stdout; with `keep_packets` nothing but the encryption is removed, and no signature checked."""
    words = _beginning(settings, passphrase_fd)
    words += ("--status-fd", str(status_fd))
    words += settings.options
    if settings.ignore_mdc_error:
        words.append(IGNORE_MDC_ERROR)
    if keep_packets:
        words.append("--unwrap")
    words.append("--decrypt")
    return words


def list_keys_command(settings: GpgSettings, key: str, *, secret: bool = False) -> list[str]:
    """Describes public keys to a program, or secret ones."""
    wanted = "--list-secret-keys" if secret else "--list-keys"
    return [*_beginning(settings, None), *settings.options, "--with-colons", wanted, "--", key]


def version_command(settings: GpgSettings) -> list[str]:
    """Asks what is installed."""
    return [settings.binary, "--version"]


def _beginning(settings: GpgSettings, passphrase_fd: int | None) -> list[str]:
    words = [settings.binary, *_COMMON]
    if not settings.use_agent:
        words += ("--pinentry-mode", "loopback")
    if passphrase_fd is not None:
        words += ("--passphrase-fd", str(passphrase_fd))
    return words


def fingerprints(colons: str) -> frozenset[str]:
    """The fingerprints of all keys and subkeys in the output of `--with-colons --list-keys`."""
    lines = (line.split(":") for line in colons.splitlines())
    return frozenset(fields[9].upper() for fields in lines if fields[0] == "fpr" and len(fields) > 9)
