"""Whether the values that are learnt are those of the actions that were taken."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.value.action_sources import ActionSource
from modelwright.doctor.sensors.acting.value.links import Link
from modelwright.doctor.sensors.acting.value.view import Seen
from modelwright.doctor.watch.place import Place

__all__ = ["ChosenActions"]

Numbers = NDArray[np.float64]

_ENOUGH = 3
_SAME = 1e-5
_ENOUGH_ROWS = 60
_LEAST_OTHER = 0.1


class ChosenActions:
    """Of updates whose targets are right: which action each prediction is the value of.

    Args:
        place: Where predictions and targets are compared.
    """

    def __init__(self, place: Place | None) -> None:
        self.place = place
        self._right = 0
        self._wrong: dict[str, int] = {}
        self._looks = 0
        self._columns: Counter[tuple[int, int]] = Counter()
        self._said_rows = self._taken_rows = self._rows = 0
        self._pairs = 0
        self._pairs_same = 0
        self._policies = 0
        self._policies_before: list[Place | None] = []

    def take(self, main: Seen, predictions: Numbers, rows: list[list[Link]], kept: NDArray[np.intp]) -> None:
        """Look at predictions of one batch, and the links of its kept rows."""
        if main.rest is not None:
            self._take_pairs(main.rest[kept], rows)
            return
        p = predictions[kept]
        for output in main.outputs:
            if output.shape[1] > 1:
                values = output[kept]
                same = np.abs(values - p[:, None]) <= _SAME * (1.0 + np.abs(p))[:, None]
                self.take_columns(values, same, rows)
                return

    def take_columns(self, values: Numbers, same: NDArray[np.bool_], rows: list[list[Link]]) -> None:
        """Look at predictions of one batch that are columns of what a network gave.

        Args:
            values: What each action is worth (row, action).
            same: Which of them the prediction is (row, action).
            rows: Links of the rows.
        """
        taken = [{_whole(link.action) for link in row} for row in rows]
        if any(None in each for each in taken):
            return
        self._looks += 1
        right = all(
            any(a is not None and 0 <= a < values.shape[1] and same[at, a] for a in each)
            for at, each in enumerate(taken)
        )
        self._right += right
        for at, each in enumerate(taken):
            if len(each) == 1 and same[at].sum() == 1:
                self._columns[int(next(iter(each)) or 0), int(same[at].argmax())] += 1
        if right:
            return
        self._count("largest", bool((same & _largest(values)).any(axis=1).all()))
        self._count("smallest", bool((same & _largest(-values)).any(axis=1).all()))
        for name in ("earlier", "later"):
            others = [
                {_whole(other.action) for link in row if (other := getattr(link, name)) is not None}
                for row in rows
            ]
            known = [at for at, each in enumerate(others) if each and None not in each]
            fits = all(
                any(a is not None and 0 <= a < values.shape[1] and same[at, a] for a in others[at])
                for at in known
            )
            self._count(name, fits and 2 * len(known) > len(rows))

    def _count(self, name: str, fits: bool) -> None:
        self._wrong[name] = self._wrong.get(name, 0) + fits

    def _take_pairs(self, given: Numbers, rows: list[list[Link]]) -> None:
        """Hold the actions that a critic was given to those that were taken, if only one can have been."""
        if any(len(row) != 1 or row[0].action.shape != given.shape[1:] for row in rows):
            return
        taken = np.array([row[0].action for row in rows])
        if len(np.unique(taken, axis=0)) < len(taken) // 2:
            return
        self._looks += 1
        if _affine(taken, given):
            self._right += 1
            return
        for name in ("earlier", "later"):
            others = [getattr(row[0], name) for row in rows]
            known = [at for at, each in enumerate(others) if each is not None]
            if 2 * len(known) > len(rows):
                theirs = np.array([others[at].action for at in known])
                self._count(name, _affine(theirs, given[known]))
        said = np.array(
            [action if row[0].said is None else row[0].said for row, action in zip(rows, taken, strict=True)]
        )
        other = np.abs(said - taken).max(axis=1) > _SAME  # a model is not always heard while it acts
        same = bool((np.abs(given - said)[other] <= _SAME).all())
        self._count("said", same and 4 * other.sum() >= len(rows))
        self._rows += len(rows)
        self._said_rows += int((np.abs(given - said).max(axis=1)[other] <= _SAME).sum())
        self._taken_rows += int((np.abs(given - taken).max(axis=1) <= _SAME).sum())
        far = np.abs(given[:, None, :] - taken[None, :, :]).max(axis=2)
        self._count("of another row", bool((far.min(axis=1) <= _SAME).all()))

    def take_next(
        self, main: Seen, follows: Seen, kept: NDArray[np.intp], sources: Sequence[ActionSource]
    ) -> None:
        """Look whether the critic is asked about what follows with the actions of before.

        Args:
            main: The call whose value is learnt.
            follows: The critic's, on what follows.
            kept: Rows that are looked at.
            sources: Calls of policies that its actions were computed from.
        """
        if sources and follows.keys != main.keys:
            self._policies += 1
            if all(source.seen.keys == main.keys for source in sources):
                self._policies_before.append(sources[0].place)
        if main.rest is None or follows.rest is None or main.rest.shape != follows.rest.shape:
            return
        one, other = main.rest[kept], follows.rest[kept]
        if len(np.unique(one, axis=0)) < max(3, len(one) // 2):
            return
        self._pairs += 1
        self._pairs_same += bool(np.array_equal(one, other))

    def _mixed(self, stored_at: Place | None) -> Iterable[Finding]:
        """Return that in a part of the rows, whichever their action, the value is another action's."""
        rows = sum(self._columns.values())
        other = sum(count for (action, column), count in self._columns.items() if action != column)
        of_action = Counter(action for action, _ in self._columns)
        of_column = Counter(column for _, column in self._columns)
        mixed = self._columns and min(of_action.values()) > 1 and min(of_column.values()) > 1
        explained = any(times == self._looks for times in self._wrong.values())
        if self._looks < _ENOUGH or self._right or explained or not mixed:
            return
        if rows < _ENOUGH_ROWS or other < _LEAST_OTHER * rows:
            return
        yield Finding(
            kind="value-of-another-action",
            severity=Severity.SEVERE,
            title=f"In {other / rows:.0%} of the rows the value that is learnt is not of the action taken.",
            evidence={"batches": self._looks, "rows": rows, "rows_of_another_action": other},
            causes=(
                cause("critic-sees-wrong-action", stored_at),
                cause("gathered-wrong-action", self.place),
            ),
            next_check="store the action that was given to the environment, and gather its value",
            subject=str(self.place or ""),
        )

    def findings(self, stored_at: Place | None) -> Iterable[Finding]:
        """Return predictions of another action than the one taken."""
        pairs = bool(self._pairs) or not self._columns
        yield from self._mixed(stored_at)
        if self._pairs >= _ENOUGH and self._pairs == self._pairs_same:
            yield Finding(
                kind="value-of-another-action",
                severity=Severity.SEVERE,
                title="What follows is judged with the action that was taken before it, not the policy's.",
                evidence={"batches": self._pairs},
                causes=(cause("critic-sees-wrong-action", self.place),),
                next_check="give the critic the policy's action for the next observation",
                subject=str(self.place or ""),
            )
        if len(self._policies_before) >= _ENOUGH and len(self._policies_before) == self._policies:
            yield Finding(
                kind="value-of-another-action",
                severity=Severity.SEVERE,
                title="What follows is judged with the policy's action for the observation before it.",
                evidence={"batches": self._policies},
                causes=(cause("critic-sees-wrong-action", self._policies_before[-1] or self.place),),
                next_check="give the policy the next observation",
                subject=str(self.place or ""),
            )
        wrong = [name for name, times in self._wrong.items() if times == self._looks]
        # What was heard before a step need not be of its observation: one of many rows suffices.
        if not wrong and self._said_rows >= max(_ENOUGH_ROWS, _LEAST_OTHER * self._rows):
            wrong = ["said"] if self._taken_rows < _LEAST_OTHER * self._said_rows else []
        if self._looks < _ENOUGH or self._right or not wrong:
            return
        taken = {action for action, _ in self._columns}
        if not pairs and len(taken) == len({column for _, column in self._columns}) == len(self._columns):
            return  # the program numbers its actions otherwise than the environment does
        name = "critic-sees-wrong-action" if pairs else "gathered-wrong-action"
        of = {
            "largest": "the action of the largest value",
            "smallest": "the action of the smallest value",
            "earlier": "the action of the step before",
            "later": "the action of the step after",
            "said": "what the policy gave before noise was added",
            "of another row": "actions of other rows",
        }[wrong[0]]
        yield Finding(
            kind="value-of-another-action",
            severity=Severity.SEVERE,
            title=f"The value that is learnt is not that of the action taken, but that of {of}.",
            evidence={"batches": self._looks, "fits_every_row": wrong},
            causes=(
                cause(name, self.place if wrong[0] in ("largest", "smallest") else stored_at or self.place),
            ),
            next_check="compare one row's action with the column that is taken of the network's output",
            subject=str(self.place or ""),
        )


def _largest(values: Numbers) -> NDArray[np.bool_]:
    """Return which actions are worth most, within what single precision tells apart (row, action)."""
    most = values.max(axis=1, keepdims=True)
    return values >= most - _SAME * (1.0 + np.abs(most))


def _whole(action: Numbers) -> int | None:
    return int(action[0]) if action.size == 1 and float(action[0]).is_integer() else None


def _affine(taken: Numbers, given: Numbers) -> bool:
    """Return whether every action that was given is the one taken, scaled, shifted or clipped."""
    for one, other in zip(taken.T, given.T, strict=True):
        inside = (one > one.min()) & (one < one.max()) & (other > other.min()) & (other < other.max())
        if inside.sum() < 4:
            continue
        slopes = np.stack([one[inside], np.ones(int(inside.sum()))], axis=1)
        found = np.linalg.lstsq(slopes, other[inside], rcond=None)[0]
        far = np.abs(slopes @ found - other[inside]).max()
        if far > 1e-4 * (1.0 + np.abs(other).max()):
            return False
    return True
