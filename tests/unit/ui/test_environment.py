import os

from twofold.ui import environment, version
from twofold.ui.environment import Environment

SECRETS = {"PASSPHRASE": "s3cret", "SIGN_PASSPHRASE": "s3cret", "BACKEND_PASSWORD": "s3cret", "FTP_PASSWORD": "s3cret"}


def test_an_empty_passphrase_is_not_an_unset_one():
    assert Environment(variables={"PASSPHRASE": ""}).passphrase == ""
    assert Environment().passphrase is None
    assert Environment(variables={"SIGN_PASSPHRASE": "x"}).sign_passphrase == "x"


def test_the_old_password_variable_counts_where_the_new_one_is_empty():
    both = Environment(variables={"BACKEND_PASSWORD": "new", "FTP_PASSWORD": "old"})
    old = Environment(variables={"BACKEND_PASSWORD": "", "FTP_PASSWORD": "old"})
    assert (both.backend_password, both.password_advice) == ("new", None)
    assert old.backend_password == "old"
    assert "BACKEND_PASSWORD" in (old.password_advice or "")
    assert Environment(variables={"FTP_PASSWORD": ""}).backend_password == ""
    assert Environment().backend_password is None


def test_secrets_are_not_shown():
    assert "s3cret" not in repr(Environment(variables=SECRETS, arguments=("ftp://u:s3cret@h/",)))


def test_children_get_no_secrets_but_those_they_need():
    variables = {**SECRETS, "PATH": "/bin", "GNUPGHOME": "/g", "AWS_SECRET_ACCESS_KEY": "x", "RCLONE_CONFIG_PASS": "x"}
    whole = Environment(variables=variables)
    assert whole.child_environment() == {"PATH": "/bin", "GNUPGHOME": "/g"}
    assert whole.child_environment(keep=["RCLONE_CONFIG_PASS"])["RCLONE_CONFIG_PASS"] == "x"


def test_caches_are_found_without_a_home():
    assert Environment(account_home="/home/me").cache_home == "/home/me/.cache"
    assert Environment(variables={"HOME": "/h"}, account_home="/home/me").cache_home == "/h/.cache"
    assert Environment(variables={"XDG_CACHE_HOME": "/c", "HOME": "/h"}).cache_home == "/c"
    assert Environment(variables={"HOME": "/h"}).config_home == "/h/.config"


def test_temporary_directories_are_tried_in_order():
    found = Environment(variables={"TMP": "/c", "TMPDIR": "/a", "TEMP": ""}, working_directory="/w").tempdir_candidates
    assert found == ("/a", "/c", "/tmp", "/var/tmp", "/usr/tmp", "/w")


def test_paths_are_expanded_like_in_a_shell():
    expand = Environment(variables={"HOME": "/h", "A": "x"}).expand_path
    assert expand("~/a") == "/h/a"
    assert expand("~") == "/h"
    assert expand("/$A/${A}y/$B/${B}") == "/x/xy/$B/${B}"
    assert expand("~no-such-user-here/a") == "~no-such-user-here/a"
    assert expand("a~") == "a~"


def test_the_process_is_read_once(monkeypatch):
    monkeypatch.setattr(environment.sys, "argv", ["/usr/bin/duplicity", "full"])
    monkeypatch.setenv("PASSPHRASE", "one")
    found = Environment.of_process()
    monkeypatch.setenv("PASSPHRASE", "two")
    assert (found.program, found.arguments, found.passphrase) == ("duplicity", ("full",), "one")
    assert found.hostname == os.uname().nodename
    assert found.working_directory == os.getcwd()


def test_cron_without_home_falls_back_to_the_account(monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert Environment.of_process().cache_home.startswith("/")


def test_the_version_line_suits_whoever_called():
    assert version.version_line(version.program_name("/usr/bin/duplicity")) == "duplicity 3.2.1"
    assert version.version_line(version.program_name("twofold")).split() == ["twofold", version.VERSION]
    assert version.program_name("__main__.py") == "twofold"
    assert version.asks_only_for_version(["--version"])
    assert not version.asks_only_for_version(["--version", "x"])
