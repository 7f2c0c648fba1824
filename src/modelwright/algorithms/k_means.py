"""k-means clustering: a start by k-means++, then Lloyd's steps.

    start: the first centre is a row drawn evenly; each further centre is a row drawn with
           probability proportional to min_j |x - c_j|^2                                           (1)
    assign: a_i = argmin_j |x_i - c_j|^2,  the first of equally near centres                        (2)
    move:   c_j = mean of the rows with a_i = j                                                     (3)
    inertia J = sum_i |x_i - c_(a_i)|^2                                                             (4)

Neither (2) nor (3) can raise J, so the steps end; the last step is the first that moves no row to another
cluster. A cluster that has lost all rows takes the row furthest from its centre out of a cluster that has
more than one.

The target plays no part, and there is nothing to predict: a question about k-means takes one of the metrics
below, with `question.reported: true`. The model offers the centres, for the record only.

Source: Arthur and Vassilvitskii 2007, section 2.2, for (1); Lloyd 1982; Bishop, Pattern Recognition and
Machine Learning, section 9.1, equations 9.1 to 9.4. Differs: scikit-learn draws several candidates for each
centre of (1) and keeps the best, and starts ten times in some settings; here a seed is one start.
A healthy run: `inertia` never rises; `moved` falls to 0 within tens of steps; `smallest_cluster` stays
above 0. Wine, 3 clusters: 3 to 12 steps, `explained_share` 0.44; digits, 10 clusters: 10 to 37 steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.algorithms.parts.cohort import join_steps
from modelwright.algorithms.parts.demand import demand
from modelwright.algorithms.parts.scale import Scale
from modelwright.algorithms.parts.separate import SeparateModel
from modelwright.base.errors import BadValue
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.base.step import Step
from modelwright.data.experience import Experience

__all__ = ["Config", "assign", "move_centres", "squared_distances", "start_centres", "train"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Settings):
    """k-means."""

    clusters: int = setting(8, doc="Number of clusters.", low=1)
    iterations: int = setting(300, doc="Most steps; it ends sooner when no row changes its cluster.", low=1)
    standardize: bool = setting(True, doc="Whether features are standardised.")


def squared_distances(rows: Array, centres: Array) -> Array:
    """Return |x_i - c_j|^2, (row, cluster), from rows (row, feature) and centres (cluster, feature)."""
    from scipy.spatial.distance import cdist

    # Summed term by term: shorter than x'x - 2 x'c + c'c, which loses digits where rows lie close together.
    return cdist(rows, centres, "sqeuclidean").astype(np.float64, copy=False)


def start_centres(rows: Array, clusters: int, generator: np.random.Generator) -> Array:
    """Return centres (cluster, feature) by equation (1); where all rows are centres, evenly drawn ones."""
    places = [int(generator.integers(len(rows)))]
    near = squared_distances(rows, rows[places])[:, 0]
    while len(places) < clusters:
        total = near.sum()
        share = near / total if total > 0 else np.full(len(rows), 1.0 / len(rows))
        places.append(int(generator.choice(len(rows), p=share)))
        near = np.minimum(near, squared_distances(rows, rows[places[-1:]])[:, 0])
    return rows[places]


def assign(rows: Array, centres: Array) -> tuple[NDArray[np.int64], Array]:
    """Return equation (2): the cluster of each row and its squared distance to that centre, (row,) both."""
    distance = squared_distances(rows, centres)
    cluster = distance.argmin(axis=1)
    return cluster, distance[np.arange(len(rows)), cluster]


def move_centres(rows: Array, cluster: NDArray[np.int64], distance: Array, clusters: int) -> Array:
    """Return equation (3), (cluster, feature), after empty clusters were given a row each.

    Args:
        rows: (row, feature), at least as many as clusters.
        cluster: (row,) from `assign`.
        distance: (row,) squared distance to the centre of the row's cluster.
        clusters: How many.
    """
    cluster, count = cluster.copy(), np.bincount(cluster, minlength=clusters)
    furthest = iter(np.argsort(-distance, kind="stable"))
    for empty in np.flatnonzero(count == 0):
        place = next(place for place in furthest if count[cluster[place]] > 1)
        count[cluster[place]] -= 1
        cluster[place], count[empty] = empty, 1
    sums = np.zeros((clusters, rows.shape[1]))
    np.add.at(sums, cluster, rows)
    return sums / count[:, None]


def train(experience: Experience, seeds: Sequence[Seed], config: Config) -> Iterator[Step]:
    """Cluster every seed's rows; one step for each of Lloyd's. Images are flattened, the target is ignored.

    A seed whose clusters stand still has ended; its numbers are NaN and absent while others go on.

    Raises:
        BadValue: where a training value is missing, or there are fewer rows than clusters.
    """
    demand("k_means", experience, seeds, tasks=("classification", "regression"))
    least = min(len(rows) for rows in experience.rows)
    if least < config.clusters:
        raise BadValue(
            "k_means has at least one row for each cluster",
            got=f"{config.clusters} clusters of {least} training rows",
            nearest=f"k_means.clusters={least}",
        )
    table = experience.features.reshape(len(experience.features), -1)
    scale = Scale.fit(table, experience.rows, active=config.standardize)
    streams = [
        _cluster(table[own], seeds[place], config, scale.mean[place], scale.deviation[place])
        for place, own in enumerate(experience.rows)
    ]
    yield from join_steps(streams, [[place] for place in range(len(seeds))])


def _cluster(
    table: NDArray[np.float32], seed: Seed, config: Config, mean: Array, deviation: Array
) -> Iterator[Step]:
    """Yield the steps of one seed."""
    rows = (table - mean) / deviation
    centres = start_centres(rows, config.clusters, seed.generator("start"))
    cluster, distance = assign(rows, centres)
    spread = float(np.square(rows - rows.mean(axis=0)).sum())
    for number in range(1, config.iterations + 1):
        before, centres = centres, move_centres(rows, cluster, distance, config.clusters)
        former, (cluster, distance) = cluster, assign(rows, centres)
        moved = float((cluster != former).mean())
        inertia = float(distance.sum())
        numbers = {
            "inertia": inertia,
            "explained_share": 1.0 - inertia / spread if spread > 0 else float("nan"),
            "moved": moved,
            "shift": float(np.sqrt(np.square(centres - before).sum(axis=1).max())),
            "smallest_cluster": float(np.bincount(cluster, minlength=config.clusters).min()),
        }
        ended = moved == 0 or number == config.iterations
        model = SeparateModel([_Centres(centres * deviation + mean)])
        yield Step(
            update=number,
            metrics={name: np.array([value]) for name, value in numbers.items()},
            model=model,
        )
        if ended:
            return


class _Centres:
    """The centres of one seed, in the units of the data."""

    def __init__(self, centres: Array) -> None:
        self._centres = centres

    def predict(self, rows: NDArray[Any]) -> Array:
        """Refuse: clusters are not classes."""
        raise BadValue(
            "k_means groups rows and predicts no target",
            got="a question that is answered on held-out rows",
            next_step="set question.reported=true and question.metric to inertia or explained_share",
        )

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return centres (cluster, feature)."""
        return {"centres": self._centres}
