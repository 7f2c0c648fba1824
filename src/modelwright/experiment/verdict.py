"""What an experiment has shown, in five words and one sentence, and what it has not."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelwright.base.errors import BadValue
from modelwright.base.fingerprint import jsonable
from modelwright.experiment.interval import Interval
from modelwright.experiment.question import Question
from modelwright.experiment.sentence import (
    comparison_phrase,
    comparison_sentence,
    scope_sentence,
    verdict_sentence,
)

__all__ = ["Comparison", "Outcome", "Scope", "Verdict", "decide", "judge"]

Scope = Literal["this_test_set", "other_splits", "new_data", "new_runs"]


class Outcome(enum.StrEnum):
    """How a comparison, or a whole experiment, ends."""

    SUPPORTED = "supported"
    """The whole interval lies beyond the margin."""
    REFUTED = "refuted"
    """The whole interval falls short of the margin."""
    EQUIVALENT = "equivalent"
    """The whole interval lies inside plus or minus the smallest effect."""
    INCONCLUSIVE = "inconclusive"
    """Seeds or budget are spent and none of these holds; or comparisons are decided, but not all alike."""
    INVALID = "invalid"
    """A deviation or a failed check: the numbers are no evidence."""


def decide(interval: Interval, margin: float, smallest_effect: float) -> Outcome | None:
    """Return what an interval decides, None if nothing yet.

    The claim comes first: a difference that is sure to exceed the margin is *supported* even where it is
    too small to matter, and one that is sure to be too small to matter is *equivalent* before *refuted*.

    Args:
        interval: For the difference candidate minus baseline, more is better.
        margin: The claim is a difference above it.
        smallest_effect: The smallest difference that would matter, above 0.
    """
    if not smallest_effect > 0:
        raise BadValue("The smallest effect is above 0", got=smallest_effect)
    if interval.beyond(margin):
        return Outcome.SUPPORTED
    if interval.inside(-smallest_effect, smallest_effect):
        return Outcome.EQUIVALENT
    if interval.short_of(margin):
        return Outcome.REFUTED
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The end of one comparison.

    Attributes:
        candidate: Variant that is claimed to be better.
        baseline: Variant that it is compared with.
        interval: At the look that decided, or at the last look; its `estimate` is the effect.
        outcome: What the interval decided; *inconclusive* where it decided nothing.
        look: Index of that look, from 0.
        seeds_used: Number of seeds at that look.
    """

    candidate: str
    baseline: str
    interval: Interval
    outcome: Outcome
    look: int
    seeds_used: int

    @property
    def effect(self) -> float:
        """Mean difference candidate minus baseline, more is better."""
        return self.interval.estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The end of an experiment.

    Attributes:
        outcome: Over all comparisons.
        comparisons: One entry for each.
        metric: What was measured.
        scope: What the conclusion may speak of.
        confirmatory: Whether everything went as registered before the first run.
        deviations: What did not; the verdict is exploratory in these parts.
        reasons: Why the verdict is invalid; empty unless it is.
        speaks_of: The scope in words.
        does_not_show: What nobody may read into the verdict.
        sentence: The verdict in one sentence with its numbers.
    """

    outcome: Outcome
    comparisons: tuple[Comparison, ...]
    metric: str
    scope: Scope
    confirmatory: bool
    deviations: tuple[str, ...]
    reasons: tuple[str, ...]
    speaks_of: str
    does_not_show: tuple[str, ...]
    sentence: str

    def record(self) -> dict[str, Any]:
        """Return the verdict as JSON types."""
        return jsonable(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "Verdict":
        """Return the verdict that `record` was made from."""
        comparisons = tuple(
            Comparison(
                candidate=item["candidate"],
                baseline=item["baseline"],
                interval=Interval(**item["interval"]),
                outcome=Outcome(item["outcome"]),
                look=item["look"],
                seeds_used=item["seeds_used"],
            )
            for item in record["comparisons"]
        )
        return Verdict(
            outcome=Outcome(record["outcome"]),
            comparisons=comparisons,
            metric=record["metric"],
            scope=record["scope"],
            confirmatory=record["confirmatory"],
            deviations=tuple(record["deviations"]),
            reasons=tuple(record["reasons"]),
            speaks_of=record["speaks_of"],
            does_not_show=tuple(record["does_not_show"]),
            sentence=record["sentence"],
        )


def overall_outcome(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of a claim that is the conjunction of its comparisons.

    One refuted comparison refutes it. Where comparisons end in different ways and none is refuted, the claim
    as a whole is *inconclusive*, and each comparison's own end stands.
    """
    found = set(outcomes)
    if not found:
        raise BadValue("A verdict has at least one comparison", got="none")
    if Outcome.INVALID in found:
        return Outcome.INVALID
    if Outcome.REFUTED in found:
        return Outcome.REFUTED
    return found.pop() if len(found) == 1 else Outcome.INCONCLUSIVE


def judge(
    question: Question,
    comparisons: Sequence[Comparison],
    *,
    scope: Scope,
    assumption: str,
    scope_inflation: float = 0.0,
    deviations: Sequence[str] = (),
    reasons: Sequence[str] = (),
) -> Verdict:
    """Return the verdict of a finished experiment.

    Args:
        question: What was asked.
        comparisons: The end of each comparison.
        scope: What the design lets the conclusion speak of.
        assumption: What the stopping rule takes for granted, its `assumption`.
        scope_inflation: n_test / n_train for conclusions about new data, else 0.
        deviations: What was done other than registered (amendments included); makes it exploratory.
        reasons: Failed checks and deviations after which the numbers are no evidence; makes it invalid.
    """
    invalid = (Outcome.INVALID,) if reasons else ()
    outcome = overall_outcome((*(item.outcome for item in comparisons), *invalid))
    if len(comparisons) == 1:
        only = comparisons[0]
        clauses = [
            comparison_sentence(
                question,
                candidate=only.candidate,
                baseline=only.baseline,
                interval=only.interval,
                outcome=only.outcome.value,
                seeds=only.seeds_used,
                inflation=scope_inflation,
            )
        ]
    else:
        clauses = [
            comparison_phrase(
                candidate=item.candidate,
                baseline=item.baseline,
                interval=item.interval,
                seeds=item.seeds_used,
            )
            for item in comparisons
        ]
    return Verdict(
        outcome=outcome,
        comparisons=tuple(comparisons),
        metric=question.metric,
        scope=scope,
        confirmatory=not deviations and not reasons,
        deviations=tuple(deviations),
        reasons=tuple(reasons),
        speaks_of=scope_sentence(scope),
        does_not_show=_limits(question, scope, assumption),
        sentence=verdict_sentence(
            question, outcome.value, [item.outcome.value for item in comparisons], clauses, reasons
        ),
    )


def _limits(question: Question, scope: Scope, assumption: str) -> tuple[str, ...]:
    data = {
        "this_test_set": "It says nothing of other test sets, other splits or new data.",
        "other_splits": "It says nothing of data from elsewhere, nor of training sets of another size.",
        "new_data": "It says nothing of data from another source, nor of training sets of another size.",
        "new_runs": "It says nothing of other environments, other settings of this one, or other lengths of "
        "training.",
    }[scope]
    return (
        data,
        f"It says nothing of metrics other than {question.metric}.",
        f"It says nothing of margins other than {question.margin:g} "
        f"or smallest effects other than {question.smallest_effect:g}.",
        "It does not say why: the variants differ in all that their configurations differ in.",
        "It compares the variants as configured here, not the best that tuning could make of each.",
        f"Its error rate rests on this: {assumption}.",
    )
