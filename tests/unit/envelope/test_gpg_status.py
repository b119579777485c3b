"""What follows from gpg's status lines."""

from __future__ import annotations

import pytest

from twofold.envelope import gpg_status
from twofold.errors import EnvelopeError, WrongSigner

GOOD = "[GNUPG:] DECRYPTION_INFO 2 9 0\n[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] GOODMDC\n"


def decrypted(text: str, *, needs_integrity: bool = True) -> bool:
    return gpg_status.was_decrypted(gpg_status.parse_status(text), needs_integrity=needs_integrity)


def test_only_status_lines_count() -> None:
    lines = gpg_status.parse_status("noise\n[GNUPG:] GOODMDC\n x [GNUPG:] BADMDC\n[GNUPG:] \n[GNUPG:] ERROR a b\n")
    assert lines == [("GOODMDC", []), ("ERROR", ["a", "b"])]


def test_a_message_is_decrypted_when_gpg_says_so_twice() -> None:
    assert decrypted(GOOD)
    assert not decrypted("[GNUPG:] GOODMDC\n")
    assert not decrypted("")


def test_without_integrity_a_message_is_accepted_on_demand_only() -> None:
    unprotected = "[GNUPG:] DECRYPTION_INFO 0 2 0\n[GNUPG:] DECRYPTION_OKAY\n"
    assert not decrypted(unprotected)
    assert decrypted(unprotected, needs_integrity=False)


@pytest.mark.parametrize("information", ["DECRYPTION_INFO 2 9 0", "DECRYPTION_INFO 0 9 2", "X"])
def test_a_proof_that_does_not_hold_is_never_accepted(information: str) -> None:
    assert not decrypted(f"[GNUPG:] {information}\n[GNUPG:] DECRYPTION_OKAY\n", needs_integrity=False)


@pytest.mark.parametrize("bad", ["BADMDC", "DECRYPTION_FAILED"])
def test_a_message_that_was_changed_is_refused_in_any_case(bad: str) -> None:
    assert not decrypted(f"{GOOD}[GNUPG:] {bad}\n", needs_integrity=False)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("BADMDC", "damaged"),
        ("ERROR symkey_decrypt.maybe_error 11_BAD_PASSPHRASE", "passphrase is wrong"),
        ("BAD_PASSPHRASE 0123", "passphrase is wrong"),
        ("ENC_TO 0123 18 0\n[GNUPG:] ERROR pkdecrypt_failed 67108875", "passphrase of the secret key is wrong"),
        ("DECRYPTION_INFO 0 2 0", "--gpg-options=--ignore-mdc-error"),
        ("DECRYPTION_INFO 0 2", "--gpg-options=--ignore-mdc-error"),
        ("MISSING_PASSPHRASE", "set PASSPHRASE"),
        ("NO_SECKEY 08AF87544E1AE015", "secret key"),
        ("NODATA 2", "not an encrypted file"),
        ("BEGIN_DECRYPTION", "cannot be read"),
        ("BEGIN_DECRYPTION\n[GNUPG:] DECRYPTION_INFO 0 9 2", "cannot be read"),
    ],
)
def test_errors_say_what_to_do(text: str, part: str) -> None:
    error = gpg_status.decryption_error(gpg_status.parse_status(f"[GNUPG:] {text}\n"), name="a.gpg", log="its log")
    assert isinstance(error, EnvelopeError)
    assert str(error).startswith("Cannot decrypt a.gpg: ")
    assert part in str(error)
    assert error.log == "its log"


SUBKEY = "B" * 40
PRIMARY = "A" * 40
VALID = f"[GNUPG:] VALIDSIG {SUBKEY} 2026-11-22 1795328621 0 4 0 22 8 00 {PRIMARY}\n"


def check(text: str, *accepted: str) -> None:
    status = gpg_status.parse_status(text)
    gpg_status.check_signer(status, frozenset(accepted), name="a.gpg", demanded="KEY", log="")


@pytest.mark.parametrize("keyword", ["GOODSIG", "EXPKEYSIG", "EXPSIG"])
@pytest.mark.parametrize("accepted", [SUBKEY, PRIMARY])
def test_good_signatures_by_the_key_or_its_subkey_are_accepted(keyword: str, accepted: str) -> None:
    check(f"[GNUPG:] NEWSIG\n[GNUPG:] {keyword} 1 x\n{VALID}", accepted)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "no good signature"),
        ("[GNUPG:] NEWSIG\n[GNUPG:] BADSIG 1 x\n", "no good signature"),
        ("[GNUPG:] NEWSIG\n[GNUPG:] ERRSIG 1 22 8 00 1 9\n[GNUPG:] NO_PUBKEY 1\n", "no good signature"),
        (f"[GNUPG:] NEWSIG\n[GNUPG:] REVKEYSIG 1 x\n{VALID}", "revoked"),
        (f"[GNUPG:] NEWSIG\n[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 1 x\n{VALID}", "several"),
    ],
)
def test_all_else_is_refused(text: str, part: str) -> None:
    with pytest.raises(WrongSigner, match=part):
        check(text, PRIMARY)


def test_a_good_signature_by_somebody_else_is_refused() -> None:
    with pytest.raises(WrongSigner, match=f"signed by key {SUBKEY}, not by KEY"):
        check(f"[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 1 x\n{VALID}", "C" * 40)
