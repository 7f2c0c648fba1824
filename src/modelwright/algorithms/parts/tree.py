"""Growing and reading one decision tree.

    node t with rows N_t:  mean answer m_t = 1/|N_t| sum_i y_i
    squared error:  I(t) = 1/|N_t| sum_i |y_i - m_t|^2                                              (1)
    of one-hot classes that is Gini's 1 - sum_k p_k^2
    entropy:        I(t) = -sum_k p_k log2 p_k                                                      (2)
    split s = (feature j, threshold c):  x_j <= c goes left
    choose s with the least  |N_l| I(l) + |N_r| I(r)                                                (3)

The candidates are all midpoints between neighbouring different values of a feature in the node. Of equally
good splits the first feature's lowest wins. For (1) the sum in (3) is least where |S_l|^2 / n_l +
|S_r|^2 / n_r is greatest, S being sums of answers, so one pass over each sorted feature tries them all.

Source: Breiman, Friedman, Olshen and Stone 1984, sections 2.4 and 8.3; Hastie, Tibshirani and Friedman, The
Elements of Statistical Learning, section 9.2.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tree", "best_split", "grow", "sort_rows"]

_APART = np.float32(1e-7)
"""Values that lie no further apart than this count as one, as in scikit-learn."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tree:
    """A binary tree; nodes are numbered from the root, each left branch before the right one.

    Attributes:
        feature: (node,) int64 the feature that is asked; -1 in a leaf.
        threshold: (node,) float64; rows with at most this go left. NaN in a leaf.
        left: (node,) int64 number of the left branch; -1 in a leaf.
        right: (node,) int64 number of the right branch; -1 in a leaf.
        value: (node, answer) float64 mean answer of the node's rows.
        impurity: (node,) float64, equation (1) or (2).
        rows: (node,) int64 how many rows the node had.
        depth: (node,) int64 questions asked before it.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]
    impurity: NDArray[np.float64]
    rows: NDArray[np.int64]
    depth: NDArray[np.int64]

    def leaf(self, table: NDArray[Any]) -> NDArray[np.int64]:
        """Return the number of the leaf that each row of `table` (row, feature) ends in."""
        node = np.zeros(len(table), np.int64)
        for _ in range(int(self.depth.max())):
            inside = np.flatnonzero(self.feature[node] >= 0)
            at = node[inside]
            goes_left = table[inside, self.feature[at]] <= self.threshold[at]
            node[inside] = np.where(goes_left, self.left[at], self.right[at])
        return node

    @property
    def leaves(self) -> int:
        """How many leaves it has."""
        return int((self.feature < 0).sum())

    def state(self) -> dict[str, NDArray[Any]]:
        """Return every attribute by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def sort_rows(table: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the rows of `table` (row, feature) in the order of each feature, (feature, row)."""
    return np.argsort(table, axis=0, kind="stable").T.copy()


def grow(
    table: NDArray[np.float32],
    answers: NDArray[np.float64],
    order: NDArray[np.int64],
    *,
    criterion: str,
    max_depth: int | None,
    min_samples_leaf: int,
) -> Tree:
    """Return the tree that equation (3) grows from the root down.

    Args:
        table: (row, feature).
        answers: (row, answer) values for `squared_error`, classes one-hot for `gini` and `entropy`.
        order: (feature, row) rows to grow on, in the order of each feature; see `sort_rows`.
        criterion: The impurity: equation (1) for `squared_error` and `gini`, (2) for `entropy`.
        max_depth: Most questions on the way to a leaf; None for no limit.
        min_samples_leaf: Fewest rows of a leaf.
    """
    by_feature, by_answer = np.ascontiguousarray(table.T), np.ascontiguousarray(answers.T)
    entropy = criterion == "entropy"
    nodes: list[_Node] = []
    goes_left = np.zeros(len(table), dtype=bool)
    waiting: list[tuple[NDArray[np.int64], int, _Node | None, bool]] = [(order, 0, None, False)]
    while waiting:
        own, depth, parent, is_left = waiting.pop()
        if parent is not None and is_left:
            parent.left = len(nodes)
        elif parent is not None:
            parent.right = len(nodes)
        given = by_answer[:, own[0]]
        mean = given.mean(axis=1)
        impurity = _impurity(given, mean, entropy=entropy)
        node = _Node(mean, impurity, given.shape[1], depth)
        nodes.append(node)
        if depth == max_depth or impurity <= np.finfo(np.float64).eps:
            continue
        # Sums of values lose digits to a large mean; counts of classes are exact as they are.
        centre = mean[:, None, None] if criterion == "squared_error" else 0.0
        values = np.take_along_axis(by_feature, own, axis=1)
        split = best_split(values, by_answer[:, own] - centre, min_samples_leaf, entropy=entropy)
        if split is None:
            continue
        node.feature, place = split
        node.threshold = _between(values[node.feature, place - 1], values[node.feature, place])
        goes_left[own[node.feature, :place]] = True
        lefts = goes_left[own]
        goes_left[own[node.feature]] = False
        for kept, on_left in ((~lefts, False), (lefts, True)):
            waiting.append((own[kept].reshape(len(own), -1), depth + 1, node, on_left))
    return Tree(
        feature=np.array([node.feature for node in nodes], np.int64),
        threshold=np.array([node.threshold for node in nodes]),
        left=np.array([node.left for node in nodes], np.int64),
        right=np.array([node.right for node in nodes], np.int64),
        value=np.stack([node.value for node in nodes]),
        impurity=np.array([node.impurity for node in nodes]),
        rows=np.array([node.rows for node in nodes], np.int64),
        depth=np.array([node.depth for node in nodes], np.int64),
    )


@dataclass(slots=True)
class _Node:
    """A node while the tree grows; see `Tree`."""

    value: NDArray[np.float64]
    impurity: float
    rows: int
    depth: int
    feature: int = -1
    threshold: float = np.nan
    left: int = -1
    right: int = -1


def best_split(
    values: NDArray[np.float32], answers: NDArray[np.float64], least: int, *, entropy: bool = False
) -> tuple[int, int] | None:
    """Return the feature and how many of its sorted rows go left in the best split; None where there is none.

    Args:
        values: (feature, row) the values of each feature, sorted.
        answers: (answer, feature, row) the answers of the same rows.
        least: Fewest rows on each side.
        entropy: Whether impurity is equation (2).
    """
    rows = values.shape[1]
    if rows < 2 * least:
        return None
    lefts = slice(least - 1, rows - least)
    apart = values[:, least : rows - least + 1] > values[:, lefts] + _APART
    if not apart.any():
        return None
    sums = np.cumsum(answers, axis=2)
    left, count = sums[:, :, lefts], np.arange(least, rows - least + 1, dtype=np.float64)
    right = sums[:, :, -1:] - left
    purity = _class_purity if entropy else _purity
    score = np.where(apart, purity(left, count) + purity(right, rows - count), -np.inf)
    feature, place = np.unravel_index(int(score.argmax()), score.shape)
    return int(feature), int(place) + least


def _purity(sums: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return |S|^2 / n: -n I of equation (1) but for the sum of squares, which no split changes."""
    return np.square(sums).sum(axis=0) / count


def _class_purity(sums: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return -n I of equation (2)."""
    return (sums * np.log2(np.maximum(sums, 1.0) / count, where=sums > 0, out=np.zeros_like(sums))).sum(
        axis=0
    )


def _impurity(answers: NDArray[np.float64], mean: NDArray[np.float64], *, entropy: bool) -> float:
    if entropy:
        some = mean[mean > 0]
        return float(-(some * np.log2(some)).sum())
    if (answers == answers[:, :1]).all():
        return 0.0
    return float(np.square(answers - mean[:, None]).sum() / answers.shape[1])


def _between(below: np.float32, above: np.float32) -> float:
    """Return the midpoint, or the lower value where rounding would put the midpoint on the upper one."""
    middle = float(below) / 2.0 + float(above) / 2.0
    return float(below) if middle == float(above) else middle
