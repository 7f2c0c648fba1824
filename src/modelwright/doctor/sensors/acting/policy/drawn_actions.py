"""Whether log-probabilities are those of actions as they were drawn: not clipped, and with the same mask."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.policy.masks_while_acting import mask_only_while_acting
from modelwright.doctor.sensors.acting.policy.softmax_axis import is_over_rows
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["DrawnActions"]

_FEWEST_ROWS = 8
_ENOUGH = 3
"""Updates before anything is said."""

_SHARE = 0.01
"""Of an update's numbers, those that lie exactly on a bound; a normal distribution never draws one."""

_FORBIDDEN = -1e5
"""A logit below it is no preference: the action is masked."""

_MASKED = 0.02
"""Share of what is drawn from that has a masked action."""

_MOST_BOUNDS = 16
_MOST_NODES = 8
_OF_SHAPE = ("ExpandBackward0", "ViewBackward0", "UnsqueezeBackward0", "SqueezeBackward1", "CloneBackward0")


class DrawnActions(Sensor):
    """Looks at what distributions are asked how likely it is, while acting and in updates."""

    operations = frozenset({"softmax", "log_softmax"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._bounds: dict[bytes, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        self._on_bound: list[float] = []
        self._normal: Place | None = None
        self._normals = self._twice = 0
        self._scale: Place | None = None
        self._drawn, self._drawn_masked = 0, 0
        self._learnt, self._learnt_masked, self._updates = 0, 0, 0
        self._categorical: Place | None = None
        self._of_rows = self._over_rows = 0
        self._softmax: Place | None = None
        self._crosswise: Place | None = None

    def on_acting(self, environment: Any) -> None:
        """See `Sensor`."""
        if len(self._bounds) >= _MOST_BOUNDS:
            return
        for each in (environment, getattr(environment, "unwrapped", environment)):
            space = getattr(each, "action_space", None)
            low, high = getattr(space, "low", None), getattr(space, "high", None)
            if low is not None and high is not None and np.isfinite(low).all() and np.isfinite(high).all():
                low, high = (np.asarray(bound, np.float32).reshape(-1) for bound in (low, high))
                self._bounds[low.tobytes() + high.tobytes()] = low, high

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        axis, result = operation.argument(1, "dim"), operation.result
        if (
            self.scene.environments
            and isinstance(axis, int)
            and axis % max(result.dim(), 1) < result.dim() - 1
        ):
            self._crosswise = operation.place

    def on_log_prob(self, distribution: Any, value: Any, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        if not self.scene.environments or not hasattr(result, "requires_grad"):
            return
        kind = type(distribution).__name__
        if kind == "Normal" and result.requires_grad:
            self._normals += 1
            if _is_exponential_twice(distribution.scale):
                self._twice, self._scale = self._twice + 1, place
        if kind == "Categorical":
            self._mask(distribution, result, place)
            if result.requires_grad and result.dim() and len(result) > 1:
                self._of_rows += 1
                if is_over_rows(distribution):
                    self._over_rows, self._softmax = self._over_rows + 1, self._crosswise or place
        elif kind in ("Normal", "MultivariateNormal") and self._bounds and result.requires_grad:
            self._bound(value, place)

    def _bound(self, value: Any, place: Place | None) -> None:
        shape = tuple(getattr(value, "shape", ()))
        if not shape or not hasattr(value, "detach") or getattr(value, "requires_grad", True):
            return
        for low, high in self._bounds.values():
            count = len(low)
            if value.numel() % count or value.numel() // count < _FEWEST_ROWS:
                continue
            if shape[-1] != count and count > 1:
                continue
            numbers = value.detach().float().cpu().numpy().reshape(-1, count)
            self._on_bound.append(float(((numbers == low) | (numbers == high)).mean()))
            self._normal = place
            return

    def _mask(self, distribution: Any, result: Any, place: Place | None) -> None:
        logits = distribution.logits.detach()
        masked = bool((logits < _FORBIDDEN).any())
        if not result.requires_grad:
            self._drawn += 1
            self._drawn_masked += masked
        elif result.numel() >= _FEWEST_ROWS:
            self._updates += 1
            self._learnt += result.numel()
            self._learnt_masked += masked
            self._categorical = place

    def findings(self) -> Iterable[Finding]:
        """Return log-probabilities of clipped actions, and those without the mask that actions had."""
        most = [share for share in self._on_bound if share >= _SHARE]
        if len(most) >= _ENOUGH and len(most) >= 0.5 * len(self._on_bound):
            yield Finding(
                kind="log-probability-of-clipped-actions",
                severity=Severity.WARNING,
                title="Of actions whose log-probability is learnt from, "
                f"{np.median(most):.0%} of the numbers lie exactly on a bound of the environment's actions: "
                "they were clipped after they were drawn.",
                evidence={
                    "share_on_a_bound": [round(each, 4) for each in self._on_bound[:60]],
                    "updates": len(self._on_bound),
                },
                causes=(cause("log-prob-of-clipped-action", self._normal),),
                next_check="print the largest and the smallest of the actions that are kept",
            )
        if self._twice >= _ENOUGH and self._twice == self._normals:
            yield Finding(
                kind="deviation-exponentiated-twice",
                severity=Severity.SEVERE,
                title="The deviation of a normal policy is the exponential of an exponential: a logarithm "
                "of it was undone twice, and it is never below 1.",
                evidence={"log_probabilities": self._normals, "with_such_a_deviation": self._twice},
                causes=(cause("exponentiated-twice", self._scale),),
                next_check="print the parameter, and the deviation that the distribution is given",
            )
        if self._over_rows >= _ENOUGH and self._over_rows == self._of_rows:
            yield Finding(
                kind="softmax-over-rows",
                severity=Severity.SEVERE,
                title="A softmax runs over another axis than the one along which actions are drawn: what an "
                "observation's actions get depends on the other rows.",
                evidence={"log_probabilities": self._of_rows, "with_such_a_softmax": self._over_rows},
                causes=(cause("softmax-over-wrong-axis", self._softmax),),
                next_check="run it over the actions: dim=-1",
            )
        if self._learnt_masked or self._updates < _ENOUGH or self._drawn < _FEWEST_ROWS:
            return
        if self._drawn_masked >= max(_ENOUGH, _MASKED * self._drawn):
            yield mask_only_while_acting(
                {
                    "draws": self._drawn,
                    "draws_with_a_mask": self._drawn_masked,
                    "updates": self._updates,
                    "rows_of_updates": self._learnt,
                },
                self._categorical,
            )


def _is_exponential_twice(scale: Any) -> bool:
    """Return whether a tensor is the exponential of an exponential, but for its shape."""
    node, count = getattr(scale, "grad_fn", None), 0
    for _ in range(_MOST_NODES):
        name = type(node).__name__
        if name == "ExpBackward0":
            count += 1
        elif node is None or name not in _OF_SHAPE:
            return False
        if count == 2:
            return True
        node = node.next_functions[0][0] if node is not None else None
    return False
