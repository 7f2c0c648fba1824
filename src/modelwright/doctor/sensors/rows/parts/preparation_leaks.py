"""Whether what prepares rows saw those that are measured."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Measurement, Preparation, Study

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
        if each.what == "code":
            yield from _coded_anew(study, measured, number, preparations)
            continue
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
                yield Finding(
                    kind="preparation-fitted-anew-on-held-out-rows",
                    severity=Severity.SEVERE,
                    title=f"{each.kind} was fitted anew on the rows that {study.name} is measured on: "
                    "the same value means another thing there.",
                    evidence=evidence,
                    causes=(cause("scaler-refitted-on-test", each.place),),
                    next_check="fit it on the training rows, and only transform the others",
                    subject=each.kind,
                )
        else:
            yield Finding(
                kind="preparation-saw-held-out-rows",
                severity=Severity.SEVERE if each.what == "select" else Severity.WARNING,
                title=f"{each.kind} was fitted on rows that {study.name} is then measured on "
                f"({saw_held:.0%} of them), before they were split off.",
                evidence=evidence,
                causes=(cause(_CAUSES[each.what], each.place),),
                next_check="fit it on the training rows only, as a Pipeline does by itself",
                subject=each.kind,
            )


def _coded_anew(
    study: Study, measured: Measurement, number: int, preparations: Sequence[Preparation]
) -> Iterator[Finding]:
    """Whole columns came out of different fits of an encoder, which number the categories differently."""
    each = preparations[number]
    learnt = [preparations[other] for other in study.lineage if preparations[other].kind == each.kind]
    if number in study.lineage or number not in measured.lineage or not learnt:
        return
    if any(other.codes == each.codes for other in learnt):
        return
    yield Finding(
        kind="preparation-fitted-anew-on-held-out-rows",
        severity=Severity.SEVERE,
        title=f"{each.kind} was fitted anew on the rows that {study.name} is measured on: "
        "the same code means another category there.",
        evidence={"learnt": learnt[-1].codes[:300], "measured": each.codes[:300]},
        causes=(cause("category-codes-refitted", each.place),),
        next_check="fit the encoder on the training rows, and only transform the others",
        subject=each.kind,
    )


def _was_fitted_before(study: Study, each: Preparation, preparations: Sequence[Preparation]) -> bool:
    """Return whether a preparation of the same kind was fitted on the rows that were learnt from."""
    return any(
        preparations[number].kind == each.kind and np.isin(study.rows, preparations[number].rows).mean() > 0.5
        for number in study.lineage
    )
