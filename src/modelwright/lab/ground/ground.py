"""What the rest of the lab asks of data and of environments alike, so that it need not tell them apart.

design.data, design.split              ->  Rows      part: a split            offered: a model
design.environment, design.evaluation  ->  Episodes  part: fresh episodes     offered: a policy
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding
from modelwright.base.seed import Seed
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment
from modelwright.data.experience import Experience
from modelwright.experiment.question import Question

__all__ = ["Examiner", "Ground", "Part", "measured_name"]


class Part(Protocol):
    """What one seed learns from and is measured on."""

    @property
    def identity(self) -> str:
        """The sha256 of all that makes it so; part of a trial's address."""
        ...


class Examiner(Protocol):
    """Measures a cohort; the learner does not see on what."""

    def examine(self, step: Step) -> Mapping[str, NDArray[np.float64]]:
        """Return the design's metric, (seed,) under its recorded name, and what else was measured.

        NaN is the number of a seed that has diverged. Empty where the step offers nothing to measure.
        """
        ...


class Ground(Protocol):
    """What all trials of a design share; sent to each worker once, so it can be pickled."""

    @property
    def kind(self) -> str:
        """`rows` or `environment`: what a learner on it must learn from."""
        ...

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def identity(self) -> str:
        """The sha256 of all of it that can change a number."""
        ...

    def record(self) -> Mapping[str, Any]:
        """Return identity, origin, transformations and how seeds part it, for the lineage."""
        ...

    def sources(self) -> tuple[Path, ...]:
        """Return the files of code that it is made of; they belong to the code of every learner on it."""
        ...

    def part(self, seed: Seed, root: str) -> Part:
        """Return what a seed gets.

        Args:
            seed: The trial's.
            root: Text that the seeds of the experiment derive from, for what all of them share.

        Raises:
            BadValue: where it cannot be parted as the design says.
        """
        ...

    def experience(self, parts: Sequence[Part]) -> Experience | Environment:
        """Return what a cohort may see, one part per seed."""
        ...

    def examiner(self, question: Question, parts: Sequence[Part], seeds: Sequence[Seed]) -> Examiner:
        """Return what measures a cohort by the question's metric."""
        ...

    def check(self, parts: Sequence[Part], seed: Seed) -> tuple[Finding, ...]:
        """Return what is wrong with it, before anybody learns.

        Args:
            parts: Of all seeds.
            seed: For checks that draw.
        """
        ...

    def inflation(self, parts: Sequence[Part]) -> float:
        """Return n_test / n_train, by which conclusions about new data are widened; the greatest of all."""
        ...


def measured_name(question: Question) -> str:
    """Return the name under which the design's metric is recorded."""
    if question.reported:
        return question.metric
    return f"{'evaluation' if question.is_of_episodes else 'test'}_{question.metric}"
