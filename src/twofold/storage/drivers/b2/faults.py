"""What the errors of b2sdk, and of requests below it, mean to a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import requests
from b2sdk.v3 import exception as b2
from urllib3.exceptions import HTTPError

from twofold.errors import Forbidden, Incomplete, NoPlace, NoSpace, NotFound, StorageError, Unavailable, Unsupported
from twofold.storage.network_errors import (
    MAKES_NO_SENSE,
    Remedies,
    Stranger,
    connection_failure,
    failure,
    system_error,
)
from twofold.storage.store import Operation
from twofold.storage.told_numbers import told_number

_MEANINGS: dict[type[StorageError], str] = {
    NoPlace: "BucketIdNotFound NonExistentBucket",
    NotFound: "ResourceNotFound",
    Forbidden: "Unauthorized AccessDenied RestrictedBucket NotAllowedByAppKeyError",
    NoSpace: "StorageCapExceeded",
    Incomplete: "FileSha1Mismatch PartSha1Mismatch MissingPart",
    Unavailable: "TransientErrorMixin TooManyRequests UploadTokenUsedConcurrently Conflict",
    Unsupported: "UnusableFileName CopySourceTooBig UnicodeEncodeError",
}
"""By the names of the classes, of which the library shows only some: the one that comes first in its line counts."""
_KINDS = {name: kind for kind, names in _MEANINGS.items() for name in names.split()}
_ABSENT = 404
_CHECKSUM = "checksum did not match"
"""How the service says that something else has arrived: a bad request like any other."""
_REMEDIES: Remedies = {
    Forbidden: "check the key and what it may do: list, read and write files, and delete them for the actions that do",
    NoSpace: "raise the cap in the account's settings",
    Incomplete: "what arrived was not what was sent",
    NoPlace: "is the bucket's name right?",
}


@contextmanager
def translating(operation: Operation, *, name: str, place: str) -> Iterator[None]:
    """Turns every error of the libraries inside into a StorageError about `place`, the bucket as people know it."""
    try:
        f"{place}{name}".encode()  # before anything is sent
        yield
    except (b2.B2Error, UnicodeEncodeError) as error:
        kind = _meaning(error)
        found = failure(kind, _reason(error), operation=operation, name=name, place=place, remedies=_REMEDIES)
        if isinstance(found, Unavailable):
            found.retry_after = told_number(str(getattr(error, "retry_after_seconds", "")))
        raise found from error
    except (HTTPError, OSError) as error:  # those of requests are OSErrors
        if cause := system_error(error):
            raise connection_failure(cause, operation=operation, name=name, place=place) from error
        raise failure(Unavailable, error, operation=operation, name=name, place=place, remedies=_REMEDIES) from error
    except MAKES_NO_SENSE as error:
        raise failure(Unavailable, Stranger(error), operation=operation, name=name, place=place) from error


def refuse_strangers(answer: requests.Response, *_more: object, **_options: object) -> None:
    """A hook for sessions: content comes with the number of its file, and what is absent is so in B2's words.

    All else that is well the library has to read. To a HEAD, absence is told without words: it proves nothing.
    """
    method = answer.request.method
    if answer.ok:
        is_known = method == "POST" or "x-bz-file-id" in answer.headers
    else:
        is_known = answer.status_code != _ABSENT or method == "HEAD"
        with suppress(*MAKES_NO_SENSE):
            is_known = is_known or bool(answer.json()["code"])
    if not is_known:
        answer.close()
        raise Stranger(f"{answer.status_code} {answer.reason}")


def _meaning(error: Exception) -> type[StorageError]:
    if isinstance(error, b2.BadRequest) and _CHECKSUM in str(error).lower():
        return Incomplete
    return next((_KINDS[each.__name__] for each in type(error).__mro__ if each.__name__ in _KINDS), StorageError)


def _reason(error: Exception) -> str:
    if isinstance(error, b2.TransactionCapExceeded):
        return "the transactions of today are used up; raise the cap in the account's settings"
    if isinstance(error, b2.DuplicateBucketName):
        return "somebody else has a bucket of this name; choose another"
    if isinstance(error, b2.FileNotPresent):
        return "there is no such file"
    return str(error) or type(error).__name__
