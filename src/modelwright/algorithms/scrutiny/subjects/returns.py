"""Discounted returns.

    G_t = r_t + gamma (1 - terminated_t) G_{t+1}

Where an episode was cut off, and at the end of the stretch, V stands for what would have followed.

Source: Sutton and Barto, equation 3.9.
"""

from typing import Any

import numpy as np

from modelwright.algorithms.control.returns import discounted_returns
from modelwright.algorithms.scrutiny.subject import (
    Absent,
    Inputs,
    Options,
    Outputs,
    Subject,
    mistake,
    of_inputs,
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


def _discounted(x: Inputs, options: Options) -> Outputs:
    arrays = (x["rewards"], x["terminated"], ended(x), next_values(x))
    rewards, terminated, over, following = (each[None] for each in arrays)
    found = discounted_returns(rewards, terminated, over, following, x["gamma"])[0]
    return {"return": found, "total": found[0]}


def _sums(
    x: Inputs,
    mask: Any = None,
    *,
    gamma: Any = None,
    last: Any = None,
    rewards: Any = None,
    forward: bool = False,
) -> Outputs:
    """Return running sums of rewards with another mask, discount, end or order."""
    rewards = x["rewards"] if rewards is None else rewards
    gamma = x["gamma"] if gamma is None else gamma
    alive = np.broadcast_to(1.0 - ended(x) if mask is None else mask, rewards.shape)
    following = np.array(x["last_value"] if last is None else np.broadcast_to(last, x["last_value"].shape))
    if forward:
        following = np.zeros_like(following)
    found = np.zeros_like(rewards)
    for step in range(len(rewards)) if forward else range(len(rewards) - 1, -1, -1):
        following = rewards[step] + gamma * alive[step] * following
        found[step] = following
    return {"return": found, "total": found[0]}


def _scaled(x: Inputs) -> Outputs:
    rewards = x["rewards"]
    power = x["gamma"] ** np.arange(len(rewards)).reshape(-1, *(1 for _ in rewards.shape[1:]))
    found = np.cumsum((power * rewards)[::-1], axis=0)[::-1]
    return {"return": found, "total": found[0]}


_RETURN_MISTAKES = (
    *mistake(
        "done-off-by-one",
        OFF_BY_ONE[0],
        "G_t = r_t + gamma (1 - done_t) G_{t+1}",
        lambda x, o: _sums(x, later(x, ended(x)[-1])),
        lambda x, o: _sums(x, later(x, False)),
        lambda x, o: _sums(x, later(x, True)),
        lambda x, o: _sums(x, 1.0 - before(x)),
        lambda x, o: _sums(x, keep_last(x, 1.0 - before(x))),
        lambda x, o: _sums(x, 1.0 - np.concatenate([0 * ended(x)[:1], ended(x)[:-1]])),
        lambda x, o: _sums(x, 1.0 - np.roll(ended(x), 1, axis=0)),
        lambda x, o: _sums(x, 1.0 - np.roll(ended(x), -1, axis=0)),
    ),
    *mistake(
        "missing-bootstrap",
        "The value of the observation after the last step is missing.",
        "G_T = r_T + gamma (1 - done_T) V(s_{T+1})",
        lambda x, o: _sums(x, last=0.0),
    ),
    *mistake(
        "done-ignored",
        "Rewards of the next episode are counted.",
        "G_t = r_t + gamma (1 - done_t) G_{t+1}",
        lambda x, o: _sums(x, 1.0),
    ),
    *mistake(
        "mask-inverted",
        "The mask is inverted: done is used where 1 - done belongs.",
        "G_t = r_t + gamma (1 - done_t) G_{t+1}",
        lambda x, o: _sums(x, 1.0 * ended(x)),
    ),
    *mistake(
        "bootstraps-after-termination",
        "The value after the last step is counted although the task has ended.",
        "G_T = r_T + gamma (1 - done_T) V(s_{T+1})",
        lambda x, o: _sums(x, np.concatenate([1.0 - ended(x)[:-1], 1.0 + 0.0 * ended(x)[-1:]])),
    ),
    *mistake(
        "truncation-as-termination",
        "An episode that was cut off is taken for terminated.",
        "G_t = r_t + gamma (1 - terminated_t) V(s_{t+1}) where the episode is cut off",
        of_inputs(_discounted, lambda x: {"terminated": ended(x)}),
    ),
    *mistake(
        "gamma-missing",
        "Rewards are summed without a discount.",
        "G_t = r_t + gamma (1 - done_t) G_{t+1}",
        lambda x, o: _sums(x, gamma=1.0),
        lambda x, o: _sums(x, gamma=1.0, last=0.0),
    ),
    *mistake(
        "own-reward-discounted",
        "The reward of the step itself is discounted.",
        "G_t = r_t + gamma G_{t+1}, not gamma (r_t + G_{t+1})",
        lambda x, o: _sums(x, rewards=x["gamma"] * x["rewards"]),
    ),
    *mistake(
        "gamma-squared",
        "Gamma is applied twice.",
        "each step is discounted once",
        lambda x, o: _sums(x, gamma=x["gamma"] ** 2),
        lambda x, o: {name: x["gamma"] * each for name, each in _discounted(x, o).items()},
    ),
    *mistake(
        "bootstrap-not-discounted",
        "The value after the last step is not discounted.",
        "G_T = r_T + gamma (1 - done_T) V(s_{T+1})",
        lambda x, o: _sums(x, last=x["last_value"] / x["gamma"]) if x["gamma"] else {},
    ),
    *mistake(
        "runs-forward",
        "The sum runs from the first step to the last.",
        "G_t is computed from G_{t+1}: the loop runs backwards",
        lambda x, o: _sums(x, forward=True),
        lambda x, o: _sums(x, 1.0 - before(x), forward=True),
    ),
    *mistake(
        "reversed-order",
        "The result lies in the order of computation, last step first.",
        "G_0 belongs to the first step: turn the list round, or insert at its head",
        lambda x, o: {"return": _discounted(x, o)["return"][::-1]},
    ),
    *mistake(
        "discounted-from-the-start",
        "Rewards are discounted from the start of the stretch, not from the step itself.",
        "G_t = sum_k gamma^k r_{t+k}",
        lambda x, o: _scaled(x),
    ),
    *mistake(
        "own-reward-missing",
        "The return begins with the next reward.",
        "G_t = r_t + gamma G_{t+1}",
        lambda x, o: _sums(x, rewards=np.concatenate([x["rewards"][1:], 0 * x["rewards"][:1]])),
        lambda x, o: {"return": (_discounted(x, o)["return"] - x["rewards"])},
    ),
    *mistake(
        "not-accumulated",
        "Only one reward and the value that follows are counted.",
        "G_t = r_t + gamma (1 - done_t) G_{t+1}",
        lambda x, o: {"return": x["rewards"]},
        lambda x, o: {"return": x["rewards"] + x["gamma"] * (1.0 - x["terminated"]) * next_values(x)},
    ),
    *mistake(
        "whole-episode",
        "Every step has the return of the whole stretch.",
        "G_t counts what follows step t",
        lambda x, o: {"return": np.broadcast_to(_discounted(x, o)["total"], x["rewards"].shape)},
    ),
    *mistake(
        "normalized",
        "The returns come out standardised.",
        "G_t as it is",
        lambda x, o: {"return": standard(_discounted(x, o)["return"], 0)},
        lambda x, o: {"return": standard(_discounted(x, o)["return"], 1)},
    ),
    *mistake(
        "wrong-sign",
        "A sign is wrong.",
        "G_t = r_t + gamma G_{t+1}",
        lambda x, o: {name: -each for name, each in _discounted(x, o).items()},
    ),
    *mistake(
        "wrong-axis",
        "The sum goes along the copies of the environment, not along time.",
        "G_t is computed from G_{t+1} of the same copy",
        lambda x, o: {"return": accumulate(x["rewards"].T, x["gamma"] * (1.0 - ended(x)).T).T},
        lambda x, o: {"return": accumulate(x["rewards"].T, x["gamma"] * np.ones_like(x["rewards"]).T).T},
    ),
)

_NO_BOOTSTRAP = Absent(
    roles=("next_value", "next_values"),
    ways={
        "what follows the last step is worth nothing": lambda x: {
            **x,
            "last_value": np.zeros_like(x["last_value"]),
            "final_values": np.zeros_like(x["final_values"]),
        }
    },
)
_BOTH = ("step", "copy")

SUBJECTS = (
    Subject(
        name="returns:discounted",
        title="discounted returns, with and without a bootstrap",
        equation="G_t = r_t + gamma (1 - done_t) G_{t+1}",
        axes=AXES,
        arguments=(*arguments_of("rewards", "next_value", "next_values", *FLAG_ROLES, "gamma", "sizes"),),
        outputs={"return": _BOTH, "total": ("copy",)},
        single=("return", "total"),
        names={**dict.fromkeys(("returns", "ret", "rets", "g", "discounted"), "return")},
        layouts=LAYOUTS,
        absences=(NO_FLAGS, _NO_BOOTSTRAP, NO_GAMMA),
        reference=_discounted,
        mistakes=_RETURN_MISTAKES,
        cases=stretches,
    ),
)
