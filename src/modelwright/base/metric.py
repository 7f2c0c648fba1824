"""What is measured: a name, a direction, bounds, and the arithmetic on held-out rows.

Sources: scikit-learn's definitions (`sklearn.metrics`), which compute all but the simplest here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue, UnknownName

__all__ = ["METRICS", "Direction", "Metric", "Task", "find_metric"]

Direction = Literal["maximize", "minimize"]
Task = Literal["classification", "regression"]
Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that says how well predictions fit held-out targets.

    Attributes:
        name: The field's standard name.
        direction: Whether more or less is better.
        task: The kind of target it is for.
        low: Smallest possible value, None where there is none.
        high: Largest possible value, None where there is none.
        doc: One sentence.
        probabilities: Whether it reads the probabilities themselves, not only the likeliest class.
        formula: (target (row,), prediction) -> number. Prediction is (row, class) probabilities for
            classification, (row,) values for regression.
    """

    name: str
    direction: Direction
    task: Task
    low: float | None
    high: float | None
    doc: str
    formula: Callable[[Array, Array], float]
    probabilities: bool = False

    def compute(self, target: Array, prediction: Array) -> float:
        """Return the metric on one seed's held-out rows.

        Args:
            target: (row,) class indices or values.
            prediction: (row, class) probabilities or (row,) values.

        Returns:
            The number; NaN where a prediction is not finite, so that a diverged seed shows as such.

        Raises:
            BadValue: where shapes do not fit, or there are no rows.
        """
        wanted = 2 if self.task == "classification" else 1
        if len(target) == 0 or len(target) != len(prediction) or np.ndim(prediction) != wanted:
            shape = "(row, class) probabilities" if wanted == 2 else "(row,) values"
            raise BadValue(
                f"{self.name} needs at least one row and predictions of shape {shape}, one for each target",
                got=f"target {np.shape(target)}, prediction {np.shape(prediction)}",
            )
        if not np.isfinite(prediction).all():
            return float("nan")
        return float(self.formula(target, prediction))


def _accuracy(target: Array, probability: Array) -> float:
    return float(np.mean(probability.argmax(axis=1) == target))


def _balanced_accuracy(target: Array, probability: Array) -> float:
    hit = probability.argmax(axis=1) == target
    return float(np.mean([hit[target == label].mean() for label in np.unique(target)]))


def _log_loss(target: Array, probability: Array) -> float:
    chosen = probability[np.arange(len(target)), target.astype(np.int64)]
    return float(-np.log(np.clip(chosen, np.finfo(np.float64).eps, 1.0)).mean())


def _brier(target: Array, probability: Array) -> float:
    truth = np.eye(probability.shape[1])[target.astype(np.int64)]
    return float(np.square(probability - truth).sum(axis=1).mean())


def _macro_f1(target: Array, probability: Array) -> float:
    from sklearn.metrics import f1_score

    return float(
        f1_score(target, probability.argmax(axis=1), average="macro", zero_division=cast("Any", 0.0))
    )


def _roc_auc(target: Array, probability: Array) -> float:
    from sklearn.metrics import roc_auc_score

    if probability.shape[1] == 2:
        return float(roc_auc_score(target, probability[:, 1]))
    return float(
        roc_auc_score(target, probability, multi_class="ovr", labels=np.arange(probability.shape[1]))
    )


def _rmse(target: Array, value: Array) -> float:
    return float(np.sqrt(np.mean(np.square(target - value))))


def _mae(target: Array, value: Array) -> float:
    return float(np.mean(np.abs(target - value)))


def _r2(target: Array, value: Array) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(target, value))


def _metric(
    name: str,
    direction: Direction,
    task: Task,
    low: float | None,
    high: float | None,
    doc: str,
    formula: Callable[[Array, Array], float],
    probabilities: bool = False,
) -> Metric:
    return Metric(
        name=name,
        direction=direction,
        task=task,
        low=low,
        high=high,
        doc=doc,
        formula=formula,
        probabilities=probabilities,
    )


METRICS: tuple[Metric, ...] = (
    _metric(
        "accuracy",
        "maximize",
        "classification",
        0,
        1,
        "Share of rows whose likeliest class is right.",
        _accuracy,
    ),
    _metric(
        "balanced_accuracy",
        "maximize",
        "classification",
        0,
        1,
        "Mean of the classes' recalls.",
        _balanced_accuracy,
    ),
    _metric("macro_f1", "maximize", "classification", 0, 1, "Mean of the classes' F1 scores.", _macro_f1),
    _metric(
        "roc_auc",
        "maximize",
        "classification",
        0,
        1,
        "Area under the ROC curve, one against rest.",
        _roc_auc,
        True,
    ),
    _metric(
        "log_loss",
        "minimize",
        "classification",
        0,
        None,
        "Mean negative log-likelihood, nats.",
        _log_loss,
        True,
    ),
    _metric(
        "brier",
        "minimize",
        "classification",
        0,
        2,
        "Mean squared error of the class probabilities.",
        _brier,
        True,
    ),
    _metric(
        "rmse",
        "minimize",
        "regression",
        0,
        None,
        "Root of the mean squared error, in the target's unit.",
        _rmse,
    ),
    _metric("mae", "minimize", "regression", 0, None, "Mean absolute error, in the target's unit.", _mae),
    _metric("r2", "maximize", "regression", None, 1, "Share of the variance that is explained.", _r2),
)
"""Every metric that can be computed from held-out rows. A learner may report others itself."""


def find_metric(name: str) -> Metric:
    """Return the metric called `name`.

    Raises:
        UnknownName: with the nearest name.
    """
    for metric in METRICS:
        if metric.name == name:
            return metric
    raise UnknownName("metric", name, [metric.name for metric in METRICS])
