"""What the manual page says beyond the tables of actions and options; the marks in the texts are those of roff.py."""

from __future__ import annotations

from twofold.ui.commands import Action
from twofold.ui.documents.roff import Block, Example, Item, Paragraph

DATED = "2026-11-22"
"""When a text here was last changed."""

NAME = "encrypted, incremental backups in duplicity's format"

DESCRIPTION: tuple[Block, ...] = (
    Paragraph(
        "`twofold` backs a directory up to a target: the first time everything, from then on what has changed, files "
        "that have changed as rsync differences. What is stored is tar files, compressed and encrypted by GnuPG; they "
        "can be read without this program. The format and the command line are those of duplicity 3.2.1: either "
        "program continues and restores what the other one has stored."
    ),
    Paragraph(
        "A {full} backup and the {incremental} ones that build on it are a {chain}. Each of them is a {set}: {volumes} "
        "with the data, a {manifest} that names them, and {signatures} from which the next differences are made. "
        "Manifests and signatures are also kept on this machine, below `--archive-dir`; when these copies are lost "
        "they are fetched from the target."
    ),
    Paragraph(
        "The action comes first; without one, a path and a URL imply `backup`, a URL and a path `restore`. Options may "
        "stand anywhere, up to a `--`, and every option may be given with every action: where it has no meaning it has "
        "no effect. A value follows its option after a blank or an equals sign. Names of options may be shortened as "
        "long as only one fits. A directory that is called like an action is written with a slash, as in `./full`."
    ),
)

ACTIONS: dict[Action, str] = {
    Action.BACKUP: (
        "Add an incremental set to the newest chain, or begin a chain with a full one when there is none that can be "
        "continued. Files that cannot be read are named, counted as errors in the statistics, and keep their last "
        "state; the exit code is 1."
    ),
    Action.FULL: "Begin a new chain with everything. Older chains stay until they are removed.",
    Action.INCREMENTAL: "Add to the newest chain, and fail when there is none.",
    Action.RESTORE: (
        "Write the files of a backup to a directory, which must be absent or empty unless `--force` is given. With "
        "`--path-to-restore` only one file or directory, with selection options only what they choose; with `--time` "
        "as it was then. Contents are checked against their recorded hashes."
    ),
    Action.VERIFY: (
        "Read a backup from end to end, check it against its hashes and compare it with local files: types, modes, "
        "owners, times and sizes, with `--compare-data` also contents. Differences are named and give exit code 1."
    ),
    Action.LIST: "Print time and name of every file in a backup.",
    Action.STATUS: "Print the chains and sets at the target, and what does not belong to any.",
    Action.CLEANUP: (
        "Delete what belongs to no usable backup, such as the remains of an interrupted run. Without `--force` it is "
        "only listed."
    ),
    Action.REMOVE_OLDER: (
        "Delete the chains whose last set is older than {time}. Sets that newer ones need stay, and so does the newest "
        "chain. Without `--force` they are only listed."
    ),
    Action.REMOVE_ALL_BUT: "Delete all but the newest {count} chains. Without `--force` they are only listed.",
    Action.REMOVE_INCREMENTALS: (
        "Delete the incremental sets of all but the newest {count} chains; their full sets stay. Without `--force` "
        "they are only listed."
    ),
    Action.CHECK: (
        "Prove that the backups at a target are whole, without the files they were made of: every manifest, signature "
        "file and volume is there and is what was stored. With `--read-data` everything is decrypted and read as a "
        "restore would, with `--sample` a part of the volumes is looked at, chosen at random. Damage is named and "
        "gives exit code 21 where a hash is wrong, else 1."
    ),
    Action.REPLICATE: (
        "Copy the complete backups of one target to another one, oldest first, with `--time` only those up to then. "
        "Every file is checked and none is decrypted but, if that is possible, the manifests, which have the hashes of "
        "the volumes. What is there already is not sent again, so the same command goes on after an interruption. A "
        "damaged volume is named and its backup not copied; exit code 21."
    ),
    Action.VALIDATE: (
        "Try out a target before backups are made: a few small files and some megabytes are stored, read back, "
        "replaced and deleted again, and it is told what works, how fast it is and what it is needed for. No "
        "passphrase is needed. Exit code 0 means that all that backups need works; otherwise one line tells whether "
        "the login, the network, a certificate, the place, a permission or the space is in the way."
    ),
}

OPTIONS: tuple[Block, ...] = (
    Paragraph(
        "Where an option counts, its value is a whole number without a unit; its name for the value says what it "
        "counts: `--volsize 200` is 200 MiB. Of switches that contradict each other the later one holds."
    ),
)

TIMES: tuple[Block, ...] = (
    Paragraph("Where a {TIME} is wanted, these are understood:"),
    Item("`now`", "the start of the run"),
    Item(
        "`3D`, `1h78m`, `2W3D`",
        "so long before now: `s` seconds, `m` minutes, `h` hours, `D` days, `W` weeks, `M` 30 days, `Y` 365 days",
    ),
    Item("`2026-04-23`, `2026/4/23`, `4/23/2026`, `20260423Z`", "the beginning of that day, local time"),
    Item(
        "`2026-04-23T07:00:00`, `2026-04-23T07:00:00+02:00`, `20260423T050000Z`",
        "a moment; local time unless it ends with a zone or `Z`",
    ),
    Item("`1776920400`", "seconds since 1970"),
)

SELECTION: tuple[Block, ...] = (
    Paragraph(
        "Selection options are looked at in the order given; the first that fits a path decides. What none fits is "
        "stored. An excluded directory is not entered. The last selection option must not be an include, since without "
        "it everything would be included as well."
    ),
    Paragraph(
        "Patterns are compared with the whole path, which begins with the source as it was typed: for the source "
        "`/home/me` a pattern is `/home/me/tmp` or `**/tmp`. An include brings the directories on the way to it, too. "
        "A pattern fits what it describes and all that is below; one that ends with a slash fits directories only. "
        "For a restore, paths are relative to the backup, as `list-current-files` prints them."
    ),
    Item("`*`", "any characters except the slash"),
    Item("`**`", "any characters"),
    Item("`?`", "one character except the slash"),
    Item("`[a-c]`, `[!a-c]`", "one character that is, or is not, among these"),
    Item("`ignorecase:`{PATTERN}", "upper and lower case are the same"),
    Paragraph(
        "Nothing takes a special character's meaning away but brackets: `[*]`. In a list, `#` begins a comment, and "
        "`+` or `-` with a blank includes or excludes one line, whatever the option says."
    ),
)

ENVIRONMENT: tuple[Block, ...] = (
    Item("`PASSPHRASE`", "what gpg encrypts with, or the passphrase of the secret key; set but empty counts as set"),
    Item("`SIGN_PASSPHRASE`", "the passphrase of the key that signs"),
    Item("`BACKEND_PASSWORD`", "the password of the target where the URL has none; `FTP_PASSWORD` is its old name"),
    Item("`TMPDIR`, `TEMP`, `TMP`", "where temporary files go unless `--tempdir` says it"),
    Item("`XDG_CACHE_HOME`", "the default of `--archive-dir` is `duplicity` below it"),
    Item("`GNUPGHOME`", "gpg's directory"),
    Item("`TZ`", "the zone of local times"),
    Item("`PAGER`", "shows help texts on a terminal"),
)

FILES: tuple[Block, ...] = (
    Item(
        "`~/.cache/duplicity/`{NAME}",
        "copies of the metadata of one target, shared with duplicity; {NAME} is that of `--name` or the MD5 of the "
        "URL. They are not encrypted. It is safe to delete them while nothing runs.",
    ),
)

EXIT_STATUS: tuple[Block, ...] = (
    Item("0", "done; also when single source files could not be read"),
    Item("1", "verify found differences, some files could not be restored, a volume is missing, or another error"),
    Item("2", "an abbreviated option is ambiguous"),
    Item("3, 42", "the source's host or path is not that of the last backup"),
    Item("4", "interrupted"),
    Item("11", "the target of a restore is not empty"),
    Item("17", "there is nothing to make an increment on"),
    Item("19, 20", "the path is not in the backup; nothing was restored"),
    Item("21, 22", "a volume's hash is wrong; a volume is not signed by the key that was demanded"),
    Item("23", "the command line or the URL is wrong, or another run works on the same archive directory"),
    Item("30, 31", "there is no backup at the target, or an unexpected error; gpg failed"),
    Item("50 to 56", "the target failed"),
    Item("14 to 16, 70 to 73", "selection options make no sense"),
)

EXAMPLES: tuple[Block, ...] = (
    Paragraph("Back up a directory, with a new chain every month:"),
    Example(("twofold backup --full-if-older-than 1M ~/docs file:///mnt/docs",)),
    Paragraph("The same unattended, to a public key:"),
    Example(("twofold backup --encrypt-key 0123456789ABCDEF ~/docs file:///mnt/docs",)),
    Paragraph("All of a home directory but caches, keeping one of them:"),
    Example(
        (
            "twofold backup --include ~/.cache/fonts --exclude ~/.cache \\",
            "    --exclude '**.tmp' ~ file:///mnt/home",
        )
    ),
    Paragraph("See what is there, get one file back as it was three days ago, and check everything:"),
    Example(
        (
            "twofold collection-status file:///mnt/docs",
            "twofold list-current-files file:///mnt/docs",
            "twofold restore --time 3D --path-to-restore letters/may.txt \\",
            "    file:///mnt/docs may.txt",
            "twofold verify --compare-data file:///mnt/docs ~/docs",
        )
    ),
    Paragraph("Keep the three newest chains:"),
    Example(("twofold remove-all-but-n-full 3 --force file:///mnt/docs",)),
)

COMPATIBILITY: tuple[Block, ...] = (
    Paragraph(
        "Called by the name `duplicity`, for example through a link, the program answers as duplicity 3.2.1 where "
        "other programs look: the version line, the closing line of a backup, and exit code 0 of a `verify` without "
        "`--compare-data` and where single files could not be read."
    ),
    Paragraph("Old options are still understood:"),
)

SEE_ALSO = "`gpg`(1), `tar`(1), `rdiff`(1)"
