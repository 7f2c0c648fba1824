"""Every way, right or wrong, in which advantages could have been computed from a rollout; and which fit.

A way gives columns that are linear in what is not known. With p = gamma * lambda and the sum over what
follows in an episode F(x)_t = x_t + p F(x)_{t+1}, generalised advantages are F(r) + gamma F(b v') - F(v)
(Schulman et al. 2016, equation 16), and returns the same with lambda of one. Normalising them is one more
shift and scale. So p alone is searched for.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.advantages.rollout import Rollout
from modelwright.doctor.sensors.acting.advantages.value_tables import ValueTable

__all__ = ["AdvantageFit", "AdvantageWay", "advantage_ways", "fit_way"]

FITS = 1e-4
REFUTED = 1e-3

_FAR, _CLOSER = 0.3, 0.3
"""What a wrong way that fits for some p leaves at most for the nearest of the first grid, and the factor by
which a finer grid, of a seventh of the distance, makes it less at least."""

_MOST_PADDED = 4
"""How many times as many numbers as there are transitions may stand side by side."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_FIRST_GRID = np.unique(np.concatenate([np.linspace(0.0, 0.9, 19), 1.0 - np.geomspace(1e-4, 0.1, 19), [1.0]]))


@dataclass(slots=True)
class AdvantageWay:
    """One way.

    Attributes:
        fault: What is wrong with it; empty where nothing is.
        parts: Columns to be summed over what follows: of rewards, of values that follow, of values
            (part, transition).
        goes_on: Whether the sum goes on to the next transition (transition,).
        plus: Columns to be added after the sum (part, transition).
        kind: `gae`, or `returns` where the discount is p itself.
        order: 1 as it is, -1 reversed within what is summed, 2 forward in place of backward.
        later: Whether it is the sum from the next transition on.
        moved: Transition whose sum each one gets; None where each gets its own (transition,).
    """

    fault: str
    parts: Floats
    goes_on: Flags
    plus: Floats
    kind: str = "gae"
    order: int = 1
    later: bool = False
    moved: NDArray[np.int64] | None = None


@dataclass(slots=True)
class AdvantageFit:
    """How well a way fits.

    Attributes:
        residual: Largest difference over the largest distance from the mean.
        p: gamma * lambda.
        discount: gamma; None where nothing tells.
        reward, value: Weights of the columns of rewards and values.
        plausible: Whether weights of the columns are what the way allows.
    """

    residual: float
    p: float
    discount: float | None
    reward: float
    value: float
    plausible: bool


def advantage_ways(rollout: Rollout, table: ValueTable | None) -> Iterator[AdvantageWay]:
    """Yield all ways; those that cannot differ here from a right one are left out.

    Args:
        rollout: What was done.
        table: Values; None where the program has none.
    """
    r = rollout.reward
    nothing = np.zeros((3, len(r)))
    inside = ~rollout.ended & ~rollout.last
    if table is None:
        yield from _plain(r, inside, rollout, None)
        return
    known: list[AdvantageWay] = []
    for fault, b, v, goes_on in _masks(rollout, table):
        way = AdvantageWay(fault, np.stack([r, b * v, table.before]), goes_on, nothing)
        if fault and any(_same(way, other) for other in known if not other.fault):
            continue
        known.append(way)
        yield way
        if fault in ("", "truncation-as-terminal"):
            extra = nothing.copy()
            extra[2] = table.before
            yield AdvantageWay("returns-without-values", way.parts, goes_on, extra)
    yield from _out_of_order(known, rollout, table)
    yield from _plain(r, inside, rollout, table)


def _out_of_order(known: list[AdvantageWay], rollout: Rollout, table: ValueTable) -> Iterator[AdvantageWay]:
    """Yield advantages that stand in the order in which they were summed, or that were summed forward."""
    turned = _turned(rollout.last)
    less = np.zeros((3, len(turned)))
    less[2] = (
        table.before - table.before[turned]
    )  # their values go back to them, and their row's are taken off
    go_past = ~rollout.last
    forward = go_past & ~np.append(rollout.ended[1:], True)  # a sum that goes on begins anew with an end
    for way in known:
        if way.fault not in ("", "truncation-as-terminal"):
            continue
        for plus in (0 * less, less):
            yield AdvantageWay("returns-in-wrong-order", way.parts, way.goes_on, plus, moved=turned)
        for goes_on in (way.goes_on, forward):
            yield AdvantageWay("returns-in-wrong-order", way.parts, goes_on, 0 * less, order=2)
            yield AdvantageWay("returns-in-wrong-order", way.parts, goes_on, less, order=2, moved=turned)


def _turned(last: Flags) -> NDArray[np.int64]:
    """Return the place of each transition where the order within each environment is turned round."""
    ends = np.flatnonzero(last)
    begins = np.concatenate([[0], ends[:-1] + 1])
    return np.concatenate([np.arange(end, begin - 1, -1) for begin, end in zip(begins, ends, strict=True)])


def _masks(rollout: Rollout, table: ValueTable) -> Iterator[tuple[str, Floats, Floats, Flags]]:
    term, end, cut, last = rollout.terminated, rollout.ended, rollout.cut, rollout.last
    after, shown = table.after, table.shown
    one, inside = np.ones(len(term)), ~end & ~last
    late = np.where(last, ~end, ~rollout.began)
    bonus = cut * after
    yield "", one * ~term, after, inside
    yield "truncation-as-terminal", one * ~end, after, inside
    yield "terminal-mask-missing", one, after, inside
    yield "terminal-mask-missing", one, shown, inside
    yield "terminal-mask-missing", one, shown, ~last
    yield "terminal-mask-missing", one, shown + bonus, ~last
    yield "terminal-mask-missing", one, shown + bonus, inside
    yield "gae-done-off-by-one", one, late * shown, late & ~last
    yield "gae-done-off-by-one", one, late * shown + bonus, late & ~last
    for more in (0.0, bonus):
        yield "gae-done-off-by-one", one, ~rollout.began * shown + more, ~rollout.began & ~last
    yield "bootstrap-missing", one * ~(term | (last & ~end)), after, inside
    yield "bootstrap-missing", one * ~(term | last), after, inside
    yield "bootstrap-missing", one * ~(end | last), after, inside
    yield "bootstrap-missing", one * 0, after, inside
    yield "next-observation-after-reset", one * ~term, shown, inside
    yield "return-not-reset-at-done", one * ~term, after, ~last
    yield "return-not-reset-at-done", one * ~end, after, ~last
    yield "done-mask-inverted", one * end, shown, end & ~last
    yield "done-mask-inverted", one * term, after, term & ~last


def _plain(r: Floats, inside: Flags, rollout: Rollout, table: ValueTable | None) -> Iterator[AdvantageWay]:
    """Yield returns without a baseline, and returns that went wrong with and without one."""
    zero = np.zeros(len(r))
    none = np.zeros((3, len(r)))
    go_past = ~rollout.last
    turned = _turned(rollout.last)
    forward = go_past & ~np.append(rollout.ended[1:], True)  # a sum that goes on begins anew with an end
    open_end = zero if table is None else (~inside & ~rollout.terminated) * table.after
    end_only = zero if table is None else (rollout.last & ~rollout.ended) * table.after
    boots = {x.tobytes(): x for x in (zero, open_end, end_only)}
    base = none.copy()
    if table is not None:
        base[2] = table.before
    for boot in boots.values():
        yield AdvantageWay("", np.stack([r, boot, zero]), inside, none, "returns")
    bases = [none] if table is None else [base, none]
    for plus in bases:
        for boot in boots.values():
            parts = np.stack([r, boot, zero])
            yield AdvantageWay("returns-in-wrong-order", parts, inside, plus, "returns", order=-1)
            yield AdvantageWay("reward-off-by-one", parts, inside, plus, "returns", later=True)
            yield AdvantageWay("returns-in-wrong-order", parts, inside, plus, "returns", moved=turned)
        parts = np.stack([r, zero, zero])
        yield AdvantageWay("returns-in-wrong-order", parts, inside, plus, "returns", order=2)
        yield AdvantageWay("returns-in-wrong-order", parts, forward, plus, "returns", order=2)
        yield AdvantageWay("returns-in-wrong-order", parts, forward, plus, "returns", order=2, moved=turned)
        if not np.array_equal(go_past, inside):
            yield AdvantageWay("returns-in-wrong-order", parts, go_past, plus, "returns", order=-1)
            yield AdvantageWay("return-not-reset-at-done", parts, go_past, plus, "returns")
            if table is not None:
                parts = np.stack([r, end_only, zero])
                yield AdvantageWay("return-not-reset-at-done", parts, go_past, plus, "returns")


def _same(one: AdvantageWay, other: AdvantageWay) -> bool:
    return np.array_equal(one.goes_on, other.goes_on) and np.array_equal(one.parts, other.parts)


def fit_way(
    way: AdvantageWay,
    rows: NDArray[np.int64],
    weights: Floats,
    known: float | None = None,
    sure: bool = False,
) -> AdvantageFit:
    """Return how well a way fits weights up to a shift and a scale.

    Args:
        way: The way.
        rows: Transition of each weight (row,).
        weights: What the loss gives to log-probabilities (row,).
        known: gamma * lambda, where it is known already.
        sure: Whether to try no other.
    """
    if known is not None:
        found = _best(way, rows, weights, np.array([known]))
        if sure or found.residual < FITS:
            return found
    grid = _FIRST_GRID
    found = _best(way, rows, weights, grid)
    for finer in range(6):
        # Wrong ways are many, and most of them are far from fitting for each p.
        if way.fault and found.residual > _FAR * _CLOSER**finer:
            break
        at = int(np.argmin(np.abs(grid - found.p)))
        low, high = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
        if high - low < 1e-7 or found.residual < FITS / 20:
            break
        grid = np.linspace(low, high, 15)
        found = _best(way, rows, weights, grid)
    return found


def sums(way: AdvantageWay, p: Floats, rows: NDArray[np.int64]) -> Floats:
    """Return a way's columns of some transitions, for each p (p, part, row)."""
    breaks = ~way.goes_on
    breaks[-1] = True
    ends = np.flatnonzero(breaks)
    lengths = np.diff(ends, prepend=-1)
    ends = np.repeat(ends, lengths)
    begins = ends + 1 - np.repeat(lengths, lengths)
    there = way.parts.any(axis=1)  # of what is nothing, the sum is nothing
    x = way.parts[there]
    at = rows if way.moved is None else way.moved[rows]
    if way.order == -1:
        at = begins[at] + ends[at] - at
    if way.order == 2:
        summed = _summed(x[:, ::-1], len(ends) - 1 - begins[::-1], p, len(ends) - 1 - at)
    else:
        summed = _summed(x, ends, p, at)
    out = np.zeros((len(p), len(way.parts), len(rows)))
    out[:, there] = summed
    if way.later:
        out -= way.parts[None, :, at]
        out[:, 1] += way.parts[1, at]  # the value that the sum begins with is not put off
    return out + way.plus[None, :, rows]


def _summed(x: Floats, ends: NDArray[np.int64], p: Floats, rows: NDArray[np.int64]) -> Floats:
    """Return discounted sums of rows over what follows up to each one's end (p, part, row).

    What is summed together stands side by side, its end first, and is summed a step back at a time.
    """
    last, which = np.unique(ends, return_inverse=True)
    back = ends - np.arange(len(ends))
    steps = int(back.max()) + 1
    if steps * len(last) > _MOST_PADDED * len(ends):
        return _summed_by_doubling(x, back, p)[..., rows]
    columns = np.zeros((steps, 1, len(x), len(last)))
    columns[back, 0, :, which] = x.T
    discount = np.ascontiguousarray(np.broadcast_to(p[:, None, None], (len(p), len(x), len(last))))
    wanted = np.zeros(steps, np.bool_)
    wanted[back[rows]] = True
    kept = np.zeros((int(wanted.sum()), *discount.shape))
    place = np.cumsum(wanted) - 1
    total = np.zeros_like(discount)
    for step in range(steps):
        total *= discount
        total += columns[step]
        if wanted[step]:
            kept[place[step]] = total
    return np.moveaxis(kept[place[back[rows]], :, :, which[rows]], 0, 2)


def _summed_by_doubling(x: Floats, left: NDArray[np.int64], p: Floats) -> Floats:
    """Return the same of every transition, where few sums are far longer than the others.

    Sums over so many, and those of as many that follow them, give sums over twice as many.

    Args:
        x: What is summed (part, transition).
        left: How many follow up to each one's end (transition,).
        p: Discounts (p,).
    """
    total = np.repeat(x[None], len(p), axis=0)
    reach = 1
    while reach <= left.max():
        goes_on = left[:-reach] >= reach
        total[..., :-reach] += ((p**reach)[:, None] * goes_on)[:, None, :] * total[..., reach:]
        reach *= 2
    return total


def _likeliest(left: Floats, weights: Floats) -> int:
    """Return which p fits best; where several do, the one at which rewards count as much as values.

    Args:
        left: How far each is from fitting (p,).
        weights: Weights of the columns (p, part).
    """
    best = int(np.argmin(left))
    alike = np.flatnonzero(left < FITS / 20)
    if len(alike) < 2 or not weights[alike, 2].all():
        return best
    return int(alike[np.argmin(np.abs(1.0 + weights[alike, 0] / weights[alike, 2]))])


def _best(way: AdvantageWay, rows: NDArray[np.int64], weights: Floats, grid: Floats) -> AdvantageFit:
    columns = np.moveaxis(sums(way, grid, rows), 1, 2)  # (p, row, part)
    columns = columns - columns.mean(axis=1, keepdims=True)
    spread = np.sqrt((columns**2).mean(axis=1))  # (p, part)
    used = spread > 1e-9 * max(float(spread.max()), 1e-300)
    columns = columns / np.where(used, spread, 1.0)[:, None, :]
    columns *= used[:, None, :]
    y = weights - weights.mean()
    far = float(np.abs(y).max())
    solved = np.linalg.pinv(columns, rcond=1e-9) @ y  # (p, part)
    left = np.abs(y[None] - np.einsum("grc,gc->gr", columns, solved)).max(axis=1) / far
    at = _likeliest(left, solved / np.where(used, spread, 1.0))
    share = np.abs(solved[at]) / float(np.sqrt((y**2).mean()))
    reward, boot, value = (solved[at] / np.where(used[at], spread[at], 1.0)).tolist()
    discount, plausible, p = None, True, float(grid[at])
    matters = used[at] & (share > 1e-3)
    if way.kind == "gae":
        plausible = bool(matters[2])
        if matters[1] and matters[2]:
            discount = -boot / value
            plausible &= 0.3 < discount <= 1.0 + 1e-3 and p <= discount + 2e-3
    elif matters[0]:
        discount = p
        if matters[1] and not way.later:
            plausible = abs(boot / reward - p) < 2e-3
    return AdvantageFit(float(left[at]), p, discount, reward, value, plausible)
