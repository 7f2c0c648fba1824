"""What is measured: a name, a direction, bounds, and the arithmetic on held-out rows or fresh episodes.

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
Formula = Callable[[Array, Array], float]
_SUM_TOLERANCE = 1e-3  # a softmax in half precision stays within it


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that says how well predictions fit held-out targets, or a policy does in fresh episodes.

    Attributes:
        name: The field's standard name.
        direction: Whether more or less is better.
        task: The kind of target it is for; `control` where it is of episodes in an environment.
        low: Smallest possible value, None where there is none, or where the environment sets it.
        high: Largest possible value, None where there is none, or where the environment sets it.
        doc: One sentence.
        probabilities: Whether it reads the probabilities themselves, not only the likeliest class.
        formula: (target (row,), prediction) -> number. Prediction is (row, class) probabilities for
            classification, (row,) values for regression. For control, (length (episode,), return
            (episode,)) -> number.
    """

    name: str
    direction: Direction
    task: Task | Literal["control"]
    low: float | None
    high: float | None
    doc: str
    formula: Formula
    probabilities: bool = False

    def compute(self, target: Array, prediction: Array) -> float:
        """Return the metric on one seed's held-out rows, reckoned in double precision.

        Args:
            target: (row,) class indices or values.
            prediction: (row, class) probabilities or (row,) values.

        Returns:
            The number; NaN where a prediction or the number itself is not finite, so that a diverged seed
            shows as such.

        Raises:
            BadValue: where shapes do not fit, there are no rows, a target is not finite or no class index,
                a metric of probabilities is given something else, the metric is undefined on these rows, or
                it is none of rows.
        """
        if self.task == "control":
            raise BadValue(
                f"{self.name} is computed from episodes, not from rows",
                got="targets and predictions",
                nearest="compute_episodes",
            )
        try:
            truth, guess = np.asarray(target, np.float64), np.asarray(prediction, np.float64)
        except (TypeError, ValueError) as error:
            raise BadValue(f"{self.name} is computed from numbers", got=str(error)) from error
        wanted = 2 if self.task == "classification" else 1
        if truth.ndim != 1 or guess.ndim != wanted or len(truth) != len(guess) or len(truth) == 0:
            shape = "(row, class) probabilities" if wanted == 2 else "(row,) values"
            raise BadValue(
                f"{self.name} needs at least one row and predictions of shape {shape}, one for each target",
                got=f"target {truth.shape}, prediction {guess.shape}",
            )
        if not np.isfinite(truth).all():
            raise BadValue(f"Every target of {self.name} is finite", got=f"{truth[~np.isfinite(truth)][0]}")
        if self.task == "classification":
            wrong = (truth < 0) | (truth >= guess.shape[1]) | (truth != np.floor(truth))
            if wrong.any():
                raise BadValue(
                    f"Targets of {self.name} are class indices below {guess.shape[1]}, the number of columns",
                    got=f"{truth[wrong][0]:g}",
                )
            truth = truth.astype(np.int64)
        if not np.isfinite(guess).all():
            return float("nan")
        if self.probabilities:
            _require_probabilities(self.name, guess)
        with np.errstate(over="ignore", invalid="ignore"):
            value = self.formula(truth, guess)
        return value if np.isfinite(value) else float("nan")

    def compute_episodes(self, lengths: Array, returns: Array) -> float:
        """Return the metric on one seed's episodes, reckoned in double precision.

        Args:
            lengths: (episode,) steps of each.
            returns: (episode,) sum of the rewards of each, not discounted.

        Returns:
            The number; NaN where a return is not finite.

        Raises:
            BadValue: for no episode, other shapes, and a metric that is none of episodes.
        """
        steps, values = np.asarray(lengths, np.float64), np.asarray(returns, np.float64)
        if self.task != "control":
            raise BadValue(
                f"{self.name} is computed from rows, not from episodes", got="episodes", nearest="return"
            )
        if values.ndim != 1 or steps.shape != values.shape or len(values) == 0:
            raise BadValue(
                f"{self.name} needs at least one episode, and a length and a return of each",
                got=f"lengths {steps.shape}, returns {values.shape}",
            )
        return self.formula(steps, values) if np.isfinite(values).all() else float("nan")


def _require_probabilities(name: str, guess: Array) -> None:
    worst = int(np.argmax(np.abs(guess.sum(axis=1) - 1)))
    if (guess < 0).any() or abs(guess[worst].sum() - 1) > _SUM_TOLERANCE:
        raise BadValue(
            f"{name} needs probabilities: no number below 0, each row with a sum of 1",
            got=f"numbers from {guess.min():g} on, a row with a sum of {guess[worst].sum():g}",
            next_step="pass predictions through a softmax, or choose a metric of classes such as accuracy",
        )


def _accuracy(target: Array, probability: Array) -> float:
    return float(np.mean(probability.argmax(axis=1) == target))


def _balanced_accuracy(target: Array, probability: Array) -> float:
    hit = probability.argmax(axis=1) == target
    return float(np.mean([hit[target == label].mean() for label in np.unique(target)]))


def _log_loss(target: Array, probability: Array) -> float:
    chosen = probability[np.arange(len(target)), target]
    return float(-np.log(np.clip(chosen, np.finfo(np.float64).eps, 1.0)).mean())


def _brier(target: Array, probability: Array) -> float:
    truth = np.eye(probability.shape[1])[target]
    return float(np.square(probability - truth).sum(axis=1).mean())


def _macro_f1(target: Array, probability: Array) -> float:
    from sklearn.metrics import f1_score

    return float(
        f1_score(target, probability.argmax(axis=1), average="macro", zero_division=cast("Any", 0.0))
    )


def _roc_auc(target: Array, probability: Array) -> float:
    from sklearn.metrics import roc_auc_score

    classes = probability.shape[1]
    present = len(np.unique(target))
    if present < max(classes, 2):
        raise BadValue(
            "roc_auc needs held-out rows of every class, and at least two classes",
            got=f"rows of {present} of {classes}",
            next_step="use split.kind=stratified, more test rows, or another metric",
        )
    # Class by class: to let scikit-learn do it, sums would have to be made exactly one, which breaks ties.
    labels = [1] if classes == 2 else range(classes)
    return float(np.mean([roc_auc_score(target == label, probability[:, label]) for label in labels]))


def _rmse(target: Array, value: Array) -> float:
    return float(np.sqrt(np.mean(np.square(target - value))))


def _mae(target: Array, value: Array) -> float:
    return float(np.mean(np.abs(target - value)))


def _r2(target: Array, value: Array) -> float:
    from sklearn.metrics import r2_score

    if len(target) < 2:
        raise BadValue(
            "r2 needs at least two held-out rows", got=f"{len(target)}", next_step="raise split.test"
        )
    return float(r2_score(target, value))


def _return(length: Array, value: Array) -> float:
    return float(value.mean())


def _of_classes(name: str, doc: str, formula: Formula) -> Metric:
    return Metric(
        name=name, direction="maximize", task="classification", low=0, high=1, doc=doc, formula=formula
    )


def _of_probabilities(name: str, doc: str, formula: Formula, *, high: float | None) -> Metric:
    return Metric(
        name=name,
        direction="minimize",
        task="classification",
        low=0,
        high=high,
        doc=doc,
        formula=formula,
        probabilities=True,
    )


def _of_values(name: str, doc: str, formula: Formula) -> Metric:
    return Metric(
        name=name, direction="minimize", task="regression", low=0, high=None, doc=doc, formula=formula
    )


METRICS: tuple[Metric, ...] = (
    _of_classes("accuracy", "Share of rows whose likeliest class is right.", _accuracy),
    _of_classes("balanced_accuracy", "Mean of the classes' recalls.", _balanced_accuracy),
    _of_classes("macro_f1", "Mean of the classes' F1 scores.", _macro_f1),
    Metric(
        name="roc_auc",
        direction="maximize",
        task="classification",
        low=0,
        high=1,
        doc="Area under the ROC curve, one against rest.",
        formula=_roc_auc,
        probabilities=True,
    ),
    _of_probabilities("log_loss", "Mean negative log-likelihood, nats.", _log_loss, high=None),
    _of_probabilities("brier", "Mean squared error of the class probabilities.", _brier, high=2),
    _of_values("rmse", "Root of the mean squared error, in the target's unit.", _rmse),
    _of_values("mae", "Mean absolute error, in the target's unit.", _mae),
    Metric(
        name="r2",
        direction="maximize",
        task="regression",
        low=None,
        high=1,
        doc="Share of the variance that is explained.",
        formula=_r2,
    ),
    Metric(
        name="return",
        direction="maximize",
        task="control",
        low=None,
        high=None,
        doc="Mean over fresh episodes of the sum of rewards, without exploring or discounting.",
        formula=_return,
    ),
)
"""Every metric computed from held-out rows or fresh episodes. A learner may report others itself."""


def find_metric(name: str) -> Metric:
    """Return the metric called `name`.

    Raises:
        UnknownName: with the nearest name.
    """
    for metric in METRICS:
        if metric.name == name:
            return metric
    raise UnknownName("metric", name, [metric.name for metric in METRICS])
