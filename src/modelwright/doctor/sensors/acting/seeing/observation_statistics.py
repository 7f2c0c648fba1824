"""Whether a model, once it has learnt, is given observations that are scaled as they were while it learnt.

A program may divide observations by a deviation that runs along. The rule is read off what environments
showed and what models were given beside it, as the last steps of learning left it, and after them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.sensors.acting.seeing.scaling_rules import (
    Pairs,
    Rule,
    is_as_shown,
    is_scaled_anew,
    moves_with_what_is_seen,
    rule_of,
)
from modelwright.doctor.sensors.acting.seeing.wrapper_statistics import WrapperStatistics
from modelwright.doctor.watch.place import Place, place_of_caller
from modelwright.doctor.watch.sensor import Scene, Sensor

__all__ = ["ObservationStatistics", "is_as_before"]

Numbers = NDArray[np.float64]

_MOST_ROUNDS, _NEWEST_ROUNDS, _FEWEST_ROUNDS = 400, 40, 24
_FEWEST_OF_LEARNING = 32
_MOST_NUMBERS, _MOST_SHOWN = 4096, 20_000
_FAR = 1.0
"""Root mean square of the difference, over the deviation of what models were given while they learnt."""

_OTHER_SCALE = 4.0
_APART, _NEARLY_ALL = 0.5, 0.8
"""Distances of what is shown from two ways to show it that tell them apart; share of numbers that must."""

_STAYS = 1e-4
"""Distance of what was given while it learnt from one rule, where that did not move."""


@dataclass(slots=True)
class _Round:
    """What a model was given before a step.

    Attributes:
        made: Transitions that the environments had made before.
        rows: Observations as it was given them (row, number).
        modules: ids of all that were asked before that step.
    """

    made: int
    rows: NDArray[np.float32]
    modules: set[int]


class ObservationStatistics(Sensor):
    """Keeps what models were asked last while the program learnt, and first after its last step."""

    while_acting = frozenset({"on_forward", "on_step_end"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._now: list[_Round] = []
        self._learning: list[_Round] = []
        self._resets = 0
        self._wrappers = WrapperStatistics()
        self._place: Place | None = None
        self._found: list[Finding] = []

    def on_forward(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        """See `Sensor`."""
        if not args or len(self._now) >= _MOST_ROUNDS:
            return
        given = args[0]
        experience = self.scene.experience
        if not hasattr(given, "detach") or not 0 < given.numel() <= _MOST_NUMBERS:
            return
        if given.dim() > 2 or given.shape[-1] not in experience.sizes or not given.is_floating_point():
            return
        if given.numel() > given.shape[-1] * len(experience.numbers):
            return
        rows = given.detach().float().cpu().numpy().reshape(-1, given.shape[-1]).copy()
        asked = _Round(experience.count, rows, {id(module)})
        if self._now and self._now[-1].made == asked.made:
            asked.modules |= self._now[-1].modules
            self._now[-1] = asked  # what it acts on is asked last
            return
        self._now.append(asked)
        if len(self._now) == _FEWEST_ROUNDS:
            self._place = place_of_caller()

    def on_environment_reset(self, environment: Any, observation: Any) -> None:
        """See `Sensor`."""
        self._resets += 1
        number = self.scene.experience.numbers.get(id(environment))
        if number is not None:
            self._wrappers.hear_reset(number, environment)

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        if self._now:
            # The last round before a step may be half done.
            self._learning = [*self._learning, *self._now][-_NEWEST_ROUNDS:]
            self._now = []
        self._resets = 0

    def on_end(self) -> None:
        """See `Sensor`."""
        learnt, after = self._pairs_of(self._learning), self._pairs_of(self._now)
        same = {each for one in self._learning for each in one.modules}
        same &= {each for one in self._now for each in one.modules}
        self._learning, self._now = [], []
        if learnt is None or after is None:
            return
        if len(learnt.given) < _FEWEST_OF_LEARNING or len(np.unique(after.rounds)) < _FEWEST_ROUNDS:
            return
        apart = not set(learnt.environments.tolist()) & set(after.environments.tolist())
        made = self.scene.experience.transitions
        scaled = self._wrappers.difference(learnt, after, made) if apart and same else None
        if scaled is not None:
            self._found.append(self._otherwise(scaled[0], scaled[1], {}))
        elif apart or self._resets > 1:
            self._found.extend(self._judge(learnt, after))

    def _pairs_of(self, rounds: list[_Round]) -> Pairs | None:
        """Return what was given and what was shown, of rounds that are about one step of each environment."""
        experience = self.scene.experience
        given: list[NDArray[np.float32]] = []
        shown: list[NDArray[np.float32]] = []
        which: list[int] = []
        environments: list[int] = []
        ends = [*(each.made for each in rounds[1:]), experience.count][: len(rounds)]
        for number, (each, end) in enumerate(zip(rounds, ends, strict=True)):
            made = [experience.at(at) for at in range(each.made, min(end, each.made + len(each.rows) + 1))]
            if len(made) != len(each.rows):
                continue
            for row, transition in zip(each.rows, made, strict=True):
                if transition is None or len(transition.observation) != row.nbytes:
                    continue
                given.append(row)
                shown.append(np.frombuffer(transition.observation, np.float32))
                which.append(number)
                environments.append(transition.environment)
        if not given or len({len(each) for each in given}) > 1:
            return None
        of = np.array(given, np.float64), np.array(shown, np.float64)
        return Pairs(*of, np.array(which), np.array(environments)) if np.isfinite(of).all() else None

    def _judge(self, learnt: Pairs, after: Pairs) -> Iterable[Finding]:
        """Yield what models are given after learning that they were not while they learnt."""
        rule = rule_of(learnt)
        if rule is None or learnt.given.shape[1] != after.given.shape[1]:
            return
        shown = self._shown_to(learnt)
        low, high = shown.min(axis=0), shown.max(axis=0)
        middle, spread = after.shown.mean(axis=0), after.shown.std(axis=0) + 1e-9
        known = (shown.std(axis=0) + 1e-9) / spread
        within = ((middle >= low) & (middle <= high))[rule.moves].all()
        alike = ((known < _OTHER_SCALE) & (known > 1 / _OTHER_SCALE))[rule.moves].all()
        as_shown = is_as_shown(after)
        if not within or not (alike or (as_shown and is_as_before(after.shown, shown, rule))):
            return  # other observations, scaled by a wrapper perhaps
        far = rule.distances(after)[rule.moves]
        evidence = {
            "calls_after_the_last_step": len(np.unique(after.rounds)),
            "difference_over_deviation": [round(float(each), 4) for each in far[:40]],
            "factor_at_the_end_of_learning": [float(f"{each:.4g}") for each in rule.factor[:40]],
        }
        if far.max() >= _FAR and (as_shown or np.median(far) >= _FAR / 4):
            if as_shown or is_scaled_anew(after):
                stays = as_shown and float(rule.distances(learnt)[rule.moves].max()) < _STAYS
                yield self._otherwise(as_shown, far, evidence, stays)
        elif moves_with_what_is_seen(after, rule.moves):
            yield Finding(
                kind="observation-statistics-move-after-learning",
                severity=Severity.WARNING,
                title="After its last step the program goes on to bring up to date what observations are "
                "scaled by: what is measured depends on how long it is measured.",
                evidence=evidence,
                causes=(cause("observation-statistics-updated-in-evaluation", self._place),),
                next_check="freeze the mean and the deviation while the policy is measured",
            )

    def _shown_to(self, learnt: Pairs) -> Numbers:
        """Return what the environments that it learns in showed of late (observation, number)."""
        made = list(islice(reversed(self.scene.experience.transitions), _MOST_SHOWN))
        size, which = 4 * learnt.shown.shape[1], {*learnt.environments.tolist()}
        keys = [
            each.observation for each in made if each.environment in which and len(each.observation) == size
        ]
        others = np.frombuffer(b"".join(keys), np.float32).astype(np.float64).reshape(-1, size // 4)
        return np.concatenate([learnt.shown, others[np.isfinite(others).all(axis=1)]])

    def _otherwise(
        self, as_shown: bool, far: NDArray[np.float64], evidence: dict[str, Any], stays: bool = False
    ) -> Finding:
        names = ("observation-statistics-not-saved", "preprocessing-differs-at-evaluation")
        return Finding(
            kind="observations-scaled-otherwise-after-learning",
            severity=Severity.SEVERE,
            title="After its last step the model is given observations "
            + ("as they are" if as_shown else "that are scaled by statistics that begin anew")
            + "; while it learnt they were scaled"
            + ("." if stays else " by what had been seen until then."),
            evidence={"difference_over_deviation": [round(float(each), 4) for each in far[:40]], **evidence},
            causes=tuple(cause(name, self._place) for name in (names[::-1] if stays else names[:1])),
            next_check="call the same function on each observation before the policy is asked"
            if stays
            else "keep the mean and the deviation with the weights, and use them in every evaluation",
        )

    def findings(self) -> Iterable[Finding]:
        """Return what was found at the end."""
        return self._found


def is_as_before(after: Numbers, shown: Numbers, rule: Rule) -> bool:
    """Return whether what is shown lies nearer to what was shown before than to that as it was scaled.

    A policy that does not see what it learnt from may stay in a small part of what there is.

    Args:
        after: What is shown after learning (observation, number).
        shown: What was shown before (observation, number).
        rule: How that was scaled.
    """
    middle, spread = after.mean(axis=0), after.std(axis=0) + 1e-9
    away: list[Numbers] = []
    for factor, shift in ((1.0, 0.0), (rule.factor, rule.shift)):
        mean, deviation = factor * shown.mean(axis=0) + shift, np.abs(factor) * shown.std(axis=0) + 1e-9
        away.append(np.abs(middle - mean) / deviation + np.abs(np.log(spread / deviation)))
    apart = rule.moves & (np.abs(away[0] - away[1]) > _APART)
    return bool(apart.any()) and float((away[0] < away[1])[apart].mean()) >= _NEARLY_ALL
