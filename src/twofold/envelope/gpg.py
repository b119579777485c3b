"""Encrypted files: gpg does all cryptography, compression runs beside it (docs/format.md section 7).

What gpg encrypts is a packet made here: deflated pieces around one literal packet. What it decrypts is unpacked here,
but only after gpg has read the whole file and vouched for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from twofold.envelope import deflate, signing
from twofold.envelope.gpg_command import GpgSettings, Passphrases
from twofold.envelope.gpg_reader import GpgReader
from twofold.envelope.gpg_sealer import (
    DetachedSignature,
    GpgSealer,
    Message,
    SignedMessage,
    UnsignedMessage,
    start_sealer,
)
from twofold.envelope.protocol import Buffer, Inside, Opened, Piece, Sealer, Slices
from twofold.model.backup import Wrapping
from twofold.system import scratch_name

_PART_SIZE: Final = 4096
"""gpg 2.2 divides its output into parts of 8 KiB, with one length byte each; half of that is assumed."""
_FIXED_OVERHEAD: Final = 8192
"""All other packets, a signature among them, with room for more recipients from gpg.conf."""
_RECIPIENT_OVERHEAD: Final = 2304
"""A session key encrypted to the longest RSA key that gpg makes, 16384 bits."""


class GpgEnvelope:
    """Files encrypted by gpg. Passphrases are asked for when the first file needs one, not before."""

    wrapping = Wrapping.GPG

    def __init__(self, settings: GpgSettings, passphrases: Passphrases) -> None:
        self._settings = settings
        self._passphrases = passphrases
        self._reader = GpgReader(settings)
        self._ready: deque[GpgSealer] = deque()
        self._signer: signing.Signer | None = None

    def compress(self, data: Buffer, bodies: Sequence[Slices] = ()) -> Piece:
        level = self._settings.level
        if self._settings.sign_key is not None:
            return signing.signed_piece(data, level)
        return Piece(bytes(data) if level is None else deflate.deflated(data, level, bodies), len(data), 0)

    def worst_case(self, raw_size: int) -> int:
        if self._settings.sign_key is not None:
            return signing.signed_worst_case(raw_size)
        return raw_size if self._settings.level is None else deflate.stored_size(raw_size)

    def overhead(self, deflated_size: int) -> int:
        recipients = len(self._settings.recipients) + len(self._settings.hidden_recipients)
        return _FIXED_OVERHEAD + _RECIPIENT_OVERHEAD * recipients + deflated_size // _PART_SIZE

    def prepare(self, count: int, directory: str) -> None:
        """Starts a gpg each for so many files to come; it derives its key (0.1 s of CPU time) and waits."""
        for _ in range(count):
            self._ready.append(self._begin(scratch_name(directory)))

    def create(self, path: str) -> Sealer:
        try:
            prepared = self._ready.popleft()
        except IndexError:
            return self._begin(path)
        try:
            prepared.rename(path)
        except OSError:  # another file system: gpg has to begin there
            prepared.abort()
            return self._begin(path)
        return prepared

    @property
    def opens_inside(self) -> bool:
        return self._settings.sign_key is None and self._settings.level is not None

    def open(self, path: str, inside: Inside | None = None) -> Opened:
        return self._reader.open(path, self._passphrases.for_decryption(), inside)

    def close(self) -> None:
        while self._ready:
            self._ready.popleft().abort()

    def check_signing(self) -> None:
        """Signs nothing, to learn early whether key and passphrase are right. Raises EnvelopeError."""
        if self._settings.sign_key is not None:
            self._learn_signer(self._settings.sign_key)

    def _begin(self, path: str) -> GpgSealer:
        settings = self._settings
        passphrase = self._passphrases.for_decryption() if settings.symmetric else None
        return start_sealer(settings, path, passphrase=passphrase, message=self._message())

    def _message(self) -> Message:
        key = self._settings.sign_key
        compressed = self._settings.level is not None
        if key is None:
            return UnsignedMessage(compressed=compressed)
        return SignedMessage(self._learn_signer(key), self._sign(key), compressed=compressed)

    def _learn_signer(self, key: str) -> signing.Signer:
        if self._signer is None:
            signature = self._sign(key)
            try:
                self._signer = signing.signer_of(signature.finish())
            finally:
                signature.close()
        return self._signer

    def _sign(self, key: str) -> DetachedSignature:
        return DetachedSignature(self._settings, key, self._passphrases.for_signing())
