"""What a broken connection means to a store, and how it is said: the same words for every protocol."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import TypeVar

from twofold.errors import (
    AlreadyExists,
    Forbidden,
    NoPlace,
    NoSpace,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
)
from twofold.storage.store import Operation

E = TypeVar("E", bound=StorageError)

MAKES_NO_SENSE = (AttributeError, LookupError, TypeError, ValueError)
"""What libraries raise that had counted on the answers of their own service."""

Remedies = Mapping[type[StorageError], str]

_REMEDIES: Remedies = {
    Forbidden: "check user, password and permissions",
    Untrusted: "name the right certificate with --ssl-cacert-file, or find out who answers there",
    NoSpace: "make room or use another target",
    NoPlace: "is the path right?",
    Unsupported: "use another target or another protocol",
    AlreadyExists: "somebody else was faster",
}


class Stranger(OSError):
    """Not the service has answered, but a page to log in at, or a proxy: nothing it says can be believed."""

    def __init__(self, said: object = "") -> None:
        told = " ".join(str(said).split())[:200]
        super().__init__(f"the answer makes no sense: is this the service?{f' ({told})' if told else ''}")


def failure(
    kind: type[E], reason: object, *, operation: Operation, name: str, place: str, remedies: Remedies = _REMEDIES
) -> E:
    """An error of this kind that says what was to be done where, why it was not, and what helps."""
    what = f"{operation.value} of {name}" if name else operation.value
    remedy = f" ({remedies[kind]})" if kind in remedies else ""
    text = " ".join(str(reason).split())
    return kind(f"{what} failed at {place}: {text}{remedy}", name=name, operation=operation.value)


def connection_failure(error: OSError | EOFError, *, operation: Operation, name: str, place: str) -> StorageError:
    """Broken, refused, silent, unknown host: Unavailable. Only a certificate that is not trusted will not mend."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return failure(Untrusted, error.verify_message, operation=operation, name=name, place=place)
    if isinstance(error, TimeoutError):
        reason = "no answer within the time limit (--timeout)"
    elif isinstance(error, socket.gaierror):
        reason = f"the host is not known now: {error.strerror}"
    elif isinstance(error, EOFError):
        reason = "the server has closed the connection"
    else:
        reason = str(error.strerror or error)
    return failure(Unavailable, reason, operation=operation, name=name, place=place)


def system_error(error: BaseException | None) -> OSError | None:
    """What the system said, below all that libraries have made of it; what a library calls an OSError if it is all."""
    found = None
    while error is not None:
        found = error if isinstance(error, OSError) else found
        error = error.__cause__ or error.__context__
    return found
