"""A policy and the values of states, as two networks side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.distributions import Categorical, DiagonalNormal
from modelwright.algorithms.control.noise import Noise
from modelwright.algorithms.control.observations import Encoder
from modelwright.algorithms.networks.dense import Activation, Dense, Pass
from modelwright.algorithms.networks.weights import Weights
from modelwright.base.seed import Seed
from modelwright.data.environments.simulation import Simulation
from modelwright.data.environments.space import Discrete

__all__ = ["ActorCritic"]

_DEVIATION = "actor.log_deviation"


class ActorCritic:
    """pi(a | s) and V(s) of every seed.

    The actor's outputs are logits of discrete actions, or means of a normal density whose deviation does not
    depend on the observation. It starts with outputs near zero: all actions nearly equal.

    Attributes:
        weights: Parameters of both.

    Args:
        learner: Its name, for messages.
        simulation: What it acts in.
        seeds: One per seed; streams `init/actor`, `init/critic` and `action`.
        width: Units of each of the two hidden layers of both networks.
        activation: Their nonlinearity.
    """

    def __init__(
        self,
        learner: str,
        simulation: Simulation,
        seeds: Sequence[Seed],
        width: int,
        activation: Activation = "tanh",
    ) -> None:
        space = simulation.action_space
        copies = simulation.observation.shape[1]
        self.encode = Encoder(learner, simulation.observation_space)
        self._discrete = isinstance(space, Discrete)
        outputs = space.n if isinstance(space, Discrete) else space.shape[0]
        self._actor = Dense(
            name="actor", sizes=(self.encode.size, width, width, outputs), activation=activation
        )
        self._critic = Dense(name="critic", sizes=(self.encode.size, width, width, 1), activation=activation)
        start = self._actor.orthogonal(seeds, last=0.01) | self._critic.orthogonal(seeds, last=1.0)
        if not self._discrete:
            start[_DEVIATION] = np.zeros((len(seeds), 1, outputs), np.float32)
        self.weights = Weights(start)
        self._actor_pass = Pass(self._actor, self.weights)
        self._critic_pass = Pass(self._critic, self.weights)
        if self._discrete:
            self._noise = Noise(seeds, "action", (copies,), "uniform")
        else:
            self._noise = Noise(seeds, "action", (copies, outputs), "normal")

    def judge(self, observation: Tensor) -> tuple[Categorical | DiagonalNormal, Tensor]:
        """Return pi(. | s) and V(s), (seed, row), for vectors (seed, row, feature).

        What is made of them can be given to `differentiate`. The next call with as many rows overwrites them.
        """
        outputs, values = self._actor_pass.judge(observation), self._critic_pass.judge(observation)
        return self._distribution(outputs), values[..., 0]

    def value(self, observation: Tensor) -> NDArray[np.float32]:
        """Return V(s), (seed, row), for vectors (seed, row, feature)."""
        return self._critic_pass.forward(observation)[..., 0].numpy().copy()

    def differentiate(self, losses: Tensor) -> None:
        """Set the gradient to that of the mean of each row of losses (seed, row) of what was judged last."""
        share = torch.full_like(losses, 1.0 / losses.shape[1])
        leaves = [self._actor_pass.leaf, self._critic_pass.leaf]
        if not self._discrete:
            leaves.append(self.weights.named[_DEVIATION])
        of_outputs, of_values, *of_deviation = torch.autograd.grad(losses, leaves, share)
        self._actor_pass.backward(of_outputs)
        self._critic_pass.backward(of_values)
        for slope in of_deviation:
            self.weights.slope[_DEVIATION].copy_(slope)

    def _distribution(self, outputs: Tensor) -> Categorical | DiagonalNormal:
        if self._discrete:
            return Categorical(outputs)
        return DiagonalNormal(outputs, self.weights.named[_DEVIATION])

    def rows(self, action: NDArray[Any]) -> Tensor:
        """Return actions (seed, step, copy, ...) as (seed, row, ...)."""
        lead = (len(action), action.shape[1] * action.shape[2])
        return torch.from_numpy(action.reshape(*lead, *action.shape[3:]))

    def explore(self, observation: NDArray[Any]) -> NDArray[Any]:
        """Draw actions (seed, copy, ...) from pi for what the copies show."""
        with torch.no_grad():
            return self._few(observation).sample(torch.from_numpy(self._noise.draw())).numpy()

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """Choose the most probable actions; see `base.step.Policy`."""
        with torch.no_grad():
            return self._few(observation).mode().numpy()

    def _few(self, observation: NDArray[Any]) -> Categorical | DiagonalNormal:
        outputs = self._actor.few(self.weights.arrays, self.encode.rows(observation))
        return self._distribution(torch.from_numpy(outputs))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return every parameter; see `base.step.Policy`."""
        return dict(self.weights.state())
