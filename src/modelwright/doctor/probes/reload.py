"""What is saved is the model: its state, loaded into one made anew, gives the same outputs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import nn

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.fitting import fit
from modelwright.doctor.probes.fork import Fork, call_model, fork
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.origin import origin_of
from modelwright.doctor.probes.preserved import preserved
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.rows import main_tensor
from modelwright.doctor.probes.sample import Sample
from modelwright.doctor.probes.subject import Subject

__all__ = ["Reload"]

_STEPS = 5
_ROUNDING = 1e-3


class Reload:
    """Trains a copy for a few steps, loads its state into a second model of the factory's, and compares."""

    words = "whether a saved state brings the model back"
    share = 1.0

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        missing = subject.lacks("model", "sample", "again")
        return subject.crowds() if missing is None else missing

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        sample = subject.sample
        assert sample is not None
        assert subject.again is not None
        made = fork(subject, optimizer=subject.loss is not None)
        hidden = list(_hidden_layers(subject, made, sample))
        if subject.loss is not None and any(each.requires_grad for each in made.model.parameters()):
            fit(made, sample, _STEPS, limit)
        batch = sample.take(slice(0, 8)) if sample.count else sample
        with preserved(1):
            second = subject.again().model
        if second is None or type(second) is not type(made.model):
            return Outcome(
                findings=tuple(hidden), unchecked=(f"{self.words}: the factory makes another kind",)
            )
        second = second.to(next(iter(made.model.parameters()), torch.zeros(0)).device)
        if second is subject.model:
            return Outcome(
                findings=tuple(hidden), unchecked=(f"{self.words}: the factory gives the same model again",)
            )
        try:
            second.load_state_dict(made.model.state_dict())
        except RuntimeError as error:
            return Outcome(findings=(*hidden, _refused(str(error))))
        made.model.eval()
        second.eval()
        with torch.no_grad():
            outputs = [
                main_tensor(call_model(model, batch.inputs)) for model in (made.model, made.model, second)
            ]
        if outputs[0] is None or outputs[1] is None or outputs[2] is None:
            return Outcome(findings=tuple(hidden))
        if not _same(outputs[0], outputs[1]):
            return Outcome(findings=tuple(hidden), unchecked=(f"{self.words}: outputs are random",))
        if hidden or _same(outputs[0], outputs[2]):
            return Outcome(findings=tuple(hidden))
        return Outcome(findings=(_lost(subject, made, second, outputs[0], outputs[2]),))


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape:
        return False
    a, b = one.double().nan_to_num(), other.double().nan_to_num()
    return float((a - b).abs().max()) <= _ROUNDING * max(float(a.abs().max()), 1e-12) if a.numel() else True


def _refused(message: str) -> Finding:
    return Finding(
        kind="state-does-not-load",
        severity=Severity.SEVERE,
        title="The state of the model cannot be loaded into one that the factory makes anew.",
        evidence={"error": message[:500]},
        next_check="make all parameters in __init__, in shapes that do not depend on chance or on data",
    )


def _lost(subject: Subject, made: Fork, second: Any, one: torch.Tensor, other: torch.Tensor) -> Finding:
    loose = [
        f"{name}.{key}".lstrip(".")
        for name, module in made.model.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, torch.Tensor)
    ]
    return Finding(
        kind="state-is-not-the-model",
        severity=Severity.SEVERE,
        title="A model made anew, with the state of the first loaded, gives other outputs.",
        evidence={
            "largest_difference": float((one.double() - other.double()).abs().max()),
            "largest_output": float(one.double().abs().max()),
            "tensors_that_are_no_parameter_and_no_buffer": loose[:20],
        },
        causes=(cause("buffer-not-registered", origin_of(subject.model)),),
        next_check="register what outputs depend on: nn.Parameter, register_buffer, nn.ModuleList",
        subject=loose[0] if loose else type(second).__name__,
    )


def _hidden_layers(subject: Subject, made: Fork, sample: Sample) -> Iterator[Finding]:
    """Say which modules stand in plain lists, and get gradients that no optimizer will use."""
    known = {id(each) for each in made.model.parameters()}
    hidden = {
        f"{name}.{key}".lstrip("."): module
        for name, owner in made.model.named_modules()
        for key, value in vars(owner).items()
        if key not in ("_modules", "_parameters", "_buffers")
        for module in _modules(value)
    }
    loose = {
        name: module
        for name, module in hidden.items()
        if any(id(each) not in known and each.requires_grad for each in module.parameters())
    }
    if not loose or subject.loss is None:
        return
    made.model.train()
    made.loss_of(sample.take(slice(0, sample.batch_size)) if sample.count else sample).backward()
    reached = [
        name for name, module in loose.items() if any(each.grad is not None for each in module.parameters())
    ]
    held = {
        id(each)
        for group in (made.optimizer.param_groups if made.is_given else [])
        for each in group["params"]
    }
    reached = [name for name in reached if not any(id(each) in held for each in loose[name].parameters())]
    for value in made.model.parameters():
        value.grad = None
    if reached:
        yield Finding(
            kind="layers-not-registered",
            severity=Severity.SEVERE,
            title=f"Layers in {reached[0]} get gradients, but are no part of the model: they are not in "
            "model.parameters(), and not in its state.",
            evidence={"layers": reached[:20]},
            causes=(cause("parameters-missing-from-optimizer", origin_of(subject.model)),),
            next_check="keep them in nn.ModuleList or nn.ModuleDict",
            subject=reached[0],
        )


def _modules(value: Any) -> Iterator[nn.Module]:
    if isinstance(value, nn.Module):
        yield value
    elif isinstance(value, Mapping):
        for each in cast("Mapping[Any, Any]", value).values():
            yield from _modules(each)
    elif isinstance(value, list | tuple):
        for each in cast("Sequence[Any]", value):
            yield from _modules(each)
