"""Encrypted files and other programs: plain gpg reads ours, we read what plain gpg and duplicity write, and back."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.chain import Chain, Mode
from tests.support.envelopes import FixedPassphrases, cut, gpg_settings, read_all, sample, seal
from tests.support.gnupg import SYMMETRIC_PASSPHRASE, GnupgHome, run_gpg
from tests.support.programs import Program, Workspace
from tests.support.tree import Fidelity
from twofold.envelope.gpg import GpgEnvelope
from twofold.envelope.protocol import Sealed
from twofold.errors import EnvelopeError

CONTENT = sample(250_000)
PASSPHRASE = ("--passphrase", SYMMETRIC_PASSPHRASE)
FAST = ("--s2k-count", "65536")


def passphrases(home: GnupgHome) -> FixedPassphrases:
    return FixedPassphrases(SYMMETRIC_PASSPHRASE, home.locked.passphrase)


@pytest.mark.parametrize("level", [None, 1], ids=["as it is", "deflated"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("receiver", ["passphrase", "recipient", "hidden recipient", "two recipients"])
def test_gpg_reads_our_files(
    receiver: str, signed: bool, level: int | None, gnupg_home: GnupgHome, tmp_path: Path
) -> None:
    bare, locked = gnupg_home.keys
    changes: dict[str, object] = {
        "passphrase": {},
        "recipient": {"recipients": (bare.fingerprint,)},
        "hidden recipient": {"hidden_recipients": (bare.fingerprint,)},
        "two recipients": {"recipients": (locked.fingerprint, bare.mail)},
    }[receiver]
    signer = bare.fingerprint if signed else None
    envelope = GpgEnvelope(
        gpg_settings(gnupg_home.path, tmp_path / "scratch", level=level, sign_key=signer, **changes),
        passphrases(gnupg_home),
    )
    path = tmp_path / "file.gpg"
    seal(envelope, path, cut(CONTENT, 100_000))
    read = run_gpg(gnupg_home.path, *PASSPHRASE, "--status-file", str(tmp_path / "status"), "--decrypt", str(path))
    status = (tmp_path / "status").read_text()
    assert read.stdout == CONTENT
    assert "GOODMDC" in status
    assert (f"VALIDSIG {signer}" in status) == signed
    assert ("GOODSIG" in status) == signed


SYMMETRIC_WAYS = {
    "zip": ("--compress-algo", "zip", "--symmetric"),
    "zlib": ("--compress-algo", "zlib", "--symmetric"),
    "bzip2": ("--compress-algo", "bzip2", "--symmetric"),
    "not compressed": ("--compress-algo", "none", "--symmetric"),
    "best compression": ("-z", "9", "--symmetric"),
    "armoured": ("--armor", "--symmetric"),
    "another cipher": ("--cipher-algo", "TWOFISH", "--symmetric"),
    "a file name": ("--set-filename", "volume", "--symmetric"),
}
KEY_WAYS = {
    "public key": ("--always-trust", "--recipient", "KEY", "--encrypt"),
    "hidden recipient": ("--always-trust", "--hidden-recipient", "KEY", "--encrypt"),
    "signed": ("--always-trust", "--recipient", "KEY", "--local-user", "KEY", "--sign", "--encrypt"),
    "signed twice": (
        *("--always-trust", "--recipient", "KEY", "--local-user", "KEY"),
        *("--local-user", "LOCKED", "--sign", "--encrypt"),
    ),
    "signed and symmetric": ("--local-user", "KEY", "--sign", "--symmetric"),
}


@pytest.mark.parametrize("way", [*SYMMETRIC_WAYS, *KEY_WAYS])
@pytest.mark.parametrize("content", [b"", b"short", CONTENT], ids=["empty", "short", "long"])
def test_what_gpg_writes_is_read(way: str, content: bytes, gnupg_home: GnupgHome, tmp_path: Path) -> None:
    bare, locked = gnupg_home.keys
    names = {"KEY": bare.fingerprint, "LOCKED": locked.fingerprint}
    words = [names.get(word, word) for word in {**SYMMETRIC_WAYS, **KEY_WAYS}[way]]
    # Only one passphrase can be given to gpg, so here the locked key's serves symmetric encryption too.
    secret = locked.passphrase
    written = run_gpg(gnupg_home.path, "--passphrase", secret, *FAST, *words, given=content).stdout
    path = tmp_path / "file.gpg"
    path.write_bytes(written)
    settings = gpg_settings(gnupg_home.path, tmp_path / "scratch")
    assert read_all(GpgEnvelope(settings, FixedPassphrases(secret)), path, step=10_000) == content


def test_a_message_of_an_old_structure_is_left_to_gpg(gnupg_home: GnupgHome, tmp_path: Path) -> None:
    home, key = gnupg_home.path, gnupg_home.bare.fingerprint
    signature = run_gpg(home, "--local-user", key, "--detach-sign", given=CONTENT).stdout
    literal = run_gpg(home, "--compress-algo", "none", "--store", given=CONTENT).stdout
    words = ("--no-literal", "--compress-level", "0", "--always-trust", "--recipient", key, "--encrypt")
    path = tmp_path / "file.gpg"
    path.write_bytes(run_gpg(home, *words, given=signature + literal).stdout)
    for demanded in (None, key):
        settings = gpg_settings(home, tmp_path / "scratch", demanded_signer=demanded)
        assert read_all(GpgEnvelope(settings, FixedPassphrases()), path) == CONTENT


@pytest.fixture
def unprotected(gnupg_home: GnupgHome, tmp_path: Path) -> Path:
    """A message without integrity packet, as written long ago."""
    path = tmp_path / "old.gpg"
    written = run_gpg(gnupg_home.path, *PASSPHRASE, *FAST, "--rfc2440", "--symmetric", given=CONTENT).stdout
    second_packet = 2 + written[1]
    if written[second_packet] != 0xC9:
        pytest.skip("this gpg writes no unprotected messages")
    path.write_bytes(written)
    return path


def test_old_messages_without_integrity_are_read_on_demand_only(
    unprotected: Path, gnupg_home: GnupgHome, tmp_path: Path
) -> None:
    settings = gpg_settings(gnupg_home.path, tmp_path / "scratch")
    with pytest.raises(EnvelopeError, match="--gpg-options=--ignore-mdc-error"):
        GpgEnvelope(settings, passphrases(gnupg_home)).open(str(unprotected))
    settings = gpg_settings(gnupg_home.path, tmp_path / "scratch", ignore_mdc_error=True)
    assert read_all(GpgEnvelope(settings, passphrases(gnupg_home)), unprotected) == CONTENT


@pytest.mark.interop
@pytest.mark.parametrize("mode", [Mode.SYMMETRIC, Mode.SIGNED], ids=lambda mode: mode.value)
def test_duplicity_restores_files_that_we_sealed(
    mode: Mode, duplicity: Program, workspace: Workspace, gnupg_home: GnupgHome, tmp_path: Path
) -> None:
    chain = Chain.begin(workspace, mode, gnupg_home)
    chain.back_up(duplicity)
    bare, locked = gnupg_home.keys
    signed = mode is Mode.SIGNED
    envelope = GpgEnvelope(
        gpg_settings(
            gnupg_home.path,
            tmp_path / "scratch",
            recipients=(bare.fingerprint,) if signed else (),
            sign_key=locked.fingerprint if signed else None,
            demanded_signer=locked.fingerprint if signed else None,
        ),
        FixedPassphrases(bare.passphrase if signed else SYMMETRIC_PASSPHRASE, locked.passphrase),
    )
    _seal_anew(Path(os.fsdecode(chain.target)), envelope)
    chain.use_archive_dir("another archive dir")
    chain.assert_restores(duplicity, fidelity=Fidelity.DUPLICITY)


def _seal_anew(target: Path, envelope: GpgEnvelope) -> None:
    """Unwraps and wraps every file of a target; the manifest learns the volumes' new hashes."""

    def again(path: Path, change: Callable[[bytes], bytes] = bytes) -> Sealed:
        content = change(read_all(envelope, path))
        return seal(envelope, path, cut(content, 30_000))

    volumes = {re.search(r"vol(\d+)", path.name)[1]: again(path) for path in target.glob("*.difftar.gpg")}  # type: ignore[index]

    def with_new_hashes(manifest: bytes) -> bytes:
        for number, sealed in volumes.items():
            pattern = rb"(Volume %s:.*?Hash SHA1 )\w+" % number.encode()
            manifest, count = re.subn(pattern, rb"\g<1>" + sealed.sha1.encode(), manifest, count=1, flags=re.DOTALL)
            assert count == 1
        return manifest

    again(next(target.glob("*.sigtar.gpg")))
    again(next(target.glob("*.manifest.gpg")), with_new_hashes)
    assert volumes
