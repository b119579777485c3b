"""What the errors of swiftclient, and of the libraries below it, mean to a store."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

import requests
from keystoneauth1.exceptions import ClientException as KeystoneError
from keystoneauth1.exceptions import InvalidResponse
from swiftclient.exceptions import ClientException
from urllib3.exceptions import HTTPError

from twofold.errors import (
    AlreadyExists,
    Forbidden,
    Incomplete,
    NeedsWarmUp,
    NoSpace,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
)
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

TOO_MANY = 429
UNAUTHORIZED = 401
ABSENT = 404
_NUMBERS = ("x-trans-id", "x-openstack-request-id")
_TRY_AGAIN = frozenset({408, 409, TOO_MANY, 498, 499})
"""Among them two writers of one moment (409) and, in many installations, the limit of requests (498)."""
_KINDS: dict[int, type[StorageError]] = {
    UNAUTHORIZED: Forbidden,
    403: Forbidden,
    ABSENT: NotFound,
    405: Unsupported,
    412: AlreadyExists,
    413: NoSpace,
    422: Incomplete,
    501: Unsupported,
    507: NoSpace,
}
_REMEDIES: Remedies = {
    Forbidden: "check user, password, project and the permissions of the container",
    NoSpace: "the quota is used up: make room or use another target",
    Incomplete: "what arrived was not what was sent",
    Unsupported: "this service cannot do it",
    NeedsWarmUp: "it lies in cold storage and has now been asked for",
}


@contextmanager
def translating(
    operation: Operation, *, name: str, place: str, cold: bool = False, otherwise: type[StorageError] = StorageError
) -> Iterator[None]:
    """Turns every error of the libraries inside into a StorageError about `place`, the container as people know it.

    With `cold`, reading that is put off is NeedsWarmUp. What no server has said in so many words is `otherwise`.
    """
    try:
        yield
    except ClientException as error:
        if error.http_status:
            raise _answered(error, operation=operation, name=name, place=place, cold=cold) from error
        raise _unanswered(error, operation=operation, name=name, place=place, otherwise=otherwise) from error
    except (KeystoneError, HTTPError, OSError) as error:  # those of requests are OSErrors
        raise _unanswered(error, operation=operation, name=name, place=place, otherwise=otherwise) from error
    except UnicodeEncodeError as error:
        reason = "Swift knows no names that are not UTF-8"
        raise failure(Unsupported, reason, operation=operation, name=name, place=place, remedies={}) from error
    except MAKES_NO_SENSE as error:
        raise failure(Unavailable, Stranger(error), operation=operation, name=name, place=place) from error


def refuse_strangers(answer: requests.Response, *_more: object, **_options: object) -> None:
    """A hook for sessions: what says that all is well, or that something is absent, has the number of a request."""
    if (answer.ok or answer.status_code == ABSENT) and not any(name in answer.headers for name in _NUMBERS):
        answer.close()
        raise Stranger(f"{answer.status_code} {answer.reason}")


def _answered(error: ClientException, *, operation: Operation, name: str, place: str, cold: bool) -> StorageError:
    status: int = error.http_status
    headers: Mapping[str, str] = error.http_response_headers or {}
    kind = _KINDS.get(status) or (Unavailable if status in _TRY_AGAIN or status >= 500 else StorageError)
    if cold and status == TOO_MANY and operation in {Operation.GET, Operation.READ_RANGE, Operation.WARM_UP}:
        kind = NeedsWarmUp
    reason = f"HTTP {status} {error.http_reason}"
    found = failure(kind, reason, operation=operation, name=name, place=place, remedies=_REMEDIES)
    if isinstance(found, Unavailable):
        found.retry_after = told_number(headers.get("retry-after", ""))
    elif isinstance(found, NeedsWarmUp):
        found.ready_at = ready_at(headers)
    return found


def ready_at(headers: Mapping[str, str]) -> int | None:
    """When a file that was asked for can be read, by the service's own clock; None where it does not say."""
    seconds = told_number(headers.get("retry-after", ""))
    try:
        return None if seconds is None else int(parsedate_to_datetime(headers["date"]).timestamp()) + seconds
    except (KeyError, ValueError):
        return None


def _unanswered(
    error: Exception, *, operation: Operation, name: str, place: str, otherwise: type[StorageError]
) -> StorageError:
    """A broken connection, or a login that the identity service refuses."""
    cause = system_error(error)
    # NB: what is wrong with an address is an OSError as well, and what is wrong with a certificate a ValueError.
    if isinstance(cause, ssl.SSLError) or (cause is not None and not isinstance(cause, ValueError)):
        return connection_failure(cause, operation=operation, name=name, place=place)
    status = getattr(error, "http_status", None) or 0
    if isinstance(error, InvalidResponse) or status == ABSENT:
        return failure(Unavailable, Stranger(error), operation=operation, name=name, place=place)
    kind = Unavailable if isinstance(error, HTTPError) or status == TOO_MANY or status >= 500 else otherwise
    return failure(kind, error, operation=operation, name=name, place=place, remedies=_REMEDIES)
