"""Which of many e-values count as found."""

import numpy as np
from numpy.typing import ArrayLike

from modelwright.base.errors import BadValue

__all__ = ["e_benjamini_hochberg", "e_bonferroni"]


def e_bonferroni(evidence: ArrayLike, alpha: float, shares: ArrayLike | None = None) -> list[int]:
    """Return the numbers of the hypotheses that are rejected with family-wise error at most alpha.

    Holds however the e-values depend on one another.

    Args:
        evidence: One e-value for each hypothesis (hypothesis,).
        alpha: In (0, 1).
        shares: Of alpha (hypothesis,), brought to a sum of 1; equal where left out.

    Source: Vovk and Wang, E-values, Annals of Statistics 49 (2021).
    """
    e = _checked(evidence, alpha)
    weights = np.ones(len(e)) if shares is None else np.asarray(shares, np.float64).reshape(-1)
    if len(weights) != len(e) or (len(e) and (weights.min() < 0 or not weights.sum() > 0)):
        raise BadValue("There is a share for each hypothesis, none negative", got=f"{len(weights)} shares")
    weights = weights / weights.sum() if len(e) else weights
    return [int(at) for at in np.flatnonzero(e * weights * alpha >= 1.0)]


def e_benjamini_hochberg(evidence: ArrayLike, alpha: float) -> list[int]:
    """Return the numbers of the hypotheses that are rejected with false discovery rate at most alpha.

    The largest k for which k hypotheses have an e-value of at least K / (alpha k), K all of them. Holds
    however the e-values depend on one another.

    Args:
        evidence: One e-value for each hypothesis (hypothesis,).
        alpha: In (0, 1).

    Source: Wang and Ramdas, False discovery rate control with e-values, JRSS B 84 (2022), definition 1.
    """
    e = _checked(evidence, alpha)
    order = np.argsort(-e, kind="stable")
    counts = np.arange(1, len(e) + 1)
    passing = np.flatnonzero(counts * e[order] * alpha >= len(e))
    return sorted(int(at) for at in order[: passing[-1] + 1]) if len(passing) else []


def _checked(evidence: ArrayLike, alpha: float) -> np.ndarray:
    e = np.asarray(evidence, np.float64).reshape(-1)
    if np.isnan(e).any() or (len(e) and e.min() < 0):
        raise BadValue("E-values are not negative", got=str(e.tolist()[:8]))
    if not 0 < alpha < 1:
        raise BadValue("Alpha is in (0, 1)", got=str(alpha))
    return e
