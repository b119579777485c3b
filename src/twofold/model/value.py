"""Classes of named fields that cost next to nothing to define: `value` makes frozen ones, `record` others.

They are what `dataclasses.dataclass(slots=True)` makes, frozen or not, but no source text is compiled for each class: a
hundred dataclasses took half of the program's start. Type checkers take them for dataclasses. Always holds: the fields
are the annotated names in their order, equality needs the same class, and nothing of a value can be set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, TypeVar, dataclass_transform, overload

_T = TypeVar("_T")
_REQUIRED: Final = object()


class _Field:
    """What is known of one field until its class is made."""

    def __init__(self, default: object, factory: Callable[[], object] | None, *, shown: bool, hashed: bool) -> None:
        self.default = default
        self.factory = factory
        self.shown = shown
        self.hashed = hashed

    @property
    def is_required(self) -> bool:
        return self.default is _REQUIRED and self.factory is None

    def fallback(self) -> object:
        return self.default if self.factory is None else self.factory()


@overload
def field(*, default: _T, repr: bool = True, hash: bool = True) -> _T: ...
@overload
def field(*, default_factory: Callable[[], _T], repr: bool = True, hash: bool = True) -> _T: ...
@overload
def field(*, repr: bool = True, hash: bool = True) -> Any: ...
def field(
    *,
    default: object = _REQUIRED,
    default_factory: Callable[[], object] | None = None,
    repr: bool = True,  # noqa: A002 - type checkers know these names
    hash: bool = True,  # noqa: A002
) -> object:
    """A field with more to say than its default: secrets are kept out of `repr`, mappings out of the hash."""
    return _Field(default, default_factory, shown=repr, hashed=hash)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[_T]) -> type[_T]:
    """A frozen class with the annotated fields; `__post_init__` may raise what they must not be."""
    return _remade(cls, frozen=True)


@dataclass_transform(field_specifiers=(field,))
def record(cls: type[_T]) -> type[_T]:
    """The same, but its fields may be set, so that it has no hash."""
    return _remade(cls, frozen=False)


def replace(old: _T, **changes: object) -> _T:
    """A value with some fields exchanged."""
    names: tuple[str, ...] = old.__match_args__  # type: ignore[attr-defined]
    return type(old)(**{name: getattr(old, name) for name in names} | changes)


def _remade(cls: type[_T], *, frozen: bool) -> type[_T]:
    """The class with slots, which only a new one can have."""
    names = tuple(cls.__annotations__)
    own = {name: each for name, each in vars(cls).items() if name not in ("__dict__", "__weakref__", *names)}
    fields = {name: _as_field(vars(cls).get(name, _REQUIRED)) for name in names}
    setters: list[Callable[[object, object], None]] = []
    methods: dict[str, object] = {
        "__init__": _initializer(cls.__qualname__, fields, setters, checked="__post_init__" in own),
        "__repr__": _representation(cls.__qualname__, [name for name in names if fields[name].shown]),
        "__eq__": _equality(names),
        "__hash__": _hashing([name for name in names if fields[name].hashed]) if frozen else None,
    }
    if frozen:
        methods |= {"__setattr__": _refuse, "__delattr__": _refuse}
    # Cached properties lie in a dictionary, which slots are there to do without.
    slots = (*names, "__dict__") if any(type(each) is cached_property for each in own.values()) else names
    body = {**methods, **own, "__slots__": slots, "__match_args__": names}
    made: type[_T] = type.__new__(type(cls), cls.__name__, cls.__bases__, body)
    setters += [vars(made)[name].__set__ for name in names]
    return made


def _as_field(default: object) -> _Field:
    return default if isinstance(default, _Field) else _Field(default, None, shown=True, hashed=True)


def _initializer(
    title: str, fields: dict[str, _Field], setters: list[Callable[[object, object], None]], *, checked: bool
) -> Callable[..., None]:
    count = len(fields)

    def initialize(self: object, /, *given: object, **named: object) -> None:
        if named or len(given) != count:
            given = (*given, *_rest(title, fields, len(given), named))
        for put, each in zip(setters, given, strict=True):
            put(self, each)
        if checked:
            self.__post_init__()  # type: ignore[attr-defined]

    return initialize


def _rest(title: str, fields: dict[str, _Field], given: int, named: dict[str, object]) -> Iterator[object]:
    """What fills the fields behind the first `given` ones. Raises TypeError."""
    open_names = list(fields)[given:]
    for name in named:
        if name not in open_names:
            raise TypeError(f"{title} has no field {name!r} to be given by name")
    for name in open_names:
        if name not in named and fields[name].is_required:
            raise TypeError(f"{title} needs a value for {name!r}")
        yield named[name] if name in named else fields[name].fallback()


def _representation(title: str, names: list[str]) -> Callable[[object], str]:
    return lambda self: f"{title}({', '.join([f'{name}={getattr(self, name)!r}' for name in names])})"


def _equality(names: tuple[str, ...]) -> Callable[[object, object], object]:
    content = attrgetter("__class__", *names)

    def equal(self: object, other: object) -> object:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return content(self) == content(other)

    return equal


def _hashing(names: list[str]) -> Callable[[object], int]:
    content = attrgetter("__class__", *names)
    return lambda self: hash(content(self))


def _refuse(self: object, name: str, *_: object) -> None:
    raise AttributeError(f"{type(self).__qualname__} is a value: {name!r} cannot be set or deleted")
