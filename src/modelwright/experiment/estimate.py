"""Point estimates over scores: of seeds, or of runs on several tasks.

Scores are `(seed,)` for one task, or `(run, task)` for several. Every estimator takes `axis`, NumPy's way:
left out, the whole array is one sample; `-1` means that the last axis is the sample `(..., seed)`, and
`(-2, -1)` that the last two are `(..., run, task)`, with any axes in front kept. The bootstrap uses that to
estimate from thousands of resamples in one call.

Source: Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the Statistical Precipice (NeurIPS).
"""

from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.metric import Direction

__all__ = [
    "Axis",
    "Estimator",
    "estimated_difference",
    "finite_scores",
    "interquartile_mean",
    "mean",
    "median",
    "normalized_scores",
    "optimality_gap",
    "probability_of_improvement",
    "tasks_reached",
    "turned",
]

Axis = Literal[-1] | tuple[Literal[-2], Literal[-1]] | None
"""Which axes are the sample: all, `(..., seed)`, or `(..., run, task)`."""

_TRIM = 0.25


class Estimator(Protocol):
    """One number from a sample of scores."""

    def __call__(self, scores: NDArray[np.float64], /, *, axis: Axis = None) -> NDArray[np.float64]:
        """Return the estimate, with the axes that `axis` leaves out kept in front."""
        ...


def finite_scores(scores: ArrayLike, what: str = "Scores") -> NDArray[np.float64]:
    """Return `scores` as float64, shape `(seed,)` or `(run, task)`.

    Args:
        scores: The numbers.
        what: How an error calls them.

    Raises:
        BadValue: where there are none, they are not numbers of that shape, or one is not finite.
    """
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadValue(
            f"{what} are numbers of shape (seed,) or (run, task), one for each run on each task",
            got=str(error),
            next_step="leave out tasks that not every run has finished",
        ) from error
    if array.ndim not in (1, 2) or array.size == 0:
        raise BadValue(
            f"{what} have shape (seed,) or (run, task), at least 1 each", got=f"shape {array.shape}"
        )
    broken = np.argwhere(~np.isfinite(array))
    if len(broken):
        first = tuple(int(index) for index in broken[0])
        raise BadValue(
            f"{what} are finite",
            got=f"{array[first]} at index {first}, and {len(broken) - 1} more",
            next_step="a seed that diverged is a result: give it the score that its failure earns",
        )
    return array


def turned(scores: ArrayLike, direction: Direction) -> NDArray[np.float64]:
    """Return `scores` with a sign such that more is better.

    Raises:
        UnknownName: for a direction other than maximize and minimize.
    """
    if direction not in ("maximize", "minimize"):
        raise UnknownName("direction", str(direction), ["maximize", "minimize"])
    array = np.asarray(scores, dtype=np.float64)
    return array if direction == "maximize" else -array


def _sample(scores: ArrayLike, axis: Axis) -> tuple[NDArray[np.float64], Any]:
    """Return the checked array and the axes to reduce."""
    if axis is None:
        array = finite_scores(scores)
        return array, tuple(range(array.ndim))
    array = np.asarray(scores, dtype=np.float64)
    last = {place % array.ndim for place in ((axis,) if isinstance(axis, int) else axis)}
    if last not in ({array.ndim - 1}, {array.ndim - 2, array.ndim - 1}):
        raise BadValue(
            "An estimator reduces the last axis, or the last two, (run, task)",
            got=f"axis={axis} of shape {array.shape}",
            next_step="move the axis to the end with numpy.moveaxis",
        )
    return array, axis


def mean(scores: ArrayLike, /, *, axis: Axis = None) -> NDArray[np.float64]:
    """Return the mean over all runs and tasks."""
    array, axes = _sample(scores, axis)
    return np.asarray(array.mean(axis=axes))


def median(scores: ArrayLike, /, *, axis: Axis = None) -> NDArray[np.float64]:
    """Return the median over tasks of each task's mean; of `(seed,)`, the median over seeds."""
    array, axes = _sample(scores, axis)
    over_tasks = not isinstance(axes, int) and len(axes) == 2
    return np.asarray(np.median(array.mean(axis=-2) if over_tasks else array, axis=-1))


def interquartile_mean(scores: ArrayLike, /, *, axis: Axis = None) -> NDArray[np.float64]:
    """Return the mean of the middle half of all scores, runs and tasks pooled.

    A quarter of the scores, rounded down to whole scores, is cut off at each end: robust to a few lucky
    runs like the median, and efficient with few runs like the mean.
    """
    array, axes = _sample(scores, axis)
    if not isinstance(axes, int) and len(axes) == 2:
        array = array.reshape((*array.shape[:-2], -1))
    count = array.shape[-1]
    cut = int(_TRIM * count)
    if cut:
        array = np.partition(array, (cut, count - cut - 1), axis=-1)[..., cut : count - cut]
    return np.asarray(array.mean(axis=-1))


def optimality_gap(
    scores: ArrayLike, /, *, target: float = 1.0, direction: Direction = "maximize", axis: Axis = None
) -> NDArray[np.float64]:
    """Return by how much scores fall short of `target` on average; beyond it counts as reached.

    Less is better, whatever the direction of the metric.

    Args:
        scores: See the module.
        target: A score that is good enough, e.g. 1 for human-normalised scores.
        direction: Whether more or less of the metric is better.
        axis: See the module.
    """
    array, axes = _sample(scores, axis)
    short = np.maximum(turned(target, direction) - turned(array, direction), 0.0)
    return np.asarray(short.mean(axis=axes))


def tasks_reached(scores: ArrayLike, *, target: float = 1.0, direction: Direction = "maximize") -> int:
    """Return the number of tasks whose mean over runs is at least as good as `target`.

    Args:
        scores: (run, task).
        target: The score to reach.
        direction: Whether more or less of the metric is better.

    Raises:
        BadValue: where scores are not of shape (run, task).
    """
    array = finite_scores(scores)
    if array.ndim != 2:
        raise BadValue("Tasks are counted over scores of shape (run, task)", got=f"shape {array.shape}")
    return int((turned(array.mean(axis=0), direction) >= turned(target, direction)).sum())


def normalized_scores(scores: ArrayLike, floor: ArrayLike, ceiling: ArrayLike) -> NDArray[np.float64]:
    """Return (scores - floor) / (ceiling - floor): 0 at the floor, 1 at the ceiling.

    Also turns a metric that is minimized: its floor is then the larger number.

    Args:
        scores: (seed,) or (run, task).
        floor: Score of chance, one number or one per task.
        ceiling: Score of the reference, e.g. a human, one number or one per task.

    Raises:
        BadValue: where a floor equals its ceiling, or shapes do not fit.
    """
    array = finite_scores(scores)
    low, high = np.asarray(floor, dtype=np.float64), np.asarray(ceiling, dtype=np.float64)
    tasks = array.shape[1:]
    if any(bound.shape not in ((), tasks) for bound in (low, high)):
        raise BadValue(
            f"floor and ceiling are one number, or one per task {tasks}",
            got=f"shapes {low.shape} and {high.shape}",
        )
    span = high - low
    if not np.isfinite(span).all() or not np.all(span != 0):
        raise BadValue("floor and ceiling are finite and differ", got=f"floor {low}, ceiling {high}")
    return (array - low) / span


def estimated_difference(
    candidate: ArrayLike,
    baseline: ArrayLike,
    /,
    estimator: Estimator = mean,
    *,
    direction: Direction = "maximize",
    axis: Axis = None,
) -> NDArray[np.float64]:
    """Return the candidate's estimate minus the baseline's, turned so that more is better.

    Pairing by seed does not move a difference of means, it only narrows its interval: see
    `bootstrap_difference`.

    Args:
        candidate: (seed,) or (run, task).
        baseline: The same kind of shape and the same tasks.
        estimator: What to estimate from each arm.
        direction: Whether more or less of the metric is better.
        axis: See the module.

    Raises:
        BadValue: where tasks differ, or a score is not finite.
    """
    ours, _ = _sample(candidate, axis)
    theirs, _ = _sample(baseline, axis)
    if axis is None and ours.shape[1:] != theirs.shape[1:]:
        raise BadValue("Both arms have the same tasks", got=f"shapes {ours.shape} and {theirs.shape}")
    return turned(estimator(ours, axis=axis) - estimator(theirs, axis=axis), direction)


def probability_of_improvement(
    candidate: ArrayLike, baseline: ArrayLike, /, *, direction: Direction = "maximize", axis: Axis = None
) -> NDArray[np.float64]:
    """Return P(a run of the candidate beats a run of the baseline), averaged over tasks; ties count 1/2.

    The Mann-Whitney estimate: every run is compared with every run, so the arms may differ in their
    number of runs and nothing is paired.

    Args:
        candidate: (seed,) or (run, task).
        baseline: The same kind of shape and the same tasks.
        direction: Whether more or less of the metric is better.
        axis: See the module.

    Raises:
        BadValue: where tasks differ.
    """
    ours, axes = _sample(candidate, axis)
    theirs, other = _sample(baseline, axis)
    if isinstance(axes, int) or axes == (0,):
        ours, theirs = ours[..., None], theirs[..., None]
    if axes != other or ours.shape[-1] != theirs.shape[-1]:
        raise BadValue(
            "Both arms have the same tasks", got=f"shapes {np.shape(candidate)} and {np.shape(baseline)}"
        )
    ahead = turned(ours, direction)[..., :, None, :]
    behind = turned(theirs, direction)[..., None, :, :]
    wins = (ahead > behind).mean(axis=(-3, -2)) + 0.5 * (ahead == behind).mean(axis=(-3, -2))
    return np.asarray(wins.mean(axis=-1))
