"""When to stop: the configuration of a stopping rule, and what every rule can do."""

from dataclasses import dataclass, fields
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwright.base.errors import BadValue
from modelwright.base.setting import Settings, setting
from modelwright.experiment.betting import BettingRule
from modelwright.experiment.interval import Interval
from modelwright.experiment.sign_flip import SignFlipRule, require_reachable
from modelwright.experiment.spending import SPENDINGS, Spending, cumulative_levels
from modelwright.experiment.student import MINIMUM_SEEDS, StudentRule

__all__ = ["Rule", "StoppingRule", "build_rule"]

_LEAST_ALPHA = 1e-9

_USED = {
    "fixed": {"kind", "test"},
    "group_sequential": {"kind", "looks", "spending", "test"},
    "confidence_sequence": {"kind", "looks", "low", "high"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Settings):
    """How a design decides when enough is known.

    - `fixed`: one look when all seeds are finished.
    - `group_sequential`: a few looks planned beforehand; an error budget is spent over them.
    - `confidence_sequence`: as many looks as you like, for differences with known bounds.
    """

    kind: Literal["fixed", "group_sequential", "confidence_sequence"] = setting(
        "fixed", doc="When the results are looked at.", choices=tuple(_USED)
    )
    looks: tuple[int, ...] = setting(
        (),
        doc="Number of finished seeds at each look; the last is all seeds. Empty: as the kind says.",
        low=2,
    )
    spending: Literal["pocock", "obrien_fleming", "lan_demets_pocock", "lan_demets_obrien_fleming"] = setting(
        "lan_demets_pocock", doc="How a group-sequential rule spends its error budget.", choices=SPENDINGS
    )
    test: Literal["t", "sign_flip"] = setting(
        "t",
        doc="What intervals rest on: normal differences (t), or symmetric ones (sign_flip).",
        choices=("t", "sign_flip"),
    )
    low: float | None = setting(
        None,
        doc="Smallest possible difference, for a confidence sequence; left out, from the metric's bounds.",
    )
    high: float | None = setting(
        None,
        doc="Largest possible difference, for a confidence sequence; left out, from the metric's bounds.",
    )

    def __post_init__(self) -> None:
        if isinstance(self.looks, list):  # as YAML and people write them
            object.__setattr__(self, "looks", tuple(self.looks))
        Settings.__post_init__(self)
        for field in fields(self):
            if field.name not in _USED[self.kind] and getattr(self, field.name) != field.default:
                raise BadValue(
                    f"A {self.kind} rule does not use rule.{field.name}",
                    got=getattr(self, field.name),
                    next_step=f"leave out rule.{field.name}, or choose another rule.kind",
                )
        if any(type(look) is not int for look in self.looks):
            raise BadValue("rule.looks are whole numbers of seeds", got=self.looks)
        if any(late <= early for early, late in zip(self.looks, self.looks[1:], strict=False)):
            raise BadValue(
                "rule.looks grow from look to look",
                got=self.looks,
                nearest=str(tuple(sorted(set(self.looks)))),
            )


class StoppingRule(Protocol):
    """Intervals that hold at all planned looks at once; the same differences give the same interval.

    Attributes:
        looks: Number of seeds at each look, the last being all seeds.
        name: A few words, e.g. `group-sequential t, Pocock, 4 looks`.
        description: What the rule does, in a sentence or two for the report.
        assumption: What must be true of the differences for the error rate to hold.
    """

    @property
    def looks(self) -> tuple[int, ...]: ...  # noqa: D102 - described above

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def description(self) -> str: ...  # noqa: D102

    @property
    def assumption(self) -> str: ...  # noqa: D102

    def interval(self, differences: ArrayLike, look: int) -> Interval:
        """Return the interval at a look.

        Args:
            differences: (seed,) exactly `looks[look]` finite numbers, in the registered order of seeds.
            look: Index of the look, from 0.

        Raises:
            BadValue: where that does not hold.
        """
        ...

    def tells(self, differences: ArrayLike) -> bool:
        """Return whether the differences of a look show how far chance could move them.

        Where they do not, the interval has no width and nothing may be decided.
        """
        ...

    def beyond(self, differences: ArrayLike, effect: float) -> NDArray[np.bool_]:
        """Return (experiment, look) whether each look's lower limit is above `effect`.

        Args:
            differences: (experiment, seed) finite numbers, with all seeds of the plan.
            effect: A difference.
        """
        ...

    def short_of(self, differences: ArrayLike, effect: float) -> NDArray[np.bool_]:
        """Return (experiment, look) whether each look's upper limit is below `effect`; as `beyond`."""
        ...


def build_rule(
    rule: Rule,
    *,
    seeds: int,
    alpha: float,
    scope_inflation: float = 0.0,
    bounds: tuple[float | None, float | None] = (None, None),
    exact: bool = False,
) -> StoppingRule:
    """Return the rule for a plan, or say why it cannot be valid there.

    Args:
        rule: The configuration.
        seeds: Largest number of seeds of the plan.
        alpha: Probability that any look's interval misses the true difference; half of it on each side.
        scope_inflation: n_test / n_train where conclusions are about new data and training sets of the
            seeds overlap (Nadeau and Bengio 2003), else 0.
        bounds: Smallest and largest possible difference where the metric has bounds; the rule's own
            `low` and `high` come first.
        exact: Whether a t rule takes differences that are all equal for the truth where there are no bounds.

    Raises:
        BadValue: for looks that do not fit the plan, and for every look at which the rule cannot be valid.
    """
    _require_numbers(seeds, alpha, scope_inflation)
    looks = _looks(rule, seeds)
    if rule.kind == "confidence_sequence":
        _refuse_inflation(scope_inflation, "A confidence sequence for bounded differences")
        low, high = _bounds(rule, bounds)
        return BettingRule(looks=looks, alpha=alpha, low=low, high=high)
    spending: Spending | None = rule.spending if rule.kind == "group_sequential" else None
    if rule.test == "sign_flip":
        _refuse_inflation(scope_inflation, "A sign-flip test")
        spent = cumulative_levels(looks, alpha / 2, spending)
        require_reachable(looks, spent, spending)
        return SignFlipRule(looks=looks, spent=spent, alpha=alpha, spending=spending)
    if looks[0] < MINIMUM_SEEDS:
        raise BadValue(
            f"A t interval estimates the spread and needs at least {MINIMUM_SEEDS} seeds at every look",
            got=f"look 1 at {looks[0]} seeds, where the two-sided level would be {alpha:g}",
            nearest=f"a first look at {MINIMUM_SEEDS} seeds",
        )
    low, high = bounds
    return StudentRule.plan(
        looks=looks,
        alpha=alpha,
        spending=spending,
        inflation=scope_inflation,
        bounds=None if low is None or high is None else (low, high),
        exact=exact,
    )


def _require_numbers(seeds: int, alpha: float, scope_inflation: float) -> None:
    if type(seeds) is not int or seeds < 2:
        raise BadValue("A plan has at least 2 seeds", got=seeds)
    if not _LEAST_ALPHA <= alpha < 0.5:
        raise BadValue(
            f"alpha, shared by the comparisons, is a probability from {_LEAST_ALPHA:g} to below 0.5",
            got=alpha,
            nearest="0.05",
        )
    if not (np.isfinite(scope_inflation) and scope_inflation >= 0):
        raise BadValue("scope_inflation is n_test / n_train, at least 0", got=scope_inflation)


def _looks(rule: Rule, seeds: int) -> tuple[int, ...]:
    if rule.kind == "fixed":
        return (seeds,)
    if not rule.looks:
        if rule.kind == "confidence_sequence":
            return tuple(range(2, seeds + 1))
        planned = sorted({max(MINIMUM_SEEDS, round(seeds * share / 4)) for share in (1, 2, 3)} | {seeds})
        raise BadValue(
            "A group-sequential rule needs its looks planned",
            got="no rule.looks",
            nearest=f"rule.looks={[look for look in planned if look <= seeds]}",
        )
    if rule.looks[-1] != seeds:
        kept = [look for look in rule.looks if look < seeds]
        raise BadValue(
            f"The last look is at all {seeds} seeds",
            got=f"rule.looks={list(rule.looks)}",
            nearest=f"{[*kept, seeds]}",
        )
    return rule.looks


def _bounds(rule: Rule, bounds: tuple[float | None, float | None]) -> tuple[float, float]:
    low = rule.low if rule.low is not None else bounds[0]
    high = rule.high if rule.high is not None else bounds[1]
    if low is None or high is None:
        raise BadValue(
            "A confidence sequence needs bounds for the difference and this metric has none",
            got=f"low={low}, high={high}",
            next_step="set rule.low and rule.high to bounds that no difference can leave, "
            "or use rule.kind=group_sequential",
        )
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise BadValue("rule.low is below rule.high and both are finite", got=f"low={low}, high={high}")
    return float(low), float(high)


def _refuse_inflation(scope_inflation: float, what: str) -> None:
    if scope_inflation > 0:
        raise BadValue(
            f"{what} takes seeds for independent, and overlapping training sets tie them: it cannot speak of "
            "new data",
            got=f"n_test / n_train = {scope_inflation:g}",
            next_step="use rule.test=t, which corrects for the overlap, or scope=other_splits",
        )
