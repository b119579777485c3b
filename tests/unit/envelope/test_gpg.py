"""Encrypted files, with real gpg."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.envelopes import FixedPassphrases, cut, gnupg_variables, gpg_settings, read_all, sample, seal
from tests.support.gnupg import LOCKED_PASSPHRASE, SYMMETRIC_PASSPHRASE, GnupgHome, gnupg_folder
from tests.unit.envelope.conftest import MakeSettings
from twofold.concurrency import spawn
from twofold.envelope.gpg import GpgEnvelope
from twofold.envelope.gpg_process import gpg_version
from twofold.errors import EnvelopeError, UserError, WrongSigner
from twofold.model.backup import Wrapping

CONTENT = sample(400_000)


def symmetric() -> FixedPassphrases:
    return FixedPassphrases(SYMMETRIC_PASSPHRASE)


@pytest.fixture(scope="module")
def sealed_file(gnupg_home: GnupgHome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CONTENT, symmetrically encrypted."""
    folder = tmp_path_factory.mktemp("sealed")
    settings = gpg_settings(gnupg_home.path, folder)
    path = folder / "file.gpg"
    seal(GpgEnvelope(settings, symmetric()), path, cut(CONTENT, 100_000))
    return path


@pytest.fixture(scope="module")
def bare_file(gnupg_home: GnupgHome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CONTENT, encrypted for and signed by the key without a passphrase."""
    folder = tmp_path_factory.mktemp("signed")
    key = gnupg_home.bare.fingerprint
    settings = gpg_settings(gnupg_home.path, folder, recipients=(key,), sign_key=key)
    path = folder / "file.gpg"
    seal(GpgEnvelope(settings, FixedPassphrases(None, None)), path, cut(CONTENT, 100_000))
    return path


@pytest.mark.parametrize("level", [None, 0, 1, 3])
@pytest.mark.parametrize("signed", [False, True])
def test_what_is_encrypted_comes_back(
    level: int | None, signed: bool, settings: MakeSettings, gnupg_home: GnupgHome, tmp_path: Path
) -> None:
    key = gnupg_home.bare.fingerprint
    envelope = GpgEnvelope(
        settings(recipients=(key,), level=level, sign_key=key if signed else None), FixedPassphrases(None, None)
    )
    path = tmp_path / "file.gpg"
    sealed = seal(envelope, path, cut(CONTENT, 65_536 + 7))
    stored = path.read_bytes()
    assert (sealed.size, sealed.sha1) == (len(stored), hashlib.sha1(stored).hexdigest())
    assert sealed.sha256 == hashlib.sha256(stored).hexdigest()
    deflated = sum(len(envelope.compress(raw).data) for raw in cut(CONTENT, 65_536 + 7))
    assert deflated < sealed.size <= deflated + envelope.overhead(deflated)
    assert read_all(envelope, path, step=100_000) == CONTENT
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "sizes", [[], [0], [1], [505], [506], [512], [200, 0, 200, 106], [200, 200, 200, 200], [3000, 1]]
)
def test_signed_files_of_any_size_come_back(
    sizes: list[int], settings: MakeSettings, gnupg_home: GnupgHome, tmp_path: Path
) -> None:
    key = gnupg_home.bare.fingerprint
    envelope = GpgEnvelope(settings(recipients=(key,), sign_key=key, demanded_signer=key), FixedPassphrases(None, None))
    pieces = [sample(size, seed=number) for number, size in enumerate(sizes)]
    path = tmp_path / "file.gpg"
    seal(envelope, path, pieces)
    assert read_all(envelope, path) == b"".join(pieces)


@pytest.mark.parametrize("pieces", [[], [b"a"], [b"", b"manifest"]])
def test_symmetric_files_of_any_size_come_back(pieces: list[bytes], settings: MakeSettings, tmp_path: Path) -> None:
    envelope = GpgEnvelope(settings(), symmetric())
    seal(envelope, tmp_path / "file.gpg", pieces)
    assert read_all(envelope, tmp_path / "file.gpg") == b"".join(pieces)


def test_names_end_in_gpg(settings: MakeSettings) -> None:
    assert GpgEnvelope(settings(), symmetric()).wrapping is Wrapping.GPG


class TestKeys:
    def test_public_keys_suffice_for_a_backup_and_nobody_is_asked(
        self, settings: MakeSettings, public_gnupg_home: GnupgHome, gnupg_home: GnupgHome, tmp_path: Path
    ) -> None:
        passphrases = FixedPassphrases(None, None)
        keys = {"recipients": (gnupg_home.locked.mail,), "hidden_recipients": (gnupg_home.bare.fingerprint,)}
        public = settings(environment=gnupg_variables(public_gnupg_home.path), **keys)
        path = tmp_path / "file.gpg"
        sealed = seal(GpgEnvelope(public, passphrases), path, [CONTENT])
        assert passphrases.asked == []
        assert sealed.size < len(CONTENT)
        assert read_all(GpgEnvelope(settings(), FixedPassphrases(LOCKED_PASSPHRASE)), path) == CONTENT

    def test_without_the_secret_key_a_file_stays_closed(
        self, settings: MakeSettings, public_gnupg_home: GnupgHome, bare_file: Path
    ) -> None:
        public = settings(environment=gnupg_variables(public_gnupg_home.path))
        with pytest.raises(EnvelopeError, match="secret key") as caught:
            GpgEnvelope(public, FixedPassphrases()).open(str(bare_file))
        assert "No secret key" in caught.value.log

    def test_an_unknown_recipient_is_an_error_with_gpgs_log(self, settings: MakeSettings, tmp_path: Path) -> None:
        envelope = GpgEnvelope(settings(recipients=("nobody@twofold.example",)), FixedPassphrases())
        with pytest.raises(EnvelopeError, match=r"public key nobody@twofold\.example is not in the") as caught:
            seal(envelope, tmp_path / "file.gpg", cut(sample(3_000_000), 1 << 20))
        assert "nobody@twofold.example" in caught.value.log
        assert not (tmp_path / "file.gpg").exists()

    def test_an_unknown_signing_key_is_an_error_at_once(self, settings: MakeSettings, tmp_path: Path) -> None:
        envelope = GpgEnvelope(settings(sign_key="nobody@twofold.example"), symmetric())
        with pytest.raises(EnvelopeError, match=r"nobody@twofold\.example"):
            envelope.check_signing()
        with pytest.raises(EnvelopeError, match=r"nobody@twofold\.example"):
            envelope.create(str(tmp_path / "file.gpg"))
        assert not (tmp_path / "file.gpg").exists()


class TestPassphrases:
    def test_a_wrong_one_opens_nothing(self, settings: MakeSettings, sealed_file: Path) -> None:
        with pytest.raises(EnvelopeError, match="passphrase is wrong") as caught:
            GpgEnvelope(settings(), FixedPassphrases("wrong")).open(str(sealed_file))
        assert "Bad session key" in caught.value.log
        assert "wrong" not in caught.value.log.replace("wrong passphrase", "")

    def test_none_opens_nothing(self, settings: MakeSettings, sealed_file: Path) -> None:
        with pytest.raises(EnvelopeError, match="needs a passphrase"):
            GpgEnvelope(settings(), FixedPassphrases(None)).open(str(sealed_file))

    def test_one_beyond_all_measure_is_refused(self, settings: MakeSettings, sealed_file: Path) -> None:
        with pytest.raises(UserError, match="4096 bytes"):
            GpgEnvelope(settings(), FixedPassphrases("x" * 5000)).open(str(sealed_file))

    def test_any_characters_will_do(self, settings: MakeSettings, tmp_path: Path) -> None:
        envelope = GpgEnvelope(settings(), FixedPassphrases("pä$s \\ \"w'örd \udcff"))
        seal(envelope, tmp_path / "file.gpg", [b"content"])
        assert read_all(envelope, tmp_path / "file.gpg") == b"content"

    def test_they_are_asked_for_when_they_are_needed(self, settings: MakeSettings, tmp_path: Path) -> None:
        passphrases = symmetric()
        envelope = GpgEnvelope(settings(), passphrases)
        envelope.compress(b"x")
        assert passphrases.asked == []
        envelope.create(str(tmp_path / "file.gpg")).abort()
        assert passphrases.asked == ["decryption"]

    def test_children_show_none(self, settings: MakeSettings, gnupg_home: GnupgHome, tmp_path: Path) -> None:
        variables = {**gnupg_variables(gnupg_home.path), "PASSPHRASE": SYMMETRIC_PASSPHRASE, "X_TOKEN": "hush"}
        key = gnupg_home.locked
        before = children()
        envelope = GpgEnvelope(
            settings(environment=variables, sign_key=key.fingerprint),
            FixedPassphrases(SYMMETRIC_PASSPHRASE, key.passphrase),
        )
        sealer = envelope.create(str(tmp_path / "file.gpg"))
        running = children() - before
        assert len(running) == 2
        for process in running:
            shown = shown_by(process)
            for secret in (SYMMETRIC_PASSPHRASE, key.passphrase, "hush"):
                assert secret.encode() not in shown
        sealer.abort()
        assert children() == before


def shown_by(process: int) -> bytes:
    """Arguments and environment of a child, once it has become gpg: between fork and exec it still shows ours."""
    while True:
        arguments = Path(f"/proc/{process}/cmdline").read_bytes()
        if arguments.split(b"\0")[0].endswith(b"gpg"):
            return arguments + Path(f"/proc/{process}/environ").read_bytes()
        os.sched_yield()


def children() -> set[int]:
    """Numbers of all children, zombies included."""
    own = Path("/proc/self/task")
    if not (own / str(os.getpid()) / "children").exists():
        pytest.skip("/proc lists no children")
    return {int(word) for task in own.iterdir() for word in (task / "children").read_text().split()}


class TestDamage:
    @pytest.mark.parametrize("position", [0, 2, 6, 14, 17, 40, 60, 5_000, 9_000, 150_000, -30, -10, -1])
    def test_a_flipped_bit_lets_no_byte_out(
        self, position: int, settings: MakeSettings, bare_file: Path, tmp_path: Path
    ) -> None:
        damaged = bytearray(bare_file.read_bytes())
        damaged[position] ^= 0x10
        path = tmp_path / "file.gpg"
        path.write_bytes(damaged)
        with pytest.raises(EnvelopeError):
            GpgEnvelope(settings(), FixedPassphrases()).open(str(path))

    @pytest.mark.parametrize("kept", [0, 1, 10, 100, 8_000, 150_000, -21, -1])
    def test_a_file_cut_short_lets_no_byte_out(
        self, kept: int, settings: MakeSettings, bare_file: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "file.gpg"
        path.write_bytes(bare_file.read_bytes()[:kept])
        with pytest.raises(EnvelopeError, match=r"Cannot decrypt file\.gpg"):
            GpgEnvelope(settings(), FixedPassphrases()).open(str(path))

    def test_symmetric_files_are_as_safe(self, settings: MakeSettings, sealed_file: Path, tmp_path: Path) -> None:
        damaged = bytearray(sealed_file.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        path = tmp_path / "file.gpg"
        path.write_bytes(damaged)
        with pytest.raises(EnvelopeError, match="damaged"):
            GpgEnvelope(settings(ignore_mdc_error=True), symmetric()).open(str(path))

    def test_something_else_altogether_is_no_message(self, settings: MakeSettings, tmp_path: Path) -> None:
        path = tmp_path / "file.gpg"
        path.write_bytes(b"this was never encrypted")
        with pytest.raises(EnvelopeError, match="not an encrypted file"):
            GpgEnvelope(settings(), symmetric()).open(str(path))

    def test_a_missing_file_is_not_gpgs_business(self, settings: MakeSettings, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            GpgEnvelope(settings(), symmetric()).open(str(tmp_path / "missing"))


class TestSigners:
    @pytest.mark.parametrize("named", ["fingerprint", "key id", "mail"])
    def test_the_demanded_key_may_be_named_in_any_way(
        self, named: str, settings: MakeSettings, gnupg_home: GnupgHome, bare_file: Path
    ) -> None:
        key = gnupg_home.bare
        name = {"fingerprint": key.fingerprint, "key id": key.fingerprint[-16:], "mail": key.mail}[named]
        assert read_all(GpgEnvelope(settings(demanded_signer=name), FixedPassphrases()), bare_file) == CONTENT

    def test_another_signer_is_refused(self, settings: MakeSettings, gnupg_home: GnupgHome, bare_file: Path) -> None:
        envelope = GpgEnvelope(settings(demanded_signer=gnupg_home.locked.fingerprint), FixedPassphrases())
        with pytest.raises(WrongSigner, match=gnupg_home.bare.fingerprint):
            envelope.open(str(bare_file))

    def test_no_signature_is_refused(self, settings: MakeSettings, gnupg_home: GnupgHome, sealed_file: Path) -> None:
        envelope = GpgEnvelope(settings(demanded_signer=gnupg_home.bare.fingerprint), symmetric())
        with pytest.raises(WrongSigner, match="no good signature"):
            envelope.open(str(sealed_file))

    def test_a_signer_who_is_not_in_the_keyring_cannot_be_demanded(
        self, settings: MakeSettings, sealed_file: Path
    ) -> None:
        envelope = GpgEnvelope(settings(demanded_signer="stranger@twofold.example"), symmetric())
        with pytest.raises(EnvelopeError, match="import it"):
            envelope.open(str(sealed_file))

    def test_a_key_with_a_passphrase_signs(self, settings: MakeSettings, gnupg_home: GnupgHome, tmp_path: Path) -> None:
        key = gnupg_home.locked
        passphrases = FixedPassphrases(SYMMETRIC_PASSPHRASE, key.passphrase)
        envelope = GpgEnvelope(settings(sign_key=key.mail, demanded_signer=key.mail), passphrases)
        seal(envelope, tmp_path / "file.gpg", cut(CONTENT, 200_000))
        assert read_all(envelope, tmp_path / "file.gpg") == CONTENT

    def test_a_signature_does_not_cover_other_content(
        self, settings: MakeSettings, gnupg_home: GnupgHome, tmp_path: Path
    ) -> None:
        key = gnupg_home.bare.fingerprint
        envelope = GpgEnvelope(settings(recipients=(key,), sign_key=key, demanded_signer=key), FixedPassphrases())
        sealer = envelope.create(str(tmp_path / "file.gpg"))
        sealer.feed_raw(b"what was signed")
        sealer.write(envelope.compress(b"what was stored"))
        sealer.finish()
        with pytest.raises(WrongSigner, match="no good signature"):
            envelope.open(str(tmp_path / "file.gpg"))


class TestPreparation:
    @pytest.fixture
    def envelope(self, settings: MakeSettings, gnupg_home: GnupgHome) -> Iterator[GpgEnvelope]:
        key = gnupg_home.bare.fingerprint
        envelope = GpgEnvelope(settings(recipients=(key,), sign_key=key), FixedPassphrases())
        yield envelope
        envelope.close()

    def test_prepared_processes_are_used(self, envelope: GpgEnvelope, tmp_path: Path) -> None:
        envelope.prepare(1, str(tmp_path))
        running = children()
        sealer = envelope.create(str(tmp_path / "file.gpg"))
        assert children() == running
        sealer.feed_raw(CONTENT)
        sealer.write(envelope.compress(CONTENT))
        assert sealer.finish().path == str(tmp_path / "file.gpg")
        assert read_all(envelope, tmp_path / "file.gpg") == CONTENT

    def test_closing_leaves_neither_processes_nor_files(self, envelope: GpgEnvelope, tmp_path: Path) -> None:
        before = children()
        envelope.prepare(2, str(tmp_path))
        assert len(children() - before) == 4
        envelope.close()
        envelope.close()
        assert children() == before
        assert list((tmp_path / "scratch").iterdir()) == []

    def test_a_file_on_another_file_system_is_begun_there(self, envelope: GpgEnvelope, tmp_path: Path) -> None:
        envelope.prepare(1, str(tmp_path))
        other = Path("/dev/shm")
        if not other.is_dir() or other.stat().st_dev == os.stat(envelope._settings.temp_dir).st_dev:
            pytest.skip("no second file system to write to")
        path = other / f"twofold-test-{os.getpid()}.gpg"
        try:
            seal(envelope, path, [CONTENT])
            assert read_all(envelope, path) == CONTENT
        finally:
            path.unlink()

    def test_an_abandoned_file_leaves_nothing(self, envelope: GpgEnvelope, tmp_path: Path) -> None:
        envelope.check_signing()
        before = children()
        descriptors = set(os.listdir("/proc/self/fd"))
        sealer = envelope.create(str(tmp_path / "file.gpg"))
        sealer.write(envelope.compress(CONTENT))
        sealer.abort()
        sealer.abort()
        assert children() == before
        assert set(os.listdir("/proc/self/fd")) == descriptors
        assert not (tmp_path / "file.gpg").exists()

    def test_a_thread_that_waits_for_gpg_is_set_free(self, envelope: GpgEnvelope, tmp_path: Path) -> None:
        envelope.check_signing()
        before = children()
        descriptors = set(os.listdir("/proc/self/fd"))
        sealer = envelope.create(str(tmp_path / "file.gpg"))
        for process in children() - before:
            os.kill(process, signal.SIGSTOP)
        piece = envelope.compress(random.Random(2).randbytes(4_000_000))
        writing = spawn(lambda: sealer.write(piece), name="writer")
        sealer.abort()
        with pytest.raises(EnvelopeError):
            writing.join()
        assert children() == before
        assert set(os.listdir("/proc/self/fd")) == descriptors

    def test_writing_into_an_abandoned_file_is_an_error(self, envelope: GpgEnvelope, tmp_path: Path) -> None:
        sealer = envelope.create(str(tmp_path / "file.gpg"))
        sealer.abort()
        with pytest.raises(EnvelopeError):
            sealer.write(envelope.compress(CONTENT))
        with pytest.raises(EnvelopeError):
            sealer.feed_raw(CONTENT)

    def test_a_finished_file_leaves_nothing_open(self, envelope: GpgEnvelope, tmp_path: Path) -> None:
        envelope.check_signing()
        before = children()
        descriptors = set(os.listdir("/proc/self/fd"))
        seal(envelope, tmp_path / "file.gpg", [CONTENT])
        assert read_all(envelope, tmp_path / "file.gpg") == CONTENT
        assert children() == before
        assert set(os.listdir("/proc/self/fd")) == descriptors


def test_a_missing_gpg_is_named(settings: MakeSettings, sealed_file: Path, tmp_path: Path) -> None:
    broken = settings(binary="no-such-gpg")
    for attempt in (
        lambda: gpg_version(broken),
        lambda: GpgEnvelope(broken, symmetric()).open(str(sealed_file)),
        lambda: GpgEnvelope(broken, symmetric()).create(str(tmp_path / "file.gpg")),
    ):
        with pytest.raises(EnvelopeError, match=r"Cannot run no-such-gpg: .*--gpg-binary"):
            attempt()
    assert not (tmp_path / "file.gpg").exists()


def test_the_version_is_read(settings: MakeSettings) -> None:
    assert gpg_version(settings()) >= (2, 0)


def test_a_program_that_is_not_gpg_is_noticed(settings: MakeSettings) -> None:
    with pytest.raises(EnvelopeError, match="is it GnuPG"):
        gpg_version(settings(binary="false"))


def test_a_full_keyring_folder_is_not_needed_to_write_symmetrically(settings: MakeSettings, tmp_path: Path) -> None:
    with gnupg_folder() as empty:
        envelope = GpgEnvelope(settings(environment=gnupg_variables(empty)), symmetric())
        seal(envelope, tmp_path / "file.gpg", [CONTENT])
        assert read_all(envelope, tmp_path / "file.gpg") == CONTENT


def test_a_new_users_folder_is_there_before_gpg_runs(settings: MakeSettings, tmp_path: Path) -> None:
    program = tmp_path / "gpg"
    program.write_text('#!/bin/sh\n[ -d "$HOME/.gnupg" ] && echo "gpg (GnuPG) 2.4.0"\n')
    program.chmod(0o700)
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    assert gpg_version(settings(binary=str(program), environment=variables)) == (2, 4, 0)
    assert stat.S_IMODE((tmp_path / ".gnupg").stat().st_mode) == 0o700
