"""Tables of action values for every seed of a cohort, and how learners act by them and change them.

    Q(s, a) <- Q(s, a) + alpha (y - Q(s, a))                                                     (1)

alpha is constant, or 1 / N(s, a) with the number of updates N that the pair has had: then Q is the mean of
its targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.control.exploration import Exploration
from modelwright.algorithms.control.planning import demand_numbers
from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.data.environments.simulation import Simulation
from modelwright.data.environments.space import Discrete

__all__ = ["ActionTable", "TableLearner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLearner(Settings):
    """The part of a configuration that learners with a table share."""

    total_steps: int = setting(100_000, doc="Environment steps of each seed.", low=1)
    copies: int = setting(1, doc="Copies of the environment that each seed steps side by side.", low=1)
    gamma: float = setting(0.99, doc="Discount.", low=0, high=1)
    step_size: float | None = setting(
        0.1, doc="alpha; null for 1 / N(s, a), the number of updates of the pair.", above=0, high=1
    )
    initial_value: float = setting(
        0.0, doc="Q at the start; above all returns it makes each action tempting until tried."
    )
    explore_first: float = setting(1.0, doc="Share of random actions at the start.", low=0, high=1)
    explore_last: float = setting(0.05, doc="Share of random actions at the end.", low=0, high=1)
    explore_share: float = setting(
        0.5, doc="Part of all steps over which the share of random actions falls.", above=0, high=1
    )
    report_every: int = setting(1000, doc="Steps of each copy between steps of the record.", low=1)
    evaluate_every: int = setting(10_000, doc="Steps of each copy between offers of the policy.", low=1)

    def __post_init__(self) -> None:
        super(TableLearner, self).__post_init__()
        if self.total_steps < self.copies:
            raise BadValue(
                "Each copy does at least one step",
                got=f"total_steps {self.total_steps} for {self.copies} copies",
                nearest=f"total_steps {self.copies}",
            )

    @property
    def rounds(self) -> int:
        """Steps of each copy."""
        return self.total_steps // self.copies

    def reported(self, update: int) -> bool:
        """Return whether this round gives a step of the record."""
        return update % self.report_every == 0 or update == self.rounds

    def offered(self, update: int) -> bool:
        """Return whether the policy is offered in this round's step of the record."""
        return update % self.evaluate_every < self.report_every or update == self.rounds


class ActionTable:
    """Q(s, a) of every seed; also the policy that is greedy by it, see `base.step.Policy`.

    Attributes:
        q: (seed, state, action).
        updates: (seed, state, action) how many updates each pair has had.

    Args:
        learner: Its name, for messages.
        simulation: What is acted in.
        seeds: One per seed; random actions come from the stream `exploration`.
        config: How.

    Raises:
        BadValue: for an environment whose states are not numbered.
    """

    def __init__(
        self, learner: str, simulation: Simulation, seeds: Sequence[Seed], config: TableLearner
    ) -> None:
        states = demand_numbers(learner, simulation.observation_space)
        actions = simulation.action_space
        assert isinstance(actions, Discrete)
        self.q = np.full((len(seeds), states, actions.n), config.initial_value)
        self.updates = np.zeros(self.q.shape, np.int64)
        self._step_size = config.step_size
        self._seed = np.arange(len(seeds))
        self._copies, self._actions = config.copies, actions.n
        self._explore = Exploration(
            seeds,
            config.copies,
            actions.n,
            first=config.explore_first,
            last=config.explore_last,
            steps=config.explore_share * config.total_steps,
        )
        self._before = self.q.copy()
        self._error, self._count = np.zeros(len(seeds)), np.zeros(len(seeds))

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """Return the best actions (seed, copy), of equally good ones the first."""
        return self.rows(observation).argmax(axis=-1)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return `q` and `updates`."""
        return {"q": self.q.copy(), "updates": self.updates.copy()}

    def rows(self, state: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return Q(s, .) for states (seed, copy), (seed, copy, action)."""
        return self.q[self._seed[:, None], state]

    def explore(self, state: NDArray[np.int64], update: int) -> NDArray[np.int64]:
        """Return actions for states (seed, copy) in this round, some of them random."""
        return self._explore(self.act(state), (update - 1) * self._copies)

    @property
    def share(self) -> float:
        """epsilon as last used."""
        return self._explore.share

    def mean(self, state: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean of Q(s, .) over what `explore` would do, (seed, copy)."""
        rows = self.rows(state)
        return (1.0 - self.share) * rows.max(axis=-1) + self.share * rows.mean(axis=-1)

    def move(
        self,
        state: NDArray[np.int64],
        action: NDArray[np.int64],
        target: NDArray[np.float64],
        valid: NDArray[np.bool_] | None,
    ) -> None:
        """Do update (1) for each copy, one after another.

        Args:
            state: (seed, copy).
            action: (seed, copy).
            target: (seed, copy) y.
            valid: (seed, copy) False where nothing happened; None where something did everywhere.
        """
        for copy in range(self._copies):
            seed = self._seed if valid is None else self._seed[valid[:, copy]]
            at = (seed, state[seed, copy], action[seed, copy])
            self.updates[at] += 1
            error = target[seed, copy] - self.q[at]
            alpha = 1.0 / self.updates[at] if self._step_size is None else self._step_size
            self.q[at] += alpha * error
            self._error[seed] += np.abs(error)
            self._count[seed] += 1.0

    def signs(self) -> dict[str, NDArray[np.float64]]:
        """Return vital signs since the last call, each (seed,); those of Q over pairs that were updated."""
        count = len(self._seed)
        seen = self.updates.reshape(count, -1) > 0
        pairs = np.maximum(1, seen.sum(axis=1))
        now, before = self.q.reshape(count, -1), self._before.reshape(count, -1)
        size = _norm(before)
        found = {
            "td_error": self._error / np.maximum(1.0, self._count),
            "q_mean": np.where(seen, now, 0.0).sum(axis=1) / pairs,
            "q_min": np.where(seen, now, np.inf).min(axis=1),
            "q_max": np.where(seen, now, -np.inf).max(axis=1),
            "visits": seen.mean(axis=1),
            "update_ratio": np.divide(_norm(now - before), size, out=np.full(count, np.nan), where=size > 0),
            "exploration": np.full(count, self.share),
        }
        self._before = self.q.copy()
        self._error, self._count = np.zeros(count), np.zeros(count)
        return found


def _norm(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.square(rows).sum(axis=1))
