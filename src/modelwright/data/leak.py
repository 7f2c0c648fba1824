"""Features that give the target away.

Each quantity is scored alone, cross-validated: 0 at chance, 1 without a mistake, in between balanced
accuracy, or R2 on the ranks of a regression target. A quick score cuts it into bins of a few rows and
predicts each fold from the bins of the others; its null is the best such score of any quantity after the
targets were shuffled, so that many features or few rows raise no alarm. What stands out is scored again by
a small tree, which finds its own cuts.

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

__all__ = ["Probe", "check_leaks", "cut_bins", "find_probes", "score_bins"]

_FOLDS = 5
_ROWS = 5000
_NULL_ROWS = 400
_NULL_PROBES = 100
_FOREST_ROWS = 2000
_FOREST_FOLDS = 3
_MOST_TREES = 20
_MOST_FORESTS = 3
_DRAWS = 199
_LEVEL = 0.01
_QUICK = 0.75
_STRONG = 0.9
_BLINDING = 0.98
_CLIFF = 4.0
_LEAST_CLIFF = 0.05
_NEARLY = {"classification": 0.06, "regression": 0.02}
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
    rows = _some(len(target), _ROWS, generator)
    table, goal = dataset.table()[rows], _goal(dataset, rows)
    probes = find_probes(dataset)
    fold = generator.permutation(len(rows)) % _FOLDS
    quick = np.array([score_bins(cut_bins(probe.values[rows]), goal, fold) for probe in probes])
    standing_out = np.flatnonzero(quick >= _QUICK)
    if not len(standing_out):
        yield from _joint(dataset, rows, fold)
        return
    bound = _null_bound([probe.values[rows] for probe in probes], goal, float(quick.max()), generator)
    scores: dict[int, float] = {}
    for place in standing_out[np.argsort(-quick[standing_out], kind="stable")][:_MOST_TREES].tolist():
        if quick[place] <= bound:
            continue
        if _equals(probes[place].values, target, dataset.task):
            yield _equal_finding(probes[place].name, float(quick[place]), bound)
        scores[place] = _forest_score(probes[place].values[rows, None], goal, fold, generator, trees=1)
    strong = sorted((place for place in scores if scores[place] >= _STRONG), key=lambda place: -scores[place])
    blind = {column for place in strong if scores[place] >= _BLINDING for column in probes[place].columns}
    for place in strong[:_MOST_FORESTS]:
        if _equals(probes[place].values, target, dataset.task):
            continue
        rest = sorted(set(range(table.shape[1])) - blind - set(probes[place].columns))
        some = _some(len(rows), _FOREST_ROWS, generator)
        others = (
            _forest_score(table[some][:, rest], goal[some], fold[some], generator, trees=60) if rest else 0.0
        )
        yield _strong_finding(probes[place].name, dataset.task, scores[place], others, bound)


def _some(rows: int, most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return np.arange(rows) if rows <= most else np.sort(generator.choice(rows, most, replace=False))


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


def cut_bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a bin for each row: one per value where they are few, else of equal size; one for NaN."""
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    most = int(np.clip(len(values) // 8, 8, 256))
    if len(counts) <= most:
        return codes
    known = ~np.isnan(values)
    ranks = _ranks(values)
    return np.where(known, (ranks * most // len(values)).astype(np.int64), most)


def score_bins(bins: NDArray[np.int64], goal: NDArray[Any], fold: NDArray[np.int64]) -> float:
    """Return how well bins alone predict `goal`, cross-validated: 0 at chance, 1 without a mistake.

    Args:
        bins: (row,) bin of each row, from 0.
        goal: (row,) class indices without gaps (int64), or numbers (float64).
        fold: (row,) fold of each row, from 0.
    """
    width, folds = int(bins.max()) + 1, int(fold.max()) + 1
    if goal.dtype == np.int64:
        classes = int(goal.max()) + 1
        counts = np.bincount((fold * width + bins) * classes + goal, minlength=folds * width * classes)
        counts = counts.reshape(folds, width, classes)
        seen = counts.sum(axis=0) - counts
        weight = 1 / np.maximum(seen.sum(axis=1, keepdims=True), 1)
        guess = (seen * weight).argmax(axis=2)
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


def _null_bound(
    values: Sequence[NDArray[np.float64]], goal: NDArray[Any], best: float, generator: np.random.Generator
) -> float:
    """Return what the best feature scores with shuffled targets in at most one draw in a hundred.

    Infinite as soon as draws that reach `best` show that the bound lies above it.
    """
    few = _some(len(goal), _NULL_ROWS, generator)
    goal = np.unique(goal[few], return_inverse=True)[1] if goal.dtype == np.int64 else goal[few]
    fold = generator.permutation(len(few)) % _FOLDS
    bins = [cut_bins(values[place][few]) for place in _some(len(values), _NULL_PROBES, generator)]
    spared = int(_LEVEL * (_DRAWS + 1))
    null: list[float] = []
    for _ in range(_DRAWS):
        shuffled = generator.permutation(goal)
        null.append(max(score_bins(one, shuffled, fold) for one in bins))
        if sum(score >= best for score in null) >= spared:
            return float("inf")
    return sorted(null)[-spared]


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


def _forest_score(
    table: NDArray[Any],
    goal: NDArray[Any],
    fold: NDArray[np.int64],
    generator: np.random.Generator,
    *,
    trees: int,
) -> float:
    """Return the cross-validated score of a forest, or of one tree on all rows where `trees` is 1."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    classes = goal.dtype == np.int64
    options: dict[str, Any] = {"class_weight": "balanced"} if classes else {"max_features": 0.4}
    kind = RandomForestClassifier if classes else RandomForestRegressor
    guess = np.empty(len(goal), dtype=goal.dtype)
    folds = np.unique(fold) if trees == 1 else np.unique(fold)[:_FOREST_FOLDS]
    for number in folds:
        forest = kind(
            n_estimators=trees,
            bootstrap=trees > 1,
            min_samples_leaf=3 if trees == 1 else 1,
            random_state=int(generator.integers(2**31)),
            n_jobs=1,
            **options,
        )
        forest.fit(table[fold != number], goal[fold != number])
        guess[fold == number] = forest.predict(table[fold == number])
    done = np.isin(fold, folds)
    goal, guess = goal[done], guess[done]
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
        next_check=f"Drop it: data.drop=[{name}].",
        subject=name,
    )


def _strong_finding(name: str, task: str, score: float, others: float, bound: float) -> Finding:
    error, rest = 1 - score, 1 - others
    leak = error <= _NEARLY[task] and rest >= max(_CLIFF * error, _LEAST_CLIFF)
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
