"""What a learner demands of its experience, said before anything is computed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.metric import Task
from modelwright.base.seed import Seed
from modelwright.data.experience import Experience

__all__ = ["demand"]


def demand(
    learner: str,
    experience: Experience,
    seeds: Sequence[Seed],
    *,
    tasks: Sequence[Task],
    images: bool = False,
    finite: bool = True,
) -> None:
    """Check that a learner can work with what it is given.

    Args:
        learner: Its name, for messages.
        experience: Training rows.
        seeds: One per array of rows.
        tasks: The tasks that it can learn.
        images: Whether rows must be images (channel, height, width).
        finite: Whether features may have no missing values; targets never may.

    Raises:
        BadValue: with what is wrong and what to do.
    """
    if len(seeds) != len(experience.rows):
        raise BadValue(
            "A cohort has one seed per array of training rows",
            got=f"{len(seeds)} seeds, {len(experience.rows)} arrays of rows",
        )
    if experience.task not in tasks:
        raise BadValue(
            f"{learner} learns {' and '.join(tasks)}",
            got=f"a {experience.task} target",
            nearest="linear_regression or mlp"
            if experience.task == "regression"
            else "logistic_regression or mlp",
        )
    if images and experience.features.ndim != 4:
        raise BadValue(
            f"{learner} reads images, features of shape (row, channel, height, width)",
            got=f"features of shape {experience.features.shape}",
            next_step="take mlp for tables, or give the data set an image shape",
        )
    if experience.features.ndim < 2 or experience.features[0].size == 0:
        raise BadValue("Rows need at least one feature", got=f"features of shape {experience.features.shape}")
    if experience.task == "classification" and len(experience.classes) < 2:
        raise BadValue("Classification needs at least two classes", got=list(experience.classes))
    for place, rows in enumerate(experience.rows):
        if finite:
            _demand_finite(learner, "features", experience.features, rows, place)
        _demand_finite(learner, "targets", experience.target, rows, place)
        target = experience.target[rows]
        if experience.task == "classification" and (
            target.min() < 0 or target.max() >= len(experience.classes)
        ):
            raise BadValue(
                f"Targets are class indices from 0 to {len(experience.classes) - 1}",
                got=f"indices from {target.min()} to {target.max()}",
            )


def _demand_finite(learner: str, what: str, table: NDArray[Any], rows: NDArray[np.int64], place: int) -> None:
    values = table[rows]
    if np.isfinite(values).all():
        return
    broken = ~np.isfinite(values.reshape(len(rows), -1)).all(axis=1)
    raise BadValue(
        f"{learner} needs finite {what} in training rows",
        got=f"a missing or infinite value in row {int(rows[broken.argmax()])} (seed at place {place})",
        next_step="fill or drop missing values, or take a learner that accepts them",
    )
