"""What a watch hears of scikit-learn: estimators, splits and metrics, as the user calls them."""

import sys
import weakref
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import isfunction
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils._available_if import _AvailableIfDescriptor  # pyright: ignore[reportPrivateUsage]

from modelwright.doctor.watch.patch import Patches
from modelwright.doctor.watch.place import place_of_caller
from modelwright.doctor.watch.sensor import Estimation
from modelwright.doctor.watch.watch import Watch

__all__ = ["SklearnWatch"]

_WHAT = {
    "fit": "fit",
    "partial_fit": "fit",
    "fit_transform": "fit",
    "fit_predict": "fit",
    "fit_resample": "resample",
    "transform": "transform",
    "predict": "predict",
    "predict_proba": "predict",
    "predict_log_proba": "predict",
    "decision_function": "predict",
    "staged_predict": "predict",
    "staged_predict_proba": "predict",
    "score": "score",
}
_METRICS = ("_score", "_error", "_loss", "_curve", "_corrcoef", "confusion_matrix", "classification_report")
_WITHIN = ("permutation_test_score", "learning_curve", "validation_curve")
"""Functions whose fits and scores are no part of the program's own answer."""


class SklearnWatch:
    """Listens to estimators of every class, those that are defined later included.

    What an estimator, a metric or a permutation test asks of others is not told: only what the user, or a
    cross-validation of the user's, asks.

    Args:
        watch: Is told.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._patches = Patches()
        self._scene = watch.scene
        self._wrapped: set[type] = set()
        self._made: dict[int, tuple[Any, Any]] = {}

    def __reduce__(self) -> Any:
        """Cross a process border as one who hears nothing: jobs of joblib carry what was replaced."""
        return (_Deaf, ())

    def start(self) -> None:
        """Begin to listen."""
        for kind in _kinds(BaseEstimator):
            self._wrap(kind)
        self._patches.replace(BaseEstimator, "__init_subclass__", self._later)

    def start_metrics(self, module: Any) -> None:
        """Begin to listen to functions of `sklearn.metrics`."""
        for name in module.__all__:
            if name.endswith(_METRICS):
                self._replace_function(module, name, self._function("metric"))

    def start_selection(self, module: Any) -> None:
        """Begin to listen to functions and splitters of `sklearn.model_selection`."""
        self._replace_function(module, "train_test_split", self._function("split"))
        for name in _WITHIN:
            self._replace_function(module, name, self._within)
        for kind in _kinds(module.BaseCrossValidator) + _kinds(module.BaseShuffleSplit):
            for name, wrap in (("split", self._splits), ("__init__", self._making)):
                if isfunction(vars(kind).get(name)):
                    self._patches.replace(kind, name, wrap)

    def stop(self) -> None:
        """Put everything back."""
        self._patches.undo()

    def _replace_function(self, module: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        """Replace a function where it is offered and where it is defined, so that it can be pickled."""
        function = getattr(module, name, None)
        if not isfunction(function):
            return
        heard = wrap(function)
        for owner in (module, sys.modules.get(function.__module__)):
            if owner is not None and getattr(owner, name, None) is function:
                self._patches.replace(owner, name, lambda _, heard=heard: heard)

    def _later(self, prepare: Callable[..., None]) -> Any:
        def heard(kind: Any, **kwargs: Any) -> None:
            super(BaseEstimator, kind).__init_subclass__(**kwargs)
            if self._watch.live:
                self._wrap(kind)

        return classmethod(heard)

    def _wrap(self, kind: type) -> None:
        """Replace methods of a class, and of those that it has them from."""
        for owner in kind.__mro__:
            if owner in self._wrapped or owner.__module__ == "builtins":
                continue
            self._wrapped.add(owner)
            for name, what in _WHAT.items():
                method = vars(owner).get(name)
                if isfunction(method):
                    self._patches.replace(owner, name, self._method(name, what))
                elif isinstance(method, _AvailableIfDescriptor):
                    self._patches.replace(method, "fn", self._method(name, what))

    def _method(self, name: str, what: str) -> Callable[[Any], Any]:
        def wrap(method: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(method)
            def heard(estimator: Any, *args: Any, **kwargs: Any) -> Any:
                if self._scene.estimating or not self._watch.listens:
                    return method(estimator, *args, **kwargs)
                self._scene.estimating = True
                try:
                    output = method(estimator, *args, **kwargs)
                finally:
                    self._scene.estimating = False
                given = args[0] if args else kwargs.get("X", kwargs.get("raw_documents"))
                target = args[1] if len(args) > 1 else kwargs.get("y")
                told = Estimation(what, name, estimator, given, target, output, place_of_caller(2))
                told.groups = kwargs.get("groups")
                self._tell(told)
                return output

            return heard

        return wrap

    def _function(self, what: str) -> Callable[[Any], Any]:
        def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(function)
            def heard(*args: Any, **kwargs: Any) -> Any:
                if self._scene.estimating or not self._watch.listens or _is_within_metric():
                    return function(*args, **kwargs)
                self._scene.estimating = True
                try:
                    output = function(*args, **kwargs)
                finally:
                    self._scene.estimating = False
                words = [kwargs.get(name) for name in ("y_true", "y_pred", "y_score", "y_prob", "y_proba")]
                first = args[0] if args else words[0]
                second = (
                    args[1] if len(args) > 1 else next((each for each in words[1:] if each is not None), None)
                )
                self._tell(
                    Estimation(what, function.__name__, None, first, second, output, place_of_caller(2))
                )
                return output

            return heard

        return wrap

    def _within(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def heard(*args: Any, **kwargs: Any) -> Any:
            before, self._scene.estimating = self._scene.estimating, True
            try:
                return function(*args, **kwargs)
            finally:
                self._scene.estimating = before

        return heard

    def _making(self, initialise: Callable[..., None]) -> Callable[..., None]:
        @wraps(initialise)
        def heard(splitter: Any, *args: Any, **kwargs: Any) -> None:
            initialise(splitter, *args, **kwargs)
            if self._watch.listens and not self._scene.estimating:
                place = place_of_caller(2)
                self._made[id(splitter)] = (weakref.ref(splitter), place)
                told = Estimation("splitter", type(splitter).__name__, splitter, None, None, None, place)
                self._watch.tell("on_estimation", told)

        return heard

    def _splits(self, split: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(split)
        def heard(splitter: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._scene.estimating and self._watch.listens:
                reference, made = self._made.get(id(splitter), (lambda: None, None))
                place = made if made is not None and reference() is splitter else place_of_caller(2)
                given = args[0] if args else kwargs.get("X")
                target = args[1] if len(args) > 1 else kwargs.get("y")
                told = Estimation("split", type(splitter).__name__, splitter, given, target, None, place)
                told.groups = args[2] if len(args) > 2 else kwargs.get("groups")
                self._tell(told)
            return split(splitter, *args, **kwargs)

        return heard

    def _tell(self, estimation: Estimation) -> None:
        self._scene.estimations += 1
        self._watch.tell("on_estimation", estimation)


def _is_within_metric() -> bool:
    """Return whether another metric asks, such as a coefficient that is made of a confusion matrix."""
    caller = str(sys._getframe(2).f_globals.get("__name__"))  # pyright: ignore[reportPrivateUsage]
    return caller.startswith("sklearn.metrics.") and not caller.endswith("._scorer")


class _Deaf:
    """Stands for the watch in another process."""

    def __init__(self) -> None:
        self._watch = self._scene = self
        self.live = self.listens = self.estimating = False


def _kinds(kind: type) -> list[type]:
    return list(dict.fromkeys(_all_kinds(kind)))


def _all_kinds(kind: type) -> Iterator[type]:
    yield kind
    for each in kind.__subclasses__():
        yield from _all_kinds(each)
