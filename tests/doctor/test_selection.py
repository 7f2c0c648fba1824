"""Many e-values: errors stay within bounds though they depend on one another; merged wrongly, not."""

from math import exp, log

import numpy as np
import pytest
from scipy.stats import binom, false_discovery_control, norm

from modelwright.base.errors import BadValue
from modelwright.doctor.chance.averaging import average_evidence
from modelwright.doctor.chance.selection import e_benjamini_hochberg, e_bonferroni

RUNS, ALPHA = 1500, 0.1


def dependent(rng: np.random.Generator, many: int, shift: float = 1.5) -> np.ndarray:
    """E-values of null hypotheses that share most of their noise."""
    shared = rng.normal(size=(RUNS, 1))
    noise = 0.9 * shared + (1 - 0.81) ** 0.5 * rng.normal(size=(RUNS, many))
    return np.exp(shift * noise - shift**2 / 2)


def test_whatever_their_dependence_few_runs_reject_a_true_hypothesis() -> None:
    found = [e_bonferroni(each, ALPHA, [3, 2, 1, 1]) for each in dependent(np.random.default_rng(0), 4)]
    assert sum(map(bool, found)) <= binom.ppf(0.999, RUNS, ALPHA)
    found = [e_benjamini_hochberg(each, ALPHA) for each in dependent(np.random.default_rng(1), 4)]
    assert sum(map(bool, found)) <= binom.ppf(0.999, RUNS, ALPHA)


def test_the_mean_of_e_values_is_one_and_the_largest_is_none() -> None:
    rng = np.random.default_rng(2)
    e = np.exp(0.8 * rng.normal(size=(5_000, 12)) - 0.32)
    means = np.exp([average_evidence(np.log(each)) for each in e])
    assert np.mean(means) == pytest.approx(1.0, abs=0.03)
    assert (means >= 2).sum() <= binom.ppf(0.999, len(e), 0.5)
    assert (e.max(axis=1) >= 2).sum() > binom.ppf(0.999, len(e), 0.5)


def test_shares_weigh_the_mean() -> None:
    assert exp(average_evidence([log(2.0), log(6.0)], [3, 1])) == pytest.approx(3.0)
    assert average_evidence([-np.inf, 0.0]) == pytest.approx(-log(2))


def test_discoveries_are_false_as_rarely_as_promised_where_some_are_true() -> None:
    rng = np.random.default_rng(3)
    false = []
    for _ in range(300):
        x = np.concatenate([rng.normal(size=30), rng.normal(3.0, 1.0, 10)])
        found = e_benjamini_hochberg(np.exp(3.0 * x - 4.5), ALPHA)
        false.append(sum(at < 30 for at in found) / max(1, len(found)))
    assert np.mean(false) <= ALPHA + 3 * np.std(false) / 300**0.5
    assert np.mean(false) < 0.09


def test_on_inverses_of_p_values_it_is_benjamini_and_hochbergs_own() -> None:
    rng = np.random.default_rng(4)
    p = norm.sf(np.concatenate([rng.normal(size=30), rng.normal(3.5, 1.0, 10)]))
    theirs = np.flatnonzero(np.asarray(false_discovery_control(p)) <= ALPHA).tolist()
    assert e_benjamini_hochberg(1 / p, ALPHA) == theirs
    assert len(theirs) > 3


def test_shares_are_parts_of_alpha() -> None:
    assert e_bonferroni([39.0, 40.0], 0.05) == [1]
    assert e_bonferroni([25.0, 90.0], 0.05, [4, 1]) == [0]
    assert e_bonferroni([], 0.05) == e_benjamini_hochberg([], 0.05) == []


@pytest.mark.parametrize(
    ("evidence", "alpha"), [([-1.0], 0.1), ([float("nan")], 0.1), ([1.0], 0.0), ([1.0], 1.0)]
)
def test_what_is_no_e_value_is_refused(evidence: list[float], alpha: float) -> None:
    for select in (e_bonferroni, e_benjamini_hochberg):
        with pytest.raises(BadValue):
            select(evidence, alpha)
    with pytest.raises(BadValue):
        average_evidence([])
