"""Settings: ranges, choices and finite numbers, checked when an object is made."""

import dataclasses
import math
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modelwright.base.configure import configure
from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.setting import Settings, check_setting, describe_settings, setting

# --- ranges


def field(**rule: Any) -> "dataclasses.Field[Any]":
    @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
    class Config(Settings):
        value: Any = setting(None, doc="A value.", **rule)

    return dataclasses.fields(Config)[0]


BOUNDS = st.none() | st.integers(-3, 3) | st.sampled_from([-1.5, 0.25, 2.5])
VALUES = st.integers(-5, 5) | st.floats(-5, 5) | st.sampled_from([-1.5, 0.25, 2.5])


@given(value=VALUES, low=BOUNDS, high=BOUNDS, above=BOUNDS, below=BOUNDS)
def test_a_number_is_taken_exactly_where_every_bound_holds(
    value: float, low: float | None, high: float | None, above: float | None, below: float | None
) -> None:
    bounds = {"low": low, "high": high, "above": above, "below": below}
    assume(any(bound is not None for bound in bounds.values()))
    inside = (
        value >= (-math.inf if low is None else low)
        and value <= (math.inf if high is None else high)
        and value > (-math.inf if above is None else above)
        and value < (math.inf if below is None else below)
    )
    if inside:
        check_setting("mlp.rate", field(**bounds), value)
        return
    with pytest.raises(BadValue, match=r"^mlp\.rate must be a number ") as caught:
        check_setting("mlp.rate", field(**bounds), value)
    assert caught.value.got == value
    for word, bound in (("at least", low), ("at most", high), ("above", above), ("below", below)):
        assert (bound is not None) == (f"{word} {bound}" in caught.value.rule)
    if caught.value.nearest is not None:
        # What is suggested is allowed, and it is an end of the range.
        check_setting("mlp.rate", field(**bounds), float(caught.value.nearest))
        assert float(caught.value.nearest) in (low, high)
    elif above is None and below is None and not (low is not None and high is not None and low > high):
        pytest.fail("a closed range has a nearest value")


@pytest.mark.parametrize("place", ["low", "high", "above", "below"])
@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, True, False, "3", "", [1], {"a": 1}, 1j, (math.nan,), (1, "2"), ((1,),)],
)
def test_what_is_no_finite_number_is_in_no_range(place: str, value: object) -> None:
    bound = {"low": -10, "above": -10, "high": 10, "below": 10}[place]
    with pytest.raises(BadValue, match="must be a number"):
        check_setting("a.b", field(**{place: bound}), value)


def test_bounds_are_told_exactly() -> None:
    with pytest.raises(BadValue, match=r"at most 16777215\. Got 16777216\. Nearest: 16777215\.$"):
        check_setting("a.b", field(high=16_777_215), 16_777_216)
    with pytest.raises(BadValue, match=r"at least 0\.1234567 .*Nearest: 0\.1234567\.$"):
        check_setting("a.b", field(low=0.1234567, high=1.0), 0)
    with pytest.raises(BadValue, match=r"at least 1e-300 and at most 1\. "):
        check_setting("a.b", field(low=1e-300, high=1.0), 0)


def test_integers_of_any_size_are_compared_without_overflow() -> None:
    check_setting("a.b", field(low=0), 10**400)
    with pytest.raises(BadValue, match="Nearest: 5"):
        check_setting("a.b", field(high=5), 10**400)


def test_each_item_of_a_tuple_obeys_the_rule() -> None:
    check_setting("rule.looks", field(low=2), (2, 3, 50))
    check_setting("rule.looks", field(low=2), ())
    with pytest.raises(BadValue, match=r"at least 2\. Got 1\. Nearest: 2"):
        check_setting("rule.looks", field(low=2), (5, 1))
    check_setting("a.b", field(choices=("x", "y")), ("y", "x", "y"))
    with pytest.raises(UnknownName, match="Got z"):
        check_setting("a.b", field(choices=("x", "y")), ("x", "z"))


@pytest.mark.parametrize("rule", [{"low": 1}, {"choices": ("x",)}, {}])
def test_null_passes_because_the_type_decides_it(rule: dict[str, Any]) -> None:
    check_setting("a.b", field(**rule), None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, (1.0, math.nan)])
def test_a_number_without_bounds_is_finite_all_the_same(value: object) -> None:
    with pytest.raises(BadValue, match=r"question\.margin must be a finite number\. Got -?(nan|inf)"):
        check_setting("question.margin", field(), value)


# --- choices


def test_a_wrong_choice_is_answered_with_the_nearest_right_one() -> None:
    rule = field(choices=("adam", "adamw", "sgd"))
    check_setting("mlp.optimizer", rule, "sgd")
    with pytest.raises(UnknownName) as caught:
        check_setting("mlp.rule", rule, "adm")
    assert str(caught.value) == (
        "No choice for mlp.rule has this name. Got adm. Nearest: adam. Next: choose one of: adam, adamw, sgd."
    )


@pytest.mark.parametrize("value", ["Adam", "", "adam ", 0, True, ["adam"]])
def test_choices_are_taken_literally(value: object) -> None:
    with pytest.raises(UnknownName):
        check_setting("mlp.optimizer", field(choices=("adam", "sgd")), value)


# --- the class


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Base(Settings):
    """Fields of a family."""

    width: int = setting(16, doc="Hidden units.", low=1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Config(Base):
    """A configuration with a field of every kind."""

    name: str = setting(doc="Its name.")
    kind: Literal["a", "b"] = setting("a", doc="Its kind.", choices=("a", "b"))
    rate: float | None = setting(0.1, doc="Size of a step.", above=0, below=1)
    looks: tuple[int, ...] = setting((), doc="When it is looked at.", low=2)
    inside: dict[str, int] = setting(doc="More.", factory=dict)


def test_a_configuration_holds_its_defaults_and_what_was_given() -> None:
    made = Config(name="x", width=3)
    assert (made.width, made.name, made.kind, made.rate, made.looks, made.inside) == (
        3,
        "x",
        "a",
        0.1,
        (),
        {},
    )
    assert made == Config(name="x", width=3)
    assert made.inside is not Config(name="x").inside


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"width": 0}, "width"),
        ({"rate": 1}, "rate"),
        ({"rate": math.nan}, "rate"),
        ({"looks": (4, 1)}, "looks"),
        ({"kind": "c"}, "kind"),
    ],
)
def test_every_field_is_checked_inherited_ones_too_and_named_by_file_and_field(
    values: dict[str, Any], place: str
) -> None:
    with pytest.raises((BadValue, UnknownName), match=rf"test_setting\.{place}\b"):
        Config(name="x", **values)
    with pytest.raises((BadValue, UnknownName)):
        dataclasses.replace(Config(name="x"), **values)


def test_a_configuration_may_name_its_place_in_a_design() -> None:
    @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
    class Budget(Settings):
        PLACE: ClassVar[str] = "budget"

        seconds: float = setting(1.0, doc="Seconds.", above=0)

    assert [row["name"] for row in describe_settings(Budget)] == ["seconds"]
    with pytest.raises(BadValue, match=r"^budget\.seconds must be a number above 0"):
        Budget(seconds=0)
    with pytest.raises(UnknownName, match=r"^No setting of budget has this name"):
        configure(Budget, {"second": 1})


def test_a_configuration_is_frozen_and_its_required_fields_are_required() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config(name="x").width = 2  # type: ignore[misc]
    with pytest.raises(TypeError, match="name"):
        Config()  # type: ignore[call-arg]


def test_a_whole_number_in_a_field_of_floats_becomes_a_float() -> None:
    @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
    class Pair(Settings):
        share: float | None = setting(None, doc="A share.", low=0)
        either: int | float = setting(1, doc="Either.")

    assert type(Pair(share=1).share) is float
    assert type(Pair(either=1).either) is int
    assert Pair(share=None).share is None


# --- description


def test_fields_are_described_for_help_texts() -> None:
    rows = {row["name"]: row for row in describe_settings(Config)}
    assert list(rows) == ["width", "name", "kind", "rate", "looks", "inside"]
    assert rows["width"] == {
        "name": "width",
        "type": "int",
        "required": False,
        "default": 16,
        "doc": "Hidden units.",
        "low": 1,
        "high": None,
        "above": None,
        "below": None,
        "choices": None,
    }
    assert (rows["name"]["required"], rows["name"]["default"]) == (True, None)
    assert (rows["inside"]["required"], rows["inside"]["default"]) == (False, {})
    assert {name: row["type"] for name, row in rows.items()} == {
        "width": "int",
        "name": "str",
        "kind": "typing.Literal['a', 'b']",
        "rate": "float | None",
        "looks": "tuple[int, ...]",
        "inside": "dict[str, int]",
    }
