"""Azurite, Microsoft's own imitation of Azure's blobs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.process import HOST, Running, program, serving

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The same for everybody, as its makers have published it."""


def connection_string(port: int) -> str:
    """What AZURE_CONNECTION_STRING is set to."""
    endpoint = f"http://{HOST}:{port}/{ACCOUNT}"
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"


@contextlib.contextmanager
def azurite() -> Iterator[Running]:
    """Knows block lists, tiers and conditions; warms up at once."""
    server = program("azurite-blob")

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        where = ["--blobHost", HOST, "--blobPort", str(ports[0]), "--location", str(folder)]
        return [server, *where, "--silent", "--skipApiVersionCheck", "--disableTelemetry"]

    with serving(recipe) as running:
        yield running
