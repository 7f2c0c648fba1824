"""What can be wrong with the results of trials, as findings."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.journal.run_row import RunRow

__all__ = ["DIVERGED", "EQUAL_DIFFERENCES", "find_diverged", "find_equal_differences"]

DIVERGED = "diverged-trial"
"""Kind of the finding for a trial whose result is not a number."""

EQUAL_DIFFERENCES = "equal-differences"
"""Kind of the finding for a comparison that comes out the same at every seed."""


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
                Cause(what="values of the data overflow the learner's arithmetic"),
            ),
            next_check=f"modelwright show {bad[0].run}: find the first update whose loss is not a number",
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
        differences = results[candidate] - results[baseline]
        if np.ptp(differences) > 1e-12 * max(1.0, abs(float(differences.mean()))):
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
                "draw a split of its own (scope=other_splits)",
                subject=f"{candidate} over {baseline}",
            )
        )
    return findings
