"""Batches that are measured after all learnt rows are known, and hold learnt rows among others."""

from collections.abc import Iterator

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.rows.learner import Learner
from modelwright.doctor.sensors.rows.parts.alike_by_chance import share_of_copies

__all__ = ["check_mixed_batches"]

_FEWEST, _PART = 40, 0.1
"""Rows in such batches, and their share of all learnt rows, at least."""

_MANY = 0.05
_NOT_ALL = 0.7
"""Share of all learnt rows that these batches hold: where it is more, all rows were asked, for a picture."""

_REDRAWN = 0.5
_TOLD = 0.8


def check_mixed_batches(learner: Learner) -> Iterator[Finding]:
    """Yield a finding where a part that is measured was drawn without regard to what is learnt.

    A batch of a part that was held out has no learnt row, a batch of learnt rows has no other.
    """
    learnt, asked = learner.learnt, learner.asked
    for met in learner.mixed.values():
        fresh = np.array(sorted(met.fresh), np.int64)
        rows = met.known_rows + met.fresh_rows
        if rows < max(_FEWEST, _PART * len(learnt.rows)) or met.known_rows < _MANY * rows:
            continue
        if len(met.known) > _NOT_ALL * len(learnt.rows):
            continue
        if met.told_rows < _TOLD * rows:
            continue  # nobody asks whether these are right
        again = np.array(sorted(met.known), np.int64)
        held = np.concatenate([learnt.rows.values[again], asked.rows.values[fresh]])
        if share_of_copies(learnt.rows.values, held) < _MANY:
            continue  # alike by chance
        share = met.known_rows / rows
        names = ["split-redrawn-for-test", "duplicates-across-split"]
        yield Finding(
            kind="rows-learnt-and-measured",
            severity=Severity.WARNING,
            title=f"{share:.0%} of the rows in batches that {learner.name} is measured on were learnt from, "
            "the others were not.",
            evidence={
                "rows_learnt_from": len(learnt.rows),
                "rows_measured": rows,
                "of_them_learnt_from": met.known_rows,
                "batches": met.batches,
            },
            causes=tuple(cause(name, met.place) for name in (names if share > _REDRAWN else names[::-1])),
            next_check="draw parts once, with a seed, and keep which row is in which",
            subject=learner.name,
        )
        return
