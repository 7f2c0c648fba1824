"""What a learner yields: numbers per seed for one update.

`train(experience, seeds)` is a generator of steps. Whoever reads it owns the loop: recording, judging
and stopping are done by readers, and stopping is no longer pulling.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue, nearest_name

__all__ = ["THROUGHPUT", "Model", "Policy", "Step"]

THROUGHPUT = "throughput"
"""Metric that the lab adds to every step: environment steps of a seed in a second, or updates where there is
no environment. It comes off a clock, so no two runs agree on it."""


class Model(Protocol):
    """The cohort's models as they are at one step; valid until the next step is pulled."""

    def predict(self, features: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Predict for each seed on rows of its own.

        Args:
            features: One array (row, *feature) per seed of the cohort; row counts may differ.

        Returns:
            One array per seed: (row,) values for regression, (row, class) probabilities that sum to
            one for classification.
        """
        ...

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return every learnt number by name, each with a leading `seed` axis."""
        ...


class Policy(Protocol):
    """What a cohort does in an environment, as it is at one step; valid until the next step is pulled."""

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """Choose the best action known, without exploring; equal observations get equal actions.

        Args:
            observation: (seed, copy, *observation).

        Returns:
            (seed, copy) numbers of actions, or (seed, copy, *action) values.
        """
        ...

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return every learnt number by name, each with a leading `seed` axis."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Numbers per seed after one update, or after a group of updates.

    Attributes:
        update: Updates done so far; the first step of a run has at least 1 and the count only grows.
        metrics: Name -> array (seed,) of float64. NaN where a seed has no such number at this step.
        absent: Name -> (seed,) whether a seed reported no such number at this step, where only some did; so
            that a missing number is told from one that is NaN because learning diverged.
        policy: What acts in an environment, where the learner offers it (always at its last step), else None.
        model: The models at this step where the learner offers them for evaluation (always at its
            last step, if it has models at all), else None.
    """

    update: int
    metrics: Mapping[str, NDArray[np.float64]]
    model: Model | None = None
    absent: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict[str, "NDArray[np.bool_]"])
    policy: Policy | None = None

    def __post_init__(self) -> None:
        if not self.update >= 1:
            raise BadValue("A step follows at least one update", got=self.update)
        shapes = {name: np.shape(values) for name, values in self.metrics.items()}
        if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) > 1:
            raise BadValue("Every metric of a step is one number per seed, shape (seed,)", got=shapes)
        for name, flags in self.absent.items():
            if shapes.get(name) != np.shape(flags):
                raise BadValue(
                    "Absent numbers are flagged for a metric of the step, one flag per seed, shape (seed,)",
                    got=f"{name}: {np.shape(flags)}",
                    nearest=str(shapes[name]) if name in shapes else nearest_name(name, shapes),
                )
