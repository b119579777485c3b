"""A D-Bus session in which GVfs runs: what a desktop has, without the desktop and without the user's own files."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import program
from tests.servers.ssh import Sshd
from tests.support.tools import unavailable

_GVFS = ("/usr/libexec/gvfsd", "/usr/lib/gvfs/gvfsd", "/usr/lib/gvfsd")


def variables(folder: Path, server: Sshd | None = None) -> dict[str, str]:
    """Variables for gio whose home is in `folder`; ssh finds the key of `server` and nothing of the user's."""
    gio = program("gio")
    if not any(map(os.path.exists, _GVFS)):
        unavailable("GVfs is not installed")
    (folder / "run").mkdir(mode=0o700)
    options = server.client_options if server else ""
    (folder / "ssh").write_text(f'#!/bin/sh\nexec {program("ssh")} -F/dev/null {options} "$@"\n')
    (folder / "ssh").chmod(0o700)
    path = os.pathsep.join([str(folder), os.path.dirname(gio), os.environ["PATH"]])
    return {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder / "run"), "PATH": path}


@contextlib.contextmanager
def desktop(server: Sshd | None = None) -> Iterator[dict[str, str]]:
    """The variables of a session that lasts as long as this; what is mounted in it stays."""
    with tempfile.TemporaryDirectory(prefix="twofold-gio-", ignore_cleanup_errors=True) as folder:
        found = variables(Path(folder), server)
        shell = ["/bin/sh", "-c", 'echo "$DBUS_SESSION_BUS_ADDRESS"; read -r _']
        with subprocess.Popen(
            [program("dbus-run-session"), "--", *shell],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=found,
            text=True,
        ) as session:
            assert session.stdout is not None
            yield {**found, "DBUS_SESSION_BUS_ADDRESS": session.stdout.readline().strip()}
