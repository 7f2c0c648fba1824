"""Metrics of an order of rows that were given classes, in place of probabilities."""

from collections.abc import Iterator, Sequence

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Study

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
    """Yield a finding where what `predict` said of two classes was scored as if it were probabilities."""
    for study in reversed(studies):
        for measured in study.measured:
            names = [name for name, _ in measured.scores if name in _OF_ORDER]
            said = measured.predicted
            if not names or measured.how != "predict" or said is None or len(said) < _ENOUGH:
                continue
            if not study.classes or len(np.unique(said)) > 2:
                continue
            yield Finding(
                kind="metric-of-order-on-classes",
                severity=Severity.WARNING,
                title=f"{names[0]} was given the classes that {study.name} predicts, not its probabilities.",
                evidence={
                    "metric": names[0],
                    "rows": len(said),
                    "different_predictions": len(np.unique(said)),
                },
                causes=(cause("metric-on-hard-labels", measured.score_place or measured.place),),
                next_check="give it predict_proba(rows)[:, 1], or decision_function(rows)",
                subject=study.name,
            )
            return
