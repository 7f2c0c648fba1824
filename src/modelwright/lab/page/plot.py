"""A drawing with its axes. Labels are HTML beside the SVG: they keep their size and can be selected."""

from dataclasses import dataclass

from markupsafe import Markup

from modelwright.lab.page.scale import Scale
from modelwright.lab.page.svg import element, percent

__all__ = ["Axis", "draw_plot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis as it is drawn.

    Attributes:
        scale: Where values lie.
        title: What they are, with their unit.
        ticks: Labelled values; None for round ones.
        labels: Their texts; None for the scale's own.
        count: About how many round ticks.
    """

    scale: Scale
    title: str
    ticks: list[float] | None = None
    labels: list[str] | None = None
    count: int = 5

    def marks(self) -> list[tuple[float, str]]:
        """Return (place from 0 to 1, text) of each tick."""
        ticks = self.scale.ticks(self.count) if self.ticks is None else self.ticks
        labels = self.scale.labels(ticks) if self.labels is None else self.labels
        return [(self.scale.place(tick), text) for tick, text in zip(ticks, labels, strict=True)]


def draw_plot(
    marks: list[Markup], *, x: Axis, y: Axis | None, height: int, label: str, extra: Markup | None = None
) -> Markup:
    """Return a drawing with its axes as HTML.

    Args:
        marks: SVG elements in percentages of the drawing, in order of painting.
        x: The axis below.
        y: The axis to the left, up is more; None for none.
        height: Pixels of the drawing itself.
        label: What it shows, for those who cannot see it.
        extra: More HTML over the drawing.
    """
    x_marks = x.marks()
    y_marks = y.marks() if y else []
    grid = [
        element("line", x1="0", x2="100%", y1=percent(1 - place), y2=percent(1 - place), class_="grid")
        for place, _ in y_marks
    ]
    grid += [
        element("line", y1="0", y2="100%", x1=percent(place), x2=percent(place), class_="grid upright")
        for place, _ in x_marks
    ]
    area = element("svg", *grid, *marks, class_="area", role="img", aria_label=label, height=height)
    widest_y = max((len(text) for _, text in y_marks), default=0)
    widest_x = max((len(text) for _, text in x_marks), default=0)
    y_labels = [element("span", text, style=f"top:{percent(1 - place)}") for place, text in y_marks]
    x_labels = [element("span", text, style=f"left:{percent(place)}") for place, text in x_marks]
    parts = [
        element("div", y.title, class_="y-title") if y and y.title else Markup(""),
        element("div", *y_labels, class_="y-axis", aria_hidden="true") if y else Markup(""),
        element("div", area, extra or "", class_="drawing"),
        element("div", *x_labels, class_="x-axis", aria_hidden="true"),
        element("div", x.title, class_="x-title") if x.title else Markup(""),
    ]
    # Half of the widest label may hang over either end of the axis.
    style = f"--y-labels:{widest_y}ch;--overhang:{widest_x / 2:g}ch"
    return element("div", *parts, class_="plot" if y else "plot flat", style=style)
