import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from modelwright.experiment.spending import SPENDINGS, Spending, cumulative_levels, spending_boundaries
from modelwright.experiment.student_levels import nominal_levels, total_level

SCHEDULES = [(3, 4), (3, 6, 9), (3, 4, 5, 6), (5, 10, 15, 20, 30), (3, 6, 9, 12, 15, 18), (4, 8, 12, 16)]


def t_statistics(looks: tuple[int, ...], experiments: int, seed: int) -> NDArray[np.float64]:
    """Return (experiment, look) t statistics of normal differences, computed plainly."""
    d = np.random.default_rng(seed).standard_normal((experiments, looks[-1]))
    return np.stack([d[:, :n].mean(1) / (d[:, :n].std(1, ddof=1) / np.sqrt(n)) for n in looks], axis=1)


def crossed_by(
    t: NDArray[np.float64], looks: tuple[int, ...], levels: tuple[float, ...]
) -> NDArray[np.float64]:
    quantiles = stats.t.isf(np.array(levels), np.array(looks) - 1)
    return (np.logical_or.accumulate(t > quantiles, axis=1)).mean(axis=0)


@pytest.mark.parametrize("looks", SCHEDULES)
def test_the_joint_t_process_crosses_as_often_as_planned(looks: tuple[int, ...]) -> None:
    experiments = 200_000
    t = t_statistics(looks, experiments, seed=len(looks))
    for spending in SPENDINGS:
        found = crossed_by(t, looks, nominal_levels(looks, 0.025, spending))
        assert found[-1] == pytest.approx(0.025, abs=4 * np.sqrt(0.025 * 0.975 / experiments))
        if spending.startswith("lan_demets"):
            planned = np.array(cumulative_levels(looks, 0.025, spending))
            np.testing.assert_allclose(found, planned, atol=4 * np.sqrt(0.025 / experiments))


def test_levels_taken_over_from_normal_boundaries_would_err_too_often() -> None:
    # Why this file exists: the significance-level approach at 3, 4, 5 and 6 seeds.
    looks = (3, 4, 5, 6)
    normal = tuple(float(p) for p in stats.norm.sf(spending_boundaries(looks, 0.025, "pocock")))
    found = crossed_by(t_statistics(looks, 200_000, seed=9), looks, normal)[-1]
    assert found > 0.0275
    assert total_level(looks, normal) == pytest.approx(found, abs=0.0015)


@pytest.mark.parametrize("spending", SPENDINGS)
def test_with_many_seeds_the_levels_are_those_of_the_normal_boundaries(spending: Spending) -> None:
    looks = (200, 400, 600)
    normal = stats.norm.sf(spending_boundaries(looks, 0.025, spending))
    np.testing.assert_allclose(nominal_levels(looks, 0.025, spending), normal, rtol=0.01)


@pytest.mark.parametrize("spending", SPENDINGS)
@pytest.mark.parametrize("looks", [(3, 4, 5, 6), (4, 8, 12, 16), tuple(range(3, 31, 3))])
def test_levels_grow_with_the_budget_at_every_look(spending: Spending, looks: tuple[int, ...]) -> None:
    levels = np.array([nominal_levels(looks, alpha, spending) for alpha in (0.002, 0.00625, 0.0125, 0.025)])
    assert (np.diff(levels, axis=0) > 0).all()


def test_pocock_tests_every_look_at_one_level_and_obrien_fleming_saves_it_for_the_end() -> None:
    pocock = nominal_levels((3, 6, 9, 12), 0.025, "pocock")
    assert len(set(pocock)) == 1
    late = nominal_levels((3, 6, 9, 12), 0.025, "obrien_fleming")
    assert list(late) == sorted(late)
    assert late[-1] > pocock[-1]


def test_one_look_has_the_whole_level() -> None:
    assert nominal_levels((8,), 0.025, None) == (0.025,)
    for spending in SPENDINGS:
        assert nominal_levels((8,), 0.025, spending) == pytest.approx((0.025,), rel=1e-9)
