"""Which rows train and which test: drawn from a seed's own stream, part of the data's identity."""

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.fingerprint import canonical_json
from modelwright.base.metric import Task
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.data.dealing import (
    code_classes,
    deal_grouped,
    deal_random,
    deal_stratified,
    fold_groups,
    fold_in_turn,
    part_in_time,
)

__all__ = ["Split", "SplitPlan", "Splittable", "make_split"]

Rows = NDArray[np.int64]
_KINDS = ("random", "stratified", "grouped", "time", "nested", "column")


class Splittable(Protocol):
    """The parts of a dataset that a split looks at."""

    @property
    def target(self) -> NDArray[Any]: ...  # noqa: D102
    @property
    def task(self) -> Task: ...  # noqa: D102
    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def groups(self) -> NDArray[np.str_] | None: ...  # noqa: D102
    @property
    def times(self) -> NDArray[Any] | None: ...  # noqa: D102
    @property
    def parts(self) -> NDArray[np.str_] | None: ...  # noqa: D102
    @property
    def identity(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPlan(Settings):
    """How rows are parted into training and test rows.

    Kinds: `random` deals all rows alike. `stratified` keeps each class's share. `grouped` keeps each group on
    one side. `time` tests on the last rows. `column` takes the parts that were published with the data.
    `nested` is grouped where the data name groups, else stratified for classes, else random, and always has
    inner folds.
    """

    kind: str = setting("random", doc="How test rows are chosen.", choices=_KINDS)
    test: float = setting(
        0.2, doc="Test rows: a share below 1, or a count from 1 up. Kind column has its own.", above=0
    )
    inner: int = setting(0, doc="Folds inside the training rows, for choosing settings; 0 for none.", low=0)
    gap: float = setting(
        0.0,
        doc="Kind time: what lies at least between training and test, in the time's unit; seconds for dates.",
        low=0,
    )
    part: str = setting(
        "test", doc="Kind column: the value of data.part that marks test rows; all others train."
    )
    fixed: bool = setting(False, doc="Whether all seeds share one split; kinds time and column always do.")

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.test >= 1 and self.test != int(self.test):
            raise BadValue("split.test is a share below 1 or a whole count", got=self.test)
        if self.inner == 1 or (self.kind == "nested" and self.inner == 0):
            raise BadValue(
                "Inner folds are at least 2", got=f"split.inner={self.inner}", nearest="split.inner=5"
            )
        if self.gap and self.kind != "time":
            raise BadValue(
                "Only a split in time has a gap", got=f"split.kind={self.kind} split.gap={self.gap}"
            )

    @property
    def shared(self) -> bool:
        """Whether all seeds get the same split."""
        return self.fixed or self.kind in ("time", "column")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Training and test rows of one seed.

    Attributes:
        train: Sorted row numbers.
        test: Sorted row numbers; none of them trains.
        inner: (training, validation) rows of each inner fold; all of them are training rows of the split.
        plan: What was asked for.
        dataset: Identity of the data.
        identity: sha256 of rows, folds, plan and the data's identity.
    """

    train: Rows
    test: Rows
    inner: tuple[tuple[Rows, Rows], ...] = ()
    plan: SplitPlan
    dataset: str
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        pairs = ((self.train, self.test), *self.inner)
        for one, other in pairs:
            for rows in (one, other):
                if rows.dtype != np.int64 or len(rows) == 0 or (np.diff(rows) <= 0).any() or rows[0] < 0:
                    raise BadValue(
                        "Each side of a split has rows: int64, sorted, each once", got=f"{len(rows)} rows"
                    )
            if np.intersect1d(one, other, assume_unique=True).size:
                raise BadValue(
                    "No row is on both sides of a split", got=f"{np.intersect1d(one, other).size} rows"
                )
        for one, other in self.inner:
            if not np.isin(np.concatenate([one, other]), self.train).all():
                raise BadValue("Inner folds are made of training rows", got="a fold with other rows")
        digest = hashlib.sha256(canonical_json({"dataset": self.dataset, "plan": self.plan}).encode())
        for pair in pairs:
            for rows in pair:
                rows.flags.writeable = False
                digest.update(f"/{len(rows)}/".encode())
                digest.update(rows.astype("<i8").tobytes())
        object.__setattr__(self, "identity", digest.hexdigest())


def make_split(dataset: Splittable, plan: SplitPlan, seed: Seed) -> Split:
    """Return the split of `dataset` that `plan` and `seed` determine.

    Variants that share a seed share its split, so they are compared on the same rows. Kinds `time` and
    `column` do not depend on the seed; for a `fixed` plan the caller passes the same seed each time.

    Raises:
        BadValue: where the data cannot be split so: too few rows, a class or a side that would stay empty, no
            groups, times or parts.
    """
    kind = plan.kind
    if kind == "nested" and dataset.groups is not None:
        kind = "grouped"
    elif kind == "nested":
        kind = "stratified" if dataset.task == "classification" else "random"
    early, late = _sides(dataset, plan, kind, seed)
    train, test = np.flatnonzero(early), np.flatnonzero(late)
    inner = _folds(dataset, plan, kind, train, seed) if plan.inner else ()
    return Split(train=train, test=test, inner=inner, plan=plan, dataset=dataset.identity)


def _sides(
    dataset: Splittable, plan: SplitPlan, kind: str, seed: Seed
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    rows = len(dataset.target)
    if kind == "column":
        parts = _needed(dataset.parts, "part")
        tested = parts == plan.part
        if tested.all() or not tested.any():
            raise BadValue(
                "The part column marks some rows as test rows and leaves others",
                got=f"split.part={plan.part}; parts: {', '.join(np.unique(parts)[:10])}",
            )
        return ~tested, tested
    count = _count(plan.test, rows)
    if kind == "time":
        return part_in_time(_needed(dataset.times, "time"), count, plan.gap)
    generator = seed.generator("split")
    if kind == "grouped":
        tested = deal_grouped(_needed(dataset.groups, "group"), count, generator)
    elif kind == "stratified":
        tested = deal_stratified(_needed_classes(dataset), dataset.classes, count, generator)
    else:
        tested = deal_random(rows, count, generator)
    return ~tested, tested


def _count(test: float, rows: int) -> int:
    """Return how many test rows; a share is rounded up as in scikit-learn, a float's last digit apart."""
    count = int(test) if test >= 1 else math.ceil(test * rows - 1e-9)
    if not 1 <= count < rows:
        raise BadValue(
            "Test rows are at least one and leave rows to train on",
            got=f"split.test={test:g} of {rows} rows",
            nearest=f"split.test={max(1, rows // 5)}" if rows > 1 else None,
        )
    return count


def _needed(values: NDArray[Any] | None, role: str) -> NDArray[Any]:
    if values is None:
        kind = {"group": "grouped", "time": "time", "part": "column"}[role]
        raise BadValue(
            f"split.kind={kind} needs data with a {role} column",
            got=f"none is named in data.{role}",
            next_step=f"name it in data.{role}, or use split.kind=random",
        )
    return values


def _needed_classes(dataset: Splittable) -> Rows:
    if dataset.task != "classification":
        raise BadValue(
            "A stratified split needs classes", got="a regression target", nearest="split.kind=random"
        )
    return dataset.target


def _folds(
    dataset: Splittable, plan: SplitPlan, kind: str, train: Rows, seed: Seed
) -> tuple[tuple[Rows, Rows], ...]:
    """Part the training rows again by the outer rule; published parts are parted at random."""
    generator = seed.generator("split/inner")
    if plan.inner > len(train):
        raise BadValue(
            "Each inner fold has at least one row",
            got=f"split.inner={plan.inner} for {len(train)} training rows",
        )
    if kind == "time":
        return _forward_folds(_needed(dataset.times, "time")[train], train, plan)
    if kind == "grouped":
        fold = fold_groups(_needed(dataset.groups, "group")[train], plan.inner, generator)
    elif kind == "stratified":
        labels, _ = code_classes(dataset.target[train], dataset.classes, plan.inner)
        fold = fold_in_turn(labels, plan.inner, generator)
    else:
        fold = fold_in_turn(np.zeros(len(train), dtype=np.int64), plan.inner, generator)
    return tuple((train[fold != number], train[fold == number]) for number in range(plan.inner))


def _forward_folds(times: NDArray[Any], rows: Rows, plan: SplitPlan) -> tuple[tuple[Rows, Rows], ...]:
    """Fold k trains on what came before its validation rows, as the outer split does."""
    blocks = np.array_split(np.argsort(times, kind="stable"), plan.inner + 1)
    folds: list[tuple[Rows, Rows]] = []
    for number in range(1, plan.inner + 1):
        seen = np.sort(np.concatenate(blocks[: number + 1]))
        early, late = part_in_time(times[seen], len(blocks[number]), plan.gap)
        folds.append((rows[seen][early], rows[seen][late]))
    return tuple(folds)
