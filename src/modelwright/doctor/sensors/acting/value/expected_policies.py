"""Policies of few actions whose loss is a mean over all of them: which way it pushes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding
from modelwright.doctor.sensors.acting.value.expectations import log_probabilities
from modelwright.doctor.sensors.acting.value.severe import severe
from modelwright.doctor.sensors.acting.value.view import Seen
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Scene

__all__ = ["ExpectedPolicies"]

Numbers = NDArray[np.float64]

_ENOUGH = 5
_EXACT = 2e-3
_NOTHING = 1e-5
_MOST_CRITICS = 4


class ExpectedPolicies:
    """Takes apart the slope of a loss in a policy's logits.

    Where the loss is the mean of sum(p * (a * log p - s * q)), its slope in logits is p * (a * (log p - its
    mean) - s * (q - its mean)), each mean over the policy's actions; a and s are found by least squares.

    Args:
        scene: What all sensors know.

    Attributes:
        soft: Losses that count the policy's entropy.
        log_probability: Mean log-probability in the newest loss; None where there was none.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.soft = 0
        self.log_probability: float | None = None
        self._asked: list[tuple[Seen, list[Any]]] = []
        self._of_entropy: list[float] = []
        self._of_value: list[float] = []
        self._place: Place | None = None

    def called(self, seen: Seen, call: Call) -> None:
        """Hear of a call on observations alone."""
        if not call.grad or seen.rest is not None:
            return
        given = call.output if isinstance(call.output, tuple | list) else (call.output,)
        outputs = [
            each
            for each in given
            if getattr(each, "requires_grad", False) and each.dim() == 2 and each.shape[1] > 1
        ]
        if outputs:
            self._asked.append((seen, outputs))

    def forget(self) -> None:
        """A step was taken, or a look ends."""
        self._asked = []

    def backward(self, loss: Any, calls: Sequence[Seen]) -> None:
        """Hear that gradients of a loss are about to be computed."""
        if loss.numel() != 1 or not loss.requires_grad:
            return
        for seen, outputs in self._asked:
            shape = (seen.rows, int(outputs[0].shape[1]))
            critics = [
                output
                for each in calls
                if each.module is not seen.module and each.rest is None and each.keys == seen.keys
                for output in each.outputs
                if output.shape == shape
            ]
            if critics and len(critics) <= _MOST_CRITICS:
                self.log_probability = None  # of an earlier loss
                self._take(loss, outputs, critics)

    def _take(self, loss: Any, outputs: list[Any], critics: list[Numbers]) -> None:
        import torch

        try:
            slopes: Any = torch.autograd.grad(loss, outputs, retain_graph=True, allow_unused=True)
        except RuntimeError:
            return
        log: Numbers | None = None
        whole: Numbers | None = None
        for output, slope in zip(outputs, slopes, strict=True):
            if slope is None or not bool(slope.any()):
                continue
            given, its = (each.detach().double().cpu().numpy() for each in (output, slope))
            own = log_probabilities(given)
            if log is not None and not np.allclose(own, log, atol=1e-4):
                return
            log = own
            share = np.exp(log)
            if (given >= 0).all() and np.allclose(given.sum(axis=1), 1.0, atol=1e-4):
                its = share * (its - (share * its).sum(axis=1, keepdims=True))
            else:
                its = its - share * its.sum(axis=1, keepdims=True)
            whole = its if whole is None else whole + its
        if log is None or whole is None or not np.abs(whole).max() > 0:
            return
        share = np.exp(log)
        for values in _combined(critics):
            parts = [share * (each - (share * each).sum(axis=1, keepdims=True)) for each in (log, values)]
            columns = np.stack([each.reshape(-1) for each in parts], axis=1)
            factors = np.linalg.lstsq(columns, whole.reshape(-1), rcond=None)[0]
            far = np.abs(columns @ factors - whole.reshape(-1)).max()
            if far > _EXACT * np.abs(whole).max() or abs(factors[1]) < _NOTHING * abs(factors[0]):
                continue
            self._place = self._scene.newest_place_of("loss")
            weight = float(factors[0] / abs(factors[1]))
            self._of_entropy.append(weight)
            self._of_value.append(float(factors[1]))
            self.soft += weight > _NOTHING
            self.log_probability = float((share * log).sum(axis=1).mean())
            return

    def findings(self) -> Iterable[Finding]:
        """Return what all losses of policies have in common."""
        if len(self._of_value) < _ENOUGH or self._scene.maximizes:
            return
        evidence = {"losses": len(self._of_value)}
        if min(self._of_value) > 0:
            yield severe(
                kind="policy-lowers-value",
                name="policy-loss-sign",
                title="The policy's loss grows with the critic's value of its actions: it seeks low values.",
                evidence=evidence,
                check="the loss is the mean of the policy's probabilities times (alpha * log_prob - value)",
                place=self._place,
            )
        if max(self._of_entropy) < -1e-3:
            yield severe(
                kind="entropy-is-punished",
                name="entropy-sign-flipped",
                title="The loss grows with the policy's entropy: the policy is driven to be certain.",
                evidence=evidence,
                check="the loss is the mean of the policy's probabilities times (alpha * log_prob - value)",
                place=self._place,
            )


def _combined(critics: list[Numbers]) -> Iterator[Numbers]:
    """Yield what the loss may take for the value of each action."""
    for at, one in enumerate(critics):
        for other in critics[:at]:
            yield np.minimum(one, other)
            yield (one + other) / 2
            yield np.maximum(one, other)
    yield from critics
