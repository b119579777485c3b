"""One FTP connection: Python's client with what it lacks.

That is: TLS from the first byte (ftps), data connections that continue the control connection's TLS session (vsftpd
and others insist on it), time limits that count silence only, listings, names of any bytes. Errors are those of ftplib
and OSError.

A data connection that ends may have been cut off. Only TLS tells, by its closing word, where the server speaks it;
everywhere else a listing counts as whole when two of them in a row show the same names.
"""

from __future__ import annotations

import ftplib
import re
import socket
import ssl
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial

from twofold.storage.drivers.ftp.listing import Listed, from_mlsd, from_nlst
from twofold.storage.part_names import is_unfinished
from twofold.storage.told_numbers import told_number

_ENCODING = "utf-8"
_ERRORS = "surrogateescape"
_PIECE = 1 << 18
_SECONDS_BEFORE_PROBING = 30
_SECONDS_FOR_A_REASON = 1
_MOST_READINGS = 4
_NOTHING_LISTED = re.compile(r"\bno (such )?(files?|director)", re.IGNORECASE)


class Security(Enum):
    """When the connection becomes a secret one; the values are duplicity's words for it."""

    NONE = "ftp"
    EXPLICIT = "ftpes"
    IMPLICIT = "ftps"


class Session(ftplib.FTP_TLS):
    """`home` is the login directory, `entered` the one that names are relative to; empty when that is unsure."""

    def __init__(self, security: Security, context: ssl.SSLContext, *, timeout: float, passive: bool) -> None:
        super().__init__(context=context, timeout=timeout, encoding=_ENCODING)
        self._security = security
        self.set_pasv(passive)
        self.home = self.entered = ""
        self._features: frozenset[str] | None = None
        self._is_whole = True  # what was read last, for certain
        self._says_the_end = False  # the server has once ended a data connection as TLS wants it

    def begin(self, address: tuple[str, int], *, user: str, password: str) -> None:
        """Connects and logs in; from here on sizes and contents are those of the stored bytes."""
        self.host, self.port = address
        raw = socket.create_connection(address, self.timeout)
        _keep_alive(raw)
        self.af = raw.family
        self.sock = raw
        if self._security is Security.IMPLICIT:
            self.sock = self.context.wrap_socket(raw, server_hostname=self.host)
        self._read_lines()
        self.welcome = self.getresp()
        if self._security is Security.EXPLICIT:
            self.auth()
            self._read_lines()
        self.login(user, password, secure=False)
        if self._security is not Security.NONE:
            self.prot_p()
        if "UTF8" in self.features:
            self._offer("OPTS UTF8 ON")
        self.voidcmd("TYPE I")
        self.home = self.pwd()

    @property
    def features(self) -> frozenset[str]:
        """What the server says it can do beyond the oldest standard, in capitals."""
        if self._features is None:
            lines = self._offer("FEAT").splitlines()[1:-1]
            self._features = frozenset(line.split()[0].upper() for line in lines if line.strip())
        return self._features

    def send_piece(self, data: socket.socket, piece: bytes) -> None:
        """As sendall, whose time limit would hold for the whole piece instead of for each moment of silence."""
        view = memoryview(piece)
        while view:
            view = view[data.send(view) :]

    def read_piece(self, data: socket.socket) -> bytes:
        """Empty at the end, which only `_is_whole` says to be the right one."""
        try:
            piece = data.recv(_PIECE)
        except ssl.SSLEOFError:
            self._is_whole = False
            return b""
        if not piece:
            self._is_whole = isinstance(data, ssl.SSLSocket)
            self._says_the_end |= self._is_whole
        return piece

    def size(self, filename: str) -> int:
        """In bytes. Raises ftplib.error_reply for an answer that tells none."""
        reply = self.sendcmd(f"SIZE {filename}")
        size = told_number(reply[3:].strip()) if reply.startswith("213") else None
        if size is None:
            raise ftplib.error_reply(f"The server tells no size but {reply[:60]}")  # noqa: S321
        return size

    def raise_reason(self) -> None:
        """Raises what the server says about a data connection that it has ended, if it says something soon."""
        self._control.settimeout(_SECONDS_FOR_A_REASON)
        try:
            self.voidresp()
        except (OSError, EOFError):
            pass  # the connection is in the middle of something, and its user will end it

    def end_data(self, data: socket.socket) -> None:
        """Ends a whole transfer: says so to the other side where TLS wants it, and waits for the verdict."""
        if isinstance(data, ssl.SSLSocket):
            try:
                data.unwrap()
            except OSError:
                pass  # many servers just close; whether all has arrived, reply and size tell
        data.close()
        self.voidresp()

    def files(self) -> list[Listed]:
        """What the current directory holds; directories among them only where the server does not tell."""
        if self._has_facts:
            return [*from_mlsd(self._facts())]
        names = self._settled(partial(self._all_lines, "NLST"), name_of=str)
        # Cut off, it tells of fewer sizes and directories; those are asked for.
        return [*from_nlst(names, self._all_lines("LIST", drop_torn=True) if names else [])]

    def names(self) -> list[str]:
        """All names in the current directory, those of directories too."""
        if self._has_facts:
            return [*map(_name_after_facts, self._facts())]
        return self._settled(partial(self._all_lines, "NLST"), name_of=str)

    def names_as_told(self) -> list[str]:
        """As `names`, but what was cut off is not noticed: for those to whom a missing name proves nothing."""
        return [*map(_name_after_facts, self._lines("MLSD"))] if self._has_facts else self._all_lines("NLST")

    @property
    def _has_facts(self) -> bool:
        return bool(self.features & {"MLST", "MLSD"})

    def _facts(self) -> list[str]:
        return self._settled(partial(self._lines, "MLSD"), name_of=_name_after_facts)

    def _settled(self, read: Callable[[], list[str]], *, name_of: Callable[[str], str]) -> list[str]:
        """A listing that is whole. Raises ConnectionError for one that was cut off or changes all the time."""
        lines = read()
        for _ in range(_MOST_READINGS - 1):
            if self._is_whole:
                return lines
            if self._says_the_end:
                break
            before, lines = lines, read()
            if _finished(map(name_of, before)) == _finished(map(name_of, lines)):
                return lines
        raise ConnectionError("the listing of the directory was cut off")

    def _all_lines(self, command: str, *, drop_torn: bool = False) -> list[str]:
        # Names with a leading dot are shown on request only; who does not know -a takes it for a file's name.
        try:
            found = self._lines(f"{command} -a", drop_torn=drop_torn)
            if found or (self._says_the_end and not self._is_whole):
                return found
        except (ftplib.error_perm, ftplib.error_temp):
            pass
        try:
            return self._lines(command, drop_torn=drop_torn)
        except (ftplib.error_perm, ftplib.error_temp) as error:
            if _NOTHING_LISTED.search(str(error)):
                return []
            raise

    def _lines(self, command: str, *, drop_torn: bool = False) -> list[str]:
        self._is_whole = True
        data = self.transfercmd(command)
        with data:
            content = bytearray()
            while piece := self.read_piece(data):
                content += piece
            self.end_data(data)
        if drop_torn and not self._is_whole:
            del content[content.rfind(b"\n") + 1 :]
        return [line.rstrip("\r") for line in content.decode(_ENCODING, _ERRORS).split("\n") if line.rstrip("\r")]

    def end(self) -> None:
        """Takes leave without waiting for the answer."""
        try:
            self._control.settimeout(1)
            self.putcmd("QUIT")
        except (OSError, EOFError):
            pass
        self.close()

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        try:
            data, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321 - the user's choice
        except (ValueError, OverflowError) as error:
            raise ftplib.error_proto("The server tells a port or size that is none") from error  # noqa: S321
        if self._security is Security.NONE:
            return data, size
        try:
            assumed = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
            return self.context.wrap_socket(
                data, server_hostname=self.host, session=assumed, suppress_ragged_eofs=False
            ), size
        except BaseException:
            data.close()
            raise

    def putline(self, line: str) -> None:
        if "\r" in line or "\n" in line:
            raise ftplib.error_perm("501 FTP cannot transport names with line ends")  # noqa: S321
        self._control.sendall(line.encode(_ENCODING, _ERRORS) + b"\r\n")

    @property
    def _control(self) -> socket.socket:
        if self.sock is None:
            raise EOFError
        return self.sock

    def _read_lines(self) -> None:
        self.file = self._control.makefile("r", encoding=_ENCODING, errors=_ERRORS)

    def _offer(self, command: str) -> str:
        """The answer to what not every server understands; empty if this one does not."""
        try:
            return self.sendcmd(command)
        except ftplib.error_perm:
            return ""


def _name_after_facts(line: str) -> str:
    return line.partition(" ")[2]


def _finished(names: Iterable[str]) -> set[str]:
    return {name for name in names if not is_unfinished(name)}


def _keep_alive(raw: socket.socket) -> None:
    """The control connection is silent during a long transfer, and routers forget silent connections."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, option):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), _SECONDS_BEFORE_PROBING)
