"""How unusual a number is beside those of healthy runs."""

import numpy as np
from numpy.typing import ArrayLike

from modelwright.base.errors import BadValue

__all__ = ["conformal_rank"]


def conformal_rank(value: float, references: ArrayLike) -> float:
    """Return p = (1 + references at least as large) / (1 + references).

    Where the value and the references are exchangeable, p is at most a with probability at most a; ties count
    against the value. 99 references are needed before p can be 0.01.

    Args:
        value: Of the run in question; larger is odder. NaN is as odd as can be.
        references: Of healthy runs (run,).

    Raises:
        BadValue: for no references, or one that is NaN.

    Source: Vovk, Gammerman and Shafer, Algorithmic learning in a random world (2005); Phipson and Smyth,
    Permutation p-values should never be zero (2010).
    """
    healthy = np.asarray(references, np.float64).reshape(-1)
    if not len(healthy) or np.isnan(healthy).any():
        raise BadValue("References are numbers of healthy runs, one at least", got=f"{len(healthy)} of them")
    beyond = 0 if np.isnan(value) else int((healthy >= value).sum())
    return (1 + beyond) / (1 + len(healthy))
