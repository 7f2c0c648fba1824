"""Whether the atoms of value distributions reach as far as the returns that are really earned."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.distributions.supports import Supports
from modelwright.doctor.sensors.acting.value.way import Fit
from modelwright.doctor.watch.experience import Experience
from modelwright.doctor.watch.place import Place

__all__ = ["Reach"]

Numbers = NDArray[np.float64]

_ENOUGH = 5
_FEWEST_RETURNS = 300
_MOST_STEPS = 20_000
_MOST_OUTSIDE = 0.6


class Reach:
    """Holds the ends of the atoms to discounted sums of rewards.

    Args:
        experience: What the environments did.
    """

    def __init__(self, experience: Experience) -> None:
        self._experience = experience
        self._fits = 0
        self._plain = 0
        self._discount = 1.0
        self._atoms: Numbers | None = None
        self._place: Place | None = None

    def fitted(self, found: Fit, atoms: Numbers | None, place: Place | None) -> None:
        """Take note of targets that a right way gives from the environments' own rewards."""
        self._fits += 1
        if not found.way.reward and found.scale == 1.0 and np.isfinite(found.discount):
            self._plain += 1
            self._discount, self._atoms, self._place = found.discount, atoms, place

    def findings(self, supports: Supports) -> Iterable[Finding]:
        """Return that most returns lie outside of the atoms, in the newer half of what was done."""
        if self._plain < _ENOUGH or self._plain < self._fits or self._atoms is None:
            return
        returns = self._returns()
        returns = returns[len(returns) // 2 :]
        if len(returns) < _FEWEST_RETURNS:
            return
        low, high = float(self._atoms[0]), float(self._atoms[-1])
        outside = max(float((returns < low).mean()), float((returns > high).mean()))
        if outside < _MOST_OUTSIDE or low <= float(np.median(returns)) <= high:
            return
        middle = float(np.median(returns))
        yield Finding(
            kind="returns-outside-of-support",
            severity=Severity.SEVERE,
            title=f"Atoms reach from {low:.4g} to {high:.4g}, and the median return is {middle:.4g}.",
            evidence={
                "returns": len(returns),
                "share_outside": round(outside, 3),
                "median_return": middle,
                "discount": self._discount,
                "atoms_from": low,
                "atoms_to": high,
            },
            causes=(cause("value-support-too-narrow", supports.place_of(len(self._atoms)) or self._place),),
            next_check="compare the first and the last atom with discounted sums of rewards of some episodes",
            subject=str(self._place or ""),
        )

    def _returns(self) -> Numbers:
        """Return discounted sums of rewards to each episode's end, in order of the steps (step,).

        Of an episode that was cut only those are meant that further rewards take no nearer to nothing: all of
        one sign.
        """
        made = self._experience.transitions[-_MOST_STEPS:]
        first = self._experience.first + len(self._experience.transitions) - len(made)
        sums = np.full(len(made), np.nan)
        one_sign = self._one_sign()
        for at in range(len(made) - 1, -1, -1):
            each = made[at]
            if each.terminated or (each.truncated and one_sign):
                sums[at] = each.reward
            elif not each.truncated and each.after - first > at:
                sums[at] = each.reward + self._discount * sums[each.after - first]
        return sums[np.isfinite(sums)]

    def _one_sign(self) -> bool:
        rewards = [each.reward for each in self._experience.transitions[-_MOST_STEPS:]]
        return min(rewards, default=0.0) >= 0.0 or max(rewards, default=0.0) <= 0.0
