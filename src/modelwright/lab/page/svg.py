"""SVG elements as escaped markup, placed in percentages so that text keeps its size on any screen."""

import math

from markupsafe import Markup, escape

__all__ = ["element", "percent"]


def element(name: str, *children: Markup | str, **attributes: object) -> Markup:
    """Return an element; text and attribute values are escaped.

    Args:
        name: Its tag.
        children: Markup, or text that is escaped.
        attributes: `class_` stands for class, `_` in other names for `-`; those that are None are left out.
    """
    words = [
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), value)
        for key, value in attributes.items()
        if value is not None
    ]
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(name, Markup("").join(words), inside)


def percent(place: float) -> str:
    """Return a place from 0 to 1 as a percentage of the drawing."""
    if not math.isfinite(place):
        raise ValueError(f"a place in a drawing is finite, got {place}")
    return f"{place * 100:.2f}".rstrip("0").rstrip(".") + "%"
