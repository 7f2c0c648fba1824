"""Policies of others as a cohort's policy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.outside.content import content_digest
from modelwright.base.errors import BadValue

__all__ = ["FittedPolicy"]


class FittedPolicy:
    """One object with `act` per seed, as a `base.step.Policy`.

    Args:
        name: The learner's name, for messages.
        policies: Objects whose `act` takes one observation and returns one action.
    """

    def __init__(self, name: str, policies: Sequence[Any]) -> None:
        self._name = name
        self._policies = policies

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """Act for each seed, one copy after the other; see `base.step.Policy`.

        Raises:
            BadValue: where an action is no number or array of numbers, or actions differ in shape.
        """
        # A copy of each: a stranger may write into what it is shown.
        chosen = [
            [np.asarray(policy.act(np.array(one)[()])) for one in rows]
            for policy, rows in zip(self._policies, observation, strict=True)
        ]
        kinds = {(action.shape, action.dtype.kind) for rows in chosen for action in rows}
        shapes = {shape for shape, _ in kinds}
        if len(shapes) > 1 or not {kind for _, kind in kinds} <= set("biuf"):
            raise BadValue(
                f"act() of {self._name} returns one action, a number or an array of numbers",
                got=", ".join(f"shape {shape} of kind {kind}" for shape, kind in sorted(kinds)),
            )
        return np.array(chosen)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the sha256 of everything that each policy holds, (seed, 32) bytes."""
        return {"digest": np.stack([content_digest(one) for one in self._policies])}
