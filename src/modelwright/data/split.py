"""Which rows train and which test: drawn from a seed's own stream, part of the data's identity."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.fingerprint import canonical_json
from modelwright.base.metric import Task
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting

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
        "test", doc="Kind column: the value of source.part that marks test rows; all others train."
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
    kind = _resolved(dataset, plan)
    rows = np.arange(len(dataset.target), dtype=np.int64)
    if kind == "column":
        train, test = _given(dataset, plan)
    elif kind == "time":
        train, test = _late(_needed(dataset.times, "time"), _count(plan.test, len(rows)), plan.gap)
    else:
        chosen = _DEALS[kind](dataset, rows, _count(plan.test, len(rows)), seed.generator("split"))
        train, test = rows[~chosen], rows[chosen]
    inner = _inner_folds(dataset, plan, kind, train, seed) if plan.inner else ()
    return Split(train=train, test=test, inner=inner, plan=plan, dataset=dataset.identity)


def _resolved(dataset: Splittable, plan: SplitPlan) -> str:
    if plan.kind != "nested":
        return plan.kind
    if dataset.groups is not None:
        return "grouped"
    return "stratified" if dataset.task == "classification" else "random"


def _needed(values: NDArray[Any] | None, role: str) -> NDArray[Any]:
    if values is None:
        raise BadValue(
            f"A split by {role} needs data with a {role} column",
            got=f"no {role}",
            next_step=f"name the column in source.{role}",
        )
    return values


def _count(test: float, rows: int) -> int:
    """Return how many test rows; a share is rounded up, as scikit-learn does."""
    count = int(test) if test >= 1 else math.ceil(test * rows - 1e-9)
    if not 1 <= count < rows:
        raise BadValue(
            "Test rows are at least one and leave rows to train on",
            got=f"split.test={test:g} of {rows} rows",
            nearest=f"split.test={max(1, rows // 5)}" if rows > 1 else None,
        )
    return count


def _given(dataset: Splittable, plan: SplitPlan) -> tuple[Rows, Rows]:
    parts = dataset.parts
    if parts is None:
        raise BadValue(
            "A split by column needs a column that names each row's part",
            got="no part",
            next_step="name the column in source.part",
        )
    marked = parts == plan.part
    if marked.all() or not marked.any():
        found = ", ".join(np.unique(parts)[:10])
        raise BadValue(
            "The part column marks some rows as test rows and leaves others",
            got=f"split.part={plan.part}; parts: {found}",
        )
    return np.flatnonzero(~marked), np.flatnonzero(marked)


def _late(times: NDArray[Any], count: int, gap: float, rows: Rows | None = None) -> tuple[Rows, Rows]:
    """Part rows at one instant: the last `count` or more test, as rows of one instant stay together."""
    rows = np.arange(len(times), dtype=np.int64) if rows is None else rows
    start = np.sort(times)[len(times) - count]
    late = times >= start
    early = (times < start) & (times <= start - _duration(times, gap))
    if not early.any():
        raise BadValue(
            "A split in time leaves earlier rows to train on",
            got=f"{count} test rows from {start}, gap {gap:g}, first row {times.min()}",
            next_step="make split.test or split.gap smaller",
        )
    return rows[early], rows[late]


def _duration(times: NDArray[Any], gap: float) -> Any:
    return np.timedelta64(round(gap * 1e6), "us") if times.dtype.kind == "M" else gap


def _deal_random(
    dataset: Splittable, rows: Rows, count: int, generator: np.random.Generator
) -> NDArray[np.bool_]:
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[generator.permutation(len(rows))[:count]] = True
    return chosen


def _deal_stratified(
    dataset: Splittable, rows: Rows, count: int, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Give each class its share, the remainders by lot, and at least one row on either side."""
    labels, sizes = _classes_of(dataset, rows, 2)
    if count < len(sizes) or len(rows) - count < len(sizes):
        raise BadValue(
            "A stratified split has room for every class on both sides",
            got=f"{count} test rows, {len(rows) - count} training rows, {len(sizes)} classes",
            next_step="change split.test, or use split.kind=random",
        )
    exact = sizes * count / len(rows)
    quota = np.clip(np.floor(exact).astype(np.int64), 1, sizes - 1)
    tie = generator.random(len(sizes))
    while (left := count - quota.sum()) != 0:
        step = 1 if left > 0 else -1
        open_ = (quota < sizes - 1) if step > 0 else (quota > 1)
        need = np.where(open_, (exact - quota) * step, -np.inf)
        quota[np.lexsort((tie, -need))[0]] += step
    chosen = np.zeros(len(rows), dtype=bool)
    for label, number in enumerate(quota):
        own = np.flatnonzero(labels == label)
        chosen[generator.permutation(own)[:number]] = True
    return chosen


def _classes_of(dataset: Splittable, rows: Rows, least: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if dataset.task != "classification":
        raise BadValue(
            "A stratified split needs classes", got="a regression target", nearest="split.kind=random"
        )
    present, labels, sizes = np.unique(dataset.target[rows], return_inverse=True, return_counts=True)
    if sizes.min() < least:
        small = ", ".join(
            f"{dataset.classes[present[i]]} ({sizes[i]})" for i in np.flatnonzero(sizes < least)[:10]
        )
        raise BadValue(
            f"A stratified split needs at least {least} rows of every class",
            got=small,
            next_step="use split.kind=random, fewer folds, or join or drop the rare classes",
        )
    return labels, sizes


def _deal_grouped(
    dataset: Splittable, rows: Rows, count: int, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Take whole groups in random order while that brings the number of test rows nearer to `count`."""
    codes, sizes = _groups_of(dataset, rows, 2)
    order = generator.permutation(len(sizes))
    reached = np.cumsum(sizes[order])[:-1]
    taken = order[: int(np.argmin(np.abs(reached - count))) + 1]
    return np.isin(codes, taken)


def _groups_of(dataset: Splittable, rows: Rows, least: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    groups = _needed(dataset.groups, "group")[rows]
    _, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < least:
        raise BadValue(
            f"A grouped split needs at least {least} groups",
            got=f"{len(sizes)} in {len(rows)} rows, e.g. {groups[0]}",
            next_step="name another column in source.group, or use split.kind=random",
        )
    return codes, sizes


_DEALS: dict[str, Callable[[Splittable, Rows, int, np.random.Generator], NDArray[np.bool_]]] = {
    "random": _deal_random,
    "stratified": _deal_stratified,
    "grouped": _deal_grouped,
}


def _inner_folds(
    dataset: Splittable, plan: SplitPlan, kind: str, train: Rows, seed: Seed
) -> tuple[tuple[Rows, Rows], ...]:
    generator = seed.generator("split/inner")
    if plan.inner > len(train):
        raise BadValue(
            "Each inner fold has at least one row",
            got=f"split.inner={plan.inner} for {len(train)} training rows",
        )
    if kind == "time":
        return _forward_folds(_needed(dataset.times, "time")[train], train, plan)
    if kind == "grouped":
        fold = _fold_groups(dataset, train, plan.inner, generator)
    elif kind == "stratified":
        labels, _ = _classes_of(dataset, train, plan.inner)
        fold = _fold_in_turn(labels, plan.inner, generator)
    else:
        fold = _fold_in_turn(np.zeros(len(train), dtype=np.int64), plan.inner, generator)
    return tuple((train[fold != number], train[fold == number]) for number in range(plan.inner))


def _fold_in_turn(labels: NDArray[np.int64], folds: int, generator: np.random.Generator) -> Rows:
    """Deal the rows of one label after another to the folds in turn, so that sizes differ by one at most."""
    shuffled = generator.permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = generator.permutation(folds)[np.arange(len(labels)) % folds]
    return fold


def _fold_groups(dataset: Splittable, rows: Rows, folds: int, generator: np.random.Generator) -> Rows:
    """Give each group, the largest first, to the smallest fold so far; equals by lot."""
    codes, sizes = _groups_of(dataset, rows, folds)
    load = np.zeros(folds, dtype=np.int64)
    place = np.empty(len(sizes), dtype=np.int64)
    for group in np.lexsort((generator.random(len(sizes)), -sizes)):
        place[group] = np.lexsort((generator.random(folds), load))[0]
        load[place[group]] += sizes[group]
    return place[codes]


def _forward_folds(times: NDArray[Any], rows: Rows, plan: SplitPlan) -> tuple[tuple[Rows, Rows], ...]:
    """Fold k trains on what came before its validation rows, as the outer split does."""
    order = np.argsort(times, kind="stable")
    blocks = np.array_split(order, plan.inner + 1)
    folds: list[tuple[Rows, Rows]] = []
    for number in range(1, plan.inner + 1):
        seen = np.sort(np.concatenate(blocks[: number + 1]))
        folds.append(_late(times[seen], len(blocks[number]), plan.gap, rows[seen]))
    return tuple(folds)
