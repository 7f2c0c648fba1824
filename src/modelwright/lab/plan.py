"""What a design needs and costs, before any of its trials runs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue
from modelwright.base.fingerprint import jsonable
from modelwright.base.seed import Seed, derive_seeds
from modelwright.data.split import make_split
from modelwright.experiment.decisions import decide_many
from modelwright.experiment.design import Design
from modelwright.experiment.sample_size import seeds_needed
from modelwright.experiment.simulated_power import simulate_power
from modelwright.lab.cohort import failed_job
from modelwright.lab.executors import open_executor
from modelwright.lab.job import Failed, Finished, Job, Workload
from modelwright.lab.launch import Launch
from modelwright.lab.prepare import Prepared, fixed_split_seed, prepare_design
from modelwright.lab.project import Project
from modelwright.lab.promise import seeds_root

__all__ = ["PILOT", "Plan", "Prospect", "plan_design"]

PILOT = "pilot"
"""Kind of the entry for the timed trials of a plan."""

_SURE = 0.8
_EXPERIMENTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What the registered rule would do if the true effect were so large.

    Attributes:
        effect: True difference, in the metric's unit.
        supported: Probability of *supported*.
        seeds: Expected number of seeds.
    """

    effect: float
    supported: float
    seeds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A design's needs and costs.

    Attributes:
        name: Name of the experiment.
        design: Hash of the design.
        rule: The stopping rule's name.
        looks: Seeds at each look.
        spread: Standard deviation of the paired differences that the plan reckons with.
        spread_from: Where the number comes from.
        needed: Seeds that a fixed design needs for the wanted power, None where no number does.
        obstacle: Why there is none.
        registered: Seeds of the design.
        power: Wanted power.
        prospects: At no effect beyond the margin, at the smallest effect and at twice that.
        seconds: Variant -> seconds of one timed trial.
        workers: Workers that share the work.
        most_seconds: Wall seconds if every seed is run.
        expected_seconds: Wall seconds at the smallest effect.
    """

    name: str
    design: str
    rule: str
    looks: tuple[int, ...]
    spread: float
    spread_from: str
    needed: int | None
    obstacle: str
    registered: int
    power: float
    prospects: tuple[Prospect, ...]
    seconds: Mapping[str, float]
    workers: int
    most_seconds: float
    expected_seconds: float

    def record(self) -> dict[str, Any]:
        """Return the plan as JSON types."""
        return jsonable(self)


def plan_design(
    design: Design,
    project: Project,
    *,
    launch: Launch | None = None,
    frames: Mapping[str, Any] | None = None,
    pilot: int = 4,
) -> Plan:
    """Time a pilot and work out seeds, power and cost.

    The pilot's seeds are others than the design's, so nothing that it sees can be chosen from. It is entered in
    the ledger; its mean difference is recorded there and not shown, since a plan has no business with it.

    Args:
        design: The design.
        project: Where it would run.
        launch: How.
        frames: Tables for sources of kind `frame`.
        pilot: Seeds of the pilot; at least 2 to estimate a spread, 1 where the design names its spread.

    Raises:
        Misuse: for a design, data or learner that cannot be right.
    """
    if pilot < (1 if design.spread is not None else 2):
        raise BadValue(
            "A pilot estimates the spread from at least 2 seeds",
            got=pilot,
            next_step="raise --pilot, or set the design's spread",
        )
    launch = launch or Launch()
    with project.open_journal() as journal:
        root = seeds_root(journal, design.name)
        prepared = prepare_design(design, project, root=root, frames=frames)
        scores, seconds = _run_pilot(prepared, launch, pilot if design.spread is None else 1)
        body = {"scores": {name: values.tolist() for name, values in scores.items()}, "seconds": seconds}
        journal.append(PILOT, {"name": design.name, **body}, design=prepared.design.hash)
    spread, origin = _spread(prepared, scores)
    return _reckon(prepared, spread, origin, seconds, launch)


def _run_pilot(
    prepared: Prepared, launch: Launch, count: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    seeds = derive_seeds(f"{prepared.root}/pilot", count)
    shared = prepared.design.split.shared
    splits = tuple(
        make_split(prepared.dataset, prepared.design.split, fixed_split_seed(prepared.root) if shared else seed)
        for seed in seeds
    )
    jobs = {
        name: Job(
            identity=name,
            variant=name,
            config=config,
            indices=tuple(range(count)),
            seeds=seeds,
            splits=splits,
        )
        for name, config in prepared.design.variants.items()
    }
    workload = Workload(
        root=prepared.project.root,
        question=prepared.design.question,
        dataset=prepared.dataset,
        threads=launch.threads,
    )
    scores: dict[str, NDArray[np.float64]] = {}
    seconds: dict[str, float] = {}
    executor = open_executor(launch)
    try:
        for message in executor.run(workload, list(jobs.values())):
            if isinstance(message, Failed):
                raise failed_job(jobs[message.job], message)
            if isinstance(message, Finished):
                scores[message.job] = message.scores
                seconds[message.job] = message.usage.wall_seconds / count
    finally:
        executor.close()
    return scores, seconds


def _spread(prepared: Prepared, scores: Mapping[str, NDArray[np.float64]]) -> tuple[float, str]:
    design = prepared.design
    if design.spread is not None:
        return design.spread, "the design"
    from scipy.stats import chi2

    found: list[float] = []
    for candidate, baseline in design.compare:
        differences = scores[candidate] - scores[baseline]
        if not np.isfinite(differences).all():
            raise BadValue(
                "A pilot's trials end with finite results",
                got=f"{candidate} {scores[candidate].tolist()}, {baseline} {scores[baseline].tolist()}",
                next_step="mend the learner that diverges",
            )
        found.append(float(differences.std(ddof=1)))
    count = len(next(iter(scores.values())))
    widest = max(found)
    if widest == 0:
        raise BadValue(
            "A pilot shows how results differ between seeds",
            got=f"the same difference at all {count} seeds",
            next_step="check that the learner draws from its seed, or set the design's spread",
        )
    factor = math.sqrt((count - 1) / float(chi2.ppf(1 - _SURE, count - 1)))
    text = f"a pilot of {count} seeds: {widest:.3g}, its 80% upper limit {widest * factor:.3g}"
    return widest * factor, text


def _reckon(
    prepared: Prepared, spread: float, origin: str, seconds: dict[str, float], launch: Launch
) -> Plan:
    design, rule = prepared.design, prepared.rule.steps[0]
    question = design.question
    alpha = design.alpha / len(design.compare)
    needed, obstacle = None, ""
    try:
        needed = seeds_needed(
            question.smallest_effect, spread, design.power, alpha, prepared.scope_inflation, largest=10_000
        )
    except BadValue as error:
        obstacle = str(error)

    def decide(differences: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
        ends = decide_many(
            rule, differences, margin=question.margin, smallest_effect=question.smallest_effect
        )
        return ends.seeds, ends.supported

    prospects: list[Prospect] = []
    # An exact sign-flip rule costs 2^n a decision; fewer experiments say enough about a plan.
    experiments = 500 if design.rule.test == "sign_flip" else _EXPERIMENTS
    for times in (0, 1, 2):
        effect = question.margin + times * question.smallest_effect
        outcome = simulate_power(
            decide,
            seeds=design.seeds,
            effect=effect,
            spread=spread,
            generator=Seed(prepared.design.hash).generator(f"plan/{times}"),
            experiments=experiments,
            inflation=prepared.scope_inflation,
        )
        prospects.append(Prospect(effect=effect, supported=outcome.power, seeds=outcome.expected_seeds))
    workers = launch.workers or launch.local_workers
    each = sum(seconds.values())
    return Plan(
        name=design.name,
        design=prepared.design.hash,
        rule=prepared.rule.name,
        looks=prepared.rule.looks,
        spread=spread,
        spread_from=origin,
        needed=needed,
        obstacle=obstacle,
        registered=design.seeds,
        power=design.power,
        prospects=tuple(prospects),
        seconds=seconds,
        workers=workers,
        most_seconds=each * design.seeds / workers,
        expected_seconds=each * prospects[1].seeds / workers,
    )
