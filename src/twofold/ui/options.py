"""The option table: every option once, from which parser, help, manual page and completions are made.

Rows follow docs/cli.md sections 2.2 and 2.3. Those about making and reading backups and about the target
stand in modules of their own.
"""

from __future__ import annotations

from twofold.ui.backup_options import BACKUP_OPTIONS
from twofold.ui.commands import COMMANDS, Scope
from twofold.ui.option import Group, Option, Status, Value
from twofold.ui.reading_options import READING_OPTIONS
from twofold.ui.service_options import SERVICE_OPTIONS

_S, _V, _G = Scope, Value, Group

_GENERAL = (
    Option(
        "dry-run",
        _V.SWITCH,
        _S.BACKUP | _S.RESTORE | _S.DELETING | _S.REPLICATE | _S.VALIDATE,
        _G.GENERAL,
        "Do everything except writing to the target or deleting there",
        common=True,
    ),
    Option(
        "force",
        _V.SWITCH,
        _S.DELETING | _S.RESTORE,
        _G.GENERAL,
        "Really delete (cleanup, remove-*); write over existing files (restore)",
        common=True,
    ),
    Option(
        "verbosity",
        _V.VERBOSITY,
        _S.ALL,
        _G.GENERAL,
        "How much to print: 0 errors, 2 warnings, 3 notices, 5 info, 9 debug, or one of these words",
        short="v",
        common=True,
    ),
    Option(
        "log-fd",
        _V.INTEGERS,
        _S.ALL,
        _G.GENERAL,
        "Also write messages for programs to this open file descriptor",
        field="log_fds",
        minimum=1,
    ),
    Option(
        "log-file",
        _V.PATHS,
        _S.ALL,
        _G.GENERAL,
        "Also append messages for programs to this file",
        field="log_files",
    ),
    Option(
        "timings",
        _V.SWITCH,
        _S.ALL,
        _G.GENERAL,
        "At the end, show where the time went, thread by thread",
        status=Status.OWN,
    ),
    Option("log-timestamp", _V.SWITCH, _S.ALL, _G.GENERAL, "Put time and level in front of every message"),
    Option(
        "tempdir",
        _V.PATH,
        _S.ALL,
        _G.GENERAL,
        "Make the temporary working directory in this one",
        metavar="DIR",
        default="$TMPDIR, $TEMP, $TMP or /tmp",
    ),
    Option(
        "config-dir", _V.PATH, _S.NONE, _G.GENERAL, "Accepted for old scripts, nothing is read there", metavar="DIR"
    ),
    Option("current-time", _V.INTEGER, _S.ALL, _G.GENERAL, "Pretend that the run begins then", minimum=0, hidden=True),
    Option("pydevd", _V.SWITCH, _S.NONE, _G.GENERAL, "Accepted for old scripts", hidden=True),
    Option(
        "json",
        _V.SWITCH,
        _S.ALL,
        _G.GENERAL,
        "Print the result, messages and errors included, as JSON (docs/json.md) and nothing else",
        status=Status.OWN,
    ),
)

_ENCRYPTION = (
    Option("encryption", _V.SWITCH, _S.ALL, _G.ENCRYPTION, "Encrypt what is stored"),
    Option(
        "no-encryption",
        _V.SWITCH,
        _S.ALL,
        _G.ENCRYPTION,
        "Neither encrypt nor decrypt",
        field="encryption",
        sets=False,
        common=True,
    ),
    Option(
        "encrypt-key",
        _V.KEYS,
        _S.ALL,
        _G.ENCRYPTION,
        "Encrypt to this public key instead of with a passphrase; may be repeated",
        field="encrypt_keys",
        common=True,
    ),
    Option(
        "hidden-encrypt-key",
        _V.KEYS,
        _S.ALL,
        _G.ENCRYPTION,
        "As --encrypt-key, but the files do not tell which key it is",
        field="hidden_encrypt_keys",
    ),
    Option(
        "sign-key",
        _V.TEXT,
        _S.ALL,
        _G.ENCRYPTION,
        "Sign what is stored; when restoring or verifying, demand this signature",
        metavar="KEY",
        common=True,
    ),
    Option(
        "encrypt-sign-key",
        _V.KEY_FOR_BOTH,
        _S.ALL,
        _G.ENCRYPTION,
        "The same key for --encrypt-key and --sign-key",
        field="encrypt_keys",
    ),
    Option(
        "encrypt-secret-keyring",
        _V.PATH,
        _S.READING,
        _G.ENCRYPTION,
        "Accepted for old scripts; gpg keeps secret keys in its own place",
    ),
    Option(
        "gpg-binary",
        _V.PATH,
        _S.ALL,
        _G.ENCRYPTION,
        "Run this program instead of gpg",
        metavar="PROGRAM",
        default="gpg, with --use-gpgsm gpgsm",
    ),
    Option(
        "gpg-options",
        _V.WORDS,
        _S.ALL,
        _G.ENCRYPTION,
        "Further options for every call of gpg; may be repeated",
    ),
    Option(
        "use-agent", _V.SWITCH, _S.ALL, _G.ENCRYPTION, "Leave it to gpg's agent to know passphrases or to ask for them"
    ),
    Option(
        "use-gpgsm", _V.SWITCH, _S.ALL, _G.ENCRYPTION, "Encrypt with S/MIME certificates, through gpgsm", missing=True
    ),
)

_CACHE = (
    Option(
        "archive-dir",
        _V.PATH,
        _S.ALL,
        _G.CACHE,
        "Keep the local copies of metadata below this directory",
        metavar="DIR",
        default="$XDG_CACHE_HOME/duplicity or ~/.cache/duplicity",
        common=True,
    ),
    Option(
        "name",
        _V.TEXT,
        _S.ALL,
        _G.CACHE,
        "Name of this backup's directory below --archive-dir",
        metavar="NAME",
        default="made from the URL",
        common=True,
    ),
    Option("check-remote", _V.SWITCH, _S.ALL, _G.CACHE, "Look at the target to see which metadata it has"),
    Option(
        "no-check-remote",
        _V.SWITCH,
        _S.ALL,
        _G.CACHE,
        "Trust the local copies of metadata without looking at the target",
        field="check_remote",
        sets=False,
    ),
    Option(
        "metadata-sync-mode",
        _V.CHOICE,
        _S.ALL,
        _G.CACHE,
        "Fetch the metadata of the chain in question only, or of all of them",
        choices=("full", "partial"),
    ),
    Option("file-prefix", _V.TEXT, _S.ALL, _G.CACHE, "Put this in front of the name of every stored file"),
    Option("file-prefix-archive", _V.TEXT, _S.ALL, _G.CACHE, "The same for volumes, behind --file-prefix"),
    Option("file-prefix-jsonstat", _V.TEXT, _S.ALL, _G.CACHE, "The same for statistics"),
    Option("file-prefix-manifest", _V.TEXT, _S.ALL, _G.CACHE, "The same for manifests"),
    Option("file-prefix-signature", _V.TEXT, _S.ALL, _G.CACHE, "The same for signatures"),
    Option(
        "short-filenames",
        _V.SWITCH,
        _S.NONE,
        _G.CACHE,
        "Wrote short file names",
        status=Status.REFUSED,
        remedy="Files with short names are still read; leave the option out",
        hidden=True,
    ),
    Option(
        "old-filenames",
        _V.SWITCH,
        _S.NONE,
        _G.CACHE,
        "Wrote old file names",
        status=Status.REFUSED,
        remedy="Files with old names are still read; leave the option out",
        hidden=True,
    ),
    Option(
        "extra-clean",
        _V.SWITCH,
        _S.NONE,
        _G.CACHE,
        "Removed metadata of older chains",
        status=Status.IGNORED,
        remedy="Metadata of all chains are kept now",
        hidden=True,
    ),
)

_HELP = (
    Option("help", _V.HELP, _S.ALL, _G.HELP, "Print the most important options", short="h", common=True),
    Option("help-all", _V.HELP, _S.ALL, _G.HELP, "Print all options", status=Status.OWN, common=True),
    Option("help-urls", _V.HELP, _S.ALL, _G.HELP, "Print the forms of target URLs", common=True),
    *(
        Option(
            f"help-{command.topic}",
            _V.HELP,
            command.scope if command.own else _S.ALL,
            _G.HELP,
            f"Print the options of {command.action.value}",
            status=Status.OWN if command.own else Status.CURRENT,
        )
        for command in COMMANDS
    ),
    Option("version", _V.VERSION, _S.ALL, _G.HELP, "Print the version", short="V", common=True),
)

OPTIONS: tuple[Option, ...] = (
    *_GENERAL,
    *BACKUP_OPTIONS,
    *READING_OPTIONS,
    *_ENCRYPTION,
    *_CACHE,
    *SERVICE_OPTIONS,
    *_HELP,
)

BY_NAME: dict[str, Option] = {name: option for option in OPTIONS for name in option.names}
BY_LETTER: dict[str, Option] = {option.short: option for option in OPTIONS if option.short}
