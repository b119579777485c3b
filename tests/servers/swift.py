"""OpenStack Swift as Debian packages it, with tempauth, quotas, the S3 interface and, in some containers, cold storage.

Objects in containers whose names begin with `cold` behave as in OVH's Public Cloud Archive: reading one is refused with
429 and Retry-After, and asks for it; the next attempt finds it warm. `keystone` answers logins of versions 2
and 3 in place of OpenStack's identity service, with tokens that this Swift takes.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from tests.servers.process import HOST, Running, program, serving
from twofold.concurrency import Crew
from twofold.storage.store import Store
from twofold.storage.testing.ground import Files, key, listed

USER, KEY = "test:tester", "testing"
TENANT, NAME = USER.split(":")
WAIT = 14313
"""Seconds that a cold object asks for, from WHEN on."""
WHEN = 1767916800

PAGE = 100
"""Files on one page of a listing."""

_PYTHON = "/usr/bin/python3"  # that of Debian, which has Swift
_SERVICES = ("object", "container", "account")
_SWIFT = f"""
[swift-hash]
swift_hash_path_suffix = s
swift_hash_path_prefix = p
[storage-policy:0]
name = Policy-0
default = yes
[swift-constraints]
container_listing_limit = {PAGE}
"""
_COMMON = "[DEFAULT]\nbind_ip = {host}\nworkers = 0\nswift_dir = {folder}\nuser = {user}\nbind_port = {port}\n"
_SERVER = """
mount_check = false
disable_fallocate = true
devices = {folder}/node
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""
_PROXY = """
[pipeline:main]
pipeline = catch_errors healthcheck cache cold s3api tempauth container_quotas slo dlo bulk proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:cache]
use = egg:swift#memcache
memcache_servers = {host}:{memcached}
[filter:cold]
paste.filter_factory = cold:factory
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {key} .admin
storage_url_scheme = http
"""
_PLAIN_FILTERS = ("catch_errors", "healthcheck", "s3api", "container_quotas", "slo", "dlo", "bulk")
_RINGS = """
import sys
from swift.common.ring import RingBuilder
for name, port in zip(sys.argv[2::2], sys.argv[3::2]):
    ring = RingBuilder(4, 1, 0)
    ring.add_dev({"id": 0, "region": 1, "zone": 1, "ip": sys.argv[1], "port": int(port), "device": "d1", "weight": 1,
                  "replication_ip": sys.argv[1], "replication_port": int(port), "meta": ""})
    ring.rebalance()
    ring.get_ring().save(name + ".ring.gz")
"""
_COLD = f"""
import re

class Cold:
    def __init__(self, app):
        self.app, self.asked = app, {{}}

    def __call__(self, env, start_response):
        path, method = env["PATH_INFO"], env["REQUEST_METHOD"]
        if not re.match("/v1/[^/]+/cold[^/]*/.", path) or "swift.source" in env:
            return self.app(env, start_response)
        if method in ("PUT", "GET"):
            self.asked[path] = self.asked.get(path, 0) + 1 if method == "GET" else 0
        times = self.asked.get(path, 0)
        if method == "GET" and times < 2:
            headers = [("Retry-After", "{WAIT}"), ("Content-Length", "0"), ("Date", "Fri, 09 Jan 2026 00:00:00 GMT")]
            start_response("429 Too Many Requests", headers)
            return [b""]

        def told(status, headers, *rest):
            state = "sealed" if times == 0 else "unsealing" if times < 2 else "unsealed"
            return start_response(status, [*headers, ("X-Ovh-Retrieval-State", state)], *rest)

        return self.app(env, told)

def factory(config, **local):
    return Cold
"""


@contextlib.contextmanager
def swift() -> Iterator[Running]:
    """The login is at `auth_url` of the first port, with USER and KEY, which are the S3 interface's keys as well."""
    programs = {name: program(f"swift-{name}-server") for name in ("proxy", *_SERVICES)}
    memcached = program("memcached")

    def recipe(folder: Path, ports: Sequence[int]) -> list[list[str]]:
        (folder / "node/d1").mkdir(parents=True)
        (folder / "cold.py").write_text(_COLD)
        (folder / "swift.conf").write_text(_SWIFT)
        services = dict(zip(_SERVICES, ports[1:4], strict=True))
        filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in _PLAIN_FILTERS)
        for name, port in {"proxy": ports[0], **services}.items():
            text = _COMMON + (_PROXY + filters if name == "proxy" else _SERVER)
            words = {"host": HOST, "folder": folder, "user": getpass.getuser(), "memcached": ports[4], "key": KEY}
            (folder / f"{name}.conf").write_text(text.format(name=name, port=port, **words))
        rings = [str(word) for pair in services.items() for word in pair]
        subprocess.run([_PYTHON, "-c", _RINGS, HOST, *rings], cwd=folder, check=True)
        servers = [[path, str(folder / f"{name}.conf"), "-v"] for name, path in programs.items()]
        return [*servers, [memcached, "-u", "nobody", "-l", HOST, "-p", str(ports[4]), "-m", "16"]]

    # The servers run in the folder: there they find cold.py.
    with serving(recipe, ports=5, environment={"PYTHONPATH": "."}, stop=signal.SIGKILL) as running:
        yield running


def auth_url(port: int) -> str:
    """Where Swift itself answers logins, of version 1."""
    return f"http://{HOST}:{port}/auth/v1.0"


class _Keystone(BaseHTTPRequestHandler):
    """Takes NAME and KEY for TENANT; gives out the address that Swift's own login does, in the region `here`."""

    def __init__(self, port: int, *arguments: object) -> None:
        self._port = port
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["auth"]
        headers = httpx.get(auth_url(self._port), headers={"X-Auth-User": USER, "X-Auth-Key": KEY}).headers
        token, ends = (
            headers["x-auth-token"],
            {"elsewhere": "http://elsewhere.invalid", "here": headers["x-storage-url"]},
        )
        if self.path == "/v2.0/tokens":
            login = asked["passwordCredentials"]
            given = (login["username"], login["password"], asked["tenantName"])
            self._answer(200, given == (NAME, KEY, TENANT), {"access": _second(token, ends)}, token)
        else:
            user = asked["identity"]["password"]["user"]
            given = (user["name"], user["password"], asked["scope"]["project"]["name"], user["domain"]["name"])
            self._answer(201, given == (NAME, KEY, TENANT, "Default"), {"token": _third(ends)}, token)

    def _answer(self, status: int, is_right: bool, content: object, token: str) -> None:
        body = json.dumps(content if is_right else {"error": {"code": 401, "message": "Who are you"}}).encode()
        self.send_response(status if is_right else 401)
        self.send_header("X-Subject-Token", token)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


_LATER = "2126-01-01T00:00:00.000000Z"
_DOMAIN = {"domain": {"id": "default", "name": "Default"}}


def _second(token: str, ends: dict[str, str]) -> dict[str, object]:
    found = [{"region": region, "publicURL": url} for region, url in ends.items()]
    return {
        "token": {"id": token, "expires": _LATER, "tenant": {"id": "t", "name": TENANT}},
        "user": {"id": "u", "name": NAME, "roles": []},
        "serviceCatalog": [{"type": "object-store", "name": "swift", "endpoints": found}],
    }


def _third(ends: dict[str, str]) -> dict[str, object]:
    found = [{"id": name, "interface": "public", "region": name, "url": url} for name, url in ends.items()]
    return {
        "methods": ["password"],
        "user": {"id": "u", "name": NAME, **_DOMAIN},
        "project": {"id": "t", "name": TENANT, **_DOMAIN},
        "roles": [],
        "expires_at": _LATER,
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "catalog": [{"type": "object-store", "name": "swift", "id": "s", "endpoints": found}],
    }


@contextlib.contextmanager
def keystone(port: int) -> Iterator[str]:
    """The address of an identity service, without a version, for the Swift at this port."""
    server = ThreadingHTTPServer((HOST, 0), partial(_Keystone, port))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def list_pages(store: Store, files: Files) -> None:
    """What the conformance suite asks of 1100 files, with as many as make three pages here."""
    names = {f"duplicity-full.20261122T044630Z.vol{number}.difftar.gpg" for number in range(2 * PAGE + 1)}
    source = files.source(b"x")
    with Crew() as crew:
        puts = crew.ordered_map(lambda name: store.put(key(name), source), names, workers=8, name="put")
        assert {file.name for file in puts} == names
    assert listed(store) == dict.fromkeys(names, 1)
