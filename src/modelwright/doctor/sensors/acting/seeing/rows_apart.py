"""Whether what a network says of one observation depends on the others beside it."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.influence import influence
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor
from modelwright.doctor.watch.tensors import tensors_in, twin_of

__all__ = ["RowsApart"]

_ROWS = 8
_MOST_NUMBERS = 2**18
_MOST_NETWORKS = 6


@dataclass(slots=True)
class _Kept:
    """Observations that one network was given, a few different ones.

    Attributes:
        network: The network.
        rows: Inputs, one observation each.
        most: Observations that it was given at a time, at most.
        softmax: Where a softmax over observations runs inside of it, if one does.
    """

    network: Any
    rows: list[Any] = field(default_factory=list[Any])
    most: int = 0
    softmax: list[Place | None] = field(default_factory=list[Place | None])


class RowsApart(Sensor):
    """Keeps a few observations; at the end gives them to a copy, and one of them changed."""

    operations = frozenset({"softmax", "log_softmax"})
    while_acting = frozenset({"on_call", "on_operation"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._kept: dict[int, _Kept] = {}
        self._found: list[Finding] = []

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.depth or not call.grad:
            return
        kept = self._kept.get(id(call.module))
        if kept is None:
            if len(self._kept) >= _MOST_NETWORKS:
                return
            kept = self._kept[id(call.module)] = _Kept(call.module)
        elif len(kept.rows) >= _ROWS and kept.most > 1:
            return
        given: Any = call.args[0] if len(call.args) == 1 else None
        if getattr(given, "dim", int)() not in (2, 4) or given.numel() > _MOST_NUMBERS:
            return
        kept.most = max(kept.most, int(given.shape[0]))
        for row in given.detach()[: _ROWS - len(kept.rows)]:
            if not any(row.shape != other.shape or bool((row == other).all()) for other in kept.rows):
                kept.rows.append(row.clone())

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        kept = self._kept.get(id(operation.root))
        if not operation.inside:
            return
        if operation.argument(1, "dim") in (0, -operation.result.dim()):
            if kept is None and len(self._kept) < _MOST_NETWORKS:
                kept = self._kept[id(operation.root)] = _Kept(operation.root)
            if kept is not None and not kept.softmax and operation.result.dim() > 1:
                kept.softmax.append(operation.place)

    def on_end(self) -> None:
        """See `Sensor`."""
        for kept in self._kept.values():
            # A network that is only asked one by one may be made for that.
            if len(kept.rows) >= 3 and (kept.most > 1 or kept.softmax):
                with contextlib.suppress(Exception):  # a stranger's copy or forward
                    self._found.extend(_judge(kept))
        self._kept = {}

    def findings(self) -> Iterable[Finding]:
        """Return what was found at the end."""
        return self._found


def _judge(kept: _Kept) -> Iterator[Finding]:
    import torch
    from torch import nn

    in_order = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)
    if any(isinstance(part, in_order) for part in kept.network.modules()):
        return  # observations may be those of one episode, in order
    twin = twin_of(kept.network).eval()
    rows = torch.stack(kept.rows)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        plain, again = _said(twin, rows), _said(twin, rows)
        if plain is None or not torch.equal(plain, again) or not torch.isfinite(plain).all():
            return  # random in evaluation mode too, or another shape
        far = influence(lambda inputs: _said(twin, inputs), rows, rows[-1], 0, plain)
    if far is None:
        return
    softmax = tuple(cause("softmax-over-wrong-axis", place) for place in kept.softmax)
    yield Finding(
        kind="rows-depend-on-each-other",
        severity=Severity.SEVERE,
        title="In evaluation mode, what a network says of one observation changes with another beside it.",
        evidence={
            "network": type(kept.network).__name__,
            "largest_change_over_deviation": far,
            "observations": len(kept.rows),
        },
        causes=(*softmax, cause("examples-mixed")),
        next_check="give one observation alone and among others; look for a softmax, a mean or a reshape "
        "over axis 0",
    )


def _said(twin: Any, rows: Any) -> Any:
    said = next((each for each in tensors_in(twin(rows)) if each.dim()), None)
    return said.double() if said is not None and said.shape[0] == len(rows) else None
