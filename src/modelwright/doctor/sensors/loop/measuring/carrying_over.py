"""Whether what a classifier learnt holds for the rows that it is measured on."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.losses.loss_sign import LOSSES
from modelwright.doctor.sensors.loop.measuring.token_pairs import TokenPairs
from modelwright.doctor.sensors.rows.labels.pairing import lost_relation
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor
from modelwright.doctor.watch.tensors import tensors_in

__all__ = ["CarryingOver"]

_EARLY, _OFTEN, _SELDOM = 200, 4, 16
"""Until so many steps one batch that is learnt in so many is read, and later one in so many."""

_LATE = 0.75
_FEWEST_LEARNT, _FEWEST_MEASURED, _FEWEST_STEPS = 200, 100, 60
_LEARNT, _AT_MOST = 0.6, 0.2
"""Agreement beyond chance, 1 where all are right: that a model reaches at least on what it learns, and at
most, with two standard errors, on what it is measured on at last. Earlier it may have been twice that: where
labels are exchanged by chance, clear kinds of rows go with one or another all the same."""

_PURE = 0.8
"""Share of each class that is given one and the same other name."""

_ENOUGH, _AGAINST = 3, -0.3
_FEWEST_RIGHT, _HARDLY = 40.0, 0.2
"""Rows of what is learnt that would be right by chance, at least, and the share of them that are, at most."""

_MOST_CLASSES, _MOST_STRETCHES, _MOST_BATCHES = 100, 200, 64


@dataclass(slots=True)
class _Model:
    """What one model said of rows with known classes, as (class, prediction) -> rows.

    Attributes:
        learnt: (step, table) of some batches that were learnt.
        measured: ((step, dataset), table) of stretches without gradients between two steps.
        batches: Of the last of these.
        against: (step, correlation) of what it said in batches that were learnt with targets of 0 and 1.
        pairs: Rows of tokens, with their classes.
        place: Of the line that measured last.
    """

    module: Any
    learnt: deque[tuple[int, NDArray[np.int64]]] = field(
        default_factory=lambda: deque[tuple[int, NDArray[np.int64]]](maxlen=64)
    )
    measured: list[tuple[tuple[int, int], NDArray[np.int64]]] = field(
        default_factory=list[tuple[tuple[int, int], NDArray[np.int64]]]
    )
    against: deque[tuple[int, float]] = field(default_factory=lambda: deque[tuple[int, float]](maxlen=64))
    pairs: TokenPairs = field(default_factory=TokenPairs)
    batches: int = 0
    place: Place | None = None
    learnt_at: Place | None = None


class CarryingOver(Sensor):
    """Compares predictions with the labels that a loader, or the call itself, gave beside the rows."""

    by_phase = True
    operations = LOSSES
    unless_acting = frozenset({"on_forward"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._models: list[_Model] = []
        self._batch: Any = None
        self._dataset = 0
        self._known = self._ended = False
        self._first = scene.steps

    def on_batch(self, loader: Any, batch: Any) -> None:
        """See `Sensor`."""
        self._batch, self._dataset = batch, id(getattr(loader, "_dataset", None))

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        self._known |= bool(operation.argument(0, "input").requires_grad)

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """See `Sensor`."""
        import torch

        batch, self._batch = self._batch, None  # what is called next may be given other rows
        graded, steps = torch.is_grad_enabled(), self.scene.steps - self._first
        if graded and steps % (_OFTEN if steps < _EARLY else _SELDOM):
            return
        learnt = graded and module.training
        if learnt or not graded:
            self._model(module).pairs.add(args, batch, learnt=learnt)
        if learnt:
            self._learns(self._model(module), steps, output, args, batch)
        elif not graded:
            table = _table(output, args, batch)
            if table is not None:
                self._measures(self._model(module), (steps, self._dataset), table)

    def _learns(self, mine: _Model, steps: int, output: Any, args: tuple[Any, ...], batch: Any) -> None:
        table = _table(output, args, batch)
        mine.learnt_at = mine.learnt_at or place_of_caller()
        if table is not None:
            mine.learnt.append((steps, table))
        else:
            correlation = _correlation(output, args, batch)
            if correlation is not None:
                mine.against.append((steps, correlation))

    def _measures(self, mine: _Model, steps: tuple[int, int], table: NDArray[np.int64]) -> None:
        if mine.measured and mine.measured[-1][0] == steps:
            mine.batches += 1
            if mine.batches < _MOST_BATCHES and mine.measured[-1][1].shape == table.shape:
                mine.measured[-1] = steps, mine.measured[-1][1] + table
        elif len(mine.measured) < _MOST_STRETCHES:
            mine.batches = 0
            mine.measured.append((steps, table))
            mine.place = place_of_caller()

    def _model(self, module: Any) -> _Model:
        for each in self._models:
            if each.module is module:
                return each
        self._models = [*self._models[-3:], _Model(module)]
        return self._models[-1]

    def on_end(self) -> None:
        """See `Sensor`."""
        self._ended = True

    def findings(self) -> Iterable[Finding]:
        """Return classes that held-out rows are not told by, or are given under other names."""
        steps = self.scene.steps - self._first
        for each in self._models:
            if steps < _FEWEST_STEPS:
                continue
            said = [found for step, found in each.against if step >= _LATE * steps]
            # Of losses that torch knows the targets are known, perhaps not those of the loader.
            if not self._known and len(said) >= _ENOUGH and max(said) < _AGAINST:
                yield self._raised(each, {"correlation_with_targets": said[-20:]})
            lost = list(self._lost(each))
            if lost:
                yield from lost
                continue
            late = [table for step, table in each.learnt if step >= _LATE * steps]
            if not late:
                continue
            learnt = np.sum([table for table in late if table.shape == late[-1].shape], axis=0)
            right, expected = float(np.trace(learnt)), _expected(learnt)
            if not self._known and expected >= _FEWEST_RIGHT and right <= _HARDLY * expected:
                yield self._raised(
                    each, {"rows_learnt": int(learnt.sum()), "right": right, "by_chance": expected}
                )
            measured = [each for each in each.measured if each[1].sum() >= _FEWEST_MEASURED]
            if not measured or measured[-1][0][0] < _LATE * steps or learnt.sum() < _FEWEST_LEARNT:
                continue
            if _agreement(learnt)[0] < _LEARNT:
                continue
            for dataset in dict.fromkeys(key[1] for key, _ in measured):
                yield from self._named(each, learnt, [table for key, table in measured if key[1] == dataset])
            yield from self._judge(each, learnt, [table for _, table in measured])

    def _raised(self, model: _Model, evidence: dict[str, Any]) -> Finding:
        name = type(model.module).__name__
        return Finding(
            kind="loss-is-raised",
            severity=Severity.WARNING,
            title=f"{name} has learnt to say the opposite of its targets.",
            evidence=evidence,
            causes=(cause("loss-sign-flipped", self.scene.place_of("loss") or model.learnt_at),),
            next_check="print targets beside what the model says of them before and after learning; turn the "
            "sign of the loss, or of the part of it that falls as they part",
            subject=name,
        )

    def _lost(self, model: _Model) -> Iterable[Finding]:
        relation = model.pairs.relation() if self._ended else None
        if relation is not None and relation.lost_in:
            place = model.learnt_at if relation.lost_in == "learnt" else model.place
            yield lost_relation(type(model.module).__name__, relation, place)

    def _named(
        self, model: _Model, learnt: NDArray[np.int64], measured: Sequence[NDArray[np.int64]]
    ) -> Iterable[Finding]:
        name, evidence = type(model.module).__name__, _evidence(learnt, measured)
        names = [_other_names(each) for each in measured]
        if names[-1] is not None and all(each == names[-1] for each in names[len(names) // 2 :]):
            off = {(to - of) % len(names[-1]) for of, to in enumerate(names[-1])}
            order = ["labels-off-by-one", "category-codes-refitted"]
            yield Finding(
                kind="classes-named-otherwise",
                severity=Severity.SEVERE,
                title=f"{name} tells classes of the measured rows apart, and each has another number than "
                "where it was learnt.",
                evidence={**evidence, "prediction_for_each_class": list(names[-1])},
                causes=tuple(cause(each, model.place) for each in (order if len(off) == 1 else order[::-1])),
                next_check="code classes once, for all rows, before they are split",
                subject=name,
            )

    def _judge(
        self, model: _Model, learnt: NDArray[np.int64], measured: Sequence[NDArray[np.int64]]
    ) -> Iterable[Finding]:
        name, evidence = type(model.module).__name__, _evidence(learnt, measured)
        agreements = [_agreement(each) for each in measured]
        found, error = agreements[-1]
        if found + 2 * error <= _AT_MOST and max(agreements)[0] <= 2 * _AT_MOST:
            yield Finding(
                kind="targets-of-other-rows",
                severity=Severity.WARNING,
                title=f"{name} is right of {evidence['share_right_of_learnt']:.0%} of what it learns, and of "
                "what it is measured on tells hardly more than chance does.",
                evidence=evidence | {"agreement_beyond_chance": found, "standard_error": error},
                causes=(
                    cause("features-shuffled-against-labels", model.learnt_at),
                    cause("preprocessing-differs-at-evaluation", model.place),
                ),
                next_check="look at ten rows beside their labels, of both parts; measure on what was learnt",
                subject=name,
            )


def _evidence(learnt: NDArray[np.int64], measured: Sequence[NDArray[np.int64]]) -> dict[str, Any]:
    return {
        "share_right_of_learnt": float(np.trace(learnt) / learnt.sum()),
        "share_right_of_measured": [float(np.trace(each) / each.sum()) for each in measured][-20:],
        "rows_measured": int(measured[-1].sum()),
    }


def _correlation(output: Any, args: tuple[Any, ...], batch: Any) -> float | None:
    """Return that of an output with as many targets of 0 and 1; None where these are not known."""
    said = next(tensors_in(output), None)
    if said is None or not said.is_floating_point() or not _is_of(batch, args):
        return None
    pointers = {each.data_ptr() for each in tensors_in(args)}
    alike = [
        each
        for each in tensors_in(batch)
        if each.numel() == said.numel() and each.shape[0] == said.shape[0] and each.data_ptr() not in pointers
    ]
    if len(alike) != 1:
        return None
    true = alike[0].detach().reshape(-1).double()
    if not bool(((true == 0) | (true == 1)).all()) or not 0 < float(true.mean()) < 1:
        return None
    one, other = said.detach().reshape(-1).double(), true
    apart = one - one.mean()
    size = float(apart.norm() * (other - other.mean()).norm())
    return float((apart * other).sum()) / size if 0 < size < np.inf else None


def _expected(table: NDArray[np.int64]) -> float:
    """Return how many rows would be right if predictions went with no class."""
    return float(table.sum(axis=0) @ table.sum(axis=1)) / float(table.sum())


def _table(output: Any, args: tuple[Any, ...], batch: Any) -> NDArray[np.int64] | None:
    """Return rows by class and prediction; None where classes are not known for sure."""
    leaves = [each for each in tensors_in(output) if each.dim() == 2 and each.is_floating_point()]
    if not leaves or not 2 <= leaves[0].shape[1] <= _MOST_CLASSES or not len(leaves[0]):
        return None
    said, rows = leaves[0].detach(), int(leaves[0].shape[0])
    given = [each for each in tensors_in(args) if _is_column(each, rows)]
    pointers = {each.data_ptr() for each in given}
    beside = [each for each in tensors_in(batch) if _is_column(each, rows)]
    labels = [each for each in beside if each.data_ptr() not in pointers] or given
    if len(labels) != 1 or not _is_of(batch, args):
        return None
    true = labels[0].detach().reshape(-1).cpu().numpy()
    classes = int(said.shape[1])
    if true.min() < 0 or true.max() >= classes:
        return None
    predicted = said.argmax(dim=1).cpu().numpy()
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def _is_of(batch: Any, args: tuple[Any, ...]) -> bool:
    """Return whether a model's input is of the size of something in the batch that came last."""
    given = next(tensors_in(args), None)
    return given is not None and any(each.numel() == given.numel() for each in tensors_in(batch))


def _is_column(tensor: Any, rows: int) -> bool:
    if tensor.is_floating_point() or tensor.is_complex() or str(tensor.dtype) == "torch.bool":
        return False
    return tensor.numel() == rows and bool(tensor.dim()) and tensor.shape[0] == rows


def _agreement(table: NDArray[np.int64]) -> tuple[float, float]:
    """Return Cohen's kappa, agreement beyond chance, and its standard error where there is none."""
    total = int(table.sum())
    shares = table / total
    chance = float(shares.sum(axis=0) @ shares.sum(axis=1))
    if chance >= 1:
        return 0.0, 1.0
    return float((np.trace(shares) - chance) / (1 - chance)), float(np.sqrt(chance / (1 - chance) / total))


def _other_names(table: NDArray[np.int64]) -> tuple[int, ...] | None:
    """Return what each class is predicted as, where nearly all of it is one other class, of no other."""
    counts = table.sum(axis=1)
    if len(table) < 3 or counts.min() < 10:
        return None  # of two classes, a model that is always wrong may have learnt just that
    names = tuple(table.argmax(axis=1).tolist())
    pure = (table.max(axis=1) >= _PURE * counts).all()
    other = sum(name != at for at, name in enumerate(names))
    return names if pure and other >= 2 and len(set(names)) == len(names) else None
