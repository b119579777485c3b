"""What a URL and the variables of duplicity mean to rclone: pure, files are read through the function handed in.

Where no credentials are found that rclone could use, the user's own remote named as the service is taken: whoever
once logs in with `rclone config` needs no variables at all (docs/cli.md section 3.2 has those of duplicity).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from twofold.errors import InvalidUrl
from twofold.model.value import field, value
from twofold.storage.places import rclone_remote
from twofold.storage.settings import StoreSettings
from twofold.storage.url import StorageUrl

Read = Callable[[str], str | None]
"""The text of a file, None where there is none."""

OWN: Final = "target"
"""What a remote is called that lives only as long as its rclone."""
_NO_END: Final = "2999-01-01T00:00:00Z"
_PAST: Final = "2000-01-01T00:00:00Z"
_GOOGLE_TOKENS: Final = "https://oauth2.googleapis.com/token"


@value
class Remote:
    """A folder as rclone names it. With `kind`, a remote of ours has to be made first, of `parameters`.

    Passwords in them are plain: rclone obscures those it has to. `login` is what helps when there is no such remote.
    """

    fs: str
    kind: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    login: str = ""


def remote_of(url: StorageUrl, settings: StoreSettings, *, read: Read) -> Remote:
    """Raises InvalidUrl when a file that a variable names cannot be used."""
    if url.scheme == "rclone":
        return _as_written(url)
    return _SERVICES[url.scheme](url, settings, read)


def _as_written(url: StorageUrl) -> Remote:
    return Remote(
        _folder(rclone_remote(url)), login="rclone listremotes shows those there are, rclone config makes another"
    )


def _folder(fs: str) -> str:
    """With a slash at the end rclone does not ask first whether it is a file."""
    return fs if fs.endswith((":", "/")) else fs + "/"


def _ours(kind: str, url: StorageUrl, **parameters: str) -> Remote:
    return Remote(_folder(f"{OWN}:{_path(url)}"), kind, {name: text for name, text in parameters.items() if text})


def _users(kind: str, name: str, url: StorageUrl, **overrides: str) -> Remote:
    """The user's own remote `name`; `overrides` as in rclone's connection strings."""
    words = [f"{option}='" + text.replace("'", "''") + "'" for option, text in overrides.items() if text]
    return Remote(
        _folder(f"{','.join([name, *words])}:{_path(url)}"),
        login=f"log in once with: rclone config create {name} {kind}",
    )


def _path(url: StorageUrl) -> str:
    return url.path.strip("/")


def _token(access: str, *, refresh: str = "", expiry: str = _NO_END) -> str:
    token = {"access_token": access, "token_type": "Bearer", "expiry": expiry}
    return json.dumps(token | ({"refresh_token": refresh} if refresh else {}))


def _dropbox(url: StorageUrl, settings: StoreSettings, _read: Read) -> Remote:
    variables = settings.environment
    if not (access := variables.get("DPBX_ACCESS_TOKEN")):
        return _users("dropbox", "dpbx", url)
    key, secret = variables.get("DPBX_APP_KEY", ""), variables.get("DPBX_APP_SECRET", "")
    return _ours("dropbox", url, token=_token(access), client_id=key, client_secret=secret)


def _google(url: StorageUrl, settings: StoreSettings, _read: Read) -> Remote:
    root = {"team_drive": url.query.get("driveID", ""), "root_folder_id": url.query.get("myDriveFolderID", "")}
    if account := settings.environment.get("GOOGLE_SERVICE_JSON_FILE"):
        return _ours("drive", url, service_account_file=account, **root)
    return _users("drive", "gdrive", url, **root)


def _pydrive(url: StorageUrl, settings: StoreSettings, read: Read) -> Remote:
    variables = settings.environment
    if key := variables.get("GOOGLE_DRIVE_ACCOUNT_KEY"):
        return _ours("drive", url, service_account_credentials=_service_account(url, key))
    saved = variables.get("GOOGLE_CREDENTIALS_FILE", "")
    if written := variables.get("GOOGLE_DRIVE_SETTINGS"):
        saved = _setting(_needed(written, "GOOGLE_DRIVE_SETTINGS", read), "save_credentials_file") or saved
    found = _json(read(saved)) if saved else {}
    if not found.get("refresh_token"):
        return _users("drive", "gdrive", url)
    token = _token(found.get("access_token", ""), refresh=found["refresh_token"], expiry=_PAST)
    return _ours(
        "drive",
        url,
        token=token,
        client_id=found.get("client_id", ""),
        client_secret=found.get("client_secret", ""),
        root_folder_id=url.query.get("myDriveFolderID", ""),
    )


def _service_account(url: StorageUrl, key: str) -> str:
    if key.lstrip().startswith("{"):
        return key
    account = {"type": "service_account", "client_email": f"{url.user}@{url.host}", "private_key": key}
    return json.dumps(account | {"token_uri": _GOOGLE_TOKENS})


def _onedrive(url: StorageUrl, settings: StoreSettings, _read: Read) -> Remote:
    variables = settings.environment
    identity, refresh = variables.get("OAUTH2_CLIENT_ID"), variables.get("OAUTH2_REFRESH_TOKEN")
    if not identity or not refresh:
        # NB: the token file of DUPLICITY_ONEDRIVE_TOKEN would have to be written anew in its owner's name.
        return _users("onedrive", "onedrive", url)
    return _ours("onedrive", url, token=_token("", refresh=refresh, expiry=_PAST), client_id=identity)


def _box(url: StorageUrl, settings: StoreSettings, _read: Read) -> Remote:
    if config := url.query.get("config") or settings.environment.get("BOX_CONFIG_PATH"):
        return _ours("box", url, box_config_file=config, box_sub_type="enterprise")
    return _users("box", "box", url)


def _jottacloud(url: StorageUrl, _settings: StoreSettings, _read: Read) -> Remote:
    return _users("jottacloud", "jottacloud", url)


def _mega(url: StorageUrl, settings: StoreSettings, read: Read) -> Remote:
    home = settings.environment.get("HOME", "")
    text = read(f"{home}/.{url.scheme}rc") or ""
    # MEGA's accounts are mail addresses: a user without an at sign is none.
    user = url.user if url.user and "@" in url.user else _setting(text, "username")
    password = settings.password or _setting(text, "password")
    if not user or not password:
        return _users("mega", "mega", url)
    return _ours("mega", url, user=user, **{"pass": password})


def _smb(url: StorageUrl, settings: StoreSettings, _read: Read) -> Remote:
    domain, _, user = (url.user or "").rpartition(";")
    return _ours(
        "smb",
        url,
        host=url.host,
        port=str(url.port or ""),
        user=user,
        domain=domain,
        **{"pass": settings.password or ""},
    )


def _needed(path: str, variable: str, read: Read) -> str:
    text = read(path)
    if text is None:
        raise InvalidUrl(f"{variable} names {path}, which cannot be read; mend the variable or the file")
    return text


def _setting(text: str, name: str) -> str:
    """The value of a line `name: value` or `name = value`, of the first one without regard to case."""
    for line in text.splitlines():
        word = line.strip()
        for separator in "=:":
            left, found, right = word.partition(separator)
            if found and left.strip().lower() == name:
                return right.strip().strip("\"'")
    return ""


def _json(text: str | None) -> dict[str, str]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_SERVICES: Final[Mapping[str, Callable[[StorageUrl, StoreSettings, Read], Remote]]] = {
    "dpbx": _dropbox,
    "gdrive": _google,
    "pydrive": _pydrive,
    "pydrive+gdocs": _pydrive,
    "gdocs": _pydrive,
    "onedrive": _onedrive,
    "box": _box,
    "jottacloud": _jottacloud,
    "mega": _mega,
    "megav2": _mega,
    "megav3": _mega,
    "smb": _smb,
}
