"""Columns that were chosen by how they correlate with the target in all rows."""

from collections.abc import Iterator, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.study import Measurement, Study
from modelwright.doctor.sensors.rows.tables.ledger import Ledger, Made, at_labels, floats_of

__all__ = ["check_chosen_columns"]

_BY_CHANCE = 1000
"""Ways to choose so many columns, at least: then the strongest are not chosen by chance."""


def check_chosen_columns(studies: Sequence[Study], ledger: Ledger) -> Iterator[Finding]:
    """Yield a finding where the columns of a model are exactly those that correlate most with the target.

    And the correlations were computed with the rows that the model is then measured on.

    Args:
        studies: What was learnt and measured.
        ledger: What pandas was asked.
    """
    for study in reversed(studies):
        names = frozenset(study.sheet.names or ()) if study.sheet is not None else frozenset[str]()
        for measured in study.held_out():
            for made in ledger.of("correlate"):
                chosen = _chosen(made, study, measured, names)
                if chosen is None:
                    continue
                yield Finding(
                    kind="preparation-saw-held-out-rows",
                    severity=Severity.SEVERE,
                    title=f"The {len(names)} columns of {study.name} are those that correlate most with the "
                    f"target among {chosen}, in rows that it is then measured on, too.",
                    evidence={
                        "columns_chosen": sorted(names)[:20],
                        "columns_to_choose_from": chosen,
                        "rows": len(made.given),
                        "rows_held_out": len(measured.rows),
                    },
                    causes=(cause("features-selected-on-all-rows", made.place),),
                    next_check="choose columns by the training rows only, as SelectKBest in a Pipeline does",
                    subject=study.name,
                )
                return


def _chosen(made: Made, study: Study, measured: Measurement, names: frozenset[str]) -> int | None:
    """Return how many columns there were to choose from; None where this was no choice of these columns."""
    asked, own = (at_labels(made.given.index, each) for each in (measured.labels, study.labels))
    if asked is None or own is None or measured.target is None or np.isin(own, asked).any():
        return None
    strengths, target = _strengths(made, measured, asked)
    if strengths is None:
        return None
    kept = {name: value for name, value in strengths.items() if name != target and np.isfinite(value)}
    mine = names & kept.keys()
    # Columns of another sort may stand beside those that were chosen.
    if len(mine) < 2 or len(mine) < 0.5 * len(names) or comb(len(kept), len(mine)) < _BY_CHANCE:
        return None
    least = min(kept[name] for name in mine)
    return len(kept) if all(value < least for name, value in kept.items() if name not in mine) else None


def _strengths(
    made: Made, measured: Measurement, asked: NDArray[np.int64]
) -> tuple[dict[str, float] | None, str]:
    """Return how strongly each column correlates with the target, by name, and the target's name."""
    true = measured.target
    if true is None or true.dtype.kind not in "biuf":
        return None, ""
    if made.name == "corrwith":
        other = floats_of(made.target)
        if other is None or len(other) != len(made.given) or not np.array_equal(other[asked], true):
            return None, ""
        return {str(name): abs(float(value)) for name, value in made.output.items()}, ""
    for name in made.output.columns[:400]:
        column = floats_of(made.given[name])
        if column is not None and np.array_equal(column[asked], true.astype(np.float64)):
            return {str(key): abs(float(value)) for key, value in made.output[name].items()}, str(name)
    return None, ""
