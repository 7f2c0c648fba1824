"""Known mistakes in the losses of proximal policy optimisation."""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.subject import Inputs, Options, Outputs, Reference, mistake
from modelwright.algorithms.scrutiny.subjects.rows import mean_over_pairs

__all__ = ["POLICY", "value_error", "value_of"]

_LOSS = "L = -mean_t min(rho_t A_t, clip(rho_t, 1 - eps, 1 + eps) A_t)"
_VALUE = "L = mean_t max((V - G)^2, (V_old + clip(V - V_old, -eps, eps) - G)^2) / 2"


def _advantage(x: Inputs, options: Options) -> Any:
    a = x["advantages"]
    if options.get("normalized", "no") == "no":
        return a
    freedom = 1 if options["normalized"] == "n-1" and a.size > 1 else 0
    return (a - a.mean()) / (a.std(ddof=freedom) + 1e-8)


def _ratio(x: Inputs) -> Any:
    return np.exp(x["log_prob"] - x["old_log_prob"])


def _clipped(ratio: Any, x: Inputs) -> Any:
    return np.clip(ratio, 1.0 - x["clip"], 1.0 + x["clip"])


def _usual(ratio: Any, a: Any, x: Inputs) -> Any:
    return -np.minimum(ratio * a, _clipped(ratio, x) * a)


def value_error(x: Inputs, options: Options, error: Callable[[Any], Any] = np.square) -> Any:
    """Return the value loss of each row, of another error of each."""
    plain = error(x["value"] - x["returns"])
    if options["clipped"] == "yes" and x.get("clips_value", True):
        moved = x["old_value"] + np.clip(x["value"] - x["old_value"], -x["clip"], x["clip"])
        plain = np.maximum(plain, error(moved - x["returns"]))
    return plain * (1.0 if options["half"] == "no" else 0.5)


def _whole(
    x: Inputs,
    options: Options,
    *,
    policy: Any = None,
    value: Any = None,
    entropy_sign: float = -1.0,
    value_sign: float = 1.0,
    how: Callable[[Any], Any] = np.mean,
) -> Outputs:
    """Return the losses where a part is another one, as the function reduces them."""
    policy = _usual(_ratio(x), _advantage(x, options), x) if policy is None else policy
    value = value_error(x, options) if value is None else value
    entropy = x["entropy"]
    loss = policy + value_sign * x["value_coefficient"] * value
    loss = loss + entropy_sign * x["entropy_coefficient"] * entropy
    sign = -1.0 if options["sign"] == "objective" else 1.0
    parts = {"policy_loss": sign * policy, "value_loss": value, "entropy": entropy, "loss": sign * loss}
    if options["reduction"] == "none" and how is np.mean:
        return parts
    return {name: how(each) for name, each in parts.items()}


def _of_policy(make: Callable[[Any, Any, Inputs], Any]) -> Reference:
    return lambda x, o: _whole(x, o, policy=make(_ratio(x), _advantage(x, o), x))


def _swapped(x: Inputs) -> Any:
    return np.exp(x["old_log_prob"] - x["log_prob"])


POLICY = (
    *mistake(
        "wrong-sign",
        "The sign is wrong: the loss would drive good actions out.",
        _LOSS,
        lambda x, o: {name: -each for name, each in _whole(x, o).items() if name in ("loss", "policy_loss")},
        _of_policy(lambda r, a, x: -_usual(r, a, x)),
    ),
    *mistake(
        "max-in-place-of-min",
        "The larger of the two terms is taken: the bound is optimistic.",
        _LOSS,
        _of_policy(lambda r, a, x: -np.maximum(r * a, _clipped(r, x) * a)),
        _of_policy(lambda r, a, x: np.minimum(-r * a, -_clipped(r, x) * a)),
    ),
    *mistake(
        "sum-in-place-of-mean",
        "Rows are summed, not averaged: the step size grows with the batch.",
        _LOSS,
        lambda x, o: _whole(x, o, how=np.sum),
    ),
    *mistake(
        "ratio-inverted",
        "The ratio is pi_old / pi.",
        "rho_t = exp(log pi - log pi_old)",
        lambda x, o: _whole(x, o, policy=_usual(_swapped(x), _advantage(x, o), x)),
        lambda x, o: {**_whole(x, o, policy=_usual(_swapped(x), _advantage(x, o), x)), "ratio": _swapped(x)},
    ),
    *mistake(
        "not-clipped",
        "The ratio is not clipped.",
        _LOSS,
        _of_policy(lambda r, a, x: -r * a),
    ),
    *mistake(
        "clipped-only",
        "Only the clipped term counts: the minimum with the other is missing.",
        _LOSS,
        _of_policy(lambda r, a, x: -_clipped(r, x) * a),
    ),
    *mistake(
        "clipped-on-one-side",
        "The ratio is clipped on one side only.",
        "clip(rho, 1 - eps, 1 + eps)",
        _of_policy(lambda r, a, x: -np.minimum(r * a, np.minimum(r, 1.0 + x["clip"]) * a)),
        _of_policy(lambda r, a, x: -np.minimum(r * a, np.maximum(r, 1.0 - x["clip"]) * a)),
        _of_policy(lambda r, a, x: -np.minimum(r, 1.0 + x["clip"]) * a),
    ),
    *mistake(
        "clip-bounds-wrong",
        "The bounds of the clip are wrong: around 0, or swapped, or another width.",
        "clip(rho, 1 - eps, 1 + eps)",
        _of_policy(lambda r, a, x: -np.minimum(r * a, np.clip(r, -x["clip"], x["clip"]) * a)),
        _of_policy(lambda r, a, x: -np.minimum(r * a, np.clip(r, x["clip"], 1.0 + x["clip"]) * a)),
        _of_policy(lambda r, a, x: -np.minimum(r * a, np.clip(r, 0.0, 1.0 + x["clip"]) * a)),
        _of_policy(
            lambda r, a, x: -np.minimum(r * a, np.minimum(np.maximum(r, 1 + x["clip"]), 1 - x["clip"]) * a)
        ),
        _of_policy(
            lambda r, a, x: -np.minimum(r * a, np.maximum(np.minimum(r, 1 - x["clip"]), 1 + x["clip"]) * a)
        ),
        _of_policy(
            lambda r, a, x: -np.minimum(r * a, np.clip(r, 1.0 / (1.0 + x["clip"]), 1.0 + x["clip"]) * a)
        ),
    ),
    *mistake(
        "product-clipped",
        "The product rho A is clipped, not the ratio.",
        "clip(rho, 1 - eps, 1 + eps) A",
        _of_policy(lambda r, a, x: -np.minimum(r * a, _clipped(r * a, x))),
        _of_policy(lambda r, a, x: -_clipped(r * a, x)),
    ),
    *mistake(
        "log-ratio-for-ratio",
        "The difference of log probabilities is used as the ratio: exp is missing.",
        "rho_t = exp(log pi - log pi_old)",
        lambda x, o: _whole(x, o, policy=_usual(x["log_prob"] - x["old_log_prob"], _advantage(x, o), x)),
        lambda x, o: {
            **_whole(x, o, policy=_usual(x["log_prob"] - x["old_log_prob"], _advantage(x, o), x)),
            "ratio": x["log_prob"] - x["old_log_prob"],
        },
    ),
    *mistake(
        "quotient-of-logs",
        "The ratio is a quotient of log probabilities.",
        "rho_t = exp(log pi - log pi_old)",
        lambda x, o: _whole(x, o, policy=_usual(x["log_prob"] / x["old_log_prob"], _advantage(x, o), x)),
    ),
    *mistake(
        "clipped-term-without-advantage",
        "One of the two terms lacks the advantage.",
        _LOSS,
        _of_policy(lambda r, a, x: -np.minimum(r * a, _clipped(r, x))),
        _of_policy(lambda r, a, x: -np.minimum(r, _clipped(r, x)) * a),
    ),
    *mistake(
        "policy-gradient",
        "This is the plain policy gradient: -log pi A, without a ratio.",
        _LOSS,
        lambda x, o: _whole(x, o, policy=-x["log_prob"] * _advantage(x, o)),
    ),
    *mistake(
        "shape-broadcast",
        "Shapes (n,) and (n, 1) are mixed: every row meets every row.",
        "give log probabilities and advantages one shape",
        lambda x, o: _whole(
            x,
            o,
            policy=_usual(np.reshape(_ratio(x), (-1, 1)), np.reshape(_advantage(x, o), (1, -1)), x).mean(),
        ),
        lambda x, o: _whole(x, o, value=0.5 * np.square(mean_over_pairs(x["value"], x["returns"])).mean()),
    ),
    *mistake(
        "entropy-sign",
        "The entropy is added to the loss: the policy would grow certain.",
        "L = L_clip + c_v L_value - c_e H",
        lambda x, o: _whole(x, o, entropy_sign=1.0),
    ),
    *mistake(
        "entropy-missing",
        "The entropy is missing.",
        "L = L_clip + c_v L_value - c_e H",
        lambda x, o: _whole(x, o, entropy_sign=0.0),
    ),
    *mistake(
        "value-loss-sign",
        "The value loss is subtracted.",
        "L = L_clip + c_v L_value - c_e H",
        lambda x, o: _whole(x, o, value_sign=-1.0),
    ),
    *mistake(
        "coefficient-missing",
        "A coefficient is missing.",
        "L = L_clip + c_v L_value - c_e H",
        lambda x, o: _whole({**x, "value_coefficient": 1.0}, o),
        lambda x, o: _whole({**x, "entropy_coefficient": 1.0}, o),
        lambda x, o: _whole(
            {
                **x,
                "value_coefficient": x["entropy_coefficient"],
                "entropy_coefficient": x["value_coefficient"],
            },
            o,
        ),
    ),
    *mistake(
        "value-min-in-place-of-max",
        "The smaller of the two value errors is taken.",
        _VALUE,
        lambda x, o: _whole(x, o, value=value_of(x, o, np.minimum)),
    ),
    *mistake(
        "value-not-clipped",
        "The value loss is not clipped, though it is told the old values.",
        _VALUE,
        lambda x, o: _whole(x, {**o, "clipped": "no"}),
    ),
)


def value_of(x: Inputs, options: Options, how: Callable[[Any, Any], Any]) -> Any:
    """Return the value loss of each row, made otherwise of the plain and the clipped error."""
    moved = x["old_value"] + np.clip(x["value"] - x["old_value"], -x["clip"], x["clip"])
    half = 1.0 if options["half"] == "no" else 0.5
    return half * how(np.square(x["value"] - x["returns"]), np.square(moved - x["returns"]))
