"""The manual page twofold(1), made from the tables of actions and options and from prose.py. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from twofold._version import VERSION
from twofold.ui.commands import COMMANDS, Command, Scope
from twofold.ui.documents import prose
from twofold.ui.documents.roff import Block, Heading, Item, Line, Paragraph, Section, page
from twofold.ui.help import NOT_AVAILABLE, URL_FORMS, default_text, is_available, metavar_of
from twofold.ui.option import Group, Option, Status
from twofold.ui.options import OPTIONS

_TO_BE_TYPED = re.compile(r"--[a-z][a-z-]*|-[0-9]\b|[a-z0-9+]+://|\$[A-Z_]+(?:/[a-z]+)?|~/[a-z./]+")
_SCOPES = (
    (Scope.BACKUP, "backup, full, incremental"),
    (Scope.INCREMENTAL, "backup, incremental"),
    (Scope.FULL, "full"),
    (Scope.RESTORE, "restore"),
    (Scope.VERIFY, "verify"),
    (Scope.LIST, "list-current-files"),
    (Scope.STATUS, "collection-status"),
    (Scope.CLEANUP, "cleanup"),
    (Scope.REMOVE, "remove-*"),
    (Scope.CHECK, "check"),
    (Scope.REPLICATE, "replicate"),
    (Scope.VALIDATE, "validate-storage"),
)


def manual_page() -> str:
    """Ends with a line end; the same tables and prose always give the same bytes."""
    return page(
        "twofold",
        prose.NAME,
        date=prose.DATED,
        source=f"twofold {VERSION}",
        title="User Commands",
        sections=(
            Section("SYNOPSIS", tuple(_synopsis())),
            Section("DESCRIPTION", prose.DESCRIPTION),
            Section(
                "ACTIONS", tuple(Item(_names_of_action(command), prose.ACTIONS[command.action]) for command in COMMANDS)
            ),
            Section("OPTIONS", (*prose.OPTIONS, *_options())),
            Section("TARGETS", tuple(_targets())),
            Section("TIMES", prose.TIMES),
            Section("FILE SELECTION", prose.SELECTION),
            Section("EXIT STATUS", prose.EXIT_STATUS),
            Section("ENVIRONMENT", prose.ENVIRONMENT),
            Section("FILES", prose.FILES),
            Section("EXAMPLES", prose.EXAMPLES),
            Section("COMPATIBILITY", (*prose.COMPATIBILITY, *_old_options())),
            Section("SEE ALSO", (Paragraph(prose.SEE_ALSO),)),
        ),
    )


def _synopsis() -> Iterator[Block]:
    for command in COMMANDS:
        words = " ".join(f"{{{word.value}}}" for word in command.words)
        yield Line(f"`twofold {command.action.value}` [{{options}}] {words}")


def _names_of_action(command: Command) -> str:
    return ", ".join(f"`{name}`" for name in command.names) + "".join(f" {{{word.value}}}" for word in command.words)


def _options() -> Iterator[Block]:
    for group in Group:
        options = [option for option in OPTIONS if option.group is group and not option.hidden]
        if options:
            yield Heading(group.value)
            yield from (Item(_names_of(option), " ".join(_sentences(option))) for option in options)


def _names_of(option: Option) -> str:
    names = ([f"-{option.short}"] if option.short else []) + [f"--{name}" for name in option.names]
    metavar = metavar_of(option)
    # Words that are to be typed as they stand are bold, those that stand for something else in italics.
    value = "`|`".join(f"`{choice}`" for choice in option.choices) or "".join(f"{{{metavar}}}" if metavar else "")
    return ", ".join(f"`{name}`" for name in names) + (f" {value}" if metavar else "")


def _sentences(option: Option) -> Iterator[str]:
    yield _with_options_marked(option.help) + "."
    default = default_text(option)
    if default:
        yield f"Default: {_with_options_marked(default) if option.default else f'`{default}`'}."
    if option.missing:
        yield f"It is {NOT_AVAILABLE}."
    if option.only_for:
        yield f"Only for {option.only_for}."
    if option.scope not in (Scope.ALL, Scope.NONE):
        yield f"For {actions_of(option.scope)}."


def _with_options_marked(text: str) -> str:
    """Help texts are plain; what is to be typed must keep its dashes."""
    return _TO_BE_TYPED.sub(r"`\g<0>`", text)


def actions_of(scope: Scope) -> str:
    """The names of actions, as short as they can be told."""
    names = []
    for part, text in _SCOPES:
        if part in scope:
            names.append(text)
            scope &= ~part
    return ", ".join(names)


def _targets() -> Iterator[Block]:
    for form, meaning in URL_FORMS:
        if is_available(form):
            yield Item(", ".join(f"`{each}`" for each in form.split(", ")), meaning)
    yield Paragraph(
        "A relative `file` URL begins at the current directory. Characters such as `@ : / ? # %` in a user's name or a "
        "password are written as `%40` and so on."
    )
    missing = [form for form, _ in URL_FORMS if not is_available(form)]
    if missing:
        yield Paragraph(f"The services of duplicity that are {NOT_AVAILABLE}:")
        yield Paragraph(
            ", ".join(dict.fromkeys(f"`{form.partition('://')[0].removesuffix('URL')}`" for form in missing))
        )


def _old_options() -> Iterator[Block]:
    for option in OPTIONS:
        if option.status is Status.OLD_NAME:
            yield Item(_names_of(option), _with_options_marked(option.help) + ".")
    yield Paragraph("These are accepted and have no effect, with a line of advice:")
    yield Paragraph(_listed(Status.IGNORED))
    yield Paragraph("These are refused, because they would have to write other files:")
    yield Paragraph(_listed(Status.REFUSED))


def _listed(status: Status) -> str:
    return ", ".join(f"`--{option.name}`" for option in OPTIONS if option.status is status) + "."
