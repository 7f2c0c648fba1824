"""Numbers as a reader wants them: as many digits as say something, and a unit."""

import math
from collections.abc import Sequence
from datetime import datetime

from modelwright.experiment.interval import Interval

__all__ = [
    "decision_digits",
    "fixed",
    "general",
    "show_bytes",
    "show_count",
    "show_joules",
    "show_seconds",
    "show_time",
    "spread_digits",
]

_MOST_DIGITS = 12
_LARGEST_WRITTEN_OUT = 1e15


def fixed(value: float | None, digits: int) -> str:
    """Return `value` with so many digits after the point, never `-0`; a dash for None, words for NaN.

    Numbers with more digits than anybody reads, before the point or after it, come as powers of ten.
    """
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("infinite" if value > 0 else "-infinite")
    if abs(value) >= _LARGEST_WRITTEN_OUT:
        return f"{value:.6g}"
    text = f"{value:.{digits}f}"
    if digits >= _MOST_DIGITS and value != 0 and float(text) == 0:
        return f"{value:.3g}"
    return text.lstrip("-") if float(text) == 0 else text


def general(value: object) -> str:
    """Return a setting or a number of evidence: floats with six significant digits, the rest as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def decision_digits(interval: Interval, marks: Sequence[float]) -> int:
    """Return how many digits after the point let a reader repeat the decision.

    Two significant digits of the half-width, as `Interval.show` has them, and more where rounding would move
    a limit onto or across a mark.

    Args:
        interval: The interval.
        marks: What its limits are held against: the margin, plus and minus the smallest effect.
    """
    # Halved first: the whole width may be larger than any float.
    half = max(interval.high / 2 - interval.low / 2, 1e-9 * max(1.0, abs(interval.estimate)))
    if math.isinf(half):
        return 0
    digits = min(_MOST_DIGITS, max(0, 1 - math.floor(math.log10(half))))
    while digits < _MOST_DIGITS:
        rounded = {limit: float(f"{limit:.{digits}f}") for limit in (interval.low, interval.high)}
        if all(
            (limit > mark) == (near > mark) and (limit < mark) == (near < mark)
            for limit, near in rounded.items()
            for mark in marks
        ):
            break
        digits += 1
    return digits


def spread_digits(values: Sequence[float | None]) -> int:
    """Return how many digits after the point tell values apart: three significant ones of their range."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return 0
    span = max(finite) - min(finite) or max(map(abs, finite)) / 10
    if all(value == round(value) for value in finite) or span == 0 or math.isinf(span):
        return 0
    return min(_MOST_DIGITS, max(0, 2 - math.floor(math.log10(span))))


def show_seconds(value: float) -> str:
    """Return a duration with its unit."""
    if value < 0.0995:
        return f"{value * 1000:.2g} ms"
    if value < 119.5:
        return f"{value:.3g} s"
    minutes, seconds = divmod(round(value), 60)
    if minutes < 120:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(round(value / 60), 60)
    return f"{hours} h {minutes} min"


def show_bytes(value: int) -> str:
    """Return an amount of memory in binary units."""
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1024
    return f"{amount:.3g} TiB"


def show_joules(value: float) -> str:
    """Return an energy in joules, and in watt-hours where it is a lot."""
    if value < 1000:
        return f"{value:.3g} J"
    return f"{value / 1000:.3g} kJ ({value / 3600:.3g} Wh)"


def show_time(stamp: str) -> str:
    """Return the ledger's ISO 8601 time to the second, in UTC; what is no such time as it is."""
    try:
        return datetime.fromisoformat(stamp).strftime("%Y-%m-%d %H:%M:%S UTC")
    except ValueError:
        return stamp


def show_count(number: int, one: str, many: str = "") -> str:
    """Return e.g. `1 seed` or `12 seeds`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
