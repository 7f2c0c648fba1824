"""What a design names when experience is made rather than read, and what a reinforcement learner is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, ClassVar

from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.data.environments.batched import BatchedSimulation
from modelwright.data.environments.simulation import Simulation

__all__ = ["BATCHED", "Environment"]

_HERE = "modelwright.data.environments"
BATCHED = MappingProxyType(
    {
        "CartPole-v1": (f"{_HERE}.cart_pole:CartPole", 500),
    }
)
"""Name -> our own rules (module:class) and the time limit; each steps as Gymnasium's of that name does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment(Settings):
    """An environment by name, and how it is made.

    Names are ours (`BATCHED`), else Gymnasium's.
    """

    PLACE: ClassVar[str] = "environment"

    name: str = setting(doc="Name of the environment, for example CartPole-v1.")
    settings: Mapping[str, Any] = setting(
        factory=dict, doc="Arguments with which Gymnasium makes it; with any, Gymnasium's own is taken."
    )
    time_limit: int | None = setting(
        None, doc="Steps after which an episode is truncated; null for the environment's own limit.", low=1
    )
    batched: bool = setting(
        True, doc="Whether our own version of it is taken where there is one; the numbers are the same."
    )

    def simulate(self, seeds: Sequence[Seed], copies: int = 1) -> Simulation:
        """Start copies of it for every seed, each at the beginning of an episode.

        Args:
            seeds: One per seed of the cohort; copy k draws from the stream `environment/k`.
            copies: Copies per seed, at least 1.

        Raises:
            UnknownName: for a name that nobody knows, with the nearest.
            BadValue: for an environment that breaks Gymnasium's interface, or whose spaces are of a kind that
                no learner here can use.
            SourceMissing: where a package that it needs is not installed.
        """
        if copies < 1:
            raise BadValue("A simulation has at least one copy per seed", got=copies)
        if self.batched and not self.settings and self.name in BATCHED:
            place, limit = BATCHED[self.name]
            module, _, kind = place.partition(":")
            dynamics = getattr(import_module(module), kind)()
            return BatchedSimulation(dynamics, seeds, copies, self.time_limit or limit)
        from modelwright.data.environments.gymnasium_simulation import GymnasiumSimulation

        return GymnasiumSimulation(self.name, dict(self.settings), seeds, copies, self.time_limit)
