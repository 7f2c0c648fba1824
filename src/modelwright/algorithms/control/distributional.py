"""What learners share that learn the distribution of the return rather than its mean.

A network gives some numbers for every action, which describe the distribution Z(s, a) of the discounted
return; its mean is Q(s, a). Each update draws stretches of n steps, takes from a copy Z' of the network the
distribution of the best action after them, and goes downhill on the distance between Z(s, a) and
R + gamma^m Z'(s', a*). What the numbers mean and what the distance is stands in the learner's own file.

    a* = argmax_a E Z'(s', a)                     or argmax_a E Z(s', a) with `double`           (1)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.exploration import Exploration, Greedy
from modelwright.algorithms.control.observations import Encoder
from modelwright.algorithms.control.off_policy import make_batch
from modelwright.algorithms.control.vital_signs import row_mean, spread, update_ratio
from modelwright.algorithms.networks.adam import Adam
from modelwright.algorithms.networks.dense import Dense, Pass
from modelwright.algorithms.networks.weights import Weights, seed_norm
from modelwright.base.seed import Seed
from modelwright.data.environments.simulation import Simulation
from modelwright.data.environments.space import Discrete
from modelwright.data.replay import Replay

__all__ = ["DistributionLearner", "Judgement", "Rule"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """What a learner's rule says of a batch; arrays are (seed, batch).

    Attributes:
        loss: What is descended, with its gradient.
        value: E Z(s, a).
        target: E of what Z(s, a) is compared with.
        signs: The learner's own vital signs, name -> (seed, batch).
    """

    loss: Tensor
    value: Tensor
    target: Tensor
    signs: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


class Rule(Protocol):
    """What a network's numbers mean."""

    @property
    def numbers(self) -> int:
        """How many describe one distribution."""
        ...

    def mean(self, outputs: Tensor) -> Tensor:
        """Return E Z, (...), for outputs (..., number)."""
        ...

    def judge(self, outputs: Tensor, following: Tensor, reward: Tensor, discount: Tensor) -> Judgement:
        """Compare Z(s, a) with R + discount Z'(s', a*).

        Args:
            outputs: (seed, batch, number) for Z(s, a).
            following: (seed, batch, number) for Z'(s', a*).
            reward: (seed, batch) R.
            discount: (seed, batch) gamma^m, 0 where the task terminated.
        """
        ...


class DistributionLearner:
    """Network, its copy, replay and exploration of a cohort; also its policy, see `base.step.Policy`.

    Attributes:
        replay: Where experience is kept.

    Args:
        learner: Its name, for messages.
        simulation: What it acts in.
        seeds: One per seed; streams `init/z`, `exploration` and `replay`.
        config: How.
        rule: What the network's numbers mean.
    """

    def __init__(
        self,
        learner: str,
        simulation: Simulation,
        seeds: Sequence[Seed],
        config: Greedy,
        rule: Rule,
    ) -> None:
        space = simulation.action_space
        assert isinstance(space, Discrete)
        self._config, self._rule, self._shape = config, rule, (space.n, rule.numbers)
        self._encode = Encoder(learner, simulation.observation_space)
        sizes = (self._encode.size, *config.hidden, space.n * rule.numbers)
        self._network = Dense(name="z", sizes=sizes, activation="relu")
        self._online = Weights(self._network.uniform(seeds))
        self._target = self._online.copy()
        self._online_pass = Pass(self._network, self._online, config.batch_size)
        self._target_pass = Pass(self._network, self._target, config.batch_size)
        # The papers' epsilon of Adam, for their batch of 32: 0.01 / 32.
        self._optimizer = Adam(self._online, config.learning_rate, eps=0.01 / config.batch_size)
        self._explore = Exploration(
            seeds,
            simulation.observation.shape[1],
            space.n,
            first=config.explore_first,
            last=config.explore_last,
            steps=config.explore_share * config.total_steps,
        )
        self.replay = Replay(simulation, seeds, config.capacity, n_step=config.n_step)

    def split(self, outputs: Tensor) -> Tensor:
        """Return the network's numbers (seed, batch, output) as (seed, batch, action, number)."""
        return outputs.unflatten(-1, self._shape)

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """Return argmax_a E Z(s, a); see `base.step.Policy`."""
        outputs = torch.from_numpy(self._network.few(self._online.arrays, self._encode.rows(observation)))
        return self._rule.mean(self.split(outputs)).argmax(dim=-1).numpy()

    def state(self) -> dict[str, NDArray[Any]]:
        """See `base.step.Policy`."""
        return dict(self._online.state())

    def choose(self, observation: NDArray[Any], steps: int) -> NDArray[Any]:
        """Return actions, some of them random."""
        return self._explore(self.act(observation), steps)

    def learn(self, update: int, reported: bool) -> dict[str, NDArray[np.float64]]:
        """Do one update; return vital signs where it is reported."""
        config = self._config
        sample = self.replay.sample(config.batch_size)
        batch = make_batch(sample, self._encode, config.gamma)
        following = self.split(self._target_pass.forward(batch.successor))
        # Of its outputs only the best action is kept: the next pass overwrites them.
        chooser = self.split(self._online_pass.forward(batch.successor)) if config.double else following
        following = _of_action(following, self._rule.mean(chooser).argmax(dim=-1))  # (1)
        outputs = self._online_pass.forward(batch.observation).detach().requires_grad_()
        found = self._rule.judge(
            _of_action(self.split(outputs), batch.action), following, batch.reward, batch.discount
        )
        (slope,) = torch.autograd.grad(found.loss.mean(dim=1).sum(), outputs)
        self._online_pass.backward(slope)
        signs: dict[str, NDArray[np.float64]] = {}
        norm = seed_norm(self._online.gradient) if reported or config.clip_norm is not None else None
        if config.clip_norm is not None and norm is not None:
            self._online.clip_gradient(norm, config.clip_norm)
        before = self._online.packed.clone() if reported else self._online.packed
        self._optimizer.step()
        if reported and norm is not None:
            signs = {
                "loss": row_mean(found.loss),
                "td_error": row_mean((found.target - found.value).detach().abs()),
                **spread("q", found.value),
                **spread("value_target", found.target),
                **{name: row_mean(values) for name, values in found.signs.items()},
                "grad_norm": norm,
                "update_ratio": update_ratio(before, self._online.packed),
                "target_distance": update_ratio(self._target.packed, self._online.packed),
                "replay_age": row_mean(sample.age),
                "exploration": np.full(len(norm), self._explore.share),
            }
        if update % config.target_every == 0:
            self._target.packed.copy_(self._online.packed)
        return signs


def _of_action(outputs: Tensor, action: Tensor) -> Tensor:
    """Return (seed, batch, number) of (seed, batch, action, number) for actions (seed, batch)."""
    index = action[..., None, None].expand(*action.shape, 1, outputs.shape[-1])
    return outputs.gather(-2, index)[..., 0, :]
