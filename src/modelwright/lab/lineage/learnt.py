"""What two trainings learnt, array by array."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LearntComparison", "compare_learnt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearntComparison:
    """How the learnt numbers of a run and of its repetition compare.

    Attributes:
        same: Whether they are the same to the last bit, or there are none on either side.
        name: The array that differs most, or one that differs without a size; empty where none does.
        relative: The largest |recorded - now| of an array over the largest magnitude in it. None where
            nothing can be measured, because only a hash of the fitted object was kept; infinite where arrays
            are missing or have another shape.
    """

    same: bool
    name: str = ""
    relative: float | None = None

    def record(self) -> dict[str, Any]:
        """Return the comparison as JSON types; an infinite difference becomes text."""
        shown = self.relative if self.relative is None or math.isfinite(self.relative) else str(self.relative)
        return {"same": self.same, "name": self.name, "relative": shown}


def compare_learnt(recorded: bytes | None, now: bytes | None) -> LearntComparison:
    """Compare two archives (`.npz`) of learnt numbers.

    An element near zero says nothing beside large ones, so a difference is relative to the largest magnitude
    of its array, not to the element.

    Args:
        recorded: The run's archive; None where it has none.
        now: The repetition's.
    """
    if recorded == now:
        return LearntComparison(same=True)
    if recorded is None or now is None:
        return LearntComparison(same=False, name="all of them", relative=math.inf)
    was, is_now = _arrays(recorded), _arrays(now)
    names = sorted(was.keys() | is_now.keys())
    differ = {
        name: _relative(was.get(name), is_now.get(name))
        for name in names
        if name not in was or name not in is_now or not _same(was[name], is_now[name])
    }
    if not differ:
        return LearntComparison(same=True)
    sizes = {name: size for name, size in differ.items() if size is not None}
    if not sizes:
        return LearntComparison(same=False, name=next(iter(differ)))
    worst = max(sizes, key=sizes.__getitem__)
    return LearntComparison(same=False, name=worst, relative=sizes[worst])


def _arrays(archive: bytes) -> Mapping[str, NDArray[Any]]:
    with np.load(io.BytesIO(archive), allow_pickle=False) as opened:
        return {name: opened[name] for name in opened.files}


def _same(was: NDArray[Any], is_now: NDArray[Any]) -> bool:
    """Return whether two arrays are the same to the last bit; every NaN counts as one value."""
    if was.shape != is_now.shape or was.dtype != is_now.dtype:
        return False
    if was.dtype.kind != "f" or was.tobytes() == is_now.tobytes():
        return was.tobytes() == is_now.tobytes()
    return np.array_equal(was, is_now, equal_nan=True) and np.array_equal(
        np.signbit(was) & ~np.isnan(was), np.signbit(is_now) & ~np.isnan(is_now)
    )


def _relative(was: NDArray[Any] | None, is_now: NDArray[Any] | None) -> float | None:
    """Return how far two arrays that differ are apart, None where that has no size."""
    if was is None or is_now is None or was.shape != is_now.shape or was.dtype != is_now.dtype:
        return math.inf
    if was.dtype.kind != "f":
        return None
    known = np.isfinite(was)
    if (
        not np.array_equal(was[~known], is_now[~known], equal_nan=True)
        or not np.isfinite(is_now[known]).all()
    ):
        return math.inf
    one, other = was[known].astype(np.float64), is_now[known].astype(np.float64)
    scale = float(max(np.abs(one).max(initial=0.0), np.abs(other).max(initial=0.0)))
    # Divided before subtracting, so that numbers near the largest do not overflow.
    return float(np.abs(one / scale - other / scale).max(initial=0.0)) if scale else 0.0
