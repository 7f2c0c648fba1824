"""What models were given in place of what environments showed: scaled by hand, stacked, or with more beside.

Before a step, a program asks its model about each environment. So the rows of the last question before a step
are what the step's observations became, whatever was done to them.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.advantages.rollout import Rollout
from modelwright.doctor.sensors.acting.seeing.scaling_rules import bound_of, scaled_alike
from modelwright.doctor.watch.experience import Experience, key_of
from modelwright.doctor.watch.sensor import Call

__all__ = ["SeenAs"]

_MOST_CALLS = 8192
_MOST_NUMBERS = 16_384
_FEWEST_SIDE_BY_SIDE = 3

_MOST_BATCHES, _MOST_OF_BATCH = 4, 2**18

_MOST_HEARD = 20_000
"""Calls that are heard while the watch does not look closely, of programs that change observations."""

_SAME = 0.5
"""Share of rows that are as environments showed them, above which they need no other name."""


@dataclass(slots=True)
class _Asked:
    """One call of a model as a whole.

    Attributes:
        made: Transitions that the environments had made before.
        rows: What it was given (row, ...); one row where it has no axis of rows.
        grad: Whether gradients were being recorded.
    """

    made: int
    rows: NDArray[np.float32]
    grad: bool


class SeenAs:
    """Keeps what models were asked while the program acted.

    Args:
        experience: What the environments did.
    """

    def __init__(self, experience: Experience) -> None:
        self._experience = experience
        self._asked: deque[_Asked] = deque(maxlen=_MOST_CALLS)
        self._batches: deque[tuple[int, NDArray[np.float32]]] = deque(maxlen=_MOST_BATCHES)
        self._changed = False
        self._heard = 0

    @property
    def wanted(self) -> bool:
        """Whether to hear calls too while the watch does not look closely."""
        return self._changed and self._heard < _MOST_HEARD

    def hear(self, call: Call) -> None:
        """Take note of a call."""
        if not call.depth and call.args and hasattr(call.args[0], "detach"):
            self._note(call.args[0], call.grad)

    def hear_from_afar(self, args: Sequence[Any]) -> None:
        """Take note of a call without gradients that is not looked at closely."""
        if args and hasattr(args[0], "detach"):
            self._heard += 1
            self._note(args[0], grad=False)

    def _note(self, given: Any, grad: bool) -> None:
        count = len(self._experience.numbers)
        if not given.dim() or not given.is_floating_point():
            return
        if (
            given.dim() > 1
            and 0 < count < given[..., 0].numel()
            and given.numel() <= _MOST_OF_BATCH
            and not grad
        ):
            self._batches.append((self._experience.count, given.detach().float().cpu().numpy().copy()))
        if not 0 < given.numel() <= _MOST_NUMBERS:
            return
        if not count:  # a world of the program's own is known for one at its first step
            self._asked.clear()
            count = len(given)
        if given.shape[0] == 1 and given.dim() > 2 and count > 1:
            given = given[0]  # one step of a sequence
        if given.dim() > 1 and given.shape[0] > count:
            return
        rows = given.detach().float().cpu().numpy()
        self._asked.append(
            _Asked(self._experience.count, (rows if rows.ndim > 1 else rows[None]).copy(), grad)
        )

    def forget(self) -> None:
        """Begin anew."""
        self._asked.clear()
        self._batches.clear()

    def translated(self, rollout: Rollout) -> Rollout | None:
        """Return the rollout with observations as models were given them; None where they are as shown."""
        environments = sorted({each.environment for each in rollout.transitions})
        column = {each: at for at, each in enumerate(environments)}
        rounds = self._rounds(int(rollout.numbers.min()), int(rollout.numbers.max()) + 1)
        count, keys = len(rollout.transitions), dict[int, bytes]()
        for begin, end, asked in rounds:
            acted = [each for each in asked if _is_of(each, end - begin, len(environments))]
            if acted and end - begin <= len(environments):
                rounds_own = {
                    number: (column[made.environment], made.observation)
                    for number in range(begin, end)
                    if (made := self._experience.at(number)) is not None and made.environment in column
                }
                rows = _given(acted, list(rounds_own.values()))
                for number, (at, _) in rounds_own.items():
                    keys[number] = key_of(rows[at if len(rows) > 1 else 0])
        seen = [keys.get(number) for number in rollout.numbers.tolist()]
        known = [each for each in seen if each is not None]
        pairs = zip(seen, rollout.transitions, strict=True)
        told = [key == each.observation for key, each in pairs if key is not None]
        self._changed = self._changed or sum(told) <= _SAME * len(told) > 0
        if len(known) < count or len({len(each) for each in known}) > 1:
            return None
        if sum(told) > _SAME * count:
            return None
        now = self._now(rollout, known, column)
        batch = self._batch(rollout, known)
        if batch is not None:
            now |= {at: batch[at] for at in now if not rollout.ended[at]}
        shown = [now[at] if rollout.last[at] else known[at + 1] for at in range(count)]
        following = list(shown)
        for at in np.flatnonzero(rollout.ended).tolist():
            asked = self._final(rollout, at, column, rounds) if rollout.cut[at] else None
            asked = batch[at] if batch is not None else asked
            asked = asked if asked is not None and len(asked) == len(known[at]) else None
            scaled = self._scaled(rollout, at, known, now)
            # Statistics may have moved between: it is enough that no other observation is nearer.
            is_it = asked and (scaled is None or _is_nearer(asked, scaled, shown[at]))
            following[at] = asked if asked and is_it else scaled or shown[at]
        return rollout.renamed(known, following, now)

    def _rounds(self, begin: int, end: int) -> list[tuple[int, int, list[_Asked]]]:
        """Return what was asked before each round of steps: (its first transition, the next's, questions)."""
        before: dict[int, list[_Asked]] = {}
        for each in self._asked:
            before.setdefault(each.made, []).append(each)
        begins = [made for made in sorted(before) if begin <= made <= end]
        return [(one, two, before[one]) for one, two in pairwise([*begins, end])]

    def _now(self, rollout: Rollout, seen: Sequence[bytes], column: dict[int, int]) -> dict[int, bytes]:
        """Return for each last transition what a model was given after it, without gradients."""
        newest = [each for each in self._asked if each.made == self._experience.count and not each.grad]
        wide = [each.rows for each in newest if len(each.rows) == len(column)]
        now: dict[int, bytes] = {}
        for at in np.flatnonzero(rollout.last).tolist():
            key = key_of(wide[-1][column[rollout.transitions[at].environment]]) if wide else seen[at]
            now[at] = key if len(key) == len(seen[at]) else seen[at]
        return now

    def _batch(self, rollout: Rollout, seen: Sequence[bytes]) -> list[bytes] | None:
        """Return what was asked of all that followed at once, in the order of the rollout; else None."""
        count, width = len(seen), int(rollout.last.sum())
        inside = np.flatnonzero(~rollout.ended & ~rollout.last)
        own = np.arange(count)
        steps = count // width
        if steps * width != count or not len(inside):
            return None
        for made, batch in reversed(self._batches):
            if made != self._experience.count or batch.size * 4 != count * len(seen[0]):
                continue
            rows = [key_of(row) for row in batch.reshape(count, -1)]
            for order in (own, own % steps * width + own // steps):
                if all(rows[order[at]] == seen[at + 1] for at in inside.tolist()):
                    return [rows[at] for at in order.tolist()]
        return None

    def _final(
        self,
        rollout: Rollout,
        at: int,
        column: dict[int, int],
        rounds: Sequence[tuple[int, int, list[_Asked]]],
    ) -> bytes | None:
        """Return what was asked of the last observation of an episode that was cut; else None."""
        number = int(rollout.numbers[at])
        before = next((each for each in rounds if each[0] <= number < each[1]), None)
        if before is None:
            return None
        asked = [each for each in self._asked if each.made == before[1]]
        own = set(range(before[0], before[1]))
        cut = [n for n, is_cut in zip(rollout.numbers.tolist(), rollout.cut.tolist(), strict=True) if is_cut]
        place = sorted(own & set(cut)).index(number)
        if len(column) > 1:
            few = [each.rows for each in asked if len(each.rows) == 1]
            if len(few) > place and before[1] - before[0] > 1:
                return key_of(few[place][0])
            several = [each.rows for each in asked if len(each.rows) == len(own & set(cut)) < len(column)]
            if several:
                return key_of(several[0][place])
        whole = [each.rows for each in asked if len(each.rows) == len(column)]
        return key_of(whole[0][column[rollout.transitions[at].environment]]) if whole else None

    def _scaled(
        self, rollout: Rollout, at: int, seen: Sequence[bytes], now: dict[int, bytes]
    ) -> bytes | None:
        """Return what a last observation would have been given as, by the rule of the next round."""
        steps = int(rollout.last.argmax()) + 1
        count = len(rollout.transitions)
        width = count // steps
        size = len(seen[at])
        last = rollout.transitions[at].following
        if width < _FEWEST_SIDE_BY_SIDE or width * steps != count or len(last) != size:
            return None
        next_ones = np.arange(at % steps, count, steps)
        if not (rollout.last[next_ones] == rollout.last[at]).all():
            return None
        if rollout.last[at]:
            shown = [rollout.now[each] for each in next_ones.tolist()]
            given = [now[each] for each in next_ones.tolist()]
        else:
            shown = [rollout.transitions[each + 1].observation for each in next_ones.tolist()]
            given = [seen[each + 1] for each in next_ones.tolist()]
        if (
            any(len(each) != size for each in (*shown, *given))
            or len(rollout.transitions[at].observation) != size
        ):
            return None
        bound = bound_of(_read(seen), _read([each.observation for each in rollout.transitions]))
        numbers = scaled_alike(_read([last])[0], _read(given), _read(shown), bound)
        if numbers is None or not np.isfinite(numbers).all():
            return None
        return numbers.astype(np.float32).tobytes()


def _given(acted: Sequence[_Asked], shown: Sequence[tuple[int, bytes]]) -> NDArray[np.float32]:
    """Return what observations became: what was asked last, where that is not what a layer made of them."""
    last = acted[-1].rows
    if shown and last[0].size * last.itemsize != len(shown[0][1]):
        for each in acted[:-1]:
            if all(key_of(each.rows[at if len(each.rows) > 1 else 0]) == key for at, key in shown):
                return each.rows
    return last


def _is_nearer(asked: bytes, scaled: bytes, other: bytes) -> bool:
    """Return whether an observation is nearer to the one it may be than to the one that came after it."""
    if len({len(asked), len(scaled), len(other)}) > 1:
        return False
    rows = _read([asked, scaled, other])
    return bool(np.linalg.norm(rows[0] - rows[1]) < np.linalg.norm(rows[0] - rows[2]))


def _read(keys: Sequence[bytes]) -> NDArray[np.float64]:
    return np.frombuffer(b"".join(keys), np.float32).reshape(len(keys), -1).astype(np.float64)


def _is_of(asked: _Asked, steps: int, environments: int) -> bool:
    """Return whether rows can be one for each environment that stepped."""
    return len(asked.rows) == environments or (len(asked.rows) == 1 and steps == 1)
