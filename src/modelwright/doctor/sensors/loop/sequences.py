"""Sequences that go into a model beside those that it is to give, and what of them it sees."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modelwright.doctor.sensors.loop.influence import FAR

__all__ = ["Lane", "Sequences", "reach"]

_ENOUGH = 3
_AHEAD = (0, 1, 2)
_FEWEST_TIMES, _FEWEST_COUNTED = 4, 8
_MOST_CHANNELS = 16

_COPIED = 0.1
"""Change of an output, over the outputs' deviation, when the number that it is to give is changed by one
deviation: below it, what is seen may be a mean over the window, which tells next to nothing of it."""


class Lane(NamedTuple):
    """One sequence for each row in one of a model's inputs.

    Attributes:
        at: Number of the input.
        time: Its axis of time.
        channel: Of the axis that is neither that of rows nor that of time; -1 where there is none.
    """

    at: int
    time: int
    channel: int = -1

    def of(self, given: Any) -> Any:
        """Return the sequences (row, time) of an input."""
        if self.channel >= 0:
            given = given.select(3 - self.time, self.channel)
        return given.transpose(0, 1) if self.time == 0 else given


@dataclass(slots=True)
class _Lane:
    """Batches that were seen, and those in which all targets are so far ahead."""

    seen: int = 0
    ahead: dict[int, int] = field(default_factory=lambda: dict.fromkeys(_AHEAD, 0))


class Sequences:
    """Counts batches in which targets are what a model is given, at the same place or further on.

    Tokens are whole numbers (row, time) or (time, row); measurements are others, with channels before time
    or after it.
    """

    def __init__(self) -> None:
        self._lanes: dict[Lane, _Lane] = {}

    def note(self, args: Iterable[Any], target: Any, ignored: int) -> None:
        """Compare a batch's inputs with its targets.

        Args:
            args: What the model was called with.
            target: Of the loss, of all times or of all but the last.
            ignored: The target that the loss leaves out.
        """
        for at, given in enumerate(args):
            if not hasattr(given, "detach") or given.is_floating_point() is not target.is_floating_point():
                continue
            for lane in _lanes(at, given):
                self._compare(lane, given.detach(), target.detach(), ignored)

    @property
    def timed(self) -> bool:
        """Whether the second axis of tokens is that of time."""
        return any(lane.time == 1 and ahead for lane, ahead, _ in self.known)

    def _compare(self, lane: Lane, given: Any, target: Any, ignored: int) -> None:
        tokens = lane.of(given)
        rows, times = tokens.shape
        length = next((each for each in (times, times - 1) if target.numel() == rows * each), 0)
        if not length or times < _FEWEST_TIMES:
            return
        labels = target.reshape(length, rows).t() if lane.time == 0 else target.reshape(rows, length)
        counts = self._lanes.setdefault(lane, _Lane())
        counts.seen += 1
        for ahead, before in counts.ahead.items():
            if before < counts.seen - 1:
                continue
            end = min(length, times - ahead)
            here, there = labels[:, :end], tokens[:, ahead : ahead + end]
            counted = here != ignored
            enough = counted.sum() >= _FEWEST_COUNTED and bool((here == there)[counted].all())
            counts.ahead[ahead] += enough and _moves(here)

    @property
    def known(self) -> Iterator[tuple[Lane, int, dict[str, Any]]]:
        """Yield sequences of which targets are always made: lane, how far they are ahead, evidence."""
        for lane, counts in self._lanes.items():
            always = [each for each in _AHEAD if counts.ahead[each] == counts.seen >= _ENOUGH]
            if len(always) == 1:
                told = {str(key): number for key, number in counts.ahead.items()}
                yield lane, always[0], {"batches": counts.seen, "batches_with_targets_ahead": told}


def reach(
    ask: Callable[[Any], Any], given: Any, lane: Lane, ahead: int, plain: Any
) -> tuple[bool, bool] | None:
    """Return whether outputs depend on what comes later, and the last one on what is given at its own time.

    Args:
        ask: The model in evaluation mode, as a function of this input.
        given: The input.
        lane: Of its sequences.
        ahead: How far targets are ahead of them.
        plain: What the model gives for the input.

    Returns:
        None where there is one output for all times, or where nothing can be changed.
    """
    before = _by_time(plain, lane, given)
    if before is None:
        return None
    changed = given.clone()
    last = lane.of(changed)[:, -1]
    old = last.clone()
    if given.is_floating_point():
        last += lane.of(given).std()
    else:
        last.copy_(lane.of(given)[:, 0].roll(1))
    if bool((last == old).all()):
        return None
    after = _by_time(ask(changed), lane, given)
    if after is None or after.shape != before.shape:
        return None
    moved = (after - before).abs() / (float(before.std()) + 1e-12)
    if not given.is_floating_point():
        return bool(moved[:, :-1].max() > FAR), bool(moved[:, -1].max() > FAR)
    copies = moved[:, -1 - ahead] if ahead else moved[:, :-1]
    return bool(copies.max() > _COPIED), bool(moved[:, -1].max() > FAR)


def _lanes(at: int, given: Any) -> Iterator[Lane]:
    if given.dim() == 2:
        yield from (Lane(at, 1), Lane(at, 0))
    elif given.dim() == 3 and given.is_floating_point():
        for time in (1, 2):
            for channel in range(min(_MOST_CHANNELS, int(given.shape[3 - time]))):
                yield Lane(at, time, channel)


def _moves(sequences: Any) -> bool:
    """Return whether measurements are seldom the same twice in turn; tokens may be."""
    if not sequences.is_floating_point():
        return True
    return sequences.shape[1] > 1 and bool((sequences[:, 1:] != sequences[:, :-1]).float().mean() > 0.5)


def _by_time(output: Any, lane: Lane, given: Any) -> Any:
    """Return an output as (row, time, ...); None where it has no axis of time, or two that may be it."""
    if output is None:
        return None
    rows, times = lane.of(given).shape
    shape = tuple(output.shape)
    first = (times, rows) if lane.time == 0 else (rows, times)
    if shape[0] == rows * times != rows:
        output = output.reshape(*first, *shape[1:])
        return output.transpose(0, 1) if lane.time == 0 else output
    if lane.time == 0:
        return output.transpose(0, 1) if shape[:2] == first else None
    if len(shape) < 2 or shape[0] != rows:
        return None
    axes = [axis for axis in range(1, len(shape)) if shape[axis] == times]
    if 1 in axes and (len(axes) == 1 or not given.is_floating_point()):
        return output
    return output.transpose(1, axes[0]) if len(axes) == 1 else None
