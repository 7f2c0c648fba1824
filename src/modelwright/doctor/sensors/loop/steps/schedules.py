"""Learning rates over a run: schedulers that never step, step too often, or before the optimizer."""

import weakref
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.steps.turns import counts_outer_turns, horizon_named
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["Schedules"]

_ENOUGH = 10
_RESTARTS = ("OneCycleLR", "CyclicLR", "CosineAnnealingWarmRestarts")
"""Schedules with a horizon of their own, and those that begin again."""

_FEW = 0.25
"""Share of a schedule that it was stepped through, at most, where it counts its optimizer's steps."""

_LEFT, _SPENT = 0.01, 1e-4
"""Share of the sum of all rates that the second half of all steps has; the last rate beside the highest."""


@dataclass(slots=True)
class _Schedule:
    """Of one scheduler: its steps, and those of its optimizer."""

    scheduler: Any
    made_at: int
    steps: int = 0
    first_before: bool = False
    place: Place | None = None
    stepped_at: Place | None = None
    named: tuple[str, int] | None = None
    sum: float = 0.0
    sums: "array[float]" = field(default_factory=lambda: array("d"))
    lowest: float = 0.0


class Schedules(Sensor):
    """Compares steps of schedulers with steps of their optimizers."""

    holds_models = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._schedules: list[_Schedule] = []
        self._steps: dict[int, int] = {}
        self._inner: set[int] = set()
        self._rates: dict[int, list[tuple[int, float]]] = {}
        self._passes: list[Any] = []

    def on_scheduler(self, scheduler: Any) -> None:
        """See `Sensor`."""
        # Schedulers inside of others are stepped by them.
        for inner in getattr(scheduler, "_schedulers", ()):
            self._inner.add(id(inner))
        optimizer = getattr(scheduler, "optimizer", None)
        place = place_of_caller()
        made = _Schedule(scheduler, self._steps.get(id(optimizer), 0), place=place)
        made.named = horizon_named(place, type(scheduler).__name__)
        self._schedules.append(made)

    def on_schedule(self, scheduler: Any) -> None:
        """See `Sensor`."""
        for each in self._schedules:
            if each.scheduler is scheduler:
                each.steps += 1
                if each.stepped_at is None:
                    each.stepped_at = place_of_caller()
                taken = self._taken(each)
                each.first_before |= each.steps == 1 and taken == 0

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        steps = self._steps[id(optimizer)] = self._steps.get(id(optimizer), 0) + 1
        rate = float(optimizer.param_groups[0]["lr"])
        trace = self._rates.setdefault(id(optimizer), [])
        for each in self._schedules:
            if each.scheduler.optimizer is optimizer:
                each.lowest = min(each.lowest, rate)
                each.sum += rate
                each.sums.append(each.sum)
        if not trace or abs(rate - trace[-1][1]) > 0.05 * abs(trace[-1][1]):
            trace.append((steps, rate))

    def on_batch(self, loader: Any, batch: Any) -> None:
        """See `Sensor`."""
        if not self._passes or self._passes[-1]() is not loader:
            self._passes.append(weakref.ref(loader))

    def _taken(self, schedule: _Schedule) -> int:
        optimizer = getattr(schedule.scheduler, "optimizer", None)
        return self._steps.get(id(optimizer), 0) - schedule.made_at

    def findings(self) -> Iterable[Finding]:
        """Return what is wrong with each scheduler."""
        outer = [each for each in self._schedules if id(each.scheduler) not in self._inner]
        for each in outer:
            name, taken = type(each.scheduler).__name__, self._taken(each)
            if not each.steps and taken >= _ENOUGH:
                yield self._never(name, each, taken)
            else:
                yield from self._too_often(name, each, taken)
                yield from self._too_seldom(name, each, taken)
                if each.first_before and taken >= _ENOUGH:
                    yield self._before(name, each, taken)

    def _never(self, name: str, each: _Schedule, taken: int) -> Finding:
        return Finding(
            kind="scheduler-never-steps",
            severity=Severity.SEVERE,
            title=f"{name} was made and never steps: the learning rate stays what it is.",
            evidence={"optimizer_steps": taken, "scheduler_steps": 0, "learning_rate": _rate(each)},
            causes=(cause("scheduler-never-stepped", self.scene.place_of("on_scheduler")),),
            next_check="call scheduler.step() once for every step (or epoch) that its horizon counts",
            subject=name,
        )

    def _before(self, name: str, each: _Schedule, taken: int) -> Finding:
        return Finding(
            kind="scheduler-before-optimizer",
            severity=Severity.WARNING,
            title=f"{name} steps before the optimizer does: the first learning rate is skipped.",
            evidence={"optimizer_steps": taken, "scheduler_steps": each.steps},
            causes=(cause("scheduler-before-optimizer", self.scene.place_of("schedule")),),
            next_check="call scheduler.step() after optimizer.step()",
            subject=name,
        )

    def _too_often(self, name: str, each: _Schedule, taken: int) -> Iterable[Finding]:
        """A horizon that is passed long before the end: cosine goes up again, steps decay to nothing."""
        if each.steps < 0.9 * taken or taken < _ENOUGH:
            return
        horizon = self._horizon(each)
        passed = horizon is not None and each.steps >= 1.5 * horizon
        trace = self._rates[id(each.scheduler.optimizer)]
        highest = max(rate for _, rate in trace)
        # Where it fell to a thousandth of its height, and stayed.
        low = next((step for step, rate in reversed(trace) if rate > 1e-3 * highest), 0)
        faded = trace[-1][1] <= 1e-3 * highest and low < 0.6 * taken
        # Where it fell further still, and half of all steps had all but nothing of it together.
        half = each.sums[len(each.sums) // 2]
        faded |= 0 <= trace[-1][1] <= _SPENT * highest and each.sum - half < _LEFT * each.sum
        if not passed and not faded and each.lowest >= 0:
            return
        made_for = f"is made for {horizon} steps" if passed else f"has faded after {low} steps"
        if each.lowest < 0 and not passed:
            made_for = "comes to rates below zero"
        yield Finding(
            kind="schedule-passed-its-end",
            severity=Severity.SEVERE,
            title=f"{name} {made_for} and took {each.steps}, one for each of the optimizer's.",
            evidence={
                "horizon": horizon,
                "scheduler_steps": each.steps,
                "optimizer_steps": taken,
                "passes_of_loaders": len(self._passes),
                "learning_rates": trace[:: max(1, len(trace) // 20)],
                "learning_rate_at_the_end": _rate(each),
            },
            causes=(cause("scheduler-stepped-per-batch", self.scene.place_of("schedule")),),
            next_check="step it once an epoch, or give it a horizon in steps of the optimizer",
            subject=name,
        )

    def _too_seldom(self, name: str, each: _Schedule, taken: int) -> Iterable[Finding]:
        """A horizon that is the very number of the optimizer's steps, of which the schedule takes few."""
        horizon = _horizon(each.scheduler) or getattr(each.scheduler, "total_iters", None)
        if horizon is None or taken < _ENOUGH or not 0 < each.steps <= _FEW * horizon:
            return
        near = 0.02 * taken + 1 if name == "OneCycleLR" else 0
        if abs(horizon - taken) > near:
            return
        yield Finding(
            kind="schedule-far-from-its-end",
            severity=Severity.SEVERE,
            title=f"{name} is made for {horizon} steps, as many as the optimizer takes, and is stepped "
            f"{each.steps} times.",
            evidence={
                "horizon": horizon,
                "scheduler_steps": each.steps,
                "optimizer_steps": taken,
                "learning_rate_at_the_end": _rate(each),
            },
            causes=(cause("scheduler-stepped-per-epoch", each.stepped_at or each.place),),
            next_check="step it after every step of the optimizer, or give it a horizon in epochs",
            subject=name,
        )

    @staticmethod
    def _horizon(each: _Schedule) -> int | None:
        """Return the steps that a schedule is made for: of its own, or the turns of an outer loop."""
        restarts = type(each.scheduler).__name__ in _RESTARTS
        if (
            each.named is not None
            and not restarts
            and counts_outer_turns(each.named[0], each.place, each.stepped_at)
        ):
            return each.named[1]
        return _horizon(each.scheduler)


def _rate(each: _Schedule) -> list[float]:
    return [float(group["lr"]) for group in each.scheduler.optimizer.param_groups]


def _horizon(scheduler: Any) -> int | None:
    """Return the steps of a cosine's half period or of a cycle, after which it goes up again or fails."""
    for name in ("T_max", "total_steps"):
        found = getattr(scheduler, name, None)
        if isinstance(found, int) and found > 0:
            return found
    for each in getattr(scheduler, "lr_lambdas", ()):
        found = getattr(each, "keywords", {}).get("num_training_steps")  # as Transformers makes them
        if isinstance(found, int) and found > 0:
            return found
    return None
