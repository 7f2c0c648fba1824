"""The arithmetic of dealing rows to two sides, or to folds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue

__all__ = [
    "code_classes",
    "code_groups",
    "deal_grouped",
    "deal_random",
    "deal_stratified",
    "fold_groups",
    "fold_in_turn",
    "part_in_time",
]

Rows = NDArray[np.int64]
Marks = NDArray[np.bool_]


def deal_random(rows: int, count: int, generator: np.random.Generator) -> Marks:
    """Mark `count` of `rows` rows, each set of them as likely as any other."""
    chosen = np.zeros(rows, dtype=bool)
    chosen[generator.permutation(rows)[:count]] = True
    return chosen


def deal_stratified(
    target: Rows, classes: Sequence[str], count: int, generator: np.random.Generator
) -> Marks:
    """Mark `count` rows, of each class its share: remainders by lot, at least one row on either side.

    Raises:
        BadValue: where a class has one row, or a side has no room for every class.
    """
    labels, sizes = code_classes(target, classes, 2)
    if count < len(sizes) or len(target) - count < len(sizes):
        raise BadValue(
            "A stratified split has room for every class on both sides",
            got=f"{count} test rows, {len(target) - count} training rows, {len(sizes)} classes",
            next_step="change split.test, or use split.kind=random",
        )
    exact = sizes * count / len(target)
    quota = np.clip(np.floor(exact).astype(np.int64), 1, sizes - 1)
    lot = generator.random(len(sizes))
    while (left := count - quota.sum()) != 0:
        step = 1 if left > 0 else -1
        free = (quota < sizes - 1) if step > 0 else (quota > 1)
        need = np.where(free, (exact - quota) * step, -np.inf)
        quota[np.lexsort((lot, -need))[0]] += step
    chosen = np.zeros(len(target), dtype=bool)
    for label, number in enumerate(quota):
        own = np.flatnonzero(labels == label)
        chosen[generator.permutation(own)[:number]] = True
    return chosen


def deal_grouped(groups: NDArray[np.str_], count: int, generator: np.random.Generator) -> Marks:
    """Mark whole groups: in random order, each that brings the number of rows nearer to `count`.

    So a group much larger than `count` is not marked; where all are, one of the smallest is.

    Raises:
        BadValue: where there is one group.
    """
    codes, sizes = code_groups(groups, 2)
    order = generator.permutation(len(sizes))
    taken: list[int] = []
    total = 0
    for group in order.tolist():
        nearer = abs(total + int(sizes[group]) - count) < abs(total - count)
        if nearer and len(taken) < len(sizes) - 1:
            taken.append(group)
            total += int(sizes[group])
    if not taken:
        taken.append(int(order[np.argmin(sizes[order])]))
    return np.isin(codes, taken)


def part_in_time(times: NDArray[Any], count: int, gap: float) -> tuple[Marks, Marks]:
    """Mark earlier and later rows: the last `count` or more, as rows of one instant stay together.

    Args:
        times: (row,) numbers or datetime64[us].
        count: How many later rows.
        gap: What lies at least between the sides, in the times' unit; seconds for dates.

    Raises:
        BadValue: where no earlier row is left.
    """
    start = np.sort(times)[len(times) - count]
    before: Any = np.timedelta64(round(gap * 1e6), "us") if times.dtype.kind == "M" else gap
    early = (times < start) & (times <= start - before)
    if not early.any():
        raise BadValue(
            "A split in time leaves earlier rows to train on",
            got=f"{count} test rows from {start}, gap {gap:g}, first row {times.min()}",
            next_step="make split.test, split.gap or split.inner smaller",
        )
    return early, times >= start


def fold_in_turn(labels: Rows, folds: int, generator: np.random.Generator) -> Rows:
    """Deal the rows of one label after another to the folds in turn, so that sizes differ by one at most."""
    shuffled = generator.permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = generator.permutation(folds)[np.arange(len(labels)) % folds]
    return fold


def fold_groups(groups: NDArray[np.str_], folds: int, generator: np.random.Generator) -> Rows:
    """Give each group, the largest first, to the smallest fold so far; equals by lot.

    Raises:
        BadValue: where there are fewer groups than folds.
    """
    codes, sizes = code_groups(groups, folds)
    load = np.zeros(folds, dtype=np.int64)
    place = np.empty(len(sizes), dtype=np.int64)
    for group in np.lexsort((generator.random(len(sizes)), -sizes)):
        place[group] = np.lexsort((generator.random(folds), load))[0]
        load[place[group]] += sizes[group]
    return place[codes]


def code_classes(target: Rows, classes: Sequence[str], least: int) -> tuple[Rows, Rows]:
    """Return the label of each row, without gaps, and how many rows each label has.

    Raises:
        BadValue: where a class that occurs has fewer than `least` rows.
    """
    present, labels, sizes = np.unique(target, return_inverse=True, return_counts=True)
    rare = np.flatnonzero(sizes < least)
    if len(rare):
        raise BadValue(
            f"A stratified split needs at least {least} rows of every class",
            got=", ".join(f"{classes[int(present[label])]} ({sizes[label]})" for label in rare[:10].tolist()),
            next_step="use split.kind=random, fewer folds, or join or drop the rare classes",
        )
    return labels, sizes


def code_groups(groups: NDArray[np.str_], least: int) -> tuple[Rows, Rows]:
    """Return the group of each row as a number, and how many rows each group has.

    Raises:
        BadValue: where there are fewer than `least` groups.
    """
    _, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < least:
        raise BadValue(
            f"A grouped split needs at least {least} groups",
            got=f"{len(sizes)} in {len(groups)} rows, e.g. {groups[0]}",
            next_step="name another column in data.group, or use split.kind=random",
        )
    return codes, sizes
