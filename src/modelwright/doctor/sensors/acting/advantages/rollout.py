"""What a program's environments did between two updates, in the order of each environment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.watch.experience import Experience, Transition

__all__ = ["Rollout"]

_MOST = 4096

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(slots=True)
class Rollout:
    """Transitions since the last update, environments one after the other.

    All arrays have shape (transition,). A transition's successor is the one after it, where `last` is false.

    Attributes:
        transitions: Them.
        numbers: Place of each among all transitions of the program.
        reward: What the environment gave.
        terminated: Whether the environment ended the episode.
        cut: Whether the episode was cut, by the environment or by a reset before its end.
        last: Whether it is the last of its environment here.
        began: Whether the environment's transition before it ended an episode.
        now: For each `last`, key of what its environment shows at present.
    """

    transitions: list[Transition]
    numbers: NDArray[np.int64]
    reward: Floats
    terminated: Flags
    cut: Flags
    last: Flags
    began: Flags
    now: dict[int, bytes]
    _where: dict[bytes, list[int]] = field(default_factory=dict[bytes, list[int]])

    @property
    def ended(self) -> Flags:
        """Whether an episode ended or was cut (transition,)."""
        return self.terminated | self.cut

    @property
    def unfinished(self) -> int:
        """Return how many transitions are of episodes that go on after the last one here."""
        ends = np.flatnonzero(self.ended | self.last)
        lengths = np.diff(ends, prepend=-1)
        return int(lengths[~self.ended[ends]].sum())

    @classmethod
    def since(cls, experience: Experience, number: int) -> "Rollout | None":
        """Return what happened since the transition of a number; None where it is nothing, or too much.

        Of more than 4096 transitions, those of the first environments.
        """
        begin = max(number - experience.first, 0)
        rows: dict[int, list[int]] = {}
        for at in range(begin, len(experience.transitions)):
            rows.setdefault(experience.transitions[at].environment, []).append(at)
        order: list[int] = []
        for _, each in sorted(rows.items()):
            if order and len(order) + len(each) > _MOST:
                break
            order += each
        if not order or len(order) > 4 * _MOST:
            return None
        made = [experience.transitions[at] for at in order]
        pairs = list(zip(made, [*made[1:], None], strict=True))
        last = np.array([b is None or a.environment != b.environment for a, b in pairs])
        terminated = np.array([each.terminated for each in made])
        truncated = np.array([each.truncated for each in made])
        resets = np.array([b is not None and b.step != a.step + 1 for a, b in pairs])
        now = {at: experience.now(made[at].environment)[1] for at in np.flatnonzero(last).tolist()}
        ended = terminated | truncated | (resets & ~last)
        seen = {each.environment for each in experience.transitions[:begin]}
        began = np.empty(len(made), np.bool_)
        for at, each in enumerate(made):
            first = at == 0 or bool(last[at - 1])
            began[at] = (each.step == 0 and each.environment in seen) if first else bool(ended[at - 1])
        rollout = cls(
            transitions=made,
            numbers=np.array(order, np.int64) + experience.first,
            reward=np.array([each.reward for each in made]),
            terminated=terminated,
            cut=(truncated | (resets & ~last)) & ~terminated,
            last=last,
            began=began,
            now=now,
        )
        for at, each in enumerate(made):
            rollout._where.setdefault(each.observation, []).append(at)
        return rollout

    def renamed(
        self, observations: Sequence[bytes], following: Sequence[bytes], now: Mapping[int, bytes]
    ) -> "Rollout":
        """Return it with other keys of what was seen before and after each transition, and at present."""
        made = [
            replace(each, observation=before, following=after)
            for each, before, after in zip(self.transitions, observations, following, strict=True)
        ]
        where: dict[bytes, list[int]] = {}
        for at, each in enumerate(made):
            where.setdefault(each.observation, []).append(at)
        return replace(self, transitions=made, now=dict(now), _where=where)

    def rows_of(self, keys: Sequence[bytes]) -> NDArray[np.int64]:
        """Return for each key the transition that began with it, -1 where none did or several (row,)."""
        found = [self._where.get(key, ()) for key in keys]
        return np.array([each[0] if len(each) == 1 else -1 for each in found], np.int64)

    def rows_of_numbers(self, numbers: Sequence[int]) -> NDArray[np.int64]:
        """Return where transitions of these numbers are here, -1 where they are not (row,)."""
        where = {number: at for at, number in enumerate(self.numbers.tolist())}
        return np.array([where.get(each, -1) for each in numbers], np.int64)

    def observations(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Return what was seen before each transition (transition, *shape)."""
        return _decoded([each.observation for each in self.transitions], shape)

    def following(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Return what was seen after each transition, the true one where an episode ended."""
        return _decoded([each.following for each in self.transitions], shape)

    def shown(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Return what stands in the next row: after an end, the first observation of the next episode."""
        keys = [
            self.now[at] if self.last[at] else self.transitions[at + 1].observation
            for at in range(len(self.transitions))
        ]
        return _decoded(keys, shape)


def _decoded(keys: Sequence[bytes], shape: Sequence[int]) -> Any:
    return np.frombuffer(b"".join(keys), np.float32).reshape(len(keys), *shape).copy()
