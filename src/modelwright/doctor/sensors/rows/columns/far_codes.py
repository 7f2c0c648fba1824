"""One value, far from all others and there again and again: a code for what is missing, scaled or not."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place

__all__ = ["check_far_codes"]

_LEAST, _SHARE = 5, 0.005
_FAR = 4.0
"""Distance to the nearest other value, over the range of all others."""

_FAR_AND_RARE, _RARE = 2.0, 0.2
"""The same where so few rows hold the value, and all others are measured: hardly one comes twice."""

_MEASURED = 0.8

_DIFFERENT = 20


def check_far_codes(
    values: NDArray[np.float32],
    names: tuple[str, ...],
    place: Place | None,
    settings: frozenset[float] = frozenset(),
) -> Iterator[Finding]:
    """Yield a finding for columns where the rows of one extreme value are told apart by no other column.

    Shifting and scaling a column leaves the ratio of distances as it was. Where another column says in which
    rows the value stands, the program knows of it.

    Args:
        values: (row, column) different rows.
        names: Of the columns.
        place: Of the line that learns from them.
        settings: Numbers that the model was told of; they are no codes that it does not know.
    """
    columns: dict[str, object] = {}
    for at in range(values.shape[1]):
        column = values[:, at].astype(np.float64)
        code = _code_of(column)
        if code is not None and code not in settings and not _is_told(values, at, column == code):
            others = column[np.isfinite(column) & (column != code)]
            columns[names[at]] = {
                "value": code,
                "rows": int((column == code).sum()),
                "others_from": float(others.min()),
                "others_to": float(others.max()),
            }
    if not columns:
        return
    first = next(iter(columns))
    yield Finding(
        kind="missing-value-taken-for-number",
        severity=Severity.WARNING,
        title=f"{first} holds one value far from all others, again and again: a code for a missing value?",
        evidence={"columns": columns, "rows": len(values)},
        causes=(cause("missing-value-code", place),),
        next_check="look the value up in the table before it was scaled; if it means missing, fill it in, "
        "and say so in a column of its own",
        subject=first,
    )


def _code_of(column: NDArray[np.float64]) -> float | None:
    known = column[np.isfinite(column)]
    if len(known) < 2 * _DIFFERENT:
        return None
    for code in (float(known.min()), float(known.max())):
        others = known[known != code]
        if len(known) - len(others) < max(_LEAST, _SHARE * len(known)) or len(others) < 0.5 * len(known):
            continue
        different = len(np.unique(others))
        if different < _DIFFERENT:
            continue
        rare = different > _MEASURED * len(others) and len(others) > (1 - _RARE) * len(known)
        gap = float(np.abs(others - code).min())
        if gap > (_FAR_AND_RARE if rare else _FAR) * float(np.ptp(others)):
            return code
    return None


def _is_told(values: NDArray[np.float32], at: int, coded: NDArray[np.bool_]) -> bool:
    """Return whether another column has one value in these rows, and not in any other."""
    for other in range(values.shape[1]):
        if other == at:
            continue
        mine = values[coded, other]
        if (
            (mine == mine[0]).all()
            and not (values[~coded, other] == mine[0]).any()
            and _code_of(values[:, other].astype(np.float64)) is None
        ):
            return True
    return False
