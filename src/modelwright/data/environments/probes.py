"""Nine environments so small that their values are known: what fails on one of them names the broken part.

Each is learnt in a second or two by what is sound, and decisively not by what is broken in the part that the
probe is for, whatever the learner. Episodes that end show their last observation once more, so that a learner
that looks past the end learns a value that is visibly wrong.

Source: A. Jones, Debugging Reinforcement Learning Systems (2021), for the first five; the other four are in
its spirit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.data.environments.batched import Dynamics
from modelwright.data.environments.space import Box, Space
from modelwright.data.environments.tabular import Tabular
from modelwright.data.environments.tabular_model import Outcomes

__all__ = ["PROBES", "Probe"]

Values = Callable[[float], Sequence[float]]
_SIDE, _CELL = 36, 4  # the smallest image that the usual three convolutions of Atari agents can read


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """An environment whose right answers are known.

    Attributes:
        name: What `Environment` knows it by.
        shows: What is broken in a learner that fails here and passes those before.
        dynamics: Its rules.
        observations: (state, *observation) all that can be seen while an episode lasts.
        optimal_action: (state,) numbers of best actions, or (state, *action) values.
        time_limit: Steps after which an episode is truncated; None where it only terminates.
        same: Pairs of states that no learner of rewards and dynamics can tell apart.
    """

    name: str
    shows: str
    dynamics: Dynamics
    observations: NDArray[Any]
    optimal_action: NDArray[Any]
    worth: Values
    time_limit: int | None = None
    same: tuple[tuple[int, int], ...] = ()

    def values(self, gamma: float) -> NDArray[np.float64]:
        """Return (state,) optimal values of `observations` at discount `gamma`, below 1."""
        return np.array(self.worth(gamma), np.float64)

    def action_values(self, gamma: float) -> NDArray[np.float64] | None:
        """Return (state, action) optimal values of acting; None where actions are not numbered."""
        if not isinstance(self.dynamics, Tabular):
            return None
        table = self.dynamics.outcomes
        padded = np.zeros(len(table.initial))
        padded[: len(self.observations)] = self.values(gamma)
        later = np.where(table.ended, 0.0, padded[table.next])
        return (table.probability * (table.reward + gamma * later)).sum(axis=2)[: len(self.observations)]


def _table(
    rows: Sequence[Sequence[tuple[int | None, float]]], seen: NDArray[Any], space: Space, starts: int
) -> Tabular:
    """Return rules by which action a in state s leads to `rows[s][a]`: (next state, reward); None is the end.

    The first `starts` states begin episodes, each as often as another. The end of state s is state
    `states` + s, which looks like s.
    """
    states, actions = len(rows), len(rows[0])
    shape = (2 * states, actions, 1)
    made = Outcomes(
        probability=np.ones(shape),
        next=np.zeros(shape, np.int64),
        reward=np.zeros(shape),
        ended=np.zeros(shape, np.bool_),
        initial=np.repeat([1.0 / starts, 0.0], [starts, 2 * states - starts]),
    )
    for state, row in enumerate(rows):
        for action, (after, reward) in enumerate(row):
            here = (state, action, 0)
            made.next[here] = states + state if after is None else after
            made.reward[here], made.ended[here] = reward, after is None
    made.next[states:, :, 0] = np.arange(states, 2 * states)[:, None]
    return Tabular(made, np.concatenate([seen, seen]), space)


class _ToTheMark:
    """One step in which a force must be half of the number that is seen; reward minus the squared error."""

    observation_space: Space = Box.of(-1.0, 1.0, (1,))
    action_space: Space = Box.of(-1.0, 1.0, (1,))

    def begin(self, generator: np.random.Generator) -> NDArray[Any]:
        return np.array([2.0 * generator.integers(2) - 1.0])

    def advance(
        self, state: NDArray[Any], action: NDArray[Any], generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_]]:
        return state, -np.square(action[:, 0] - 0.5 * state[:, 0]), np.ones(len(state), np.bool_)

    def observe(self, state: NDArray[Any]) -> NDArray[Any]:
        return state.astype(np.float32)


def _numbers(*seen: float) -> NDArray[np.float32]:
    return np.array(seen, np.float32)[:, None]


def _pixels() -> NDArray[np.uint8]:
    """Return two dark images, each with one bright cell: (image, channel, row, column)."""
    images = np.zeros((2, 1, _SIDE, _SIDE), np.uint8)
    for image, left in zip(images, (_CELL, _SIDE - 2 * _CELL), strict=True):
        image[0, _SIDE // 2 : _SIDE // 2 + _CELL, left : left + _CELL] = 255
    return images


def _probe(
    name: str,
    shows: str,
    rows: Sequence[Sequence[tuple[int | None, float]]],
    seen: NDArray[Any],
    best: Sequence[int],
    worth: Values,
    *,
    starts: int | None = None,
    time_limit: int | None = None,
    same: tuple[tuple[int, int], ...] = (),
) -> Probe:
    high = 255 if seen.dtype == np.uint8 else 1
    low = 0 if seen.dtype == np.uint8 else -1
    shape = seen.shape[1:]
    space = Box(low=np.full(shape, low, seen.dtype), high=np.full(shape, high, seen.dtype), dtype=seen.dtype)
    return Probe(
        name=name,
        shows=shows,
        dynamics=_table(rows, seen, space, len(rows) if starts is None else starts),
        observations=seen,
        optimal_action=np.array(best, np.int64),
        worth=worth,
        time_limit=time_limit,
        same=same,
    )


_ALL = (
    _probe(
        "probe-value",
        "the value's loss or the optimiser",
        [[(None, 1.0)]],
        _numbers(0),
        [0],
        lambda gamma: [1.0],
    ),
    _probe(
        "probe-backpropagation",
        "how the observation gets through the network, or its gradient back",
        [[(None, -1.0)], [(None, 1.0)]],
        _numbers(-1, 1),
        [0, 0],
        lambda gamma: [-1.0, 1.0],
    ),
    _probe(
        "probe-discount",
        "discounting, or the value of the next observation",
        [[(1, 0.0)], [(None, 1.0)]],
        _numbers(0, 1),
        [0, 0],
        lambda gamma: [gamma, 1.0],
        starts=1,
    ),
    _probe(
        "probe-policy",
        "the advantage, the policy's loss or its update",
        [[(None, -1.0), (None, 1.0)]],
        _numbers(0),
        [1],
        lambda gamma: [1.0],
    ),
    _probe(
        "probe-pairing",
        "which observation, action and reward belong together in a batch",
        [[(None, 1.0), (None, -1.0)], [(None, -1.0), (None, 1.0)]],
        _numbers(-1, 1),
        [0, 1],
        lambda gamma: [1.0, 1.0],
    ),
    _probe(
        "probe-time-limit",
        "truncation taken for termination, or the next episode's start for the end of this one",
        [[(None, 1.0)], [(1, 1.0)]],
        _numbers(-1, 1),
        [0, 0],
        lambda gamma: [1.0, 1.0 / (1.0 - gamma)],
        time_limit=1,
    ),
    Probe(
        name="probe-continuous",
        shows="the gradient through an action, its range or its log-probability",
        dynamics=_ToTheMark(),
        observations=_numbers(-1, 1),
        optimal_action=_numbers(-0.5, 0.5),
        worth=lambda gamma: [0.0, 0.0],
    ),
    _probe(
        "probe-pixels",
        "the convolutions, the order of axes or the scale of pixels",
        [[(None, -1.0)], [(None, 1.0)]],
        _pixels(),
        [0, 0],
        lambda gamma: [-1.0, 1.0],
    ),
    _probe(
        "probe-merge",
        "a representation that keeps apart what behaves alike, or joins what does not",
        [[(2, 0.0), (2, 1.0)], [(2, 0.0), (2, 1.0)], [(None, 1.0), (None, 0.0)]],
        np.eye(3, dtype=np.float32),
        [1, 1, 0],
        lambda gamma: [1.0 + gamma, 1.0 + gamma, 1.0],
        same=((0, 1),),
    ),
)

PROBES: Mapping[str, Probe] = MappingProxyType({probe.name: probe for probe in _ALL})
"""Name -> probe, in the order in which a learner is tried on them.

probe-time-limit truncates after one step, and its first state terminates at that very step: both at once.
With the end of an episode taken for an end of the task its second value is 1; with every end taken for a mere
limit both are 1 / (1 - gamma); with the next episode's start in the successor's place it lies between.
"""
