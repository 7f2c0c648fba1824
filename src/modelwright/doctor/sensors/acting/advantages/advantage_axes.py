"""Whether advantages were normalised over one axis of (step, environment) alone."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.advantages.advantage_ways import (
    AdvantageFit,
    AdvantageWay,
    advantage_ways,
    sums,
)
from modelwright.doctor.sensors.acting.advantages.rollout import Rollout
from modelwright.doctor.sensors.acting.advantages.value_tables import ValueTable

__all__ = ["fits_over_one_axis"]

Floats = NDArray[np.float64]


def fits_over_one_axis(
    rollout: Rollout,
    table: ValueTable,
    rows: NDArray[np.int64],
    weights: Floats,
    known: tuple[float, float, float],
) -> AdvantageFit | None:
    """Return how well advantages fit that are brought to mean 0 and deviation 1 in each group of the rollout.

    Groups are what one environment did, and what all did in the same step.

    Args:
        rollout: What was done.
        table: Values.
        rows: Transition of each weight (row,).
        weights: What the loss gives to log-probabilities (row,).
        known: gamma * lambda, gamma, and what rewards are multiplied by, of the targets of values.

    Returns:
        The best fit; None where there are no groups, or too few rows to tell.
    """
    p, discount, scale_of_rewards = known
    environments = np.cumsum(np.concatenate([[0], rollout.last[:-1]])).astype(np.int64)
    begins = np.flatnonzero(np.diff(environments, prepend=-1))
    steps = np.arange(len(environments)) - begins[environments]
    best: AdvantageFit | None = None
    for way in _right(rollout, table):
        columns = sums(way, np.array([p]), np.arange(len(environments)))[0]
        advantages = scale_of_rewards * columns[0] + discount * columns[1] - columns[2]
        for groups in (environments, steps):
            if len(np.unique(groups[rows])) < 2 or np.bincount(groups).min() < 2:
                continue
            column = _normalised(advantages, groups)[rows]
            column = column - column.mean()
            y = weights - weights.mean()
            size = float(column @ column)
            scale = float(column @ y) / size if size > 0 else 0.0
            left = float(np.abs(y - scale * column).max() / np.abs(y).max())
            if best is None or left < best.residual:
                best = AdvantageFit(left, p, discount, scale, -scale, plausible=True)
    return best


def _right(rollout: Rollout, table: ValueTable) -> Iterator[AdvantageWay]:
    for way in advantage_ways(rollout, table):
        if way.kind == "gae" and way.fault in ("", "truncation-as-terminal"):
            yield way


def _normalised(advantages: Floats, groups: NDArray[np.int64]) -> Floats:
    counts = np.bincount(groups)
    means = np.bincount(groups, advantages) / counts
    far = advantages - means[groups]
    deviations = np.sqrt(np.bincount(groups, far**2) / counts)
    return far / np.maximum(deviations, 1e-12)[groups]
