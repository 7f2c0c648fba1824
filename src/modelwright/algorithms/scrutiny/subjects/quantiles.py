"""The quantile Huber loss (QR-DQN).

    u_ij = y_j - theta_i,   tau_i = (i + 1/2) / N
    H(u) = u^2 / (2 kappa) within kappa, |u| - kappa / 2 beyond
    L = mean_batch sum_i mean_j |tau_i - 1(u_ij < 0)| H(u_ij)

Source: Dabney, Rowland, Bellemare and Munos 2018, equations 9 and 10.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelwright.algorithms.qr_dqn import quantile_loss
from modelwright.algorithms.scrutiny.subject import (
    Argument,
    Case,
    Choice,
    Gradients,
    Inputs,
    Options,
    Outputs,
    Subject,
    fixed_at,
    mistake,
    words,
)
from modelwright.algorithms.scrutiny.subjects.rows import tensors

__all__ = ["SUBJECTS"]

_THETA, _TARGET = ("row", "quantile"), ("row", "sample")


def _factor(options: Options, theta: Any, kappa: float) -> float:
    """Return what a convention's loss is in terms of the learner's."""
    scale = kappa if options["scale"] == "kappa" else 1.0
    return scale / (theta.shape[-1] if options["quantiles"] == "mean" else 1.0)


def _torch(t: dict[str, Any], options: Options) -> Any:
    found = quantile_loss(t["theta"][None], t["target"][None], t["kappa"])[0]
    return found * _factor(options, t["theta"], t["kappa"])


def _reference(x: Inputs, options: Options) -> Outputs:
    found = _torch(tensors(x), options)
    return {"loss": (found if options["reduction"] == "none" else found.mean()).numpy()}


def _wrong(
    *,
    u: Callable[[Inputs], Any] | None = None,
    tau: Callable[[int], Any] | None = None,
    weight: Callable[[Any, Any], Any] | None = None,
    size: Callable[[Any, float], Any] | None = None,
    reduce: Callable[[Any], Any] | None = None,
) -> Callable[[Inputs, Options], Outputs]:
    def outputs(x: Inputs, options: Options) -> Outputs:
        count, kappa = x["theta"].shape[-1], x["kappa"]
        error = x["target"][..., None, :] - x["theta"][..., :, None] if u is None else u(x)
        levels = ((np.arange(count) + 0.5) / count if tau is None else tau(count))[:, None]
        share = np.abs(levels - 1.0 * (error < 0)) if weight is None else weight(levels, error)
        form = _huber if size is None else size
        each = share * form(error, kappa)
        total = each.mean(axis=-1).sum(axis=-1) if reduce is None else reduce(each)
        total = total * _factor(options, x["theta"], kappa)
        return {"loss": total if options["reduction"] == "none" else np.mean(total)}

    return outputs


def _huber(u: Any, kappa: float) -> Any:
    return np.where(np.abs(u) <= kappa, np.square(u) * (0.5 / kappa), np.abs(u) - 0.5 * kappa)


def _paired(x: Inputs, options: Options) -> Outputs:
    if x["theta"].shape != x["target"].shape:
        return {}
    count = x["theta"].shape[-1]
    u = x["target"] - x["theta"]
    tau = (np.arange(count) + 0.5) / count
    total = (np.abs(tau - 1.0 * (u < 0)) * _huber(u, x["kappa"])).sum(axis=-1)
    total = total * _factor(options, x["theta"], x["kappa"])
    return {"loss": total if options["reduction"] == "none" else total.mean()}


_LINE = "L = sum_i mean_j |tau_i - 1(u_ij < 0)| H(u_ij), u_ij = y_j - theta_i"
_MISTAKES = (
    *mistake(
        "indicator-inverted",
        "The indicator is that of u > 0, or u has the other sign: low and high quantiles are swapped.",
        _LINE,
        _wrong(weight=lambda tau, u: np.abs(tau - 1.0 * (u > 0))),
        _wrong(weight=lambda tau, u: np.abs(tau - 1.0 * (u >= 0))),
    ),
    *mistake(
        "levels-not-midpoints",
        "The quantile levels are not midpoints.",
        "tau_i = (i + 1/2) / N, i from 0",
        _wrong(tau=lambda count: np.arange(count) / count),
        _wrong(tau=lambda count: (np.arange(count) + 1.0) / count),
        _wrong(tau=lambda count: np.linspace(0.0, 1.0, count)),
    ),
    *mistake(
        "wrong-axis",
        "The levels lie along the targets, not along the predictions.",
        _LINE,
        _wrong(u=lambda x: np.swapaxes(x["target"][..., None, :] - x["theta"][..., :, None], -1, -2)),
        _wrong(weight=lambda tau, u: np.abs(np.swapaxes(tau, -1, -2) - 1.0 * (u < 0))),
    ),
    *mistake(
        "sum-in-place-of-mean",
        "Targets, or rows, are summed, not averaged.",
        _LINE,
        _wrong(reduce=lambda each: each.sum(axis=(-1, -2))),
        lambda x, o: {"loss": np.sum(_wrong()(x, {**o, "reduction": "none"})["loss"])},
    ),
    *mistake(
        "level-not-weighted",
        "The error is not weighed with |tau - 1(u < 0)|, or without the absolute value.",
        _LINE,
        _wrong(weight=lambda tau, u: 1.0),
        _wrong(weight=lambda tau, u: tau),
        _wrong(weight=lambda tau, u: tau - 1.0 * (u < 0)),
    ),
    *mistake(
        "not-huber",
        "The error counts squared, or linearly, everywhere.",
        "H(u) = u^2 / (2 kappa) within kappa, |u| - kappa / 2 beyond",
        _wrong(size=lambda u, kappa: 0.5 * np.square(u)),
        _wrong(size=lambda u, kappa: np.square(u)),
        _wrong(size=lambda u, kappa: np.abs(u)),
        _wrong(size=lambda u, kappa: np.where(np.abs(u) <= kappa, np.square(u), np.abs(u) - 0.5 * kappa)),
    ),
    *mistake(
        "paired",
        "Each quantile meets only the target of its own number, not all.",
        _LINE,
        _paired,
    ),
    *mistake("wrong-sign", "The sign is wrong.", _LINE, _wrong(size=lambda u, kappa: -_huber(u, kappa))),
)


def _cases(generator: np.random.Generator) -> list[Case]:
    def batch(rows: int, quantiles: int, **given: Any) -> Inputs:
        return {
            "theta": 1.5 * generator.standard_normal((rows, quantiles)),
            "target": 1.5 * generator.standard_normal((rows, quantiles)) + 0.4,
            "kappa": 1.0,
            **given,
        }

    cases = [
        ("general", batch(6, 4)),
        ("general", batch(5, 8)),
        ("general", batch(16, 3)),
        ("one quantile", batch(4, 1)),
        ("batch one", batch(1, 5)),
        ("targets above", batch(4, 3, target=5.0 + generator.random((4, 3)))),
        ("targets below", batch(4, 3, target=-5.0 - generator.random((4, 3)))),
        ("small errors", batch(4, 3, theta=np.zeros((4, 3)), target=0.2 * generator.standard_normal((4, 3)))),
        ("extreme targets", batch(4, 3, target=1e4 * generator.standard_normal((4, 3)))),
        ("kappa of a half", batch(4, 5, kappa=0.5)),
        ("kappa of two", batch(4, 5, kappa=2.0)),
    ]
    return [Case(name=name, inputs=x, screening=at < 3) for at, (name, x) in enumerate(cases)]


SUBJECTS = (
    Subject(
        name="qr_dqn:quantile_loss",
        title="the quantile Huber loss",
        equation=_LINE,
        axes={"theta": _THETA, "target": _TARGET},
        arguments=(
            Argument(
                role="theta",
                names=words(
                    "theta quantiles current_quantiles pred predictions q predicted z thetas pred_quantiles "
                    "quantile_values dist estimates current preds curr_quantiles"
                ),
                axes=_THETA,
                doc="theta",
            ),
            Argument(
                role="target",
                names=words(
                    "target targets target_quantiles y target_q td_target target_z t_theta target_dist "
                    "target_quantile_values td_targets target_samples"
                ),
                axes=_TARGET,
                doc="y",
            ),
            Argument(
                role="levels",
                names=words("tau taus tau_hat tau_hats cum_prob quantile_levels levels midpoints"),
                axes=("quantile",),
                make=lambda x: (np.arange(x["theta"].shape[-1]) + 0.5) / x["theta"].shape[-1],
                own=True,
                doc="tau",
            ),
            Argument(role="kappa", names=("kappa", "k", "huber_kappa", "delta", "threshold"), doc="kappa"),
            Argument(
                role="count",
                names=("n_quantiles", "num_quantiles", "n", "quantile_count"),
                kind="plain",
                make=lambda x: x["theta"].shape[-1],
                doc="N",
            ),
        ),
        outputs={"loss": ("row",)},
        single=("loss",),
        choices={
            "reduction": Choice(values={"mean": "", "none": "one number for each row, not their mean"}),
            "quantiles": Choice(
                values={"sum": "", "mean": "averaged over the predicted quantiles too, not summed"}
            ),
            "scale": Choice(values={"one": "", "kappa": "not divided by kappa"}),
        },
        absences=(fixed_at("kappa", 1.0),),
        reference=_reference,
        mistakes=_MISTAKES,
        cases=_cases,
        gradients=Gradients(loss=lambda t, o: _torch(t, o).mean(), learned=("theta",)),
    ),
)
