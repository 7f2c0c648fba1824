"""What an environment is, in words for the lineage and for people."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelwright.base.fingerprint import jsonable
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.space import Box, Space

__all__ = ["describe_environment", "describe_space"]


def describe_environment(environment: Environment) -> Mapping[str, Any]:
    """Return an environment's settings, those that are not left out, and its spaces, as plain values.

    Raises:
        UnknownName, BadValue, SourceMissing, WorkerLost: where it cannot be made.
    """
    simulation = environment.simulate(derive_seeds("describe", 1))
    try:
        return {
            "kind": "environment",
            **{key: value for key, value in jsonable(environment).items() if value not in (None, {})},
            "observations": describe_space(simulation.observation_space),
            "actions": describe_space(simulation.action_space),
        }
    finally:
        simulation.close()


def describe_space(space: Space) -> str:
    """Return a space in words: `one of 2`, `4 numbers`, `1 number from -2 to 2`."""
    if not isinstance(space, Box):
        return f"one of {space.n}"
    count = int(np.prod(space.shape))
    shape = "x".join(map(str, space.shape))
    what = f"{shape} {space.dtype}" if len(space.shape) > 1 else f"{count} number{'s' * (count != 1)}"
    lows, highs = {float(low) for low in space.low.flat}, {float(high) for high in space.high.flat}
    if space.bounded and len(lows) == len(highs) == 1:
        return f"{what} from {lows.pop():g} to {highs.pop():g}"
    return what
