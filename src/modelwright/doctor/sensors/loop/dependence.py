"""What an output depends on: other rows of the batch, and what comes later in a sequence."""

import contextlib
import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.influence import FAR, influence
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor
from modelwright.doctor.watch.tensors import any_nonzero, tensors_in

__all__ = ["Dependence"]

_ENOUGH = 3
_LARGEST = 2**21

_LOSSES = ("cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """One call of a model.

    Attributes:
        model: The model.
        args: What it was given, by name last.
        keywords: Those names.
        at: Which of them is the input, the first tensor.
        by_row: Whether labels say that the first axis is that of rows.
    """

    model: Any
    args: tuple[Any, ...]
    keywords: tuple[str, ...]
    at: int
    by_row: bool


@dataclass(slots=True)
class _Sequences:
    """Tokens that went into a model, and those that it is to give, by how far the latter are ahead."""

    seen: int = 0
    ahead: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0, 2: 0})


class Dependence(Sensor):
    """Keeps inputs of the first steps; at the end, changes them one by one and looks at what else changes."""

    closely = frozenset({"on_backward"})
    operations = frozenset({"softmax", *_LOSSES})

    by_phase: ClassVar[bool] = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._call: Call | None = None
        self._target: tuple[Any, int] | None = None
        self._kept: list[_Kept] = []
        self._crosswise: Any = None
        self._masked = False
        self._sequences = _Sequences()
        self._place: Any = None
        self._found: list[Finding] = []

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.depth == 0 and call.grad and not self.scene.environments:
            self._call = call

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if operation.name == "softmax":
            if operation.inside:
                self._note_softmax(operation)
            return
        target = operation.argument(1, "target")
        if hasattr(target, "shape") and operation.argument(0, "input").requires_grad:
            self._target = (target, int(operation.kwargs.get("ignore_index", -100)))
            self._place = operation.place

    def _note_softmax(self, operation: Operation) -> None:
        given, axis = operation.argument(0, "input"), operation.argument(1, "dim")
        if given.dim() >= 3 and isinstance(axis, int) and axis not in (-1, given.dim() - 1):
            self._crosswise = operation.place
        elif given.dim() >= 3 and given.shape[-1] == given.shape[-2] >= 3 and not self._masked:
            shares = operation.result.detach()
            self._masked = not any_nonzero(shares.triu(1)) and any_nonzero(shares.tril(-1))

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        call, target = self._call, self._target
        self._call = self._target = None
        if call is None:
            return
        at, given = next(((at, x) for at, x in enumerate(call.args) if hasattr(x, "detach")), (0, None))
        if given is None or given.dim() < 2:
            return
        if given.dim() == 2 and not given.is_floating_point() and target is not None:
            self._note(given, *target)
        rows = given.shape[0]
        whole = all(x.dim() and x.shape[0] == rows for x in call.args if hasattr(x, "detach"))
        if len(self._kept) < 2 and given.numel() <= _LARGEST and whole:
            # Without a loss that is known, rows are those of a table of numbers only.
            labels = target[0] if target is not None else None
            alone = given.shape[1] if given.dim() == 2 and not given.is_floating_point() else -1
            self._kept.append(
                _Kept(
                    model=call.module,
                    args=tuple(x.detach().clone() if hasattr(x, "detach") else x for x in call.args),
                    keywords=call.keywords,
                    at=at,
                    by_row=labels is not None
                    and labels.dim() > 0
                    and labels.numel() == labels.shape[0] == rows != alone,
                )
            )

    def _note(self, given: Any, target: Any, ignored: int) -> None:
        """Compare tokens (row, time) with targets, of all times or of all but the last."""
        rows, times = given.shape
        if target.is_floating_point() or times < 4:
            return
        for length in (times, times - 1):
            if target.numel() == rows * length:
                labels = target.detach().reshape(rows, length)
                break
        else:
            return
        self._sequences.seen += 1
        for ahead in self._sequences.ahead:
            end = min(length, times - ahead)
            here, there = labels[:, :end], given[:, ahead : ahead + end]
            counted = here != ignored
            self._sequences.ahead[ahead] += bool(counted.sum() >= 8 and (here == there)[counted].all())

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._call = self._target = None

    # ---- at the end ----

    def on_end(self) -> None:
        """See `Sensor`."""
        if len(self._kept) < 2 or self.scene.environments:
            return
        one, other = self._kept
        given, rest = one.args[one.at], other.args[other.at]
        if one.model is not other.model or given.shape[1:] != rest.shape[1:] or given.shape[0] < 3:
            return
        if given.shape == rest.shape and bool((given == rest).all()):
            return  # always the same rows: perhaps no batch but one whole, a graph for example
        with contextlib.suppress(Exception):  # a stranger's copy or forward
            self._try(copy.deepcopy(one.model).eval(), given, rest, one.by_row)

    def _try(self, twin: Any, given: Any, other: Any, by_row: bool) -> None:
        import torch

        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            plain = self._output(twin, given)
            if plain is None or not bool(torch.isfinite(plain).all()):
                return
            if not torch.equal(self._output(twin, given), plain):
                return  # the model is random in evaluation mode too
            rows = self._mixes(twin, given, other, plain, 0)
            times = plain.dim() >= 2 and plain.shape[1] == given.shape[1] >= 3
            across = times and self._mixes(twin, given, other, plain, 1) is not None
            flat = given.dim() == 2 and given.is_floating_point()
            seen, ahead = self._sequences.seen, self._sequences.ahead
            timed = seen >= _ENOUGH and max(ahead.values()) == seen  # so the second axis is time
            if rows is not None and (flat or by_row or across or timed):
                self._found.append(self._mixed(twin, rows))
            elif self._sequences.seen >= _ENOUGH:
                self._judge_sequences(self._sees_future(twin, given, plain))

    def _output(self, twin: Any, given: Any) -> Any:
        kept = self._kept[0]
        args = [*kept.args[: kept.at], given, *kept.args[kept.at + 1 :]]
        count = len(args) - len(kept.keywords)
        output = twin(*args[:count], **dict(zip(kept.keywords, args[count:], strict=True)))
        found = (x for x in tensors_in(output) if x.dim() >= 1 and x.shape[0] == given.shape[0])
        first = next(found, None)
        return None if first is None else first.double()

    def _mixes(self, twin: Any, given: Any, other: Any, plain: Any, axis: int) -> float | None:
        """Return how far outputs of other places of an axis move when one place's input changes."""
        new = other.select(axis, 0) if other.shape[axis] else None
        if new is None or new.shape != given.select(axis, 0).shape:
            new = given.select(axis, -1)
        return influence(lambda inputs: self._output(twin, inputs), given, new, axis, plain)

    def _sees_future(self, twin: Any, given: Any, plain: Any) -> bool | None:
        """Return whether outputs depend on what comes later; None where there is one output for all times."""
        if plain.dim() < 2 or plain.shape[1] != given.shape[1]:
            return None
        changed = given.clone()
        changed[:, -1] = given[:, 0].roll(1)
        if bool((changed == given).all()):
            return None
        after = self._output(twin, changed)
        moved = (after - plain)[:, :-1].abs().max()
        return float(moved) / (float(plain.std()) + 1e-12) > FAR

    def _mixed(self, twin: Any, far: float) -> Finding:
        statistics = [
            type(part).__name__
            for part in twin.modules()
            if "Norm" in type(part).__name__
            and getattr(part, "track_running_stats", True) is False
            and type(part).__name__.startswith("Batch")
        ]
        names = ("examples-mixed", "batch-statistics-in-evaluation")
        return Finding(
            kind="rows-depend-on-each-other",
            severity=Severity.SEVERE,
            title="In evaluation mode, what a row of a batch gets changes when another row does.",
            evidence={
                "largest_change_over_deviation": far,
                "normalisations_without_running_statistics": statistics,
            },
            causes=self._with_softmax(*(reversed(names) if statistics else names)),
            next_check="give one row alone and among others; look for a reshape, a transpose, a mean or a "
            "softmax over axis 0",
        )

    def _of_future(self) -> tuple[str, ...]:
        """Return causes: where attention was masked, what it gave is put together wrongly afterwards."""
        names = ("causal-mask-missing", "axes-mixed-by-reshape")
        return names[::-1] if self._masked else names[:1]

    def _with_softmax(self, *names: str) -> tuple[Cause, ...]:
        """Return causes, before them a softmax that runs over another axis than the last."""
        found = tuple(cause(name) for name in names)
        if self._crosswise is None:
            return found
        return (cause("softmax-over-wrong-axis", self._crosswise), *found)

    def _judge_sequences(self, future: bool | None) -> None:
        seen, ahead = self._sequences.seen, self._sequences.ahead
        evidence = {"batches": seen, "batches_with_targets_ahead": {str(k): v for k, v in ahead.items()}}
        if ahead[1] == seen and future:
            self._found.append(
                Finding(
                    kind="future-is-seen",
                    severity=Severity.SEVERE,
                    title="Outputs depend on later tokens, and the targets are those: the model may copy.",
                    evidence=evidence,
                    causes=self._with_softmax(*self._of_future()),
                    next_check="mask attention above the diagonal; change the last token and see that no "
                    "earlier output moves",
                )
            )
        elif ahead[0] == seen and ahead[1] < seen and future is False:
            self._found.append(self._shifted("labels-not-shifted", "the tokens that it is given", evidence))
        elif ahead[2] == seen and ahead[1] < seen:
            self._found.append(self._shifted("labels-shifted-twice", "tokens two places ahead", evidence))

    def _shifted(self, name: str, words: str, evidence: dict[str, Any]) -> Finding:
        return Finding(
            kind="targets-at-another-place",
            severity=Severity.SEVERE,
            title=f"The model is to give {words}, not the next ones.",
            evidence=evidence,
            causes=(cause(name, self._place),),
            next_check="print one row of tokens and of targets: targets[t] is tokens[t + 1]",
        )

    def findings(self) -> Iterable[Finding]:
        """Return what was found at the end."""
        return self._found
