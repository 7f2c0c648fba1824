"""Several comparisons in one design: how they share the error budget.

`bonferroni` gives each of m comparisons alpha / m, always.

`holm` steps down. A comparison that is decided *supported* hands its share on: with r supported, the claim
"supported" is tested at alpha / (m - r) for the others, at this look and all later ones, with boundaries as
if that level had been planned from the start. Lower limits use that level; upper limits, on which *refuted*
rests, stay at alpha / m.

Why that is valid. Consider the first false "supported", and let m0 comparisons truly not exceed the
margin. All r supported before were true, so r <= m - m0 and the level used is at most alpha / m0; and
boundaries are nested (a look that crosses at a smaller level has crossed by then at a larger one, which
holds because every look's share of the budget grows with the budget). So the event lies in the union, over
those m0, of crossing at one-sided level alpha / (2 m0), of probability at most alpha / 2. Upper limits
miss with probability at most alpha / 2 over all comparisons by Bonferroni. A false "equivalent" needs one
of those two misses. Together: any false claim at all, at most alpha.

Sources: Holm (1979); Ye, Li, Liu and Yao (2013), *A group sequential Holm procedure with multiple primary
endpoints*, Statistics in Medicine 32.
"""

from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from modelwright.base.errors import BadValue, UnknownName
from modelwright.experiment.interval import Interval
from modelwright.experiment.rule import Rule, StoppingRule, build_rule

__all__ = ["CORRECTIONS", "Correction", "SharedRule", "build_shared_rule"]

Correction = Literal["bonferroni", "holm"]
CORRECTIONS: tuple[Correction, ...] = ("bonferroni", "holm")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedRule:
    """A stopping rule for each number of comparisons that are already supported.

    Attributes:
        steps: `steps[r]` serves when r comparisons are supported; the last serves for more. One step
            where the correction does not step down or there is one comparison.
        correction: How the error budget is shared.
        comparisons: How many comparisons share it.
    """

    steps: tuple[StoppingRule, ...]
    correction: Correction
    comparisons: int

    @property
    def looks(self) -> tuple[int, ...]:
        """Number of seeds at each look."""
        return self.steps[0].looks

    @property
    def name(self) -> str:
        """A few words."""
        if self.comparisons == 1:
            return self.steps[0].name
        return f"{self.steps[0].name}, {self.correction.capitalize()} over {self.comparisons} comparisons"

    @property
    def description(self) -> str:
        """What the rule does."""
        if self.comparisons == 1:
            return self.steps[0].description
        shared = f"{self.comparisons} comparisons share the error by {self.correction.capitalize()}."
        return f"{self.steps[0].description} {shared}"

    @property
    def assumption(self) -> str:
        """What must be true for the error rate to hold."""
        return self.steps[0].assumption

    def tells(self, differences: ArrayLike) -> bool:
        """Return whether a comparison's differences show how far chance could move them."""
        return self.steps[0].tells(differences)

    def interval(self, differences: ArrayLike, look: int, *, supported: int = 0) -> Interval:
        """Return a comparison's interval at a look.

        Args:
            differences: (seed,) exactly `looks[look]` finite numbers.
            look: Index of the look, from 0.
            supported: How many of the other comparisons are decided supported.
        """
        wide = self.steps[0].interval(differences, look)
        step = self.steps[min(supported, len(self.steps) - 1)]
        if step is self.steps[0]:
            return wide
        narrow = step.interval(differences, look)
        # Nested boundaries make narrow.low >= wide.low; the maximum only guards against rounding.
        low = min(max(wide.low, narrow.low), wide.high)
        return Interval(
            low=low, high=wide.high, level=(wide.level + narrow.level) / 2, estimate=wide.estimate
        )


def build_shared_rule(
    rule: Rule,
    *,
    comparisons: int,
    correction: Correction,
    seeds: int,
    alpha: float,
    scope_inflation: float = 0.0,
    bounds: tuple[float | None, float | None] = (None, None),
    exact: bool = False,
) -> SharedRule:
    """Return the rule for a design of one or several comparisons; arguments and errors as `build_rule`.

    Args:
        rule: The configuration.
        comparisons: How many comparisons the design makes, at least 1.
        correction: How they share the error; without effect for one comparison.
        seeds: Largest number of seeds.
        alpha: Probability that any claim of the design is false.
        scope_inflation: n_test / n_train for conclusions about new data, else 0.
        bounds: Smallest and largest possible difference, where there are any.
        exact: Whether a t rule takes differences that are all equal for the truth.
    """
    if correction not in CORRECTIONS:
        raise UnknownName("correction", str(correction), CORRECTIONS)
    if type(comparisons) is not int or comparisons < 1:
        raise BadValue("A design makes at least one comparison", got=comparisons)
    shares = range(comparisons, 0, -1) if correction == "holm" else (comparisons,)
    steps = tuple(
        build_rule(
            rule,
            seeds=seeds,
            alpha=alpha / share,
            scope_inflation=scope_inflation,
            bounds=bounds,
            exact=exact,
        )
        for share in shares
    )
    return SharedRule(steps=steps, correction=correction, comparisons=comparisons)
