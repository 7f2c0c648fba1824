"""Rows of one class that were left out of the part that is measured, after the split."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Study
from modelwright.doctor.sensors.rows.tables.ledger import Ledger, at_labels
from modelwright.doctor.watch.place import Place

__all__ = ["SplitTargets"]

_MOST = 20
_ENOUGH = 40
_LIKE, _UNLIKE = 4.0, 5.0
"""Standard deviations by which shares of classes may differ, and by which they must."""

_LEAST = 0.1
_MANY = 0.2


class SplitTargets:
    """Targets of all rows, as they were given to a split, with their labels."""

    def __init__(self) -> None:
        self._known: list[tuple[Any, NDArray[Any]]] = []

    def split(self, target: NDArray[Any] | None, labels: Any) -> None:
        """Hear that targets were split."""
        if target is not None and labels is not None and labels.is_unique and len(target) == len(labels):
            self._known = [*self._known[-_MOST:], (labels, target)]

    def check(self, studies: Sequence[Study], ledger: Ledger) -> Iterator[Finding]:
        """Yield a finding where classes are as frequent among learnt rows as in all, and not among measured.

        Rows that are learnt may rightly be thinned; those that are measured stand for what will be met.
        """
        scored = [each for each in studies if each.classes and any(m.scores for m in each.held_out())]
        if not scored:
            return
        study = scored[-1]
        labels, true = _measured(studies)
        for known, target in reversed(self._known):
            own, asked = at_labels(known, study.labels), at_labels(known, labels)
            if own is None or asked is None or len(asked) < _ENOUGH or true is None:
                continue
            if not np.array_equal(target[asked].astype(str), true.astype(str)):
                continue
            left = np.setdiff1d(np.arange(len(known)), np.concatenate([own, asked]))
            classes, codes = np.unique(target.astype(str), return_inverse=True)
            of_left = np.bincount(codes[left], minlength=len(classes))
            if len(classes) > _MOST or len(left) < _MANY * len(asked) or not of_left.any():
                continue
            first = int(of_left.argmax())
            shares = [float((codes[rows] == first).mean()) for rows in (np.arange(len(codes)), own, asked)]
            if of_left.max() < 0.98 * of_left.sum() or not _tells(shares, len(own), len(asked)):
                continue
            place = _thinned_at(ledger, known[left], known[asked]) or study.place
            yield _finding(study, classes[first], shares, len(left), len(asked), place)
            return


def _measured(studies: Sequence[Study]) -> tuple[Any, NDArray[Any] | None]:
    """Return labels and targets of all rows that any model was measured on."""
    labels: Any = None
    targets: list[NDArray[Any]] = []
    for study in studies:
        for measured in study.held_out():
            if measured.labels is None or measured.target is None:
                continue
            fresh = slice(None) if labels is None else ~measured.labels.isin(labels)
            labels = measured.labels if labels is None else labels.append(measured.labels[fresh])
            targets.append(measured.target[fresh])
    return labels, np.concatenate(targets) if targets else None


def _tells(shares: list[float], learnt: int, measured: int) -> bool:
    whole, own, asked = shares
    if not 0 < whole < 1 or abs(asked - whole) < _LEAST:
        return False
    deviation = np.sqrt(whole * (1 - whole))
    return bool(
        abs(own - whole) < _LIKE * deviation / np.sqrt(learnt)
        and abs(asked - whole) > _UNLIKE * deviation / np.sqrt(measured)
    )


def _thinned_at(ledger: Ledger, left: Any, kept: Any) -> Place | None:
    """Return the line that drew some of the rows that are measured, and left the others."""
    for made in ledger.of("table"):
        if made.name != "sample" or len(made.output) >= len(made.given):
            continue
        if left.isin(made.given.index).mean() > 0.9 and made.output.index.isin(kept).mean() > 0.9:
            return made.place
    return None


def _finding(
    study: Study, name: str, shares: list[float], left: int, measured: int, place: Place | None
) -> Finding:
    return Finding(
        kind="classes-differ-between-splits",
        severity=Severity.WARNING,
        title=f"{left} rows of class {name} were left out after the split: it makes up {shares[2]:.0%} of "
        f"the rows that {study.name} is measured on, and {shares[1]:.0%} of those that it learnt from.",
        evidence={
            "class": name,
            "share_of_all": shares[0],
            "share_learnt": shares[1],
            "share_measured": shares[2],
            "rows_left_out": left,
            "rows_measured": measured,
        },
        causes=(cause("label-shift-between-splits", place),),
        next_check="measure on all rows that were held out; thin only those that are learnt from",
    )
