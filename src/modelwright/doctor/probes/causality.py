"""A model of sequences that predicts what comes next must not see it."""

from typing import Any

import torch
from torch import Tensor

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.fork import Fork, fork
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.origin import origin_of
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.rows import main_tensor, take_rows
from modelwright.doctor.probes.sample import Sample
from modelwright.doctor.probes.subject import Subject

__all__ = ["Causality"]

_ROUNDING = 1e-3


class Causality:
    """Changes inputs after a moment, and looks whether outputs up to it move."""

    words = "whether outputs depend on later inputs"
    share = 0.5

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        missing = subject.lacks("model", "sample")
        if missing is None and not _is_causal(subject):
            return ""
        return missing

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        sample = subject.sample
        assert sample is not None
        if not isinstance(sample.inputs, Tensor) or sample.inputs.dim() < 2 or sample.count < 2:
            return Outcome(unchecked=(f"{self.words}: inputs are no tensor of (row, time, ...)",))
        made = fork(subject, optimizer=False)
        made.model.eval()
        with torch.no_grad():
            earlier = _earlier(made, sample)
        if earlier is None:
            return Outcome(unchecked=(f"{self.words}: outputs have no axis of time",))
        if max(earlier.values()) < _ROUNDING:
            return Outcome(findings=_copies(subject, sample))
        return Outcome(
            findings=(
                Finding(
                    kind="sees-the-future",
                    severity=Severity.SEVERE,
                    title="Outputs at a time change when only later inputs do: it sees what it predicts.",
                    evidence={
                        "change_of_outputs_up_to_a_time_when_inputs_after_it_change": {
                            str(time): moved for time, moved in earlier.items()
                        }
                    },
                    causes=(cause("causal-mask-missing", origin_of(subject.model)),),
                    next_check="mask attention to later times, pad convolutions on the left only, and use no "
                    "recurrent layer of two directions",
                    subject=type(subject.model).__name__,
                ),
            )
        )


def _copies(subject: Subject, sample: Sample) -> tuple[Finding, ...]:
    """Say where a model of what comes next is given as targets what it has as inputs."""
    if sample.inputs.shape != sample.targets.shape or not torch.equal(sample.inputs, sample.targets):
        return ()
    return (
        Finding(
            kind="targets-are-the-inputs",
            severity=Severity.SEVERE,
            title="Targets are the inputs of the same time: the model has only to copy.",
            causes=(cause("labels-not-shifted"),),
            next_check="targets at time t are the inputs at time t + 1",
        ),
    )


def _is_causal(subject: Subject) -> bool:
    """Return whether the model is said to be causal, or its targets are its inputs of one step later."""
    if subject.causal is not None:
        return subject.causal
    sample = subject.sample
    if sample is None or not isinstance(sample.inputs, Tensor) or not isinstance(sample.targets, Tensor):
        return False
    one, other = sample.inputs, sample.targets
    if one.shape != other.shape or one.dim() != 2 or one.shape[1] < 4 or one.dtype != other.dtype:
        return False
    if bool((one == one[:, :1]).all()):
        return False
    return torch.equal(one[:, 1:], other[:, :-1])


def _earlier(made: Fork, sample: Sample) -> dict[int, float] | None:
    """Return, for some times, how far outputs up to then move when all inputs after then change."""
    rows = min(4, sample.count // 2)
    one: Any = take_rows(sample.inputs, range(rows))
    other: Any = take_rows(sample.inputs, range(sample.count - rows, sample.count))
    out = main_tensor(made.output(one))
    length = one.shape[1]
    if out is None or out.dim() < 2 or out.shape[0] != rows:
        return None
    axis = next((at for at in range(1, out.dim()) if out.shape[at] == length), None)
    if axis is None:
        return None
    moved: dict[int, float] = {}
    for time in sorted({0, length // 4, length // 2, length - 2}):
        mixed = torch.cat([one[:, : time + 1], other[:, time + 1 :]], dim=1)
        again = main_tensor(made.output(mixed))
        assert again is not None
        kept = [each.narrow(axis, 0, time + 1).double() for each in (out, again)]
        moved[time] = float((kept[0] - kept[1]).abs().max()) / max(float(out.double().abs().max()), 1e-12)
    return moved
