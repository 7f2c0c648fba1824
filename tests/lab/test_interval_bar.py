import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modelwright.base.errors import BadValue
from modelwright.experiment.interval import Interval
from modelwright.lab.watch.interval_bar import Axis, draw_axis, draw_interval, legend

HEAVY = set("━┣┫●◀▶╋┿")
numbers = st.floats(-5, 5, allow_nan=False).map(lambda value: round(value, 4))


def interval(low: float, high: float, estimate: float | None = None) -> Interval:
    middle = (low + high) / 2 if estimate is None else estimate
    return Interval(low=low, high=high, level=0.95, estimate=middle)


def heavy_places(bar: str) -> list[int]:
    return [at for at, cell in enumerate(bar) if cell in HEAVY]


@given(
    st.tuples(numbers, numbers).map(sorted),
    st.floats(-1, 1).map(lambda value: round(value, 3)),
    st.floats(0.001, 2),
    st.integers(8, 70),
)
def test_a_bar_shows_on_which_side_of_the_margin_an_interval_lies(
    ends: list[float], margin: float, smallest: float, width: int
) -> None:
    assume(ends[1] - ends[0] > 1e-6)
    drawn = interval(*ends)
    axis = Axis.around([drawn], margin=margin, smallest=smallest, width=width)
    bar = draw_interval(axis, drawn).plain
    assert len(bar) == width
    places, mark = heavy_places(bar), axis.place(margin)
    assert places == list(range(places[0], places[-1] + 1))
    assert bar.count("●") == 1
    # The margin is away from both ends of an axis by its padding, so there is room beside it.
    if 0 < mark < width - 1:
        assert drawn.beyond(margin) == (places[0] > mark)
        assert drawn.short_of(margin) == (places[-1] < mark)


@given(st.lists(st.tuples(numbers, numbers).map(sorted), min_size=1, max_size=6), st.floats(0.001, 2))
def test_an_axis_shows_the_last_interval_whole_and_every_estimate(
    ends: list[list[float]], smallest: float
) -> None:
    intervals = [interval(low, high) for low, high in ends]
    axis = Axis.around(intervals, margin=0.5, smallest=smallest, width=40)
    for value in (0.0, 0.5, smallest, -smallest, intervals[-1].low, intervals[-1].high):
        assert axis.low < value < axis.high
    assert all(axis.low < item.estimate < axis.high for item in intervals)
    bar = draw_interval(axis, intervals[-1]).plain
    assert "◀" not in bar
    assert "▶" not in bar


def test_ends_lie_where_arithmetic_puts_them() -> None:
    axis = Axis(low=-1.0, high=1.0, width=20, margin=0.55, smallest=0.2)
    bar = draw_interval(axis, interval(-0.95, -0.45, -0.72)).plain
    assert bar == "┣━●━━┫──┄┄┼┄┄──┃────"


def test_an_interval_wider_than_the_axis_is_cut_with_arrows() -> None:
    wide, narrow = interval(-9, 9), interval(-0.1, 0.3)
    axis = Axis.around([wide, narrow], margin=0.1, smallest=0.1, width=30)
    bar = draw_interval(axis, wide).plain
    assert (bar[0], bar[-1]) == ("◀", "▶")
    assert draw_interval(axis, narrow).plain.count("━") > 5


def test_where_only_ascii_can_be_shown_only_ascii_is() -> None:
    axis = Axis.around([interval(-9, 9), interval(0.2, 0.4)], margin=0.1, smallest=0.1, width=30, plain=True)
    for drawn in (interval(-9, 9), interval(0.2, 0.4)):
        assert draw_interval(axis, drawn).plain.isascii()
    assert draw_axis(axis).plain.isascii()
    assert legend(ascii_only=True).isascii()


@given(st.floats(-1, 1).map(lambda v: round(v, 3)), st.floats(0.001, 1), st.integers(8, 60))
def test_labels_never_touch_and_name_the_margin_first(margin: float, smallest: float, width: int) -> None:
    axis = Axis.around([], margin=margin, smallest=smallest, width=width)
    line = draw_axis(axis).plain
    assert len(line) == width
    labels = line.split()
    allowed = {f"{margin:g}", "margin", "0", f"{smallest:g}", f"-{smallest:g}"}
    assert set(labels) <= allowed
    assert f"{margin:g}" in labels or width < 12


def test_an_axis_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(BadValue, match="low to a higher"):
        Axis(low=1, high=1, width=20, margin=0, smallest=1)
    with pytest.raises(BadValue, match="low to a higher"):
        Axis(low=0, high=math.inf, width=20, margin=0, smallest=1)
    with pytest.raises(BadValue, match="8 characters"):
        Axis(low=0, high=1, width=7, margin=0, smallest=1)


@pytest.mark.parametrize("low", [-1.7e308, -1e300, 0.0])
@pytest.mark.parametrize("high", [0.0, 5e-324, 1e-300, 1e300, 1.7e308])
@pytest.mark.parametrize("smallest", [0.0, 0.01])
def test_numbers_at_the_ends_of_what_a_float_holds_have_bars(
    low: float, high: float, smallest: float
) -> None:
    drawn = interval(low, high, low / 2 + high / 2)
    axis = Axis.around([drawn, drawn], margin=0.0, smallest=smallest, width=40)
    assert len(draw_interval(axis, drawn).plain) == len(draw_axis(axis).plain) == 40
