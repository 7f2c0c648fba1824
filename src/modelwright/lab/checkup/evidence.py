"""The evidence of a finding, drawn: curves of lists, bars of mappings, parts of wholes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
from markupsafe import Markup

from modelwright.lab.page.curve import Curve
from modelwright.lab.page.curve_plot import draw_curves
from modelwright.lab.page.svg import element, percent

__all__ = ["Drawn", "draw_evidence", "number_text"]

_CURVE = 8
"""Numbers from which on a list is a curve; fewer are bars."""

_MOST_BARS = 24
_BESIDE = {
    "loss": "loss_of_the_best_constant",
    "classes_in_each_batch": "expected_in_random_order",
}
"""A list -> a number of the same evidence that it is held against."""

_ALONG = {"newest_quarter_drawn_over_expected": "steps"}
"""A list -> the list of where its numbers stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Evidence as a page shows it.

    Attributes:
        figures: (caption, drawing) of what is drawn; without a caption where bars have names enough.
        facts: (name, text) of the rest.
    """

    figures: tuple[tuple[str, Markup], ...]
    facts: tuple[tuple[str, str], ...]


def draw_evidence(evidence: Mapping[str, Any]) -> Drawn:
    """Return evidence drawn where it can be; numbers that are not finite are told in words."""
    left = dict(_flat(evidence))
    figures: list[tuple[str, Markup]] = []
    figures += _tables(left)
    figures += _labelled(left)
    for name in [name for name, value in left.items() if _is_curve(value)]:
        if name in left:
            figures.append((_words(name), _curve(name, left)))
    for name in [name for name, value in left.items() if _is_bars(value)]:
        value = left.pop(name)
        named = value.items() if isinstance(value, Mapping) else enumerate(value, start=1)
        pairs = [(str(key), each) for key, each in cast("Iterable[tuple[Any, Any]]", named)]
        figures.append((_words(name), _bars(pairs)))
    figures += _shares(left)
    return Drawn(
        figures=tuple(figures), facts=tuple((_words(name), _told(value)) for name, value in left.items())
    )


def number_text(value: object) -> str:
    """Return a number with four significant digits, or what stands in its place."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**15 else f"{float(value):.4g}"
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else "not finite"
    return "none" if value is None else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return ", ".join(f"{_words(str(key))}: {_told(each)}" for key, each in items) or "none"
    if isinstance(value, list | tuple):
        items = cast("Sequence[Any]", value)
        told = (f"({_told(each)})" if isinstance(each, list | tuple) else _told(each) for each in items)
        return ", ".join(told) or "none"
    return number_text(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and abs(value) < 1e300 and math.isfinite(value)


def _is_curve(value: Any) -> bool:
    """Return whether it is a list of many numbers, or of (place, number), with gaps at most."""
    if not isinstance(value, list):
        return False
    items = cast("list[Any]", value)
    if _are_points(items):
        return True
    return len(items) >= _CURVE and all(_is_number(each) or each is None for each in items)


def _are_points(items: list[Any]) -> bool:
    pairs = [each for each in items if isinstance(each, list) and len(cast("list[Any]", each)) == 2]
    if len(items) < 2 or len(pairs) != len(items) or not all(_is_finite(each[0]) for each in pairs):
        return False
    return all(one[0] < other[0] for one, other in pairwise(pairs)) and all(
        _is_number(each[1]) for each in pairs
    )


def _is_bars(value: Any) -> bool:
    """Return whether it is a mapping or a short list of which two values or more are numbers."""
    if isinstance(value, Mapping):
        values = list(cast("Mapping[str, Any]", value).values())
        plain = all(_is_number(each) or isinstance(each, str) or each is None for each in values)
        return plain and sum(map(_is_finite, values)) >= 2
    if isinstance(value, list):
        values = cast("list[Any]", value)
        # Whole numbers are shapes and places more often than amounts.
        amounts = any(isinstance(each, float) for each in values)
        return amounts and 2 <= len(values) < _CURVE and all(map(_is_finite, values))
    return False


def _curve(name: str, left: dict[str, Any]) -> Markup:
    """Draw a list, and take it out of what is left."""
    values = cast("list[Any]", left.pop(name))
    across = "in order"
    if _are_points(values):
        places, heights = [each[0] for each in values], [each[1] for each in values]
        across = "step"
    else:
        places, heights = list(range(1, len(values) + 1)), values
        along = left.get(_ALONG.get(name, ""))
        if isinstance(along, list) and len(cast("list[Any]", along)) == len(values):
            places, across = cast("list[Any]", left.pop(_ALONG[name])), "step"
    numbers = [float(each) if _is_finite(each) else math.nan for each in heights]
    classes = {name: "c-v0"}
    curves = [_as_curve(name, places, numbers)]
    other = _BESIDE.get(name, "")
    if _is_finite(beside := left.get(other, math.nan)):
        curves.append(_as_curve(other, places, [float(beside)] * len(places)))
        classes[other] = "c-v1"
    known = [each for each in numbers if math.isfinite(each)]
    told = f"from {min(known):.4g} to {max(known):.4g}" if known else "no finite number"
    lost = len(numbers) - len(known)
    note = f"{told}; {lost} not finite, which cannot be drawn" if lost and known else told
    parts = [
        draw_curves(curves, classes, label=f"{_words(name)}, {note}", title=across, height=170),
        element("p", note, class_="small soft"),
    ]
    if len(curves) > 1:
        parts.insert(0, _legend(classes))
    return Markup("").join(parts)


def _as_curve(name: str, places: Sequence[Any], heights: Sequence[float]) -> Curve:
    numbers = np.array(heights, np.float64)
    return Curve(
        metric=name,
        variant=name,
        seeds=1,
        updates=np.array([int(each) for each in places], np.int64),
        low=numbers,
        middle=numbers,
        high=numbers,
        group=1,
        lost=0,
    )


def _legend(classes: Mapping[str, str]) -> Markup:
    lines = [
        element(
            "li",
            element(
                "svg",
                element("line", x1="0", x2="100%", y1="50%", y2="50%", class_=f"curve {name}"),
                class_=name,
                aria_hidden="true",
            ),
            _words(text),
        )
        for text, name in classes.items()
    ]
    return element("ul", *lines, class_="legend")


def _bars(pairs: Sequence[tuple[str, Any]]) -> Markup:
    """Draw numbers as bars from zero, each with its name and its value."""
    shown = pairs[:_MOST_BARS]
    numbers = [float(each) for _, each in shown if _is_finite(each)]
    low, high = min([0.0, *numbers]), max([0.0, *numbers])
    span = (high - low) or 1.0
    rows = [_bar(name, value, low, span) for name, value in shown]
    if len(pairs) > len(shown):
        rows.append(element("p", f"and {len(pairs) - len(shown)} more", class_="small soft"))
    return element("div", *rows, class_="bars")


def _bar(name: str, value: Any, low: float, span: float) -> Markup:
    inside: list[Markup] = []
    if _is_finite(value):
        begin, end = sorted((-low / span, (float(value) - low) / span))
        inside.append(
            element("i", class_="bar", style=f"left:{percent(begin)};width:{percent(max(0.0, end - begin))}")
        )
    return element(
        "div",
        element("span", _words(name), class_="bar-name"),
        element("span", *inside, class_="bar-room", aria_hidden="true"),
        element("span", number_text(value), class_="bar-value"),
        class_="bar-line",
    )


def _flat(evidence: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yield names and values, those of a mapping of mappings one by one."""
    for name, value in evidence.items():
        inner = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
        if inner and all(isinstance(each, Mapping) for each in inner.values()):
            for outer, parts in inner.items():
                yield from ((f"{outer}: {key}", each) for key, each in parts.items())
        elif any(isinstance(each, list | Mapping) for each in inner.values()):
            yield from ((f"{name}: {key}", each) for key, each in inner.items())
        else:
            yield name, value


def _tables(left: dict[str, Any]) -> list[tuple[str, Markup]]:
    """Show lists of mappings of the same names as tables, and take them out of what is left."""
    found: list[tuple[str, Markup]] = []
    for name, value in list(left.items()):
        rows = cast("list[Any]", value) if isinstance(value, list) else []
        if not rows or not all(isinstance(row, Mapping) and row.keys() == rows[0].keys() for row in rows):
            continue
        del left[name]
        head = element("tr", *(element("th", _words(str(key)), scope="col") for key in rows[0]))
        body = [
            element("tr", *(element("td", _told(each)) for each in row.values())) for row in rows[:_MOST_BARS]
        ]
        table = element("table", element("thead", head), element("tbody", *body))
        found.append((_words(name), element("div", table, class_="scroll", tabindex="0")))
    return found


def _labelled(left: dict[str, Any]) -> list[tuple[str, Markup]]:
    """Draw lists of numbers that stand beside a list of names, and take all of them out of what is left."""
    found: list[tuple[str, Markup]] = []
    for name, value in list(left.items()):
        names = cast("list[Any]", value) if isinstance(value, list) else []
        if len(names) < 2 or not all(isinstance(each, str) for each in names):
            continue
        beside = [
            key
            for key, other in left.items()
            if isinstance(other, list)
            and len(cast("list[Any]", other)) == len(names)
            and all(map(_is_finite, cast("list[Any]", other)))
        ]
        for key in beside:
            found.append((_words(key), _bars(list(zip(names, left.pop(key), strict=True)))))
        if beside:
            del left[name]
    return found


def _shares(left: dict[str, Any]) -> list[tuple[str, Markup]]:
    """Draw counts that begin with the name of another count, which they are a part of."""
    found: list[tuple[str, Markup]] = []
    for whole, total in list(left.items()):
        parts = {
            name: value
            for name, value in left.items()
            if name.startswith(f"{whole}_")
            and isinstance(value, int)
            and isinstance(total, int)
            and 0 <= value <= total
            and total > 1
        }
        if parts:
            pairs = [(whole, total), *((name, left.pop(name)) for name in parts)]
            del left[whole]
            found.append(("", _bars(pairs)))
    return found
