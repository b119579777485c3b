"""What has to be the same for a backup to go on where an interrupted one has stopped."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from twofold import rsync
from twofold._version import VERSION
from twofold.ui.environment import Environment
from twofold.ui.parser import CommandLine

# Whatever says which files are stored, how, and for whom. Times that are reckoned from now are not among it.
_OPTIONS = (
    *("compression", "compression_level", "copy_links", "encrypt_keys", "encryption", "file_prefix"),
    *("file_prefix_archive", "file_prefix_manifest", "file_prefix_signature", "files_changed", "gpg_options"),
    *("hidden_encrypt_keys", "max_blocksize_bytes", "null_separator", "sign_key", "time_separator"),
    *("volsize_bytes",),
)
_KEY = re.compile(r"(0x)?([0-9A-Fa-f ]{16,})!?")


def fingerprint_of(command: CommandLine, environment: Environment, source: bytes, lists: Sequence[bytes]) -> str:
    """A digest of all that; `source` is the tree's path, `lists` the contents of the lists in its selection.

    Empty where it cannot be told: a name may stand for another key tomorrow, a fingerprint or long id cannot.
    """
    keys = (*command.options.encrypt_keys, *command.options.hidden_encrypt_keys)
    if not all(_KEY.fullmatch(key) for key in keys):
        return ""
    facts = (
        VERSION,
        rsync.IMPLEMENTATION,
        environment.hostname,
        source,
        [(each.rule.value, each.argument) for each in command.conditions],
        [hashlib.sha256(each).hexdigest() for each in lists],
        [(name, getattr(command.options, name)) for name in _OPTIONS],
    )
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()
