"""The loss holds each output to its own target, and is smaller where they agree."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.fork import fork
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.origin import origin_of
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.sample import Sample
from modelwright.doctor.probes.subject import Subject

__all__ = ["LossRows"]

_ROUNDING = 1e-5
_ROWS = 64


class LossRows:
    """Gives the loss outputs and targets in other orders, and outputs that are right or wrong."""

    words = "whether the loss pairs outputs with targets, and which it prefers"
    share = 0.5

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        return subject.lacks("model", "loss", "sample")

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        sample = subject.sample
        assert sample is not None
        if sample.count < 4 or not isinstance(sample.targets, Tensor):
            return Outcome(
                unchecked=("how the loss pairs rows: it takes four rows and targets in one tensor",)
            )
        made = fork(subject, optimizer=False)
        batch = sample.take(_different(sample.targets))
        with torch.no_grad():
            output = made.output(batch.inputs)
            if not isinstance(output, Tensor) or not output.is_floating_point():
                return Outcome(unchecked=("how the loss pairs rows: the model gives more than a tensor",))
            found = list(_pairs(subject, made.loss, output, batch))
            if not found:
                found = list(_prefers(subject, made.loss, output, batch))
        return Outcome(findings=tuple(found))


def _different(targets: Tensor) -> list[int]:
    """Return numbers of rows with many different targets."""
    flat = targets.reshape(len(targets), -1)[:, 0]
    order = flat.argsort()
    spread = torch.linspace(0, len(order) - 1, min(_ROWS, len(order))).long()
    return [int(each) for each in order[spread.to(order.device)]]


def _loss(loss: Any, output: Any, targets: Tensor) -> float:
    return float(loss(output, targets))


def _pairs(subject: Subject, loss: Any, output: Tensor, batch: Sample) -> Iterator[Finding]:
    """Shuffle outputs against targets: a loss that stays what it was does not pair them."""
    targets: Tensor = batch.targets
    generator = torch.Generator().manual_seed(0)
    # Outputs that surely differ from row to row, whatever the model gives.
    noise = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    made = output + noise.to(output) * output.std().nan_to_num(1.0).clamp(min=0.1)
    if _bounded(output):
        made = output[torch.randperm(len(output), generator=generator).to(output.device)]
        if bool((made == output).all()):
            return
    first = _loss(loss, made, targets)
    others: list[float] = []
    for _ in range(4):
        order = torch.randperm(len(targets), generator=generator).to(targets.device)
        others.append(_loss(loss, made, targets[order]))
    size = max(abs(first), 1e-12)
    if not all(abs(each - first) <= _ROUNDING * size for each in others) or bool(
        (targets == targets[0]).all()
    ):
        return
    spread = output.shape != targets.shape and output.numel() == targets.numel()
    if not spread:
        return  # losses of whole distributions pair nothing, by choice
    yield Finding(
        kind="loss-pairs-no-rows",
        severity=Severity.SEVERE,
        title=f"The loss of outputs {tuple(output.shape)} and targets {tuple(targets.shape)} stays the same "
        "when targets are shuffled: every output meets every target.",
        evidence={
            "loss": first,
            "losses_with_shuffled_targets": others,
            "shape_of_outputs": list(output.shape),
            "shape_of_targets": list(targets.shape),
        },
        causes=(cause("silent-broadcast", origin_of(subject.loss, subject.model)),),
        next_check="bring both to one shape: squeeze the outputs' last axis, or add one to the targets",
    )


def _bounded(output: Tensor) -> bool:
    """Return whether outputs look like probabilities, which a loss may insist on."""
    return bool(((output >= 0) & (output <= 1)).all())


def _prefers(subject: Subject, loss: Any, output: Tensor, batch: Sample) -> Iterator[Finding]:
    """Compare the loss of right outputs with that of wrong ones."""
    pairs = list(_right_and_wrong(output, batch.targets))
    if not pairs:
        return
    losses: list[tuple[float, float]] = []
    for right, wrong in pairs:
        try:
            losses.append((_loss(loss, right, batch.targets), _loss(loss, wrong, batch.targets)))
        except (RuntimeError, ValueError, IndexError, AssertionError):
            return
    if not all(right > wrong + _ROUNDING * max(abs(wrong), 1e-12) for right, wrong in losses):
        return
    yield Finding(
        kind="loss-prefers-wrong-outputs",
        severity=Severity.SEVERE,
        title=f"The loss of right outputs ({losses[0][0]:.4g}) is larger than that of wrong ones "
        f"({losses[0][1]:.4g}): learning makes the model worse.",
        evidence={
            "losses_of_right_outputs": [right for right, _ in losses],
            "losses_of_wrong_outputs": [wrong for _, wrong in losses],
        },
        causes=(cause("loss-sign-flipped", origin_of(subject.loss)),),
        next_check="call the loss by hand on one right and one wrong output",
    )


def _right_and_wrong(output: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield outputs that agree with targets and others that do not, in several sizes and readings."""
    sizes = (1.0, 3.0)
    turned = targets.flip(0)
    if targets.dtype == torch.long and output.dim() == targets.dim() + 1 and output.dim() >= 2:
        classes = output.shape[1]
        if classes < 2 or int(targets.min()) < 0 or int(targets.max()) >= classes:
            return
        for size in sizes:
            hot = torch.nn.functional.one_hot(targets, classes).movedim(-1, 1).to(output)
            cold = torch.nn.functional.one_hot((targets + 1) % classes, classes).movedim(-1, 1).to(output)
            # As logarithms of probabilities they are right for losses of logits and of log-probabilities.
            yield (size * hot).log_softmax(1), (size * cold).log_softmax(1)
    elif targets.is_floating_point() and output.shape == targets.shape:
        flags = bool(((targets == 0) | (targets == 1)).all())
        if flags and not _bounded(output):
            for size in sizes:
                yield size * (2 * targets - 1), size * (1 - 2 * targets)
        elif flags:
            yield 0.9 * targets + 0.05, 0.95 - 0.9 * targets
        elif bool((turned != targets).any()):
            yield targets.to(output), turned.to(output)
            yield targets.to(output), targets.to(output) + targets.std().clamp(min=1e-3)
