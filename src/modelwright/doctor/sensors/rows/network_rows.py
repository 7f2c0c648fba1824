"""Follows rows into networks: what is learnt, with which targets, and what is measured."""

import math
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding
from modelwright.doctor.sensors.rows.copies import join_copies
from modelwright.doctor.sensors.rows.estimator_kind import kind_of
from modelwright.doctor.sensors.rows.evaluations import Evaluations
from modelwright.doctor.sensors.rows.input_table import input_table
from modelwright.doctor.sensors.rows.learner import Learner, Mixed
from modelwright.doctor.sensors.rows.loss_targets import targets_of
from modelwright.doctor.sensors.rows.network_checks import Score, check_networks
from modelwright.doctor.sensors.rows.own_losses import asked_of
from modelwright.doctor.sensors.rows.scores.differences import Differences
from modelwright.doctor.sensors.rows.sheet import values_of
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Estimation, Operation, Scene, Sensor
from modelwright.doctor.watch.tensors import tensors_in

__all__ = ["NetworkRows"]

_LARGEST_OUTPUT = 1_000_000
_MOST_LEARNERS = 3
_MOST_WAITING = 16
_LEAST_S, _SHARE = 1.0, 0.04
_MOST_MIXED = 64
_MOST_SCORES, _MOST_SCORED = 8, 50_000
_LOSSES = (
    *("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"),
    *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"),
)
_DIFFERENCES = ("sub", "__sub__", "__rsub__", "rsub", "gather")
_COMPARES = ("eq", "__eq__", "ne", "__ne__")
_COUNTS = frozenset(
    (
        *(
            "argmax",
            "max",
            "squeeze",
            "flatten",
            "view",
            "reshape",
            "detach",
            "cpu",
            "to",
            "gt",
            "__gt__",
            "ge",
        ),
        *("__ge__", "float", "long", "int", "bool", "double", "sum", "mean", "item", "add", "__add__"),
        *("__iadd__", "add_", "__radd__", "div", "__truediv__", "__itruediv__", "true_divide", "mul"),
        *("__mul__", "__imul__", "sigmoid", "softmax", "log_softmax", "cat", "__getitem__", "shape", "numel"),
        *("type", "clone", "round", "topk", "relu", "_set_grad_enabled"),
    )
)
"""What is done to answers in order to count right ones, or to compute the loss beside."""


class NetworkRows(Sensor):
    """Keeps different rows that networks learn from and are measured on, up to 20,000 of each."""

    unless_acting = frozenset({"on_backward", "on_batch", "on_forward"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._learners: list[Learner] = []
        self._waiting: list[tuple[Learner, NDArray[np.float32], Any, bool]] = []
        self._skipped = False
        self._batch: list[Any] = []
        self._asked: tuple[Learner, NDArray[np.int64], NDArray[Any] | None] | None = None
        self._mixed: Mixed | None = None
        self._scaled_at: Place | None = None
        self._counted: tuple[Learner, Place | None] | None = None
        self._otherwise = False
        self._scores: list[Score] = []
        self._differences = Differences()
        self._findings: list[Finding] = []
        self._began = time.perf_counter()
        self._spent = 0.0
        self._ended = False
        self._evaluations = Evaluations()

    # ---- what comes ----

    def on_batch(self, loader: Any, batch: Any) -> None:
        """See `Sensor`."""
        leaves = [each for each in tensors_in(batch) if each.dim() and not each.requires_grad]
        self._batch = [each for each in leaves if each.numel() == each.shape[0]]

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """See `Sensor`."""
        if self._ended:
            return
        import torch

        began = time.perf_counter()
        learner = self._learner(module)
        graded, mode = torch.is_grad_enabled(), module.training or learner.still
        goes_on = graded and mode and learner.recorded
        if goes_on and learner.learnt.rests():
            self._skipped = True
            return
        args, said, target = asked_of(learner, args, output)
        if said is None or not said.dim() or said.numel() > _LARGEST_OUTPUT:
            return
        learner.outputs = int(said.shape[1]) if said.dim() == 2 else 0
        if not graded:
            self._evaluations.ask(learner, args, said)
        recorded = learner.recorded = graded and said.requires_grad
        learns = recorded and mode
        side = learner.learnt if learns else learner.asked
        tried = goes_on and learns  # above
        if not tried and side.rests() and (learns or not side.whole or self._is_known(learner, args, said)):
            self._skipped |= learns
            return
        if self._spent > _LEAST_S and self._spent > _SHARE * (began - self._began):
            side.whole = False
            self._skipped |= learns
            return
        table = input_table(args, int(said.shape[0]))
        if table is None or not side.rows.fits(table.shape[1]):
            side.whole = side.whole and table is None
            self._skipped |= learns
            return
        if recorded:
            learner.shape = _shape_of(args, table.shape[1])
            if learner.place is None:
                learner.place, learner.within = place_of_caller(), self.scene.estimating
            self._waiting = self._waiting[1 - _MOST_WAITING :]
            self._waiting.append((learner, table, said.detach(), module.training))
        else:
            self._measure(learner, table, said)
            if target is not None:
                self._true(values_of(target.detach().reshape(-1)))
        self._spent += time.perf_counter() - began

    def _is_known(self, learner: Learner, args: tuple[Any, ...], said: Any) -> bool:
        """Return whether some rows of a batch were met before, on one side: others seldom are new."""
        some = input_table(args, int(said.shape[0]), some=True)
        return some is None or not learner.asked.rows.fits(some.shape[1]) or learner.knows(some)

    def _learner(self, module: Any) -> Learner:
        for each in reversed(self._learners):
            if each.module is module:
                return each
        learner = Learner(module=module, name=type(module).__name__)
        self._learners = [*self._learners[1 - _MOST_LEARNERS :], learner]
        self._evaluations.keep(self._learners)
        return learner

    # ---- learning ----

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        waiting, self._waiting = self._waiting, []
        skipped, self._skipped = self._skipped, False
        if not waiting or skipped or loss.grad_fn is None:
            return
        began = time.perf_counter()
        for learner in {id(each[0]): each[0] for each in waiting}.values():
            mine = [each for each in waiting if each[0] is learner]
            _, table, said, mode = mine[-1]
            for _, other, output, training in mine[:-1]:
                if mode and not training:
                    self._measure(learner, other, output)
                else:
                    learner.learnt.add(other, self.scene.steps)
            places = learner.learnt.add(table, self.scene.steps)
            learner.still |= not mode
            target = targets_of(loss, said) if len(mine) == 1 else None
            if target is not None:
                learner.floats |= target.dtype.kind == "f"
                learner.learnt.say(places, target)
        self._spent += time.perf_counter() - began

    # ---- measuring ----

    def _measure(self, learner: Learner, table: NDArray[np.float32], output: Any) -> None:
        learnt = learner.learnt.rows.places(table)
        fresh = learnt < 0
        said = _said(output)
        self._asked = self._mixed = None
        if not fresh.any():
            learner.asked.idle(len(table))
            return
        group = self.scene.steps
        if group not in learner.asked_at:
            learner.asked_at[group] = place_of_caller()
        places = np.full(len(table), -1, np.int64)
        places[fresh] = learner.asked.add(table[fresh], group)
        if not fresh.all() and learner.learnt.closed and not learner.asked.rows.full:
            if group not in learner.mixed:
                if len(learner.mixed) == _MOST_MIXED:
                    del learner.mixed[min(learner.mixed)]  # the oldest
                learner.mixed[group] = Mixed(place_of_caller())
            learner.mixed[group].add(learnt[~fresh], places[fresh])
            self._mixed = learner.mixed[group]
        if said is not None:
            known = places >= 0
            learner.asked.second[places[known]] = said[known]
        self._asked = learner, places, said
        targets = [each for each in self._batch if each.numel() == len(table)]
        if len(targets) == 1:
            self._true(values_of(targets[0].detach().reshape(-1)))

    def _true(self, target: NDArray[Any] | None) -> None:
        """What is true of the rows that were measured last."""
        if self._asked is None or target is None or len(target) != len(self._asked[1]):
            return
        learner, places, _ = self._asked
        if self._mixed is not None:
            self._mixed.told_rows += len(places)
            self._mixed = None
        if learner.outputs > 1 and (target.min() < 0 or target.max() >= learner.outputs):
            return  # other codes than those that are learnt
        if target.dtype.kind in "biuf":
            known = places >= 0
            learner.asked.first[places[known]] = target[known]

    def _compared(self, one: NDArray[Any] | None, other: NDArray[Any] | None, place: Place | None) -> None:
        """One side is what a network said, as it is or counted from another number; the other is true."""
        if self._asked is None or one is None or other is None:
            return
        learner, _, said = self._asked
        if said is None:
            return
        shifts = [_shift(each, said) for each in (one, other)]
        if (shifts[0] is None) == (shifts[1] is None):
            return  # neither, or each
        shift, true = (shifts[0], other) if shifts[0] is not None else (shifts[1], one)
        if true.dtype.kind not in "iuf":
            self._true(true)
            return
        if shift == 0 and learner.outputs > 1:
            learner.lowest = min(learner.lowest, float(true.min()))
            learner.highest = max(learner.highest, float(true.max()))
            learner.compared_with = place
        self._true(true - shift if shift else true)

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if self._waiting and operation.name in (*_LOSSES, *_DIFFERENCES) and not _is_model(operation.root):
            self._waiting[-1][0].compared_at = operation.place
        import torch

        if self._asked is None or torch.is_grad_enabled() or _is_model(operation.root):
            return
        rows = len(self._asked[1])
        if operation.name not in _COUNTS and operation.name not in (*_LOSSES, *_COMPARES):
            self._otherwise = True  # perhaps another score
        if operation.name in _LOSSES:
            target = operation.argument(1, "target")
            if hasattr(target, "numel") and target.numel() == rows:
                self._true(values_of(target.detach().reshape(-1)))
        elif operation.name in _COMPARES and len(operation.args) == 2 and self._asked[2] is not None:
            sides = [each for each in operation.args if hasattr(each, "numel") and each.numel() == rows]
            if len(sides) == 2:
                values = [values_of(each.detach().reshape(-1)) for each in sides]
                self._compared(values[0], values[1], operation.place)
                self._counted = self._asked[0], operation.place
                return
            self._otherwise = True  # right ones of one class, perhaps
        elif operation.name in _DIFFERENCES and len(operation.args) == 2:
            sides = [each for each in operation.args if hasattr(each, "numel") and each.numel() == rows]
            if len(sides) == 2:
                one, other = (values_of(each.detach().reshape(-1)) for each in sides)
                self._compared(one, other, operation.place)

    def on_estimation(self, estimation: Estimation) -> None:
        """See `Sensor`."""
        if estimation.what == "fit" and kind_of(estimation.by) == "scale":
            self._scaled_at = estimation.place
        elif estimation.what == "differ" and self._asked is not None:
            self._differences.hear(estimation)
        elif estimation.what == "metric":
            self._evaluations.score(estimation)
            self._otherwise |= estimation.name != "accuracy_score"
            true, said = values_of(estimation.given), values_of(estimation.target)
            self._compared(true, said, estimation.place)
            if true is not None and said is not None and said.dtype.kind == "f" and self._asked is not None:
                score = Score(estimation.name, true[:_MOST_SCORED], said[:_MOST_SCORED], estimation.place)
                self._scores = [*self._scores[1 - _MOST_SCORES :], score]

    # ---- the end ----

    def on_end(self) -> None:
        """See `Sensor`."""
        if self._ended:
            return
        for learner, table, output, training in self._waiting:
            if not training:
                self._measure(learner, table, output)
        self._waiting, self._batch, self._ended = [], [], True
        counted = None if self._otherwise else self._counted
        if self.scene.asks_often:  # targets that move with a model are made of what it says: no labels
            for learner in self._learners:
                learner.bootstraps = learner.targets_vary
        else:
            join_copies(self._learners)
        self._findings = list(
            check_networks(self._learners, self._scaled_at, counted, self._scores, self._differences)
        )
        self._learners = []

    def findings(self) -> Iterable[Finding]:
        """Return what is wrong with rows, splits and columns, once the program has ended."""
        return self._findings


def _shape_of(args: tuple[Any, ...], columns: int) -> tuple[int, ...]:
    """Return the shape of a row, where there is one tensor, and so many of its numbers are read."""
    shapes = [tuple(each.shape[1:]) for each in tensors_in(args)]
    return shapes[0] if len(shapes) == 1 and math.prod(shapes[0]) == columns else ()


def _is_model(root: Any) -> bool:
    """Return whether an operation was done inside of a model: a loss has no parameters."""
    return root is not None and next(root.parameters(), None) is not None


def _said(output: Any) -> NDArray[Any] | None:
    """Return the class of each row, or its number; None where that is not plain."""
    found = output.detach()
    if found.dim() == 2 and found.shape[1] > 1:
        return found.argmax(dim=1).cpu().numpy()
    return found.reshape(-1).float().cpu().numpy() if found.numel() == found.shape[0] else None


def _shift(values: NDArray[Any], said: NDArray[Any]) -> int | None:
    """Return the whole number that was added to what a network said; None where these are other values."""
    if len(values) != len(said) or values.dtype.kind not in "biuf":
        return None
    apart = values.astype(np.float64) - said
    return int(apart[0]) if (apart == apart[0]).all() and float(apart[0]).is_integer() else None
