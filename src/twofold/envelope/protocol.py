"""What every envelope does: compress pieces in any thread, seal them into one file in order, open such a file again.

A file is made from pieces so that compression runs in several threads while one thread writes. Nothing here knows
what the bytes mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from twofold.model.backup import Wrapping

Buffer: TypeAlias = bytes | bytearray | memoryview
Slices: TypeAlias = Sequence[tuple[int, int]]
"""(offset, length) of what belongs together, in order."""


class Piece(NamedTuple):
    """One chunk as the file will hold it, made by `Envelope.compress` for the sealers of that same envelope.

    `data` is raw deflate that ends on a byte boundary and looks back at nothing before it, or the bytes themselves
    where nothing is compressed. `crc` is the CRC-32 of the raw bytes where the wrapping needs it, else 0.
    """

    data: bytes
    raw_size: int
    crc: int


class Sealed(NamedTuple):
    """A finished file: what is stored, in bytes and lower-case hexadecimal digests."""

    path: str
    size: int
    sha1: str
    sha256: str


class Inside(NamedTuple):
    """A part of a file: from the piece before which all pieces together have `begin` bytes to the one at `end`.

    That one is not included; None stands for the end of the file. `is_sound` is asked whether the part is the one that
    is meant, given up to 64 KiB of what comes out at its beginning. Where the part ends before the file, `closing`
    comes out behind it: it must not look like the end of a file to whoever reads so far.
    """

    begin: int
    end: int | None
    is_sound: Callable[[bytes], bool]
    closing: bytes = b""


class Sealer(Protocol):
    """One file in the making. Its methods are called by one thread at a time; only `abort` may come from another."""

    def feed_raw(self, data: Buffer) -> None:
        """Takes the raw bytes of all pieces, in order, ahead of or behind `write`; without a signature it does nothing.

        Raises EnvelopeError when gpg has given up.
        """

    def write(self, piece: Piece) -> None:
        """Adds the next piece. Raises EnvelopeError when gpg has given up, OSError when the disk refuses."""

    def finish(self) -> Sealed:
        """Completes the file: on return it is whole, checked, on disk and closed. To be called once.

        Raises EnvelopeError with gpg's log, OSError when the disk refuses. After an error call `abort`.
        """

    def abort(self) -> None:
        """Ends the children and removes the file, even while another thread waits in `write`, and any number of times.

        After `finish` it does nothing.
        """


class Opened(Protocol):
    """The raw content of one file. A gpg message has been checked as a whole before its first byte comes out here."""

    def read(self, size: int) -> bytes:
        """Returns `size` bytes, fewer only at the end. Raises CorruptStream; bytes before the error may be wrong."""

    def close(self) -> None:
        """Gives back what is held; may be called twice."""


class Envelope(Protocol):
    """A way to wrap files. All methods may be called from any thread."""

    @property
    def wrapping(self) -> Wrapping:
        """What names of files in this envelope end in."""

    def compress(self, data: Buffer, bodies: Sequence[Slices] = ()) -> Piece:
        """Makes a piece; works without the interpreter lock. `data` may be used again as soon as it returns.

        `bodies` tells of large contents in the data (`deflate.deflated`), for those who compress.
        """

    def worst_case(self, raw_size: int) -> int:
        """The most bytes that `compress` makes of so many."""

    def overhead(self, deflated_size: int) -> int:
        """The most bytes by which a finished file is larger than its pieces' data of that total size."""

    def create(self, path: str) -> Sealer:
        """Begins a file, replacing what is at `path`. Raises EnvelopeError when gpg cannot be started."""

    @property
    def opens_inside(self) -> bool:
        """Whether files that it makes can be opened at any of their pieces."""

    def open(self, path: str, inside: Inside | None = None) -> Opened:
        """Opens a finished file for reading, only that part of it where that can be done, else all of it.

        Raises EnvelopeError, OSError.
        """

    def prepare(self, count: int, directory: str) -> None:
        """Does ahead what `count` calls of `create` for paths in `directory` would have to wait for."""

    def close(self) -> None:
        """Ends what `prepare` began and nobody used; may be called twice."""
