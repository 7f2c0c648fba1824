"""Decision tree for classes or values (CART).

    grow: in each node take the question x_j <= c with the least  |N_l| I(l) + |N_r| I(r)          (1)
    I = Gini 1 - sum_k p_k^2, or entropy -sum_k p_k log2 p_k, or the variance of values            (2)
    a node is a leaf where it is pure, `max_depth` deep, or has no question that leaves
    `min_samples_leaf` rows on both sides
    predict: the shares of classes, or the mean, of the training rows in the row's leaf            (3)

The tree is grown in `tree`, which gives (1) and (2) in full. Thresholds are midpoints, as scikit-learn's are,
so the trees of both are equal node by node, except where two questions part the rows equally well: here the
first feature wins, there one drawn at random.

Source: Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984, sections 2.4, 4.3 and
8.3. Differs: there is no pruning; `max_depth` and `min_samples_leaf` bound the tree.
A healthy run: without bounds `train_impurity` is 0 and `train_accuracy` 1 unless equal rows have different
answers; that says nothing of held-out rows. Breast cancer: 18 leaves, held out 0.92; diabetes: 324 leaves
for 331 rows, held out rmse 78, and 64 with `max_depth` 3.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.parts.demand import demand
from modelwright.algorithms.parts.separate import SeparateModel
from modelwright.algorithms.parts.tree import Tree, grow, sort_rows
from modelwright.base.errors import BadValue
from modelwright.base.metric import Task
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.base.step import Step
from modelwright.data.experience import Experience

__all__ = ["Config", "train"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Settings):
    """Decision tree."""

    criterion: str = setting(
        "gini",
        doc="Impurity of classes; values always take squared error.",
        choices=("gini", "entropy"),
    )
    max_depth: int | None = setting(
        None, doc="Most questions on the way to a leaf; null for no limit.", low=1
    )
    min_samples_leaf: int = setting(1, doc="Fewest training rows of a leaf.", low=1)


class _FittedTree:
    """The tree of one seed; equation (3)."""

    def __init__(self, tree: Tree, task: Task) -> None:
        self._tree = tree
        self._task = task

    def predict(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return values (row,) or probabilities (row, class)."""
        found = self._tree.value[self._tree.leaf(rows.reshape(len(rows), -1))]
        return found if self._task == "classification" else found[:, 0]

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the tree's arrays."""
        return self._tree.state()


def train(experience: Experience, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Grow one tree on every seed's rows; one step. Images are flattened.

    Raises:
        BadValue: where a training value is missing, or entropy is asked for with values.
    """
    demand("decision_tree", experience, seeds, tasks=("classification", "regression"))
    classify = experience.task == "classification"
    if not classify and config.criterion == "entropy":
        raise BadValue(
            "entropy is an impurity of classes", got="a regression target", next_step="leave criterion out"
        )
    trees: list[Tree] = []
    metrics: dict[str, list[float]] = {}
    for place in range(len(seeds)):
        features, target = experience.of(place)
        table = features.reshape(len(features), -1)
        answers = np.eye(len(experience.classes))[target] if classify else target[:, None]
        tree = grow(
            table,
            answers,
            sort_rows(table),
            criterion=config.criterion if classify else "squared_error",
            max_depth=config.max_depth,
            min_samples_leaf=config.min_samples_leaf,
        )
        trees.append(tree)
        for name, number in _measure(tree, table, target, classify=classify).items():
            metrics.setdefault(name, []).append(number)
    model = SeparateModel([_FittedTree(tree, experience.task) for tree in trees])
    yield Step(update=1, metrics={name: np.array(numbers) for name, numbers in metrics.items()}, model=model)


def _measure(
    tree: Tree, table: NDArray[np.float32], target: NDArray[Any], *, classify: bool
) -> dict[str, float]:
    leaf = tree.leaf(table)
    found = tree.value[leaf]
    score = (
        {"train_accuracy": float((found.argmax(axis=1) == target).mean())}
        if classify
        else {"train_rmse": float(np.sqrt(np.square(found[:, 0] - target).mean()))}
    )
    return {
        **score,
        "train_impurity": float(tree.impurity[leaf].mean()),
        "depth": float(tree.depth.max()),
        "leaves": float(tree.leaves),
        "smallest_leaf": float(tree.rows[tree.feature < 0].min()),
    }
