"""The servers that files are moved to, all on this machine, with a long line before them if one is wanted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.servers import ftp, rsync, s3, ssh, webdav
from tests.servers.process import HOST, program
from tests.servers.proxy import Fault, proxied

_FAR_HOST = "127.0.0.2"
"""Where the ports of an FTP server's data can be had once more: clients are told their numbers."""
_BUCKET = "backups"


@dataclass(frozen=True, slots=True)
class Target:
    """A place at a server: URL, variables and options (named as in ServiceOptions) for twofold and duplicity, and the
    remote as rclone knows it, None where it does not."""

    url: str
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    options: dict[str, str] = field(default_factory=dict)
    remote: dict[str, str] | None = None
    remote_path: str = ""


TargetFor = Callable[[str], Target]
"""The place of a name; each is empty at first."""


@contextmanager
def serving(service: str, folder: str, *, round_trip: int) -> Iterator[TargetFor]:
    """A fresh server, so many milliseconds away. `folder` is for what is no server's."""
    with ExitStack() as stack:
        yield SERVICES[service](stack, folder, round_trip)


def _file(stack: ExitStack, folder: str, round_trip: int) -> TargetFor:
    del stack, round_trip
    return lambda name: Target(f"file://{folder}/{name}", remote={"type": "local"}, remote_path=f"{folder}/{name}")


def _sftp(stack: ExitStack, folder: str, round_trip: int) -> TargetFor:
    server = stack.enter_context(ssh.sshd())
    port = _line(stack, server.port, round_trip)
    known = server.folder / "known_hosts"
    known.write_text(known.read_text().replace(f"]:{server.port}", f"]:{port}"))
    remote = {"type": "sftp", "host": HOST, "port": str(port), "user": server.user}
    remote |= {"key_file": f"{server.folder}/id", "known_hosts_file": str(known)}
    options = {"ssh_options": server.client_options}
    return lambda name: Target(
        f"sftp://{server.user}@{HOST}:{port}/{folder}/{name}", {}, options, remote, f"{folder}/{name}"
    )


def _ftp(stack: ExitStack, folder: str, round_trip: int) -> TargetFor:
    del folder
    host = _FAR_HOST if round_trip else HOST
    running = stack.enter_context(ftp.pyftpdlib(told_address=host))
    ports = running.ports
    for port in ports if round_trip else ():
        _line(stack, port, round_trip, address=(host, port))
    login = {"user": ftp.USER, "pass": _obscured(ftp.PASSWORD)}
    remote = {"type": "ftp", "host": host, "port": str(ports[0]), **login}
    variables = {"FTP_PASSWORD": ftp.PASSWORD}

    def target(name: str) -> Target:
        # rclone does not take this server's 501 for an absent folder.
        (running.folder / "root" / name).mkdir(exist_ok=True)
        return Target(f"ftp://{ftp.USER}@{host}:{ports[0]}/{name}", variables, {}, remote, name)

    return target


def _webdav(stack: ExitStack, folder: str, round_trip: int) -> TargetFor:
    del folder
    port = _line(stack, stack.enter_context(webdav.nginx()).port, round_trip)
    address = f"{HOST}:{port}"
    remote = {
        "type": "webdav",
        "url": f"http://{address}",
        "user": webdav.USER,
        "pass": _obscured(webdav.PASSWORD),
    }
    variables = {"FTP_PASSWORD": webdav.PASSWORD}
    return lambda name: Target(f"webdav://{webdav.USER}@{address}/{name}", variables, {}, remote, name)


def _rsync(stack: ExitStack, folder: str, round_trip: int) -> TargetFor:
    del folder
    port = _line(stack, stack.enter_context(rsync.rsyncd()).port, round_trip)
    variables = {"FTP_PASSWORD": rsync.PASSWORD, "RSYNC_PASSWORD": rsync.PASSWORD}
    return lambda name: Target(f"rsync://{rsync.USER}@{HOST}:{port}::{rsync.MODULE}/{name}", variables)


def _s3(stack: ExitStack, folder: str, round_trip: int) -> TargetFor:
    import boto3

    del folder
    direct = stack.enter_context(s3.seaweedfs()).port
    login = {"aws_access_key_id": s3.KEY, "aws_secret_access_key": s3.SECRET, "region_name": s3.REGION}
    boto3.client("s3", endpoint_url=f"http://{HOST}:{direct}", **login).create_bucket(Bucket=_BUCKET)
    endpoint = f"http://{HOST}:{_line(stack, direct, round_trip)}"
    remote = {
        "type": "s3",
        "provider": "SeaweedFS",
        "endpoint": endpoint,
        "region": s3.REGION,
        "access_key_id": s3.KEY,
        "secret_access_key": s3.SECRET,
    }
    variables = {"AWS_ACCESS_KEY_ID": s3.KEY, "AWS_SECRET_ACCESS_KEY": s3.SECRET}
    options = {"s3_endpoint_url": endpoint, "s3_region_name": s3.REGION}
    return lambda name: Target(f"boto3+s3:///{_BUCKET}/{name}", variables, options, remote, f"{_BUCKET}/{name}")


SERVICES: dict[str, Callable[[ExitStack, str, int], TargetFor]] = {
    "file": _file,
    "sftp": _sftp,
    "ftp": _ftp,
    "webdav": _webdav,
    "rsync": _rsync,
    "s3": _s3,
}


def _line(stack: ExitStack, port: int, round_trip: int, *, address: tuple[str, int] = (HOST, 0)) -> int:
    """The port to go to: this one, or that of a line of this length before it."""
    if not round_trip:
        return port
    proxy = stack.enter_context(proxied(port, address))
    proxy.weather.fault, proxy.weather.delay = Fault.DELAY, round_trip / 2000
    return proxy.port


def _obscured(password: str) -> str:
    command = [program("rclone"), "obscure", password]
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
