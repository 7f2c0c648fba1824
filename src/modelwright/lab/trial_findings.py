"""What can be wrong with the results of trials, as findings."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.experiment.difference import EQUAL_DIFFERENCES, paired_differences
from modelwright.journal.run_row import RunRow

__all__ = [
    "DIVERGED",
    "EQUAL_DIFFERENCES",
    "EXTREME_RETURNS",
    "OF_RESULTS",
    "OUTSIDE_BOUNDS",
    "find_diverged",
    "find_equal_differences",
    "find_extreme_returns",
    "find_outside_bounds",
    "is_outside",
]

DIVERGED = "diverged-trial"
"""Kind of the finding for a trial whose result is not a number."""

OUTSIDE_BOUNDS = "result-outside-bounds"
"""Kind of the finding for a result that the question's bounds rule out."""

EXTREME_RETURNS = "extreme-returns"
"""Kind of the finding for returns of a size that learners cannot compute with."""

OF_RESULTS = (DIVERGED, EQUAL_DIFFERENCES, EXTREME_RETURNS, OUTSIDE_BOUNDS)
"""Kinds of findings about results of trials."""

_ROUNDING = 1e-9
_SMALLEST_RETURN, _LARGEST_RETURN = 1e-6, 1e9


def find_diverged(variant: str, rows: Sequence[RunRow]) -> list[Finding]:
    """Return a severe finding where runs of a variant ended without a finite result.

    Args:
        variant: Its name.
        rows: Its finished and failed runs; those that failed by diverging have no score.
    """
    bad = [row for row in rows if row.score is None]
    if not bad:
        return []
    return [
        Finding(
            kind=DIVERGED,
            severity=Severity.SEVERE,
            title=f"{len(bad)} of {len(rows)} trials of {variant} ended without a finite result.",
            evidence={"runs": [row.run for row in bad], "seeds": [row.seed_index for row in bad]},
            causes=(
                Cause(what="the learning rate is too large"),
                Cause(what="values of the data, or rewards, overflow the learner's arithmetic"),
            ),
            next_check=f"modelwright show {bad[0].run}: find the first update whose loss or gradient is no "
            "finite number; scale rewards and observations to about 1",
            subject=variant,
        )
    ]


def find_extreme_returns(variant: str, rows: Sequence[RunRow]) -> list[Finding]:
    """Return a warning where returns are of a size at which learners' arithmetic in float32 fails.

    Args:
        variant: Its name.
        rows: Its runs, scored by returns of an environment.
    """
    sizes = [abs(row.score) for row in rows if row.score]
    largest = max(sizes, default=0.0)
    if not sizes or _SMALLEST_RETURN <= largest <= _LARGEST_RETURN:
        return []
    return [
        Finding(
            kind=EXTREME_RETURNS,
            severity=Severity.WARNING,
            title=f"Returns of {variant} are of the order of {largest:.0e}: no learner here fits that.",
            evidence={"largest": largest, "runs": [row.run for row in rows if row.score][:10]},
            causes=(Cause(what="rewards are in a unit that is very small or very large"),),
            next_check="scale rewards so that returns are between about 1 and 1000 "
            "(gymnasium.wrappers.TransformReward), and compare again",
            subject=variant,
        )
    ]


def is_outside(score: float, bounds: tuple[float | None, float | None]) -> bool:
    """Return whether a score lies outside bounds by more than rounding."""
    low, high = bounds
    room = _ROUNDING * max(abs(low or 0.0), abs(high or 0.0))
    return (low is not None and score < low - room) or (high is not None and score > high + room)


def find_outside_bounds(
    variant: str, rows: Sequence[RunRow], bounds: tuple[float | None, float | None]
) -> list[Finding]:
    """Return a severe finding where results of a variant leave the bounds that the question gives.

    Args:
        variant: Its name.
        rows: Its finished and failed runs.
        bounds: Smallest and largest possible value; None where there is none.
    """
    bad = [row for row in rows if row.score is not None and is_outside(row.score, bounds)]
    if not bad:
        return []
    scores = [row.score for row in bad if row.score is not None]
    low = "-inf" if bounds[0] is None else f"{bounds[0]:g}"
    high = "inf" if bounds[1] is None else f"{bounds[1]:g}"
    return [
        Finding(
            kind=OUTSIDE_BOUNDS,
            severity=Severity.SEVERE,
            title=f"{len(bad)} of {len(rows)} results of {variant} lie outside the question's bounds, "
            f"{low} to {high}.",
            evidence={
                "runs": [row.run for row in bad][:10],
                "smallest": min(scores),
                "largest": max(scores),
            },
            causes=(
                Cause(what="the bounds are wrong"),
                Cause(what="the learner reports another quantity, or one in another unit"),
            ),
            next_check="compare question.low and question.high with what the learner reports; right bounds "
            "need a new name or --amend",
            subject=variant,
        )
    ]


def find_equal_differences(
    pairs: Sequence[tuple[str, str]], results: Mapping[str, NDArray[np.float64]]
) -> list[Finding]:
    """Return a warning for each pair of variants that differs by the same number at every seed.

    Args:
        pairs: (candidate, baseline) names.
        results: Variant -> (seed,) results in the same order of seeds.
    """
    findings: list[Finding] = []
    for candidate, baseline in pairs:
        differences = paired_differences(results[candidate], results[baseline], sign=1)
        if np.ptp(differences) > 0:
            continue
        findings.append(
            Finding(
                kind=EQUAL_DIFFERENCES,
                severity=Severity.WARNING,
                title=f"{candidate} and {baseline} differ by the same {differences[0]:.4g} at all "
                f"{len(differences)} seeds, so nothing shows how far chance could move it.",
                evidence={"difference": float(differences[0]), "seeds": len(differences)},
                causes=(
                    Cause(what="the metric is coarse: few test rows, and few values that it can take"),
                    Cause(what="all seeds share one split, and neither learner draws anything from its seed"),
                    Cause(what="the seed does not reach the learner"),
                ),
                next_check="use a finer metric (log_loss for accuracy) or more test rows, or let each seed "
                "draw a split of its own (scope=other_splits); where nothing varies from seed to seed by "
                f"design, say so: accept=[{EQUAL_DIFFERENCES}]",
                subject=f"{candidate} over {baseline}",
            )
        )
    return findings
