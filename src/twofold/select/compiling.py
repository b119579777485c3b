"""From the conditions of the command line to a selector; all that cannot be meant is refused here."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import assert_never

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
from twofold.select.errors import (
    OnlyDefaultModes,
    OutsideRoot,
    RedundantInclude,
    SelectionError,
    TrailingMode,
)
from twofold.select.filelist import read_filelist, read_files_from
from twofold.select.glob import IGNORE_CASE_PREFIX, Glob, compile_expression, read_glob, read_literal
from twofold.select.patterns import PatternRule
from twofold.select.rules import (
    Answer,
    DeviceFilesRule,
    OlderThanRule,
    OtherFilesystemsRule,
    RegexpRule,
    Rule,
)
from twofold.select.selector import Selector


def compile_selection(conditions: Sequence[Condition], *, source: bytes = b"", mode: Mode) -> Selector:
    """The selector for conditions in command line order; `source` as typed, for a backup or verify.

    Raises SelectionError and its kinds (docs/cli.md section 6.8).
    """
    _check_modes(conditions)
    null_separator = NullSeparator() in conditions
    root = "" if mode is Mode.RESTORE else normalized_source(source).decode("utf-8", "surrogateescape")
    reader = _Reader(root, mode)
    for condition in _with_lists_read(conditions, null_separator=null_separator):
        reader.read(condition)
    reader.check_last()
    return Selector(
        reader.rules(),
        base=root if not root or root.endswith("/") else root + "/",
        markers=frozenset(one.name for one in conditions if isinstance(one, ExcludeIfPresent)),
        listed=_listed(conditions, null_separator=null_separator),
    )


def normalized_source(source: bytes) -> bytes:
    """The source as patterns see it: no doubled slashes, no `./` before it, nor a slash after it. Not made absolute."""
    path = re.sub(rb"/{2,}", b"/", source)
    while path.startswith(b"./") and len(path) > 2:
        path = path[2:]
    return path if path == b"/" else path.removesuffix(b"/")


class _Reader:
    """Collects rules; a switch holds for what is read after it."""

    def __init__(self, root: str, mode: Mode) -> None:
        self._root = root
        self._mode = mode
        self._syntax = Syntax.GLOB
        self._ignore_case = False
        self._first: list[Rule] = []
        self._parts: list[tuple[Answer, Glob] | Rule] = []
        self._last_include = ""

    def read(self, condition: Condition) -> None:
        match condition:
            case FilterSyntax(syntax):
                self._syntax = syntax
            case FilterCase(ignore):
                self._ignore_case = ignore
            case Include(pattern):
                self._add_pattern(pattern, Answer.INCLUDE)
            case Exclude(pattern):
                self._add_pattern(pattern, Answer.EXCLUDE)
            case IncludeRegexp(expression):
                self._add_regexp(expression, Answer.INCLUDE)
            case ExcludeRegexp(expression):
                self._add_regexp(expression, Answer.EXCLUDE)
            case _:
                self._read_other(condition)

    def check_last(self) -> None:
        """Refuses a selection whose last condition includes: all else is included anyway."""
        if self._last_include:
            raise RedundantInclude(
                f"Last selection expression:\n    {self._last_include}\nonly specifies that files be included. "
                "Because the default is to include all files, the expression is redundant. "
                "Add what is to be left out, for instance --exclude '**'"
            )

    def rules(self) -> tuple[Rule, ...]:
        """The rules in order, consecutive patterns of one action made into one."""
        rules = list(self._first)
        globs: list[Glob] = []
        action = Answer.NOTHING
        for part in self._parts:
            if globs and not (isinstance(part, tuple) and part[0] is action):
                rules.append(PatternRule(action, globs))
                globs = []
            if isinstance(part, tuple):
                action = part[0]
                globs.append(part[1])
            else:
                rules.append(part)
        return (*rules, PatternRule(action, globs)) if globs else tuple(rules)

    def _read_other(self, condition: Condition) -> None:
        if self._mode is Mode.RESTORE:
            _check_for_restore(condition)
        match condition:
            case ExcludeDeviceFiles():
                self._first.append(DeviceFilesRule())
            case ExcludeOtherFilesystems():
                self._add(OtherFilesystemsRule())
            case ExcludeOlderThan(instant):
                self._add(OlderThanRule(instant))
            case _:
                # Markers and files-from are no rules: the walk asks about them.
                pass

    def _add(self, part: tuple[Answer, Glob] | Rule, last_include: str = "") -> None:
        self._parts.append(part)
        self._last_include = last_include

    def _add_pattern(self, pattern: str, answer: Answer) -> None:
        if not pattern or (pattern.lower() == IGNORE_CASE_PREFIX and self._syntax is Syntax.GLOB):
            option = "--include" if answer is Answer.INCLUDE else "--exclude"
            raise SelectionError(f"Option {option} cannot be empty. Give it a pattern")
        if self._syntax is Syntax.REGEXP:
            self._add_regexp(pattern, answer)
            return
        if self._mode is Mode.RESTORE:
            pattern = self._relative(pattern)
        if self._syntax is Syntax.LITERAL:
            glob = read_literal(pattern, ignore_case=self._ignore_case)
        else:
            glob = read_glob(pattern, ignore_case=self._ignore_case)
        if self._mode is Mode.BACKUP:
            self._check_within_root(glob, pattern)
        self._add((answer, glob), self._described(pattern, answer, self._syntax))

    def _add_regexp(self, expression: str, answer: Answer) -> None:
        if not expression:
            raise SelectionError("A regular expression cannot be empty. Give one that matches what you mean")
        flags = re.IGNORECASE if self._ignore_case else 0
        with warnings.catch_warnings():
            # Python warns of what it may understand differently one day; the user has asked for nothing of the kind.
            warnings.simplefilter("ignore", FutureWarning)
            compiled = compile_expression(expression, expression, flags=flags)
        self._add(RegexpRule(answer, compiled), self._described(expression, answer, Syntax.REGEXP))

    def _described(self, pattern: str, answer: Answer, syntax: Syntax) -> str:
        if answer is not Answer.INCLUDE:
            return ""
        return f"{syntax.value} include {'no-case' if self._ignore_case else 'case'}: {pattern}"

    def _relative(self, pattern: str) -> str:
        """The pattern without `./` before it; raises OutsideRoot unless it is relative to the backup's root."""
        prefixed = self._syntax is Syntax.GLOB and pattern.lower().startswith(IGNORE_CASE_PREFIX)
        start = len(IGNORE_CASE_PREFIX) if prefixed else 0
        prefix, path = pattern[:start], pattern[start:]
        while path.startswith("./") and len(path) > 2:
            path = path[2:]
        if path.startswith("/") or not {".", ".."}.isdisjoint(path.split("/")):
            raise OutsideRoot(
                f"Restore file selection pattern\n    {pattern}\nis invalid. Give paths relative to the backup's root, "
                "as list-current-files prints them: neither absolute nor with '.' or '..' in them"
            )
        return prefix + path

    def _check_within_root(self, glob: Glob, pattern: str) -> None:
        if not glob.matches(self._root, is_directory=True) and not glob.may_lead(self._root, is_directory=True):
            raise OutsideRoot(
                f"The file specification\n    {pattern}\ncannot match any files in the base directory\n"
                f"    {self._root}\nBegin it with the base directory, or with a pattern (such as '**') that matches it"
            )


def _with_lists_read(conditions: Iterable[Condition], *, null_separator: bool) -> Iterator[Condition]:
    for condition in conditions:
        match condition:
            case IncludeFilelist(_, content):
                yield from read_filelist(content, default=Include, null_separator=null_separator)
            case ExcludeFilelist(_, content):
                yield from read_filelist(content, default=Exclude, null_separator=null_separator)
            case _:
                yield condition


def _listed(conditions: Iterable[Condition], *, null_separator: bool) -> dict[bytes, tuple[bytes, ...]] | None:
    """What the last list of files says: of several, only that one counts."""
    listed = None
    for condition in conditions:
        if isinstance(condition, FilesFrom):
            listed = read_files_from(condition, null_separator=null_separator)
    return listed


def _check_modes(conditions: Sequence[Condition]) -> None:
    """Refuses switches that have no effect."""
    options = [one for one in conditions if not isinstance(one, NullSeparator)]
    switches = [one for one in options if isinstance(one, FilterSyntax | FilterCase)]
    if not switches:
        return
    if isinstance(options[-1], FilterSyntax | FilterCase):
        raise TrailingMode(
            f"The last file selection option is the filter option {_option(options[-1])}, which has no effect as there "
            "are no file selection options after it. Put it before those that it is meant for"
        )
    if all(switch in (FilterSyntax(Syntax.GLOB), FilterCase(ignore=False)) for switch in switches):
        shown = ", ".join(dict.fromkeys(_option(switch) for switch in switches))
        raise OnlyDefaultModes(
            f"Only these filter mode options were specified: {shown}. Case sensitive globbing is the default and so "
            "this has no effect. Leave them out"
        )


def _option(switch: FilterSyntax | FilterCase) -> str:
    if isinstance(switch, FilterCase):
        return "--filter-ignorecase" if switch.ignore else "--filter-strictcase"
    match switch.syntax:
        case Syntax.GLOB:
            return "--filter-globbing"
        case Syntax.LITERAL:
            return "--filter-literal"
        case Syntax.REGEXP:
            return "--filter-regexp"
    assert_never(switch.syntax)


def _check_for_restore(condition: Condition) -> None:
    names: dict[type[Condition], str] = {
        ExcludeIfPresent: "--exclude-if-present",
        ExcludeOtherFilesystems: "--exclude-other-filesystems",
        FilesFrom: "--files-from",
    }
    option = names.get(type(condition))
    if option is not None:
        raise SelectionError(
            f"Option {option} cannot be used with restore: it needs the files themselves. Leave it out"
        )
