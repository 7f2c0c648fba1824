"""What an estimator learns of its rows: beside permuted targets, other orders and scales, a small forest."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.estimators.fitted import fitted, goes_on, is_classifier, place_of, skill
from modelwright.doctor.probes.estimators.table import RowTable
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.oracle import Skills, Table, measure
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.subject import Subject

__all__ = ["RowsAndTargets"]

_FEWEST = 80
_FITS = 6
"""Fits that it takes where nothing is wrong, and some to spare."""

_TRIES = 10
"""Permutations of targets after each of which an estimator must still predict the true ones."""

_SKILLED, _NONE = 0.2, 0.05
"""Skills that a model should not miss, and that are none."""

_SURE, _UNSURE = 0.05, 0.2
_SURELY = 1e-3
"""p-value of the test of signs over rows, from which on one way of learning is better than another."""


class RowsAndTargets:
    """Learns one part of the rows and predicts the other, as it is and otherwise."""

    words = (
        "what is learnt from rows, beside permuted targets, another order, other scales and a small forest"
    )
    share = 3.0

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        return subject.lacks("estimator", "table")

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        assert subject.table is not None
        learnt, measured = _parts(subject)
        if learnt.count + measured.count < _FEWEST or np.asarray(learnt.targets).ndim != 1:
            return Outcome(unchecked=(f"{self.words}: it takes {_FEWEST} rows with one target each",))
        classes = is_classifier(subject.estimator, learnt.targets)
        began = time.monotonic()
        model = fitted(subject.estimator, learnt)
        took = time.monotonic() - began
        if _FITS * took > limit.left:
            return Outcome(unchecked=(f"{self.words}: one fit takes {took:.0f} s",))
        came = _Came(learnt, measured, skill(model, measured, classes=classes), classes)
        findings = [*_elsewhere(subject, came, limit)]
        if limit.is_over:
            return Outcome(findings=tuple(findings), unchecked=(f"{self.words}: it takes too long to fit",))
        if not findings:
            findings += [*_otherwise(subject, came, limit)]
        if not findings:
            findings += [*_beside_forest(subject, came)]
        return Outcome(findings=tuple(findings))


class _Came:
    """What an estimator came to.

    Args:
        learnt: Rows that it learnt.
        measured: Rows that it predicts.
        right: (row,) how right it is.
        classes: Whether it predicts classes.
    """

    def __init__(
        self, learnt: RowTable, measured: RowTable, right: NDArray[np.float64], classes: bool
    ) -> None:
        self.learnt, self.measured, self.right, self.classes = learnt, measured, right, classes
        self.floor = self._floor()
        self.skill = self.skill_of(right)

    def _floor(self) -> float:
        """Return how right the best constant is."""
        targets, wanted = np.asarray(self.learnt.targets), np.asarray(self.measured.targets)
        if self.classes:
            kinds, counts = np.unique(targets, return_counts=True)
            return float(np.mean(wanted == kinds[counts.argmax()]))
        return -float(np.mean((wanted.astype(float) - targets.astype(float).mean()) ** 2))

    def skill_of(self, right: NDArray[np.float64]) -> float:
        """Return 1 for perfect, 0 for no better than the best constant."""
        best = 1.0 if self.classes else 0.0
        room = best - self.floor
        return (float(right.mean()) - self.floor) / room if room > 0 else 0.0


def _parts(subject: Subject) -> tuple[RowTable, RowTable]:
    """Return rows to learn from, in the factory's order, and rows to measure."""
    rows, other = subject.table, subject.held_out_table
    assert rows is not None
    if other is not None and other.count >= 20:
        return rows, other
    order = np.random.default_rng(0).permutation(rows.count)
    return rows.take(np.sort(order[: rows.count // 2])), rows.take(order[rows.count // 2 :])


def _elsewhere(subject: Subject, came: _Came, limit: Limit) -> Iterator[Finding]:
    """Yield that permuted targets are learnt as well as the right ones, each of several times."""
    if came.skill < 2 * _SKILLED or goes_on(subject.estimator):
        return
    skills: list[float] = []
    for start in range(_TRIES):
        order = np.random.default_rng(start + 1).permutation(came.learnt.count)
        permuted = came.learnt.with_targets(came.learnt.take(order).targets)
        model = fitted(subject.estimator, permuted)
        skills.append(came.skill_of(skill(model, came.measured, classes=came.classes)))
        if skills[-1] < 0.7 * came.skill or limit.is_over:
            return
    place = place_of(subject.estimator)
    yield Finding(
        kind="targets-not-needed",
        severity=Severity.WARNING,
        title="Fitted to permuted targets, the estimator predicts the right ones of other rows all the same.",
        evidence={"skill": came.skill, "skills_where_targets_are_permuted": skills},
        causes=(
            Cause(
                what="it does not learn from the targets that fit is given: it was fitted before, or has "
                "them from elsewhere",
                file=place.file if place else None,
                line=place.line if place else None,
            ),
        ),
        next_check="follow y through fit; a model that is meant to stay as it is goes into FrozenEstimator",
        subject=type(subject.estimator).__name__,
    )


def _otherwise(subject: Subject, came: _Came, limit: Limit) -> Iterator[Finding]:
    """Yield that rows in another order, or columns brought to one scale, are learnt far better."""
    order = np.random.default_rng(7).permutation(came.learnt.count)
    turned = skill(fitted(subject.estimator, came.learnt.take(order)), came.measured, classes=came.classes)
    other = np.random.default_rng(8).permutation(came.learnt.count)
    if _is_better(came, turned) and not limit.is_over:
        again = skill(fitted(subject.estimator, came.learnt.take(other)), came.measured, classes=came.classes)
        if _is_better(came, again):
            yield _better(subject, came, turned, "rows in another order", "batches-sorted-by-label")
            return
    scaled = _scaled(came)
    if scaled is None or limit.is_over:
        return
    learnt, measured = scaled
    try:
        better = skill(fitted(subject.estimator, learnt), measured, classes=came.classes)
    except Exception:
        return
    if _is_better(came, better):
        yield _better(subject, came, better, "columns brought to one scale", "inputs-not-scaled")


def _scaled(came: _Came) -> tuple[RowTable, RowTable] | None:
    """Return both parts with columns of mean 0 and deviation 1; None where they are no dense numbers."""
    both = [came.learnt.inputs, came.measured.inputs]
    if not all(isinstance(each, np.ndarray) and each.ndim == 2 and each.dtype.kind in "fiu" for each in both):
        return None
    first = np.asarray(both[0], np.float64)
    if not np.isfinite(first).all():
        return None
    mean, deviation = first.mean(axis=0), first.std(axis=0)
    deviation[deviation == 0] = 1.0
    made = [(np.asarray(each, np.float64) - mean) / deviation for each in both]
    return (
        RowTable(inputs=made[0], targets=came.learnt.targets),
        RowTable(inputs=made[1], targets=came.measured.targets),
    )


def _is_better(came: _Came, right: NDArray[np.float64]) -> bool:
    """Return whether other answers are better by far, and of more rows than chance makes it."""
    if came.skill_of(right) < max(came.skill, 0.0) + _SKILLED:
        return False
    wins, losses = int((right > came.right).sum()), int((right < came.right).sum())
    test = stats.binomtest(wins, wins + losses, alternative="greater") if wins + losses else None
    return test is not None and float(test.pvalue) < _SURELY


def _better(subject: Subject, came: _Came, right: NDArray[np.float64], with_what: str, name: str) -> Finding:
    return Finding(
        kind="learns-better-otherwise",
        severity=Severity.WARNING,
        title=f"With {with_what} and else unchanged, the same estimator predicts other rows far better.",
        evidence={"skill_as_it_is": came.skill, "skill_otherwise": came.skill_of(right)},
        causes=(cause(name, place_of(subject.estimator)),),
        next_check="shuffle rows before what takes the last of them to validate, or learns one by one"
        if name == "batches-sorted-by-label"
        else "put a StandardScaler into the pipeline, before the estimator",
        subject=type(subject.estimator).__name__,
    )


def _beside_forest(subject: Subject, came: _Came) -> Iterator[Finding]:
    """Yield what a small forest says of the same rows where the estimator has learnt nothing."""
    if came.skill >= _NONE:
        return
    both = [came.learnt.numbers, came.measured.numbers]
    if both[0] is None or both[1] is None:
        return
    targets = np.concatenate([np.asarray(came.learnt.targets), np.asarray(came.measured.targets)])
    kinds, codes = np.unique(targets, return_inverse=True)
    table = Table(
        inputs=np.concatenate([each for each in both if each is not None]).astype(np.float32),
        targets=codes if came.classes else targets.astype(np.float64),
        classes=len(kinds) if came.classes else 0,
    )
    forest = measure(table, np.arange(came.learnt.count), np.arange(came.learnt.count, len(targets)))
    found = forest.p_value <= _SURE and forest.true > _SKILLED
    chance = _is_chance(came)
    if found and chance:
        yield _missed(subject, came, forest)
    elif forest.p_value > _UNSURE and chance:
        yield _nothing(subject, came, forest)


def _is_chance(came: _Came) -> bool:
    """Return whether what it predicts is no better than the best constant, beyond two standard errors."""
    error = float(came.right.std()) / max(1, len(came.right)) ** 0.5
    return float(came.right.mean()) <= came.floor + 2 * error


def _told(came: _Came, forest: Skills) -> dict[str, Any]:
    return {
        "skill": came.skill,
        "skill_of_the_forest": forest.true,
        "p_value": forest.p_value,
        "rows_learnt": came.learnt.count,
        "rows_measured": came.measured.count,
    }


def _missed(subject: Subject, came: _Came, forest: Skills) -> Finding:
    return Finding(
        kind="less-than-a-small-forest",
        severity=Severity.WARNING,
        title="A small forest predicts rows that were not learnt; the estimator is no better than a mean.",
        evidence=_told(came, forest),
        causes=tuple(
            cause(name, place_of(subject.estimator))
            for name in ("inputs-not-scaled", "preprocessing-differs-at-evaluation")
        ),
        next_check="fit it with fewer settings; look at what its steps make of two rows of different targets",
        subject=type(subject.estimator).__name__,
    )


def _nothing(subject: Subject, came: _Came, forest: Skills) -> Finding:
    return Finding(
        kind="inputs-tell-nothing",
        severity=Severity.WARNING,
        title=f"Neither a small forest nor the estimator finds in {came.learnt.count} rows what tells "
        "targets of others.",
        evidence=_told(came, forest),
        causes=(cause("features-shuffled-against-labels"), cause("label-noise")),
        next_check="look at ten rows beside their targets; make the rows once more, from the source, and "
        "hold each to its own",
        subject=type(subject.estimator).__name__,
    )
