"""Drawings: what stands where, and what happens to values that cannot be drawn."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from markupsafe import Markup

from modelwright.experiment.interval import Interval
from modelwright.lab.page.curve import Curve, make_curve, make_curves
from modelwright.lab.page.curve_panel import make_panels
from modelwright.lab.page.curve_plot import draw_curves
from modelwright.lab.page.interval_plot import (
    Marks,
    draw_effect,
    draw_looks,
    effect_scale,
    leaves_drawing,
    thin,
)
from modelwright.lab.page.pair_plot import Pair, Side, draw_pairs
from modelwright.lab.page.svg import element, percent

MARKS = Marks(margin=0.02, smallest=0.01)


def interval(low: float, high: float) -> Interval:
    return Interval(low=low, high=high, level=0.95, estimate=(low + high) / 2)


def parts(drawing: Markup, name: str) -> list[ElementTree.Element]:
    """Return the elements that have this CSS class."""
    tree = ElementTree.fromstring(str(drawing))
    return [item for item in tree.iter() if name in (item.get("class") or "").split()]


def place(item: ElementTree.Element, key: str) -> float:
    return float((item.get(key) or "").rstrip("%")) / 100


def test_text_and_attributes_are_escaped() -> None:
    made = element("text", '<a> & "b"', x="1", aria_label='"<', class_="c", dy=None)
    assert made == '<text x="1" aria-label="&#34;&lt;" class="c">&lt;a&gt; &amp; &#34;b&#34;</text>'


def test_a_place_is_a_percentage_and_must_be_finite() -> None:
    assert [percent(value) for value in (0, 0.5, 1 / 3, 1)] == ["0%", "50%", "33.33%", "100%"]
    with pytest.raises(ValueError, match="finite"):
        percent(float("nan"))


def test_an_interval_beyond_the_margin_is_drawn_beyond_the_margin() -> None:
    for low, high, beyond in ((0.03, 0.05, True), (0.015, 0.05, False), (-0.2, 0.01, False)):
        item = interval(low, high)
        drawing = draw_effect(item, MARKS, effect_scale([item], MARKS), look="tone-x", label="words")
        bar, margin, zone = (parts(drawing, name)[0] for name in ("interval", "margin", "zone"))
        assert (place(bar, "x1") > place(margin, "x1")) == beyond
        assert place(zone, "x") < place(zone, "x") + place(zone, "width") < place(margin, "x1")
        assert place(bar, "x1") < place(parts(drawing, "estimate")[0], "cx") < place(bar, "x2")


def test_looks_are_drawn_in_turn_upwards_and_planned_ones_are_marked() -> None:
    taken = [(4, interval(-0.02, 0.06)), (8, interval(0.0, 0.05))]
    drawing = draw_looks(taken, (4, 8, 12, 16), MARKS, look="tone-open", title="gain", label="words")
    bars = parts(drawing, "interval")
    assert len(bars) == 2
    assert place(bars[0], "x1") < place(bars[1], "x1") < place(parts(drawing, "unused")[0], "x1")
    assert len(parts(drawing, "unused")) == 2
    # Upwards is more: the upper limit has the smaller distance from the top.
    assert all(place(bar, "y2") < place(bar, "y1") for bar in bars)
    assert place(bars[1], "y1") - place(bars[1], "y2") < place(bars[0], "y1") - place(bars[0], "y2")


def test_a_wide_first_look_does_not_hide_the_decision() -> None:
    wide, last = interval(-0.8, 0.8), interval(0.025, 0.035)
    drawing = draw_looks([(4, wide), (8, last)], (4, 8), MARKS, look="x", title="gain", label="words")
    bar, margin = parts(drawing, "interval")[-1], parts(drawing, "margin")[0]
    assert place(bar, "y1") - place(bar, "y2") > 0.05
    assert place(margin, "y1") - place(bar, "y1") > 0.02
    assert [item.text for item in parts(drawing, "beyond")] == ["▼", "▲"]
    assert leaves_drawing([wide, last], MARKS)
    assert not leaves_drawing([last, last], MARKS)


def test_thinning_keeps_the_first_and_the_last() -> None:
    assert thin(range(5), 9) == [0, 1, 2, 3, 4]
    kept = thin(range(1000), 100)
    assert (kept[0], kept[-1], len(kept)) == (0, 999, 101)


def test_each_seed_has_two_dots_joined_and_one_without_a_result_is_marked() -> None:
    pairs = [Pair(seed=0, candidate=0.9, baseline=0.8), Pair(seed=1, candidate=0.7, baseline=0.8)]
    pairs.append(Pair(seed=2, candidate=None, baseline=0.75))
    sides = Side(name="new", kind="c-v0"), Side(name="old", kind="c-v1")
    drawing = draw_pairs(pairs, *sides, sign=1, title="score", label="words")
    assert len(parts(drawing, "dot")) == 5
    assert len(parts(drawing, "hollow")) == 3
    assert [(item.get("class") or "").split()[1] for item in parts(drawing, "join")] == ["up", "down"]
    assert len(parts(drawing, "lost")) == 1
    turned = draw_pairs(pairs, *sides, sign=-1, title="loss", label="words")
    assert [(item.get("class") or "").split()[1] for item in parts(turned, "join")] == ["down", "up"]
    assert pairs[2].gain(1) is None


def test_pairs_without_any_result_can_be_drawn() -> None:
    nothing = [Pair(seed=0, candidate=None, baseline=None)]
    side = Side(name="new", kind="c-v0")
    assert len(parts(draw_pairs(nothing, side, side, sign=1, title="score", label="x"), "lost")) == 2


def runs(values: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.arange(1, values.shape[1] + 1), row) for row in values]


def test_bands_are_quantiles_over_seeds_as_numpy_has_them() -> None:
    values = np.random.default_rng(1).normal(size=(12, 50))
    curve = make_curve("loss", "a", runs(values))
    expected = np.quantile(values, (0.1, 0.5, 0.9), axis=0)
    assert np.allclose([curve.low, curve.middle, curve.high], expected)
    few = make_curve("loss", "a", runs(values[:4]))
    assert np.allclose(few.low, values[:4].min(axis=0))
    assert np.allclose(few.high, values[:4].max(axis=0))


def test_long_curves_are_thinned_to_means_of_neighbours() -> None:
    values = np.random.default_rng(2).normal(size=(3, 1000))
    curve = make_curve("loss", "a", runs(values))
    assert curve.group == 9
    assert len(curve.updates) <= 120
    assert curve.updates[0] == 9
    assert curve.updates[-1] == 1000
    assert curve.middle[0] == pytest.approx(np.median(values[:, :9].mean(axis=1)))


def test_a_diverged_seed_leaves_the_others_and_is_counted() -> None:
    values = np.ones((4, 20))
    values[0, 10:] = np.nan
    values[1, 15] = np.inf
    curve = make_curve("loss", "a", runs(values))
    assert curve.lost == 11
    assert np.array_equal(curve.middle, np.ones(20))


def test_where_no_seed_has_a_number_the_line_ends_and_is_not_bridged() -> None:
    values = np.ones((2, 30))
    values[:, 10:20] = np.nan
    drawing = draw_curves([make_curve("loss", "a", runs(values))], {"a": "c-v0"}, label="words")
    assert len(parts(drawing, "curve")) == 2
    values[:] = np.nan
    empty = draw_curves([make_curve("loss", "a", runs(values))], {"a": "c-v0"}, label="words")
    assert parts(empty, "curve") == []
    assert "nan" not in re.sub(r"aria-label=\"[^\"]*\"", "", str(empty))


def test_seeds_with_other_updates_share_one_axis() -> None:
    one, two = (np.array([2, 4]), np.array([1.0, 3.0])), (np.array([4, 8]), np.array([5.0, 7.0]))
    curve = make_curve("loss", "a", [one, two])
    assert curve.updates.tolist() == [2, 4, 8]
    assert curve.middle.tolist() == [1.0, 4.0, 7.0]


def test_a_learner_fitted_in_one_step_is_one_dot_with_its_spread() -> None:
    curve = make_curve("score", "a", [(np.array([1]), np.array([value])) for value in (0.5, 0.6, 0.9)])
    drawing = draw_curves([curve], {"a": "c-v0"}, label="words")
    assert len(parts(drawing, "dot")) == 1
    assert len(parts(drawing, "whisker")) == 1
    assert parts(drawing, "curve") == []


def test_losses_over_many_decades_get_a_logarithmic_axis() -> None:
    curve = make_curve("loss", "a", runs(np.logspace(0, -6, 50)[None, :].repeat(2, axis=0)))
    assert "logarithmic scale" in draw_curves([curve], {"a": "c-v0"}, label="words")


def test_curves_of_thirty_seeds_and_two_variants_weigh_little() -> None:
    random = np.random.default_rng(3)
    updates = np.arange(1, 5001)
    tables = {
        name: [
            {f"metric_{place}": (updates, random.normal(size=5000)) for place in range(12)} for _ in range(30)
        ]
        for name in ("one", "two")
    }
    panels = make_panels(make_curves(tables), {"one": "c-v0", "two": "c-v1"}, "metric_3")
    assert panels[0].metric == "metric_3"
    assert len(panels) == 12
    weight = sum(len(panel.drawing) + len(panel.values) for panel in panels)
    assert weight < 700_000


def test_a_curve_is_told_apart_by_its_dashes_too() -> None:
    curves = [Curve(metric="loss", variant=name, seeds=1, updates=np.array([1, 2]), low=np.zeros(2),
                    middle=np.ones(2), high=np.ones(2), group=1, lost=0) for name in "ab"]  # fmt: skip
    drawing = draw_curves(curves, {"a": "c-v0", "b": "c-v1"}, label="words")
    assert [item.get("class") for item in parts(drawing, "curve")] == ["curve c-v0", "curve c-v1"]


LARGE = (0.0, 5e-324, 1e300, 1.7e308, -1.7e308)


@pytest.mark.parametrize("first", LARGE)
@pytest.mark.parametrize("last", LARGE)
def test_numbers_at_the_ends_of_what_a_float_holds_are_drawn(first: float, last: float) -> None:
    updates = np.arange(1, 400)
    values = np.linspace(0, 1, 399) * last / 2 + first / 2
    curve = make_curve("loss", "a", [(updates, values), (updates, values[::-1])])
    assert curve.group > 1
    assert all(np.isfinite(edge).all() for edge in (curve.low, curve.middle, curve.high))
    (panel,) = make_panels([curve], {"a": "v1"}, "loss")
    ElementTree.fromstring(str(panel.drawing))
    assert not re.search(r"nan|inf\b", panel.values)
    low, high = sorted((first, last))
    held = Interval(low=low, high=high, level=0.95, estimate=low / 2 + high / 2)
    for drawing in (
        draw_effect(held, MARKS, effect_scale([held], MARKS), look="x", label="words"),
        draw_looks([(4, held), (8, held)], (4, 8), MARKS, look="x", title="gain", label="words"),
        draw_pairs(
            [Pair(seed=0, candidate=first, baseline=last)],
            Side(name="a", kind="v1"),
            Side(name="b", kind="v2"),
            sign=1,
            title="loss",
            label="words",
        ),
    ):
        ElementTree.fromstring(str(drawing))
