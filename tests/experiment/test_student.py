"""Differences without spread: where a t interval has nothing to build on."""

import numpy as np
import pytest

from modelwright.experiment.difference import paired_differences
from modelwright.experiment.rule import Rule, StoppingRule, build_rule

LOOKS = {"first look at 3": (3, 6, 9), "one look": (3,), "many seeds": (10, 20, 30)}


def built(
    looks: tuple[int, ...], bounds: tuple[float | None, float | None], *, exact: bool = False
) -> StoppingRule:
    kind = "group_sequential" if len(looks) > 1 else "fixed"
    rule = Rule(kind=kind, looks=looks, spending="pocock") if len(looks) > 1 else Rule()
    return build_rule(rule, seeds=looks[-1], alpha=0.05, bounds=bounds, exact=exact)


def coarse(experiments: int, seeds: int) -> tuple[np.ndarray, float]:
    """Return differences of accuracy over few rows, mostly one value, and their true mean."""
    values, chances = np.array([-0.4, 0.02, 0.04]), np.array([0.08, 0.9, 0.02])
    drawn = np.random.default_rng(1).choice(values, size=(experiments, seeds), p=chances)
    return drawn, float(values @ chances)


@pytest.mark.parametrize("looks", LOOKS.values(), ids=LOOKS)
def test_coarse_results_that_are_equal_by_chance_claim_nothing_false(looks: tuple[int, ...]) -> None:
    differences, truth = coarse(20_000, looks[-1])
    equal = np.ptp(differences[:, : looks[0]], axis=1) == 0
    assert equal.mean() > 0.3  # the fault that this is for is common here
    differences = differences[equal]
    rule = built(looks, (-1.0, 1.0))
    assert rule.beyond(differences, truth)[:, 0].mean() * equal.mean() <= 0.025
    undecided = built(looks, (None, None))
    assert not undecided.beyond(differences, truth)[:, 0].any()
    assert not undecided.short_of(differences, truth)[:, 0].any()
    believing = built(looks, (None, None), exact=True)
    assert believing.beyond(differences, truth)[:, 0].mean() * equal.mean() > 0.3


def test_equal_differences_bound_the_mean_by_the_chance_that_one_value_repeats() -> None:
    rule = built((5,), (-1.0, 1.0))
    found = rule.interval(np.full(5, 0.02), 0)
    rare = 1 - 0.025 ** (1 / 4)
    assert found.low == pytest.approx(0.02 + rare * (-1 - 0.02))
    assert found.high == pytest.approx(0.02 + rare * (1 - 0.02))


def test_equality_is_up_to_rounding() -> None:
    differences = np.array([44 / 45 - 43 / 45, 43 / 45 - 42 / 45, 41 / 45 - 40 / 45])
    assert np.ptp(differences) > 0
    assert built((3,), (-1.0, 1.0)).interval(differences, 0).width > 1
    taken = paired_differences([44 / 45, 43 / 45, 41 / 45], [43 / 45, 42 / 45, 40 / 45], sign=1)
    assert np.ptp(taken) == 0


@pytest.mark.parametrize("unit", [1e-15, 1e-9, 1.0, 1e12])
def test_the_unit_of_the_metric_decides_nothing(unit: float) -> None:
    """A spread is small or large beside the results that it belongs to, never by itself."""
    draw = np.random.default_rng(3)
    candidate, baseline = draw.normal(10, 1, 5), draw.normal(10, 1, 5)
    rule = built((5,), (None, None))
    plain = rule.interval(paired_differences(candidate, baseline, sign=1), 0)
    scaled = rule.interval(paired_differences(candidate * unit, baseline * unit, sign=1), 0)
    assert scaled.low == pytest.approx(plain.low * unit, rel=1e-9)
    assert scaled.high == pytest.approx(plain.high * unit, rel=1e-9)
    small = draw.normal(size=(4000, 5)) * unit
    assert 0.015 < rule.beyond(small, 0.0).mean() < 0.035


def test_many_equal_differences_are_settled_in_the_end() -> None:
    rule = built((200,), (-1.0, 1.0))
    assert rule.interval(np.zeros(200), 0).inside(-0.05, 0.05)


def test_equal_differences_without_bounds_decide_only_where_the_design_says_so() -> None:
    equal = np.full(5, 3.25)
    assert not built((5,), (None, None)).tells(equal)
    assert built((5,), (-4.0, 4.0)).tells(equal)
    believing = built((5,), (None, None), exact=True)
    assert believing.tells(equal)
    assert believing.interval(equal, 0).width == 0


@pytest.mark.parametrize(
    ("bounds", "exact"), [((None, None), False), ((None, None), True), ((-1.0, 1.0), False)]
)
def test_many_experiments_at_once_decide_as_one_interval_does(
    bounds: tuple[float | None, float | None], exact: bool
) -> None:
    rule = built((3, 6, 9), bounds, exact=exact)
    differences, truth = coarse(300, 9)
    beyond, short = rule.beyond(differences, truth), rule.short_of(differences, truth)
    for look, seeds in enumerate(rule.looks):
        ends = [rule.interval(row[:seeds], look) for row in differences]
        told = [rule.tells(row[:seeds]) for row in differences]
        pairs = list(zip(told, ends, strict=True))
        assert beyond[:, look].tolist() == [tells and end.beyond(truth) for tells, end in pairs]
        assert short[:, look].tolist() == [tells and end.short_of(truth) for tells, end in pairs]
