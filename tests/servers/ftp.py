"""Servers that speak FTP: vsftpd in three ways of TLS, pyftpdlib, and rclone's."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path

from tests.servers.certificate import make_certificate
from tests.servers.process import HOST, Running, interpreter, program, require_root, serving

USER, PASSWORD = "u", "p"
ANONYMOUS, MAIL = "anonymous", "a@b"
_PASSIVE_PORTS = 20


class Tls(Enum):
    """When the connection becomes a secret one."""

    NONE = "never"
    EXPLICIT = "when the client asks for it"
    IMPLICIT = "from the first byte"


@contextlib.contextmanager
def vsftpd(tls: Tls) -> Iterator[Running]:
    """Login ANONYMOUS with MAIL, directory up; with TLS, sessions must be used again for the data connections.

    The certificate is cert.pem in the folder above.
    """
    server = program("vsftpd")
    require_root("vsftpd")

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        (folder / "ftp/up").mkdir(parents=True)
        (folder / "empty").mkdir()
        shutil.chown(folder / "ftp/up", "ftp")
        settings = {
            "listen": "YES",
            "listen_address": HOST,
            "listen_port": ports[0],
            "background": "NO",
            "anonymous_enable": "YES",
            "anon_root": folder / "ftp",
            "write_enable": "YES",
            "anon_upload_enable": "YES",
            "anon_mkdir_write_enable": "YES",
            "anon_other_write_enable": "YES",
            "anon_umask": "022",
            "anon_world_readable_only": "NO",
            "secure_chroot_dir": folder / "empty",
            "pasv_min_port": min(ports[1:]),
            "pasv_max_port": max(ports[1:]),
            "seccomp_sandbox": "NO",
        }
        if tls is not Tls.NONE:
            made = make_certificate(folder.parent)
            switches = (
                "ssl_enable",
                "allow_anon_ssl",
                "force_anon_logins_ssl",
                "force_anon_data_ssl",
                "require_ssl_reuse",
            )
            settings |= dict.fromkeys(switches, "YES")
            settings |= {"rsa_cert_file": made.certificate, "rsa_private_key_file": made.key}
        if tls is Tls.IMPLICIT:
            settings["implicit_ssl"] = "YES"
        text = "".join(f"{name}={value}\n" for name, value in settings.items())
        (folder / "vsftpd.conf").write_text(text)
        return [server, str(folder / "vsftpd.conf")]

    with serving(recipe, ports=_PASSIVE_PORTS + 1, answering=1) as running:
        yield running


_WITH_TLS = """
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import TLS_FTPHandler
from pyftpdlib.servers import ThreadedFTPServer
host, port, root, both, first, last = sys.argv[1:]
users = DummyAuthorizer()
users.add_user("u", "p", root, perm="elradfmwMT")
TLS_FTPHandler.certfile = both
TLS_FTPHandler.authorizer = users
TLS_FTPHandler.tls_control_required = TLS_FTPHandler.tls_data_required = True
TLS_FTPHandler.passive_ports = range(int(first), int(last) + 1)
ThreadedFTPServer((host, int(port)), TLS_FTPHandler).serve_forever()
"""


@contextlib.contextmanager
def pyftpdlib(*, tls: bool = False, told_address: str = HOST, password: str = PASSWORD) -> Iterator[Running]:
    """Login USER with PASSWORD; knows MLSD, refuses SIZE in ASCII mode. With TLS (explicit) cert.pem as vsftpd.

    Without TLS the password may be another one; clients are sent to `told_address` for the data, to the ports behind
    the first one.
    """
    python = interpreter()

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        (folder / "root").mkdir()
        root, passive = str(folder / "root"), (str(min(ports[1:])), str(max(ports[1:])))
        if tls:
            made = make_certificate(folder.parent)
            return [python, "-c", _WITH_TLS, HOST, str(ports[0]), root, str(made.both), *passive]
        address = ["-i", HOST, "-p", str(ports[0]), "-r", "-".join(passive), "-n", told_address]
        return [python, "-m", "pyftpdlib", *address, "-w", "-d", root, "-u", USER, "-P", password]

    # It takes seconds over SIGTERM.
    with serving(recipe, ports=_PASSIVE_PORTS + 1, answering=1, stop=signal.SIGKILL) as running:
        yield running


_REPLACING_NOTHING = """
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
host, port, root, first, last = sys.argv[1:]
class Handler(FTPHandler):
    authorizer = DummyAuthorizer()
    passive_ports = range(int(first), int(last) + 1)
    def ftp_RNTO(self, path):
        if self.fs.lexists(path):
            self._rnfr = None
            self.respond("550 Cannot create a file when that file already exists.")
            return None
        return super().ftp_RNTO(path)
Handler.authorizer.add_user("u", "p", root, perm="elradfmwMT")
FTPServer((host, int(port)), Handler).serve_forever()
"""


@contextlib.contextmanager
def replacing_nothing() -> Iterator[Running]:
    """Login USER with PASSWORD; renames to names that are taken are refused, as on Windows."""
    python = interpreter()

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        (folder / "root").mkdir()
        passive = (str(min(ports[1:])), str(max(ports[1:])))
        return [python, "-c", _REPLACING_NOTHING, HOST, str(ports[0]), str(folder / "root"), *passive]

    with serving(recipe, ports=_PASSIVE_PORTS + 1, answering=1, stop=signal.SIGKILL) as running:
        yield running


@contextlib.contextmanager
def rclone_ftp() -> Iterator[Running]:
    """Login USER with PASSWORD; says 450 where others say 550."""

    def recipe(folder: Path, ports: Sequence[int]) -> list[str]:
        (folder / "root").mkdir()
        address = ["--addr", f"{HOST}:{ports[0]}", "--passive-port", f"{min(ports[1:])}-{max(ports[1:])}"]
        login = ["--user", USER, "--pass", PASSWORD]
        return [program("rclone"), "serve", "ftp", "--config", "", *address, *login, str(folder / "root")]

    with serving(recipe, ports=_PASSIVE_PORTS + 1, answering=1) as running:
        yield running
