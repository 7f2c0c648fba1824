"""Effects as intervals: one against its margin, and how it narrowed from look to look."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from modelwright.experiment.interval import Interval
from modelwright.lab.page.plot import Axis, draw_plot
from modelwright.lab.page.scale import Scale, fit_scale
from modelwright.lab.page.svg import element, percent

__all__ = ["MOST_LOOKS", "Marks", "draw_effect", "draw_looks", "effect_scale", "leaves_drawing", "thin"]

MOST_LOOKS = 120
"""Looks that are drawn; of more, every so-manieth and the last."""

_REACH = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What intervals are held against.

    Attributes:
        margin: The claim is a difference above it.
        smallest: Differences within plus or minus this do not matter.
    """

    margin: float
    smallest: float


def effect_scale(intervals: Sequence[Interval], marks: Marks) -> Scale:
    """Return one axis for several comparisons with everything that they are held against."""
    limits = [value for item in intervals for value in (item.low, item.high, item.estimate)]
    return fit_scale([*limits, marks.margin, marks.smallest, -marks.smallest, 0.0])


def draw_effect(interval: Interval, marks: Marks, scale: Scale, *, look: str, label: str) -> Markup:
    """Return one interval lying along a horizontal axis.

    Args:
        interval: The interval.
        marks: Margin and smallest effect.
        scale: The axis, shared by all comparisons of the page.
        look: CSS class of the outcome.
        label: The same in words.
    """
    low, high, estimate = (scale.inside(value) for value in (interval.low, interval.high, interval.estimate))
    middle = "50%"
    drawn = [
        _zone(scale, marks.smallest, upright=False),
        _rule(scale, 0.0, "zero", upright=False),
        _rule(scale, marks.margin, "margin", upright=False),
        element("line", x1=percent(low), x2=percent(high), y1=middle, y2=middle, class_=f"interval {look}"),
        *(
            element("line", x1=percent(at), x2=percent(at), y1="36%", y2="64%", class_=f"cap {look}")
            for at in (low, high)
        ),
        element("circle", cx=percent(estimate), cy=middle, r=6, class_=f"estimate {look}"),
    ]
    return draw_plot(drawn, x=Axis(scale=scale, title="", count=4), y=None, height=84, label=label)


def _zone(scale: Scale, smallest: float, *, upright: bool) -> Markup:
    low, high = scale.inside(-smallest), scale.inside(smallest)
    if upright:
        return element(
            "rect", x=0, width="100%", y=percent(1 - high), height=percent(high - low), class_="zone"
        )
    return element("rect", y=0, height="100%", x=percent(low), width=percent(high - low), class_="zone")


def _rule(scale: Scale, value: float, name: str, *, upright: bool) -> Markup:
    if not scale.holds(value):
        return Markup("")
    place = scale.place(value)
    if upright:
        return element("line", x1=0, x2="100%", y1=percent(1 - place), y2=percent(1 - place), class_=name)
    return element("line", y1=0, y2="100%", x1=percent(place), x2=percent(place), class_=name)


def look_scale(intervals: Sequence[Interval], marks: Marks) -> Scale:
    """Return the axis of the looks: the last interval decides, and early wide ones may leave it.

    The first of a few looks can be twenty times as wide as the last; drawn whole it would hide the decision.
    """
    last = intervals[-1]
    core = [last.low, last.high, marks.margin, marks.smallest, -marks.smallest, 0.0]
    core += [item.estimate for item in intervals]
    low, high = min(core), max(core)
    room = _REACH * (high - low)
    reached = [max(item.low, low - room) for item in intervals] + [
        min(item.high, high + room) for item in intervals
    ]
    return fit_scale([*core, *reached], padding=0.04)


def leaves_drawing(intervals: Sequence[Interval], marks: Marks) -> bool:
    """Tell whether some look's interval is too wide for the drawing of the looks; it ends in an arrow."""
    scale = look_scale(intervals, marks)
    return any(not scale.holds(item.low) or not scale.holds(item.high) for item in intervals)


def thin(items: Sequence[int], most: int) -> list[int]:
    """Return at most about `most` of the items, evenly apart, the first and the last always among them."""
    if len(items) <= most:
        return list(items)
    step = -(-len(items) // most)
    return sorted({*items[::step], items[-1]})


def draw_looks(
    taken: Sequence[tuple[int, Interval]],
    planned: Sequence[int],
    marks: Marks,
    *,
    look: str,
    title: str,
    label: str,
) -> Markup:
    """Return the intervals of all looks at one comparison over the number of seeds.

    Args:
        taken: (seeds, interval) of each look, at least one.
        planned: Seeds of all looks of the design.
        marks: Margin and smallest effect.
        look: CSS class of the outcome, for the last interval.
        title: What the gain is.
        label: The same in words.
    """
    scale = look_scale([interval for _, interval in taken], marks)
    ends = (min(planned[0], taken[0][0]), max(planned[-1], taken[-1][0]))
    room = 0.07 * (ends[1] - ends[0]) or 1.0
    across = Scale(low=ends[0] - room, high=ends[1] + room)
    drawn = [
        _zone(scale, marks.smallest, upright=True),
        _rule(scale, 0.0, "zero", upright=True),
        _rule(scale, marks.margin, "margin", upright=True),
    ]
    for seeds in [seeds for seeds in thin(planned, MOST_LOOKS) if seeds > taken[-1][0]]:
        at = percent(across.place(seeds))
        drawn.append(element("line", x1=at, x2=at, y1="0", y2="100%", class_="unused"))
    chosen = [taken[place] for place in thin(range(len(taken)), MOST_LOOKS)]
    for seeds, interval in chosen:
        final = seeds == taken[-1][0]
        drawn += _one_look(interval, percent(across.place(seeds)), scale, look if final else "earlier")
    few = list(planned) if len(planned) <= 8 else None
    labels = None if few is None else [str(seeds) for seeds in few]
    return draw_plot(
        drawn,
        x=Axis(
            scale=across,
            title="seeds of each variant",
            ticks=None if few is None else list(map(float, few)),
            labels=labels,
        ),
        y=Axis(scale=scale, title=title),
        height=250,
        label=label,
    )


def _one_look(interval: Interval, at: str, scale: Scale, look: str) -> list[Markup]:
    low, high = scale.inside(interval.low), scale.inside(interval.high)
    drawn = [
        element("line", x1=at, x2=at, y1=percent(1 - low), y2=percent(1 - high), class_=f"interval {look}")
    ]
    # An arrow stands where an interval goes on beyond the drawing.
    if not scale.holds(interval.low):
        drawn.append(element("text", "▼", x=at, y="100%", dy="1", class_=f"beyond {look}"))
    if not scale.holds(interval.high):
        drawn.append(element("text", "▲", x=at, y="0", dy="11", class_=f"beyond {look}"))
    place = percent(1 - scale.inside(interval.estimate))
    drawn.append(element("circle", cx=at, cy=place, r=5, class_=f"estimate {look}"))
    return drawn
