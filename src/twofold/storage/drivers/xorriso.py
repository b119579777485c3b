"""xorriso:// : files in an ISO 9660 image, or on a disc in a drive, by the program xorriso.

Each put and delete appends a session; xorriso writes it out to the disk before it rewrites the two kilobytes that say
which session counts, so a kill or power cut leaves the one before. Nothing is ever overwritten, so nothing is regained
by deleting. Every call loads the tree anew, which takes milliseconds from a file.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from twofold.concurrency import exclusion
from twofold.errors import Forbidden, InvalidUrl, NoPlace, NoSpace, NotFound, StorageError, Unavailable, Unsupported
from twofold.model.value import value
from twofold.storage import local_files, processes
from twofold.storage.processes import Meaning
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Atomicity, ByteCounter, Key, Operation, StoredFile, StoreTraits, ignore_bytes
from twofold.storage.url import StorageUrl

_TRAITS: Final = StoreTraits(parallel=1, atomic_put=Atomicity.BY_NATURE)
_BLOCK: Final = 1 << 15
"""What xorriso writes at once; the first is told when it is about to."""
_WORDS: Final = (
    *("-abort_on", "FAILURE", "-return_with", "SORRY", "32", "-report_about", "SORRY", "-calm_drive", "off"),
    # Paths are no patterns, and no byte of a name is taken for the end of a line.
    *("-iso_rr_pattern", "off", "-disk_pattern", "off", "-backslash_codes", "encode_output", "-osirrox", "on"),
)
_MEANINGS: Final = (
    Meaning("Cannot find path", NotFound),
    Meaning("No space left", NoSpace, "make room or use another target"),
    Meaning("exceeds free space", NoSpace, "insert another disc"),
    Meaning("Permission denied", Forbidden, "check owner and permissions"),
    Meaning("Unsuitable target media state", Unsupported, "it is no ISO image, or a disc that is closed or not blank"),
    Meaning("busy", Unavailable),
    Meaning("Neither stdio-path nor its directory exist", NoPlace, "is the path right and the disk mounted?"),
    Meaning("not found", NoPlace, "is the path right and the drive connected?"),
)
_LINE: Final = re.compile(r"-\S+ +\d+ \S+ +\S+ +(\d+) \S{3} [ \d]\d [ :\d]{5} '(.*)'")
_ESCAPE: Final = re.compile(rb"\\(\d{3}|.)")
_LETTERS: Final = dict(zip(b"abefnrtv", b"\a\b\x1b\f\n\r\t\v", strict=True))


@value
class Image:
    """An image file or a drive, the directory in it, and how xorriso is called."""

    device: str
    directory: str
    program: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, url: StorageUrl, variables: Mapping[str, str]) -> Image:
        """Raises InvalidUrl when there is no image in the URL."""
        place = url.path[2:]
        device, _, directory = place.rpartition(":/") if ":/" in place else (place.removesuffix(":"), "", "")
        if not device.strip("/"):
            raise InvalidUrl(f"No image in {url.redacted()}; write xorriso:///path/image.iso:/directory")
        words = [*shlex.split(variables.get("XORRISO_ARGS", ""))]
        if volume := variables.get("XORRISO_ASSERT_VOLID"):
            words += ["-assert_volid", volume, "FAILURE"]
        words += ["-speed", variables.get("XORRISO_WRITE_SPEED") or "min"]
        program = variables.get("XORRISO_PATH") or "xorriso"
        return cls(os.path.abspath(device), "/" + directory.strip("/"), program, tuple(words))

    def path(self, name: str) -> str:
        """A file of the place, in the image."""
        return f"{self.directory.rstrip('/')}/{name}"


class XorrisoStore:
    """A Store in an image. Writers from different processes exclude each other where it is a file."""

    def __init__(self, image: Image, variables: Mapping[str, str]) -> None:
        self._image = image
        self._environment = processes.child_environment(variables)
        self._using = exclusion()
        self._seen = False

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> XorrisoStore:
        """Raises InvalidUrl."""
        return cls(Image.of(url, settings.environment), settings.environment)

    @property
    def traits(self) -> StoreTraits:
        return _TRAITS

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        descriptor, size = local_files.open_source(source, Operation.PUT, name=key.name)
        os.close(descriptor)
        path = self._image.path(key.name)
        with self._writing(Operation.PUT, key.name) as image:
            told = min(size, _BLOCK)
            sent(told)
            began = os.fstat(image).st_size if image >= 0 else 0

            def watch() -> None:
                nonlocal told
                if image >= 0:
                    now = min(size, max(told, os.fstat(image).st_size - began))
                    sent(now - told)
                    told = now

            self._commit(
                *("-map", os.path.abspath(source), path, "-chmod", "a+r", path, "--"),
                operation=Operation.PUT,
                name=key.name,
                watch=watch,
            )
            local_files.require_size(
                self._sizes(Operation.PUT).get(key.name, -1), size, operation=Operation.PUT, name=key.name
            )
            sent(size - told)
        return StoredFile(key.name, size)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        path = self._image.path(key.name)
        with self._using, local_files.arriving(target, size=None, name=key.name) as descriptor:
            told = 0

            def watch() -> None:
                nonlocal told
                now = os.fstat(descriptor).st_size
                received(now - told)
                told = now

            # In one call: another session may replace the file meanwhile, and its size.
            looking = ("-find", path, "-maxdepth", "0", "-type", "f", "-exec", "lsdl", "--")
            copying = ("-concat", "overwrite", os.path.abspath(target + local_files.PART_SUFFIX), path, "--")
            said = self._run("-indev", *looking, *copying, operation=Operation.GET, name=key.name, watch=watch)
            watch()
            found = _LINE.match(said)
            if not found:
                raise self._not_found(Operation.GET, key.name)
            local_files.require_size(told, int(found[1]), operation=Operation.GET, name=key.name)

    def list(self) -> Iterator[StoredFile]:
        try:
            sizes = self._sizes(Operation.LIST)
        except NotFound:
            if self._seen:
                raise
            sizes = {}
        return (StoredFile(name, size) for name, size in sizes.items())

    def stat(self, key: Key) -> StoredFile:
        sizes = self._sizes(Operation.STAT, key.name)
        if key.name not in sizes:
            raise self._not_found(Operation.STAT, key.name)
        return StoredFile(key.name, sizes[key.name])

    def delete(self, key: Key) -> None:
        with self._using:
            try:
                self.stat(key)
            except NoPlace:
                if self._seen:
                    raise
            except NotFound:
                return
            else:
                with self._writing(Operation.DELETE, key.name):
                    path = self._image.path(key.name)
                    self._commit("-rm", path, "--", operation=Operation.DELETE, name=key.name)

    def close(self) -> None:
        """Nothing is kept open."""

    def _sizes(self, operation: Operation, name: str = "") -> dict[str, int]:
        """The files at the place with their sizes. Raises NoPlace."""
        looking = ("-find", self._image.directory, "-maxdepth", "1", "-type", "f", "-exec", "lsdl", "--")
        try:
            if not os.path.exists(self._image.device):
                raise NotFound("No image")
            with self._using:
                said = self._run("-indev", *looking, operation=operation, name=name)
        except NotFound as error:
            message = f"No directory {self._image.directory} in {self._image.device} (is the path right?)"
            raise NoPlace(message, name=name, operation=operation.value) from error
        self._seen = True
        lines = filter(None, map(_LINE.fullmatch, said.split("\n")))
        return {os.path.basename(_unescaped(line[2])): int(line[1]) for line in lines}

    def _not_found(self, operation: Operation, name: str) -> NotFound:
        where = f"{self._image.device}:{self._image.directory}"
        return NotFound(f"No file {name} in {where}", name=name, operation=operation.value)

    @contextmanager
    def _writing(self, operation: Operation, name: str) -> Iterator[int]:
        """While nobody else writes to the image: its descriptor, made durable at the end, or -1 for a drive."""
        device = self._image.device
        with self._using, local_files.translating(operation, name=name, path=device):
            if os.path.exists(device) and not os.path.isfile(device):
                yield -1
                return
            making = 0 if self._seen else os.O_CREAT
            descriptor = os.open(device, os.O_RDWR | making | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield descriptor
                os.fsync(descriptor)
                local_files.sync_directory(os.path.dirname(device))
            finally:
                if not os.fstat(descriptor).st_size:
                    os.unlink(device)
                os.close(descriptor)

    def _commit(
        self, *words: str, operation: Operation, name: str, watch: processes.Watch = processes.watch_nothing
    ) -> None:
        """Appends a session with a change."""
        changing = ("-joliet", "on", "-padding", "0", *words, "-commit")
        self._run("-dev", *changing, operation=operation, name=name, watch=watch)

    def _run(
        self, way: str, *words: str, operation: Operation, name: str, watch: processes.Watch = processes.watch_nothing
    ) -> str:
        command = [self._image.program, *_WORDS, *self._image.words, way, self._image.device, *words]
        remedy = "install it (Debian: xorriso), or say where it is with XORRISO_PATH"
        ended = processes.run(command, environment=self._environment, remedy=remedy, watch=watch)
        if ended.code:
            raise processes.failure(
                ended,
                _MEANINGS,
                otherwise=StorageError,
                operation=operation,
                name=name,
                place=self._image.device,
            )
        return ended.said


def _unescaped(text: str) -> str:
    """A path as xorriso shows it: as a shell would quote it, with codes for what is not plain."""
    raw = text.replace("'\"'\"'", "'").encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(lambda found: bytes([_byte(found[1])]), raw).decode("utf-8", "surrogateescape")


def _byte(code: bytes) -> int:
    return int(code, 8) if len(code) > 1 else _LETTERS.get(code[0], code[0])
