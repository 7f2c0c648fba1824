"""First weights and batches of a program that learns: enough to learn again, in another way."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree  # pyright: ignore[reportPrivateUsage]

from modelwright.doctor.watch.sensor import Call, Operation
from modelwright.doctor.watch.tape import Tape, record

__all__ = ["Capture", "Recipe"]

_MOST_BYTES = 48 * 2**20
_MOST_WEIGHTS = 64 * 2**20
"""Bytes of weights of which a copy is kept."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an optimizer was made.

    Attributes:
        kind: Its class.
        groups: Settings of each group of parameters, without the parameters.
        members: ids of the parameters of each group.
    """

    kind: type
    groups: tuple[dict[str, Any], ...]
    members: tuple[tuple[int, ...], ...]


class Capture:
    """Collects, while a program learns with one optimizer.

    Attributes:
        models: Models of the first step.
        copies: id of a model or parameter -> its copy from before the first step.
        steps: Tapes of each step that was looked at.
        recipe: Of the optimizer.
        rates: Largest learning rate of each of its groups.
        reason: Why it could not be captured; empty while it can.
    """

    def __init__(self) -> None:
        self.models: list[Any] = []
        self.copies: dict[int, Any] = {}
        self.steps: list[list[Tape]] = []
        self.recipe: Recipe | None = None
        self.rates: list[float] = []
        self.reason = ""
        self._events: list[Call | Operation] = []
        self._tapes: list[Tape] = []
        self._bytes = 0
        self._optimizer: Any = None

    def hear(self, event: Call | Operation) -> None:
        """Keep what may lead to a loss."""
        if self.reason or not torch.is_grad_enabled():
            return
        if isinstance(event, Call):
            if event.depth:
                return
            while self._events and _is_inside(self._events[-1], event.root):
                self._events.pop()
        self._events.append(event)

    def forget(self) -> None:
        """Drop what was heard since the last step."""
        self._events, self._tapes = [], []

    def clear(self) -> None:
        """Drop the losses whose gradients were cleared before any step: those of an attack, for example."""
        self._tapes = []

    def backward(self, loss: Any) -> None:
        """Record how a loss came about."""
        if self.reason or not self._events:
            return
        events, self._events = self._events, []
        tape = record(events, loss, most=_MOST_BYTES - self._bytes)
        if tape is None:
            if not self.steps:
                self.reason = "what led to the loss cannot be computed again"
            return
        if not self.models:
            self._copy([each.module for each in events if isinstance(each, Call)], _free(events))
        if not self.reason and all(model in self.copies for model in tape.models):
            self._tapes.append(tape)
            self._bytes += tape.size

    def _copy(self, models: Sequence[Any], free: Sequence[Any]) -> None:
        self.models = list({id(each): each for each in models}.values())
        held = {id(p) for each in self.models for p in each.parameters()}
        others = [each for each in free if id(each) not in held]
        if others:
            self.models.append(torch.nn.ParameterList(others))
        weights = {id(p): p.numel() * p.element_size() for each in self.models for p in each.parameters()}
        if sum(weights.values()) > _MOST_WEIGHTS:
            self.reason = "the model is too large to be copied"
            return
        try:
            self.copies = copies_of(self.models)
        except Exception as error:  # whatever a stranger's __deepcopy__ raises
            self.reason = f"the model cannot be copied: {error}"

    def step(self, optimizer: Any) -> None:
        """Close a step that is about to be taken."""
        tapes, self._tapes = self._tapes, []
        if self._optimizer not in (None, optimizer):
            self.reason = "several optimizers take turns"
        if self.reason or not tapes:
            return
        if self._optimizer is None:
            self._optimizer = optimizer
            self.recipe = Recipe(
                kind=type(optimizer),
                groups=tuple({k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups),
                members=tuple(tuple(id(p) for p in g["params"]) for g in optimizer.param_groups),
            )
            self.rates = [0.0] * len(self.recipe.groups)
        self.steps.append(tapes)

    def note_rates(self, optimizer: Any) -> None:
        """Keep the largest rates."""
        if optimizer is self._optimizer and len(optimizer.param_groups) == len(self.rates):
            now = [float(group["lr"]) for group in optimizer.param_groups]
            self.rates = [max(pair) for pair in zip(self.rates, now, strict=True)]


def copies_of(models: Sequence[Any]) -> dict[int, Any]:
    """Return id of a model or parameter -> its copy; what models share, their copies share."""
    memo: dict[int, Any] = {}
    copied = copy.deepcopy(list(models), memo)
    copies = {id(model): twin for model, twin in zip(models, copied, strict=True)}
    for model in models:
        copies.update({id(p): memo[id(p)] for p in model.parameters() if id(p) in memo})
    return copies


def _is_inside(event: Call | Operation, root: Any) -> bool:
    return isinstance(event, Operation) and event.root is root


def _free(events: Sequence[Call | Operation]) -> list[Any]:
    """Return the parameters that operations were given outside of models: weights of a loss, for example."""
    given = [each for event in events if isinstance(event, Operation) for each in (event.args, event.kwargs)]
    found = (each for each in _pytree.tree_flatten(given)[0] if isinstance(each, torch.nn.Parameter))
    return list({id(each): each for each in found if each.requires_grad}.values())
