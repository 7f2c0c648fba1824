"""Which fault is how likely, given what was found."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.diagnosis.likelihoods import HEALTHY, UNKNOWN, Likelihoods

__all__ = ["posterior", "prior"]

_HEALTHY, _UNKNOWN = 0.5, 0.1
"""What a program is taken for before anything was found; the rest is shared by all faults alike."""


def prior(table: Likelihoods) -> Mapping[str, float]:
    """Return the probability of each row before anything was found."""
    rows = table.rows
    faults = len(rows) - 2
    each = (1.0 - _HEALTHY - _UNKNOWN) / max(1, faults)
    shares = dict.fromkeys(rows, each) | {HEALTHY: _HEALTHY, UNKNOWN: _UNKNOWN}
    total = sum(shares.values())
    return {row: share / total for row, share in shares.items()}


def posterior(table: Likelihoods, found: Iterable[str]) -> dict[str, float]:
    """Return the probability of each row of a table, the likeliest first.

    Outcomes are taken for independent of one another given the fault, and those that were not found count
    too: a fault that shows itself always is unlikely where it does not.

    Args:
        table: Counts of outcomes by fault.
        found: Outcomes of the run; those that the table never saw included.

    Source: Bayes' rule with independent outcomes, as in Duda and Hart, Pattern classification (1973).
    """
    seen = frozenset(found)
    names = sorted(seen | set(table.outcomes))
    rates = table.table(names)
    there = np.array([name in seen for name in names], np.bool_)
    logs = np.log(np.where(there, rates, 1.0 - rates)).sum(axis=1)
    before = prior(table)
    shares = normalised(logs + np.log([before[row] for row in table.rows]))
    order = sorted(range(len(shares)), key=lambda at: (-shares[at], table.rows[at]))
    return {table.rows[at]: float(shares[at]) for at in order}


def normalised(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities in proportion to exponentials."""
    raised = np.exp(logs - logs.max())
    return raised / raised.sum()
