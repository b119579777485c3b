"""Encrypted files in the making: packets around pieces, gpg behind them, digests of what gpg writes."""

from __future__ import annotations

import signal
from typing import Protocol

from twofold.envelope import deflate, packets, signing
from twofold.envelope.gpg_command import GpgSettings, encrypt_command, sign_command
from twofold.envelope.gpg_process import FedProcess, read_bytes
from twofold.envelope.protocol import Buffer, Piece, Sealed
from twofold.envelope.stored_file import SharedDescriptor, StoredFile, check_room, create_file
from twofold.errors import EnvelopeError
from twofold.system import scratch_file


class Message(Protocol):
    """The packets of one file, as gpg is to encrypt them."""

    def feed_raw(self, data: Buffer) -> None:
        """Takes raw bytes for the signature."""

    def begin(self) -> bytes:
        """What comes before the first piece."""

    def add(self, piece: Piece) -> bytes:
        """The next piece in its frame."""

    def finish(self) -> bytes:
        """What comes behind the last piece."""

    def close(self) -> None:
        """Ends what is still running; may be called twice."""


class UnsignedMessage:
    """One literal packet without any framing of its own, deflated or not."""

    def __init__(self, *, compressed: bool) -> None:
        self._compressed = compressed

    def feed_raw(self, data: Buffer) -> None:
        pass

    def begin(self) -> bytes:
        if not self._compressed:
            return packets.LITERAL_HEADER
        return packets.COMPRESSED_HEADER + deflate.stored(packets.LITERAL_HEADER)

    def add(self, piece: Piece) -> bytes:
        return piece.data

    def finish(self) -> bytes:
        return deflate.END_OF_DEFLATE if self._compressed else b""

    def close(self) -> None:
        pass


class DetachedSignature:
    """A gpg that signs all that it is fed."""

    def __init__(self, settings: GpgSettings, key: str, passphrase: str | None) -> None:
        output = scratch_file(settings.temp_dir)
        self._output = SharedDescriptor(output)
        self._settings = settings
        self._key = key
        try:
            self._process = FedProcess(
                settings,
                lambda passphrase_fd: sign_command(settings, key, passphrase_fd=passphrase_fd),
                stdout=output,
                passphrase=passphrase,
            )
        except BaseException:
            self._output.close()
            raise

    def feed(self, data: Buffer) -> None:
        """Raises EnvelopeError."""
        try:
            self._process.feed(data)
        except OSError as error:
            raise self._error(self._process.finish()) from error

    def finish(self) -> bytes:
        """The signature packet. Raises EnvelopeError, and OSError for a full disk."""
        if (exit_code := self._process.finish()) != 0:
            raise self._error(exit_code)
        with self._output as output:
            return read_bytes(output)

    def close(self) -> None:
        self._process.close()
        self._output.close()

    def _error(self, exit_code: int) -> EnvelopeError:
        if exit_code < 0:
            return _ended_by_signal(exit_code, self._process)
        with self._output as output:
            check_room(output, self._settings.temp_dir)
        from twofold.envelope.gpg_keys import signer_fault

        return EnvelopeError(f"gpg cannot sign: {signer_fault(self._settings, self._key)}", self._process.log())


class SignedMessage:
    """One-pass signature, literal packet and signature, deflated together or not at all."""

    def __init__(self, signer: signing.Signer, signature: DetachedSignature, *, compressed: bool) -> None:
        self._signer = signer
        self._signature = signature
        self._compressed = compressed
        self._framing = signing.LiteralFraming(compressed=compressed)

    def feed_raw(self, data: Buffer) -> None:
        self._signature.feed(data)

    def begin(self) -> bytes:
        packet = self._signer.one_pass_packet()
        return packets.COMPRESSED_HEADER + deflate.stored(packet) if self._compressed else packet

    def add(self, piece: Piece) -> bytes:
        return self._framing.add(piece)

    def finish(self) -> bytes:
        signature = self._signature.finish()
        if signing.signer_of(signature) != self._signer:
            raise EnvelopeError("gpg signed with another key or digest than a moment ago: start again")
        return self._framing.finish(signature) + (deflate.END_OF_DEFLATE if self._compressed else b"")

    def close(self) -> None:
        self._signature.close()


class GpgSealer:
    """Feeds a message to gpg, which writes the file; digests that file a little behind."""

    def __init__(self, settings: GpgSettings, file: StoredFile, encryption: FedProcess, message: Message) -> None:
        self._settings = settings
        self._file = file
        self._encryption = encryption
        self._message = message
        self._begun = False

    def feed_raw(self, data: Buffer) -> None:
        self._message.feed_raw(data)

    def write(self, piece: Piece) -> None:
        self._feed(self._message.add(piece))
        # While gpg works on what is in the pipe there is time for what it has written before.
        self._file.follow()

    def finish(self) -> Sealed:
        self._feed(self._message.finish())
        if (exit_code := self._encryption.finish()) != 0:
            raise self._error(exit_code)
        self._message.close()
        self._encryption.close()
        self._file.follow(to_the_end=True)
        return self._file.finish()

    def abort(self) -> None:
        self._encryption.close()
        self._message.close()
        self._file.remove()

    def rename(self, path: str) -> None:
        """Gives the file the name for which it was prepared. Raises OSError when that is on another file system."""
        self._file.rename(path)

    def _feed(self, data: bytes) -> None:
        try:
            if not self._begun:
                self._begun = True
                self._encryption.feed(self._message.begin())
            self._encryption.feed(data)
        except OSError as error:
            raise self._error(self._encryption.finish()) from error

    def _error(self, exit_code: int) -> EnvelopeError:
        """What to say of a gpg that has ended. Raises OSError when it was the disk."""
        if exit_code == -signal.SIGXFSZ or exit_code > 0:
            self._file.check_room()
        if exit_code < 0:
            return _ended_by_signal(exit_code, self._encryption)
        from twofold.envelope.gpg_keys import recipient_fault

        reason = recipient_fault(self._settings) or "check --gpg-options, gpg.conf and --gpg-binary"
        return EnvelopeError(f"gpg cannot encrypt: {reason}", self._encryption.log())


def _ended_by_signal(exit_code: int, process: FedProcess) -> EnvelopeError:
    return EnvelopeError(f"gpg was ended by signal {-exit_code} before it was done: try again", process.log())


def start_sealer(settings: GpgSettings, path: str, *, passphrase: str | None, message: Message) -> GpgSealer:
    """Starts the gpg that will encrypt `message`, which is closed on failure. Raises EnvelopeError, OSError."""
    try:
        descriptor = create_file(path)
        file = StoredFile(descriptor, path)
        try:
            encryption = FedProcess(
                settings,
                lambda passphrase_fd: encrypt_command(settings, passphrase_fd=passphrase_fd),
                stdout=descriptor,
                passphrase=passphrase,
            )
        except BaseException:
            file.remove()
            raise
    except BaseException:
        message.close()
        raise
    return GpgSealer(settings, file, encryption, message)
