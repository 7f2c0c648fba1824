"""One fit, and what it answers: alone, turned round, twice, out of a pickle, with the rows as they were."""

import copy
import pickle
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.estimators.fitted import answers, differ, fitted, place_of
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.origin import raised_at
from modelwright.doctor.probes.preserved import preserved
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.subject import Subject

__all__ = ["Answering"]

_ALONE = 8
"""Rows that are predicted one by one."""


class Answering:
    """Fits a copy once and asks it in ways that must not matter."""

    words = "whether a fit works, and answers of its rows hold for each alone, twice and out of a pickle"
    share = 1.0

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        return subject.lacks("estimator", "table")

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        assert subject.table is not None
        estimator, rows = subject.estimator, subject.table
        try:
            began = time.monotonic()
            model = fitted(estimator, rows)
            took = time.monotonic() - began
            said = answers(model, rows.inputs)
        except Exception as error:
            return Outcome(findings=(_raises(estimator, error),))
        if said.dtype.kind == "f" and not np.isfinite(said).all():
            return Outcome(findings=(_not_finite(estimator, said),))
        if len(said) != rows.count:
            return Outcome(unchecked=(f"{self.words}: it gives {len(said)} answers for {rows.count} rows",))
        if differ(said, answers(model, rows.inputs, start=1)).any():
            return Outcome(findings=(_draws(estimator),))
        findings = [*_mixes(subject, model, said), *_reloads(subject, model, said)]
        if 2 * took > limit.left:
            slow = f"whether a fit changes its rows: one takes {took:.0f} s"
            return Outcome(findings=tuple(findings), unchecked=(slow,))
        return Outcome(findings=(*_changes(subject), *findings))


def _changes(subject: Subject) -> Iterator[Finding]:
    """Yield that rows are not what they were after learning, or after predicting."""
    assert subject.table is not None
    rows, model = subject.table.copy(), copy.deepcopy(subject.estimator)
    before = subject.table.copy().print
    after: dict[str, bool] = {}
    with preserved(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(rows.inputs, rows.targets)
            after["fit"] = rows.print != before
            rows = subject.table.copy()
            model.predict(rows.inputs)
            after["predict"] = rows.print != before
        except ValueError:  # of arrays that may not be written to
            return
    names = [name for name, changed in after.items() if changed]
    if names and _really_changed(subject, names[0]):
        place = place_of(subject.estimator, names[0])
        yield Finding(
            kind="rows-changed-in-place",
            severity=Severity.WARNING,
            title=f"{' and '.join(names)} changes the rows that it is given.",
            evidence={"changed_by": names},
            causes=(
                Cause(
                    what="it writes into the array or frame of its caller",
                    file=place.file if place else None,
                    line=place.line if place else None,
                ),
            ),
            next_check="copy first, or give copy=True; the next to use these rows gets others",
            subject=type(subject.estimator).__name__,
        )


def _really_changed(subject: Subject, name: str) -> bool:
    """Return whether numbers or texts differ, and not only how they are stored."""
    assert subject.table is not None
    rows, model = subject.table.copy(), copy.deepcopy(subject.estimator)
    with preserved(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(rows.inputs, rows.targets)
        if name == "predict":
            rows = subject.table.copy()
            model.predict(rows.inputs)
    before = subject.table
    for one, other in ((before.inputs, rows.inputs), (before.targets, rows.targets)):
        dense = [each.toarray() if hasattr(each, "toarray") else each for each in (one, other)]
        if hasattr(dense[0], "columns") and list(dense[0].columns) != list(dense[1].columns):
            return True
        texts = [np.asarray(each) for each in dense]
        if texts[0].shape != texts[1].shape:
            return True
        same = texts[0] == texts[1]
        if not bool((same | ((texts[0] != texts[0]) & (texts[1] != texts[1]))).all()):
            return True
    return False


def _mixes(subject: Subject, model: Any, said: Any) -> Iterator[Finding]:
    assert subject.table is not None
    rows = subject.table
    turned = np.arange(rows.count)[::-1]
    other = answers(model, rows.take(turned).inputs)[turned]
    moved = differ(said, other)
    places = np.linspace(0, rows.count - 1, min(_ALONE, rows.count)).astype(np.int64)
    try:
        alone = np.concatenate([answers(model, rows.take([at]).inputs) for at in places])
        lonely = differ(said[places], alone)
    except Exception:  # some want two rows at least
        lonely = np.zeros(len(places), np.bool_)
    if moved.any() or lonely.any():
        yield Finding(
            kind="rows-mixed",
            severity=Severity.SEVERE,
            title="What is predicted of a row depends on the rows beside it.",
            evidence={
                "share_that_changes_where_rows_are_turned_round": float(moved.mean()),
                "share_that_changes_where_a_row_is_alone": float(lonely.mean()),
            },
            causes=(
                cause("examples-mixed", place_of(subject.estimator, "predict")),
                cause("scaler-refitted-on-test", place_of(subject.estimator, "transform")),
            ),
            next_check="predict one row alone and among others; is something fitted in predict or transform?",
            subject=type(subject.estimator).__name__,
        )


def _reloads(subject: Subject, model: Any, said: Any) -> Iterator[Finding]:
    assert subject.table is not None
    try:
        again = pickle.loads(pickle.dumps(model))
        found = answers(again, subject.table.inputs)
    except Exception as error:
        yield Finding(
            kind="state-does-not-load",
            severity=Severity.INFO,
            title="The fitted estimator cannot be kept: pickle does not take it.",
            evidence={"error": f"{type(error).__name__}: {error}"[:300]},
            next_check="lambdas and functions inside of functions cannot be pickled: name them in a module",
            subject=type(subject.estimator).__name__,
        )
        return
    other = differ(said, found)
    if other.any():
        yield Finding(
            kind="state-is-not-the-model",
            severity=Severity.SEVERE,
            title="The fitted estimator, pickled and loaded, answers otherwise.",
            evidence={"share_of_rows": float(other.mean())},
            causes=(
                Cause(what="something that answers depend on is in no attribute, or __getstate__ drops it"),
            ),
            next_check="compare the attributes of both",
            subject=type(subject.estimator).__name__,
        )


def _raises(estimator: Any, error: BaseException) -> Finding:
    what = f"{type(error).__name__}: {error}"[:300]
    place = raised_at(error)
    return Finding(
        kind="pass-raises",
        severity=Severity.SEVERE,
        title=f"Fitting the rows and predicting them ends with an error: {what}",
        evidence={"error": what},
        causes=(Cause(what=what, file=place.file if place else None, line=place.line if place else None),),
        next_check=f"look at {place}" if place else "fit it by hand",
        subject=type(estimator).__name__,
    )


def _not_finite(estimator: Any, said: Any) -> Finding:
    return Finding(
        kind="values-not-finite",
        severity=Severity.SEVERE,
        title="What the fitted estimator predicts is not finite.",
        evidence={"share_of_rows": float((~np.isfinite(said)).any(axis=1).mean())},
        next_check="look for columns that are constant or far too large, and divisions by what they spread",
        subject=type(estimator).__name__,
    )


def _draws(estimator: Any) -> Finding:
    return Finding(
        kind="random-in-evaluation",
        severity=Severity.INFO,
        title="The fitted estimator answers the same rows otherwise the second time.",
        causes=(cause("dropout-always-on", place_of(estimator, "predict")),),
        next_check="give predict a random_state where chance is meant; else find what draws",
        subject=type(estimator).__name__,
    )
