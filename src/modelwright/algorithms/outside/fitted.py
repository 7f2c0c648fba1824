"""Fitted objects of others as a cohort's model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.outside.content import content_digest
from modelwright.base.errors import BadValue
from modelwright.base.metric import Task

__all__ = ["FittedModel"]


class FittedModel:
    """One fitted object per seed, as a `base.step.Model`.

    Attributes:
        probabilistic: Whether predictions of classes are probabilities. Where False, an object has no
            `predict_proba` and its label counts as certain: metrics of labels are right, metrics of
            probabilities (log_loss, brier, roc_auc) mean nothing.

    Args:
        name: The learner's name, for messages.
        fitted: Objects with `predict`, and with `predict_proba` where they have one.
        task: Kind of target.
        classes: Number of classes; 0 for regression.
        flat: Whether rows are flattened, and widened to float64, before they are passed on.
    """

    def __init__(self, name: str, fitted: Sequence[Any], task: Task, classes: int, *, flat: bool) -> None:
        self._name = name
        self._fitted = fitted
        self._task: Task = task
        self._classes = classes
        self._flat = flat
        self.probabilistic = all(hasattr(one, "predict_proba") for one in fitted)

    def predict(self, features: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Predict for each seed; see `base.step.Model`."""
        if len(features) != len(self._fitted):
            raise BadValue(
                "Predicting takes one array of rows per seed",
                got=f"{len(features)} arrays for {len(self._fitted)} seeds",
            )
        return [self.predict_one(one, rows) for one, rows in zip(self._fitted, features, strict=True)]

    def predict_one(self, one: Any, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return values (row,) or probabilities (row, class) of one fitted object."""
        # In single precision some estimators' probabilities miss a sum of one by 1e-6.
        table = rows.reshape(len(rows), -1).astype(np.float64) if self._flat else rows
        if self._task == "regression":
            return self._checked(np.asarray(one.predict(table), np.float64).reshape(-1), (len(rows),))
        if hasattr(one, "predict_proba"):
            found = np.asarray(one.predict_proba(table), np.float64)
            labels = getattr(one, "classes_", None)
        else:
            found, labels = np.asarray(one.predict(table)), None
        if found.ndim == 1:
            return self._certain(found)
        if labels is None:
            return self._checked(found, (len(rows), self._classes))
        probability = np.zeros((len(rows), self._classes))
        probability[:, np.asarray(labels).astype(np.int64)] = found
        return probability

    def _certain(self, labels: NDArray[Any]) -> NDArray[np.float64]:
        places = labels.astype(np.int64)
        if (places != labels).any() or places.min(initial=0) < 0 or places.max(initial=0) >= self._classes:
            raise BadValue(
                f"{self._name} must predict class indices from 0 to {self._classes - 1}, or probabilities",
                got=np.unique(labels)[:5].tolist(),
            )
        return np.eye(self._classes)[places]

    def _checked(self, found: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
        if found.shape != shape:
            raise BadValue(f"{self._name} must predict an array of shape {shape}", got=f"shape {found.shape}")
        return found

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the sha256 of everything that was fitted, (seed, 32) bytes."""
        return {"digest": np.stack([content_digest(one) for one in self._fitted])}
