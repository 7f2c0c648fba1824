"""Which rows of what a model gave the loss has a slope in: those that are learnt from."""

import sys
from functools import partial
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.watch.tensors import tensors_in

__all__ = ["Slopes"]

_LATE = 2
_FRAMES = 4


class Slopes:
    """Is told by the graph of a model's output when gradients reach it, and changes neither.

    Args:
        output: What the model gave.
        rows: Of the batch; 0 where they are not told apart.

    Attributes:
        sloped: (row,) whether the loss had a slope in a row until now; None where that cannot be heard.
        steps: Steps that ended since.
    """

    def __init__(self, output: Any, rows: int = 0) -> None:
        self.sloped: NDArray[np.bool_] | None = None
        self.steps = 0
        said = [each for each in tensors_in(output) if each.grad_fn is not None]
        if rows:
            said = [each for each in said if each.dim()]
            if any(each.shape[0] != rows for each in said):
                return
        if said:
            self.sloped = np.zeros(rows or 1, bool)
        for each in said:
            each.grad_fn.register_prehook(partial(self._note, each.output_nr))

    def _note(self, number: int, slopes: Any) -> None:
        slope = slopes[number] if number < len(slopes) else None
        if slope is None or self.sloped is None or _are_asked_for():
            return
        try:
            sloped = slope.detach().reshape(len(self.sloped), -1).ne(0).any(dim=1).cpu().numpy()
        except (RuntimeError, TypeError):  # a sparse slope: here an error would be the program's
            sloped = np.ones(len(self.sloped), bool)
        self.sloped |= sloped

    def forget(self) -> None:
        """Forget the slopes until now: the gradients of parameters were cleared."""
        if self.sloped is not None:
            self.sloped[:] = False

    @property
    def reached(self) -> bool:
        """Whether gradients reached the output, or may have."""
        return self.sloped is None or bool(self.sloped.any())

    def waits(self) -> bool:
        """Return, at a step's end, whether gradients may still come: others may step first, as in a GAN."""
        self.steps += 1
        return not self.reached and self.steps < _LATE


def _are_asked_for() -> bool:
    """Return whether `autograd.grad` asks for the slopes, of an attack for example: parameters get none."""
    own = sys._getframe()  # pyright: ignore[reportPrivateUsage]
    asks: list[FrameType | None] = [_above(own, 2)]
    if asks[0] is None:  # a GPU's slopes come in a thread of the engine's, and others wait for them
        frames = sys._current_frames().values()  # pyright: ignore[reportPrivateUsage]
        asks = [each for each in frames if each is not own]
    return any(_is_asked_by(frame) for frame in asks)


def _above(frame: FrameType | None, number: int) -> FrameType | None:
    for _ in range(number):
        frame = frame.f_back if frame is not None else None
    return frame


def _is_asked_by(frame: FrameType | None) -> bool:
    for _ in range(_FRAMES):
        if frame is None:
            return False
        if frame.f_code.co_name == "grad" and "autograd" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False
