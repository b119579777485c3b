"""What is recorded of one file: everything the archive knows but the content."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """The kinds of file that an archive can hold; values are duplicity's words."""

    REGULAR = "reg"
    DIRECTORY = "dir"
    SYMLINK = "sym"
    FIFO = "fifo"
    CHARACTER_DEVICE = "chr"
    BLOCK_DEVICE = "blk"


class ContentRecord(NamedTuple):
    """Identifies a content: BLAKE2b-256 over size, block length and block hashes (docs/format.md section 16)."""

    block_len: int
    size: int
    digest: bytes


class Entry(NamedTuple):
    """One file's metadata. A NamedTuple, not a dataclass: millions are made, and this is built four times faster.

    `mtime_ns` is nanoseconds since 1970; `mtime_exact` tells whether the source knew more than seconds. `size` is None
    where the archive does not say. `links_to` names the first path of a hard link group, `holes` the (offset, length)
    of known holes, `ctime_ns` and `inode` are 0 when unknown.
    """

    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    uname: bytes = b""
    gname: bytes = b""
    mtime_ns: int = 0
    mtime_exact: bool = False
    size: int | None = None
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    content: ContentRecord | None = None
    links_to: bytes | None = None
    holes: tuple[tuple[int, int], ...] = ()
    ctime_ns: int = 0
    inode: int = 0
