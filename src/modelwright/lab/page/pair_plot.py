"""Paired results: each seed's two scores, joined."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from modelwright.lab.page.interval_plot import thin
from modelwright.lab.page.plot import Axis, draw_plot
from modelwright.lab.page.scale import Scale, fit_scale
from modelwright.lab.page.svg import element, percent

__all__ = ["MOST_PAIRS", "Pair", "draw_pairs"]

MOST_PAIRS = 400
"""Seeds that are drawn; of more, every so-manieth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One seed's scores; None where a trial has no finite result."""

    seed: int
    candidate: float | None
    baseline: float | None

    def gain(self, sign: int) -> float | None:
        """Return candidate minus baseline, turned so that more is better."""
        if self.candidate is None or self.baseline is None:
            return None
        return sign * (self.candidate - self.baseline)


def draw_pairs(
    pairs: Sequence[Pair], *, sign: int, title: str, label: str, classes: tuple[str, str], names: tuple[str, str]
) -> Markup:
    """Return a drawing with a column for each seed: a full dot for the candidate, a hollow one for the baseline.

    Args:
        pairs: At least one.
        sign: +1 where more of the metric is better, else -1.
        title: The metric.
        label: The same in words.
        classes: CSS classes of candidate and baseline.
        names: Their names.
    """
    scores = [value for pair in pairs for value in (pair.candidate, pair.baseline) if value is not None]
    scale = fit_scale(scores)
    last = max(pair.seed for pair in pairs)
    across = Scale(low=-0.7, high=last + 0.7)
    radius = 5 if len(pairs) <= 40 else 2.5
    drawn: list[Markup] = []
    for place in thin(range(len(pairs)), MOST_PAIRS):
        drawn += _draw_pair(pairs[place], scale, percent(across.place(pairs[place].seed)), radius, sign, classes, names)
    ticks = [tick for tick in across.ticks(8) if tick == round(tick) and 0 <= tick <= last]
    return draw_plot(
        drawn,
        x=Axis(scale=across, title="seed", ticks=ticks, labels=[f"{tick:.0f}" for tick in ticks]),
        y=Axis(scale=scale, title=title),
        height=250,
        label=label,
    )


def _draw_pair(
    pair: Pair, scale: Scale, at: str, radius: float, sign: int, classes: tuple[str, str], names: tuple[str, str]
) -> list[Markup]:
    gain = pair.gain(sign)
    drawn: list[Markup] = []
    if gain is not None and pair.candidate is not None and pair.baseline is not None:
        ends = [percent(1 - scale.place(value)) for value in (pair.candidate, pair.baseline)]
        drawn.append(
            element("line", x1=at, x2=at, y1=ends[0], y2=ends[1], class_="join up" if gain > 0 else "join down")
        )
    for value, kind, name, hollow in (
        (pair.baseline, classes[1], names[1], " hollow"),
        (pair.candidate, classes[0], names[0], ""),
    ):
        if value is None:
            drawn.append(
                element("text", "×", element("title", f"seed {pair.seed}, {name}: no finite result"),
                        x=at, y="100%", dy="-3", class_=f"lost {kind}")
            )  # fmt: skip
        else:
            drawn.append(
                element("circle", element("title", f"seed {pair.seed}, {name}: {value:.6g}"),
                        cx=at, cy=percent(1 - scale.place(value)), r=radius, class_=f"dot {kind}{hollow}")
            )  # fmt: skip
    return drawn
