"""Values that are missing, openly or behind a code."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.data.dataset import Dataset
from modelwright.data.encoding import MISSING_LEVEL

__all__ = ["check_gaps"]

_SHOWN = 20
_CODES = frozenset(sign * code for code in (9, 99, 999, 9999, 99999, 999999) for sign in (-1, 1)) | {
    -1,
    0,
    8888,
    -8888,
}
_TEXT_CODES = frozenset(
    {"?", "??", "-", "--", ".", "*", "n/a", "na", "nan", "null", "nil", "missing", "#n/a", "-999", "999"}
)
_UNSURE_CODES = frozenset({"unknown", "none", "undefined", "unspecified", "not available", "no data"})


def check_gaps(dataset: Dataset) -> Iterator[Finding]:
    """Yield gaps in features, values that look like codes for gaps, and rows that were dropped for gaps."""
    yield from _missing(dataset)
    yield from _disguised(dataset)


def _shown(items: Mapping[str, Any]) -> dict[str, Any]:
    return dict(list(items.items())[:_SHOWN])


def _missing(dataset: Dataset) -> Iterator[Finding]:
    gaps = np.isnan(dataset.table()).sum(axis=0)
    numbers = {dataset.feature_names[i]: int(gaps[i]) for i in np.argsort(-gaps, kind="stable") if gaps[i]}
    texts = {
        name: int(dataset.table()[:, place].sum())
        for place, name in enumerate(dataset.columns)
        if name.endswith(f"={MISSING_LEVEL}")
    }
    for step in dataset.transformations:
        if step["name"] == "zero_and_indicator":
            texts |= step["arguments"]["missing"]
        if step["name"] == "ordinal":
            for column in step["arguments"]["columns"]:
                if column["levels"][-1:] == [MISSING_LEVEL]:
                    coded = dataset.table()[:, column["first"]] == len(column["levels"]) - 1
                    texts[column["column"]] = int(coded.sum())
    if numbers or texts:
        yield Finding(
            kind="missing-values",
            severity=Severity.WARNING if numbers else Severity.INFO,
            title=f"{len(numbers)} number columns have gaps, which many learners cannot take."
            if numbers
            else "Values are missing and were given a category or an indicator of their own.",
            evidence={
                "columns": _shown(numbers),
                "own_category": _shown(texts),
                "rows_with_gaps": int(np.isnan(dataset.table()).any(axis=1).sum()),
                "rows": len(dataset),
            },
            causes=(Cause(what="the values were never measured"), Cause(what="a join found no partner")),
            next_check="See whether gaps depend on the target; choose data.when_missing, or a "
            "learner that takes NaN.",
            subject=next(iter(numbers or texts)),
        )
    for step in dataset.transformations:
        if step["name"] == "drop_rows":
            before, after = step["rows"]
            lost = 1 - after / before
            yield Finding(
                kind="rows-dropped",
                severity=Severity.WARNING if lost > 0.05 else Severity.INFO,
                title=f"{before - after} of {before} rows were left out because a value is missing.",
                evidence={"before": before, "after": after, "columns": _shown(step["arguments"]["missing"])},
                causes=(Cause(what="data.when_missing=drop_rows"),),
                next_check="Compare the targets of the rows that were left out with the others: "
                "if they differ, the answer holds for complete rows only.",
            )


def _disguised(dataset: Dataset) -> Iterator[Finding]:
    found: dict[str, dict[str, Any]] = {}
    if dataset.columns:
        for place, name in enumerate(dataset.columns):
            edge = _number_code(dataset.table()[:, place].astype(np.float64))
            if edge:
                found[name] = edge
    unsure: dict[str, dict[str, Any]] = {}
    for step in dataset.transformations:
        if step["name"] not in ("one_hot", "ordinal"):
            continue
        for column in step["arguments"]["columns"]:
            for level in column["levels"]:
                if level.lower() in _TEXT_CODES:
                    found[column["column"]] = {"code": level}
                elif level.lower() in _UNSURE_CODES:
                    unsure[column["column"]] = {"code": level}
    if found or unsure:
        shown = found or unsure
        names = sorted(shown, key=lambda name: not isinstance(shown[name]["code"], str))  # texts are surer
        codes = [f"{name} ({_code(shown[name]['code'])})" for name in names[:4]]
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        yield Finding(
            kind="disguised-missing",
            severity=Severity.WARNING if found else Severity.INFO,
            title=f"Values that look like codes for missing: {', '.join(codes)}{more}.",
            evidence={"columns": _shown(found), "perhaps": _shown(unsure)},
            causes=(
                Cause(what="missing values were stored as a number or text that stands for them"),
                Cause(what="the measurement ends there: a top or bottom code"),
                Cause(what="the value is real"),
            ),
            next_check="Look the code up in the data's description; if it means missing, name it in "
            "data.missing, or turn it into NULL in a query.",
            subject=names[0],
        )


def _code(code: str | float) -> str:
    return code if isinstance(code, str) else format(code, "g")


def _number_code(values: NDArray[np.float64]) -> dict[str, Any] | None:
    """Return a value at the edge of a column that recurs and stands apart from all others."""
    found, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    if len(found) < 12:
        return None
    for edge, near, rest in ((0, 1, slice(1, None)), (-1, -2, slice(None, -1))):
        value = float(found[edge])
        if counts[edge] < 2:
            continue
        low, first, third, high = _quantiles(found[rest], counts[rest])
        spread = third - first or high - low or 1.0
        gap = abs(float(found[near]) - value)
        reach = float(found[rest][-1] - found[rest][0])
        usual = value == 0 and counts[edge] > 0.5 * counts.sum()  # most people lose no capital
        apart = value in _CODES and not usual and gap > (0.5 * spread if value == 0 else spread)
        # A negative code beside measured numbers, all positive and hardly two of them alike.
        signed = (
            value in _CODES and value <= -90 and float(found[1]) > 0 and len(found) > 0.5 * counts[rest].sum()
        )
        apart |= signed and counts[edge] >= 0.01 * counts.sum()
        if apart or (gap > 2 * reach and counts[edge] >= 0.005 * counts.sum()):
            return {"code": value, "rows": int(counts[edge]), "nearest_other_value": float(found[near])}
    return None


def _quantiles(found: NDArray[np.float64], counts: NDArray[np.int64]) -> list[float]:
    places = np.searchsorted(np.cumsum(counts), np.array([0.05, 0.25, 0.75, 0.95]) * counts.sum())
    return [float(found[min(place, len(found) - 1)]) for place in places]
