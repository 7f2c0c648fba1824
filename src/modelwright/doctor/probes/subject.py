"""What a factory made, in one form."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelwright.doctor.probes.estimators.table import RowTable
from modelwright.doctor.probes.sample import Sample

__all__ = ["Subject"]

LEARNING_COPIES = 5
"""Sizes of a model that a copy of it takes while Adam trains it: values, gradients, two moments, a spare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is examined; None for what the factory did not give.

    Attributes:
        model: A module of torch.
        loss: (output, target) -> a tensor of one number.
        optimizer: An optimizer of the model's parameters, or what makes one.
        sample: Rows to learn from.
        held_out: Rows that are measured.
        estimator: With `fit` and `predict`, as scikit-learn has them.
        table: Rows that it learns from.
        held_out_table: Rows that it is measured on.
        agent: environment -> an agent with `learn` and `act` or `predict`.
        causal: Whether outputs at one time may depend on earlier inputs only; None where it is not said.
        again: Makes everything anew.
        factory: Its name.
        memory: Bytes that copies may take; None for any number.
    """

    model: Any = None
    loss: Callable[[Any, Any], Any] | None = None
    optimizer: Any = None
    sample: Sample | None = None
    held_out: Sample | None = None
    estimator: Any = None
    table: RowTable | None = None
    held_out_table: RowTable | None = None
    agent: Callable[[Any], Any] | None = None
    causal: bool | None = None
    again: "Callable[[], Subject] | None" = None
    factory: str = ""
    memory: int | None = None

    @property
    def size(self) -> int:
        """Bytes of the model's parameters and buffers."""
        if self.model is None:
            return 0
        values = (*self.model.parameters(), *self.model.buffers())
        return sum(each.numel() * each.element_size() for each in values if hasattr(each, "numel"))

    def crowds(self) -> str | None:
        """Return that memory does not hold a copy that learns, in words; None where it does."""
        needed = LEARNING_COPIES * self.size
        if self.memory is None or needed <= self.memory:
            return None
        return f"a copy that learns takes {needed / 1e9:.1f} GB, and {self.memory / 1e9:.1f} GB are free"

    def lacks(self, *names: str) -> str | None:
        """Return which of these it does not have, in words; None where it has all.

        The text is empty where it has none of them but data: nobody would expect a look at them then.
        """
        missing = [name for name in names if getattr(self, name) is None]
        if not missing:
            return None
        others = self.agent is not None or (self.estimator is not None and "sample" in missing)
        if others or {"model", "estimator", "agent"} & set(missing):
            return ""
        return "the factory gives no " + " and no ".join(_WORDS.get(name, name) for name in missing)


_WORDS = {
    "sample": "data",
    "table": "data",
    "held_out": "validation",
    "held_out_table": "validation",
    "again": "second model",
}
