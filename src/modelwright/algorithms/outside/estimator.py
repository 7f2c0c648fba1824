"""Any scikit-learn estimator, or other class with `fit` and `predict`, as a learner.

The settings are the arguments of the constructor. A mapping with the key `learner` inside them is built
first, so pipelines and ensembles can be written down:

    learner: sklearn.pipeline.Pipeline
    steps:
      - [scale, {learner: sklearn.preprocessing.StandardScaler}]
      - [svm, {learner: sklearn.svm.SVC, C: 10}]

Every seed gets a new object. Wherever the object or a part of it has a `random_state`, it is derived from
the trial's seed; `n_jobs` is 1 unless set, because the cores belong to the trials. Fitting is one step.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from modelwright.algorithms.outside.fitted import FittedModel
from modelwright.algorithms.outside.private_random import PrivateRandom
from modelwright.algorithms.parts.demand import demand
from modelwright.base.errors import BadValue, UnknownName, WorkerLost
from modelwright.base.fingerprint import jsonable
from modelwright.base.metric import Task
from modelwright.base.seed import Seed
from modelwright.base.step import Step
from modelwright.data.experience import Experience
from modelwright.data.locate import locate_class
from modelwright.data.sources import imported_files

__all__ = ["Estimator"]


class Estimator:
    """A learner made of an estimator class and the arguments of its constructor.

    Attributes:
        learns_from: Always `rows`.
        probabilistic: Whether it predicts probabilities of classes; see `FittedModel`.

    Args:
        name: Dotted name of the class.
        arguments: Arguments of its constructor, and `part__argument` for parts that scikit-learn can reach.

    Raises:
        UnknownName: for a class or an argument that does not exist, with the nearest.
        SourceMissing: where the package is not installed.
        BadValue: for a class without `fit` and `predict`, or arguments that it refuses.
    """

    learns_from = "rows"

    def __init__(self, name: str, arguments: Mapping[str, Any]) -> None:
        self.name = name
        self.arguments = dict(arguments)
        made = _build(name, self.arguments)
        for method in ("fit", "predict"):
            if not callable(getattr(made, method, None)):
                raise BadValue(f"A learner's class has fit and predict; {name} has no {method}")
        _check_values(name, made)
        self.probabilistic = hasattr(made, "predict_proba")

    def complete(self) -> dict[str, Any]:
        """Return the complete configuration; see `learner.complete_config`."""
        return _complete(self.name, self.arguments)

    def sources(self, root: Path) -> tuple[Path, ...]:
        """Return the files that decide what is computed, apart from installed packages."""
        file = inspect.getsourcefile(locate_class(self.name))
        own = imported_files(Path(__file__), root=root)
        if file is None or not Path(file).resolve().is_relative_to(root.resolve()) or "site-packages" in file:
            return own
        return tuple(sorted({*own, *imported_files(Path(file), root=root)}))

    def train(self, experience: Experience, seeds: Sequence[Seed]) -> Iterator[Step]:
        """Fit a new object to every seed's rows; one step.

        Raises:
            BadValue: where the estimator is of another kind than the target.
            WorkerLost: where fitting raises.
        """
        demand(self.name, experience, seeds, tasks=("classification", "regression"), finite=False)
        self._demand_task(experience.task)
        classes = len(experience.classes)
        fitted = [self._fit(experience, place, seed) for place, seed in enumerate(seeds)]
        model = FittedModel(self.name, fitted, experience.task, classes, flat=True)
        scores: list[float] = []
        for place, one in enumerate(fitted):
            features, target = experience.of(place)
            found = model.predict_one(one, features)
            if experience.task == "classification":
                scores.append(float((found.argmax(axis=1) == target).mean()))
            else:
                scores.append(float(np.sqrt(np.square(found - target).mean())))
        score = "train_accuracy" if experience.task == "classification" else "train_rmse"
        metrics = {score: np.array(scores), "iterations": np.array([_iterations(one) for one in fitted])}
        yield Step(update=1, metrics=metrics, model=model)

    def _fit(self, experience: Experience, place: int, seed: Seed) -> Any:
        features, target = experience.of(place)
        one = _build(self.name, self.arguments, seed=seed)
        try:
            with PrivateRandom(seed).installed():
                one.fit(features.reshape(len(features), -1).astype(np.float64), target)
        except Exception as error:
            raise WorkerLost(
                f"{self.name} raised {type(error).__name__} while fitting the seed at place {place}",
                got=str(error),
                next_step="see the traceback; the message is the estimator's own",
            ) from error
        return one

    def _demand_task(self, task: Task) -> None:
        from sklearn.base import is_classifier, is_regressor

        made = _build(self.name, self.arguments)
        if not hasattr(made, "__sklearn_tags__"):
            return
        wrong = is_regressor(made) if task == "classification" else is_classifier(made)
        if wrong:
            kind = "regressor" if task == "classification" else "classifier"
            raise BadValue(f"A {task} target needs an estimator for {task}", got=f"{self.name}, a {kind}")


def _build(name: str, arguments: Mapping[str, Any], *, seed: Seed | None = None) -> Any:
    """Return a new object; with a seed, its random states are set."""
    maker = locate_class(name)
    _refuse_random_state(name, arguments)
    direct = {key: _build_inside(value) for key, value in arguments.items() if "__" not in key}
    names = _argument_names(maker)
    for key in direct:
        if names is not None and key not in names:
            raise UnknownName(f"argument of {name}", key, names)
    try:
        made = maker(**direct)
    except TypeError as error:
        raise BadValue(f"{name} refuses these arguments: {error}", got=direct) from error
    if not hasattr(made, "get_params"):
        if len(direct) < len(arguments):
            raise BadValue(
                f"{name} has no parts to set arguments of", got=sorted(set(arguments) - set(direct))
            )
        if seed is not None and names is not None and "random_state" in names:
            made = maker(**direct, random_state=_random_state(seed, "random_state"))
        return made
    reachable = made.get_params(deep=True)
    for key in arguments:
        if "__" in key and key not in reachable:
            raise UnknownName(f"argument of {name}", key, [each for each in reachable if "__" in each])
    made.set_params(**{key: _build_inside(value) for key, value in arguments.items() if "__" in key})
    reachable = made.get_params(deep=True)
    changed: dict[str, Any] = {}
    for key, value in reachable.items():
        last = key.rsplit("__", 1)[-1]
        if last == "n_jobs" and value is None and not type(made).__module__.startswith("sklearn."):
            # In scikit-learn None means 1, and some classes complain of a 1; elsewhere None means every core.
            changed[key] = 1
        elif last == "random_state" and seed is not None:
            changed[key] = _random_state(seed, key)
    return made.set_params(**changed) if changed else made


def _check_values(name: str, made: Any) -> None:
    """Let scikit-learn check the values of all parts now, not in the first trial."""
    parts = [made, *(made.get_params(deep=True).values() if hasattr(made, "get_params") else ())]
    for part in parts:
        check = getattr(part, "_validate_params", None)
        if check is None or isinstance(part, type):
            continue
        try:
            check()
        except ValueError as error:
            raise BadValue(f"{name} refuses a value", got=str(error).rstrip(".")) from error


def _build_inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        inside = cast("Mapping[str, Any]", value)
        if "learner" in inside:
            return _build(
                str(inside["learner"]), {key: item for key, item in inside.items() if key != "learner"}
            )
        return {key: _build_inside(item) for key, item in inside.items()}
    if isinstance(value, list | tuple):
        items = [_build_inside(item) for item in cast("Sequence[Any]", value)]
        # Scikit-learn's steps are pairs, and pairs in YAML are lists.
        return [tuple(item) if isinstance(item, list) and _is_step(item) else item for item in items]
    return value


def _is_step(item: list[Any]) -> bool:
    return len(item) in (2, 3) and isinstance(item[0], str) and any(hasattr(part, "fit") for part in item[1:])


def _refuse_random_state(name: str, arguments: Mapping[str, Any]) -> None:
    for key, value in arguments.items():
        if key.rsplit("__", 1)[-1] == "random_state" and value is not None:
            raise BadValue(
                "The random state comes from the trial's seed",
                got=f"{key}: {value!r} for {name}",
                next_step=f"leave {key} out",
            )


def _random_state(seed: Seed, key: str) -> int:
    return seed.integer(f"estimator/{key}") % 2**32


def _argument_names(maker: type) -> list[str] | None:
    """Return the names of a constructor's arguments, None where it takes any."""
    found = list(inspect.signature(maker).parameters.values())
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in found):
        return None
    return [one.name for one in found if one.kind is not inspect.Parameter.VAR_POSITIONAL]


def _complete(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return `learner`, the arguments and every default that JSON can hold."""
    made = _build(name, arguments)
    whole: dict[str, Any] = {"learner": name}
    if hasattr(made, "get_params"):
        defaults = made.get_params(deep=False)
    else:
        found = inspect.signature(type(made)).parameters.values()
        defaults = {one.name: one.default for one in found if one.default is not inspect.Parameter.empty}
    for key, value in {**defaults, **arguments}.items():
        if key.rsplit("__", 1)[-1] == "random_state":
            continue
        try:
            whole[key] = _complete_inside(value) if key in arguments else jsonable(value)
        except BadValue:
            # A default without a JSON form (NaN, a function) is fixed by the library's version.
            if key in arguments:
                raise
    return whole


def _complete_inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        inside = cast("Mapping[str, Any]", value)
        if "learner" in inside:
            rest = {key: item for key, item in inside.items() if key != "learner"}
            return _complete(str(inside["learner"]), rest)
        return {key: _complete_inside(item) for key, item in inside.items()}
    if isinstance(value, list | tuple):
        return [_complete_inside(item) for item in cast("Sequence[Any]", value)]
    return jsonable(value)


def _iterations(one: Any) -> float:
    """Return `n_iter_` of a fitted estimator or of a pipeline's last step; NaN where it has none."""
    steps = getattr(one, "steps", None)
    found = getattr(steps[-1][1] if steps else one, "n_iter_", None)
    return float("nan") if found is None else float(np.max(found))
