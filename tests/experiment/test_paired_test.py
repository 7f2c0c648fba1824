import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlxtend.evaluate import mcnemar as mlxtend_mcnemar
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from modelwright.base.errors import BadValue, UnknownName
from modelwright.experiment.paired_test import (
    corrected_t_test,
    correlated_t_posterior,
    mcnemar_test,
    sign_flip_test,
)
from modelwright.experiment.sample_size import sign_flip_seeds

DIFFERENCES = np.array([0.3, -0.1, 0.5, 0.2, 0.4, 0.05, -0.02])


@pytest.fixture(scope="module")
def moons() -> np.ndarray:
    """Area under the curve, rbf kernel minus linear, on each of 100 folds of scikit-learn's example."""
    from sklearn.datasets import make_moons
    from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
    from sklearn.svm import SVC

    features, target = make_moons(noise=0.352, random_state=1, n_samples=100)
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        cross_val_score(SVC(kernel=kernel, random_state=0), features, target, scoring="roc_auc", cv=folds)
        for kernel in ("rbf", "linear")
    )
    return rbf - linear


def test_the_corrected_t_is_that_of_scikit_learns_example(moons: np.ndarray) -> None:
    corrected = corrected_t_test(moons, inflation=10 / 90, alternative="greater")
    assert (f"{corrected.statistic:.3f}", f"{corrected.p_value:.3f}") == ("0.750", "0.227")
    naive = corrected_t_test(moons, inflation=0, alternative="greater")
    assert (f"{naive.statistic:.3f}", f"{naive.p_value:.3f}") == ("2.611", "0.005")


def test_the_bayesian_correlated_t_is_that_of_scikit_learns_example(moons: np.ndarray) -> None:
    assert f"{correlated_t_posterior(moons, inflation=10 / 90).better:.3f}" == "0.773"
    assert f"{correlated_t_posterior(moons, inflation=10 / 90, rope=0.01).equivalent:.3f}" == "0.432"


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_without_overlap_the_t_test_is_that_of_scipy(alternative) -> None:
    found = corrected_t_test(DIFFERENCES, inflation=0, alternative=alternative)
    oracle = stats.ttest_1samp(DIFFERENCES, 0, alternative=alternative)
    assert (found.statistic, found.p_value) == pytest.approx((oracle.statistic, oracle.pvalue))


def test_the_corrected_t_holds_its_level_where_training_sets_overlap() -> None:
    generator = np.random.default_rng(8)
    rho, seeds = 0.25, 10
    noise = generator.standard_normal((4000, seeds)) + math.sqrt(rho) * generator.standard_normal((4000, 1))
    corrected = np.mean([corrected_t_test(d, inflation=rho).p_value < 0.05 for d in noise])
    naive = np.mean([corrected_t_test(d, inflation=0).p_value < 0.05 for d in noise])
    assert corrected == pytest.approx(0.05, abs=0.012)
    assert naive > 0.2


def test_the_posterior_sums_to_one_and_mirrors_the_t_test() -> None:
    found = correlated_t_posterior(DIFFERENCES, inflation=0.1, rope=0.1)
    assert found.better + found.equivalent + found.worse == pytest.approx(1)
    turned = correlated_t_posterior(-DIFFERENCES, inflation=0.1, rope=0.1)
    assert (turned.worse, turned.better) == pytest.approx((found.better, found.worse))
    p = corrected_t_test(DIFFERENCES, inflation=0.1, alternative="greater").p_value
    assert correlated_t_posterior(DIFFERENCES, inflation=0.1).worse == pytest.approx(p)


def test_mcnemar_is_that_of_the_mlxtend_manual() -> None:
    corrected = mcnemar_test(25, 15, method="corrected")
    assert (f"{corrected.statistic:.3f}", f"{corrected.p_value:.6f}") == ("2.025", "0.154729")
    assert f"{mcnemar_test(25, 15).p_value:.5f}" == "0.15386"


def test_mcnemar_is_that_of_agrestis_approval_ratings() -> None:
    plain, corrected = mcnemar_test(150, 86, method="chi-squared"), mcnemar_test(150, 86, method="corrected")
    assert f"{plain.statistic:.3f}" == "17.356"
    assert (f"{corrected.statistic:.3f}", f"{corrected.p_value:.3e}") == ("16.818", "4.115e-05")
    assert f"{mcnemar_test(150, 86).p_value:.3e}" == "3.716e-05"


@pytest.mark.parametrize(("b", "c"), [(25, 15), (150, 86), (0, 5), (3, 1), (1, 0), (1000, 900), (2, 13)])
def test_mcnemar_agrees_with_mlxtend_and_statsmodels(b: int, c: int) -> None:
    table = np.array([[40, b], [c, 50]])
    for method, exact, correction in (
        ("exact", True, False),
        ("chi-squared", False, False),
        ("corrected", False, True),
    ):
        found = mcnemar_test(b, c, method=method)
        chi2, p = mlxtend_mcnemar(table, exact=exact, corrected=correction)
        oracle = statsmodels_mcnemar(table, exact=exact, correction=correction)
        assert found.p_value == pytest.approx(p, rel=1e-9)
        assert found.p_value == pytest.approx(oracle.pvalue, rel=1e-9)
        assert found.statistic == pytest.approx(oracle.statistic)
        assert exact or found.statistic == pytest.approx(chi2)


@pytest.mark.parametrize("method", ["exact", "chi-squared", "corrected"])
@pytest.mark.parametrize("count", [0, 1, 30])
def test_equal_counts_are_no_evidence(method, count: int) -> None:
    assert mcnemar_test(count, count, method=method).p_value == 1


def naive_sign_flip(differences: np.ndarray, alternative: str) -> float:
    observed = sum(differences)
    close = 1e-9
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    above = sum(total >= observed - close for total in sums) / len(sums)
    below = sum(total <= observed + close for total in sums) / len(sums)
    return {"greater": above, "less": below, "two-sided": min(1, 2 * min(above, below))}[alternative]


@settings(max_examples=80)
@given(
    st.lists(st.integers(-30, 30).map(lambda k: k / 100), min_size=1, max_size=9),
    st.sampled_from(["two-sided", "greater", "less"]),
)
def test_the_sign_flip_test_counts_every_pattern(differences, alternative) -> None:
    # Hundredths make many ties that binary fractions would break.
    found = sign_flip_test(differences, alternative=alternative)
    assert found.p_value == naive_sign_flip(differences, alternative)
    assert found.statistic == pytest.approx(np.mean(differences))


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_the_sign_flip_test_agrees_with_scipy(alternative) -> None:
    oracle = stats.permutation_test(
        (DIFFERENCES,), np.mean, permutation_type="samples", alternative=alternative, n_resamples=np.inf
    )
    assert sign_flip_test(DIFFERENCES, alternative=alternative).p_value == pytest.approx(oracle.pvalue)


def test_differences_of_one_sign_reach_the_smallest_p_value() -> None:
    assert sign_flip_test([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).p_value == 2 / 2**6 < 0.05
    assert sign_flip_test([0.1, 0.2, 0.3, 0.4, 0.5]).p_value > 0.05
    assert sign_flip_seeds(0.05) == 6


def test_forty_seeds_are_counted_exactly_and_soon() -> None:
    began = time.perf_counter()
    assert sign_flip_test(np.ones(40), alternative="greater").p_value == 2.0**-40
    mixed = np.where(np.arange(40) < 26, 1.0, -1.0)
    assert sign_flip_test(mixed, alternative="greater").p_value == pytest.approx(stats.binom.sf(25, 40, 0.5))
    assert time.perf_counter() - began < 20


def test_the_sign_flip_test_holds_its_level_for_heavy_tails() -> None:
    generator = np.random.default_rng(5)
    p = [sign_flip_test(d).p_value for d in generator.standard_cauchy((4000, 8))]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(12 / 256, abs=0.012)  # the largest multiple of 2/256


@pytest.mark.parametrize(
    "ask",
    [
        lambda: corrected_t_test([1.0], inflation=0),
        lambda: corrected_t_test([1.0, 1.0, 1.0], inflation=0),
        lambda: corrected_t_test([1.0, float("nan")], inflation=0),
        lambda: corrected_t_test([[1.0, 2.0]], inflation=0),
        lambda: corrected_t_test([1.0, 2.0], inflation=-0.1),
        lambda: corrected_t_test([1.0, 2.0], inflation=float("nan")),
        lambda: correlated_t_posterior([1.0, 2.0], inflation=0, rope=-1),
        lambda: mcnemar_test(-1, 3),
        lambda: mcnemar_test(2.5, 3),  # type: ignore[arg-type]
        lambda: mcnemar_test(float("nan"), 3),  # type: ignore[arg-type]
        lambda: mcnemar_test(float("inf"), 3),  # type: ignore[arg-type]
        lambda: sign_flip_test([]),
        lambda: sign_flip_test(np.ones(41)),
        lambda: sign_flip_test([1.0, float("inf")]),
    ],
)
def test_a_value_outside_its_rule_is_refused(ask) -> None:
    with pytest.raises(BadValue):
        ask()


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Nearest: two-sided"):
        sign_flip_test([1.0], alternative="two_sided")  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match="Nearest: chi-squared"):
        mcnemar_test(1, 2, method="chi2-squared")  # type: ignore[arg-type]
