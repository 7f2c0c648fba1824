"""A function of the user's as a learner.

    def train(features, target, seed, rng, learning_rate=0.1):
        ...
        for update in range(100):
            ...
            yield {"train_loss": loss, "accuracy": score}

The function trains one seed and asks by name for what it wants: `features` (row, *feature) and `target`
(row,) of its training rows, or both as `experience`; or `environment`, a `gymnasium.Env` to act in, seeded;
`seed`, a `base.seed.Seed`; `rng`, a NumPy generator of the seed. All other arguments are its settings. What
it yields are metrics, one dictionary a step; under the key `model` it may offer an object with `predict` for
evaluation, under `policy` one whose `act` takes an observation and returns an action. Instead of yielding it
may return such an object, once fitted.

The seeds run side by side, one step of each in turn. A seed that ends early counts as NaN afterwards.
"""

import inspect
import math
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.outside.fitted import FittedModel
from modelwright.algorithms.outside.fitted_policy import FittedPolicy
from modelwright.algorithms.outside.private_random import PrivateRandom
from modelwright.algorithms.parts.cohort import join_steps
from modelwright.algorithms.parts.demand import demand
from modelwright.base.errors import BadValue, ModelwrightError, UnknownName, WorkerLost
from modelwright.base.fingerprint import jsonable
from modelwright.base.seed import Seed
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment
from modelwright.data.experience import Experience
from modelwright.data.locate import locate_function
from modelwright.data.sources import imported_files

__all__ = ["Generator"]

_ROWS = ("experience", "features", "target")
_GIVEN = (*_ROWS, "environment", "seed", "rng")


class Generator:
    """A learner made of a user's function and its settings.

    Args:
        name: `path/to/file.py:function` or `package.module:function`.
        settings: Keyword settings of the function.
        root: What paths are relative to.

    Raises:
        SourceMissing: where the file or module is not there.
        UnknownName: where it has no such function, or the function no such setting.
        BadValue: where the file does not import, or a setting without default is left out.
    """

    def __init__(self, name: str, settings: Mapping[str, Any], *, root: Path) -> None:
        self.name = name
        self.settings = dict(settings)
        self._function, self._file = locate_function(name, root=root)
        self._given, self._complete = _read_signature(name, self._function, self.settings)

    @property
    def learns_from(self) -> Literal["rows", "environment", "either"]:
        """What the function asks for; `either` where it asks for neither."""
        if "environment" in self._given:
            return "environment"
        return "rows" if set(_ROWS) & set(self._given) else "either"

    def complete(self) -> dict[str, Any]:
        """Return the complete configuration; see `learner.complete_config`."""
        return {"learner": self.name, **jsonable(self._complete)}

    def sources(self, root: Path) -> tuple[Path, ...]:
        """Return the files that decide what is computed, apart from installed packages."""
        own = imported_files(Path(__file__), root=root)
        return tuple(sorted({*own, *imported_files(self._file, root=root)}))

    def train(self, experience: Experience | Environment, seeds: Sequence[Seed]) -> Iterator[Step]:
        """Run the function for every seed, side by side; one step a round.

        Raises:
            BadValue: for what is yielded, where it is no dictionary of numbers.
            WorkerLost: where the function raises; names its file and line.
        """
        if isinstance(experience, Environment):
            streams = [self._act_one(experience, seed) for seed in seeds]
        else:
            demand(self.name, experience, seeds, tasks=("classification", "regression"), finite=False)
            streams = [self._train_one(experience, place, seed) for place, seed in enumerate(seeds)]
        yield from join_steps(streams, [[place] for place in range(len(seeds))])

    def _act_one(self, environment: Environment, seed: Seed) -> Iterator[Step]:
        made = environment.make(seed)
        try:
            yield from self._steps({"environment": made}, seed, None)
        finally:
            made.close()

    def _train_one(self, experience: Experience, place: int, seed: Seed) -> Iterator[Step]:
        features, target = experience.of(place)
        # Rows of its own and nobody else's: held-out rows must not be within reach.
        own = Experience(
            features=features,
            target=target,
            rows=(np.arange(len(features)),),
            task=experience.task,
            classes=experience.classes,
            columns=experience.columns,
        )
        yield from self._steps({"experience": own, "features": features, "target": target}, seed, own)

    def _steps(self, ground: Mapping[str, Any], seed: Seed, own: Experience | None) -> Iterator[Step]:
        offered = {**ground, "seed": seed, "rng": seed.generator("learner")}
        private = PrivateRandom(seed)
        arguments = {**{name: offered[name] for name in self._given}, **self._complete}
        result = self._run(private, lambda: self._function(**arguments))
        key, method = ("policy", "act") if own is None else ("model", "predict")
        if callable(getattr(result, method, None)):
            yield self._offer(1, {}, {key: result}, own)
            return
        if not isinstance(result, Iterator):
            raise BadValue(
                f"{self.name} must yield dictionaries of metrics, or return a fitted object with {method}",
                got=f"a {type(result).__name__}",
            )
        stream = cast("Iterator[object]", result)
        update = 0
        while (yielded := self._run(private, lambda: next(stream, _END))) is not _END:
            update += 1
            metrics, fitted = self._read(yielded, update)
            yield self._offer(update, metrics, fitted, own)
        if update == 0:
            raise BadValue(f"{self.name} must yield at least one dictionary of metrics", got="nothing")

    def _offer(
        self, update: int, metrics: dict[str, float], fitted: Mapping[str, Any], own: Experience | None
    ) -> Step:
        arrays = {name: np.array([value]) for name, value in metrics.items()}
        model = policy = None
        if "model" in fitted and own is not None:
            model = FittedModel(self.name, [fitted["model"]], own.task, len(own.classes), flat=False)
            if not metrics:
                arrays = _train_score(model, fitted["model"], own)
        if "policy" in fitted and own is None:
            policy = FittedPolicy(self.name, [fitted["policy"]])
        return Step(update=update, metrics=arrays, model=model, policy=policy)

    def _run(self, private: PrivateRandom, action: Callable[[], Any]) -> Any:
        try:
            with private.installed():
                return action()
        except ModelwrightError:
            raise
        except Exception as error:
            raise WorkerLost(
                f"{self.name} raised {type(error).__name__}",
                got=f"{error} ({self._place(error)})",
                next_step="mend the line; the traceback above is the function's own",
            ) from error

    def _place(self, error: Exception) -> str:
        """Return file and line of the innermost frame in the user's file, or of the innermost of all."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).resolve() == self._file.resolve()]
        frame = (own or list(frames))[-1]
        return f"{Path(frame.filename).name}, line {frame.lineno}"

    def _read(self, yielded: object, update: int) -> tuple[dict[str, float], dict[str, Any]]:
        """Return the numbers, and what is offered for evaluation."""
        if not isinstance(yielded, Mapping):
            raise BadValue(
                f"{self.name} must yield dictionaries of metrics",
                got=f"a {type(yielded).__name__} at step {update}",
            )
        metrics: dict[str, float] = {}
        parts = dict(cast("Mapping[object, object]", yielded))
        fitted: dict[str, Any] = {}
        for key, method in (("model", "predict"), ("policy", "act")):
            offered = parts.pop(key, None)
            if offered is not None:
                if not callable(getattr(offered, method, None)):
                    raise BadValue(
                        f"What {self.name} yields as {key} must have {method}",
                        got=f"a {type(offered).__name__}",
                    )
                fitted[key] = offered
        for key, value in parts.items():
            if not isinstance(key, str):
                raise BadValue(f"Names of the metrics of {self.name} must be texts", got=repr(key))
            metrics[key] = self._number(key, value, update)
        if not metrics and not fitted:
            raise BadValue(
                f"{self.name} must yield at least one metric", got=f"an empty dictionary at step {update}"
            )
        return metrics, fitted

    def _number(self, key: str, value: Any, update: int) -> float:
        if not isinstance(value, str | bytes):
            try:
                return float(value)
            except (TypeError, ValueError, RuntimeError, OverflowError):
                pass
        raise BadValue(
            f"Every metric of {self.name} must be one number",
            got=f"{key} = {_brief(value)} ({type(value).__name__}) at step {update}",
            next_step="yield float(value), for example the mean of an array",
        )


_END = object()


def _brief(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text):,} characters)"


def _train_score(fitted: FittedModel, model: object, own: Experience) -> dict[str, NDArray[np.float64]]:
    found = fitted.predict_one(model, own.features)
    if own.task == "classification":
        return {"train_accuracy": np.array([float((found.argmax(axis=1) == own.target).mean())])}
    return {"train_rmse": np.array([math.sqrt(float(np.square(found - own.target).mean()))])}


def _read_signature(
    name: str, function: Callable[..., Any], settings: Mapping[str, Any]
) -> tuple[list[str], dict[str, Any]]:
    """Return the names that the function asks for, and its settings with defaults filled in."""
    given: list[str] = []
    complete: dict[str, Any] = {}
    open_ended = False
    for one in inspect.signature(function).parameters.values():
        if one.kind is inspect.Parameter.VAR_KEYWORD:
            open_ended = True
        elif one.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise BadValue(f"Arguments of {name} are given by name", got=f"positional-only {one.name}")
        elif one.kind is not inspect.Parameter.VAR_POSITIONAL:
            if one.name in _GIVEN:
                given.append(one.name)
            elif one.name in settings:
                complete[one.name] = settings[one.name]
            elif one.default is not inspect.Parameter.empty:
                complete[one.name] = one.default
            else:
                raise BadValue(
                    f"{name} has a setting without default: {one.name}",
                    got="no value for it",
                    next_step=f"set it beside the learner; given by itself are {', '.join(_GIVEN)}",
                )
    for key in settings:
        if key in _GIVEN:
            raise BadValue(f"{key} is given to {name} and is no setting", got=repr(settings[key]))
        if key not in complete:
            if not open_ended:
                raise UnknownName(f"setting of {name}", key, complete)
            complete[key] = settings[key]
    if "environment" in given and set(_ROWS) & set(given):
        raise BadValue(
            f"{name} asks for rows of data or for an environment",
            got=", ".join(given),
            next_step="a function of each kind serves designs of each kind",
        )
    jsonable(complete)
    return given, complete
