"""An rsync daemon."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.process import HOST, Running, program, serving

USER, PASSWORD, MODULE = "bob", "rspw", "mod"


@contextlib.contextmanager
def rsyncd(password: str = PASSWORD) -> Iterator[Running]:
    """One module, writable, for USER with this password; its files are in the folder root."""
    server = program("rsync")

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        (folder / "root").mkdir()
        (folder / "secrets").touch(mode=0o600)
        (folder / "secrets").write_text(f"{USER}:{password}\n")
        module = {"path": folder / "root", "read only": "no", "auth users": USER, "secrets file": folder / "secrets"}
        if getpass.getuser() == "root":
            module |= {"uid": "root", "gid": "root"}
        lines = [
            f"address = {HOST}",
            f"port = {ports[0]}",
            "use chroot = no",
            f"pid file = {folder}/pid",
            f"[{MODULE}]",
        ]
        lines += [f"  {name} = {value}" for name, value in module.items()]
        (folder / "rsyncd.conf").write_text("\n".join(lines) + "\n")
        return [server, "--daemon", "--no-detach", f"--config={folder}/rsyncd.conf"]

    with serving(recipe) as running:
        yield running
