"""Where the true difference may lie, and the three questions that a verdict asks of it."""

import math
from dataclasses import dataclass
from typing import Any

from modelwright.base.errors import BadValue
from modelwright.base.fingerprint import jsonable

__all__ = ["Interval"]

_MOST_DECIMALS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided interval for the mean difference candidate minus baseline, more is better.

    The stopping rules make intervals that hold at all looks at once: whoever reads a decision off
    any of them, at whatever look, errs in each direction with probability at most (1 - level) / 2.

    Attributes:
        low: Lower limit, in the metric's unit.
        high: Upper limit, at least `low`.
        level: Probability that the intervals of all looks cover the true difference, e.g. 0.95.
        estimate: Mean of the differences. It may lie outside an interval that was narrowed by earlier
            looks, because the limits remember what the mean has since left.
    """

    low: float
    high: float
    level: float
    estimate: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in (self.low, self.high, self.estimate)):
            raise BadValue(
                "An interval's limits and estimate are finite", got=(self.low, self.high, self.estimate)
            )
        if self.low > self.high:
            raise BadValue("An interval's lower limit is at most its upper limit", got=(self.low, self.high))
        if not 0 < self.level < 1:
            raise BadValue("An interval's level is a probability between 0 and 1", got=self.level)

    @property
    def width(self) -> float:
        """Upper limit minus lower limit."""
        return self.high - self.low

    def beyond(self, value: float) -> bool:
        """Tell whether the whole interval lies above `value`."""
        return self.low > value

    def short_of(self, value: float) -> bool:
        """Tell whether the whole interval lies below `value`."""
        return self.high < value

    def inside(self, low: float, high: float) -> bool:
        """Tell whether the whole interval lies strictly between `low` and `high`."""
        return low < self.low and self.high < high

    def text(self) -> str:
        """Return e.g. `0.021 (95% interval 0.015 to 0.027)`, rounded to what the width can tell."""
        estimate, low, high = (self.show(value) for value in (self.estimate, self.low, self.high))
        return f"{estimate} ({self.level * 100:.4g}% interval {low} to {high})"

    def show(self, value: float) -> str:
        """Return `value` rounded to two significant digits of the interval's half-width."""
        half = self.width / 2
        if half <= 1e-9 * abs(value) or half == 0:
            return f"{value:.6g}"
        digits = max(0, 1 - math.floor(math.log10(half)))
        if digits > _MOST_DECIMALS:
            whole = 0 if value == 0 else max(0, math.floor(math.log10(abs(value) / half)))
            return f"{value:.{whole + 2}g}"
        shown = f"{value:.{digits}f}"
        return shown.lstrip("-") if float(shown) == 0 else shown

    def record(self) -> dict[str, Any]:
        """Return the interval as JSON types."""
        return jsonable(self)
