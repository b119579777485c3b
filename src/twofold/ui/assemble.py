"""Builds the objects of one run from the command line and the environment."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

from twofold import system
from twofold.concurrency import pause
from twofold.envelope.gpg import GpgEnvelope
from twofold.envelope.gpg_command import GpgSettings
from twofold.envelope.gzip import GzipEnvelope
from twofold.envelope.plain import PlainEnvelope
from twofold.envelope.protocol import Envelope
from twofold.errors import UserError
from twofold.format.names import NameCodec
from twofold.model.backup import Wrapping
from twofold.model.times import Clock
from twofold.model.value import value
from twofold.monitor import Monitor, Note
from twofold.repository.archive_dir import ArchiveDir
from twofold.repository.repository import Repository, RepositoryOptions
from twofold.storage.passwords import exposed_password, find_password
from twofold.storage.registry import open_store
from twofold.storage.settings import Rates, ServiceOptions, StoreSettings
from twofold.storage.store import CanStage, Store, ability
from twofold.storage.url import StorageUrl, redact
from twofold.storage.wrappers.retry import FailedAttempt, RetryPolicy, RetryStore
from twofold.ui.environment import Environment
from twofold.ui.message import Sink
from twofold.ui.option_values import Options
from twofold.ui.parser import CommandLine
from twofold.ui.passphrases import Passphrases, Situation
from twofold.ui.prompt import Prompter
from twofold.ui.version import DUPLICITY

if TYPE_CHECKING:
    from twofold.storage.wrappers.limit import TokenBucket
    from twofold.ui.answer import Answer

_DEFAULT_LEVEL = 2
_AS_MANY_AS_PAY = 256


@value
class Copy:
    """Where replicate copies to; `place` is its URL without a password."""

    store: Store
    archive_dir: ArchiveDir
    place: str


@value
class Run:
    """What an action works with; `answer` takes its result with --json, `copy` is there for replicate alone."""

    command: CommandLine
    environment: Environment
    repository: Repository
    archive_dir: ArchiveDir
    temp_dir: str
    clock: Clock
    sink: Sink
    monitor: Monitor
    answer: Answer | None = None
    copy: Copy | None = None

    def close(self) -> None:
        """Ends what runs in the background and gives the target back."""
        try:
            self.repository.close()
        finally:
            if self.copy is not None:
                self.copy.store.close()


def assemble(
    command: CommandLine,
    environment: Environment,
    *,
    prompter: Prompter,
    clock: Clock,
    sink: Sink,
    monitor: Monitor,
    answer: Answer | None,
) -> Run:
    """Opens the target, but changes nothing there or here. Raises UserError, StorageError, EnvelopeError."""
    options = command.options
    if environment.holds_secrets:
        system.shield_memory()
    temp_dir = find_temp_dir(options, environment)
    limits = _Limits(Rates(options.limit_upload_bytes, options.limit_download_bytes), monitor)
    store = _open_store(command.url, command, environment, prompter, monitor, limits)
    codec = _codec(options)
    archive_path = _archive_path(command.url_as_typed, options.name, command, environment)
    archive_dir = ArchiveDir(archive_path, codec, tidies=not options.dry_run)
    repository = Repository(
        store,
        archive_dir,
        envelopes=_envelopes(command, environment, temp_dir, prompter, sink),
        written=_written(options),
        options=RepositoryOptions(
            temp_dir,
            attempts=options.num_retries,
            transfers=options.concurrency or _AS_MANY_AS_PAY,
            check_remote=options.check_remote,
            signatures_demanded=options.sign_key is not None and not command.action.makes_backup,
        ),
        monitor=monitor,
    )
    copy = None
    if command.copy_url:
        target = _open_store(command.copy_url, command, environment, prompter, monitor, limits)
        # --name is that of the source's: one directory cannot be the cache of two targets.
        copy_dir = ArchiveDir(_archive_path(command.copy_url_as_typed, None, command, environment), codec)
        copy = Copy(target, copy_dir, redact(command.copy_url))
    return Run(command, environment, repository, archive_dir, temp_dir, clock, sink, monitor, answer, copy)


def find_temp_dir(options: Options, environment: Environment) -> str:
    """Raises UserError when the one asked for is not there, or none is."""
    if options.tempdir is not None:
        if not os.path.isdir(options.tempdir):
            fault = "is no directory" if os.path.lexists(options.tempdir) else "does not exist"
            raise UserError(f"The temporary directory {options.tempdir} {fault}; make it or choose another")
        if not os.access(options.tempdir, os.W_OK | os.X_OK):
            raise UserError(f"The temporary directory {options.tempdir} cannot be written to; choose another")
        return options.tempdir
    for candidate in environment.tempdir_candidates:
        if os.path.isdir(candidate) and os.access(candidate, os.W_OK | os.X_OK):
            return os.path.abspath(candidate)
    raise UserError("There is no directory for temporary files; name one with --tempdir")


class _Limits:
    """Holds all stores of a run to the same rates."""

    def __init__(self, rates: Rates, monitor: Monitor) -> None:
        self.rates = rates
        self._monitor = monitor
        self._buckets = self._bucket(rates.upload), self._bucket(rates.download)

    def around(self, store: Store) -> Store:
        """The store, held back where it does not do that itself."""
        if self.rates == Rates() or store.traits.keeps_rates:
            return store
        if ability(store, CanStage) is not None:
            text = "--limit-upload and --limit-download have no effect on a directory of this machine"
            self._monitor.report(Note(text, warning=True))
            return store
        from twofold.storage.wrappers.limit import LimitedStore

        upload, download = self._buckets
        return LimitedStore(store, upload=upload, download=download)

    def _bucket(self, rate: int | None) -> TokenBucket | None:
        if rate is None:
            return None
        from twofold.storage.wrappers.limit import TokenBucket

        return TokenBucket(rate, monotonic=time.monotonic, sleep=pause)


def _open_store(
    typed: str,
    command: CommandLine,
    environment: Environment,
    prompter: Prompter,
    monitor: Monitor,
    limits: _Limits,
) -> Store:
    url = StorageUrl.parse(typed)

    def patient(store: Store) -> Store:
        return _patient(store, command.options, monitor)

    if (exposed := exposed_password(url)) is not None:
        system.shield_memory()
        monitor.report(Note(exposed, warning=True))
    found = None
    if url.host or url.user:
        found = find_password(url, environment.variables, ask=prompter.ask, ask_for_ssh=command.options.ssh_askpass)
    settings = StoreSettings(
        environment=environment.variables,
        password=found.value if found is not None else None,
        timeout=command.options.timeout_seconds,
        options=ServiceOptions(**{name: getattr(command.options, name) for name in ServiceOptions.__match_args__}),
        warn=lambda text: monitor.report(Note(text, warning=True)),
        patient=patient,
        limited=limits.around,
        rates=limits.rates,
    )
    return patient(open_store(url, settings=settings))


def _patient(store: Store, options: Options, monitor: Monitor) -> Store:
    """The store with what the target could not do for a moment tried again."""

    def tell(attempt: FailedAttempt) -> None:
        text = (
            f"Attempt of {attempt.operation.value} Nr. {attempt.number} failed. {attempt.error}; "
            f"the next one follows in {attempt.pause:.0f} seconds"
        )
        monitor.report(Note(text, warning=True))

    policy = RetryPolicy(attempts=options.num_retries, base_delay=min(1.0, options.backend_retry_delay_seconds))
    return RetryStore(store, policy=policy, sleep=pause, chance=_chance, noticed=tell)


def _chance() -> float:
    import random

    return random.random()


def _archive_path(typed_url: str, name: str | None, command: CommandLine, environment: Environment) -> str:
    parent = command.options.archive_dir or os.path.join(environment.cache_home, "duplicity")
    if name is None:
        # The cache's name is the MD5 of the URL as typed (docs/format.md section 8).
        typed = typed_url.encode("utf-8", "surrogateescape")
        name = hashlib.md5(typed, usedforsecurity=False).hexdigest()
    return os.path.join(parent, name)


def _codec(options: Options) -> NameCodec:
    return NameCodec(
        options.file_prefix,
        manifest_prefix=options.file_prefix_manifest,
        archive_prefix=options.file_prefix_archive,
        signature_prefix=options.file_prefix_signature,
        statistics_prefix=options.file_prefix_jsonstat,
        time_separator=options.time_separator,
    )


def _written(options: Options) -> Wrapping:
    if options.encryption:
        return Wrapping.GPG
    return Wrapping.GZIP if options.compression else Wrapping.PLAIN


def _envelopes(
    command: CommandLine, environment: Environment, temp_dir: str, prompter: Prompter, sink: Sink
) -> dict[Wrapping, Envelope]:
    options = command.options
    level = options.compression_level if options.compression_level is not None else _DEFAULT_LEVEL
    recipients = (*options.encrypt_keys, *options.hidden_encrypt_keys)
    situation = Situation(
        command.action,
        encryption=options.encryption,
        use_agent=options.use_agent,
        encrypt_keys=recipients,
        sign_key=options.sign_key,
        passphrase=environment.passphrase,
        sign_passphrase=environment.sign_passphrase,
        as_duplicity=environment.program == DUPLICITY,
    )
    makes_backup = command.action.makes_backup
    settings = GpgSettings(
        environment=environment.child_environment(),
        temp_dir=temp_dir,
        binary=options.gpg_binary or "gpg",
        options=options.gpg_options,
        recipients=options.encrypt_keys,
        hidden_recipients=options.hidden_encrypt_keys,
        sign_key=options.sign_key if makes_backup else None,
        demanded_signer=None if makes_backup else options.sign_key,
        level=level if options.compression else None,
        use_agent=options.use_agent,
        ignore_mdc_error=options.ignore_mdc_error,
    )
    passphrases = Passphrases(situation, prompter=prompter, sink=sink)
    return {
        Wrapping.PLAIN: PlainEnvelope(),
        Wrapping.GZIP: GzipEnvelope(level),
        Wrapping.GPG: GpgEnvelope(settings, passphrases),
    }
