import math

import numpy as np
import pytest
from scipy import stats

from modelwright.base.errors import BadValue
from modelwright.experiment.sample_size import paired_t_power
from modelwright.experiment.simulated_power import simulate_power

SEEDS = 12


def one_look(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    seeds = differences.shape[1]
    t = differences.mean(axis=1) / differences.std(axis=1, ddof=1) * math.sqrt(seeds)
    return np.full(len(differences), seeds), t > stats.t.ppf(0.975, seeds - 1)


def naive_peeking(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Known spread of 1, a look after every seed, the bound of a single look at each."""
    count = np.arange(1, differences.shape[1] + 1)
    crossed = np.abs(differences.cumsum(axis=1)) / np.sqrt(count) > 1.959964
    stopped = crossed.any(axis=1)
    return np.where(stopped, crossed.argmax(axis=1) + 1, differences.shape[1]), stopped


def simulate(seed: int = 5, **changes):
    settings = {"decide": one_look, "seeds": SEEDS, "effect": 0.9, "spread": 1.0, "experiments": 4000}
    settings |= {"generator": np.random.default_rng(seed)} | changes
    return simulate_power(settings.pop("decide"), **settings)


def test_one_look_agrees_with_the_noncentral_t() -> None:
    answer = simulate(experiments=40_000)
    assert abs(answer.power - paired_t_power(0.9, 1.0, SEEDS, 0.05)) < 4 * answer.power_error
    assert answer.expected_seeds == SEEDS
    assert answer.expected_seeds_error == 0


@pytest.mark.parametrize(
    ("looks", "printed"), [(1, 0.050), (2, 0.083), (3, 0.107), (5, 0.142), (10, 0.193), (20, 0.248)]
)
def test_naive_peeking_shows_the_error_rates_of_armitage(looks: int, printed: float) -> None:
    answer = simulate(decide=naive_peeking, seeds=looks, effect=0.0, experiments=60_000)
    assert abs(answer.power - printed) < 4 * answer.power_error + 0.0005


def test_stopping_early_lowers_the_expected_seeds() -> None:
    answer = simulate(decide=naive_peeking, effect=2.0)
    assert 1 < answer.expected_seeds < 2
    assert 0 < answer.expected_seeds_error < 0.05


def test_overlap_inflates_the_variance_of_the_mean() -> None:
    seen: list[np.ndarray] = []

    def spy(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append(differences)
        return one_look(differences)

    simulate(decide=spy, effect=3.0, spread=2.0, inflation=0.5, experiments=40_000)
    means = seen[0].mean(axis=1)
    assert means.mean() == pytest.approx(3.0, abs=0.05)
    assert means.var() == pytest.approx(4 * (1 / SEEDS + 0.5), rel=0.04)
    assert seen[0].var(axis=1, ddof=1).mean() == pytest.approx(4, rel=0.03)


def test_the_differences_may_come_from_any_law() -> None:
    skewed = simulate(
        decide=one_look,
        effect=0.0,
        seeds=5,
        experiments=40_000,
        draw=lambda g, shape: 1 - g.standard_exponential(shape),
    )
    assert skewed.power > 0.04  # left-skewed results fool the t test far above its 0.025


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert simulate(5) == simulate(5)
    assert simulate(5).power != simulate(6).power
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": 0},
        {"experiments": 10},
        {"effect": float("nan")},
        {"spread": 0.0},
        {"inflation": -1.0},
        {"draw": lambda g, shape: g.standard_normal(3)},
        {"draw": lambda g, shape: np.full(shape, np.nan)},
        {"decide": lambda d: (np.full(len(d), 13), np.ones(len(d), dtype=bool))},
        {"decide": lambda d: (np.zeros(len(d), dtype=int), np.ones(len(d), dtype=bool))},
        {"decide": lambda d: (np.full(len(d), 2.5), np.ones(len(d), dtype=bool))},
        {"decide": lambda d: (np.full(len(d), 2), np.ones(len(d)))},
        {"decide": lambda d: (np.full(3, 2), np.ones(3, dtype=bool))},
    ],
)
def test_a_value_outside_its_rule_is_refused(changes: dict) -> None:
    with pytest.raises(BadValue):
        simulate(**changes)
