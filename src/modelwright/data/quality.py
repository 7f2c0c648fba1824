"""What is odd in a table before it is split: columns and targets that say nothing, or contradict."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.data.dataset import Dataset
from modelwright.data.twins import Twins

__all__ = ["check_quality"]

_SHOWN = 20


def check_quality(dataset: Dataset, twins: Twins) -> Iterator[Finding]:
    """Yield what the table alone shows; splits play no part.

    Args:
        dataset: What to look at.
        twins: Its rows with equal features.
    """
    yield from _target(dataset)
    yield from _columns(dataset)
    yield from _conflicts(dataset, twins)
    yield from _lineage(dataset)


def _shown(items: Mapping[str, Any]) -> dict[str, Any]:
    return dict(list(items.items())[:_SHOWN])


def _target(dataset: Dataset) -> Iterator[Finding]:
    target = dataset.target
    if (target == target[0]).all():
        yield Finding(
            kind="constant-target",
            severity=Severity.SEVERE,
            title="Every row has the same target, so there is nothing to learn.",
            evidence={
                "value": dataset.classes[0] if dataset.classes else float(target[0]),
                "rows": len(target),
            },
            causes=(
                Cause(what="rows were filtered by their target"),
                Cause(what="data.target names another column"),
            ),
            next_check="Count the values of the target column in the raw data.",
            subject="target",
        )
        return
    if dataset.task == "regression":
        return
    shares = np.bincount(target, minlength=len(dataset.classes)) / len(target)
    if shares.min() < 0.01 or shares.max() >= 0.95:
        yield Finding(
            kind="class-imbalance",
            severity=Severity.INFO if dataset.is_text and shares.max() < 0.95 else Severity.WARNING,
            title=f"Always answering {dataset.classes[int(shares.argmax())]} is right in "
            f"{shares.max():.1%} of rows; "
            f"the rarest class, {dataset.classes[int(shares.argmin())]}, has {shares.min():.2%}.",
            evidence={
                "shares": _shown({dataset.classes[c]: float(shares[c]) for c in np.argsort(shares)}),
                "majority": float(shares.max()),
            },
            causes=(
                Cause(what="the classes are this rare"),
                Cause(what="rows of a class were lost on the way"),
            ),
            next_check="Compare with balanced_accuracy or macro_f1 rather than accuracy.",
            subject="target",
        )


def _columns(dataset: Dataset) -> Iterator[Finding]:
    table = dataset.table()
    names = dataset.feature_names
    severity = Severity.WARNING if dataset.columns else Severity.INFO
    constant = np.all((table == table[0]) | (np.isnan(table) & np.isnan(table[0])), axis=0)
    if constant.any():
        yield Finding(
            kind="constant-column",
            severity=severity,
            title=f"{int(constant.sum())} of {len(names)} features have the same value in every row.",
            evidence={
                "columns": [names[i] for i in np.flatnonzero(constant)[:_SHOWN]],
                "count": int(constant.sum()),
            },
            causes=(
                Cause(
                    what="the border of an image"
                    if not dataset.columns
                    else "rows were filtered by this column"
                ),
                Cause(what="a join or an earlier step filled the column with one value"),
            ),
            next_check="Drop the columns, or find the step after which they became constant.",
            subject=names[int(np.flatnonzero(constant)[0])],
        )
    live = np.flatnonzero(~constant)
    seen: dict[bytes, int] = {}
    pairs: list[list[str]] = []
    for place in live:
        column = table[:, place] + np.float32(0)
        column[np.isnan(column)] = np.nan
        first = seen.setdefault(column.tobytes(), int(place))
        if first != place:
            pairs.append([names[first], names[place]])
    if pairs:
        yield Finding(
            kind="duplicate-column",
            severity=severity,
            title=f"{pairs[0][1]} repeats {pairs[0][0]} in every row.",
            evidence={"pairs": pairs[:_SHOWN], "count": len(pairs)},
            causes=(
                Cause(what="a join kept both keys"),
                Cause(what="one quantity was exported under two names"),
            ),
            next_check="Drop one of each pair with data.drop.",
            subject=pairs[0][1],
        )
    if dataset.columns and len(dataset) >= 20:
        steps = np.diff(table[:, live].astype(np.float64), axis=0)
        counting = np.flatnonzero((steps == steps[0]).all(axis=0) & (steps[0] != 0)) if len(live) else []
        for place in counting:
            yield Finding(
                kind="row-number-column",
                severity=Severity.WARNING,
                title=f"{names[live[place]]} counts the rows, so it tells where in the file a row stood.",
                evidence={"first": float(table[0, live[place]]), "step": float(steps[0, place])},
                causes=(Cause(what="an index was written to the file as a column"),),
                next_check=f"Drop it: data.drop=[{names[live[place]]}].",
                subject=names[live[place]],
            )
    yield from _standardized(dataset)


def _standardized(dataset: Dataset) -> Iterator[Finding]:
    if not dataset.columns or len(dataset) < 20:
        return
    table = dataset.table().astype(np.float64)
    mean, deviation = table.mean(axis=0), table.std(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = np.abs(mean / deviation) < 1e-5
    unit = [
        np.abs(deviation * scale - 1) < 1e-5
        for scale in (1.0, np.sqrt(len(table)), np.sqrt(1 - 1 / len(table)))
    ]
    done = centred & np.any(unit, axis=0)
    if done.any():
        names = [dataset.columns[i] for i in np.flatnonzero(done)]
        yield Finding(
            kind="standardized-over-all-rows",
            severity=Severity.WARNING,
            title=f"{len(names)} columns have mean 0 and deviation 1 over all rows: they were "
            "scaled before the split.",
            evidence={"columns": names[:_SHOWN], "count": len(names)},
            causes=(Cause(what="a scaler was fitted on training and test rows together"),),
            next_check="Load the raw values and let the learner scale with the training rows alone.",
            subject=names[0],
        )


def _conflicts(dataset: Dataset, twins: Twins) -> Iterator[Finding]:
    many = twins.size > 1
    if not many.any():
        return
    cluster, target = twins.cluster[many], dataset.target[many].astype(np.float64)
    low = np.full(twins.cluster.max() + 1, np.inf)
    high = np.full(len(low), -np.inf)
    np.minimum.at(low, cluster, target)
    np.maximum.at(high, cluster, target)
    torn = low[cluster] != high[cluster]
    if torn.any():
        share = float(torn.sum() / len(dataset))
        yield Finding(
            kind="conflicting-labels",
            severity=Severity.WARNING if share > 0.05 and not dataset.is_text else Severity.INFO,
            title=f"{int(torn.sum())} rows ({share:.1%}) have the same features as a row with "
            "another target.",
            evidence={
                "rows": int(torn.sum()),
                "share": share,
                "example_rows": np.flatnonzero(many)[torn][:2].tolist(),
            },
            causes=(
                Cause(what="the features do not determine the target, and are few or coarse"),
                Cause(what="some labels are wrong"),
                Cause(what="a column that tells the rows apart was left out"),
            ),
            next_check="Look at a few such rows in the raw data; no learner can be right on all of them.",
        )


def _lineage(dataset: Dataset) -> Iterator[Finding]:
    for step in dataset.transformations:
        if step["name"] == "to_float32":
            merged: Mapping[str, int] = step["arguments"]["merged"]
            name = next(iter(merged))
            yield Finding(
                kind="precision-lost",
                severity=Severity.WARNING,
                title=f"Different values of {name} became equal when rounded to 32-bit floats.",
                evidence={"values_lost": _shown(merged)},
                causes=(
                    Cause(what="an identifier or a time in seconds is used as a feature"),
                    Cause(what="values differ far less than their size: subtract an offset first"),
                ),
                next_check="Drop identifiers; turn times into differences; subtract a fixed offset "
                "in a query.",
                subject=name,
            )
    if dataset.origin.get("ordered") is False:
        yield Finding(
            kind="unordered-query",
            severity=Severity.INFO,
            title="The query has no ORDER BY, so its rows may come in another order elsewhere.",
            evidence={"query": dataset.origin["query"]},
            causes=(Cause(what="SQL promises no order of rows without ORDER BY"),),
            next_check="Add ORDER BY with a key that is unique; the data's identity depends on the "
            "order of rows.",
        )
