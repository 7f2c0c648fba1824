"""The temperature of soft policies: whether its loss drives the entropy to its target, and what that is."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Scene

__all__ = ["Temperature"]

Numbers = NDArray[np.float64]

_ENOUGH = 6
_MOST = 60
_COLUMNS = 16
_EXACT = 2e-4
_MOST_OF = 0.75


class Temperature:
    """Collects the slope of the temperature's parameter beside mean log-probabilities.

    Its loss is linear in the mean log-probability m: slope = factor * (a * m + b), where the factor is the
    temperature or one. The sign of a says where it drives, and b / a is the target entropy.

    Args:
        scene: What all sensors know.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._rows: list[tuple[float, float, list[float]]] = []
        self._choices = 0
        self._place: Place | None = None

    def step(
        self, optimizer: Any, newest: float | None, columns: Sequence[Numbers], *, of_choices: bool
    ) -> None:
        """Hear that an optimizer is about to step.

        Args:
            optimizer: It.
            newest: Mean log-probability in the newest loss of the policy; None where there was none.
            columns: Numbers that were computed, one a row.
            of_choices: Whether the policy is one of few actions, rather than of numbers.
        """
        if newest is None:
            return
        held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        if len(held) != 1 or held[0].numel() != 1 or held[0].grad is None:
            return
        means = [float(each.mean()) for each in list(columns)[-_COLUMNS:]][::-1]
        row = (float(held[0].grad), float(held[0].detach()), [newest, *means])
        self._rows = [*self._rows[1 - _MOST :], row]
        self._choices += of_choices
        self._place = self._scene.newest_place_of("loss")

    def _fit(self) -> tuple[float, float] | None:
        """Return a and the target entropy that give every slope; None where none do."""
        if len(self._rows) < _ENOUGH:
            return None
        # Of an update that was heard in part there are fewer columns.
        many = max(len(row[2]) for row in self._rows)
        rows = [row for row in self._rows if len(row[2]) == many]
        if len(rows) < _ENOUGH:
            return None
        slopes = np.array([row[0] for row in rows])
        values = np.array([row[1] for row in rows])
        means = np.array([row[2] for row in rows])
        far = np.abs(means - means[:, :1]).sum(axis=0)
        for at in np.argsort(far, kind="stable"):
            # Its negative must be told from it.
            if far[at] > 0.5 * np.abs(means[:, at] + means[:, 0]).sum():
                continue
            for factor in (np.exp(np.clip(values, -30, 30)), np.ones_like(values)):
                found = _line(factor, means[:, at], slopes)
                if found is not None and np.ptp(means[:, at]) > 1e-3 and abs(found[0]) > 1e-3:
                    return found[0], found[1] / found[0]
        return None

    def findings(self) -> Iterable[Finding]:
        """Return a temperature that runs away, or a target entropy of the wrong sign."""
        fitted = self._fit()
        if fitted is None or self._scene.maximizes:
            return
        sign, target = fitted
        transitions = self._scene.experience.transitions
        dimensions = transitions[-1].action.size if transitions else 0
        evidence = {"steps": len(self._rows), "slope": sign, "target_entropy": target}
        if sign > 0:
            yield Finding(
                kind="temperature-runs-away",
                severity=Severity.SEVERE,
                title="The temperature falls where the policy's entropy is too low.",
                evidence=evidence,
                causes=(cause("temperature-loss-sign", self._place),),
                next_check="minimise -(log_alpha.exp() * (log_prob + target_entropy).detach()).mean()",
            )
        elif self._choices:
            yield from self._of_choices(target, evidence)
        elif abs(target - dimensions) < 1e-2 * dimensions:
            yield Finding(
                kind="target-entropy-positive",
                severity=Severity.SEVERE,
                title=f"The target entropy is +{target:.3g}: more than actions bounded by 1 can have.",
                evidence=evidence,
                causes=(cause("target-entropy-sign", self._place),),
                next_check="use minus the number of action dimensions",
            )

    def _of_choices(self, target: float, evidence: dict[str, Any]) -> Iterable[Finding]:
        """Look whether a policy of few actions can have the target entropy."""
        if target >= -1e-3:
            return
        yield Finding(
            kind="target-entropy-negative",
            severity=Severity.SEVERE,
            title=f"The target entropy is {target:.3g}: the entropy of a choice between actions is never "
            "below 0.",
            evidence=evidence,
            causes=(cause("target-entropy-sign", self._place),),
            next_check="use a share of log(number of actions)",
        )


def _line(factor: Numbers, means: Numbers, slopes: Numbers) -> tuple[float, float] | None:
    """Return a and b with slopes = factor * (a * means + b), but for a few updates heard in part."""
    columns = np.stack([factor * means, factor], axis=1)
    kept = np.arange(len(slopes))
    while len(kept) >= max(_ENOUGH, _MOST_OF * len(slopes)):
        found = np.linalg.lstsq(columns[kept], slopes[kept], rcond=None)[0]
        far = np.abs(columns[kept] @ found - slopes[kept])
        if far.max() <= _EXACT * np.abs(slopes[kept]).max():
            return float(found[0]), float(found[1])
        kept = np.delete(kept, far.argmax())
    return None
