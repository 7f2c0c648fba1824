"""Networks that were called on batches of observations since the environment last stepped."""

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.value.view import Seen, View
from modelwright.doctor.watch.sensor import Call, Operation, Scene

__all__ = ["FEWEST_ROWS", "SeenCalls", "is_stacked"]

FEWEST_ROWS = 8
"""Rows of the smallest batch that is looked at."""

_MOST_CALLS = 24
_MOST_COLUMNS = 48
_MOST_OUTPUTS = 4096
_MOST_WIDE = 200_000


class SeenCalls:
    """Keeps what networks gave, as copies, and columns of one number a row that were computed of it.

    Args:
        scene: What all sensors know.

    Attributes:
        calls: The newest last.
        columns: Numbers computed without gradients, one a row, the newest last.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._view = View(scene.experience)
        self.calls: deque[Seen] = deque(maxlen=_MOST_CALLS)
        self._waiting: deque[Call] = deque(maxlen=_MOST_CALLS)
        self.columns: deque[NDArray[np.float64]] = deque(maxlen=_MOST_COLUMNS)

    def clear(self) -> None:
        """Forget all."""
        self.calls.clear()
        self.columns.clear()
        self._waiting.clear()

    def acted(self, given: Any) -> None:
        """Take note of what a model was given, perhaps while the program acts."""
        self._view.acted(given)

    def heard(self, call: Call) -> Seen | None:
        """Keep a call, where its rows are observations.

        One of few rows is read when `read_waiting` says so: while acting, most are forgotten before.
        """
        if call.depth or not self._scene.environments or not call.args:
            return None
        outputs = list(_outputs(call.output))
        shape = tuple(getattr(call.args[0], "shape", ()))
        given = int(shape[0]) if shape else 0
        rows = max((given if is_stacked(each, given) else int(each.shape[0]) for each in outputs), default=0)
        if not 1 <= rows <= _MOST_OUTPUTS:
            return None
        if rows < FEWEST_ROWS:
            self._waiting.append(call)
            return None
        self.read_waiting()
        return self._read(call, outputs)

    def read_waiting(self) -> None:
        """Read calls of few rows that were heard since the environment last stepped."""
        while self._waiting:
            call = self._waiting.popleft()
            self._read(call, list(_outputs(call.output)))

    def _read(self, call: Call, outputs: list[Any]) -> Seen | None:
        read = self._view.read(call.args)
        if read is None:
            return None
        keys, rest = read
        flat = [
            each.detach().double().cpu().numpy().reshape(len(keys), -1)
            for each in outputs
            if each.dim() in (1, 2) and each.shape[0] == len(keys) and each.is_floating_point()
        ]
        if rest is not None:
            stacked = (each for each in outputs if is_stacked(each, len(keys)))
            flat += [one.detach().double().cpu().numpy().reshape(-1, 1) for each in stacked for one in each]
        seen = Seen(call.module, keys, rest, [each for each in flat if each.size], call.grad)
        seen.wide = [
            each.detach().double().cpu().numpy()
            for each in outputs
            if each.dim() == 3 and each.shape[0] == len(keys) and each.is_floating_point()
            if each.numel() <= _MOST_WIDE
        ]
        self.calls.append(seen)
        return seen

    def computed(self, operation: Operation) -> None:
        """Keep a column, where there are pairs of observations and actions to which it may belong."""
        result: Any = operation.result
        if operation.inside or not hasattr(result, "requires_grad") or result.requires_grad:
            return
        if not (FEWEST_ROWS <= result.numel() <= _MOST_OUTPUTS and result.is_floating_point()):
            return
        if result.dim() > 2 or result.shape[0] != result.numel():
            return
        self.columns.append(result.detach().double().cpu().numpy().reshape(-1).copy())


def is_stacked(output: Any, rows: int) -> bool:
    """Return whether an output is one number a row of several networks: (network, row), or so with a 1."""
    shape = tuple(output.shape)
    return len(shape) in (2, 3) and shape[1:] in ((rows,), (rows, 1)) and shape[0] not in (1, rows)


def _outputs(given: Any) -> Any:
    if hasattr(given, "detach") and hasattr(given, "dim"):
        if given.dim():
            yield given
    elif isinstance(given, list | tuple):
        for each in given:  # pyright: ignore[reportUnknownVariableType]
            yield from _outputs(each)
