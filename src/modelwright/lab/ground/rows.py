"""Rows of data as ground: training rows to learn from, held-out rows to be measured on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.finding import Finding
from modelwright.base.metric import find_metric
from modelwright.base.seed import Seed, derive_seeds
from modelwright.base.step import Step
from modelwright.data.checks import check_data
from modelwright.data.dataset import Dataset
from modelwright.data.experience import Experience
from modelwright.data.split import Split, SplitPlan, make_split
from modelwright.experiment.question import Question
from modelwright.lab.ground.ground import Part, measured_name

__all__ = ["Rows", "fixed_split_seed"]


def fixed_split_seed(root: str) -> Seed:
    """Return the seed of the one split that all seeds share, where a design fixes it."""
    return derive_seeds(f"{root}/fixed-split", 1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A dataset and how each seed parts it; see `Ground`."""

    dataset: Dataset
    plan: SplitPlan

    @property
    def kind(self) -> str:
        """`rows`."""
        return "rows"

    @property
    def name(self) -> str:
        """What people call the data."""
        return self.dataset.name

    @property
    def identity(self) -> str:
        """Of the data, whatever their parts."""
        return self.dataset.identity

    def record(self) -> Mapping[str, Any]:
        """See `Ground`."""
        return {
            "identity": self.dataset.identity,
            "origin": self.dataset.origin,
            "transformations": self.dataset.transformations,
            "split": self.plan,
        }

    def sources(self) -> tuple[Path, ...]:
        """Return nothing: data hold no code."""
        return ()

    def part(self, seed: Seed, root: str) -> Split:
        """Return a seed's split; one for all where the plan shares it."""
        return make_split(self.dataset, self.plan, fixed_split_seed(root) if self.plan.shared else seed)

    def experience(self, parts: Sequence[Part]) -> Experience:
        """Return the training rows of each part."""
        return self.dataset.experience(_splits(parts))

    def examiner(self, question: Question, parts: Sequence[Part], seeds: Sequence[Seed]) -> "_HeldOut":
        """Return what measures models on the held-out rows of each part."""
        return _HeldOut(question, self.dataset, _splits(parts))

    def check(self, parts: Sequence[Part], seed: Seed) -> tuple[Finding, ...]:
        """See `Ground`."""
        return tuple(check_data(self.dataset, _splits(parts), seed=seed))

    def inflation(self, parts: Sequence[Part]) -> float:
        """Return n_test / n_train; grouped splits differ in it, and the widest correction is the safe one."""
        return max(len(split.test) / len(split.train) for split in _splits(parts))


def _splits(parts: Sequence[Part]) -> Sequence[Split]:
    return cast("Sequence[Split]", parts)


class _HeldOut:
    def __init__(self, question: Question, dataset: Dataset, splits: Sequence[Split]) -> None:
        self._metric = find_metric(question.metric)
        self._name = measured_name(question)
        self._features = [dataset.features[split.test] for split in splits]
        self._targets = [dataset.target[split.test] for split in splits]

    def examine(self, step: Step) -> Mapping[str, NDArray[np.float64]]:
        model, metric = step.model, self._metric
        if model is None:
            return {}
        if metric.probabilities and not getattr(model, "probabilistic", True):
            raise BadValue(
                f"{metric.name} reads probabilities of classes, and this model predicts classes only",
                got=metric.name,
                nearest="accuracy",
                next_step="choose a metric of classes, or a learner with predict_proba",
            )
        pairs = zip(self._targets, model.predict(self._features), strict=True)
        return {self._name: np.array([metric.compute(target, found) for target, found in pairs])}
