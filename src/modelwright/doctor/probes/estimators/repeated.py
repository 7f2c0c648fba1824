"""Whether fitting twice gives the same, on the same object too, and on a clone of scikit-learn's."""

import copy
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.probes.estimators.fitted import (
    answers,
    differ,
    fitted,
    goes_on,
    keeps_its_own_numbers,
    place_of,
)
from modelwright.doctor.probes.estimators.table import RowTable
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.subject import Subject

__all__ = ["RepeatedFit"]

_REPEATS = 2
_FITS, _FEW = 14, 150
"""Fits that all of it takes, in those of all rows; rows that are left where that is too long."""

_OFTEN = 3
"""Times that each row stands in what is learnt first, so that a memory of it weighs."""

_FEWEST = 3
"""Rows that are answered otherwise before anything is said."""


class RepeatedFit:
    """Fits copies with the same random numbers, one of them after it was fitted to something else."""

    words = "whether a fit repeats, and forgets the one before"
    share = 2.0

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        return subject.lacks("estimator", "table")

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        assert subject.table is not None
        rows, estimator = subject.table, subject.estimator
        began = time.monotonic()
        first = answers(fitted(estimator, rows), rows.inputs)
        took = time.monotonic() - began
        if _FITS * took > limit.left:
            rows = rows.take(np.linspace(0, rows.count - 1, min(rows.count, _FEW)).astype(np.int64))
            began = time.monotonic()
            first = answers(fitted(estimator, rows), rows.inputs)
            took = time.monotonic() - began
        if _FITS * took > limit.left:
            return Outcome(unchecked=(f"{self.words}: one takes {took:.0f} s of {rows.count} rows",))
        for _ in range(_REPEATS):
            again = differ(first, answers(fitted(estimator, rows), rows.inputs))
            if again.any():
                return Outcome(findings=(_differs(estimator, float(again.mean())),))
        findings: list[Finding] = []
        made = _cloned(estimator)
        if isinstance(made, str):
            findings.append(_unlike(estimator, made))
        elif made is not None and not limit.is_over and not keeps_its_own_numbers(estimator):
            share = _surely(first, [answers(fitted(made, rows), rows.inputs) for _ in range(2)])
            if share:
                findings.append(_unlike(estimator, f"fitted, it answers {share:.0%} of rows otherwise"))
        if limit.is_over:
            return Outcome(findings=tuple(findings), unchecked=(f"{self.words}: it takes too long to fit",))
        if not goes_on(estimator) and not keeps_its_own_numbers(estimator):
            share = _remembers(estimator, rows, first)
            if share:
                findings.append(_remembering(estimator, share))
        return Outcome(findings=tuple(findings))


def _cloned(estimator: Any) -> Any:
    """Return a clone; None where it is no estimator of that kind, a text where cloning says what is wrong."""
    from sklearn.base import clone

    if not hasattr(estimator, "get_params") or goes_on(estimator):
        return None
    try:
        return clone(estimator)
    except RuntimeError as error:
        return str(error)
    except Exception:
        return None


def _remembers(estimator: Any, rows: RowTable, first: Any) -> float:
    """Return the share of rows that are answered otherwise after other targets were learnt before.

    Random numbers of its own that go on would look so too; who asks knows that there are none.
    """
    order = np.random.default_rng(0).permutation(rows.count)
    often = np.tile(np.arange(rows.count), _OFTEN)
    other = rows.take(often).with_targets(rows.take(order[often]).targets)
    came: list[Any] = []
    for _ in range(2):
        made = copy.deepcopy(estimator)
        try:
            fitted(made, other, anew=False)
        except Exception:
            return 0.0
        came.append(answers(fitted(made, rows, anew=False), rows.inputs))
    return _surely(first, came)


def _surely(first: Any, others: Sequence[Any]) -> float:
    """Return the share of rows that two fits of another kind answer otherwise, both in the same way."""
    one, other = others
    share = differ(first, one)
    return float(share.mean()) if share.sum() >= _FEWEST and not differ(one, other).any() else 0.0


def _differs(estimator: Any, share: float) -> Finding:
    return Finding(
        kind="fit-not-repeatable",
        severity=Severity.INFO,
        title="Two copies that learn the same rows with the same global random numbers answer otherwise.",
        evidence={"share_of_rows": share},
        causes=(_cause("it draws from a source of its own without a seed, or threads race", estimator),),
        next_check="give random_state, or seed the generator that fit makes",
        subject=type(estimator).__name__,
    )


def _unlike(estimator: Any, why: str) -> Finding:
    return Finding(
        kind="estimator-does-not-clone",
        severity=Severity.WARNING,
        title="What sklearn.base.clone makes of the estimator is another one.",
        evidence={"why": why[:300]},
        causes=(_cause("a setting is not kept as it was given to the constructor", estimator, "__init__"),),
        next_check="cross-validation and searches learn with clones: keep each argument of __init__ "
        "unchanged, under its name, and set nothing else there",
        subject=type(estimator).__name__,
    )


def _remembering(estimator: Any, share: float) -> Finding:
    return Finding(
        kind="fit-remembers",
        severity=Severity.WARNING,
        title="Fitted a second time, the estimator is not what it is when it is fitted once to those rows.",
        evidence={"share_of_rows": share},
        causes=(_cause("fit adds to what an earlier fit left", estimator),),
        next_check="let fit begin with all that it learns set back; warm_start is the name where it is meant",
        subject=type(estimator).__name__,
    )


def _cause(what: str, estimator: Any, method: str = "fit") -> Cause:
    place = place_of(estimator, method)
    return Cause(what=what, file=place.file if place else None, line=place.line if place else None)
