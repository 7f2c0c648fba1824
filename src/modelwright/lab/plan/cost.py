"""What a schedule of looks costs: jobs of known length, dealt out to workers look by look."""

import heapq
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.lab.plan.pilot import Cost

__all__ = ["cumulative_seconds"]


def cumulative_seconds(
    costs: Mapping[str, Cost], looks: Sequence[int], slots: int, cuts: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return wall seconds and seconds of training until each look, (look,) each.

    At each look every variant's new trials are cut into jobs, and each slot takes the next part when
    it is free, as the executors do.

    Args:
        costs: Variant -> what its cohorts cost.
        looks: Seeds at each look.
        slots: Jobs at once.
        cuts: Jobs of each variant; see `cohort.count_cuts`.
    """
    wall, trained, walls, trainings = 0.0, 0.0, [], []
    for before, now in zip((0, *looks), looks, strict=False):
        free = [0.0] * slots
        for cost in costs.values():
            parts = min(cuts, now - before)
            for part in range(parts):
                seconds = cost.of((now - before) // parts + (part < (now - before) % parts))
                heapq.heappush(free, heapq.heappop(free) + seconds)
                trained += seconds
        wall += max(free)
        walls.append(wall)
        trainings.append(trained)
    return np.array(walls), np.array(trainings)
