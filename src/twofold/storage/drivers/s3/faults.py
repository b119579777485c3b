"""What the errors of boto3 mean to a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import urllib3.exceptions
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from twofold.errors import (
    AlreadyExists,
    Forbidden,
    Incomplete,
    NeedsWarmUp,
    NoPlace,
    NoSpace,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
)
from twofold.storage.network_errors import MAKES_NO_SENSE, Stranger, failure
from twofold.storage.store import Operation

_CODES: dict[type[StorageError], str] = {
    NotFound: "NoSuchKey NotFound NoSuchUpload NoSuchVersion",
    NoPlace: "NoSuchBucket",
    AlreadyExists: "PreconditionFailed ConditionalRequestConflict 412",
    NeedsWarmUp: "InvalidObjectState",
    NoSpace: "QuotaExceeded EntityTooLarge InsufficientStorage 507 XMinioStorageFull",
    Incomplete: "BadDigest InvalidDigest XAmzContentSHA256Mismatch IncompleteBody InvalidPart",
    Unsupported: "NotImplemented 501 MethodNotAllowed 405 InvalidStorageClass",
    Unavailable: (
        "SlowDown Throttling ThrottlingException TooManyRequests RequestLimitExceeded BandwidthLimitExceeded "
        "RequestTimeout InternalError ServiceUnavailable OperationAborted 404 429 500 502 503 504"
    ),
    Forbidden: (
        "AccessDenied AllAccessDisabled InvalidAccessKeyId SignatureDoesNotMatch ExpiredToken InvalidToken Forbidden "
        "TokenRefreshRequired AccountProblem RequestTimeTooSkewed AuthorizationHeaderMalformed 401 403"
    ),
}
_KINDS = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
_REMEDIES: dict[type[StorageError], str] = {
    NoPlace: "make the bucket first, or mend its name",
    Forbidden: "check the access key, its permissions and this machine's clock",
    NeedsWarmUp: "it lies in cold storage and has to be asked for first",
}
_NO_LOGIN = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.ProfileNotFound, boto.TokenRetrievalError)
_NO_ANSWER = (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError, boto.ResponseStreamingError)
_NO_CONTENT, _NO_WORDS = 204, "404"
_OF_FILES = frozenset({"HeadObject", "GetObject"})
_SAID = {
    "HeadObject": {"ETag"},
    "GetObject": {"ETag"},
    "PutObject": {"ETag"},
    "UploadPart": {"ETag"},
    "ListObjectsV2": {"IsTruncated", "Name"},
    "DeleteObject": set[str](),
}
"""What each service tells with its answers; that it tells its own numbers, too, is a custom of most."""
_ALL = (boto.BotoCoreError, boto.ClientError, urllib3.exceptions.HTTPError, OSError)


@contextmanager
def translating(operation: Operation, *, name: str, place: str) -> Iterator[None]:
    """Turns every error of the library inside into a StorageError about `place`, the bucket as people know it."""
    try:
        f"{place}{name}".encode()  # before anything is sent
        yield
    except _ALL as error:
        raise _translated(error, operation=operation, name=name, place=place) from error
    except UnicodeEncodeError as error:
        reason = "S3 knows no names that are not UTF-8"
        raise failure(Unsupported, reason, operation=operation, name=name, place=place) from error
    except MAKES_NO_SENSE as error:
        raise failure(Unavailable, Stranger(error), operation=operation, name=name, place=place) from error


def refuse_strangers(http_response: Any, parsed: dict[str, Any], model: Any, **_more: object) -> None:
    """A handler for `after-call`: what says that all is well says also what only the service knows."""
    if http_response.status_code >= 300 or "x-amz-request-id" in http_response.headers:
        return
    # What a file is, nobody but us has said; some services call everything else a page.
    is_page = model.name in _OF_FILES and http_response.headers.get("content-type", "").startswith("text/html")
    is_deletion = model.name == "DeleteObject" and http_response.status_code == _NO_CONTENT
    if is_page or not (is_deletion or parsed.keys() & _SAID.get(model.name, parsed.keys())):
        raise Stranger(http_response.status_code)


def _translated(error: Exception, *, operation: Operation, name: str, place: str) -> StorageError:
    word = operation.value
    what = f"{word} of {name} at {place}" if name else f"{word} at {place}"
    match error:
        case boto.ClientError():
            return _answered(error, what=what, name=name, word=word)
        case boto.SSLError():
            message = (
                f"{what} failed: {_line(error)} (name a certificate with --ssl-cacert-file if the service has its own)"
            )
            return Untrusted(message, name=name, operation=word)
        case boto.BotoCoreError() if isinstance(error, _NO_LOGIN):
            remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials"
            return Forbidden(f"{what} failed: {_line(error)} ({remedy})", name=name, operation=word)
        case ResponseParserError():
            return failure(Unavailable, Stranger(_line(error)), operation=operation, name=name, place=place)
        case boto.BotoCoreError() if not isinstance(error, _NO_ANSWER):
            return StorageError(f"{what} failed: {_line(error)}", name=name, operation=word)
    return Unavailable(f"{what} failed: {_line(error)}", name=name, operation=word)


def _answered(error: boto.ClientError, *, what: str, name: str, word: str) -> StorageError:
    code = error_code(error)
    kind = _KINDS.get(code) or _KINDS.get(str(_answer(error).get("HTTPStatusCode", ""))) or StorageError
    said = error.response.get("Error", {}).get("Message") or code
    if _NO_WORDS in {code, str(_answer(error).get("HTTPStatusCode"))} and kind is Unavailable:
        said = Stranger(said)
    remedy = f" ({_REMEDIES[kind]})" if kind in _REMEDIES else ""
    message = f"{what} failed: {said}{remedy}"
    if kind is Unavailable:
        headers = _answer(error).get("HTTPHeaders", {})
        return Unavailable(message, name=name, operation=word, retry_after=_seconds(headers.get("retry-after", "")))
    return kind(message, name=name, operation=word)


def error_code(error: boto.ClientError) -> str:
    """The service's own word for what is wrong."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _answer(error: boto.ClientError) -> dict[str, Any]:
    found: dict[str, Any] = dict(error.response.get("ResponseMetadata", {}))
    return found


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
