"""A threshold that was chosen on the rows that the score is then computed on."""

from collections.abc import Iterator, Sequence

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Measurement, Ranked, Study

__all__ = ["check_thresholds"]

_TRIED = 5
_LESS_IS_BETTER = ("_loss", "_error")


def check_thresholds(studies: Sequence[Study]) -> Iterator[Finding]:
    """Yield a finding where one metric was asked at many thresholds, and its best is asked for again after.

    That it is asked again, at another line and on the same rows, tells it from a table of thresholds.

    Args:
        studies: What was learnt and measured.
    """
    for study in reversed(studies):
        if not study.classes:
            continue
        for measured in study.held_out():
            told = _chosen(measured)
            if told is None or _chosen_elsewhere(studies, told):
                continue
            tried, last = told
            yield Finding(
                kind="chosen-on-measured-rows",
                severity=Severity.WARNING,
                title=f"{last.name} was computed at {len(tried)} thresholds on the rows that {study.name} is "
                "measured on, and the best is what is told.",
                evidence={
                    "thresholds": len(tried),
                    "best": last.value,
                    "worst": min(each.value for each in tried),
                    "rows_measured": len(last.true),
                },
                causes=(
                    cause("threshold-chosen-on-test", tried[0].place),
                    cause("test-used-for-early-stopping", tried[0].place),
                ),
                next_check="choose the threshold on validation rows, or by cross-validation of training rows",
                subject=study.name,
            )
            return


def _chosen(measured: Measurement) -> tuple[list[Ranked], Ranked] | None:
    """Return metrics at several thresholds and the one that was told; None where none was chosen so."""
    cut = [each for each in measured.ranked if each.column < 0 and each.said.dtype.kind in "biu"]
    for place in dict.fromkeys(each.place for each in cut):
        tried = [each for each in cut if each.place == place and each.name == cut[0].name]
        shares = {float(np.mean(each.said == each.said.max())) for each in tried}
        if len(shares) < _TRIED:
            continue
        values = [each.value for each in tried]
        best = min(values) if tried[0].name.endswith(_LESS_IS_BETTER) else max(values)
        after = cut[cut.index(tried[-1]) + 1 :]
        told = [each for each in after if each.name == tried[0].name and each.value == best]
        if told and values.count(best) < len(values):
            return tried, told[-1]
    return None


def _chosen_elsewhere(studies: Sequence[Study], told: tuple[list[Ranked], Ranked]) -> bool:
    """Return whether thresholds were tried on other rows, too: those may be what the choice rests on."""
    return any(
        each.name == told[1].name and len(each.true) != len(told[1].true)
        for study in studies
        for measured in study.measured
        for each in measured.ranked
    )
