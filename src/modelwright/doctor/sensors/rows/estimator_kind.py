"""What an estimator does with rows, read off the estimator itself."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.rows.study import Search

__all__ = [
    "codes_of",
    "columns_of",
    "kind_of",
    "predicts",
    "says_class",
    "search_of",
    "settings_of",
    "support_of",
]

_HARMLESS = {
    "OneHotEncoder",
    "CountVectorizer",
    "DictVectorizer",
    "PolynomialFeatures",
    "MissingIndicator",
    "LabelBinarizer",
    "MultiLabelBinarizer",
    "FunctionTransformer",
    "Normalizer",
    "Binarizer",
}
"""Transformers that learn at most which values there are."""


def predicts(estimator: Any) -> bool:
    """Return whether an estimator predicts, rather than prepares."""
    kind = type(estimator)
    return hasattr(kind, "predict") and (hasattr(kind, "score") or not hasattr(kind, "transform"))


def says_class(estimator: Any) -> bool:
    """Return whether an estimator predicts classes."""
    from sklearn.base import is_classifier

    try:
        return bool(is_classifier(estimator))
    except Exception:
        return False


def kind_of(estimator: Any) -> str | None:
    """Return what a transformer does; None where it learns nothing of the rows."""
    name = type(estimator).__name__
    if name in _HARMLESS or getattr(estimator, "strategy", "") == "constant":
        return None
    if name in ("LabelEncoder", "OrdinalEncoder"):
        return "code"
    if hasattr(type(estimator), "get_support"):
        return "select" if getattr(estimator, "threshold", None) is None or "From" in name else None
    parts = _parts(estimator)
    if parts:
        kinds = [kind_of(each) for each in parts]
        return next((what for what in ("select", "impute", "scale", "code") if what in kinds), None)
    if "Imputer" in name:
        return "impute"
    learnt = [
        value for key, value in vars(estimator).items() if key.endswith("_") and not key.startswith("_")
    ]
    return "scale" if any(_is_number(value) for value in learnt) else None


def search_of(estimator: Any, groups: Any) -> Search | None:
    """Return how an estimator chose settings; None where it chose none.

    Args:
        estimator: One that was fitted.
        groups: What its fit was told of groups.
    """
    best, folds = getattr(estimator, "best_score_", None), getattr(estimator, "cv", 5)
    if not isinstance(best, float) or not hasattr(estimator, "cv_results_"):
        return None
    scoring = getattr(estimator, "scoring", None)
    default = "accuracy" if says_class(estimator) else "r2"
    return Search(
        scoring=default if scoring is None else scoring if isinstance(scoring, str) else "",
        best=best,
        folds="int" if folds is None or isinstance(folds, int) else type(folds).__name__,
        splitter=id(folds),
        told_groups=groups is not None,
    )


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return True
    dtype = getattr(value, "dtype", None)
    return dtype is not None and getattr(dtype, "kind", "") == "f"


def _parts(estimator: Any) -> list[Any]:
    if hasattr(estimator, "transformers_"):
        return [each for _, each, _ in estimator.transformers_ if not isinstance(each, str)]
    if hasattr(estimator, "steps"):
        return [each for _, each in estimator.steps if each is not None and not isinstance(each, str)]
    if hasattr(estimator, "transformer_list"):
        return [each for _, each in estimator.transformer_list if not isinstance(each, str)]
    return []


def _all_parts(estimator: Any) -> list[Any]:
    """Return an estimator, what it searches settings for, and all that these are made of."""
    inner = getattr(estimator, "best_estimator_", getattr(estimator, "estimator", None))
    parts = [*_parts(estimator), *([inner] if hasattr(inner, "get_params") else [])]
    return [estimator, *(each for part in parts for each in _all_parts(part))]


def codes_of(encoder: Any) -> str:
    """Return the categories that an encoder numbers, in order, as text."""
    found = getattr(encoder, "classes_", None)
    if found is None:
        found = getattr(encoder, "categories_", ())
    return str([list(each) if hasattr(each, "tolist") and np.ndim(each) else each for each in found])


def support_of(estimator: Any) -> NDArray[np.bool_] | None:
    """Return which columns an estimator chose (column,)."""
    try:
        return np.asarray(estimator.get_support(), bool)
    except Exception:
        return None


def columns_of(estimator: Any) -> frozenset[str]:
    """Return the names of the columns that a pipeline picks."""
    found: set[str] = set()
    for part in _all_parts(estimator):
        for _, _, columns in getattr(part, "transformers", ()):
            if isinstance(columns, str):
                found.add(columns)
            elif isinstance(columns, list | tuple):
                found.update(str(each) for each in columns)
    return frozenset(found)


def settings_of(estimator: Any) -> frozenset[float]:
    """Return the numbers among the settings of an estimator and its parts."""
    try:
        values = estimator.get_params(deep=True).values()
    except Exception:
        return frozenset()
    return frozenset(float(each) for each in values if isinstance(each, int | float) and np.isfinite(each))
