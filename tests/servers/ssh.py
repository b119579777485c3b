"""Servers that speak SSH: OpenSSH, and rclone's, which is written in Go and lacks OpenSSH's extensions."""

from __future__ import annotations

import contextlib
import getpass
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.servers.process import HOST, program, serving

USER, PASSWORD = "u", "p"
KEY_PASSPHRASE = "pass phrase"


class Sshd(NamedTuple):
    """An OpenSSH server for the user who runs the tests: `folder` has id, id_enc (locked) and known_hosts."""

    port: int
    user: str
    folder: Path

    @property
    def client_options(self) -> str:
        """For --ssh-options: nothing of the person who runs the tests is used."""
        return f"-oUserKnownHostsFile={self.folder}/known_hosts -oIdentityFile={self.folder}/id"


@contextlib.contextmanager
def sshd(*, sftp: bool = True) -> Iterator[Sshd]:
    """Keys only; without `sftp` only commands can be run."""
    daemon, keygen = program("sshd"), program("ssh-keygen")
    with contextlib.suppress(OSError):
        Path("/run/sshd").mkdir(exist_ok=True)

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        for name, passphrase in (("host", ""), ("id", ""), ("id_enc", KEY_PASSPHRASE)):
            command = [keygen, "-q", "-t", "ed25519", "-N", passphrase, "-f", str(folder / name)]
            subprocess.run(command, check=True, timeout=60)
        keys = [(folder / f"{name}.pub").read_text() for name in ("id", "id_enc")]
        (folder / "authorized_keys").write_text("".join(keys))
        host_key = " ".join((folder / "host.pub").read_text().split()[:2])
        (folder / "known_hosts").write_text(f"[{HOST}]:{ports[0]} {host_key}\n")
        settings = {
            "Port": ports[0],
            "ListenAddress": HOST,
            "HostKey": folder / "host",
            "PidFile": "none",
            "AuthorizedKeysFile": folder / "authorized_keys",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "MaxStartups": 100,
            # What shells read at their start is not the business of a test, and may take long.
            "SetEnv": f"HOME={folder}",
        }
        options = [f"-o{name}={value}" for name, value in settings.items()]
        if sftp:
            options.append("-oSubsystem=sftp internal-sftp")
        return [daemon, "-D", "-e", "-f", "/dev/null", *options]

    with serving(recipe) as running:
        yield Sshd(running.port, getpass.getuser(), running.folder)


@contextlib.contextmanager
def rclone_sftp(password: str = PASSWORD) -> Iterator[int]:
    """The port of a server that takes USER and this password; its files are below the login directory."""

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        (folder / "root").mkdir()
        login = ["--user", USER, "--pass", password]
        address = f"{HOST}:{ports[0]}"
        return [program("rclone"), "serve", "sftp", "--config", "", "--addr", address, *login, str(folder / "root")]

    with serving(recipe) as running:
        yield running.port
