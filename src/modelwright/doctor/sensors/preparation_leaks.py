"""Whether what prepares rows saw those that are measured."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.study import Measurement, Preparation, Study

__all__ = ["check_preparation"]

_SAW = 0.5
_ENOUGH = 5
_CAUSES = {
    "scale": "scaler-fitted-on-all-rows",
    "impute": "imputed-with-all-rows",
    "select": "features-selected-on-all-rows",
    "code": "category-codes-refitted",
}


def check_preparation(studies: Sequence[Study], preparations: Sequence[Preparation]) -> Iterable[Finding]:
    """Yield a finding for preparations whose fit saw rows that were then held out to measure a model.

    Args:
        studies: Models with what they learnt from and were measured on.
        preparations: Fits of transformers, by number.
    """
    for study in reversed(studies):
        for measured in study.held_out():
            if len(measured.rows) < _ENOUGH or study.distinct < 0.5:
                continue
            yield from _seen(study, measured, preparations)


def _seen(study: Study, measured: Measurement, preparations: Sequence[Preparation]) -> Iterator[Finding]:
    held = measured.rows[~np.isin(measured.rows, study.rows)]
    for number in sorted(measured.lineage | study.lineage):
        each = preparations[number]
        saw_held = float(np.isin(held, each.rows).mean())
        saw_learnt = float(np.isin(study.rows, each.rows).mean())
        evidence = {
            "transformer": each.kind,
            "rows_that_it_was_fitted_on": len(each.rows),
            "rows_held_out": len(held),
            "share_of_them_that_it_saw": saw_held,
            "rows_learnt_from": len(study.rows),
        }
        if saw_held < _SAW:
            continue
        if saw_learnt < 0.05:
            if number in measured.lineage and _was_fitted_before(study, each, preparations):
                name = "category-codes-refitted" if each.what == "code" else "scaler-refitted-on-test"
                yield Finding(
                    kind="preparation-fitted-anew-on-held-out-rows",
                    severity=Severity.SEVERE,
                    title=f"{each.kind} was fitted anew on the rows that {study.name} is measured on: "
                    "the same value means another thing there.",
                    evidence=evidence,
                    causes=(cause(name, each.place),),
                    next_check="fit it on the training rows, and only transform the others",
                    subject=each.kind,
                )
        elif each.what != "code":
            yield Finding(
                kind="preparation-saw-held-out-rows",
                severity=Severity.SEVERE if each.what == "select" else Severity.WARNING,
                title=f"{each.kind} was fitted on rows that {study.name} is then measured on "
                f"({saw_held:.0%} of them), before they were split off.",
                evidence=evidence,
                causes=(cause(_CAUSES[each.what], each.place),),
                next_check="fit it on the training rows only; in a Pipeline, cross-validation does so by itself",
                subject=each.kind,
            )


def _was_fitted_before(study: Study, each: Preparation, preparations: Sequence[Preparation]) -> bool:
    """Return whether a preparation of the same kind was fitted on the rows that were learnt from."""
    return any(
        preparations[number].kind == each.kind and np.isin(study.rows, preparations[number].rows).mean() > 0.5
        for number in study.lineage
    )
