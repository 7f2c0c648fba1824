"""What environments really did: every transition, and which of them a row of a batch is."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Experience", "Transition"]

_MOST = 400_000
"""Transitions that are kept; the oldest go first, a quarter at a time."""


@dataclass(slots=True)
class Transition:
    """One step of one environment.

    Attributes:
        environment: Number of the environment, in order of its first reset.
        step: Number of the step in its episode, from 0.
        observation: Key of what was seen before.
        action: What was done, as numbers (number,).
        reward: What it gave.
        terminated: Whether the environment ended the episode.
        truncated: Whether the episode was cut.
        following: Key of what was seen after, the true one also where an episode ended.
    """

    environment: int
    step: int
    observation: bytes
    action: NDArray[np.float64]
    reward: float
    terminated: bool
    truncated: bool
    following: bytes


@dataclass(slots=True)
class _Place:
    """Where one environment stands."""

    number: int
    observation: bytes
    step: int = 0


@dataclass(slots=True)
class Experience:
    """All transitions of a program's environments, in order.

    Attributes:
        transitions: Them.
        first: Number of the first that is still kept.
    """

    transitions: list[Transition] = field(default_factory=list[Transition])
    first: int = 0
    _places: dict[int, _Place] = field(default_factory=dict[int, _Place])
    _numbers: dict[int, int] = field(default_factory=dict[int, int])
    _before: dict[bytes, list[int]] = field(default_factory=dict[bytes, list[int]])
    _after: dict[bytes, list[int]] = field(default_factory=dict[bytes, list[int]])
    _known: set[tuple[bytes, bytes, float, bool, bool]] = field(
        default_factory=set[tuple[bytes, bytes, float, bool, bool]]
    )
    _indexed: int = 0

    def began(self, environment: int, observation: Any) -> None:
        """Take note of the first observation of an episode."""
        number = self._numbers.setdefault(environment, len(self._numbers))
        self._places[environment] = _Place(number, key_of(observation))

    def stepped(
        self, environment: int, action: Any, observation: Any, reward: Any, terminated: Any, truncated: Any
    ) -> None:
        """Take note of a step."""
        place = self._places.get(environment)
        if place is None:
            return
        after = key_of(observation)
        self.transitions.append(
            Transition(
                environment=place.number,
                step=place.step,
                observation=place.observation,
                action=np.asarray(action, np.float64).reshape(-1),
                reward=float(reward),
                terminated=bool(terminated),
                truncated=bool(truncated),
                following=after,
            )
        )
        place.observation, place.step = after, place.step + 1
        if len(self.transitions) > _MOST:
            gone = _MOST // 4
            del self.transitions[:gone]
            self.first += gone
            self._before.clear()
            self._after.clear()
            self._known.clear()
            self._indexed = 0

    def _index(self) -> None:
        for at in range(self._indexed, len(self.transitions)):
            each = self.transitions[at]
            content = (each.observation, each.following, each.reward, each.terminated, each.truncated)
            if content in self._known:
                continue  # in small worlds the same happens again and again
            self._known.add(content)
            self._before.setdefault(each.observation, []).append(at)
            self._after.setdefault(each.following, []).append(at)
        self._indexed = len(self.transitions)

    def now(self, environment: int) -> tuple[int, bytes]:
        """Return where an environment stands: the number of its next step, and the key of what it shows."""
        for place in self._places.values():
            if place.number == environment:
                return place.step, place.observation
        return 0, b""

    @property
    def count(self) -> int:
        """Transitions so far, those that are no more kept included."""
        return self.first + len(self.transitions)

    def from_observations(self, rows: Iterable[Any]) -> list[list[int]]:
        """Return for each row the transitions that began with it."""
        self._index()
        return [self._before.get(key_of(row), []) for row in rows]

    def to_observations(self, rows: Iterable[Any]) -> list[list[int]]:
        """Return for each row the transitions that led to it."""
        self._index()
        return [self._after.get(key_of(row), []) for row in rows]


def key_of(observation: Any) -> bytes:
    """Return what tells an observation from others, whatever its type: its numbers in float32."""
    return np.asarray(observation, np.float32).tobytes()
