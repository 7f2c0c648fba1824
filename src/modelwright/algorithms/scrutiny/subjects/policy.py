"""The losses of proximal policy optimisation, and its standardised advantages.

L_clip  = -mean_t min(rho_t A_t, clip(rho_t, 1 - eps, 1 + eps) A_t),   rho_t = exp(log pi - log pi_old)
L_value = mean_t max((V - G)^2, (V_old + clip(V - V_old, -eps, eps) - G)^2) / 2
L       = L_clip + c_v L_value - c_e mean_t H_t
"""

from dataclasses import replace
from typing import Any

from modelwright.algorithms.ppo import clipped_loss, value_loss
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
from modelwright.algorithms.scrutiny.subjects.policy_batches import policy_cases
from modelwright.algorithms.scrutiny.subjects.policy_mistakes import POLICY
from modelwright.algorithms.scrutiny.subjects.rows import FREE_LAYOUTS, exponential, tensors
from modelwright.algorithms.scrutiny.subjects.value_mistakes import VALUE

__all__ = ["SUBJECTS"]

_ROW = ("row",)


# ---- references: the learner's functions, and torch for what differentiates ----


def _policy(t: dict[str, Any], options: Options) -> dict[str, Any]:
    """Return the parts of the loss for each row, torch."""
    log_ratio = t["log_prob"] - t["old_log_prob"]
    ratio = log_ratio.exp()
    advantage = t["advantages"]
    if options["normalized"] != "no":
        freedom = 1 if options["normalized"] == "n-1" else 0
        advantage = (advantage - advantage.mean()) / (advantage.std(correction=freedom) + 1e-8)
    policy = clipped_loss(ratio, advantage, t["clip"])
    sign = -1.0 if options["sign"] == "objective" else 1.0
    value = _value(t, options)
    loss = policy + t["value_coefficient"] * value - t["entropy_coefficient"] * t["entropy"]
    kl = {
        "k3": (ratio - 1.0) - log_ratio,
        "k1": -log_ratio,
        "k2": 0.5 * log_ratio.square(),
    }[options["kl"]]
    return {
        "ratio": ratio,
        "policy_loss": sign * policy,
        "value_loss": value,
        "entropy": t["entropy"],
        "approx_kl": kl,
        "clip_fraction": ((ratio - 1.0).abs() > t["clip"]).double(),
        "loss": sign * loss,
    }


def _value(t: dict[str, Any], options: Options) -> Any:
    clip = t["clip"] if options["clipped"] == "yes" and t.get("clips_value", True) else None
    whole = 2.0 if options["half"] == "no" else 1.0
    if options["clipped"] == "only":
        bent = t["old_value"] + (t["value"] - t["old_value"]).clamp(-t["clip"], t["clip"])
        return whole * value_loss(bent, t["old_value"], t["returns"], None)
    return whole * value_loss(t["value"], t["old_value"], t["returns"], clip)


def _means(parts: dict[str, Any], options: Options) -> Outputs:
    kept = ("ratio",)
    reduce = options["reduction"] == "mean"
    return {
        name: (each.mean() if reduce and name not in kept else each).numpy() for name, each in parts.items()
    }


def _policy_outputs(x: Inputs, options: Options) -> Outputs:
    return _means(_policy(tensors(x), options), options)


def _value_outputs(x: Inputs, options: Options) -> Outputs:
    return _means({"loss": _value(tensors(x), options)}, options)


_HALF = Choice(values={"yes": "", "no": "the value loss is the whole squared error, without the factor 1/2"})
_REDUCTION = Choice(values={"mean": "", "none": "one number for each row, not their mean"})
_CLIPPED = Choice(
    values={
        "yes": "",
        "no": "the value loss is not clipped",
        "only": "the value loss is that of the clipped value alone",
    },
    asked=("no", "only"),
    told={"only": ("clip_range_vf",)},  # Stable-Baselines3's
)
_CLIP = Argument(
    role="clip",
    names=words(
        "clip clip_eps eps epsilon clip_coef clip_range cliprange clip_param clip_ratio eps_clip "
        "ppo_clip clip_epsilon clip_coefficient clip_range_vf cliprange_value clip_vf value_clip "
        "vf_clip clip_value clip_e ppo_epsilon ppo_eps vf_clip_param"
    ),
    doc="eps",
)
_VALUES = (
    Argument(
        role="value",
        names=words(
            "value values new_value newvalue new_values v vpred vpreds vals v_new value_pred "
            "value_preds newvalues v_pred values_pred curr_values predicted_values pred_values vf "
            "state_values state_value critic pred preds v_s"
        ),
        axes=_ROW,
        doc="V(s_t)",
    ),
    Argument(
        role="old_value",
        names=words(
            "old_value old_values v_old old_vpred b_values value_old values_old old_v "
            "value_preds_batch old_vpreds oldvpred mb_values old_value_preds old_vals vpredold values "
            "oldvalue oldvalues behavior_values prev_values rollout_values old_v_s"
        ),
        axes=_ROW,
        needs=("value",),
        doc="V_old(s_t)",
    ),
    Argument(
        role="returns",
        names=words(
            "returns return ret rets target targets value_target value_targets g return_batch "
            "b_returns v_target v_targets td_target reward_to_go rtgs y"
        ),
        axes=_ROW,
        doc="G_t",
    ),
)
_NO_OLD_VALUE = Absent(
    roles=("old_value",),
    ways={"without old values the value loss is not clipped": lambda x: {**x, "clips_value": False}},
)
_FLAGS = (
    Argument(
        role="norm_adv",
        names=("norm_adv", "normalize_advantage", "normalize_advantages", "normalize", "norm_advantage"),
        kind="plain",
        make=lambda x: False,
        doc="whether to standardise: it is told not to",
    ),
    Argument(
        role="clip_vloss",
        names=("clip_vloss", "clip_value_loss", "use_clipped_value_loss", "value_clipping", "clip_vf_loss"),
        kind="plain",
        make=lambda x: True,
        doc="whether to clip the value loss: it is told so",
    ),
)


def _ratio(x: Inputs) -> Any:
    return exponential(x["log_prob"] - x["old_log_prob"])


def _names(*prefixes: str) -> tuple[str, ...]:
    bases = words("log_prob log_probs logprob logprobs logp logps log_pi logpi logpac lp")
    return tuple(
        form for base in bases for prefix in prefixes for form in (f"{prefix}_{base}", f"{prefix}{base}")
    )


def _suffixed(*suffixes: str) -> tuple[str, ...]:
    bases = ("log_prob", "log_probs", "logprob", "logprobs", "logp", "logps", "log_pi", "logpi", "lp")
    return tuple(f"{base}_{suffix}" for base in bases for suffix in suffixes)


_PLAIN_LOGS = words(
    "log_prob log_probs logprob logprobs logp logps log_pi action_log_probs logpi "
    "action_log_prob action_logprobs logp_a"
)

SUBJECTS = (
    Subject(
        name="ppo:loss",
        title="the clipped policy loss, alone or with value loss and entropy",
        equation="L = -mean_t min(rho_t A_t, clip(rho_t, 1 - eps, 1 + eps) A_t), rho_t = pi / pi_old",
        axes=dict.fromkeys(
            ("log_prob", "old_log_prob", "advantages", "value", "old_value", "returns", "entropy"), _ROW
        ),
        arguments=(
            Argument(
                role="log_prob",
                names=(
                    *_PLAIN_LOGS,
                    *_names("new", "curr", "cur", "current", "pi", "updated"),
                    *_suffixed("new", "now", "curr", "theta"),
                ),
                axes=_ROW,
                doc="log pi(a_t | s_t)",
            ),
            Argument(
                role="old_log_prob",
                names=(
                    *_names("old", "b", "mb", "prev", "behavior", "behaviour", "rollout", "ref", "sampling"),
                    *_suffixed("old", "prev", "b", "mu", "behavior", "beta"),
                    *(
                        "old_action_log_probs",
                        "old_neglogp",
                        "old_log_probs_batch",
                        "old_action_log_probs_batch",
                    ),
                    *("log_mu", *_PLAIN_LOGS),
                ),
                axes=_ROW,
                needs=("log_prob",),
                doc="log pi_old(a_t | s_t)",
            ),
            Argument(
                role="ratio",
                names=(
                    "ratio",
                    "ratios",
                    "prob_ratio",
                    "rho",
                    "rhos",
                    "prob_ratios",
                    "importance_ratio",
                    "r",
                ),
                axes=_ROW,
                make=_ratio,
                bars=("old_log_prob",),
                doc="pi / pi_old",
            ),
            Argument(
                role="ratio",
                names=("logratio", "log_ratio", "logratios", "log_ratios", "log_rho", "log_rhos"),
                axes=_ROW,
                make=lambda x: x["log_prob"] - x["old_log_prob"],
                bars=("old_log_prob",),
                doc="log pi - log pi_old",
            ),
            Argument(
                role="advantages",
                names=(
                    "advantages",
                    "advantage",
                    "adv",
                    "advs",
                    "a",
                    "gae",
                    "adv_targ",
                    "a_t",
                    "gaes",
                    "adv_t",
                ),
                axes=_ROW,
                doc="A_t",
            ),
            _CLIP,
            *_VALUES,
            Argument(
                role="entropy", names=("entropy", "entropies", "ent", "h", "dist_entropy"), axes=_ROW, doc="H"
            ),
            Argument(
                role="value_coefficient",
                names=words("vf_coef value_coef vf_coeff value_coefficient c1 c_v value_loss_coef cv"),
                doc="c_v",
            ),
            Argument(
                role="entropy_coefficient",
                names=words("ent_coef entropy_coef ent_coeff entropy_coefficient c2 c_e beta ce"),
                doc="c_e",
            ),
            *_FLAGS,
        ),
        outputs={
            "ratio": _ROW,
            **dict.fromkeys(
                ("policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction", "loss"), _ROW
            ),
        },
        single=("loss",),
        orders=(
            ("loss", "approx_kl"),
            ("loss", "ratio"),
            ("loss", "clip_fraction"),
            ("policy_loss", "value_loss"),
            ("policy_loss", "value_loss", "entropy"),
            ("loss", "approx_kl", "clip_fraction"),
            ("loss", "clip_fraction", "approx_kl"),
            ("loss", "policy_loss", "value_loss"),
            ("loss", "ratio", "approx_kl"),
            ("loss", "policy_loss", "value_loss", "entropy"),
            ("policy_loss", "value_loss", "entropy", "loss"),
        ),
        names={
            **dict.fromkeys(
                ("pg_loss", "actor_loss", "loss_pi", "pi_loss", "loss_policy", "action_loss"), "policy_loss"
            ),
            **dict.fromkeys(("v_loss", "vf_loss", "critic_loss", "loss_v", "value"), "value_loss"),
            **dict.fromkeys(("entropy_loss", "ent"), "entropy"),
            **dict.fromkeys(("clipfrac", "clip_frac", "clipfraction", "cf"), "clip_fraction"),
            **dict.fromkeys(("kl", "approxkl"), "approx_kl"),
            **dict.fromkeys(("total_loss", "total"), "loss"),
        },
        layouts=FREE_LAYOUTS,
        choices={
            "reduction": _REDUCTION,
            "sign": Choice(
                values={"loss": "", "objective": "an objective to climb, not a loss to descend"},
                named={"objective": "objective|surrogate|surr$|gain"},
            ),
            "normalized": Choice(
                values={
                    "no": "",
                    "n-1": "it standardises the advantages itself, deviation over n - 1",
                    "n": "it standardises the advantages itself, deviation over n",
                }
            ),
            "kl": Choice(
                values={
                    "k3": "",
                    "k1": "approximate KL as mean(log pi_old - log pi)",
                    "k2": "approximate KL as mean((log pi_old - log pi)^2) / 2",
                }
            ),
            "half": Choice(values=_HALF.values, needs=("value",)),
            "clipped": replace(_CLIPPED, needs=("value",)),
        },
        absences=(
            Absent(roles=("value",), ways={"": lambda x: {**x, "value_coefficient": 0.0}}),
            Absent(roles=("entropy",), ways={"": lambda x: {**x, "entropy_coefficient": 0.0}}),
            fixed_at("clip", 0.2, 0.1, 0.3),
            fixed_at("value_coefficient", 0.5, 1.0, 0.25, needs=("value",)),
            fixed_at("entropy_coefficient", 0.01, 0.0, 0.001, needs=("entropy",)),
            Absent(roles=("old_value",), ways=_NO_OLD_VALUE.ways, needs=("value",)),
        ),
        reference=_policy_outputs,
        mistakes=POLICY,
        cases=policy_cases,
        gradients=Gradients(
            loss=lambda t, o: _policy(t, o)["loss"].mean(),
            learned=("log_prob", "value", "entropy"),
        ),
    ),
    Subject(
        name="ppo:value_loss",
        title="the value loss, clipped or not",
        equation="L = mean_t max((V - G)^2, (V_old + clip(V - V_old, -eps, eps) - G)^2) / 2",
        axes=dict.fromkeys(("value", "old_value", "returns"), _ROW),
        arguments=(*_VALUES, _CLIP, _FLAGS[1]),
        outputs={"loss": _ROW},
        single=("loss",),
        names=dict.fromkeys(("v_loss", "value_loss", "vf_loss", "critic_loss"), "loss"),
        layouts=FREE_LAYOUTS,
        choices={
            "half": _HALF,
            "reduction": _REDUCTION,
            "clipped": _CLIPPED,
        },
        absences=(_NO_OLD_VALUE, fixed_at("clip", 0.2, 0.1, 0.3, needs=("old_value",))),
        reference=_value_outputs,
        mistakes=VALUE,
        cases=policy_cases,
        gradients=Gradients(loss=lambda t, o: _value(t, o).mean(), learned=("value",)),
    ),
)
