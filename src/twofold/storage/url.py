"""Target URLs: taken apart as duplicity does it (docs/cli.md section 5.1), and shown without their password.

`StorageUrl` never shows the password by itself: not in its repr and not in the errors raised here.
"""

from __future__ import annotations

from typing import NamedTuple, Self

from twofold.errors import InvalidUrl
from twofold.model.value import value
from twofold.storage.registry import PREFIXES, Form, find_scheme

_SCHEME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_+"
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_HIDDEN = "*****"
_HIGHEST_PORT = 65535


def is_url(word: str) -> bool:
    """Whether a word of the command line is a URL; everything else is a path."""
    scheme, separator, _ = word.partition("://")
    if not separator or not scheme or not scheme.isascii() or "\n" in word:
        return False
    return not set(scheme.lower()).difference(_SCHEME_CHARACTERS)


def redact(text: str) -> str:
    """A URL, however malformed, with its password replaced by five stars."""
    scheme, separator, rest = text.partition("://")
    authority = rest.partition("/")[0]
    first, colon, port = authority.partition(":")
    if not separator or not colon:
        return text
    if "@" in authority:
        after = authority.rpartition("@")[2] + rest[len(authority) :]
    elif "@" in rest and not port.isdigit():
        # Somebody wrote a password with a raw slash, question mark or number sign: hide up to the last @.
        after = rest.rpartition("@")[2]
    else:
        return text
    return text if "@" in first else f"{scheme}://{first}:{_HIDDEN}@{after}"


@value
class StorageUrl:
    """A target URL taken apart.

    `scheme` is in lower case and without `prefixes` (par2, gio: outermost first). `user`, `password` and `path` are
    percent-decoded, `host` is in lower case. A service with a host gets as `path` what follows the host, with its
    slashes; the others get two slashes and all that follows them but the login; in those the first component is not
    decoded, as duplicity does not. `parameters` are the pairs after the question mark. `text` is the URL as typed,
    from which the cache folder's name is made: it holds the password, show `redacted()` instead.
    """

    scheme: str
    path: str
    text: str
    user: str | None = None
    password: str | None = None
    host: str = ""
    port: int | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    prefixes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidUrl and UnsupportedScheme."""
        if not is_url(text):
            raise InvalidUrl(f"Not a URL: {redact(text)}; write a local directory as file://directory")
        typed, _, rest = text.partition("://")
        rest, _, query = rest.partition("#")[0].partition("?")
        prefixes, name = _split_prefixes(typed.lower())
        if "gio" in prefixes:
            place = _place(rest, text=text, scheme=typed, login=False, ports=False)
        else:
            scheme = find_scheme(name, url=redact(text))
            if scheme.form is Form.HOST:
                place = _host(rest, text=text, doubled_colon=name == "rsync")
            else:
                place = _place(rest, text=text, scheme=typed, login=scheme.login, ports=name != "rclone")
        if "\0" in place.path:
            raise InvalidUrl(f"A path cannot contain %00: {redact(text)}")
        return cls(
            scheme=name,
            path=place.path,
            text=text,
            user=place.user,
            password=place.password,
            host=place.host,
            port=place.port,
            parameters=_parameters(query),
            prefixes=prefixes,
        )

    @property
    def query(self) -> dict[str, str]:
        """The parameters by name; of a repeated one the last."""
        return dict(self.parameters)

    def redacted(self) -> str:
        """The URL as typed, its password replaced by five stars."""
        return redact(self.text)

    def __repr__(self) -> str:
        return f"StorageUrl({self.redacted()!r})"


class _Place(NamedTuple):
    """What stands between the two slashes and the question mark."""

    path: str
    user: str | None = None
    password: str | None = None
    host: str = ""
    port: int | None = None


def _split_prefixes(scheme: str) -> tuple[tuple[str, ...], str]:
    prefixes: list[str] = []
    while "gio" not in prefixes:
        word, plus, rest = scheme.partition("+")
        if not plus or word not in PREFIXES:
            break
        prefixes.append(word)
        scheme = rest
    return tuple(prefixes), scheme


def _host(rest: str, *, text: str, doubled_colon: bool) -> _Place:
    authority, slash, path = rest.partition("/")
    user, password, address = _login(authority)
    path = slash + path
    number, bracket, rest = address.rpartition("]")
    if doubled_colon and "::" in rest:
        # rsync's daemon: host[:port]::[/]module/dir (docs/cli.md section 5.2)
        rest, _, module = rest.partition("::")
        address = number + bracket + rest
        path = "::" + module + path
    host, port = _address(address, text=text)
    if not host:
        raise InvalidUrl(
            f"Missing hostname in a backend URL which requires an explicit hostname: {redact(text)} "
            "(write scheme://user@host/directory)"
        )
    return _Place(_decoded(path), user, password, host.lower(), port)


def _place(rest: str, *, text: str, scheme: str, login: bool, ports: bool) -> _Place:
    if not rest:
        raise InvalidUrl(
            f"missing // - relative paths not supported for scheme {scheme.lower()}: {redact(text)} "
            f"(write {scheme.lower()}:///path)"
        )
    authority, slash, path = rest.partition("/")
    user, password, address = _login(authority)
    if ports:
        _address(address, text=text)
    if not login:
        user, password, address = None, None, authority
    return _Place("//" + address + _decoded(slash + path), user, password)


def _login(authority: str) -> tuple[str | None, str | None, str]:
    userinfo, at, address = authority.rpartition("@")
    user, colon, password = userinfo.partition(":")
    return _decoded(user) if at else None, _decoded(password) if colon else None, address


def _address(address: str, *, text: str) -> tuple[str, int | None]:
    if address.startswith("["):
        host, _, port = address[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = address.partition(":")
    if not port:
        return host, None
    if not (port.isascii() and port.isdigit()) or len(port) > len(str(_HIGHEST_PORT)) or int(port) > _HIGHEST_PORT:
        remedy = "in user and password, @ : / ? # % must be written as %40 and so on"
        raise InvalidUrl(f"Syntax error (port) in: {redact(text)} ({remedy})")
    return host, int(port)


def _parameters(query: str) -> tuple[tuple[str, str], ...]:
    pairs = (word.partition("=") for word in query.split("&") if word)
    return tuple((_decoded(name.replace("+", " ")), _decoded(value.replace("+", " "))) for name, _, value in pairs)


def _decoded(word: str) -> str:
    """Percent-decoding; bytes that are no UTF-8 become surrogates. By hand: urllib.parse takes long to import."""
    if "%" not in word:
        return word
    first, *pieces = word.encode("utf-8", "surrogateescape").split(b"%")
    out = bytearray(first)
    for piece in pieces:
        if len(piece) > 1 and _HEX_DIGITS.issuperset(piece[:2]):
            out.append(int(piece[:2], 16))
            out += piece[2:]
        else:
            out += b"%" + piece
    return out.decode("utf-8", "surrogateescape")
