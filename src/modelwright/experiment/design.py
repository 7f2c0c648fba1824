"""A question with all that is needed to answer it; frozen, hashed and registered before the first trial."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from modelwright.base.configure import configure
from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.fingerprint import fingerprint, jsonable
from modelwright.base.setting import Settings, setting
from modelwright.data.source import Source
from modelwright.data.split import SplitPlan
from modelwright.experiment.correction import CORRECTIONS, SharedRule, build_shared_rule
from modelwright.experiment.question import Question
from modelwright.experiment.rule import Rule

__all__ = ["Budget", "Design"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SCOPES = ("this_test_set", "other_splits", "new_data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget(Settings):
    """What an experiment may cost; a spent budget ends it, undecided comparisons as *inconclusive*."""

    seconds: float | None = setting(
        None, doc="Most seconds of training, summed over workers; null for no limit.", above=0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Design(Settings):
    """A registered experiment.

    Errors are found when the object is made, except what needs the data or the learners' own
    configurations: those the lab checks before anything runs.
    """

    name: str = setting(doc="Name of the experiment: letters, digits, - and _.")
    question: Question = setting(doc="Hypothesis, metric, margin and smallest effect.")
    data: Source = setting(doc="Where the rows come from.")
    split: SplitPlan = setting(SplitPlan(), doc="How each seed parts them into training and test rows.")
    variants: Mapping[str, Mapping[str, Any]] = setting(doc="Name -> a learner and its settings.")
    compare: tuple[tuple[str, str], ...] = setting(
        (), doc="Pairs (candidate, baseline); with two variants, the first against the second if left out."
    )
    correction: Literal["bonferroni", "holm"] = setting(
        "holm", doc="How several comparisons share the error.", choices=CORRECTIONS
    )
    scope: Literal["this_test_set", "other_splits", "new_data"] = setting(
        "other_splits", doc="What the verdict shall speak of.", choices=_SCOPES
    )
    seeds: int = setting(doc="Most seeds of each variant.", low=2, high=10_000)
    rule: Rule = setting(Rule(), doc="When to stop.")
    alpha: float = setting(
        0.05, doc="Probability that any interval misses the truth; half on each side.", above=0, below=0.5
    )
    power: float = setting(
        0.8,
        doc="Wanted probability of *supported* when the true effect is margin + smallest_effect.",
        above=0,
        below=1,
    )
    spread: float | None = setting(
        None,
        doc="Expected standard deviation of the paired differences; null: estimated by a pilot while planning.",
        above=0,
    )
    accept: tuple[str, ...] = setting((), doc="Kinds of severe findings that do not make the verdict invalid.")
    budget: Budget = setting(Budget(), doc="What the experiment may cost.")
    tolerance: float = setting(
        1e-6, doc="Largest relative difference at which a rerun counts as numerically equal.", low=0
    )

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if not _NAME.fullmatch(self.name):
            raise BadValue(
                "A design's name is letters, digits, - and _, at most 64",
                got=self.name,
                nearest=re.sub(r"[^A-Za-z0-9_-]+", "-", self.name).strip("-_")[:64] or "my-experiment",
            )
        if len(self.variants) < 2:
            raise BadValue("A design compares at least two variants", got=list(self.variants))
        for name in self.variants:
            if not _NAME.fullmatch(name):
                raise BadValue("A variant's name is letters, digits, - and _, at most 64", got=name)
        if not self.compare:
            if len(self.variants) > 2:
                raise BadValue(
                    "A design of more than two variants says which to compare",
                    got=list(self.variants),
                    next_step="set compare to pairs [candidate, baseline]",
                )
            first, second = self.variants
            object.__setattr__(self, "compare", ((first, second),))
        self._check_pairs()
        if self.scope == "this_test_set" and not self.split.shared:
            raise BadValue(
                "A verdict on this test set needs one split for all seeds",
                got="scope=this_test_set with split.fixed=false",
                nearest="split.fixed=true",
                next_step="fix the split, or choose scope=other_splits",
            )
        if self.scope != "this_test_set" and self.split.shared:
            raise BadValue(
                f"A verdict on {self.scope.replace('_', ' ')} needs seeds that draw splits of their own",
                got=f"scope={self.scope} with one split for all seeds",
                nearest="scope=this_test_set",
            )
        if self.question.smallest_effect > self._range():
            raise BadValue(
                "The smallest effect lies within the metric's range", got=self.question.smallest_effect
            )
        if abs(self.question.margin) >= self._range():
            raise BadValue("The margin lies within the metric's range", got=self.question.margin)

    def _check_pairs(self) -> None:
        for pair in self.compare:
            for name in pair:
                if name not in self.variants:
                    raise UnknownName("variant", name, self.variants)
            if pair[0] == pair[1]:
                raise BadValue("A variant is compared with another one", got=list(pair))
        if len({frozenset(pair) for pair in self.compare}) < len(self.compare):
            raise BadValue("Each pair is compared once", got=[list(pair) for pair in self.compare])
        idle = set(self.variants) - {name for pair in self.compare for name in pair}
        if idle:
            raise BadValue("Every variant is part of a comparison", got=f"{', '.join(sorted(idle))} in none")

    def _range(self) -> float:
        low, high = self.question.bounds
        return float("inf") if low is None or high is None else high - low

    @staticmethod
    def from_mapping(values: Mapping[str, Any]) -> "Design":
        """Return the design that plain values describe. Errors as `configure` and of the class itself."""
        return configure(Design, values)

    def record(self) -> dict[str, Any]:
        """Return the design as JSON types."""
        return jsonable(self)

    @property
    def hash(self) -> str:
        """The sha256 of the design's canonical JSON; its identity in the ledger."""
        return fingerprint(self)

    def shared_rule(self, *, scope_inflation: float = 0.0) -> SharedRule:
        """Return the stopping rule of all comparisons.

        Args:
            scope_inflation: n_test / n_train where `scope` is new data, else 0.

        Raises:
            BadValue: where the rule cannot be valid for this design, with the number that it needs.
        """
        low, high = self.question.bounds
        reach = None if low is None or high is None else high - low
        return build_shared_rule(
            self.rule,
            comparisons=len(self.compare),
            correction=self.correction,
            seeds=self.seeds,
            alpha=self.alpha,
            scope_inflation=scope_inflation,
            bounds=(None, None) if reach is None else (-reach, reach),
        )
