import itertools

import numpy as np
import pytest
from ville import BettingCS

from modelwright.base.errors import BadValue
from modelwright.experiment.betting import BettingRule

SHARES = np.arange(1, 21) / 20


def rule(seeds: int, low: float = 0.0, high: float = 1.0, alpha: float = 0.05) -> BettingRule:
    return BettingRule(looks=tuple(range(2, seeds + 1)), alpha=alpha, low=low, high=high)


def limits_by_search(x: np.ndarray, alpha: float) -> tuple[float, float]:
    """Return the limits by trying every mean of a fine grid, with capital as the plain product of stakes."""

    def best(results: np.ndarray, mean: float) -> float:
        stakes = SHARES[:, None]
        return max(
            np.prod(1 + stakes * (results[:t] / mean - 1), axis=1).mean() for t in range(1, len(results) + 1)
        )

    means = np.linspace(0.0025, 0.9975, 399)
    alive = [float(mean) for mean in means if max(best(x, mean), best(1 - x, 1 - mean)) < 2 / alpha]
    return min(alive), max(alive)


@pytest.mark.parametrize("seed", range(3))
def test_limits_are_those_of_a_search_over_means(seed: int) -> None:
    x = np.random.default_rng(seed).beta(4, 2, 12)
    found = rule(12).interval(x, 10)
    low, high = limits_by_search(x, 0.05)
    assert found.low == pytest.approx(low, abs=3e-3)
    assert found.high == pytest.approx(high, abs=3e-3)


def test_bounds_only_rescale() -> None:
    x = np.random.default_rng(1).beta(2, 2, 20)
    unit, wide = rule(20).interval(x, 18), rule(20, -3.0, 5.0).interval(-3 + 8 * x, 18)
    assert wide.low == pytest.approx(-3 + 8 * unit.low, abs=1e-9)
    assert wide.high == pytest.approx(-3 + 8 * unit.high, abs=1e-9)


@pytest.mark.parametrize("mean", [0.02, 0.3, 0.5, 0.93])
@pytest.mark.parametrize("size", [1.0, 0.1])
def test_the_true_mean_is_ever_missed_at_most_as_often_as_planned(mean: float, size: float) -> None:
    # Two-point results are the hardest; looked at after every one of 40 seeds.
    generator = np.random.default_rng(3)
    width = size * min(mean, 1 - mean)
    low, high = mean - width, mean + width * 2 if mean + 2 * width <= 1 else mean + width
    share = (mean - low) / (high - low)
    x = np.where(generator.random((6_000, 40)) < share, high, low)
    it = rule(40)
    assert it.beyond(x, mean).any(axis=1).mean() <= 0.025 + 3 * np.sqrt(0.025 / 6_000)
    assert it.short_of(x, mean).any(axis=1).mean() <= 0.025 + 3 * np.sqrt(0.025 / 6_000)


@pytest.mark.parametrize("seeds", [5, 10, 30])
def test_it_is_no_wider_than_villes_plug_in_bets_for_few_seeds(seeds: int) -> None:
    generator = np.random.default_rng(7)
    ours, theirs = [], []
    for _ in range(5):
        x = np.clip(generator.normal(0.6, 0.08, seeds), 0, 1)
        ours.append(rule(seeds).interval(x, seeds - 2).width)
        reference = BettingCS(bounds=(0.0, 1.0), alpha=0.05)
        reference.update(x)
        interval = reference.interval()
        theirs.append(interval[1] - interval[0])
    assert np.mean(ours) < np.mean(theirs)


def test_it_agrees_with_villes_where_there_is_much_to_see() -> None:
    x = np.random.default_rng(9).beta(3, 2, 2_000)
    ours = rule(2_000).interval(x, 1_998)
    reference = BettingCS(bounds=(0.0, 1.0), alpha=0.05)
    reference.update(x)
    low, high = reference.interval()
    assert ours.low == pytest.approx(low, abs=0.012)
    assert ours.high == pytest.approx(high, abs=0.012)


def test_the_interval_only_narrows() -> None:
    x = np.random.default_rng(2).beta(2, 3, 30)
    intervals = [rule(30).interval(x[:seeds], seeds - 2) for seeds in range(2, 31)]
    for early, late in itertools.pairwise(intervals):
        assert early.low <= late.low + 1e-12
        assert late.high <= early.high + 1e-12


def test_decisions_for_many_agree_with_the_interval() -> None:
    x = np.random.default_rng(4).beta(5, 2, (12, 15))
    it = rule(15)
    for effect in (-0.1, 0.0, 0.4, 0.6, 0.9, 1.0, 1.2):
        beyond, short = it.beyond(x, effect), it.short_of(x, effect)
        for row in range(12):
            for look in (0, 6, 13):
                found = it.interval(x[row, : it.looks[look]], look)
                assert beyond[row, look] == found.beyond(effect)
                assert short[row, look] == found.short_of(effect)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_results_at_the_bounds_do_not_break_it(value: float) -> None:
    found = rule(10).interval(np.full(10, value), 8)
    assert found.low <= value <= found.high
    assert found.width < 0.5


def test_a_difference_outside_the_bounds_is_refused() -> None:
    with pytest.raises(BadValue, match="planned bounds") as refusal:
        rule(3).interval([0.5, 1.2, 0.5], 1)
    assert "seed index 1" in str(refusal.value)
    with pytest.raises(BadValue, match="planned bounds"):
        rule(3).beyond(np.array([[0.5, -0.2, 0.5]]), 0.1)


def test_the_narrowest_width_is_not_undercut_by_results_around_the_middle() -> None:
    it = rule(20, -1.0, 1.0)
    generator = np.random.default_rng(0)
    for spread in (0.3, 0.05, 0.001):
        d = np.clip(generator.normal(0, spread, 20), -1, 1)
        assert it.interval(d, 18).width >= it.narrowest - 1e-6
