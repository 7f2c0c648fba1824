"""Accuracy as the score, where one class is far more frequent than the others."""

from collections.abc import Iterator, Sequence

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import BY_HAND, Measurement, Study

__all__ = ["check_imbalance"]

_ENOUGH = 80
_SHARE, _ADDS = 0.7, 0.25
_SHARE_OF_SEARCH, _ADDS_OF_SEARCH = 0.8, 0.15
"""Where other scores are asked, too, and it only chose the settings: classes must be further apart."""

_ACCURACIES = frozenset({"accuracy", "accuracy_score", BY_HAND})


def check_imbalance(studies: Sequence[Study]) -> Iterator[Finding]:
    """Yield a finding where a model adds little to naming the most frequent class, and accuracy decides.

    Either nothing else is asked, or settings were chosen by it, and it is asked of the rows held out, too.

    Args:
        studies: What was learnt and measured.
    """
    scored = [(s, m) for s in studies if s.classes for m in s.held_out() if m.scores and m.target is not None]
    names = {name for _, m in scored for name, _ in m.scores}
    if not names & _ACCURACIES:
        return
    if names - _ACCURACIES or (names == {BY_HAND} and _asks_for_probabilities(studies)):
        scored = [(s, m) for s, m in scored if _chosen_by_accuracy(s)]
    true = np.concatenate([m.target.astype(str) for _, m in scored if m.target is not None] or [np.zeros(0)])
    told = [(len(m.rows), value) for _, m in scored for name, value in m.scores[-9:] if name in _ACCURACIES]
    if len(true) < _ENOUGH or not told or not np.isfinite([value for _, value in told]).all():
        return
    found, counts = np.unique(true, return_counts=True)
    share = float(counts.max() / counts.sum())
    sizes, values = np.array(told, np.float64).T
    accuracy = float((values * sizes).sum() / sizes.sum())
    if share < _SHARE or accuracy - share > _ADDS * (1 - share):
        return
    study, measured = scored[-1]
    chosen = " and what chose its settings" if _chosen_by_accuracy(study) else ""
    yield Finding(
        kind="accuracy-says-little",
        severity=Severity.WARNING,
        title=f"The score of {study.name}{chosen} is an accuracy of {accuracy:.3f}, and always answering "
        f"{found[counts.argmax()]} scores {share:.3f}.",
        evidence={
            "accuracy": accuracy,
            "share_of_the_most_frequent_class": share,
            "classes": dict(zip(found[:20].tolist(), counts[:20].tolist(), strict=True)),
            "measurements": len(scored),
        },
        causes=(cause("accuracy-under-imbalance", measured.accuracy_place),),
        next_check="compute balanced accuracy, or the area under the ROC curve, on the same rows",
        subject=study.name,
    )


def _chosen_by_accuracy(study: Study) -> bool:
    """Return whether a search compared settings by accuracies that are hardly above that of one answer."""
    if study.search is None or study.search.scoring != "accuracy":
        return False
    share = float(np.unique(study.target, return_counts=True)[1].max() / len(study.target))
    return share > _SHARE_OF_SEARCH and study.search.best - share < _ADDS_OF_SEARCH * (1 - share)


def _asks_for_probabilities(studies: Sequence[Study]) -> bool:
    """Return whether models are asked for more than classes: what is then computed by hand is not known."""
    measured: list[Measurement] = [each for study in studies for each in study.held_out()]
    return any(each.how not in ("predict", "score") for each in measured)
