"""What environments really did: every transition, and which of them a row of a batch is."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Experience", "Transition"]

_MOST = 400_000
"""Transitions that are kept; the oldest go first, a quarter at a time."""

_LONGEST_KEY = 256
"""Bytes of a key; that of a larger observation is a digest."""

_LOOKED_AT = 2000
"""Transitions that are looked at for a clock."""


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
        before, after: Numbers of the same environment's transitions before and after this one, counted from
            the program's first; -1 where there is none (yet).
    """

    environment: int
    step: int
    observation: bytes
    action: NDArray[np.float64]
    reward: float
    terminated: bool
    truncated: bool
    following: bytes
    before: int = -1
    after: int = -1


@dataclass(slots=True)
class _Place:
    """Where one environment stands."""

    number: int
    observation: bytes
    step: int = 0
    last: int = -1
    unheard: Any = None


@dataclass(slots=True)
class Experience:
    """All transitions of a program's environments, in order.

    Attributes:
        transitions: Them.
        first: Number of the first that is still kept.
        sizes: How many numbers observations have.
        unheard: Steps that nobody heard.
        stretches: How often it was heard anew after such steps.
    """

    transitions: list[Transition] = field(default_factory=list[Transition])
    first: int = 0
    sizes: set[int] = field(default_factory=set[int])
    unheard: int = 0
    stretches: int = 0
    _places: dict[int, _Place] = field(default_factory=dict[int, _Place])
    _numbers: dict[int, int] = field(default_factory=dict[int, int])
    _before: dict[bytes, list[int]] = field(default_factory=dict[bytes, list[int]])
    _after: dict[bytes, list[int]] = field(default_factory=dict[bytes, list[int]])
    _known: set[tuple[bytes, bytes, bytes, float, bool, bool]] = field(
        default_factory=set[tuple[bytes, bytes, bytes, float, bool, bool]]
    )
    _indexed: int = 0
    _every: dict[bytes, list[int]] = field(default_factory=dict[bytes, list[int]])
    _every_indexed: int = 0

    def began(self, environment: int, observation: Any) -> None:
        """Take note of the first observation of an episode."""
        number = self._numbers.setdefault(environment, len(self._numbers))
        before = self._places.get(environment)
        last = before.last if before and before.unheard is None else -1
        self._places[environment] = _Place(number, key_of(observation), last=last)
        self.sizes.add(_size_of(observation))

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
                place.number,
                place.step,
                place.observation,
                _numbers_of(action),
                float(reward),
                bool(terminated),
                bool(truncated),
                after,
                place.last,
            )
        )
        number = self.first + len(self.transitions) - 1
        if place.last >= self.first:
            self.transitions[place.last - self.first].after = number
        place.observation, place.step, place.last = after, place.step + 1, number
        if len(self.transitions) > _MOST:
            gone = _MOST // 4
            del self.transitions[:gone]
            self.first += gone
            self._before.clear()
            self._after.clear()
            self._known.clear()
            self._every.clear()
            self._indexed = self._every_indexed = 0

    def passed(self, environment: int, observation: Any) -> None:
        """Take note that an environment stepped while nobody listens."""
        self.unheard += 1
        place = self._places.get(environment)
        if place is not None:
            place.unheard = observation
            place.step += 1

    def hear_again(self) -> None:
        """Begin anew where environments stand, after steps that nobody heard."""
        self.stretches += 1
        for place in self._places.values():
            if place.unheard is not None:
                place.observation, place.unheard, place.last = key_of(place.unheard), None, -1

    def _index(self) -> None:
        for at in range(self._indexed, len(self.transitions)):
            each = self.transitions[at]
            done = each.action.tobytes()
            content = (each.observation, each.following, done, each.reward, each.terminated, each.truncated)
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
    def numbers(self) -> Mapping[int, int]:
        """Numbers of environments by their id."""
        return self._numbers

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

    def starts(self, key: bytes) -> list[int]:
        """Return places in `transitions` that began with an observation; of those that are alike, one."""
        self._index()
        return self._before.get(key, [])

    def finishes(self, key: bytes) -> list[int]:
        """Return places in `transitions` that led to an observation; of those that are alike, one."""
        self._index()
        return self._after.get(key, [])

    def knows(self, key: bytes) -> bool:
        """Return whether an environment ever gave an observation, before or after a step."""
        self._index()
        return key in self._before or key in self._after

    def every_start(self, key: bytes) -> list[int]:
        """Return all places in `transitions` that began with an observation, those that are alike too."""
        for at in range(self._every_indexed, len(self.transitions)):
            self._every.setdefault(self.transitions[at].observation, []).append(at)
        self._every_indexed = len(self.transitions)
        return self._every.get(key, [])

    def newest(self, environment: int) -> bytes | None:
        """Return the key of what an environment gave last; it is known by its id."""
        place = self._places.get(environment)
        return place.observation if place else None

    def tells_time(self) -> bool:
        """Return whether a number of the observations says which step of the episode it is.

        Where it does, an episode that is cut at a known step may be taken for one that ends: by choice, time
        belongs to the task.
        """
        known = self.transitions[-_LOOKED_AT:]
        lengths = {len(each.observation) for each in known}
        steps = np.array([each.step for each in known])
        if len(lengths) != 1 or (steps == 0).sum() < 2 or len(np.unique(steps)) < 5:
            return False
        if lengths.pop() // np.float32().nbytes not in self.sizes:
            return False  # digests
        rows = np.stack([np.frombuffer(each.observation, np.float32) for each in known]).astype(np.float64)
        order = np.argsort(steps, kind="stable")
        rows, steps = rows[order], steps[order]
        changes, same = np.diff(rows, axis=0), np.diff(steps) == 0
        still = (np.abs(changes[same]) <= 1e-5 * (1e-9 + np.ptp(rows, axis=0))).all(axis=0)
        moves = (changes[~same] > 0).all(axis=0) | (changes[~same] < 0).all(axis=0)
        return bool((still & moves).any())

    def at(self, number: int) -> Transition | None:
        """Return a transition by its number, counted from the program's first; None where it is not kept."""
        place = number - self.first
        return self.transitions[place] if 0 <= place < len(self.transitions) else None


def key_of(observation: Any) -> bytes:
    """Return what tells an observation from others, whatever its type: its numbers in float32.

    Parts of a mapping or a tuple stand one after the other.
    """
    try:
        if type(observation) is not np.ndarray:
            observation = _whole(observation)
        numbers = np.asarray(observation, np.float32).tobytes()
    except (TypeError, ValueError):
        numbers = repr(observation).encode()
    return numbers if len(numbers) <= _LONGEST_KEY else hashlib.blake2b(numbers, digest_size=16).digest()


def _whole(observation: Any) -> Any:
    if isinstance(observation, Mapping):
        observation = tuple(observation.values())
    if isinstance(observation, tuple):
        return np.concatenate([np.asarray(_whole(part), np.float32).reshape(-1) for part in observation])
    return observation


def _size_of(observation: Any) -> int:
    try:
        return int(np.asarray(_whole(observation), np.float32).size)
    except (TypeError, ValueError):
        return 0


def _numbers_of(action: Any) -> NDArray[np.float64]:
    try:
        if not isinstance(action, int | np.integer | np.ndarray):
            action = _whole(action)
        return np.array(action, np.float64).reshape(-1)
    except (TypeError, ValueError):
        return np.zeros(0)
