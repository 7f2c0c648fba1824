"""Rewards as a program uses them: divided by a deviation that runs along, or with something taken off.

They are found by their numbers among what the user's functions hold as they learn: an array of the rollout's
shape that is, at every step, one and the same multiple of what all environments gave.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.advantages.rollout import Rollout
from modelwright.doctor.sensors.acting.tabular.tables import is_users_own, users_variables

__all__ = ["UsedRewards", "used_rewards"]

Floats = NDArray[np.float64]

_FEWEST_ENVIRONMENTS = 3
_FEWEST_STEPS = 8
_MOST_LOOKED_AT = 4000
_NEAR = 2e-5
_MOST_UNKNOWN = 0.5
"""Of steps, those that may not tell by what rewards were multiplied."""


@dataclass(slots=True)
class UsedRewards:
    """What rewards became.

    Attributes:
        rewards: As the program uses them (transition,).
        factor: What they were multiplied by at each step (step,); not a number where the step does not tell.
        shift: What was added then (step,).
        shifted: Whether something was.
    """

    rewards: Floats
    factor: Floats
    shift: Floats
    shifted: bool


def used_rewards(rollout: Rollout, frames: Sequence[FrameType]) -> UsedRewards | None:
    """Return rewards as the program uses them; None where they are as given, or are not found.

    Args:
        rollout: What was done; of several environments that stepped side by side.
        frames: Of the user's functions that led here.
    """
    count = len(rollout.transitions)
    width = int(rollout.last.sum())
    steps = count // width
    if width < _FEWEST_ENVIRONMENTS or steps < _FEWEST_STEPS or steps * width != count:
        return None
    if not np.array_equal(np.flatnonzero(rollout.last), np.arange(1, width + 1) * steps - 1):
        return None
    given = rollout.reward.reshape(width, steps).T
    cut = rollout.cut.reshape(width, steps).T
    for rows in _arrays(frames, steps, width):
        if np.allclose(rows, given, rtol=1e-6, atol=1e-7):
            continue
        for shifted in (False, True):
            found = _multiples(rows, given, cut, shifted)
            if found is not None:
                return found
    return None


def _multiples(rows: Floats, given: Floats, cut: NDArray[np.bool_], shifted: bool) -> UsedRewards | None:
    """Return the multiple, and the shift, of every step; what was clipped, or added at cuts, aside."""
    far = np.abs(rows).max()
    clipped = np.abs(rows) >= far * (1 - 1e-6)
    clipped &= clipped.sum() > 1
    use = ~cut & ~clipped
    few = use.sum(axis=1) < (3 if shifted else 2)
    weight = use.astype(np.float64)
    size = np.maximum(weight.sum(axis=1), 1.0)
    mean_x = (weight * given).sum(axis=1) / size if shifted else np.zeros(len(rows))
    mean_y = (weight * rows).sum(axis=1) / size if shifted else np.zeros(len(rows))
    x, y = weight * (given - mean_x[:, None]), weight * (rows - mean_y[:, None])
    spread = (x * x).sum(axis=1)
    few |= spread <= 1e-10 * (given * given).sum(axis=1) + 1e-300
    factor = np.where(few, np.nan, (x * y).sum(axis=1) / np.where(few, 1.0, spread))
    shift = mean_y - factor * mean_x
    if few.mean() > _MOST_UNKNOWN or not (factor[~few] > 0).all():
        return None
    said = factor[:, None] * given + shift[:, None]
    tolerance = _NEAR * (far + np.abs(factor[:, None] * given))
    right = np.abs(said - rows) <= tolerance
    within = clipped & (np.abs(said) >= far * (1 - 1e-4))
    if not (right | within | cut | few[:, None]).all():
        return None
    even = np.ptp(factor[~few]) <= 1e-5 * np.abs(factor[~few]).max()
    if even and np.abs(shift[~few]).max() <= tolerance.max() and not clipped.any():
        return None  # one multiple for all: nothing that is not known
    bonus = cut & ~right & ~few[:, None]  # the value of what would have followed, perhaps
    used = np.where(bonus, np.clip(said, -far, far), rows)
    return UsedRewards(used.T.reshape(-1), factor, shift, shifted)


def _arrays(frames: Sequence[FrameType], steps: int, width: int) -> Iterator[Floats]:
    """Yield numbers (step, environment) of arrays that users' variables hold."""
    seen: set[int] = set()
    for _, _, value in users_variables(frames):
        for each in _parts(value, steps, depth=2):
            if id(each) in seen:
                continue
            seen.add(id(each))
            if len(seen) > _MOST_LOOKED_AT:
                return
            numbers = _numbers(each, steps, width)
            if numbers is None:
                continue
            if numbers.ndim == 1:
                yield numbers.reshape(steps, width)
                yield numbers.reshape(width, steps).T
            elif numbers.shape == (steps, width):
                yield numbers
            elif numbers.shape == (width, steps):
                yield numbers.T


def _parts(value: Any, steps: int, depth: int) -> Iterator[Any]:
    """Yield a value, and what a mapping, a short list or an object of the user's holds."""
    yield value
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = list(value.values())[:64]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    elif isinstance(value, tuple | list) and 0 < len(value) <= 16:  # pyright: ignore[reportUnknownArgumentType]
        inner = list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    elif isinstance(value, list) and len(value) == steps and isinstance(value[0], tuple):  # pyright: ignore[reportUnknownArgumentType]
        inner = [list(column) for column in zip(*value, strict=False)]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    elif is_users_own(value):
        inner = list(vars(value).values())
    for each in inner:
        yield from _parts(each, steps, depth - 1) if depth else (each,)


def _numbers(value: Any, steps: int, width: int) -> Floats | None:
    """Return an array's numbers without axes of one; None where they are not one for each transition."""
    import torch

    if isinstance(value, list):
        if len(value) != steps or not isinstance(value[0], torch.Tensor | np.ndarray):  # pyright: ignore[reportUnknownArgumentType]
            return None
        parts = [_numbers(each, 1, width) for each in value]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        known = [each for each in parts if each is not None]
        return np.stack(known).reshape(steps, width) if len(known) == steps else None
    if isinstance(value, torch.Tensor):
        if value.numel() != steps * width or not value.is_floating_point() or value.requires_grad:
            return None
        value = value.detach().cpu().numpy()
    if not isinstance(value, np.ndarray) or value.size != steps * width or value.dtype.kind != "f":
        return None
    numbers = np.squeeze(value).astype(np.float64)
    return numbers if np.isfinite(numbers).all() and (steps == 1 or np.ptp(numbers) > 0) else None
