"""What a policy's loss gives to each log-probability, and which transition each of them is about."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.sensors.acting.advantages.rollout import Rollout
from modelwright.doctor.watch.experience import key_of
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation

__all__ = ["LogProbability", "PolicyUpdates", "Weights"]

_FEWEST_ROWS = 8
_CHOICES = ("gather", "__getitem__", "take_along_dim", "index_select")
_LOSSES = ("cross_entropy", "nll_loss")
_MOST_CALLS = 24


@dataclass(slots=True)
class LogProbability:
    """A tensor of log-probabilities of actions.

    Attributes:
        tensor: It.
        sign: -1 where it is their negative.
        made: Transitions that the environments had made before.
        place: Of the user's line.
        value: The actions, where a distribution was asked for them.
        given: What a model was called with last before, with gradients.
    """

    tensor: Any
    sign: float
    made: int
    place: Place | None
    value: Any = None
    given: Any = None


@dataclass(slots=True)
class Weights:
    """What the loss gives to log-probabilities.

    Attributes:
        rows: Transition of each, as a row of the rollout; -1 where it is not known (row,).
        weights: The slope of the loss, turned round (row,).
        columns: Whether all columns of a log-probability over several numbers got the same.
        log_probabilities: The tensors.
    """

    rows: NDArray[np.int64]
    weights: NDArray[np.float64]
    columns: bool
    log_probabilities: list[LogProbability]


class PolicyUpdates:
    """Collects log-probabilities and models' inputs, from one step of an optimizer to the next."""

    operations = frozenset({"log_softmax", "log", *_CHOICES, *_LOSSES})
    """Names of those that it hears."""

    def __init__(self) -> None:
        self.heard: list[LogProbability] = []
        self.calls: deque[Call] = deque()
        self._sources: list[tuple[Any, int]] = []
        self._drawn: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def forget(self) -> None:
        """Begin anew."""
        self.heard, self._sources = [], []
        self._drawn.clear()
        self.calls.clear()

    def hear_call(self, call: Call) -> None:
        """Take note of a model's call with gradients."""
        if call.grad and not call.depth and call.args and hasattr(call.args[0], "requires_grad"):
            if len(self.calls) == _MOST_CALLS:
                # A layer that is called for each step of a sequence leaves room for what is called once.
                often, _ = Counter(id(each.module) for each in self.calls).most_common(1)[0]
                del self.calls[next(at for at, each in enumerate(self.calls) if id(each.module) == often)]
            self.calls.append(call)

    def hear_distribution(self, result: Any, value: Any, made: int, place: Place | None) -> None:
        """Take note of what a distribution's `log_prob` gave."""
        if not getattr(result, "requires_grad", False):
            return
        if self.heard:
            before = self.heard[-1].tensor.grad_fn
            inner = result.grad_fn
            for _ in range(2):  # what it was chosen with, inside of the distribution
                inner = inner.next_functions[0][0] if inner is not None and inner.next_functions else None
                if inner is not None and inner is before:
                    self.heard.pop()
                    break
        given = self.calls[-1].args[0] if self.calls else None
        self.heard.append(LogProbability(result, 1.0, made, place, value, given))

    def hear_sample(self, distribution: Any, made: int) -> None:
        """Take note of when a distribution was drawn from."""
        self._drawn.setdefault(distribution, made)

    def hear_drawn(self, distribution: Any, value: Any, result: Any) -> None:
        """Take note of whose log-probability was heard last: it is of the step that was drawn then.

        Many ask for it only after the environment's step.
        """
        if self.heard and self.heard[-1].tensor is result:
            self.heard[-1].value = value
            self.heard[-1].made = self._drawn.get(distribution, self.heard[-1].made)

    def hear_operation(self, operation: Operation, made: int) -> None:
        """Take note of log-probabilities that are chosen without a distribution."""
        result = operation.result
        if not getattr(result, "requires_grad", False):
            return
        if operation.name in ("log_softmax", "log"):
            self._sources.append((result, made))
        elif operation.name in _CHOICES:
            given: Any = operation.args[0] if operation.args else None
            known = [before for each, before in self._sources if each is given]
            if known and 2 * result.numel() <= given.numel():
                # Of steps whose graph is kept, actions may be chosen when all of them are over.
                given = self.calls[-1].args[0] if self.calls else None
                value = _chosen(operation)
                self.heard.append(LogProbability(result, 1.0, known[-1], operation.place, value, given))
        elif operation.name in _LOSSES and operation.kwargs.get("reduction") == "none":
            self.heard.append(LogProbability(result, -1.0, made, operation.place))

    def weights(self, loss: Any, rollout: Rollout) -> Weights | None:
        """Return what the loss gives to log-probabilities of this rollout; None where it gives nothing."""
        import torch

        if not self.heard or not loss.requires_grad:
            return None
        tensors = [each.tensor for each in self.heard]
        try:
            slopes: Any = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
        except RuntimeError:
            return None  # a graph that was changed in place, or given up
        given = [
            (each, (-each.sign * slope).double().cpu().numpy())
            for each, slope in zip(self.heard, slopes, strict=True)
            if slope is not None and bool(slope.count_nonzero())
        ]
        if len({each.made for each, _ in given}) > 1:
            return _single(given, rollout)
        large = [(each, slope) for each, slope in given if slope.size >= _FEWEST_ROWS]
        known: dict[int, NDArray[np.int64] | None] = {}
        for each, slope in reversed(large):
            if slope.size not in known:
                known[slope.size] = self._rows(each.tensor, rollout)
            rows = known[slope.size]
            if rows is not None:
                flat = slope.reshape(len(rows), -1)
                same = bool(np.all(np.abs(flat - flat[:, :1]) <= 1e-6 * np.abs(flat).max()))
                return Weights(rows, flat[:, 0], same, [each])
        return None if large else _single(given, rollout)

    def depend_on(self, part: Any) -> bool:
        """Return whether log-probabilities depend on what a model gave: means of one action, for example."""
        import torch

        known = [each.tensor.sum() for each in self.heard[-_MOST_CALLS:]]
        try:
            slopes: Any = (
                torch.autograd.grad(known, [part], retain_graph=True, allow_unused=True) if known else [None]
            )
        except RuntimeError:
            return False  # a graph that was given up
        return slopes[0] is not None

    def _rows(self, tensor: Any, rollout: Rollout) -> NDArray[np.int64] | None:
        size, numbers = tensor.numel(), len(rollout.transitions[0].observation) // 4
        best: NDArray[np.int64] | None = None
        for call in reversed(self.calls):
            keys = keys_of(call.args[0], numbers)
            if keys is None or len(keys) < _FEWEST_ROWS or size % len(keys):
                continue
            if size // len(keys) > 1 and size // len(keys) != len(rollout.transitions[0].action):
                continue
            of_steps = call.args[0].dim() > 2 and call.args[0].shape[0] != len(keys)
            if of_steps and not _keeps_order(tensor, call.output, len(keys)):
                continue
            rows = in_order(keys, rollout)
            if best is None or (rows >= 0).sum() > (best >= 0).sum():
                best = rows
        return best if best is not None and (best >= 0).sum() >= _FEWEST_ROWS else None


def _keeps_order(tensor: Any, output: Any, rows: int) -> bool:
    """Return whether a tensor's rows come from the same rows of what a model gave, as far as it does."""
    import torch

    parts = [each for each in (output if isinstance(output, tuple | list) else (output,)) if _is_graded(each)]
    flat = tensor.reshape(rows, -1)
    for at in (1, rows // 2, rows - 2):
        slopes: Any = torch.autograd.grad(flat[at].sum(), parts, retain_graph=True, allow_unused=True)
        for slope in slopes:
            if slope is None or not bool(slope.any()):
                continue
            if slope.numel() % rows or slope.reshape(rows, -1).any(dim=1).nonzero().flatten().tolist() != [
                at
            ]:
                return False
    return True


def _is_graded(output: Any) -> bool:
    return bool(getattr(output, "requires_grad", False))


def in_order(keys: Sequence[bytes], rollout: Rollout) -> NDArray[np.int64]:
    """Return which transition each row is, by their order where the same was seen more than once."""
    if len(keys) == len(rollout.transitions):
        for order in (np.argsort(rollout.numbers, kind="stable"), np.arange(len(keys))):
            if all(
                rollout.transitions[at].observation == key
                for at, key in zip(order.tolist(), keys, strict=True)
            ):
                return order
    return rollout.rows_of(keys)


def keys_of(given: Any, numbers: int) -> list[bytes] | None:
    """Return keys of the rows of a model's input; None where it holds no observations of so many numbers."""
    if not hasattr(given, "detach") or not given.numel() or given.numel() % numbers:
        return None
    size = 1
    for at in range(given.dim() - 1, -1, -1):
        size *= given.shape[at]
        if size >= numbers:
            break
    if size != numbers or given.numel() > 4_000_000:
        return None
    return [key_of(row) for row in given.detach().cpu().numpy().reshape(-1, numbers)]


def _single(given: list[tuple[LogProbability, Any]], rollout: Rollout) -> Weights | None:
    """Log-probabilities that were kept while acting, each for the steps that followed it."""
    if sum(slope.size for _, slope in given) < _FEWEST_ROWS:
        return None
    numbers: list[int] = []
    weights: list[float] = []
    used: list[LogProbability] = []
    wide = len(rollout.transitions[0].action)
    count = len({each.environment for each in rollout.transitions})
    for each, slope in given:
        flat = slope.reshape(slope.size // wide if slope.size in (wide, wide * count) else slope.size, -1)
        if len(flat) not in (1, count):
            return None
        begin = _first_of(each, len(flat), rollout)
        numbers += range(begin, begin + len(flat))
        weights += flat[:, 0].tolist()
        used.append(each)
    return Weights(rollout.rows_of_numbers(numbers), np.array(weights), True, used)


def _chosen(operation: Operation) -> Any:
    """Return which column of each row was chosen; None where it cannot be told."""
    index = operation.argument(2 if operation.name == "gather" else 1, "index")
    if isinstance(index, tuple):
        index = index[-1]  # pyright: ignore[reportUnknownVariableType]
    return index if hasattr(index, "detach") else None  # pyright: ignore[reportUnknownArgumentType]


def _first_of(each: LogProbability, count: int, rollout: Rollout) -> int:
    """Return the number of the first transition that a log-probability is about.

    It is the next one, or that of the step before where the model was asked about what that began with.
    """
    keys = keys_of(each.given, len(rollout.transitions[0].observation) // 4)
    if keys is None or len(keys) != count:
        return each.made
    for begin in (each.made, each.made - count):
        rows = rollout.rows_of_numbers(range(begin, begin + count))
        if all(
            at >= 0 and rollout.transitions[at].observation == key
            for at, key in zip(rows.tolist(), keys, strict=True)
        ):
            return begin
    return each.made
