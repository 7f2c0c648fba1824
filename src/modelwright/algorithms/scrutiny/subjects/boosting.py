"""One round of gradient boosting.

    r_i = y_i - F_i   for values,   y_i - 1 / (1 + exp(-F_i))   for two classes
    gamma_j = mean of r in leaf j   for values,   sum r / sum |r| (1 - |r|)   for two classes
    F_i <- F_i + learning_rate gamma_leaf(i)

The tree is told (`leaf`), or grown on r by squared error from `features`.

Source: Friedman 2001, algorithms 2 and 5.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelwright.algorithms.gradient_boosting import leaf_values, negative_gradient
from modelwright.algorithms.parts.tree import grow, sort_rows
from modelwright.algorithms.scrutiny.subject import (
    Absent,
    Argument,
    Case,
    Choice,
    Inputs,
    Options,
    Outputs,
    Subject,
    fixed_at,
    mistake,
    words,
)

__all__ = ["SUBJECTS"]

_ROW, _TABLE = ("row",), ("row", "feature")


def _target(x: Inputs, options: Options) -> Any:
    return x["y"] if options["loss"] == "squared" else (x["y"] > 0).astype(np.int64)


def _residual(x: Inputs, options: Options) -> Any:
    classes = 0 if options["loss"] == "squared" else 2
    return negative_gradient(x["scores"][:, None], _target(x, options), classes)[:, 0]


def _leaf(x: Inputs, residual: Any) -> Any:
    if not x["grown"]:
        return x["leaf"]
    table = x["features"].astype(np.float32)
    tree = grow(
        table,
        residual[:, None],
        sort_rows(table),
        criterion="squared_error",
        max_depth=x["depth"],
        min_samples_leaf=1,
    )
    return tree.leaf(table)


def _done(
    x: Inputs, options: Options, residual: Any, *, value: Any = None, sign: float = 1.0, rate: Any = None
) -> Outputs:
    leaf = _leaf(x, residual)
    if value is None:
        classes = 2 if options["loss"] == "logistic" and options["leaf"] == "newton" else 0
        step = leaf_values(residual, leaf, int(leaf.max()) + 1, classes)[leaf]
    else:
        step = value(residual, leaf)
    rate = x["rate"] if rate is None else rate
    return {"residual": residual, "step": step, "scores": x["scores"] + sign * rate * step}


def _round(x: Inputs, options: Options) -> Outputs:
    return _done(x, options, _residual(x, options))


def _by_leaf(how: Callable[[Any], float]) -> Callable[[Any, Any], Any]:
    def value(residual: Any, leaf: Any) -> Any:
        made = np.zeros_like(residual)
        for each in np.unique(leaf):
            made[leaf == each] = how(residual[leaf == each])
        return made

    return value


def _of(change: Callable[[Any, Inputs], Any]) -> Callable[[Inputs, Options], Outputs]:
    return lambda x, o: _done(x, o, change(_residual(x, o), x))


def _sigmoid(u: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-u))


_LINE = "F <- F + learning_rate gamma_leaf, gamma_j = mean of y - F in leaf j"
_MISTAKES = (
    *mistake(
        "wrong-sign",
        "The residual is F - y, or the step is subtracted: the loss grows.",
        "r = y - F, F <- F + learning_rate gamma",
        _of(lambda r, x: -r),
        lambda x, o: _done(x, o, _residual(x, o), sign=-1.0),
    ),
    *mistake(
        "learning-rate-missing",
        "The step is not shrunk.",
        _LINE,
        lambda x, o: _done(x, o, _residual(x, o), rate=1.0),
    ),
    *mistake(
        "learning-rate-squared",
        "The learning rate is applied twice.",
        _LINE,
        lambda x, o: _done(x, o, _residual(x, o), rate=x["rate"] ** 2),
    ),
    *mistake(
        "scores-replaced",
        "The new tree replaces the sum of the trees before.",
        _LINE,
        lambda x, o: {"scores": x["rate"] * _round(x, o)["step"]},
        lambda x, o: {"scores": _round(x, o)["step"]},
    ),
    *mistake(
        "fitted-to-targets",
        "The tree is fitted to the targets, not to the residuals.",
        "r = y - F",
        lambda x, o: _done(x, o, 1.0 * _target(x, o)),
    ),
    *mistake(
        "sum-in-place-of-mean",
        "Residuals of a leaf are summed, not averaged.",
        _LINE,
        lambda x, o: _done(x, o, _residual(x, o), value=_by_leaf(np.sum)),
    ),
    *mistake(
        "mean-of-all",
        "Every row takes the mean of all residuals, or its own: leaves are not told apart.",
        _LINE,
        lambda x, o: _done(x, o, _residual(x, o), value=lambda r, leaf: np.full_like(r, r.mean())),
        lambda x, o: _done(x, o, _residual(x, o), value=lambda r, leaf: r),
    ),
    *mistake(
        "median-in-place-of-mean",
        "Leaves hold medians.",
        _LINE,
        lambda x, o: _done(x, o, _residual(x, o), value=_by_leaf(np.median)),
    ),
    *mistake(
        "residual-factor",
        "The residual has a factor of 2, or is divided by the number of rows.",
        "r = y - F is minus the gradient of (y - F)^2 / 2, for each row",
        _of(lambda r, x: 2.0 * r),
        _of(lambda r, x: r / len(r)),
        _of(lambda r, x: 2.0 * r / len(r)),
    ),
    *mistake(
        "sign-of-residual",
        "Only the sign of the residual is used.",
        "r = y - F",
        _of(lambda r, x: np.sign(r)),
    ),
    *mistake(
        "sigmoid-missing",
        "For classes the residual is y - p, with p = 1 / (1 + exp(-F)), not y - F.",
        "r = y - 1 / (1 + exp(-F))",
        lambda x, o: _done(x, {**o, "loss": "logistic"}, _target(x, {**o, "loss": "logistic"}) - x["scores"]),
    ),
    *mistake(
        "newton-weight-wrong",
        "The leaf's denominator is not sum p (1 - p).",
        "gamma_j = sum r / sum p (1 - p)",
        lambda x, o: _newton(x, o, lambda p: p),
        lambda x, o: _newton(x, o, lambda p: np.square(p * (1.0 - p))),
        lambda x, o: _newton(x, o, lambda p: 1.0 - p),
    ),
)


def _newton(x: Inputs, options: Options, weight: Callable[[Any], Any]) -> Outputs:
    if options["loss"] != "logistic":
        return {}
    residual, p = _residual(x, options), _sigmoid(x["scores"])

    def value(r: Any, leaf: Any) -> Any:
        made = np.zeros_like(r)
        for each in np.unique(leaf):
            inside = leaf == each
            made[inside] = r[inside].sum() / weight(p[inside]).sum()
        return made

    return _done(x, options, residual, value=value)


def _cases(generator: np.random.Generator) -> list[Case]:
    def data(rows: int, features: int, leaves: int, **given: Any) -> Inputs:
        table = generator.standard_normal((rows, features)).astype(np.float32).astype(np.float64)
        return {
            "features": table,
            "y": 2.0 * table[:, 0] + generator.standard_normal(rows) + 0.3,
            "scores": 0.5 * generator.standard_normal(rows),
            "leaf": generator.integers(0, leaves, rows),
            "rate": 0.1,
            "depth": 1,
            "grown": False,
            **given,
        }

    cases = [
        ("general", data(12, 3, 3)),
        ("general", data(20, 2, 4, rate=0.3)),
        ("general", data(9, 1, 2)),
        ("first round", data(10, 2, 2, scores=np.zeros(10))),
        ("one leaf", data(6, 2, 1)),
        ("empty leaf", data(6, 2, 2, leaf=np.array([0, 0, 3, 3, 0, 3]))),
        ("learning rate 1", data(8, 2, 3, rate=1.0)),
        ("two rows", data(2, 1, 2)),
        ("equal targets", data(5, 2, 2, y=np.full(5, 2.0), scores=np.zeros(5))),
        ("large targets", data(8, 2, 3, y=1e4 * generator.standard_normal(8))),
    ]
    return [Case(name=name, inputs=x, screening=at < 3) for at, (name, x) in enumerate(cases)]


def _classes(x: Inputs) -> Any:
    return 1.0 * (x["y"] > 0)


_Y = ("y", "target", "targets", "labels", "y_true", "label", "ys")

SUBJECTS = (
    Subject(
        name="gradient_boosting:step",
        title="residuals, leaf values and scores of one round",
        equation=_LINE,
        axes={"features": _TABLE, "y": _ROW, "scores": _ROW, "leaf": _ROW},
        arguments=(
            Argument(
                role="features",
                names=("features", "x", "data", "rows", "inputs", "xs", "x_train"),
                axes=_TABLE,
                doc="x",
            ),
            Argument(role="y", names=_Y, axes=_ROW, doc="y, values"),
            Argument(
                role="classes", names=_Y, axes=_ROW, make=_classes, says="classes 0 and 1", doc="y, classes"
            ),
            Argument(
                role="scores",
                names=words(
                    "scores f predictions prediction pred preds current raw y_pred yhat logits "
                    "raw_predictions current_predictions current_pred fx y_hat f_m score f_prev margin "
                    "log_odds"
                ),
                axes=_ROW,
                doc="F",
            ),
            Argument(
                role="leaf",
                names=words(
                    "leaf leaves leaf_ids leaf_id leaf_index leaf_indices regions node_ids terminal_regions"
                ),
                axes=_ROW,
                kind="index",
                doc="leaf of each row",
            ),
            Argument(
                role="rate",
                names=("rate", "learning_rate", "lr", "nu", "eta", "shrinkage", "step_size"),
                doc="learning rate",
            ),
            Argument(
                role="depth",
                names=("depth", "max_depth", "tree_depth"),
                kind="plain",
                doc="most questions of the tree",
            ),
        ),
        outputs={"residual": _ROW, "step": _ROW, "scores": _ROW},
        single=("scores", "residual", "step"),
        orders=(
            ("residual", "scores"),
            ("scores", "residual"),
            ("residual", "step"),
            ("residual", "step", "scores"),
            ("scores", "residual", "step"),
        ),
        names={
            **dict.fromkeys(("residuals", "negative_gradient", "gradient", "pseudo_residuals"), "residual"),
            **dict.fromkeys(("update", "leaf_values", "tree_pred", "h"), "step"),
            **dict.fromkeys(("predictions", "new_predictions", "f", "new_f"), "scores"),
        },
        choices={
            "loss": Choice(
                values={"squared": "", "logistic": "for two classes, the loss is logistic"},
                needs=("classes",),
            ),
            "leaf": Choice(
                values={"newton": "", "mean": "leaves hold the mean residual, not a step of Newton"},
                needs=("classes",),
            ),
        },
        absences=(
            Absent(
                roles=("leaf",),
                ways={"the tree is grown on the residuals": lambda x: {**x, "grown": True}},
                needs=("features",),
            ),
            Absent(
                roles=("depth",),
                ways={
                    f"the tree asks at most {n} question{'s' * (n > 1)}": (lambda x, n=n: {**x, "depth": n})
                    for n in (1, 2, 3)
                },
                needs=("features",),
            ),
            fixed_at("rate", 0.1, 1.0, 0.05, 0.3, 0.5),
        ),
        reference=_round,
        mistakes=_MISTAKES,
        cases=_cases,
    ),
)
