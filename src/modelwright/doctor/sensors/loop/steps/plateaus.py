"""Schedules that wait for a loss to rise, or for a score to fall."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.measuring.passes import Pass
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["Plateaus"]

_ENOUGH = 6
_TOGETHER, _FALLS = 0.7, 0.75
"""Rank correlation of the metric with the loss; share of calls at which it is less than at the one before."""

_FEWEST = 4
"""Calls of which each metric must be the same thing."""

_SAME_SHARE, _SAME_MEAN = 1e-4, 0.05
"""How far a metric may be from the share, and, relative, from the mean: a mean of batches differs from it."""


@dataclass(slots=True)
class _Watched:
    """Of one scheduler: what it was given, the mean loss since the last time, and the rate after it.

    Attributes:
        are_shares: Whether each metric is the share of right answers among the rows that were measured then.
        are_means: Whether each is the mean loss of these rows.
    """

    scheduler: Any
    place: Place | None
    metrics: list[float] = field(default_factory=list[float])
    losses: list[float] = field(default_factory=list[float])
    rates: list[float] = field(default_factory=list[float])
    are_shares: bool = True
    are_means: bool = True
    seen: int = 0

    def compare(self, metric: float, passes: Iterable[Pass]) -> None:
        """Hold a metric to what passes over measured rows come to."""
        known = [each for each in passes if each.known]
        shares = [scale * each.right / each.known for each in known if each.classes for scale in (1, 100)]
        self.are_shares &= any(math.isclose(metric, share, abs_tol=_SAME_SHARE) for share in shares)
        self.are_means &= any(math.isclose(metric, each.mean, rel_tol=_SAME_MEAN) for each in known)


class Plateaus(Sensor):
    """Keeps what ReduceLROnPlateau is given, beside measured rows and the losses that are learnt from."""

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
                each.compare(metric, (one for one in self.scene.passes if one.step == self.scene.steps))

    def findings(self) -> Iterable[Finding]:
        """Return schedules that cut the rate although the metric goes the way in which the model learns."""
        for each in self._watched:
            why = _why(each)
            if why is None or each.rates[-1] >= each.rates[0]:
                continue
            yield Finding(
                kind="plateau-of-the-other-direction",
                severity=Severity.SEVERE,
                title=f"The rate is cut from {each.rates[0]:.2g} to {each.rates[-1]:.2g} because a metric "
                f"does not {why}.",
                evidence={"metric": each.metrics, "loss": each.losses, "learning_rates": each.rates},
                causes=(cause("annealed-too-early", each.place),),
                next_check="give ReduceLROnPlateau mode='min' for losses and errors, 'max' for scores",
            )


def _why(watched: _Watched) -> str | None:
    """Return what a metric does not do, and should not; None where it is waited for rightly, or not known."""
    if len(watched.metrics) >= _FEWEST and watched.are_shares != watched.are_means:
        if watched.scheduler.mode == ("min" if watched.are_shares else "max"):
            return "fall: it is the share of right answers" if watched.are_shares else "rise: it is a loss"
        return None
    metrics, losses = np.array(watched.metrics), np.array(watched.losses)
    if len(metrics) < _ENOUGH or watched.scheduler.mode != "max":
        return None
    if float((np.diff(metrics) < 0).mean()) < _FALLS or metrics[-1] >= metrics[0]:
        return None
    if losses[-1] >= losses[0] or _ranked_together(metrics, losses) < _TOGETHER:
        return None
    return "rise, which falls as the loss does"


def _ranked_together(one: Any, other: Any) -> float:
    """Return the rank correlation of two series."""
    ranks = [np.argsort(np.argsort(each)).astype(np.float64) for each in (one, other)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
