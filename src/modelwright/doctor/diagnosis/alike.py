"""Causes that what was found, and all that could be found, cannot tell apart."""

import numpy as np

from modelwright.doctor.diagnosis.likelihoods import HEALTHY, UNKNOWN, Likelihoods

__all__ = ["alike"]

_NEAR = 0.05


def alike(table: Likelihoods, near: float = _NEAR) -> tuple[frozenset[str], ...]:
    """Return the sets of two faults or more whose rows are the same, within rounding.

    Args:
        table: Counts of outcomes by fault.
        near: The most that observed rates of two faults may differ in any outcome. A set is all that hangs
            together by such pairs.
    """
    faults = [row for row in table.rows if row not in (HEALTHY, UNKNOWN) and table.runs[row]]
    names = table.outcomes
    rates = np.array(
        [[table.seen.get(row, {}).get(each, 0) / table.runs[row] for each in names] for row in faults]
    ).reshape(len(faults), len(names))
    of = list(range(len(faults)))
    for one in range(len(faults)):
        for other in range(one):
            if np.abs(rates[one] - rates[other]).max(initial=0.0) <= near:
                gone, kept = of[one], of[other]
                of = [kept if each == gone else each for each in of]
    sets = [frozenset(fault for fault, mine in zip(faults, of, strict=True) if mine == at) for at in set(of)]
    return tuple(sorted((each for each in sets if len(each) > 1), key=sorted))
