"""Q-learning, SARSA and their kin on tables: each change of a value is held to what the environment did.

Tables are found among the program's variables while the environment steps. Before and after each step the
rows that it concerns are read; nothing is written, and no default of a mapping is made.
"""

import time
from collections.abc import Iterable

import numpy as np

from modelwright.base.finding import Finding
from modelwright.doctor.sensors.acting.tabular.findings import findings_of
from modelwright.doctor.sensors.acting.tabular.record import Read, Record, Step
from modelwright.doctor.sensors.acting.tabular.tables import (
    State,
    Table,
    declared_discounts,
    tables_of,
    users_frames,
)
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["Tabular"]

_LOOKED_FIRST = 1500
_STRETCH, _EVERY = 256, 1024
"""Later, so many steps of so many are looked at."""

_BEFORE_CUTS = 8
_MOST_TABLES = 6
_MOST_STATES = 64
_SHARE = 0.03
_FREE_SECONDS = 0.6


class Tabular(Sensor):
    """Reads tables of action values, where observations of the environment are whole numbers."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._records: list[Record] = []
        self._pending: Step | None = None
        self._states: dict[State, None] = {}
        self._actions = 1
        self._steps = self._episode = 0
        self._next_search = 2
        self._first: State = ()
        self._earlier = 0.0
        self._cut = -1
        self._stretches = 0
        self._acting: Place | None = None
        self._acted_first: Place | None = None
        self._given_up = False
        self._declared: set[float] = set()
        self._began = time.thread_time()
        self._spent = 0.0

    def on_environment_step(self, environment: object, action: object, answer: tuple[object, ...]) -> None:
        """See `Sensor`."""
        experience = self.scene.experience
        if self._given_up or not experience.transitions:
            return
        self._steps += 1
        if experience.stretches != self._stretches:  # steps went by that nobody heard
            self._stretches = experience.stretches
            self._look_away()
        late = self._steps > _LOOKED_FIRST and self._steps % _EVERY >= _STRETCH
        if late and not self._is_before_cut():
            self._look_away()
            return
        began = time.thread_time()
        if self._spent <= _FREE_SECONDS + _SHARE * (began - self._began):
            self._look()
        else:
            self._look_away()
        self._spent += time.thread_time() - began

    def _is_before_cut(self) -> bool:
        """Return whether the episode is about as long as one that was cut: cuts are rare."""
        now = self.scene.experience.transitions[-1]
        if now.truncated:
            self._cut = now.step
        return 0 <= self._cut - now.step < _BEFORE_CUTS

    def _look_away(self) -> None:
        if self._pending is not None:
            self._pending, self._first = None, ()
            self._episode += 1

    def _look(self) -> None:
        now = self.scene.experience.transitions[-1]
        state, following = _state_of(now.observation), _state_of(now.following)
        if (
            state is None
            or following is None
            or now.action.size != 1
            or now.action[0] % 1
            or self.scene.steps
        ):
            self._given_up = True  # nobody's table is looked up by this
            return
        action = int(now.action[0])
        self._actions = max(self._actions, action + 1)
        if now.step == 0:
            self._episode, self._first, self._earlier = self._episode + 1, state, 0.0
        if self._pending is not None:
            self._finish(self._pending, action if now.step and now.before >= 0 else None)
        if len(self._states) < _MOST_STATES:
            self._states.update(dict.fromkeys((state, following)))
        if self._steps >= self._next_search:
            self._next_search = 1 + int(1.5 * self._steps)
            self._search()
        read = [self._read(each.table, state, following) for each in self._records]
        self._pending = Step(now, state, following, self._first, action, self._earlier, self._episode, read)
        self._earlier, self._acting = now.reward, place_of_caller(3)
        self._acted_first = self._acted_first or self._acting

    def _search(self) -> None:
        frames = users_frames()
        known = {id(each.table.here): each.table for each in self._records}
        for table in tables_of(frames, list(self._states), self._actions):
            if id(table.here) in known:
                known[id(table.here)].names |= table.names
                known[id(table.here)].files |= table.files
            elif len(self._records) < _MOST_TABLES:
                self._records.append(Record(table))
        self._declared |= declared_discounts(frames)

    def _read(self, table: Table, state: State, following: State) -> Read | None:
        own = table.row(state, self._actions)
        if own is None:
            return None
        first = table.row(self._first, self._actions) if self._first != state else None
        return Read(own, table.row(following, self._actions), first)

    def _finish(self, step: Step, taken: int | None) -> None:
        """Tell each table's record what a step changed, once the next step was made."""
        for record, before in zip(self._records, step.read, strict=False):
            if before is None:
                continue
            after = self._read(record.table, step.state, step.following)
            if after is None:
                continue
            if before.following is None:  # a mapping that made its default when it was asked
                before.following = after.following
            others = [each.following for each in step.read if each is not None and each is not before]
            record.take(step, taken, before, after, others)

    def findings(self) -> Iterable[Finding]:
        """See `Sensor`."""
        for record in self._records:
            others = [each for each in self._records if each is not record]
            places = self._acted_first, self._acting
            yield from findings_of(record, others, self.scene.experience, self._declared, places)


def _state_of(key: bytes) -> State | None:
    """Return whole numbers of an observation; None where it has others."""
    if not key or len(key) % 4 or len(key) > 64:
        return None
    numbers = np.frombuffer(key, np.float32)
    if not np.all(np.isfinite(numbers)) or np.any(numbers != np.rint(numbers)):
        return None
    return tuple(int(each) for each in numbers)
