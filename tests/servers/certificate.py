"""A certificate for this machine and its key, so that tests keep verification on."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.servers.process import program


class Certificate(NamedTuple):
    """Two PEM files, and one that has both (mode 600)."""

    certificate: Path
    key: Path
    both: Path


@cache
def make_certificate(folder: Path) -> Certificate:
    """One for localhost and 127.0.0.1, signed by itself, valid for two days."""
    made = Certificate(folder / "cert.pem", folder / "key.pem", folder / "both.pem")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = [
        program("openssl"),
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", names, "-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    made.both.touch(mode=0o600)
    made.both.write_bytes(made.key.read_bytes() + made.certificate.read_bytes())
    return made
