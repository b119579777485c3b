"""Which scheme means which service: plain data, and the way from a URL to its driver, imported at first use.

The schemes are those of docs/cli.md section 5.2. A row without `driver` is known to the URL grammar but not built into
this version. Others can be added by packages with an entry point in the group `twofold.storage`, named as the scheme,
that refers to a `Scheme`.
"""

from __future__ import annotations

import importlib
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from twofold.errors import GoneService, MissingLibrary, UnsupportedScheme

if TYPE_CHECKING:
    from twofold.storage.settings import StoreSettings
    from twofold.storage.store import Store
    from twofold.storage.url import StorageUrl

ENTRY_POINT_GROUP = "twofold.storage"


class Form(Enum):
    """What follows the two slashes: [user[:password]@]host[:port][/path] or a name of the service's own."""

    HOST = "host"
    PLACE = "place"


class Scheme(NamedTuple):
    """One service as the registry knows it.

    `login` tells whether a PLACE may begin with user[:password]@. `driver` is "module:class", whose `from_url` makes
    the store. `extra` is what brings the libraries it imports, `gone` says that the service has ended, or that there
    is no way to it, and what to do.
    """

    name: str
    form: Form
    login: bool = False
    driver: str = ""
    extra: str = ""
    gone: str = ""


PREFIXES = {
    row.name: row
    for row in (
        Scheme("par2", Form.PLACE, driver="twofold.storage.wrappers.par2:Par2Store"),
        Scheme("gio", Form.PLACE, driver="twofold.storage.drivers.gio.store:GioStore"),
    )
}
"""Words that stand with a plus before another scheme: a wrapper around that store, or another way to it.

The driver of the first one gets the whole URL.
"""


class Driver(Protocol):
    """What `Scheme.driver` names: a class that makes stores from URLs."""

    def from_url(self, url: StorageUrl, settings: StoreSettings) -> Store:
        """A store that has not connected yet. Raises InvalidUrl when the URL lacks what the service needs."""


_PACKAGES = {"azure": "azure-storage-blob", "google": "google-cloud-storage", "swiftclient": "python-swiftclient"}
"""What libraries are called where they are had from, if that is not what they are called in Python."""

_MADE_OF_OTHERS = frozenset({"par2", "multi"})

_DRIVEN = (
    ("file", Form.PLACE, "local:LocalStore", ""),
    ("sftp scp paramiko+sftp paramiko+scp lftp+sftp", Form.HOST, "ssh.sftp:SftpStore", "ssh"),
    ("pexpect+sftp pexpect+scp", Form.HOST, "ssh.openssh:OpenSshStore", ""),
    ("fish lftp+fish", Form.HOST, "ssh.fish:FishStore", "ssh"),
    ("ftp ftps ftpes lftp+ftp lftp+ftps lftp+ftpes ncftp+ftp", Form.HOST, "ftp.store:FtpStore", ""),
    (
        "webdav webdavs http https lftp+webdav lftp+webdavs lftp+http lftp+https",
        Form.HOST,
        "webdav.store:WebdavStore",
        "web",
    ),
    ("rsync", Form.HOST, "rsync.store:RsyncStore", ""),
    ("xorriso", Form.PLACE, "xorriso:XorrisoStore", ""),
    # s3+http stands in settings of old backupninja versions (docs/cli.md section 5.2).
    ("s3 boto3+s3 s3+http", Form.PLACE, "s3.store:S3Store", "s3"),
    ("azure", Form.PLACE, "azure.store:AzureStore", "azure"),
    ("gs", Form.PLACE, "gcs.store:GcsStore", "gcs"),
    ("imap imaps", Form.HOST, "imap.store:ImapStore", ""),
    ("exec", Form.PLACE, "exec.store:ExecStore", ""),
    ("tahoe", Form.PLACE, "tahoe:TahoeStore", "web"),
    ("multi", Form.PLACE, "multi.store:MultiStore", ""),
    ("swift cf+http", Form.PLACE, "swift.store:SwiftStore", "swift"),
    ("pca", Form.PLACE, "swift.cold:PcaStore", "swift"),
    ("rclone dpbx onedrive box jottacloud", Form.PLACE, "rclone.store:RcloneStore", "rclone"),
    ("gdrive pydrive pydrive+gdocs gdocs mega megav2 megav3 smb", Form.HOST, "rclone.store:RcloneStore", "rclone"),
)
"""Schemes, what follows their slashes, their driver below `storage.drivers`, the extra that brings its libraries."""


_GONE = (
    Scheme(
        "ad",
        Form.PLACE,
        gone="Amazon closed Amazon Drive on 2023-12-31 and nothing can be fetched from it; use another target",
    ),
    Scheme("cf+hubic", Form.PLACE, gone="hubiC has been shut down; use another target"),
    Scheme("fortestsonly", Form.PLACE, gone="it makes tests of duplicity itself fail on purpose; use file://"),
    Scheme(
        "gdata+gdocs",
        Form.HOST,
        gone="Google switched off this interface; the files are in Google Drive, use gdrive://",
    ),
    Scheme(
        "hsi",
        Form.HOST,
        gone="the HPSS client exists only at its sites; use exec:// to run hsi there",
    ),
    Scheme(
        "idrived",
        Form.PLACE,
        gone="it needs a program of IDrive's that is not ours to test; use exec:// to run it, s3:// for IDrive e2",
    ),
    Scheme(
        "mf",
        Form.PLACE,
        login=True,
        gone="there is no library for MediaFire any more; use another target, or exec:// with commands of yours",
    ),
    Scheme("slate", Form.PLACE, gone="there is no way to this service any more; use another target, such as s3://"),
    Scheme(
        "sx",
        Form.PLACE,
        login=True,
        gone="its makers have abandoned Skylable SX; use exec:// to run sxcp and sxls if a cluster is left",
    ),
    Scheme("u1", Form.PLACE, gone="Canonical closed Ubuntu One on 2014-06-01; use another target"),
)
"""Those to which no way leads any more, or none that we could build."""


def _table() -> dict[str, Scheme]:
    hosts = ""
    places = "xorriso"
    rows = [Scheme(name, Form.HOST) for name in hosts.split()]
    rows += [Scheme(name, Form.PLACE) for name in places.split()]
    rows.append(Scheme("b2", Form.PLACE, login=True, driver="twofold.storage.drivers.b2.store:B2Store", extra="b2"))
    rows += [
        Scheme(name, form, driver=f"twofold.storage.drivers.{driver}", extra=extra)
        for names, form, driver, extra in _DRIVEN
        for name in names.split()
    ]
    rows += _GONE
    return {row.name: row for row in rows}


SCHEMES = _table()

OTHER_WORDS = {"ssh": "sftp", "dav": "webdav", "davs": "webdavs", "local": "file", "dropbox": "dpbx"}
"""What people write for a scheme that spells differently."""


def find_scheme(name: str, *, url: str) -> Scheme:
    """The row of a scheme in lower case. `url`, without its password, is for the message of UnsupportedScheme."""
    scheme = SCHEMES.get(name)
    return scheme if scheme is not None else _third_party(name, url=url)


def open_store(url: StorageUrl, *, settings: StoreSettings) -> Store:
    """The store a URL names, not connected yet.

    Raises UnsupportedScheme when this version has no driver for it, GoneService when nobody can have one,
    MissingLibrary when the driver's libraries are not installed, InvalidUrl when the driver misses something.
    """
    # Déjà Dup names folders of this machine by gio+file, and GIO has no other way to them than ours.
    prefixes = () if (*url.prefixes, url.scheme) == ("gio", "file") else url.prefixes
    scheme = PREFIXES[prefixes[0]] if prefixes else find_scheme(url.scheme, url=url.redacted())
    if scheme.gone:
        raise GoneService(f"{scheme.name}:// cannot be used: {scheme.gone}")
    if not scheme.driver:
        lacking = scheme.name + ("+" if prefixes else "")
        raise UnsupportedScheme(
            f"scheme not supported in url: {url.redacted()} ({lacking} is not available in this version of twofold)"
        )
    store = _driver(scheme).from_url(url, settings)
    return store if scheme.name in _MADE_OF_OTHERS else settings.limited(store)


def _driver(scheme: Scheme) -> Driver:
    module, _, name = scheme.driver.partition(":")
    try:
        driver: Driver = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise MissingLibrary(_missing(scheme, error)) from error
    return driver


def _missing(scheme: Scheme, error: ImportError) -> str:
    """What to install; a library that is there and does not load is too old or broken."""
    if not scheme.extra:
        return f"{scheme.name}:// cannot be used: {error}; reinstall the package it belongs to"
    install = f"pip install 'twofold[{scheme.extra}]'"
    if isinstance(error, ModuleNotFoundError) and error.name:
        library = error.name.partition(".")[0]
        return f"{scheme.name}:// needs {_PACKAGES.get(library, library)}: {install}"
    return f"{scheme.name}:// cannot be used: {error}; {install.replace('install', 'install --upgrade')}"


def _third_party(name: str, *, url: str) -> Scheme:
    # 15 ms and a walk over all installed packages: only for a scheme that nobody here knows.
    from importlib.metadata import entry_points

    for entry in entry_points(group=ENTRY_POINT_GROUP, name=name):
        try:
            scheme: object = entry.load()
        except (ImportError, AttributeError) as error:
            raise MissingLibrary(f"{name}:// cannot be used: {entry.value} does not load: {error}") from error
        if not isinstance(scheme, Scheme):
            raise MissingLibrary(f"{name}:// cannot be used: {entry.value} is no twofold.storage.registry.Scheme")
        return scheme
    raise UnsupportedScheme(f"scheme not supported in url: {url}{_suggestion(name)}")


def _suggestion(name: str) -> str:
    from difflib import get_close_matches

    known = OTHER_WORDS.get(name)
    matches = [known] if known else get_close_matches(name, SCHEMES, n=3, cutoff=0.6)
    return f" (did you mean {' or '.join(matches)}?)" if matches else " (--help-urls lists those that are)"
