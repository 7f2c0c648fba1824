"""One round of Lloyd's algorithm.

    label_i = argmin_j |x_i - c_j|^2
    c_j     = mean of the rows with label j
    inertia = sum_i |x_i - c_label|^2

A cluster that lost all rows keeps its centre, or takes the row that is furthest from its own.

Source: Lloyd 1982.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelwright.algorithms.k_means import assign, move_centres
from modelwright.algorithms.scrutiny.subject import (
    Argument,
    Case,
    Choice,
    Inputs,
    Options,
    Outputs,
    Subject,
    mistake,
    words,
)

__all__ = ["SUBJECTS"]

_POINTS, _CENTRES = ("row", "feature"), ("cluster", "feature")


def _distances(x: Inputs) -> Any:
    return np.square(x["points"][:, None] - x["centres"][None]).sum(axis=2)


def _moved(x: Inputs, labels: Any, how: Callable[[Any], Any] | None = None) -> Any:
    """Return the mean, or another summary, of each cluster's rows; an empty one keeps its centre."""
    found = x["centres"].copy()
    for cluster in range(len(found)):
        if (rows := x["points"][labels == cluster]).size:
            found[cluster] = rows.mean(axis=0) if how is None else how(rows)
    return found


def _step(x: Inputs, options: Options) -> Outputs:
    labels, distance = assign(x["points"], x["centres"])
    counts = np.bincount(labels, minlength=len(x["centres"]))
    if options["empty"] == "furthest" or counts.all():
        centres = move_centres(x["points"], labels, distance, len(x["centres"]))
    else:
        centres = _moved(x, labels)
        if options["empty"] == "anywhere":
            centres[counts == 0] = np.nan
    shift = np.sqrt(np.square(centres - x["centres"]).sum())
    return {"labels": labels, "centres": centres, "inertia": distance.sum(), "shift": shift}


def _of(
    labels: Callable[[Inputs], Any] | None = None, how: Callable[[Any], Any] | None = None
) -> Callable[[Inputs, Options], Outputs]:
    def outputs(x: Inputs, options: Options) -> Outputs:
        chosen = _distances(x).argmin(axis=1) if labels is None else labels(x)
        return {"labels": chosen, "centres": _moved(x, chosen, how)}

    return outputs


def _filled(value: float) -> Callable[[Inputs, Options], Outputs]:
    def outputs(x: Inputs, options: Options) -> Outputs:
        labels = _distances(x).argmin(axis=1)
        centres = _moved(x, labels)
        centres[np.bincount(labels, minlength=len(centres)) == 0] = value
        return {"centres": centres}

    return outputs


def _sequential(x: Inputs, options: Options) -> Outputs:
    """Return what comes of moving a centre as soon as a row has joined it."""
    labels = _distances(x).argmin(axis=1)
    centres, counts = x["centres"].copy(), np.zeros(len(x["centres"]))
    for row, label in zip(x["points"], labels, strict=True):
        counts[label] += 1
        centres[label] += (row - centres[label]) / counts[label]
    return {"labels": labels, "centres": centres}


def _late(x: Inputs, options: Options) -> Outputs:
    centres = _moved(x, _distances(x).argmin(axis=1))
    return {"labels": _distances({**x, "centres": centres}).argmin(axis=1), "centres": centres}


_NEAREST = "label_i = argmin_j |x_i - c_j|^2"
_MEAN = "c_j = mean of the rows with label j"
_MISTAKES = (
    *mistake(
        "sum-in-place-of-mean",
        "Rows of a cluster are summed, not averaged.",
        _MEAN,
        _of(how=lambda rows: rows.sum(axis=0)),
    ),
    *mistake(
        "wrong-axis",
        "The mean goes over features, or over all rows; or the nearest row of each centre is sought.",
        _MEAN,
        _of(how=lambda rows: rows.mean()),
        lambda x, o: {
            "centres": np.broadcast_to(x["points"].mean(axis=0), x["centres"].shape),
        },
        lambda x, o: {"labels": _distances(x).argmin(axis=0)},
    ),
    *mistake(
        "furthest-in-place-of-nearest",
        "Each row joins the centre furthest from it.",
        _NEAREST,
        _of(lambda x: _distances(x).argmax(axis=1)),
    ),
    *mistake(
        "empty-cluster-lost",
        "A cluster without rows becomes not a number, or zero. Where its centre is drawn anew, say "
        "--convention empty=anywhere.",
        "a cluster without rows keeps its centre, or takes a row",
        _filled(np.nan),
        _filled(0.0),
    ),
    *mistake(
        "distance-not-squared-sum",
        "Distances are taken along one feature, by absolute values or by the largest difference.",
        _NEAREST,
        _of(lambda x: np.abs(x["points"][:, None] - x["centres"][None]).sum(axis=2).argmin(axis=1)),
        _of(lambda x: np.abs(x["points"][:, None] - x["centres"][None]).max(axis=2).argmin(axis=1)),
        _of(lambda x: np.square(x["points"][:, None, 0] - x["centres"][None, :, 0]).argmin(axis=1)),
        _of(lambda x: np.abs((x["points"][:, None] - x["centres"][None]).sum(axis=2)).argmin(axis=1)),
        _of(lambda x: (x["points"][:, None] - x["centres"][None]).sum(axis=2).argmin(axis=1)),
    ),
    *mistake(
        "norm-of-centre-missing",
        "The expansion |x|^2 - 2 x.c + |c|^2 lacks a term or a factor.",
        _NEAREST,
        _of(lambda x: (-2.0 * x["points"] @ x["centres"].T).argmin(axis=1)),
        _of(lambda x: (-(x["points"] @ x["centres"].T) + np.square(x["centres"]).sum(axis=1)).argmin(axis=1)),
        _of(
            lambda x: (2.0 * x["points"] @ x["centres"].T + np.square(x["centres"]).sum(axis=1)).argmin(
                axis=1
            )
        ),
    ),
    *mistake(
        "median-in-place-of-mean",
        "Centres are medians.",
        _MEAN,
        _of(how=lambda rows: np.median(rows, axis=0)),
    ),
    *mistake("moved-one-by-one", "A centre moves with each row that joins it.", _MEAN, _sequential),
    *mistake(
        "labels-after-the-move",
        "Rows are labelled anew after the centres moved.",
        "labels, then centres from them: one round",
        _late,
    ),
    *mistake(
        "centres-not-moved", "The centres stay where they are.", _MEAN, lambda x, o: {"centres": x["centres"]}
    ),
    *mistake(
        "divided-by-all",
        "Sums are divided by the number of all rows, or by one too many or too few.",
        _MEAN,
        lambda x, o: {"centres": _scaled(x, lambda count: float(len(x["points"])))},
        lambda x, o: {"centres": _scaled(x, lambda count: count + 1.0)},
        lambda x, o: {"centres": _scaled(x, lambda count: count - 1.0)},
        lambda x, o: {"centres": _scaled(x, lambda count: float(len(x["centres"])))},
    ),
    *mistake(
        "inertia-not-squared",
        "The inertia sums distances, not their squares, or averages them.",
        "inertia = sum_i |x_i - c_label|^2",
        lambda x, o: {"inertia": np.sqrt(_distances(x).min(axis=1)).sum()},
        lambda x, o: {"inertia": _distances(x).min(axis=1).mean()},
        lambda x, o: {"inertia": _distances(x).sum()},
    ),
)


def _scaled(x: Inputs, by: Callable[[float], float]) -> Any:
    labels = _distances(x).argmin(axis=1)
    found = x["centres"].copy()
    for cluster in range(len(found)):
        if (rows := x["points"][labels == cluster]).size:
            found[cluster] = rows.sum(axis=0) / by(float(len(rows)))
    return found


def _cases(generator: np.random.Generator) -> list[Case]:
    def cloud(rows: int, features: int, clusters: int, **given: Any) -> Inputs:
        middle = 2.0 * generator.standard_normal((clusters, features)) + 1.0
        points = middle[generator.integers(clusters, size=rows)] + generator.standard_normal((rows, features))
        centres = points[generator.permutation(rows)[:clusters]] + 0.1 * generator.standard_normal(
            (clusters, features)
        )
        return {"points": points, "centres": centres, **given}

    empty = cloud(8, 2, 3)
    empty["centres"] = empty["centres"].copy()
    empty["centres"][1] = 50.0
    square = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    cases = [
        ("general", cloud(20, 2, 3)),
        ("general", cloud(30, 4, 5)),
        ("general", cloud(12, 3, 2)),
        ("one cluster", cloud(6, 2, 1)),
        ("one feature", cloud(10, 1, 3)),
        ("ties", {"points": np.concatenate([square[:, ::-1] * 0.5 + 0.5, square]), "centres": square}),
        ("equal points", {"points": np.ones((5, 2)), "centres": np.array([[1.0, 1.0]])}),
        ("empty cluster", empty),
        ("far from the origin", cloud(12, 2, 3, **{k: v + 1000.0 for k, v in cloud(12, 2, 3).items()})),
    ]
    return [Case(name=name, inputs=x, screening=at < 3) for at, (name, x) in enumerate(cases)]


SUBJECTS = (
    Subject(
        name="k_means:step",
        title="one round of Lloyd: nearest centre, then new centres",
        equation=f"{_NEAREST}, {_MEAN}",
        axes={"points": _POINTS, "centres": _CENTRES},
        arguments=(
            Argument(
                role="points",
                names=words("points x data samples rows pts xs features dataset observations"),
                axes=_POINTS,
                doc="rows",
            ),
            Argument(
                role="centres",
                names=words(
                    "centres centers centroids means mu c cluster_centers centroid mus cents old_centroids "
                    "prototypes codebook"
                ),
                axes=_CENTRES,
                doc="centres",
            ),
            Argument(
                role="count",
                names=("k", "n_clusters", "num_clusters", "n_centroids"),
                kind="plain",
                make=lambda x: len(x["centres"]),
                doc="clusters",
            ),
        ),
        outputs={"labels": ("row",), "centres": _CENTRES, "inertia": (), "shift": ()},
        single=("centres", "labels"),
        orders=(
            ("labels", "centres"),
            ("centres", "labels"),
            ("centres", "inertia"),
            ("centres", "shift"),
            ("labels", "centres", "inertia"),
            ("centres", "labels", "inertia"),
            ("centres", "labels", "shift"),
        ),
        names={
            **dict.fromkeys(("assignments", "clusters", "assignment", "cluster"), "labels"),
            **dict.fromkeys(("centers", "centroids", "means", "new_centroids", "new_centers"), "centres"),
            **dict.fromkeys(("loss", "sse", "distortion"), "inertia"),
        },
        choices={
            "empty": Choice(
                values={
                    "kept": "",
                    "furthest": "a cluster without rows takes the row furthest from its centre",
                    "anywhere": "where a cluster without rows goes was not compared, as you said",
                },
                asked=("anywhere",),
            )
        },
        # With fewer rows than clusters nothing can be given to an empty one.
        consistent=lambda x: x if len(x["points"]) >= len(x["centres"]) else None,
        reference=_step,
        mistakes=_MISTAKES,
        cases=_cases,
    ),
)
