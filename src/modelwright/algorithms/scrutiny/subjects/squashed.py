"""The log density of a tanh-squashed normal action.

    u = mu + sigma eps,   a = scale tanh(u) + shift
    log pi(a) = sum_i [ log N(u_i; mu_i, sigma_i) - log scale_i - log(1 - tanh(u_i)^2) ]

Source: Haarnoja et al. 2018, appendix C. For any u, log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u)).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelwright.algorithms.control.distributions import DiagonalNormal
from modelwright.algorithms.sac import squashed_log_prob
from modelwright.algorithms.scrutiny.subject import (
    Absent,
    Argument,
    Case,
    Choice,
    Inputs,
    Layout,
    Options,
    Outputs,
    Subject,
    mistake,
    words,
)
from modelwright.algorithms.scrutiny.subjects.rows import SEVERAL, exponential, tensors

__all__ = ["SUBJECTS"]

_ROW, _TABLE = ("row",), ("row", "action")
_LOG_TAU = float(np.log(2.0 * np.pi))
_EPSILON = {
    "exact": 0.0,
    "1e-6": 1e-6,
    "1.2e-7": float(np.finfo(np.float32).eps),
    "1e-7": 1e-7,
    "1e-8": 1e-8,
    "1e-4": 1e-4,
}


def _u(x: Inputs) -> Any:
    return x["mean"] + exponential(x["log_std"]) * x["noise"]


def _action(x: Inputs) -> Any:
    u = _u(x)
    return (u.tanh() if hasattr(u, "detach") else np.tanh(u)) * x["scale"] + x["shift"]


def _near(x: Inputs) -> Any:
    """Return the action where u can be had back from it with all digits, else None."""
    u = _u(x)
    return _action(x) if float(abs(u).max()) < 4.0 else None


def _torch(t: dict[str, Any], options: Options) -> dict[str, Any]:
    """Return the normal part and the log density, torch."""
    import torch

    u = _u(t)
    normal = DiagonalNormal(t["mean"][None], t["log_std"][None]).log_prob(u[None])[0]
    epsilon = _EPSILON[options["epsilon"]]
    scale = torch.as_tensor(1.0 if options["scale"] == "no" else t["scale"], dtype=u.dtype)
    if epsilon:
        # log_density = ... - sum log(scale (1 - tanh^2) + eps), as it is commonly coded
        bent = 1.0 - torch.tanh(u).square()
        correction = torch.log(scale * bent + epsilon)
        return {"normal": normal, "log_prob": normal - correction.sum(dim=-1)}
    found = squashed_log_prob(DiagonalNormal(t["mean"][None], t["log_std"][None]), u[None], scale)[0]
    return {"normal": normal, "log_prob": found}


def _reference(x: Inputs, options: Options) -> Outputs:
    found = {name: each.numpy() for name, each in _torch(tensors(x), options).items()}
    return {"action": _action(x), **found}


def _cases(generator: np.random.Generator) -> list[Case]:
    def batch(rows: int, actions: int, **given: Any) -> Inputs:
        return {
            "mean": 0.5 * generator.standard_normal((rows, actions)),
            "log_std": -0.7 + 0.4 * generator.standard_normal((rows, actions)),
            "noise": np.clip(generator.standard_normal((rows, actions)), -2.0, 2.0),
            "scale": 1.0,
            "shift": 0.0,
            **given,
        }

    edge = batch(4, 2, log_std=np.full((4, 2), -3.0))
    edge["mean"] = np.array([[5.0, -5.0], [6.0, 0.0], [-7.0, 7.0], [4.0, -6.0]])
    far = {**edge, "mean": np.array([[25.0, -25.0], [30.0, 0.1], [-22.0, 22.0], [40.0, -40.0]])}
    cases = [
        ("general", batch(6, 3), False),
        ("general", batch(5, 2), False),
        ("general", batch(32, 6), False),
        ("action of 0", batch(3, 2, mean=np.zeros((3, 2)), noise=np.zeros((3, 2))), False),
        ("one action", batch(4, 1), False),
        ("batch one", batch(1, 3), False),
        ("batch one, one action", batch(1, 1), False),
        ("scaled action", batch(4, 3, scale=2.0), False),
        ("shifted action", batch(4, 3, scale=2.0, shift=0.5), False),
        ("small deviation", batch(4, 2, log_std=np.full((4, 2), -5.0)), False),
        ("actions at the edge of tanh", edge, True),
        ("|u| above 20", far, True),
    ]
    return [
        Case(name=name, inputs=x, screening=at < 3, fine=fine) for at, (name, x, fine) in enumerate(cases)
    ]


# ---- known mistakes ----


def _each(x: Inputs) -> tuple[Any, Any]:
    """Return the normal part and the correction of each component, NumPy."""
    u = _u(x)
    normal = -0.5 * np.square(x["noise"]) - x["log_std"] - 0.5 * _LOG_TAU
    return normal, 2.0 * (np.log(2.0) - u - np.logaddexp(0.0, -2.0 * u)) + np.log(x["scale"])


def _wrong(make: Callable[[Any, Any, Inputs], Any]) -> Callable[[Inputs, Options], Outputs]:
    def outputs(x: Inputs, options: Options) -> Outputs:
        scale = {**x, "scale": 1.0} if options["scale"] == "no" else x
        normal, correction = _each(scale)
        epsilon = _EPSILON[options["epsilon"]]
        if epsilon:
            correction = np.log(scale["scale"] * (1.0 - np.square(np.tanh(_u(x)))) + epsilon)
        return {"log_prob": make(normal, correction, x)}

    return outputs


def _total(values: Any) -> Any:
    return values.sum(axis=-1)


_LINE = "log pi = sum_i [log N(u_i; mu_i, sigma_i) - log(1 - tanh(u_i)^2)]"
_MISTAKES = (
    *mistake(
        "missing-log-determinant",
        "The correction for the squashing is missing.",
        _LINE,
        _wrong(lambda n, c, x: _total(n)),
    ),
    *mistake(
        "log-prob-not-summed",
        "The components are not summed: there is a number for each, or their mean.",
        _LINE,
        _wrong(lambda n, c, x: n - c),
        _wrong(lambda n, c, x: _total(n)[..., None] - c),
        _wrong(lambda n, c, x: n - _total(c)[..., None]),
    ),
    *mistake(
        "mean-in-place-of-sum",
        "The components are averaged, not summed.",
        _LINE,
        _wrong(lambda n, c, x: (n - c).mean(axis=-1)),
        _wrong(lambda n, c, x: _total(n) - c.mean(axis=-1)),
    ),
    *mistake(
        "wrong-axis",
        "The sum goes over rows, not over components.",
        _LINE,
        _wrong(lambda n, c, x: (n - c).sum(axis=0)),
        _wrong(lambda n, c, x: (n - c).sum()),
    ),
    *mistake(
        "correction-sign",
        "The correction is added.",
        _LINE,
        _wrong(lambda n, c, x: _total(n + c)),
    ),
    *mistake(
        "unstable-log-determinant",
        "log(1 - tanh(u)^2) is infinite where tanh rounds to 1.",
        "log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u)), or log(1 - tanh(u)^2 + 1e-6)",
        _wrong(lambda n, c, x: _total(n - np.log(x["scale"] * (1.0 - np.square(np.tanh(_u(x))))))),
    ),
    *mistake(
        "tanh-not-squared",
        "1 - tanh(u) stands where 1 - tanh(u)^2 belongs, or the square is of u.",
        _LINE,
        _wrong(lambda n, c, x: _total(n - np.log(1.0 - np.tanh(_u(x)) + 1e-6))),
        _wrong(lambda n, c, x: _total(n - np.log(1.0 - np.tanh(_u(x))))),
        _wrong(lambda n, c, x: _total(n - np.log(np.maximum(1.0 - np.square(_u(x)), 0.0) + 1e-6))),
    ),
    *mistake(
        "tanh-twice",
        "The correction is taken at tanh(a): the action is squashed twice.",
        _LINE,
        _wrong(lambda n, c, x: _total(n - np.log(1.0 - np.square(np.tanh(np.tanh(_u(x)))) + 1e-6))),
        _wrong(lambda n, c, x: _total(n - np.log(1.0 - np.square(np.tanh(np.tanh(_u(x))))))),
    ),
    *mistake(
        "density-at-squashed-action",
        "The normal density is taken at a = tanh(u), not at u.",
        _LINE,
        _wrong(lambda n, c, x: _total(_density(x, np.tanh(_u(x))) - c)),
        _wrong(lambda n, c, x: _total(_density(x, np.tanh(_u(x))))),
    ),
    *mistake(
        "deviation-for-log-deviation",
        "log sigma is used as sigma, or sigma as log sigma.",
        "log N = -(u - mu)^2 / (2 sigma^2) - log sigma - log(2 pi) / 2",
        _wrong(
            lambda n, c, x: _total(-0.5 * np.square(x["noise"]) - np.exp(x["log_std"]) - 0.5 * _LOG_TAU - c)
        ),
        _wrong(
            lambda n, c, x: _total(
                -0.5 * np.square(_spread(x) / x["log_std"]) - x["log_std"] - 0.5 * _LOG_TAU - c
            )
        ),
    ),
    *mistake(
        "variance-for-deviation",
        "The variance is used where the deviation belongs.",
        "log N = -(u - mu)^2 / (2 sigma^2) - log sigma - log(2 pi) / 2",
        _wrong(
            lambda n, c, x: _total(
                -0.5 * np.square(_spread(x)) / np.exp(x["log_std"]) - x["log_std"] - 0.5 * _LOG_TAU - c
            )
        ),
        _wrong(lambda n, c, x: _total(n - x["log_std"] - c)),
        _wrong(
            lambda n, c, x: _total(
                -0.5 * np.square(x["noise"] / np.exp(x["log_std"])) - x["log_std"] - 0.5 * _LOG_TAU - c
            )
        ),
    ),
    *mistake(
        "constant-missing",
        "log(2 pi) / 2, or log sigma, is missing or counted otherwise.",
        "log N = -(u - mu)^2 / (2 sigma^2) - log sigma - log(2 pi) / 2",
        _wrong(lambda n, c, x: _total(n + 0.5 * _LOG_TAU - c)),
        _wrong(lambda n, c, x: _total(n - 0.5 * _LOG_TAU - c)),
        _wrong(lambda n, c, x: _total(n - c) + 0.5 * _LOG_TAU * (n.shape[-1] - 1)),
        _wrong(lambda n, c, x: _total(n + x["log_std"] - c)),
        _wrong(lambda n, c, x: _total(n + 2.0 * x["log_std"] - c)),
    ),
    *mistake(
        "half-missing",
        "The factor 1/2 of the squared distance is missing.",
        "log N = -(u - mu)^2 / (2 sigma^2) - log sigma - log(2 pi) / 2",
        _wrong(lambda n, c, x: _total(n - 0.5 * np.square(x["noise"]) - c)),
    ),
    *mistake(
        "scale-not-counted",
        "The scale of the action is not counted, or with the wrong sign.",
        "log pi(a) has - log scale for a = scale tanh(u)",
        _wrong(lambda n, c, x: _total(n - c + np.log(x["scale"]))),
        _wrong(lambda n, c, x: _total(n - c + 2.0 * np.log(x["scale"]))),
    ),
    *mistake(
        "wrong-sign",
        "The sign is wrong.",
        _LINE,
        _wrong(lambda n, c, x: -_total(n - c)),
        _wrong(lambda n, c, x: _total(-n - c)),
    ),
)


def _spread(x: Inputs) -> Any:
    return _u(x) - x["mean"]


def _density(x: Inputs, at: Any) -> Any:
    z = (at - x["mean"]) / np.exp(x["log_std"])
    return -0.5 * np.square(z) - x["log_std"] - 0.5 * _LOG_TAU


SUBJECTS = (
    Subject(
        name="sac:log_prob",
        title="log density of a tanh-squashed normal action",
        equation=_LINE,
        axes=dict.fromkeys(("mean", "log_std", "noise"), _TABLE),
        arguments=(
            Argument(
                role="mean",
                names=("mean", "mu", "means", "mus", "loc", "m", "action_mean"),
                axes=_TABLE,
                doc="mu",
            ),
            Argument(
                role="log_std",
                names=words("log_std logstd log_sigma log_stds logsigma log_deviation ls log_scale"),
                axes=_TABLE,
                doc="log sigma",
            ),
            Argument(
                role="std",
                names=("std", "sigma", "stds", "sigmas", "stddev", "s", "deviation", "std_dev"),
                axes=_TABLE,
                make=lambda x: exponential(x["log_std"]),
                bars=("log_std",),
                doc="sigma",
            ),
            Argument(
                role="noise",
                names=("noise", "eps", "epsilon", "normal", "xi", "standard_normal", "unit_noise", "n"),
                axes=_TABLE,
                doc="eps",
            ),
            Argument(
                role="u",
                names=words(
                    "u x_t pre_tanh raw_action raw_actions gaussian_actions z pi_action pre_tanh_value "
                    "pre_tanh_action unsquashed x pre_action gaussian_action raw latent pretanh "
                    "unbounded_action pre_squash sample us"
                ),
                axes=_TABLE,
                make=_u,
                bars=("noise",),
                says="before tanh",
                doc="u",
            ),
            Argument(
                role="action",
                names=words(
                    "action actions a y_t squashed tanh_action act acts squashed_action squashed_actions "
                    "bounded_action y tanh_actions"
                ),
                axes=_TABLE,
                make=_near,
                bars=("noise", "u"),
                says="after tanh",
                doc="a",
            ),
            Argument(
                role="action",
                names=words("action actions a y_t squashed tanh_action act acts squashed_action"),
                axes=_TABLE,
                make=_action,
                needs=("noise", "u"),
                says="after tanh",
                doc="a",
            ),
            Argument(
                role="scale",
                names=words("action_scale act_limit max_action action_limit scale_factor high a_scale"),
                doc="scale",
            ),
            Argument(
                role="shift", names=("action_bias", "bias", "shift", "action_shift", "a_bias"), doc="shift"
            ),
        ),
        outputs={"action": _TABLE, "normal": _ROW, "log_prob": _ROW},
        single=("log_prob",),
        orders=(("action", "log_prob"), ("log_prob", "action")),
        names={
            **dict.fromkeys(("logp", "logp_pi", "log_pi", "logprob", "log_probs"), "log_prob"),
            **dict.fromkeys(("actions", "pi", "pi_action", "a"), "action"),
        },
        layouts=(
            Layout(name="row,action"),
            Layout(
                name="one",
                says="one row at a time",
                loop="row",
                unless=rf"(?:dim|axis)\s*=\s*[01]|\.sum\([01]|{SEVERAL}",
            ),
        ),
        choices={
            "epsilon": Choice(
                values={
                    "exact": "",
                    **{
                        name: f"{name} is added to 1 - tanh(u)^2 within the logarithm"
                        for name in list(_EPSILON)[1:]
                    },
                }
            ),
            "scale": Choice(
                values={"yes": "", "no": "the scale of the action is not counted: a constant for learning"},
                asked=("no",),
                told={"no": ("act_limit",)},  # Spinning Up's, where it is not
                needs=("scale",),
            ),
        },
        absences=(
            Absent(roles=("scale",), ways={"": lambda x: {**x, "scale": 1.0}}),
            Absent(roles=("shift",), ways={"": lambda x: {**x, "shift": 0.0}}),
        ),
        reference=_reference,
        mistakes=_MISTAKES,
        cases=_cases,
    ),
)
