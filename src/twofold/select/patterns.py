"""Many patterns asked at once: consecutive patterns of one action are one rule, whatever their number.

Always holds: the answer is that of asking each `Glob` in turn. It is found per directory: what lies above decides for
all of its entries, patterns that can match nothing in it are left out, names without wildcards are looked up.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from twofold.model.value import value
from twofold.select.glob import Glob, compile_expression
from twofold.select.rules import Answer, Facts, Placed

_Find = Callable[[Sequence[str]], Iterable[str]]


class PatternRule:
    """Globs that all include or all exclude."""

    def __init__(self, answer: Answer, globs: Sequence[Glob]) -> None:
        self._answer = answer
        self._globs = globs
        self._any = _Index([glob for glob in globs if not glob.only_directories])
        self._directories = _Index([glob for glob in globs if glob.only_directories])
        leading = globs if answer is Answer.INCLUDE else ()
        self._picky = [glob for glob in leading if glob.only_directories and not glob.is_plain]
        self._leads = _Leads(glob for glob in leading if not glob.only_directories or glob.is_plain)
        self._leads_of_directories = _Leads(self._picky)

    def at(self, directory: str, root_device: int) -> Placed | None:
        """The rule for the entries of `directory`, unless none of the patterns can say anything of them."""
        answer = self._answer
        above = _above(directory)
        if self._any.covers(directory, above) or self._directories.covers_plainly(above):
            return Placed(lambda names, facts: dict.fromkeys(names, answer), decision=answer)
        if self._directories.covers(directory, above):
            return self.slowly_at(directory)
        found = _Found(
            answer,
            any_kind=tuple(self._any.finders(directory, above)),
            directories=tuple(self._directories.finders(directory, above)),
            leads=tuple(self._leads.finders(directory, above)),
            leads_of_directories=tuple(self._leads_of_directories.finders(directory, above)),
            leads_of_files=tuple(self._file_leads(directory, above)),
        )
        return Placed(found.sweep) if found.is_possible else None

    def ask_one(self, path: str, facts: Facts) -> Answer:
        """The answer for a single path, by the definition of each glob."""
        is_directory = stat.S_ISDIR(facts.st_mode)
        if any(glob.matches(path, is_directory=is_directory) for glob in self._globs):
            return self._answer
        leading = self._globs if self._answer is Answer.INCLUDE else ()
        if any(glob.may_lead(path, is_directory=is_directory) for glob in leading):
            return Answer.MAYBE
        return Answer.NOTHING

    def slowly_at(self, directory: str) -> Placed:
        """As `at`, but slow, and right even for names that end with a line feed."""

        def sweep(names: Sequence[str], facts: Sequence[Facts]) -> dict[str, Answer]:
            answers = {name: self.ask_one(directory + name, known) for name, known in zip(names, facts, strict=True)}
            return {name: answer for name, answer in answers.items() if answer is not Answer.NOTHING}

        return Placed(sweep)

    def _file_leads(self, directory: str, above: Sequence[str]) -> Iterator[_Find]:
        """Patterns with a trailing slash are asked one by one: a file that one of them rejects may lead to another."""
        for glob in self._picky:
            if glob.fixed in above:
                yield _leading_files(glob, directory)


@value
class _Found:
    """How to find, among the entries of one directory, those that a rule has an answer for."""

    answer: Answer
    any_kind: tuple[_Find, ...]
    directories: tuple[_Find, ...]
    leads: tuple[_Find, ...]
    leads_of_directories: tuple[_Find, ...]
    leads_of_files: tuple[_Find, ...]

    @property
    def is_possible(self) -> bool:
        return bool(self.any_kind or self.directories or self.leads or self.leads_of_directories or self.leads_of_files)

    def sweep(self, names: Sequence[str], facts: Sequence[Facts]) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        _mark(answers, self.leads, names, Answer.MAYBE)
        if self.directories or self.leads_of_directories or self.leads_of_files:
            directories = [name for name, known in zip(names, facts, strict=True) if stat.S_ISDIR(known.st_mode)]
            _mark(answers, self.leads_of_directories, directories, Answer.MAYBE)
            if self.leads_of_files:
                others = set(directories)
                _mark(answers, self.leads_of_files, [name for name in names if name not in others], Answer.MAYBE)
            _mark(answers, self.directories, directories, self.answer)
        _mark(answers, self.any_kind, names, self.answer)
        return answers


def _mark(answers: dict[str, Answer], finders: Iterable[_Find], names: Sequence[str], answer: Answer) -> None:
    for find in finders:
        for name in find(names):
            answers[name] = answer


class _Index:
    """Finds which of many globs could match an entry of a directory, each kind of glob in its own way."""

    def __init__(self, globs: Iterable[Glob]) -> None:
        self._plain: dict[str, set[str]] = {}
        self._plain_directories: set[str] = set()
        named: list[Glob] = []
        others: list[Glob] = []
        for glob in globs:
            if glob.is_plain:
                _add_path(self._plain, glob.text)
                self._plain_directories.add(glob.text + "/")
            elif glob.name_part is not None:
                named.append(glob)
            else:
                others.append(glob)
        self._named = _Names(named)
        self._others = _Expressions((glob.fixed, glob) for glob in others)

    def covers(self, directory: str, above: Sequence[str]) -> bool:
        """Whether one of the globs matches the directory or one above it, so that it matches all below."""
        if self.covers_plainly(above) or self._named.covers(directory):
            return True
        below = self._others.for_all_below(above)
        return below is not None and below.match(directory) is not None

    def covers_plainly(self, above: Sequence[str]) -> bool:
        """Whether a glob without wildcards does."""
        return not self._plain_directories.isdisjoint(above)

    def finders(self, directory: str, above: Sequence[str]) -> Iterator[_Find]:
        names = self._plain.get(directory)
        if names is not None:
            yield names.intersection
        yield from self._named.finders(directory)
        yield from self._others.finders(directory, above)


class _Names:
    """Globs that the last component decides about: `**/name`, `**.suffix` and the like."""

    def __init__(self, globs: Iterable[Glob]) -> None:
        tails = [
            (glob.needs_slash, Glob(glob.name_part, ignore_case=glob.ignore_case))
            for glob in globs
            if glob.name_part is not None
        ]
        self._whole = frozenset(tail.text for whole, tail in tails if whole and tail.is_plain)
        self._suffixes = tuple({tail.text for whole, tail in tails if not whole and tail.is_plain})
        self._whole_expression = _alternatives(
            [tail.expression for whole, tail in tails if whole and not tail.is_plain]
        )
        self._end_expression = _alternatives(
            [f".*{tail.expression}" for whole, tail in tails if not whole and not tail.is_plain]
        )

    def covers(self, directory: str) -> bool:
        components = directory.split("/")[:-1]
        with_slash_before = components[1:]
        if not self._whole.isdisjoint(with_slash_before):
            return True
        if any(find(components) for find in self._finders_of_ends()):
            return True
        return self._whole_expression is not None and bool(_matching(self._whole_expression)(with_slash_before))

    def finders(self, directory: str) -> Iterator[_Find]:
        if directory:
            if self._whole:
                yield self._whole.intersection
            if self._whole_expression is not None:
                yield _matching(self._whole_expression)
        yield from self._finders_of_ends()

    def _finders_of_ends(self) -> Iterator[_Find]:
        if self._suffixes:
            suffixes = self._suffixes
            yield lambda names: [name for name in names if name.endswith(suffixes)]
        if self._end_expression is not None:
            yield _matching(self._end_expression)


class _Expressions:
    """Globs that whole paths are tried against, each with the directory outside of which it matches nothing."""

    def __init__(self, placed: Iterable[tuple[str, Glob]]) -> None:
        self._by_directory: dict[str, list[Glob]] = {}
        for fixed, glob in placed:
            self._by_directory.setdefault(fixed, []).append(glob)
        self._compiled: dict[tuple[str, ...], tuple[re.Pattern[str] | None, re.Pattern[str]]] = {}
        self._compiled_below: dict[tuple[str, ...], re.Pattern[str]] = {}

    def finders(self, directory: str, above: Sequence[str]) -> Iterator[_Find]:
        places = self._places(above)
        if not places:
            return
        if places not in self._compiled:
            globs = self._globs(places)
            # Most names are ruled out by their own component, without a look at the whole path.
            lasts = [glob.last_expression for glob in globs]
            known = [last for last in lasts if last is not None]
            first_look = _alternatives(known) if len(known) == len(lasts) else None
            self._compiled[places] = first_look, _compile((glob.expression for glob in globs), "")
        first_look, whole = self._compiled[places]
        yield _matching_paths(first_look, whole, directory)

    def for_all_below(self, above: Sequence[str]) -> re.Pattern[str] | None:
        """Matches, at its beginning, a directory of which, or above which, one of the globs matches."""
        places = self._places(above)
        if not places:
            return None
        if places not in self._compiled_below:
            self._compiled_below[places] = _compile((glob.expression for glob in self._globs(places)), "/")
        return self._compiled_below[places]

    def _places(self, above: Sequence[str]) -> tuple[str, ...]:
        by_directory = self._by_directory
        return tuple([place for place in above if place in by_directory]) if by_directory else ()

    def _globs(self, places: Iterable[str]) -> list[Glob]:
        return list(chain.from_iterable(self._by_directory[place] for place in places))


class _Leads:
    """The leading parts of globs that include: what may hold a match further down."""

    def __init__(self, globs: Iterable[Glob]) -> None:
        self._plain: dict[str, set[str]] = {}
        self._anything = False
        others: list[tuple[str, Glob]] = []
        for glob in globs:
            for lead in glob.leads:
                if lead.text == "**" and not glob.literal:
                    self._anything = True
                elif len(lead.text) < len(glob.fixed):
                    _add_path(self._plain, lead.text)
                else:
                    others.append((glob.fixed, lead))
        self._others = _Expressions(others)

    def finders(self, directory: str, above: Sequence[str]) -> Iterator[_Find]:
        if self._anything:
            yield lambda names: names
            return
        names = self._plain.get(directory)
        if names is not None:
            yield names.intersection
        yield from self._others.finders(directory, above)


def _matching_paths(
    first_look: re.Pattern[str] | None, whole: re.Pattern[str], directory: str
) -> Callable[[Sequence[str]], list[str]]:
    match = whole.fullmatch
    if first_look is None:
        return lambda names: [name for name in names if match(directory + name)]
    likely = first_look.fullmatch
    return lambda names: [name for name in names if likely(name) and match(directory + name)]


def _leading_files(glob: Glob, directory: str) -> Callable[[Sequence[str]], list[str]]:
    return lambda names: [name for name in names if glob.may_lead(directory + name, is_directory=False)]


def _matching(expression: re.Pattern[str]) -> Callable[[Sequence[str]], list[str]]:
    match = expression.fullmatch
    return lambda names: [name for name in names if match(name)]


def _above(directory: str) -> tuple[str, ...]:
    """The directory and all above it, the empty text first: `/a/b/` gives ``, `/`, `/a/`, `/a/b/`."""
    found = [""]
    position = directory.find("/") + 1
    while position:
        found.append(directory[:position])
        position = directory.find("/", position) + 1
    return tuple(found)


def _add_path(paths: dict[str, set[str]], path: str) -> None:
    directory = path[: path.rfind("/") + 1]
    paths.setdefault(directory, set()).add(path[len(directory) :])


def _alternatives(expressions: Sequence[str]) -> re.Pattern[str] | None:
    return _compile(expressions, "") if expressions else None


def _compile(expressions: Iterable[str], end: str) -> re.Pattern[str]:
    joined = "|".join(dict.fromkeys(expressions))
    return compile_expression(f"(?:{joined}){end}", joined)
