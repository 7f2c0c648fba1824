"""Metrics compared number by number, and what is concluded from it."""

import json
import math
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelwright.base.errors import BadValue
from modelwright.lab.lineage.answer import judge_rerun, repetition_interval
from modelwright.lab.lineage.comparison import Sameness, compare_metrics
from modelwright.lab.lineage.difference import Difference, Side
from modelwright.lab.lineage.learnt import LearntComparison

NAN, INF = math.nan, math.inf


def compare(recorded: Any, now: Any, tolerance: float = 1e-6, **more: Any) -> Any:
    return compare_metrics(recorded, now, tolerance=tolerance, **more)


BASE = {"update": [1, 2, 3], "loss": [0.9, 0.5, 0.25], "accuracy": [0.1, NAN, 0.8]}


def test_equal_metrics_are_equal_bit_for_bit_whatever_form_they_come_in() -> None:
    found = compare(BASE, BASE)
    assert found.sameness is Sameness.BITWISE_EQUAL
    assert (found.numbers, found.metrics, found.unequal, found.first, found.largest) == (6, 2, 0, None, None)
    assert found.largest_relative == 0
    table = pa.table(BASE)
    long = pa.table(
        {
            "update": [3, 1, 2, 1, 2, 3],
            "metric": pa.array(
                ["loss", "loss", "loss", "accuracy", "accuracy", "accuracy"]
            ).dictionary_encode(),
            "value": [0.25, 0.9, 0.5, 0.1, NAN, 0.8],
        }
    )
    chunked = pa.concat_tables([long.slice(0, 2), long.slice(2)])
    plain = {name: np.array(long[name].to_pylist()) for name in long.column_names}
    for one in (BASE, table, long, chunked, plain):
        for other in (BASE, table, long, chunked, plain):
            assert compare(one, other).sameness is Sameness.BITWISE_EQUAL


@pytest.mark.parametrize(
    ("value", "sameness", "relative"),
    [
        (np.nextafter(0.5, 1), Sameness.NUMERICALLY_EQUAL, 2.220446049250313e-16),
        (0.5 * (1 - 1e-7), Sameness.NUMERICALLY_EQUAL, 1e-7),
        (0.5 * (1 - 1e-5), Sameness.DIFFERENT, 1e-5),
        (-0.5, Sameness.DIFFERENT, 2.0),
        (0.0, Sameness.DIFFERENT, 1.0),
        (NAN, Sameness.DIFFERENT, INF),
        (INF, Sameness.DIFFERENT, INF),
    ],
)
def test_one_changed_number_is_found_and_measured(value: float, sameness: Sameness, relative: float) -> None:
    found = compare(BASE, BASE | {"loss": [0.9, value, 0.25]})
    assert found.sameness is sameness
    assert found.unequal == 1
    assert (found.first.metric, found.first.update, found.first.recorded) == ("loss", 2, 0.5)
    assert found.first.now == value or math.isnan(value)
    assert found.largest_relative == pytest.approx(relative, rel=1e-6)


def test_a_nan_in_another_place_is_a_difference_and_one_in_the_same_place_is_not() -> None:
    found = compare(BASE, BASE | {"accuracy": [0.1, 0.5, NAN]})
    assert (found.sameness, found.unequal) == (Sameness.DIFFERENT, 2)
    assert found.first.update == 2
    other_nan = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)
    assert compare({"a": [NAN]}, {"a": other_nan}).sameness is Sameness.BITWISE_EQUAL


def test_infinities_are_equal_to_themselves_and_far_from_everything_else() -> None:
    assert compare({"a": [INF, -INF]}, {"a": [INF, -INF]}).sameness is Sameness.BITWISE_EQUAL
    assert compare({"a": [INF]}, {"a": [-INF]}).largest_relative == INF


def test_the_two_zeros_differ_in_bits_and_not_in_number() -> None:
    found = compare({"a": [0.0]}, {"a": [-0.0]}, tolerance=0)
    assert (found.sameness, found.unequal, found.largest_relative) == (Sameness.NUMERICALLY_EQUAL, 1, 0)


def test_the_smallest_and_the_largest_numbers_are_compared_without_overflow() -> None:
    big = np.finfo(np.float64).max
    assert compare({"a": [big]}, {"a": [-big]}).largest_relative == 2
    assert compare({"a": [big]}, {"a": [big * (1 - 1e-9)]}).sameness is Sameness.NUMERICALLY_EQUAL
    tiny = 5e-324
    assert compare({"a": [tiny]}, {"a": [2 * tiny]}).largest_relative == pytest.approx(0.5)


def test_first_is_the_earliest_update_over_all_metrics_and_largest_is_the_worst() -> None:
    recorded = {"update": [1, 2, 3], "a": [1.0, 1.0, 1.0], "b": [1.0, 1.0, 1.0]}
    now = {"update": [1, 2, 3], "a": [1.0, 1.0, 5.0], "b": [1.0, 1.0 + 1e-9, 1.0]}
    found = compare(recorded, now)
    assert (found.first.metric, found.first.update) == ("b", 2)
    assert (found.largest.metric, found.largest.update) == ("a", 3)


def test_a_series_that_ends_early_starts_late_or_lacks_a_metric_is_different() -> None:
    short = {name: values[:2] for name, values in BASE.items()}
    found = compare(BASE, short)
    assert found.sameness is Sameness.DIFFERENT
    assert (found.first.update, found.first.now, found.unequal, found.numbers) == (3, None, 2, 6)
    late = compare({name: values[1:] for name, values in BASE.items()}, BASE)
    assert (late.first.update, late.first.recorded) == (1, None)
    lacking = compare(BASE, {"update": BASE["update"], "loss": BASE["loss"]})
    assert (lacking.sameness, lacking.unequal) == (Sameness.DIFFERENT, 3)
    assert lacking.first.metric == "accuracy"


def test_a_missing_number_is_different_even_beside_a_zero_and_a_wide_tolerance() -> None:
    found = compare({"update": [1, 2], "a": [1.0, 0.0]}, {"update": [1], "a": [1.0]}, tolerance=10)
    assert (found.sameness, found.largest_relative) == (Sameness.DIFFERENT, INF)


def test_rows_may_come_in_any_order() -> None:
    turned = {name: values[::-1] for name, values in BASE.items()}
    assert compare(BASE, turned).sameness is Sameness.BITWISE_EQUAL


def test_a_shifted_series_does_not_make_its_common_part_differ() -> None:
    recorded = {"update": [10, 20, 30], "loss": [3.0, 2.0, 1.0]}
    now = {"update": [20, 30, 40], "loss": [2.0, 1.0, 0.5]}
    assert compare(recorded, now).unequal == 2


def test_several_numbers_of_one_metric_at_one_update_are_paired_in_order() -> None:
    recorded = {"update": [1, 1, 2], "metric": ["a", "a", "a"], "value": [1.0, 2.0, 3.0]}
    assert compare(recorded, recorded).sameness is Sameness.BITWISE_EQUAL
    now = {"update": [1, 1, 1, 2], "metric": ["a"] * 4, "value": [1.0, 2.0, 9.0, 3.0]}
    assert (compare(recorded, now).unequal, compare(recorded, now).numbers) == (1, 4)


def test_metrics_that_cannot_repeat_are_ignored_by_name_and_named() -> None:
    found = compare(
        BASE | {"seconds": [1.0, 2.0, 3.0]}, BASE | {"seconds": [1.1, 2.0, 3.0]}, ignore=["seconds", "x"]
    )
    assert (found.sameness, found.ignored, found.metrics) == (Sameness.BITWISE_EQUAL, ("seconds",), 2)


def test_bad_input_is_refused() -> None:
    for tolerance in (-1e-9, NAN, INF):
        with pytest.raises(BadValue, match="tolerance"):
            compare(BASE, BASE, tolerance=tolerance)
    with pytest.raises(BadValue, match="one length"):
        compare(BASE, {"update": [1, 2], "loss": [1.0]})
    for nothing in ({}, {"update": []}, {"update": [], "metric": [], "value": []}):
        with pytest.raises(BadValue, match="number to compare"):
            compare(nothing, nothing)
    with pytest.raises(BadValue, match="number to compare"):
        compare(BASE, BASE, ignore=["loss", "accuracy"])


ROWS = st.lists(
    st.tuples(
        st.integers(1, 6), st.sampled_from("ab"), st.sampled_from([0.0, -0.0, 1.0, 1 + 1e-9, 2.0, NAN, INF])
    ),
    max_size=12,
)


@given(ROWS, ROWS)
def test_the_comparison_agrees_with_a_plain_loop(
    one: list[tuple[int, str, float]], other: list[tuple[int, str, float]]
) -> None:
    if not one and not other:
        return

    def keyed(rows: list[tuple[int, str, float]]) -> dict[tuple[int, str, int], float]:
        found: dict[tuple[int, str, int], float] = {}
        for update, metric, value in rows:
            turn = sum(key[:2] == (update, metric) for key in found)
            found[update, metric, turn] = value
        return found

    def columns(rows: list[tuple[int, str, float]]) -> dict[str, list[Any]]:
        return {
            name: [row[place] for row in rows] for place, name in enumerate(("update", "metric", "value"))
        }

    was, is_now = keyed(one), keyed(other)
    unequal: dict[tuple[int, str, int], float] = {}
    for key in was.keys() | is_now.keys():
        a, b = was.get(key), is_now.get(key)
        if a is None or b is None:
            unequal[key] = INF
        elif not (math.isnan(a) and math.isnan(b)) and (a != b or math.copysign(1, a) != math.copysign(1, b)):
            finite = math.isfinite(a) and math.isfinite(b)
            unequal[key] = (abs(a - b) / max(abs(a), abs(b)) if a != b else 0.0) if finite else INF
    found = compare(columns(one), columns(other))
    assert found.numbers == len(was.keys() | is_now.keys())
    assert found.unequal == len(unequal)
    if not unequal:
        assert found.sameness is Sameness.BITWISE_EQUAL
        return
    worst = max(unequal.values())
    assert found.largest_relative == pytest.approx(worst, rel=1e-6)
    assert found.sameness is (Sameness.NUMERICALLY_EQUAL if worst <= 1e-6 else Sameness.DIFFERENT)
    assert (found.first.update, found.first.metric) == min(key[:2] for key in unequal)
    assert json.dumps(found.record(), allow_nan=False)


def test_a_million_numbers_are_compared_in_seconds() -> None:
    rows = 1_000_000
    table = pa.table(
        {
            "update": np.repeat(np.arange(rows // 10), 10),
            "metric": pa.array([f"m{place}" for place in range(10)] * (rows // 10)).dictionary_encode(),
            "value": np.random.default_rng(0).normal(size=rows),
        }
    )
    start = time.process_time()
    assert compare(table, table).sameness is Sameness.BITWISE_EQUAL
    assert time.process_time() - start < 5


# --- the answer

NET = Difference(
    side=Side.CODE, what="net.py", recorded="a", now="b", rank=30, sentence="file net.py changed"
)
EQUAL = compare(BASE, BASE)
CLOSE = compare(BASE, BASE | {"loss": [0.9, 0.5 + 1e-9, 0.25]})
APART = compare(BASE, BASE | {"loss": [0.9, 0.7, 0.25]})
OTHERS = [0.90, 0.91, 0.92, 0.93, 0.94]


def test_the_interval_holds_as_many_differences_between_seeds_as_it_says() -> None:
    values = np.array(OTHERS)
    low, high = repetition_interval(0.92, values) or (NAN, NAN)
    half = stats.t.ppf(0.975, 4) * values.std(ddof=1) * math.sqrt(2)
    assert (low, high) == pytest.approx((0.92 - half, 0.92 + half))
    draws = np.random.default_rng(0).normal(size=(4000, 6))
    inside = 0
    for row in draws:
        low, high = repetition_interval(row[0], row[1:5]) or (NAN, NAN)
        inside += low <= row[5] <= high
    assert inside / 4000 == pytest.approx(0.95, abs=3.5 * math.sqrt(0.95 * 0.05 / 4000))


def test_there_is_no_interval_where_it_could_not_fail() -> None:
    assert repetition_interval(0.5, []) is None
    assert repetition_interval(0.5, [0.4, 0.6]) is None  # 18 standard deviations to each side
    assert repetition_interval(0.5, [0.4, 0.6, NAN]) is None
    assert repetition_interval(NAN, OTHERS) is None
    wide = [0.1, 0.5, 0.9]
    assert repetition_interval(0.5, wide) is not None
    assert repetition_interval(0.5, wide, bounds=(0, 1)) is None  # every accuracy lies inside
    assert repetition_interval(0.5, wide, bounds=(0, None)) is not None
    low, high = repetition_interval(0.97, OTHERS, bounds=(0, 1)) or (NAN, NAN)
    assert 0 < low < high == 1


def test_seeds_that_are_all_alike_allow_no_other_score() -> None:
    assert repetition_interval(0.1, [0.1, 0.1, 0.1]) == (0.1, 0.1)
    answer = judge_rerun(APART, 0.9, 0.9 + 1e-6, [0.9] * 5, ())
    assert answer.sameness is Sameness.DIFFERENT
    assert judge_rerun(APART, 0.9, 0.9, [0.9] * 5, ()).sameness is Sameness.STATISTICALLY_EQUAL


def test_equal_numbers_and_score_are_bitwise_equal_and_need_no_next_check() -> None:
    answer = judge_rerun(EQUAL, 0.9, 0.9, OTHERS, ())
    assert answer.sameness is Sameness.BITWISE_EQUAL
    assert answer.next_check == ""
    assert "same bit for bit: 6 numbers of 2 metrics" in answer.sentence
    also = judge_rerun(EQUAL, 0.9, 0.9, OTHERS, (NET,))
    assert also.sameness is Sameness.BITWISE_EQUAL
    assert "although 1 recorded thing differs" in also.sentence
    assert judge_rerun(EQUAL, NAN, NAN, OTHERS, ()).sameness is Sameness.BITWISE_EQUAL


def test_a_score_that_differs_is_not_hidden_by_equal_metrics() -> None:
    assert judge_rerun(EQUAL, 0.9, 0.9 + 1e-9, OTHERS, ()).sameness is Sameness.NUMERICALLY_EQUAL
    assert judge_rerun(EQUAL, 0.9, 0.1, OTHERS, ()).sameness is Sameness.DIFFERENT
    assert judge_rerun(EQUAL, 0.9, NAN, OTHERS, ()).sameness is Sameness.DIFFERENT


def test_close_numbers_are_numerically_equal_and_the_place_is_told() -> None:
    answer = judge_rerun(CLOSE, 0.9, 0.9, OTHERS, (NET,))
    assert answer.sameness is Sameness.NUMERICALLY_EQUAL
    assert "loss, update 2" in answer.sentence
    assert "0.5 recorded, 0.500000001 now" in answer.sentence
    assert "file net.py changed" in answer.sentence


def test_a_usual_score_is_statistically_equal_and_the_interval_is_stated() -> None:
    answer = judge_rerun(APART, 0.92, 0.93, OTHERS, (NET,))
    assert answer.sameness is Sameness.STATISTICALLY_EQUAL
    assert answer.interval == repetition_interval(0.92, OTHERS)
    assert answer.other_seeds == 5
    assert "inside 0.8579 to 0.9821" in answer.sentence
    assert "other 5 seeds" in answer.sentence


def test_an_unusual_score_is_different_because_of_what_differs() -> None:
    answer = judge_rerun(APART, 0.92, 0.5, OTHERS, (NET,))
    assert answer.sameness is Sameness.DIFFERENT
    assert "outside" in answer.sentence
    assert "code: file net.py changed" in answer.sentence
    assert "net.py" in answer.next_check


def test_other_data_are_named_by_their_source_and_not_by_a_hash() -> None:
    other = Difference(
        side=Side.DATA, what="identity", recorded="a", now="b", rank=20, sentence="the identity differs"
    )
    answer = judge_rerun(APART, 0.92, 0.5, OTHERS, (other, NET), source="wine.csv")
    assert answer.next_check == "Put the data of wine.csv back as they were recorded and repeat the run."
    assert "the data back" in judge_rerun(APART, 0.92, 0.5, OTHERS, (other,)).next_check


def test_what_hardly_matters_is_no_explanation() -> None:
    notes = Difference(
        side=Side.CODE, what="README.md", recorded="a", now="b", rank=90, sentence="file README.md changed"
    )
    answer = judge_rerun(APART, 0.92, 0.5, OTHERS, (notes,), company=4)
    assert "nothing that is recorded is likely to explain it: nondeterminism" in answer.sentence
    assert "Repeat the run twice" in answer.next_check
    assert "beside 3 other seeds" in answer.next_check
    both = judge_rerun(APART, 0.92, 0.5, OTHERS, (NET, notes))
    assert both.sentence.endswith("most likely because of code: file net.py changed.")


def test_learnt_numbers_count_beside_metrics() -> None:
    near = LearntComparison(same=False, name="weight", relative=1e-9)
    far = LearntComparison(same=False, name="weight", relative=1e-3)
    unknown = LearntComparison(same=False, name="digest")
    for learnt, sameness in (
        (near, Sameness.NUMERICALLY_EQUAL),
        (unknown, Sameness.NUMERICALLY_EQUAL),
        (far, Sameness.STATISTICALLY_EQUAL),
    ):
        answer = judge_rerun(EQUAL, 0.9, 0.9, OTHERS, (), learnt=learnt)
        assert answer.sameness is sameness
        assert "metrics are the same and" in answer.sentence
    assert judge_rerun(EQUAL, 0.9, 0.9, [], (), learnt=far).sameness is Sameness.DIFFERENT


def test_where_nothing_differs_nondeterminism_is_named_with_a_next_check() -> None:
    answer = judge_rerun(APART, 0.92, 0.5, OTHERS, ())
    assert answer.sameness is Sameness.DIFFERENT
    assert "nothing that is recorded explains it: nondeterminism" in answer.sentence
    assert "Repeat the run twice" in answer.next_check


@pytest.mark.parametrize("others", [[], [0.9], [0.9, 0.91], [NAN, 0.9, 0.91]])
def test_too_few_other_seeds_cannot_make_a_difference_usual(others: list[float]) -> None:
    answer = judge_rerun(APART, 0.92, 0.92, others, ())
    assert answer.sameness is Sameness.DIFFERENT
    assert answer.interval is None
    assert "cannot be said" in answer.sentence


def test_many_differences_are_named_in_order_and_counted() -> None:
    many = tuple(
        Difference(side=Side.DATA, what=str(place), recorded=0, now=1, rank=place, sentence=f"thing {place}")
        for place in range(5)
    )
    sentence = judge_rerun(APART, 0.92, 0.5, OTHERS, many).sentence
    assert "data: thing 0; data: thing 1; data: thing 2; and 2 more" in sentence


@pytest.mark.parametrize("now", [0.92, 0.5, NAN, INF])
def test_every_answer_is_json(now: float) -> None:
    lost = LearntComparison(same=False, name="all of them", relative=INF)
    for comparison in (EQUAL, CLOSE, APART):
        plain = judge_rerun(comparison, 0.92, now, OTHERS, (NET,), learnt=lost).record()
        assert json.loads(json.dumps(plain, allow_nan=False)) == plain
