"""Learning rates that come to zero long before the end."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["Annealing"]

_FEWEST_STEPS = 40
_SHARE = 0.25


@dataclass(slots=True)
class _Rate:
    """Of one optimizer: its steps, and how many of them in a row, up to now, had a learning rate of zero."""

    optimizer: Any
    steps: int = 0
    idle: int = 0
    place: Place | None = None


class Annealing(Sensor):
    """Counts steps that cannot change anything."""

    holds_models = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._rates: dict[int, _Rate] = {}

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        rate = self._rates.get(id(optimizer))
        if rate is None:
            rate = self._rates[id(optimizer)] = _Rate(optimizer)
        rate.steps += 1
        idle = all(float(group["lr"]) == 0.0 for group in optimizer.param_groups)
        if idle and not rate.idle:
            rate.place = place_of_caller()
        rate.idle = rate.idle + 1 if idle else 0

    def findings(self) -> Iterable[Finding]:
        """Return a learning rate that was above zero and is zero for the last quarter of all steps."""
        for rate in self._rates.values():
            if rate.steps < _FEWEST_STEPS or not _SHARE * rate.steps <= rate.idle < rate.steps:
                continue
            yield Finding(
                kind="rate-of-zero",
                severity=Severity.SEVERE,
                title=f"The last {rate.idle} of {rate.steps} steps have a learning rate of zero: "
                "nothing is learnt in them.",
                evidence={"steps": rate.steps, "last_steps_at_zero": rate.idle},
                causes=(cause("annealed-too-early", rate.place),),
                next_check="divide by the number of updates that the run really makes",
            )
