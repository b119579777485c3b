"""What the path of a URL means to the kinds of service: pure readings that several drivers share.

Each is a row or more of the table in docs/cli.md section 5.1.
"""

from __future__ import annotations

from typing import NamedTuple

from twofold.errors import InvalidUrl
from twofold.storage.url import StorageUrl


def local_directory(url: StorageUrl) -> str:
    """`file://dir` is relative to the current directory, with three slashes it is absolute; with four as well.

    duplicity takes `file:////dir` for a relative path: a defect that surprises everybody (docs/cli.md section 11).
    """
    path = url.path[2:]
    return "/" + path.lstrip("/") if path.startswith("/") else path


def server_directory(url: StorageUrl) -> str:
    """A directory on a host: relative to the login directory (empty: that itself), absolute after a second slash."""
    path = url.path[1:]
    return "/" + path.lstrip("/") if path.startswith("/") else path


class Container(NamedTuple):
    """A bucket, container or account and the folder in it, which has no slash at its ends."""

    name: str
    folder: str

    @property
    def prefix(self) -> str:
        """What object names begin with."""
        return self.folder + "/" if self.folder else ""


def container(url: StorageUrl) -> Container:
    """Raises InvalidUrl when there is no name."""
    name, *folders = [word for word in url.path.split("/") if word] or [""]
    if not name:
        raise InvalidUrl(f"No bucket or container in {url.redacted()}; write {url.scheme}:///name/folder")
    return Container(name, "/".join(folders))


class RsyncPlace(NamedTuple):
    """A directory for rsync: below a daemon's module, or reached by ssh when `module` is empty."""

    module: str
    directory: str


def rsync_place(url: StorageUrl) -> RsyncPlace:
    """Raises InvalidUrl when a daemon's URL names no module."""
    if not url.path.startswith("::"):
        return RsyncPlace("", server_directory(url))
    module, _, directory = url.path[2:].lstrip("/").partition("/")
    if not module:
        raise InvalidUrl(f"No module in {url.redacted()}; write rsync://host::module/directory")
    return RsyncPlace(module, directory)


def rclone_remote(url: StorageUrl) -> str:
    """`//remote:/dir` is rclone's `remote:dir`, `//remote://dir` its `remote:/dir`."""
    return url.path[2:].replace(":/", ":", 1)
