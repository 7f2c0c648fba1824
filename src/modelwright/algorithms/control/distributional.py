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

from modelwright.algorithms.control.greedy import Greedy, GreedyLearner
from modelwright.algorithms.control.off_policy import make_batch
from modelwright.algorithms.control.vital_signs import row_mean, spread
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


class DistributionLearner(GreedyLearner):
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
        # The papers' epsilon of Adam, for their batch of 32: 0.01 / 32.
        eps = 0.01 / config.batch_size
        outputs = space.n * rule.numbers
        super().__init__(learner, simulation, seeds, config, name="z", outputs=outputs, eps=eps)
        self._config, self._rule, self._shape = config, rule, (space.n, rule.numbers)
        self.replay = Replay(simulation, seeds, config.capacity, n_step=config.n_step)

    def split(self, outputs: Tensor) -> Tensor:
        """Return the network's numbers (seed, batch, output) as (seed, batch, action, number)."""
        return outputs.unflatten(-1, self._shape)

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """Return argmax_a E Z(s, a); see `base.step.Policy`."""
        outputs = torch.from_numpy(self.network.few(self.online.arrays, self.encode.rows(observation)))
        return self._rule.mean(self.split(outputs)).argmax(dim=-1).numpy()

    def learn(self, update: int, reported: bool) -> dict[str, NDArray[np.float64]]:
        """Do one update; return vital signs where it is reported."""
        config = self._config
        sample = self.replay.sample(config.batch_size)
        batch = make_batch(sample, self.encode, config.gamma)
        following = self.split(self.target_pass.forward(batch.successor))
        # Of its outputs only the best action is kept: the next pass overwrites them.
        chooser = self.split(self.online_pass.forward(batch.successor)) if config.double else following
        following = _of_action(following, self._rule.mean(chooser).argmax(dim=-1))  # (1)
        outputs = self.online_pass.judge(batch.observation)
        found = self._rule.judge(
            _of_action(self.split(outputs), batch.action), following, batch.reward, batch.discount
        )
        (slope,) = torch.autograd.grad(found.loss.mean(dim=1).sum(), outputs)
        signs = self.descend(slope, update, reported)
        if not reported:
            return {}
        return {
            "loss": row_mean(found.loss),
            "td_error": row_mean((found.target - found.value).detach().abs()),
            **spread("q", found.value),
            **spread("value_target", found.target),
            **{name: row_mean(values) for name, values in found.signs.items()},
            **signs,
            "replay_age": row_mean(self.replay.age(sample.rows)),
        }


def _of_action(outputs: Tensor, action: Tensor) -> Tensor:
    """Return (seed, batch, number) of (seed, batch, action, number) for actions (seed, batch)."""
    index = action[..., None, None].expand(*action.shape, 1, outputs.shape[-1])
    return outputs.gather(-2, index)[..., 0, :]
