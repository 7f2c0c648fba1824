"""Whether updates after acting come to all rows that the policy acted on, or always leave the same out."""

from collections.abc import Iterable
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.policy.policy_updates import keys_of
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["UnlearntRows"]

_ENOUGH = 3
"""Rollouts that must leave the same rows out; no more are looked at."""

_FEWEST_ROWS, _MOST_ROWS = 64, 4096
_FEWEST_AFTER = 8
"""Rows left out after one that is learnt, in its episode; returns of several steps leave out the last."""

_MOST_SHORT = 30
"""Stretches of acting of fewer rows, after which a program is taken for one that learns from a memory."""

_Rows = dict[tuple[int, int], bool]
"""(environment, number of its step in the rollout) -> whether a model was given the row to learn from."""


class UnlearntRows(Sensor):
    """Holds observations that a model was asked to act on to those that are learnt from before it acts again.

    Left out of this are rows that no model was asked about, as of actions that are repeated; episodes that
    are left out as wholes, which were measured; and rows that are other ones each time, which were drawn.
    """

    while_acting = frozenset({"on_forward", "on_step_end"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._begin = 0
        self._learns = False
        self._asked: set[bytes] = set()
        self._learnt: set[bytes] = set()
        self._short = 0
        self._known: list[_Rows] = []
        self._longest = 0
        self._over = False
        self._place: Place | None = None
        self._taken: Place | None = None

    def on_acting(self, environment: Any) -> None:
        """See `Sensor`."""
        if self._learns and not self._over:
            self._judge(self.scene.experience.round)
            self._begin, self._learns = self.scene.experience.round, False
            self._asked, self._learnt = set(), set()

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """See `Sensor`."""
        experience = self.scene.experience
        made = experience.transitions
        if self._over or not made or not args or not hasattr(args[0], "numel"):
            return
        numbers, given = max(1, len(made[-1].observation) // 4), args[0]
        outputs = output if isinstance(output, tuple | list) else (output,)
        graded = any(getattr(each, "requires_grad", False) for each in outputs)
        if not graded and given.numel() > numbers * len(experience.numbers):
            return
        keys = keys_of(given, numbers)
        if keys is None or max(len(self._asked), len(self._learnt)) > _MOST_ROWS:
            return
        if graded and len(keys) > 1:
            self._learnt.update(keys)
            self._taken = self._taken or self.scene.origins.of(given)
            self._place = self._place or place_of_caller(2)
        self._asked.update(() if graded and len(keys) > 1 else keys)

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._learns = True

    def _judge(self, end: int) -> None:
        """Look at the rows of a rollout that is over."""
        experience = self.scene.experience
        made = experience.transitions[max(0, self._begin - experience.first) : end - experience.first]
        if len(made) < _FEWEST_ROWS:
            self._short += 1
            self._over = self._short > _MOST_SHORT
            return
        counts: dict[int, int] = {}
        rows: _Rows = {}
        since: dict[int, int] = {}
        for each in made if len(made) <= _MOST_ROWS else ():
            at = counts.get(each.environment, 0)
            counts[each.environment] = at + 1
            learnt = each.observation in self._learnt
            # Rows of an episode after the last that was learnt from; an episode that is measured has none.
            run = since.get(each.environment, -1) if each.step else -1
            since[each.environment] = 0 if learnt else run + 1 if run >= 0 else -1
            self._longest = max(self._longest, since[each.environment])
            if each.observation in self._asked:
                rows[each.environment, at] = learnt
        own = {each.observation for each in made}
        of_now = self._learnt and len(self._learnt - own) <= len(counts)  # what follows the last rows
        self._known.append(rows if of_now and 2 * sum(rows.values()) < len(rows) else {})
        self._over = len(self._known) == _ENOUGH or not self._known[-1]

    def findings(self) -> Iterable[Finding]:
        """Return that most rows of a rollout are never learnt from, and always the same."""
        if len(self._known) < _ENOUGH or any(each != self._known[0] for each in self._known):
            return
        rows = self._known[0]
        learnt = sum(rows.values())
        if not learnt or self._longest < _FEWEST_AFTER:
            return
        yield Finding(
            kind="rows-never-learnt",
            severity=Severity.WARNING,
            title=f"Of {len(rows)} rows that the policy acts on between updates, always the same "
            f"{len(rows) - learnt} are never learnt from.",
            evidence={"rollouts": len(self._known), "rows": len(rows), "rows_learnt": learnt},
            causes=(cause("minibatches-leave-rows-out", self._taken or self._place),),
            next_check="print the smallest and the largest index of all minibatches of an update",
        )
