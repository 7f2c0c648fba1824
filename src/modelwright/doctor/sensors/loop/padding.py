"""Whether tokens that only fill rows up are learnt as if they were said."""

from collections.abc import Iterable
from dataclasses import dataclass

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor
from modelwright.doctor.watch.tensors import tensors_in

__all__ = ["Padding"]

_ENOUGH = 3
_SOME = 0.02
"""Share of the targets that fill up, at least."""


@dataclass(slots=True)
class _Count:
    """Of the losses at one place: how many were given sequences, and filled-up targets that they count."""

    seen: int = 0
    wrong: int = 0
    targets: int = 0
    filled: int = 0
    token: int = 0


class Padding(Sensor):
    """Knows from embeddings which token fills up, and looks for it at the ends of targets."""

    operations = frozenset({"cross_entropy", "nll_loss"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._fillers: dict[int, set[int]] = {}
        self._rows = 0
        self._counts: dict[Place | None, _Count] = {}

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        filler = getattr(call.module, "padding_idx", None)
        if isinstance(filler, int) and hasattr(call.module, "num_embeddings"):
            self._fillers.setdefault(int(call.module.num_embeddings), set()).add(filler)
        if not call.depth:
            given = next(tensors_in(call.args), None)
            self._rows = int(given.shape[0]) if given is not None and given.dim() else 0

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        given, target = operation.argument(0, "input"), operation.argument(1, "target")
        if not getattr(given, "requires_grad", False) or given.dim() < 2 or operation.result.dim():
            return
        fillers = self._fillers.get(int(given.shape[1]), set[int]())
        if len(fillers) != 1 or target.is_floating_point() or not self._rows:
            return
        if target.numel() % self._rows or target.numel() == self._rows:
            return
        filler = next(iter(fillers))
        tokens = target.detach().reshape(self._rows, -1)
        filled = tokens == filler
        count = self._counts.setdefault(operation.place, _Count(token=filler))
        count.seen += 1
        if not bool(filled.any()):
            return
        # Once a row is filled up it stays so to its end, and it begins with something else.
        ends = bool((filled[:, 1:] | ~filled[:, :-1]).all()) and not bool(filled[:, 0].any())
        weight = operation.argument(2, "weight")
        counted = operation.kwargs.get("ignore_index", -100) != filler
        counted = counted and (weight is None or float(weight[filler]) != 0)
        if ends and counted:
            count.wrong += 1
            count.targets += filled.numel()
            count.filled += int(filled.sum())

    def findings(self) -> Iterable[Finding]:
        """Return losses that count what fills rows up."""
        if self.scene.environments:
            return
        for place, count in self._counts.items():
            if count.wrong < _ENOUGH or 2 * count.wrong <= count.seen or count.filled < _SOME * count.targets:
                continue
            yield Finding(
                kind="padding-is-learnt",
                severity=Severity.WARNING,
                title=f"{count.filled / count.targets:.0%} of the targets are token {count.token}, with "
                "which rows are filled up, and the loss counts them.",
                evidence={
                    "token": count.token,
                    "targets": count.targets,
                    "targets_that_fill_up": count.filled,
                    "batches": count.wrong,
                },
                causes=(cause("padding-counted-in-loss", place),),
                next_check=f"pass ignore_index={count.token} to the loss, and leave them out of scores too",
                subject=str(place or ""),
            )
