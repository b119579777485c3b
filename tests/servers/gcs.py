"""fake-gcs-server: what Google Cloud Storage does, without its accounts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.certificate import make_certificate
from tests.servers.process import HOST, Running, program, serving


@contextlib.contextmanager
def fake_gcs() -> Iterator[Running]:
    """Two ports, plain and TLS; the certificate is cert.pem in the folder above.

    Knows conditions, hashes, resumable uploads and rewriting.
    """
    server = program("fake-gcs-server")

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        address = f"{HOST}:{ports[0]}"
        made = make_certificate(folder.parent)
        tls = ["-port", str(ports[1]), "-cert-location", str(made.certificate), "-private-key-location", str(made.key)]
        where = ["-scheme", "both", "-host", HOST, "-port-http", str(ports[0]), *tls, "-public-host", address]
        return [server, *where, "-backend", "memory", "-external-url", f"http://{address}", "-log-level", "error"]

    with serving(recipe, ports=2) as running:
        yield running
