"""The finding of masks that are used while acting and not in updates."""

from collections.abc import Mapping

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place

__all__ = ["mask_only_while_acting"]


def mask_only_while_acting(evidence: Mapping[str, int], place: Place | None) -> Finding:
    """Return the finding, with the line that computes log-probabilities without a mask."""
    return Finding(
        kind="mask-only-while-acting",
        severity=Severity.SEVERE,
        title="Actions are drawn with some of them masked, and their log-probabilities are computed in "
        "updates as if none were.",
        evidence={**evidence, "updates_with_a_mask": 0},
        causes=(cause("mask-in-sampling-only", place),),
        next_check="compare the ratio of new to old probabilities at the first update to one",
    )
