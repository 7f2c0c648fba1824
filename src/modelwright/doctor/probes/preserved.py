"""What an examination leaves as it was: random numbers, and the subject to the bit."""

import hashlib
import random
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from modelwright.doctor.probes.subject import Subject

__all__ = ["preserved", "print_of"]


@contextmanager
def preserved(start: int = 0) -> Generator[None]:
    """Let global random numbers begin at a fixed place, and put them back at the end.

    Args:
        start: Where they begin.
    """
    states: Any = (random.getstate(), np.random.get_state(), torch.get_rng_state())  # noqa: NPY002
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    random.seed(start)
    np.random.seed(start)  # noqa: NPY002
    torch.manual_seed(start)
    try:
        with torch.enable_grad():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
        if devices:
            torch.cuda.set_rng_state_all(devices)


def print_of(subject: Subject) -> str:
    """Return a hash of everything that probes must not change: values, gradients, modes, states, data."""
    made = hashlib.sha256()
    for part in _parts(subject):
        made.update(part)
    return made.hexdigest()


def _parts(subject: Subject) -> Iterator[bytes]:
    for owner in (subject.model, subject.loss):
        if isinstance(owner, torch.nn.Module):
            for name, module in owner.named_modules():
                yield f"{name}:{module.training}".encode()
            for name, value in (*owner.named_parameters(), *owner.named_buffers()):
                yield f"{name}:{value.requires_grad}:{value._version}".encode()
                yield from _bytes(value)
                yield from _bytes(value.grad if value.is_leaf else None)
    if isinstance(subject.optimizer, torch.optim.Optimizer):
        yield from _nested(subject.optimizer.state_dict())
    for table in (subject.table, subject.held_out_table):
        if table is not None:
            yield table.print.encode()
    for sample in (subject.sample, subject.held_out):
        if sample is not None:
            yield from _nested((sample.inputs, sample.targets))


def _nested(value: Any) -> Iterator[bytes]:
    if isinstance(value, Tensor):
        yield from _bytes(value)
    elif isinstance(value, dict):
        for key, each in cast("dict[Any, Any]", value).items():
            yield str(key).encode()
            yield from _nested(each)
    elif isinstance(value, list | tuple):
        for each in cast("list[Any]", value):
            yield from _nested(each)
    else:
        yield repr(value).encode() if isinstance(value, int | float | str | None) else b""


def _bytes(value: Tensor | None) -> Iterator[bytes]:
    if value is None:
        yield b"none"
        return
    if torch.nn.parameter.is_lazy(value):
        yield b"not yet"
        return
    yield str((value.dtype, tuple(value.shape))).encode()
    plain = value.detach().to("cpu").contiguous()
    yield plain.reshape(-1).view(torch.uint8).numpy().tobytes()
