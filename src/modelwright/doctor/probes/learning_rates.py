"""The optimizer's rate beside a hundredth and a hundredfold of it."""

import math

import torch

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.probes.fitting import fit, mean_loss, scale_rates
from modelwright.doctor.probes.fork import fork
from modelwright.doctor.probes.limit import Limit
from modelwright.doctor.probes.probe import Outcome
from modelwright.doctor.probes.subject import Subject

__all__ = ["LearningRates"]

_FACTORS = (1.0, 1e2, 1e-2, 1e1, 1e-1, 1e3, 1e-3)
_FAR_FACTORS = (1e4, 1e6)
"""Tried where the given rate does nothing."""

_STEPS = 100
_STILL = 1e-3
"""Part of the first loss that a rate takes off in all its steps, below which it does nothing."""

_WORSE = 0.1
_MOVES = 0.1
"""Part of the first loss that another rate must take off to be called better."""


class LearningRates:
    """Trains copies for a hundred steps at rates from a thousandth to a thousandfold."""

    words = "the learning rate beside others"
    share = 3.0

    def lacks(self, subject: Subject) -> str | None:
        """See `Probe`."""
        missing = subject.lacks("model", "loss", "sample", "optimizer")
        return subject.crowds() if missing is None else missing

    def look(self, subject: Subject, limit: Limit) -> Outcome:
        """See `Probe`."""
        sample = subject.sample
        assert sample is not None
        reached: dict[float, float] = {}
        first = mean_loss(fork(subject, optimizer=False), sample, training=True)
        if isinstance(fork(subject).optimizer, torch.optim.LBFGS):
            return Outcome(unchecked=(f"{self.words}: LBFGS is not made for batches",))
        factors = list(_FACTORS)
        for factor in factors:
            made = fork(subject)
            scale_rates(made, factor)
            losses = fit(made, sample, _STEPS, limit)
            if len(losses) < _STEPS and math.isfinite(losses[-1] if losses else math.nan):
                break
            last = mean_loss(made, sample, training=True)
            reached[factor] = last if math.isfinite(last) else math.inf
            if factor == 1.0 and abs(first - last) < _STILL * abs(first):
                factors += _FAR_FACTORS
        if 1e-2 not in reached:
            return Outcome(unchecked=(f"{self.words}: {limit.seconds:.0f} s were too short for 100 steps",))
        made = fork(subject)
        rate = float(made.optimizer.param_groups[0]["lr"])
        return Outcome(findings=_findings(first, reached, rate))


def _findings(first: float, reached: dict[float, float], rate: float) -> tuple[Finding, ...]:
    scale = abs(first) or 1.0
    gain = {factor: (first - last) / scale for factor, last in reached.items()}
    own = gain[1.0]
    higher = max((gain[each] for each in gain if each >= 1e2), default=-math.inf)
    lower = max((gain[each] for each in gain if each <= 1e-1), default=-math.inf)
    shown = {f"{rate * factor:.3g}": first - gain[factor] * scale for factor in sorted(gain)}
    evidence = {
        "first_loss": first,
        "rate": rate,
        "loss_after_100_steps_at_each_rate": {
            key: value if math.isfinite(value) else str(value) for key, value in shown.items()
        },
    }
    if -_WORSE < own < _STILL and higher > _MOVES:
        return (
            Finding(
                kind="learning-rate-low",
                severity=Severity.WARNING,
                title=f"A hundred steps at the rate {rate:.3g} take {max(own, 0.0):.2%} off the loss, and a "
                f"rate a hundredfold or more takes off {higher:.0%}.",
                evidence=evidence,
                causes=(cause("learning-rate-too-low"),),
                next_check="try the rate at which the loss falls fastest, divided by three",
            ),
        )
    if (own < -_WORSE or not math.isfinite(own)) and lower > _MOVES:
        return (
            Finding(
                kind="learning-rate-high",
                severity=Severity.WARNING,
                title=f"A hundred steps at the rate {rate:.3g} make the loss larger, and a lower rate takes "
                f"{lower:.0%} off it.",
                evidence=evidence,
                causes=(cause("learning-rate-too-high"),),
                next_check="try the rate at which the loss falls fastest, divided by three",
            ),
        )
    best = max(gain, key=gain.__getitem__)
    if best >= 1e2 and gain[best] > max(10 * own, _MOVES):
        return (
            Finding(
                kind="faster-rate",
                severity=Severity.INFO,
                title=f"For the first hundred steps the rate {rate * best:.3g} is faster than the given "
                f"{rate:.3g}.",
                evidence=evidence,
                next_check="low rates are right where a trained model is tuned, or where training is long",
            ),
        )
    return ()
