"""What training and test rows of a split share that they must not, and what one of them lacks.

All of this is exact counting, so every split is looked at.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.data.dataset import Dataset
from modelwright.data.split import Split
from modelwright.data.twins import Twins

__all__ = ["check_overlap"]

_SEVERE_SHARE = 0.4
_BLOCK_ROWS = 20
_DRAWS = 1999
_LEVEL = 0.005
_SMALL_TEST = 30
_MOST_TWINS = 10_000


def check_overlap(
    dataset: Dataset, splits: Sequence[Split], twins: Twins, generator: np.random.Generator
) -> Iterator[Finding]:
    """Yield what splits show by counting alone.

    Args:
        dataset: The data.
        splits: Splits of it that differ from one another.
        twins: Rows with equal features.
        generator: For the null distribution of twins across a split.
    """
    yield from _duplicates(dataset, splits, twins, generator)
    if dataset.groups is not None:
        yield from _groups(dataset.groups, splits)
    if dataset.times is not None:
        yield from _times(dataset.times, splits)
    if dataset.task == "classification":
        yield from _classes(dataset, splits)
    yield from _sizes(dataset, splits)


def _duplicates(
    dataset: Dataset, splits: Sequence[Split], twins: Twins, generator: np.random.Generator
) -> Iterator[Finding]:
    """Test rows whose features also train.

    Real tables repeat rows (one in four of the published wine-quality rows does), so twins alone are a
    warning. It is severe where memory could answer two test rows in five; where more twins face each other
    across the split than dealing these rows at random would give, so that somebody copied rows across; and
    where a block of consecutive rows repeats earlier ones, as after joining overlapping files or copying
    rare rows before the split.
    """
    if not twins.repeats.any():
        return
    shares = [_twin_rows(twins.cluster, split).mean() for split in splits]
    if max(shares) == 0:
        return
    worst = splits[int(np.argmax(shares))]
    share = float(max(shares))
    met = worst.test[_twin_rows(twins.cluster, worst)]
    agreeing = _agreement(dataset.target, twins.cluster, worst.train, met)
    chance = _chance_share(dataset.table(), generator)
    block = _longest_block(twins.repeats)
    expected, p_value = _excess(twins, splits[0], generator)
    repeated = float(twins.repeats.mean())
    copied_block = block >= _BLOCK_ROWS and block >= 0.01 * len(dataset) and chance < 0.25 * repeated
    copied_across = p_value <= _LEVEL and shares[0] - expected >= min(0.05, max(0.01, 0.5 * expected))
    memory = share * agreeing >= _SEVERE_SHARE and chance < 0.25 * repeated
    severity = Severity.WARNING if share >= 0.01 and not dataset.is_text else Severity.INFO
    if copied_block or copied_across or memory:
        severity = Severity.SEVERE
    causes = [
        Cause(what="the same case was recorded more than once, and its copies were dealt to both sides"),
        Cause(what="features are few or coarse, so that different cases look alike"),
    ]
    if copied_block:
        causes.insert(
            0, Cause(what=f"{block} rows in a row repeat earlier ones: overlapping files, or rows copied")
        )
    if copied_across:
        causes.insert(0, Cause(what="rows were copied between the published parts"))
    yield Finding(
        kind="duplicate-rows-across-split",
        severity=severity,
        title=f"{share:.1%} of test rows have an exact twin among the training rows.",
        evidence={
            "share": share,
            "test_rows": len(met),
            "same_target": agreeing,
            "splits_with_twins": int(np.count_nonzero(shares)),
            "splits": len(splits),
            "expected_share": expected,
            "p_value": p_value,
            "longest_block": block,
            "chance_share": chance,
            "example_rows": met[:3].tolist(),
        },
        causes=tuple(causes),
        next_check="Look at the example rows. Copies of one case: data.duplicates=drop, or name "
        "what they share in "
        "data.group and use split.kind=grouped. Different cases: accept the finding.",
        subject="split",
    )


def _twin_rows(cluster: NDArray[np.int64], split: Split) -> NDArray[np.bool_]:
    trained = np.zeros(cluster.max() + 1, dtype=bool)
    trained[cluster[split.train]] = True
    return trained[cluster[split.test]]


def _agreement(
    target: NDArray[Any], cluster: NDArray[np.int64], train: NDArray[np.int64], met: NDArray[np.int64]
) -> float:
    """Return the share of test rows that have a training twin with the same target."""
    _, label = np.unique(target, return_inverse=True)
    pair = cluster * (label.max() + 1) + label
    return float(np.isin(pair[met], pair[train]).mean())


def _chance_share(table: NDArray[np.float32], generator: np.random.Generator) -> float:
    """Return the share of rows that repeat once each column is shuffled: twins that coarseness explains."""
    rows = table if len(table) <= 5000 else table[generator.choice(len(table), 5000, replace=False)]
    shuffled = np.ascontiguousarray(generator.permuted(rows, axis=0))
    return 1 - len(np.unique(shuffled.view(np.dtype((np.void, 4 * shuffled.shape[1]))))) / len(shuffled)


def _longest_block(repeats: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], repeats.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _excess(twins: Twins, split: Split, generator: np.random.Generator) -> tuple[float, float]:
    """Return the share of test rows with twins that random dealing gives, and how rarely it gives as many.

    Asked of one split that was not chosen for its twins. Only rows with twins are dealt; beyond ten
    thousand of them, those of some clusters stand for all.
    """
    rows = np.concatenate([split.train, split.test])
    tested = np.repeat([False, True], [len(split.train), len(split.test)])
    several = twins.size[rows] > 1
    kept = several.copy()
    if several.sum() > _MOST_TWINS:
        kept &= (generator.random(twins.cluster.max() + 1) < _MOST_TWINS / several.sum())[twins.cluster[rows]]
    _, cluster = np.unique(twins.cluster[rows[kept]], return_inverse=True)
    met = _met(cluster, tested[kept])
    counts = np.zeros(_DRAWS)
    for draw in range(_DRAWS):
        number = generator.hypergeometric(len(split.test), len(split.train), len(cluster))
        side = np.zeros(len(cluster), dtype=bool)
        side[generator.permutation(len(cluster))[:number]] = True
        counts[draw] = _met(cluster, side)
    p_value = (1 + np.count_nonzero(counts >= met)) / (_DRAWS + 1)
    expected = counts.mean() * several.sum() / max(len(cluster), 1) / len(split.test)
    return float(expected), float(p_value)


def _met(cluster: NDArray[np.int64], tested: NDArray[np.bool_]) -> int:
    """Return how many tested rows have a twin that trains."""
    trains = np.bincount(cluster, weights=~tested) > 0
    return int(np.count_nonzero(tested & trains[cluster]))


def _groups(groups: NDArray[np.str_], splits: Sequence[Split]) -> Iterator[Finding]:
    names, codes = np.unique(groups, return_inverse=True)
    shares: list[float] = []
    both: list[NDArray[np.int64]] = []
    for split in splits:
        known = np.isin(codes[split.test], codes[split.train])
        shares.append(float(known.mean()))
        both.append(np.unique(codes[split.test][known]))
    if max(shares) == 0:
        return
    worst = int(np.argmax(shares))
    yield Finding(
        kind="group-overlap",
        severity=Severity.SEVERE,
        title=f"{len(both[worst])} groups have rows on both sides of the split, e.g. "
        f"{names[both[worst][0]]}.",
        evidence={
            "share_of_test_rows": shares[worst],
            "groups": [str(names[code]) for code in both[worst][:5]],
            "groups_on_both_sides": len(both[worst]),
            "all_groups": len(names),
            "splits_with_overlap": int(np.count_nonzero(shares)),
            "splits": len(splits),
        },
        causes=(
            Cause(what="rows were dealt one by one although rows of a group belong together"),
            Cause(what="the group column does not name what belongs together"),
        ),
        next_check="Use split.kind=grouped; leave data.group empty if the groups do not matter.",
        subject="split",
    )


def _times(times: NDArray[Any], splits: Sequence[Split]) -> Iterator[Finding]:
    """How often a training row is later than a test row: one pair in two where rows are dealt at random."""
    later: list[float] = []
    for split in splits:
        train = np.sort(times[split.train])
        above = len(train) - np.searchsorted(train, times[split.test], side="right")
        later.append(float(above.mean() / len(train)))
    if max(later) == 0:
        return
    worst = splits[int(np.argmax(later))]
    share = max(later)
    yield Finding(
        kind="time-overlap",
        severity=Severity.SEVERE if share > 0.05 else Severity.WARNING,
        title="Training rows are later than test rows, so the past is predicted with knowledge of "
        "the future.",
        evidence={
            "share_of_pairs": share,
            "last_training_time": str(times[worst.train].max()),
            "first_test_time": str(times[worst.test].min()),
            "splits_with_overlap": int(np.count_nonzero(later)),
            "splits": len(splits),
        },
        causes=(
            Cause(what="rows that follow one another in time were dealt at random"),
            Cause(what="the published parts overlap in time"),
        ),
        next_check="Use split.kind=time; leave data.time empty if the order does not matter.",
        subject="split",
    )


def _classes(dataset: Dataset, splits: Sequence[Split]) -> Iterator[Finding]:
    count = len(dataset.classes)
    present = np.bincount(dataset.target, minlength=count) > 0
    train = np.array([np.bincount(dataset.target[split.train], minlength=count) for split in splits])
    test = np.array([np.bincount(dataset.target[split.test], minlength=count) for split in splits])
    lost = np.where((train == 0) & present, test, 0)
    for kind, side, gone in (
        ("training", "train", (train == 0) & present),
        ("test", "test", (test == 0) & present),
    ):
        if not gone.any():
            continue
        share = float((lost.sum(axis=1) / test.sum(axis=1)).max())
        single = bool(((train > 0).sum(axis=1) == 1).any())
        # A new text has characters that the old one lacks; such windows are few and no fault.
        severe = side == "train" and ((share >= 0.01 and not dataset.is_text) or single)
        light = Severity.INFO if dataset.is_text else Severity.WARNING
        names = [dataset.classes[c] for c in np.flatnonzero(gone.any(axis=0))]
        yield Finding(
            kind=f"class-missing-from-{side}",
            severity=Severity.SEVERE if severe else light,
            title=f"Class {names[0]} has no {kind} rows in {int(gone.any(axis=1).sum())} of "
            f"{len(splits)} splits.",
            evidence={
                "classes": names[:20],
                "splits": int(gone.any(axis=1).sum()),
                "all_splits": len(splits),
                "rows_of_class": {
                    name: int((dataset.target == dataset.classes.index(name)).sum()) for name in names[:20]
                },
                **({"share_of_test_rows": share} if side == "train" else {}),
            },
            causes=(
                Cause(what="the class is rare and rows were dealt without regard to class"),
                Cause(what="rows are sorted by class and were parted in that order"),
            ),
            next_check="Use split.kind=stratified, or join or drop classes that are too rare.",
            subject=names[0],
        )


def _sizes(dataset: Dataset, splits: Sequence[Split]) -> Iterator[Finding]:
    least = min(len(split.test) for split in splits)
    if least >= _SMALL_TEST:
        return
    if dataset.task == "classification":
        means = f"one row more or less right moves accuracy by {1 / least:.1%}"
        error = {"standard_error_at_half": 0.5 / least**0.5}
    else:
        # The mean of n squares of normal errors is chi-square: its root varies by 1 / sqrt(2 n) of itself.
        spread = (2 * least) ** -0.5
        error = {"relative_standard_error_of_rmse": spread}
        means = f"which rows they are moves the RMSE by about {spread:.0%}, and more if some errors are large"
    yield Finding(
        kind="small-test-set",
        severity=Severity.WARNING,
        title=f"Only {least} rows test: {means}.",
        evidence={"test_rows": least, "rows": len(dataset), **error},
        causes=(Cause(what="the data are few"), Cause(what="split.test is small")),
        next_check="Raise split.test, or count on more seeds: each draws other test rows.",
        subject="split",
    )
