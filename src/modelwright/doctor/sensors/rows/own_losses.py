"""Networks that are given targets beside their inputs, and return the loss with what they say."""

from typing import Any, NamedTuple

import numpy as np

from modelwright.doctor.sensors.rows.learner import Learner
from modelwright.doctor.sensors.rows.loss_targets import targets_of
from modelwright.doctor.watch.tensors import tensors_in

__all__ = ["Asked", "asked_of"]

_MOST_TRIES = 8


class Asked(NamedTuple):
    """What a network was asked, and said.

    Attributes:
        args: What it was called with, without targets.
        said: What it gave, that is no loss; None where it gave nothing else.
        target: (row,) or (row, 1) what it was told to be true; None where it was not.
    """

    args: tuple[Any, ...]
    said: Any
    target: Any


def asked_of(learner: Learner, args: tuple[Any, ...], output: Any) -> Asked:
    """Return a call with targets apart from inputs.

    Targets are what the loss that is returned is held against; where no gradients are recorded, what stood in
    their place before, or else one number for each row beside other inputs.

    Args:
        learner: The network.
        args: What it was called with.
        output: What it gave.
    """
    given = list(tensors_in(output))
    said = next((each for each in given if each.dim()), None)
    loss = next((each for each in given if not each.dim() and each.is_floating_point()), None)
    if loss is None or said is None:
        return Asked(args, given[0] if given else None, None)
    inputs = list(tensors_in(args))
    rows = int(said.shape[0])
    if learner.target_at is None and learner.target_tries < _MOST_TRIES and loss.grad_fn is not None:
        learner.target_tries += 1
        target = targets_of(loss, said)
        if target is not None:
            learner.target_at = next((at for at in range(len(inputs)) if _holds(inputs[at], target)), None)
    at = learner.target_at
    if at is None:
        plain = (at for at in range(1, len(inputs)) if inputs[at].dim() == 1 and inputs[at].numel() == rows)
        at = next(plain, None)
    if at is None or at >= len(inputs):
        return Asked(args, said, None)
    told = inputs[at] if inputs[at].numel() == rows else None
    return Asked(tuple(each for other, each in enumerate(inputs) if other != at), said, told)


def _holds(given: Any, target: Any) -> bool:
    if given.numel() != len(target):
        return False
    return bool(np.array_equal(given.detach().reshape(-1).cpu().numpy(), target))
