"""Servers that speak S3: SeaweedFS, which checks everything, moto, which knows Glacier, and rclone's."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.process import HOST, Running, program, serving

KEY, SECRET = "testkey", "testsecret"
REGION = "us-east-1"


@contextlib.contextmanager
def seaweedfs() -> Iterator[Running]:
    """Checks signatures and digests, knows conditions, versions and object lock."""
    server = program("weed")

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        login = {"name": "test", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": actions}
        (folder / "s3.json").write_text(json.dumps({"identities": [login]}))
        (folder / "data").mkdir()
        names = ("s3.port", "master.port", "volume.port", "filer.port")
        services = [f"-{name}={port}" for name, port in zip(names, ports[::2], strict=True)]
        services += [f"-{name}.grpc={port}" for name, port in zip(names, ports[1::2], strict=True)]
        where = [f"-dir={folder}/data", f"-ip={HOST}", f"-ip.bind={HOST}"]
        off = ["-s3.port.iceberg=0", "-s3.port.lance=0"]
        limits = ["-master.volumeSizeLimitMB=64", "-volume.max=300"]
        config = f"-s3.config={folder}/s3.json"
        return [server, "server", *where, "-filer", "-s3", *services, *off, *limits, config]

    # It takes 20 s and more over SIGTERM.
    with serving(recipe, ports=8, stop=signal.SIGKILL) as running:
        yield running


@contextlib.contextmanager
def moto() -> Iterator[Running]:
    """Knows storage classes that have to be warmed up; takes any key and any digest."""
    server = program("moto_server")
    with serving(lambda _folder, ports: [server, "-H", HOST, "-p", str(ports[0])]) as running:
        yield running


@contextlib.contextmanager
def rclone_s3() -> Iterator[Running]:
    """A plain one: no conditions, though it does not say so."""

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        (folder / "root").mkdir()
        login = ["--auth-key", f"{KEY},{SECRET}"]
        address = f"{HOST}:{ports[0]}"
        return [program("rclone"), "serve", "s3", "--config", "", "--addr", address, *login, str(folder / "root")]

    with serving(recipe) as running:
        yield running
