"""Rows of a batch are strangers: what the model gives for one in evaluation mode depends on no other."""

from collections.abc import Iterator
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
from modelwright.doctor.probes.subject import Subject

__all__ = ["BatchRows"]

_ROWS = 8
_ROUNDING = 1e-3
"""Of the spread of outputs: arithmetic in another order differs by a thousandth of this."""


class BatchRows:
    """Changes other rows of a batch, and their order, and looks whether a row's output moves."""

    words = "whether rows of a batch meet in the model"
    share = 1.0

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        return subject.lacks("model", "sample")

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        sample = subject.sample
        assert sample is not None
        if sample.count < 4:
            return Outcome(unchecked=("whether rows of a batch meet: it takes four rows",))
        made = fork(subject, optimizer=False)
        made.model.eval()
        rows = min(_ROWS, sample.count // 2)
        one = take_rows(sample.inputs, range(rows))
        other = take_rows(sample.inputs, range(sample.count - rows, sample.count))
        with torch.no_grad():
            out = _output(made, one, rows)
            if out is None:
                return Outcome(unchecked=("whether rows of a batch meet: outputs have no axis of rows",))
            if not _same(out, _output(made, one, rows)):
                return Outcome(unchecked=("whether rows of a batch meet: the model draws random numbers",))
            found = list(_order(subject, made, one, out)) or list(_others(subject, made, one, other, out))
        return Outcome(findings=tuple(found))


def _output(made: Fork, inputs: Any, rows: int) -> Tensor | None:
    output = main_tensor(made.output(inputs))
    if output is None or not output.dim() or output.shape[0] != rows or not output.is_floating_point():
        return None
    return output.detach().double().reshape(rows, -1)


def _same(one: Tensor, other: Tensor | None) -> bool:
    return other is not None and _moved(one, other) < _ROUNDING


def _moved(one: Tensor, other: Tensor) -> float:
    """Return the largest difference over the largest size of what is compared."""
    return float((one - other).abs().max()) / max(float(one.abs().max()), float(other.abs().max()), 1e-12)


def _order(subject: Subject, made: Fork, inputs: Any, out: Tensor) -> Iterator[Finding]:
    """Turn the batch round: each row must get what it got."""
    turned = torch.arange(len(out) - 1, -1, -1)
    again = _output(made, take_rows(inputs, turned), len(out))
    if again is None or _same(out, again[turned]):
        return
    halves = [_output(made, take_rows(inputs, [at]), 1) for at in range(len(out))]
    alone = [each for each in halves if each is not None]
    evidence = {
        "largest_change_when_the_batch_is_turned_round": _moved(out, again[turned]),
        "largest_change_when_rows_come_alone": _moved(out, torch.cat(alone))
        if len(alone) == len(out)
        else None,
        "rows": len(out),
    }
    yield Finding(
        kind="rows-treated-by-place",
        severity=Severity.SEVERE,
        title="In evaluation mode a row's output depends on its place, or on the rows around it.",
        evidence=evidence,
        causes=_causes(subject),
        next_check="look for an operation over axis 0: a softmax or mean without dim, a view where a "
        "transpose belongs, a recurrent or attention layer without batch_first, a code of places on axis 0",
        subject=type(subject.model).__name__,
    )


def _others(subject: Subject, made: Fork, one: Any, other: Any, out: Tensor) -> Iterator[Finding]:
    """Keep one row and put others around it."""
    moved: list[float] = []
    for at in range(len(out)):
        keep = torch.arange(len(out))
        keep[at] += len(out)
        both = _beside(other, one)
        again = _output(made, take_rows(both, keep), len(out))
        if again is None:
            return
        moved.append(_moved(out[at], again[at]))
    if max(moved) < _ROUNDING:
        return
    yield Finding(
        kind="rows-mixed",
        severity=Severity.SEVERE,
        title="In evaluation mode a row's output changes when other rows of its batch do.",
        evidence={"change_of_each_row_when_all_others_change": moved, "rows": len(out)},
        causes=_causes(subject),
        next_check="look for an operation over axis 0: statistics of the batch in evaluation mode, a softmax "
        "or mean without dim, attention without batch_first",
        subject=type(subject.model).__name__,
    )


def _beside(first: Any, second: Any) -> Any:
    from modelwright.doctor.probes.rows import join_rows

    return join_rows([first, second])


def _causes(subject: Subject) -> tuple[Any, ...]:
    place = origin_of(subject.model)
    return tuple(
        cause(name, place) for name in ("rows-mixed", "axes-mixed-by-reshape", "softmax-over-wrong-axis")
    )
