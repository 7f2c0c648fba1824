"""Whether a repetition gave the same result, and if not, why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from modelwright.base.errors import BadValue
from modelwright.lab.lineage.comparison import MetricComparison, MetricPoint, Sameness
from modelwright.lab.lineage.difference import Difference

__all__ = ["COVERAGE", "RerunAnswer", "judge_rerun", "prediction_interval"]

COVERAGE = 0.95
"""Share of new scores that a prediction interval holds."""

_NAMED = 3
"""How many differences a sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunAnswer:
    """What a repetition showed.

    Attributes:
        sameness: See `Sameness`.
        sentence: The answer for a person.
        score_recorded: The run's score then.
        score_now: Its score now.
        interval: Where `COVERAGE` of new seeds' scores lie; None where the metrics were equal already,
            or fewer than two other seeds have a score.
        other_seeds: How many other seeds the interval rests on.
        comparison: The metrics, number by number.
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
            "differences": [difference.record() for difference in self.differences],
            "next_check": self.next_check,
        }


def prediction_interval(scores: ArrayLike) -> tuple[float, float] | None:
    """Return where the score of one more seed lies with probability `COVERAGE`, if scores are normal.

        mean +- t(n-1) * s * sqrt(1 + 1/n)

    Source: Hahn and Meeker, Statistical Intervals (1991), section 4.7, for one future observation.

    Args:
        scores: (seed,) finite scores; others are left out.

    Returns:
        Low and high end; None for fewer than two finite scores.
    """
    from scipy.special import stdtrit

    values = np.asarray(scores, dtype=np.float64).reshape(-1)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None
    half = stdtrit(len(values) - 1, 0.5 + COVERAGE / 2) * values.std(ddof=1) * math.sqrt(1 + 1 / len(values))
    return float(values.mean() - half), float(values.mean() + half)


def judge_rerun(
    comparison: MetricComparison,
    score_recorded: float,
    score_now: float,
    other_seed_scores: ArrayLike,
    differences: Sequence[Difference],
) -> RerunAnswer:
    """Say how much alike a run and its repetition are, and what explains a difference.

    The score counts like one more metric: equal metrics with another score are not equal. Where the
    numbers differ, the repetition is statistically equal if its score lies inside the prediction
    interval of the same variant's other seeds. That says that the score is nothing unusual for this
    variant; with few seeds the interval is wide and says little.

    Args:
        comparison: From `compare_metrics`.
        score_recorded: The run's score then.
        score_now: Its score now.
        other_seed_scores: (seed,) scores of the variant's other seeds, without the repeated one.
        differences: From `explain`.
    """
    if comparison.metrics == 0:
        raise BadValue("A comparison holds at least one metric", got=0)
    scores = np.asarray(other_seed_scores, dtype=np.float64).reshape(-1)
    others = int(np.isfinite(scores).sum())
    sameness = _with_score(comparison, score_recorded, score_now)
    interval = None
    if sameness is Sameness.DIFFERENT:
        interval = prediction_interval(scores)
        if interval is not None and interval[0] <= score_now <= interval[1]:
            sameness = Sameness.STATISTICALLY_EQUAL
    words = {
        Sameness.BITWISE_EQUAL: _bitwise,
        Sameness.NUMERICALLY_EQUAL: _numerically,
        Sameness.STATISTICALLY_EQUAL: _statistically,
        Sameness.DIFFERENT: _differently,
    }[sameness]
    facts = _Facts(comparison, score_recorded, score_now, interval, others, tuple(differences))
    return RerunAnswer(
        sameness=sameness,
        sentence=words(facts),
        score_recorded=float(score_recorded),
        score_now=float(score_now),
        interval=interval,
        other_seeds=others,
        comparison=comparison,
        differences=tuple(differences),
        next_check=_next_check(sameness, facts),
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    comparison: MetricComparison
    score_recorded: float
    score_now: float
    interval: tuple[float, float] | None
    others: int
    differences: tuple[Difference, ...]


def _with_score(comparison: MetricComparison, recorded: float, now: float) -> Sameness:
    if recorded == now or (math.isnan(recorded) and math.isnan(now)):
        return comparison.sameness
    scale = max(abs(recorded), abs(now))
    close = math.isfinite(scale) and abs(recorded - now) <= comparison.tolerance * scale
    if close and comparison.sameness is not Sameness.DIFFERENT:
        return Sameness.NUMERICALLY_EQUAL
    return Sameness.DIFFERENT


def _bitwise(facts: _Facts) -> str:
    also = ""
    if facts.differences:
        count = len(facts.differences)
        things = "1 recorded thing differs" if count == 1 else f"{count} recorded things differ"
        also = f" That holds although {things}: {_named(facts)}."
    comparison = facts.comparison
    numbers = f"{comparison.numbers:,} number{'s' * (comparison.numbers != 1)}"
    metrics = f"{comparison.metrics} metric{'s' * (comparison.metrics != 1)}"
    return f"The repetition is the same bit for bit: {numbers} of {metrics}, and the score.{also}"


def _numerically(facts: _Facts) -> str:
    largest = facts.comparison.largest
    where = "only the score differs" if largest is None else _point(largest)
    return (
        "The repetition is numerically the same, "
        f"within a relative tolerance of {facts.comparison.tolerance:g}; "
        f"the largest relative difference is {facts.comparison.largest_relative:.2g} ({where}). "
        f"It is not the same bit for bit{_because(facts)}."
    )


def _statistically(facts: _Facts) -> str:
    return (
        f"The repetition is statistically the same: {_first(facts)}, and {_inside(facts)}{_because(facts)}."
    )


def _differently(facts: _Facts) -> str:
    return f"The repetition is different: {_first(facts)}, and {_inside(facts)}{_because(facts)}."


def _first(facts: _Facts) -> str:
    first = facts.comparison.first
    return (
        "the metrics are the same and the score is not" if first is None else f"it departs at {_point(first)}"
    )


def _point(point: MetricPoint) -> str:
    recorded, now = (
        "nothing" if value is None else _digits(value, other)
        for value, other in ((point.recorded, point.now), (point.now, point.recorded))
    )
    return f"{point.metric}, update {point.update}: {recorded} recorded, {now} now"


def _digits(value: float, other: float | None) -> str:
    """Show as many digits as it takes to see the difference."""
    for digits in (4, 8, 12):
        if other is None or f"{value:.{digits}g}" != f"{other:.{digits}g}":
            return f"{value:.{digits}g}"
    return repr(value)


def _inside(facts: _Facts) -> str:
    now, was = _digits(facts.score_now, facts.score_recorded), _digits(facts.score_recorded, facts.score_now)
    score = f"its score {now} ({was} recorded)"
    if facts.interval is None:
        return f"whether {score} is usual cannot be said with {facts.others} other seeds, it takes two"
    low, high = facts.interval
    inside = low <= facts.score_now <= high
    return (
        f"{score} lies {'inside' if inside else 'outside'} {low:.4g} to {high:.4g}, "
        f"where the variant's other {facts.others} seeds put {COVERAGE:.0%} of new scores"
    )


def _named(facts: _Facts) -> str:
    shown = "; ".join(f"{item.side.value}: {item.sentence}" for item in facts.differences[:_NAMED])
    more = len(facts.differences) - _NAMED
    return f"{shown}; and {more} more" if more > 0 else shown


def _because(facts: _Facts) -> str:
    if facts.differences:
        return f", most likely because of {_named(facts)}"
    return ", and nothing that is recorded explains it: nondeterminism"


def _next_check(sameness: Sameness, facts: _Facts) -> str:
    if sameness is Sameness.BITWISE_EQUAL:
        return ""
    if facts.differences:
        likeliest = facts.differences[0]
        return f"Put {likeliest.what} back as it was recorded ({likeliest.side.value}) and repeat the run."
    return (
        "Repeat the run twice here. If those two differ, the run itself is nondeterministic: look for "
        "random numbers outside the trial's seed, the order of sets and files, threads of its own, clocks, "
        "and operations that torch.use_deterministic_algorithms(True) refuses. If they are equal, "
        "something differs that is not recorded: a file outside the source and the data, "
        "a service, or a setting of a device."
    )
