"""An environment as ground: experience to be made in it, and fresh episodes to be measured in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.finding import Finding
from modelwright.base.fingerprint import fingerprint
from modelwright.base.metric import find_metric
from modelwright.base.seed import Seed
from modelwright.base.step import Policy, Step
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.simulation import Simulation
from modelwright.data.environments.space import Box, within
from modelwright.experiment.evaluation import Evaluation
from modelwright.experiment.question import Question
from modelwright.lab.ground.environment_origin import describe_environment
from modelwright.lab.ground.ground import Part, measured_name

__all__ = ["Episodes", "FreshEpisodes"]

_LONGEST = 200_000
"""Steps after which an evaluation episode is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshEpisodes:
    """What a seed is measured in: episodes of its own; which, its seed says."""

    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Episodes:
    """An environment and how policies are measured in it; see `Ground`.

    Attributes:
        environment: The environment.
        evaluation: How many episodes.
        root: The project's folder, which an environment of the user's is relative to.
        identity: Of the environment: settings, versions and, where it is the user's, source.
        origin: The same in words, with its spaces.
    """

    environment: Environment
    evaluation: Evaluation
    root: Path
    identity: str
    origin: Mapping[str, Any]

    @staticmethod
    def of(environment: Environment, evaluation: Evaluation, root: Path) -> "Episodes":
        """Return the ground, with the environment's identity as it is now.

        Raises:
            UnknownName, BadValue, SourceMissing, WorkerLost: for an environment that cannot be made.
        """
        origin = {**describe_environment(environment.at(root)), "name": environment.name}
        return Episodes(
            environment=environment,
            evaluation=evaluation,
            root=root,
            identity=environment.identity(root),
            origin=origin,
        )

    @property
    def kind(self) -> str:
        """`environment`."""
        return "environment"

    @property
    def name(self) -> str:
        """The environment's."""
        return self.environment.name

    def record(self) -> Mapping[str, Any]:
        """See `Ground`."""
        return {
            "identity": self.identity,
            "origin": self.origin,
            "transformations": (),
            "evaluation": self.evaluation,
        }

    def sources(self) -> tuple[Path, ...]:
        """Return the files of an environment that is the user's, or ours."""
        return self.environment.sources(self.root)

    def part(self, seed: Seed, root: str) -> FreshEpisodes:
        """Return the same for every seed: what differs is what its own streams give."""
        parts = {"environment": self.identity, "evaluation": self.evaluation}
        return FreshEpisodes(identity=fingerprint(parts))

    def experience(self, parts: Sequence[Part]) -> Environment:
        """Return the environment, which can be made from anywhere."""
        return self.environment.at(self.root)

    def examiner(self, question: Question, parts: Sequence[Part], seeds: Sequence[Seed]) -> "_Played":
        """Return what measures policies in fresh episodes."""
        # Of a stream of their own: nothing that is measured was ever seen while learning, or could be.
        own = [seed.child("evaluation") for seed in seeds]
        return _Played(question, self.environment.at(self.root), own, self.evaluation.episodes)

    def check(self, parts: Sequence[Part], seed: Seed) -> tuple[Finding, ...]:
        """Return nothing: there are no rows to check. Broken interfaces are refused when it is made."""
        return ()

    def inflation(self, parts: Sequence[Part]) -> float:
        """Return 0: runs share no rows."""
        return 0.0


class _Played:
    def __init__(
        self, question: Question, environment: Environment, seeds: Sequence[Seed], episodes: int
    ) -> None:
        self._metric = find_metric(question.metric)
        self._name = measured_name(question)
        self._environment = environment
        self._seeds = seeds
        self._episodes = episodes

    def examine(self, step: Step) -> Mapping[str, NDArray[np.float64]]:
        if step.policy is None:
            return {}
        simulation = self._environment.simulate(self._seeds, self._episodes)
        try:
            lengths, returns = _play(self._environment, simulation, step.policy)
        finally:
            simulation.close()
        pairs = zip(lengths, returns, strict=True)
        return {
            self._name: np.array([self._metric.compute_episodes(length, value) for length, value in pairs]),
            "evaluation_length": np.where(np.isfinite(returns).all(axis=1), lengths.mean(axis=1), np.nan),
        }


def _play(
    environment: Environment, simulation: Simulation, policy: Policy
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lengths and returns (seed, copy) of the first episode of every copy.

    Only the first: copies that are good at ending early would otherwise be counted more often. A seed that
    acts with what is no number gets returns that are none.
    """
    lead = simulation.observation.shape[:2]
    returns, lengths = np.zeros(lead), np.zeros(lead)
    at_work = np.ones(lead, np.bool_)
    space = simulation.action_space
    while at_work.any():
        action = policy.act(simulation.observation)
        if isinstance(space, Box):
            broken = ~np.isfinite(action.reshape(*lead, -1)).all(axis=-1)
            returns[broken & at_work] = np.nan
            # In the place of no number anything will do: the episode counts no longer.
            action = within(space, action)
        found = simulation.step(action)
        counted = at_work if found.valid is None else at_work & found.valid
        returns[counted] += found.reward[counted]
        lengths[counted] += 1
        at_work &= ~found.ended
        if lengths.max() >= _LONGEST:
            raise BadValue(
                f"Episodes of {environment.name} end",
                got=f"one of more than {_LONGEST:,} steps in the evaluation",
                next_step="set environment.time_limit",
            )
    return lengths, returns
