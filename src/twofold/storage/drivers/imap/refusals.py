"""What a mail server means by its refusals: by the code (RFC 5530) where it gives one, else by some words."""

from __future__ import annotations

import re

from twofold.errors import Forbidden, NoPlace, NoSpace, StorageError, Unavailable, Unsupported

_CODE = re.compile(r"\[([A-Z-]+)")
_MEANINGS: dict[type[StorageError], tuple[str, ...]] = {
    NoSpace: ("OVERQUOTA",),
    Forbidden: ("NOPERM", "AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED", "CONTACTADMIN"),
    Unavailable: ("UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "THROTTLED"),
    NoPlace: ("NONEXISTENT", "TRYCREATE"),
    Unsupported: ("CANNOT", "TOOBIG"),
}
_KINDS = {code: kind for kind, codes in _MEANINGS.items() for code in codes}
_PASSING = re.compile("too many|temporar|try again", re.IGNORECASE)


def meaning(said: str, *, otherwise: type[StorageError] = StorageError) -> type[StorageError]:
    """The kind of error."""
    code = _CODE.search(said)
    if code is not None and code[1] in _KINDS:
        return _KINDS[code[1]]
    if "quota" in said.lower():
        return NoSpace
    return Unavailable if _PASSING.search(said) else otherwise


def may_mean_absent(said: str) -> bool:
    """Whether the refusal to enter a mailbox can mean that there is none: older servers give no code."""
    return meaning(said, otherwise=StorageError if _CODE.search(said) else NoPlace) is NoPlace
