"""Principal components by singular value decomposition.

    X = rows less their mean (and by their deviation, with `standardize`), n x d
    X = U S V'                                      singular values S_1 >= S_2 >= ...             (1)
    component k: the k-th column of V; the one of its two signs whose largest entry is positive
    variance of component k: l_k = S_k^2 / (n - 1),  its share r_k = l_k / sum_j l_j                (2)
    scores: Z = X V_m;  reconstruction X_m = Z V_m' of the first m components                      (3)
    error of m components: 1/n |X - X_m|^2 = 1/n sum_(k > m) S_k^2                                (4)

The components come one at a time, the largest first: step m speaks of the first m together, so that the
course of a run is the scree plot.

The target plays no part, and there is nothing to predict: a question about principal components takes one of
the metrics below, with `question.reported: true`. The model offers the components, for the record only.

Source: Bishop, Pattern Recognition and Machine Learning, sections 12.1.1 and 12.1.2; Hastie, Tibshirani and
Friedman, The Elements of Statistical Learning, section 14.5.1.
A healthy run: `explained_share` rises ever more slowly to 1; `gap` above 1.01, else the directions of
neighbours are arbitrary within their plane. Wine: shares of 0.36, 0.55 and 0.81 after 1, 2 and 5 components.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from modelwright.algorithms.parts.demand import demand
from modelwright.algorithms.parts.scale import Scale
from modelwright.algorithms.parts.separate import SeparateModel
from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.base.step import Step
from modelwright.data.experience import Experience

__all__ = ["Components", "Config", "decompose", "train"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Settings):
    """Principal components."""

    components: int = setting(2, doc="How many components, the largest first.", low=1)
    standardize: bool = setting(True, doc="Whether features are standardised, not only centred.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Components:
    """Equation (1) of one seed.

    Attributes:
        directions: (component, feature) orthonormal, all that there are.
        singular: (component,) S, falling.
        rows: n.
    """

    directions: Array
    singular: Array
    rows: int

    def share(self, count: int) -> float:
        """Return the sum of the first r_k of equation (2); NaN where no feature varies."""
        power = np.square(self.singular)
        return float(power[:count].sum() / power.sum()) if power.sum() > 0 else float("nan")

    def error(self, count: int) -> float:
        """Return equation (4)."""
        return float(np.square(self.singular[count:]).sum() / self.rows)

    def gap(self, count: int) -> float:
        """Return how many times larger the variance of component `count` is than the next one's."""
        rest = self.singular[count] if count < len(self.singular) else 0.0
        return float(np.square(self.singular[count - 1] / rest)) if rest > 0 else float("inf")


def decompose(x: Array) -> Components:
    """Return the components of centred rows `x` (row, feature)."""
    # More threads would split sums in other places; the same bits are worth more than speed here.
    with threadpool_limits(1, user_api="blas"):
        _, singular, directions = np.linalg.svd(x, full_matrices=False)
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    return Components(directions=directions * signs[:, None], singular=singular, rows=len(x))


def train(experience: Experience, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Decompose every seed's rows; one step a component. Images are flattened, the target is ignored.

    Raises:
        BadValue: where a training value is missing, or rows or features are fewer than components.
    """
    demand("principal_components", experience, seeds, tasks=("classification", "regression"))
    table = experience.features.reshape(len(experience.features), -1)
    most = min(table.shape[1], *(len(rows) for rows in experience.rows))
    if config.components > most:
        raise BadValue(
            "There are as many components as features or rows, whichever are fewer",
            got=f"{config.components} of {table.shape[1]} features",
            nearest=f"principal_components.components={most}",
        )
    scale = Scale.fit(table, experience.rows, active=config.standardize)
    found = [
        decompose((table[own] - table[own].mean(axis=0, dtype=np.float64)) / scale.deviation[place])
        for place, own in enumerate(experience.rows)
    ]
    for count in range(1, config.components + 1):
        numbers = [
            {
                "explained_share": one.share(count),
                "component_share": one.share(count) - (one.share(count - 1) if count > 1 else 0.0),
                "component_variance": float(one.singular[count - 1] ** 2 / max(one.rows - 1, 1)),
                "reconstruction_error": one.error(count),
                "gap": one.gap(count),
            }
            for one in found
        ]
        model = SeparateModel([_Kept(one, count) for one in found])
        metrics = {name: np.array([each[name] for each in numbers]) for name in numbers[0]}
        yield Step(update=count, metrics=metrics, model=model)


class _Kept:
    """The first components of one seed."""

    def __init__(self, components: Components, count: int) -> None:
        self._components = components
        self._count = count

    def predict(self, rows: NDArray[Any]) -> Array:
        """Refuse: components are no answers."""
        raise BadValue(
            "principal_components describes rows and predicts no target",
            got="a question that is answered on held-out rows",
            next_step="set question.reported=true and question.metric to explained_share",
        )

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return directions (component, feature) and singular values (component,)."""
        own = slice(self._count)
        return {
            "directions": self._components.directions[own],
            "singular": self._components.singular[own],
        }
