"""A Store on whatever rclone reaches.

rclone compares sizes, and hashes where the service knows one, after every transfer. Where a service could show half a
file, or might, a file is sent under a temporary name and gets its own by a rename that the service does itself;
object stores show a file whole or not at all by nature.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from twofold.concurrency import exclusion
from twofold.errors import NotFound, StorageError, Unsupported
from twofold.storage import local_files
from twofold.storage.drivers.rclone.client import Client, Doing
from twofold.storage.drivers.rclone.daemon import Daemon, socket_in
from twofold.storage.drivers.rclone.services import OWN, Remote, remote_of
from twofold.storage.network_errors import failure
from twofold.storage.part_names import PartNames, is_unfinished
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes
from twofold.storage.url import StorageUrl

_TRAITS = StoreTraits(parallel=4, atomic_put=Atomicity.BY_RENAME, keeps_rates=True)
_EVERYTHING_ANEW: Final = {"IgnoreTimes": True, "Inplace": True}
"""Else rclone leaves a file alone that has the size and time it should, and makes temporary names at the wrong end."""
_LONGER_THAN_RCLONE: Final = 10
_LEAST_PATIENCE: Final = 30.0
_QUESTIONS: Final = 10
_SECRETS: Final = frozenset({"pass", "token", "client_secret", "service_account_credentials"})


class RcloneStore:
    """A Store; also CanReadRange, CanCopy and CanReportSpace where the service can (else Unsupported, or None)."""

    def __init__(self, remote: Remote, settings: StoreSettings, *, place: str, daemon: Daemon) -> None:
        self._remote = remote
        self._place = place
        self._daemon = daemon
        self._patience = max(_LEAST_PATIENCE, settings.timeout * _LONGER_THAN_RCLONE)
        self._client = self._client_at(lambda: socket_in(self._folder()))
        self._lock = exclusion()
        self._features: dict[str, bool] = {}
        self._parts = PartNames()

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> RcloneStore:
        remote = remote_of(url, settings, read=_text_of)
        return cls(remote, settings, place=url.redacted(), daemon=Daemon(settings, own_settings=bool(remote.kind)))

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        os.close(descriptor)
        # What a single request carries is there before it can be counted: whoever has had enough says so now.
        sent(0)
        doing = Doing(Operation.PUT, key.name)
        if not self._shows_halves():
            self._send(source, key.name, size, doing=doing, sent=sent)
        else:
            self._sweep()
            part = self._parts.new()
            try:
                self._send(source, part, size, doing=doing, sent=sent)
                self._transfer("movefile", part, key.name, doing=doing)
            except BaseException:
                self._parts.abandon(part)
                raise
        stored = self.stat(key)
        local_files.require_size(stored.size, size, operation=Operation.PUT, name=key.name)
        return stored

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        with (
            self._client.opened(self._remote.fs, key.name, Doing(Operation.GET, key.name)) as content,
            local_files.arriving(target, size=content.size, name=key.name) as descriptor,
        ):
            while piece := content.read(local_files.CHUNK):
                local_files.write_all(descriptor, piece)
                received(len(piece))

    def list(self) -> Iterator[StoredFile]:
        found = self._listing()
        self._parts.see(file["Name"] for file in found)
        return (StoredFile(file["Name"], file["Size"]) for file in found if not is_unfinished(file["Name"]))

    def stat(self, key: Key) -> StoredFile:
        doing = Doing(Operation.STAT, key.name)
        item = self._call("operations/stat", doing, fs=self._remote.fs, remote=key.name)["item"]
        if item is None or item["IsDir"]:
            raise NotFound(f"No file {key.name} at {self._place}", name=key.name, operation=Operation.STAT.value)
        return StoredFile(key.name, item["Size"], int(datetime.fromisoformat(item["ModTime"]).timestamp()))

    def delete(self, key: Key) -> None:
        self._delete(key.name)

    def close(self) -> None:
        if self._daemon.running:
            self._remove_abandoned()
        self._client.close()
        self._daemon.close()

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        doing = Doing(Operation.READ_RANGE, key.name)
        end = min(start + size, self.stat(key).size)
        if start >= end:
            return b""
        with self._client.opened(self._remote.fs, key.name, doing, span=(start, end - 1)) as content:
            if not content.is_partial:
                reason = "the service sends no parts of files"
                raise failure(Unsupported, reason, operation=doing.operation, name=key.name, place=self._place)
            data = bytearray()
            while piece := content.read(end - start):
                data += piece
        return bytes(data)

    def copy(self, source: Key, target: Key) -> StoredFile:
        doing = Doing(Operation.COPY, source.name)
        if not self._feature("Copy"):
            reason = "the service makes no copies by itself"
            raise failure(Unsupported, reason, operation=doing.operation, name=source.name, place=self._place)
        if not self._shows_halves():
            self._transfer("copyfile", source.name, target.name, doing=doing)
        else:
            part = self._parts.new()
            try:
                self._transfer("copyfile", source.name, part, doing=doing)
                self._transfer("movefile", part, target.name, doing=doing)
            except BaseException:
                self._parts.abandon(part)
                raise
        return self.stat(target)

    def free_bytes(self) -> int | None:
        if not self._feature("About"):
            return None
        try:
            free = self._call("operations/about", Doing(Operation.FREE_BYTES), fs=self._remote.fs).get("free")
        except StorageError:
            if self._listing():
                raise
            return None  # where there is nothing yet, some ask in vain
        return int(free) if free is not None else None

    # ---- one file there --------------------------------------------------------------------------------------------

    def _send(self, source: str, name: str, size: int, *, doing: Doing, sent: ByteCounter) -> None:
        folder = self._folder()
        # rclone cannot be told of every path there is, but of a link to it.
        link = os.urandom(8).hex()
        path = os.path.join(folder, link)
        os.symlink(os.path.abspath(source), path)
        group = f"twofold-{link}"
        told = 0

        def tell(count: int) -> bool:
            nonlocal told
            moved, told = min(count, size) - told, min(count, size)
            if moved:
                sent(moved)
            return bool(moved)

        def watch() -> bool:
            return tell(self._call("core/stats", doing, group=group)["bytes"])

        try:
            self._client.watched(
                "operations/copyfile",
                doing,
                watch,
                srcFs={"type": "local", "copy_links": "true", "_root": folder},
                srcRemote=link,
                dstFs=self._remote.fs,
                dstRemote=name,
                _group=group,
                _config=_EVERYTHING_ANEW,
            )
        finally:
            with contextlib.suppress(FileNotFoundError):  # rclone has died, and its guard has tidied up
                os.unlink(path)
        tell(size)

    def _transfer(self, command: str, source: str, target: str, *, doing: Doing) -> None:
        fs = self._remote.fs
        where = {"srcFs": fs, "srcRemote": source, "dstFs": fs, "dstRemote": target}
        self._call(f"operations/{command}", doing, **where, _config=_EVERYTHING_ANEW)

    def _delete(self, name: str) -> None:
        with contextlib.suppress(NotFound):
            self._call("operations/deletefile", Doing(Operation.DELETE, name), fs=self._remote.fs, remote=name)

    # ---- the place -------------------------------------------------------------------------------------------------

    def _listing(self) -> Sequence[dict[str, Any]]:
        options = {"filesOnly": True, "noModTime": True, "noMimeType": True}
        try:
            answer = self._call("operations/list", Doing(Operation.LIST), fs=self._remote.fs, remote="", opt=options)
        except NotFound:
            return []
        found: Sequence[dict[str, Any]] = answer["list"]
        return found

    def _sweep(self) -> None:
        """Removes what dead writers left; not everybody may list, and then nothing is lost."""
        if not self._parts.looked:
            self._parts.looked = True
            with contextlib.suppress(StorageError):
                self._parts.see(file["Name"] for file in self._listing())
        self._remove_abandoned()

    def _remove_abandoned(self) -> None:
        """What resists is left alone: a backup must not fail by it."""
        with contextlib.suppress(StorageError):
            for name in self._parts.take_abandoned():
                self._delete(name)

    def _shows_halves(self) -> bool:
        return self._feature("PartialUploads") or (self._feature("Move") and not self._feature("BucketBased"))

    def _feature(self, name: str) -> bool:
        with self._lock:
            if not self._features:
                self._features = self._call("operations/fsinfo", Doing(Operation.STAT), fs=self._remote.fs)["Features"]
            return self._features.get(name, False)

    # ---- rclone ----------------------------------------------------------------------------------------------------

    def _call(self, command: str, doing: Doing, **arguments: object) -> dict[str, Any]:
        try:
            return self._client.call(command, doing, **arguments)
        except StorageError as error:
            if self._remote.login and "didn't find section in config file" in str(error):
                message = f"{error} ({self._remote.login})"
                raise StorageError(message, name=error.name, operation=error.operation) from error
            raise

    def _folder(self) -> str:
        return self._daemon.folder(self._prepare)

    def _client_at(self, address: Callable[[], str]) -> Client:
        secrets = tuple(text for name, text in self._remote.parameters.items() if name in _SECRETS)
        return Client(address, place=self._place, patience=self._patience, secrets=secrets)

    def _prepare(self, address: str) -> None:
        """Makes the remote in an rclone that has just started."""
        if not self._remote.kind:
            return
        client = self._client_at(lambda: address)
        doing = Doing(Operation.LIST)
        parameters = dict(self._remote.parameters)
        options: dict[str, object] = {"obscure": True, "nonInteractive": True}
        answer = client.call(
            "config/create", doing, name=OWN, type=self._remote.kind, parameters=parameters, opt=options
        )
        # OneDrive has to be asked which drive is meant: the first. What others ask is settled by what they were told.
        for _ in range(_QUESTIONS if self._remote.kind == "onedrive" else 0):
            if not answer.get("State"):
                break
            reply = {"continue": True, "state": answer["State"], "result": answer_to(answer["Option"])}
            answer = client.call("config/update", doing, name=OWN, parameters={}, opt={"nonInteractive": True} | reply)
        client.close()


def answer_to(question: dict[str, Any] | None) -> str:
    """What rclone would take by itself, but the token it has is kept: a new one would need a browser."""
    if question is None or question["Name"] == "config_refresh_token":
        return "false"
    return str(question["ValueStr"])


def _text_of(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None
