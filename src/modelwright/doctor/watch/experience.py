"""What environments really did: every transition, and which of them a row of a batch is."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.watch.scaled_observations import ScaledObservations

__all__ = ["Experience", "Transition"]

_MOST = 400_000
"""Transitions that are kept; the oldest go first, a quarter at a time."""

_LONGEST_KEY = 256
"""Bytes of a key; that of a larger observation is a digest."""

_MOST_AROUND = 300
"""Ends and cuts of which is kept what was seen around them."""

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
        said: What a model gave just before, where that could have been the action, and another was done.
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
    said: NDArray[np.float64] | None = None


@dataclass(slots=True)
class _Place:
    """Where one environment stands."""

    number: int
    observation: bytes
    step: int = 0
    last: int = -1
    unheard: Any = None
    shown: Any = None


@dataclass(slots=True)
class Experience:
    """All transitions of a program's environments, in order.

    Attributes:
        transitions: Them.
        first: Number of the first that is still kept.
        sizes: How many numbers observations have.
        unheard: Steps that nobody heard.
        stretches: How often it was heard anew after such steps.
        round: Number of the first transition of the newest step, of however many environments.
    cuts: Episodes that were cut short and did not end.
    ends_are_clear: Whether it was always said whether an episode ended or was cut; else it counts as cut.
    can_end: Whether an episode can end, as far as is known.
    reuses_memory: Whether what is seen after a step was seen to lie where what was seen before it lay.
    scaled: What is known of how the program scales observations by itself.
    around_cuts: Keys of what was seen before the last step of each; and of what was seen after it, and next.
    around_ends: The same of episodes that ended.
    """

    transitions: list[Transition] = field(default_factory=list[Transition])
    first: int = 0
    sizes: set[int] = field(default_factory=set[int])
    unheard: int = 0
    stretches: int = 0
    round: int = 0
    cuts: int = 0
    ends_are_clear: bool = True
    can_end: bool = True
    reuses_memory: bool = False
    scaled: ScaledObservations = field(default_factory=ScaledObservations)
    around_cuts: tuple[set[bytes], set[bytes]] = field(default_factory=lambda: (set[bytes](), set[bytes]()))
    around_ends: tuple[set[bytes], set[bytes]] = field(default_factory=lambda: (set[bytes](), set[bytes]()))
    _begun: set[bytes] = field(default_factory=set[bytes])
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
        first = key_of(observation)
        for _, afterwards in (self.around_cuts, self.around_ends):
            if before is not None and before.observation in afterwards:
                afterwards.add(first)
        self._places[environment] = _Place(number, first, last=last)
        if len(self._begun) < _MOST:
            self._begun.add(first)
        self.sizes.add(_size_of(observation))

    def stepped(
        self, environment: int, action: Any, observation: Any, reward: Any, terminated: Any, truncated: Any
    ) -> None:
        """Take note of a step."""
        place = self._places.get(environment)
        if place is None:
            return
        after = key_of(observation)
        if isinstance(observation, np.ndarray):
            before = place.shown  # held, so that no other array lies there now
            self.reuses_memory |= before is not None and np.may_share_memory(before, observation)
            place.shown = observation
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
        self.cuts += bool(truncated) and not terminated
        if truncated or terminated:
            around = self.around_ends if terminated else self.around_cuts
            if len(around[0]) < _MOST_AROUND:
                around[0].add(place.observation)
                around[1].add(after)
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

    def passed(self, environment: int, observation: Any, step: int | None = None) -> None:
        """Take note that an environment stepped while nobody listens; `step` where its number is known."""
        self.unheard += 1
        place = self._places.get(environment)
        if place is not None:
            place.unheard = observation
            place.step = place.step + 1 if step is None else step

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

    def shown(self) -> list[bytes]:
        """Return keys of all observations that are kept, each once."""
        self._index()
        return list(dict.fromkeys((*self._begun, *self._before, *self._after)))

    def newest_shown(self) -> list[bytes]:
        """Return keys of what each environment showed last, in the order of their first resets."""
        return [place.observation for place in sorted(self._places.values(), key=lambda place: place.number)]

    def returns(self) -> list[float]:
        """Return the sums of rewards of the episodes that are kept whole, in the order of their ends."""
        open_sums: dict[int, float] = {}
        whole: list[float] = []
        for each in self.transitions:
            if each.step == 0:
                open_sums[each.environment] = 0.0
            if each.environment in open_sums:
                open_sums[each.environment] += each.reward
                if each.terminated or each.truncated:
                    whole.append(open_sums.pop(each.environment))
        return whole

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
        return key in self._before or key in self._after or key in self._begun

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
        told = ~np.isnan(rows).any(axis=1)
        rows, steps = rows[told], steps[told]
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
