"""A copy of model, loss and optimizer that a probe may do anything with."""

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from modelwright.base.errors import BadValue
from modelwright.doctor.probes.sample import Sample
from modelwright.doctor.probes.subject import Subject

__all__ = ["Fork", "call_model", "fork"]


@dataclass(slots=True)
class Fork:
    """Model, loss and optimizer, apart from those of the subject.

    Attributes:
        model: The copied model.
        loss: (output, target) -> one number.
        optimizer: Of the copied parameters; Adam where the subject has none.
        is_given: Whether the optimizer is the subject's.
    """

    model: Any
    loss: Any
    optimizer: Any
    is_given: bool

    def output(self, inputs: Any) -> Any:
        """Return what the model gives."""
        return call_model(self.model, inputs)

    def loss_of(self, sample: Sample) -> Tensor:
        """Return the loss of some rows."""
        return self.loss(self.output(sample.inputs), sample.targets)


def fork(subject: Subject, *, optimizer: bool = True) -> Fork:
    """Return a copy.

    Args:
        subject: Has the model.
        optimizer: Whether an optimizer is needed.
    """
    given = subject.optimizer
    whole = [subject.model, subject.loss if isinstance(subject.loss, nn.Module) else None]
    if isinstance(given, torch.optim.Optimizer) and optimizer:
        whole.append(given)
    made = _copied(whole, subject)
    model, loss = made[0], made[1] if made[1] is not None else subject.loss
    if not optimizer:
        return Fork(model, loss, None, False)
    if len(made) == 3:
        return Fork(model, loss, made[2], True)
    if given is not None:
        return Fork(model, loss, _make(given, model), True)
    trained = [each for each in model.parameters() if each.requires_grad]
    return Fork(model, loss, torch.optim.Adam(trained or model.parameters(), lr=1e-3), False)


def _copied(whole: list[Any], subject: Subject) -> list[Any]:
    try:
        return copy.deepcopy(whole)
    except (RuntimeError, TypeError, NotImplementedError):
        # Tensors inside that are results of operations, locks, handles: a second one, brought to its state.
        if subject.again is None:
            raise
        second = subject.again()
        second.model.load_state_dict(subject.model.state_dict())
        second.model.train(subject.model.training)
        made = [second.model, second.loss if whole[1] is not None else None]
        return made if len(whole) < 3 else [*made, second.optimizer]


def _make(given: Any, model: Any) -> Any:
    """Call what makes an optimizer, with the parameters or with the model, as its argument's name says."""
    try:
        names = list(inspect.signature(given).parameters)
    except (TypeError, ValueError):
        names = []
    if not names:
        made = given()
    elif names[0] in ("model", "module", "net", "network"):
        made = given(model)
    else:
        try:
            made = given(model.parameters())
        except (TypeError, AttributeError):
            made = given(model)
    if not isinstance(made, torch.optim.Optimizer):
        raise BadValue(
            "optimizer is an optimizer of torch, or a function of the parameters that makes one",
            got=f"a function that gives a {type(made).__name__}",
        )
    return made


def call_model(model: Any, inputs: Any) -> Any:
    """Call a model on a batch: mappings by name and tuples by place where its forward takes them so."""
    forward = getattr(model, "forward", model)
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    kinds = {each.kind for each in parameters}
    if isinstance(inputs, Mapping):
        named = cast("Mapping[str, Any]", inputs)
        names = {each.name for each in parameters}
        if inspect.Parameter.VAR_KEYWORD in kinds or (set(named) <= names):
            return model(**named)
    if isinstance(inputs, tuple | list):
        places = [
            each
            for each in parameters
            if each.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        ]
        values = cast("Sequence[Any]", inputs)
        if inspect.Parameter.VAR_POSITIONAL in kinds or len(places) >= len(values):
            return model(*values)
    return model(inputs)
