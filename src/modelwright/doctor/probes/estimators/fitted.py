"""Copies of an estimator that learn, and what they answer."""

import copy
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.probes.estimators.table import RowTable
from modelwright.doctor.probes.origin import origin_of
from modelwright.doctor.probes.preserved import preserved
from modelwright.doctor.watch.place import Place

__all__ = [
    "answers",
    "differ",
    "fitted",
    "goes_on",
    "is_classifier",
    "keeps_its_own_numbers",
    "parts_of",
    "place_of",
    "skill",
]

_NEAR = 1e-3
"""Difference of answers, as a share of their spread, that the order of additions may leave."""


def fitted(estimator: Any, rows: RowTable, start: int = 0, *, anew: bool = True) -> Any:
    """Return an estimator that has learnt rows, with global random numbers from a fixed place.

    Args:
        estimator: It stays as it is where a copy learns.
        rows: They stay as they are.
        start: Where random numbers begin.
        anew: Whether a copy learns.
    """
    made = copy.deepcopy(estimator) if anew else estimator
    given = rows.copy()
    with preserved(start), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.fit(given.inputs, given.targets)
    return made


def answers(model: Any, inputs: Any, start: int = 0) -> NDArray[Any]:
    """Return what it says of rows: (row, number), or (row,) where classes have no numbers."""
    given = copy.deepcopy(inputs)
    with preserved(start), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("predict_proba", "decision_function"):
            if hasattr(model, name):
                try:
                    found = np.asarray(getattr(model, name)(given), np.float64)
                except (AttributeError, NotImplementedError, TypeError, ValueError):
                    continue
                if found.ndim in (1, 2) and len(found):
                    return found.reshape(len(found), -1)
        found = np.asarray(model.predict(given))
    return found.reshape(len(found), -1).astype(np.float64) if found.dtype.kind in "fiub" else found


def differ(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Return (row,) whether answers are others, beyond what the order of additions leaves."""
    if one.shape != other.shape:
        return np.ones(max(len(one), len(other)), np.bool_)
    if one.dtype.kind != "f" or other.dtype.kind != "f":
        return np.array([bool(np.any(a != b)) for a, b in zip(one, other, strict=True)], np.bool_)
    finite = one[np.isfinite(one)]
    spread = float(finite.max() - finite.min()) if finite.size else 0.0
    near = np.isclose(one, other, rtol=1e-6, atol=_NEAR * spread + 1e-12, equal_nan=True)
    return np.array([not each.all() for each in near], np.bool_)


def is_classifier(estimator: Any, targets: Any) -> bool:
    """Return whether it predicts classes."""
    from sklearn.base import is_classifier as says_so
    from sklearn.base import is_regressor

    try:
        if says_so(estimator):
            return True
        if is_regressor(estimator):
            return False
    except (AttributeError, TypeError):
        pass
    return hasattr(estimator, "predict_proba") or np.asarray(targets).dtype.kind not in "fiub"


def skill(model: Any, rows: RowTable, targets: Any = None, *, classes: bool) -> NDArray[np.float64]:
    """Return (row,) how right what it predicts is: 1 or 0 of classes, else less the squared error.

    Args:
        model: It has learnt.
        rows: To predict.
        targets: Other than theirs.
        classes: Whether it predicts classes.
    """
    right = np.asarray(rows.targets if targets is None else targets)
    with preserved(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = np.asarray(model.predict(copy.deepcopy(rows.inputs)))
    if classes:
        return np.asarray(found.reshape(right.shape) == right, np.float64)
    return -((found.reshape(right.shape).astype(np.float64) - right.astype(np.float64)) ** 2)


def parts_of(estimator: Any) -> Iterator[Any]:
    """Yield it and the estimators that it is put together from."""
    yield estimator
    if hasattr(estimator, "get_params"):
        found = cast("Mapping[str, Any]", estimator.get_params(deep=True))
        yield from (each for each in found.values() if hasattr(each, "fit") and not isinstance(each, type))


def goes_on(estimator: Any) -> bool:
    """Return whether a second fit is meant to begin where the first one ended, or is not one at all."""
    return any(
        bool(getattr(each, "warm_start", False)) or type(each).__name__ in ("FrozenEstimator", "Frozen")
        for each in parts_of(estimator)
    )


def keeps_its_own_numbers(estimator: Any) -> bool:
    """Return whether it holds a source of random numbers that a fit moves on."""
    kinds = (np.random.Generator, np.random.RandomState)
    return any(
        isinstance(value, kinds) or type(value).__module__ in ("random", "torch._C")
        for each in parts_of(estimator)
        for value in getattr(each, "__dict__", {}).values()
    )


def place_of(estimator: Any, method: str = "fit") -> Place | None:
    """Return where the user wrote what it is made of, if they did."""
    found = (origin_of(getattr(each, method, None)) for each in parts_of(estimator))
    return next((place for place in found if place is not None), None)
