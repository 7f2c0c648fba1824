"""Stored transitions beside the same steps, taken again from the states that they begin in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.agents.coded.coded_world import Steps, steps_again
from modelwright.doctor.probes.agents.coded.stored import Stored
from modelwright.doctor.watch.place import Place

__all__ = ["judge_stored"]

_FEWEST = 32
_NEARLY_ALL, _SOME = 0.95, 0.05
_NEAR = 1e-4
"""What 32-bit floats leave of a reward."""

_NEIGHBOURS = ((-1, -1), (1, 1), (0, -1), (0, 1))
"""Steps that rewards and actions may be of, when they are not of the step that they are stored with."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Transitions of single steps.

    Attributes:
        before: (row, 3) moments that they begin in.
        after: (row, 3) moments that are stored as the next.
        own: What follows the first, without regard to actions.
        numbers: Columns (row,).
        forces: Columns (row, direction).
    """

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    own: Steps
    numbers: Sequence[NDArray[np.float64]]
    forces: Sequence[NDArray[np.float64]]

    @property
    def flags(self) -> list[NDArray[np.float64]]:
        """Columns of two values."""
        return [each for each in self.numbers if len(np.unique(each)) == 2]


def judge_stored(stored: Sequence[Stored], place: Place | None) -> tuple[list[Finding], int]:
    """Return what differs, and how many transitions were stepped again.

    Args:
        stored: Columns that an agent keeps.
        place: The user's line that causes are led to.
    """
    found: list[Finding] = []
    count = 0
    for each in stored:
        pair = max(
            permutations(each.seen.values(), 2), key=lambda two: int(_follows(*two).sum()), default=None
        )
        if pair is None:
            continue
        at = np.flatnonzero((pair[0][:, 0] >= 0) & (pair[1][:, 0] >= 0))
        if len(at) < _FEWEST:
            continue
        count += len(at)
        rows = _Rows(
            pair[0][at],
            pair[1][at],
            steps_again(pair[0][at], np.zeros(len(at), np.int64)),
            [column[at] for column in each.numbers.values()],
            [column[at] for column in each.forces.values()],
        )
        found += [_finding(name, words, wrong, place) for name, words, wrong in _differences(rows)]
    return found, count


_Difference = tuple[str, str, NDArray[np.bool_]]
"""Cause, what is said of it, and the rows that show it."""


def _differences(rows: _Rows) -> Iterator[_Difference]:
    same = (rows.before == rows.after).all(axis=1)
    if same.mean() > _NEARLY_ALL:
        yield "observation-aliased", "the observation before each step is that after it", same
        return
    follows = _follows(rows.before, rows.after)
    if follows.mean() > 0.5 and np.median((rows.after - rows.before)[follows, 2]) > 1:
        return  # returns of several steps end where episodes do, in each library its own way
    yield from _of_next(rows, follows & (rows.after[:, 2] == rows.before[:, 2] + 1))
    yield from _of_flags(rows)
    yield from _of_rewards(rows)


def _follows(before: NDArray[np.int64], after: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows go on in the same episode of the same copy (row,)."""
    return (before[:, 0] >= 0) & (before[:, :2] == after[:, :2]).all(axis=1) & (after[:, 2] > before[:, 2])


def _of_next(rows: _Rows, right: NDArray[np.bool_]) -> Iterator[_Difference]:
    ended = rows.own.terminated | rows.own.truncated
    begins = ~right & ended & (rows.after[:, 2] == 0) & (rows.after[:, 0] == rows.before[:, 0])
    other = ~right & ~begins
    if other.mean() > _SOME:
        copies = (rows.before[other, 0] != rows.after[other, 0]).mean() > 0.5
        whose = "copy of the environment" if copies else "step"
        yield "next-observation-wrong", f"the next observation is that of another {whose}", other
        return
    # Nothing is bootstrapped after an end; after a cut it is, unless both are kept as one flag.
    late = begins & rows.own.truncated
    if late.sum() > _NEARLY_ALL * rows.own.truncated.sum() > 0 and any(
        _tells(each, rows.own.terminated) for each in rows.flags
    ):
        yield "next-observation-after-reset", "after a cut, the next observation begins another episode", late


def _of_flags(rows: _Rows) -> Iterator[_Difference]:
    own = rows.own
    if any(
        _tells(each, truth)
        for each in rows.flags
        for truth in (own.terminated, own.terminated | own.truncated)
    ):
        return
    begins = (rows.before[:, 2] == 0) & (rows.before[:, 1] > 0)
    last = steps_again(rows.before - (0, 1, 0), np.zeros(len(begins), np.int64), at_end=True)
    for each in rows.flags:
        if _tells(each, begins) or _tells(each, begins & last.terminated):
            yield (
                "gae-done-off-by-one",
                "a step is stored with whether the one before it was the last",
                begins,
            )
            return
        if _tells(each, own.truncated):
            yield "terminated-truncated-swapped", "cuts are stored as ends, and no end is", own.truncated
            return


def _tells(flags: NDArray[np.float64], truth: NDArray[np.bool_]) -> bool:
    """Return whether two values tell what is true, whichever of them stands for it."""
    said = flags == flags.max()
    return bool(truth.any() and max((said == truth).mean(), (said != truth).mean()) > 0.99)


def _of_rewards(rows: _Rows) -> Iterator[_Difference]:
    """Yield rewards, or actions, that are those of the step before or of the one after."""
    numbers = {tuple(moment): at for at, moment in enumerate(rows.before.tolist())}
    actions = [*rows.forces, *(each for each in rows.flags if np.isin(each, (0, 1)).all())]
    rewards = [each for each in rows.numbers if len(np.unique(each)) > 2]
    pairs = [(done, reward) for done in actions for reward in rewards]
    if any(_agree(rows.before, done, reward) > _NEARLY_ALL for done, reward in pairs):
        return
    for of_reward, of_action in _NEIGHBOURS:
        moments = [
            (moment[0], moment[1], moment[2] + (of_reward or of_action)) for moment in rows.before.tolist()
        ]
        other = np.array([numbers.get(each, -1) for each in moments])
        known = other >= 0
        for done, reward in pairs:
            taken = done[other[known]]
            begin = rows.before[other[known]] if of_reward else rows.before[known]
            if _agree(begin, taken, reward[known]) > _NEARLY_ALL:
                what = "reward" if of_reward else "action"
                side = "before" if (of_reward or of_action) < 0 else "after"
                name = "reward-off-by-one" if of_reward else "gathered-wrong-action"
                yield name, f"the {what} is that of the step {side}", known
                return


def _agree(before: NDArray[np.int64], done: NDArray[Any], rewards: NDArray[np.float64]) -> float:
    """Return the share of rows whose rewards are those of the actions, times one factor."""
    truth = steps_again(before, done).rewards
    large = np.abs(truth) > 0.01
    if large.sum() < _FEWEST:
        return 0.0
    factor = float(np.median(rewards[large] / truth[large]))
    return float((np.abs(rewards - factor * truth) <= _NEAR * max(1.0, abs(factor))).mean())


def _finding(name: str, words: str, wrong: NDArray[np.bool_], place: Place | None) -> Finding:
    return Finding(
        kind="stored-steps-differ",
        severity=Severity.SEVERE,
        title=f"Stored transitions are not the steps that were taken: {words}.",
        evidence={"transitions": len(wrong), "that_differ": int(wrong.sum())},
        causes=(cause(name, place),),
        next_check="store one episode by hand, and compare it row by row with what step() gave",
        subject="codes",
    )
