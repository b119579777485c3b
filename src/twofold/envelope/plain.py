"""No wrapping at all: the stored bytes are the content."""

from __future__ import annotations

import os
from collections.abc import Sequence

from twofold.envelope.protocol import Buffer, Inside, Opened, Piece, Sealed, Sealer, Slices
from twofold.envelope.stored_file import StoredFile
from twofold.envelope.streams import FileStream
from twofold.model.backup import Wrapping


class PlainEnvelope:
    """Stores bytes as they are."""

    wrapping = Wrapping.PLAIN
    opens_inside = False

    def compress(self, data: Buffer, bodies: Sequence[Slices] = ()) -> Piece:
        return Piece(bytes(data), len(data), 0)

    def worst_case(self, raw_size: int) -> int:
        return raw_size

    def overhead(self, deflated_size: int) -> int:
        return 0

    def create(self, path: str) -> Sealer:
        return PlainSealer(StoredFile.create(path))

    def open(self, path: str, inside: Inside | None = None) -> Opened:
        return FileStream(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def prepare(self, count: int, directory: str) -> None:
        pass

    def close(self) -> None:
        pass


class PlainSealer:
    """Writes pieces one behind the other."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file

    def feed_raw(self, data: Buffer) -> None:
        pass

    def write(self, piece: Piece) -> None:
        self._file.append(piece.data)

    def finish(self) -> Sealed:
        return self._file.finish()

    def abort(self) -> None:
        self._file.remove()
