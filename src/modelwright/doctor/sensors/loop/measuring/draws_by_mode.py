"""Whether what a model does at random depends on its mode, without a layer that says so."""

import contextlib
from typing import Any

from modelwright.doctor.watch.tensors import Unreadable, tensors_in, twin_of

__all__ = ["copied", "draws_in_training_only"]

_MOST = 2**20


def copied(values: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Return copies of what a model was called with; None where that is large."""
    if sum(each.numel() for each in tensors_in(values)) > _MOST:
        return None
    known = (each.tensor if isinstance(each, Unreadable) else each for each in values)
    return tuple(each.detach().clone() if hasattr(each, "detach") else each for each in known)


def draws_in_training_only(model: Any, values: tuple[Any, ...], keywords: tuple[str, ...]) -> bool:
    """Return whether a copy of a model is random in training mode, and in evaluation mode is not.

    Args:
        model: The model.
        values: What it was called with, by name last.
        keywords: Those names.
    """
    import torch

    from modelwright.doctor.probes.preserved import preserved

    count = len(values) - len(keywords)
    named = dict(zip(keywords, values[count:], strict=True))

    def said(twin: Any, mode: bool, start: int) -> Any:
        with preserved(start), torch.no_grad():
            return next(tensors_in(twin.train(mode)(*values[:count], **named)))

    with contextlib.suppress(Exception):  # a stranger's copy or forward
        twin = twin_of(model)
        pairs = [(said(twin, mode, 1), said(twin, mode, 2)) for mode in (True, False)]
        return not torch.equal(*pairs[0]) and torch.equal(*pairs[1])
    return False
