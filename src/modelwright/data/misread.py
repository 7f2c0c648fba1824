"""Columns that were read as text although nearly all of their values spell numbers or dates."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.data.dataset import Dataset
from modelwright.data.encoding import MISSING_LEVEL
from modelwright.data.spelling import Spelling, spelling_of

__all__ = ["check_misread"]


def check_misread(dataset: Dataset) -> Iterator[Finding]:
    """Yield text features, and classes, that at least nine rows in ten spell as a number or a date."""
    for name, levels, counts in _texts(dataset):
        known = np.array([level != MISSING_LEVEL for level in levels])
        kept = [level for level in levels if level != MISSING_LEVEL]
        spelling = spelling_of(kept, counts[known])
        if spelling:
            yield _finding(name, spelling, became=f"{len(levels)} categories without an order")
    if dataset.task == "classification" and any(_plain(name) is None for name in dataset.classes):
        counts = np.bincount(dataset.target, minlength=len(dataset.classes))
        spelling = spelling_of(dataset.classes, counts)
        if spelling:
            yield _finding("target", spelling, became=f"{len(dataset.classes)} classes")


def _texts(dataset: Dataset) -> Iterator[tuple[str, list[str], NDArray[np.int64]]]:
    """Yield name, levels and rows of each level of every text column."""
    table = dataset.table()
    for step in dataset.transformations:
        if step["name"] not in ("one_hot", "ordinal"):
            continue
        for column in step["arguments"]["columns"]:
            first, width, levels = column["first"], column["width"], column["levels"]
            if step["name"] == "one_hot":
                counts = (
                    np.nan_to_num(table[:, first : first + width])
                    .sum(axis=0, dtype=np.float64)
                    .astype(np.int64)
                )
            else:
                counts = np.bincount(table[:, first].astype(np.int64), minlength=len(levels))
            yield column["column"], list(levels), counts


def _plain(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _finding(name: str, spelling: Spelling, *, became: str) -> Finding:
    evidence: dict[str, Any] = {
        "share": spelling.share,
        "examples": list(spelling.usual),
        "odd_cells": list(spelling.odd),
    }
    if spelling.kind == "date":
        return Finding(
            kind="dates-read-as-text",
            severity=Severity.WARNING,
            title=f"{name} holds dates or times of day, e.g. {spelling.usual[0]}, and became {became}.",
            evidence=evidence,
            causes=(Cause(what="the file stores dates as text"),),
            next_check=f"If it says when a row happened, set data.time={name}; else drop it, or turn it into "
            "numbers with a query.",
            subject=name,
        )
    but = f"but for {', '.join(spelling.odd)}" if spelling.odd else f"written like {spelling.usual[0]}"
    mend = (
        "Correct these cells, or name them in data.missing if they mean that nothing was measured."
        if spelling.odd
        else "Write them with a decimal point and without signs or gaps, in the file or with a query."
    )
    return Finding(
        kind="numbers-read-as-text",
        severity=Severity.WARNING,
        title=f"{name} holds numbers, {but}, and became {became}.",
        evidence=evidence,
        causes=(
            Cause(what="a few cells were mistyped, or say in words why there is no number"),
            Cause(what="numbers are written with a decimal comma, a unit or separated thousands"),
        ),
        next_check=mend,
        subject=name,
    )
