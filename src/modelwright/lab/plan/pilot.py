"""A few trials before an experiment, on seeds of their own: what a trial costs and how results spread.

The one-off part of the work (starting a worker, importing libraries) must not be counted once a trial, and a
cohort of many seeds costs less than as many trials alone. So each variant trains one seed until its libraries
are loaded, then one seed for the clock, then all of the pilot's seeds together: two points of a line.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue, WorkerLost
from modelwright.base.fingerprint import jsonable
from modelwright.base.seed import derive_seeds
from modelwright.experiment.difference import paired_differences
from modelwright.lab.cohort import failed_job
from modelwright.lab.executor.job import Executor, Failed, Finished, Job, Workload
from modelwright.lab.prepare import Prepared
from modelwright.lab.trial_findings import DIVERGED

__all__ = ["Cost", "Pilot", "estimate_spread", "is_constant", "pilot_differences", "run_pilot"]

_LONG = 10.0
_SURE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds that a cohort of n seeds takes a worker: fixed + each * n.

    Attributes:
        fixed: What a cohort takes whatever its size.
        each: What each seed adds.
    """

    fixed: float
    each: float

    def of(self, seeds: int) -> float:
        """Return the seconds of a cohort of so many seeds."""
        return self.fixed + self.each * seeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """What a pilot showed.

    Attributes:
        scores: Variant -> (seed,) the design's metric; NaN where a seed diverged.
        costs: Variant -> what its cohorts cost once its libraries are loaded.
        start: Seconds until the first worker trains, its libraries loaded.
        unsteady: Variants whose first seed gave another result alone than in company, or the second time.
    """

    scores: Mapping[str, NDArray[np.float64]]
    costs: Mapping[str, Cost]
    start: float
    unsteady: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return the pilot as JSON types, for the ledger; null where a seed diverged."""
        scores = {
            name: [float(value) if np.isfinite(value) else None for value in values]
            for name, values in self.scores.items()
        }
        rest = {"costs": self.costs, "start": self.start, "unsteady": self.unsteady}
        return {"scores": scores, **jsonable(rest)}


def run_pilot(prepared: Prepared, executor: Executor, count: int, *, threads: int) -> Pilot:
    """Run the pilot of a design; nothing is entered in the journal.

    Args:
        prepared: The design. The pilot's seeds, and the split where one is shared, are others than its own.
        executor: Where trials run.
        count: Seeds of the pilot, at least 1.
        threads: Threads of numerical libraries in a worker.

    Raises:
        Misuse, WorkerLost: where a learner failed.
    """
    root = f"{prepared.root}/pilot"
    seeds = derive_seeds(root, count)
    parts = tuple(prepared.ground.part(seed, root) for seed in seeds)
    workload = Workload(
        root=prepared.project.root,
        question=prepared.design.question,
        ground=prepared.ground,
        threads=threads,
    )

    def train(variant: str, size: int) -> tuple[NDArray[np.float64], float]:
        job = Job(
            identity=f"{variant}:pilot-{size}",
            variant=variant,
            config=prepared.design.variants[variant],
            indices=tuple(range(size)),
            seeds=seeds[:size],
            parts=parts[:size],
            code=prepared.code[variant],
        )
        return _timed(executor, workload, job)

    scores: dict[str, NDArray[np.float64]] = {}
    costs: dict[str, Cost] = {}
    loading: list[float] = []
    unsteady: list[str] = []
    for variant in prepared.design.variants:
        first, cold = train(variant, 1)
        alone, warm = first, cold
        # The shortest of some is what a trial takes when nothing else disturbs it.
        for _ in range(_repeats(cold)):
            alone, seconds = train(variant, 1)
            warm = min(warm, seconds)
        loading.append(cold - warm)
        scores[variant], costs[variant] = alone, Cost(fixed=0.0, each=warm)
        if count > 1:
            scores[variant], together = train(variant, count)
            for _ in range(_repeats(together) - 1):
                together = min(together, train(variant, count)[1])
            costs[variant] = _line(warm, together, count)
        if not _same([first[0], alone[0], scores[variant][0]]):
            unsteady.append(variant)
    # One job at a time goes to the worker that is there already, so only the first of all started one.
    start = loading[0] + max(loading[1:], default=0.0)
    return Pilot(scores=scores, costs=costs, start=start, unsteady=tuple(unsteady))


def _timed(executor: Executor, workload: Workload, job: Job) -> tuple[NDArray[np.float64], float]:
    """Return scores (seed,) and seconds from asking to the result."""
    asked = time.monotonic()
    end = None
    # Read to its end: an executor that is left in the middle stops its workers.
    for message in executor.run(workload, [job]):
        if isinstance(message, Failed):
            raise failed_job(job, message)
        if isinstance(message, Finished):
            end = message
    if end is None:
        raise WorkerLost("A job ends with a result or an error", got="neither", next_step="plan again")
    return end.scores, time.monotonic() - asked


def _repeats(seconds: float) -> int:
    """Return how often a job is run again for the clock: the quicker, the more does noise weigh."""
    return 3 if seconds < 1 else 1 if seconds < _LONG else 0


def _line(alone: float, together: float, count: int) -> Cost:
    """Return the line through the seconds of one seed and of `count` seeds, never falling."""
    each = max(0.0, (together - alone) / (count - 1))
    return Cost(fixed=max(0.0, together - count * each), each=each)


def _same(scores: Sequence[float]) -> bool:
    return all(score == scores[0] or (np.isnan(score) and np.isnan(scores[0])) for score in scores)


def pilot_differences(prepared: Prepared, pilot: Pilot) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Return (candidate, baseline) -> (seed,) differences of the pilot.

    A diverged seed counts as the metric's worst value where the design accepts it.

    Raises:
        BadValue: where a seed diverged and the design does not accept it.
    """
    design = prepared.design
    worst = design.question.worst
    scores: dict[str, NDArray[np.float64]] = {}
    for name, values in pilot.scores.items():
        scores[name] = values
        if np.isfinite(values).all():
            continue
        if DIVERGED not in design.accept or worst is None:
            raise BadValue(
                "A pilot's trials end with finite results",
                got=f"{name}: {values.tolist()}",
                next_step="mend the learner that diverges, a smaller learning rate for example",
            )
        scores[name] = np.where(np.isfinite(values), values, worst)
    # Plans reckon with candidate minus baseline; which way is better matters to no spread.
    return {pair: paired_differences(scores[pair[0]], scores[pair[1]], sign=1) for pair in design.compare}


def estimate_spread(differences: Mapping[tuple[str, str], NDArray[np.float64]]) -> tuple[float, str]:
    """Return an upper limit of the widest spread of the differences, and its origin in words.

    An upper limit, because half of all pilots show less than the true spread, small ones by much.

    Raises:
        BadValue: where all differences are the same.
    """
    from scipy.stats import chi2

    count = len(next(iter(differences.values())))
    widest = max(float(values.std(ddof=1)) for values in differences.values())
    if all(is_constant(values) for values in differences.values()):
        raise BadValue(
            "A pilot shows how results differ between seeds",
            got=f"the same difference at all {count} seeds",
            next_step="raise --pilot, take a finer metric, check that the learner draws from its seed, "
            "or set the design's spread",
        )
    factor = math.sqrt((count - 1) / float(chi2.ppf(1 - _SURE, count - 1)))
    text = f"a pilot of {count} seeds: {widest:.3g}, its {_SURE:.0%} upper limit {widest * factor:.3g}"
    return widest * factor, text


def is_constant(values: NDArray[np.float64]) -> bool:
    """Return whether `paired_differences` found one number at every seed; it has removed rounding."""
    return bool(np.ptp(values) == 0)
