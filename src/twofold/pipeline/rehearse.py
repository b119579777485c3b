"""What a backup would store, told from the steps of the comparison alone: a dry run reads no file.

So a file that only may have changed counts as unchanged, and one that cannot be read as stored.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator

from twofold.pipeline.compare import Change, Check, Gone, Keep, Leave, Same, Step, Store
from twofold.pipeline.known import FIELDS, MODE, SIZE
from twofold.pipeline.tally import Tally


def rehearse(step: Step, tally: Tally) -> Iterator[tuple[bytes, str]]:
    """Counts the step as `Packer` would; the paths that it would store, in order, and what has become of them."""
    match step:
        case Same():
            tally.same(step.entries, step.size)
        case Store():
            for at in step.indexes:
                tally.new(step.work.packed[at * FIELDS + SIZE])
                yield step.work.prefix + step.work.names[at], "new"
        case Change():
            packed, first = step.work.packed, step.at * FIELDS
            differs = stat.S_ISREG(packed[first + MODE])  # all but regular files are stored anew
            (tally.changed if differs else tally.new)(packed[first + SIZE])
            yield step.work.prefix + step.work.names[step.at], "changed" if differs else "new"
        case Check():
            tally.same(1, step.work.packed[step.at * FIELDS + SIZE])
        case Gone():
            tally.deleted += 1
            yield step.path, "deleted"
        case Keep() | Leave():
            pass
