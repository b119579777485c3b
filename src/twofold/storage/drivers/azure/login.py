"""Who we are to Azure, and how its library is set up for us."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import requests
import urllib3
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient, ExponentialRetry
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InsecureRequestWarning

from twofold.errors import Forbidden
from twofold.model.value import value
from twofold.storage.drivers.azure.faults import refuse_strangers
from twofold.storage.settings import StoreSettings
from twofold.storage.tls import trusted_file

# What the library warns of is raised as well; without this, Python would print it.
logging.getLogger("azure").addHandler(logging.NullHandler())


@value
class Login:
    """What the variables say: a connection string, or an account's address with a key or token; "" is the library's."""

    connection: str = ""
    address: str = ""
    secret: str = ""


def login(variables: Mapping[str, str]) -> Login:
    """The variable of duplicity comes first, then those of others. Raises Forbidden when no account is named."""

    def first(*names: str) -> str:
        return next((variables[name] for name in names if variables.get(name)), "")

    if connection := first("AZURE_CONNECTION_STRING", "AZURE_STORAGE_CONNECTION_STRING"):
        return Login(connection)
    account = first("AZURE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
    if not account:
        raise Forbidden("Nobody knows which account of Azure is meant: set AZURE_CONNECTION_STRING")
    suffix = first("AZURE_ENDPOINT_SUFFIX") or "core.windows.net"
    key = first("AZURE_ACCOUNT_KEY", "AZURE_STORAGE_KEY", "AZURE_ACCOUNT_SAS", "AZURE_STORAGE_SAS_TOKEN")
    return Login(address=f"https://{account}.blob.{suffix}", secret=key)


def container_client(name: str, settings: StoreSettings, *, largest_put: int, transfers: int) -> ContainerClient:
    """A client that has not connected yet, for `transfers` at once; nothing is tried again unless a call says so.

    `largest_put` is in bytes. Raises Forbidden when the variables do not say who we are.
    """
    found = login(settings.environment)
    arguments: dict[str, Any] = {
        "transport": _transport(settings, transfers),
        "retry_policy": ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=0, random_jitter_range=1),
        "max_single_put_size": largest_put,
        "user_agent": "twofold",
    }
    try:
        if found.connection:
            return ContainerClient.from_connection_string(found.connection, name, **arguments)
        return ContainerClient(found.address, name, credential=found.secret or _own_identity(), **arguments)
    except ValueError as error:
        raise Forbidden(f"AZURE_CONNECTION_STRING cannot be used: {error}; copy it anew from Azure's portal") from error


def _transport(settings: StoreSettings, transfers: int) -> RequestsTransport:
    session = requests.Session()
    session.hooks["response"].append(refuse_strangers)
    session.mount("http://", HTTPAdapter(pool_maxsize=transfers))
    session.mount("https://", HTTPAdapter(pool_maxsize=transfers))
    verify: bool | str = trusted_file(settings) or settings.options.ssl_cacert_path or True
    if settings.options.ssl_no_check_certificate:
        verify = False
        urllib3.disable_warnings(InsecureRequestWarning)  # it has been asked for
    return RequestsTransport(
        session=session,
        connection_timeout=settings.timeout,
        read_timeout=settings.timeout,
        connection_verify=verify,
    )


def _own_identity() -> Any:
    # A tenth of a second more, and only needed without a key.
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()
