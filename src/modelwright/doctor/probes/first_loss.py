"""The loss at the start, beside that of outputs that say nothing."""

import math
from typing import Any

import torch
from torch import Tensor

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.fork import fork
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.rows import tensors_of
from modelwright.doctor.probes.subject import Subject

__all__ = ["FirstLoss"]

_FAR = 6.0
"""Times the loss of outputs that say nothing; a usual start is at 1 to 2."""

_LARGE_INPUTS = 10.0


class FirstLoss:
    """Compares the loss of the model's first outputs with that of outputs of zero."""

    words = "the loss at the start, against chance"
    share = 0.3

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        return subject.lacks("model", "loss", "sample")

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        assert subject.sample is not None
        batch = subject.sample.take(slice(0, 128))
        made = fork(subject, optimizer=False)
        made.model.train()
        with torch.no_grad():
            output = made.output(batch.inputs)
            if not isinstance(output, Tensor):
                return Outcome(unchecked=(f"{self.words}: the model gives more than a tensor",))
            first = float(made.loss(output, batch.targets))
            chance = _chance(made.loss, output, batch.targets)
        if chance is None:
            return Outcome(unchecked=(f"{self.words}: what chance is cannot be told for this loss",))
        if first < _FAR * chance:
            return Outcome()
        size = _size(batch.inputs)
        causes = [cause("initialisation-too-large")]
        if size > _LARGE_INPUTS:
            causes.insert(0, cause("inputs-not-scaled"))
        return Outcome(
            findings=(
                Finding(
                    kind="first-loss-far-above-chance",
                    severity=Severity.WARNING,
                    title=f"The loss begins at {first:.4g}; outputs that say nothing have {chance:.4g}.",
                    evidence={
                        "first_loss": first,
                        "loss_of_outputs_that_say_nothing": chance,
                        "root_mean_square_of_inputs": size,
                        "largest_output": float(output.abs().max()),
                    },
                    causes=tuple(causes),
                    next_check="print the size of the activations module by module; the first that is far "
                    "above 1 says where",
                ),
            )
        )


def _chance(loss: Any, output: Tensor, targets: Any) -> float | None:
    """Return the loss of outputs of zero, where that is the loss of saying nothing."""
    value = float(loss(torch.zeros_like(output), targets))
    if not isinstance(targets, Tensor) or not math.isfinite(value) or value <= 0:
        return None
    if targets.dtype == torch.long and output.dim() == targets.dim() + 1 and output.dim() >= 2:
        uniform = math.log(max(2, output.shape[1]))
        return value if abs(value - uniform) < 0.05 * uniform else None
    if targets.is_floating_point() and output.shape == targets.shape:
        mean = targets.mean(dim=0, keepdim=True).expand_as(targets)
        spread = float(loss(mean, targets)) if bool((targets < 0).any() | (targets > 1).any()) else value
        return max(value, spread)
    return None


def _size(inputs: Any) -> float:
    values = [each for each in tensors_of(inputs) if each.is_floating_point() and each.numel()]
    return max((float(each.double().square().mean().sqrt()) for each in values), default=0.0)
