"""One pass: the model takes a batch, the loss gives one finite number, and gradients come of it."""

import math
from collections.abc import Iterator

import torch
from torch.nn.parameter import is_lazy

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.probes.fork import Fork, fork
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.origin import raised_at
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.rows import main_tensor, tensors_of
from modelwright.doctor.probes.sample import Sample
from modelwright.doctor.probes.subject import Subject

__all__ = ["FirstPass"]


class FirstPass:
    """Passes one batch through copies of the model and the loss, and back."""

    words = "one pass and its gradients"
    share = 1.0

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        return subject.lacks("sample")

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        sample = subject.sample
        assert sample is not None
        if sample.total == 0 or sample.inputs is None:
            return Outcome(findings=(_empty(),))
        unchecked = (sample.note,) if sample.note else ()
        if subject.model is None:
            return Outcome(unchecked=unchecked)
        found = list(_values(subject)) or list(_pass(subject, sample))
        return Outcome(findings=tuple(found), unchecked=unchecked)


def _empty() -> Finding:
    return Finding(
        kind="no-rows",
        severity=Severity.SEVERE,
        title="The data has no rows.",
        next_check="count rows where the data is read, and after each filter",
    )


def _values(subject: Subject) -> Iterator[Finding]:
    """Say which weights are no numbers."""
    wrong = {
        name: bad
        for name, value in subject.model.named_parameters()
        if not is_lazy(value) and (bad := _bad(value))
    }
    if wrong:
        name, bad = next(iter(wrong.items()))
        yield Finding(
            kind="values-not-finite",
            severity=Severity.SEVERE,
            title=f"{bad} values of {name} are no numbers or infinite.",
            evidence={"values_that_are_not_finite": dict(list(wrong.items())[:20])},
            next_check="look where they are made, or which state was loaded",
            subject=name,
        )


def _bad(value: torch.Tensor) -> int:
    return int((~torch.isfinite(value.detach())).sum()) if value.is_floating_point() else 0


def _pass(subject: Subject, sample: Sample) -> Iterator[Finding]:
    made: Fork | None = None
    batch = sample.take(slice(0, sample.batch_size)) if sample.count else sample
    try:
        made = fork(subject, optimizer=False)
        output = made.output(batch.inputs)
        if subject.loss is None:
            value = main_tensor(output)
            broken = value is not None and not bool(torch.isfinite(value).all())
            loss = float("nan") if broken else 0.0
        else:
            result = made.loss(output, batch.targets)
            if not isinstance(result, torch.Tensor) or result.numel() != 1:
                shape = tuple(result.shape) if isinstance(result, torch.Tensor) else type(result).__name__
                yield _no_number(str(shape))
                return
            loss = float(result.detach())
            if result.requires_grad:
                result.backward()
    except Exception as error:
        place = raised_at(error)
        what = f"{type(error).__name__}: {error}"[:300]
        yield Finding(
            kind="pass-raises",
            severity=Severity.SEVERE,
            title=f"One batch through the model, the loss and back ends with an error: {what[:200]}",
            evidence={
                "error": what,
                "shapes_of_inputs": [list(each.shape) for each in tensors_of(batch.inputs)],
                "kinds_of_inputs": [str(each.dtype) for each in tensors_of(batch.inputs)],
            },
            causes=(
                Cause(
                    what="the batch is not what the model or the loss takes",
                    file=place.file if place else None,
                    line=place.line if place else None,
                ),
            ),
            next_check="call the model and the loss on one batch by hand, and print shapes",
        )
        return
    if not math.isfinite(loss):
        yield Finding(
            kind="values-not-finite",
            severity=Severity.SEVERE,
            title=f"The loss of the first batch is {loss}.",
            evidence={
                "loss": str(loss),
                "inputs_that_are_not_finite": sum(map(_bad, tensors_of(batch.inputs))),
                "targets_that_are_not_finite": sum(map(_bad, tensors_of(batch.targets))),
            },
            next_check="fill missing values of inputs and targets first; then find the first module whose "
            "output is not finite: logarithms and divisions",
        )


def _no_number(what: str) -> Finding:
    return Finding(
        kind="pass-raises",
        severity=Severity.SEVERE,
        title=f"The loss gives {what} in place of one number.",
        evidence={"given": what},
        next_check="reduce it: loss.mean()",
    )
