"""Features that give the target away together: a flag for each class, or the parts of a total."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.data.dataset import Dataset
from modelwright.data.leak_score import deal_folds, pick_rows, score_forest

__all__ = ["Flag", "check_flags", "check_sum", "find_flags"]

_FOLDS = 5
_ROWS = 2000
_MOST_CLASSES = 3
_LEVEL = 0.01
_NEARLY = 0.06
_CLIFF = 4.0
_LEAST_CLIFF = 0.05
_LEAST_ROWS = 10
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A feature of two values that says of nearly every row whether it is of one class.

    Attributes:
        column: Its place in the table.
        label: The class index.
        error: Share of the class that it misses plus share of the others that it marks.
    """

    column: int
    label: int
    error: float


def find_flags(dataset: Dataset) -> list[Flag]:
    """Return the flags of single classes, for three classes or more, that chance would not give.

    Both ways round count: a flag may be off for its class. The level of one in a hundred is divided among
    all pairs of a feature and a class.
    """
    from scipy.stats import hypergeom

    if dataset.task != "classification":
        return []
    present, label, size = np.unique(dataset.target, return_inverse=True, return_counts=True)
    if len(present) < 3:
        return []
    table, rows = dataset.table(), len(dataset)
    low, high = table.min(axis=0), table.max(axis=0)
    live = np.flatnonzero((low < high) & ((table == low) | (table == high)).all(axis=0))
    found: list[Flag] = []
    for column in live.tolist():
        on = table[:, column] == high[column]
        inside = np.bincount(label[on], minlength=len(present))
        outside = int(on.sum()) - inside
        shares = inside / size - outside / (rows - size)
        for place in np.flatnonzero(1 - np.abs(shares) <= _NEARLY).tolist():
            right, marked = int(inside[place]), int(on.sum())
            if shares[place] < 0:
                right, marked = int(size[place]) - right, rows - marked
            chance = float(hypergeom.sf(right - 1, rows, int(size[place]), marked))
            if chance * len(live) * len(present) <= _LEVEL:
                error = max(0.0, 1 - abs(float(shares[place])))
                found.append(Flag(column=column, label=int(present[place]), error=error))
    return found


def check_flags(
    dataset: Dataset, flags: list[Flag], copies: set[int], generator: np.random.Generator
) -> Iterator[Finding]:
    """Yield classes that a flag gives away; severe where all together are the target, or others fall short.

    Args:
        dataset: The data.
        flags: The flags in them.
        copies: Places of features that repeat the target, and so say nothing for the honest ones.
        generator: Draws rows, folds and trees.
    """
    best: dict[int, Flag] = {}
    for flag in flags:
        if flag.label not in best or flag.error < best[flag.label].error:
            best[flag.label] = flag
    present, size = np.unique(dataset.target, return_counts=True)
    names = dataset.feature_names
    if sum(flag.error == 0 for flag in best.values()) >= len(present) - 1:
        exact = {dataset.classes[flag.label]: names[flag.column] for flag in best.values() if flag.error == 0}
        yield _together(exact)
        return
    common = dict(zip(present.tolist(), size.tolist(), strict=True))
    hidden = copies | {flag.column for flag in flags}
    rest = sorted(set(range(len(names))) - hidden)
    for flag in sorted(best.values(), key=lambda flag: -common[flag.label])[:_MOST_CLASSES]:
        goal = (dataset.target == flag.label).astype(np.int64)
        rows = pick_rows(goal, _ROWS, generator)
        others = 0.0
        if rest:
            fold = deal_folds(goal[rows], _FOLDS, generator)
            table = dataset.table()[rows][:, rest]
            others = score_forest(table, goal[rows], fold, generator, trees=60)
        least = max(_CLIFF * flag.error, _LEAST_CLIFF, _LEAST_ROWS / len(rows))
        yield _one_class(
            names[flag.column], dataset.classes[flag.label], flag.error, others, leak=1 - others >= least
        )


def check_sum(
    dataset: Dataset, rows: NDArray[np.int64], taken: set[int], generator: np.random.Generator
) -> Iterator[Finding]:
    """Yield where the target is a weighted sum of features, though none of them is the target.

    For classes it is their index, and the features are those of two values: the parts of an outcome.

    Args:
        dataset: The data.
        rows: The rows to look at.
        taken: Places of features that are the target and have been reported.
        generator: Draws the folds.
    """
    table = dataset.table()[rows].astype(np.float64)
    usable = ~np.isnan(table).any(axis=0)
    if dataset.task == "classification":
        usable &= ((table == table.min(axis=0)) | (table == table.max(axis=0))).all(axis=0)
    used = np.setdiff1d(np.flatnonzero(usable), list(taken)).astype(np.int64)
    if not len(used) or len(used) > len(rows) / 4:
        return
    target = dataset.target[rows].astype(np.float64)
    error, terms = _unexplained(table[:, used], target, deal_folds(target, _FOLDS, generator))
    if error >= 1e-6:
        return
    names = [dataset.feature_names[used[place]] for place in np.argsort(-terms)[:5]]
    yield Finding(
        kind="features-determine-target",
        severity=Severity.WARNING,
        title="The target is a weighted sum of features, to six digits.",
        evidence={"unexplained_share": error, "largest_terms": names},
        causes=(
            Cause(what="the target was computed from these columns, e.g. a total from its parts"),
            Cause(what="the data were made by a formula"),
        ),
        next_check="Ask whether these columns are known when a prediction is needed; "
        "drop those that are not.",
        subject=names[0],
    )


def _unexplained(
    table: NDArray[np.float64], target: NDArray[np.float64], fold: NDArray[np.int64]
) -> tuple[float, NDArray[np.float64]]:
    """Return the share of the target's variance that a cross-validated sum leaves, and the size of its terms.

    Folds end as soon as one leaves too much.
    """
    scaled = (table - table.mean(axis=0)) / np.maximum(table.std(axis=0), 1e-12)
    design = np.column_stack([np.ones(len(target)), scaled])
    total = float(np.square(target - target.mean()).sum())
    left = 0.0
    weights: NDArray[Any] = np.zeros(design.shape[1])
    for number in range(_FOLDS):
        test = fold == number
        weights = np.linalg.lstsq(design[~test], target[~test], rcond=None)[0]
        left += float(np.square(target[test] - design[test] @ weights).sum())
        if not left < 1e-6 * total:
            return 1.0, np.abs(weights[1:])
    return left / total, np.abs(weights[1:])


def _together(columns: dict[str, str]) -> Finding:
    shown = dict(list(columns.items())[:_SHOWN])
    names = list(shown.values())
    return Finding(
        kind="features-equal-target",
        severity=Severity.SEVERE,
        title=f"{len(columns)} columns together are the target, one for each class: {', '.join(names[:4])}"
        + (" and so on." if len(columns) > 4 else "."),
        evidence={"columns": shown, "count": len(columns)},
        causes=(
            Cause(what="the target was one-hot coded and left among the features"),
            Cause(what="the columns were computed from the outcome"),
        ),
        next_check=f"Drop them: data.drop=[{', '.join(names)}]"
        + (" and the others." if len(columns) > len(names) else "."),
        subject=names[0],
    )


def _one_class(name: str, label: str, error: float, others: float, *, leak: bool) -> Finding:
    return Finding(
        kind="feature-determines-class",
        severity=Severity.SEVERE if leak else Severity.WARNING,
        title=f"{name} alone tells whether a row is {label}"
        + (", and all honest features together come nowhere near." if leak else "; others do so too."),
        evidence={"class": label, "score": 1 - error, "score_of_all_others": others},
        causes=(
            Cause(what="the column is known only after the outcome, or was computed from it"),
            Cause(what="the class is defined by what the column measures"),
            Cause(what="the column is a fair and strong predictor of this class"),
        ),
        next_check=f"Ask whether {name} is known when a prediction is needed; if not, drop it.",
        subject=name,
    )
