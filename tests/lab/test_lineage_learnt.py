"""Learnt numbers are compared array by array."""

import io
import json
import math
from typing import Any

import numpy as np
import pytest

from modelwright.lab.lineage.learnt import compare_learnt

WEIGHT = np.array([4.0, 1e-9, -2.0], dtype=np.float32)


def archive(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_the_same_arrays_are_the_same_whatever_holds_them() -> None:
    one = archive(weight=WEIGHT, bias=np.array([np.nan]))
    assert compare_learnt(one, one).same
    assert compare_learnt(None, None).same
    packed = io.BytesIO()
    np.savez_compressed(packed, bias=np.array([np.nan]), weight=WEIGHT)
    assert packed.getvalue() != one
    assert compare_learnt(one, packed.getvalue()).same


def test_a_difference_is_relative_to_the_largest_element() -> None:
    moved = WEIGHT.copy()
    moved[1] = 2e-9  # twice as large, and nothing beside 4
    found = compare_learnt(archive(weight=WEIGHT, bias=WEIGHT), archive(weight=moved, bias=WEIGHT))
    assert (found.same, found.name) == (False, "weight")
    assert found.relative == pytest.approx(1e-9 / 4, rel=1e-4)


def test_the_array_that_differs_most_is_named() -> None:
    found = compare_learnt(archive(a=WEIGHT, b=WEIGHT), archive(a=WEIGHT * 1.01, b=WEIGHT * 2))
    assert found.name == "b"
    assert found.relative == pytest.approx(0.5)


def test_the_two_zeros_differ_in_bits_and_not_in_size() -> None:
    found = compare_learnt(archive(weight=np.array([0.0, 1.0])), archive(weight=np.array([-0.0, 1.0])))
    assert (found.same, found.relative) == (False, 0.0)
    huge = np.array([1.5e308, 1.0])
    assert compare_learnt(archive(weight=huge), archive(weight=-huge)).relative == 2.0


def test_a_hash_that_differs_has_no_size() -> None:
    one, other = archive(digest=np.zeros(32, np.uint8)), archive(digest=np.ones(32, np.uint8))
    found = compare_learnt(one, other)
    assert (found.same, found.name, found.relative) == (False, "digest", None)


@pytest.mark.parametrize(
    "other",
    [None, archive(), archive(weight=WEIGHT[:2]), archive(weight=WEIGHT.astype(np.float64)),
     archive(weight=np.array([np.nan, 1e-9, -2.0], np.float32))],
)  # fmt: skip
def test_what_is_missing_or_of_another_shape_differs_without_limit(other: bytes | None) -> None:
    for found in (
        compare_learnt(archive(weight=WEIGHT), other),
        compare_learnt(other, archive(weight=WEIGHT)),
    ):
        assert not found.same
        assert found.relative == math.inf
        assert json.loads(json.dumps(found.record(), allow_nan=False)) == found.record()
