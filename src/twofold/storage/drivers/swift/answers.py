"""What Swift tells of objects, in headers and in listings: read, never asked for, here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote

from twofold.storage.store import Digest, DigestName, StoredFile, Warmth
from twofold.storage.told_numbers import told_number

Headers = Mapping[str, str]
Row = Mapping[str, Any]
"""One object of a listing, or one segment of a manifest."""

STATIC, DYNAMIC = "x-static-large-object", "x-object-manifest"
_MD5 = re.compile(r"[0-9a-f]{32}", re.ASCII)
_WARMTH = {"sealed": Warmth.COLD, "unsealing": Warmth.WARMING}


def told(name: str, headers: Headers) -> StoredFile | None:
    """What the headers of an object say; None where they do not tell its size."""
    size = told_number(headers.get("content-length", ""))
    if size is None:
        return None
    return _stored(name, size, headers, warmth=_WARMTH.get(headers.get("x-ovh-retrieval-state", ""), Warmth.WARM))


def put(name: str, size: int, headers: Headers) -> StoredFile:
    """What the answer to a put says of what is no large object."""
    return _stored(name, size, headers, warmth=Warmth.WARM)


def _stored(name: str, size: int, headers: Headers, *, warmth: Warmth) -> StoredFile:
    try:
        modified = int(parsedate_to_datetime(headers["last-modified"]).timestamp())
    except (KeyError, ValueError):
        modified = None
    # The ETag of a large object stands in quotation marks: it is none of its content.
    return StoredFile(name, size, modified, _digests(headers.get("etag", "")), warmth=warmth)


def listed(name: str, row: Row) -> StoredFile | None:
    """What a listing says; None of an empty one, which may be the manifest of a large object of the older kind."""
    if not row["bytes"]:
        return None
    # Headers tell the second that has begun when it was stored, listings the time itself.
    modified = math.ceil(datetime.fromisoformat(row["last_modified"]).replace(tzinfo=UTC).timestamp())
    return StoredFile(name, row["bytes"], modified, _digests("" if "slo_etag" in row else row["hash"]))


def _digests(etag: str) -> tuple[Digest, ...]:
    return (Digest(DigestName.MD5, bytes.fromhex(etag)),) if _MD5.fullmatch(etag) else ()


def dynamic_place(headers: Headers) -> tuple[str, str]:
    """The container in which, and the prefix below which, the segments of a dynamic large object lie."""
    place, _, prefix = unquote(headers[DYNAMIC]).partition("/")
    return place, prefix
