"""How well a model did on rows of which the targets were heard."""

from typing import Any

from modelwright.doctor.watch.sensor import Operation

__all__ = ["TARGETS_OF", "same_numbers", "score_of", "target_in"]

_LARGEST_OUTPUT = 400_000
_OF_CLASSES = ("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")
_OF_NUMBERS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "sub", "__sub__", "rsub")
_COMPARES = ("eq", "__eq__", "ne", "__ne__")

TARGETS_OF = frozenset((*_OF_CLASSES, *_OF_NUMBERS, *_COMPARES))
"""Operations that compare outputs with targets."""


def target_in(operation: Operation, said: Any) -> Any:
    """Return what an operation compares a model's output with; None where that is not plain.

    Args:
        operation: One of `TARGETS_OF`.
        said: What the model gave last.
    """
    one, other = operation.argument(0, "input"), operation.argument(1, "target")
    if not all(hasattr(each, "numel") and each.dim() for each in (one, other)):
        return None
    if operation.name in _OF_CLASSES:
        return None if other.requires_grad else other
    if operation.name in _COMPARES:
        if said.dim() < 2 or one.numel() != other.numel() or one.is_floating_point():
            return None
        best = [said.argmax(axis) for axis in {1, said.dim() - 1}]
        sides = [each for each in (one, other) if any(same_numbers(each, classes) for classes in best)]
        return None if len(sides) != 1 else other if sides[0] is one else one
    if same_numbers(one, said):
        return other
    return one if same_numbers(other, said) and operation.name != "mse_loss" else None


def same_numbers(one: Any, other: Any) -> bool:
    """Return whether two tensors, wherever they lie, hold the same numbers in the same order."""
    if one.numel() != other.numel():
        return False
    one, other = one.detach().reshape(-1), other.detach().reshape(-1).to(one.device)
    return bool((one.double() == other.double()).all())


def score_of(output: Any, target: Any) -> tuple[int, float, int, bool] | None:
    """Return (targets, sum of losses, right ones, whether they are classes); None where they do not fit.

    Args:
        output: (row, ...) what a model gave.
        target: Classes, zeros and ones, or numbers; as many as the outputs, or one for each row of classes.
    """
    from torch.nn import functional

    said, true = output.detach(), target.detach().to(output.device)
    count = int(true.numel())
    if not count or said.numel() > _LARGEST_OUTPUT or not said.is_floating_point():
        return None
    if not true.is_floating_point() and said.numel() > count:
        classes = _classes_last(said, true)
        if classes is None:
            return None
        true = true.reshape(-1).long()
        kept = (true >= 0) & (true < classes.shape[1])
        classes, true = classes[kept].float(), true[kept]
        loss = functional.nll_loss(functional.log_softmax(classes, 1), true, reduction="sum")
        return len(true), float(loss), int((classes.argmax(1) == true).sum()), True
    if said.numel() != count:
        return None
    said, true = said.reshape(-1).float(), true.reshape(-1).float()
    if bool(((true == 0) | (true == 1)).all()):
        shares = said if bool(((said >= 0) & (said <= 1)).all()) else said.sigmoid()
        loss = functional.binary_cross_entropy(shares, true, reduction="sum")
        return count, float(loss), int(((shares > 0.5) == (true > 0.5)).sum()), True
    return count, float((said - true).square().sum()), 0, False


def _classes_last(said: Any, true: Any) -> Any:
    """Return outputs as (target, class); None where neither axis can be that of classes."""
    if said.numel() % true.numel():
        return None
    if said.dim() == true.dim() + 1 and said.shape[0] == true.shape[0] and said.shape[2:] == true.shape[1:]:
        said = said.movedim(1, -1)
    elif said.shape[:-1].numel() != true.numel():
        return None
    return said.reshape(true.numel(), -1)
