"""What a design needs and costs, before any of its trials runs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.errors import BadValue, ModelwrightError
from modelwright.base.finding import Finding
from modelwright.base.fingerprint import jsonable
from modelwright.base.seed import Seed
from modelwright.experiment.betting import BettingRule
from modelwright.experiment.decisions import decide_many
from modelwright.experiment.design import Design
from modelwright.experiment.sample_size import seeds_needed
from modelwright.experiment.simulated_power import simulate_power
from modelwright.lab.cohort import count_cuts
from modelwright.lab.executor.choice import open_executor
from modelwright.lab.launch import Launch
from modelwright.lab.plan.cost import cumulative_seconds
from modelwright.lab.plan.pilot import Pilot, estimate_spread, pilot_differences, run_pilot
from modelwright.lab.plan.warning import plan_warnings
from modelwright.lab.prepare import Prepared, prepare_design
from modelwright.lab.project import Project
from modelwright.lab.promise import seeds_root

__all__ = ["PILOT", "Plan", "Prospect", "plan_design"]

PILOT = "pilot"
"""Kind of the entry for the timed trials of a plan."""

_MOST_PILOT = 1000
_EXPERIMENTS = 10_000
_CELLS = {"sign_flip": 10_000, "confidence_sequence": 2_000_000, "t": 20_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What the registered rule would do if the true effect were so large.

    Attributes:
        effect: True difference, in the metric's unit.
        supported: Probability that a comparison ends *supported*, from a simulation.
        seeds: Expected number of seeds until it is decided.
    """

    effect: float
    supported: float
    seeds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A design's needs and costs.

    Seconds are of `modelwright run` from its checks to its last look, on this machine as it is now.

    Attributes:
        name: Name of the experiment.
        design: Hash of the design.
        rule: The stopping rule's name.
        looks: Seeds at each look.
        spread: Standard deviation of the paired differences that the plan reckons with.
        spread_from: Where the number comes from.
        needed: Seeds that a fixed design needs for the wanted power where the true effect lies the smallest
            effect beyond the margin; None where no number does.
        obstacle: Why there is none.
        registered: Seeds of the design.
        power: Wanted power.
        prospects: At the margin, and at once and twice the smallest effect beyond it.
        seconds: Variant -> seconds of one trial alone, once its libraries are loaded.
        seconds_more: Variant -> seconds that each further seed adds to a cohort.
        workers: Workers that share the work.
        start_seconds: Wall seconds before the first trial: reading, checking, starting workers.
        most_seconds: Wall seconds if every seed is run.
        expected_seconds: Wall seconds at the second prospect, all comparisons decided.
        training_seconds: Seconds of training if every seed is run, summed over workers, as a budget counts.
        findings: What the first checks found in the data.
        warnings: What should be mended before the first run, one sentence each.
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
    seconds_more: Mapping[str, float]
    workers: int
    start_seconds: float
    most_seconds: float
    expected_seconds: float
    training_seconds: float
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]

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
    """Check the data, time a pilot, and work out seeds, power and cost.

    The pilot's seeds are others than the design's, so nothing that it sees can be chosen from. It is entered
    in the ledger; its mean difference is recorded there and not shown, since a plan has no business with it.
    Nothing is registered.

    Args:
        design: The design.
        project: Where it would run.
        launch: How.
        frames: Tables for sources of kind `frame`.
        pilot: Seeds of the pilot; at least 2 to estimate a spread, 1 where the design names its spread.

    Raises:
        Misuse: for a design, data or learner that cannot be right.
        WorldFailed: where a worker, a learner or the disk failed.
    """
    _check_pilot(pilot, 1 if design.spread is not None else 2)
    launch = launch or Launch()
    began = time.monotonic()
    with project.open_journal() as journal:
        prepared = prepare_design(design, project, root=seeds_root(journal, design.name), frames=frames)
        findings = prepared.ground.check(prepared.parts, Seed(prepared.root).child("checks"))
        checked = time.monotonic() - began
        entry = {"name": design.name, "seeds": pilot}
        executor = open_executor(launch)
        try:
            shown = run_pilot(prepared, executor, pilot, threads=launch.threads)
            slots = executor.slots
        except ModelwrightError as error:
            journal.append(PILOT, {**entry, "error": error.record()}, design=prepared.design.hash)
            raise
        finally:
            executor.close()
        journal.append(PILOT, {**entry, **shown.record()}, design=prepared.design.hash)
    return _reckon(prepared, shown, findings, slots, checked + shown.start)


def _check_pilot(pilot: int, least: int) -> None:
    if type(pilot) is not int:
        raise BadValue("A pilot has a whole number of seeds", got=pilot)
    if pilot < least:
        raise BadValue(
            f"A pilot estimates the spread from at least {least} seeds"
            if least > 1
            else "A pilot has a seed",
            got=pilot,
            next_step="raise --pilot, or set the design's spread",
        )
    if pilot > _MOST_PILOT:
        raise BadValue(
            f"A pilot has at most {_MOST_PILOT} seeds", got=pilot, nearest=f"--pilot {_MOST_PILOT}"
        )


def _reckon(
    prepared: Prepared, pilot: Pilot, findings: tuple[Finding, ...], slots: int, start: float
) -> Plan:
    design, rule = prepared.design, prepared.rule.steps[0]
    question, pairs = design.question, len(design.compare)
    differences = pilot_differences(prepared, pilot)
    spread, origin = (design.spread, "the design") if design.spread else estimate_spread(differences)
    needed, obstacle = None, ""
    try:
        needed = seeds_needed(
            question.smallest_effect,
            spread,
            design.power,
            design.alpha / pairs,
            prepared.scope_inflation,
            largest=10_000,
        )
    except BadValue as error:
        obstacle = str(error)
    cells = _CELLS["sign_flip" if design.rule.test == "sign_flip" else "t"]
    if isinstance(rule, BettingRule):
        cells = _CELLS["confidence_sequence"]
    experiments = min(_EXPERIMENTS, max(500, cells // design.seeds))
    used: list[NDArray[np.int64]] = []

    def decide(values: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
        if isinstance(rule, BettingRule):
            values = np.clip(values, rule.low, rule.high)
        ends = decide_many(rule, values, margin=question.margin, smallest_effect=question.smallest_effect)
        used.append(ends.seeds)
        return ends.seeds, ends.supported

    prospects: list[Prospect] = []
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
    cuts = count_cuts(prepared, design.variants, slots)
    wall, trained = cumulative_seconds(pilot.costs, rule.looks, slots, cuts)
    # With several comparisons the last one to be decided ends the experiment.
    last = used[1][: experiments // pairs * pairs].reshape(-1, pairs).max(axis=1)
    at = np.searchsorted(rule.looks, last)
    warnings = plan_warnings(
        design,
        rule,
        power=prospects[1].supported,
        training_seconds=float(trained[-1]),
        pilot=pilot,
        differences=differences,
        findings=findings,
    )
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
        seconds={name: cost.of(1) for name, cost in pilot.costs.items()},
        seconds_more={name: cost.each for name, cost in pilot.costs.items()},
        workers=slots,
        start_seconds=start,
        most_seconds=start + float(wall[-1]),
        expected_seconds=start + float(wall[at].mean()),
        training_seconds=float(trained[-1]),
        findings=findings,
        warnings=warnings,
    )
