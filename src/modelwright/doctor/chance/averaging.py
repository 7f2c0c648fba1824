"""One e-value out of several that depend on one another."""

import numpy as np
from numpy.typing import ArrayLike

from modelwright.base.errors import BadValue

__all__ = ["average_evidence"]


def average_evidence(log_evidence: ArrayLike, shares: ArrayLike | None = None) -> float:
    """Return the logarithm of the weighted mean of e-values, given their logarithms.

    The mean of e-values is an e-value whatever their dependence, and in essence no other symmetric way of
    merging is. The largest of them is none.

    Args:
        log_evidence: (hypothesis,), one at least.
        shares: Weights (hypothesis,), brought to a sum of 1; equal where left out.

    Source: Vovk and Wang, E-values, Annals of Statistics 49 (2021), proposition 3.1.
    """
    logs = np.asarray(log_evidence, np.float64).reshape(-1)
    weights = np.ones(len(logs)) if shares is None else np.asarray(shares, np.float64).reshape(-1)
    if not len(logs) or len(weights) != len(logs) or weights.min() < 0 or not weights.sum() > 0:
        raise BadValue(
            "There is an e-value at least, and a share for each", got=f"{len(logs)}, {len(weights)}"
        )
    with np.errstate(divide="ignore"):
        return float(np.logaddexp.reduce(logs + np.log(weights / weights.sum())))
