"""Throw-away GnuPG homes: two key pairs, one of them without a passphrase, and an agent that is ended with the home.

The homes lie directly below the system's temporary folder because the agent's socket must fit in 108 characters.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.tools import require_tool

LOCKED_PASSPHRASE = "a locked key's passphrase"
SYMMETRIC_PASSPHRASE = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A primary key that signs and a subkey that encrypts."""

    fingerprint: str
    mail: str
    passphrase: str


@dataclass(frozen=True, slots=True)
class GnupgHome:
    path: str
    bare: KeyPair
    locked: KeyPair

    @property
    def keys(self) -> tuple[KeyPair, KeyPair]:
        return (self.bare, self.locked)

    def forget_passphrases(self) -> None:
        """Lets the agent forget what it was told before."""
        subprocess.run(
            [require_tool("gpgconf"), "--homedir", self.path, "--reload", "gpg-agent"], check=True, timeout=60
        )


def run_gpg(home: str, *arguments: str, given: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
    """Runs gpg on a home with nothing of the caller's GnuPG in reach."""
    command = [require_tool("gpg"), "--homedir", home, "--batch", "--no-tty", "--pinentry-mode", "loopback", *arguments]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": home, "GNUPGHOME": home}
    return subprocess.run(command, input=given, capture_output=True, check=check, timeout=60, env=environment)


def secret_key(home: str, key: KeyPair) -> bytes:
    """The armoured secret key, for a home elsewhere."""
    return run_gpg(home, "--passphrase", key.passphrase, "--armor", "--export-secret-keys", key.fingerprint).stdout


def public_key(home: str, key: KeyPair) -> bytes:
    return run_gpg(home, "--armor", "--export", key.fingerprint).stdout


@contextlib.contextmanager
def gnupg_folder() -> Iterator[str]:
    """An empty home; ends its agent and deletes it."""
    home = tempfile.mkdtemp(prefix="twofold-gnupg-")
    try:
        yield home
    finally:
        stop = [require_tool("gpgconf"), "--homedir", home, "--kill", "all"]
        subprocess.run(stop, capture_output=True, check=False, timeout=60)
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def gnupg_home() -> Iterator[GnupgHome]:
    """A home with both key pairs, secret parts included."""
    with gnupg_folder() as home:
        yield GnupgHome(
            path=home,
            bare=make_key(home, "bare", ""),
            locked=make_key(home, "locked", LOCKED_PASSPHRASE),
        )


@contextlib.contextmanager
def public_only(source: GnupgHome) -> Iterator[GnupgHome]:
    """The same keys without their secret parts: a machine that can make backups and not read them."""
    with imported(*(public_key(source.path, key) for key in source.keys)) as home:
        yield GnupgHome(path=home, bare=source.bare, locked=source.locked)


@contextlib.contextmanager
def imported(*keys: bytes) -> Iterator[str]:
    """A home that holds just these keys."""
    with gnupg_folder() as home:
        for key in keys:
            run_gpg(home, "--import", given=key)
        yield home


def make_key(home: str, name: str, passphrase: str) -> KeyPair:
    mail = f"{name}@twofold.example"
    protection = f"Passphrase: {passphrase}\n" if passphrase else "%no-protection\n"
    recipe = (
        f"Key-Type: EDDSA\nKey-Curve: ed25519\nKey-Usage: cert sign\n"
        "Subkey-Type: ECDH\nSubkey-Curve: cv25519\nSubkey-Usage: encrypt\n"
        f"Name-Real: Twofold {name}\nName-Email: {mail}\nExpire-Date: 0\n{protection}%commit\n"
    )
    status = run_gpg(home, "--status-fd", "1", "--full-generate-key", given=recipe.encode()).stdout.decode()
    created = next(line.split() for line in status.splitlines() if line.startswith("[GNUPG:] KEY_CREATED"))
    return KeyPair(fingerprint=created[3], mail=mail, passphrase=passphrase)
