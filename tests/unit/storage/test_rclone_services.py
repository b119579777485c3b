"""What URLs and variables of duplicity mean to rclone, and what its answers mean to a store."""

from __future__ import annotations

import json

import pytest

from twofold.errors import (
    Forbidden,
    Incomplete,
    InvalidUrl,
    NoSpace,
    NotFound,
    StorageError,
    Unavailable,
    Unsupported,
    Untrusted,
)
from twofold.storage.drivers.rclone.daemon import child_environment
from twofold.storage.drivers.rclone.faults import meaning
from twofold.storage.drivers.rclone.services import Remote, remote_of
from twofold.storage.drivers.rclone.store import RcloneStore, answer_to
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.url import StorageUrl

FILES = {
    "/home/u/.megarc": "[Login]\nUsername = u@example.org\nPassword = p w\n",
    "/home/u/.megav2rc": "username=v2@example.org\npassword=p2\n",
    "/settings.yaml": "client_config_backend: settings\nsave_credentials_file: '/saved.json'\n",
    "/saved.json": json.dumps({"client_id": "i", "client_secret": "s", "refresh_token": "r", "access_token": "a"}),
    "/pickle": "\x80\x03c",
}


def remote(url: str, password: str | None = None, **variables: str) -> Remote:
    settings = StoreSettings(environment={"HOME": "/home/u", **variables}, password=password)
    return remote_of(StorageUrl.parse(url), settings, read=FILES.get)


@pytest.mark.parametrize(
    ("url", "fs"),
    [
        ("rclone://remote:/dir", "remote:dir/"),
        ("rclone://remote:dir/sub", "remote:dir/sub/"),
        ("rclone://remote://dir", "remote:/dir/"),
        ("rclone://remote:/", "remote:"),
        ("rclone://remote:", "remote:"),
        ("rclone:///a/b", "/a/b/"),
        ("rclone://remote:/a%20b", "remote:a b/"),
    ],
)
def test_rclone_urls_name_a_remote_as_duplicity_does(url: str, fs: str) -> None:
    assert remote(url).fs == fs
    assert remote(url).kind == ""


@pytest.mark.parametrize(
    ("url", "fs", "remedy"),
    [
        ("dpbx:///dir/sub", "dpbx:dir/sub/", "rclone config create dpbx dropbox"),
        ("onedrive://dir", "onedrive:dir/", "rclone config create onedrive onedrive"),
        ("box:///dir", "box:dir/", "rclone config create box box"),
        ("jottacloud://dir", "jottacloud:dir/", "rclone config create jottacloud jottacloud"),
        ("gdrive://me@host/dir?driveID=x'y", "gdrive,team_drive='x''y':dir/", "rclone config create gdrive drive"),
        ("gdrive://me@host/dir?myDriveFolderID=f", "gdrive,root_folder_id='f':dir/", "create gdrive drive"),
        ("pydrive://me@host/dir", "gdrive:dir/", "rclone config create gdrive drive"),
        ("megav3://mega.nz/dir", "mega:dir/", "rclone config create mega mega"),
    ],
)
def test_without_variables_the_users_own_remote_is_taken(url: str, fs: str, remedy: str) -> None:
    found = remote(url)
    assert (found.fs, found.kind, dict(found.parameters)) == (fs, "", {})
    assert remedy in found.login


def test_dropbox_gets_its_token_and_the_application() -> None:
    found = remote("dpbx:///dir", DPBX_ACCESS_TOKEN="t", DPBX_APP_KEY="k", DPBX_APP_SECRET="s")
    assert (found.fs, found.kind) == ("target:dir/", "dropbox")
    assert json.loads(found.parameters["token"])["access_token"] == "t"
    assert (found.parameters["client_id"], found.parameters["client_secret"]) == ("k", "s")


def test_google_drive_gets_a_service_account_and_the_drive() -> None:
    found = remote("gdrive://me@host/dir?driveID=x", GOOGLE_SERVICE_JSON_FILE="/account.json")
    assert (found.fs, found.kind) == ("target:dir/", "drive")
    assert found.parameters == {"service_account_file": "/account.json", "team_drive": "x"}


@pytest.mark.parametrize("scheme", ["pydrive", "pydrive+gdocs", "gdocs"])
def test_a_bare_key_becomes_a_service_account(scheme: str) -> None:
    found = remote(f"{scheme}://me@host.iam/dir", GOOGLE_DRIVE_ACCOUNT_KEY="-----BEGIN")
    account = json.loads(found.parameters["service_account_credentials"])
    assert (account["client_email"], account["private_key"]) == ("me@host.iam", "-----BEGIN")
    whole = remote(f"{scheme}://me@host.iam/dir", GOOGLE_DRIVE_ACCOUNT_KEY='{"type": "x"}')
    assert whole.parameters["service_account_credentials"] == '{"type": "x"}'


@pytest.mark.parametrize(
    "variables", [{"GOOGLE_DRIVE_SETTINGS": "/settings.yaml"}, {"GOOGLE_CREDENTIALS_FILE": "/saved.json"}]
)
def test_a_saved_google_login_is_used(variables: dict[str, str]) -> None:
    found = remote("pydrive://me@host/dir", **variables)
    assert json.loads(found.parameters["token"])["refresh_token"] == "r"
    assert (found.parameters["client_id"], found.parameters["client_secret"]) == ("i", "s")


def test_a_pickled_google_login_is_not_read() -> None:
    assert remote("pydrive://me@host/dir", GOOGLE_CREDENTIALS_FILE="/pickle").fs == "gdrive:dir/"


def test_settings_that_are_named_but_missing_are_an_error() -> None:
    with pytest.raises(InvalidUrl, match="GOOGLE_DRIVE_SETTINGS names /missing"):
        remote("pydrive://me@host/dir", GOOGLE_DRIVE_SETTINGS="/missing")


def test_onedrive_gets_the_refresh_token_of_a_front_end() -> None:
    found = remote("onedrive://dir", OAUTH2_CLIENT_ID="i", OAUTH2_REFRESH_TOKEN="r")
    assert (found.fs, found.kind, found.parameters["client_id"]) == ("target:dir/", "onedrive", "i")
    token = json.loads(found.parameters["token"])
    assert (token["refresh_token"], token["expiry"] < "2026") == ("r", True)


@pytest.mark.parametrize(
    ("url", "config"), [("box:///dir", "/from variable"), ("box:///dir?config=/from%20url", "/from url")]
)
def test_box_gets_its_configuration(url: str, config: str) -> None:
    found = remote(url, BOX_CONFIG_PATH="/from variable")
    assert (found.fs, found.kind, found.parameters["box_config_file"]) == ("target:dir/", "box", config)


@pytest.mark.parametrize(
    ("url", "password", "user", "expected"),
    [
        ("mega://me%40example.org:x@mega.nz/dir", "x", "me@example.org", "x"),
        ("mega://mega.nz/dir", None, "u@example.org", "p w"),
        ("mega://nobody@mega.nz/dir", "x", "u@example.org", "x"),
        ("megav2://mega.nz/dir", None, "v2@example.org", "p2"),
    ],
)
def test_mega_takes_the_url_first_and_its_file_then(url: str, password: str | None, user: str, expected: str) -> None:
    found = remote(url, password)
    assert (found.fs, found.kind) == ("target:dir/", "mega")
    assert found.parameters == {"user": user, "pass": expected}


def test_windows_shares_have_a_host_and_a_domain() -> None:
    found = remote("smb://home;me@nas:4450/share/dir", "p")
    assert (found.fs, found.kind) == ("target:share/dir/", "smb")
    assert found.parameters == {"host": "nas", "port": "4450", "user": "me", "domain": "home", "pass": "p"}


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(remote("dpbx:///dir", DPBX_ACCESS_TOKEN="hidden"))


def test_the_users_variables_win_and_secrets_of_others_stay_here() -> None:
    variables = {
        "RCLONE_TIMEOUT": "9s",
        "PASSPHRASE": "x",
        "DPBX_ACCESS_TOKEN": "x",
        "RCLONE_RC_USER": "x",
        "HOME": "/h",
    }
    options = ServiceOptions(ssl_cacert_file="/ca.pem", ssl_no_check_certificate=True)
    assert child_environment(StoreSettings(environment=variables, timeout=5, options=options)) == {
        "RCLONE_TIMEOUT": "9s",
        "RCLONE_CONTIMEOUT": "5s",
        "RCLONE_LOW_LEVEL_RETRIES": "2",
        "RCLONE_ASK_PASSWORD": "false",
        "RCLONE_CA_CERT": "/ca.pem",
        "RCLONE_NO_CHECK_CERTIFICATE": "true",
        "HOME": "/h",
    }


def test_a_store_starts_nothing_before_it_is_used() -> None:
    store = RcloneStore.from_url(StorageUrl.parse("rclone://remote:/x"), StoreSettings())
    store.close()
    store.close()


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ({"Name": "config_refresh_token", "ValueStr": "true"}, "false"),
        ({"Name": "config_type", "ValueStr": "onedrive"}, "onedrive"),
        (None, "false"),
    ],
)
def test_questions_are_answered_without_a_browser(question: dict[str, object] | None, answer: str) -> None:
    assert answer_to(question) == answer


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (404, "error in ListJSON: directory not found", NotFound),
        (404, "object not found", NotFound),
        (404, "couldn't find method operations/stat", StorageError),
        (500, "couldn't read key: open /key: no such file or directory", Unavailable),
        (500, 'didn\'t find section in config file ("x")', StorageError),
        (500, "is a file not a directory", StorageError),
        (500, "read metadata failed: 401 Unauthorized: 401 Unauthorized", Forbidden),
        (500, "ssh: unable to authenticate, attempted methods [none password]", Forbidden),
        (500, "oauth2: cannot fetch token: 400 Bad Request invalid_grant", Forbidden),
        (500, "googleapi: Error 403: Rate Limit Exceeded, rateLimitExceeded", Unavailable),
        (500, "googleapi: Error 403: Quota exceeded for quota metric, userRateLimitExceeded", Unavailable),
        (500, "googleapi: Error 403: storageQuotaExceeded", NoSpace),
        (500, "507 Insufficient Storage", NoSpace),
        (500, "write /x: no space left on device", NoSpace),
        (500, "tls: failed to verify certificate: x509: certificate signed by unknown authority", Untrusted),
        (500, "ssh: handshake failed: knownhosts: key mismatch", Untrusted),
        (500, "corrupted on transfer: sizes differ src 209715200 vs dst 205631488", Incomplete),
        (500, "can't server-side copy: not supported", Unsupported),
        (500, "dial tcp 127.0.0.1:1: connect: connection refused", Unavailable),
        (500, "429 Too Many Requests", Unavailable),
        (500, "something nobody has heard of", Unavailable),
        (400, "parameter missing", StorageError),
        (500, "upload of duplicity-full.vol403.difftar.gpg: EOF", Unavailable),
    ],
)
def test_answers_mean_one_of_our_errors(status: int, text: str, kind: type[StorageError]) -> None:
    assert meaning(status, text) is kind
