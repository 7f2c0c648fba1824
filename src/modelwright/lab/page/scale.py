"""From a value to a place along an axis, and the ticks that label it."""

import itertools
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Scale", "fit_scale"]

_DECADES_FOR_LOG = 3.0
_LARGEST = sys.float_info.max
_LEAST = math.ulp(0.0)
_LEAST_SPAN = 1e-300
"""Numbers nearer to one another lie on one place: steps between them would leave the range of floats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """An axis from `low` to `high`, linear or logarithmic.

    Attributes:
        low: Value at place 0.
        high: Value at place 1, above `low`.
        log: Whether equal distances are equal ratios; both ends are above 0 then.
    """

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return where `value` lies: 0 at `low`, 1 at `high`; outside of both where it does."""
        if not self.log:
            span = self.high - self.low
            if math.isfinite(span):
                return (value - self.low) / span
            return (value / 4 - self.low / 4) / (self.high / 4 - self.low / 4)
        if value <= 0:
            return -math.inf
        low = math.log(self.low)  # the ratio of the ends may be larger than any float
        return (math.log(value) - low) / (math.log(self.high) - low)

    def inside(self, value: float) -> float:
        """Return the place of `value`, at the nearer end where it lies outside."""
        return min(1.0, max(0.0, self.place(value)))

    def holds(self, value: float) -> bool:
        """Tell whether `value` lies on the axis."""
        return self.low <= value <= self.high

    def ticks(self, count: int = 5) -> list[float]:
        """Return round values on the axis, about `count` of them: steps of 1, 2 or 5, or decades."""
        if self.log:
            return self._decades(count)
        count = max(2, count)  # half of the range is a number, where the whole may be larger than any
        step = _round_step(self.high / count - self.low / count)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step)))
        ticks = [round(place * step, digits) + 0.0 for place in range(first, last + 1)]
        return [tick for tick in ticks if math.isfinite(tick)]

    def _decades(self, count: int) -> list[float]:
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        stride = max(1, math.ceil((last - first + 1) / count))
        return [10.0**power for power in range(first, last + 1, stride)]

    def labels(self, ticks: list[float]) -> list[str]:
        """Return the ticks as text, all with as many digits as their step needs."""
        if self.log or not ticks:
            return [f"{tick:g}" for tick in ticks]
        largest = max(map(abs, ticks))
        step = min((b - a for a, b in itertools.pairwise(ticks)), default=largest or 1.0)
        if largest >= 1e6 or (0 < largest < 1e-4):
            return [f"{tick:g}" for tick in ticks]
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [f"{tick:,.{digits}f}" for tick in ticks]


def _round_step(wanted: float) -> float:
    """Return the step of 1, 2 or 5 times a power of ten whose ratio to the wanted one is nearest to 1."""
    power = 10.0 ** math.floor(math.log10(wanted))
    return min((step * power for step in (1, 2, 5, 10)), key=lambda step: abs(math.log(step / wanted)))


def fit_scale(values: Iterable[float], *, padding: float = 0.06, may_log: bool = False) -> Scale:
    """Return an axis that holds all finite `values`, with some room at both ends.

    Args:
        values: What shall be on it; NaN and infinities are left out.
        padding: Room at each end, as a share of the range.
        may_log: Whether to be logarithmic where the values are positive and span three decades or more.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Scale(low=0.0, high=1.0)
    low, high = min(finite), max(finite)
    if may_log and low > 0 and (decades := math.log10(high) - math.log10(low)) >= _DECADES_FOR_LOG:
        room = 10.0 ** (padding * decades)
        return Scale(low=max(_LEAST, low / room), high=min(_LARGEST, high * room), log=True)
    span = high - low
    if span <= 1e-12 * max(abs(low), abs(high)):
        span = abs(high) or 1.0
    room = padding * min(_LARGEST, max(_LEAST_SPAN, span))
    return Scale(low=max(-_LARGEST, low - room), high=min(_LARGEST, high + room))
