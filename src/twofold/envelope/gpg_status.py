"""What gpg reports to programs (GnuPG's doc/DETAILS, "Format of the --status-fd output"), and what follows from it.

Everything here is pure. gpg's words for people are in the user's language and never decide anything.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from twofold.envelope.gpg_command import IGNORE_MDC_ERROR
from twofold.errors import EnvelopeError, KeyMissing, WrongSigner

_PREFIX: Final = "[GNUPG:] "
_GOOD_ENOUGH: Final = frozenset({"GOODSIG", "EXPSIG", "EXPKEYSIG"})
"""A key that expired after a backup was signed does not make the backup worse; one that was revoked does."""

_BAD_PASSPHRASE: Final = 11
_LACKING: Final = frozenset({"NO_SECKEY", "MISSING_PASSPHRASE", "INQUIRE_MAXLEN"})
_UNPROTECTED: Final = (
    "it is not protected against changes, as was usual long ago: if you trust the place where it was kept, repeat with"
    f" --gpg-options={IGNORE_MDC_ERROR}"
)


class StatusLine(NamedTuple):
    """One report: what it is about and its fields."""

    keyword: str
    words: list[str]


def parse_status(text: str) -> list[StatusLine]:
    """All status lines, in order."""
    lines = (line[len(_PREFIX) :].split() for line in text.splitlines() if line.startswith(_PREFIX))
    return [StatusLine(words[0], words[1:]) for words in lines if words]


def was_decrypted(status: list[StatusLine], *, needs_integrity: bool) -> bool:
    """Whether the whole message was decrypted and proved unchanged.

    Without `needs_integrity` messages pass that carry no proof. NB: with --ignore-mdc-error gpg 2.2 says about a
    message with a wrong proof just what it says about one without; but it says beforehand whether there is one.
    """
    seen = {line.keyword for line in status}
    if "DECRYPTION_OKAY" not in seen or seen & {"DECRYPTION_FAILED", "BADMDC"}:
        return False
    return "GOODMDC" in seen or (not needs_integrity and _unprotected(status))


def decryption_error(status: list[StatusLine], *, name: str, log: str) -> EnvelopeError:
    """Says why a message could not be decrypted and what to do."""
    seen = {line.keyword for line in status}
    kind = KeyMissing if seen & _LACKING and not any(map(_bad_passphrase, status)) else EnvelopeError
    return kind(f"Cannot decrypt {name}: {_reason(status, seen)}", log)


def blames_keys(status: list[StatusLine]) -> bool:
    """Whether gpg failed for want of the right key or passphrase, before it had anything to write."""
    return any(line.keyword in _LACKING or _bad_passphrase(line) for line in status)


def _reason(status: list[StatusLine], seen: set[str]) -> str:
    """The likely cause and what to do about it."""
    wrong = any(_bad_passphrase(line) for line in status)
    reasons = (
        ("BADMDC" in seen, "it is damaged, cut short or was changed: get another copy of it"),
        (wrong and "ENC_TO" in seen, "the passphrase of the secret key is wrong: check PASSPHRASE"),
        (wrong, "the passphrase is wrong, or the file is damaged: check PASSPHRASE"),
        (_unprotected(status), _UNPROTECTED),
        ("MISSING_PASSPHRASE" in seen or "INQUIRE_MAXLEN" in seen, "it needs a passphrase: set PASSPHRASE"),
        ("NO_SECKEY" in seen, "the secret key for it is not in the keyring: import it"),
        ("BEGIN_DECRYPTION" not in seen, "it is not an encrypted file, or it is damaged"),
    )
    return next((text for applies, text in reasons if applies), "it is damaged or cannot be read by this gpg")


def _unprotected(status: list[StatusLine]) -> bool:
    """Whether DECRYPTION_INFO names neither a modification detection code nor an AEAD mode."""
    information = [line.words for line in status if line.keyword == "DECRYPTION_INFO"]
    return bool(information) and all(words[:1] == ["0"] and words[2:3] in ([], ["0"]) for words in information)


def _bad_passphrase(line: StatusLine) -> bool:
    if line.keyword == "BAD_PASSPHRASE":
        return True
    # NB: of a secret key gpg 2.2 gives but libgpg-error's number, with the source of the error in its upper bits.
    return line.keyword == "ERROR" and any(
        word.endswith("BAD_PASSPHRASE") or (word.isdecimal() and int(word) & 0xFFFF == _BAD_PASSPHRASE)
        for word in line.words[1:]
    )


def has_bad_signature(status: list[StatusLine]) -> bool:
    """Whether gpg has met a signature that does not fit. In batch mode it then ends without a word on the rest."""
    return any(line.keyword == "BADSIG" for line in status)


def check_signer(status: list[StatusLine], accepted: frozenset[str], *, name: str, demanded: str, log: str) -> None:
    """Returns when there is exactly one signature, it is good and by an accepted fingerprint. Raises WrongSigner."""
    if sum(line.keyword == "NEWSIG" for line in status) > 1:
        raise WrongSigner(f"{name} carries several signatures; one by key {demanded} alone is demanded", log)
    signers = [line.words for line in status if line.keyword == "VALIDSIG"]
    if not signers:
        raise WrongSigner(f"{name} carries no good signature; one by key {demanded} is demanded", log)
    if not any(line.keyword in _GOOD_ENOUGH for line in status):
        raise WrongSigner(f"{name} was signed by key {signers[0][0]}, which has been revoked", log)
    for words in signers:
        if words[0].upper() in accepted or words[-1].upper() in accepted:
            return
    raise WrongSigner(f"{name} was signed by key {signers[0][0]}, not by {demanded}", log)
