import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from modelwright.base.errors import BadValue
from modelwright.experiment.spending import (
    SPENDINGS,
    Spending,
    boundary_constant,
    crossing_levels,
    cumulative_levels,
    spending_boundaries,
    spent_share,
)

LOOKS = (1, 2, 3, 4, 5, 6, 8, 10, 20)


def equal(looks: int) -> tuple[float, ...]:
    return tuple(float(look) for look in range(1, looks + 1))


@pytest.mark.parametrize(
    ("looks", "printed"),
    list(zip(LOOKS, (1.960, 2.178, 2.289, 2.361, 2.413, 2.453, 2.512, 2.555, 2.672), strict=True)),
)
def test_pocock_constants_are_the_printed_ones(looks: int, printed: float) -> None:
    assert round(boundary_constant("pocock", equal(looks), 0.05), 3) == printed


@pytest.mark.parametrize(
    ("looks", "printed"),
    list(zip(LOOKS, (1.960, 1.977, 2.004, 2.024, 2.040, 2.053, 2.072, 2.087, 2.126), strict=True)),
)
def test_obrien_fleming_constants_are_the_printed_ones(looks: int, printed: float) -> None:
    assert round(boundary_constant("obrien_fleming", equal(looks), 0.05), 3) == printed


@pytest.mark.parametrize(
    ("looks", "printed"),
    list(zip((1, 2, 3, 4, 5, 10, 20), (0.050, 0.083, 0.107, 0.126, 0.142, 0.193, 0.248), strict=True)),
)
def test_naive_peeking_errs_as_armitage_mcpherson_and_rowe_printed(looks: int, printed: float) -> None:
    z = float(norm.isf(0.025))
    assert round(float(crossing_levels([z] * looks, equal(looks))[-1]), 3) == printed


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("information", [(1, 2, 3), (3, 4, 30), (2, 9, 10)])
def test_crossing_agrees_with_the_multivariate_normal_distribution(
    information: tuple[int, ...], sides: int
) -> None:
    n = np.asarray(information, dtype=float)
    bounds = np.array([2.5, 2.2, 1.9])
    levels = crossing_levels(list(bounds), information, sides=sides)
    for look in (1, 2, 3):
        share = np.sqrt(np.minimum.outer(n[:look], n[:look]) / np.maximum.outer(n[:look], n[:look]))
        joint = multivariate_normal(np.zeros(look), share, abseps=1e-8, releps=1e-8, seed=1)
        lower = -bounds[:look] if sides == 2 else np.full(look, -np.inf)
        kept = float(joint.cdf(bounds[:look], lower_limit=lower))
        assert levels[look - 1] == pytest.approx(1 - kept, abs=2e-6)


def test_lan_demets_functions_spend_as_their_formulas_say() -> None:
    assert spent_share("lan_demets_pocock", 0.5, 0.05) == pytest.approx(0.05 * np.log(1 + (np.e - 1) / 2))
    assert spent_share("lan_demets_obrien_fleming", 0.25, 0.025) == pytest.approx(
        2 * norm.sf(norm.isf(0.0125) * 2)
    )
    for form in ("lan_demets_pocock", "lan_demets_obrien_fleming"):
        assert spent_share(form, 1.0, 0.03) == pytest.approx(0.03)
        assert spent_share(form, 0.0, 0.03) == 0


def test_obrien_fleming_spending_at_five_equal_looks_gives_the_published_boundaries() -> None:
    # Two-sided 5 per cent, spending 2 (1 - Phi(z_{alpha/2} / sqrt(t))) on each side of 2.5 per cent: the
    # boundaries that the standard programs print for five equal looks.
    found = spending_boundaries((1, 2, 3, 4, 5), 0.05, "lan_demets_obrien_fleming", sides=2)
    np.testing.assert_allclose(found, [4.8769, 3.3570, 2.6803, 2.2898, 2.0310], atol=1.1e-4)


@pytest.mark.parametrize("spending", SPENDINGS)
@pytest.mark.parametrize("looks", [(3, 4, 5, 6), (5, 20, 25), tuple(range(3, 31)), (10,)])
@pytest.mark.parametrize("alpha", [0.025, 0.005])
def test_boundaries_spend_their_level_and_no_more(
    spending: Spending, looks: tuple[int, ...], alpha: float
) -> None:
    bounds = spending_boundaries(looks, alpha, spending)
    crossed = crossing_levels(list(bounds), looks, sides=1)
    np.testing.assert_allclose(crossed, cumulative_levels(looks, alpha, spending), atol=1e-8)
    assert crossed[-1] == pytest.approx(alpha, abs=1e-8)


@pytest.mark.parametrize("spending", SPENDINGS)
@pytest.mark.parametrize("looks", [(3, 4, 5, 6), (5, 20, 25), tuple(range(3, 31, 3))])
def test_every_look_is_given_more_by_a_larger_budget(spending: Spending, looks: tuple[int, ...]) -> None:
    # Holm's step down rests on this: boundaries at a larger level lie inside those at a smaller one.
    levels = [cumulative_levels(looks, alpha, spending) for alpha in (0.001, 0.005, 0.0125, 0.025, 0.05)]
    increments = np.diff(np.array(levels), axis=1, prepend=0.0)
    assert (np.diff(increments, axis=0) >= 0).all()


def test_one_look_needs_no_spending_and_several_do() -> None:
    assert cumulative_levels((7,), 0.025, None) == (0.025,)
    with pytest.raises(BadValue, match="way to spend"):
        cumulative_levels((3, 7), 0.025, None)


@pytest.mark.parametrize("information", [(), (0, 1), (2, 2), (3, 1)])
def test_information_that_does_not_grow_is_refused(information: tuple[int, ...]) -> None:
    with pytest.raises(BadValue, match="grows"):
        crossing_levels([2.0] * len(information), information)
