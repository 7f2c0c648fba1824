"""A question with all that is needed to answer it; frozen, hashed and registered before the first trial."""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, cast

from modelwright.base.configure import configure
from modelwright.base.errors import BadValue, UnknownName, nearest_name
from modelwright.base.fingerprint import fingerprint, jsonable
from modelwright.base.metric import find_metric
from modelwright.base.setting import Settings, setting
from modelwright.data.environments.environment import Environment
from modelwright.data.source import Source
from modelwright.data.split import SplitPlan
from modelwright.experiment.correction import CORRECTIONS, SharedRule, build_shared_rule
from modelwright.experiment.difference import EQUAL_DIFFERENCES
from modelwright.experiment.evaluation import Evaluation
from modelwright.experiment.question import Question
from modelwright.experiment.rule import Rule

__all__ = ["Budget", "Design"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SCOPES = ("this_test_set", "other_splits", "new_data", "new_runs")
_GROUPS: Mapping[str, type[Settings]] = {
    "question": Question,
    "data": Source,
    "split": SplitPlan,
    "environment": Environment,
    "evaluation": Evaluation,
}
_OF_EITHER = ("data", "split", "environment", "evaluation")
"""Of these a design has the first two or the last two."""

_OF_TEXT = ("length", "stride", "windows")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plain(Settings):
    """The settings of a design that are a text or a number each; their rules stand in `Design`."""

    name: str = setting(doc="See `Design`.")
    seeds: int = setting(doc="See `Design`.")
    alpha: float = setting(doc="See `Design`.")
    power: float = setting(doc="See `Design`.")
    spread: float | None = setting(doc="See `Design`.")
    tolerance: float = setting(doc="See `Design`.")
    watch: bool = setting(doc="See `Design`.")


def _values(settings: Settings) -> dict[str, Any]:
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


def _pair(pair: Any, pairs: Any) -> tuple[str, str]:
    if isinstance(pair, list | tuple) and len(cast("Sequence[Any]", pair)) == 2:
        first, second = cast("Sequence[Any]", pair)
        if isinstance(first, str) and isinstance(second, str):
            return first, second
    names: list[Any] = list(pairs)
    flat = len(names) == 2 and all(isinstance(name, str) for name in names)
    raise BadValue(
        "compare is a list of pairs [candidate, baseline]",
        got=repr(names),
        nearest=f"compare=[[{names[0]},{names[1]}]]" if flat else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget(Settings):
    """What an experiment may cost.

    It is held against what is spent at each look: a look that finds it spent is the last one, and what is
    open then ends *inconclusive*. So an experiment may cost more by what one look's seeds take.
    """

    PLACE: ClassVar[str] = "budget"

    seconds: float | None = setting(
        None,
        doc="Seconds of training, summed over workers, after which a look is the last; null for no limit.",
        above=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Design(Settings):
    """A registered experiment.

    Errors are found when the object is made, except what needs the data or the learners' own
    configurations: those the lab checks before anything runs. The same design from YAML and from Python has
    one hash, and every setting is part of it: those that change no result (power, spread, tolerance, budget,
    accept) change what may be concluded, so they are promised like the others.

    From Python, a group of settings may be an object or a mapping, and lists may stand for tuples.
    """

    name: str = setting(doc="Name of the experiment: letters, digits, - and _.")
    question: Question = setting(doc="Hypothesis, metric, margin and smallest effect.")
    data: Source | None = setting(None, doc="Where rows come from; a design has this or environment.")
    split: SplitPlan | None = setting(
        None, doc="With data: how each seed parts them into training and test rows; null for random ones."
    )
    environment: Environment | None = setting(
        None, doc="What reinforcement learners act in; a design has this or data."
    )
    evaluation: Evaluation | None = setting(
        None, doc="With an environment: how policies are measured; null for 20 episodes of each seed."
    )
    variants: Mapping[str, Mapping[str, Any]] = setting(doc="Name -> a learner and its settings.")
    compare: tuple[tuple[str, str], ...] = setting(
        (), doc="Pairs (candidate, baseline); with two variants, the first against the second if left out."
    )
    correction: Literal["bonferroni", "holm"] = setting(
        "holm", doc="How several comparisons share the error.", choices=CORRECTIONS
    )
    scope: Literal["this_test_set", "other_splits", "new_data", "new_runs"] = setting(
        None,
        doc="What the verdict shall speak of; null for other_splits with data, new_runs in an environment.",
        choices=_SCOPES,
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
        doc="Expected standard deviation of the paired differences; null: a pilot estimates it for the plan.",
        above=0,
    )
    accept: tuple[str, ...] = setting(
        (), doc="Kinds of severe findings that do not make the verdict invalid."
    )
    watch: bool = setting(True, doc="Whether the doctor watches trials from their first step.")
    budget: Budget = setting(Budget(), doc="What the experiment may cost.")
    tolerance: float = setting(
        1e-6, doc="Largest relative difference at which a rerun counts as numerically equal.", low=0, below=1
    )

    def __post_init__(self) -> None:
        self._settle()
        Settings.__post_init__(self)
        if not _NAME.fullmatch(self.name):
            raise BadValue(
                "A design's name is letters, digits, - and _, at most 64",
                got=self.name,
                nearest=re.sub(r"[^A-Za-z0-9_-]+", "-", self.name).strip("-_")[:64] or "my-experiment",
            )
        self._check_variants()
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
        self._check_scope()
        if self.environment is not None and not self.question.reported:
            metric = find_metric(self.question.metric)
            if metric.task != "control":
                raise BadValue(
                    f"{metric.name} is computed from held-out rows, and an environment has none",
                    got=f"question.metric={metric.name} with environment.name={self.environment.name}",
                    nearest="question.metric=return",
                    next_step="take return, or what the learner reports, with question.reported=true",
                )
        if self.budget.seconds is not None and (self.rule.kind == "fixed" or len(self.rule.looks) == 1):
            raise BadValue(
                "A budget is held against what is spent at each look; a spent one ends the experiment",
                got=f"budget.seconds={self.budget.seconds:g} with one look, at all {self.seeds} seeds",
                next_step="plan looks: rule.kind=group_sequential and rule.looks; or leave out the budget",
            )
        if self.question.smallest_effect > self._range():
            raise BadValue(
                "The smallest effect lies within the metric's range", got=self.question.smallest_effect
            )
        if abs(self.question.margin) >= self._range():
            raise BadValue("The margin lies within the metric's range", got=self.question.margin)

    def _settle(self) -> None:
        """Bring what Python passed into the form that YAML's values have."""
        for name, kind in {**_GROUPS, "rule": Rule, "budget": Budget}.items():
            value = getattr(self, name)
            if value is None and name in _OF_EITHER:
                continue
            if not isinstance(value, kind | Mapping):
                raise BadValue(f"{name} is a {kind.__name__} or a mapping", got=repr(value))
            # An object is taken apart too: configure makes 1.0 of a 1 where a number is meant, as in YAML.
            values = value if isinstance(value, Mapping) else _values(value)
            object.__setattr__(self, name, configure(kind, cast("Mapping[str, Any]", values), where=name))
        self._settle_either()
        own = {field.name: getattr(self, field.name) for field in fields(_Plain)}
        for name, value in _values(configure(_Plain, own)).items():
            object.__setattr__(self, name, value)
        for name in ("compare", "accept"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise BadValue(f"{name} is a list", got=repr(value), nearest=f"{name}=[{value}]")
        object.__setattr__(self, "accept", tuple(self.accept))
        object.__setattr__(self, "compare", tuple(_pair(pair, self.compare) for pair in self.compare))
        if not isinstance(cast("object", self.variants), Mapping):
            raise BadValue("variants maps names to learners", got=repr(self.variants))
        # A copy, so that the caller's own dictionary may change without the design.
        object.__setattr__(self, "variants", copy.deepcopy(dict(self.variants)))

    def _settle_either(self) -> None:
        """Refuse data beside an environment, and fill in what belongs to the one that is there."""
        if (self.data is None) == (self.environment is None):
            raise BadValue(
                "A design has either data to learn from or an environment to learn in",
                got="neither" if self.data is None else "both data and environment",
                next_step="set data={kind: csv, path: ..., target: ...} or environment={name: CartPole-v1}"
                if self.data is None
                else "leave out one of the two",
            )
        if self.data is not None:
            if self.evaluation is not None:
                raise BadValue(
                    "Evaluation is of policies in an environment; models of data are measured on test rows",
                    got=f"evaluation.episodes={self.evaluation.episodes} with data",
                    nearest="split",
                    next_step="leave out evaluation",
                )
            object.__setattr__(self, "split", self.split or SplitPlan())
            object.__setattr__(self, "scope", cast("str | None", self.scope) or "other_splits")
            return
        if self.split is not None:
            raise BadValue(
                "A split parts rows of data, and an environment has none",
                got=f"split.kind={self.split.kind} with an environment",
                nearest="evaluation",
                next_step="leave out split",
            )
        object.__setattr__(self, "evaluation", self.evaluation or Evaluation())
        object.__setattr__(self, "scope", cast("str | None", self.scope) or "new_runs")

    def _check_scope(self) -> None:
        if self.split is None:
            if self.scope != "new_runs":
                raise BadValue(
                    "A verdict in an environment speaks of new runs of the learners: there are no test rows",
                    got=f"scope={self.scope} with an environment",
                    nearest="scope=new_runs",
                )
            return
        if self.scope == "new_runs":
            raise BadValue(
                "A verdict on learners from data speaks of test rows",
                got="scope=new_runs with data",
                nearest="scope=this_test_set" if self.split.shared else "scope=other_splits",
            )
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

    def _check_variants(self) -> None:
        for name, variant in self.variants.items():
            if not isinstance(cast("object", name), str) or not _NAME.fullmatch(name):
                raise BadValue("A variant's name is letters, digits, - and _, at most 64", got=name)
            if not isinstance(cast("object", variant), Mapping):
                raise BadValue(f"variants.{name} is a learner and its settings", got=repr(variant))
            if not variant.get("learner"):
                others = [other for other in self.variants if self.variants[other].get("learner")]
                near = nearest_name(name, others)
                raise BadValue(
                    "A variant names its learner",
                    got=f"variants.{name} with {', '.join(map(str, variant)) or 'nothing'}",
                    nearest=near and f"variants.{near}",
                    next_step=f"set variants.{name}.learner, or correct the variant's name",
                )
            try:
                jsonable(variant)
            except BadValue as error:
                error.add_note(f"In variants.{name}.")
                raise
        if len(self.variants) < 2:
            raise BadValue("A design compares at least two variants", got=list(self.variants))

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
        """Return the design that plain values describe.

        A group or a list that is null is one that was left out.

        Raises:
            UnknownName: for a name that is no setting, with the nearest.
            BadValue: for a missing value, or one outside its rule.
        """
        optional = (*_OF_EITHER, "scope", "compare", "rule", "accept", "budget")
        given = {name: value for name, value in values.items() if value is not None or name not in optional}
        pairs = given.get("compare")
        if isinstance(pairs, list | tuple):
            given["compare"] = tuple(_pair(pair, pairs) for pair in cast("Sequence[Any]", pairs))
        return configure(Design, given)

    def record(self) -> dict[str, Any]:
        """Return the design as JSON types, without the groups that it has not.

        Settings of text stand in designs on text only, and `watch` where it is off: others keep the hash that
        they always had.
        """
        found: dict[str, Any] = {
            name: value
            for name, value in jsonable(self).items()
            if value is not None or name not in _OF_EITHER
        }
        if self.data is not None and self.data.kind != "text":
            found["data"] = {name: value for name, value in found["data"].items() if name not in _OF_TEXT}
        if self.watch:
            del found["watch"]
        return found

    @property
    def hash(self) -> str:
        """The sha256 of the design's canonical JSON; its identity in the ledger."""
        return fingerprint(self.record())

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
            exact=self.scope == "this_test_set" or EQUAL_DIFFERENCES in self.accept,
        )
