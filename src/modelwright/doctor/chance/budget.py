"""The false alarms that statistics may raise in a run, and which of them gets how many."""

from collections.abc import Mapping
from math import fsum
from types import MappingProxyType

from modelwright.base.errors import UnknownName

__all__ = ["ALPHA", "SHARES", "limit_of"]

ALPHA = 0.01
"""Probability that any statistic at all alarms in a healthy run, at most."""

SHARES: Mapping[str, float] = MappingProxyType(
    {
        "exploration stays": 0.2,
        "exploration rises": 0.1,
        "newest not replayed": 0.2,
        "draws of choices": 0.2,
        "draws of numbers": 0.1,
        "conformal ranks": 0.1,
        "not given yet": 0.1,
    }
)
"""Statement -> its share of ALPHA. They sum to 1; what asks for more than one statement splits its share."""

assert abs(fsum(SHARES.values()) - 1.0) < 1e-12


def limit_of(statement: str, parts: int = 1) -> float:
    """Return the evidence from which a statement counts as refuted: 1 / (ALPHA share / parts).

    By Ville's inequality and a union bound, however statements depend on one another, the probability that
    any of them is refuted in a run in which all hold is at most ALPHA.

    Args:
        statement: One of `SHARES`.
        parts: Of how many environments, places or signs the statement is made.

    Raises:
        UnknownName: for another statement.
    """
    if statement not in SHARES:
        raise UnknownName("statement", statement, list(SHARES))
    return max(1, parts) / (ALPHA * SHARES[statement])
