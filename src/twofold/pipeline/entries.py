"""Makes the entry of a file that is about to be stored: all that is recorded of it but the content."""

from __future__ import annotations

import os
import stat
from typing import Final

from twofold import rsync
from twofold.errors import CorruptSignature
from twofold.format.records import LARGEST_ATTRIBUTES
from twofold.model.entry import Entry, Kind
from twofold.monitor import Problem
from twofold.pipeline.compare import Work
from twofold.pipeline.known import FIELDS, KINDS, MODE, MTIME
from twofold.pipeline.lookup import KnownFile
from twofold.tree.metadata import Xattrs, holes_of, read_xattrs, read_xattrs_below
from twofold.tree.owners import Owners
from twofold.tree.scan import SourceTree

_BLOCK: Final = 1 << 20
_RECORD: Final = 32  # more than a record has around name and value
_DEVICES: Final = (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE)
# A file changed within one tick of its clock after it was read looks unchanged; ticks are 10 ms on Linux, 2 s on FAT.
_FINE_TICK: Final = 20_000_000
_COARSE_TICK: Final = 2_000_000_000


class EntryMaker:
    """Entries for one backup; remembers owners and hard link groups."""

    def __init__(self, source: SourceTree, *, began_ns: int) -> None:
        """`began_ns` is when the backup began: what was modified later may change again without a trace."""
        self._source = source
        self.owners = Owners()
        self._began_ns = began_ns
        self.settled_ns = began_ns - _COARSE_TICK  # what is older cannot change unseen
        # Names of one inode, by (device, inode): memory grows with the hard-linked files only, and entries go when
        # the last name has been met.
        self._groups: dict[tuple[int, int], tuple[bytes, int]] = {}

    def regular(self, work: Work, at: int, path: bytes, descriptor: int) -> Entry:
        """The entry of an opened regular file. Raises OSError, also when it is no regular file any more."""
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "It has become another type of file while the backup ran")
        if found.st_mtime_ns != work.stats[at].st_mtime_ns or found.st_ctime_ns != work.stats[at].st_ctime_ns:
            work.refresh(at, found)
        if self.may_change_unseen(found.st_mtime_ns, found.st_ctime_ns):
            work.distrust(at)
        xattrs = self._storable(path, read_xattrs(descriptor))
        holes = holes_of(descriptor, found.st_size, blocks=found.st_blocks) if found.st_size else ()
        return Entry(
            Kind.REGULAR,
            found.st_mode & 0o7777,
            found.st_uid,
            found.st_gid,
            self.owners.user_name(found.st_uid),
            self.owners.group_name(found.st_gid),
            found.st_mtime_ns,
            True,
            found.st_size,
            b"",
            (0, 0),
            xattrs,
            None,
            self.links_to(found, path) if found.st_nlink > 1 else None,
            holes,
            found.st_ctime_ns if work.trusted(at) else 0,
            found.st_ino,
        )

    def other(self, work: Work, at: int, path: bytes) -> Entry:
        """The entry of anything but a regular file. Raises OSError."""
        found = _facts_of_other(work, at)
        kind = KINDS[stat.S_IFMT(found.st_mode)]
        target = os.readlink(work.names[at], dir_fd=work.fd) if kind is Kind.SYMLINK else b""
        if self.may_change_unseen(found.st_mtime_ns, found.st_ctime_ns):
            work.distrust(at)
        try:
            xattrs = self._storable(path, self._xattrs_of_other(work, at))
        except OSError as error:
            if kind is not Kind.DIRECTORY:
                raise
            # Without its entry, nothing below a directory could be restored where it belongs.
            self._source.report(Problem(path, f"its extended attributes cannot be read: {error.strerror}"))
            xattrs = ()
        return Entry(
            kind,
            found.st_mode & 0o7777,
            found.st_uid,
            found.st_gid,
            self.owners.user_name(found.st_uid),
            self.owners.group_name(found.st_gid),
            found.st_mtime_ns,
            True,
            None,
            target,
            (os.major(found.st_rdev), os.minor(found.st_rdev)) if kind in _DEVICES else (0, 0),
            xattrs,
            None,
            None,
            (),
            found.st_ctime_ns if work.trusted(at) else 0,
            found.st_ino,
        )

    def _xattrs_of_other(self, work: Work, at: int) -> Xattrs:
        if work.fd < 0:
            return read_xattrs(self._source.root, follow=True)
        return read_xattrs_below(work.names[at], dir_fd=work.fd)

    def _storable(self, path: bytes, xattrs: Xattrs) -> Xattrs:
        """The attributes, unless no reader would take so many of them."""
        if not xattrs or sum(len(name) + len(value) + _RECORD for name, value in xattrs) < LARGEST_ATTRIBUTES:
            return xattrs
        self._source.report(Problem(path, "its extended attributes are too large; it is stored without them"))
        return ()

    def links_to(self, found: os.stat_result, path: bytes) -> bytes:
        """The first path of the hard link group that `path` belongs to; itself if it is the first that is met."""
        inode = (found.st_dev, found.st_ino)
        first, left = self._groups.get(inode, (path, found.st_nlink))
        if left > 1:
            self._groups[inode] = (first, left - 1)
        else:
            self._groups.pop(inode, None)
        return first

    def is_unchanged(self, work: Work, at: int, path: bytes, known: KnownFile) -> bool:
        """Whether a file that looks unchanged really is: content, extended attributes, links. Raises OSError."""
        found = _facts_of_other(work, at)
        kind = KINDS[stat.S_IFMT(found.st_mode)]
        entry = known.entry
        if kind is not entry.kind:
            return False
        if kind is not Kind.REGULAR:
            return self._same_other(work, at, entry)
        descriptor = self._source.open_file(work.fd, work.names[at])
        try:
            return self._same_regular(work, at, path, known, descriptor)
        finally:
            os.close(descriptor)

    def _same_other(self, work: Work, at: int, entry: Entry) -> bool:
        found = work.stats[at]
        if entry.kind is Kind.SYMLINK and os.readlink(work.names[at], dir_fd=work.fd) != entry.target:
            return False
        if entry.kind in _DEVICES and (os.major(found.st_rdev), os.minor(found.st_rdev)) != entry.device:
            return False
        if entry.mtime_exact and self._xattrs_of_other(work, at) != entry.xattrs:
            return False
        if self.may_change_unseen(found.st_mtime_ns, found.st_ctime_ns):
            work.distrust(at)
        return True

    def _same_regular(self, work: Work, at: int, path: bytes, known: KnownFile, descriptor: int) -> bool:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return False
        entry = known.entry
        if entry.mtime_exact:  # twofold's own: it has recorded these, too
            first = self._peek_link(found, path) if found.st_nlink > 1 else None
            if first != entry.links_to or read_xattrs(descriptor) != entry.xattrs:
                return False
        if not self._same_content(descriptor, known):
            return False
        if found.st_nlink > 1:
            self.links_to(found, path)
        if self.may_change_unseen(found.st_mtime_ns, found.st_ctime_ns):
            work.distrust(at)
        return True

    def _peek_link(self, found: os.stat_result, path: bytes) -> bytes:
        return self._groups.get((found.st_dev, found.st_ino), (path, 0))[0]

    def _same_content(self, descriptor: int, known: KnownFile) -> bool:
        record = known.entry.content
        if record is not None:
            builder = rsync.SignatureBuilder(rsync.SignatureKind.BLAKE2_RABIN_KARP, record.block_len, 16)
            _read_into(descriptor, builder)
            return builder.size == record.size and builder.finish() == record.digest
        header = known.signature[:12]
        try:
            kind = rsync.SignatureKind(int.from_bytes(header[:4], "big"))
            block_len, strong_len = int.from_bytes(header[4:8], "big"), int.from_bytes(header[8:12], "big")
            builder = rsync.SignatureBuilder(kind, block_len, strong_len, with_hash=False)
        except (ValueError, CorruptSignature):
            return False
        _read_into(descriptor, builder)
        builder.finish()
        return builder.take() == known.signature

    def may_change_unseen(self, mtime_ns: int, ctime_ns: int) -> bool:
        """Whether a file has been changed so late that a change to come might leave its times as they are."""
        tick = _FINE_TICK if ctime_ns % 1_000_000 else _COARSE_TICK
        return max(ctime_ns, mtime_ns) > self._began_ns - tick


def _facts_of_other(work: Work, at: int) -> os.stat_result:
    """The facts of what will not be opened; they may have been looked up just now. Raises OSError."""
    found = work.stats[at]
    packed = work.packed[at * FIELDS : (at + 1) * FIELDS]
    if stat.S_IFMT(found.st_mode) != stat.S_IFMT(packed[MODE]):
        raise OSError(0, "It has become another type of file while the backup ran")
    if found.st_mtime_ns != packed[MTIME]:
        work.refresh(at, found)
    return found


def _read_into(descriptor: int, builder: rsync.SignatureMaker) -> None:
    buffer = memoryview(bytearray(_BLOCK))
    while count := os.readv(descriptor, [buffer]):
        builder.update(buffer[:count])
