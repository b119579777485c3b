"""Makes the signature file beside the volumes: one pass over each chunk's data, without the interpreter lock.

Content hashes that come out of it are put into the headers in the chunk, which goes on to compression afterwards. The
records of the state file are completed here too, since only here is it known where a signature stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from twofold import rsync
from twofold.format import sigtar
from twofold.format.manifest import FileChange
from twofold.format.tar_writer import Metadata, padding, tail
from twofold.model.entry import ContentRecord, Entry
from twofold.pipeline.blocks import STRONG_LENGTH
from twofold.pipeline.known import KnownTree, StateWriter, copy_subtree, location
from twofold.pipeline.members import (
    Chunk,
    FinishedDirectory,
    KeptDirectory,
    LargeData,
    LargeFile,
    Member,
    OtherFile,
    RemovedFile,
    SignedFile,
    SmallFile,
)

_KIND: Final = rsync.SignatureKind.BLAKE2_RABIN_KARP
_PIECE: Final = 1 << 20
_HEADER: Final = 12
_BLOCK_SUMS: Final = 4 + STRONG_LENGTH


class Signer:
    """The signing stage of one backup. One thread uses it."""

    def __init__(
        self,
        sink: Callable[[bytes], None],
        state: StateWriter,
        *,
        set_number: int,
        known: KnownTree | None,
        changes: Callable[[FileChange, bytes], None],
    ) -> None:
        """`sink` takes the signature tar in pieces of about a MiB; `set_number` counts the sets of the chain from 0.

        `changes` is told of every regular file that was stored or has gone, in archive order.
        """
        self._sink = sink
        self._changes = changes
        self._state = state
        self._set_number = set_number
        self._known = known
        self._pieces: list[bytes] = []
        self._pending = 0
        self._offset = 0
        self._last_start = 0
        self.root_record = 0

    def sign(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The same chunks, their content hashes filled in; ends the signature tar after the last one."""
        for chunk in chunks:
            self._sign_chunk(chunk)
            yield chunk
        self._append(tail(self._offset))
        self._flush()

    def _sign_chunk(self, chunk: Chunk) -> None:
        small = [member for member in chunk.members if type(member) is SmallFile]
        signatures, hashes = b"", b""
        if small:
            signatures, hashes = rsync.sign_many(
                chunk.buffer,
                [member.data_at for member in small],
                [member.size for member in small],
                [member.block_len for member in small],
                _KIND,
                STRONG_LENGTH,
            )
        signature_at = number = 0
        for member in chunk.members:
            if type(member) is SmallFile:
                length = _HEADER + -(-member.size // member.block_len) * _BLOCK_SUMS
                digest = hashes[32 * number : 32 * number + 32]
                self._small(chunk, member, signatures[signature_at : signature_at + length], digest)
                signature_at += length
                number += 1
            else:
                self._other(chunk, member)

    def _small(self, chunk: Chunk, member: SmallFile, signature: bytes, digest: bytes) -> None:
        chunk.buffer[member.digest_at : member.digest_at + 64] = digest.hex().encode()
        entry = member.entry._replace(content=ContentRecord(member.block_len, member.size, digest))
        self._file(member.path, entry, member.metadata, (signature,))
        member.work.locations[member.at] = location(self._set_number, self._last_start)
        self._changes(FileChange.CHANGED if member.known else FileChange.NEW, member.path)

    def _other(self, chunk: Chunk, member: Member) -> None:
        match member:
            case OtherFile():
                self._file(member.path, member.entry, member.metadata, ())
                member.work.locations[member.at] = location(self._set_number, self._last_start)
            case LargeData():
                self._large(chunk, member)
            case SignedFile():
                self._file(member.path, member.entry, member.metadata, member.signature)
                member.work.locations[member.at] = location(self._set_number, self._last_start)
                self._changes(FileChange.CHANGED, member.path)
            case RemovedFile():
                self._append(sigtar.deleted_header(member.path))
                if member.regular:
                    self._changes(FileChange.DELETED, member.path)
            case FinishedDirectory():
                self._leave(member)
            case KeptDirectory():
                if self._known is not None:
                    member.work.children[member.at] = copy_subtree(self._known, member.offset, self._state)
            case SmallFile():
                raise AssertionError("small files are signed together")

    def _large(self, chunk: Chunk, member: LargeData) -> None:
        file = member.file
        if file.builder is None:
            file.builder = rsync.SignatureBuilder(_KIND, file.block_len, STRONG_LENGTH)
        file.builder.update_many(chunk.buffer, member.offsets, member.lengths)
        if member.digest_at is None:
            return
        digest = file.builder.finish()
        chunk.buffer[member.digest_at : member.digest_at + 64] = digest.hex().encode()
        content = ContentRecord(file.block_len, member.size, digest)
        self._finish_large(file, file.entry._replace(size=member.size, content=content), file.builder.take())
        file.builder = None

    def _finish_large(self, file: LargeFile, entry: Entry, signature: bytes) -> None:
        self._file(file.path, entry, file.metadata, (signature,))
        file.work.locations[file.at] = location(self._set_number, self._last_start)
        self._changes(FileChange.NEW, file.path)

    def _file(self, path: bytes, entry: Entry, metadata: Metadata, signature: tuple[bytes, ...]) -> None:
        size = sum(map(len, signature))
        self._last_start = self._offset
        self._append(sigtar.member_header(path, entry, metadata=metadata, size=size))
        if size:
            for piece in signature:
                for start in range(0, len(piece), _PIECE):
                    self._append(piece[start : start + _PIECE])
            rest = padding(size)
            if rest:
                self._append(rest)

    def _leave(self, member: FinishedDirectory) -> None:
        work = member.work
        where = self._state.write(work.record())
        if work.parent is None:
            self.root_record = where
        else:
            work.parent.children[work.index] = where

    def _append(self, data: bytes) -> None:
        self._pieces.append(data)
        self._pending += len(data)
        self._offset += len(data)
        if self._pending >= _PIECE:
            self._flush()

    def _flush(self) -> None:
        if self._pieces:
            self._sink(b"".join(self._pieces))
            self._pieces = []
            self._pending = 0
