"""The loop body that DDPG and TD3 share: a deterministic actor, critics, and their targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.continuous import ActionRange, Continuous, Critics
from modelwright.algorithms.control.noise import Noise
from modelwright.algorithms.control.observations import Encoder
from modelwright.algorithms.control.off_policy import Batch
from modelwright.algorithms.control.vital_signs import row_mean, spread, update_ratio
from modelwright.algorithms.networks.adam import Adam
from modelwright.algorithms.networks.dense import Dense, Pass
from modelwright.algorithms.networks.weights import Weights, seed_norm
from modelwright.base.seed import Seed
from modelwright.base.setting import setting
from modelwright.data.environments.simulation import Simulation
from modelwright.data.environments.space import Box
from modelwright.data.replay import Replay

__all__ = ["ACTOR_SIGNS", "Deterministic", "DeterministicAgent"]

ACTOR_SIGNS = ("actor_loss", "actor_grad_norm", "actor_update_ratio", "saturation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deterministic(Continuous):
    """The settings that learners of deterministic policies share."""

    actor_rate: float = setting(1e-3, doc="Size of a step of Adam for the actor.", above=0)
    critic_rate: float = setting(1e-3, doc="Size of a step of Adam for critics.", above=0)
    exploration: float = setting(
        0.1, doc="Deviation of the noise added to actions, in halves of the action's range.", low=0
    )


class DeterministicAgent:
    """mu(s) = middle + scale tanh(f(s)), critics Q_k(s, a), targets of both, and a replay.

    Attributes:
        replay: Where experience is kept.
        critics: Q_k and Q'_k.
        encode: Turns observations into vectors.
        range: Of the actions.
    """

    def __init__(
        self, learner: str, simulation: Simulation, seeds: Sequence[Seed], config: Deterministic, critics: int
    ) -> None:
        space = simulation.action_space
        assert isinstance(space, Box)
        copies = simulation.observation.shape[1]
        self.config = config
        self.replay = Replay(simulation, seeds, min(config.capacity, config.total_steps + copies))
        self.encode = Encoder(learner, simulation.observation_space)
        self.range = ActionRange(space, seeds, copies)
        sizes = (self.encode.size, *config.hidden, self.range.size)
        actor = Dense(name="actor", sizes=sizes, activation="relu")
        self.actor = Weights(actor.uniform(seeds))
        self.actor_target = self.actor.copy()
        self._actor_pass = Pass(actor, self.actor)
        self._target_pass = Pass(actor, self.actor_target)
        self.critics = Critics(seeds, self.encode.size, self.range.size, config.hidden, critics)
        self._actor_step = Adam(self.actor, config.actor_rate)
        self._critic_step = Adam(self.critics.weights, config.critic_rate)
        self._acting = Noise(seeds, "action", (copies, self.range.size), "normal")

    def mu(self, outputs: Tensor) -> Tensor:
        """Return actions (..., action) for what the actor's network gives."""
        return self.range(torch.tanh(outputs))

    def target_action(self, observation: Tensor) -> Tensor:
        """Return mu'(s), (seed, batch, action), for vectors (seed, batch, feature)."""
        return self.mu(self._target_pass.forward(observation))

    def _see(self, observation: NDArray[Any]) -> Tensor:
        return self.mu(self._actor_pass.forward(self.encode(observation)))

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """See `base.step.Policy`."""
        return self._see(observation).numpy()

    def choose(self, observation: NDArray[Any], steps: int) -> NDArray[Any]:
        """Return mu(s) and noise, clipped to the range; uniform actions before learning starts."""
        if steps < self.config.learning_starts:
            return self.range.anywhere()
        noise = self.config.exploration * self.range.scale * torch.from_numpy(self._acting.draw())
        return self.range.clip(self._see(observation) + noise).numpy()

    def state(self) -> dict[str, NDArray[Any]]:
        """See `base.step.Policy`."""
        return {**self.actor.state(), **self.critics.state()}

    def learn_critics(
        self, batch: Batch, target: Tensor, *, reported: bool
    ) -> dict[str, NDArray[np.float64]]:
        """Descend sum_k mean (Q_k(s, a) - y)^2 for targets y (seed, batch)."""
        critics = self.critics
        q = critics.judge(batch.observation, batch.action)
        error = target - q
        critics.differentiate(error.square())
        before = critics.weights.packed.clone() if reported else critics.weights.packed
        self._critic_step.step()
        if not reported:
            return {}
        online = critics.weights.packed
        return {
            "critic_loss": row_mean(error.detach().square().sum(dim=0)),
            "td_error": row_mean(error.detach().abs().amax(dim=0)),
            **({"critic_gap": row_mean(q.amax(dim=0) - q.amin(dim=0))} if len(q) > 1 else {}),
            **spread("q", q.amin(dim=0)),
            **spread("value_target", target),
            "critic_grad_norm": critics.per_seed(seed_norm(critics.weights.gradient)),
            "update_ratio": critics.ratio(before, online),
            "target_distance": critics.ratio(critics.target.packed, online),
            "replay_age": row_mean(self.replay.age(batch.rows)),
        }

    def learn_actor(self, batch: Batch, *, reported: bool) -> dict[str, NDArray[np.float64]]:
        """Climb mean Q_1(s, mu(s))."""
        outputs = self._actor_pass.judge(batch.observation)
        action = self.mu(outputs)
        loss = -self.critics.judge_first(batch.observation, action.detach())[0]
        of_action = self.critics.slope_of_action(loss, first=True)
        (slope,) = torch.autograd.grad(action, outputs, of_action)
        self._actor_pass.backward(slope)
        before = self.actor.packed.clone() if reported else self.actor.packed
        self._actor_step.step()
        if not reported:
            return {}
        reach = ((action.detach() - self.range.middle) / self.range.scale).abs()
        return {
            "actor_loss": row_mean(loss),
            "actor_grad_norm": seed_norm(self.actor.gradient),
            "actor_update_ratio": update_ratio(before, self.actor.packed),
            # tanh far from zero has no slope: an actor that lives there learns no more.
            "saturation": row_mean((reach > 0.99).float()),
        }

    def follow(self) -> None:
        """Let targets go a part of the way to the online networks."""
        self.critics.target.packed.lerp_(self.critics.weights.packed, self.config.tau)
        self.actor_target.packed.lerp_(self.actor.packed, self.config.tau)
