"""Backblaze B2 as far as b2sdk's own simulator knows it, behind real HTTP: there is no server of B2 to be had."""

from __future__ import annotations

import base64
import contextlib
import inspect
import io
import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from b2sdk.v3 import BucketSimulator, RawSimulator
from b2sdk.v3 import exception as b2

from tests.servers.process import HOST

PART = 1 << 20
"""The size of parts that the service recommends."""

_REFUSALS: tuple[tuple[type[Exception], int, str], ...] = (
    (b2.InvalidAuthToken, 401, "bad_auth_token"),
    (b2.Unauthorized, 401, "unauthorized"),
    (b2.FileNotPresent, 404, "not_found"),
    (b2.NonExistentBucket, 404, "not_found"),
    (b2.DuplicateBucketName, 400, "duplicate_bucket_name"),
    (b2.FileAlreadyHidden, 400, "already_hidden"),
    (b2.FileSha1Mismatch, 400, "bad_request"),
    (b2.UnsatisfiableRange, 416, "range_not_satisfiable"),
    (b2.StorageCapExceeded, 403, "storage_cap_exceeded"),
    (b2.AccessDenied, 403, "access_denied"),
    (b2.ServiceError, 503, "service_unavailable"),
)


class _Bucket(BucketSimulator):  # type: ignore[misc]
    MAX_SIMPLE_COPY_SIZE = 5 * 10**9


class Simulator(RawSimulator):  # type: ignore[misc]
    """With parts of a size that tests can send, and B2's own limit for copies."""

    BUCKET_SIMULATOR_CLASS = _Bucket
    MIN_PART_SIZE = PART


class _Front(BaseHTTPRequestHandler):
    """Turns requests into calls of the simulator, one at a time."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, simulator: Simulator, lock: threading.Lock, *arguments: object) -> None:
        self._simulator, self._lock = simulator, lock
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"] or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True  # the client has gone in the middle
            return
        with self._refusing(), self._lock:
            self._tell(self._uploaded(body) if self.path.startswith("/upload/") else self._called(body))

    def do_GET(self) -> None:
        content = b""
        with self._refusing(), self._lock:
            piece = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
            url, token = self._simulator.DOWNLOAD_URL + self.path, self.headers["Authorization"]
            with self._simulator.download_file_from_url(token, url) as found:
                headers, content = found.headers, found.data_bytes
            if piece and int(piece[1]) >= len(content):
                raise b2.UnsatisfiableRange
            content = content[int(piece[1]) : int(piece[2]) + 1] if piece else content
            self.send_response(206 if piece else 200)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""

    def _called(self, body: bytes) -> dict[str, Any]:
        name, asked = self.path.rpartition("/b2_")[2], json.loads(body)
        if name == "authorize_account":
            key_id, _, key = base64.b64decode(self.headers["Authorization"].split()[1]).decode().partition(":")
            told: dict[str, Any] = self._simulator.authorize_account("", key_id, key)
            told["apiInfo"]["storageApi"] |= {"apiUrl": self._address, "downloadUrl": self._address}
            return told
        method = getattr(self._simulator, name)
        given = {re.sub("([A-Z])", r"_\1", word).lower(): value for word, value in asked.items()}
        if name == "copy_file":
            given["new_file_name"] = given.pop("file_name")
        known = inspect.signature(method).parameters
        arguments = {word: value for word, value in given.items() if word in known}
        answer: dict[str, Any] = method(self._simulator.API_URL, self.headers["Authorization"], **arguments)
        if "uploadUrl" in answer:
            answer["uploadUrl"] = f"{self._address}/upload/{quote(answer['uploadUrl'], safe='')}"
        return answer

    def _uploaded(self, body: bytes) -> dict[str, Any]:
        url, token, sha1 = unquote(self.path[8:]), self.headers["Authorization"], self.headers["X-Bz-Content-Sha1"]
        if part := self.headers["X-Bz-Part-Number"]:
            sent = (url, token, int(part), len(body), sha1, io.BytesIO(body))
            answer: dict[str, Any] = self._simulator.upload_part(*sent)
        else:
            name, kind = unquote(self.headers["X-Bz-File-Name"]), self.headers["Content-Type"]
            answer = self._simulator.upload_file(url, token, name, len(body), kind, sha1, {}, io.BytesIO(body))
        return answer

    @property
    def _address(self) -> str:
        """As the client knows us, perhaps by a proxy."""
        return f"http://{self.headers['Host']}"

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except b2.B2Error as error:
            status, code = next((status, code) for kind, status, code in _REFUSALS if isinstance(error, kind))
            if getattr(error, "code", "") == "unauthorized":
                code = "unauthorized"
            message = "Checksum did not match data received" if isinstance(error, b2.FileSha1Mismatch) else str(error)
            self._tell({"status": status, "code": code, "message": message}, status)

    def _tell(self, content: object, status: int = 200) -> None:
        body = json.dumps(content, default=sorted).encode()  # the simulator knows sets
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Service(NamedTuple):
    """A service with one account, a key of it, and the simulator behind."""

    port: int
    key_id: str
    key: str
    simulator: Simulator

    def with_rights(self, *rights: str, bucket: str | None = None) -> Service:
        """The same with a new key."""
        account = next(iter(self.simulator.key_id_to_key.values()))
        token = self.simulator.authorize_account("", account.application_key_id, account.key)["authorizationToken"]
        made = self.simulator.create_key(
            self.simulator.API_URL,
            token,
            account.account_id,
            rights,
            "backup",
            None,
            [bucket] if bucket else None,
            None,
        )
        return self._replace(key_id=made["applicationKeyId"], key=made["applicationKey"])


@contextlib.contextmanager
def b2_service() -> Iterator[Service]:
    """Its address is the realm to log in at."""
    simulator = Simulator()
    key_id, key = simulator.create_account()
    server = ThreadingHTTPServer((HOST, 0), partial(_Front, simulator, threading.Lock()))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        service = Service(int(server.server_address[1]), key_id, key, simulator)
        yield service.with_rights("listBuckets", "writeBuckets", "listFiles", "readFiles", "writeFiles", "deleteFiles")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
