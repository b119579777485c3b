"""Help texts, made from the tables of actions and options: the important ones, all, those of one action, URL forms.

Texts are pure functions of the tables and a width in characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from twofold.storage.registry import PREFIXES, SCHEMES
from twofold.ui.commands import COMMANDS, Command, Scope, commands_of
from twofold.ui.option import Group, Option, Value
from twofold.ui.option_values import Options
from twofold.ui.options import OPTIONS
from twofold.ui.version import version_line

_DEFAULTS = Options()
_LEFT = 30
_METAVARS = {
    Value.INTEGER: "NUMBER",
    Value.INTEGERS: "NUMBER",
    Value.KEYS: "KEY",
    Value.KEY_FOR_BOTH: "KEY",
    Value.JOINED: "OPTIONS",
    Value.WORDS: "OPTIONS",
    Value.TIME: "TIME",
    Value.PATH: "FILE",
    Value.PATHS: "FILE",
    Value.VERBOSITY: "LEVEL",
    Value.CHARACTER: "CHARACTER",
    Value.PAIR: "OLD NEW",
}

_EXAMPLES = (
    "backup ~/docs file:///mnt/docs",
    "restore --time 3D --path-to-restore letters file:///mnt/docs old-letters",
    "verify --compare-data file:///mnt/docs ~/docs",
)

URL_FORMS = (
    ("file:///absolute/dir, file://relative/dir", "a local directory"),
    (
        "sftp://[user[:password]@]host[:port]/dir",
        "a server with ssh; //dir is absolute, /dir below the login directory",
    ),
    ("scp://[user[:password]@]host[:port]/dir", "the same with scp"),
    ("rsync://[user@]host[:port]/dir", "rsync over ssh"),
    ("rsync://[user[:password]@]host[:port]::module/dir", "an rsync daemon"),
    ("ftp://[user[:password]@]host[:port]/dir", "an FTP server; also ftps:// and ftpes://"),
    ("webdavs://[user[:password]@]host[:port]/dir", "a WebDAV server; webdav:// without encryption"),
    ("s3:///bucket[/prefix]", "Amazon S3, or what --s3-endpoint-url names"),
    ("b2://key_id[:key]@bucket[/dir]", "Backblaze B2"),
    ("azure://container[/folder]", "Azure blobs"),
    ("gs://bucket[/prefix]", "Google Cloud Storage"),
    ("swift://container[/prefix]", "OpenStack Swift"),
    ("gdrive://account@host/dir?driveID=ID", "Google Drive"),
    ("dpbx:///dir", "Dropbox"),
    ("onedrive://dir", "OneDrive"),
    ("rclone://remote:/dir", "anything that rclone knows"),
    ("imaps://user[:password]@host/sender", "a mailbox"),
    ("exec:///settings.toml[?name=value]", "commands of your own, which that file names"),
    ("multi:///config.json[?mode=mirror]", "several targets at once"),
    ("par2+URL", "the same with files that can repair damage"),
    ("gio+URL", "anything that GIO knows"),
)

NOT_AVAILABLE = "not available in this version"


def is_available(form: str) -> bool:
    """Whether this version has what it takes to reach such a target."""
    scheme = SCHEMES.get(form.partition("://")[0]) or PREFIXES.get(form.partition("+")[0])
    return scheme is not None and bool(scheme.driver)


def help_text(topic: str, *, program: str, width: int = 80) -> str:
    """The text of `--help-TOPIC`, with the empty topic that of `--help`; ends with a line end."""
    lines = [version_line(program), ""]
    if topic == "urls":
        lines += _url_lines(width)
    else:
        command = next((command for command in COMMANDS if command.topic == topic), None)
        commands = commands_of(program) if command is None else (command,)
        lines += [*_usage_lines(commands, program), "", *_action_lines(commands, width)]
        lines += _option_lines(_wanted(topic, command, program), width)
        if not topic:
            lines += ["", "Examples", *(f"  {program} {example}" for example in _EXAMPLES)]
            lines += ["", f"'{program} --help-all' prints all options, '{program} --help-ACTION' those of one action."]
    return "\n".join(lines) + "\n"


def usage_text(program: str) -> str:
    """The forms of all commands, as they stand above the message about an ambiguous option."""
    return "\n".join(_usage_lines(commands_of(program), program))


def _wanted(topic: str, command: Command | None, program: str) -> Callable[[Option], bool]:
    if command is not None:
        scope = command.scope
        return lambda option: bool(option.scope & scope) and option.value is not Value.HELP
    if topic == "all":
        known = Scope.NONE
        for each in commands_of(program):
            known |= each.scope
        return lambda option: not option.scope or bool(option.scope & known)
    return lambda option: option.common


def _usage_lines(commands: Iterable[Command], program: str) -> list[str]:
    lines = [
        f"{program} {command.action.value} [options] {' '.join(word.value for word in command.words)}"
        for command in commands
    ]
    return ["usage: " + lines[0], *("       " + line for line in lines[1:])]


def _action_lines(commands: Iterable[Command], width: int) -> Iterator[str]:
    yield "Actions"
    for command in commands:
        yield from _entry(", ".join(command.names), command.help, width)


def _option_lines(wanted: Callable[[Option], bool], width: int) -> Iterator[str]:
    for group in Group:
        options = [option for option in OPTIONS if option.group is group and not option.hidden and wanted(option)]
        if options:
            yield from ("", group.value)
            for option in options:
                yield from _entry(names_of(option), option.help + _remarks(option), width)


def _url_lines(width: int) -> Iterator[str]:
    for heading, available in (("Forms of target URLs", True), (f"Known, but {NOT_AVAILABLE}", False)):
        entries = [(form, meaning) for form, meaning in URL_FORMS if is_available(form) is available]
        if entries:
            yield heading
            for form, meaning in entries:
                yield from _entry(form, meaning, width)
            yield ""
    yield "Characters such as @ : / ? # % in user or password are written as %40 and so on."


def _entry(left: str, right: str, width: int) -> Iterator[str]:
    """One entry of a list in two columns; a long left side gets a line of its own."""
    import textwrap

    # Names of options stay whole, so that they can be found and copied.
    lines = textwrap.wrap(right, max(20, width - _LEFT - 1), break_on_hyphens=False) or [""]
    if len(left) + 4 > _LEFT:
        yield f"  {left}"
    else:
        yield f"  {left:<{_LEFT - 2}}{lines.pop(0)}"
    for line in lines:
        yield " " * _LEFT + line


def names_of(option: Option) -> str:
    """All that can be written for an option, with its value."""
    names = ([f"-{option.short}"] if option.short else []) + [f"--{name}" for name in option.names]
    metavar = metavar_of(option)
    return ", ".join(names) + (f" {metavar}" if metavar else "")


def metavar_of(option: Option) -> str:
    """What stands for an option's value; empty if it takes none."""
    if option.values_wanted == 0:
        return ""
    return option.metavar or "|".join(option.choices) or _METAVARS.get(option.value, "TEXT")


def default_text(option: Option) -> str:
    """An option's default as it would be typed; empty where there is none worth telling."""
    if option.default or not hasattr(_DEFAULTS, option.target_field) or not option.values_wanted:
        return option.default
    default: object = getattr(_DEFAULTS, option.target_field)
    if default is None or default in ("", (), 0):
        return ""
    return str(default // option.unit) if isinstance(default, int) else str(getattr(default, "value", default))


def _remarks(option: Option) -> str:
    default = default_text(option)
    remarks = [NOT_AVAILABLE] if option.missing else []
    remarks += [option.only_for] if option.only_for else []
    remarks += [f"default: {default}"] if default else []
    return f" ({'; '.join(remarks)})" if remarks else ""
