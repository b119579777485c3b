"""The compiled selection: asked by a walk about the entries of one directory at a time.

A selector does not touch the file system and keeps no state between directories but what makes it faster. Paths are
relative to the root, which itself is always taken and never asked about.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Mapping, Sequence
from enum import Enum

from twofold.select.patterns import PatternRule
from twofold.select.rules import Answer, Facts, OtherFilesystemsRule, Placed, Rule, Sweep


class Verdict(Enum):
    """`SCAN` is for directories only: to be looked into, but taken only if something below is taken."""

    INCLUDE = "include"
    EXCLUDE = "exclude"
    SCAN = "scan"


class Selector:
    """Says what of a tree is to be taken. Not to be used by two threads at once."""

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        base: str = "",
        markers: frozenset[bytes] = frozenset(),
        listed: Mapping[bytes, tuple[bytes, ...]] | None = None,
    ) -> None:
        """`base` is what stands before every path when it is matched: with a slash at its end, or empty."""
        self._rules = rules
        self._base = base
        self._markers = markers
        self._listed = listed
        self._remembered: tuple[bytes, int] | None = None
        self._sweeps: tuple[Sweep, ...] = ()
        self._decided: Verdict | None = None

    @property
    def trivial(self) -> bool:
        """Whether everything is taken, so that nothing needs to be asked."""
        return not (self._rules or self._markers or self._listed is not None)

    @property
    def needs_device(self) -> bool:
        """Whether `choose` has to be told the root's device."""
        return any(isinstance(rule, OtherFilesystemsRule) for rule in self._rules)

    @property
    def has_markers(self) -> bool:
        """Whether `is_barred` can ever say yes."""
        return bool(self._markers)

    @property
    def has_list(self) -> bool:
        """Whether `listed` ever restricts the walk."""
        return self._listed is not None

    def listed(self, directory: bytes) -> tuple[bytes, ...] | None:
        """The only entries of `directory` that exist for the walk, sorted, whether or not they are there; None: all."""
        return None if self._listed is None else self._listed.get(directory, ())

    def is_barred(self, directory: bytes, names: Collection[bytes]) -> bool:
        """Whether a directory with entries of these names is left out, and all in it, for a marker among them."""
        return bool(directory) and not self._markers.isdisjoint(names)

    def choose(
        self, directory: bytes, names: Sequence[bytes], *, facts: Sequence[Facts], root_device: int = 0
    ) -> list[Verdict]:
        """The verdict on each entry of a directory, in the order given; `facts` holds what is known of each.

        Markers are not looked for: ask `is_barred` about each directory that would be entered.
        """
        # A line feed at a name's end is the one thing that looking names up would get wrong.
        self._place(directory, root_device, odd=b"\n" in b"\0".join(names))
        if self._decided is not None:
            return [self._decided] * len(names)
        texts = [name.decode("utf-8", "surrogateescape") for name in names]
        verdicts = _verdicts(self._sweeps, texts, facts)
        if not verdicts:
            return [Verdict.INCLUDE] * len(names)
        return [verdicts.get(name, Verdict.INCLUDE) for name in texts]

    def _place(self, directory: bytes, root_device: int, *, odd: bool) -> None:
        """Prepares the rules for a directory; nothing is to be done if the last question was about the same."""
        if self._remembered == (directory, root_device) and not odd:
            return
        self._remembered = None if odd else (directory, root_device)
        prefix = self._base
        if directory:
            prefix += directory.decode("utf-8", "surrogateescape") + "/"
        sweeps: list[Sweep] = []
        decision: Answer | None = None
        for rule in self._rules:
            if odd and isinstance(rule, PatternRule):
                placed: Placed | None = rule.slowly_at(prefix)
            else:
                placed = rule.at(prefix, root_device)
            if placed is None:
                continue
            sweeps.append(placed.sweep)
            if placed.decision is not None:
                decision = placed.decision
                break
        self._sweeps = tuple(sweeps)
        self._decided = Verdict.INCLUDE if not sweeps else None
        if len(sweeps) == 1 and decision is not None:
            self._decided = Verdict.EXCLUDE if decision is Answer.EXCLUDE else Verdict.INCLUDE


def _verdicts(sweeps: Sequence[Sweep], names: Sequence[str], facts: Sequence[Facts]) -> dict[str, Verdict]:
    """What the first rule that knows says of each name; a `MAYBE` before it turns no into a look inside.

    Names that nothing is said of are left out: they are included.
    """
    decided: dict[str, Verdict] = {}
    perhaps: set[str] = set()
    for sweep in sweeps:
        for name, answer in sweep(names, facts).items():
            if name in decided:
                continue
            if answer is Answer.MAYBE:
                perhaps.add(name)
            elif answer is Answer.INCLUDE:
                decided[name] = Verdict.INCLUDE
            else:
                decided[name] = Verdict.SCAN if name in perhaps else Verdict.EXCLUDE
    for name, known in zip(names, facts, strict=True) if perhaps else ():
        if name in perhaps and decided.get(name) is not Verdict.INCLUDE:
            decided[name] = Verdict.SCAN if stat.S_ISDIR(known.st_mode) else Verdict.EXCLUDE
    return decided
