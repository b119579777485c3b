"""What the errors of Azure's library mean to a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import requests
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from twofold.errors import (
    AlreadyExists,
    Forbidden,
    Incomplete,
    NeedsWarmUp,
    NoPlace,
    NoSpace,
    NotFound,
    Retained,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
)
from twofold.storage.network_errors import MAKES_NO_SENSE, Stranger, failure
from twofold.storage.store import Operation
from twofold.storage.told_numbers import told_number

_CODES: dict[type[StorageError], str] = {
    NotFound: "BlobNotFound ResourceNotFound",
    NoPlace: "ContainerNotFound",
    AlreadyExists: "BlobAlreadyExists",
    NeedsWarmUp: "BlobArchived BlobBeingRehydrated",
    Retained: "BlobImmutableDueToPolicy BlobImmutableDueToLegalHold",
    NoSpace: "507",
    Incomplete: "Md5Mismatch InvalidMd5 Crc64Mismatch InvalidBlockList",
    Unsupported: (
        "InvalidBlobTier BlobTierInadequateForContentLength BlobAccessTierNotSupportedForAccountType "
        "FeatureNotSupported UnsupportedHeader RequestBodyTooLarge InvalidBlobType SnapshotsPresent 405 413 501"
    ),
    # 412: the file has been replaced while it was read.
    Unavailable: (
        "ServerBusy InternalError OperationTimedOut ContainerBeingDeleted ContainerDisabled AccountBeingCreated "
        "ConditionNotMet BlobOverwritten 408 412 429 500 502 503 504"
    ),
    Forbidden: "LeaseIdMissing AccountIsDisabled PublicAccessNotPermitted 401 403",
    StorageError: "InvalidResourceName InvalidBlobOrBlock",
}
_ABSENT = 404
_KINDS = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
_REMEDIES: dict[type[StorageError], str] = {
    NoPlace: "a backup makes the container; is its name right?",
    Forbidden: "check the key, the permissions of the account and this machine's clock",
    NeedsWarmUp: "it lies in the archive tier and has to be asked for first",
    Untrusted: "name the right certificate with --ssl-cacert-file, or find out who answers there",
}
_LOGIN = "set AZURE_CONNECTION_STRING, or log in with az login"
_HINTS = {
    "InvalidResourceName": "a container's name has 3 to 63 of a-z, 0-9 and single hyphens",
    "InvalidBlobOrBlock": "another program has left parts of this file, which are gone after a week",
}


@contextmanager
def translating(operation: Operation, *, name: str, place: str) -> Iterator[None]:
    """Turns every error of the library inside into a StorageError about `place`, the container as people know it."""
    try:
        yield
    except (AzureError, OSError) as error:  # those of requests are OSErrors
        raise translated(error, operation=operation, name=name, place=place) from error
    except UnicodeEncodeError as error:
        reason = "Azure knows no names that are not UTF-8"
        raise failure(Unsupported, reason, operation=operation, name=name, place=place) from error
    except MAKES_NO_SENSE as error:
        raise failure(Unavailable, Stranger(error), operation=operation, name=name, place=place) from error


def refuse_strangers(answer: requests.Response, *_more: object, **_options: object) -> None:
    """A hook for sessions: what says that all is well, or that something is absent, has the mark of the service."""
    if (answer.ok or answer.status_code == _ABSENT) and "x-ms-request-id" not in answer.headers:
        answer.close()
        raise Stranger(f"{answer.status_code} {answer.reason}")


def translated(error: AzureError | OSError, *, operation: Operation, name: str, place: str) -> StorageError:
    """The StorageError that an error of the library means."""
    kind, reason = _meaning(error)
    if kind is Unavailable and operation is Operation.CREATE and _status(error) == "412":
        kind = AlreadyExists
    is_nobody = kind is Forbidden and not _status(error)
    remedies = _REMEDIES | {Forbidden: _LOGIN} if is_nobody else _REMEDIES
    found = failure(kind, reason, operation=operation, name=name, place=place, remedies=remedies)
    if isinstance(found, Unavailable):
        headers: Mapping[str, str] = getattr(getattr(error, "response", None), "headers", {})
        found.retry_after = told_number(headers.get("retry-after", ""))
    return found


def _meaning(error: AzureError | OSError) -> tuple[type[StorageError], str]:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    line = line.removeprefix("Operation returned an invalid status ").strip("'").removesuffix(".")
    code, status = error_code(error), _status(error)
    if (status == str(_ABSENT) and not code) or status.startswith("2"):
        return Unavailable, str(Stranger(line))
    if status:
        kind = _KINDS.get(code) or _KINDS.get(status, StorageError)
        return kind, f"{line} ({_HINTS[code]})" if code in _HINTS else line
    if _comes_of_a_certificate(error):
        return Untrusted, line
    if isinstance(error, ClientAuthenticationError):
        return Forbidden, line
    # NB: the library says with its bare base class that a hash is wrong.
    return (Incomplete if type(error) is AzureError else Unavailable), line


def error_code(error: AzureError | OSError) -> str:
    """The service's own word for what is wrong."""
    found = getattr(error, "error_code", None)
    return str(getattr(found, "value", found) or "")


def _status(error: AzureError | OSError) -> str:
    return str(error.status_code or "") if isinstance(error, HttpResponseError) else ""


def _comes_of_a_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, requests.exceptions.SSLError):
            return True
        error = getattr(error, "inner_exception", None) or error.__cause__
    return False
