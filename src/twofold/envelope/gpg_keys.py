"""Why gpg could not use a key, found out afterwards: what it says itself is for people, in their language.

Costs nothing until something has failed. The format is that of GnuPG's doc/DETAILS, "Format of the colon listings".
"""

from __future__ import annotations

from typing import Final

from twofold.envelope.gpg_command import GpgSettings, list_keys_command
from twofold.envelope.gpg_process import run_to_end

_UNUSABLE: Final = {"r": "has been revoked", "e": "has expired", "d": "is disabled", "i": "is invalid"}


def recipient_fault(settings: GpgSettings) -> str:
    """What is wrong with the keys that files are encrypted to, and what to do; empty when nothing can be seen.

    Raises EnvelopeError when gpg cannot be run.
    """
    for option, keys in (
        ("--encrypt-key", settings.recipients),
        ("--hidden-encrypt-key", settings.hidden_recipients),
    ):
        for key in keys:
            fault = _fault(settings, key, secret=False)
            if fault == _MISSING:
                return f"the public key {key} is not in the keyring: import it, or mend {option}"
            if fault:
                return f"the public key {key} {fault}: renew it, or name another one with {option}"
    return ""


def signer_fault(settings: GpgSettings, key: str) -> str:
    """The same of the key that signs; with nothing to be seen it is the passphrase that was wrong."""
    fault = _fault(settings, key, secret=True)
    if fault == _MISSING:
        return f"the secret key {key} is not in the keyring: import it, or mend --sign-key"
    if fault:
        return f"the key {key} {fault}: renew it, or name another one with --sign-key"
    return f"the passphrase of the secret key {key} is wrong or was not given: check SIGN_PASSPHRASE"


_MISSING: Final = "missing"


def _fault(settings: GpgSettings, key: str, *, secret: bool) -> str:
    _, output, _ = run_to_end(settings, list_keys_command(settings, key, secret=secret))
    return key_fault(output.decode("utf-8", "replace"))


def key_fault(colons: str) -> str:
    """Why none of the listed primary keys can be used, `missing` if there is none; empty if one can be."""
    lines = (line.split(":") for line in colons.splitlines())
    validities = [fields[1][:1] for fields in lines if fields[0] in ("pub", "sec") and len(fields) > 1]
    if not validities:
        return _MISSING
    faults = [_UNUSABLE.get(validity, "") for validity in validities]
    return faults[0] if all(faults) else ""
