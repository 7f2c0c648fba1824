"""What is asked: a hypothesis, the metric that decides it, and the effects that matter."""

import math
from dataclasses import dataclass
from typing import Literal, cast

from modelwright.base.errors import BadValue
from modelwright.base.metric import Direction, find_metric
from modelwright.base.setting import Settings, setting

__all__ = ["Question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Settings):
    """A question that data can answer.

    Effects are differences candidate minus baseline, in the metric's unit, turned so that more is
    better: with a metric that is minimized a positive effect means that the candidate is lower.
    """

    hypothesis: str = setting(doc="What you believe, in one sentence that could turn out wrong.")
    metric: str = setting(
        doc="Name of the metric that decides; one of Modelwright's, or one the learner reports."
    )
    direction: Direction | Literal[""] = setting(
        "",
        doc="Whether more or less is better; left out, the metric's own.",
        choices=("", "maximize", "minimize"),
    )
    margin: float = setting(
        0.0, doc="The claim: the candidate is better by more than this, in the metric's unit."
    )
    smallest_effect: float = setting(
        doc="The smallest difference that would matter to anybody, in the metric's unit.", above=0
    )
    reported: bool = setting(
        False, doc="Whether the learner reports the metric itself instead of offering a model or a policy."
    )
    low: float | None = setting(None, doc="Smallest possible value of a reported metric, or of return.")
    high: float | None = setting(None, doc="Largest possible value of a reported metric, or of return.")

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        self._check_types()
        if not any(character.isalpha() for character in self.hypothesis):
            raise BadValue(
                "A question starts from a written hypothesis",
                got=self.hypothesis,
                next_step="fill question.hypothesis",
            )
        if self.reported:
            if not self.metric.strip():
                raise BadValue(
                    "A question names its metric", got=self.metric, next_step="fill question.metric"
                )
            if not self.direction:
                raise BadValue(
                    "A metric that the learner reports needs its direction",
                    got=f"question.metric={self.metric} without question.direction",
                    next_step="set question.direction to maximize or minimize",
                )
            self._check_bounds()
            return
        metric = find_metric(self.metric)
        if self.direction and self.direction != metric.direction:
            raise BadValue(
                f"{metric.name} has a direction of its own", got=self.direction, nearest=metric.direction
            )
        if metric.task == "control":
            self._check_bounds()
        elif self.low is not None or self.high is not None:
            raise BadValue(
                f"{metric.name} has bounds of its own", next_step="leave out question.low and question.high"
            )

    def _check_bounds(self) -> None:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise BadValue("question.low is below question.high", got=f"low={self.low:g}, high={self.high:g}")

    def _check_types(self) -> None:
        """Refuse what only Python can pass; YAML's values are checked on their way here."""
        for name in ("hypothesis", "metric", "direction"):
            if not isinstance(getattr(self, name), str):
                raise BadValue(f"question.{name} must be a text", got=repr(getattr(self, name)))
        for name in ("margin", "smallest_effect", "low", "high"):
            value = getattr(self, name)
            if value is None and name in ("low", "high"):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise BadValue(f"question.{name} must be a finite number", got=repr(value))
        if not isinstance(cast("object", self.reported), bool):
            raise BadValue("question.reported must be true or false", got=repr(self.reported))

    @property
    def sign(self) -> int:
        """+1 where more of the metric is better, -1 where less is."""
        return 1 if (self.direction or find_metric(self.metric).direction) == "maximize" else -1

    @property
    def is_of_episodes(self) -> bool:
        """Whether the metric is computed from episodes in an environment."""
        return not self.reported and find_metric(self.metric).task == "control"

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Smallest and largest possible value of the metric, None where there is none."""
        if self.reported or self.is_of_episodes:  # the environment sets the bounds of its returns
            return self.low, self.high
        metric = find_metric(self.metric)
        return metric.low, metric.high

    @property
    def worst(self) -> float | None:
        """Worst possible value of the metric, None where there is none; a diverged trial may count as it."""
        low, high = self.bounds
        return low if self.sign > 0 else high
