"""Whether a repetition gave the same result, and if not, why.

The strictest that holds is the answer:

- *bitwise equal*: every number of every metric, the score and the learnt numbers are the same to the last
  bit;
- *numerically equal*: every number of every metric and the score differ by at most the design's tolerance,
  relative to the larger of the two, and every learnt array by at most as much, relative to its largest
  element;
- *statistically equal*: the score is no further from the recorded one than two seeds of the variant are from
  one another (`repetition_interval`), by at least `FEWEST_SEEDS` other seeds on record;
- *different*: none of these.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from modelwright.base.errors import BadValue
from modelwright.lab.lineage.comparison import MetricComparison, Sameness
from modelwright.lab.lineage.difference import Difference
from modelwright.lab.lineage.learnt import LearntComparison
from modelwright.lab.lineage.telling import Evidence, tell_next_check, tell_sameness

__all__ = ["FEWEST_SEEDS", "RerunAnswer", "judge_rerun", "repetition_interval"]

COVERAGE = 0.95
"""Share of differences between two seeds that the interval holds."""

FEWEST_SEEDS = 3
"""Other seeds that a statistical answer needs; by two the interval is 18 standard deviations to each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunAnswer:
    """What a repetition showed.

    Attributes:
        sameness: See `Sameness`.
        sentence: The answer for a person.
        score_recorded: The run's score then.
        score_now: Its score now.
        interval: Where the score may lie to count as statistically equal; None where the numbers were equal
            already, or the record does not allow to say.
        other_seeds: How many other seeds of the variant have a score on record.
        comparison: The metrics, number by number.
        learnt: The learnt numbers.
        differences: What differs between the lineages, the likeliest reason first.
        next_check: What to do next; empty where there is nothing to do.
    """

    sameness: Sameness
    sentence: str
    score_recorded: float
    score_now: float
    interval: tuple[float, float] | None
    other_seeds: int
    comparison: MetricComparison
    learnt: LearntComparison
    differences: tuple[Difference, ...]
    next_check: str

    def record(self) -> dict[str, Any]:
        """Return the answer as JSON types; scores that are not finite become text."""
        scores = [
            value if math.isfinite(value) else str(value) for value in (self.score_recorded, self.score_now)
        ]
        return {
            "sameness": self.sameness.value,
            "sentence": self.sentence,
            "score_recorded": scores[0],
            "score_now": scores[1],
            "interval": None if self.interval is None else list(self.interval),
            "other_seeds": self.other_seeds,
            "comparison": self.comparison.record(),
            "learnt": self.learnt.record(),
            "differences": [difference.record() for difference in self.differences],
            "next_check": self.next_check,
        }


def repetition_interval(
    recorded: float,
    others: ArrayLike,
    *,
    bounds: tuple[float | None, float | None] = (None, None),
) -> tuple[float, float] | None:
    """Return where a score lies with probability `COVERAGE` if it is as far from the recorded one as a seed.

        recorded +- t(n-1) * s * sqrt(2)

    s is the standard deviation of n other seeds' scores. The difference of two independent normal scores has
    variance 2 sigma^2, and s is independent of both, so that the quotient is Student's t exactly. A
    repetition has the same seed and the same rows, so one that is sound lies much closer: the interval is a
    generous yardstick, whose virtue is that it is on record.

    Args:
        recorded: The run's score.
        others: (seed,) scores of the variant's other seeds; those that are not finite are left out.
        bounds: Smallest and largest possible score, None where there is none.

    Returns:
        Low and high end. None where there is nothing to judge by: the score is not finite, fewer than
        `FEWEST_SEEDS` others are, or every possible score would lie inside, so that no result could fail.
    """
    from scipy.special import stdtrit

    values = np.asarray(others, dtype=np.float64).reshape(-1)
    values = values[np.isfinite(values)]
    if not math.isfinite(recorded) or len(values) < FEWEST_SEEDS:
        return None
    # Equal scores have no spread, whatever the last bit of their mean.
    spread = 0.0 if values.min() == values.max() else float(values.std(ddof=1))
    half = float(stdtrit(len(values) - 1, 0.5 + COVERAGE / 2)) * spread * math.sqrt(2)
    low, high = recorded - half, recorded + half
    least = -math.inf if bounds[0] is None else bounds[0]
    most = math.inf if bounds[1] is None else bounds[1]
    return None if low <= least and high >= most else (max(low, least), min(high, most))


def judge_rerun(
    comparison: MetricComparison,
    score_recorded: float,
    score_now: float,
    other_seed_scores: ArrayLike,
    differences: Sequence[Difference],
    *,
    learnt: LearntComparison | None = None,
    bounds: tuple[float | None, float | None] = (None, None),
    company: int = 1,
    source: str = "",
) -> RerunAnswer:
    """Say how much alike a run and its repetition are, and what explains a difference.

    Args:
        comparison: From `compare_metrics`.
        score_recorded: The run's score then.
        score_now: Its score now.
        other_seed_scores: (seed,) scores of the variant's other seeds, without the repeated one.
        differences: From `explain`.
        learnt: From `compare_learnt`; left out where there is nothing to compare.
        bounds: Smallest and largest possible score.
        company: How many seeds the run trained with, itself included; the repetition trains alone.
        source: What the data are called: a file or a name.
    """
    if comparison.metrics == 0:
        raise BadValue("A comparison holds at least one metric", got=0)
    learnt = learnt or LearntComparison(same=True)
    scores = np.asarray(other_seed_scores, dtype=np.float64).reshape(-1)
    others = int(np.isfinite(scores).sum())
    sameness = _in_numbers(comparison, score_recorded, score_now, learnt)
    interval = None
    if sameness is Sameness.DIFFERENT:
        interval = repetition_interval(score_recorded, scores, bounds=bounds)
        if interval is not None and interval[0] <= score_now <= interval[1]:
            sameness = Sameness.STATISTICALLY_EQUAL
    evidence = Evidence(
        comparison=comparison,
        learnt=learnt,
        score_recorded=score_recorded,
        score_now=score_now,
        interval=interval,
        coverage=COVERAGE,
        others=others,
        fewest=FEWEST_SEEDS,
        company=company,
        differences=tuple(differences),
        source=source,
    )
    return RerunAnswer(
        sameness=sameness,
        sentence=tell_sameness(sameness, evidence),
        score_recorded=float(score_recorded),
        score_now=float(score_now),
        interval=interval,
        other_seeds=others,
        comparison=comparison,
        learnt=learnt,
        differences=tuple(differences),
        next_check=tell_next_check(sameness, evidence),
    )


def _in_numbers(
    comparison: MetricComparison, recorded: float, now: float, learnt: LearntComparison
) -> Sameness:
    """Return the strictest of bitwise equal, numerically equal and different."""
    if comparison.sameness is Sameness.DIFFERENT:
        return Sameness.DIFFERENT
    same_score = recorded == now or (math.isnan(recorded) and math.isnan(now))
    if same_score and learnt.same:
        return comparison.sameness
    scale = max(abs(recorded), abs(now))
    close = same_score or (math.isfinite(scale) and abs(recorded - now) <= comparison.tolerance * scale)
    # A hash of the fitted object has no distance: only the numbers on record can be compared then.
    if not close or (learnt.relative is not None and learnt.relative > comparison.tolerance):
        return Sameness.DIFFERENT
    return Sameness.NUMERICALLY_EQUAL
