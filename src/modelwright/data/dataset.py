"""Rows to learn from, with where they came from and an identity that covers every cell."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.fingerprint import canonical_json
from modelwright.base.metric import Task
from modelwright.data.experience import Experience
from modelwright.data.split import Split

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dataset"]

_FORMAT = "modelwright-dataset-1"
_CHUNK_ROWS = 16_384


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """A table of rows, ready for learners. Its arrays are read-only: whoever wants to change one copies it.

    Attributes:
        name: What people call it.
        features: (row, *feature) float32; NaN where a number is missing; images are
            (row, channel, height, width).
        target: (row,) int64 class indices, or float64 values for regression.
        task: Kind of target.
        classes: Names of the classes in the order of their indices; empty for regression.
        columns: Names of the features; empty for images.
        groups: (row,) text, the group of each row, or None.
        times: (row,) int64, float64 or datetime64[us], when each row happened, or None.
        parts: (row,) text, the published part (train, test ...) of each row, or None.
        origin: Where the rows came from: kind, path, sha256 and size of the files, query, package version.
        transformations: What was done to them, in order; each has `name`, `arguments`, and `rows` and
            `columns` as (before, after).
        identity: sha256 of the content: every cell of features, target, groups, times and parts, with column
            names, classes, types and task. It speaks of the rows as learners see them, so it does not depend
            on file format, row groups or the name, and it changes with any cell, column order or row order.
    """

    name: str
    features: NDArray[np.float32]
    target: NDArray[Any]
    task: Task
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    groups: NDArray[np.str_] | None = None
    times: NDArray[Any] | None = None
    parts: NDArray[np.str_] | None = None
    origin: Mapping[str, Any] = field(default_factory=dict[str, Any])
    transformations: tuple[Mapping[str, Any], ...] = ()
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        self._check()
        for array in (self.features, self.target, self.groups, self.times, self.parts):
            if array is not None:
                array.flags.writeable = False
        object.__setattr__(self, "identity", self._hash())

    def __len__(self) -> int:
        return len(self.features)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {len(self)} rows, features {self.features.shape[1:]}, {self.task})"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name per number of a row, in C order; images get `pixel_channel_y_x`."""
        if self.columns:
            return self.columns
        return tuple("pixel_" + "_".join(map(str, place)) for place in np.ndindex(*self.features.shape[1:]))

    @property
    def is_text(self) -> bool:
        """Whether rows are windows of a text, so that classes are its characters, rare ones among them."""
        return self.origin.get("kind") == "text"

    def table(self) -> NDArray[np.float32]:
        """Return the features as (row, number), images laid out flat. A view."""
        return self.features.reshape(len(self), -1)

    def experience(self, splits: Sequence[Split]) -> Experience:
        """Return what a cohort may see: the training rows of each split, one split per seed.

        Raises:
            BadValue: where a split was made for other data.
        """
        for split in splits:
            if split.dataset != self.identity:
                raise BadValue(
                    "A split belongs to the data that it was made for",
                    got=f"a split of data {split.dataset[:12]}, data {self.identity[:12]}",
                    next_step="make the split again with make_split",
                )
        return Experience(
            features=self.features,
            target=self.target,
            rows=tuple(split.train for split in splits),
            task=self.task,
            classes=self.classes,
            columns=self.columns,
        )

    def frame(self) -> "pd.DataFrame":
        """Return a pandas frame: one column per feature, then `target` (class names or values), and `group`,
        `time` and `part` where the data have them. A name that is taken gets a trailing underscore.
        """
        import pandas as pd

        frame = pd.DataFrame(self.table().copy(), columns=pd.Index(self.feature_names))
        target = np.array(self.classes)[self.target] if self.classes else self.target.copy()
        for name, values in (
            ("target", target),
            ("group", self.groups),
            ("time", self.times),
            ("part", self.parts),
        ):
            if values is None:
                continue
            free = name
            while free in frame.columns:
                free += "_"
            frame[free] = values
        return frame

    def _check(self) -> None:
        rows = len(self.features)
        if rows == 0 or self.features.ndim < 2 or 0 in self.features.shape:
            raise BadValue(
                "Data have at least one row and one feature", got=f"features {self.features.shape}"
            )
        if self.features.dtype != np.float32 or not self.features.flags.c_contiguous:
            raise BadValue("Features are float32 in C order", got=f"{self.features.dtype}")
        if self.columns and (self.features.ndim != 2 or len(self.columns) != self.features.shape[1]):
            raise BadValue(
                "Every feature of a table has one name",
                got=f"{len(self.columns)} names, features {self.features.shape}",
            )
        if not self.columns and self.features.ndim == 2:
            raise BadValue("The features of a table have names", got="no columns")
        if len(set(self.columns)) != len(self.columns):
            raise BadValue("Column names differ from one another", got=_repeated(self.columns))
        for name, array in (
            ("target", self.target), ("groups", self.groups), ("times", self.times), ("parts", self.parts),
        ):  # fmt: skip
            if array is not None and array.shape != (rows,):
                raise BadValue(f"{name} has one value per row", got=f"shape {array.shape} for {rows} rows")
        if self.task == "classification":
            if self.target.dtype != np.int64 or not self.classes:
                raise BadValue(
                    "Classification targets are int64 indices with named classes", got=self.target.dtype
                )
            if self.target.min() < 0 or self.target.max() >= len(self.classes):
                raise BadValue(
                    "A class index names one of the classes",
                    got=f"{self.target.min()}..{self.target.max()} for {len(self.classes)} classes",
                )
        elif self.target.dtype != np.float64 or self.classes:
            raise BadValue("Regression targets are float64 without classes", got=self.target.dtype)
        elif not np.isfinite(self.target).all():
            raise BadValue(
                "Every target is a finite number", got=f"{(~np.isfinite(self.target)).sum()} that are not"
            )

    def _hash(self) -> str:
        digest = hashlib.sha256()
        header = {
            "format": _FORMAT,
            "task": self.task,
            "classes": self.classes,
            "columns": self.columns,
            "shape": self.features.shape,
            "times": None if self.times is None else self.times.dtype.kind,
        }
        digest.update(canonical_json(header).encode())
        for start in range(0, len(self), _CHUNK_ROWS):
            digest.update(_canonical_bytes(self.features[start : start + _CHUNK_ROWS], "<f4"))
        digest.update(_canonical_bytes(self.target, "<i8" if self.classes else "<f8"))
        for texts in (self.groups, self.parts):
            if texts is None:
                digest.update(b"none")
                continue
            names, codes = np.unique(texts, return_inverse=True)
            digest.update(canonical_json(names.tolist()).encode())
            digest.update(codes.astype("<i8").tobytes())
        if self.times is not None:
            whole = self.times.dtype.kind in "iM"
            digest.update(_canonical_bytes(self.times, "<i8" if whole else "<f8"))
        return digest.hexdigest()


def _canonical_bytes(values: NDArray[Any], code: str) -> bytes:
    """Return little-endian bytes in C order; -0.0 is 0.0 and every NaN has the same bits."""
    if code.startswith("<i"):
        return values.astype("datetime64[us]" if values.dtype.kind == "M" else code).astype(code).tobytes()
    plain = np.array(values, dtype=code, order="C")
    plain += 0.0
    plain[np.isnan(plain)] = np.nan
    return plain.tobytes()


def _repeated(names: Sequence[str]) -> str:
    seen: set[str] = set()
    return ", ".join(sorted({name for name in names if name in seen or seen.add(name)}))
