"""Schedules that wait for a metric to rise, and are given one that falls as the loss does."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["Plateaus"]

_ENOUGH = 6
_TOGETHER, _FALLS = 0.7, 0.75
"""Rank correlation of the metric with the loss; share of calls at which it is less than at the one before."""


@dataclass(slots=True)
class _Watched:
    """Of one scheduler: what it was given, the mean loss since the last time, and the rate after it."""

    scheduler: Any
    place: Place | None
    metrics: list[float] = field(default_factory=list[float])
    losses: list[float] = field(default_factory=list[float])
    rates: list[float] = field(default_factory=list[float])
    seen: int = 0


class Plateaus(Sensor):
    """Keeps what ReduceLROnPlateau is given beside the losses that are learnt from."""

    holds_models = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._watched: list[_Watched] = []

    def on_scheduler(self, scheduler: Any) -> None:
        """See `Sensor`."""
        if type(scheduler).__name__ == "ReduceLROnPlateau":
            self._watched.append(_Watched(scheduler, place_of_caller()))

    def on_schedule(self, scheduler: Any) -> None:
        """See `Sensor`."""
        for each in self._watched:
            if each.scheduler is not scheduler:
                continue
            try:
                metric = float(self.scene.measured)
            except (TypeError, ValueError):
                return
            losses = [value for _, value in self.scene.losses[each.seen :] if math.isfinite(value)]
            each.seen = len(self.scene.losses)
            if losses and math.isfinite(metric):
                each.metrics.append(metric)
                each.losses.append(float(np.mean(losses)))
                each.rates.append(float(scheduler.optimizer.param_groups[0]["lr"]))

    def findings(self) -> Iterable[Finding]:
        """Return schedules that cut the rate although the metric goes on to fall with the loss."""
        for each in self._watched:
            metrics, losses = np.array(each.metrics), np.array(each.losses)
            if len(metrics) < _ENOUGH or each.scheduler.mode != "max" or each.rates[-1] >= each.rates[0]:
                continue
            if float((np.diff(metrics) < 0).mean()) < _FALLS or metrics[-1] >= metrics[0]:
                continue
            if losses[-1] >= losses[0] or _ranked_together(metrics, losses) < _TOGETHER:
                continue
            yield Finding(
                kind="plateau-of-the-other-direction",
                severity=Severity.SEVERE,
                title=f"The rate is cut from {each.rates[0]:.2g} to {each.rates[-1]:.2g} because a metric "
                "does not rise, which falls as the loss does.",
                evidence={"metric": each.metrics, "loss": each.losses, "learning_rates": each.rates},
                causes=(cause("annealed-too-early", each.place),),
                next_check="give ReduceLROnPlateau mode='min' for losses and errors, 'max' for scores",
            )


def _ranked_together(one: Any, other: Any) -> float:
    """Return the rank correlation of two series."""
    ranks = [np.argsort(np.argsort(each)).astype(np.float64) for each in (one, other)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
