"""Acting, keeping and learning in turn: the loop that learners with a replay share.

Every `train_every` environment steps the learner does `updates_each` updates with batches from its replay.
What an algorithm is about (how it chooses, what it descends) stands in its own file.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.episodes import Episodes
from modelwright.algorithms.control.observations import Encoder
from modelwright.algorithms.control.returns import n_step_returns
from modelwright.base.errors import BadValue
from modelwright.base.setting import Settings, setting
from modelwright.base.step import Policy, Step
from modelwright.data.environments.simulation import Simulation, Transition
from modelwright.data.environments.space import within
from modelwright.data.replay import Sample

__all__ = ["Batch", "OffPolicy", "interact", "make_batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicy(Settings):
    """How experience is gathered and used; the part of a configuration that learners with a replay share."""

    total_steps: int = setting(100_000, doc="Environment steps of each seed.", low=1)
    copies: int = setting(1, doc="Copies of the environment that each seed steps side by side.", low=1)
    capacity: int = setting(10_000, doc="Steps that each seed's replay keeps.", low=1)
    batch_size: int = setting(128, doc="Steps in a batch of one seed.", low=1)
    learning_starts: int = setting(10_000, doc="Environment steps before the first update.", low=1)
    train_every: int = setting(10, doc="Steps of each copy between updates.", low=1)
    updates_each: int = setting(1, doc="Updates at a time.", low=1)
    gamma: float = setting(0.99, doc="Discount.", low=0, high=1)
    report_every: int = setting(100, doc="Updates between steps of the record.", low=1)
    evaluate_every: int = setting(1000, doc="Updates between steps that offer the policy.", low=1)

    def __post_init__(self) -> None:
        super(OffPolicy, self).__post_init__()
        if self.learning_starts + self.train_every * self.copies > self.total_steps:
            raise BadValue(
                "Learning starts before all steps are done",
                got=f"learning_starts {self.learning_starts} of total_steps {self.total_steps}",
                next_step="lower learning_starts (and train_every), or raise total_steps",
            )

    @property
    def first_round(self) -> int:
        """Steps of each copy until the first update."""
        begins = -(-self.learning_starts // self.copies)
        return -(-begins // self.train_every) * self.train_every


class Keeps(Protocol):
    """What experience is added to."""

    def add(self, observation: NDArray[Any], action: NDArray[Any], transition: Transition) -> None:
        """See `Replay.add`."""
        ...


def interact(
    simulation: Simulation,
    config: OffPolicy,
    replay: Keeps,
    choose: Callable[[NDArray[Any], int], NDArray[Any]],
    learn: Callable[[int, bool], Mapping[str, NDArray[np.float64]]],
    policy: Policy,
) -> Iterator[Step]:
    """Act, keep and learn to the end of the budget; one step a group of updates.

    Args:
        simulation: Goes on where it is.
        config: How often.
        replay: Keeps experience.
        choose: Gives actions (seed, copy, ...) for observations and the number of environment steps so far.
        learn: Does one update, given its number and whether it is reported; returns its vital signs if so.
        policy: What is offered for evaluation.
    """
    seeds, copies = simulation.observation.shape[:2]
    episodes = Episodes(seeds, copies)
    update, rounds = 0, config.total_steps // copies
    first = config.first_round
    trainings = (rounds - first) // config.train_every + 1
    last = trainings * config.updates_each
    for taken in range(1, rounds + 1):
        observation = simulation.observation
        action = within(simulation.action_space, choose(observation, (taken - 1) * copies))
        transition = simulation.step(action)
        replay.add(observation, action, transition)
        episodes.add(transition)
        if taken < first or taken % config.train_every:
            continue
        for _ in range(config.updates_each):
            update += 1
            reported = update % config.report_every == 0 or update == last
            signs = learn(update, reported)
            if reported:
                offered = update % config.evaluate_every < config.report_every or update == last
                metrics = {**episodes.metrics(), **signs}
                yield Step(update=update, metrics=metrics, policy=policy if offered else None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """What a target is made of; arrays are (seed, batch, ...).

    Attributes:
        observation: Encoded.
        action: Number or values.
        reward: Discounted sum of the rewards of the stretch.
        discount: gamma^m for a stretch of m steps, 0 where the task terminated in it: what V of the successor
            counts for.
        successor: Encoded.
        rows: Where it lies in the replay.
    """

    observation: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    successor: Tensor
    rows: NDArray[np.int64]


@np.errstate(over="ignore")  # of a seed that has diverged
def make_batch(sample: Sample, encode: Encoder, gamma: float) -> Batch:
    """Return drawn stretches as tensors."""
    count, batch, n = sample.reward.shape
    if n == 1:
        reward = sample.reward[..., 0]
        discount = ~sample.terminated[..., 0] * np.float32(gamma)
    else:
        flat = (count * batch, n)
        total, steps, terminated = n_step_returns(
            sample.reward.reshape(flat), sample.terminated.reshape(flat), sample.ended.reshape(flat), gamma
        )
        reward = total.reshape(count, batch)
        discount = np.where(terminated, 0.0, gamma**steps).reshape(count, batch)
    return Batch(
        observation=encode(sample.observation),
        action=torch.from_numpy(sample.action),
        reward=torch.from_numpy(reward.astype(np.float32, copy=False)),
        discount=torch.from_numpy(discount.astype(np.float32, copy=False)),
        successor=encode(sample.successor),
        rows=sample.rows,
    )
