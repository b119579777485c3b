"""What is said of keys that could not be used."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.support.envelopes import FixedPassphrases, cut, sample, seal
from tests.support.gnupg import GnupgHome
from tests.unit.envelope.conftest import MakeSettings
from twofold.envelope.gpg import GpgEnvelope
from twofold.envelope.gpg_keys import key_fault, recipient_fault, signer_fault
from twofold.envelope.gpg_status import blames_keys, parse_status
from twofold.envelope.stored_file import StoredFile
from twofold.errors import EnvelopeError


@pytest.mark.parametrize(
    ("colons", "fault"),
    [
        ("", "missing"),
        ("tru::1:1\n", "missing"),
        ("pub:u:255:22:A::::\nfpr:::::::::A:\nsub:e:255:18:B::\n", ""),
        ("pub:e:255:22:A::::\n", "has expired"),
        ("sec:r:255:22:A::::\n", "has been revoked"),
        ("pub:e:255:22:A::::\npub:-:255:22:C::::\n", ""),
    ],
)
def test_the_listing_tells_what_is_wrong_with_a_key(colons: str, fault: str) -> None:
    assert key_fault(colons) == fault


def test_keys_that_are_there_have_no_fault_but_perhaps_a_passphrase(
    settings: MakeSettings, gnupg_home: GnupgHome
) -> None:
    key = gnupg_home.locked.fingerprint
    assert recipient_fault(settings(recipients=(key,), hidden_recipients=(key,))) == ""
    assert "check SIGN_PASSPHRASE" in signer_fault(settings(), key)


def test_a_gpg_that_was_killed_is_called_that(settings: MakeSettings, tmp_path: Path) -> None:
    program = tmp_path / "killed"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o700)
    envelope = GpgEnvelope(settings(binary=str(program)), FixedPassphrases("x"))
    with pytest.raises(EnvelopeError, match="ended by signal 9 before it was done: try again"):
        seal(envelope, tmp_path / "file.gpg", cut(sample(3_000_000), 1 << 20))


@pytest.mark.parametrize(
    ("text", "blamed"),
    [
        ("NO_SECKEY 08AF87544E1AE015", True),
        ("MISSING_PASSPHRASE", True),
        ("ERROR pkdecrypt_failed 67108875", True),
        ("ERROR pkdecrypt_failed 67108886", False),
        ("BADMDC", False),
    ],
)
def test_only_keys_and_passphrases_are_blamed_before_anything_was_written(text: str, blamed: bool) -> None:
    assert blames_keys(parse_status(f"[GNUPG:] {text}\n")) is blamed


def test_a_file_that_can_grow_has_room(tmp_path: Path) -> None:
    file = StoredFile.create(str(tmp_path / "file"))
    file.append(b"beginning")
    file.check_room()
    file.remove()
    assert os.listdir(tmp_path) == []


def test_a_file_that_cannot_grow_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = StoredFile.create(str(tmp_path / "file"))
    monkeypatch.setattr(os, "pwrite", full)
    monkeypatch.setattr(os, "write", full)
    for grow in (file.check_room, lambda: file.append(b"more")):
        with pytest.raises(OSError, match="No space left on device") as caught:
            grow()
        assert caught.value.filename == str(tmp_path / "file")
    file.remove()
