"""Whether an action's mask in updates is the one that it was drawn with, with distributions or without."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.policy.masks_while_acting import mask_only_while_acting
from modelwright.doctor.sensors.acting.policy.policy_updates import keys_of
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor

__all__ = ["ActionMasks"]

_FEWEST_ROWS = 8
_ENOUGH = 3
_FORBIDDEN = -1e5
"""A logit below it is no preference: the action is masked."""

_SHARE = 0.02
"""Of rows whose mask is compared, those that must differ."""

_MOST_KEPT = 50_000


@dataclass(slots=True)
class _Count:
    """Updates, and rows of them.

    Attributes:
        updates: Updates of which rows were compared.
        wrong: Of these, updates with rows whose mask differs.
        rows, differing: Rows.
        masked: Rows with a mask in updates.
    """

    updates: int = 0
    wrong: int = 0
    rows: int = 0
    differing: int = 0
    masked: int = 0


class ActionMasks(Sensor):
    """Remembers which actions were masked for an observation while acting, and compares updates with it."""

    operations = frozenset({"softmax", "log_softmax"})
    while_acting = frozenset({"on_step_end"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._acted: dict[bytes, bytes | None] = {}
        self._stepped = True
        self._waiting: list[tuple[Any, bool, Place | None]] = []
        self._keys: list[bytes] = []
        self._count = _Count()
        self._distributions = False
        self._masks = False
        self._place: Place | None = None

    def on_acting(self, environment: Any) -> None:
        """See `Sensor`."""
        if self._stepped:
            self._stepped = False
            self._waiting = []

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        if not self._stepped:
            self._acted, self._stepped = {}, True
        self._waiting, self._keys = [], []

    def on_close(self, begins: bool) -> None:
        """See `Sensor`."""
        self._waiting, self._keys = [], []

    def on_log_prob(self, distribution: Any, value: Any, result: Any, place: Place | None) -> None:
        """See `Sensor`."""
        if self.scene.environments and type(distribution).__name__ == "Categorical":
            self._distributions = True
            self._heard(distribution.logits, bool(getattr(result, "requires_grad", False)), place)

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        if self.scene.environments and hasattr(operation.argument(0, "input"), "detach"):
            given, graded = operation.argument(0, "input"), bool(operation.result.requires_grad)
            if operation.inside:
                self._waiting = [*self._waiting[-3:], (given, graded, operation.place)]
            else:
                self._heard(given, graded, operation.place)

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        transitions = self.scene.experience.transitions
        if call.depth or not transitions or not call.args:
            return
        keys = keys_of(call.args[0], max(1, len(transitions[-1].observation) // 4))
        if keys is not None:
            self._keys = keys
        waiting, self._waiting = self._waiting, []
        for given, graded, place in waiting:
            self._heard(given, graded, call.place or place)

    def _heard(self, logits: Any, graded: bool, place: Place | None) -> None:
        """Compare a mask with the one that was acted with, or keep it."""
        if logits.dim() < 2 or logits.numel() != logits.shape[-1] * len(self._keys) or logits.shape[-1] < 2:
            return
        masks = (logits.detach() < _FORBIDDEN).cpu().numpy().reshape(len(self._keys), -1)
        self._masks |= bool(masks.any())
        if not self._masks:
            return
        patterns = [each.tobytes() for each in np.packbits(masks, axis=1)]
        if not graded:
            acting = len(self._keys) <= len(self.scene.experience.numbers)
            if acting and len(self._acted) < _MOST_KEPT:
                for key, pattern in zip(self._keys, patterns, strict=True):
                    # Where an observation is met with two masks, something else tells them apart.
                    self._acted[key] = pattern if self._acted.get(key, pattern) == pattern else None
            return
        pairs = [(self._acted.get(key), pattern) for key, pattern in zip(self._keys, patterns, strict=True)]
        compared = [one != other for one, other in pairs if one is not None]
        if len(compared) < _FEWEST_ROWS or self._stepped:
            return
        count, wrong = self._count, sum(compared)
        count.updates += 1
        count.wrong += wrong >= _SHARE * len(compared)
        count.rows += len(compared)
        count.differing += wrong
        count.masked += int(masks.any(axis=1).sum())
        self._place = place if wrong or self._place is None else self._place

    def findings(self) -> Iterable[Finding]:
        """Return masks of updates that are not those of acting."""
        count = self._count
        if count.wrong < _ENOUGH or count.wrong < 0.8 * count.updates:
            return
        if count.masked:
            yield Finding(
                kind="mask-of-another-step",
                severity=Severity.SEVERE,
                title="For the same observation other actions are masked in updates than were while acting: "
                "masks belong to other steps.",
                evidence={
                    "updates": count.updates,
                    "rows": count.rows,
                    "rows_with_another_mask": count.differing,
                },
                causes=(cause("mask-off-by-one", self._place),),
                next_check="keep the mask that an action was drawn with, before the environment steps",
            )
        elif not self._distributions:
            yield mask_only_while_acting(
                {
                    "updates": count.updates,
                    "rows_of_updates": count.rows,
                    "rows_that_had_a_mask": count.differing,
                },
                self._place,
            )
