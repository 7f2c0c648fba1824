"""Whether a fault does harm, by measurement: runs without and with it, unwatched, at the same seeds.

The rule, set before the measurement:

- *equivalent*: what the program prints is the same at every seed.
- *active*: it is not.
- *harmful*: active, and Fisher's exact sign-flip test of the paired scores (without less with) has a
  one-sided p-value of at most 1/32: at five seeds each of them is worse. A run that raises, takes too
  long or has a score that is no finite number is worse than any other.
- Where the fault is in the measuring itself (`MEASURING`), the score that is printed is not the one that
  is had: the harm is the gap between the two, and the score of the program without the fault, same seed,
  stands for what is had. Such a gap is as wrong upwards as downwards, so the test is two-sided, at 1/16:
  the same as above at five seeds, with every gap to the same side, whichever it is.
- Faults of one program that print the same at every seed are one fault; each of their names is right.

With fewer than five seeds no p-value is that small, and nothing is called harmful. Where what is printed
differs and one seed is not worse, or gaps go to both sides, five seeds can no more come to that p-value: such
a fault is *settled* as active before all five are run, with the outcome that five would have.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelwright.base.fingerprint import sha256_hex

from .execute import execute, score_in
from .mutant import Mutant
from .rows import Row
from .statistics import sign_flip_p

__all__ = ["LEAST_SEEDS", "MEASURING", "Label", "alike", "label", "measure"]

LEAST_SEEDS = 5
"""With fewer, no p-value is as small as the rule asks."""

MEASURING = frozenset(
    {
        "accuracy-under-imbalance",
        "augmentation-in-evaluation",
        "duplicates-across-split",
        "evaluated-on-training-rows",
        "evaluation-explores",
        "features-selected-on-all-rows",
        "gaps-filled-from-future",
        "group-in-both-splits",
        "imputed-by-label",
        "imputed-with-all-rows",
        "lag-shorter-than-horizon",
        "lag-sign-flipped",
        "metric-over-last-batch-only",
        "near-duplicates-across-split",
        "observed-instead-of-forecast",
        "oversampled-before-split",
        "padding-in-metric",
        "random-split-of-time-series",
        "rows-multiplied-by-join",
        "scaler-fitted-on-all-rows",
        "target-copied-into-feature",
        "target-proxy-feature",
        "test-used-for-early-stopping",
        "threshold-chosen-on-test",
        "window-includes-target",
    }
)
"""Faults that falsify the score itself: leaks, and wrong ways of measuring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a fault does.

    Attributes:
        state: `equivalent`, `active` or `harmful`.
        seeds: How many seeds it was measured at.
        p: Of the sign-flip test; None where nothing differs.
        loss: Mean of the differences that are numbers; positive where scores are lower with the fault.
        broken: Seeds at which the program gives no score with the fault.
        settled: Whether the state is that of five seeds, whatever those that are missing would say.
    """

    state: str
    seeds: int
    p: float | None
    loss: float
    broken: int
    settled: bool


def measure(mutant: Mutant, seed: int) -> Row:
    """Run a text unwatched: its score, a hash of what it prints, the seconds."""
    done = execute(mutant, seed)
    trace = sha256_hex(f"{done.out}\nstatus {done.status}".encode())[:12]
    return {"score": score_in(done.out), "trace": trace, "seconds": round(done.seconds, 2)}


def label(name: str, without: Mapping[str, Row], with_it: Mapping[str, Row]) -> Label:
    """Label a fault from its runs and those of its program, by seed; the rule is this module's text."""
    seeds = sorted(set(without) & set(with_it), key=int)
    pairs = [(without[seed], with_it[seed]) for seed in seeds]
    broken = sum(fault["score"] is None for _, fault in pairs)
    differences = _differences([(base["score"], fault["score"]) for base, fault in pairs])
    finite = [
        base["score"] - fault["score"]
        for base, fault in pairs
        if base["score"] is not None and fault["score"] is not None
    ]
    loss = sum(finite) / len(finite) if finite else 0.0
    whole = len(seeds) >= LEAST_SEEDS
    if all(base["trace"] == fault["trace"] for base, fault in pairs):
        return Label(state="equivalent", seeds=len(seeds), p=None, loss=loss, broken=broken, settled=whole)
    two_sided = name in MEASURING
    p = sign_flip_p(differences, two_sided=two_sided)
    is_harmful = p <= (1 / 16 if two_sided else 1 / 32)
    to_one_side = min(differences) > 0 or (two_sided and max(differences) < 0)
    return Label(
        state="harmful" if is_harmful else "active",
        seeds=len(seeds),
        p=p,
        loss=loss,
        broken=broken,
        settled=whole or not to_one_side,
    )


def _differences(pairs: Sequence[tuple[float | None, float | None]]) -> list[float]:
    """Return base less fault; a missing score counts as one unit below the worst difference there is."""
    finite = [base - fault for base, fault in pairs if base is not None and fault is not None]
    worst = 1.0 + math.fsum(abs(each) for each in finite)
    found: list[float] = []
    for base, fault in pairs:
        if base is not None and fault is not None:
            found.append(base - fault)
        else:
            found.append(0.0 if base is None else worst)
    return found


def alike(runs: Mapping[str, Mapping[str, Row]]) -> dict[str, frozenset[str]]:
    """Return for each fault of a program the others whose output is the same at every seed that both have."""
    found: dict[str, frozenset[str]] = {}
    for name, own in runs.items():
        found[name] = frozenset(
            other for other, theirs in runs.items() if other != name and _same(own, theirs)
        )
    return found


def _same(one: Mapping[str, Row], other: Mapping[str, Row]) -> bool:
    seeds: Iterable[Any] = set(one) & set(other)
    return bool(seeds) and all(one[seed]["trace"] == other[seed]["trace"] for seed in seeds)
