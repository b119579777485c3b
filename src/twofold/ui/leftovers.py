"""What is said of files that belong to no backup: front ends clean up when they read these codes (docs/cli.md 10.2).

Only what `cleanup` deletes is told of, so that nobody is sent there in vain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twofold.collection.chains import SignatureFile
from twofold.collection.collection import Collection
from twofold.collection.sets import BackupSet
from twofold.ui.message import Level, Message

_SIGNATURES_CODE = 2
_SETS_CODE = 6
_REMEDY = "The action cleanup deletes them"


def leftover_messages(collection: Collection) -> Iterator[Message]:
    """One warning a kind, none where all is well."""
    strays = (("archive directory", collection.orphaned_local_signatures), ("target", collection.orphaned_signatures))
    for place, files in strays:
        names = _names_of_signatures(files)
        if names:
            text = f"Signature files in the {place} that belong to no chain:\n{names}\n{_REMEDY}"
            yield Message(Level.WARNING, text, code=_SIGNATURES_CODE)
    names = _names_of_sets(collection.orphaned)
    if names:
        text = f"Backup files whose full backup is lost, so that nobody can restore them:\n{names}\n{_REMEDY}"
        yield Message(Level.WARNING, text, code=_SETS_CODE)


def _names_of_signatures(files: Iterable[SignatureFile]) -> str:
    return "\n".join(candidate.name for each in files for candidate in each.candidates)


def _names_of_sets(sets: Iterable[BackupSet]) -> str:
    return "\n".join(
        file.name
        for each in sets
        for file in (*each.manifests, *(file for several in each.volumes.values() for file in several))
    )
