"""Global random states of one seed, for code of others that draws from them.

A stranger's code may draw from `random`, `numpy.random` or torch's global generator. Run as it is, its
numbers would depend on whatever ran before it in the process. Here each seed has states of its own, put in
place while its code runs and taken out afterwards, so that its numbers depend on the seed alone and nobody
else's state is touched.
"""

import random
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np

from modelwright.base.seed import Seed

__all__ = ["PrivateRandom"]


class PrivateRandom:
    """The global random states that belong to one seed.

    Args:
        seed: The states start from its stream `global`.
    """

    def __init__(self, seed: Seed) -> None:
        self._start = seed.integer("global")
        self._states: dict[str, Any] = {
            "random": random.Random(self._start).getstate(),
            "numpy": np.random.RandomState(self._start % 2**32).get_state(),
        }

    @contextmanager
    def installed(self) -> Generator[None]:
        """Put this seed's states in place; on leaving keep them and put the former ones back."""
        former = _read()
        if "torch" in former and "torch" not in self._states:
            import torch

            self._states["torch"] = torch.Generator().manual_seed(self._start).get_state()
        _write(self._states)
        try:
            yield
        finally:
            self._states |= _read()
            _write(former)


def _read() -> dict[str, Any]:
    states: dict[str, Any] = {"random": random.getstate(), "numpy": np.random.get_state()}  # noqa: NPY002
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].random.get_rng_state()
    return states


def _write(states: dict[str, Any]) -> None:
    random.setstate(states["random"])
    np.random.set_state(states["numpy"])  # noqa: NPY002
    if "torch" in states:
        sys.modules["torch"].random.set_rng_state(states["torch"])
