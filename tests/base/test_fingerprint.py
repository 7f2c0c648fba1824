"""Canonical JSON: one text for one value, known bytes, and refusal of what has no JSON form."""

import dataclasses
import datetime
import decimal
import enum
import fractions
import hashlib
import json
import os
import pathlib
import subprocess
import sys
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.base.errors import BadValue
from modelwright.base.fingerprint import canonical_json, fingerprint, jsonable, sha256_hex


class Colour(enum.Enum):
    RED = "red"
    DEEP = (1, 2)


class Word(enum.StrEnum):
    ONE = "one"


class MixedWord(str, enum.Enum):  # noqa: UP042 - its str() differs from its text, unlike a StrEnum's
    TWO = "two"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    width: int
    rate: float = 1e-3


@dataclasses.dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    several: tuple[Inner, ...] = ()


# --- known bytes


def test_the_example_of_rfc_8785_has_its_published_bytes() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 1e-27],
        "string": '\u20ac$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
    text = canonical_json(value)
    assert text.encode().hex(" ") == (
        "7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c 74 72 "
        "75 65 2c 66 61 6c 73 65 5d 2c 22 6e 75 6d 62 65 72 73 22 3a "
        "5b 33 33 33 33 33 33 33 33 33 2e 33 33 33 33 33 33 33 2c 31 "
        "65 2b 33 30 2c 34 2e 35 2c 30 2e 30 30 32 2c 31 65 2d 32 37 "
        "5d 2c 22 73 74 72 69 6e 67 22 3a 22 e2 82 ac 24 5c 75 30 30 "
        "30 66 5c 6e 41 27 42 5c 22 5c 5c 5c 5c 5c 22 2f 22 7d"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (1.0, "1.0"),
        (-0.0, "0.0"),
        (0.1, "0.1"),
        (1e-7, "1e-07"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (2.0**53, "9007199254740992.0"),
        (2**53 + 1, "9007199254740993"),
        (-(10**40), "-1" + "0" * 40),
        ("é€😀", '"é€😀"'),
        ("\x7f\u2028", '"\x7f\u2028"'),
        ({"b": 1, "a": {"d": [], "c": {}}}, '{"a":{"c":{},"d":[]},"b":1}'),
        ({"é": 1, "z": 2, "Z": 3, "": 4}, '{"":4,"Z":3,"z":2,"é":1}'),
        ((1, [2, (3,)]), "[1,[2,[3]]]"),
        (range(3), "[0,1,2]"),
        ({"b", "a"}, '["a","b"]'),
        (frozenset({2, 10}), "[10,2]"),
        (Colour.RED, '"red"'),
        (Colour.DEEP, "[1,2]"),
        ({Word.ONE: Level.HIGH, MixedWord.TWO: MixedWord.TWO}, '{"one":3,"two":"two"}'),
        (np.float32(0.1), "0.10000000149011612"),
        (np.float64(2.0), "2.0"),
        (np.int8(-3), "-3"),
        (np.uint64(2**64 - 1), "18446744073709551615"),
        (np.bool_(True), "true"),
        (np.str_("a"), '"a"'),
        (np.array([[1.0, 2.5]]), "[[1.0,2.5]]"),
        (np.array(3), "3"),
        (np.zeros((0, 2)), "[]"),
        (np.array(["a", None, 1], dtype=object), '["a",null,1]'),
        (OrderedDict(b=1, a=2), '{"a":2,"b":1}'),
        (MappingProxyType({"a": 1}), '{"a":1}'),
        (Inner(width=2), '{"rate":0.001,"width":2}'),
        (
            Outer("x", Inner(width=1, rate=1.0), (Inner(width=2),)),
            '{"inner":{"rate":1.0,"width":1},"name":"x","several":[{"rate":0.001,"width":2}]}',
        ),
    ],
)
def test_a_value_has_its_known_text(value: object, text: str) -> None:
    assert canonical_json(value) == text
    assert fingerprint(value) == hashlib.sha256(text.encode("utf-8")).hexdigest()


def test_sha256_gives_the_published_digests() -> None:
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_hex(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# --- properties

NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def naive(value: Any) -> str:
    """Write the same text another way."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{naive(key)}:{naive(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(naive(item) for item in value) + "]"
    if isinstance(value, float):
        return str(abs(value) if value == 0 else value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def shuffled(value: Any, data: st.DataObject) -> Any:
    if isinstance(value, dict):
        keys = data.draw(st.permutations(list(value)))
        return {key: shuffled(value[key], data) for key in keys}
    return [shuffled(item, data) for item in value] if isinstance(value, list) else value


@given(VALUES)
def test_the_text_is_that_of_a_naive_writer(value: object) -> None:
    assert canonical_json(value) == naive(value)


@given(VALUES, st.data())
def test_the_order_of_keys_does_not_matter(value: object, data: st.DataObject) -> None:
    assert canonical_json(shuffled(value, data)) == canonical_json(value)


@given(VALUES)
def test_nothing_is_lost_and_the_text_is_a_fixed_point(value: object) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_as_the_same_float(value: float) -> None:
    assert float(json.loads(canonical_json(value))) == value
    assert canonical_json(np.float64(value)) == canonical_json(value)


def kinds(value: Any) -> Any:
    """Tell true, 1 and 1.0 apart, which Python calls equal."""
    if isinstance(value, dict):
        return {key: kinds(item) for key, item in value.items()}
    return [kinds(item) for item in value] if isinstance(value, list) else (type(value), value)


ALIKE = st.sampled_from([0, 0.0, -0.0, False, None, "", [], {}, 1, 1.0, True, "1", [1], 2**53, 2.0**53])


@given(VALUES | ALIKE, VALUES | ALIKE)
def test_two_values_have_one_fingerprint_exactly_when_they_are_equal(one: object, other: object) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (kinds(one) == kinds(other))
    assert fingerprint([one]) != fingerprint(one)


@given(VALUES)
def test_only_plain_types_come_out(value: object) -> None:
    def check(item: object) -> None:
        assert type(item) in (dict, list, str, int, float, bool, type(None))
        if isinstance(item, dict):
            assert all(type(key) is str for key in item)
        for inner in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
            check(inner)

    check(jsonable(value))


@pytest.mark.parametrize(
    "value",
    [np.str_("a"), Word.ONE, MixedWord.TWO, Level.HIGH, np.int64(1), np.array([np.str_("a")]), {Word.ONE: 1}],
)
def test_subclasses_of_plain_types_come_out_plain(value: object) -> None:
    plain = jsonable(value)
    inner = plain[0] if isinstance(plain, list) else next(iter(plain)) if isinstance(plain, dict) else plain
    assert type(inner) in (str, int)


def test_a_value_is_not_changed_by_being_read() -> None:
    value = {"b": [1.0, {"d": -0.0}], "a": (1,)}
    before = repr(value)
    fingerprint(value)
    assert repr(value) == before


def test_sets_are_one_value_whatever_the_hash_of_their_items() -> None:
    code = (
        "from modelwright.base.fingerprint import fingerprint\n"
        "print(fingerprint([{chr(97 + n) * 3 for n in range(20)}, {(n, str(n)) for n in range(9)}]))"
    )
    source = str(pathlib.Path(__file__).parents[2] / "src")
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": source},
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(told) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (1, 1.0), ("1", 1), ("null", None), ("é", "e\u0301"), ([], {}), ({"a": None}, {}), (1, [1])],
)
def test_values_that_look_alike_differ(one: object, other: object) -> None:
    assert fingerprint(one) != fingerprint(other)


# --- refusals


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        np.float32("nan"),
        np.array([1.0, np.inf]),
        {"a": [{"b": float("nan")}]},
        Inner(width=1, rate=float("nan")),
        {float("inf")},
    ],
)
def test_numbers_that_are_not_finite_are_refused_wherever_they_hide(value: object) -> None:
    for read in (jsonable, canonical_json, fingerprint):
        with pytest.raises(BadValue, match="must be finite"):
            read(value)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (b"bytes", "bytes"),
        (bytearray(b"b"), "bytearray"),
        (memoryview(b"b"), "memoryview"),
        (1j, "complex"),
        (object(), "object"),
        (int, "type"),
        (Inner, "type"),
        (len, "builtin_function_or_method"),
        (decimal.Decimal("1.5"), "Decimal"),
        (fractions.Fraction(1, 3), "Fraction"),
        (datetime.datetime(2026, 1, 1), "datetime"),
        (pathlib.PurePosixPath("a"), "PurePosixPath"),
        ((item for item in "ab"), "generator"),
        (np.datetime64("2026-01-01", "ns"), "datetime64"),
        (np.datetime64("2026-01-01"), "datetime64"),
        (np.timedelta64(3, "ns"), "timedelta64"),
        (np.array(["2026-01-01"], dtype="datetime64[ns]"), "ndarray"),
        (np.array([1j]), "ndarray"),
        (np.array([b"a"]), "ndarray"),
        (np.longdouble(1), "longdouble"),
        (np.array([1], dtype=np.longdouble), "longdouble"),
        (np.zeros(1, dtype=[("a", int)]), "ndarray"),
    ],
)
def test_other_types_are_refused_by_name(value: object, named: str) -> None:
    with pytest.raises(BadValue, match=rf"canonical form\. Got a {named}"):
        canonical_json({"inside": [value]})


@pytest.mark.parametrize("key", [1, 1.5, None, True, (1, 2), b"a", Level.HIGH, Colour.RED])
def test_keys_that_are_not_text_are_refused(key: object) -> None:
    with pytest.raises(BadValue, match="Keys of a record must be text"):
        canonical_json({key: 1})


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, ["a\udc80b"], np.array(["\ud800"])])
def test_text_that_is_not_unicode_is_refused_instead_of_breaking_the_hash(value: object) -> None:
    with pytest.raises(BadValue, match="lone surrogates") as caught:
        fingerprint(value)
    str(caught.value).encode()


def test_integers_are_exact_up_to_a_thousand_digits_and_refused_beyond() -> None:
    for value in (10**1000 - 1, -(10**1000) + 1):
        assert json.loads(canonical_json(value)) == value
    for value in (10**1000, -(10**1000), 10**5000):
        with pytest.raises(BadValue, match="at most 1000 digits"):
            canonical_json([value])
