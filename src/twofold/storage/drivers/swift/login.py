"""Who we are to Swift: read from the variables, and turned into a token and the address of the account.

The login is made once and serves all connections. A token that has expired is forgotten: the call that met it is
Unavailable, the next one logs in anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import urllib3
from keystoneauth1.identity import v2, v3
from keystoneauth1.session import Session as KeystoneSession
from swiftclient import client as swiftclient
from swiftclient.exceptions import ClientException

from twofold.concurrency import exclusion
from twofold.errors import Forbidden, InvalidUrl
from twofold.model.value import field, value
from twofold.storage.drivers.swift.faults import ABSENT, refuse_strangers, translating
from twofold.storage.network_errors import Stranger
from twofold.storage.settings import StoreSettings
from twofold.storage.store import Operation
from twofold.storage.tls import trusted_file
from twofold.storage.url import StorageUrl

_OPTIONS = {
    "user_id": "USERID",
    "user_domain_name": "USER_DOMAIN_NAME",
    "user_domain_id": "USER_DOMAIN_ID",
    "project_domain_name": "PROJECT_DOMAIN_NAME",
    "project_domain_id": "PROJECT_DOMAIN_ID",
    "project_name": "PROJECT_NAME",
    "project_id": "PROJECT_ID",
    "tenant_id": "TENANTID",
    "endpoint_type": "ENDPOINT_TYPE",
}
"""swiftclient's words for what only logins of version 3 look at (docs/cli.md section 3.2)."""
_RACKSPACE = "https://auth.api.rackspacecloud.com/v1.0"


class Account(NamedTuple):
    """The address of an account, and what opens it."""

    url: str
    token: str


@value
class Login:
    """What a login needs; `account` where somebody has logged in already."""

    version: str = "1"
    address: str = ""
    user: str = ""
    key: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    account: Account | None = field(default=None, repr=False)


def login_of(url: StorageUrl, variables: Mapping[str, str]) -> Login:
    """The login that the variables of the URL's scheme tell. Raises Forbidden when one is missing."""
    if url.scheme == "cf+http":
        return _rackspace(variables)
    kind = "PCA" if url.scheme == "pca" else "SWIFT"

    def told(word: str) -> str:
        return variables.get(f"{kind}_{word}", "")

    account = Account(told("PREAUTHURL"), told("PREAUTHTOKEN"))
    if not all(account):
        _require(variables, f"{kind}_USERNAME", f"{kind}_PASSWORD", f"{kind}_AUTHURL")
    # PCA_PROJECT_… count as well: duplicity looks at the tenant alone, which says the same (docs/cli.md section 3.2).
    version = told("AUTHVERSION") or "1"
    words = {"tenant_name": "TENANTNAME", "region_name": "REGIONNAME", **(_OPTIONS if version[0] == "3" else {})}
    options = {name: told(word) for name, word in words.items() if told(word)}
    return Login(
        version, told("AUTHURL"), told("USERNAME"), told("PASSWORD"), options, account if all(account) else None
    )


def _rackspace(variables: Mapping[str, str]) -> Login:
    _require(variables, "CLOUDFILES_USERNAME", "CLOUDFILES_APIKEY")
    if region := variables.get("CLOUDFILES_REGION"):
        raise InvalidUrl(
            f"cf+http:// reaches the account's own region only, not {region} (CLOUDFILES_REGION); use swift:// with "
            "SWIFT_AUTHVERSION=2 and SWIFT_REGIONNAME"
        )
    user, key = variables["CLOUDFILES_USERNAME"], variables["CLOUDFILES_APIKEY"]
    return Login("1", variables.get("CLOUDFILES_AUTHURL") or _RACKSPACE, user, key)


def _require(variables: Mapping[str, str], *names: str) -> None:
    if missing := [name for name in names if not variables.get(name)]:
        raise Forbidden(f"No login for this target: set {', '.join(missing)} in the environment")


class Session:
    """One login for all threads, and the connections that use it."""

    def __init__(self, login: Login, settings: StoreSettings, *, place: str) -> None:
        options = settings.options
        self._login = login
        self._place = place
        self._lock = exclusion()
        self._account = login.account
        self._network: dict[str, Any] = {
            "cacert": trusted_file(settings) or options.ssl_cacert_path,
            "insecure": options.ssl_no_check_certificate,
            "timeout": settings.timeout,
        }
        if options.ssl_no_check_certificate:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def connect(self) -> Link:
        """A connection that nobody else uses, to be closed with `Link.close`. Raises StorageError."""
        with self._lock, translating(Operation.LIST, name="", place=self._place, otherwise=Forbidden):
            account = self._account or self._log_in()
            self._account = account
            parsed, connection = swiftclient.http_connection(account.url, **self._network)
            # Elsewhere nobody is shown the token, and a PUT would become a GET on the way.
            connection.requests_args["allow_redirects"] = False
            connection.request_session.hooks["response"].append(refuse_strangers)
            return Link(account, (parsed, connection))

    def forget(self, account: Account) -> bool:
        """Is told that the account's token is not taken any more; whether another login may give a better one."""
        with self._lock:
            if self._account == account and self._login.address:
                self._account = None
        return bool(self._login.address)

    def _log_in(self) -> Account:
        login = self._login
        if login.version.startswith("1"):
            try:
                account = swiftclient.get_auth(login.address, login.user, login.key, **self._network)
            except ClientException as error:
                if error.http_status in {200, ABSENT}:  # it never refuses a login with these
                    raise Stranger(error) from error
                raise
            if not all(account):
                raise Stranger
            return Account(*account)
        verify = not self._network["insecure"] and (self._network["cacert"] or True)
        session = KeystoneSession(_password(login), verify=verify, timeout=self._network["timeout"])
        interface, region = login.options.get("endpoint_type", "public"), login.options.get("region_name")
        url = session.get_endpoint(service_type="object-store", interface=interface, region_name=region)
        if url is None:
            where = f"the region {region}" if region else "it"
            raise Forbidden(f"The login is right, but no Swift belongs to {where}: check the region at {self._place}")
        return Account(url, session.get_token() or "")


def _password(login: Login) -> v2.Password | v3.Password:
    """What the identity service wants; its address may be told without the version, and the tenant with the user."""
    options, user = login.options, login.user
    tenant = options.get("tenant_name")
    if not tenant and ":" in user:
        tenant, user = user.split(":", 1)
    kind, path = (v2, "v2.0") if login.version.startswith("2") else (v3, "v3")
    address = login.address.rstrip("/")
    if not address.endswith(("/v2.0", "/v3")):
        address = f"{address}/{path}"
    if kind is v2:
        return v2.Password(address, username=user, password=login.key, tenant_name=tenant)
    told: dict[str, Any] = {name: options.get(name) for name in _OPTIONS if name not in {"tenant_id", "endpoint_type"}}
    told["project_id"] = told["project_id"] or options.get("tenant_id")
    told["project_name"] = told["project_name"] or (None if told["project_id"] else tenant)
    return v3.Password(address, username=user, password=login.key, **told)


class Link(NamedTuple):
    """A connection to an account, as the functions of swiftclient want it."""

    account: Account
    http: tuple[Any, Any]

    def close(self) -> None:
        self.http[1].close()
