"""A small forest that is held to the same rows, and what it would seem to find were targets permuted."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.probes.rows import tensors_of
from modelwright.doctor.probes.sample import Sample

__all__ = ["Skills", "Table", "measure", "table_of"]

_FEWEST_ROWS, _MOST_COLUMNS, _MOST_CLASSES = 80, 20_000, 100
_PERMUTATIONS = 99
_TREES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows as a forest takes them.

    Attributes:
        inputs: (row, column).
        targets: (row,) classes from 0, or numbers.
        classes: How many, 0 where targets are numbers.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[Any]
    classes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Skills:
    """How much better than the best constant predictions of rows are that were not learnt from.

    A skill is 1 less the squared error over that of the constant (for classes, of their shares): 1 is
    perfect, 0 is no better.

    Attributes:
        true: Of the forest.
        permuted: Of the same predictions for permuted targets, in increasing order.
    """

    true: float
    permuted: tuple[float, ...]

    @property
    def p_value(self) -> float:
        """Share of permutations with as much skill, itself counted (Phipson and Smyth, 2010)."""
        return (1 + sum(each >= self.true for each in self.permuted)) / (1 + len(self.permuted))


def table_of(sample: Sample) -> Table | None:
    """Return rows as columns of numbers; None where they are none, or too few for a judgement."""
    inputs, targets = list(tensors_of(sample.inputs)), list(tensors_of(sample.targets))
    if len(inputs) != 1 or len(targets) != 1 or sample.count < _FEWEST_ROWS or inputs[0].dim() < 2:
        return None
    columns = inputs[0].detach().cpu().flatten(1).float().numpy()
    answers = targets[0].detach().cpu().numpy()
    if answers.ndim == 2 and answers.shape[1] == 1:
        answers = answers[:, 0]
    finite = np.isfinite(columns).all() and np.isfinite(answers).all()
    if answers.ndim != 1 or columns.shape[1] > _MOST_COLUMNS or not finite:
        return None
    different, codes = np.unique(answers, return_inverse=True)
    if len(different) < 2:
        return None
    if not np.issubdtype(answers.dtype, np.floating) or len(different) == 2:
        few = len(different) <= min(_MOST_CLASSES, len(answers) // 8)
        return Table(inputs=columns, targets=codes, classes=len(different)) if few else None
    return Table(inputs=columns, targets=answers.astype(np.float64), classes=0)


def measure(table: Table, learnt: NDArray[Any], measured: NDArray[Any]) -> Skills:
    """Return what a forest finds in some rows about others.

    Args:
        table: All rows.
        learnt: Numbers of rows to learn from.
        measured: Numbers of rows to predict.
    """
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    kind: Any = ExtraTreesClassifier if table.classes else ExtraTreesRegressor
    forest = kind(_TREES, min_samples_leaf=2, random_state=0)
    forest.fit(table.inputs[learnt], table.targets[learnt])
    answers = np.eye(table.classes)[table.targets] if table.classes else table.targets[:, None]
    given = np.zeros((len(measured), answers.shape[1]))
    if table.classes:
        given[:, forest.classes_] = forest.predict_proba(table.inputs[measured])
    else:
        given[:, 0] = forest.predict(table.inputs[measured])
    right, constant = answers[measured], answers[learnt].mean(axis=0)
    spread = float(((right - constant) ** 2).sum())

    def skill(targets: NDArray[Any]) -> float:
        return 1.0 - float(((targets - given) ** 2).sum()) / spread if spread > 0 else 0.0

    generator = np.random.default_rng(0)
    permuted = sorted(skill(generator.permutation(right)) for _ in range(_PERMUTATIONS))
    return Skills(true=skill(right), permuted=tuple(permuted))
