"""One planned look at the results so far, and what follows from it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from modelwright.base.errors import BadValue, NotPermitted, UnknownName
from modelwright.base.fingerprint import jsonable
from modelwright.experiment.correction import SharedRule
from modelwright.experiment.difference import paired_differences
from modelwright.experiment.interval import Interval
from modelwright.experiment.question import Question
from modelwright.experiment.verdict import Comparison, Outcome, decide

__all__ = ["Look", "Reading", "evaluate_look"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a look says about one comparison.

    Attributes:
        candidate: Variant that is claimed to be better.
        baseline: Variant that it is compared with.
        interval: At the look that decided it, or at this look.
        outcome: What is decided, None while open.
        look: Index of the look that the interval belongs to.
        seeds: Number of seeds of that interval.
        says: The rule's words.
    """

    candidate: str
    baseline: str
    interval: Interval
    outcome: Outcome | None
    look: int
    seeds: int
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A planned look.

    Attributes:
        index: Which one, from 0.
        seeds: Finished seeds that it used.
        means: Variant -> mean result over these seeds, in the metric's own direction; only variants of
            comparisons that were open when the look began.
        readings: One entry for each comparison, in the order of the design.
        decision: Whether more seeds are to be run.
        why: The reason in one sentence.
    """

    index: int
    seeds: int
    means: Mapping[str, float]
    readings: tuple[Reading, ...]
    decision: Literal["stop", "go on"]
    why: str

    @property
    def stop(self) -> bool:
        """Whether the experiment is over."""
        return self.decision == "stop"

    def comparisons(self, *, budget_spent: bool = False) -> tuple[Comparison, ...]:
        """Return the ends of the comparisons; what is still open is inconclusive.

        Args:
            budget_spent: Whether the design's budget ends the experiment although the rule would go on.

        Raises:
            NotPermitted: while the rule says to go on and the budget allows it.
        """
        if not (self.stop or budget_spent):
            raise NotPermitted(
                "A verdict is passed when the stopping rule says so",
                got=self.why,
                next_step="run the next look's seeds",
            )
        return tuple(
            Comparison(
                candidate=reading.candidate,
                baseline=reading.baseline,
                interval=reading.interval,
                outcome=reading.outcome or Outcome.INCONCLUSIVE,
                look=reading.look,
                seeds_used=reading.seeds,
            )
            for reading in self.readings
        )

    def record(self) -> dict[str, Any]:
        """Return the look as JSON types."""
        return jsonable(self)

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> "Look":
        """Return the look that `record` was made from."""
        readings = tuple(
            Reading(
                candidate=item["candidate"],
                baseline=item["baseline"],
                interval=Interval(**item["interval"]),
                outcome=Outcome(item["outcome"]) if item["outcome"] else None,
                look=item["look"],
                seeds=item["seeds"],
                says=item["says"],
            )
            for item in record["readings"]
        )
        return Look(
            index=record["index"],
            seeds=record["seeds"],
            means=record["means"],
            readings=readings,
            decision=record["decision"],
            why=record["why"],
        )


def evaluate_look(
    question: Question,
    rule: SharedRule,
    comparisons: Sequence[tuple[str, str]],
    results: Mapping[str, ArrayLike],
    *,
    index: int,
    previous: Look | None = None,
    unreadable: Collection[str] = (),
) -> Look:
    """Return what a look says. Decided comparisons stay decided, with the interval that decided them.

    Args:
        question: Margin, smallest effect and direction.
        rule: The design's stopping rule.
        comparisons: (candidate, baseline) pairs, in the order of the design.
        results: Variant -> (seed,) results, exactly `rule.looks[index]` of them, in the registered order of
            seeds. Variants whose comparisons are all decided may be left out.
        index: Which look, from 0.
        previous: The look before, for every look but the first.
        unreadable: Variants with results that are no measurements; their comparisons stay open.

    Raises:
        BadValue: for results that do not fit the look, or are not finite.
        UnknownName: for a comparison with a variant that has no results.
        NotPermitted: for a look after the end, or out of turn.
    """
    _require_turn(rule, comparisons, index, previous)
    seeds = rule.looks[index]
    before = [None] * len(comparisons) if previous is None else list(previous.readings)
    decided = [reading if reading is not None and reading.outcome is not None else None for reading in before]
    open_pairs = {at: pair for at, pair in enumerate(comparisons) if decided[at] is None}
    arrays = {name: _results(results, name, seeds, index) for pair in open_pairs.values() for name in pair}
    differences = {
        at: paired_differences(arrays[candidate], arrays[baseline], sign=question.sign)
        for at, (candidate, baseline) in open_pairs.items()
    }
    readings: dict[int, Reading] = {at: reading for at, reading in enumerate(decided) if reading is not None}
    supported = -1
    while supported != (now := sum(reading.outcome is Outcome.SUPPORTED for reading in readings.values())):
        # Holm's step down: every newly supported comparison hands its share to those still open.
        supported = now
        for at, (candidate, baseline) in open_pairs.items():
            if at in readings and readings[at].outcome is not None:
                continue
            interval = rule.interval(differences[at], index, supported=supported)
            silence = _silence(rule, differences[at], unreadable, (candidate, baseline))
            outcome = None if silence else decide(interval, question.margin, question.smallest_effect)
            readings[at] = Reading(
                candidate=candidate,
                baseline=baseline,
                interval=interval,
                outcome=outcome,
                look=index,
                seeds=seeds,
                says=silence or _says(interval, outcome, question),
            )
    ordered = tuple(readings[at] for at in range(len(comparisons)))
    decision, why = _decision(ordered, index, rule.looks)
    means = {name: float(np.mean(values)) for name, values in arrays.items()}
    return Look(index=index, seeds=seeds, means=means, readings=ordered, decision=decision, why=why)


def _require_turn(
    rule: SharedRule, comparisons: Sequence[tuple[str, str]], index: int, previous: Look | None
) -> None:
    if len(comparisons) != rule.comparisons:
        raise BadValue(
            "The error budget is shared by the comparisons that were planned",
            got=f"{len(comparisons)} comparisons for a rule of {rule.comparisons}",
        )
    if not 0 <= index < len(rule.looks):
        raise NotPermitted(
            f"{len(rule.looks)} looks are registered, at {list(rule.looks)} seeds", got=f"look {index + 1}"
        )
    expected = 0 if previous is None else previous.index + 1
    if index != expected:
        raise NotPermitted(
            "Looks are taken in turn",
            got=f"look {index + 1}",
            nearest=f"look {expected + 1}",
            next_step="pass the look before as `previous`",
        )
    if previous is None:
        return
    if previous.stop:
        raise NotPermitted("There is no look after the rule has said stop", got=previous.why)
    pairs = [(reading.candidate, reading.baseline) for reading in previous.readings]
    if pairs != [tuple(pair) for pair in comparisons]:
        raise BadValue(
            "Comparisons stay the same from look to look", got=list(comparisons), nearest=str(pairs)
        )


def _results(
    results: Mapping[str, ArrayLike], name: str, seeds: int, index: int
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    if name not in results:
        raise UnknownName("variant with results", name, results)
    array = np.asarray(results[name], dtype=np.float64)
    if array.shape != (seeds,):
        raise BadValue(
            f"Look {index + 1} takes one result of {name} for each of {seeds} seeds",
            got=f"an array of shape {array.shape}",
            next_step="take the look when exactly these seeds are finished",
        )
    return array


def _silence(
    rule: SharedRule, differences: ArrayLike, unreadable: Collection[str], names: tuple[str, str]
) -> str:
    """Say why a comparison decides nothing whatever its interval is; empty where it may decide."""
    broken = [name for name in names if name in unreadable]
    if broken:
        return f"open: not all results of {' and '.join(broken)} are measurements"
    if not rule.tells(differences):
        return "open: the difference is the same at all seeds, so nothing shows how far chance could move it"
    return ""


def _says(interval: Interval, outcome: Outcome | None, question: Question) -> str:
    margin, smallest = f"{question.margin:g}", f"{question.smallest_effect:g}"
    if outcome is Outcome.SUPPORTED:
        return f"supported: the whole interval lies beyond the margin {margin}"
    if outcome is Outcome.EQUIVALENT:
        return f"equivalent: the whole interval lies inside plus or minus {smallest}"
    if outcome is Outcome.REFUTED:
        return f"refuted: the whole interval falls short of the margin {margin}"
    low, high = interval.show(interval.low), interval.show(interval.high)
    return f"open: the interval from {low} to {high} holds the margin {margin}"


def _decision(
    readings: Sequence[Reading], index: int, looks: tuple[int, ...]
) -> tuple[Literal["stop", "go on"], str]:
    still = [reading for reading in readings if reading.outcome is None]
    if not still:
        return "stop", "Every comparison is decided."
    count = (
        f"{len(still)} of {len(readings)} comparisons are open"
        if len(readings) > 1
        else "The comparison is open"
    )
    if index == len(looks) - 1:
        return "stop", f"{count} and all {looks[-1]} seeds are spent."
    return "go on", f"{count}; the next look is at {looks[index + 1]} seeds."
