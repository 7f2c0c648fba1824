"""What should be mended in a design before its first run."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.experiment.betting import BettingRule
from modelwright.experiment.design import Design
from modelwright.experiment.rule import StoppingRule
from modelwright.lab.plan.pilot import Pilot, is_constant

__all__ = ["plan_warnings"]

_MOST_SEEDS = 10_000


def plan_warnings(
    design: Design,
    rule: StoppingRule,
    *,
    power: float,
    training_seconds: float,
    pilot: Pilot,
    differences: Mapping[tuple[str, str], NDArray[np.float64]],
    findings: Sequence[Finding],
) -> tuple[str, ...]:
    """Return one sentence for each thing, the gravest first.

    Args:
        design: The design.
        rule: Its rule for one comparison.
        power: Probability of *supported* at the smallest effect.
        training_seconds: Seconds of training if every seed is run.
        pilot: What the pilot showed.
        differences: Its differences by pair of variants.
        findings: What the first checks found in the data.
    """
    warnings: list[str] = []
    for finding in findings:
        if finding.severity is Severity.SEVERE and finding.kind not in design.accept:
            title = finding.title.rstrip(".")
            warnings.append(
                f"{title}: the verdict will be invalid. Mend the data, or set accept=[{finding.kind}]."
            )
    for variant in pilot.unsteady:
        warnings.append(
            f"{variant} gave different results for one seed, trained again or in company: it draws from "
            "something other than its seed, and its runs cannot be repeated."
        )
    for (candidate, baseline), values in differences.items():
        if len(values) > 1 and is_constant(values):
            warnings.append(
                f"{candidate} and {baseline} differed by the same number at all {len(values)} seeds of the "
                "pilot: a t rule decides nothing on such results. Take a finer metric or more test rows."
            )
    effect = design.question.smallest_effect
    if isinstance(rule, BettingRule) and rule.narrowest > effect:
        warnings.append(
            f"With {rule.looks[-1]} seeds no interval is narrower than about {rule.narrowest:.2g}, wider "
            f"than the smallest effect {effect:g}. {_enough(rule, effect)} Tighter rule.low and rule.high "
            "help too, if no difference can leave them."
        )
    if power < design.power - 0.02:
        warnings.append(
            f"At the smallest effect the rule says supported with probability {power:.2f}, and "
            f"{design.power:g} is wanted: raise seeds, or the smallest effect."
        )
    limit = design.budget.seconds
    if limit is not None and training_seconds > limit:
        warnings.append(
            f"All seeds take about {training_seconds:.3g} s of training and the budget is {limit:g} s: "
            "a look may find it spent and be the last one, undecided."
        )
    return tuple(warnings)


def _enough(rule: BettingRule, effect: float) -> str:
    """Say how many seeds make the narrowest interval as narrow as the smallest effect."""

    def narrow(seeds: int) -> bool:
        return dataclasses.replace(rule, looks=(seeds,)).narrowest <= effect

    low, high = rule.looks[-1], rule.looks[-1]
    while not narrow(high):
        if high == _MOST_SEEDS:
            return f"Not even {_MOST_SEEDS} seeds would do."
        low, high = high, min(_MOST_SEEDS, 2 * high)
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if narrow(middle) else (middle, high)
    return f"It takes about {high} seeds."
