"""Rows as an estimator is given them: frames, arrays, lists of texts."""

import copy
import hashlib
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue

__all__ = ["RowTable", "read_table", "rows_of"]

MOST_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTable:
    """Rows with a target each.

    Attributes:
        inputs: As the factory gives them: a frame, an array, a sparse array, a list.
        targets: One for each row.
    """

    inputs: Any
    targets: Any

    @property
    def count(self) -> int:
        """Rows."""
        return len(self.targets)

    def take(self, index: Any) -> "RowTable":
        """Return copies of some of the rows, in that order."""
        return RowTable(inputs=rows_of(self.inputs, index), targets=rows_of(self.targets, index))

    def with_targets(self, targets: Any) -> "RowTable":
        """Return the same rows with other targets."""
        return RowTable(inputs=self.inputs, targets=targets)

    def copy(self) -> "RowTable":
        """Return rows that may be changed."""
        return RowTable(inputs=copy.deepcopy(self.inputs), targets=copy.deepcopy(self.targets))

    @property
    def numbers(self) -> NDArray[np.float64] | None:
        """The inputs as (row, column) numbers, texts as codes in order; None where they are no table."""
        given: Any = self.inputs
        if hasattr(given, "toarray"):
            if given.shape[0] * given.shape[1] > 2e7:
                return None
            given = given.toarray()
        if hasattr(given, "columns") and hasattr(given, "to_numpy"):
            columns = [_coded(given[name].to_numpy()) for name in given.columns]
            made = np.stack(columns, axis=1) if columns else None
        else:
            found = np.asarray(given)
            is_table = found.ndim == 2 and found.dtype.kind in "fiub"
            made = np.asarray(found, np.float64) if is_table else None
        return None if made is None or not np.isfinite(made).all() else made

    @property
    def print(self) -> str:
        """A hash of all that is in it."""
        return hashlib.sha256(pickle.dumps((self.inputs, self.targets))).hexdigest()


def rows_of(values: Any, index: Any) -> Any:
    """Return copies of some rows of a frame, an array or a list."""
    if isinstance(values, list):
        rows = cast("list[Any]", values)
        return [rows[at] for at in np.arange(len(rows))[index]]
    places = np.arange(values.shape[0])[index]
    return values.iloc[places].copy() if hasattr(values, "iloc") else values[places]


def read_table(data: Any, what: str = "data") -> RowTable:
    """Return up to 1000 rows, evenly spread over those at hand.

    Args:
        data: (X, y), or a mapping of both.
        what: Its name, for messages.

    Raises:
        BadValue: where it is no pair of inputs and targets of one length.
    """
    if isinstance(data, Mapping):
        given = cast("Mapping[str, Any]", data)
        data = (given.get("X", given.get("x")), given.get("y"))
    pair = tuple(cast("Sequence[Any]", data)) if isinstance(data, tuple | list) else ()
    if len(pair) != 2 or any(each is None or not hasattr(each, "__len__") for each in pair):
        raise BadValue(
            f"{what} of an estimator is (X, y): a frame, an array or a list, and a target for each row",
            got=f"a {type(data).__name__}",
        )
    inputs, targets = pair
    if hasattr(inputs, "detach"):
        inputs = inputs.detach().cpu().numpy()
    if hasattr(targets, "detach"):
        targets = targets.detach().cpu().numpy()
    targets = targets if hasattr(targets, "iloc") else np.asarray(targets)
    inputs = list(cast("Sequence[Any]", inputs)) if isinstance(inputs, tuple) else inputs
    count = len(inputs) if isinstance(inputs, list) else inputs.shape[0]
    if count != len(targets):
        raise BadValue(
            f"{what} has a target for each row", got=f"{count:,} rows and {len(targets):,} targets"
        )
    made = RowTable(inputs=inputs, targets=targets)
    return made.take(np.linspace(0, count - 1, min(count, MOST_ROWS)).astype(np.int64))


def _coded(column: NDArray[Any]) -> NDArray[np.float64]:
    if column.dtype.kind in "fiub":
        return np.asarray(column, np.float64)
    return np.unique([str(each) for each in column], return_inverse=True)[1].astype(np.float64)
