"""Values and records behave as dataclasses do."""

from __future__ import annotations

from functools import cached_property

import pytest

from twofold.model.value import field, record, replace, value


@value
class Volume:
    """One."""

    number: int
    name: str = "nameless"
    tags: dict[str, int] = field(default_factory=dict, hash=False)
    key: str | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        return f"{self.number} {self.name}"


@value
class Nothing:
    """No fields at all."""


@value
class Positive:
    """Checks itself."""

    number: int

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(self.number)


@record
class Counter:
    """Can be counted up."""

    count: int = 0
    names: list[str] = field(default_factory=list)


def test_fields_are_given_by_place_by_name_or_by_default():
    assert Volume(3, key="x") == Volume(number=3, name="nameless", tags={}, key="x")
    assert Volume(3, "a").title == "3 a"


def test_each_value_gets_its_own_default_from_a_factory():
    assert Volume(1).tags is not Volume(1).tags
    assert Counter().names is not Counter().names


@pytest.mark.parametrize(
    "make",
    [
        Volume,
        lambda: Volume(1, number=2),
        lambda: Volume(1, size=2),
        lambda: Volume(1, "a", {}, None, 5),
        lambda: Nothing(1),
    ],
)
def test_what_does_not_fit_the_fields_is_refused(make):
    with pytest.raises((TypeError, ValueError)):
        make()


def test_nothing_of_a_value_can_be_set_or_deleted():
    volume = Volume(1)
    for change in (lambda: setattr(volume, "number", 2), lambda: setattr(volume, "size", 2)):
        with pytest.raises(AttributeError):
            change()
    with pytest.raises(AttributeError):
        del volume.number
    assert volume.number == 1
    assert not hasattr(volume, "__dict__")


def test_values_are_equal_within_their_class_only():
    assert Volume(1) == Volume(1)
    assert Volume(1) != Volume(2)
    assert Positive(1) != Volume(1)
    assert Nothing() == Nothing()
    assert Positive(1) != (1,)


def test_the_hash_leaves_out_what_has_none():
    assert hash(Volume(1)) == hash(Volume(1, tags={"a": 1}))
    assert len({Volume(1, "a", {}), Volume(2), Volume(2), Nothing(), Nothing()}) == 3
    with pytest.raises(TypeError):
        hash(Counter())


def test_secrets_are_not_shown():
    assert repr(Volume(1, "a", key="secret")) == "Volume(number=1, name='a', tags={})"


def test_a_value_is_checked_when_it_is_made():
    assert Positive(1).number == 1
    with pytest.raises(ValueError, match="0"):
        Positive(0)


def test_fields_are_exchanged_in_a_copy():
    volume = Volume(1, "a", key="k")
    assert replace(volume, name="b") == Volume(1, "b", key="k")
    assert volume.name == "a"
    with pytest.raises(TypeError):
        replace(volume, size=3)


def test_values_are_taken_apart_by_match():
    match Volume(5, "five"):
        case Volume(number, name):
            assert (number, name) == (5, "five")


def test_fields_of_a_record_can_be_set():
    counter = Counter()
    counter.count += 1
    assert counter == Counter(1)
    with pytest.raises(AttributeError):
        counter.size = 1


@value
class Squared:
    """Computes once."""

    number: int

    @cached_property
    def square(self) -> list[int]:
        return [self.number**2]


def test_properties_can_be_cached():
    squared = Squared(3)
    assert squared.square == [9]
    assert squared.square is squared.square
