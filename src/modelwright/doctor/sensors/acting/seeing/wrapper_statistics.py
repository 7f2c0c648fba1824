"""Whether observations are scaled after learning by what Gymnasium's wrapper held while learning."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.seeing.scaling_rules import Pairs, is_as_shown
from modelwright.doctor.watch.experience import Transition

__all__ = ["WrapperStatistics"]

_FAR = 0.5
"""Root mean square of the difference to what learning would have given, in its deviations."""

_MOST_ENVIRONMENTS = 256
_MOST_WRAPPERS = 32
_BOUND = 10.0


@dataclass(slots=True)
class _Scaled:
    """One environment that was reset.

    Attributes:
        moments: Mean, variance and count that its wrapper keeps; None without one.
        resets: How often it was reset.
    """

    moments: Any
    resets: int = 0


class WrapperStatistics:
    """Knows which environments scale what they show, and by what."""

    def __init__(self) -> None:
        self._of: dict[int, _Scaled] = {}

    def hear_reset(self, number: int, environment: Any) -> None:
        """Take note of an environment by its number."""
        known = self._of.get(number)
        if known is None and len(self._of) < _MOST_ENVIRONMENTS:
            known = self._of[number] = _Scaled(_moments(environment))
        if known is not None:
            known.resets += 1

    def difference(
        self, learnt: Pairs, after: Pairs, transitions: Iterable[Transition]
    ) -> tuple[bool, NDArray[np.float64]] | None:
        """Return how far what a model is given after learning is from what it would have been given before.

        Args:
            learnt: What was given and shown while the program learnt.
            after: The same after its last step, of other environments.
            transitions: What environments did.

        Returns:
            Whether it is given observations without any scale (else by one that began anew), and the root
            mean square of the difference in deviations (number,); None where nothing is wrong, or unknown.
        """
        held = [self._of[each] for each in set(learnt.environments.tolist()) if each in self._of]
        moments = [each.moments for each in held if each.moments is not None]
        apart = set(after.environments.tolist())
        others = [self._of[each] for each in apart if each in self._of]
        if not moments or len(moments) < len(held) or not others:
            return None
        if not (is_as_shown(learnt) and is_as_shown(after)):
            return None  # scaled once more by the program
        raw = all(each.moments is None for each in others)
        shown = after.shown
        if not raw:
            if len(others) > 1 or any(others[0].moments is each for each in moments):
                return None
            own = others[0].moments
            seen = sum(each.environment in apart for each in transitions) + others[0].resets
            if float(own.count) > seen + 1.0:
                return None  # it knows of more than it was seen to give
            shown = shown * np.sqrt(own.var + 1e-8) + own.mean
        far = [_distances(shown, after.given, each) for each in moments]
        nearest = min(far, key=lambda each: float(each.max()))
        return (raw, nearest) if nearest.max() >= _FAR and np.median(nearest) >= _FAR / 2 else None


def _distances(shown: NDArray[np.float64], given: NDArray[np.float64], moments: Any) -> NDArray[np.float64]:
    wanted = np.clip((shown - moments.mean) / np.sqrt(moments.var + 1e-8), -_BOUND, _BOUND)
    return np.sqrt(((np.clip(given, -_BOUND, _BOUND) - wanted) ** 2).mean(axis=0))


def _moments(environment: Any) -> Any:
    """Return what the wrapper keeps that scales observations; None without one, or with several."""
    from gymnasium.wrappers import NormalizeObservation

    found: list[Any] = []
    for each in _chain(environment):
        if isinstance(each, NormalizeObservation):
            found.append(each.obs_rms)
    return found[0] if len(found) == 1 and np.ndim(found[0].mean) == 1 else None


def _chain(environment: Any) -> Iterable[Any]:
    for _ in range(_MOST_WRAPPERS):
        if environment is None:
            return
        yield environment
        environment = vars(environment).get("env")
