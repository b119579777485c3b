"""From the selection options of the command line to a compiled selection (docs/cli.md section 6)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from twofold.errors import UserError
from twofold.select.compiling import compile_selection
from twofold.select.conditions import (
    Condition,
    Exclude,
    ExcludeDeviceFiles,
    ExcludeFilelist,
    ExcludeIfPresent,
    ExcludeOlderThan,
    ExcludeOtherFilesystems,
    ExcludeRegexp,
    FilesFrom,
    FilterCase,
    FilterSyntax,
    Include,
    IncludeFilelist,
    IncludeRegexp,
    Mode,
    NullSeparator,
    Syntax,
)
from twofold.select.selector import Selector
from twofold.ui import option_values
from twofold.ui.message import Sink, notice
from twofold.ui.option_values import Rule

_SYNTAX = {
    Rule.FILTER_GLOBBING: Syntax.GLOB,
    Rule.FILTER_LITERAL: Syntax.LITERAL,
    Rule.FILTER_REGEXP: Syntax.REGEXP,
}
_SYNTAX_WORDS = {Syntax.GLOB: "globbing", Syntax.LITERAL: "literal", Syntax.REGEXP: "regex"}


def build_selection(
    given: Sequence[option_values.Condition],
    *,
    source: bytes,
    mode: Mode,
    null_separator: bool,
    sink: Sink,
    noted: Callable[[bytes], None] | None = None,
) -> Selector:
    """Reads the lists, whose contents `noted` is told, and compiles everything.

    Raises UserError and the errors of select/errors.py.
    """
    conditions: list[Condition] = [NullSeparator()] if null_separator else []
    syntax = Syntax.GLOB
    for each in given:
        syntax = _SYNTAX.get(each.rule, syntax)
        condition = _condition(each, syntax, sink)
        if noted is not None and isinstance(condition, FilesFrom | IncludeFilelist | ExcludeFilelist):
            noted(condition.content)
        conditions.append(condition)
    return compile_selection(conditions, source=source, mode=mode)


def _condition(given: option_values.Condition, syntax: Syntax, sink: Sink) -> Condition:
    rule, argument = given.rule, given.argument
    if rule in _SYNTAX:
        return FilterSyntax(syntax)
    if rule.names_file:
        return _list(given, syntax, sink)
    match rule:
        case Rule.INCLUDE:
            return Include(argument)
        case Rule.EXCLUDE:
            return Exclude(argument)
        case Rule.INCLUDE_REGEXP:
            return IncludeRegexp(argument)
        case Rule.EXCLUDE_REGEXP:
            return ExcludeRegexp(argument)
        case Rule.EXCLUDE_IF_PRESENT:
            return ExcludeIfPresent(os.fsencode(argument))
    return _simple(given)


def _simple(given: option_values.Condition) -> Condition:
    match given.rule:
        case Rule.EXCLUDE_DEVICE_FILES:
            return ExcludeDeviceFiles()
        case Rule.EXCLUDE_OTHER_FILESYSTEMS:
            return ExcludeOtherFilesystems()
        case Rule.EXCLUDE_OLDER_THAN:
            return ExcludeOlderThan(given.instant or 0)
        case Rule.FILTER_IGNORECASE | Rule.FILTER_STRICTCASE:
            return FilterCase(given.rule is Rule.FILTER_IGNORECASE)
    raise AssertionError(f"a rule without a condition: {given.rule}")


def _list(given: option_values.Condition, syntax: Syntax, sink: Sink) -> Condition:
    name = given.argument
    try:
        with open(name, "rb") as file:
            content = file.read()
    except OSError as error:
        raise UserError(f"Cannot read the list {name}: {error.strerror}") from error
    if given.rule is Rule.FILES_FROM:
        sink.tell(notice(f"Reading files to backup from list {name}"))
        return FilesFrom(name, content)
    sink.tell(notice(f"Reading {_SYNTAX_WORDS[syntax]} filelist {name}"))
    if given.rule is Rule.INCLUDE_FILELIST:
        return IncludeFilelist(name, content)
    return ExcludeFilelist(name, content)
