"""How actions came about: whether a model was asked before, and whether the action was its best."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.watch.experience import Transition

__all__ = ["BEST", "OTHER", "UNASKED", "UNKNOWN", "WORST", "Acts", "Series", "Told"]

UNASKED, BEST, WORST, OTHER, UNKNOWN = range(5)
"""No model was called since the environment's last step; or one was, and the action had its largest or its
smallest output, or another one; or outputs cannot be told apart."""

_STACK = 8
"""Observations that a program may put together to one."""

Told = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Codes of one environment's steps, and optimizer steps taken before each (step,)."""


@dataclass(slots=True)
class Series:
    """Steps of one environment.

    Attributes:
        choices: How many actions there are.
        codes: One for each step, see above.
        when: Optimizer steps taken before each.
        last: Tick of the last step.
    """

    choices: int
    codes: bytearray = field(default_factory=bytearray)
    when: "array[int]" = field(default_factory=lambda: array("q"))
    last: int = -1


@dataclass(slots=True)
class _Asked:
    """A call of a model on no more rows than there are environments."""

    tick: int
    given: Any
    output: Any


class Acts:
    """Takes note of calls of models and steps of environments of countable actions.

    A call counts as acting where it has no more rows, or few more numbers, than observations of all
    environments together: rather one too many, so that "no model was asked" is true where it is said.

    Attributes:
        of: Number of an environment -> its steps.
    """

    def __init__(self) -> None:
        self.of: dict[int, Series] = {}
        self._tick = 0
        self._asked: _Asked | None = None
        self._asked_at = 0
        self._environments: set[int] = set()
        self._size = 1

    def began(self, environment: Any, observation: Any) -> None:
        """Take note that an environment was reset."""
        if len(self._environments) < 100_000:
            self._environments.add(id(environment))
        self._size = max(self._size, int(np.size(observation)) if not isinstance(observation, dict) else 1)

    def called(self, args: tuple[Any, ...], output: Any) -> None:
        """Take note that a model was called."""
        self._tick += 1
        given: Any = args[0] if args else None
        shape: Any = getattr(given, "shape", None)
        many = max(1, len(self._environments))
        # Without an axis of rows, pictures put together are one observation.
        size = self._size * (_STACK if shape is not None and len(shape) in (1, 3) else 1)
        if shape is not None and len(shape) and shape[0] > many and given.numel() > many * size:
            return
        self._asked_at = self._tick
        self._asked = None
        if shape is not None and hasattr(output, "detach"):
            self._asked = _Asked(self._tick, given, output.detach())

    def stepped(self, environment: Any, transition: Transition, steps: int) -> None:
        """Take note of an environment's step, which is the transition."""
        self._tick += 1
        series = self.of.get(transition.environment)
        if series is None:
            choices = getattr(getattr(environment, "action_space", None), "n", None)
            if choices is None or len(transition.action) != 1:
                return
            series = self.of[transition.environment] = Series(int(choices))
        asked = self._asked_at > series.last
        series.codes.append(self._code(series.choices, transition) if asked else UNASKED)
        series.when.append(steps)
        series.last = self._tick

    def _code(self, choices: int, transition: Transition) -> int:
        asked = self._asked
        action = int(transition.action[0])
        if asked is None or asked.output.shape[-1:] != (choices,) or not 0 <= action < choices:
            return UNKNOWN
        outputs = asked.output
        if outputs.numel() > choices:
            outputs = outputs.reshape(-1, choices)
            rows = asked.given.detach().reshape(len(outputs), -1).float().cpu().numpy()
            found = [at for at, each in enumerate(rows) if each.tobytes() == transition.observation]
            if len(found) != 1:
                return UNKNOWN
            outputs = outputs[found[0]]
        values = outputs.tolist()
        while isinstance(values[0], list):
            values = values[0]
        most, least = max(values), min(values)
        if not most > least:
            return UNKNOWN
        return BEST if values[action] == most else WORST if values[action] == least else OTHER

    def while_learning(self, numbers: set[int], steps: int) -> Iterator[Told]:
        """Yield what came about in some environments before the last optimizer step.

        Args:
            numbers: Of the environments.
            steps: Optimizer steps taken in all.
        """
        for number, series in self.of.items():
            if number in numbers:
                when = np.array(series.when, np.int64)
                kept = when < steps
                yield np.frombuffer(bytes(series.codes), np.uint8)[kept], when[kept]
