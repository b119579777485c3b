"""The lines of list-current-files: many at once, since there may be millions (docs/cli.md section 1.5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from twofold.model.times import format_asctime
from twofold.operations.listing import ListedFiles
from twofold.ui import files
from twofold.ui.message import Message

_REMEMBERED: Final = 1 << 16


class ListedMessages:
    """One message a file; `times` remembers how instants are written, for the next ones as well."""

    def __init__(self, listed: ListedFiles, times: dict[int, bytes]) -> None:
        self._listed = listed
        self._times = times

    def text(self) -> str:
        times = self._times
        if len(times) > _REMEMBERED:
            times.clear()
        for mtime in set(self._listed.mtimes).difference(times):
            times[mtime] = format_asctime(mtime).encode()
        lines = [b"%b %b\n" % (times[mtime], path or b".") for path, mtime in zip(*self._listed[:2], strict=True)]
        return os.fsdecode(b"".join(lines))

    def each(self) -> Iterator[Message]:
        for path, mtime, kind in zip(*self._listed, strict=True):
            yield files.listed(path, kind, time=mtime)
