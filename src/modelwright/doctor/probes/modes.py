"""In evaluation mode nothing is random: a batch gives the same outputs twice, an item is itself again."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.fork import fork
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.origin import origin_of
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.rows import tensors_of
from modelwright.doctor.probes.subject import Subject
from modelwright.doctor.watch.place import Place, place_of_caller

__all__ = ["Modes"]

_ITEMS = 8


class Modes:
    """Calls the model twice in evaluation mode, and fetches items of the held-out data twice."""

    words = "whether evaluation repeats itself"
    share = 0.5

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        return subject.lacks("sample")

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        found = list(_items(subject))
        if subject.model is not None:
            found += _outputs(subject)
        return Outcome(findings=tuple(found))


def _items(subject: Subject) -> Iterator[Finding]:
    """Say where items of the held-out data change from one fetch to the next."""
    held_out = subject.held_out
    if held_out is None or held_out.item is None or not held_out.total:
        return
    changed = sum(
        not _equal(held_out.item(at), held_out.item(at)) for at in range(min(_ITEMS, held_out.total))
    )
    if changed:
        yield Finding(
            kind="held-out-rows-change",
            severity=Severity.WARNING,
            title="Items of the held-out data are not the same when they are fetched again.",
            evidence={"items_that_changed": changed, "items": min(_ITEMS, held_out.total)},
            causes=(cause("augmented-in-evaluation"),),
            next_check="give held-out rows transforms without random parts",
        )


def _equal(one: Any, other: Any) -> bool:
    pairs = zip(tensors_of(one), tensors_of(other), strict=False)
    return all(a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)


def _outputs(subject: Subject) -> Iterator[Finding]:
    sample = subject.sample
    assert sample is not None
    made = fork(subject, optimizer=False)
    made.model.eval()
    inputs = sample.take(slice(0, 8)).inputs if sample.count else sample.inputs
    with torch.no_grad(), _Dropouts() as dropouts:
        first = [each.clone() for each in tensors_of(made.output(inputs))]
        again = list(tensors_of(made.output(inputs)))
    changed = max(
        (
            float((a.double() - b.double()).abs().max())
            for a, b in zip(first, again, strict=True)
            if a.numel()
        ),
        default=0.0,
    )
    same = all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(first, again, strict=True))
    if same:
        return
    modules = [
        name for name, each in made.model.named_modules() if each.training and "Drop" in type(each).__name__
    ]
    dropped = bool(dropouts.places or modules)
    yield Finding(
        kind="random-in-evaluation",
        severity=Severity.WARNING if dropped else Severity.INFO,
        title="The same batch gives other outputs the second time, in evaluation mode."
        + (" Dropout is on." if dropped else ""),
        evidence={
            "largest_difference": changed,
            "calls_of_dropout_in_evaluation_mode": len(dropouts.places),
            "modules_in_training_mode": modules,
        },
        causes=(cause("dropout-always-on", next(iter(dropouts.places), None) or origin_of(subject.model)),)
        if dropped
        else (),
        next_check="use nn.Dropout, or F.dropout(x, training=self.training)"
        if dropped
        else "drawing at evaluation is right for models that sample; else find what draws",
    )


class _Dropouts(TorchFunctionMode):
    """Notes calls of dropout that drop."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[Place | None] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if "dropout" in getattr(func, "__name__", ""):
            training = args[2] if len(args) > 2 else kwargs.get("training", kwargs.get("train", True))
            share = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
            if training and share:
                self.places.append(place_of_caller(1))
        return func(*args, **kwargs)
