"""Words and variables for gpg."""

from __future__ import annotations

import pytest

from twofold.envelope import gpg_command
from twofold.envelope.gpg_command import GpgSettings


def settings(**changes: object) -> GpgSettings:
    return GpgSettings(environment={}, temp_dir="/", **changes)  # type: ignore[arg-type]


def test_symmetric_files_use_the_faster_digest_for_the_passphrase() -> None:
    words = gpg_command.encrypt_command(settings(), passphrase_fd=7)
    assert words[-1] == "--symmetric"
    assert words[words.index("--s2k-digest-algo") + 1] == "SHA256"
    assert words[words.index("--s2k-count") + 1] == "65011712"  # the most that OpenPGP can say
    assert words[words.index("--passphrase-fd") + 1] == "7"
    assert words[words.index("--pinentry-mode") + 1] == "loopback"


def test_recipients_replace_the_passphrase() -> None:
    words = gpg_command.encrypt_command(settings(recipients=("A", "B"), hidden_recipients=("C",)), passphrase_fd=None)
    assert words[-7:] == ["--recipient", "A", "--recipient", "B", "--hidden-recipient", "C", "--encrypt"]
    assert "--s2k-digest-algo" not in words
    assert "--passphrase-fd" not in words


def test_the_users_words_come_after_ours_but_cannot_change_the_shape_of_the_message() -> None:
    mine = ("--s2k-digest-algo", "SHA512", "--armor", "--compress-algo=bzip2")
    words = gpg_command.encrypt_command(settings(options=mine), passphrase_fd=None)
    start = words.index("SHA512") - 1
    assert tuple(words[start : start + len(mine)]) == mine
    assert words.index("SHA256") < start < words.index("--no-armor") < words.index("--no-literal")
    assert words[words.index("--compress-level") + 1] == "0"


def test_with_an_agent_nothing_is_read_from_us() -> None:
    words = gpg_command.encrypt_command(settings(use_agent=True), passphrase_fd=None)
    assert "--pinentry-mode" not in words
    assert "--passphrase-fd" not in words


def test_changes_are_never_ignored_unasked() -> None:
    words = gpg_command.decrypt_command(settings(), passphrase_fd=3, status_fd=4, keep_packets=True)
    assert "--ignore-mdc-error" not in words
    assert words[-2:] == ["--unwrap", "--decrypt"]
    assert settings().needs_integrity


@pytest.mark.parametrize("changes", [{"ignore_mdc_error": True}, {"options": ("--ignore-mdc-error",)}])
def test_integrity_can_be_given_up_by_setting_or_by_option(changes: dict[str, object]) -> None:
    words = gpg_command.decrypt_command(settings(**changes), passphrase_fd=3, status_fd=4, keep_packets=False)
    assert "--ignore-mdc-error" in words
    assert "--unwrap" not in words
    assert not settings(**changes).needs_integrity


def test_signatures_are_binary_and_by_the_named_key() -> None:
    words = gpg_command.sign_command(settings(), "KEY", passphrase_fd=5)
    assert words[-3:] == ["--local-user", "KEY", "--detach-sign"]
    assert {"--no-armor", "--no-textmode"} < set(words)


def test_secrets_stay_out_of_the_childs_environment() -> None:
    harmless = {"HOME": "/h", "GNUPGHOME": "/g", "PATH": "/bin", "LANG": "de_DE.UTF-8", "GPG_TTY": "/dev/pts/1"}
    secrets = ("PASSPHRASE", "SIGN_PASSPHRASE", "FTP_PASSWORD", "BACKEND_PASSWORD", "AWS_SECRET_ACCESS_KEY")
    more = ("AZURE_ACCOUNT_KEY", "SWIFT_PASSWORD", "B2_TOKEN", "Aws_Access_Key_Id")
    given = {**harmless, **dict.fromkeys((*secrets, *more), "hush")}
    assert gpg_command.child_environment(given) == harmless


def test_fingerprints_of_keys_and_subkeys_are_collected() -> None:
    colons = (
        "tru::1:\npub:u:255:22:AAAA:::\nfpr:::::::::AAAAaaaa:\nuid:u::::::::x:\nsub:u:255:18:B:::\nfpr:::::::::BBBB:\n"
    )
    assert gpg_command.fingerprints(colons) == {"AAAAAAAA", "BBBB"}
    assert gpg_command.fingerprints("") == frozenset()
