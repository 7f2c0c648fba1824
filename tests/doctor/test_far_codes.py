"""A value that stands for what is missing is told from values that are only far or frequent."""

import numpy as np
import pytest
from numpy.typing import NDArray

from modelwright.doctor.sensors.rows.columns.far_codes import check_far_codes

_RNG = np.random.default_rng(5)
_ROWS = 600
_MEASURED = _RNG.normal(300, 50, _ROWS)
_SOME = _RNG.random(_ROWS) < 0.03
_HALF = _RNG.random(_ROWS) < 0.45


def _kinds(column: NDArray[np.float64], *others: NDArray[np.float64]) -> list[str]:
    table = np.column_stack([column, _RNG.normal(size=_ROWS), *others]).astype(np.float32)
    names = tuple(f"column {at}" for at in range(table.shape[1]))
    return [each.kind for each in check_far_codes(table, names, None)]


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (300.0, 190.0), (-5.0, 0.1)])
@pytest.mark.parametrize("code", [-999.0, 1500.0, -9999.0])
def test_a_code_is_found_however_the_column_was_scaled(code: float, shift: float, scale: float) -> None:
    column = (np.where(_SOME, code, _MEASURED) - shift) / scale
    assert _kinds(column) == ["missing-value-taken-for-number"]


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(_MEASURED, id="nothing is missing"),
        pytest.param(np.where(_HALF, -600.0, _MEASURED), id="as frequent as a state that means something"),
        pytest.param(np.where(_SOME, -600.0, np.round(_MEASURED / 20) * 20), id="rare among steps"),
        pytest.param(np.minimum(_MEASURED, 380.0), id="cut off at a limit"),
        pytest.param(np.where(_SOME, 0.0, np.abs(_MEASURED)), id="rarely off"),
        pytest.param(np.where(np.arange(_ROWS) < 3, -999.0, _MEASURED), id="three outliers"),
        pytest.param(_RNG.standard_cauchy(_ROWS), id="heavy tails"),
    ],
)
def test_values_that_are_far_or_frequent_are_no_codes(column: NDArray[np.float64]) -> None:
    assert not _kinds(column)


def test_what_another_column_tells_is_known() -> None:
    assert not _kinds(np.where(_SOME, -999.0, _MEASURED), _SOME.astype(float))
