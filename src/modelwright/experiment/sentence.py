"""Verdicts in words. Only text is made here; what is decided is decided in `verdict`."""

import math
from collections.abc import Sequence

from modelwright.experiment.interval import Interval
from modelwright.experiment.question import Question

__all__ = [
    "comparison_phrase",
    "comparison_sentence",
    "scope_sentence",
    "seeds_to_decide",
    "verdict_sentence",
]

_MANY = 100_000


def scope_sentence(scope: str) -> str:
    """Return what a conclusion of this scope speaks of."""
    return {
        "this_test_set": "It speaks of these training rows and this test set: only the learners' own "
        "randomness varied from seed to seed.",
        "other_splits": "It speaks of other random splits of this data: every seed drew its own training and "
        "test rows, the same for all variants.",
        "new_data": "It speaks of new data from the same source: every seed drew its own split, and the "
        "interval is widened for the rows that training sets share.",
        "new_runs": "It speaks of new runs of these learners in this environment, in episodes that begin as "
        "it begins them: every seed drew its own random numbers, from the same streams for all variants.",
    }[scope]


def seeds_to_decide(
    interval: Interval, seeds: int, margin: float, smallest_effect: float, inflation: float = 0.0
) -> int | None:
    """Return about how many seeds would decide if estimate and spread stayed as they are.

    The half-width falls as sqrt(1 / n + inflation). The nearest decision counts: beyond the margin, short
    of it, or inside plus or minus the smallest effect.

    Returns:
        The number, or None where it would be beyond reach (more than 100,000, or any number).
    """
    half, estimate = interval.width / 2, interval.estimate
    gap = max(abs(estimate - margin), smallest_effect - abs(estimate))
    if gap <= 0:
        return None
    if half < gap * 1e-6:
        return seeds + 1
    rest = (1 / seeds + inflation) * (gap / half) ** 2 - inflation
    if rest <= 1 / _MANY:
        return None
    return max(seeds + 1, math.ceil(1 / rest))


def comparison_sentence(
    question: Question,
    *,
    candidate: str,
    baseline: str,
    interval: Interval,
    outcome: str,
    seeds: int,
    inflation: float = 0.0,
) -> str:
    """Return one comparison's end as a clause with its numbers, without the outcome in front."""
    margin, smallest = f"{question.margin:g}", f"{question.smallest_effect:g}"
    numbers = f"{interval.text()[:-1]}, {seeds} seeds)"
    metric = question.metric + (" (lower is better)" if question.sign < 0 else "")
    gain = f"the gain of {candidate} over {baseline} on {metric}"
    if outcome == "supported":
        if interval.estimate > 0 and question.margin >= 0:
            return f"{candidate} beats {baseline} on {metric} by {numbers}, more than the margin {margin}"
        return f"{gain} is {numbers}, above the margin {margin}"
    if outcome == "equivalent":
        return (
            f"{candidate} and {baseline} differ on {metric} by less than {smallest}, the smallest effect "
            f"that matters: the gain is {numbers}"
        )
    if outcome == "refuted":
        return (
            f"{candidate} does not beat {baseline} on {metric} by more than the margin {margin}: "
            f"the gain is {numbers}"
        )
    if outcome != "inconclusive":
        return f"{gain} came out as {numbers}"
    if interval.width == 0:
        return f"{gain} is {interval.estimate:.6g} at all {seeds} seeds, which shows no chance to judge it by"
    needed = seeds_to_decide(interval, seeds, question.margin, question.smallest_effect, inflation)
    hope = "if the gain and its spread stay as they are, "
    hope += f"a new experiment of about {needed} seeds" if needed else "no practical number of seeds"
    hope += " would settle it"
    if needed is None and inflation > 0:
        hope += ", because training sets overlap; more data might"
    return (
        f"{gain} is {numbers}, which settles neither the margin {margin} nor equivalence within {smallest}; "
        f"{hope}"
    )


def comparison_phrase(*, candidate: str, baseline: str, interval: Interval, seeds: int) -> str:
    """Return one comparison's numbers in few words, for a verdict over several."""
    return f"{candidate} over {baseline} {interval.text()[:-1]}, {seeds} seeds)"


def verdict_sentence(
    question: Question, outcome: str, outcomes: Sequence[str], clauses: Sequence[str], reasons: Sequence[str]
) -> str:
    """Return the verdict as one sentence.

    Args:
        question: Its metric, margin and smallest effect are named.
        outcome: Over all comparisons.
        outcomes: Of each comparison.
        clauses: The one comparison's clause, from `comparison_sentence`; of several each one's phrase.
        reasons: Why it is invalid, if it is.
    """
    head = outcome.capitalize()
    if outcome == "invalid":
        return f"{head}: {'; '.join(reason.rstrip('.') for reason in reasons)}. The numbers are no evidence."
    if len(clauses) == 1:
        return f"{head}: {clauses[0]}."
    groups: dict[str, list[str]] = {}
    for word, clause in zip(outcomes, clauses, strict=True):
        groups.setdefault(word, []).append(clause)
    parts = [
        ", ".join(found) if len(groups) == 1 else f"{word} {', '.join(found)}"
        for word, found in groups.items()
    ]
    metric = question.metric + (" (lower is better)" if question.sign < 0 else "")
    if outcome == "inconclusive" and "inconclusive" not in outcomes:
        head += " as one claim, each comparison decided but not all alike,"
    return (
        f"{head} over {len(clauses)} comparisons on {metric} (margin {question.margin:g}, smallest effect "
        f"{question.smallest_effect:g}): {'; '.join(parts)}."
    )
