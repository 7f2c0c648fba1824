"""The first checks of data, before any trial.

    gaps      values that are missing, openly or behind a code
    misread   text columns whose values spell numbers or dates
    quality   idle columns, constant, rare or conflicting targets, losses on the way
    overlap   exact counts over every split: twins, groups and times on both sides, classes that lack
    leak      features that give the target away, against a permutation null
    shift     train and test that a classifier tells apart, against a permutation null

The pages in `findings/` say for each kind what it means, how to be sure and how to mend it.
"""

from collections.abc import Sequence

from modelwright.base.clock import Clock, SystemClock
from modelwright.base.errors import BadValue
from modelwright.base.finding import Cause, Finding, Severity
from modelwright.base.seed import Seed
from modelwright.data.dataset import Dataset
from modelwright.data.gaps import check_gaps
from modelwright.data.leak import check_leaks
from modelwright.data.misread import check_misread
from modelwright.data.overlap import check_overlap
from modelwright.data.quality import check_quality
from modelwright.data.shift import check_shift
from modelwright.data.split import Split
from modelwright.data.twins import find_twins

__all__ = ["KINDS", "check_data"]

KINDS: tuple[str, ...] = (
    "checks-incomplete",
    "class-imbalance",
    "class-missing-from-test",
    "class-missing-from-train",
    "conflicting-labels",
    "constant-column",
    "constant-target",
    "dates-read-as-text",
    "disguised-missing",
    "duplicate-column",
    "duplicate-rows-across-split",
    "feature-determines-class",
    "feature-dominates-target",
    "feature-equals-target",
    "feature-nearly-determines-target",
    "features-determine-target",
    "features-equal-target",
    "group-overlap",
    "missing-values",
    "numbers-read-as-text",
    "precision-lost",
    "row-number-column",
    "rows-dropped",
    "small-test-set",
    "standardized-over-all-rows",
    "time-overlap",
    "train-test-differ",
    "unordered-query",
)
"""Every kind of finding that data checks make. Designs accept findings by these names, so they stay."""

_SHIFT_SPLITS = 3


def check_data(
    dataset: Dataset,
    splits: Sequence[Split],
    *,
    seed: Seed,
    budget_s: float = 20,
    clock: Clock | None = None,
) -> tuple[Finding, ...]:
    """Return what is odd about data and splits, the gravest first.

    Counting checks look at every split. Of the statistical ones, features against the target are checked
    once, and train against test on at most three different splits, with the level divided among them. A
    check that has begun is finished; none begins after the budget is spent, and a finding then says what
    was left.

    Args:
        dataset: The data.
        splits: The splits that trials will use, in the seeds' order.
        seed: For rows, folds and permutations of the statistical checks.
        budget_s: Seconds after which no further statistical check begins.
        clock: Measures them.

    Raises:
        BadValue: where there is no split, or one of other data.
    """
    if not splits or any(split.dataset != dataset.identity for split in splits):
        raise BadValue(
            "Data are checked with splits of the same data",
            got=f"{len(splits)} splits, "
            f"{sum(split.dataset != dataset.identity for split in splits)} of other data",
        )
    clock = clock or SystemClock()
    end = clock.monotonic() + budget_s
    different = list({split.identity: split for split in splits}.values())
    twins = find_twins(dataset.table())
    findings = [
        *check_gaps(dataset),
        *check_misread(dataset),
        *check_quality(dataset, twins),
        *check_overlap(dataset, different, twins, seed.generator("check/overlap")),
    ]
    left: list[str] = []
    if clock.monotonic() < end:
        findings.extend(check_leaks(dataset, seed.generator("check/leak")))
    else:
        left.append("whether a feature gives the target away")
    chosen = different[:_SHIFT_SPLITS]
    for number, split in enumerate(chosen):
        if clock.monotonic() >= end:
            left.append(f"whether train and test differ in {len(chosen) - number} of {len(chosen)} splits")
            break
        found = list(
            check_shift(dataset, split, seed.generator(f"check/shift/{number}"), checked=len(chosen))
        )
        findings.extend(found)
        if found:
            break
    if left:
        findings.append(
            Finding(
                kind="checks-incomplete",
                severity=Severity.INFO,
                title=f"Time ran out after {budget_s:g} s; not checked: {'; '.join(left)}.",
                evidence={"budget_s": budget_s, "not_checked": left},
                causes=(Cause(what="the data are large or the machine is busy"),),
                next_check="Check again with a larger budget.",
            )
        )
    order = {Severity.SEVERE: 0, Severity.WARNING: 1, Severity.INFO: 2}
    return tuple(sorted(findings, key=lambda finding: order[finding.severity]))
