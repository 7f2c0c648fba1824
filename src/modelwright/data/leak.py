"""Features that give the target away.

Each quantity is scored alone, cross-validated: 0 at chance, 1 without a mistake, in between balanced
accuracy, or R2 on the ranks of a regression target. A quick score cuts it into bins of a few rows and
predicts each fold from the bins of the others; its null is the best such score of any quantity after the
targets were shuffled, so that many features or few rows raise no alarm. What stands out is scored again by
a small tree, which finds its own cuts.

Strong is not leaking: petal width tells irises apart nearly as well. What gives a leak away is the cliff:
the feature alone is nearly right, and all others together, through a forest, are much further off.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.data.dataset import Dataset
from modelwright.data.joint_leak import check_flags, check_sum, find_flags
from modelwright.data.leak_score import cut_bins, deal_folds, pick_rows, rank_values, score_bins, score_forest

__all__ = ["Probe", "check_leaks", "find_probes"]

_FOLDS = 5
_ROWS = 5000
_NULL_ROWS = 400
_NULL_PROBES = 100
_FOREST_ROWS = 2000
_MOST_TREES = 20
_MOST_FORESTS = 3
_DRAWS = 199
_LEVEL = 0.01
_QUICK = 0.75
_STRONG = 0.9
_BLINDING = 0.98
_CLIFF = 4.0
_LEAST_CLIFF = 0.05
_LEAST_ROWS = 10
"""Rows of which the others' error must speak: fewer are the luck of the folds."""
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
    rows = pick_rows(target, _ROWS, generator)
    goal, probes = _goal(dataset, rows), find_probes(dataset)
    equal = yield from _equal(dataset, rows, probes)
    flags = find_flags(dataset)
    copies = {column for place in equal for column in probes[place].columns}
    reported = copies | {flag.column for flag in flags}
    rest = [probe for place, probe in enumerate(probes) if place not in equal]
    copies = yield from _strong(dataset, rows, goal, rest, reported, generator)
    yield from check_flags(dataset, flags, copies, generator)
    yield from check_sum(dataset, rows, reported, generator)


def _goal(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return class indices without gaps (int64), or ranks of values between 0 and 1 (float64)."""
    if dataset.task == "classification":
        return np.unique(dataset.target[rows], return_inverse=True)[1].astype(np.int64)
    return rank_values(dataset.target[rows]) / len(rows)


def _equal(
    dataset: Dataset, rows: NDArray[np.int64], probes: Sequence[Probe]
) -> Generator[Finding, None, set[int]]:
    """Yield the probes that are the target, unless chance alone might well have made one; return all such."""
    target = dataset.target
    counts = np.unique(target, return_counts=True)[1]
    # Amounts that one row has each could be renamed to anything; codes come up again.
    coded = dataset.task == "classification" or 5 * (len(counts) - 1) <= len(target) - counts.max()
    ordered = dataset.task == "regression"
    chance = len(probes) * _chance_of_equality(target, coded=coded)
    if chance > _LEVEL:
        return set()
    equal: set[int] = set()
    for place, probe in enumerate(probes):
        if all(
            _equals(probe.values[some], target[some], coded=coded, ordered=ordered)
            for some in (rows, slice(None))
        ):
            equal.add(place)
            if len(equal) <= _MOST_TREES:
                yield _equal_finding(probe.name, chance)
    return equal


def _strong(
    dataset: Dataset,
    rows: NDArray[np.int64],
    goal: NDArray[Any],
    probes: Sequence[Probe],
    copies: set[int],
    generator: np.random.Generator,
) -> Generator[Finding, None, set[int]]:
    """Yield the probes that alone predict the target nearly without a mistake.

    Returns `copies`, the places of features known to repeat the target, with those that do so nearly.
    """
    fold = deal_folds(goal, _FOLDS, generator)
    quick = np.array([score_bins(cut_bins(probe.values[rows]), goal, fold) for probe in probes])
    standing_out = np.flatnonzero(quick >= _QUICK)
    if not len(standing_out):
        return copies
    bound = _null_bound([probe.values[rows] for probe in probes], goal, float(quick.max()), generator)
    scores: dict[int, float] = {}
    for place in standing_out[np.argsort(-quick[standing_out], kind="stable")][:_MOST_TREES].tolist():
        if quick[place] > bound:
            scores[place] = score_forest(probes[place].values[rows, None], goal, fold, generator, trees=1)
    strong = sorted((place for place in scores if scores[place] >= _STRONG), key=lambda place: -scores[place])
    hidden = copies | {
        column
        for place in strong
        if 1 - scores[place] <= _hiding(dataset, probes[place])
        for column in probes[place].columns
    }
    some = pick_rows(goal, _FOREST_ROWS, generator)
    table = dataset.table()[rows[some]]
    others: dict[tuple[int, ...], float] = {(): 0.0}
    for place in strong:
        rest = tuple(sorted(set(range(table.shape[1])) - hidden - set(probes[place].columns)))
        if rest not in others:
            if len(others) > _MOST_FORESTS:
                continue
            others[rest] = score_forest(table[:, rest], goal[some], fold[some], generator, trees=60)
        least = max(_LEAST_CLIFF, _LEAST_ROWS / len(some))
        yield _strong_finding(probes[place].name, dataset.task, scores[place], others[rest], bound, least)
    return hidden


def _hiding(dataset: Dataset, probe: Probe) -> float:
    """Return the error up to which a probe counts as a copy, which must not speak for the other features.

    A label with mistakes has no more values than there are classes. A measurement of as many mistakes has
    more, and may rightly stand beside another of its kind.
    """
    coded = dataset.task == "classification" and len(np.unique(probe.values)) <= len(dataset.classes) + 1
    return _NEARLY[dataset.task] if coded else 1 - _BLINDING


def _null_bound(
    values: Sequence[NDArray[np.float64]], goal: NDArray[Any], best: float, generator: np.random.Generator
) -> float:
    """Return what the best feature scores with shuffled targets in at most one draw in a hundred.

    Infinite as soon as draws that reach `best` show that the bound lies above it.
    """
    few = pick_rows(goal, _NULL_ROWS, generator)
    goal = np.unique(goal[few], return_inverse=True)[1] if goal.dtype == np.int64 else goal[few]
    fold = deal_folds(goal, _FOLDS, generator)
    chosen = np.sort(generator.permutation(len(values))[:_NULL_PROBES])
    bins = [cut_bins(values[place][few]) for place in chosen]
    spared = int(_LEVEL * (_DRAWS + 1))
    null: list[float] = []
    for _ in range(_DRAWS):
        order = generator.permutation(len(goal))
        null.append(max(score_bins(one, goal[order], fold[order]) for one in bins))
        if sum(score >= best for score in null) >= spared:
            return float("inf")
    return sorted(null)[-spared]


def _chance_of_equality(target: NDArray[Any], *, coded: bool) -> float:
    """Return how likely a column with as many rows of each value, in random order, is the target.

    One over the number of orders of the target, times the names that values of equal count may exchange
    where other names count, or else times two directions.
    """
    from scipy.special import gammaln

    counts = np.unique(target, return_counts=True)[1]
    alike = np.unique(counts, return_counts=True)[1]
    orders = gammaln(len(target) + 1) - gammaln(counts + 1).sum()
    names = gammaln(alike + 1).sum() if coded else np.log(2)
    return float(np.exp(min(0.0, names - orders)))


def _equals(values: NDArray[np.float64], target: NDArray[Any], *, coded: bool, ordered: bool) -> bool:
    """Whether a quantity is the target under other names (one value for one class) or on another scale.

    Args:
        values: (row,) the quantity.
        target: (row,) the target.
        coded: Whether other names count.
        ordered: Whether another scale counts: the same order, but for rounding.
    """
    found, one = np.unique(values, return_inverse=True)
    goals, other = np.unique(target, return_inverse=True)
    if coded and len(found) == len(goals) == len(np.unique(one * len(goals) + other)):
        return True
    if not ordered or np.isnan(values).any():
        return False
    unusual = target != goals[np.bincount(other).argmax()]
    return all(
        _same_order(values[some], target[some])
        for some in (slice(None), unusual)  # an amount that is nearly always 0 is more than being above 0
        if (target[some] != target[some][0]).any()
    )


def _same_order(values: NDArray[np.float64], target: NDArray[Any]) -> bool:
    if (values == values[0]).all():
        return False
    return bool(abs(np.corrcoef(rank_values(values), rank_values(target))[0, 1]) >= 1 - 1e-6)


def _equal_finding(name: str, chance: float) -> Finding:
    return Finding(
        kind="feature-equals-target",
        severity=Severity.SEVERE,
        title=f"{name} is the target itself, under other names or on another scale.",
        evidence={"p_value": chance},
        causes=(
            Cause(what="the target was copied or coded into a feature"),
            Cause(what="the column was computed from the outcome"),
        ),
        next_check=f"Drop it: data.drop=[{name}].",
        subject=name,
    )


def _strong_finding(name: str, task: str, score: float, others: float, bound: float, least: float) -> Finding:
    error, rest = 1 - score, 1 - others
    leak = error <= _NEARLY[task] and rest >= max(_CLIFF * error, least)
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
