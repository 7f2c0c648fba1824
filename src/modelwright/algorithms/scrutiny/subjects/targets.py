"""Targets of critics: the largest next value, double Q-learning's, and the smaller of two critics.

y = r + gamma (1 - terminated) max_a Q'(s', a)
y = r + gamma (1 - terminated) Q'(s', argmax_a Q(s', a))                  double
y = r + gamma (1 - terminated) min(Q1'(s', a'), Q2'(s', a'))              two critics
"""

from typing import Any

import numpy as np
import torch

from modelwright.algorithms.dqn import double_q_target, td_target
from modelwright.algorithms.scrutiny.subject import (
    Argument,
    Inputs,
    Options,
    Outputs,
    Subject,
    mistake,
    words,
)
from modelwright.algorithms.scrutiny.subjects.rows import (
    ALIVE,
    DISCOUNTS,
    GAMMA,
    LAYOUTS,
    NO_FLAGS,
    NO_GAMMA,
    REWARDS,
    TERMINATED,
    TRUNCATED,
    smaller,
    tensors,
)
from modelwright.algorithms.scrutiny.subjects.target_mistakes import (
    discount,
    of_value,
    reduced,
    target_mistakes,
    target_rows,
)
from modelwright.algorithms.td3 import twin_target

__all__ = ["SUBJECTS"]

_ROW, _TABLE = ("row",), ("row", "action")


# ---- the largest next value ----


def _td(x: Inputs, options: Options) -> Outputs:
    t = tensors({**x, "discount": np.asarray(discount(x))})
    found = td_target(t["rewards"][None], t["discount"][None], t["next_q"][None])[0].numpy()
    return {"next_value": x["next_q"].max(axis=-1), "target": found}


_TD = "y = r + gamma (1 - terminated) max_a Q'(s', a)"
_TD_MISTAKES = (
    *target_mistakes(lambda x: x["next_q"].max(axis=-1), _td, _TD),
    *mistake(
        "mean-in-place-of-max",
        "Next values are averaged over actions.",
        _TD,
        of_value(lambda x: reduced(x["next_q"], np.mean)),
    ),
    *mistake(
        "sum-in-place-of-max",
        "Next values are summed over actions.",
        _TD,
        of_value(lambda x: reduced(x["next_q"], np.sum)),
    ),
    *mistake(
        "min-in-place-of-max",
        "The smallest next value is taken.",
        _TD,
        of_value(lambda x: reduced(x["next_q"], np.min)),
    ),
    *mistake(
        "argmax-in-place-of-max",
        "The number of the best action is taken for its value.",
        _TD,
        of_value(lambda x: 1.0 * reduced(x["next_q"], np.argmax)),
    ),
    *mistake(
        "wrong-axis",
        "The largest value is taken over rows, or over the whole batch, not over actions.",
        _TD,
        of_value(lambda x: np.broadcast_to(x["next_q"].max(), np.shape(x["rewards"]))),
        of_value(lambda x: x["next_q"].max(axis=0)),
        lambda x, o: {
            "target": np.reshape(x["rewards"], (-1, 1))
            + np.reshape(discount(x), (-1, 1)) * x["next_q"].max(axis=0)
        },
    ),
    *mistake(
        "first-action",
        "The value of a fixed action is taken.",
        _TD,
        of_value(lambda x: x["next_q"][..., 0]),
        of_value(lambda x: x["next_q"][..., -1]),
    ),
    *mistake(
        "not-reduced",
        "There is a target for every action.",
        _TD,
        lambda x, o: {
            "target": np.expand_dims(x["rewards"], -1) + np.expand_dims(discount(x), -1) * x["next_q"]
        },
    ),
)

# ---- double ----


def _chosen(values: Any, by: Any) -> Any:
    return np.take_along_axis(values, by.argmax(axis=-1)[..., None], axis=-1)[..., 0]


def _double(x: Inputs, options: Options) -> Outputs:
    t = tensors({**x, "discount": np.asarray(discount(x))})
    found = double_q_target(
        t["rewards"][None], t["discount"][None], t["next_q_target"][None], t["next_q_online"][None]
    )[0].numpy()
    return {"next_value": _chosen(x["next_q_target"], x["next_q_online"]), "target": found}


_DOUBLE = "y = r + gamma (1 - terminated) Q'(s', argmax_a Q(s', a))"
_DOUBLE_MISTAKES = (
    *mistake(
        "networks-swapped",
        "The target network chooses and the online network judges.",
        "the online Q chooses, the target Q' judges",
        of_value(lambda x: _chosen(x["next_q_online"], x["next_q_target"])),
    ),
    *mistake(
        "not-double",
        "The target network both chooses and judges: plain Q-learning.",
        _DOUBLE,
        of_value(lambda x: x["next_q_target"].max(axis=-1)),
    ),
    *mistake(
        "online-only",
        "The online network both chooses and judges.",
        _DOUBLE,
        of_value(lambda x: x["next_q_online"].max(axis=-1)),
    ),
    *target_mistakes(lambda x: _chosen(x["next_q_target"], x["next_q_online"]), _double, _DOUBLE),
    *mistake(
        "min-in-place-of-max",
        "The worst action is chosen, or the smaller of two values taken.",
        _DOUBLE,
        of_value(lambda x: _chosen(x["next_q_target"], -x["next_q_online"])),
        of_value(lambda x: np.minimum(x["next_q_target"].max(axis=-1), x["next_q_online"].max(axis=-1))),
        of_value(lambda x: np.minimum(x["next_q_target"], x["next_q_online"]).max(axis=-1)),
    ),
    *mistake(
        "wrong-axis",
        "The action is chosen over rows, not over actions.",
        _DOUBLE,
        of_value(
            lambda x: np.take_along_axis(x["next_q_target"], x["next_q_online"].argmax(axis=0)[None], axis=0)[
                0
            ]
        ),
    ),
    *mistake(
        "averaged",
        "The networks' values are averaged.",
        _DOUBLE,
        of_value(lambda x: (0.5 * (x["next_q_target"] + x["next_q_online"])).max(axis=-1)),
        of_value(lambda x: x["next_q_target"].mean(axis=-1)),
    ),
)

# ---- two critics ----


def _twin(x: Inputs, options: Options) -> Outputs:
    t = tensors({**x, "discount": np.asarray(discount(x))})
    both = torch.stack([t["next_q1"], t["next_q2"]])[:, None]
    found = twin_target(t["rewards"][None], t["discount"][None], both)[0].numpy()
    return {"next_value": np.minimum(x["next_q1"], x["next_q2"]), "target": found}


_TWIN = "y = r + gamma (1 - terminated) min(Q1'(s', a'), Q2'(s', a'))"
_TWIN_MISTAKES = (
    *mistake(
        "max-in-place-of-min",
        "The larger of the critics is taken.",
        _TWIN,
        of_value(lambda x: np.maximum(x["next_q1"], x["next_q2"])),
    ),
    *mistake(
        "mean-in-place-of-min",
        "The critics are averaged.",
        _TWIN,
        of_value(lambda x: 0.5 * (x["next_q1"] + x["next_q2"])),
    ),
    *mistake(
        "sum-in-place-of-min",
        "The critics are added up.",
        _TWIN,
        of_value(lambda x: x["next_q1"] + x["next_q2"]),
    ),
    *mistake(
        "one-critic",
        "Only one critic is used.",
        _TWIN,
        of_value(lambda x: x["next_q1"]),
        of_value(lambda x: x["next_q2"]),
    ),
    *target_mistakes(lambda x: np.minimum(x["next_q1"], x["next_q2"]), _twin, _TWIN),
    *mistake(
        "wrong-axis",
        "The smallest value of the batch is taken, not of the two critics.",
        _TWIN,
        of_value(
            lambda x: np.broadcast_to(np.minimum(x["next_q1"], x["next_q2"]).min(), np.shape(x["rewards"]))
        ),
    ),
)

_COMMON = (REWARDS, TERMINATED, TRUNCATED, *ALIVE, DISCOUNTS, GAMMA)
_AXES = {"rewards": _ROW, "terminated": _ROW, "truncated": _ROW}
_OUTPUTS = {"next_value": _ROW, "target": _ROW}
_NAMES = {
    **dict.fromkeys(("targets", "td_target", "td_targets", "y", "target_q", "q_target", "backup"), "target"),
    **dict.fromkeys(("next_v", "next_q", "max_next_q"), "next_value"),
}
_SHARED: dict[str, Any] = {
    "outputs": _OUTPUTS,
    "single": ("target",),
    "orders": (("next_value", "target"), ("target", "next_value")),
    "names": _NAMES,
    "layouts": LAYOUTS,
    "absences": (NO_FLAGS, NO_GAMMA),
}

SUBJECTS = (
    Subject(
        name="dqn:td_target",
        title="targets of Q-learning with a target network",
        equation=_TD,
        axes={**_AXES, "next_q": _TABLE},
        arguments=(
            *_COMMON,
            Argument(
                role="next_q",
                names=words(
                    "next_q next_q_values q_next next_qs target_q q_target_next q_t next_q_target "
                    "next_q_targets target_next_q q_next_target q_values_next next_qvals qs_next next_q_vals "
                    "q_target target_qs next_target_q q q_targets_next next_action_values target_q_values "
                    "q_prime qnext q_values next_q_value target_next_qs next_state_q next_state_q_values"
                ),
                axes=_TABLE,
                doc="Q'(s', .)",
            ),
            Argument(
                role="next_q",
                names=words(
                    "max_next_q next_max target_max next_max_q next_q_max next_value next_values "
                    "next_state_values next_v max_q max_next q_max next_q_value max_next_q_values "
                    "next_state_value max_q_next"
                ),
                axes=_ROW,
                make=lambda x: x["next_q"].max(axis=-1),
                says="of the best action already",
                doc="max_a Q'(s', a)",
            ),
        ),
        reference=_td,
        mistakes=_TD_MISTAKES,
        cases=lambda generator: target_rows(generator, next_q=(1,)),
        **_SHARED,
    ),
    Subject(
        name="dqn:double_q_target",
        title="targets of double Q-learning",
        equation=_DOUBLE,
        axes={**_AXES, "next_q_online": _TABLE, "next_q_target": _TABLE},
        arguments=(
            *_COMMON,
            Argument(
                role="next_q_online",
                names=words(
                    "next_q_online online_next_q q_next_online next_q next_q_values q_online online_q "
                    "online_q_next chooser selector q_t_selector next_q_policy q_next q_policy policy_q_next "
                    "next_qs online_next_q_values next_qs_online q_online_next next_online_q q_eval_next "
                    "q_eval next_q_main q_main next_q_values_online online_qs next_online_qs online_next "
                    "q_local q_net_next"
                ),
                axes=_TABLE,
                doc="Q(s', .) of the online network",
            ),
            Argument(
                role="next_q_target",
                names=words(
                    "next_q_target target_next_q q_next_target next_target_q q_target target_q q_t_value "
                    "q_target_next target_q_next next_target_qs target_next_q_values next_qs_target q_tgt "
                    "next_q_tgt target_qs q_targets_next target_q_values next_q_targets next_q_values_target "
                    "target_next q_tgt_next next_target_q_values"
                ),
                axes=_TABLE,
                doc="Q'(s', .) of the target network",
            ),
        ),
        reference=_double,
        mistakes=_DOUBLE_MISTAKES,
        cases=lambda generator: target_rows(generator, next_q_online=(1,), next_q_target=(1,)),
        **_SHARED,
    ),
    Subject(
        name="td3:target",
        title="targets from the smaller of two critics",
        equation=_TWIN,
        axes={**_AXES, "next_q1": _ROW, "next_q2": _ROW},
        arguments=(
            *_COMMON,
            Argument(
                role="next_q1",
                names=words(
                    "next_q1 q1_next target_q1 q1_target qf1_next_target q1 next_q_1 q1_next_target "
                    "target_next_q1 q1_pi_targ qf1_next next_q1_target q1_t next_qf1 q1_tgt qf1 next_q_a "
                    "q1_targ q_1 q1_prime next_target_q1"
                ),
                axes=_ROW,
                doc="Q1'(s', a')",
            ),
            Argument(
                role="next_q2",
                names=words(
                    "next_q2 q2_next target_q2 q2_target qf2_next_target q2 next_q_2 q2_next_target "
                    "target_next_q2 q2_pi_targ qf2_next next_q2_target q2_t next_qf2 q2_tgt qf2 next_q_b "
                    "q2_targ q_2 q2_prime next_target_q2"
                ),
                axes=_ROW,
                doc="Q2'(s', a')",
            ),
            Argument(
                role="min_next_q",
                names=(
                    "min_next_q",
                    "min_q",
                    "min_qf_next_target",
                    "next_q",
                    "min_next_q_target",
                    "next_q_min",
                ),
                axes=_ROW,
                make=lambda x: smaller(x["next_q1"], x["next_q2"]),
                bars=("next_q1", "next_q2"),
                says="the smaller of the critics already",
                doc="min(Q1', Q2')",
            ),
        ),
        reference=_twin,
        mistakes=_TWIN_MISTAKES,
        cases=lambda generator: target_rows(generator, next_q1=(), next_q2=()),
        **_SHARED,
    ),
)
