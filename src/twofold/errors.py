"""Every error that twofold raises, each with its stable exit code (duplicity's numbers, docs/cli.md section 7.5).

Messages begin with a capital, have no full stop at the end and say what to do next. An unreadable source file is no
exception: it is a problem reported to the monitor.
"""

from __future__ import annotations

from typing import ClassVar


class TwofoldError(Exception):
    """Base of everything raised on purpose; `exit_code` is what the process ends with.

    `log_word` is the class that duplicity names in the machine log, where programs look for one.
    """

    exit_code: ClassVar[int] = 1
    log_word: ClassVar[str] = ""


class UserError(TwofoldError):
    """The command cannot be carried out as given."""

    exit_code = 23


class InvalidUrl(UserError):
    """A target URL that breaks the grammar; `log_word` is duplicity's class name in the machine log."""

    log_word: ClassVar[str] = "InvalidBackendURL"


class UnsupportedScheme(UserError):
    """A target URL whose service is unknown or not built in; `log_word` as above."""

    log_word: ClassVar[str] = "UnsupportedBackendScheme"


class FormatError(TwofoldError):
    """Stored bytes do not mean what they should."""

    exit_code = 30


class CorruptManifest(FormatError):
    """A manifest that cannot be understood."""


class CorruptTar(FormatError):
    """A tar stream that is damaged, cut short or not one of ours."""


class CorruptSignature(FormatError):
    """An rsync signature that is damaged."""


class CorruptDelta(FormatError):
    """An rsync delta that is damaged or does not fit its basis."""


class EnvelopeError(TwofoldError):
    """A file could not be wrapped or unwrapped; `log` holds what gpg said, never a passphrase."""

    exit_code = 31

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class KeyMissing(EnvelopeError):
    """The secret key or the passphrase for a file is not at hand; the file may well be whole."""


class PassphraseNeeded(KeyMissing):
    """A passphrase is wanted and there is nobody to ask."""

    exit_code = 30


class WrongSigner(EnvelopeError):
    """A file does not carry a good signature by the key that was demanded."""

    exit_code = 22


class CorruptStream(EnvelopeError):
    """A gzip or OpenPGP stream is damaged."""


class StorageError(TwofoldError):
    """Something a store said; only `Unavailable`, and `Incomplete` of a put or get, is worth another try."""

    exit_code = 50
    log_code: ClassVar[int] = 50

    def __init__(self, message: str, *, name: str = "", operation: str = "") -> None:
        super().__init__(message)
        self.name = name
        self.operation = operation


class NotFound(StorageError):
    """No file of that name."""

    log_code = 52


class NoPlace(NotFound):
    """The directory, bucket or host itself does not exist."""


class Forbidden(StorageError):
    """Login refused or permission missing."""

    log_code = 51


class Untrusted(Forbidden):
    """The server is not who it should be: its host key or certificate is not trusted."""


class Retained(Forbidden):
    """The store keeps the file until a date that has not come yet."""


class NoSpace(StorageError):
    """The store is full."""

    log_code = 53


class AlreadyExists(StorageError):
    """An exclusive creation met an existing file."""

    log_code = 54


class NeedsWarmUp(StorageError):
    """The file lies in cold storage; `ready_at` (seconds since 1970, UTC) is None unless it is already on its way."""

    log_code = 54

    def __init__(self, message: str, *, name: str = "", operation: str = "", ready_at: int | None = None) -> None:
        super().__init__(message, name=name, operation=operation)
        self.ready_at = ready_at


class Incomplete(StorageError):
    """What arrived is not what was sent."""

    exit_code = 56
    log_code = 56


class Unavailable(StorageError):
    """Refused, reset, timed out, asked to slow down: another try may succeed after `retry_after` seconds."""

    def __init__(self, message: str, *, name: str = "", operation: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, name=name, operation=operation)
        self.retry_after = retry_after


class Unsupported(StorageError):
    """The store cannot do this."""

    log_code = 55


class MissingLibrary(StorageError):
    """A library or program for this scheme is not installed."""


class GoneService(StorageError):
    """The service behind this scheme no longer exists."""


class CollectionError(TwofoldError):
    """The backups found at the target do not allow what was asked."""

    exit_code = 30


class NoBackups(CollectionError):
    """There is no backup at the target."""


class NoSignatures(CollectionError):
    """An incremental backup was asked for and there is no chain to continue."""

    exit_code = 17


class SourceChanged(TwofoldError):
    """Host or source path differ from those of the newest backup."""

    exit_code = 42

    def __init__(self, message: str, *, now: str, before: str) -> None:
        super().__init__(message)
        self.now = now
        self.before = before


class HostChanged(SourceChanged):
    """The host differs from that of the newest backup."""

    exit_code = 3


class TargetNotEmpty(TwofoldError):
    """A restore would write over existing files."""

    exit_code = 11


class PathNotFound(TwofoldError):
    """The path to restore is in none of the backups in question."""

    exit_code = 19


class NothingRestored(TwofoldError):
    """Nothing matched."""

    exit_code = 20


class BadVolume(TwofoldError):
    """A volume is not what its manifest says."""

    exit_code = 21

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


class MissingVolume(TwofoldError):
    """A volume that is needed is not at the target."""

    exit_code = 1


class PartlyDone(TwofoldError):
    """The work went to its end, but some files could not be handled; they have been named."""

    exit_code = 1


class ManifestMismatch(TwofoldError):
    """Local and remote manifest of one set contradict each other."""

    exit_code = 5


class ManifestUnreadable(TwofoldError):
    """A remote manifest cannot be read."""

    exit_code = 6


class OtherSettings(TwofoldError):
    """An unfinished backup was made with other encryption settings."""

    exit_code = 45
