"""Splits: right sizes, nothing on both sides, groups and times kept apart, drawn from the seed alone."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.seed import Seed, derive_seeds
from modelwright.data.dataset import Dataset
from modelwright.data.split import Split, SplitPlan, make_split

SEEDS = derive_seeds("splits", 40)
KINDS = ("random", "stratified", "grouped", "time", "nested", "column")


def rows_of(rows: int = 300, *, labels: int = 3, families: int = 30, **changes: Any) -> Dataset:
    draw = np.random.default_rng(rows)
    target = np.sort(draw.integers(0, labels, size=rows) * draw.integers(0, 2, size=rows))
    target[:labels] = np.arange(labels)
    target[labels : 2 * labels] = np.arange(labels)
    fields: dict[str, Any] = {
        "name": "rows",
        "features": draw.normal(size=(rows, 2)).astype(np.float32),
        "target": target,
        "task": "classification",
        "classes": tuple(str(label) for label in range(labels)),
        "columns": ("a", "b"),
        "groups": draw.integers(0, families, size=rows).astype(str),
        "times": draw.integers(0, 10 * rows, size=rows),
        "parts": np.where(np.arange(rows) % 4 == 0, "test", "train"),
    }
    return Dataset(**(fields | changes))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inner", [0, 4])
def test_every_split_parts_the_rows(kind: str, inner: int) -> None:
    dataset = rows_of()
    plan = SplitPlan(kind=kind, inner=inner or (2 if kind == "nested" else 0))
    for seed in SEEDS[:5]:
        split = make_split(dataset, plan, seed)
        together = np.concatenate([split.train, split.test])
        np.testing.assert_array_equal(np.sort(together), np.arange(300))
        assert split.train.dtype == split.test.dtype == np.int64
        assert len(split.inner) == plan.inner
        for train, validation in split.inner:
            assert np.isin(np.concatenate([train, validation]), split.train).all()
            assert not np.intersect1d(train, validation).size
        if kind not in ("time",) and inner:
            validated = np.sort(np.concatenate([validation for _, validation in split.inner]))
            np.testing.assert_array_equal(validated, split.train)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_split_and_another_seed_another(kind: str) -> None:
    dataset = rows_of()
    plan = SplitPlan(kind=kind, inner=3)
    one, again, other = (make_split(dataset, plan, SEEDS[place]) for place in (0, 0, 1))
    assert one.identity == again.identity
    np.testing.assert_array_equal(one.test, again.test)
    if plan.shared:
        np.testing.assert_array_equal(one.test, other.test)
        assert (one.identity == other.identity) is (kind == "time")  # inner folds are drawn, but not in time
    else:
        assert one.identity != other.identity
        assert not np.array_equal(one.test, other.test)


def test_global_random_state_is_neither_read_nor_set() -> None:
    dataset = rows_of()

    def drawn() -> list[Any]:
        found: list[Any] = []
        for kind in KINDS:
            split = make_split(dataset, SplitPlan(kind=kind, inner=2), SEEDS[0])
            found.append((split.test.tolist(), [validation.tolist() for _, validation in split.inner]))
        return found

    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    before = np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002  # type: ignore[index]
    first = drawn()
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before  # noqa: NPY002  # type: ignore[index]
    np.random.seed(2)  # noqa: NPY002
    random.seed(2)
    assert drawn() == first


def test_variants_that_share_a_seed_are_compared_on_the_same_rows() -> None:
    for seed in SEEDS[:3]:
        one, other = (make_split(rows_of(), SplitPlan(kind="stratified"), seed) for _ in range(2))
        np.testing.assert_array_equal(one.test, other.test)


@pytest.mark.parametrize(("test", "count"), [(0.2, 60), (0.1, 30), (0.201, 61), (45, 45), (1, 1), (299, 299)])
def test_a_share_is_rounded_up_and_a_count_is_kept(test: float, count: int) -> None:
    assert len(make_split(rows_of(), SplitPlan(test=test), SEEDS[0]).test) == count


def test_a_share_is_not_rounded_up_for_a_float_s_last_digit() -> None:
    assert 0.07 * 100 > 7
    assert len(make_split(rows_of(100), SplitPlan(test=0.07), SEEDS[0]).test) == 7


def test_sizes_agree_with_scikit_learn() -> None:
    from sklearn.model_selection import train_test_split

    for rows in (10, 57, 300, 1797):
        for test in (0.1, 0.2, 0.25, 1 / 3, 0.5):
            _, expected = train_test_split(np.arange(rows), test_size=test, random_state=0)
            assert len(make_split(rows_of(rows), SplitPlan(test=test), SEEDS[0]).test) == len(expected)


def test_each_row_tests_equally_often_under_random_splits() -> None:
    dataset = rows_of(60)
    counts = np.zeros(60)
    neighbours = 0
    for seed in derive_seeds("often", 2000):
        tested = make_split(dataset, SplitPlan(test=0.25), seed).test
        counts[tested] += 1
        neighbours += int(np.isin([10, 11], tested).all())
    assert abs(neighbours / 2000 - 15 / 60 * 14 / 59) < 0.022  # four deviations
    expected = 2000 * 0.25
    chi_square = np.square(counts - expected).sum() / (expected * 0.75)
    assert 25 < chi_square < 105  # 59 degrees of freedom: mean 59, deviation 11


@hypothesis_settings(max_examples=80)
@given(
    sizes=st.lists(st.integers(2, 60), min_size=2, max_size=6),
    share=st.floats(0.05, 0.9),
    place=st.integers(0, 39),
)
def test_stratified_splits_keep_every_class_s_share(sizes: list[int], share: float, place: int) -> None:
    target = np.repeat(np.arange(len(sizes)), sizes)
    dataset = Dataset(
        name="s",
        features=np.arange(len(target), dtype=np.float32)[:, None],
        target=target,
        task="classification",
        classes=tuple(str(label) for label in range(len(sizes))),
        columns=("a",),
    )
    plan = SplitPlan(kind="stratified", test=share)
    count = int(np.ceil(share * len(target) - 1e-9))
    if count < len(sizes) or len(target) - count < len(sizes):
        with pytest.raises(BadValue, match=r"room for every class|leave rows to train on"):
            make_split(dataset, plan, SEEDS[place])
        return
    split = make_split(dataset, plan, SEEDS[place])
    assert len(split.test) == count
    tested = np.bincount(target[split.test], minlength=len(sizes))
    assert (tested >= 1).all()
    assert (tested < sizes).all()
    exact = np.array(sizes) * count / len(target)
    free = (np.floor(exact) >= 1) & (np.ceil(exact) <= np.array(sizes) - 1)
    if free.all():
        assert (np.abs(tested - exact) < 1).all()


@pytest.mark.parametrize("kind", ["random", "stratified"])
def test_any_two_rows_share_an_inner_fold_equally_often(kind: str) -> None:
    target = np.repeat([0, 1], 30)
    dataset = rows_of(60, labels=2, target=target)
    together = {(0, 1): 0, (0, 3): 0}
    for seed in derive_seeds("folds", 600):
        split = make_split(dataset, SplitPlan(kind=kind, test=2, inner=3), seed)
        for one, other in together:
            if np.isin([one, other], split.train).all():
                together[one, other] += any(np.isin([one, other], rows).all() for _, rows in split.inner)
    for count in together.values():
        assert 0.22 < count / 600 < 0.4  # nearly a third


def test_stratified_remainders_are_dealt_by_lot() -> None:
    target = np.repeat(np.arange(4), 6)
    dataset = Dataset(
        name="s", features=np.arange(24, dtype=np.float32)[:, None], target=target, task="classification",
        classes=("a", "b", "c", "d"), columns=("x",),
    )  # fmt: skip
    counts = np.zeros(4)
    for seed in derive_seeds("lots", 400):
        counts += np.bincount(target[make_split(dataset, SplitPlan(kind="stratified", test=6), seed).test])
    assert (np.abs(counts / 400 - 1.5) < 0.12).all()  # four deviations of 0.5 / sqrt(400), and more


def test_a_split_keeps_groups_apart() -> None:
    dataset = rows_of()
    assert dataset.groups is not None
    for kind in ("grouped", "nested"):
        for seed in SEEDS:
            split = make_split(dataset, SplitPlan(kind=kind, inner=5), seed)
            assert not set(dataset.groups[split.train]) & set(dataset.groups[split.test])
            assert 50 <= len(split.test) <= 70
            for train, validation in split.inner:
                assert not set(dataset.groups[train]) & set(dataset.groups[validation])
            sizes = [len(validation) for _, validation in split.inner]
            assert max(sizes) - min(sizes) <= 25


def test_one_large_group_still_leaves_both_sides_rows() -> None:
    groups = np.array(["big"] * 290 + ["small"] * 10)
    for seed in SEEDS[:10]:
        split = make_split(rows_of(groups=groups), SplitPlan(kind="grouped"), seed)
        assert len(split.test) == 10
    alike = np.repeat([str(number) for number in range(3)], 100)
    tested = {
        tuple(make_split(rows_of(groups=alike), SplitPlan(kind="grouped", test=20), s).test) for s in SEEDS
    }
    assert len(tested) == 3


def test_a_split_in_time_tests_on_what_comes_after() -> None:
    dataset = rows_of()
    times = dataset.times
    assert times is not None
    for gap in (0, 100, 300):
        split = make_split(dataset, SplitPlan(kind="time", gap=gap, inner=4), SEEDS[0])
        assert len(split.test) >= 60
        assert times[split.test].min() - times[split.train].max() >= max(gap, 1)
        for train, validation in split.inner:
            assert times[validation].min() - times[train].max() >= max(gap, 1)
        ends = [times[validation].max() for _, validation in split.inner]
        assert ends == sorted(ends)


def test_rows_of_one_instant_stay_on_one_side() -> None:
    times = np.repeat(np.arange(30), 10)
    split = make_split(rows_of(times=times), SplitPlan(kind="time", test=55), SEEDS[0])
    assert set(times[split.test]) == set(range(24, 30))


def test_a_gap_between_dates_is_in_seconds() -> None:
    times = np.datetime64("2024-01-01", "us") + np.arange(300) * np.timedelta64(3600, "s")
    split = make_split(rows_of(times=times), SplitPlan(kind="time", test=50, gap=86400), SEEDS[0])
    assert times[split.test].min() - times[split.train].max() == np.timedelta64(86400, "s")


def test_published_parts_are_kept() -> None:
    dataset = rows_of()
    split = make_split(dataset, SplitPlan(kind="column"), SEEDS[0])
    np.testing.assert_array_equal(split.test, np.arange(0, 300, 4))


def test_nested_splits_follow_the_structure_of_the_data() -> None:
    plan = SplitPlan(kind="nested", inner=3)
    free = rows_of(groups=None)
    split = make_split(free, plan, SEEDS[0])
    shares = np.bincount(free.target[split.test]) / np.bincount(free.target)
    assert np.ptp(shares) < 0.1
    values = rows_of(groups=None, task="regression", target=np.arange(300.0), classes=())
    assert len(make_split(values, plan, SEEDS[0]).inner) == 3
    for train, validation in split.inner:
        np.testing.assert_allclose(
            np.bincount(free.target[validation]) / len(validation),
            np.bincount(free.target[split.train]) / len(split.train),
            atol=0.02,
        )
        assert len(train) + len(validation) == len(split.train)


def test_the_identity_covers_rows_folds_plan_and_data() -> None:
    dataset = rows_of()
    plan = SplitPlan(inner=2)
    split = make_split(dataset, plan, SEEDS[0])
    train, validation = split.inner[0]
    others = [
        Split(train=split.train[1:], test=split.test, plan=plan, dataset=split.dataset),
        Split(train=split.train, test=split.test[1:], plan=plan, dataset=split.dataset),
        Split(train=split.train, test=split.test, plan=plan, dataset=split.dataset),
        Split(
            train=split.train, test=split.test, inner=((validation, train),), plan=plan, dataset=split.dataset
        ),
        Split(train=split.train, test=split.test, inner=split.inner, plan=SplitPlan(), dataset=split.dataset),
        Split(train=split.train, test=split.test, inner=split.inner, plan=plan, dataset="0" * 64),
    ]
    assert len({split.identity, *(other.identity for other in others)}) == 7


BAD: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("more test rows than rows", {}, {"test": 301}, "leave rows to train on"),
    ("all rows", {}, {"test": 300}, "leave rows to train on"),
    ("a class with one row", {"target": np.array([0] * 299 + [1])}, {"kind": "stratified"}, r"1 \(1\)"),
    ("no room for classes", {}, {"kind": "stratified", "test": 2}, "room for every class"),
    (
        "a rare class in folds",
        {"target": np.array([0] * 295 + [1] * 5)},
        {"kind": "stratified", "inner": 5},
        "at least 5",
    ),
    ("one group", {"groups": np.array(["a"] * 300)}, {"kind": "grouped"}, "at least 2 groups"),
    (
        "fewer groups than folds",
        {"groups": np.array(["a", "b", "c"] * 100)},
        {"kind": "grouped", "inner": 5},
        "5 groups",
    ),
    ("no groups", {"groups": None}, {"kind": "grouped"}, "name it in data.group"),
    ("no times", {"times": None}, {"kind": "time"}, "name it in data.time"),
    ("one instant", {"times": np.zeros(300, dtype=np.int64)}, {"kind": "time"}, "earlier rows"),
    ("too long a gap", {}, {"kind": "time", "gap": 1e6}, "earlier rows"),
    ("no parts", {"parts": None}, {"kind": "column"}, "name it in data.part"),
    ("no such part", {}, {"kind": "column", "part": "validation"}, "parts: test, train"),
    ("one part", {"parts": np.array(["test"] * 300)}, {"kind": "column"}, "leaves others"),
    (
        "values by class",
        {"target": np.arange(300.0), "task": "regression", "classes": ()},
        {"kind": "stratified"},
        "needs classes",
    ),
    ("more folds than rows", {}, {"inner": 290}, "at least one row"),
]


@pytest.mark.parametrize(
    ("changes", "plan", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_data_that_cannot_be_split_so_get_a_clear_error(
    changes: dict[str, Any], plan: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadValue, match=message):
        make_split(rows_of(**changes), SplitPlan(**plan), SEEDS[0])


@pytest.mark.parametrize(
    "fields",
    [
        {"test": 0},
        {"test": -0.1},
        {"test": 2.5},
        {"inner": 1},
        {"inner": -1},
        {"kind": "nested"},
        {"gap": 3},
        {"kind": "time", "gap": -1},
        {"test": float("nan")},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        SplitPlan(**fields)


def test_a_wrong_kind_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Nearest: stratified"):
        SplitPlan(kind="stratify")


@pytest.mark.parametrize(
    ("train", "test"),
    [([0, 1, 2], [2, 3]), ([1, 0], [2]), ([0, 0], [2]), ([], [1]), ([-1, 0], [1])],
)
def test_a_split_that_contradicts_itself_is_refused(train: list[int], test: list[int]) -> None:
    with pytest.raises(BadValue):
        Split(
            train=np.array(train, dtype=np.int64),
            test=np.array(test, dtype=np.int64),
            plan=SplitPlan(),
            dataset="0" * 64,
        )


def test_published_examples_of_a_seed_stay_as_they_are() -> None:
    """Splits are part of data's identity, so a release must not change them."""
    split = make_split(rows_of(20, families=5), SplitPlan(kind="stratified", test=5), Seed("ab" * 32))
    assert split.test.tolist() == GOLDEN


GOLDEN = [0, 5, 8, 12, 15]
