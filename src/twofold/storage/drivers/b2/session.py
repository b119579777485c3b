"""The login to B2 and the bucket: made at first use, for all threads.

b2sdk logs in anew when its token has expired, and gives each upload an address of its own; it never tries again here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import requests
from b2sdk.v3 import B2Http, B2HttpApiConfig, B2Session, InMemoryAccountInfo
from b2sdk.v3 import exception as b2

from twofold.concurrency import exclusion
from twofold.errors import Forbidden
from twofold.storage.drivers.b2.faults import refuse_strangers
from twofold.storage.settings import StoreSettings
from twofold.storage.tls import trusted_file
from twofold.storage.url import StorageUrl


class Keys(NamedTuple):
    """An application key, and where it is known: `production`, or an address."""

    key_id: str
    key: str
    realm: str

    def __repr__(self) -> str:
        return f"Keys({self.key_id!r})"


def keys_of(url: StorageUrl, settings: StoreSettings) -> Keys:
    """Those of the URL, else those that B2's own program takes from the environment. Raises Forbidden without any."""
    variables = settings.environment
    realm = variables.get("B2_ENVIRONMENT") or "production"
    if url.user:
        key_id, key = url.user, settings.password or url.password
        remedy = "set BACKEND_PASSWORD to the application key"
    else:
        key_id, key = variables.get("B2_APPLICATION_KEY_ID", ""), variables.get("B2_APPLICATION_KEY", "")
        remedy = "set B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY, or write b2://key_id@bucket/folder"
    if not key_id or not key:
        raise Forbidden(f"No application key for {url.redacted()}: {remedy}")
    return Keys(key_id, key, realm)


class _Http(B2Http):  # type: ignore[misc]
    """One attempt for each request; what the network has to say comes through as it is."""

    @classmethod
    def _translate_and_retry(
        cls, fcn: Callable[[], Any], _try_count: int, post_params: dict[str, Any] | None = None
    ) -> Any:
        response = fcn()
        return cls._translate_errors(lambda: response, post_params)


class _Session(B2Session):  # type: ignore[misc]
    B2HTTP_CLASS = staticmethod(_Http)


class Bucket:
    """One bucket, with the session that reaches it. Methods raise what the libraries do."""

    def __init__(self, name: str, keys: Keys, settings: StoreSettings) -> None:
        self.name = name
        self._keys = keys
        self._settings = settings
        self._lock = exclusion()
        self._session: Any = None
        self._id = ""

    @property
    def session(self) -> Any:
        """Logged in."""
        with self._lock:
            if self._session is None:
                config = B2HttpApiConfig(http_session_factory=self._connected, install_clock_skew_hook=False)
                session = _Session(InMemoryAccountInfo(), api_config=config)
                http = session.raw_api.b2_http
                http.CONNECTION_TIMEOUT = http.TIMEOUT = http.TIMEOUT_FOR_UPLOAD = self._settings.timeout
                session.authorize_account(self._keys.realm, self._keys.key_id, self._keys.key)
                self._session = session
            return self._session

    def identity(self) -> str:
        """What the service calls the bucket. Raises NonExistentBucket, Unauthorized."""
        with self._lock:
            self._id = self._id or self._found()
            return self._id

    def made(self) -> str:
        """As `identity`, but makes the bucket, for its owner only, when it is not there."""
        with self._lock:
            try:
                return self.identity()
            except b2.NonExistentBucket:
                account = self.session.account_info.get_account_id()
                self._id = str(self.session.create_bucket(account, self.name, "allPrivate")["bucketId"])
                return self._id

    def close(self) -> None:
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.raw_api.b2_http.session.close()

    def _found(self) -> str:
        # Not every key may list buckets: those for one bucket tell which.
        allowed = self.session.account_info.get_allowed()["buckets"]
        if allowed:
            buckets = {bucket["name"]: bucket["id"] for bucket in allowed}
            if self.name not in buckets:
                raise b2.RestrictedBucket(", ".join(map(str, buckets)))
            return str(buckets[self.name])
        account = self.session.account_info.get_account_id()
        for bucket in self.session.list_buckets(account, bucket_name=self.name)["buckets"]:
            return str(bucket["bucketId"])
        raise b2.NonExistentBucket(self.name)

    def _connected(self) -> requests.Session:
        session = requests.Session()
        session.hooks["response"].append(refuse_strangers)
        trusted = trusted_file(self._settings) or self._settings.options.ssl_cacert_path
        session.verify = not self._settings.options.ssl_no_check_certificate and (trusted or True)
        return session
