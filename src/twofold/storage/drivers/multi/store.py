"""multi:///file.json: several stores as one, each file on all of them (mirror) or on one in turn (stripe).

The file and what it says are duplicity's (docs/cli.md section 5.3). Where `onfail` lets a failing store be passed over,
that is said in a warning. Of a stripe every store is needed to know what is there; of a mirror any one is, but as long
as one could not be listed nothing is deleted: what looks incomplete may be whole there.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from twofold.concurrency import exclusion
from twofold.errors import Incomplete, NotFound, StorageError, Unavailable
from twofold.model.value import replace
from twofold.storage.drivers.multi.configuration import Entry, Mode, OnFailure, Plan, read_entries, read_plan
from twofold.storage.passwords import find_password
from twofold.storage.registry import open_store
from twofold.storage.settings import StoreSettings, nobody_is_told
from twofold.storage.store import (
    Atomicity,
    ByteCounter,
    CanReportSpace,
    CanSeeWriters,
    Key,
    Operation,
    Store,
    StoredFile,
    StoreTraits,
    ability,
    ignore_bytes,
)
from twofold.storage.url import StorageUrl

T = TypeVar("T")


class Member(NamedTuple):
    """An opened store, what messages call it, and beginnings of names of which it has a share of its own."""

    name: str
    store: Store
    prefixes: tuple[str, ...] = ()


class _Failed(NamedTuple):
    member: Member
    error: StorageError


class MultiStore:
    """A Store over several, tried in their order; also CanReportSpace and CanSeeWriters.

    Who gets a file again is given that of the next store: the first one must have been found wrong.
    """

    def __init__(self, members: Sequence[Member], plan: Plan, *, warn: Callable[[str], None] = nobody_is_told) -> None:
        self._members = tuple(members)
        self._plan = plan
        self._warn = warn
        self._turn = itertools.count()
        self._given: Counter[str] = Counter()
        self._holders: dict[str, Member] = {}
        self._has_looked = False
        self._looking = exclusion()
        self._unlisted = ""

    @classmethod
    def from_url(cls, url: StorageUrl, settings: StoreSettings) -> MultiStore:
        """Raises StorageError when the file or a parameter is wrong, and what the stores' own drivers raise."""
        place = url.redacted()
        plan = read_plan(url.parameters, place=place)
        try:
            with open("/" + url.path.lstrip("/"), encoding="utf-8") as file:
                entries = read_entries(file.read(), place=place)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            raise StorageError(f"The list of stores of {place} cannot be read: {reason}") from error
        if plan.mode is Mode.STRIPE and any(entry.prefixes for entry in entries):
            raise StorageError(f"{place}: prefixes work with mode=mirror only")
        return cls([_opened(entry, plan, settings) for entry in entries], plan, warn=settings.warn)

    @property
    def traits(self) -> StoreTraits:
        all_traits = [member.store.traits for member in self._members]
        weakest = [Atomicity.BY_SIZE_CHECK, Atomicity.BY_RENAME, Atomicity.BY_NATURE]
        sizes = [traits.largest_file for traits in all_traits if traits.largest_file is not None]
        return StoreTraits(
            parallel=min(traits.parallel for traits in all_traits),
            atomic_put=min((traits.atomic_put for traits in all_traits), key=weakest.index),
            largest_file=min(sizes, default=None),
            consistent_list=all(traits.consistent_list for traits in all_traits),
        )

    def put(self, key: Key, source: str, *, sent: ByteCounter = ignore_bytes) -> StoredFile:
        return self._striped(key, source, sent) if self._is_striped else self._mirrored(key, source, sent)

    def get(self, key: Key, target: str, *, received: ByteCounter = ignore_bytes) -> None:
        members = [*self._in_order(key.name)]
        if not self._is_striped:
            first = self._given[key.name] % len(members)
            self._given[key.name] += 1
            members = members[first:] + members[:first]

        def get(store: Store) -> None:
            with _TakingBack(received) as counter:
                store.get(key, target, received=counter)

        self._first(Operation.GET, key.name, members, get)

    def list(self) -> Iterator[StoredFile]:
        found: dict[str, StoredFile] = {}
        holders: dict[str, Member] = {}
        failed: list[_Failed] = []
        for member in self._members:
            try:
                for file in [*member.store.list()]:
                    found.setdefault(file.name, file)
                    holders.setdefault(file.name, member)
            except StorageError as error:
                failed.append(_Failed(member, error))
        if failed and (self._is_striped or len(failed) == len(self._members)):
            raise _together(Operation.LIST, "", failed) from failed[-1].error
        self._tell(failed)
        if failed:  # and so it stays: plans may have been made of this listing
            self._unlisted = failed[0].member.name
        self._holders = holders
        self._has_looked = True
        return iter(found.values())

    def stat(self, key: Key) -> StoredFile:
        return self._first(Operation.STAT, key.name, self._in_order(key.name), lambda store: store.stat(key))

    def delete(self, key: Key) -> None:
        if self._unlisted:
            reason = f"{self._unlisted} could not be listed, and what looks incomplete without it may be whole there"
            raise StorageError(
                f"{key.name} is not deleted: {reason}; see to that store, or take it out of the list of stores",
                name=key.name,
                operation=Operation.DELETE.value,
            )
        failed = _everywhere(self._members, lambda member: member.store.delete(key))
        self._settle(Operation.DELETE, key.name, failed, of=len(self._members))
        self._holders.pop(key.name, None)

    def free_bytes(self) -> int | None:
        """Of a mirror the room that the smallest has, of a stripe all of it together."""
        numbers = []
        for member in self._members:
            reporter = ability(member.store, CanReportSpace)
            number = reporter.free_bytes() if reporter is not None else None
            if number is None:
                return None
            numbers.append(number)
        return sum(numbers) if self._is_striped else min(numbers)

    def has_other_writer(self) -> bool:
        found: list[bool] = []

        def look(member: Member) -> None:
            if (seer := ability(member.store, CanSeeWriters)) is not None:
                found.append(seer.has_other_writer())

        _everywhere(self._members, look)  # of one that fails it cannot be known
        return any(found)

    def close(self) -> None:
        for failed in _everywhere(self._members, lambda member: member.store.close()):
            raise failed.error

    # ---- storing ----------------------------------------------------------------------------------------------------

    @property
    def _is_striped(self) -> bool:
        return self._plan.mode is Mode.STRIPE

    def _mirrored(self, key: Key, source: str, sent: ByteCounter) -> StoredFile:
        wanted = [member for member in self._members if key.name.startswith(member.prefixes)] or self._members
        stored: list[StoredFile] = []

        def put(member: Member) -> None:
            # Whoever counts is told of one copy.
            with _TakingBack(ignore_bytes if stored else sent) as counter:
                stored.append(member.store.put(key, source, sent=counter))

        failed = _everywhere(wanted, put)
        self._settle(Operation.PUT, key.name, failed, of=len(wanted))
        return stored[0]

    def _striped(self, key: Key, source: str, sent: ByteCounter) -> StoredFile:
        with self._looking:
            if not self._has_looked:
                self.list()
        start = next(self._turn) % len(self._members)
        holder = self._holders.get(key.name)
        members = self._members[start:] + self._members[:start]
        if holder is not None or self._plan.on_failure is OnFailure.ABORT:
            # Replaced where it is: elsewhere there would be two of that name.
            members = (holder or members[0],)
        failed: list[_Failed] = []
        for member in members:
            try:
                with _TakingBack(sent) as counter:
                    stored = member.store.put(key, source, sent=counter)
            except StorageError as error:
                failed.append(_Failed(member, error))
            else:
                self._tell(failed)
                self._holders[key.name] = member
                return stored
        raise _together(Operation.PUT, key.name, failed) from failed[-1].error

    # ---- what several stores say ------------------------------------------------------------------------------------

    def _in_order(self, name: str) -> Iterable[Member]:
        """All stores, the one first in which the file was seen first."""
        holder = self._holders.get(name)
        return self._members if holder is None else (holder, *(each for each in self._members if each is not holder))

    def _first(self, operation: Operation, name: str, members: Iterable[Member], ask: Callable[[Store], T]) -> T:
        """The answer of the first store that has one."""
        failed: list[_Failed] = []
        for member in members:
            try:
                answer = ask(member.store)
            except StorageError as error:
                failed.append(_Failed(member, error))
            else:
                self._tell(failure for failure in failed if not isinstance(failure.error, NotFound))
                return answer
        raise _together(operation, name, failed) from failed[-1].error

    def _settle(self, operation: Operation, name: str, failed: Sequence[_Failed], *, of: int) -> None:
        """Passes failures over, or raises them."""
        if failed and (len(failed) == of or self._plan.on_failure is OnFailure.ABORT):
            raise _together(operation, name, failed) from failed[-1].error
        self._tell(failed)

    def _tell(self, failed: Iterable[_Failed]) -> None:
        for member, error in failed:
            self._warn(f"{member.name} is passed over: {error}")


class _TakingBack:
    """A ByteCounter whose bytes are taken back if what was counted fails."""

    def __init__(self, told: ByteCounter) -> None:
        self._told = told
        self._moved = 0

    def __enter__(self) -> ByteCounter:
        return self._count

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, StorageError) and self._moved:
            self._told(-self._moved)

    def _count(self, number: int) -> None:
        self._moved += number
        self._told(number)


def _everywhere(members: Iterable[Member], do: Callable[[Member], None]) -> list[_Failed]:
    """Does it with every store and gives those with which it failed."""
    failed = []
    for member in members:
        try:
            do(member)
        except StorageError as error:
            failed.append(_Failed(member, error))
    return failed


def _together(operation: Operation, name: str, failed: Sequence[_Failed]) -> StorageError:
    """One error for those of all stores. It is not tried again: the stores have tried again themselves."""
    errors = [each for each in failed if not isinstance(each.error, NotFound)]
    kinds = {type(each.error) for each in errors or failed}
    kind = StorageError if errors else NotFound
    if len(kinds) == 1 and not kinds & {Unavailable, Incomplete}:
        kind = kinds.pop()
    reasons = "; ".join(f"{each.member.name}: {each.error}" for each in errors or failed)
    return kind(reasons, name=name, operation=operation.value)


def _opened(entry: Entry, plan: Plan, settings: StoreSettings) -> Member:
    url = StorageUrl.parse(entry.url + plan.subpath)
    place = url.redacted()
    if url.scheme == "multi":
        raise StorageError(f"{place} cannot be one of several stores; write those it lists into one file")
    environment = {**settings.environment, **dict(entry.variables)}
    found = find_password(url, environment, ask=None) if url.host else None
    own = replace(settings, environment=environment, password=None if found is None else found.value)
    name = f"{entry.description} ({place})" if entry.description else place
    return Member(name, settings.patient(open_store(url, settings=own)), entry.prefixes)
