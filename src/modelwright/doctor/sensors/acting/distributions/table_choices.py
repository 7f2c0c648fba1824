"""Which action's distribution of what follows targets may have been made of, right ways first."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.value.batch import Links

__all__ = ["Choice", "TableFollower", "choices_of"]

Numbers = NDArray[np.float64]

_MOST_TABLES = 12
_TIE = 1e-5


class TableFollower(NamedTuple):
    """A network that was called on what follows, and gave a distribution for each action.

    Attributes:
        table: Shares of atoms, or quantiles (row, action, place).
        expected: What each distribution is worth (row, action).
        links: How what it was called on follows.
        learns: Whether an optimizer holds it.
        module: The network.
    """

    table: Numbers
    expected: Numbers
    links: Links
    learns: bool
    module: Any


class Choice(NamedTuple):
    """One way to choose.

    Attributes:
        fault: Its name; empty where this way is right.
        name: Tells it from others.
        of: The network whose distribution is taken.
        allowed: Actions whose distribution may be taken (row, action): one, or those of equal value.
    """

    fault: str
    name: str
    of: TableFollower
    allowed: NDArray[np.bool_]


def choices_of(
    followers: Sequence[TableFollower], taken: Sequence[int | None], choosers: Sequence[Numbers] = ()
) -> list[Choice]:
    """Return ways to choose; none where there are more networks than a program of this kind has.

    Args:
        followers: Networks that were called on what follows.
        taken: The action that each row's transition begins with, where only one can be meant (row,).
        choosers: What calls of other sizes say that actions are worth (row, action).
    """
    distinct = _distinct(followers)
    if len(distinct) > _MOST_TABLES or len(choosers) > _MOST_TABLES:
        return []
    return sorted(_choices(distinct, taken, choosers), key=lambda each: each.fault.split(":")[0] != "")


def _choices(
    followers: Sequence[TableFollower], taken: Sequence[int | None], choosers: Sequence[Numbers]
) -> Iterator[Choice]:
    learn = [each for each in followers if each.learns]
    follow = [each for each in followers if not each.learns]
    main, other = (follow, learn) if follow else (learn, [])
    right = "" if follow else ":online"
    for at, each in enumerate(main):
        yield Choice(right, f"max {at}", each, _best(each.expected))
        for name, group in (("double", other), ("another's max", main)):
            for number, chooser in enumerate(group):
                if chooser is not each and chooser.expected.shape == each.expected.shape:
                    yield Choice(right, f"{name} {at} {number}", each, _best(chooser.expected))
        for number, worth in enumerate(choosers):
            if worth.shape == each.expected.shape:
                yield Choice(right, f"other draws' max {at} {number}", each, _best(worth))
        if each.expected.shape[1] > 1:
            yield Choice("smallest-in-place-of-largest", f"min {at}", each, _best(-each.expected))
            wrong = _of(taken, each.expected.shape)
            if wrong is not None:
                yield Choice("gathered-wrong-action", f"taken before {at}", each, wrong)
    for at, each in enumerate(other):
        for number, chooser in enumerate(other):
            if chooser.expected.shape == each.expected.shape:
                yield Choice("target-uses-online", f"learning {at} {number}", each, _best(chooser.expected))
        for number, chooser in enumerate(main):
            if each.expected.shape[1] > 1 and chooser.expected.shape == each.expected.shape:
                name = f"swapped {at} {number}"
                yield Choice("double-q-networks-swapped", name, each, _best(chooser.expected))


def _best(expected: Numbers) -> NDArray[np.bool_]:
    """Return which actions are the best, within what single precision tells apart (row, action)."""
    size = np.abs(expected).max(initial=0.0)
    return expected >= expected.max(axis=1, keepdims=True) - _TIE * size


def _of(taken: Sequence[int | None], shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    if any(each is None or not 0 <= each < shape[1] for each in taken):
        return None
    return np.arange(shape[1])[None, :] == np.array(taken)[:, None]


def _distinct(followers: Sequence[TableFollower]) -> list[TableFollower]:
    """Return those that do not give what another one gave, nearly: a network may be called twice."""
    found: list[TableFollower] = []
    for each in followers:
        same = (
            known.table.shape == each.table.shape and np.allclose(known.table, each.table, atol=1e-7)
            for known in found
            if known.learns == each.learns
        )
        if not any(same):
            found.append(each)
    return found
