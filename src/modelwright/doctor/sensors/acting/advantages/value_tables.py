"""What a program's models would say of all observations of a rollout, asked of copies of them."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.advantages.rollout import Rollout
from modelwright.doctor.watch.sensor import Call
from modelwright.doctor.watch.tensors import twin_of

__all__ = ["ValueTable", "ValueTables"]

_MOST_NUMBERS = 4_000_000
_MOST_MODELS = 6

Floats = NDArray[np.float64]


@dataclass(slots=True)
class ValueTable:
    """One number that a model gives for each observation of a rollout (transition,).

    Attributes:
        before: Of what was seen before a transition.
        after: Of what was seen after it, the true one where an episode ended.
        shown: Of what stands in the next row: after an end, the first of the next episode.
    """

    before: Floats
    after: Floats
    shown: Floats


@dataclass(slots=True)
class _Chain:
    """A model, and the one whose output it is given with the place of it there."""

    model: Any
    shape: tuple[int, ...]
    source: "_Chain | None" = None
    place: int = 0


class ValueTables:
    """Remembers how models are called, and asks copies of them."""

    def __init__(self) -> None:
        self._chains: dict[int, _Chain] = {}
        self._recent: list[Call] = []
        self._joint: set[int] = set()

    def hear(self, call: Call) -> None:
        """Take note of how a model is called."""
        if not call.depth and sum(hasattr(each, "shape") for each in call.args) > 1:
            self._joint.add(id(call.module))  # of a mask too, perhaps: what is inside of it is asked
            return
        if call.depth and (call.depth > 1 or id(call.root) not in self._joint):
            return
        if len(call.args) != 1 or not hasattr(call.args[0], "shape"):
            return
        given = call.args[0]
        if id(call.module) not in self._chains and len(self._chains) < 4 * _MOST_MODELS:
            chain = _Chain(call.module, tuple(given.shape))
            for earlier in reversed(self._recent):
                for at, part in enumerate(tensors_of(earlier.output)):
                    if part is given:
                        chain.source, chain.place = self._chains.get(id(earlier.module)), at
            self._chains[id(call.module)] = chain
        if given.requires_grad or not self._recent or call.step != self._recent[-1].step:
            self._recent = self._recent[-2:]
        self._recent = [*self._recent[-3:], call]

    def forget(self) -> None:
        """Hold no tensor."""
        self._recent = []

    def ask(self, rollout: Rollout) -> list[ValueTable]:
        """Return what each model that gives one number for an observation says; nobody's state changes."""
        import torch

        numbers = len(rollout.transitions[0].observation) // 4
        if any(len(each.observation) != 4 * numbers for each in rollout.transitions):
            return []
        if numbers * len(rollout.transitions) > _MOST_NUMBERS:
            return []
        tables: list[ValueTable] = []
        drawn = random.getstate(), np.random.get_state()  # noqa: NPY002 - not drawn from
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=_devices(self._chains.values())):
                for chain in self._chains.values():
                    if len(tables) < _MOST_MODELS:
                        tables += _asked(chain, rollout, numbers)
        finally:
            random.setstate(drawn[0])
            np.random.set_state(drawn[1])  # noqa: NPY002
        return tables


def _asked(chain: _Chain, rollout: Rollout, numbers: int) -> Iterator[ValueTable]:
    shape = _shape_of_rows(_root(chain).shape, numbers)
    if shape is None:
        return
    count = len(rollout.transitions)
    rows = np.concatenate([rollout.observations(shape), rollout.following(shape), rollout.shown(shape)])
    axes = len(_root(chain).shape) - len(shape)
    for part in tensors_of(_of_rows(chain, rows) if axes < 2 else _of_steps(chain, rows)):
        if part.numel() == 3 * count and part.is_floating_point():
            flat = part.double().cpu().numpy().reshape(3, count)
            if np.all(np.isfinite(flat)) and float(flat.std()) > 0:
                yield ValueTable(before=flat[0], after=flat[1], shown=flat[2])


def _of_rows(chain: _Chain, rows: NDArray[np.float32]) -> Any:
    try:
        return _through(chain, rows)
    except Exception:
        return ()  # not made for such rows


def _of_steps(chain: _Chain, rows: NDArray[np.float32]) -> Any:
    """Return what a model of (step, environment, ...) says of rows, if their order is nothing to it."""
    import torch

    flat = _of_rows(chain, rows)
    if any(part.numel() == len(rows) for part in tensors_of(flat)):
        return flat
    one, other = (list(tensors_of(_of_rows(chain, each))) for each in (rows[:, None], rows[None]))
    same = len(one) == len(other) and all(
        a.numel() == b.numel() and torch.allclose(a.reshape(-1), b.reshape(-1), rtol=1e-4, atol=1e-5)
        for a, b in zip(one, other, strict=True)
    )
    return one if same else ()


def _devices(chains: Iterable[_Chain]) -> list[Any]:
    """Return accelerators whose random numbers a copy could draw."""
    return list({each.device for chain in chains for each in chain.model.parameters() if each.is_cuda})


def _root(chain: _Chain) -> _Chain:
    return chain if chain.source is None else _root(chain.source)


def _through(chain: _Chain, rows: NDArray[np.float32]) -> Any:
    import torch

    model = twin_of(chain.model)
    if chain.source is None:
        first = next(model.parameters())
        return model(torch.from_numpy(rows).to(first.device, first.dtype))
    return model(list(tensors_of(_through(chain.source, rows)))[chain.place])


def _shape_of_rows(shape: Sequence[int], numbers: int) -> tuple[int, ...] | None:
    """Return the last axes of an input that hold one observation."""
    size = 1
    for at in range(len(shape) - 1, -1, -1):
        size *= shape[at]
        if size == numbers:
            return tuple(shape[at:])
        if size > numbers:
            return None
    return None


def tensors_of(output: Any) -> Iterator[Any]:
    """Yield the tensors of what a model gave."""
    for each in output if isinstance(output, list | tuple) else (output,):
        if hasattr(each, "requires_grad"):
            yield each
