"""Configurations from plain values: names, types, places, and whatever YAML or Python may hand over."""

import dataclasses
import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Literal, Optional, Union

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.base.configure import configure
from modelwright.base.errors import BadValue, Misuse, UnknownName
from modelwright.base.fingerprint import jsonable
from modelwright.base.setting import Settings, setting

Direction = Literal["maximize", "minimize"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Leaf(Settings):
    """The innermost group."""

    size: int = setting(3, doc="A size.", low=1, high=9)
    rate: float = setting(0.5, doc="A rate.", above=0)
    deeper: "Leaf | None" = setting(None, doc="One more.")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Settings):
    """A field of every kind."""

    name: str = setting("x", doc="Text.")
    count: int = setting(1, doc="Whole number.")
    share: float = setting(0.5, doc="Number.")
    flag: bool = setting(False, doc="True or false.")
    maybe_count: int | None = setting(None, doc="Whole number or null.")
    maybe_share: Optional[float] = setting(None, doc="Number or null, the old way.")  # noqa: UP045
    either: int | float = setting(1, doc="Both kinds of number.")
    text_or_count: Union[str, int] = setting("a", doc="Text or whole number.")  # noqa: UP007
    direction: Direction | Literal[""] = setting("", doc="Literals of two names.")
    level: Literal[1, 2, None] = setting(1, doc="Literals of numbers.")
    leaf: Leaf = setting(Leaf(), doc="A group.")
    maybe_leaf: Leaf | None = setting(None, doc="A group or null.")
    several: tuple[Leaf, ...] = setting((), doc="Groups.")
    looks: tuple[int, ...] = setting((), doc="Whole numbers.", low=2)
    pairs: tuple[tuple[str, str], ...] = setting((), doc="Pairs.")
    maybe_list: tuple[float, ...] | None = setting(None, doc="Numbers or null.")
    list_or_text: tuple[str, ...] | str = setting("a", doc="Texts or one.")
    point: tuple[float, str] = setting((0.0, "m"), doc="Number and unit.")
    table: Mapping[str, int] = setting(factory=dict, doc="Names to numbers.")
    groups: Mapping[str, Leaf] = setting(factory=dict, doc="Names to groups.")
    variants: Mapping[str, Mapping[str, Any]] = setting(factory=dict, doc="Names to anything.")
    anything: Any = setting(None, doc="Anything.")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Demanding(Settings):
    """Required fields."""

    metric: str = setting(doc="What decides.")
    limit: float | None = setting(doc="A number, or null on purpose.")
    leaf: Leaf = setting(doc="A group.", factory=Leaf)


def fit(name: str, value: Any) -> Any:
    return getattr(configure(Whole, {name: value}), name)


# --- what is taken


@pytest.mark.parametrize(
    ("name", "value", "made"),
    [
        ("name", "", ""),
        ("name", "3", "3"),
        ("count", 3, 3),
        ("count", 3.0, 3),
        ("count", -0.0, 0),
        ("count", 1e15, 10**15),
        ("count", 10**400, 10**400),
        ("count", np.int64(3), 3),
        ("count", np.float32(3), 3),
        ("share", 1, 1.0),
        ("share", 1e-3, 1e-3),
        ("share", np.float64(0.25), 0.25),
        ("share", np.int8(2), 2.0),
        ("flag", True, True),
        ("flag", np.bool_(True), True),
        ("maybe_count", None, None),
        ("maybe_count", 3.0, 3),
        ("maybe_share", None, None),
        ("maybe_share", 2, 2.0),
        ("either", 2, 2),
        ("either", 2.0, 2.0),
        ("text_or_count", 2.0, 2),
        ("text_or_count", "2", "2"),
        ("direction", "minimize", "minimize"),
        ("direction", "", ""),
        ("level", 2, 2),
        ("level", 2.0, 2),
        ("level", None, None),
        ("leaf", {"size": 4.0}, Leaf(size=4)),
        ("leaf", Leaf(size=5), Leaf(size=5)),
        ("leaf", {}, Leaf()),
        ("leaf", {"deeper": {"deeper": {"size": 2}}}, Leaf(deeper=Leaf(deeper=Leaf(size=2)))),
        ("maybe_leaf", None, None),
        ("maybe_leaf", OrderedDict(size=2), Leaf(size=2)),
        ("maybe_leaf", Leaf(), Leaf()),
        ("several", [{"size": 2}, Leaf(size=3)], (Leaf(size=2), Leaf(size=3))),
        ("looks", [2, 3.0, 4], (2, 3, 4)),
        ("looks", (), ()),
        ("looks", range(2, 5), (2, 3, 4)),
        ("pairs", [["a", "b"], ("c", "d")], (("a", "b"), ("c", "d"))),
        ("maybe_list", None, None),
        ("maybe_list", [1, 2.5], (1.0, 2.5)),
        ("list_or_text", "abc", "abc"),
        ("list_or_text", ["a", "b"], ("a", "b")),
        ("point", [2, "km"], (2.0, "km")),
        ("table", {"a": 1.0}, {"a": 1}),
        ("table", {7: 1}, {"7": 1}),
        ("groups", {"g": {"size": 2}}, {"g": Leaf(size=2)}),
        ("variants", {"a": {"learner": "mlp", "width": 2.0}}, {"a": {"learner": "mlp", "width": 2.0}}),
        ("anything", [{"a": None}], [{"a": None}]),
    ],
)
def test_a_value_of_the_fields_kind_is_taken(name: str, value: Any, made: Any) -> None:
    got = fit(name, value)
    assert got == made
    assert type(got) is type(made)
    if isinstance(made, tuple):
        assert [type(item) for item in got] == [type(item) for item in made]
    if isinstance(made, dict):
        assert [type(item) for item in got.values()] == [type(item) for item in made.values()]


def test_what_is_left_out_has_its_default() -> None:
    assert configure(Whole, {}) == Whole()
    assert configure(Demanding, {"metric": "rmse", "limit": None}) == Demanding(metric="rmse", limit=None)


def test_the_values_are_not_changed() -> None:
    values: dict[str, Any] = {"leaf": {"size": 2.0}, "looks": [2, 3], "table": {"a": 1}}
    configure(Whole, values)
    assert values == {"leaf": {"size": 2.0}, "looks": [2, 3], "table": {"a": 1}}


LEAVES = st.deferred(
    lambda: st.builds(Leaf, size=st.integers(1, 9), rate=st.floats(1e-9, 1e9), deeper=st.none() | LEAVES)
)
WHOLES = st.builds(
    Whole,
    name=st.text(max_size=5),
    count=st.integers(),
    share=st.floats(allow_nan=False, allow_infinity=False),
    flag=st.booleans(),
    maybe_count=st.none() | st.integers(),
    either=st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    text_or_count=st.text(max_size=3) | st.integers(),
    direction=st.sampled_from(["", "maximize", "minimize"]),
    level=st.sampled_from([1, 2, None]),
    leaf=LEAVES,
    maybe_leaf=st.none() | LEAVES,
    several=st.lists(LEAVES, max_size=2).map(tuple),
    looks=st.lists(st.integers(2, 99), max_size=3).map(tuple),
    pairs=st.lists(st.tuples(st.text(max_size=2), st.text(max_size=2)), max_size=2).map(tuple),
    list_or_text=st.text(max_size=2) | st.lists(st.text(max_size=2), max_size=2).map(tuple),
    table=st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    groups=st.dictionaries(st.text(max_size=2), LEAVES, max_size=2),
)


@given(WHOLES)
def test_a_configuration_comes_back_from_its_record(original: Whole) -> None:
    back = configure(Whole, jsonable(original))
    assert back == original
    assert jsonable(back) == jsonable(original)


# --- what is refused


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("name", 3, "name must be a text"),
        ("name", None, "name must be a text"),
        ("name", True, "name must be a text"),
        ("name", ["a"], "name must be a text"),
        ("count", True, "count must be a whole number"),
        ("count", np.bool_(True), "count must be a whole number"),
        ("count", 3.5, "count must be a whole number"),
        ("count", "3", "count must be a whole number"),
        ("count", math.nan, "count must be a whole number"),
        ("count", math.inf, "count must be a whole number"),
        ("count", None, "count must be a whole number"),
        ("count", [3], "count must be a whole number"),
        ("share", False, "share must be a number"),
        ("share", "0.5", "share must be a number"),
        ("share", 1j, "share must be a number"),
        ("share", 10**400, "share must be a number"),
        ("share", math.nan, "share must be a finite number"),
        ("share", math.inf, "share must be a finite number"),
        ("share", 10**1000, "share must be a number"),
        ("flag", 1, "flag must be true or false"),
        ("flag", "true", "flag must be true or false"),
        ("flag", None, "flag must be true or false"),
        ("maybe_count", "none", "maybe_count must be a whole number or null"),
        ("maybe_count", False, "maybe_count must be a whole number or null"),
        ("maybe_share", -math.inf, "maybe_share must be a finite number"),
        ("either", "1", "either must be a whole number or a number"),
        ("text_or_count", 1.5, "text_or_count must be a text or a whole number"),
        ("direction", 1, "direction must be a text"),
        ("direction", None, "direction must be a text"),
        ("level", 3, "level must be a whole number or null"),
        ("level", True, "level must be a whole number or null"),
        ("leaf", None, "leaf is a group of settings"),
        ("leaf", 3, "leaf is a group of settings"),
        ("leaf", [1], "leaf is a group of settings"),
        ("leaf", "size: 3", "leaf is a group of settings"),
        ("leaf", Demanding(metric="a", limit=None), "leaf is a group of settings"),
        ("maybe_leaf", 3, "maybe_leaf is a group of settings"),
        ("looks", 3, "looks is a list"),
        ("looks", "234", "looks is a list"),
        ("looks", b"234", "looks is a list"),
        ("looks", None, "looks is a list"),
        ("looks", {2: 3}, "looks is a list"),
        ("looks", {2, 3}, "looks is a list"),
        ("looks", [2, "3"], "looks[1] must be a whole number"),
        ("looks", [2, True], "looks[1] must be a whole number"),
        ("looks", [2, 1], "looks must be a number at least 2"),
        ("pairs", ["ab"], "pairs[0] is a list"),
        ("pairs", [["a", "b"], ["c"]], "pairs[1] has 2 entries"),
        ("pairs", [["a", "b", "c"]], "pairs[0] has 2 entries"),
        ("pairs", [["a", 1]], "pairs[0][1] must be a text"),
        ("maybe_list", 3, "maybe_list is a list"),
        ("maybe_list", [1.0, math.nan], "maybe_list must be a finite number"),
        ("list_or_text", 3, "list_or_text must be a list or a text"),
        ("point", [1, 2], "point[1] must be a text"),
        ("point", [], "point has 2 entries"),
        ("table", [("a", 1)], "table maps names to values"),
        ("table", None, "table maps names to values"),
        ("table", {"a": "b"}, "table.a must be a whole number"),
        ("variants", {"a": 3}, "variants.a maps names to values"),
        ("variants", {"a": None}, "variants.a maps names to values"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_its_place_and_what_it_should_be(
    name: str, value: Any, rule: str
) -> None:
    with pytest.raises(BadValue) as caught:
        fit(name, value)
    assert caught.value.rule == rule


def test_what_was_got_is_shown_as_it_was_written() -> None:
    with pytest.raises(BadValue, match=re.escape("Got '3'.")):
        fit("count", "3")
    with pytest.raises(BadValue, match=re.escape("Got 'None'.")):
        fit("count", "None")
    with pytest.raises(BadValue, match=re.escape("looks is a list. Got 3. Nearest: looks=[3].")):
        fit("looks", 3)
    with pytest.raises(BadValue) as caught:
        fit("looks", {"a": 1})
    assert caught.value.nearest is None


@pytest.mark.parametrize(
    ("values", "what", "nearest"),
    [
        ({"nmae": "x"}, "setting of test_configure", "name"),
        ({"leaf": {"siez": 3}}, "setting of leaf", "size"),
        ({"leaf": {"deeper": {"deeper": {"rat": 3}}}}, "setting of leaf.deeper.deeper", "rate"),
        ({"several": [{}, {"sise": 3}]}, "setting of several[1]", "size"),
        ({"groups": {"g": {"sz": 3}}}, "setting of groups.g", "size"),
        ({"direction": "maximise"}, "choice for direction", "maximize"),
        ({5: 3}, "setting of test_configure", None),
    ],
)
def test_an_unknown_name_is_answered_with_its_place_and_the_nearest(
    values: dict[Any, Any], what: str, nearest: str | None
) -> None:
    with pytest.raises(UnknownName) as caught:
        configure(Whole, values)
    assert caught.value.rule == f"No {what} has this name"
    assert caught.value.nearest == nearest


@pytest.mark.parametrize(
    ("values", "rule", "next_step"),
    [
        ({}, "test_configure needs metric: What decides.", "set metric"),
        ({"metric": None, "limit": 1}, "test_configure needs metric: What decides.", "set metric"),
        ({"metric": "rmse"}, "test_configure needs limit: A number, or null on purpose.", "set limit"),
    ],
)
def test_a_missing_value_is_named_with_its_meaning(values: dict[str, Any], rule: str, next_step: str) -> None:
    with pytest.raises(BadValue) as caught:
        configure(Demanding, values)
    assert (caught.value.rule, caught.value.got, caught.value.next_step) == (rule, "nothing", next_step)
    with pytest.raises(BadValue) as caught:
        configure(Demanding, values, where="design.question")
    assert caught.value.rule == rule.replace("test_configure", "design.question")
    assert caught.value.next_step == next_step.replace("set ", "set design.question.")


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"leaf": {"size": 10}}, "design.leaf.size must be a number at least 1 and at most 9"),
        ({"leaf": {"rate": 0}}, "design.leaf.rate must be a number above 0"),
        ({"leaf": {"deeper": {"size": 0}}}, "design.leaf.deeper.size must be a number at least 1"),
        ({"several": [{}, {"size": "3"}]}, "design.several[1].size must be a whole number"),
        ({"groups": {"g": {"rate": -1}}}, "design.groups.g.rate must be a number above 0"),
        ({"count": None}, "design.count must be a whole number"),
        ({"looks": [1]}, "design.looks must be a number at least 2"),
        ({"share": math.nan}, "design.share must be a finite number"),
    ],
)
def test_every_place_is_the_dotted_one_of_the_file(values: dict[str, Any], place: str) -> None:
    with pytest.raises(BadValue, match="^" + re.escape(place)):
        configure(Whole, values, where="design")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [each.name for each in dataclasses.fields(Whole)]


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), JUNK, max_size=3))
def test_whatever_comes_is_taken_or_answered_but_never_crashes(values: dict[str, Any]) -> None:
    try:
        made = configure(Whole, values)
    except Misuse:
        return
    assert type(made) is Whole
    assert type(made.count) is int
    assert type(made.share) is float
    assert type(made.flag) is bool
