"""Turns what operations report into messages for people and programs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from twofold.model.times import format_asctime
from twofold.monitor import (
    BadDownload,
    Expecting,
    FileRestored,
    FileStored,
    Finished,
    LastFull,
    MetadataSynchronized,
    MetadataSyncing,
    Note,
    Problem,
    SocketSkipped,
    Storing,
    Underway,
    VolumeDone,
    VolumeRead,
)
from twofold.ui import files
from twofold.ui.message import Level, Message, Sink, notice
from twofold.ui.text import path_text

if TYPE_CHECKING:
    from twofold.tree.shortfalls import Degraded


class Reporter:
    """The monitor of the command line; `source` is put before paths of the source in messages."""

    def __init__(self, sink: Sink, *, source: bytes = b"") -> None:
        self._sink = sink
        self._source = source

    def report(self, event: object) -> None:
        for message in self._messages(event):
            self._sink.tell(message)

    def _messages(self, event: object) -> tuple[Message, ...]:
        match event:
            case Note():
                return (self._note(event),)
            case Problem():
                return (self._problem(event),)
            case LastFull():
                when = "none" if event.time is None else format_asctime(event.time)
                return (notice(f"Last full backup date: {when}"),)
            case MetadataSyncing() | MetadataSynchronized():
                return _sync_messages(event)
            case BadDownload():
                return (_bad_download(event),)
        return self._small(event)

    def _small(self, event: object) -> tuple[Message, ...]:
        match event:
            case FileStored():
                return (files.stored(event.path, event.change),)
            case FileRestored():
                return (files.restored(event.path, event.kind),)
            case VolumeDone():
                return (
                    Message(Level.INFO, f"Writing {event.name}"),
                    files.volume_stored(event.number, event.read_bytes),
                )
            case VolumeRead():
                return (files.volume_processed(event.number, event.total),)
            case Underway() | Expecting() | Storing() | Finished():
                return ()  # for ui/progress.py alone
            case SocketSkipped():
                return (files.socket_skipped(os.fsdecode(os.path.join(self._source, event.path))),)
        return (_of_reading(event),)

    def _note(self, event: Note) -> Message:
        level = Level.WARNING if event.warning else Level.NOTICE
        return Message(level, event.text, code=event.code, extra=event.extra)

    def _problem(self, event: Problem) -> Message:
        if event.while_doing == "read":
            return files.unreadable(os.fsdecode(os.path.join(self._source, event.path)), event.reason)
        if event.while_doing == "restore":
            return files.unrestorable(event.path, event.reason)
        return Message(Level.WARNING, f"{path_text(event.path)}: {event.reason}")


def _sync_messages(event: MetadataSyncing | MetadataSynchronized) -> tuple[Message, ...]:
    if isinstance(event, MetadataSyncing):
        if event.copying is not None:
            return (notice(f"Copying {event.copying} to local cache."),)
        if event.removing is not None:
            return (notice(f"Deleting local {event.removing} (not authoritative at backend)."),)
        return (notice("Synchronizing remote metadata to local cache..."),)
    if not event.copied and not event.removed:
        return (notice("Local and Remote metadata are synchronized, no sync needed."),)
    if not event.dry_run:
        return ()
    messages = []
    if event.copied:
        messages.append(notice("\n".join(("Sync would copy the following from remote to local:", *event.copied))))
    if event.removed:
        messages.append(notice("\n".join(("Sync would remove the following spurious local files:", *event.removed))))
    return tuple(messages)


def _bad_download(event: BadDownload) -> Message:
    text = (
        f"Invalid data - {event.algorithm} hash mismatch for file:\n {event.name}\n"
        f" Calculated hash: {event.found}\n Manifest hash: {event.expected}"
    )
    return Message(Level.ERROR, text, code=21)


def _of_reading(event: object) -> Message:
    """Events of restore and verify, whose modules are loaded by then; nobody else is to pay for loading them."""
    from twofold.operations.check_plan import Damage
    from twofold.operations.verify import DataDiffers, Differs, OnlyInBackup, OnlyLocal
    from twofold.tree.shortfalls import Degraded

    match event:
        case Degraded():
            return _degraded(event)
        case OnlyLocal():
            return files.new_file(event.path)
        case OnlyInBackup():
            return files.missing_file(event.path)
        case Differs():
            return files.different(event.path, event.difference)
        case DataDiffers():
            return files.other_data(event.path)
        case Damage():
            from twofold.ui.checked import damaged

            return damaged(event)
    raise AssertionError(f"an event that nobody words: {event!r}")


def _degraded(event: Degraded) -> Message:
    more = f" and {event.count - 1} more" if event.count > 1 else ""
    return Message(
        Level.WARNING,
        f"Not everything could be restored: {event.kind.value} of {path_text(event.example)}{more}: {event.reason}",
    )
