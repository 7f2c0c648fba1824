"""How unusual a number is among healthy ones: the bound holds by simulation, with ties too."""

import numpy as np
import pytest
from scipy.stats import binom

from modelwright.base.errors import BadValue
from modelwright.doctor.chance.conformal_rank import conformal_rank


def test_it_counts_those_at_least_as_large_and_itself() -> None:
    assert conformal_rank(5.0, [1.0, 5.0, 7.0]) == 3 / 4
    assert conformal_rank(9.0, np.zeros(99)) == 0.01
    assert conformal_rank(float("nan"), [1.0]) == 1 / 2


@pytest.mark.parametrize("decimals", [8, 0])
def test_among_its_like_a_number_is_unusual_as_rarely_as_it_says(decimals: int) -> None:
    rng = np.random.default_rng(0)
    ranks = np.array(
        [conformal_rank(each[0], each[1:]) for each in rng.normal(size=(2500, 40)).round(decimals)]
    )
    for alpha in (0.025, 0.1, 0.5):
        assert (ranks <= alpha).sum() <= binom.ppf(0.999, len(ranks), alpha)


def test_without_the_one_that_it_adds_the_bound_breaks() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(2500, 40))
    wrong = np.array([(each[1:] >= each[0]).mean() for each in draws])
    assert (wrong <= 0.001).sum() > binom.ppf(0.999, len(wrong), 0.001)


@pytest.mark.parametrize("references", [[], [1.0, float("nan")]])
def test_references_that_are_none_are_refused(references: list[float]) -> None:
    with pytest.raises(BadValue):
        conformal_rank(1.0, references)
