"""What learners of bounded, continuous actions share: the action's range, and two critics side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.noise import Noise
from modelwright.algorithms.control.off_policy import OffPolicy
from modelwright.algorithms.networks.dense import Dense, Pass
from modelwright.algorithms.networks.weights import Weights, seed_norm
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.data.environments.space import Box

__all__ = ["ActionRange", "Continuous", "Critics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuous(OffPolicy):
    """The part of a configuration that learners of bounded, continuous actions share."""

    total_steps: int = setting(20_000, doc="Environment steps of each seed.", low=1)
    capacity: int = setting(1_000_000, doc="Steps that each seed's replay keeps.", low=1)
    batch_size: int = setting(256, doc="Steps in a batch of one seed.", low=1)
    learning_starts: int = setting(
        1_000, doc="Environment steps before the first update; actions are uniform until then.", low=1
    )
    train_every: int = setting(1, doc="Steps of each copy between updates.", low=1)
    hidden: tuple[int, ...] = setting((256, 256), doc="Units of each hidden layer of all networks.", low=1)
    tau: float = setting(
        0.005, doc="Part of the way that target networks go at each update.", above=0, high=1
    )


class ActionRange:
    """Maps between [-1, 1] and the environment's actions: a = middle + scale * x.

    Attributes:
        size: Numbers in an action.
        scale: (action,) half the width of the range.
        middle: (action,).

    Args:
        space: A box with finite bounds.
        seeds: One per seed; the stream `exploration`.
        copies: Copies per seed.
    """

    def __init__(self, space: Box, seeds: Sequence[Seed], copies: int) -> None:
        self.size = space.shape[0]
        self.scale = torch.from_numpy((space.high - space.low) / 2.0)
        self.middle = torch.from_numpy((space.high + space.low) / 2.0)
        self._uniform = Noise(seeds, "exploration", (copies, self.size), "uniform")

    def __call__(self, x: Tensor) -> Tensor:
        """Return actions (..., action) for numbers in [-1, 1]."""
        return self.middle + self.scale * x

    def clip(self, action: Tensor) -> Tensor:
        """Return actions (..., action) with each number brought into its range."""
        return torch.minimum(torch.maximum(action, self.middle - self.scale), self.middle + self.scale)

    def anywhere(self) -> NDArray[np.float32]:
        """Return actions (seed, copy, action) drawn uniformly from the whole range."""
        return self(torch.from_numpy(2.0 * self._uniform.draw() - 1.0)).numpy()


class Critics:
    """Several critics Q_k(s, a) of every seed, as one network whose seed axis is (critic, seed).

    Attributes:
        weights: Parameters, (critic * seed, ...).
        target: Those of the target networks Q'_k, of the same shapes.

    Args:
        seeds: One per seed; streams `critic/1`, `critic/2` ...
        observations: Numbers in an observation.
        actions: Numbers in an action.
        hidden: Units of each hidden layer.
        count: How many critics.
    """

    def __init__(
        self, seeds: Sequence[Seed], observations: int, actions: int, hidden: tuple[int, ...], count: int
    ) -> None:
        self._count, self._seeds, self._actions = count, len(seeds), actions
        inputs = observations + actions
        network = Dense(name="critic", sizes=(inputs, *hidden, 1), activation="relu")
        own = [seed.child(f"critic/{critic}") for critic in range(1, count + 1) for seed in seeds]
        self.weights = Weights(network.uniform(own))
        self.target = self.weights.copy()
        self._all = Pass(network, self.weights)
        self._first = Pass(network, self.weights, seeds=slice(self._seeds))
        self._targets = Pass(network, self.target)

    def judge(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return Q_k, (critic, seed, batch), for (seed, batch, feature) and (seed, batch, action).

        What is made of them can be given to `differentiate` or `slope_of_action`; the next call overwrites
        them.
        """
        return self._each(self._all.judge(self._inputs(observation, action)))

    def judge_first(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return Q_1 alone, (1, seed, batch), for `slope_of_action`."""
        return self._first.judge(torch.cat([observation, action], dim=-1)).view(1, self._seeds, -1)

    def judge_by_target(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return Q'_k, (critic, seed, batch), as constants; the next call overwrites them."""
        return self._each(self._targets.forward(self._inputs(observation, action)))

    def _inputs(self, observation: Tensor, action: Tensor) -> Tensor:
        return torch.cat([observation, action], dim=-1).repeat(self._count, 1, 1)

    def _each(self, outputs: Tensor) -> Tensor:
        return outputs.view(self._count, self._seeds, -1)

    def differentiate(self, losses: Tensor) -> None:
        """Set gradients to those of the mean over the batch of (critic, seed, batch), summed over critics."""
        share = torch.full_like(losses, 1.0 / losses.shape[-1])
        (slope,) = torch.autograd.grad(losses, self._all.leaf, share)
        self._all.backward(slope)

    def slope_of_action(self, losses: Tensor, *, first: bool = False) -> Tensor:
        """Return the gradient of the mean of each row of losses, (seed, batch), with respect to the actions.

        It is that through the values that `judge` gave last, or `judge_first` where `first`; the critics
        themselves get none.

        Returns:
            (seed, batch, action).
        """
        judged = self._first if first else self._all
        share = torch.full_like(losses, 1.0 / losses.shape[-1])
        (slope,) = torch.autograd.grad(losses, judged.leaf, share, retain_graph=True)
        of_inputs = judged.slope_of_inputs(slope)
        return of_inputs.unflatten(0, (-1, self._seeds)).sum(dim=0)[..., -self._actions :]

    def per_seed(self, norm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the norm over all critics of a seed, (seed,), from that of each, (critic * seed,)."""
        each = np.square(norm).reshape(self._count, self._seeds)
        return np.sqrt(sum(each, np.zeros(self._seeds)))

    def ratio(self, before: Tensor, after: Tensor) -> NDArray[np.float64]:
        """Return norm(after - before) / norm(before) of a seed's packed critics together, (seed,)."""
        size = self.per_seed(seed_norm(before))
        return self.per_seed(seed_norm(after - before)) / np.where(size > 0, size, np.nan)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return every parameter, `CRITIC.NAME` -> (seed, ...)."""
        found: dict[str, NDArray[Any]] = {}
        for name, values in self.weights.state().items():
            for critic in range(self._count):
                found[f"{critic + 1}.{name}"] = values[critic * self._seeds : (critic + 1) * self._seeds]
        return found
