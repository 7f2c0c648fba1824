"""Ways of computing targets of values, right and wrong, and the values that each leads to."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.probes.agents.task import GOES_ON, TERMINATES, Task

__all__ = ["RIGHT", "WAYS", "Predicted", "Stream", "Way", "predict", "stream_of"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]

_LENGTH = 6000
"""Steps of a stream; a state's values are then right to about two per cent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What somebody meets who acts at random: (step,) each.

    Attributes:
        at: Observation.
        reward: What came.
        terminated: Whether the episode ended by itself.
        ended: Whether it ended at all.
        after: Observation that followed, at an end the last one of the episode.
        next_at: Observation from which the next step was taken, at an end the first one of the next episode.
    """

    at: Numbers
    reward: Array
    terminated: Flags
    ended: Flags
    after: Numbers
    next_at: Numbers

    @property
    def is_first(self) -> Flags:
        """Whether a step is the first of its episode."""
        return np.concatenate([[True], self.ended[:-1]])


Target = tuple[Array, Array, Numbers]
"""(step,) what is added up, the weight of the value of what follows, and the observation that follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of computing targets.

    Attributes:
        causes: Names of the mistakes that lead to it; none for what is right.
        target: (stream, gamma) -> the target.
        waits: Whether an agent that has not yet had the time to learn looks so too.
    """

    causes: tuple[str, ...]
    target: Callable[[Stream, float], Target]
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Values that a way leads to.

    Attributes:
        values: (observation,) where rewards are as given.
        bonus: (observation,) what is added for each unit that is given for every step that is followed by
            another, as agents do that are paid for their entropy.
    """

    values: Array
    bonus: Array


def stream_of(task: Task) -> Stream:
    """Return steps of a task, drawn by numbers of its own."""
    draw = np.random.default_rng(0)
    rows: list[tuple[int, float, int, int]] = []
    state = int(draw.choice(task.starts))
    heads: list[int] = []
    for _ in range(_LENGTH):
        moves = task.moves_of(state, int(draw.integers(2)))
        move = moves[int(draw.integers(len(moves)))]
        rows.append((state, move.reward, move.end, move.after))
        heads.append(state)
        state = move.after if move.end == GOES_ON else int(draw.choice(task.starts))
    seen = np.array([task.situation_of(each) for each in range(len(task.moves))])
    end = np.array([row[2] for row in rows])
    return Stream(
        at=seen[heads],
        reward=np.array([row[1] for row in rows]),
        terminated=end == TERMINATES,
        ended=end != GOES_ON,
        after=seen[[row[3] for row in rows]],
        next_at=seen[[*heads[1:], state]],
    )


def predict(way: Way, stream: Stream, gamma: float) -> Predicted | None:
    """Return the values at which targets are, in the mean, the values; None where there are none."""
    added, weight, after = way.target(stream, gamma)
    count = int(max(stream.at.max(), stream.after.max())) + 1
    visits = np.maximum(np.bincount(stream.at, minlength=count), 1)
    follow = np.zeros((count, count))
    np.add.at(follow, (stream.at, after), weight)
    follow /= visits[:, None]
    if np.abs(np.linalg.eigvals(follow)).max() > 0.9999:
        return None
    solve = np.eye(count) - follow
    return Predicted(
        values=np.asarray(np.linalg.solve(solve, np.bincount(stream.at, added, count) / visits), np.float64),
        bonus=np.asarray(np.linalg.solve(solve, follow.sum(axis=1)), np.float64),
    )


def _one_step(
    mask: Callable[[Stream], Flags],
    *,
    after_reset: bool = False,
    sign: float = 1.0,
    shift: int = 0,
    power: float = 1.0,
) -> Callable[[Stream, float], Target]:
    """Return reward + gamma * mask * value of what follows, with one thing or another done differently."""

    def target(stream: Stream, gamma: float) -> Target:
        reward = sign * np.roll(stream.reward, shift)
        return reward, gamma**power * mask(stream), stream.next_at if after_reset else stream.after

    return target


def _several_steps(steps: int, power: Callable[[int], float]) -> Callable[[Stream, float], Target]:
    """Return sums of several rewards, and a value discounted by a power of the number of summed steps."""

    def target(stream: Stream, gamma: float) -> Target:
        length = len(stream.at)
        added, weight, after = stream.reward.copy(), np.zeros(length), stream.after.copy()
        going = ~stream.ended
        summed = np.ones(length)
        last = np.arange(length)
        for ahead in range(1, steps):
            place = np.minimum(np.arange(length) + ahead, length - 1)
            added += np.where(going, gamma**ahead * stream.reward[place], 0.0)
            after = np.where(going, stream.after[place], after)
            last = np.where(going, place, last)
            summed += going
            going &= ~stream.ended[place]
        weight = np.array([gamma ** power(int(each)) for each in summed]) * ~stream.terminated[last]
        return added, weight, after

    return target


def _through(stream: Stream) -> Flags:
    return np.ones(len(stream.at), np.bool_)


RIGHT = Way(causes=(), target=_one_step(lambda stream: ~stream.terminated))
"""Reward and discounted value of what follows, where the episode does not terminate."""


def _wrong() -> Iterator[Way]:
    yield Way(causes=("reward-sign-flipped",), target=_one_step(lambda stream: ~stream.terminated, sign=-1.0))
    yield Way(causes=("truncation-as-terminal",), target=_one_step(lambda stream: ~stream.ended))
    yield Way(causes=("terminal-mask-missing",), target=_one_step(_through))
    yield Way(
        causes=("terminal-mask-missing", "return-not-reset-at-done"),
        target=_one_step(_through, after_reset=True),
    )
    yield Way(
        causes=("next-observation-after-reset",),
        target=_one_step(lambda stream: ~stream.terminated, after_reset=True),
    )
    yield Way(
        causes=("terminated-truncated-swapped",),
        target=_one_step(lambda stream: ~stream.ended | stream.terminated),
    )
    for mask in (lambda stream: stream.terminated, lambda stream: stream.ended):
        yield Way(causes=("done-mask-inverted",), target=_one_step(mask))
    yield Way(
        causes=("gae-done-off-by-one",),
        target=_one_step(lambda stream: ~stream.is_first, after_reset=True),
    )
    yield Way(
        causes=("bootstrap-missing", "target-never-updated"),
        target=_one_step(lambda stream: ~_through(stream)),
        waits=True,
    )
    for shift in (1, -1):
        yield Way(
            causes=("reward-off-by-one",), target=_one_step(lambda stream: ~stream.terminated, shift=shift)
        )
    for steps in range(2, 5):
        yield Way(causes=("discount-power-wrong",), target=_several_steps(steps, lambda summed: 1.0))
    for power in (0.0, 2.0, 3.0):
        yield Way(
            causes=("discount-power-wrong",), target=_one_step(lambda stream: ~stream.terminated, power=power)
        )


WAYS: Sequence[Way] = tuple(_wrong())
"""The wrong ones."""
