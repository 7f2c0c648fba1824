"""Advantages beside rows of other steps: axes of time and environment exchanged, or rows not indexed."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.advantages.advantage_ways import AdvantageWay, advantage_ways
from modelwright.doctor.sensors.acting.advantages.rollout import Rollout
from modelwright.doctor.sensors.acting.advantages.value_tables import ValueTable

__all__ = ["ways_of_other_rows"]

Places = NDArray[np.int64]


def ways_of_other_rows(
    rollout: Rollout, table: ValueTable, rows: Places, places: Places, of_values: bool
) -> Iterator[AdvantageWay]:
    """Yield right ways whose results stand in other rows than their own.

    Args:
        rollout: What was done; of environments that took equally many steps.
        table: Values.
        rows: Transition of each row of the batch (row,).
        places: Place of each row in the batch (row,).
        of_values: Whether it is about targets of values, from which the value of their own row is taken.
    """
    count, width = len(rollout.transitions), int(rollout.last.sum())
    steps = count // width
    if not np.array_equal(np.flatnonzero(rollout.last), np.arange(1, width + 1) * steps - 1):
        return
    own = np.arange(count)
    by_time = own % steps * width + own // steps  # place of each transition where time comes first
    moves: list[tuple[str, Places]] = []
    if width > 1:
        moves = [("axes-mixed-by-reshape", by_time), ("axes-mixed-by-reshape", np.argsort(by_time))]
    if int(places.max()) < count and len(np.unique(rows)) == len(rows):
        for order in (own, np.argsort(by_time)):
            moved = own.copy()
            moved[rows] = order[places]
            moves.append(("log-prob-of-other-rows", moved))
    for way in advantage_ways(rollout, table):
        if way.kind != "gae" or way.fault not in ("", "truncation-as-terminal"):
            continue
        for fault, moved in moves:
            if (moved[rows] == rows).mean() > 0.5:
                continue
            plus = np.zeros_like(way.parts)
            if of_values:
                plus[2] = table.before - table.before[moved]
            yield AdvantageWay(fault, way.parts, way.goes_on, plus, moved=moved)
