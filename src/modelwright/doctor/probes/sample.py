"""Rows that probes try things on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelwright.doctor.probes.rows import count_rows, map_tensors, take_rows

__all__ = ["Sample"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Some rows of a data set.

    Attributes:
        inputs: Tensors with an axis of rows in front, nested as the data gives them.
        targets: The same; None where the data has none.
        batch_size: As the data's loader has it.
        total: Rows of the data set, None where it does not tell.
        item: Fetches an item of the data set; None where it has no numbers.
        note: What could not be read of it; empty where all could.
    """

    inputs: Any
    targets: Any
    batch_size: int = 32
    total: int | None = None
    item: Callable[[int], Any] | None = None
    note: str = ""

    @property
    def count(self) -> int:
        """Rows at hand; 0 where tensors do not agree on it."""
        rows = count_rows(self.inputs if self.targets is None else (self.inputs, self.targets))
        return rows or 0

    def take(self, index: Any) -> "Sample":
        """Return some of the rows."""
        return Sample(
            inputs=take_rows(self.inputs, index),
            targets=take_rows(self.targets, index),
            batch_size=self.batch_size,
            total=self.total,
        )

    def with_inputs(self, inputs: Any) -> "Sample":
        """Return the same rows with other inputs."""
        return Sample(inputs=inputs, targets=self.targets, batch_size=self.batch_size, total=self.total)

    def to(self, place: Any) -> "Sample":
        """Return the rows on a device."""
        moved = map_tensors((self.inputs, self.targets), lambda each: each.to(place))
        return Sample(
            inputs=moved[0],
            targets=moved[1],
            batch_size=self.batch_size,
            total=self.total,
            item=self.item,
            note=self.note,
        )
