"""Metrics of an order of rows that were given classes, in place of probabilities."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Measurement, Study
from modelwright.doctor.watch.place import Place

__all__ = ["check_hard_labels"]

_OF_ORDER = frozenset(
    {
        "roc_auc_score",
        "average_precision_score",
        "roc_curve",
        "precision_recall_curve",
        "log_loss",
        "brier_score_loss",
    }
)
_ENOUGH = 20


def check_hard_labels(studies: Sequence[Study]) -> Iterator[Finding]:
    """Yield a finding where classes that were predicted were scored as if they were probabilities.

    They are what `predict` said of two classes, or scores that the program cut at one value.
    """
    for study in reversed(studies):
        for measured in study.measured:
            found = _scored(measured) if study.classes else None
            if found is None:
                continue
            name, place, rows = found
            yield Finding(
                kind="metric-of-order-on-classes",
                severity=Severity.WARNING,
                title=f"{name} was given the classes that {study.name} predicts, not its probabilities.",
                evidence={"metric": name, "rows": rows},
                causes=(cause("metric-on-hard-labels", place),),
                next_check="give it predict_proba(rows)[:, 1], or decision_function(rows)",
                subject=study.name,
            )
            return


def _scored(measured: Measurement) -> tuple[str, Place | None, int] | None:
    """Return the metric of order that was given classes, where it was asked for, and of how many rows."""
    said = measured.predicted
    if measured.how != "predict":
        for each in measured.ranked:
            if each.name in _OF_ORDER and len(each.said) >= _ENOUGH and _are_classes(each.said):
                return each.name, each.place, len(each.said)
        return None
    names = [name for name, _ in measured.scores if name in _OF_ORDER]
    if not names or said is None or len(said) < _ENOUGH or len(np.unique(said)) > 2:
        return None
    return names[0], measured.score_place or measured.place, len(said)


def _are_classes(said: NDArray[Any]) -> bool:
    return said.dtype.kind in "biu" and len(np.unique(said)) <= 2
