"""Whether a way to compute targets, right or wrong, gives those of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.value.batch import Batch, Links, Worth
from modelwright.doctor.sensors.acting.value.links import HORIZON
from modelwright.doctor.sensors.acting.value.ways import Way

__all__ = ["Fit", "columns_for", "fit", "is_covered", "laid_out", "steps_of"]

Numbers = NDArray[np.float64]

_TOLERANCE = 2e-4
_ROUNDS = 8
_FEWEST = 6
_ALONG = 0.999
_NOTHING = 1e-4
_MOST_COLUMNS = 16
_DISCOUNTS = (0.9, 0.97, 0.995, 0.7)
_POWERS = np.arange(HORIZON, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Fit:
    """A way that gives all targets of a batch.

    Attributes:
        way: The way.
        fault: That of the value of what follows; empty where right.
        worth: Name of that value.
        discount: Not a number where no row bootstraps.
        scale: What rewards are multiplied by.
        entropy: What the further column is multiplied by; 0 where there is none.
        signed: Whether the column is known to hold log-probabilities, which are to be subtracted.
    """

    way: Way
    fault: str
    worth: str
    discount: float
    scale: float
    entropy: float
    signed: bool = False

    @property
    def faults(self) -> tuple[str, ...]:
        """Names of all that is wrong."""
        sign = ("reward-sign-flipped",) if self.scale < 0 else ()
        if self.signed and self.entropy > 0:
            sign = ("entropy-sign-flipped", *sign)
        name = self.fault.split(":")[0]
        return (*((name,) if name else ()), *self.way.faults, *sign)


def steps_of(links: Links, rows: int) -> list[int]:
    """Return how many steps returns can have, as far as the rows' links say.

    Where nothing is known to follow a cut, rows before one tell nothing.
    """
    for mask in ("", "truncation-as-terminal"):
        found = [
            steps for steps in range(1, HORIZON + 1) if is_covered(links, Way(steps=steps, mask=mask), rows)
        ]
        if found:
            return found
    return []


def is_covered(links: Links, way: Way, rows: int) -> bool:
    """Return whether a way can be computed from some link of each row."""
    return _covered(links, _admitted(links, way), rows)


def fit(batch: Batch, worth: Worth, way: Way, column: Numbers | None = None) -> Fit | None:
    """Return how a way gives the targets of all rows of a batch; None where it does not.

    The discount, a factor of the rewards and one of the column are found by least squares on rows that can
    have come about in one way only; then every row must be met by one of its links.

    Args:
        batch: The rows.
        worth: Of what follows.
        way: To compute targets.
        column: Numbers that are added with one factor where a row bootstraps (row,): the entropy's.
    """
    links, y = worth.links, batch.targets
    chosen = _admitted(links, way)
    if not _covered(links, chosen, len(y)):
        return None
    row = links.row[chosen]
    rewards, power = _returns(links, chosen, way)
    mask = _mask(links, chosen, way)
    value = np.where(mask, worth.values[row], 0.0)
    extra = np.where(mask, column[row], 0.0) if column is not None else np.zeros(len(row))
    bootstraps = np.abs(value) > 1e-3
    usable = np.isfinite(rewards).all(axis=1) & np.isfinite(value)
    counts = np.bincount(row, minlength=len(y))
    alone = usable & (counts[row] == 1)
    if not alone.any() and usable.any():
        alone = usable & _alike(row, rewards, power, value)
    free = (
        bool((bootstraps & alone).any()) or rewards.shape[1] > 1,
        bool(np.abs(rewards[alone]).max(initial=0) > 1e-9),
        column is not None,
    )
    if int(alone.sum()) < max(_FEWEST, 2 * sum(free)):
        return None
    target = y[row]
    flat = way.reward == "discount-power-wrong:rewards"
    for begin in _DISCOUNTS if rewards.shape[1] > 1 else _DISCOUNTS[:1]:
        found = _solve(
            target[alone], rewards[alone], power[alone], value[alone], extra[alone], begin, free, flat=flat
        )
        if found is None:
            continue
        given = _give(found, rewards, power, value, extra, flat)[0]
        if way.whole:
            found, given = _truncated(batch, found, target, rewards, power, value, extra, flat=flat)
        far = np.abs(target - given) / (1.0 + np.abs(target))
        far = np.where(usable, far, np.where(np.isnan(rewards).any(axis=1), 0.0, np.inf))
        best = np.full(len(y), np.inf)
        np.minimum.at(best, row, far)
        discount, scale, entropy = found
        if best.max() > _TOLERANCE or not 0.05 < discount <= 1.0 + 1e-5:
            continue
        if column is not None and abs(entropy) < 1e-5:
            continue
        if scale < 1e-3 and abs(scale + 1.0) > 1e-2:
            continue
        signed = column is not None and column is worth.surprise
        side = _side_of(column, batch.surprises) if column is not None else 0.0
        if side:
            signed, entropy = True, side * entropy
        known = discount if free[0] else float("nan")
        return Fit(way, worth.fault, worth.name, known, scale, entropy, signed)
    return None


def laid_out(
    links: Links, way: Way, rows: int
) -> tuple[NDArray[np.intp], Numbers, Numbers, NDArray[np.bool_]] | None:
    """Return what a way computes targets from, of each link that it admits; None where some row has none.

    Args:
        links: Of all rows.
        way: To compute targets.
        rows: How many there are.

    Returns:
        The link's row (link,), rewards of the return's steps (link, step), powers of the discount and whether
        what follows counts (link,).
    """
    chosen = _admitted(links, way)
    if not _covered(links, chosen, rows):
        return None
    rewards, power = _returns(links, chosen, way)
    return links.row[chosen], rewards, power, _mask(links, chosen, way)


def _side_of(column: Numbers, surprises: Sequence[Numbers]) -> float:
    """Return 1 where numbers grow with log-probabilities, -1 where they fall, 0 where neither is so."""
    for each in surprises:
        if np.ptp(each) and np.ptp(column):
            alike = float(np.corrcoef(column, each)[0, 1])
            if abs(alike) > _ALONG:
                return 1.0 if alike > 0 else -1.0
    return 0.0


def columns_for(batch: Batch, worth: Worth, way: Way) -> list[int]:
    """Return which columns, with some factor, may explain what a way of one step leaves unexplained."""
    links, y = worth.links, batch.targets
    chosen = _admitted(links, way)
    if way.steps > 1 or not len(batch.columns) or not _covered(links, chosen, len(y)):
        return []
    row = links.row[chosen]
    alone = np.bincount(row, minlength=len(y))[row] == 1
    row = row[alone]
    if len(row) < _FEWEST:
        return []
    mask = _mask(links, chosen, way)[alone]
    rewards = np.nan_to_num(_returns(links, chosen, way)[0][alone, 0])
    known = np.stack([rewards, np.where(mask, worth.values[row], 0.0)], axis=1)
    base, _ = np.linalg.qr(known)
    both = np.concatenate([y[None, row], np.where(mask, np.nan_to_num(batch.columns[:, row]), 0.0)])
    rest = both - both @ base @ base.T
    sizes = np.linalg.norm(rest, axis=1)
    alike = np.abs(rest[1:] @ rest[0]) / (sizes[1:] * sizes[0] + 1e-30)
    # What is made of rewards and values only, the target itself for example, explains whatever it is let.
    inside, _ = np.linalg.qr(known[mask])
    own = both[1:, mask]
    further = np.linalg.norm(own - own @ inside @ inside.T, axis=1)
    alike[further <= _NOTHING * np.linalg.norm(own, axis=1)] = 0.0
    return [int(at) for at in np.argsort(-alike)[:_MOST_COLUMNS] if alike[at] > _ALONG]


def _alike(row: Any, rewards: Numbers, power: Numbers, value: Numbers) -> NDArray[np.bool_]:
    """Return which links are their row's first, where all links of the row say the same."""
    numbers = np.concatenate([rewards, power[:, None], value[:, None]], axis=1)
    first = np.r_[True, row[1:] != row[:-1]]
    same = np.r_[True, np.all(numbers[1:] == numbers[:-1], axis=1)] | first
    whole = np.ones(int(row.max()) + 1, np.bool_)
    np.logical_and.at(whole, row, same)
    return first & whole[row]


def _covered(links: Links, chosen: NDArray[np.bool_], rows: int) -> bool:
    has = np.zeros(rows, np.bool_)
    has[links.row[chosen]] = True
    return bool(has.all())


def _admitted(links: Links, way: Way) -> NDArray[np.bool_]:
    """Return which links a way can be computed from (link,)."""
    ended = links.terminated | links.truncated
    n, kind, steps = way.steps, links.kind, links.steps
    within = (kind == "within") & ((steps == n) | ((steps < n) & ended))
    masked = {
        "": links.terminated,
        "truncation-as-terminal": ended,
        "bootstrap-missing": np.ones_like(ended),
        "done-mask-inverted": np.zeros_like(ended),
        "terminal-mask-missing": np.zeros_like(ended),
    }[way.mask]
    odd = ((kind == "reset") | (kind == "unknown")) & (steps <= n) & masked
    if way.link == "next-observation-after-reset":
        return within | odd | ((kind == "reset") & (steps <= n))
    if way.link == "return-not-reset-at-done":
        return ((kind == "within") | (kind == "across") | (kind == "reset")) & (steps == n)
    if way.link == "next-observation-wrong":
        short = ((kind == "within") | (kind == "same")) & (steps == n - 1) & ~((steps > 0) & ended)
        return short | (within & ended) | odd
    return within | odd


def _mask(links: Links, chosen: NDArray[np.bool_], way: Way) -> NDArray[np.bool_]:
    ended, cut = links.terminated[chosen], links.truncated[chosen]
    if way.link == "next-observation-wrong":
        own = links.kind[chosen] == "same"
        ended = np.where(own, ended & (way.reward != ":before"), ended & (links.steps[chosen] > 0))
    return {
        "": ~ended,
        "terminal-mask-missing": np.ones_like(ended),
        "truncation-as-terminal": ~(ended | cut),
        "done-mask-inverted": ended,
        "bootstrap-missing": np.zeros_like(ended),
    }[way.mask]


def _returns(links: Links, chosen: NDArray[np.bool_], way: Way) -> tuple[Numbers, Numbers]:
    """Return rewards of the return's steps (link, step), zero after it, and powers of the discount."""
    steps = links.steps[chosen].astype(np.float64)
    power = steps.copy()
    if way.link == "next-observation-wrong":
        short = links.kind[chosen] != "same"
        ended = (links.terminated | links.truncated)[chosen] & short
        power = np.where(ended, steps, steps + 1.0)
    counted = power[:, None] > _POWERS[None, :]
    source = links.beyond if way.link == "return-not-reset-at-done" else links.rewards
    rewards = np.where(counted, source[chosen], 0.0)
    if way.reward == "reward-off-by-one":
        rewards[:, 0] = links.after[chosen]
    elif way.reward in ("reward-off-by-one:before", ":before"):
        rewards[:, 0] = links.before[chosen]
    elif way.reward == "discount-power-wrong:from the end":
        at = np.abs(counted.sum(axis=1)[:, None] - 1 - np.arange(rewards.shape[1])[None, :])
        rewards = np.where(counted, np.take_along_axis(rewards, at, axis=1), 0.0)
    elif way.reward == ":clipped":
        rewards = np.clip(rewards, -1.0, 1.0)
    elif way.reward == ":sign":
        rewards = np.sign(rewards)
    power = {
        "": power,
        "discount-power-wrong": np.ones_like(power),
        "discount-power-wrong:one more": power + 1.0,
        "discount-power-wrong:one less": power - 1.0,
        "discount-power-wrong:all the same": np.full_like(power, way.steps),
    }[way.power]
    longest = max(1, int(counted.sum(axis=1).max(initial=1)))
    return rewards[:, :longest], power


def _give(
    found: tuple[float, float, float],
    rewards: Numbers,
    power: Numbers,
    value: Numbers,
    extra: Numbers,
    flat: bool,
) -> tuple[Numbers, Numbers, Numbers]:
    """Return targets, and the slopes of them in discount and scale; the column's is itself."""
    discount, scale, entropy = found
    at = np.zeros(rewards.shape[1]) if flat else _POWERS[: rewards.shape[1]]
    summed = rewards @ discount**at
    slope = rewards[:, 1:] @ (at[1:] * discount ** np.maximum(at[1:] - 1.0, 0.0)) if len(at) > 1 else 0.0
    grown = discount**power
    given = scale * summed + grown * value + entropy * extra
    by_discount = scale * slope + power * discount ** (power - 1.0) * value
    return given, by_discount, summed


def _solve(
    y: Numbers,
    rewards: Numbers,
    power: Numbers,
    value: Numbers,
    extra: Numbers,
    begin: float,
    free: tuple[bool, bool, bool],
    *,
    flat: bool,
) -> tuple[float, float, float] | None:
    """Return discount, scale and the column's factor by Gauss and Newton; at once for returns of a step."""
    now = np.array([begin, 1.0, 0.0])
    which = np.array(free)
    if not which.any():
        return float(now[0]), 1.0, 0.0
    for _ in range(_ROUNDS):
        given, by_discount, by_scale = _give((now[0], now[1], now[2]), rewards, power, value, extra, flat)
        slopes = np.stack([by_discount, by_scale, extra], axis=1)[:, which]
        change = np.linalg.lstsq(slopes, y - given, rcond=None)[0]
        now[which] += change
        if not np.all(np.isfinite(now)) or not 0.0 < now[0] < 2.0:
            return None
        if np.abs(change).max() < 1e-9:
            break
    return float(now[0]), float(now[1]), float(now[2])


def _truncated(
    batch: Batch,
    found: tuple[float, float, float],
    target: Numbers,
    rewards: Numbers,
    power: Numbers,
    value: Numbers,
    extra: Numbers,
    *,
    flat: bool,
) -> tuple[tuple[float, float, float], Numbers]:
    """Return the discount whose targets, cut to whole numbers, fit best; none where targets are not whole."""
    nothing = np.full(len(target), np.inf)
    if not np.array_equal(target, np.rint(target)):
        return found, nothing
    best, least = (found, nothing), np.inf
    for discount in np.arange(0.5, 1.0005, 0.005):
        for tried in ((float(discount), 1.0, 0.0),):
            whole = _give(tried, rewards, power, value, extra, flat)[0]
            for cut in (np.trunc(whole), np.rint(whole), np.floor(whole)):
                far = float(np.abs(cut - target).mean())
                if far < least:
                    best, least = (tried, cut), far
    return best
