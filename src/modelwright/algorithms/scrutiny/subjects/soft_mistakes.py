"""Known mistakes in the losses of soft actor-critic."""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.subject import Inputs, Options, Outputs, Reference, mistake

__all__ = ["ACTOR", "CRITIC", "TEMPERATURE"]

_TARGET = "y = r + gamma (1 - terminated) (min(Q1', Q2') - alpha log pi')"
_CRITIC = "L = mean[(Q1 - y)^2 + (Q2 - y)^2]"
_ACTOR = "L = mean[alpha log pi(a|s) - min(Q1, Q2)]"
_TEMPERATURE = "L = -mean[alpha (log pi(a|s) + H)]"


def _least(x: Inputs) -> Any:
    return np.minimum(x["next_q1"], x["next_q2"]) if x["critics"] == 2 else x["next_q1"]


def _losses(x: Inputs, options: Options, target: Any, how: Callable[[Any], Any] = np.mean) -> Outputs:
    half = 0.5 if options["half"] == "yes" else 1.0
    one, two = half * np.square(x["q1"] - target), half * np.square(x["q2"] - target)
    parts = {"q1_loss": one, "q2_loss": two, "loss": one + two if x["critics"] == 2 else one}
    if options["reduction"] == "mean" or how is not np.mean:
        parts = {name: how(each) for name, each in parts.items()}
    return {"target": target, **parts}


def _to(make: Callable[[Inputs], Any]) -> Reference:
    return lambda x, o: _losses(x, o, make(x))


def _usual(x: Inputs, *, value: Any = None, bonus: Any = None, mask: Any = None, gamma: Any = None) -> Any:
    value = _least(x) if value is None else value
    bonus = -x["alpha"] * x["next_log_prob"] if bonus is None else bonus
    mask = 1.0 - x["terminated"] if mask is None else mask
    gamma = x["gamma"] if gamma is None else gamma
    return x["rewards"] + gamma * mask * (value + bonus)


CRITIC = (
    *mistake(
        "done-ignored",
        "The value that follows termination is counted: the target has no mask.",
        _TARGET,
        _to(lambda x: _usual(x, mask=1.0)),
    ),
    *mistake(
        "mask-inverted",
        "The mask is inverted: done is used where 1 - done belongs.",
        _TARGET,
        _to(lambda x: _usual(x, mask=1.0 * x["terminated"])),
    ),
    *mistake(
        "truncation-as-termination",
        "A step at which the episode was cut off is taken for terminal.",
        "only termination ends the bootstrap",
        _to(lambda x: _usual(x, mask=1.0 - (x["terminated"] | x["truncated"]))),
    ),
    *mistake(
        "max-in-place-of-min",
        "The larger of the target critics is taken.",
        _TARGET,
        _to(lambda x: _usual(x, value=np.maximum(x["next_q1"], x["next_q2"]))),
    ),
    *mistake(
        "mean-in-place-of-min",
        "The target critics are averaged.",
        _TARGET,
        _to(lambda x: _usual(x, value=0.5 * (x["next_q1"] + x["next_q2"]))),
    ),
    *mistake(
        "one-critic",
        "Only one of the target critics is used.",
        _TARGET,
        _to(lambda x: _usual(x, value=x["next_q1"])),
        _to(lambda x: _usual(x, value=x["next_q2"])),
        lambda x, o: {
            **_losses(x, o, _usual(x, value=x["next_q1"])),
            "loss": _losses(x, o, _usual(x, value=x["next_q1"]))["q1_loss"]
            + _losses(x, o, _usual(x, value=x["next_q2"]))["q2_loss"],
        },
    ),
    *mistake(
        "entropy-sign",
        "The entropy bonus has the wrong sign.",
        _TARGET,
        _to(lambda x: _usual(x, bonus=x["alpha"] * x["next_log_prob"])),
    ),
    *mistake(
        "entropy-missing",
        "The entropy bonus is missing from the target.",
        _TARGET,
        _to(lambda x: _usual(x, bonus=0.0)),
    ),
    *mistake(
        "alpha-missing",
        "The entropy bonus lacks alpha, or has log alpha.",
        _TARGET,
        _to(lambda x: _usual(x, bonus=-x["next_log_prob"])),
        _to(lambda x: _usual(x, bonus=-np.log(x["alpha"]) * x["next_log_prob"])),
    ),
    *mistake(
        "entropy-outside-bracket",
        "The entropy bonus is neither discounted nor masked: brackets are missing.",
        _TARGET,
        _to(lambda x: _usual(x, bonus=0.0) - x["alpha"] * x["next_log_prob"]),
        _to(lambda x: _usual(x, bonus=0.0) - (1.0 - x["terminated"]) * x["alpha"] * x["next_log_prob"]),
        _to(lambda x: _usual(x, bonus=0.0) - x["gamma"] * x["alpha"] * x["next_log_prob"]),
    ),
    *mistake(
        "gamma-missing",
        "The next value is not discounted.",
        _TARGET,
        _to(lambda x: _usual(x, gamma=1.0)),
    ),
    *mistake(
        "reward-masked",
        "The mask takes away the reward too.",
        _TARGET,
        _to(lambda x: (1.0 - x["terminated"]) * _usual(x)),
    ),
    *mistake(
        "sum-in-place-of-mean",
        "Rows are summed, not averaged.",
        _CRITIC,
        lambda x, o: _losses(x, o, _usual(x), np.sum),
    ),
    *mistake(
        "one-loss",
        "Only one critic learns, or one twice.",
        _CRITIC,
        lambda x, o: {"loss": _losses(x, o, _usual(x))["q1_loss"]},
        lambda x, o: {"loss": _losses(x, o, _usual(x))["q2_loss"]},
        lambda x, o: {"loss": 2.0 * _losses(x, o, _usual(x))["q1_loss"]},
    ),
    *mistake(
        "absolute-error",
        "The error is not squared.",
        _CRITIC,
        lambda x, o: {"loss": np.mean(np.abs(x["q1"] - _usual(x)) + np.abs(x["q2"] - _usual(x)))},
    ),
    *mistake(
        "error-of-sum",
        "The critics are added, averaged or compared before they are held to the target.",
        _CRITIC,
        lambda x, o: {"loss": np.mean(np.square(x["q1"] + x["q2"] - _usual(x)))},
        lambda x, o: {"loss": np.mean(np.square(0.5 * (x["q1"] + x["q2"]) - _usual(x)))},
        lambda x, o: {"loss": np.mean(np.square(np.minimum(x["q1"], x["q2"]) - _usual(x)))},
    ),
    *mistake(
        "shape-broadcast",
        "Shapes (n,) and (n, 1) are mixed: every row meets every row.",
        "give critics and targets one shape",
        lambda x, o: {
            "loss": sum(
                np.square(np.reshape(x[name], (-1, 1)) - np.reshape(_usual(x), (1, -1))).mean()
                for name in ("q1", "q2")[: x["critics"]]
            )
            * (0.5 if o["half"] == "yes" else 1.0)
        },
    ),
    *mistake(
        "wrong-sign",
        "A sign is wrong.",
        _CRITIC,
        lambda x, o: {name: -each for name, each in _losses(x, o, _usual(x)).items() if name != "target"},
    ),
)


def _reduced(make: Callable[[Inputs], Any], how: Callable[[Any], Any] | None = None) -> Reference:
    def outputs(x: Inputs, options: Options) -> Outputs:
        values = make(x)
        if how is not None:
            return {"loss": how(values)}
        return {"loss": values if options["reduction"] == "none" else np.mean(values)}

    return outputs


def _q(x: Inputs) -> Any:
    return np.minimum(x["q1"], x["q2"]) if x["critics"] == 2 else x["q1"]


def _climb(x: Inputs) -> Any:
    return x["alpha"] * x["log_prob"] - _q(x)


ACTOR = (
    *mistake(
        "wrong-sign",
        "The sign is wrong: the actor would seek low values.",
        _ACTOR,
        _reduced(lambda x: -_climb(x)),
        _reduced(lambda x: x["alpha"] * x["log_prob"] + _q(x)),
    ),
    *mistake(
        "entropy-sign",
        "The entropy has the wrong sign: the actor would grow certain.",
        _ACTOR,
        _reduced(lambda x: -x["alpha"] * x["log_prob"] - _q(x)),
    ),
    *mistake(
        "max-in-place-of-min",
        "The larger of the critics is taken.",
        _ACTOR,
        _reduced(lambda x: x["alpha"] * x["log_prob"] - np.maximum(x["q1"], x["q2"])),
    ),
    *mistake(
        "mean-in-place-of-min",
        "The critics are averaged, or added.",
        _ACTOR,
        _reduced(lambda x: x["alpha"] * x["log_prob"] - 0.5 * (x["q1"] + x["q2"])),
        _reduced(lambda x: x["alpha"] * x["log_prob"] - (x["q1"] + x["q2"])),
    ),
    *mistake(
        "one-critic",
        "Only one critic is used.",
        _ACTOR,
        _reduced(lambda x: x["alpha"] * x["log_prob"] - x["q1"]),
        _reduced(lambda x: x["alpha"] * x["log_prob"] - x["q2"]),
    ),
    *mistake(
        "alpha-missing",
        "The entropy lacks alpha, or has log alpha.",
        _ACTOR,
        _reduced(lambda x: x["log_prob"] - _q(x)),
        _reduced(lambda x: np.log(x["alpha"]) * x["log_prob"] - _q(x)),
    ),
    *mistake(
        "alpha-on-value",
        "Alpha weighs the value, or both terms.",
        _ACTOR,
        _reduced(lambda x: x["log_prob"] - x["alpha"] * _q(x)),
        _reduced(lambda x: x["alpha"] * (x["log_prob"] - _q(x))),
    ),
    *mistake(
        "entropy-missing",
        "The entropy is missing.",
        _ACTOR,
        _reduced(lambda x: -_q(x)),
    ),
    *mistake(
        "sum-in-place-of-mean",
        "Rows are summed, not averaged.",
        _ACTOR,
        _reduced(_climb, np.sum),
    ),
    *mistake(
        "score-function",
        "The value weighs log pi, as in the policy gradient.",
        _ACTOR,
        _reduced(lambda x: -x["log_prob"] * _q(x)),
    ),
    *mistake(
        "smallest-of-batch",
        "The smallest value of the batch is taken, not that of each row.",
        _ACTOR,
        _reduced(lambda x: x["alpha"] * x["log_prob"] - np.minimum(x["q1"], x["q2"]).min()),
    ),
)


def _held(x: Inputs, options: Options) -> Any:
    return np.exp(x["log_alpha"]) if options["form"] != "log" else x["log_alpha"]


def _tempered(make: Callable[[Any, Inputs], Any], how: Callable[[Any], Any] | None = None) -> Reference:
    return lambda x, o: _reduced(lambda y: make(_held(y, o), y), how)(x, o)


TEMPERATURE = (
    *mistake(
        "wrong-sign",
        "The sign is wrong: the temperature would run away from the target.",
        _TEMPERATURE,
        _tempered(lambda a, x: a * (x["log_prob"] + x["target_entropy"])),
    ),
    *mistake(
        "target-entropy-sign",
        "The target entropy has the wrong sign.",
        _TEMPERATURE,
        _tempered(lambda a, x: -a * (x["log_prob"] - x["target_entropy"])),
        _tempered(lambda a, x: a * (x["log_prob"] - x["target_entropy"])),
    ),
    *mistake(
        "sum-in-place-of-mean",
        "Rows are summed, not averaged.",
        _TEMPERATURE,
        _tempered(lambda a, x: -a * (x["log_prob"] + x["target_entropy"]), np.sum),
    ),
    *mistake(
        "target-entropy-missing",
        "The target entropy is missing.",
        _TEMPERATURE,
        _tempered(lambda a, x: -a * x["log_prob"]),
    ),
    *mistake(
        "entropy-for-log-prob",
        "The probability is used in place of its logarithm.",
        _TEMPERATURE,
        _tempered(lambda a, x: -a * (np.exp(x["log_prob"]) + x["target_entropy"])),
    ),
    *mistake(
        "brackets-missing",
        "Only one of the two terms is weighed.",
        _TEMPERATURE,
        _tempered(lambda a, x: -a * x["log_prob"] + x["target_entropy"]),
        _tempered(lambda a, x: -a * x["log_prob"] - x["target_entropy"]),
        _tempered(lambda a, x: -(x["log_prob"] + a * x["target_entropy"])),
    ),
)
