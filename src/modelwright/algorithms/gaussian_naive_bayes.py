"""Gaussian naive Bayes: each feature is normal within each class, and independent of the others there.

    pi_k = n_k / n,   mu_kj = mean of feature j over rows of class k                                (1)
    s_kj = variance of feature j over rows of class k, plus e = var_smoothing max_j var_j           (2)
    log p(k, x) = log pi_k - 1/2 sum_j [ log(2 pi s_kj) + (x_j - mu_kj)^2 / s_kj ]                  (3)
    p(k|x) = exp(log p(k, x)) / sum_l exp(log p(l, x))                                              (4)

Variances divide by n_k. e keeps a feature that is constant within a class from being infinitely sure; var_j
is over all training rows. A class without training rows has probability 0. Everything is float64.

Source: Bishop, Pattern Recognition and Machine Learning, sections 4.2.1 and 8.2.2; Hastie, Tibshirani and
Friedman, The Elements of Statistical Learning, section 6.6.3. The smoothing is scikit-learn's.
A healthy run: wine `train_accuracy` 0.985 and `train_loss` 0.05 (held out 0.98 and 0.03). Where features
depend on one another, as pixels of digits do, accuracy stays fair (0.85, held out 0.83) and the loss is large
(3.2): the probabilities are far too sure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.parts.demand import demand
from modelwright.algorithms.parts.separate import SeparateModel
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.base.step import Step
from modelwright.data.experience import Experience

__all__ = ["Bayes", "Config", "fit", "train"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Settings):
    """Gaussian naive Bayes."""

    var_smoothing: float = setting(
        1e-9, doc="Share of the largest variance of a feature that is added to all variances.", above=0
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bayes:
    """What is learnt of one seed's rows.

    Attributes:
        prior: (class,) pi of equation (1).
        mean: (class, feature) mu of equation (1).
        variance: (class, feature) s of equation (2).
    """

    prior: Array
    mean: Array
    variance: Array

    def log_joint(self, table: NDArray[Any]) -> Array:
        """Return equation (3), (row, class), for rows (row, feature); -inf for a class without rows."""
        found = np.full((len(table), len(self.prior)), -np.inf)
        for label in np.flatnonzero(self.prior > 0):
            mean, variance = self.mean[label], self.variance[label]
            far = np.square(table - mean) / variance
            found[:, label] = np.log(self.prior[label]) - 0.5 * (
                np.log(2.0 * np.pi * variance).sum() + far.sum(axis=1)
            )
        return found

    def predict(self, rows: NDArray[Any]) -> Array:
        """Return equation (4), (row, class)."""
        joint = self.log_joint(rows.reshape(len(rows), -1).astype(np.float64))
        powers = np.exp(joint - joint.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return prior, mean and variance."""
        return {"prior": self.prior, "mean": self.mean, "variance": self.variance}


def fit(table: Array, target: NDArray[np.int64], classes: int, var_smoothing: float) -> Bayes:
    """Return equations (1) and (2) of rows (row, feature) with class indices (row,)."""
    largest = float(table.var(axis=0).max())
    # Where no feature varies every variance is 0, and any width gives the same answer.
    smoothing = var_smoothing * (largest if largest > 0 else 1.0)
    count = np.bincount(target, minlength=classes)
    mean = np.zeros((classes, table.shape[1]))
    variance = np.full(mean.shape, smoothing)
    for label in np.flatnonzero(count):
        own = table[target == label]
        mean[label] = own.mean(axis=0)
        variance[label] += own.var(axis=0)
    return Bayes(prior=count / len(target), mean=mean, variance=variance)


def train(experience: Experience, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Fit every seed's rows; one step. Images are flattened.

    Raises:
        BadValue: where the target is not a class, or a training value is missing.
    """
    demand("gaussian_naive_bayes", experience, seeds, tasks=("classification",))
    fitted: list[Bayes] = []
    metrics: dict[str, list[float]] = {}
    for place in range(len(seeds)):
        features, target = experience.of(place)
        table = features.reshape(len(features), -1).astype(np.float64)
        one = fit(table, target, len(experience.classes), config.var_smoothing)
        fitted.append(one)
        probability = one.predict(table)
        joint = one.log_joint(table)
        top = joint.max(axis=1)
        evidence = top + np.log(np.exp(joint - top[:, None]).sum(axis=1))
        numbers = {
            "train_accuracy": (probability.argmax(axis=1) == target).mean(),
            "train_loss": (evidence - joint[np.arange(len(target)), target]).mean(),
            "certain_share": (probability.max(axis=1) > 0.999).mean(),
            "smallest_class": float(np.bincount(target, minlength=len(experience.classes)).min()),
        }
        for name, number in numbers.items():
            metrics.setdefault(name, []).append(float(number))
    arrays = {name: np.array(numbers) for name, numbers in metrics.items()}
    yield Step(update=1, metrics=arrays, model=SeparateModel(fitted))
