"""What learners share that act by the value of each action: networks, exploration, and a step downhill.

What the numbers of the network mean, and which loss is descended, stands in the learner's own file.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.exploration import Exploration
from modelwright.algorithms.control.observations import Encoder
from modelwright.algorithms.control.off_policy import OffPolicy
from modelwright.algorithms.control.vital_signs import update_ratio
from modelwright.algorithms.networks.adam import Adam
from modelwright.algorithms.networks.dense import Dense, Pass
from modelwright.algorithms.networks.weights import Weights, seed_norm
from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.data.environments.simulation import Simulation
from modelwright.data.environments.space import Discrete

__all__ = ["Greedy", "GreedyLearner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Greedy(OffPolicy):
    """The part of a configuration that learners share which act by the value of each action."""

    hidden: tuple[int, ...] = setting((120, 84), doc="Units of each hidden layer.", low=1)
    learning_rate: float = setting(2.5e-4, doc="Size of a step of Adam.", above=0)
    target_every: int = setting(50, doc="Updates after which the target network is renewed.", low=1)
    explore_first: float = setting(1.0, doc="Share of random actions at the start.", low=0, high=1)
    explore_last: float = setting(0.05, doc="Share of random actions at the end.", low=0, high=1)
    explore_share: float = setting(
        0.5, doc="Part of all steps over which the share of random actions falls.", above=0, high=1
    )
    double: bool = setting(False, doc="Whether the online network chooses the action of the target.")
    n_step: int = setting(1, doc="Rewards in a return before it is bootstrapped.", low=1)
    clip_norm: float | None = setting(None, doc="Largest norm of a seed's gradient; null for none.", above=0)

    def __post_init__(self) -> None:
        super(Greedy, self).__post_init__()
        if self.n_step > self.first_round:
            raise BadValue(
                "n_step steps of every copy are stored before the first update",
                got=f"n_step {self.n_step}, and an update after {self.first_round} steps of each copy",
                next_step="lower n_step, or raise learning_starts",
            )


class GreedyLearner(ABC):
    """A network of action values, its copy, optimiser and exploration; a learner adds `act` and `learn`.

    Attributes:
        encode: Makes inputs of observations.
        network: The stack.
        online: Its parameters, which act and learn.
        online_pass: Through the stack with these.
        target_pass: Through the stack with their copy, which is renewed every `target_every` updates.

    Args:
        learner: Its name, for messages.
        simulation: What it acts in.
        seeds: One per seed; streams `init/NAME` and `exploration`.
        config: How.
        name: Of the stack.
        outputs: Numbers that it gives for an observation.
        eps: Of Adam.
    """

    def __init__(
        self,
        learner: str,
        simulation: Simulation,
        seeds: Sequence[Seed],
        config: Greedy,
        *,
        name: str,
        outputs: int,
        eps: float = 1e-8,
    ) -> None:
        space = simulation.action_space
        assert isinstance(space, Discrete)
        self._greedy = config
        self.encode = Encoder(learner, simulation.observation_space)
        sizes = (self.encode.size, *config.hidden, outputs)
        self.network = Dense(name=name, sizes=sizes, activation="relu")
        self.online = Weights(self.network.uniform(seeds))
        self._target = self.online.copy()
        self.online_pass = Pass(self.network, self.online)
        self.target_pass = Pass(self.network, self._target, beside=self.online_pass)
        self._optimizer = Adam(self.online, config.learning_rate, eps=eps)
        self._explore = Exploration(
            seeds,
            simulation.observation.shape[1],
            space.n,
            first=config.explore_first,
            last=config.explore_last,
            steps=config.explore_share * config.total_steps,
        )

    @abstractmethod
    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """See `base.step.Policy`."""

    def state(self) -> dict[str, NDArray[Any]]:
        """See `base.step.Policy`."""
        return dict(self.online.state())

    def choose(self, observation: NDArray[Any], steps: int) -> NDArray[Any]:
        """Return actions, some of them random."""
        return self._explore(self.act(observation), steps)

    def descend(self, slope: Tensor, update: int, reported: bool) -> dict[str, NDArray[np.float64]]:
        """Take one step downhill, and renew the copy where it is time.

        Args:
            slope: (seed, batch, output) gradient of the loss with respect to what `online_pass` gave last.
            update: Number of the update.
            reported: Whether vital signs are wanted.

        Returns:
            What the step tells, where it is reported; else nothing.
        """
        self.online_pass.backward(slope)
        signs: dict[str, NDArray[np.float64]] = {}
        limit = self._greedy.clip_norm
        if reported or limit is not None:
            signs["grad_norm"] = seed_norm(self.online.gradient)
        if limit is not None:
            self.online.clip_gradient(signs["grad_norm"], limit)
        before = self.online.packed.clone() if reported else self.online.packed
        self._optimizer.step()
        if reported:
            signs["update_ratio"] = update_ratio(before, self.online.packed)
            signs["target_distance"] = update_ratio(self._target.packed, self.online.packed)
            signs["exploration"] = np.full(len(before), self._explore.share)
        if update % self._greedy.target_every == 0:
            self._target.packed.copy_(self.online.packed)
        return signs
