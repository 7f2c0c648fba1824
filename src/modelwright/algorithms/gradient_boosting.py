"""Gradient-boosted regression trees for classes or values.

    F_0 = mean(y)   for values;   log(p / (1 - p)) for two classes;   log p_k for more             (1)
    round m = 1 .. rounds:
      r = -dL/dF at F_(m-1):   y - F,   or  y - 1 / (1 + exp(-F)),   or  1(y = k) - p_k             (2)
      R_j = leaves of a tree grown on r by squared error (for classes k > 2 one tree a class)      (3)
      gamma_j = the step that lowers the loss most within R_j, by one step of Newton for classes:
        values       mean of r                                                                     (4)
        two classes  sum r / sum |r| (1 - |r|)                                                     (5)
        K classes    (K - 1) / K  sum r / sum |r| (1 - |r|)                                        (6)
      F_m(x) = F_(m-1)(x) + learning_rate gamma_j   for x in R_j                                   (7)
    L = (y - F)^2 / 2 for values, -log p_y for classes; p = softmax(F)

With `subsample` below 1 each round's trees and leaf values come from a share of the rows, drawn without
replacement; the rows left out say how much the round improved what it did not see.

Source: Friedman 2001, algorithms 2 (values), 5 (two classes) and 6 (more), equation 36 for shrinkage;
Friedman 2002 for subsampling. For two classes F is the log-odds, twice Friedman's.
A healthy run: `train_loss` falls in every round, fast and then slowly, and `residual` with it;
on diabetes `train_rmse` is 73, 53, 37 and 29 after 1, 10, 50 and 100 rounds, and the held-out one least (60)
near round 50; on breast cancer `train_loss` is 0.57, 0.22, 0.015 and 0.002.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.parts.demand import demand
from modelwright.algorithms.parts.separate import SeparateModel
from modelwright.algorithms.parts.tree import Tree, grow, sort_rows
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.base.step import Step
from modelwright.data.experience import Experience

__all__ = ["Config", "first_scores", "leaf_values", "losses", "negative_gradient", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Settings):
    """Gradient-boosted trees."""

    rounds: int = setting(
        100, doc="Number of rounds; each adds a tree, or one for each of three and more classes.", low=1
    )
    learning_rate: float = setting(0.1, doc="Share of each leaf's value that is added.", above=0)
    max_depth: int = setting(3, doc="Most questions on the way to a leaf of one tree.", low=1)
    min_samples_leaf: int = setting(1, doc="Fewest rows of a leaf.", low=1)
    subsample: float = setting(1.0, doc="Share of the rows that a round sees.", above=0, high=1)
    evaluate_every: int = setting(10, doc="Rounds between steps that offer the model for evaluation.", low=1)


def first_scores(target: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Return F_0 of equation (1), (score,): one for values and two classes, else one for each class.

    A class without rows counts as half a row, so that its score is finite.

    Args:
        target: (row,) values, or class indices.
        classes: How many; 0 for values.
    """
    if classes == 0:
        return np.array([target.mean()])
    share = np.maximum(np.bincount(target, minlength=classes), 0.5) / len(target)
    return np.array([np.log(share[1] / share[0])]) if classes == 2 else np.log(share)


def probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of each class, (row, class), from scores (row, score)."""
    if scores.shape[1] == 1:
        scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def losses(scores: NDArray[np.float64], target: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Return (y - F)^2 for values, -log p_y for classes, (row,)."""
    if classes == 0:
        return np.square(target - scores[:, 0])
    logits = np.concatenate([np.zeros_like(scores), scores], axis=1) if classes == 2 else scores
    logits = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(target)), target]


def negative_gradient(scores: NDArray[np.float64], target: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Return r of equation (2), (row, score).

    Args:
        scores: (row, score) F of the round before.
        target: (row,) values, or class indices.
        classes: How many; 0 for values.
    """
    if classes == 0:
        return target[:, None] - scores
    if classes == 2:
        return target[:, None] - probabilities(scores)[:, 1:]
    return np.eye(classes)[target] - probabilities(scores)


def leaf_values(
    residual: NDArray[np.float64], leaf: NDArray[np.int64], nodes: int, classes: int
) -> NDArray[np.float64]:
    """Return gamma of equations (4) to (6), (node,); 0 where no row is.

    Args:
        residual: (row,) r of one tree.
        leaf: (row,) the leaf of each row.
        nodes: How many nodes the tree has.
        classes: How many; 0 for values.
    """
    total = np.bincount(leaf, weights=residual, minlength=nodes)
    if classes == 0:
        weight = np.bincount(leaf, minlength=nodes).astype(np.float64)
    else:
        size = np.abs(residual)
        weight = np.bincount(leaf, weights=size * (1.0 - size), minlength=nodes)
        if classes > 2:
            total = total * (classes - 1) / classes
    # Where every row is certain there is nothing left to gain.
    return np.divide(total, weight, where=weight > 1e-150, out=np.zeros(nodes))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Branch:
    """One tree with its shrunken leaf values."""

    tree: Tree
    value: NDArray[np.float64]


class _Boosted:
    """The trees of one seed, and the scores of its training rows."""

    def __init__(self, features: NDArray[np.float32], target: NDArray[Any], classes: int, seed: Seed) -> None:
        self._table = np.ascontiguousarray(features.reshape(len(features), -1))
        self._target = target
        self._classes = classes
        self._generator = seed.generator("subsample")
        self._order = sort_rows(self._table)
        self._first = first_scores(target, classes)
        self._scores = np.tile(self._first, (len(target), 1))
        self._rounds: list[list[_Branch]] = []

    def boost(self, config: Config) -> dict[str, float]:
        """Do one round, equations (2) to (7), and return its metrics."""
        rows = len(self._target)
        drawn = np.ones(rows, dtype=bool)
        order = self._order
        if config.subsample < 1.0:
            drawn[:] = False
            drawn[self._generator.permutation(rows)[: max(1, int(config.subsample * rows))]] = True
            order = order[drawn[order]].reshape(len(order), -1)
        before = losses(self._scores, self._target, self._classes)
        residual = negative_gradient(self._scores, self._target, self._classes)
        branches: list[_Branch] = []
        for part in range(residual.shape[1]):
            tree = grow(
                self._table,
                residual[:, part : part + 1],
                order,
                criterion="squared_error",
                max_depth=config.max_depth,
                min_samples_leaf=config.min_samples_leaf,
            )
            leaf = tree.leaf(self._table)
            value = config.learning_rate * leaf_values(
                residual[drawn, part], leaf[drawn], len(tree.feature), self._classes
            )
            self._scores[:, part] += value[leaf]
            branches.append(_Branch(tree=tree, value=value))
        self._rounds.append(branches)
        return self._measure(residual, before, drawn, branches)

    def _measure(
        self,
        residual: NDArray[np.float64],
        before: NDArray[np.float64],
        drawn: NDArray[np.bool_],
        branches: Sequence[_Branch],
    ) -> dict[str, float]:
        after = losses(self._scores, self._target, self._classes)
        if self._classes:
            guess = probabilities(self._scores).argmax(axis=1)
            score = {"train_accuracy": float((guess == self._target).mean())}
        else:
            score = {"train_rmse": float(np.sqrt(after.mean()))}
        if not drawn.all():
            score["out_of_bag_gain"] = float((before - after)[~drawn].mean())
        return {
            **score,
            "train_loss": float(after.mean()),
            "residual": float(np.sqrt(np.square(residual).mean())),
            "largest_leaf": float(max(np.abs(branch.value).max() for branch in branches)),
            "leaves": float(np.mean([branch.tree.leaves for branch in branches])),
        }

    def predict(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return values (row,) or probabilities (row, class)."""
        table = rows.reshape(len(rows), -1)
        scores = np.tile(self._first, (len(table), 1))
        for branches in self._rounds:
            for part, branch in enumerate(branches):
                scores[:, part] += branch.value[branch.tree.leaf(table)]
        return probabilities(scores) if self._classes else scores[:, 0]

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return all trees one after another; the trees of a round are neighbours.

        `first_node` says where each tree begins; `left` and `right` count from there.
        """
        branches = [branch for one in self._rounds for branch in one]
        sizes = np.array([0, *(len(branch.value) for branch in branches)])
        joined = {
            name: np.concatenate([getattr(branch.tree, name) for branch in branches])
            for name in ("feature", "threshold", "left", "right")
        }
        value = np.concatenate([branch.value for branch in branches])
        return {**joined, "value": value, "first_node": np.cumsum(sizes)[:-1], "first_score": self._first}


def train(experience: Experience, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Boost trees on every seed's rows; one step a round. Images are flattened.

    Raises:
        BadValue: where a training value is missing.
    """
    demand("gradient_boosting", experience, seeds, tasks=("classification", "regression"))
    classes = len(experience.classes) if experience.task == "classification" else 0
    boosted = [_Boosted(*experience.of(place), classes, seed) for place, seed in enumerate(seeds)]
    model = SeparateModel(boosted)
    for number in range(1, config.rounds + 1):
        found = [one.boost(config) for one in boosted]
        metrics = {name: np.array([numbers[name] for numbers in found]) for name in found[0]}
        offered = number % config.evaluate_every == 0 or number == config.rounds
        yield Step(update=number, metrics=metrics, model=model if offered else None)
