"""What is wrong with how a table is learnt, and acted on."""

from collections.abc import Iterable, Sequence

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.chance.bernoulli_bet import BernoulliBet
from modelwright.doctor.chance.budget import limit_of
from modelwright.doctor.sensors.acting.tabular.changed_lines import place_of_change
from modelwright.doctor.sensors.acting.tabular.record import BEST, TIED, WORST, Record
from modelwright.doctor.sensors.acting.tabular.ways import Changes, Explained, explain
from modelwright.doctor.sensors.acting.value.target_findings import WORDS
from modelwright.doctor.watch.experience import Experience
from modelwright.doctor.watch.place import Place

__all__ = ["findings_of"]

_FEWEST_MOVED = 60
_MOST_STRAY = 0.9
_FULL = 1.0 - 1e-4
_WHOLE = 0.97
_FEWEST_STILL = 60
_FEWEST_OWED = 30
_RATES = (0.3, 0.5, 0.7, 0.85)
_LOOKED_AT = 20_000

_STRAYS = {
    "first": (
        "observation-never-newest",
        "observation-not-advanced",
        "the observation that the episode began with",
    ),
    "following": (
        "targets-differ-from-experience",
        "next-observation-wrong",
        "the observation that followed",
    ),
    "action": (
        "value-of-another-action",
        "gathered-wrong-action",
        "another action than the one that was taken",
    ),
}


def findings_of(
    record: Record,
    others: Sequence[Record],
    experience: Experience,
    declared: set[float],
    acting: tuple[Place | None, Place | None],
) -> Iterable[Finding]:
    """Return what is wrong.

    Args:
        record: Of a table.
        others: Of tables beside it.
        experience: What the environments did.
        declared: Discounts that the program has variables for.
        acting: Where the environment stepped first, and last.
    """
    if record.moved < _FEWEST_MOVED:
        return
    place = place_of_change(record.table)
    for stray, many in record.strays.items():
        # With traces or returns of several steps, the value itself changes too, or any other one.
        at_home = record.at_home_later if stray == "first" else record.at_home
        if (
            many >= _FEWEST_MOVED
            and many > _MOST_STRAY * (record.moved - record.at_home)
            and at_home <= 0.05 * many
        ):
            yield _strays(record, stray, place)
            return
    changes = record.changes()
    found = explain(changes)
    if found is None:
        return
    codes = record.codes()
    # Where the smallest value is acted on, values are costs.
    costs = (codes == WORST).sum() > (codes == BEST).sum()
    # Nobody says which of the two it was.
    unclear = found.fault == "truncation-as-terminal" and not experience.ends_are_clear
    if found.fault and not unclear and not (costs and found.fault == "reward-sign-flipped"):
        yield _differs(found, changes, place, by_choice=experience.tells_time())
    yield from _discount(found, declared, place)
    yield from _step_sizes(found, changes, place, experience)
    if not any(each.moved >= _FEWEST_MOVED for each in others):
        yield from _acts(record, changes, found, acting)


def _strays(record: Record, stray: str, place: Place | None) -> Finding:
    kind, fault, words = _STRAYS[stray]
    return Finding(
        kind=kind,
        severity=Severity.SEVERE,
        title=f"What is learnt from a step changes the value of {words}.",
        evidence={
            "steps_that_changed_the_table": record.moved,
            "that_changed_the_value_of_their_own": record.at_home,
            "that_changed_this_one": record.strays[stray],
        },
        causes=(cause(fault, place),),
        next_check="print the state and action that are updated beside those of the step",
        subject=str(place or ""),
    )


def _differs(found: Explained, changes: Changes, place: Place | None, *, by_choice: bool) -> Finding:
    severity = Severity.SEVERE
    if found.fault == "truncation-as-terminal":
        severity = Severity.INFO if by_choice else Severity.WARNING
    return Finding(
        kind="targets-differ-from-experience",
        severity=severity,
        title="Targets of values are not what the environment's answers give: "
        f"{WORDS.get(found.fault, found.fault.replace('-', ' '))}.",
        evidence={
            "changes": found.pairs,
            "changes_that_no_right_way_gives": found.refuting,
            "steps_that_ended": int(changes.terminated.sum()),
            "steps_that_were_cut": int(changes.truncated.sum()),
            "discount": None if np.isnan(found.discount) else found.discount,
        },
        causes=(cause(found.fault, place),),
        next_check="compute the target of one step that ended and of one that did not by hand",
        subject=str(place or ""),
    )


def _discount(found: Explained, declared: set[float], place: Place | None) -> Iterable[Finding]:
    if not declared or max(declared) >= _FULL or not found.discount >= _FULL:
        return
    yield Finding(
        kind="discount-not-used",
        severity=Severity.WARNING,
        title=f"What follows counts in full, and the program names a discount of {max(declared):g}.",
        evidence={"changes": found.pairs, "discount": found.discount, "named": sorted(declared)},
        causes=(cause("discount-missing", place),),
        next_check="multiply the value of what follows by the discount",
        subject=str(place or ""),
    )


def _step_sizes(
    found: Explained, changes: Changes, place: Place | None, experience: Experience
) -> Iterable[Finding]:
    sizes = found.step_sizes(changes)
    if len(sizes) < _FEWEST_MOVED:
        return
    low, middle, high = np.quantile(sizes, [0.05, 0.5, 0.95])
    if high < 0.0:
        yield Finding(
            kind="targets-differ-from-experience",
            severity=Severity.SEVERE,
            title="Each update moves a value away from its target.",
            evidence={"changes": len(sizes), "step_size_in_the_middle": float(middle)},
            causes=(cause("loss-sign-flipped", place),),
            next_check="add the step size times (target - value) to the value, or subtract (value - target)",
            subject=str(place or ""),
        )
    if low < _WHOLE or (middle < 1.0 + 1e-6 and not _answers_vary(experience)):
        return
    yield Finding(
        kind="values-of-the-last-sample",
        severity=Severity.WARNING,
        title="Each update puts its newest target in the value's place, and answers of the environment vary."
        if middle < 1.0 + 1e-6
        else "Each update moves a value beyond its target.",
        evidence={
            "changes": len(sizes),
            "step_size_in_the_middle": float(middle),
            "step_size_5%": float(low),
        },
        causes=(cause("learning-rate-too-high", place),),
        next_check="use a step size well below 1, and let it fall",
        subject=str(place or ""),
    )


def _answers_vary(experience: Experience) -> bool:
    """Return whether the same action in the same state led to different states or rewards."""
    known: dict[tuple[bytes, bytes], tuple[bytes, float]] = {}
    for each in experience.transitions[:_LOOKED_AT]:
        answer = (each.following, each.reward)
        if known.setdefault((each.observation, each.action.tobytes()), answer) != answer:
            return True
    return False


def _acts(
    record: Record, changes: Changes, found: Explained, acting: tuple[Place | None, Place | None]
) -> Iterable[Finding]:
    codes = record.codes()
    told = codes != TIED
    moved = np.abs(changes.change) > 0
    owed = np.abs(found.target - changes.value) > 1e-9 * (1.0 + np.abs(changes.value))
    last = int(np.flatnonzero(moved)[-1]) + 1
    learning = np.arange(len(codes)) < last
    chance = (record.actions - 1) / record.actions
    random = codes[told & learning] != BEST
    yield from _ever_more(random, chance, acting[0])
    worst = codes[told & learning] == WORST
    if found.largest_counts and record.actions > 2 and len(worst) >= 100:
        bet = BernoulliBet("above")
        bet.see(worst, 0.5)
        if bet.ever_reached(limit_of("exploration rises", 3)):
            yield Finding(
                kind="worst-action-is-taken",
                severity=Severity.SEVERE,
                title=f"{worst.mean():.0%} of the actions have the smallest value of the table, and targets "
                "use the largest.",
                evidence={"actions": len(worst), "share_of_the_smallest_value": float(worst.mean())},
                causes=(cause("greedy-inverted", acting[0]),),
                next_check="act by argmax of the action values",
            )
    still = told & ~learning
    if still.sum() < _FEWEST_STILL or (owed & ~learning).sum() < _FEWEST_OWED:
        return
    tried = codes[still] != BEST
    bets = BernoulliBet("above"), BernoulliBet("below")
    bets[0].see(tried, 0.02)
    bets[1].see(tried, 0.85 * chance)
    if all(bet.ever_reached(limit_of("exploration rises", 3)) for bet in bets):
        yield Finding(
            kind="explores-while-measured",
            severity=Severity.WARNING,
            title="Once nothing is learnt any more, "
            f"{tried.mean():.0%} of the actions are still not the best.",
            evidence={"steps_without_learning": int(still.sum()), "share_not_the_best": float(tried.mean())},
            causes=(cause("evaluation-explores", acting[1]),),
            next_check="measure with epsilon of 0, or say that the score is that of the exploring policy",
        )


def _ever_more(
    random: np.ndarray[tuple[int], np.dtype[np.bool_]], chance: float, place: Place | None
) -> Iterable[Finding]:
    quarter = len(random) // 4
    if quarter < 50:
        return
    first, last = random[:quarter], random[-quarter:]
    limit = limit_of("exploration rises", 3 * len(_RATES))
    for rate in _RATES:
        few, many = BernoulliBet("below"), BernoulliBet("above")
        few.see(first, rate * chance)
        many.see(last, rate * chance)
        if few.ever_reached(limit) and many.ever_reached(limit):
            break
    else:
        return
    yield Finding(
        kind="random-actions-become-more",
        severity=Severity.WARNING,
        title=f"At first {min(1.0, first.mean() / chance):.0%} of the actions are random, and at last "
        f"{min(1.0, last.mean() / chance):.0%}.",
        evidence={
            "share_not_the_best_in_parts_of_the_run": [
                float(each.mean()) for each in np.array_split(random, 16)
            ],
            "log_evidence": min(few.log_peak, many.log_peak),
        },
        causes=(cause("greedy-inverted", place),),
        next_check="act at random where a draw from [0, 1) is below epsilon, and greedily otherwise",
    )
