"""Connections of asyncssh made as ssh makes them: its configuration files, agent, keys, known hosts, jump hosts.

A host whose key is not known is never talked to, whatever a configuration says that asyncssh would read as "do not
look": all known hosts are read here.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from typing import Final, NamedTuple

from twofold.errors import (
    Forbidden,
    Incomplete,
    NoPlace,
    NoSpace,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
)
from twofold.storage import local_files
from twofold.storage.drivers.ssh.library import asyncssh
from twofold.storage.drivers.ssh.options import SshTarget
from twofold.storage.store import Operation

CIPHERS: Final = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""Before asyncssh's own order, which begins with chacha20: half the CPU time (docs/design.md)."""

_DEFAULT_PORT: Final = 22
_LONGEST_CHAIN: Final = 8
_USER_FILES: Final = ("known_hosts", "known_hosts2")
_SYSTEM_FILES: Final = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_SYSTEM_CONFIGURATION: Final = "/etc/ssh/ssh_config"

FAILURES: Final = (asyncssh.Error, OSError, ValueError, asyncio.IncompleteReadError)
"""All that asyncssh raises: configuration and keys that cannot be read are ValueErrors."""

_KINDS: Final[tuple[tuple[type[Exception], type[StorageError]], ...]] = (
    (asyncssh.SFTPNoSuchFile, NotFound),
    (asyncssh.SFTPNoSuchPath, NotFound),
    (asyncssh.SFTPNotADirectory, NoPlace),
    (asyncssh.SFTPPermissionDenied, Forbidden),
    (asyncssh.SFTPWriteProtect, Forbidden),
    (asyncssh.SFTPNoSpaceOnFilesystem, NoSpace),
    (asyncssh.SFTPQuotaExceeded, NoSpace),
    (asyncssh.SFTPOpUnsupported, Unsupported),
    (asyncssh.SFTPConnectionLost, Unavailable),
    (asyncssh.SFTPNoConnection, Unavailable),
    (asyncssh.SFTPBadMessage, Unavailable),
    (asyncssh.SFTPError, StorageError),
    (asyncssh.PermissionDenied, Forbidden),
    (asyncssh.HostKeyNotVerifiable, Untrusted),
    (asyncssh.KeyExchangeFailed, Unsupported),
    (asyncssh.ProtocolNotSupported, Unsupported),
    (asyncssh.IllegalUserName, Forbidden),
    (asyncssh.ProcessError, StorageError),
    (asyncssh.Error, Unavailable),
    (OSError, Unavailable),
    (asyncio.IncompleteReadError, Unavailable),
)
_LOSSES: Final = (
    *(Unavailable, OSError, asyncssh.DisconnectError),
    *(asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.SFTPBadMessage),
)
_BARE: Final = (Unavailable, Incomplete, Unsupported)
"""What is raised near here without saying where it happened."""

_REMEDIES: Final[dict[type[StorageError], str]] = {
    Forbidden: "check owner and permissions there",
    NoSpace: "make room there or use another target",
    Unsupported: "the server cannot do it",
}


def translated(error: Exception, *, operation: Operation, name: str, place: str) -> StorageError:
    """The StorageError that an error of asyncssh means; `place` is the account and directory as people know them."""
    if isinstance(error, StorageError) and (error.operation or not isinstance(error, _BARE)):
        return error
    kind = (
        type(error)
        if isinstance(error, StorageError)
        else next((kind for library, kind in _KINDS if isinstance(error, library)), StorageError)
    )
    what = f"{operation.value} of {name} at {place}" if name else f"{operation.value} at {place}"
    said = " ".join((getattr(error, "reason", "") or str(error) or type(error).__name__).split())
    remedy = f" ({_REMEDIES[kind]})" if kind in _REMEDIES else ""
    return kind(f"{what} failed: {said}{remedy}", name=name, operation=operation.value)


def is_lost(error: BaseException) -> bool:
    """Whether the connection is of no use any more after this error."""
    return isinstance(error, _LOSSES)


class _HostKeyWatch(asyncssh.SSHClient):
    """Decides about host keys that the known hosts do not have, and keeps them for the message."""

    def __init__(self, known: asyncssh.SSHKnownHosts, *, accepts_new: bool) -> None:
        self._known = known
        self._accepts_new = accepts_new
        self.unknown: asyncssh.SSHKey | None = None
        self.has_changed = False

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        keys, authorities, *_ = self._known.match(host, addr, port if port != _DEFAULT_PORT else None)
        self.unknown, self.has_changed = key, bool(keys or authorities)
        return self._accepts_new and not self.has_changed


class _Files(NamedTuple):
    """Configuration files: those for the target alone, which count first, and those for every host on the way too."""

    own: tuple[str, ...]
    shared: tuple[str, ...]


class Dialer:
    """Makes connections to one target; used in the loop's thread only."""

    def __init__(self, target: SshTarget) -> None:
        self._target = target

    async def dial(self) -> asyncssh.SSHClientConnection:
        """A new connection. Raises StorageError for what only people can mend, else what asyncssh raises."""
        target = self._target
        with local_files.translating(Operation.LIST, name="", path=target.temp_dir or tempfile.gettempdir()):
            folder = tempfile.TemporaryDirectory(prefix="twofold-ssh-", dir=target.temp_dir)
            first = _written(folder.name, "first", target.options.lines)
            last = _written(folder.name, "last", _defaults(target))
        with folder:
            files = _Files((first,), (*_existing(_configurations(target)), last))
            return await self._dial(target.host, target.port, target.user, files=files)

    async def _dial(
        self,
        host: str,
        port: int | None,
        user: str | None,
        *,
        files: _Files,
        through: asyncssh.SSHClientConnection | None = None,
        depth: int = 0,
    ) -> asyncssh.SSHClientConnection:
        whom: dict[str, object] = {"host": host, "config": [*files.own, *files.shared]}
        whom |= {"port": port} if port is not None else {}
        whom |= {"username": user} if user else {}
        said = asyncssh.SSHClientConnectionOptions(**whom, client_keys=None)
        if through is None and isinstance(said.tunnel, str):
            if depth == _LONGEST_CHAIN:
                raise StorageError(f"ProxyJump of {host} leads in a circle; mend the configuration of ssh")
            through = await self._jump(said.tunnel, files=_Files((), files.shared), depth=depth)
        known = _known_hosts(said, self._target.home)
        watch = _HostKeyWatch(known, accepts_new=self._target.options.accepts_new)
        try:
            connection = await self._login(whom, said, through, known, watch, is_target=not depth)
        except BaseException as error:
            if through is not None:
                through.close()
            if isinstance(error, asyncssh.HostKeyNotVerifiable) and watch.unknown is not None:
                raise _untrusted(said, watch) from error
            if isinstance(error, asyncssh.PermissionDenied):
                raise self._refused(said) from error
            raise
        if through is not None:
            connection.set_tunnel(through)
        if watch.unknown is not None:
            _note(said, watch.unknown, self._target.home)
        return connection

    async def _jump(self, hops: str, *, files: _Files, depth: int) -> asyncssh.SSHClientConnection | None:
        """What ssh -J does: --ssh-options are for the host at the end, the hosts on the way have the files only."""
        through: asyncssh.SSHClientConnection | None = None
        for hop in hops.split(","):
            user, _, address = hop.removeprefix("ssh://").rpartition("@")
            host, _, port = address.rpartition(":") if address.count(":") == 1 else (address.strip("[]"), "", "")
            number = int(port) if port.isdigit() else None
            through = await self._dial(host, number, user, files=files, through=through, depth=depth + 1)
        return through

    async def _login(
        self,
        whom: dict[str, object],
        said: asyncssh.SSHClientConnectionOptions,
        through: asyncssh.SSHClientConnection | None,
        known: asyncssh.SSHKnownHosts,
        watch: _HostKeyWatch,
        *,
        is_target: bool,
    ) -> asyncssh.SSHClientConnection:
        target = self._target
        named = said.config.get("IdentityFile", ())
        keys = _existing(named) if isinstance(named, list) else []
        for path in keys:
            with local_files.translating(Operation.LIST, name="", path=path), open(path, "rb"):
                pass  # what cannot be read now cannot be read at the next attempt either
        how: dict[str, object] = {
            "tunnel": through,
            "known_hosts": known.match,
            "client_factory": lambda: watch,
            "client_keys": keys or (),
            "ignore_encrypted": True,
            "password": target.password if is_target else None,
            "connect_timeout": target.timeout,
            "login_timeout": target.timeout,
        }
        try:
            return await asyncssh.connect(**whom, **how, passphrase=target.password)
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
            # The password is the account's, or of another key: those that it does not open are left out.
            return await asyncssh.connect(**whom, **how)

    def _refused(self, said: asyncssh.SSHClientConnectionOptions) -> Forbidden:
        password = "the password" if self._target.password else "a password (BACKEND_PASSWORD or --ssh-askpass)"
        return Forbidden(
            f"{said.host} refuses the login as {said.username} (it wants a key of ~/.ssh, of the agent or of "
            f"--ssh-options=-oIdentityFile=…, or {password}; a locked key is opened by the agent or --ssh-askpass)"
        )


def _configurations(target: SshTarget) -> list[str]:
    if target.options.configuration is not None:
        return [target.options.configuration]
    return [os.path.join(target.home, ".ssh", "config"), _SYSTEM_CONFIGURATION]


def _defaults(target: SshTarget) -> list[str]:
    """What counts where no file says otherwise: ssh's own defaults that asyncssh does not have."""
    users = " ".join(f'"{os.path.join(target.home, ".ssh", name)}"' for name in _USER_FILES)
    agent = f'"{target.agent}"' if target.agent else "none"
    return [
        f"UserKnownHostsFile {users}",
        f"GlobalKnownHostsFile {' '.join(_SYSTEM_FILES)}",
        f"IdentityAgent {agent}",
        f"Ciphers {CIPHERS}",
        "ServerAliveInterval 30",
    ]


def _written(folder: str, name: str, lines: Sequence[str]) -> str:
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


def _existing(paths: Sequence[str]) -> list[str]:
    return [path for path in map(os.path.expanduser, paths) if os.path.exists(path)]


def _known_hosts_files(said: asyncssh.SSHClientConnectionOptions, home: str) -> list[str]:
    found: list[str] = []
    for keyword in ("UserKnownHostsFile", "GlobalKnownHostsFile"):
        names = said.config.get(keyword)
        if isinstance(names, list):
            found += [os.path.expanduser(str(name).replace("%d", home)) for name in names]
    return found


def _known_hosts(said: asyncssh.SSHClientConnectionOptions, home: str) -> asyncssh.SSHKnownHosts:
    known = asyncssh.SSHKnownHosts()
    for path in _known_hosts_files(said, home):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.readlines()
        except OSError:
            continue  # as ssh: what cannot be read trusts nobody
        for line in lines:
            try:
                known.load(line)
            except ValueError:
                continue  # a line of a kind that is not understood trusts nobody either
    return known


def _untrusted(said: asyncssh.SSHClientConnectionOptions, watch: _HostKeyWatch) -> Untrusted:
    assert watch.unknown is not None
    fingerprint = f"{watch.unknown.get_algorithm()} {watch.unknown.get_fingerprint()}"
    where = said.host if said.port == _DEFAULT_PORT else f"[{said.host}]:{said.port}"
    if watch.has_changed:
        return Untrusted(
            f"The key of {where} is not the one in known_hosts: this may be another host, or one set up anew "
            f"(its key now: {fingerprint}; if that is right, type: ssh-keygen -R '{where}')"
        )
    return Untrusted(
        f"{where} is not in known_hosts (its key: {fingerprint}; if that is right, "
        f"type: ssh-keyscan -p {said.port} {said.host} >> ~/.ssh/known_hosts)"
    )


def _note(said: asyncssh.SSHClientConnectionOptions, key: asyncssh.SSHKey, home: str) -> None:
    """Writes the key of a host that was met for the first time to the user's known hosts."""
    where = said.host if said.port == _DEFAULT_PORT else f"[{said.host}]:{said.port}"
    path = _known_hosts_files(said, home)[0]
    with local_files.translating(Operation.LIST, name="", path=path):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{where} {key.export_public_key().decode().strip()}\n")
