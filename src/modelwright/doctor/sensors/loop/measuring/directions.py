"""Schedules that wait for the share of right answers to fall, or for a loss to rise."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.loop.measuring.passes import Pass
from modelwright.doctor.watch.place import Place, place_of_caller

__all__ = ["Directions"]

_FEWEST = 4
_SAME_SHARE, _SAME_LOSS = 1e-4, 0.05
"""How far a metric may be from the share, and, relative, from the loss: means of batches differ from it."""


@dataclass(slots=True)
class _Waiting:
    """Of one scheduler: what it was given, what that is, and the learning rate after it."""

    scheduler: Any
    place: Place | None  # where it was made
    metrics: list[float] = field(default_factory=list[float])
    are_shares: bool = True
    are_losses: bool = True
    rates: list[float] = field(default_factory=list[float])

    @property
    def is_wrong(self) -> bool:
        """Whether it waits for the other direction, and cut the rate for it."""
        if (
            len(self.metrics) < _FEWEST
            or self.rates[-1] >= self.rates[0]
            or self.are_shares == self.are_losses
        ):
            return False
        return self.scheduler.mode == ("min" if self.are_shares else "max")


class Directions:
    """Holds what ReduceLROnPlateau is given to what passes over the same rows come to."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    def made(self, scheduler: Any) -> None:
        """Take note of a scheduler, as it is made."""
        if type(scheduler).__name__ == "ReduceLROnPlateau":
            self._waiting.append(_Waiting(scheduler, place_of_caller()))

    def take(self, scheduler: Any, metric: Any, passes: Sequence[Pass]) -> None:
        """Take note of a call.

        Args:
            scheduler: It.
            metric: What it was given.
            passes: Those without gradients since the last step of an optimizer.
        """
        try:
            value = float(metric)
        except (TypeError, ValueError):
            return
        mine = next((each for each in self._waiting if each.scheduler is scheduler), None)
        if mine is None:
            return
        told = [each for each in passes if each.known]
        mine.metrics.append(value)
        mine.rates.append(float(scheduler.optimizer.param_groups[0]["lr"]))
        shares = [each.right / each.known for each in told if each.classes]
        mine.are_shares &= any(
            abs(value / scale - share) < _SAME_SHARE for share in shares for scale in (1, 100)
        )
        mine.are_losses &= any(math.isclose(value, each.mean, rel_tol=_SAME_LOSS) for each in told)

    def findings(self) -> Iterable[Finding]:
        """Return schedules that wait for the other direction."""
        for each in self._waiting:
            if not each.is_wrong:
                continue
            what = "fall: it is the share of right answers" if each.are_shares else "rise: it is a loss"
            yield Finding(
                kind="plateau-of-the-other-direction",
                severity=Severity.SEVERE,
                title=f"The rate is cut from {each.rates[0]:.2g} to {each.rates[-1]:.2g} because a metric "
                f"does not {what}.",
                evidence={"metric": each.metrics, "learning_rates": each.rates, "mode": each.scheduler.mode},
                causes=(cause("annealed-too-early", each.place),),
                next_check="give ReduceLROnPlateau mode='min' for losses and errors, 'max' for scores",
            )
