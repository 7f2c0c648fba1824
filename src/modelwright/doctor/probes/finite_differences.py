"""Gradients beside slopes: the loss is moved a little along a line, in double precision."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.fork import Fork, fork
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.origin import origin_of
from modelwright.doctor.probes.preserved import preserved
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.rows import map_tensors
from modelwright.doctor.probes.sample import Sample
from modelwright.doctor.probes.subject import Subject

__all__ = ["FiniteDifferences"]

_ROWS = 8
_STEPS = (1e-5, 1e-6)
_APART = 0.02
"""Of the larger of gradient and slope: rounding and kinks stay far below it on smooth lines."""

_SMALLEST = 1e-7
_MOST_PARAMETERS = 5_000_000
_MOST_TENSORS = 24


class FiniteDifferences:
    """Moves each parameter along a random line, forth and back, and compares the loss with its gradient."""

    words = "gradients against finite differences"
    share = 1.0

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        missing = subject.lacks("model", "loss", "sample")
        if missing is None and sum(each.numel() for each in subject.model.parameters()) > _MOST_PARAMETERS:
            return f"a model of more than {_MOST_PARAMETERS:,} parameters takes too long in double precision"
        return missing

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        assert subject.sample is not None
        made = fork(subject, optimizer=False)
        made.model.double().eval()
        if isinstance(made.loss, torch.nn.Module):
            made.loss.double()
        batch = _double(subject.sample.take(slice(0, _ROWS)))
        try:
            with _Cuts() as cuts:
                loss = _loss(made, batch)
        except (RuntimeError, TypeError) as error:
            return Outcome(unchecked=(f"{self.words}: double precision is refused ({str(error)[:80]})",))
        if not loss.requires_grad or loss.dtype != torch.float64:
            return Outcome(unchecked=(f"{self.words}: the loss is not computed in double precision",))
        if float(loss.detach()) != float(_loss(made, batch).detach()):
            return Outcome(unchecked=(f"{self.words}: the loss draws random numbers",))
        loss.backward()
        wrong = list(_wrong(made, batch, limit))
        if not wrong:
            return Outcome()
        return Outcome(findings=(_finding(subject, wrong, _own_functions(loss), cuts.names),))


def _double(sample: Sample) -> Sample:
    def change(each: Tensor) -> Tensor:
        return each.double() if each.is_floating_point() else each

    return Sample(
        inputs=map_tensors(sample.inputs, change),
        targets=map_tensors(sample.targets, change),
        batch_size=sample.batch_size,
    )


def _loss(made: Fork, batch: Sample) -> Tensor:
    with preserved():
        return made.loss_of(batch)


def _wrong(made: Fork, batch: Sample, limit: Limit) -> Iterator[dict[str, Any]]:
    """Yield parameters whose gradient is not the slope, along two lines and in two sizes of steps."""
    generator = torch.Generator().manual_seed(0)
    named = [(name, each) for name, each in made.model.named_parameters() if each.requires_grad]
    stride = max(1, len(named) // _MOST_TENSORS)
    for name, value in named[::stride]:
        if limit.is_over:
            return
        worst: dict[str, Any] | None = None
        for _ in range(2):
            line = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value)
            line /= line.norm().clamp(min=1e-12)
            gradient = 0.0 if value.grad is None else float((value.grad * line).sum())
            slopes = [_slope(made, batch, value, line, step) for step in _STEPS]
            size = max(abs(gradient), *map(abs, slopes))
            steady = abs(slopes[0] - slopes[1]) <= 0.1 * _APART * size
            apart = min(abs(gradient - each) for each in slopes) > _APART * size
            if size < _SMALLEST or not steady or not apart:
                worst = None
                break
            worst = {
                "parameter": name,
                "gradient": gradient,
                "slope": slopes[1],
                "is_reached": value.grad is not None,
            }
        if worst is not None:
            yield worst


def _slope(made: Fork, batch: Sample, value: Tensor, line: Tensor, step: float) -> float:
    kept = value.detach().clone()
    losses: list[float] = []
    with torch.no_grad():
        for way in (1.0, -1.0):
            value.copy_(kept + way * step * line)
            losses.append(float(_loss(made, batch)))
        value.copy_(kept)
    return (losses[0] - losses[1]) / (2 * step)


def _own_functions(loss: Tensor) -> list[str]:
    """Return the names of functions in the graph whose backward was written in Python."""
    found: dict[str, None] = {}
    seen: set[Any] = set()
    waiting: list[Any] = [loss.grad_fn]
    while waiting and len(seen) < 20_000:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            found[type(node).__name__.removesuffix("Backward")] = None
        waiting += [each[0] for each in node.next_functions]
    return list(found)


def _finding(subject: Subject, wrong: list[dict[str, Any]], own: list[str], cuts: set[str]) -> Finding:
    cut = [each for each in wrong if not each["is_reached"]]
    # Stopping gradients, and functions of one's own that pass them straight, are often done on purpose.
    meant = bool(own or cuts) and len(cut) < len(wrong)
    names = ("backward-wrong", "graph-detached") if own else ("graph-detached",)
    place = origin_of(subject.model, subject.loss)
    return Finding(
        kind="gradient-is-not-the-slope",
        severity=Severity.INFO if meant and not own else Severity.WARNING,
        title=f"The gradient of {wrong[0]['parameter']} is {wrong[0]['gradient']:.4g} along a line on which "
        f"the loss has the slope {wrong[0]['slope']:.4g}.",
        evidence={
            "parameters": wrong[:20],
            "functions_with_a_backward_of_their_own": own,
            "operations_that_stop_gradients": sorted(cuts),
        },
        causes=tuple(cause(name, place) for name in names),
        next_check="gradients that are stopped or passed straight on purpose are right; else test the "
        "function with torch.autograd.gradcheck, and look for detach, .data and no_grad",
        subject=wrong[0]["parameter"],
    )


class _Cuts(TorchFunctionMode):
    """Notes operations through which no gradient goes, or not the slope."""

    _NAMES = frozenset({"detach", "detach_", "round", "sign", "floor", "ceil", "argmax", "no_grad", "data"})

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name == "__get__" and getattr(func, "__self__", None) is torch.Tensor.data:
            name = "data"
        if name in self._NAMES or not torch.is_grad_enabled():
            self.names.add(name if name in self._NAMES else "no_grad")
        return func(*args, **(kwargs or {}))
