"""Shares of atoms that rewards and a discount move, and which way of moving them gives a batch's targets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.value.batch import Batch, Worth
from modelwright.doctor.sensors.acting.value.way import Fit, laid_out
from modelwright.doctor.sensors.acting.value.ways import Way

__all__ = ["LOST", "ShareWorth", "Shares", "fit_shares", "is_lost"]

Numbers = NDArray[np.float64]

LOST = "probabilities-not-summing-to-one"

_SAME = 1e-4
_NEAR_ATOM = 1e-4
_LEAST_LOST = 1e-3
_USUAL = (0.99, 0.95, 0.9, 0.98, 0.97, 0.995, 0.999, 1.0)
_SOME_ROWS = 16
_GOLDEN = 0.6180339887498949
_ROUNDS = 30


@dataclass(slots=True)
class ShareWorth(Worth):
    """Shares of what follows, as one way of computing targets has them.

    Attributes:
        table: Shares (row, action, atom).
        allowed: Actions of which the way may take them (row, action).
    """

    table: Numbers = None  # pyright: ignore[reportAssignmentType]
    allowed: NDArray[np.bool_] = None  # pyright: ignore[reportAssignmentType]


@dataclass(slots=True)
class Shares(Batch):
    """One comparison of predicted shares with targets of them.

    Attributes:
        rows: What the targets are (row, atom).
        atoms: Values of the atoms, evenly spaced (atom,).
        discounts: What the program multiplied by, and discounts that were found before.
        searches: Whether to search for a discount that nobody has heard of.
    """

    rows: Numbers = None  # pyright: ignore[reportAssignmentType]
    atoms: Numbers = None  # pyright: ignore[reportAssignmentType]
    discounts: Sequence[float] = ()
    searches: bool = False


@dataclass(slots=True)
class _Moves:
    """Every way in which a row's target can have come about (move,), and of which row it is.

    Attributes:
        row: Of which row.
        shares: What is moved (move, atom).
        rewards: Of the return's steps (move, step).
        power: Of the discount.
        mask: Whether what follows counts.
    """

    row: NDArray[np.intp]
    shares: Numbers
    rewards: Numbers
    power: Numbers
    mask: NDArray[np.bool_]

    def some(self, rows: int) -> "_Moves":
        """Return those of the first rows."""
        which = self.row < rows
        return _Moves(
            self.row[which], self.shares[which], self.rewards[which], self.power[which], self.mask[which]
        )

    def returns(self, discount: float) -> tuple[Numbers, Numbers]:
        """Return sums of rewards, and what atoms are multiplied by."""
        summed = self.rewards @ discount ** np.arange(self.rewards.shape[1])
        return summed, np.where(self.mask, discount**self.power, 0.0)


def fit_shares(batch: Shares, worth: ShareWorth, way: Way, scale: float = 1.0) -> Fit | None:
    """Return how a way gives the target shares of all rows of a batch; None where it does not.

    Args:
        batch: The rows.
        worth: Shares of what follows.
        way: To compute targets.
        scale: Factor of the rewards.
    """
    if way.whole not in ("", LOST):
        return None
    moves = _moves(batch, worth, way, scale)
    if moves is None:
        return None
    lossy = way.whole == LOST
    for discount in _discounts(batch, moves, way.steps, lossy=lossy):
        far = _far(batch, moves, discount, lossy=lossy)
        if far.max() <= _SAME:
            bootstraps = bool(moves.mask.any()) or moves.rewards.shape[1] > 1
            known = discount if bootstraps else float("nan")
            return Fit(way, worth.fault, worth.name, known, scale, 0.0)
    return None


def _moves(batch: Shares, worth: ShareWorth, way: Way, scale: float) -> _Moves | None:
    laid = laid_out(worth.links, way, len(batch.rows))
    if laid is None:
        return None
    row, rewards, power, mask = laid
    usable = np.isfinite(rewards).all(axis=1)
    if not usable.all():
        return None
    link, action = np.nonzero(worth.allowed[row])
    if not len(link) or len(np.unique(row[link])) < len(batch.rows):
        return None
    return _Moves(row[link], worth.table[row[link], action], scale * rewards[link], power[link], mask[link])


def _discounts(batch: Shares, moves: _Moves, steps: int, *, lossy: bool) -> Iterator[float]:
    roots = [each ** (1.0 / steps) for each in batch.discounts if steps > 1]
    known = list(dict.fromkeys((*batch.discounts, *roots, *_USUAL)))
    some = moves.some(_SOME_ROWS)
    if not some.mask.any() and moves.mask.any():
        some = moves
    miss: dict[float, float] = {}
    for each in known:
        miss[each] = float(_far(batch, some, each, lossy=lossy).max())
        if miss[each] <= _SAME:
            break
    best = min(miss, key=miss.__getitem__)
    yield best
    if miss[best] <= _SAME or not batch.searches:
        return
    grid = np.r_[np.arange(0.3, 0.9, 0.02), np.arange(0.9, 1.0, 0.004)]
    means = [float(_far(batch, some, float(each), lossy=lossy).mean()) for each in grid]
    at = int(np.argmin(means))
    low, high = float(grid[max(0, at - 1)]), float(grid[min(len(grid) - 1, at + 1)])
    for _ in range(_ROUNDS):
        one, other = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        left = float(_far(batch, some, one, lossy=lossy).mean())
        right = float(_far(batch, some, other, lossy=lossy).mean())
        low, high = (low, other) if left < right else (one, high)
    yield (low + high) / 2.0


def _far(batch: Shares, moves: _Moves, discount: float, *, lossy: bool) -> Numbers:
    """Return how far each row's target is from the nearest of its moves (row,)."""
    target = batch.rows[moves.row]
    summed, factor = moves.returns(discount)
    least, most = _projected(batch.atoms, moves.shares, summed, factor, lossy=lossy)
    off = np.maximum(np.maximum(least - target, target - most), 0.0).max(axis=1)
    found = np.full(int(moves.row.max()) + 1, np.inf)
    np.minimum.at(found, moves.row, off)
    return found[np.isfinite(found)]


def _projected(
    atoms: Numbers, shares: Numbers, summed: Numbers, factor: Numbers, *, lossy: bool
) -> tuple[Numbers, Numbers]:
    """Return the least and the most that may stand at each atom (move, atom): the same, unless `lossy`.

    Where `lossy`, what falls on an atom itself may be lost: as where it is shared between the atom below and
    the one above by their distances, and both are that atom.
    """
    count = len(atoms)
    moved = np.clip(summed[:, None] + factor[:, None] * atoms[None, :], atoms[0], atoms[-1])
    at = np.clip((moved - atoms[0]) / (atoms[1] - atoms[0]), 0.0, count - 1.0)
    low = np.minimum(np.floor(at).astype(np.intp), count - 2)
    above = at - low
    first = np.arange(len(shares))[:, None] * count
    flat = np.r_[(first + low).ravel(), (first + low + 1).ravel()]

    def laid(weights: Numbers) -> Numbers:
        given = np.r_[((1.0 - above) * weights).ravel(), (above * weights).ravel()]
        laid: Numbers = np.bincount(flat, given, len(shares) * count).astype(np.float64)
        return laid.reshape(len(shares), count)

    most = laid(shares)
    if not lossy:
        return most, most
    return laid(np.where(np.abs(at - np.rint(at)) < _NEAR_ATOM * count, 0.0, shares)), most


def is_lost(batch: Shares) -> bool:
    """Return whether the shares of some row do not sum to one."""
    return float(batch.rows.sum(axis=1).min()) < 1.0 - _LEAST_LOST
