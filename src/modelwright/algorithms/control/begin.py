"""How a reinforcement learner begins: it demands what it needs, and starts the environment's copies."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np

from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.simulation import Simulation
from modelwright.data.environments.space import Box, Discrete

__all__ = ["begin"]

_NO_MEMORY = ("can't allocate memory", "array is too big", "Maximum allowed")  # torch's and NumPy's words


@contextmanager
def begin(
    learner: str,
    environment: Environment,
    seeds: Sequence[Seed],
    copies: int,
    *,
    actions: type[Box] | type[Discrete] | None = None,
) -> Generator[Simulation]:
    """Start copies of an environment, and close them at the end.

    Args:
        learner: Its name, for messages.
        environment: What was given as experience.
        seeds: One per seed of the cohort.
        copies: Copies per seed.
        actions: The kind of actions that the learner can choose; None for both. Values need finite bounds.

    Raises:
        BadValue: where the experience is no environment, or its actions are of the other kind.
    """
    if not isinstance(cast("object", environment), Environment):
        raise BadValue(
            f"{learner} learns in an environment",
            got=f"a {type(environment).__name__} of rows",
            next_step="give the design an environment in place of data",
        )
    if not seeds:
        raise BadValue("A cohort has at least one seed", got="none")
    simulation = environment.simulate(seeds, copies)
    try:
        space = simulation.action_space
        if actions is Box and isinstance(space, Discrete):
            raise BadValue(
                f"{learner} chooses actions that are values",
                got=f"{environment.name} with {space.n} discrete actions",
                nearest="dqn or ppo",
            )
        if actions is Discrete and isinstance(space, Box):
            raise BadValue(
                f"{learner} chooses among discrete actions",
                got=f"{environment.name} with actions of shape {space.shape}",
                nearest="sac or ppo",
            )
        if isinstance(space, Box) and len(space.shape) != 1:
            raise BadValue(f"{learner} chooses actions that are vectors", got=f"shape {space.shape}")
        if actions is Box and isinstance(space, Box) and not space.bounded:
            raise BadValue(
                f"{learner} needs actions with finite bounds",
                got=f"{environment.name} with bounds {space.low.tolist()} to {space.high.tolist()}",
                next_step="wrap it in gymnasium.wrappers.RescaleAction, or choose ppo",
            )
        if actions is Box and isinstance(space, Box) and not _has_room(space):
            raise BadValue(
                f"{learner} needs actions with room between their bounds",
                got=f"{environment.name} with bounds {space.low.tolist()} to {space.high.tolist()}",
                next_step="leave out numbers that cannot vary, or rescale ranges wider than float32 holds "
                "(gymnasium.wrappers.RescaleAction)",
            )
        yield simulation
    except (MemoryError, RuntimeError, ValueError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in _NO_MEMORY):
            raise
        raise BadValue(
            f"{learner} with its settings fits into memory",
            got=str(error).splitlines()[0][:200] or "no more memory",
            next_step="lower copies, capacity, batch_size, rollout or the sizes of networks",
        ) from error
    finally:
        simulation.close()


def _has_room(space: Box) -> bool:
    with np.errstate(over="ignore"):
        width = space.high - space.low
    return bool((np.isfinite(width) & (width > 0)).all())
