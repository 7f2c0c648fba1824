"""What a stopping rule would have done in many experiments at once, for planning and for error rates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.experiment.rule import StoppingRule
from modelwright.experiment.verdict import Outcome

__all__ = ["Decisions", "decide_many"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The ends of many experiments.

    Attributes:
        supported: (experiment,) whether it ended *supported*.
        equivalent: (experiment,) whether it ended *equivalent*.
        refuted: (experiment,) whether it ended *refuted*; where none of the three, *inconclusive*.
        seeds: (experiment,) number of seeds at the look that ended it.
    """

    supported: NDArray[np.bool_]
    equivalent: NDArray[np.bool_]
    refuted: NDArray[np.bool_]
    seeds: NDArray[np.int64]

    def share(self, outcome: Outcome) -> float:
        """Return the share of experiments with this outcome."""
        decided = {
            Outcome.SUPPORTED: self.supported,
            Outcome.EQUIVALENT: self.equivalent,
            Outcome.REFUTED: self.refuted,
            Outcome.INCONCLUSIVE: ~(self.supported | self.equivalent | self.refuted),
        }
        return float(decided[outcome].mean()) if outcome in decided else 0.0


def decide_many(
    rule: StoppingRule, differences: ArrayLike, *, margin: float, smallest_effect: float
) -> Decisions:
    """Return how each experiment ends when it is looked at at every look and stops at the first decision.

    The decisions are those that `decide` reads off `rule.interval` look by look, from one-sided tests at
    the three thresholds instead of whole intervals.

    Args:
        rule: The stopping rule.
        differences: (experiment, seed) finite numbers, with all seeds of the plan.
        margin: The claim is a difference above it.
        smallest_effect: The smallest difference that would matter, above 0.
    """
    supported = rule.beyond(differences, margin)
    equivalent = rule.beyond(differences, -smallest_effect) & rule.short_of(differences, smallest_effect)
    refuted = rule.short_of(differences, margin)
    equivalent &= ~supported
    refuted &= ~supported & ~equivalent
    decided = supported | equivalent | refuted
    looks = np.asarray(rule.looks, dtype=np.int64)
    last = np.where(decided.any(axis=1), decided.argmax(axis=1), looks.size - 1)
    rows = np.arange(len(last))
    return Decisions(
        supported=supported[rows, last],
        equivalent=equivalent[rows, last],
        refuted=refuted[rows, last],
        seeds=looks[last],
    )
