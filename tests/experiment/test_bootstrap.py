import math

import numpy as np
import pytest
from scipy import stats

from modelwright.base.errors import BadValue, UnknownName
from modelwright.experiment import bootstrap
from modelwright.experiment.bootstrap import bootstrap_difference, bootstrap_improvement, bootstrap_interval
from modelwright.experiment.estimate import interquartile_mean, mean, median, probability_of_improvement

SKEWED = np.random.default_rng(3).exponential(size=12)
CANDIDATE = np.random.default_rng(1).normal(1.0, 1.0, size=(6, 4))
BASELINE = np.random.default_rng(2).normal(0.5, 1.0, size=(6, 4))


def fresh(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize(("ours", "theirs"), [(mean, np.mean), (median, np.median)])
def test_one_sample_intervals_equal_those_of_scipy_from_the_same_stream(method, level, ours, theirs) -> None:
    found = bootstrap_interval(SKEWED, ours, generator=fresh(), level=level, resamples=2000, method=method)
    oracle = stats.bootstrap(
        (SKEWED,), theirs, confidence_level=level, n_resamples=2000, method=method, rng=fresh()
    ).confidence_interval
    assert found.low == pytest.approx(oracle.low, rel=1e-12)
    assert found.high == pytest.approx(oracle.high, rel=1e-12)
    assert found.estimate == pytest.approx(theirs(SKEWED))


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_paired_intervals_equal_those_of_scipy_from_the_same_stream(method) -> None:
    x, y = CANDIDATE[:, 0], BASELINE[:, 0]

    def difference(x, y, axis=-1):
        return interquartile_mean(x, axis=-1) - interquartile_mean(y, axis=-1)

    found = bootstrap_difference(x, y, interquartile_mean, generator=fresh(), resamples=3000, method=method)
    oracle = stats.bootstrap(
        (x, y), difference, paired=True, n_resamples=3000, method=method, vectorized=True, rng=fresh()
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), rel=1e-12)


def test_a_paired_difference_of_means_is_the_mean_of_differences() -> None:
    pair = bootstrap_difference(CANDIDATE, BASELINE, generator=fresh(), resamples=500)
    one = bootstrap_interval(CANDIDATE - BASELINE, generator=fresh(), resamples=500)
    assert (pair.low, pair.estimate, pair.high) == pytest.approx((one.low, one.estimate, one.high))


def test_pairing_takes_out_what_the_seeds_share() -> None:
    luck = fresh(9).normal(0, 10, size=20)
    x, y = luck + fresh(4).normal(1, 0.1, size=20), luck
    paired = bootstrap_difference(x, y, generator=fresh(), resamples=1000)
    apart = bootstrap_difference(x, y, generator=fresh(), resamples=1000, paired=False)
    assert paired.high - paired.low < 0.2
    assert apart.high - apart.low > 8
    assert paired.estimate == apart.estimate


def test_a_metric_that_is_minimized_is_turned() -> None:
    up = bootstrap_difference(CANDIDATE, BASELINE, generator=fresh(), resamples=400)
    down = bootstrap_difference(CANDIDATE, BASELINE, generator=fresh(), resamples=400, direction="minimize")
    assert (down.low, down.estimate, down.high) == pytest.approx((-up.high, -up.estimate, -up.low))
    wins = bootstrap_improvement(CANDIDATE, BASELINE, generator=fresh(), resamples=400)
    losses = bootstrap_improvement(
        CANDIDATE, BASELINE, generator=fresh(), resamples=400, direction="minimize"
    )
    assert (losses.low, losses.high) == pytest.approx((1 - wins.high, 1 - wins.low))


def test_runs_are_drawn_within_their_task_and_each_task_on_its_own() -> None:
    # Tasks far apart: a run that strayed into another task would show as a jump of 1000.
    scores = 1000.0 * np.arange(3) + np.array([[0.0, 0, 0], [1, 1, 1]])
    seen: list[np.ndarray] = []

    def spy(samples, /, *, axis=None):
        if axis is not None:
            seen.append(samples)
        return mean(samples, axis=axis)

    bootstrap_interval(scores, spy, generator=fresh(), resamples=2000)
    drawn = np.concatenate(seen)
    assert drawn.shape == (2000, 2, 3)
    high = drawn - 1000.0 * np.arange(3)
    assert set(np.unique(high)) == {0.0, 1.0}
    together = np.corrcoef(high.mean(axis=1).T)  # of the tasks' means, over resamples
    assert np.abs(together[np.triu_indices(3, 1)]).max() < 0.08
    # The variance of a stratified mean is that of its strata: 3 tasks x (1/4) / 2 runs / 3^2.
    assert high.mean(axis=(1, 2)).var() == pytest.approx(0.25 / 2 / 3, rel=0.1)


def test_arms_that_are_not_paired_are_drawn_apart() -> None:
    x = np.array([0.0, 1.0] * 10)
    assert bootstrap_difference(x, x, generator=fresh(), resamples=300).high == 0
    assert bootstrap_difference(x, x, generator=fresh(), resamples=300, paired=False).high > 0.1
    assert bootstrap_improvement(x, x, generator=fresh(), resamples=300).high > 0.55


def test_the_interval_of_improvement_agrees_with_a_loop() -> None:
    x, y = CANDIDATE, BASELINE[:5]
    found = bootstrap_improvement(x, y, generator=fresh(), resamples=4000)
    generator, wins = fresh(77), []
    for _ in range(4000):
        ours = np.column_stack([generator.choice(task, len(task)) for task in x.T])
        theirs = np.column_stack([generator.choice(task, len(task)) for task in y.T])
        wins.append(probability_of_improvement(ours, theirs))
    assert found.estimate == probability_of_improvement(x, y)
    assert (found.low, found.high) == pytest.approx(np.quantile(wins, [0.025, 0.975]), abs=0.02)


def test_the_result_does_not_depend_on_the_blocks_in_memory(monkeypatch) -> None:
    def every() -> list:
        return [
            bootstrap_interval(CANDIDATE, generator=fresh(), resamples=333),
            bootstrap_interval(SKEWED, generator=fresh(), resamples=333, method="bca"),
            bootstrap_difference(CANDIDATE, BASELINE, generator=fresh(), resamples=333),
            bootstrap_difference(CANDIDATE, BASELINE[:5], generator=fresh(), resamples=333, paired=False),
            bootstrap_improvement(CANDIDATE, BASELINE[:5], generator=fresh(), resamples=333),
        ]

    whole = every()
    monkeypatch.setattr(bootstrap, "_NUMBERS_AT_ONCE", 100)
    assert every() == whole


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for draw in (
        lambda seed: bootstrap_interval(CANDIDATE, interquartile_mean, generator=fresh(seed), resamples=200),
        lambda seed: bootstrap_difference(
            CANDIDATE, BASELINE, generator=fresh(seed), resamples=200, paired=False
        ),
        lambda seed: bootstrap_improvement(CANDIDATE, BASELINE, generator=fresh(seed), resamples=200),
    ):
        assert draw(5) == draw(5)
        assert draw(5).low != draw(6).low
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_equal_scores_give_an_interval_of_no_length() -> None:
    for method in ("percentile", "bca"):
        found = bootstrap_interval([2.0] * 5, generator=fresh(), resamples=100, method=method)
        assert (found.low, found.high) == (2.0, 2.0)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: bootstrap_interval([1.0], generator=fresh()),
        lambda: bootstrap_interval([1.0, float("nan")], generator=fresh()),
        lambda: bootstrap_interval(CANDIDATE, generator=fresh(), level=1.0),
        lambda: bootstrap_interval(CANDIDATE, generator=fresh(), level=95),
        lambda: bootstrap_interval(CANDIDATE, generator=fresh(), resamples=10),
        lambda: bootstrap_interval(CANDIDATE, generator=fresh(), method="bca"),
        lambda: bootstrap_difference(SKEWED, SKEWED, generator=fresh(), method="bca", paired=False),
        lambda: bootstrap_difference(CANDIDATE, BASELINE[:5], generator=fresh()),
        lambda: bootstrap_difference(CANDIDATE, BASELINE[:, :3], generator=fresh(), paired=False),
        lambda: bootstrap_improvement(CANDIDATE, BASELINE[:, 0], generator=fresh()),
    ],
)
def test_a_value_outside_its_rule_is_refused(ask) -> None:
    with pytest.raises(BadValue):
        ask()


def test_a_wrong_method_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Nearest: percentile"):
        bootstrap_interval(SKEWED, generator=fresh(), method="percent")  # type: ignore[arg-type]


def covered(make, estimator, truth: float, experiments: int, **arguments) -> float:
    generator = fresh(123)
    hits = 0
    for _ in range(experiments):
        found = bootstrap_interval(
            make(generator), estimator, generator=generator, resamples=600, **arguments
        )
        hits += found.low <= truth <= found.high
    return hits / experiments


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 10, 40])
def test_a_percentile_interval_of_a_mean_covers_as_its_normal_limit_says(seeds: int) -> None:
    # The bootstrap's spread is too small by sqrt((n-1)/n) and its quantiles are near normal, not t.
    expected = 1 - 2 * stats.t.sf(1.96 * math.sqrt((seeds - 1) / seeds), seeds - 1)
    found = covered(lambda g: g.normal(size=seeds), mean, 0.0, 4000)
    assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.slow
def test_a_stratified_interval_over_many_tasks_covers_near_its_level() -> None:
    # Tasks of different spread around the same centre: the interquartile mean of all of them is 0.
    spread = np.linspace(0.5, 2.0, 20)
    found = covered(lambda g: spread * g.normal(size=(10, 20)), interquartile_mean, 0.0, 1500)
    assert found == pytest.approx(0.95, abs=0.025)


@pytest.mark.slow
def test_bca_covers_the_mean_of_skewed_results_better_than_percentile() -> None:
    rate = {
        method: covered(lambda g: g.exponential(size=20), mean, 1.0, 4000, method=method)
        for method in ("percentile", "bca")
    }
    assert rate["percentile"] < rate["bca"] < 0.96
