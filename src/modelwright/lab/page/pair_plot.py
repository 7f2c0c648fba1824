"""Paired results: each seed's two scores, joined."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from modelwright.lab.page.interval_plot import thin
from modelwright.lab.page.plot import Axis, draw_plot
from modelwright.lab.page.scale import Scale, fit_scale
from modelwright.lab.page.svg import element, percent

__all__ = ["MOST_PAIRS", "Pair", "Side", "draw_pairs"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One variant of a comparison: its name and its CSS class."""

    name: str
    kind: str


def draw_pairs(
    pairs: Sequence[Pair], candidate: Side, baseline: Side, *, sign: int, title: str, label: str
) -> Markup:
    """Return a column for each seed: a full dot for the candidate, a hollow one for the baseline.

    Args:
        pairs: At least one.
        candidate: Variant that is claimed to be better.
        baseline: Variant that it is compared with.
        sign: +1 where more of the metric is better, else -1.
        title: The metric.
        label: The same in words.
    """
    scores = [value for pair in pairs for value in (pair.candidate, pair.baseline) if value is not None]
    scale = fit_scale(scores)
    last = max(pair.seed for pair in pairs)
    across = Scale(low=-0.7, high=last + 0.7)
    radius = 5 if len(pairs) <= 40 else 2.5
    drawn: list[Markup] = []
    for place in thin(range(len(pairs)), MOST_PAIRS):
        pair = pairs[place]
        at = percent(across.place(pair.seed))
        gain = pair.gain(sign)
        if pair.candidate is not None and pair.baseline is not None and gain is not None:
            ends = [percent(1 - scale.place(value)) for value in (pair.candidate, pair.baseline)]
            kind = "join up" if gain > 0 else "join down"
            drawn.append(element("line", x1=at, x2=at, y1=ends[0], y2=ends[1], class_=kind))
        drawn.append(_mark(pair.seed, pair.baseline, baseline, scale, at=at, radius=radius, hollow=" hollow"))
        drawn.append(_mark(pair.seed, pair.candidate, candidate, scale, at=at, radius=radius, hollow=""))
    ticks = [tick for tick in across.ticks(8) if tick == round(tick) and 0 <= tick <= last]
    return draw_plot(
        drawn,
        x=Axis(scale=across, title="seed", ticks=ticks, labels=[f"{tick:.0f}" for tick in ticks]),
        y=Axis(scale=scale, title=title),
        height=250,
        label=label,
    )


def _mark(
    seed: int, value: float | None, side: Side, scale: Scale, *, at: str, radius: float, hollow: str
) -> Markup:
    if value is None:
        words = element("title", f"seed {seed}, {side.name}: no finite result")
        return element("text", "×", words, x=at, y="100%", dy="-3", class_=f"lost {side.kind}")
    words = element("title", f"seed {seed}, {side.name}: {value:.6g}")
    place = percent(1 - scale.place(value))
    return element("circle", words, cx=at, cy=place, r=radius, class_=f"dot {side.kind}{hollow}")
