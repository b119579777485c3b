"""How many bytes there will be to do, as far as the state file of the newest backup tells: for whoever shows progress.

A guess for a backup, and nearly right for a restore of all of it. It never stops anything: what cannot be found out
is unknown.
"""

from __future__ import annotations

from twofold.collection.collection import Collection
from twofold.errors import TwofoldError
from twofold.operations.known_state import find_known_state
from twofold.pipeline.known import FIELDS, SIZE, DamagedState
from twofold.repository.repository import Repository


def bytes_of_newest(collection: Collection, repository: Repository, *, framing: int = 0) -> int | None:
    """The sizes of all that the newest backup of the active chain holds, with so much for each entry besides."""
    active = collection.active
    if active is None:
        return None
    try:
        known = find_known_state(repository, active.signatures)
    except (OSError, TwofoldError):
        return None
    if known is None:
        return None
    try:
        total = 0
        places = [known.root]
        while places:
            place = places.pop()
            record = known.directory(place)
            total += sum(size for size in record.stats[SIZE::FIELDS] if size > 0) + framing * len(record.locations)
            # Children stand before their parents, so that no file of this kind can keep anybody busy for ever.
            places.extend({child for child in record.children if 0 < child < place})
    except DamagedState:
        return None
    finally:
        known.close()
    return total
