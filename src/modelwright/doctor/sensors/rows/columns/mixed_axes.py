"""Rows of two axes, which are exchanged or mixed in one part of the rows only."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.learner import Held, Learner

__all__ = ["check_mixed_axes"]

Numbers = NDArray[np.float64]

_FEWEST, _MOST_ROWS, _SHORTEST = 80, 2000, 3
_APART, _NEARER = 30.0, 8.0
"""Mean of squared standard scores between both parts as they are, and how much smaller it is once undone."""


def check_mixed_axes(learner: Learner) -> Iterator[Finding]:
    """Yield a finding where measured rows are as learnt ones were with axes exchanged, and not as they are.

    Means, sizes and correlations with the next number are compared, as they are and undone. Rows of another
    time or place differ in these, however they are turned.

    Args:
        learner: A network with its rows.
    """
    shape = tuple(each for each in learner.shape if each > 1)
    learnt = learner.learnt.rows.values
    if len(shape) != 2 or min(shape) < _SHORTEST or len(learnt) < _FEWEST or not np.isfinite(learnt).all():
        return
    if learnt.shape[1] != shape[0] * shape[1]:
        return
    grid = np.arange(learnt.shape[1])
    ways = [grid.reshape(shape).T.reshape(-1), grid.reshape(shape[::-1]).T.reshape(-1)]
    groups = [each for each in learner.held() if len(each.values) >= _FEWEST]
    found = [each for each in groups if _is_turned(learnt, each.values, ways)]
    if found:
        yield _finding(learner, found[-1], len(found) == len(groups), shape)


def _is_turned(learnt: NDArray[np.float32], held: NDArray[np.float32], ways: list[NDArray[np.int64]]) -> bool:
    if not np.isfinite(held).all():
        return False
    one, other = (each[:: -(-len(each) // _MOST_ROWS)].astype(np.float64) for each in (learnt, held))
    if (one.std(axis=0) <= 0).any() or (other.std(axis=0) <= 0).any():
        return False
    as_it_is = _apart(one, other)
    return as_it_is >= _APART and min(_apart(one, other[:, way]) for way in ways) <= as_it_is / _NEARER


def _apart(one: Numbers, other: Numbers) -> float:
    """Return the mean of squared standard scores of what differs between (row, column) and other rows."""
    sizes = [each.std(axis=0) for each in (one, other)]
    means = (one.mean(axis=0) - other.mean(axis=0)) ** 2 / (
        sizes[0] ** 2 / len(one) + sizes[1] ** 2 / len(other)
    )
    room = 1 / len(one) + 1 / len(other)
    spreads = np.log(sizes[0] / sizes[1]) ** 2 / (room / 2)
    turned = [np.arctanh(np.clip(_with_next(each), -0.999, 0.999)) for each in (one, other)]
    return float(np.mean([*means, *spreads, *((turned[0] - turned[1]) ** 2 / room)]))


def _with_next(values: Numbers) -> Numbers:
    """Return the correlation of each column with the next one."""
    scores = (values - values.mean(axis=0)) / values.std(axis=0)
    return (scores[:, 1:] * scores[:, :-1]).mean(axis=0)


def _finding(learner: Learner, group: Held, everywhere: bool, shape: tuple[int, ...]) -> Finding:
    place = learner.place if everywhere else group.place
    names = ["axes-mixed-by-reshape", "preprocessing-differs-at-evaluation"]
    if shape[0] == shape[1] and not everywhere:
        names.reverse()
    return Finding(
        kind="measured-outside-of-what-was-learnt",
        severity=Severity.WARNING,
        title=f"Rows that {learner.name} is measured on are as those that it learnt from would be with their "
        f"two axes, of {shape[0]} and {shape[1]}, exchanged: they were not prepared alike.",
        evidence={
            "axes": list(shape),
            "rows_learnt_from": len(learner.learnt.rows),
            "rows_measured": len(group.values),
        },
        causes=tuple(cause(name, place) for name in names),
        next_check="draw one row of each part as it enters the model; exchange axes with transpose, and "
        "reshape only to join or split neighbours",
        subject=learner.name,
    )
