"""Features that give the target away.

A feature is scored by a tree on that feature alone: it is cut into bins of a few rows (every value its own
bin where values are few, a bin for missing), and each fold is predicted from the bins of the other four.
The score is 0 at chance and 1 where nothing is wrong: balanced accuracy between chance and one, or R2 on
the ranks of a regression target. Its null is the best score of any feature after the targets were shuffled,
so that many features or few rows raise no alarm.

Strong is not leaking: petal width tells irises apart nearly as well. What gives a leak away is the cliff:
the feature alone is nearly right, and all others together, through a forest, are much further off.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.data.dataset import Dataset

__all__ = ["Probe", "check_leaks", "find_probes", "score_probe"]

_FOLDS = 5
_ROWS = 5000
_NULL_ROWS = 400
_DRAWS = 199
_LEVEL = 0.01
_STRONG = 0.9
_CLIFF = 4.0
_NEARLY = {"classification": 0.06, "regression": 0.01}
"""Error up to which a feature nearly determines the target: three labels in a hundred flipped between two
balanced classes, or noise of a tenth of the target's deviation."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probe:
    """One quantity of the source: a feature, or all columns that one text column became.

    Attributes:
        name: Its name in the source.
        values: (row,) numbers, or codes of a text column.
        columns: Its places in the table.
    """

    name: str
    values: NDArray[np.float64]
    columns: tuple[int, ...]


def find_probes(dataset: Dataset) -> list[Probe]:
    """Return the quantities of the data; columns of a one-hot encoding are put together again."""
    table, names = dataset.table(), dataset.feature_names
    probes: list[Probe] = []
    taken: set[int] = set()
    for step in dataset.transformations:
        if step["name"] == "one_hot":
            for column in step["arguments"]["columns"]:
                places = range(column["first"], column["first"] + column["width"])
                codes = table[:, places].argmax(axis=1).astype(np.float64)
                probes.append(Probe(name=column["column"], values=codes, columns=tuple(places)))
                taken.update(places)
    for place in set(range(table.shape[1])) - taken:
        probes.append(Probe(name=names[place], values=table[:, place].astype(np.float64), columns=(place,)))
    return sorted(probes, key=lambda probe: probe.columns)


def check_leaks(dataset: Dataset, generator: np.random.Generator) -> Iterator[Finding]:
    """Yield features that equal the target, nearly determine it, or outweigh everything else."""
    target = dataset.target
    if len(target) < 2 * _FOLDS or (target == target[0]).all():
        return
    rows = np.arange(len(target))
    if len(rows) > _ROWS:
        rows = np.sort(generator.choice(len(rows), _ROWS, replace=False))
    probes = find_probes(dataset)
    small = [Probe(name=p.name, values=p.values[rows], columns=p.columns) for p in probes]
    goal = _goal(dataset, rows)
    fold = generator.permutation(len(rows)) % _FOLDS
    scores = np.array([score_probe(probe.values, goal, fold) for probe in small])
    strong = np.flatnonzero(scores >= _STRONG)
    equal = [
        place for place in np.flatnonzero(scores > 0.5) if _equals(probes[place].values, target, dataset.task)
    ]
    if not len(strong) and not equal:
        yield from _joint(dataset, rows, fold)
        return
    bound = _null_bound(small, goal, generator)
    for place in sorted({*strong.tolist(), *equal}, key=lambda place: -scores[place]):
        if scores[place] <= bound:
            continue
        if place in equal:
            yield _equal_finding(probes[place].name, float(scores[place]), bound)
            continue
        blind = {column for other in np.flatnonzero(scores >= 0.98) for column in probes[other].columns}
        rest = sorted(set(range(dataset.table().shape[1])) - blind - set(probes[place].columns))
        others = _forest_score(dataset.table()[rows][:, rest], goal, generator) if rest else 0.0
        yield _strong_finding(probes[place].name, dataset.task, float(scores[place]), others, bound)


def _goal(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return class indices without gaps (int64), or ranks of values between 0 and 1 (float64)."""
    if dataset.task == "classification":
        return np.unique(dataset.target[rows], return_inverse=True)[1].astype(np.int64)
    return _ranks(dataset.target[rows]) / len(rows)


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return mean ranks from 0; NaN ranks last."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - counts + last - 1) / 2)[place]


def _bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    most = int(np.clip(len(values) // 4, 8, 256))
    if len(counts) <= most:
        return codes
    known = ~np.isnan(values)
    ranks = _ranks(values)
    return np.where(known, (ranks * most // len(values)).astype(np.int64), most)


def score_probe(values: NDArray[np.float64], goal: NDArray[Any], fold: NDArray[np.int64]) -> float:
    """Return how well a quantity alone predicts `goal`, cross-validated: 0 at chance, 1 without a mistake.

    Args:
        values: (row,) numbers; NaN is a value of its own.
        goal: (row,) class indices without gaps (int64), or numbers (float64).
        fold: (row,) fold of each row, from 0.
    """
    bins = _bins(values)
    width, folds = int(bins.max()) + 1, int(fold.max()) + 1
    if goal.dtype == np.int64:
        classes = int(goal.max()) + 1
        counts = np.bincount((fold * width + bins) * classes + goal, minlength=folds * width * classes)
        counts = counts.reshape(folds, width, classes)
        seen = counts.sum(axis=0) - counts
        weight = 1 / np.maximum(seen.sum(axis=1, keepdims=True), 1)
        guess = (seen * weight + weight * 1e-9).argmax(axis=2)
        hits = np.take_along_axis(counts, guess[..., None], axis=2)[..., 0]
        right = np.bincount(guess.ravel(), weights=hits.ravel(), minlength=classes)
        recall = right / np.bincount(goal, minlength=classes)
        return float((recall.mean() - 1 / classes) / (1 - 1 / classes))
    index = fold * width + bins
    counts = np.bincount(index, minlength=folds * width).reshape(folds, width)
    sums = np.bincount(index, weights=goal, minlength=folds * width).reshape(folds, width)
    seen, seen_sums = counts.sum(axis=0) - counts, sums.sum(axis=0) - sums
    overall = seen_sums.sum(axis=1, keepdims=True) / seen.sum(axis=1, keepdims=True)
    mean = np.where(seen > 0, seen_sums / np.maximum(seen, 1), overall)
    residual = goal - mean[fold, bins]
    return float(1 - np.square(residual).sum() / np.square(goal - goal.mean()).sum())


def _null_bound(probes: Sequence[Probe], goal: NDArray[Any], generator: np.random.Generator) -> float:
    """Return what the best feature scores with shuffled targets in at most one draw in a hundred."""
    few = (
        np.arange(len(goal))
        if len(goal) <= _NULL_ROWS
        else generator.choice(len(goal), _NULL_ROWS, replace=False)
    )
    goal = np.unique(goal[few], return_inverse=True)[1] if goal.dtype == np.int64 else goal[few]
    fold = generator.permutation(len(few)) % _FOLDS
    some = (
        probes
        if len(probes) <= 100
        else [probes[i] for i in generator.choice(len(probes), 100, replace=False)]
    )
    best: list[float] = []
    for _ in range(_DRAWS):
        shuffled = generator.permutation(goal)
        best.append(max(score_probe(probe.values[few], shuffled, fold) for probe in some))
    return float(np.quantile(best, 1 - _LEVEL, method="higher"))


def _equals(values: NDArray[np.float64], target: NDArray[Any], task: str) -> bool:
    """Whether a quantity is the target under other names (one value for one class) or on another scale."""
    distinct = len(np.unique(target))
    if task == "classification" or distinct <= len(target) / 5:
        pairs = np.unique(
            np.column_stack([np.unique(v, return_inverse=True)[1] for v in (values, target)]), axis=0
        )
        if len(pairs) == distinct == len(np.unique(values)):
            return True
    if task == "classification" or np.isnan(values).any():
        return False
    one, other = _ranks(values), _ranks(target)
    return bool(abs(np.corrcoef(one, other)[0, 1]) >= 1 - 1e-6)


def _forest_score(table: NDArray[np.float32], goal: NDArray[Any], generator: np.random.Generator) -> float:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    rows = np.arange(len(goal)) if len(goal) <= 2000 else generator.choice(len(goal), 2000, replace=False)
    table, goal = table[rows], goal[rows]
    classes = goal.dtype == np.int64
    kind = RandomForestClassifier if classes else RandomForestRegressor
    fold = generator.permutation(len(goal)) % 3
    guess = np.empty(len(goal), dtype=goal.dtype)
    for number in range(3):
        forest = kind(n_estimators=60, random_state=int(generator.integers(2**31)), n_jobs=1)
        forest.fit(table[fold != number], goal[fold != number])
        guess[fold == number] = forest.predict(table[fold == number])
    if not classes:
        return float(1 - np.square(goal - guess).sum() / np.square(goal - goal.mean()).sum())
    present = np.unique(goal)
    recall = np.mean([(guess[goal == label] == label).mean() for label in present])
    return float((recall - 1 / len(present)) / (1 - 1 / len(present)))


def _joint(dataset: Dataset, rows: NDArray[np.int64], fold: NDArray[np.int64]) -> Iterator[Finding]:
    """Yield where the target is a sum of features, though none of them tells it alone."""
    table = dataset.table()[rows].astype(np.float64)
    if dataset.task != "regression" or table.shape[1] > len(rows) / 4 or np.isnan(table).any():
        return
    target = dataset.target[rows]
    design = np.column_stack(
        [np.ones(len(rows)), (table - table.mean(axis=0)) / np.maximum(table.std(axis=0), 1e-12)]
    )
    residual = np.empty(len(rows))
    for number in range(_FOLDS):
        test = fold == number
        weights = np.linalg.lstsq(design[~test], target[~test], rcond=None)[0]
        residual[test] = target[test] - design[test] @ weights
    error = float(np.square(residual).sum() / np.square(target - target.mean()).sum())
    if error < 1e-6:
        size = np.abs(np.linalg.lstsq(design, target, rcond=None)[0][1:])
        names = [dataset.feature_names[i] for i in np.argsort(-size)[:5]]
        yield Finding(
            kind="features-determine-target",
            severity=Severity.WARNING,
            title="The target is a weighted sum of features, to six digits.",
            evidence={"unexplained_share": error, "largest_terms": names},
            causes=(
                Cause(what="the target was computed from these columns, e.g. a total from its parts"),
                Cause(what="the data were made by a formula"),
            ),
            next_check="Ask whether these columns are known when a prediction is needed; drop "
            "those that are not.",
            subject=names[0],
        )


def _equal_finding(name: str, score: float, bound: float) -> Finding:
    return Finding(
        kind="feature-equals-target",
        severity=Severity.SEVERE,
        title=f"{name} is the target itself, under other names or on another scale.",
        evidence={"score": score, "null_bound": bound},
        causes=(
            Cause(what="the target was copied or coded into a feature"),
            Cause(what="the column was computed from the outcome"),
        ),
        next_check=f"Drop it: source.drop=[{name}].",
        subject=name,
    )


def _strong_finding(name: str, task: str, score: float, others: float, bound: float) -> Finding:
    error, rest = 1 - score, 1 - others
    leak = error <= _NEARLY[task] and error * _CLIFF <= rest
    return Finding(
        kind="feature-nearly-determines-target" if leak else "feature-dominates-target",
        severity=Severity.SEVERE if leak else Severity.WARNING,
        title=f"{name} alone nearly determines the target"
        + (
            ", and all other features together come nowhere near."
            if leak
            else "; others do so too, or it is not exact."
        ),
        evidence={"score": score, "score_of_all_others": others, "null_bound": bound},
        causes=(
            Cause(what="the column is known only after the outcome, or was computed from it"),
            Cause(what="the target repeats what the column measures"),
            Cause(what="the column is a fair and strong predictor"),
        ),
        next_check=f"Ask whether {name} is known when a prediction is needed; if not, drop it.",
        subject=name,
    )
