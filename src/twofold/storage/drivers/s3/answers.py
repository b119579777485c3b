"""What the service's answers say of files and times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from twofold.storage.store import StoredFile, Warmth

_COLD_CLASSES: Final = {"GLACIER": 5 * 3600, "DEEP_ARCHIVE": 12 * 3600}
"""Seconds after which a file is there at the latest when it is asked for as a standard retrieval."""


def service_time(answer: dict[str, Any]) -> datetime:
    """Raises ValueError where the service does not tell it."""
    text = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S %Z").replace(tzinfo=UTC)


def readable_at(answer: dict[str, Any]) -> int | None:
    """When a cold file that is asked for now can be read at the latest, in seconds since 1970; None if nobody knows."""
    try:
        return int(service_time(answer).timestamp()) + _COLD_CLASSES[answer.get("StorageClass", "")]
    except (KeyError, ValueError):
        return None


def listed(name: str, found: dict[str, Any]) -> StoredFile:
    """A file as a listing tells it: whether a cold one has been asked for is not said there."""
    warmth = Warmth.COLD if found.get("StorageClass") in _COLD_CLASSES else Warmth.WARM
    return StoredFile(name, found["Size"], int(found["LastModified"].timestamp()), warmth=warmth)


def told(name: str, answer: dict[str, Any]) -> StoredFile:
    """A file as the answer to a question for it alone tells it."""
    warmth = Warmth.WARM
    if answer.get("StorageClass") in _COLD_CLASSES:
        restore = answer.get("Restore", "")
        warmth = Warmth.COLD if not restore else Warmth.WARMING if 'request="true"' in restore else Warmth.WARM
    modified = int(answer["LastModified"].timestamp())
    return StoredFile(name, answer["ContentLength"], modified, warmth=warmth)
