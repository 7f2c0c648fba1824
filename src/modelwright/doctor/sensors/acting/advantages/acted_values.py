"""Values that models with memory gave while the program acted: asked anew, a copy would not remember."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.advantages.rollout import Rollout
from modelwright.doctor.sensors.acting.advantages.value_tables import ValueTable, tensors_of
from modelwright.doctor.sensors.acting.policy.policy_updates import keys_of
from modelwright.doctor.watch.experience import Experience
from modelwright.doctor.watch.sensor import Call

__all__ = ["ActedValues"]

_MOST_CALLS = 1024
_MOST_ROWS = 256
_MOST_HEARD = 20_000
"""Calls that are heard while the watch does not look closely, of programs that nobody else tells of."""

Floats = NDArray[np.float64]


@dataclass(slots=True)
class _Said:
    """One call with an observation of each environment.

    Attributes:
        made: Transitions that the environments had made before.
        keys: Of the observations (row,).
        values: What it gave, where that is one number for each row: place in the output -> (row,).
    """

    made: int
    keys: list[bytes]
    values: dict[int, Floats]


class ActedValues:
    """Keeps what models said of the observations that they acted on, in order.

    Args:
        experience: What the environments did.

    Attributes:
        needless: Whether copies can be asked anew.
    """

    def __init__(self, experience: Experience) -> None:
        self._experience = experience
        self._said: dict[int, deque[_Said]] = {}
        self._asked: tuple[int, list[bytes]] | None = None
        self._told = False
        self._heard = 0
        self.needless = False

    @property
    def wanted(self) -> bool:
        """Whether to hear calls too while the watch does not look closely."""
        return self._told and not self.needless and self._heard < _MOST_HEARD

    def hear(self, call: Call) -> None:
        """Take note of a call of a model as a whole that is given a state too, or what a layer made."""
        if not call.depth:
            self._hear(call.module, call.args, call.output)

    def hear_from_afar(self, module: Any, args: Sequence[Any], output: Any) -> None:
        """Take note of a model's call as a whole that is not looked at closely."""
        self._heard += 1
        self._hear(module, args, output)

    def _hear(self, module: Any, args: Sequence[Any], output: Any) -> None:
        given = [each for each in args if each is not None]
        if not given or not hasattr(given[0], "detach"):
            return
        keys = self._keys(given[0], len(given) > 1)
        if keys is None:
            return
        values = {
            at: part.detach().double().cpu().numpy().reshape(-1)
            for at, part in enumerate(tensors_of(output))
            if part.numel() == len(keys) and part.is_floating_point()
        }
        if values:
            self._told = True
            said = self._said.setdefault(id(module), deque(maxlen=_MOST_CALLS))
            said.append(_Said(self._experience.count, keys, values))

    def _keys(self, given: Any, several: bool) -> list[bytes] | None:
        """Return the observations that a call is about; None where nobody knows, or a copy can be asked."""
        now = self._experience.newest_shown()
        size = len(now[-1]) if now else 0
        if not size or given.numel() > _MOST_ROWS * size:
            return self._of_layers()
        keys = keys_of(given, max(1, size // 4))
        if keys is None:
            return self._of_layers()
        self._asked = (self._experience.count, keys) if any(key in now for key in keys) else None
        return keys if several and len(keys) <= _MOST_ROWS else None

    def _of_layers(self) -> list[bytes] | None:
        """Return the observations that another model was given since the last step."""
        asked = self._asked
        return asked[1] if asked is not None and asked[0] == self._experience.count else None

    def forget(self) -> None:
        """Begin anew."""
        self._said, self._asked = {}, None

    def tables(self, rollout: Rollout) -> Iterator[ValueTable]:
        """Yield what was said of a rollout, where it was heard from its beginning to its end."""
        where = {number: at for at, number in enumerate(rollout.numbers.tolist())}
        for said in self._said.values():
            for part in said[-1].values:
                table = _table([each for each in said if part in each.values], part, rollout, where)
                if table is not None:
                    yield table


def _table(said: Sequence[_Said], part: int, rollout: Rollout, where: dict[int, int]) -> ValueTable | None:
    count = len(rollout.transitions)
    before, after, shown = (np.full(count, np.nan) for _ in range(3))
    width = len({each.environment for each in rollout.transitions})
    for each in said:
        if len(each.keys) != width:
            continue
        for at, (key, value) in enumerate(zip(each.keys, each.values[part].tolist(), strict=True)):
            begun, made = where.get(each.made + at), where.get(each.made + at - width)
            if begun is not None and rollout.transitions[begun].observation == key:
                before[begun] = value
            if made is not None:
                if rollout.transitions[made].following == key and np.isnan(after[made]):
                    after[made] = value
                now = rollout.now[made] if rollout.last[made] else rollout.transitions[made + 1].observation
                if now == key:
                    shown[made] = value
    after = np.where(np.isnan(after) & rollout.ended, shown, after)  # nobody asked
    if any(np.isnan(each).any() for each in (before, after, shown)) or not before.std():
        return None
    return ValueTable(before=before, after=after, shown=shown)
