"""Experience kept for learning from it more than once: a ring of the last steps of every seed.

A stored step is what happened: the observation acted on, the action, the reward, the *true* next observation
and whether the task terminated. Truncation is not stored with the target in mind: an episode that was cut off
is no reason to think that nothing follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.data.environments.simulation import Simulation, Transition

__all__ = ["Replay", "Sample"]

_DRAWN_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Stretches of n steps drawn from a replay; arrays lead with (seed, batch).

    Attributes:
        observation: (seed, batch, *observation) at the beginning.
        action: (seed, batch, *action) done there.
        reward: (seed, batch, n) of the n steps.
        terminated: (seed, batch, n).
        ended: (seed, batch, n) whether the episode ended with the step, for either reason.
        successor: (seed, batch, *observation) after the last step of the stretch that belongs to the episode.
        rows: (seed, batch) where it lies in the ring.
    """

    observation: NDArray[Any]
    action: NDArray[Any]
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    ended: NDArray[np.bool_]
    successor: NDArray[Any]
    rows: NDArray[np.int64]


class Replay:
    """A ring of steps for every seed of a cohort, filled in step, drawn from uniformly with replacement.

    Args:
        simulation: Gives shapes and types.
        seeds: One per seed; draws come from the stream `replay`.
        capacity: Steps that each seed keeps, over all its copies.
        n_step: Steps in a stretch, n of `Sample`.

    Raises:
        BadValue: for a capacity below n steps of every copy.
    """

    def __init__(
        self, simulation: Simulation, seeds: Sequence[Seed], capacity: int, *, n_step: int = 1
    ) -> None:
        count, copies = simulation.observation.shape[:2]
        self._length = capacity // copies
        if self._length < n_step:
            raise BadValue(
                f"A replay holds at least {n_step} steps of each copy",
                got=f"capacity {capacity} for {copies} copies",
                nearest=f"{copies * n_step}",
            )
        self._n_step = n_step
        self._generators = [seed.generator("replay") for seed in seeds]
        self._drawn = np.empty((0, count, 0))
        self._turn = 0
        seen = (simulation.observation.dtype, simulation.observation.shape[2:])
        done = (simulation.action_space.dtype, simulation.action_space.shape)
        # All of a step lies in one place of memory: to fetch a row takes longer than to use it.
        step = [
            ("observation", *seen),
            ("action", *done),
            ("reward", np.float32),
            ("successor", *seen),
            *((flag, np.bool_) for flag in ("terminated", "ended", "valid")),
        ]
        self._copies = copies
        self._ring = np.zeros((count, self._length, copies), np.dtype(step, align=True))
        self._rows = self._ring.reshape(-1)
        self._base = np.arange(count)[:, None] * (self._length * copies)
        self._next = 0
        self._filled = 0
        self._holes = False

    @property
    def size(self) -> int:
        """Steps that each seed keeps at present, over all its copies."""
        return self._filled * self._copies

    def add(self, observation: NDArray[Any], action: NDArray[Any], transition: Transition) -> None:
        """Keep one step of every copy; the oldest is forgotten where the ring is full.

        Args:
            observation: (seed, copy, *observation) acted on.
            action: (seed, copy, *action).
            transition: What it led to.
        """
        at = self._next
        steps = self._ring[:, at]
        steps["observation"] = observation
        steps["action"] = action
        steps["reward"] = transition.reward
        steps["successor"] = transition.successor
        steps["terminated"] = transition.terminated
        steps["ended"] = transition.ended
        steps["valid"] = True if transition.valid is None else transition.valid
        self._holes |= transition.valid is not None and not transition.valid.all()
        self._next = (at + 1) % self._length
        self._filled = min(self._filled + 1, self._length)

    def sample(self, batch: int) -> Sample:
        """Draw stretches uniformly among those that are stored whole, (seed, batch).

        Raises:
            BadValue: where fewer than n steps are stored.
        """
        whole = self._filled - self._n_step + 1
        if whole < 1:
            raise BadValue(f"Drawing needs {self._n_step} stored steps", got=self._filled)
        among = whole * self._copies
        drawn = (self._uniform(batch) * among).astype(np.int64)
        if self._holes:
            self._draw_again(drawn, among)
        return self.read(self._oldest(drawn))

    def _uniform(self, batch: int) -> NDArray[np.float64]:
        """Return numbers (seed, batch) in [0, 1); drawn for many batches at once."""
        if self._turn == len(self._drawn) or self._drawn.shape[2] != batch:
            own = [each.random((_DRAWN_AT_ONCE, batch)) for each in self._generators]
            self._drawn, self._turn = np.stack(own, axis=1), 0
        self._turn += 1
        return self._drawn[self._turn - 1]

    def _oldest(self, drawn: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return rows of the ring for numbers counted from the oldest step."""
        if self._filled < self._length:
            return drawn
        rows, total = drawn + self._next * self._copies, self._length * self._copies
        return np.where(rows < total, rows, rows - total)

    def _draw_again(self, drawn: NDArray[np.int64], among: int) -> None:
        for place, generator in enumerate(self._generators):
            valid = self._ring["valid"][place].reshape(-1)
            if not valid[self._oldest(np.arange(among))].any():
                raise BadValue("Drawing needs a step that happened", got="only ignored ones")
            while (holes := np.flatnonzero(~valid[self._oldest(drawn[place])])).size:
                drawn[place, holes] = generator.integers(among, size=len(holes))

    def is_valid(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether steps at these rows of the ring, (seed, batch), happened; see `Transition.valid`."""
        return self._rows["valid"][rows + self._base]

    def age(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many steps of the seed ago what lies at these rows, (seed, batch), was stored."""
        return ((self._next - 1) % self._length - rows // self._copies) % self._length * self._copies

    def read(self, rows: NDArray[np.int64]) -> Sample:
        """Return the stretches that begin at these rows of the ring, (seed, batch)."""
        copies, length = self._copies, self._length
        first = self._rows.take(rows + self._base)
        found: dict[str, NDArray[Any]] = {
            "observation": first["observation"],
            "action": first["action"],
            "rows": rows,
        }
        if self._n_step == 1:
            for kind in ("reward", "terminated", "ended"):
                found[kind] = first[kind][..., None]
            return Sample(**found, successor=first["successor"])
        # (seed, batch, n): the same copy at successive steps of the ring.
        turned = (rows[..., None] + copies * np.arange(self._n_step)) % (length * copies)
        stretch = self._base[:, :, None] + turned
        for kind in ("reward", "terminated", "ended"):
            found[kind] = self._rows[kind][stretch]
        # Up to the first end of an episode within the stretch, else its last step.
        ended = found["ended"]
        stop = np.where(ended.any(axis=2), ended.argmax(axis=2), self._n_step - 1)
        last = np.take_along_axis(stretch, stop[..., None], axis=2)[..., 0]
        return Sample(**found, successor=self._rows["successor"][last])
