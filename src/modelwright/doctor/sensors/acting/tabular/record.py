"""What was read of one table, a row for each step that was looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.tabular.tables import State, Table
from modelwright.doctor.sensors.acting.tabular.ways import Changes
from modelwright.doctor.watch.experience import Transition

__all__ = ["BEST", "TIED", "WORST", "Read", "Record", "Step"]

Numbers = NDArray[np.float64]

_MOST_ROWS = 12_000
_COLUMNS = 15

TIED, BEST, WORST, _OTHER = 0.0, 1.0, 2.0, 3.0


@dataclass(slots=True)
class Read:
    """Rows of a table at one time: of a step's observation, of what followed, of the episode's first one.

    The last two are None where the table does not know them; the third, too, where it is the first row.
    """

    own: Numbers
    following: Numbers | None
    first: Numbers | None


@dataclass(slots=True)
class Step:
    """A step of an environment.

    Attributes:
        transition: As the environment made it.
        state, following, first: Observations before it, after it, and at its episode's begin.
        action: That was taken.
        earlier: Reward of the step before.
        episode: Number of its episode.
        read: Of each table that was known then.
    """

    transition: Transition
    state: State
    following: State
    first: State
    action: int
    earlier: float
    episode: int
    read: list[Read | None]


class Record:
    """Collects what steps did to a table.

    Attributes:
        table: The table.
        strays: What changed where the value of the step's observation and action did not -> how often:
            `first` for that of the episode's first observation, `following`, `action` for another action's.
        moved: Steps after which one of these or the value itself changed.
        at_home: Those after which the value itself did.
        at_home_later: Those of them that were made in another state than the episode's first.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.strays = {"first": 0, "following": 0, "action": 0}
        self.moved = self.at_home = self.at_home_later = 0
        self._rows: list[tuple[float, ...]] = []
        self._met: set[tuple[State, int]] = set()
        self._episode, self._whole = -1, False

    def take(
        self, step: Step, taken: int | None, before: Read, after: Read, others: Sequence[Numbers | None]
    ) -> None:
        """Take note of a step.

        Args:
            step: The step.
            taken: The action that was taken next; None where the episode ended.
            before: The table before the program learnt from the step.
            after: And when it made the next one.
            others: What other tables said of the observation that followed.
        """
        action, own = step.action, before.own
        if action >= len(own) or len(after.own) != len(own):
            return
        if step.episode != self._episode:
            self._episode, self._met = step.episode, set()
            self._whole = step.transition.step == 0
        again = (step.state, action) in self._met or not self._whole
        self._met.add((step.state, action))
        change = float(after.own[action] - own[action])
        stray = "" if change else _stray(action, before, after)
        if stray:
            self.strays[stray] += 1
        self.moved += bool(stray or change)
        self.at_home += bool(change)
        self.at_home_later += bool(change) and before.first is not None
        follows, none = before.following, float("nan")
        known = follows is not None and len(follows) > 0
        other = none
        if follows is not None and known:
            for each in others:
                if each is not None and len(each) == len(follows):
                    other = float(each[int(follows.argmax())])
        now = step.transition
        self._rows.append(
            (
                float(own[action]),
                change,
                now.reward,
                step.earlier,
                now.terminated,
                now.truncated and not now.terminated,
                float(follows.max()) if follows is not None and known else none,
                float(follows.mean()) if follows is not None and known else none,
                float(follows[taken])
                if follows is not None and taken is not None and taken < len(follows)
                else none,
                float(own.max()),
                other,
                step.episode,
                _code(own, action),
                len(own),
                again,
            )
        )
        if len(self._rows) > _MOST_ROWS:
            del self._rows[_MOST_ROWS // 4 : _MOST_ROWS // 2]  # how it began is kept, and how it goes on

    def changes(self) -> Changes:
        """Return what steps did."""
        rows = self._columns()
        return Changes(
            value=rows[0],
            change=rows[1],
            reward=rows[2],
            earlier=rows[3],
            terminated=rows[4] > 0,
            truncated=rows[5] > 0,
            largest=rows[6],
            mean=rows[7],
            taken=rows[8],
            own=rows[9],
            other=rows[10],
            episode=rows[11].astype(np.intp),
            again=rows[14] > 0,
        )

    def codes(self) -> Numbers:
        """Return whether each step took what its table held for `BEST`, `WORST`, neither; or `TIED`."""
        return self._columns()[12]

    @property
    def actions(self) -> int:
        """How many actions the table knows."""
        return int(self._rows[-1][13]) if self._rows else 0

    def _columns(self) -> Numbers:
        return np.array(self._rows, np.float64).reshape(-1, _COLUMNS).T


def _stray(action: int, before: Read, after: Read) -> str:
    if np.any(before.own != after.own):
        return "action"
    for name, one, other in (
        ("first", before.first, after.first),
        ("following", before.following, after.following),
    ):
        if one is not None and other is not None and len(one) == len(other):
            changed = np.flatnonzero(one != other)
            if len(changed) == 1 and changed[0] == action:
                return name
    return ""


def _code(row: Numbers, action: int) -> float:
    """Return which action was taken, where one is best and another one worst."""
    order = np.sort(row)
    if len(row) < 2 or order[-1] == order[-2] or order[0] == order[1]:
        return TIED
    return BEST if row[action] == order[-1] else WORST if row[action] == order[0] else _OTHER
