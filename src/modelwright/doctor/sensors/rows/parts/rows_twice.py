"""Rows that a model learnt from, beside those that it is measured on: the same, or copies."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.parts.alike_by_chance import share_of_copies
from modelwright.doctor.sensors.rows.sheet import Sheet
from modelwright.doctor.sensors.rows.study import Measurement, Study

__all__ = ["check_rows_twice"]

_ENOUGH = 20
_MANY = 0.05
_AGREE = 0.95
"""Share of copies that have the target of the row that they are copies of."""


def check_rows_twice(studies: Sequence[Study], has_idle_rows: bool = False) -> Iterable[Finding]:
    """Yield findings where rows that are measured were learnt from, wholly or in part.

    Args:
        studies: What was learnt and measured.
        has_idle_rows: Whether rows were set aside by a split, and never asked about.
    """
    traceable = [each for each in studies if each.distinct >= 0.5 and len(each.rows) >= _ENOUGH]
    held = any(each.held_out() for each in studies)
    scored = [(study, m) for study in traceable for m in study.measured if m.scores]
    if not held:
        yield from _only_learnt(scored)
    yield from _learnt_too(traceable, has_idle_rows)
    yield from _chosen_on_test(traceable)
    for study in reversed(traceable):
        for measured in study.held_out():
            yield from _copies(study, measured)


def _only_learnt(scored: list[tuple[Study, Measurement]]) -> Iterator[Finding]:
    if not scored:
        return
    study, measured = scored[-1]
    yield Finding(
        kind="measured-on-training-rows",
        severity=Severity.WARNING,
        title=f"Every row that {study.name} is measured on is one that it learnt from.",
        evidence={
            "rows_learnt_from": len(study.rows),
            "rows_measured": len(measured.rows),
            "measurements": len(scored),
            "scores": [value for _, value in measured.scores if np.isfinite(value)][:20],
        },
        causes=(cause("evaluated-on-training-rows", measured.score_place or measured.place),),
        next_check="hold rows out before fit(), with train_test_split or cross-validation, and score those",
    )


def _learnt_too(studies: list[Study], has_idle_rows: bool) -> Iterator[Finding]:
    """The last model learnt from rows on which an earlier one, or itself, was scored as held out."""
    if len(studies) < 2:
        return
    last = studies[-1]
    if last.held_out() or not last.measured or not any(m.scores for m in last.measured):
        return
    if any(m.scores for each in studies[:-1] for m in each.held_out() if _same_rows(m, last)):
        return  # these rows were measured by a model that had not seen them
    measured = last.measured[-1]
    if not has_idle_rows and len(np.unique(measured.rows)) > 0.6 * len(np.unique(last.rows)):
        return  # how well it fits what it learnt from, and does not pretend to more
    yield Finding(
        kind="measured-on-training-rows",
        severity=Severity.WARNING,
        title=f"The rows that the last {last.name} is measured on are among those that it learnt from.",
        evidence={"rows_learnt_from": len(last.rows), "rows_measured": len(measured.rows)},
        causes=(
            cause("evaluated-on-training-rows", last.place),
            cause("evaluated-on-training-rows", measured.score_place or measured.place),
        ),
        next_check="take the rows that are measured out of those that fit() is given",
    )


def _chosen_on_test(studies: list[Study]) -> Iterator[Finding]:
    """The stages of one model were looked at on the rows that a later model's score is computed on."""
    last = studies[-1] if studies else None
    scored = [each for each in last.held_out() if each.scores] if last is not None else []
    if last is None or not scored:
        return
    for study in studies[:-1]:
        for staged in study.held_out():
            if not staged.how.startswith("staged") or study.name != last.name:
                continue
            if all(set(each.rows.tolist()) == set(staged.rows.tolist()) for each in scored):
                yield Finding(
                    kind="chosen-on-measured-rows",
                    severity=Severity.WARNING,
                    title=f"The stages of {study.name} were compared on the rows that the last model is "
                    "then measured on, and no other rows are.",
                    evidence={"rows_measured": len(staged.rows), "rows_learnt_from": len(last.rows)},
                    causes=(cause("test-used-for-early-stopping", staged.place),),
                    next_check="choose the number of stages on validation rows, and measure once on others",
                )
                return


def _same_rows(measured: Measurement, study: Study) -> bool:
    rows = np.concatenate([each.rows for each in study.measured])
    return bool(np.isin(rows, measured.rows).mean() > 0.5)


def _copies(study: Study, measured: Measurement) -> Iterator[Finding]:
    share = float(np.isin(measured.rows, study.rows).mean())
    if len(measured.rows) < _ENOUGH or share < _MANY or study.distinct < 0.5:
        return
    repeated = 1 - len(np.unique(study.rows)) / len(study.rows)
    if study.sheet is not None and (_coarse(study) or _is_by_chance(study.sheet, measured.sheet)):
        return
    if (
        study.classes
        and measured.target is not None
        and _agreement(study, measured.rows, measured.target) < _AGREE
    ):
        return
    again = float(np.isin(study.rows, measured.rows).mean())
    causes = ["duplicates-across-split", "oversampled-before-split"]
    if study.classes and measured.target is not None and _of_one_class(study, measured):
        causes.reverse()
    if repeated < 0.02 and again > 0.9:
        causes.insert(0, "evaluated-on-training-rows")
    yield Finding(
        kind="rows-learnt-and-measured",
        severity=Severity.WARNING,
        title=f"{share:.0%} of the rows that {study.name} is measured on are, exactly, among those that "
        "it learnt from.",
        evidence={
            "share_of_measured_rows": share,
            "rows_measured": len(measured.rows),
            "rows_learnt_from": len(study.rows),
            "share_of_repeats_among_those_learnt": repeated,
        },
        causes=tuple(cause(name, study.place) for name in causes),
        next_check="remove copies of rows before the split, and resample training rows only after it",
    )


def _of_one_class(study: Study, measured: Measurement) -> bool:
    """Return whether nearly all copies are of one class, as rows multiplied to balance classes are."""
    assert measured.target is not None
    of_copies = measured.target[np.isin(measured.rows, study.rows)]
    values, counts = np.unique(of_copies, return_counts=True)
    _, all_counts = np.unique(measured.target, return_counts=True)
    return bool(
        len(values) and counts.max() / counts.sum() > 0.95 and all_counts.max() < 0.9 * all_counts.sum()
    )


def _is_by_chance(learnt: Sheet, held: Sheet | None) -> bool:
    if held is None or held.values.shape[1] != learnt.values.shape[1]:
        return False
    return share_of_copies(learnt.values, held.values, learnt.numeric) < _MANY


def _agreement(study: Study, rows: NDArray[np.int64], target: NDArray[np.generic]) -> float:
    """Return the share of measured rows met in learning that have one of the targets which they had there."""
    learnt = set(zip(study.rows.tolist(), study.target.tolist(), strict=True))
    met = np.isin(rows, study.rows)
    asked = zip(rows[met].tolist(), target[met].tolist(), strict=True)
    return float(np.mean([each in learnt for each in asked]))


def _coarse(study: Study) -> bool:
    """Return whether rows would repeat as often if their columns were unrelated: features are too few."""
    assert study.sheet is not None
    values = study.sheet.values[:4000]
    generator = np.random.default_rng(0)
    shuffled = np.ascontiguousarray(generator.permuted(values, axis=0))
    different = len(np.unique(shuffled.view(np.dtype((np.void, 4 * values.shape[1])))))
    mine = len(np.unique(np.ascontiguousarray(values).view(np.dtype((np.void, 4 * values.shape[1])))))
    return len(values) - different > 0.25 * (len(values) - mine)
