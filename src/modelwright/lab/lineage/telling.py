"""The answer to a repetition in words: what is the same, where it departs, why, and what to check next."""

import math
from dataclasses import dataclass

from modelwright.lab.lineage.comparison import MetricComparison, MetricPoint, Sameness
from modelwright.lab.lineage.difference import UNLIKELY, Difference, Side
from modelwright.lab.lineage.learnt import LearntComparison

__all__ = ["Evidence", "tell_next_check", "tell_sameness"]

_NAMED = 3
"""How many differences a sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an answer rests on; for the attributes see `RerunAnswer` and `judge_rerun`."""

    comparison: MetricComparison
    learnt: LearntComparison
    score_recorded: float
    score_now: float
    interval: tuple[float, float] | None
    coverage: float
    others: int
    fewest: int
    company: int
    differences: tuple[Difference, ...]
    source: str

    @property
    def likely(self) -> tuple[Difference, ...]:
        """The differences that are likely to change a number."""
        return tuple(one for one in self.differences if one.rank < UNLIKELY)


def tell_sameness(sameness: Sameness, evidence: Evidence) -> str:
    """Return the answer as one sentence, or two."""
    if sameness is Sameness.BITWISE_EQUAL:
        return _bitwise(evidence)
    if sameness is Sameness.NUMERICALLY_EQUAL:
        return _numerically(evidence)
    word = "statistically the same" if sameness is Sameness.STATISTICALLY_EQUAL else "different"
    return f"The repetition is {word}: {_first(evidence)}, and {_inside(evidence)}{_because(evidence)}."


def _bitwise(evidence: Evidence) -> str:
    also = ""
    if evidence.differences:
        count = len(evidence.differences)
        things = "1 recorded thing differs" if count == 1 else f"{count} recorded things differ"
        also = f" That holds although {things}: {_named(evidence.differences)}."
    comparison = evidence.comparison
    numbers = f"{comparison.numbers:,} number{'s' * (comparison.numbers != 1)}"
    metrics = f"{comparison.metrics} metric{'s' * (comparison.metrics != 1)}"
    return f"The repetition is the same bit for bit: {numbers} of {metrics}, and the score.{also}"


def _numerically(evidence: Evidence) -> str:
    largest = evidence.comparison.largest
    if largest is not None:
        what = f"the largest relative difference is {largest.relative:.2g} ({_point(largest)})"
    elif not evidence.learnt.same:
        what = f"the metrics are the same and {_learnt(evidence.learnt)}"
    else:
        what = (
            f"only the score differs: {_digits(evidence.score_recorded, evidence.score_now)} recorded, "
            f"{_digits(evidence.score_now, evidence.score_recorded)} now"
        )
    return (
        f"The repetition is numerically the same, within a relative tolerance of "
        f"{evidence.comparison.tolerance:g}; {what}. It is not the same bit for bit{_because(evidence)}."
    )


def _learnt(learnt: LearntComparison) -> str:
    if learnt.relative is None:
        return "what was fitted has another hash"
    return (
        f"the learnt numbers differ by up to {learnt.relative:.2g}, relative to the largest in {learnt.name}"
    )


def _first(evidence: Evidence) -> str:
    first = evidence.comparison.first
    if first is not None:
        return f"it departs at {_point(first)}"
    if evidence.learnt.same:
        return "the metrics are the same and the score is not"
    return f"the metrics are the same and {_learnt(evidence.learnt)}"


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


def _inside(evidence: Evidence) -> str:
    now = _digits(evidence.score_now, evidence.score_recorded)
    was = _digits(evidence.score_recorded, evidence.score_now)
    score = f"its score {now} ({was} recorded)"
    if evidence.interval is None:
        return f"whether {score} is usual cannot be said: {_unjudged(evidence)}"
    low, high = evidence.interval
    inside = low <= evidence.score_now <= high
    return (
        f"{score} lies {'inside' if inside else 'outside'} {low:.4g} to {high:.4g}, as far from the recorded "
        f"one as {evidence.coverage:.0%} of seeds are from one another "
        f"(by the variant's other {evidence.others} seeds)"
    )


def _unjudged(evidence: Evidence) -> str:
    if evidence.others < evidence.fewest:
        return (
            f"{evidence.others} other seed{'s' * (evidence.others != 1)} of the variant "
            f"{'have' if evidence.others != 1 else 'has'} a score on record, and it takes {evidence.fewest}"
        )
    if not math.isfinite(evidence.score_recorded):
        return "the recorded score is not a number"
    return f"the other {evidence.others} seeds differ so much that any score would do"


def _named(differences: tuple[Difference, ...]) -> str:
    shown = "; ".join(f"{item.side.value}: {item.sentence}" for item in differences[:_NAMED])
    more = len(differences) - _NAMED
    return f"{shown}; and {more} more" if more > 0 else shown


def _because(evidence: Evidence) -> str:
    if evidence.likely:
        return f", most likely because of {_named(evidence.likely)}"
    if evidence.differences:
        return (
            ", and nothing that is recorded is likely to explain it: nondeterminism, rather than "
            f"{_named(evidence.differences)}"
        )
    return ", and nothing that is recorded explains it: nondeterminism"


def tell_next_check(sameness: Sameness, evidence: Evidence) -> str:
    """Return what to do next, as an instruction; empty where there is nothing to do."""
    if sameness is Sameness.BITWISE_EQUAL:
        return ""
    if evidence.likely:
        likeliest = evidence.likely[0]
        if likeliest.side is Side.DATA and likeliest.what == "identity":
            named = f" of {evidence.source}" if evidence.source else ""
            return f"Put the data{named} back as they were recorded and repeat the run."
        return f"Put {likeliest.what} back as it was recorded ({likeliest.side.value}) and repeat the run."
    company = ""
    if evidence.company > 1:
        company = (
            f" The run trained beside {evidence.company - 1} other seeds and the repetition alone: look for "
            "variables that the learner's seeds share."
        )
    return (
        "Repeat the run twice here. If those two differ, the run itself is nondeterministic: look for "
        "random numbers outside the trial's seed, the order of sets and files, threads of its own, clocks, "
        "and operations that torch.use_deterministic_algorithms(True) refuses. If they are equal, "
        "something differs that is not recorded: a file outside the source and the data, "
        f"a service, or a setting of a device.{company}"
    )
