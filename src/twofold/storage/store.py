"""What a store is: named files in one flat place, and the rarer abilities that only some stores have.

Everything here is plain and synchronous. A driver only translates: it never retries, waits, limits, logs or reads the
environment; wrappers do that (docs/drivers.md). Errors are those of `twofold.errors.StorageError` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import NamedTuple, Protocol, TypeVar, cast, runtime_checkable

from twofold.model.backup import FileRole
from twofold.model.value import value

T = TypeVar("T")

ByteCounter = Callable[[int], None]


def ignore_bytes(_count: int) -> None:
    """The ByteCounter of whoever does not want to know."""


class Operation(Enum):
    """What a store can be asked for; values are the words of duplicity's log (docs/cli.md section 5.4)."""

    PUT = "put"
    MOVE = "move"
    GET = "get"
    LIST = "list"
    STAT = "query"
    DELETE = "delete"
    COPY = "copy"
    CREATE = "create"
    READ_RANGE = "read"
    WARM_UP = "warm-up"
    RETAIN = "retain"
    FREE_BYTES = "space"


@value
class Key:
    """A stored file by name, with what it is for, so that no driver has to guess that from the name.

    A name is one component: not empty, no slash, no NUL, neither `.` nor `..`; anything else is a ValueError. Bytes
    that are no UTF-8 stand in it as surrogates.
    """

    role: FileRole
    name: str

    def __post_init__(self) -> None:
        if self.name in {"", ".", ".."} or "/" in self.name or "\0" in self.name:
            raise ValueError(f"Not a file name: {self.name!r}")


class Warmth(Enum):
    """Whether a file can be read now; WARMING files have been asked for and will come."""

    WARM = "warm"
    COLD = "cold"
    WARMING = "warming"


class DigestName(Enum):
    """Hashes that stores compute themselves."""

    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    CRC32C = "crc32c"


class Digest(NamedTuple):
    """One hash of a stored file, as the store told it."""

    name: DigestName
    value: bytes


@value
class StoredFile:
    """What a store says about one file.

    `size` is always known, in bytes. `modified` is in seconds since 1970, UTC, None where the store does not say.
    `digests` holds only what the store had at hand for nothing.
    """

    name: str
    size: int
    modified: int | None = None
    digests: tuple[Digest, ...] = ()
    warmth: Warmth = Warmth.WARM


class Atomicity(Enum):
    """How a put becomes visible whole or not at all: only BY_SIZE_CHECK stores can show a short file for a while."""

    BY_NATURE = "nature"
    BY_RENAME = "rename"
    BY_SIZE_CHECK = "size check"


@value
class StoreTraits:
    """Limits and habits of a store, as data.

    `parallel` is the number of transfers at once that pay; `largest_file` is in bytes. Where `consistent_list` is
    False, a name missing from a listing proves nothing. `put_digest` is the hash that the store verifies itself when
    it is handed one. A store that `keeps_rates` holds to those of its settings by itself: its bytes are moved where
    no ByteCounter can keep anybody waiting.
    """

    parallel: int
    atomic_put: Atomicity
    largest_file: int | None = None
    consistent_list: bool = True
    put_digest: DigestName | None = None
    keeps_rates: bool = False


class Store(Protocol):
    """Named files in one flat place.

    All methods may be called from several threads at once. Connections are made at first use and kept until `close`.
    Besides what each method names, all raise Forbidden (login refused, permission missing), Unavailable (worth another
    try) and StorageError. Only NotFound and its kind mean that something is certainly not there.
    """

    @property
    def traits(self) -> StoreTraits:
        """The limits of this store; never changes."""

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        """Stores the local file `source`, replacing a file of that name; makes the place when it is absent.

        Returns only when the store has the right size and will keep it through a power cut. Until then, and after any
        failure, `stat` of the name finds nothing or the old file, whole. What an interruption leaves behind has a name
        that `list` does not yield. May be called again after a failure; `source` is never changed. `sent` is told the
        bytes on their way, in the calling thread; negative numbers take back what has to be sent again; what it raises
        ends the put. Raises NoSpace, Incomplete when the sizes differ.
        """

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        """Fetches a file to the local path `target`, replacing what is there.

        Writes `target` + ".part" and renames it when the size is right: a short target is never left, and after a
        failure the old target, if any, is still there and the part is gone. The new file is readable by its owner
        only. `received` as `sent` of put. Raises NotFound, NeedsWarmUp, Incomplete.
        """

    def list(self) -> Iterator[StoredFile]:
        """Every file once, in any order, foreign ones too, over all pages; no directories and nothing below them.

        An absent place is an empty list and is not made by asking; one that cannot be read is an error, raised by the
        call or on the way. Files that come and go meanwhile may be in it or not.
        """

    def stat(self, key: Key) -> StoredFile:
        """What the store says about one file. Raises NotFound, which is NoPlace when the whole place is absent."""

    def delete(self, key: Key) -> None:
        """Removes a file; one that is missing is no error. Raises Retained."""

    def close(self) -> None:
        """Gives back connections and temporary files. May be called twice; nothing else may be called after it."""


@runtime_checkable
class CanReadRange(Protocol):
    """Reads a piece without fetching the whole."""

    def read_range(self, key: Key, start: int, size: int) -> bytes:
        """`size` bytes from `start`, fewer only where the file ends. Raises NotFound, NeedsWarmUp."""


@runtime_checkable
class CanCopy(Protocol):
    """Copies inside the store."""

    def copy(self, source: Key, target: Key) -> StoredFile:
        """Makes `target` a copy of `source`, visible whole or not at all, not a byte passing us. Raises NotFound."""


@runtime_checkable
class CanMove(Protocol):
    """Takes over finished local files."""

    def move(self, source: str, key: Key) -> StoredFile:
        """As put, but `source` is gone afterwards: by rename where it lies on the store's own file system.

        After a failure `source` is still there and the call may be repeated.
        """


@runtime_checkable
class CanStage(Protocol):
    """Lends a directory in which files can be built that `move` then only has to rename."""

    def staging_directory(self) -> str | None:
        """A directory for its owner only (0700) on the store's file system; the same one at every call.

        Makes the place when it is absent. None where such a directory cannot be had: build the files elsewhere then.
        `close` removes it with all that is left in it; what a killed process left is removed by the next writer.
        """


@runtime_checkable
class CanOpenInPlace(Protocol):
    """Shows its files in the local file system."""

    def open_local(self, key: Key) -> str:
        """The path of the stored file, to be read where it lies and never written. Raises NotFound."""


@runtime_checkable
class CanCreateExclusive(Protocol):
    """Lets exactly one of several writers win."""

    def create(self, key: Key, content: bytes) -> None:
        """Stores `content` under a name that nobody has. Raises AlreadyExists, and then nothing has changed."""


@value
class Warming:
    """The answer to warm_up; `ready_at` (seconds since 1970, UTC) is when the last of `coming` is expected."""

    warm: tuple[Key, ...]
    coming: tuple[Key, ...]
    ready_at: int | None


@runtime_checkable
class CanWarmUp(Protocol):
    """Has cold files that must be asked for before they can be read."""

    def warm_up(self, keys: Iterable[Key]) -> Warming:
        """Asks for those that are cold and returns at once; asking again is no error. Raises NotFound."""


class RetainMode(Enum):
    """Who may shorten a retention: privileged accounts, or nobody."""

    GOVERNANCE = "governance"
    COMPLIANCE = "compliance"


@runtime_checkable
class CanRetain(Protocol):
    """Refuses to delete before a date."""

    def retain(self, key: Key, until: int, mode: RetainMode) -> None:
        """Keeps the file at least to `until` (seconds since 1970, UTC). Raises NotFound, Retained when shortening."""


@runtime_checkable
class CanReportSpace(Protocol):
    """Knows how much still fits."""

    def free_bytes(self) -> int | None:
        """Bytes that may still be stored; None when there is no limit or nobody knows."""


@runtime_checkable
class CanSeeWriters(Protocol):
    """Notices when another process is writing at the same place."""

    def has_other_writer(self) -> bool:
        """Whether another living process is storing files there now. False where that cannot be known."""


@runtime_checkable
class CanDeleteMany(Protocol):
    """Deletes in bulk."""

    def delete_many(self, keys: Iterable[Key]) -> Iterator[Key]:
        """Deletes as delete does and yields each key that is certainly gone; an error ends the rest."""


def ability(store: Store, wanted: Callable[..., T]) -> T | None:
    """`store` as one that has the ability `wanted` (`ability(store, CanMove)`), or None.

    Always ask here, never with isinstance: a wrapper has the abilities of what it wraps and no others.
    """
    if isinstance(store, StoreWrapper):
        return store.ability(wanted)
    # NB: a Callable rather than type[T], which mypy does not let a Protocol be.
    return cast(T, store) if isinstance(store, cast(type, wanted)) else None


class StoreWrapper:
    """A Store around another. Subclasses define the abilities they change; the others show through unchanged."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    @property
    def traits(self) -> StoreTraits:
        return self.inner.traits

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        return self.inner.put(key, source, sent=sent)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        self.inner.get(key, target, received=received)

    def list(self) -> Iterator[StoredFile]:
        return self.inner.list()

    def stat(self, key: Key) -> StoredFile:
        return self.inner.stat(key)

    def delete(self, key: Key) -> None:
        self.inner.delete(key)

    def close(self) -> None:
        self.inner.close()

    def ability(self, wanted: Callable[..., T]) -> T | None:
        """What `ability` of this module answers for this wrapper."""
        found = ability(self.inner, wanted)
        if found is not None and isinstance(self, cast(type, wanted)):
            return cast(T, self)
        return found

    def inner_ability(self, wanted: Callable[..., T]) -> T:
        """The wrapped store's ability, where `ability` has already found it."""
        found = ability(self.inner, wanted)
        if found is None:
            raise TypeError(f"{type(self.inner).__name__} cannot do this: ask ability() first")
        return found
