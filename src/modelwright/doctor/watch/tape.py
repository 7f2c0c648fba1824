"""How a loss came from what models gave: recorded once, and computed again with other weights."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils import _pytree  # pyright: ignore[reportPrivateUsage]

from modelwright.doctor.watch.sensor import Call, Operation
from modelwright.doctor.watch.tensors import Unreadable

__all__ = ["Tape", "record"]

_CHANCE = frozenset(
    {"dropout", "alpha_dropout", "feature_dropout", "dropout1d", "dropout2d", "dropout3d", "bernoulli"}
    | {"gumbel_softmax", "rrelu", "normal", "multinomial", "rand_like", "randn_like", "dropout_"}
)
_EXACT = 1e-4


@dataclass(frozen=True, slots=True)
class _Result:
    """One tensor of what an entry gave."""

    entry: int
    leaf: int


@dataclass(frozen=True, slots=True)
class _Own:
    """A parameter that is used outside of models."""

    key: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """A model that was called, or an operation."""

    model: int
    function: Callable[..., Any] | None
    leaves: tuple[Any, ...]
    spec: Any


class Tape:
    """What was computed from the inputs of a batch to its loss.

    Attributes:
        models: The ids of models that were called, in order.
        rows: Rows that the first model was given.
        size: Bytes that are kept.
        value: The loss as it was.
        inputs: What the first model was given, tensors and others, in order.
        labels: Tensors without a gradient that the operations after the models took.
    """

    def __init__(self, entries: Sequence[_Entry], loss: _Result, value: float, size: int) -> None:
        self._entries = tuple(entries)
        self._loss = loss
        self.value = value
        self.size = size
        self.models = tuple(each.model for each in entries if each.function is None)
        first = next(each for each in entries if each.function is None)
        self.inputs = tuple(each for each in first.leaves if not isinstance(each, _Result | _Own))
        self.rows = next((int(x.shape[0]) for x in self.inputs if isinstance(x, torch.Tensor) and x.dim()), 0)
        self.labels = tuple(
            leaf
            for each in entries
            if each.function is not None
            for leaf in each.leaves
            if isinstance(leaf, torch.Tensor) and leaf.dim() and leaf.shape[0] == self.rows
        )

    def play(
        self,
        copies: Mapping[int, Any],
        *,
        inputs: Sequence[Any] | None = None,
        outputs: Mapping[int, Any] | None = None,
    ) -> Any:
        """Compute the loss again.

        Args:
            copies: id of a model or a parameter -> what stands in its place.
            inputs: What the first model is given in place of `inputs`.
            outputs: Number of an entry -> what it gives, instead of being computed.

        Returns:
            The loss, with its gradient's way to the copies' parameters.
        """
        results: list[list[Any]] = []
        replaced = iter(inputs) if inputs is not None else None
        for number, each in enumerate(self._entries):
            leaves = [self._leaf(leaf, results, copies) for leaf in each.leaves]
            if replaced is not None and each.function is None:
                kept = iter(tuple(replaced))
                leaves = [
                    new if isinstance(old, _Result | _Own) else next(kept)
                    for old, new in zip(each.leaves, leaves, strict=True)
                ]
                replaced = None
            if outputs is not None and number in outputs:
                given = outputs[number]
            else:
                args, kwargs = _pytree.tree_unflatten(leaves, each.spec)
                function = each.function if each.function is not None else copies[each.model]
                given = function(*args, **kwargs)
            results.append(_pytree.tree_flatten(given)[0])
        return results[self._loss.entry][self._loss.leaf]

    @staticmethod
    def _leaf(leaf: Any, results: list[list[Any]], copies: Mapping[int, Any]) -> Any:
        if isinstance(leaf, _Result):
            return results[leaf.entry][leaf.leaf]
        return copies[leaf.key] if isinstance(leaf, _Own) else leaf


def record(events: Iterable[Call | Operation], loss: Any, *, most: int) -> Tape | None:
    """Return how a loss came about; None where that cannot be computed again.

    The tape is played once, with the outputs that models gave, and has to give the very loss. What gradients
    do not pass through is kept as it was: targets, noise, masks.

    Args:
        events: Models' calls and operations outside of them since the last step, in order.
        loss: What `backward` was called on, a scalar.
        most: Bytes that may be kept.
    """
    wanted = [each for each in events if isinstance(each, Call) or _has_gradient(each.result)]
    where: dict[int, _Result] = {}
    entries: list[_Entry] = []
    outputs: dict[int, Any] = {}
    kept: dict[int, Any] = {}
    for number, event in enumerate(wanted):
        if isinstance(event, Call):
            count = len(event.args) - len(event.keywords)
            named = dict(zip(event.keywords, event.args[count:], strict=True))
            asked: tuple[Any, Any] = (event.args[:count], named)
            given, model, function = event.output, id(event.module), None
            outputs[number] = _pytree.tree_map(_plain, given)
        else:
            if event.name in _CHANCE or event.function is None or event.function is torch.autograd.grad:
                return None  # drawn anew, or a gradient, which is not kept here
            asked, given, model, function = (event.args, event.kwargs), event.result, 0, event.function
        leaves, spec = _pytree.tree_flatten(asked)
        if any(_is_unknown(leaf, where) for leaf in leaves):
            return None
        found = [_known(leaf, where, kept) for leaf in leaves]
        entries.append(_Entry(model, function, tuple(found), spec))
        for at, leaf in enumerate(_pytree.tree_flatten(given)[0]):
            if isinstance(leaf, torch.Tensor):
                where[id(leaf)] = _Result(number, at)
    end = where.get(id(loss))
    if end is None or not outputs or loss.numel() != 1:
        return None
    needed = _needed(entries, end)
    entries, wanted = _renumbered(entries, needed), [wanted[at] for at in needed]
    outputs = {new: outputs[old] for new, old in enumerate(needed) if old in outputs}
    constants = {id(x): x for each in entries for x in each.leaves if isinstance(x, torch.Tensor)}
    size = sum(each.numel() * each.element_size() for each in constants.values())
    if not outputs or size > most:
        return None
    tape = Tape(entries, _Result(len(entries) - 1, end.leaf), float(loss.detach()), size)
    with torch.no_grad():
        own = {leaf.key: kept_own for leaf, kept_own in _own(entries, wanted)}
        again = tape.play(own, outputs=outputs)
    difference = abs(float(again) - tape.value)
    return tape if difference <= _EXACT * (1.0 + abs(tape.value)) else None


def _needed(entries: Sequence[_Entry], end: _Result) -> list[int]:
    """Return the numbers of the entries that lead to a result, in order: an attack's own loss does not."""
    found, waiting = {end.entry}, [end.entry]
    while waiting:
        before = {leaf.entry for leaf in entries[waiting.pop()].leaves if isinstance(leaf, _Result)}
        waiting += before - found
        found |= before
    return sorted(found)


def _renumbered(entries: Sequence[_Entry], needed: Sequence[int]) -> list[_Entry]:
    new = {old: at for at, old in enumerate(needed)}
    return [
        replace(
            entries[old],
            leaves=tuple(
                _Result(new[leaf.entry], leaf.leaf) if isinstance(leaf, _Result) else leaf
                for leaf in entries[old].leaves
            ),
        )
        for old in needed
    ]


def _known(leaf: Any, where: Mapping[int, _Result], kept: dict[int, Any]) -> Any:
    if isinstance(leaf, Unreadable):
        leaf = leaf.tensor
    if not isinstance(leaf, torch.Tensor):
        return leaf
    if id(leaf) in where:
        return where[id(leaf)]
    if isinstance(leaf, torch.nn.Parameter) and leaf.requires_grad:
        return _Own(id(leaf))
    if id(leaf) not in kept:
        kept[id(leaf)] = leaf.detach().clone()
    return kept[id(leaf)]


def _is_unknown(leaf: Any, where: Mapping[int, _Result]) -> bool:
    """Return whether a tensor was computed from weights in a way that was not heard."""
    return (
        isinstance(leaf, torch.Tensor) and leaf.requires_grad and not leaf.is_leaf and id(leaf) not in where
    )


def _own(entries: Sequence[_Entry], events: Sequence[Call | Operation]) -> Iterable[tuple[_Own, Any]]:
    for entry, event in zip(entries, events, strict=True):
        given = (event.args, event.kwargs) if isinstance(event, Operation) else event.args
        originals = {id(each): each for each in _pytree.tree_flatten(given)[0]}
        for leaf in entry.leaves:
            if isinstance(leaf, _Own):
                yield leaf, originals[leaf.key].detach()


def _has_gradient(result: Any) -> bool:
    return any(isinstance(x, torch.Tensor) and x.requires_grad for x in _pytree.tree_flatten(result)[0])


def _plain(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value
