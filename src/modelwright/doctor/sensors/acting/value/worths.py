"""Values of what follows, as right and wrong ways of computing targets have them."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.value.batch import Links, Worth
from modelwright.doctor.sensors.acting.value.expectations import expectations

__all__ = ["Follower", "worths_of"]

Numbers = NDArray[np.float64]

_MOST_NETWORKS = 20
"""Values of one row beyond which they are no ensemble's, but a sequence's, step by step."""


_MOST_CHOOSERS = 4


class Follower(NamedTuple):
    """A network that was called on what follows.

    Attributes:
        outputs: What it gave (row, number), one or more; not a number in rows that it was not called on.
        links: How what it was called on follows.
        learns: Whether an optimizer holds it.
        pairs: Whether it was given actions beside observations.
        alike: Whether it has the shapes of the network whose prediction is compared.
        module: The network.
    """

    outputs: Sequence[Numbers]
    links: Links
    learns: bool
    pairs: bool
    alike: bool
    module: Any


class _Named(NamedTuple):
    follower: Follower
    values: Numbers


def worths_of(followers: Sequence[Follower]) -> list[Worth]:
    """Return values that targets may have been computed with, right ones first.

    None where there are more than an ensemble has: those of a recurrent network, of one step after another.
    """
    found = [*_of_actions(followers), *_of_pairs(followers)]
    return sorted(found, key=lambda worth: worth.fault.split(":")[0] != "")


def _of_actions(followers: Sequence[Follower]) -> Iterator[Worth]:
    """Yield values from networks that give one number an action."""
    named = [
        _Named(follower, output)
        for follower in followers
        if not follower.pairs
        for output in follower.outputs
        if output.shape[1] > 1
    ]
    learn = _distinct([each for each in named if each.follower.learns])
    follow = _distinct([each for each in named if not each.follower.learns])
    if len(learn) + len(follow) > _MOST_NETWORKS:
        return
    main, other = (follow, learn) if follow else (learn, [])
    right = "" if follow else ":online"
    for at, each in enumerate(main):
        yield _worth(right, f"max {at}", each, each.values.max(axis=1))
        yield _worth("smallest-in-place-of-largest", f"min {at}", each, each.values.min(axis=1))
        yield _worth("mean-in-place-of-largest", f"mean {at}", each, each.values.mean(axis=1))
        yield _worth(
            "max-over-wrong-axis", f"all {at}", each, np.full(len(each.values), np.nanmax(each.values))
        )
        for at_other, chooser in enumerate(other or main):
            if chooser is not each:
                yield _worth(right, f"double {at} {at_other}", each, _chosen(each.values, chooser.values))
    for at, each in enumerate(other):
        yield _worth("target-uses-online", f"max learning {at}", each, each.values.max(axis=1))
        for at_other, chooser in enumerate(main):
            values = _chosen(each.values, chooser.values)
            yield _worth("double-q-networks-swapped", f"swapped {at} {at_other}", each, values)
    if len(main) == 2:
        least = np.minimum(main[0].values, main[1].values)
        yield _worth(right, "max of smaller", main[0], least.max(axis=1))
        for at, chooser in enumerate([*main, *other]):
            yield _worth(right, f"smaller chosen {at}", main[0], _chosen(least, chooser.values))
        for one, two in combinations(range(len(other[:_MOST_CHOOSERS])), 2):
            if other[one].values.shape == other[two].values.shape:
                both = np.minimum(other[one].values, other[two].values)
                yield _worth(right, f"smaller chosen by {one} {two}", main[0], _chosen(least, both))
        smaller = np.minimum(main[0].values.max(axis=1), main[1].values.max(axis=1))
        yield _worth(right, "smaller of max", main[0], smaller)
    yield from _means(main, other, right)


def _means(main: list[_Named], other: list[_Named], right: str) -> Iterator[Worth]:
    """Yield means over the actions of a policy: the networks that learn, each taken for the policy."""
    for at, policy in enumerate(other or main):
        for fault, group in ((right, main), ("target-uses-online", other)):
            values = [each.values for each in group if each is not policy]
            for each in expectations(policy.values, values):
                worth = _worth(each.fault or fault, f"{each.name} of {at} {fault}", policy, each.values)
                worth.surprise = np.where(np.isnan(each.surprise), 0.0, each.surprise)
                yield worth


def _of_pairs(followers: Sequence[Follower]) -> Iterator[Worth]:
    """Yield values from networks that give one number a row."""
    named = [
        _Named(follower, output[:, at])
        for follower in followers
        for output in follower.outputs
        if follower.pairs or output.shape[1] == 1
        for at in range(output.shape[1])
    ]
    alike = [each for each in named if each.follower.alike]
    learn = _distinct([each for each in alike if each.follower.learns])
    follow = _distinct([each for each in alike if not each.follower.learns])
    if not alike:
        for at, each in enumerate(named):  # a value network's, beside whatever else gives one number
            yield _worth("", f"one {at}", each, each.values)
        return
    if len(learn) + len(follow) > _MOST_NETWORKS:
        return
    if follow:
        yield from _of_group(follow, "", "")
        if learn:
            least = np.min([each.values for each in learn], axis=0)
            yield _worth("target-uses-online", "min learning", learn[0], least)
    else:
        yield from _of_group(learn, ":online", " learning")


def _of_group(group: list[_Named], right: str, suffix: str) -> Iterator[Worth]:
    values = np.array([each.values for each in group])
    yield _worth(right, f"min{suffix}", group[0], values.min(axis=0))
    if len(group) == 2:
        yield _worth("twin-minimum-missing", f"max{suffix}", group[0], values.max(axis=0))
        yield _worth("twin-minimum-missing", f"mean{suffix}", group[0], values.mean(axis=0))
        for at, each in enumerate(group):
            yield _worth("twin-minimum-missing:one", f"one {at}{suffix}", group[0], each.values)
    elif len(group) > 2:
        yield _worth(right, f"mean{suffix}", group[0], values.mean(axis=0))
        for at in range(len(group)):
            for other in range(at):
                pair = np.minimum(values[at], values[other])
                yield _worth(right, f"min {at} {other}{suffix}", group[0], pair)


def _distinct(named: list[_Named]) -> list[_Named]:
    """Return those that do not give what another one gave: a network may be called twice."""
    found: dict[tuple[bytes, tuple[int, ...]], _Named] = {}
    for each in named:
        found.setdefault((each.values.tobytes(), each.values.shape), each)
    return list(found.values())


def _chosen(values: Numbers, chooser: Numbers) -> Numbers:
    if values.shape != chooser.shape:
        return np.full(len(values), np.nan)
    best = np.where(np.isnan(chooser), -np.inf, chooser).argmax(axis=1)
    return values[np.arange(len(values)), best]


def _worth(fault: str, name: str, each: _Named, values: Numbers) -> Worth:
    return Worth(fault, name, np.where(np.isnan(values), 0.0, values), each.follower.links)
