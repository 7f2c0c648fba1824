"""Which probe to run next: the one that is expected to tell most for its time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue

__all__ = ["Choice", "ProbeFacts", "choose_probe"]


class ProbeFacts(Protocol):
    """What has to be known of a probe before it is run."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def seconds(self) -> float:
        """What it takes, above 0."""
        ...

    @property
    def outcomes(self) -> Mapping[str, Sequence[float]]:
        """Fault -> probability of each outcome, in one order; `other` for faults that have no row."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A probe that is worth its time.

    Attributes:
        name: Of the probe.
        bits: Information about the fault that it is expected to give.
        bits_a_second: The same for each second.
    """

    name: str
    bits: float
    bits_a_second: float


def choose_probe(probabilities: Mapping[str, float], probes: Sequence[ProbeFacts]) -> Sequence[Choice]:
    """Return the probes that tell anything, most information for each second first.

    What a probe tells is the mutual information of fault and outcome: the entropy of the mean outcome less
    the mean entropy of outcomes.

    Args:
        probabilities: Fault -> probability, as far as known now.
        probes: What could be run.

    Raises:
        BadValue: for a probe that takes no time, has rows of several lengths or not of sum 1, or has no row
            for a fault and none for `other`.

    Source: Lindley, On a measure of the information provided by an experiment, Annals of Mathematical
    Statistics 27 (1956).
    """
    names = list(probabilities)
    weights = np.array([probabilities[name] for name in names], np.float64)
    weights = weights / weights.sum()
    choices: list[Choice] = []
    for probe in probes:
        rows = _rows(probe, names)
        bits = float(_entropy(weights @ rows) - weights @ _entropy(rows))
        if bits > 1e-9:
            choices.append(Choice(name=probe.name, bits=bits, bits_a_second=bits / probe.seconds))
    return sorted(choices, key=lambda each: (-each.bits_a_second, each.name))


def _rows(probe: ProbeFacts, names: Sequence[str]) -> NDArray[np.float64]:
    missing = [name for name in names if name not in probe.outcomes]
    if not probe.seconds > 0 or (missing and "other" not in probe.outcomes):
        raise BadValue(
            "A probe takes time and has a row for each fault, or one for `other`",
            got=f"{probe.name}: {probe.seconds} s, without {missing[:5]}",
        )
    told = [probe.outcomes.get(name, probe.outcomes.get("other", ())) for name in names]
    if len({len(row) for row in told}) != 1:
        raise BadValue("Rows of a probe have the same outcomes", got=f"{probe.name}: {told[:5]}")
    rows = np.array(told, np.float64)
    if rows.min() < 0 or np.abs(rows.sum(axis=1) - 1).max() > 1e-6:
        raise BadValue("A row of a probe sums to 1", got=f"{probe.name}: {rows.sum(axis=1).tolist()[:5]}")
    return rows


def _entropy(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy in bits along the last axis."""
    safe = np.where(p > 0, p, 1.0)
    return -(p * np.log2(safe)).sum(axis=-1)
