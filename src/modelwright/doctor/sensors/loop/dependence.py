"""What an output depends on: other rows of the batch, and what comes later in a sequence."""

import contextlib
import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.influence import influence
from modelwright.doctor.sensors.loop.losses.loss_sign import LOSSES
from modelwright.doctor.sensors.loop.sequences import Lane, Sequences, reach
from modelwright.doctor.sensors.loop.unread_steps import check_unread_steps
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor
from modelwright.doctor.watch.tensors import Unreadable, any_nonzero, tensors_in

__all__ = ["Dependence"]

_LARGEST = 2**21

_DIFFERENCES = ("sub", "__sub__", "rsub", "__rsub__")


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


class Dependence(Sensor):
    """Keeps inputs of the first steps; at the end, changes them one by one and looks at what else changes."""

    closely = frozenset({"on_backward"})
    operations = frozenset({"softmax", "conv1d", "pad", *LOSSES, *_DIFFERENCES})

    by_phase: ClassVar[bool] = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._call: Call | None = None
        self._target: tuple[Any, int] | None = None
        self._kept: list[_Kept] = []
        self._crosswise: Any = None
        self._masked = self._convolves = False
        self._padded_at: Place | None = None
        self._sequences = Sequences()
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
        if operation.name in ("conv1d", "pad"):
            if operation.name == "pad" or self._padded_at is None:
                self._padded_at = operation.place
            self._convolves |= operation.name == "conv1d" and operation.argument(1, "weight").shape[-1] > 1
            return
        said, target = operation.argument(0, "input"), operation.argument(1, "target")
        if operation.name in _DIFFERENCES:
            if operation.inside or self._target is not None or len(operation.args) != 2:
                return
            said, target = operation.args
            if not getattr(said, "requires_grad", False):
                said, target = target, said
            if getattr(target, "requires_grad", True) or getattr(said, "shape", None) != target.shape:
                return
        if hasattr(target, "shape") and said.requires_grad:
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
        if target is not None:
            self._sequences.note(call.args, *target)
        rows = given.shape[0]
        whole = _are_by_row(call.args, rows)
        if target is not None and target[0].dim() and target[0].shape[0] < rows:
            whole = False  # rows that the loss leaves out are there for the others: a graph's, for example
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
        if one.model is not other.model or given.dim() != rest.dim() or given.shape[0] < 3:
            return
        if given.shape == rest.shape and bool((given == rest).all()):
            return  # always the same rows: perhaps no batch but one whole, a graph for example
        with contextlib.suppress(Exception):  # a stranger's copy or forward
            self._try(copy.deepcopy(one.model).eval(), given, rest, one.by_row)

    def _try(self, twin: Any, given: Any, other: Any, by_row: bool) -> None:
        plain = self._plain(twin, given)
        if plain is None:
            self._judge_sequences(twin)
            return
        unread = check_unread_steps(partial(self._output, twin), twin, given, plain, self._place)
        if unread is not None:
            self._found.append(unread)
            return
        rows = self._mixes(twin, given, other, plain, 0)
        times = plain.dim() >= 2 and plain.shape[1] == given.shape[1] >= 3
        across = times and self._mixes(twin, given, other, plain, 1) is not None
        # Where rows of numbers are not equally long, the first axis may be that of time.
        flat = given.dim() == 2 and given.is_floating_point() and given.shape[1:] == other.shape[1:]
        if rows is not None and (flat or by_row or across or self._sequences.timed):
            self._found.append(self._mixed(twin, rows))
        else:
            self._judge_sequences(twin)

    def _plain(self, twin: Any, given: Any, at: int = -1) -> Any:
        """Return what a copy gives for an input as it is; None where that is not finite, or random."""
        plain = self._output(twin, given, at)
        if plain is None or not bool(plain.isfinite().all()):
            return None
        for start in (1, 2, 3):  # some models are random in evaluation mode too
            again = self._output(twin, given, at, start)
            if plain.shape != again.shape or not bool((plain == again).all()):
                return None
        return plain

    def _output(self, twin: Any, given: Any, at: int = -1, start: int = 0) -> Any:
        """Return what a copy gives for an input; rows and times may be one axis if its number is given."""
        import torch

        from modelwright.doctor.probes.preserved import preserved

        kept = self._kept[0]
        sizes = {given.shape[0]} if at < 0 else {given.shape[0], given.shape[0] * given.shape[1]}
        at = kept.at if at < 0 else at
        args = [*kept.args[:at], given, *kept.args[at + 1 :]]
        count = len(args) - len(kept.keywords)
        with preserved(start), torch.no_grad():
            output = twin(*args[:count], **dict(zip(kept.keywords, args[count:], strict=True)))
        found = (x for x in tensors_in(output) if x.dim() >= 1 and x.shape[0] in sizes)
        first = next(found, None)
        return None if first is None else first.double()

    def _mixes(self, twin: Any, given: Any, other: Any, plain: Any, axis: int) -> float | None:
        """Return how far outputs of other places of an axis move when one place's input changes."""
        new = other.select(axis, 0) if other.shape[axis] else None
        if new is None or new.shape != given.select(axis, 0).shape:
            new = given.select(axis, -1)
        return influence(lambda inputs: self._output(twin, inputs), given, new, axis, plain)

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
        if self._convolves:
            return "causal-padding-lost", names[0]
        return names[::-1] if self._masked else names[:1]

    def _with_softmax(self, *names: str) -> tuple[Cause, ...]:
        """Return causes, before them a softmax that runs over another axis than the last."""
        found = tuple(cause(n, self._padded_at if n == "causal-padding-lost" else None) for n in names)
        if self._crosswise is None:
            return found
        return (cause("softmax-over-wrong-axis", self._crosswise), *found)

    def _judge_sequences(self, twin: Any) -> None:
        reached: list[tuple[Lane, int, tuple[bool, bool] | None, str, dict[str, Any]]] = []
        for lane, ahead, evidence in self._sequences.known:
            given = self._kept[0].args[lane.at]
            plain = self._plain(twin, given, lane.at)
            if plain is not None:
                ask = partial(self._output, twin, at=lane.at)
                word = "numbers" if given.is_floating_point() else "tokens"
                reached.append((lane, ahead, reach(ask, given, lane, ahead, plain), word, evidence))
        for lane, ahead, seen, word, evidence in reached:
            # Of targets at the same place either axis may be that of time: both have to show it.
            alike = [each[2] for each in reached if each[0].at == lane.at]
            if ahead or all(each == seen for each in alike):
                self._judge_lane(ahead, seen, word, evidence)
            if self._found:
                return

    def _judge_lane(
        self, ahead: int, seen: tuple[bool, bool] | None, word: str, evidence: dict[str, Any]
    ) -> None:
        if seen is not None and seen[0] and (ahead == 1 or (ahead and word == "numbers")):
            self._found.append(
                Finding(
                    kind="future-is-seen",
                    severity=Severity.SEVERE,
                    title=f"Outputs depend on later {word}, and the targets are those: the model may copy.",
                    evidence=evidence,
                    causes=self._with_softmax(*self._of_future()),
                    next_check="mask attention above the diagonal, pad convolutions at the beginning only; "
                    f"change the last of the {word} and see that no earlier output moves",
                )
            )
        elif word == "tokens" and ahead == 0 and seen == (False, True):
            self._found.append(self._shifted("labels-not-shifted", "the tokens that it is given", evidence))
        elif word == "tokens" and ahead == 2:
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


def _are_by_row(values: Sequence[Any], rows: int) -> bool:
    """Return whether what a model is given may have a part for each row, and tells nothing of pairs."""
    if any(isinstance(each, Unreadable) for each in values):
        return False
    given = [tuple(each.shape) for each in values if hasattr(each, "detach")]
    return all(each[:1] == (rows,) for each in given) and (len(given) == 1 or (rows, rows) not in given)
