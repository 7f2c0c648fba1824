"""The losses of soft actor-critic.

y = r + gamma (1 - terminated) (min(Q1', Q2') - alpha log pi(a'|s'))       no gradient runs through y
L_critic = mean [(Q1 - y)^2 + (Q2 - y)^2]
L_actor  = mean [alpha log pi(a|s) - min(Q1, Q2)]
L_alpha  = mean [-alpha (log pi(a|s) + H)]                                  no gradient runs to pi
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from modelwright.algorithms.sac import actor_loss, soft_target, temperature_loss
from modelwright.algorithms.scrutiny.subject import (
    Absent,
    Argument,
    Choice,
    Gradients,
    Inputs,
    Options,
    Outputs,
    Subject,
    fixed_at,
    words,
)
from modelwright.algorithms.scrutiny.subjects.rows import (
    ALIVE,
    DISCOUNTS,
    FREE_LAYOUTS,
    GAMMA,
    NO_FLAGS,
    NO_GAMMA,
    REWARDS,
    TERMINATED,
    TRUNCATED,
    smaller,
    tensors,
)
from modelwright.algorithms.scrutiny.subjects.soft_batches import soft_cases
from modelwright.algorithms.scrutiny.subjects.soft_mistakes import ACTOR, CRITIC, TEMPERATURE

__all__ = ["SUBJECTS"]

_ROW = ("row",)


def _critic(t: dict[str, Any], options: Options) -> dict[str, Any]:
    """Return target and losses of each row, torch."""
    discount = t["gamma"] * (1.0 - t["terminated"].double())
    following = torch.stack([t["next_q1"], t["next_q2"]][: t["critics"]])[:, None]
    target = soft_target(
        t["rewards"][None], discount[None], following, t["next_log_prob"][None], torch.as_tensor(t["alpha"])
    )[0].detach()
    half = 0.5 if options["half"] == "yes" else 1.0
    one, two = half * (t["q1"] - target).square(), half * (t["q2"] - target).square()
    return {"target": target, "q1_loss": one, "q2_loss": two, "loss": one + two if t["critics"] == 2 else one}


def _actor(t: dict[str, Any], options: Options) -> dict[str, Any]:
    q = torch.stack([t["q1"], t["q2"]][: t["critics"]])[:, None]
    return {"loss": actor_loss(q, t["log_prob"][None], torch.as_tensor(t["alpha"]))[0]}


def _temperature(t: dict[str, Any], options: Options) -> dict[str, Any]:
    if options["form"] == "alpha":
        return {"loss": temperature_loss(t["log_alpha"], t["log_prob"][None], t["target_entropy"])[0]}
    return {"loss": -t["log_alpha"] * (t["log_prob"].detach() + t["target_entropy"])}


def _reference(
    parts: Callable[[dict[str, Any], Options], dict[str, Any]],
) -> Callable[[Inputs, Options], Outputs]:
    def outputs(x: Inputs, options: Options) -> Outputs:
        mean = options["reduction"] == "mean"
        return {
            name: (each.mean() if mean and name != "target" else each).numpy()
            for name, each in parts(tensors(x), options).items()
        }

    return outputs


def _both(*bases: str) -> dict[str, tuple[str, ...]]:
    """Return names of the first and the second critic."""
    return {number: tuple(base.replace("#", number) for base in bases) for number in ("1", "2")}


_Q = _both(
    "q#",
    "qf#",
    "q_#",
    "q#_pred",
    "qf#_a_values",
    "current_q#",
    "q#_value",
    "q#_values",
    "qf#_values",
    "critic#",
    "pred_q#",
    "qa#",
    "q#_a",
    "q_value#",
    "q#s",
)
_Q_PI = _both(
    "q#",
    "q#_pi",
    "qf#_pi",
    "q_#",
    "qf#",
    "q#_new",
    "q#_new_actions",
    "qf#_value",
    "q#_value",
    "q_pi#",
    "q#_a",
    "q#_values",
)
_NEXT = _both(
    *(
        "next_q#",
        "q#_next",
        "target_q#",
        "q#_target",
        "qf#_next_target",
        "next_q_#",
        "q#_next_target",
        "q#_pi_targ",
    ),
    *(
        "target_next_q#",
        "qf#_next",
        "next_q#_target",
        "next_qf#",
        "q#_targ",
        "target_qf#",
        "q#_prime",
        "q_targ#",
    ),
)
_ALPHA = (
    Argument(
        role="alpha",
        names=words("alpha temperature ent_coef temp entropy_coef entropy_coefficient al a"),
        doc="alpha",
    ),
    Argument(
        role="alpha",
        names=("log_alpha", "log_temperature", "log_ent_coef", "log_temp", "logalpha"),
        make=lambda x: np.asarray(np.log(x["alpha"])),
        doc="log alpha",
    ),
)
_LOGS = words(
    "log_prob log_pi logp log_probs logp_pi log_prob_pi logprob logpi action_log_prob log_p "
    "lp logprobs log_pis log_prob_actions action_log_probs curr_log_probs"
)
_NEXT_LOGS = (
    *(f"next_{name}" for name in _LOGS),
    *(
        "next_state_log_pi",
        "logp_a2",
        "logp_next",
        "next_logp_pi",
        "log_pi_next",
        "log_prob_next",
        "log_probs_next",
    ),
    *("next_action_log_prob", "logp_prime", "next_action_log_probs", "new_log_pi", *_LOGS),
)
_REDUCTION = Choice(values={"mean": "", "none": "one number for each row, not their mean"})
_STOP = Choice(
    values={"inside": "", "caller": "the caller stops the gradient, as you said: it was not compared"},
    asked=("caller",),
)
_ONE_CRITIC = {"there is one critic": lambda x: {**x, "critics": 1}}
_CRITIC_AXES = dict.fromkeys(
    words("q1 q2 rewards terminated truncated next_q1 next_q2 next_log_prob log_prob"), _ROW
)


def _soft_target(x: Inputs) -> Any:
    value = np.minimum(x["next_q1"], x["next_q2"]) if x["critics"] == 2 else x["next_q1"]
    alive = 1.0 - x["terminated"]
    return x["rewards"] + x["gamma"] * alive * (value - x["alpha"] * x["next_log_prob"])


def _given_target(x: Inputs) -> Any:
    if hasattr(x["rewards"], "detach"):
        return _critic(x, {"half": "no"})["target"]
    return _soft_target(x)


def _list_of(first: str, second: str, names: str) -> Argument:
    """Return how both critics' values are told as one list."""
    return Argument(
        role=f"{first} and {second}",
        names=words(names),
        axes=("critic", "row"),
        kind="list",
        make=lambda x: [x[first], x[second]],
        bars=(first, second),
        says="of both critics together",
        doc=f"[{first}, {second}]",
    )


SUBJECTS = (
    Subject(
        name="sac:critic_loss",
        title="both critics' loss against the soft target",
        equation="L = mean[(Q1 - y)^2 + (Q2 - y)^2], y = r + gamma (1 - terminated) (min Q' - alpha log pi')",
        axes=_CRITIC_AXES,
        arguments=(
            Argument(
                role="q1",
                names=(*_Q["1"], "q", "q_pred", "qf", "current_q", "q_value", "q_values"),
                axes=_ROW,
                doc="Q1(s, a)",
            ),
            Argument(role="q2", names=_Q["2"], axes=_ROW, doc="Q2(s, a)"),
            _list_of("q1", "q2", "current_q_values q_values_list qs q_list current_qs q_preds q_values"),
            REWARDS,
            TERMINATED,
            TRUNCATED,
            *ALIVE,
            DISCOUNTS,
            Argument(role="next_q1", names=_NEXT["1"], axes=_ROW, doc="Q1'(s', a')"),
            Argument(role="next_q2", names=_NEXT["2"], axes=_ROW, doc="Q2'(s', a')"),
            _list_of(
                "next_q1",
                "next_q2",
                "next_q_values target_q_values next_qs target_qs next_q_list target_next_q_values",
            ),
            Argument(
                role="min_next_q",
                names=words("min_next_q min_qf_next_target next_q min_q_next next_q_min next_v min_q"),
                axes=_ROW,
                make=lambda x: smaller(x["next_q1"], x["next_q2"]) if x["critics"] == 2 else x["next_q1"],
                bars=("next_q1", "next_q2"),
                says="the smaller of the critics already",
                doc="min(Q1', Q2')",
            ),
            Argument(
                role="target",
                names=words(
                    "target target_q targets next_q_value y backup q_target td_target target_q_values "
                    "q_targets target_value"
                ),
                axes=_ROW,
                make=_given_target,
                bars=("next_q1", "min_next_q", "rewards"),
                says="the soft target already",
                doc="y",
            ),
            Argument(role="next_log_prob", names=_NEXT_LOGS, axes=_ROW, doc="log pi(a'|s')"),
            *_ALPHA,
            GAMMA,
        ),
        outputs={"target": _ROW, "q1_loss": _ROW, "q2_loss": _ROW, "loss": _ROW},
        single=("loss",),
        orders=(
            ("q1_loss", "q2_loss"),
            ("loss", "target"),
            ("target", "loss"),
            ("loss", "q1_loss", "q2_loss"),
            ("q1_loss", "q2_loss", "loss"),
        ),
        names={
            **dict.fromkeys(("qf1_loss", "loss_q1", "critic1_loss"), "q1_loss"),
            **dict.fromkeys(("qf2_loss", "loss_q2", "critic2_loss"), "q2_loss"),
            **dict.fromkeys(("qf_loss", "critic_loss", "loss_q", "q_loss"), "loss"),
            **dict.fromkeys(("next_q_value", "target_q", "backup", "y"), "target"),
        },
        layouts=FREE_LAYOUTS,
        choices={
            "half": Choice(
                values={"no": "", "yes": "with the factor 1/2, which is the mean of two critics' losses too"}
            ),
            "reduction": _REDUCTION,
            "stop": _STOP,
        },
        absences=(
            Absent(roles=("q2", "q1 and q2"), ways=_ONE_CRITIC),
            NO_FLAGS,
            NO_GAMMA,
            Absent(
                roles=("alpha", "target"),
                ways={
                    f"alpha is {a:g} in the function": (lambda x, a=a: {**x, "alpha": a})
                    for a in (0.2, 0.1, 1.0)
                },
            ),
        ),
        reference=_reference(_critic),
        mistakes=CRITIC,
        cases=soft_cases,
        gradients=Gradients(
            loss=lambda t, o: _critic(t, o)["loss"].mean(),
            learned=("q1", "q2"),
            stopped=("next_q1", "next_q2", "next_log_prob"),
        ),
    ),
    Subject(
        name="sac:actor_loss",
        title="the actor's loss against the smaller critic",
        equation="L = mean[alpha log pi(a|s) - min(Q1(s, a), Q2(s, a))]",
        axes=_CRITIC_AXES,
        arguments=(
            *_ALPHA,
            Argument(role="log_prob", names=_LOGS, axes=_ROW, doc="log pi(a|s)"),
            Argument(role="q1", names=_Q_PI["1"], axes=_ROW, doc="Q1(s, a)"),
            Argument(role="q2", names=_Q_PI["2"], axes=_ROW, doc="Q2(s, a)"),
            Argument(
                role="min_q",
                names=words(
                    "min_q min_qf_pi q_pi q min_q_pi q_min min_qf q_value q_values q_new min_q_value"
                ),
                axes=_ROW,
                make=lambda x: smaller(x["q1"], x["q2"]),
                bars=("q1", "q2"),
                says="the smaller of the critics already",
                doc="min(Q1, Q2)",
            ),
        ),
        outputs={"loss": _ROW},
        single=("loss",),
        names=dict.fromkeys(("actor_loss", "loss_pi", "pi_loss", "policy_loss"), "loss"),
        layouts=FREE_LAYOUTS,
        choices={"reduction": _REDUCTION},
        absences=(
            Absent(roles=("q2", "min_q"), ways=_ONE_CRITIC),
            fixed_at("alpha", 0.2, 0.1, 1.0),
        ),
        reference=_reference(_actor),
        mistakes=ACTOR,
        cases=soft_cases,
        gradients=Gradients(loss=lambda t, o: _actor(t, o)["loss"].mean(), learned=("log_prob", "q1", "q2")),
    ),
    Subject(
        name="sac:temperature_loss",
        title="the temperature's loss against the target entropy",
        equation="L = -mean[alpha (log pi(a|s) + H)], log pi held fixed",
        axes={"log_prob": _ROW},
        arguments=(
            Argument(
                role="log_alpha",
                names=("log_alpha", "log_temperature", "log_ent_coef", "log_temp", "logalpha", "la"),
                doc="log alpha",
            ),
            Argument(
                role="log_alpha",
                names=("alpha", "temperature", "ent_coef", "temp"),
                make=lambda x: (
                    x["log_alpha"].exp() if hasattr(x["log_alpha"], "detach") else np.exp(x["log_alpha"])
                ),
                doc="alpha",
            ),
            Argument(role="log_prob", names=_LOGS, axes=_ROW, doc="log pi(a|s)"),
            Argument(
                role="target_entropy",
                names=words("target_entropy entropy_target h h_target h_bar target_ent target_h target"),
                doc="H",
            ),
        ),
        outputs={"loss": _ROW},
        single=("loss",),
        names=dict.fromkeys(("alpha_loss", "temperature_loss", "ent_coef_loss"), "loss"),
        layouts=FREE_LAYOUTS,
        choices={
            "form": Choice(
                values={"alpha": "", "log": "with log alpha in place of alpha, which has the same root"}
            ),
            "reduction": _REDUCTION,
            "stop": _STOP,
        },
        absences=(fixed_at("target_entropy", -1.0, -3.0, -6.0),),
        reference=_reference(_temperature),
        mistakes=TEMPERATURE,
        cases=soft_cases,
        gradients=Gradients(
            loss=lambda t, o: _temperature(t, o)["loss"].mean(), learned=("log_alpha",), stopped=("log_prob",)
        ),
    ),
)
