import numpy as np
import pytest

from modelwright.base.errors import BadValue
from modelwright.experiment.difference import differences_at, experiments_at, paired_differences


def test_differences_are_paired_by_seed_and_turned_so_that_more_is_better() -> None:
    np.testing.assert_array_equal(paired_differences([3.0, 1.0], [1.0, 2.0], sign=1), [2.0, -1.0])
    np.testing.assert_array_equal(paired_differences([3.0, 1.0], [1.0, 2.0], sign=-1), [-2.0, 1.0])


@pytest.mark.parametrize(
    ("candidate", "baseline"), [([1.0], [1.0, 2.0]), ([], []), ([[1.0]], [[1.0]]), (1.0, 1.0)]
)
def test_arms_that_do_not_pair_are_refused(candidate: object, baseline: object) -> None:
    with pytest.raises(BadValue, match="paired"):
        paired_differences(candidate, baseline, sign=1)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_result_that_is_not_finite_is_refused_with_its_place(broken: float) -> None:
    with pytest.raises(BadValue, match="seed index 1"):
        paired_differences([1.0, broken, 2.0], [0.0, 0.0, 0.0], sign=1)


def test_another_sign_is_refused() -> None:
    with pytest.raises(BadValue, match="sign"):
        paired_differences([1.0], [1.0], sign=0)


def test_a_look_takes_exactly_its_seeds() -> None:
    np.testing.assert_array_equal(differences_at((2, 4), 0, [1, 2]), [1.0, 2.0])
    for wrong in ([1.0], [1.0, 2.0, 3.0], [[1.0, 2.0]]):
        with pytest.raises(BadValue, match="planned at 2 seeds"):
            differences_at((2, 4), 0, wrong)
    for look in (-1, 2):
        with pytest.raises(BadValue, match="planned looks"):
            differences_at((2, 4), look, [1.0, 2.0])


def test_many_experiments_have_all_seeds_of_the_plan() -> None:
    assert experiments_at((2, 3), np.zeros((5, 3))).shape == (5, 3)
    for wrong in (np.zeros((5, 2)), np.zeros(3), np.full((2, 3), np.nan)):
        with pytest.raises(BadValue, match="3 seeds"):
            experiments_at((2, 3), wrong)
