"""Joins that make several rows of one, or find no partner where spelling alone stands between."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.sheet import mixed, sheet_of
from modelwright.doctor.sensors.rows.study import Measurement, Study
from modelwright.doctor.sensors.rows.tables.ledger import Ledger, Made, at_labels, stands_at

__all__ = ["check_joins"]

_ENOUGH = 40
_MANY = 0.05
_FEW_GROUPS = 20


def check_joins(studies: Sequence[Study], ledger: Ledger) -> Iterator[Finding]:
    """Yield a finding where rows that a join made of one row are learnt and measured.

    Args:
        studies: What was learnt and measured.
        ledger: What pandas was asked.
    """
    for study in reversed(studies):
        for measured in study.held_out():
            for made in ledger.of("join"):
                share = _multiplied(study, measured, made)
                if share is None:
                    continue
                yield Finding(
                    kind="rows-learnt-and-measured",
                    severity=Severity.WARNING,
                    title=f"A join made {len(made.output)} rows of {len(made.given)}, each with the target "
                    f"of the row it was made of, and {share:.0%} of the rows that {study.name} is measured "
                    "on were made of rows that it learnt from.",
                    evidence={
                        "rows_before": len(made.given),
                        "rows_after": len(made.output),
                        "share_of_measured_rows": share,
                    },
                    causes=(
                        cause("rows-multiplied-by-join", made.place),
                        cause("duplicates-across-split", made.place),
                        cause("group-in-both-splits", made.place),
                    ),
                    next_check="count rows before and after the join; give merge validate='many_to_one'",
                    subject=study.name,
                )
                return


def _multiplied(study: Study, measured: Measurement, made: Made) -> float | None:
    """Return the share of measured rows made of a row that was learnt from; None where no join did it."""
    sources = _sources(made)
    if sources is None or measured.target is None or len(measured.rows) < _ENOUGH:
        return None
    own, asked = (at_labels(made.output.index, each) for each in (study.labels, measured.labels))
    if own is None or asked is None or np.isin(own, asked).any():
        return None
    if not (stands_at(study.sheet, made.output, own) and stands_at(measured.sheet, made.output, asked)):
        return None
    rows = sources[np.concatenate([own, asked])]
    true = np.concatenate([study.target.astype(str), measured.target.astype(str)])
    found, counts = np.unique(rows, return_counts=True)
    several = int((counts > 1).sum())
    pairs = len({*zip(rows.tolist(), true.tolist(), strict=True)})
    # What is to be predicted belongs to the row before the join, not to its partners.
    if several < _FEW_GROUPS or pairs > len(found) or len(np.unique(true)) < 2:
        return None
    share = float(np.isin(sources[asked], sources[own]).mean())
    return share if share > _MANY else None


def _sources(made: Made) -> NDArray[np.int64] | None:
    """Return for each row that a join gave the number of the row it was made of; None where none is twice."""
    left, output = made.given, made.output
    if getattr(left, "ndim", 0) != 2 or len(output) <= len(left) or not output.index.is_unique:
        return None
    names = [name for name in left.columns if name in output.columns]
    if len(names) < 2 or not left.columns.is_unique or not output.columns.is_unique:
        return None
    before, after = sheet_of(left[names]), sheet_of(output[names])
    if before is None or after is None:
        return None
    theirs, mine = mixed(before.values), mixed(after.values)
    order = np.argsort(theirs, kind="stable")
    places = np.minimum(np.searchsorted(theirs[order], mine), len(order) - 1)
    if len(np.unique(theirs)) < len(theirs) or (theirs[order][places] != mine).any():
        return None
    return order[places]
