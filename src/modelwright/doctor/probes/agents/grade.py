"""How what an agent learnt in a task stands to what is right there, and to what mistakes lead to."""

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from scipy.optimize import nnls

from modelwright.doctor.probes.agents.course import Course, Look
from modelwright.doctor.probes.agents.seeing import merged_as
from modelwright.doctor.probes.agents.task import Task
from modelwright.doctor.probes.agents.way import RIGHT, WAYS, Predicted, Stream, Way, predict, stream_of

__all__ = ["FITS", "MISSES", "Grade", "Standing", "grade", "is_settled"]

FITS = 0.12
"""Distance, in units of the reward, within which values are those of a way."""

MISSES = 0.2
"""Distance from which on they are not the right ones."""

_PASSES = 0.08
_STILL = 0.08
"""Change between the last two looks, in units of the reward, up to which learning has come to rest."""

_LEARNT = 0.01
"""Change since any look below which nothing was learnt."""

_LEAST, _MOST = 0.15, 7.0
"""Sizes of the reward's unit that are believed; smaller ones are those of networks that learnt nothing."""

_FAR_FORCE = 0.25
_SURE = 0.75
_UNKNOWN_DISCOUNT = 0.99


class Standing(enum.StrEnum):
    """What a course says."""

    PASSED = "passed"
    MISSED = "missed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What a course says of its agent.

    Attributes:
        standing: Whether it learnt what is right, came to rest at something else, or neither.
        distance: From what is right, in units of the reward; infinity where no unit brings it there.
        unit: Of the reward, as values have it; 1 where rewards are learnt as they are given.
        distances: Way's number -> distance from it, where learning came to rest.
        right: What is right, in that unit.
    """

    standing: Standing
    distance: float = math.inf
    unit: float = 1.0
    distances: Mapping[int, float] = field(default_factory=dict[int, float])
    right: tuple[float, ...] = ()


def is_settled(course: Course, task: Task) -> bool:
    """Return whether more steps would tell no more: the right was learnt, or twice the same wrong."""
    last = grade(course, task)
    if last.standing is Standing.PASSED:
        return True
    if task.is_about_sight and merged_as(task, course.looks, last.right):
        return True
    before = grade(replace(course, looks=course.looks[:-1]), task)
    if last.standing is not Standing.MISSED or before.standing is not Standing.MISSED:
        return False
    near = [number for number, each in last.distances.items() if each <= _PASSES]
    return not task.is_about_values or (bool(near) and not any(WAYS[number].waits for number in near))


def grade(course: Course, task: Task, unit: float | None = None) -> Grade:
    """Compare what was learnt with what is right, and with what mistakes lead to.

    Args:
        course: What was learnt.
        task: In which task.
        unit: Of the reward, where it is known from easier tasks; None where any is allowed for.
    """
    if course.error or not course.has_learnt:
        return Grade(standing=Standing.UNDECIDED)
    return _of_values(course, task, unit) if task.is_about_values else _of_actions(course, task)


def _of_values(course: Course, task: Task, known: float | None) -> Grade:
    last = course.looks[-1].values
    if last is None or not all(map(math.isfinite, last)):
        return Grade(standing=Standing.UNDECIDED)
    gamma = _UNKNOWN_DISCOUNT if course.gamma is None else course.gamma
    stream = _streams(task)
    right = RIGHT if not course.timeouts_end else _ending()
    soft = course.gives_action_values
    wanted = predict(right, stream, gamma)
    if wanted is None:
        return Grade(standing=Standing.UNDECIDED)
    distance, unit = _distance(last, wanted, soft=soft, known=known)
    rests = _rests(course.looks, scale=max(unit, _LEAST))
    made = Grade(
        standing=Standing.UNDECIDED,
        distance=distance,
        unit=unit,
        right=tuple(float(each) * (unit if distance <= MISSES else 1.0) for each in wanted.values),
    )
    as_given = distance if known is not None else _distance(last, wanted, soft=soft, known=1.0)[0]
    passes = as_given <= _PASSES or (rests and distance <= _PASSES)
    if not rests and not passes:
        return made
    found = {
        number: _distance(last, predicted, soft=soft, known=known)[0]
        for number, way in enumerate(() if task.is_about_sight else WAYS)
        if course.gamma is not None or "discount-power-wrong" not in way.causes
        if (predicted := predict(way, stream, gamma)) is not None
    }
    nearest = min(found.values(), default=math.inf)
    if passes or (distance <= FITS and nearest > _PASSES):
        return _with(made, Standing.PASSED, found)
    misses = distance >= MISSES or (distance > FITS and nearest <= _PASSES)
    return _with(made, Standing.MISSED if misses else Standing.UNDECIDED, found)


def _with(made: Grade, standing: Standing, distances: Mapping[int, float] | None = None) -> Grade:
    return Grade(
        standing=standing,
        distance=made.distance,
        unit=made.unit,
        distances=distances or {},
        right=made.right,
    )


def _ending() -> Way:
    return next(way for way in WAYS if way.causes == ("truncation-as-terminal",))


@cache
def _streams(task: Task) -> Stream:
    return stream_of(task)


def _distance(
    values: Sequence[float], predicted: Predicted, *, soft: bool, known: float | None
) -> tuple[float, float]:
    """Return how far values are from predicted ones in the best unit of the reward, and that unit.

    Where values are larger than rewards, so are the distances that learning leaves: they are divided by that.

    Args:
        values: (observation,)
        predicted: What a way leads to.
        soft: Whether a bonus for every step that is followed by another is allowed for.
        known: The unit, where it is known.
    """
    measured = np.array(values)
    columns = [predicted.values[: len(values)]] if known is None else []
    if soft:
        columns.append(predicted.bonus[: len(values)])
    left = measured - (0.0 if known is None else known) * predicted.values[: len(values)]
    weights = nnls(np.stack(columns, axis=1), left)[0] if columns else np.zeros(0)
    unit = float(weights[0]) if known is None else known
    if not _LEAST <= unit <= _MOST:
        return math.inf, unit
    left = left - sum(weight * column for weight, column in zip(weights, columns, strict=True))
    size = max(1.0, float(np.abs(predicted.values).max()))
    return float(np.abs(left).max()) / (unit * size), unit


def _rests(looks: Sequence[Look], *, scale: float) -> bool:
    """Return whether the last two looks agree, though something was learnt between them."""
    if len(looks) < 2 or not looks[-2].steps or looks[-1].values is None or looks[-2].values is None:
        return False
    last = np.array(looks[-1].values)
    size = max(scale, float(np.abs(last).max()))
    changes = [np.abs(last - np.array(each.values)).max() for each in looks[:-1] if each.values is not None]
    return bool(changes[-1] <= _STILL * size and max(changes) > _LEARNT * size)


def _of_actions(course: Course, task: Task) -> Grade:
    good = [_is_right(course, task, at, look=course.looks[-1]) for at in range(len(task.best))]
    if all(each > _SURE for each in good):
        return Grade(standing=Standing.PASSED, distance=1 - min(good))
    if len(course.looks) < 2 or not course.looks[-2].steps:
        return Grade(standing=Standing.UNDECIDED)
    before = [_is_right(course, task, at, look=course.looks[-2]) for at in range(len(task.best))]
    if all(each < 0.1 for each in (*good, *before)):
        return Grade(standing=Standing.MISSED, distance=1 - max(good))
    return Grade(standing=Standing.UNDECIDED)


def _is_right(course: Course, task: Task, at: int, *, look: Look) -> float:
    """Return the share of right actions; for forces 1 near the best, 0 on the other side of it, else half."""
    if not course.forces:
        return look.actions[at][task.best[at]]
    peak, done = np.array(task.peaks[at]), np.array(look.actions[at])
    if np.abs(done - peak).max() < _FAR_FORCE:
        return 1.0
    along = peak != 0
    return 0.0 if bool((np.sign(peak) * done < -0.6)[along].all()) else 0.5
