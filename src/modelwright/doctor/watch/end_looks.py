"""When to look closely because an episode ended or was cut short: in some programs rare, and late."""

from typing import Any

import numpy as np
import torch

from modelwright.doctor.watch.experience import Experience, key_of
from modelwright.doctor.watch.tensors import is_readable

__all__ = ["EndLooks"]

_GROWTH = 2
"""What follows a cut is looked at when so many times as many episodes were cut."""

_STEPS = 8
"""Steps that are looked at then: of some programs, until after the next update of many episodes."""

_MOST = 8
"""Looks at cuts, and looks at ends."""


class EndLooks:
    """Says when what is computed of an episode's last step is to be heard.

    That is after a cut, or when a memory gives such a step.

    Args:
        experience: What the environments did.
    """

    def __init__(self, experience: Experience) -> None:
        self._experience = experience
        self._before = 0
        self._next = 1
        self._left = [_MOST, _MOST]
        self._asked = -1
        self._heads: dict[tuple[int, bool], Any] = {}

    def begins(self, args: tuple[Any, ...], steps: int, close: bool) -> int:
        """Return how many steps to look closely at from now on.

        Args:
            args: What a model is about to be called with.
            steps: Steps of optimizers until now.
            close: Whether the watch looks closely already.
        """
        cuts, before = self._experience.cuts, self._before
        self._before = cuts
        if before < cuts >= self._next and self._left[0]:
            self._left[0] -= 1
            self._next = cuts * _GROWTH
            return _STEPS
        return int(any(self._left) and not close and self._holds_last_step(args, steps))

    def _holds_last_step(self, args: tuple[Any, ...], steps: int) -> bool:
        """Return whether the first batch of an update holds an observation around an end or a cut.

        Of batches of what follows, asked without gradients, it is one after it; of others, one before. First
        numbers are looked at first.
        """
        given = args[0] if args else None
        if not isinstance(given, torch.Tensor) or given.dim() != 2 or given.dtype != torch.float32:
            return False
        if (
            not is_readable(given)
            or given.requires_grad
            or given.shape[0] < 2
            or not given.shape[1]
            or self._asked == steps
        ):
            return False
        self._asked = steps
        graded = torch.is_grad_enabled()
        rows = given.cpu().numpy()
        for which, around in enumerate((self._experience.around_cuts, self._experience.around_ends)):
            keys = around[0 if graded else 1]
            if not keys or not self._left[which]:
                continue
            heads = self._heads.get((which, graded))
            if heads is None or len(keys) != len(heads):
                heads = np.array([np.frombuffer(key, np.float32, 1)[0] for key in keys])
                self._heads[which, graded] = heads
            if any(key_of(rows[at]) in keys for at in np.flatnonzero(np.isin(rows[:, 0], heads))):
                self._left[which] -= 1
                return True
        return False
