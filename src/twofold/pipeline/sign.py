"""Makes the signature file beside the volumes: one pass over each chunk's data, without the interpreter lock.

Content hashes that come out of it are put into the headers in the chunk, which goes on to compression afterwards. The
records of the state file are completed here too, since only here is it known where a signature stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, cast

from twofold import rsync
from twofold.format import sigtar
from twofold.format.manifest import FileChange
from twofold.format.plain_headers import PLAIN_HEADER
from twofold.format.tar_writer import BLOCK, Metadata, padding, tail
from twofold.model.entry import ContentRecord, Entry
from twofold.pipeline.blocks import STRONG_LENGTH
from twofold.pipeline.checkpoint import ListMark, Mark, PositionLost
from twofold.pipeline.known import KnownTree, StateWriter, copy_subtree, location
from twofold.pipeline.members import (
    Chunk,
    FinishedDirectory,
    KeptDirectory,
    LargeData,
    LargeFile,
    Member,
    OtherFile,
    PlainFile,
    RemovedFile,
    SignedFile,
    SmallFile,
)
from twofold.pipeline.plain import signature_size

_KIND: Final = rsync.SignatureKind.BLAKE2_RABIN_KARP
_PIECE: Final = 1 << 20
_LAST: Final = BLOCK - 1
_ZEROS: Final = bytes(BLOCK)


class _Sums:
    """What the kernel says of the small files of a chunk, taken one after another."""

    __slots__ = ("digits", "hashes", "number", "signature_at", "signatures")

    def __init__(self, signatures: bytes, hashes: bytes) -> None:
        self.signatures = signatures
        self.hashes = hashes
        self.digits = hashes.hex().encode()
        self.number = 0
        self.signature_at = 0

    def take(self, size: int) -> tuple[bytes, bytes]:
        """The next file's signature of that size, and its content hash."""
        signature = self.signatures[self.signature_at : self.signature_at + size]
        digest = self.hashes[32 * self.number : 32 * self.number + 32]
        self.signature_at += size
        self.number += 1
        return signature, digest


class Signer:
    """The signing stage of one backup. One thread uses it."""

    def __init__(
        self,
        sink: Callable[[bytes], None],
        state: StateWriter,
        *,
        set_number: int,
        known: KnownTree | None,
        changes: Callable[[FileChange, Sequence[bytes]], None],
        list_mark: Callable[[], ListMark] = ListMark,
        offset: int = 0,
    ) -> None:
        """`sink` takes the signature tar in pieces of about a MiB; `set_number` counts the sets of the chain from 0.

        `changes` is told of the regular files that were stored or have gone, in archive order, and `list_mark` says how
        far that list has come. `offset` bytes of the tar are there already. `sign` raises PositionLost.
        """
        self._sink = sink
        self._changes = changes
        self._state = state
        self._set_number = set_number
        self._base = location(set_number, 0)
        self._new: list[bytes] = []
        self._known = known
        self._pieces: list[bytes] = []
        self._pending = 0
        self._offset = offset
        self._last_start = 0
        self._list_mark = list_mark
        self._open_file: LargeFile | None = None
        self._hasher = hashlib.blake2b(digest_size=16)
        self.root_record = 0

    def sign(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The same chunks, their content hashes filled in; ends the signature tar after the last one."""
        for chunk in chunks:
            self._sign_chunk(chunk)
            yield chunk
        self._append(tail(self._offset))
        self._flush()

    def _sign_chunk(self, chunk: Chunk) -> None:
        signatures, hashes = b"", b""
        if chunk.offsets:
            signatures, hashes = rsync.sign_many(
                chunk.buffer, chunk.offsets, chunk.sizes, chunk.block_lens, _KIND, STRONG_LENGTH
            )
        sums = _Sums(signatures, hashes)
        # NB: ordinary files come in long runs, and a call for each would take half of this thread's time.
        for kind, members in groupby(chunk.members, type):
            if kind is PlainFile:
                self._plain(chunk, cast("Iterator[PlainFile]", members), sums)
                continue
            for member in members:
                if type(member) is SmallFile:
                    self._small(chunk, member, sums)
                else:
                    self._other(chunk, member)
        self._tell_new()
        if chunk.proof is not None and chunk.proof != self._proof():
            raise PositionLost
        if chunk.mark is not None:
            self._flush()
            proof = chunk.mark.proof or self._proof()
            chunk.mark = Mark(chunk.mark.tally, chunk.mark.identity, proof, self._offset, self._list_mark())

    def _proof(self) -> str:
        """Tells the content so far of the file that is under way, if there is one, from any other."""
        file = self._open_file
        if file is None or file.builder is None:
            return ""
        file.signature.append(file.builder.take())
        self._hasher.update(file.signature[-1])
        return f"content {file.builder.size} {self._hasher.hexdigest()}"

    def _plain(self, chunk: Chunk, members: Iterator[PlainFile], sums: _Sums) -> None:
        buffer, signatures, digits, position = chunk.buffer, sums.signatures, sums.digits, sums.signature_at
        pieces, new, start, base = self._pieces, self._new, self._offset, self._base
        digit = 64 * sums.number
        offset = start
        for path, work, at, digest_at, front, back, size in members:
            buffer[digest_at : digest_at + 64] = digest = digits[digit : digit + 64]
            work.locations[at] = base | offset
            rest = -size & _LAST
            end = position + size
            pieces += (front, digest, back, signatures[position:end], _ZEROS[:rest])
            offset += PLAIN_HEADER + size + rest
            position = end
            digit += 64
            new.append(path)
        sums.number, sums.signature_at = digit // 64, position
        self._offset = offset
        self._pending += offset - start
        if self._pending >= _PIECE:
            self._flush()

    def _small(self, chunk: Chunk, member: SmallFile, sums: _Sums) -> None:
        size, block_len = chunk.sizes[sums.number], chunk.block_lens[sums.number]
        signature, digest = sums.take(signature_size(size, block_len))
        chunk.buffer[member.digest_at : member.digest_at + 64] = digest.hex().encode()
        content = ContentRecord(block_len, size, digest)
        entry = member.entry._replace(content=content)
        self._file(member.path, entry, member.metadata, (signature,))
        member.work.locations[member.at] = location(self._set_number, self._last_start)
        if member.known:
            self._tell(FileChange.CHANGED, member.path)
        else:
            self._new.append(member.path)

    def _tell(self, change: FileChange, path: bytes) -> None:
        self._tell_new()
        self._changes(change, (path,))

    def _tell_new(self) -> None:
        if self._new:
            self._changes(FileChange.NEW, self._new)
            self._new = []

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
                self._tell(FileChange.CHANGED, member.path)
            case RemovedFile():
                self._append(sigtar.deleted_header(member.path))
                if member.regular:
                    self._tell(FileChange.DELETED, member.path)
            case FinishedDirectory():
                self._leave(member)
            case KeptDirectory():
                if self._known is not None:
                    member.work.children[member.at] = copy_subtree(self._known, member.offset, self._state)
            case PlainFile() | SmallFile():
                raise AssertionError("small files are signed together")

    def _large(self, chunk: Chunk, member: LargeData) -> None:
        file = member.file
        if file.builder is None:
            self._open_file, self._hasher = file, hashlib.blake2b(digest_size=16)
            file.builder = rsync.SignatureBuilder(_KIND, file.block_len, STRONG_LENGTH)
        file.builder.update_many(chunk.buffer, member.offsets, member.lengths)
        if member.digest_at is None:
            return
        digest = file.builder.finish()
        chunk.buffer[member.digest_at : member.digest_at + 64] = digest.hex().encode()
        content = ContentRecord(file.block_len, member.size, digest)
        signature = (*file.signature, file.builder.take())
        self._finish_large(file, file.entry._replace(size=member.size, content=content), signature)
        self._open_file = file.builder = None

    def _finish_large(self, file: LargeFile, entry: Entry, signature: tuple[bytes, ...]) -> None:
        self._file(file.path, entry, file.metadata, signature)
        file.work.locations[file.at] = location(self._set_number, self._last_start)
        self._new.append(file.path)

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
