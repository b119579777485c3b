"""What rclone's answers mean to a store: it has a number for "not found" and one for all else, so its words decide."""

from __future__ import annotations

import re
from typing import Final

from twofold.errors import Forbidden, Incomplete, NoSpace, NotFound, StorageError, Unavailable, Unsupported, Untrusted

MEANINGS: Final[tuple[tuple[type[StorageError], str], ...]] = (
    (StorageError, "didn't find (section|backend)|couldn't find method|is a file not a directory|illegal base64"),
    (StorageError, "unable to decrypt configuration|couldn't (decrypt|reveal) password"),
    (Untrusted, "x509:|tls: failed to verify|knownhosts:|host key mismatch"),
    (Unavailable, r"rate ?limit|too many requests|\b429\b|slow ?down|request ?timeout"),
    (NoSpace, r"no space left|disk full|disk quota|\b507\b|insufficient[_ ]?(storage|space)|over quota"),
    (NoSpace, "storage_?(quota|limit)_?exceeded|quota ?(has been )?exceeded"),
    (Forbidden, r"\b40[13]\b|unauthori[sz]ed|forbidden|access ?denied|permission denied|unable to authenticate"),
    (Forbidden, "SignatureDoesNotMatch|InvalidAccessKeyId|oauth2: |empty token|token expired|expired_access_token"),
    (Forbidden, "invalid_(grant|client|token)|couldn't (log ?in|login)|login failed|no such user|logon is invalid"),
    (Incomplete, "corrupted on transfer|sizes differ|hash(es)? differ"),
    (Unsupported, r"not (supported|implemented)|\b501\b|optional feature|(file)?name too long"),
)
"""First found wins; what is said nowhere here is taken for trouble on the way, which another try may mend."""

_PATTERNS: Final = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in MEANINGS)
_MISSING, _WRONG = 404, 400


def meaning(status: int, text: str) -> type[StorageError]:
    """The kind of error behind an answer with this HTTP status and these words.

    Only the number says that something is not there: words such as "no such file" are said of keys and certificates.
    """
    found = next((kind for kind, pattern in _PATTERNS if pattern.search(text)), None)
    if found is None and status in {_MISSING, _WRONG}:
        return NotFound if status == _MISSING else StorageError
    return found or Unavailable
