import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestIndPower, TTestPower

from modelwright.base.errors import BadValue
from modelwright.experiment.sample_size import (
    noether_size,
    paired_t_power,
    seeds_needed,
    sign_flip_seeds,
    two_sample_size,
)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 30, 200])
@pytest.mark.parametrize("effect", [0.0, 0.2, 0.8, 2.0])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_paired_power_agrees_with_statsmodels(seeds: int, effect: float, alpha: float) -> None:
    # The upper tail at level alpha / 2 of the two-sided test.
    oracle = TTestPower().power(effect_size=effect, nobs=seeds, alpha=alpha / 2, alternative="larger")
    assert paired_t_power(effect * 0.03, 0.03, seeds, alpha) == pytest.approx(oracle, abs=1e-9)


@pytest.mark.parametrize("seeds", [2, 3, 6, 30, 1000])
def test_an_extreme_effect_has_a_power_of_one_or_of_nought(seeds: int) -> None:
    for size in np.geomspace(1e-3, 1e7, 200):
        assert 0.025 < paired_t_power(size, 1.0, seeds, 0.05) <= 1
        assert 0 <= paired_t_power(-size, 1.0, seeds, 0.05) < 0.025
    assert paired_t_power(1e7, 1.0, seeds, 0.05) > 0.9999
    assert paired_t_power(-1e7, 1.0, seeds, 0.05) == 0


def test_a_true_zero_is_supported_in_half_of_alpha() -> None:
    assert paired_t_power(0.0, 1.0, 7, 0.05, 0.3) == pytest.approx(0.025, abs=1e-12)


def test_power_with_overlapping_training_sets_agrees_with_simulation() -> None:
    generator = np.random.default_rng(11)
    effect, spread, seeds, rho = 0.9, 1.3, 8, 0.25
    noise = generator.standard_normal((200_000, seeds)) + math.sqrt(rho) * generator.standard_normal(
        (200_000, 1)
    )
    d = effect + spread * noise
    t = d.mean(axis=1) / (d.std(axis=1, ddof=1) * math.sqrt(1 / seeds + rho))
    simulated = (t > 2.3646242515927849).mean()  # t quantile 0.975 with 7 degrees of freedom
    assert paired_t_power(effect, spread, seeds, 0.05, rho) == pytest.approx(simulated, abs=0.004)


@pytest.mark.parametrize(("effect", "power"), [(0.3, 0.8), (0.5, 0.9), (1.0, 0.8), (1.5, 0.95)])
def test_seeds_needed_agrees_with_the_solver_of_statsmodels(effect: float, power: float) -> None:
    solved = TTestPower().solve_power(effect_size=effect, power=power, alpha=0.025, alternative="larger")
    assert seeds_needed(effect, 1.0, power, 0.05) == math.ceil(solved)


@settings(max_examples=60)
@given(
    effect=st.floats(0.05, 5),
    spread=st.floats(0.1, 3),
    power=st.floats(0.1, 0.99),
    alpha=st.floats(0.001, 0.3),
    inflation=st.sampled_from([0.0, 0.05, 0.25]),
)
def test_seeds_needed_are_enough_and_one_fewer_is_not(
    effect: float, spread: float, power: float, alpha: float, inflation: float
) -> None:
    try:
        seeds = seeds_needed(effect, spread, power, alpha, inflation, smallest=2)
    except BadValue:
        assert paired_t_power(effect, spread, 10_000, alpha, inflation) < power
        return
    assert paired_t_power(effect, spread, seeds, alpha, inflation) >= power
    assert seeds == 2 or paired_t_power(effect, spread, seeds - 1, alpha, inflation) < power


def test_power_grows_with_the_seeds() -> None:
    for inflation in (0.0, 0.1, 1.0):
        powers = [paired_t_power(0.4, 1.0, seeds, 0.05, inflation) for seeds in range(2, 200)]
        assert np.all(np.diff(powers) > 0)


def test_a_sequential_design_multiplies_the_fixed_size() -> None:
    fixed = seeds_needed(0.5, 1.0, 0.8, 0.05)
    assert fixed == 34
    assert seeds_needed(0.5, 1.0, 0.8, 0.05, sequential_inflation=1.2) == math.ceil(1.2 * 34)
    assert seeds_needed(50.0, 1.0, 0.8, 0.05, smallest=5) == 5


def test_overlap_bounds_the_power_and_the_error_names_the_bound() -> None:
    # Phi(1 / sqrt(0.25) - 1.95996) = Phi(0.04004) = 0.516
    with pytest.raises(BadValue, match=r"power 0\.515, the limit") as caught:
        seeds_needed(1.0, 1.0, 0.8, 0.05, inflation=0.25)
    assert "larger effect" in str(caught.value)
    assert paired_t_power(1.0, 1.0, 10**7, 0.05, 0.25) == pytest.approx(0.515969, abs=1e-5)
    assert seeds_needed(1.0, 1.0, 0.5, 0.05, inflation=0.25) > 30


def test_a_budget_that_is_too_small_is_answered_with_the_power_that_it_buys() -> None:
    reached = paired_t_power(0.5, 1.0, 20, 0.05)
    with pytest.raises(BadValue, match=f"power {math.floor(reached * 1000) / 1000:.3f}, reached"):
        seeds_needed(0.5, 1.0, 0.8, 0.05, largest=20)
    with pytest.raises(BadValue, match="fewer than 2 seeds"):
        seeds_needed(0.5, 1.0, 0.8, 0.05, sequential_inflation=2.0, largest=3)
    with pytest.raises(BadValue):  # 34 seeds fit, 1.2 times 34 do not
        seeds_needed(0.5, 1.0, 0.8, 0.05, sequential_inflation=1.2, largest=40)
    assert seeds_needed(0.5, 1.0, 0.8, 0.05, sequential_inflation=1.2, largest=41) == 41


@pytest.mark.parametrize(
    ("effect", "solved", "printed"), [(0.2, 393.4, 393), (0.5, 63.8, 64), (0.8, 25.5, 26), (1.0, 16.7, 17)]
)
def test_two_sample_sizes_are_those_of_cohen_1992(effect: float, solved: float, printed: int) -> None:
    size = two_sample_size(effect, 0.80, 0.05)
    assert round(size, 1) == solved
    assert round(size) == printed
    oracle = TTestIndPower().solve_power(effect_size=effect, power=0.8, alpha=0.05)
    assert size == pytest.approx(oracle, rel=1e-6)
    assert two_sample_size(-effect, 0.80, 0.05) == pytest.approx(size)


def test_a_two_sample_test_has_at_least_two_results_a_side() -> None:
    assert two_sample_size(50.0, 0.8, 0.05) == 2.0


def test_noether_size_is_the_29_of_bouthillier() -> None:
    size = noether_size(0.75, power=0.95, alpha=0.05)
    assert round(size, 2) == 28.86
    assert math.ceil(size) == 29
    assert noether_size(0.25, power=0.95, alpha=0.05) == pytest.approx(size)


@pytest.mark.parametrize(
    ("alpha", "sides", "seeds"),
    [(0.05, 2, 6), (0.05, 1, 5), (0.025, 1, 6), (0.03125, 1, 5), (0.01, 2, 8), (0.5, 2, 2)],
)
def test_sign_flip_seeds_are_the_fewest_with_a_small_enough_p_value(
    alpha: float, sides: int, seeds: int
) -> None:
    assert sign_flip_seeds(alpha, sides) == seeds  # type: ignore[arg-type]
    assert sides / 2**seeds <= alpha < sides / 2 ** (seeds - 1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: paired_t_power(float("nan"), 1, 5, 0.05),
        lambda: paired_t_power(1, 0, 5, 0.05),
        lambda: paired_t_power(1, float("nan"), 5, 0.05),
        lambda: paired_t_power(1, 1, 1, 0.05),
        lambda: paired_t_power(1, 1, 5.5, 0.05),  # type: ignore[arg-type]
        lambda: paired_t_power(1, 1, 5, 0),
        lambda: paired_t_power(1, 1, 5, 0.05, -0.1),
        lambda: seeds_needed(0, 1, 0.8, 0.05),
        lambda: seeds_needed(-1, 1, 0.8, 0.05),
        lambda: seeds_needed(1, 1, 1.0, 0.05),
        lambda: seeds_needed(1, 1, 0.8, 0.05, sequential_inflation=0.9),
        lambda: seeds_needed(1, 1, 0.8, 0.05, smallest=1),
        lambda: seeds_needed(1, 1, 0.8, 0.05, smallest=9, largest=8),
        lambda: two_sample_size(0, 0.8, 0.05),
        lambda: two_sample_size(1e-9, 0.8, 0.05),
        lambda: two_sample_size(1, 0.05, 0.05),
        lambda: noether_size(0.5, 0.95, 0.05),
        lambda: noether_size(1.2, 0.95, 0.05),
        lambda: noether_size(0.7, 0.04, 0.05),
        lambda: sign_flip_seeds(0),
        lambda: sign_flip_seeds(0.05, 3),  # type: ignore[arg-type]
    ],
)
def test_a_value_outside_its_rule_is_refused(ask) -> None:
    with pytest.raises(BadValue):
        ask()
