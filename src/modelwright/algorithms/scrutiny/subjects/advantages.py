"""Generalised advantages, and the returns that belong to them.

    delta_t = r_t + gamma (1 - terminated_t) V(s_{t+1}) - V(s_t)
    A_t = delta_t + gamma lambda (1 - ended_t) A_{t+1},   return_t = A_t + V(s_t)

Source: Schulman et al. 2016, equations 11 to 16.
"""

from typing import Any

import numpy as np

from modelwright.algorithms.control.returns import discounted_returns, generalised_advantages
from modelwright.algorithms.scrutiny.subject import (
    Choice,
    Inputs,
    Options,
    Outputs,
    Subject,
    mistake,
)
from modelwright.algorithms.scrutiny.subjects.stretch import (
    AXES,
    LAYOUTS,
    before,
    ended,
    next_values,
    stretches,
)
from modelwright.algorithms.scrutiny.subjects.stretch_arguments import (
    FLAG_ROLES,
    NO_FLAGS,
    NO_GAMMA,
    NO_LAMBDA,
    arguments_of,
)
from modelwright.algorithms.scrutiny.subjects.stretch_mistakes import (
    OFF_BY_ONE,
    accumulate,
    keep_last,
    later,
    standard,
)

__all__ = ["SUBJECTS"]


def _gae(x: Inputs, options: Options) -> Outputs:
    """Return the learner's own, and what it is made of."""
    found = _own(x)
    return {**found, "return": _monte_carlo(x)} if options.get("returns") == "rewards" else found


def _own(x: Inputs) -> Outputs:
    following = next_values(x)
    delta = x["rewards"] + x["gamma"] * np.where(x["terminated"], 0.0, following) - x["values"]
    arrays = (x["rewards"], x["values"], following, x["terminated"], ended(x))
    rewards, values, after, terminated, over = (each[None] for each in arrays)
    found = generalised_advantages(rewards, values, after, terminated, over, x["gamma"], x["lam"])
    advantage = found[0]
    return {"delta": delta, "advantage": advantage, "return": advantage + x["values"]}


def _wrong(x: Inputs, **changed: Any) -> Outputs:
    """Return what comes of other parts: masks of delta and of the sum, next values, discounts, values."""
    alive = 1.0 - ended(x)
    part: dict[str, Any] = {
        "in_delta": 1.0 - x["terminated"],
        "in_sum": alive,
        "next": next_values(x),
        "gamma": x["gamma"],
        "decay": x["gamma"] * x["lam"],
        "value": x["values"],
        "rewards": x["rewards"],
        "forward": False,
        **changed,
    }
    delta = part["rewards"] + part["gamma"] * part["in_delta"] * part["next"] - part["value"]
    carry = np.broadcast_to(part["decay"] * part["in_sum"], delta.shape)
    advantage = accumulate(delta, carry, forward=part["forward"])
    return {"delta": delta, "advantage": advantage, "return": advantage + x["values"]}


def _monte_carlo(x: Inputs) -> Any:
    """Return discounted sums of rewards."""
    arrays = (x["rewards"], x["terminated"], ended(x), next_values(x))
    rewards, terminated, over, following = (each[None] for each in arrays)
    return discounted_returns(rewards, terminated, over, following, x["gamma"])[0]


def _without_last(x: Inputs) -> Outputs:
    """Return sums that begin at the step before the last."""
    delta = _own(x)["delta"].copy()
    delta[-1] = 0.0
    advantage = accumulate(delta, np.broadcast_to(x["gamma"] * x["lam"] * (1.0 - ended(x)), delta.shape))
    return {"delta": delta, "advantage": advantage, "return": advantage + x["values"]}


def _masks(x: Inputs, mask: Any) -> Outputs:
    return _wrong(x, in_delta=mask, in_sum=mask)


_GAE_MISTAKES = (
    *mistake(
        "done-off-by-one",
        *OFF_BY_ONE,
        lambda x, o: _masks(x, later(x, ended(x)[-1])),
        lambda x, o: _masks(x, later(x, False)),
        lambda x, o: _masks(x, later(x, True)),
        lambda x, o: _masks(x, 1.0 - before(x)),
        lambda x, o: _masks(x, keep_last(x, 1.0 - before(x))),
        lambda x, o: _masks(x, 1.0 - np.concatenate([0 * ended(x)[:1], ended(x)[:-1]])),
        lambda x, o: _masks(x, 1.0 - np.roll(ended(x), 1, axis=0)),
        lambda x, o: _masks(x, 1.0 - np.roll(ended(x), -1, axis=0)),
        lambda x, o: _wrong(x, in_delta=later(x, ended(x)[-1])),
        lambda x, o: _wrong(x, in_delta=later(x, False)),
        lambda x, o: _wrong(x, in_sum=later(x, False)),
        lambda x, o: _wrong(x, in_delta=1.0 - before(x)),
        lambda x, o: _wrong(x, in_sum=1.0 - before(x)),
    ),
    *mistake(
        "gamma-lambda-swapped",
        "Gamma and lambda are swapped.",
        "delta_t discounts V(s_{t+1}) with gamma; A_t decays with gamma lambda",
        lambda x, o: _wrong(x, gamma=x["lam"]),
    ),
    *mistake(
        "missing-bootstrap",
        "The value of the observation after the last step is missing.",
        "delta_T = r_T + gamma (1 - done_T) V(s_{T+1}) - V(s_T), also where the stretch ends unfinished",
        lambda x, o: _wrong(x, next=np.concatenate([next_values(x)[:-1], 0.0 * x["values"][-1:]])),
        lambda x, o: _wrong(x, next=np.concatenate([next_values(x)[:-1], x["values"][-1:]])),
    ),
    *mistake(
        "bootstraps-after-termination",
        "The value that follows termination is counted: delta has no mask.",
        "delta_t = r_t + gamma (1 - terminated_t) V(s_{t+1}) - V(s_t)",
        lambda x, o: _wrong(x, in_delta=1.0),
    ),
    *mistake(
        "advantage-crosses-episodes",
        "The running sum is not cut where an episode ends.",
        "A_t = delta_t + gamma lambda (1 - ended_t) A_{t+1}",
        lambda x, o: _wrong(x, in_sum=1.0),
        lambda x, o: _wrong(x, in_sum=1.0 - x["terminated"]),
    ),
    *mistake(
        "done-ignored",
        "Ends of episodes are ignored.",
        "both delta_t and A_t are masked with (1 - done_t)",
        lambda x, o: _masks(x, 1.0),
    ),
    *mistake(
        "mask-inverted",
        "The mask is inverted: done is used where 1 - done belongs.",
        "both delta_t and A_t are masked with (1 - done_t)",
        lambda x, o: _masks(x, 1.0 * ended(x)),
        lambda x, o: _wrong(x, in_delta=1.0 * ended(x)),
        lambda x, o: _wrong(x, in_sum=1.0 * ended(x)),
    ),
    *mistake(
        "truncation-as-termination",
        "An episode that was cut off is taken for terminated: its last state is worth nothing.",
        "delta_t masks V(s_{t+1}) with (1 - terminated_t), the running sum with (1 - ended_t)",
        lambda x, o: _wrong(x, in_delta=1.0 - ended(x)),
    ),
    *mistake(
        "lambda-missing",
        "Lambda is missing in the running sum.",
        "A_t = delta_t + gamma lambda (1 - done_t) A_{t+1}",
        lambda x, o: _wrong(x, decay=x["gamma"]),
    ),
    *mistake(
        "gamma-missing",
        "Gamma is missing in the running sum, or in delta.",
        "delta_t = r_t + gamma V(s_{t+1}) - V(s_t); A_t = delta_t + gamma lambda A_{t+1}",
        lambda x, o: _wrong(x, decay=x["lam"]),
        lambda x, o: _wrong(x, gamma=1.0),
        lambda x, o: _wrong(x, gamma=1.0, decay=x["lam"]),
    ),
    *mistake(
        "lambda-inverted",
        "1 - lambda stands where lambda belongs.",
        "A_t = delta_t + gamma lambda (1 - done_t) A_{t+1}",
        lambda x, o: _wrong(x, decay=x["gamma"] * (1.0 - x["lam"])),
    ),
    *mistake(
        "lambda-in-delta",
        "Lambda discounts the next value too.",
        "delta_t = r_t + gamma V(s_{t+1}) - V(s_t)",
        lambda x, o: _wrong(x, gamma=x["gamma"] * x["lam"]),
    ),
    *mistake(
        "gamma-squared",
        "Gamma is applied twice.",
        "each step is discounted once",
        lambda x, o: _wrong(x, decay=x["gamma"] ** 2 * x["lam"]),
        lambda x, o: _wrong(x, gamma=x["gamma"] ** 2),
    ),
    *mistake(
        "value-not-subtracted",
        "V(s_t) is not subtracted.",
        "delta_t = r_t + gamma V(s_{t+1}) - V(s_t)",
        lambda x, o: _wrong(x, value=0.0),
    ),
    *mistake(
        "value-off-by-one",
        "The values are off by one: V(s_t) stands where V(s_{t+1}) belongs, or the other way round.",
        "delta_t = r_t + gamma V(s_{t+1}) - V(s_t)",
        lambda x, o: _wrong(x, next=x["values"]),
        lambda x, o: _wrong(x, next=x["values"], value=next_values(x)),
        lambda x, o: _wrong(x, value=next_values(x)),
        lambda x, o: _wrong(x, next=np.concatenate([x["values"][1:], x["values"][-1:]])),
    ),
    *mistake(
        "bootstrap-everywhere",
        "The value after the last step stands for every next value.",
        "delta_t = r_t + gamma V(s_{t+1}) - V(s_t)",
        lambda x, o: _wrong(x, next=x["last_value"][None]),
    ),
    *mistake(
        "not-accumulated",
        "One-step errors are returned; the running sum is missing.",
        "A_t = delta_t + gamma lambda (1 - done_t) A_{t+1}",
        lambda x, o: _wrong(x, decay=0.0),
    ),
    *mistake(
        "runs-forward",
        "The running sum goes from the first step to the last.",
        "A_t is computed from A_{t+1}: the loop runs backwards",
        lambda x, o: _wrong(x, forward=True),
        lambda x, o: _wrong(x, forward=True, in_sum=1.0 - before(x)),
    ),
    *mistake(
        "reversed-order",
        "The result lies in the order of computation, last step first.",
        "A_0 belongs to the first step: turn the list round, or insert at its head",
        lambda x, o: {name: each[::-1] for name, each in _wrong(x).items()},
    ),
    *mistake(
        "reward-off-by-one",
        "The reward of another step is used.",
        "delta_t uses r_t, the reward that follows the action at s_t",
        lambda x, o: _wrong(x, rewards=np.concatenate([x["rewards"][1:], 0 * x["rewards"][:1]])),
        lambda x, o: _wrong(x, rewards=np.roll(x["rewards"], -1, axis=0)),
        lambda x, o: _wrong(x, rewards=np.roll(x["rewards"], 1, axis=0)),
    ),
    *mistake(
        "wrong-sign",
        "A sign is wrong.",
        "A_t = Q(s_t, a_t) - V(s_t)",
        lambda x, o: {name: -each for name, each in _gae(x, o).items()},
        lambda x, o: {"return": _gae(x, o)["advantage"] - x["values"]},
        lambda x, o: _wrong(x, value=-x["values"]),
    ),
    *mistake(
        "return-without-value",
        "The returns lack V(s_t), or take V of another state.",
        "return_t = A_t + V(s_t)",
        lambda x, o: {"return": _gae(x, o)["advantage"]},
        lambda x, o: {"return": _gae(x, o)["advantage"] + next_values(x)},
    ),
    *mistake(
        "monte-carlo-return",
        "The returns are discounted sums of rewards, not those that belong to the advantages.",
        "return_t = A_t + V(s_t)",
        lambda x, o: {"return": _monte_carlo(x)},
    ),
    *mistake(
        "normalized",
        "The advantages come out standardised.",
        "A_t as it is; standardise in the minibatch",
        lambda x, o: {"advantage": standard(_gae(x, o)["advantage"], 0)},
        lambda x, o: {"advantage": standard(_gae(x, o)["advantage"], 1)},
    ),
    *mistake(
        "last-step-missing",
        "The loop begins one step early: the last step has no advantage.",
        "the loop runs over every step, t = T - 1 down to 0",
        lambda x, o: _without_last(x),
    ),
    *mistake(
        "wrong-axis",
        "The running sum goes along the copies of the environment, not along time.",
        "A_t is computed from A_{t+1} of the same copy",
        lambda x, o: {
            "advantage": accumulate(_gae(x, o)["delta"].T, x["gamma"] * x["lam"] * (1.0 - ended(x)).T).T
        },
    ),
)


_BOTH = ("step", "copy")

SUBJECTS = (
    Subject(
        name="returns:gae",
        title="generalised advantages and the returns that belong to them",
        equation="A_t = delta_t + gamma lambda (1 - done_t) A_{t+1}, "
        "delta_t = r_t + gamma (1 - done_t) V(s_{t+1}) - V(s_t)",
        axes=AXES,
        arguments=(
            *arguments_of(
                "rewards", "values", "next_value", "next_values", *FLAG_ROLES, "gamma", "lam", "sizes"
            ),
        ),
        outputs={"delta": _BOTH, "advantage": _BOTH, "return": _BOTH},
        single=("advantage", "return"),
        orders=(
            ("advantage", "return"),
            ("return", "advantage"),
            ("delta", "advantage"),
            ("advantage", "delta"),
            ("delta", "advantage", "return"),
            ("advantage", "return", "delta"),
        ),
        names={
            **dict.fromkeys(("deltas", "td_error", "td_errors", "td"), "delta"),
            **dict.fromkeys(("advantages", "adv", "advs", "gae", "gaes", "advs_buf"), "advantage"),
            **dict.fromkeys(("returns", "ret", "rets", "value_target", "value_targets", "targets"), "return"),
        },
        layouts=LAYOUTS,
        choices={
            "returns": Choice(
                values={
                    "advantage": "",
                    "rewards": "returns are discounted sums of rewards, not A_t + V(s_t)",
                },
                asked=("rewards",),
                named={"rewards": "finish_path"},  # Spinning Up's
            )
        },
        absences=(NO_FLAGS, NO_GAMMA, NO_LAMBDA),
        reference=_gae,
        mistakes=_GAE_MISTAKES,
        cases=stretches,
    ),
)
