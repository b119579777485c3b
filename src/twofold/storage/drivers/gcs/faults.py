"""What the errors of Google's libraries mean to a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import requests
import urllib3.exceptions
from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError, RetryError
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud.storage.exceptions import DataCorruption

from twofold.errors import (
    AlreadyExists,
    Forbidden,
    Incomplete,
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
    Retained: "retentionPolicyNotMet objectUnderActiveHold",
    Unavailable: "rateLimitExceeded userRateLimitExceeded 408 429 500 502 503 504",
    Forbidden: "401 403",
    NotFound: "404",
    AlreadyExists: "412",
    NoSpace: "quotaExceeded 507",
    Unsupported: "405 413 501",
}
_KINDS = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
_REMEDIES: dict[type[StorageError], str] = {
    NoPlace: "make the bucket first, or mend its name",
    Forbidden: "check the account, its permissions and this machine's clock",
    Untrusted: "name the right certificate with --ssl-cacert-file, or find out who answers there",
}
_LOGIN = (
    "name a service account's key file in GOOGLE_APPLICATION_CREDENTIALS, or: gcloud auth application-default login"
)
_OF_A_BUCKET = frozenset({Operation.LIST, Operation.PUT, Operation.CREATE})
_ABSENT, _NO_CONTENT = 404, 204
_ALL = (GoogleAPIError, GoogleAuthError, DataCorruption, urllib3.exceptions.HTTPError, OSError)


@contextmanager
def translating(operation: Operation, *, name: str, place: str) -> Iterator[None]:
    """Turns every error of the libraries inside into a StorageError about `place`, the bucket as people know it."""
    try:
        yield
    except _ALL as error:  # those of requests are OSErrors
        raise translated(error, operation=operation, name=name, place=place) from error
    except UnicodeEncodeError as error:
        reason = "Google knows no names that are not UTF-8"
        raise failure(Unsupported, reason, operation=operation, name=name, place=place) from error
    except MAKES_NO_SENSE as error:
        raise failure(Unavailable, Stranger(error), operation=operation, name=name, place=place) from error


def refuse_strangers(answer: requests.Response, *_more: object, **_options: object) -> None:
    """A hook for sessions: content comes with its generation, and all else that is well in Google's kind of JSON."""
    if not answer.ok or "x-goog-generation" in answer.headers or "x-guploader-uploadid" in answer.headers:
        return
    is_deletion = answer.request.method == "DELETE"
    if "alt=media" not in (answer.url or ""):
        if is_deletion and answer.status_code == _NO_CONTENT:
            return
        with suppress(*MAKES_NO_SENSE):
            told = answer.json()
            if (is_deletion and told is None) or str(told["kind"]).startswith("storage#"):
                return
    answer.close()
    raise Stranger(f"{answer.status_code} {answer.reason}")


def translated(error: Exception, *, operation: Operation, name: str, place: str) -> StorageError:
    """The StorageError that an error of the libraries means."""
    if isinstance(error, RetryError) and isinstance(error.cause, Exception):
        return translated(error.cause, operation=operation, name=name, place=place)
    kind, reason = _answered(error, operation) if isinstance(error, GoogleAPICallError) else _broken(error)
    remedies = _REMEDIES | {Forbidden: _LOGIN} if isinstance(error, GoogleAuthError) else _REMEDIES
    found = failure(kind, reason, operation=operation, name=name, place=place, remedies=remedies)
    if isinstance(found, Unavailable) and isinstance(error, GoogleAPICallError):
        found.retry_after = told_number(getattr(error.response, "headers", {}).get("retry-after", ""))
    return found


def _answered(error: GoogleAPICallError, operation: Operation) -> tuple[type[StorageError], str]:
    said, reasons = _said(error)
    if error.code == _ABSENT and not reasons:
        return Unavailable, str(Stranger(said))
    kind = next((_KINDS[code] for code in (*reasons, str(error.code)) if code in _KINDS), StorageError)
    if kind is NotFound and (operation in _OF_A_BUCKET or "bucket does not exist" in said):
        kind = NoPlace
    return kind, said


def _said(error: GoogleAPICallError) -> tuple[str, list[str]]:
    """The service's own sentence and words, which the library has in one place or another, and a proxy has not."""
    try:
        body = error.response.json()["error"]
        reasons = [str(found["reason"]) for found in body.get("errors", ())]
        return str(body["message"]).removesuffix("."), [*reasons, str(body["code"])]
    except (AttributeError, KeyError, TypeError, ValueError):
        return f"{error.code} {(str(error.message).splitlines() or [''])[0]}", []


def _broken(error: Exception) -> tuple[type[StorageError], str]:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    if isinstance(error, DataCorruption):
        return Incomplete, line
    if isinstance(error, requests.exceptions.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Untrusted, line
    if isinstance(error, GoogleAuthError) and not isinstance(error, TransportError) and not error.retryable:
        return Forbidden, line.partition(". ")[0].removesuffix(".")
    return Unavailable, line
