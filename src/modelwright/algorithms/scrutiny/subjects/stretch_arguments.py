"""The ways in which functions of returns are told of a stretch of experience."""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.subject import Absent, Argument, Axes, Inputs, fixed_at, words
from modelwright.algorithms.scrutiny.subjects.stretch import before, ended, next_values

__all__ = [
    "ARGUMENTS",
    "FLAGS",
    "FLAG_ROLES",
    "NO_FLAGS",
    "NO_GAMMA",
    "NO_LAMBDA",
    "WINDOW_DONES",
    "arguments_of",
]

_BOTH: Axes = ("step", "copy")
FLAGS = ("dones", "terminated", "starts", "alive", "discounts")


def _uncut(make: Callable[[Inputs], Any]) -> Callable[[Inputs], Any]:
    """Leave out cases that a function with one flag cannot be told: an episode that was cut off."""
    return lambda x: None if x["truncated"].any() else make(x)


def _one_row(x: Inputs) -> Inputs:
    """Return what a function knows that is told values in one row: what follows an end is the next start."""
    return {**x, "final_values": np.concatenate([x["values"][1:], x["last_value"][None]])}


def _open_end(x: Inputs) -> Inputs:
    last = np.zeros_like(x["terminated"])
    last[-1] = True
    return {**x, "terminated": x["terminated"] & ~last, "truncated": x["truncated"] & ~last}


def _whole(x: Inputs) -> Inputs:
    never = np.zeros_like(x["terminated"])
    return _one_row(
        {**x, "terminated": never, "truncated": never, "last_value": np.zeros_like(x["last_value"])}
    )


_VALUES = words(
    "values value vals val v vs v_s value_preds value_pred vpreds vpred value_estimates "
    "baselines baseline state_values state_value critic_values v_pred old_values v_preds "
    "vf_preds values_t v_values state_vals"
)
_DONES = words(
    "dones done d ds terminals terminal is_terminal is_done end ends ended done_flags "
    "done_flag episode_ends is_dones fin finished"
)
_ALIVE = words(
    "masks mask not_done not_dones nonterminal nonterminals non_terminal notdone "
    "non_terminals continues cont conts alive next_nonterminal not_terminal live done_mask "
    "done_masks notdones nondone non_done nonterm continuation pcont"
)
_AFTER = "it tells of step t whether the episode ended with it"
_BEFORE = "it tells of step t whether the step before ended the episode"

ARGUMENTS = {
    "rewards": (
        Argument(
            role="rewards",
            names=("rewards", "reward", "rews", "rew", "r", "rs", "r_t", "rwds", "rwd", "reward_t"),
            axes=_BOTH,
            doc="r_t",
        ),
    ),
    "values": (
        Argument(role="values", names=_VALUES, axes=_BOTH, needs=("next_value", "next_values"), doc="V(s_t)"),
        Argument(
            role="values",
            names=_VALUES,
            axes=_BOTH,
            bars=("next_value", "next_values"),
            make=_uncut(lambda x: np.concatenate([x["values"], x["last_value"][None]])),
            sees=_one_row,
            says="with the value after the last step as a further row",
            doc="V(s_t)",
        ),
        Argument(
            role="values",
            names=_VALUES,
            axes=_BOTH,
            bars=("next_value", "next_values", *FLAGS),
            says="one for each step: the stretch ends with its episode, so that nothing is bootstrapped",
            sees=_whole,
            doc="V(s_t)",
        ),
        Argument(
            role="values",
            names=_VALUES,
            axes=_BOTH,
            bars=("next_value", "next_values"),
            spare=True,
            says="one for each step, and no value for what follows the last",
            make=_uncut(lambda x: x["values"]),
            sees=_one_row,
            doc="V(s_t)",
        ),
    ),
    "next_value": (
        Argument(
            role="next_value",
            names=words(
                "next_value last_value last_values last_val bootstrap bootstrap_value final_value v_last "
                "value_last next_val v_next last_v boot bootstrap_val last_vals final_val "
                "bootstrapped_value bootstrap_values value_next next_v v_boot tail_value terminal_value "
                "last_state_value v_final next_state_value"
            ),
            axes=("copy",),
            make=_uncut(lambda x: x["last_value"]),
            sees=_one_row,
            says="of the observation after the last step",
            doc="V after the last step",
        ),
    ),
    "next_values": (
        Argument(
            role="next_values",
            names=words(
                "next_values v_s_ next_vals values_next next_v next_vs next_state_values next_state_value "
                "next_value v_next value_next next_value_preds next_v_pred next_v_preds vals_next v_tp1 "
                "vs_next v_nexts next_vpred next_vpreds"
            ),
            axes=_BOTH,
            bars=("last_done", "starts"),
            make=next_values,
            says="V of each step's true next observation",
            doc="V(s_{t+1})",
        ),
        Argument(
            role="next_values",
            names=("v_s_",),
            axes=_BOTH,
            bars=("dones", "alive", "terminated"),
            make=lambda x: np.where(x["terminated"], 0.0, next_values(x)),
            says="V of each step's true next observation, 0 after termination",
            doc="V(s_{t+1})",
        ),
    ),
    "dones": (
        Argument(
            role="dones",
            names=_DONES,
            axes=_BOTH,
            kind="flag",
            make=_uncut(ended),
            bars=("last_done", "starts", "terminated"),
            doc="whether step t ended the episode",
        ),
        Argument(
            role="dones",
            names=_DONES,
            axes=_BOTH,
            kind="flag",
            make=_uncut(before),
            needs=("last_done",),
            says=_BEFORE,
            doc="whether the step before ended the episode",
        ),
        Argument(
            role="dones",
            names=_DONES,
            axes=_BOTH,
            kind="flag",
            make=ended,
            needs=("terminated",),
            bars=("last_done", "starts"),
            says="terminated or truncated",
            doc="whether step t ended the episode",
        ),
        Argument(
            role="dones",
            names=_DONES,
            axes=("copy",),
            kind="flag",
            make=_uncut(lambda x: ended(x)[-1]),
            needs=("starts",),
            says="of the last step alone",
            doc="whether the last step ended the episode",
        ),
        Argument(
            role="dones",
            names=_DONES,
            axes=_BOTH,
            kind="flag",
            make=_uncut(lambda x: np.concatenate([x["start"][None], ended(x)])),
            bars=("last_done", "starts", "terminated"),
            spare=True,
            says=f"with a further row; {_BEFORE}",
            doc="whether the step before ended the episode",
        ),
        Argument(
            role="end_flag",
            names=("end_flag", "end_flags"),
            axes=_BOTH,
            kind="flag",
            make=ended,
            says="terminated or truncated; next values are 0 after termination",
            bars=("terminated",),
            doc="whether step t ended the episode",
        ),
    ),
    "terminated": (
        Argument(
            role="terminated",
            names=("terminated", "terminations", "terminateds", "termination", "term", "terms", "terminate"),
            axes=_BOTH,
            kind="flag",
            bars=("last_done", "starts"),
            doc="whether the task ended with step t",
        ),
        Argument(
            role="terminated",
            names=("terminated", "terminations", "terminateds", "termination", "term", "terms", "terminate"),
            axes=_BOTH,
            kind="flag",
            make=_uncut(before),
            needs=("last_done",),
            says=_BEFORE,
            doc="whether the step before ended the episode",
        ),
    ),
    "truncated": (
        Argument(
            role="truncated",
            names=("truncated", "truncations", "truncateds", "truncation", "trunc", "truncs", "timeouts"),
            axes=_BOTH,
            kind="flag",
            doc="whether the episode was cut off with step t",
        ),
    ),
    "last_done": (
        Argument(
            role="last_done",
            names=words(
                "next_done last_done next_dones last_dones next_terminal final_done next_terminated "
                "next_termination next_terminations done_last done_next"
            ),
            axes=("copy",),
            kind="flag",
            make=_uncut(lambda x: ended(x)[-1]),
            doc="whether the last step ended the episode",
        ),
    ),
    "starts": (
        Argument(
            role="starts",
            names=words("episode_starts episode_start starts start is_first firsts first begins"),
            axes=_BOTH,
            kind="flag",
            make=_uncut(before),
            needs=("dones", "last_done"),
            doc="whether an episode begins with step t",
        ),
        Argument(
            role="starts",
            names=words("episode_starts episode_start starts start is_first firsts first begins"),
            axes=_BOTH,
            kind="flag",
            make=_uncut(before),
            bars=("dones", "last_done"),
            says="whether an episode begins with step t; nothing tells whether one ends with the last",
            sees=_open_end,
            doc="whether an episode begins with step t",
        ),
    ),
    "alive": (
        Argument(
            role="alive",
            names=_ALIVE,
            axes=_BOTH,
            make=_uncut(lambda x: 1.0 - ended(x)),
            bars=("last_done",),
            says="1 where step t did not end the episode, else 0",
            doc="1 - done",
        ),
        Argument(
            role="alive",
            names=("done_mask", "done_masks"),
            axes=_BOTH,
            kind="flag",
            make=_uncut(ended),
            says=_AFTER,
            doc="done",
        ),
        Argument(
            role="alive",
            names=_ALIVE,
            axes=_BOTH,
            make=_uncut(lambda x: 1.0 - np.concatenate([x["start"][None], ended(x)])),
            bars=("last_done",),
            spare=True,
            says="with a further row; 0 at t where the step before ended the episode, else 1",
            doc="1 - done",
        ),
    ),
    "discounts": (
        Argument(
            role="discounts",
            names=("discounts", "discount_t", "discount", "gammas"),
            axes=_BOTH,
            make=_uncut(lambda x: x["gamma"] * (1.0 - ended(x))),
            bars=("dones", "alive", "terminated", "starts"),
            says="gamma for each step, 0 where it ended the episode",
            doc="gamma (1 - done)",
        ),
    ),
    "sizes": (
        Argument(
            role="steps",
            names=words("num_steps n_steps nsteps steps t horizon rollout_length length num_timesteps"),
            kind="plain",
            make=lambda x: len(x["rewards"]),
            doc="how many steps",
        ),
        Argument(
            role="copies",
            names=words("num_envs n_envs nenvs num_workers n"),
            kind="plain",
            make=lambda x: x["rewards"].shape[1] if x["rewards"].ndim > 1 else 1,
            doc="how many copies of the environment",
        ),
        Argument(
            role="device", names=("device", "dev"), kind="plain", make=lambda x: "cpu", doc="where to compute"
        ),
    ),
    "gamma": (
        Argument(
            role="gamma",
            names=("gamma", "discount", "discount_factor", "g", "gam", "disc", "df", "discount_rate"),
            doc="discount",
        ),
    ),
    "lam": (
        Argument(
            role="lam",
            names=words(
                "lam lambda lmbda gae_lambda lambd tau gae_lam lamda l lmb trace_decay td_lambda "
                "lambda_gae gaelambda lamb lambda_t gae_lmbda"
            ),
            doc="lambda",
        ),
    ),
}
# Of a function that is given one window: the flag of its last step alone.
WINDOW_DONES = tuple(
    Argument(
        role=role,
        names=names,
        axes=("copy",),
        kind="flag",
        make=lambda x: None if x["truncated"].any() or ended(x)[:-1].any() else ended(x)[-1],
        bars=("n", "last_done", "starts"),
        says="whether the last step of the window ended the episode, and none before it",
        doc="whether the last step ended the episode",
    )
    for role, names in (
        (
            "dones",
            words("done d terminal is_terminal is_done end ended done_flag finished last_done final_done"),
        ),
        ("terminated", ("terminated", "termination", "last_terminated")),
    )
)
FLAG_ROLES = ("dones", "terminated", "truncated", "last_done", "starts", "alive", "discounts")


def arguments_of(*roles: str) -> tuple[Argument, ...]:
    """Return every way of being told these, in order."""
    return tuple(argument for role in roles for argument in ARGUMENTS[role])


NO_FLAGS = Absent(
    roles=(*FLAGS, "end_flag"),
    ways={
        "no step ends an episode within the stretch": lambda x: {
            **x,
            "terminated": np.zeros_like(x["terminated"]),
            "truncated": np.zeros_like(x["truncated"]),
        }
    },
    batch_tells=True,
)
NO_GAMMA = Absent(
    roles=("gamma", "discounts"), ways=fixed_at("gamma", 0.99, 0.9, 0.95, 1.0, 0.98, 0.995).ways
)
NO_LAMBDA = fixed_at("lam", 0.95, 0.97, 1.0, 0.9, 0.98)
