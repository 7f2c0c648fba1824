"""Whether a recurrent network reads more of a sequence than its first step."""

from collections.abc import Callable
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place

__all__ = ["check_unread_steps"]

_LEAST_STEPS = 4


def check_unread_steps(
    ask: Callable[[Any], Any], model: Any, given: Any, plain: Any, place: Place | None
) -> Finding | None:
    """Return a finding where nothing but the first step of a sequence changes what a row gets.

    Steps are those of the second axis where a recurrent layer has `batch_first`. All later steps are
    exchanged for those of other rows: no output moves by a bit. With the first step, some do.

    Args:
        ask: The model, in evaluation mode: output for an input, or None.
        model: The model.
        given: (row, step, number) what it was given.
        plain: (row,) or (row, number) what it gave.
        place: Of the line that compares outputs with targets.
    """
    import torch

    recurrent = [part for part in model.modules() if isinstance(part, torch.nn.RNNBase)]
    if not recurrent or not all(part.batch_first for part in recurrent):
        return None
    if (
        given.dim() != 3
        or given.shape[1] < _LEAST_STEPS
        or plain.dim() > 2
        or plain.shape[0] != given.shape[0]
    ):
        return None
    if plain.dim() == 2 and plain.shape[1] >= given.shape[1]:
        return None  # perhaps one for each step
    rolled = given.roll(1, 0)
    later, first = given.clone(), given.clone()
    later[:, 1:], first[:, :1] = rolled[:, 1:], rolled[:, :1]
    if bool((later == given).all()) or bool((first == given).all()):
        return None
    answers = ask(later), ask(first)
    if any(each is None or each.shape != plain.shape for each in answers):
        return None
    if bool((answers[0] != plain).any()) or not bool((answers[1] != plain).any()):
        return None
    return Finding(
        kind="later-steps-not-read",
        severity=Severity.SEVERE,
        title=f"Of {given.shape[1]} steps of a sequence only the first changes what the network says.",
        evidence={"steps": int(given.shape[1]), "rows_tried": int(given.shape[0])},
        causes=(cause("first-step-taken", place),),
        next_check="take the last output of the recurrent layer, `out[:, -1]`, or its last state",
    )
