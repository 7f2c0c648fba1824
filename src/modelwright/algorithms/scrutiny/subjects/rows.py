"""Rows of experience, and the ways in which functions of targets and losses are told of them."""

from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.subject import Absent, Argument, Layout, fixed_at, words

__all__ = [
    "ALIVE",
    "DISCOUNTS",
    "FREE_LAYOUTS",
    "GAMMA",
    "LAYOUTS",
    "NO_FLAGS",
    "NO_GAMMA",
    "REWARDS",
    "SEVERAL",
    "TERMINATED",
    "TRUNCATED",
    "exponential",
    "mean_over_pairs",
    "smaller",
    "tensors",
]

ROW = ("row",)
# A text that speaks of rows is not called with one: a maximum over the wrong axis would be right then.
SEVERAL = (
    r"\b(?:rewards|rews|dones|terminals|terminateds|terminations|masks|not_dones|nonterminals|batch\w*)\b"
    r"|[\[(]\s*(?:batch\w*|B|N|rows?)\s*,\s*[\w *+-]*\s*[\])]"
)
_DONES = words(
    "dones done d terminals terminal is_terminal is_done end ends ended done_flags done_flag "
    "terminated terminations terminateds termination term terms finished next_done next_dones "
    "done_batch"
)
REWARDS = Argument(
    role="rewards",
    names=("rewards", "reward", "rews", "rew", "r", "rs", "r_t", "rwds", "rwd"),
    axes=ROW,
    doc="r",
)
TERMINATED = Argument(
    role="terminated", names=_DONES, axes=ROW, kind="flag", doc="whether the task ended with the step"
)
TRUNCATED = Argument(
    role="truncated",
    names=("truncated", "truncations", "truncateds", "truncation", "trunc", "truncs", "timeouts"),
    axes=ROW,
    kind="flag",
    doc="whether the episode was cut off with the step",
)
ALIVE = (
    Argument(
        role="alive",
        names=words(
            "masks mask not_done not_dones nonterminal nonterminals non_terminal notdone continues "
            "cont conts alive not_terminal live notdones done_mask done_masks non_final_mask "
            "non_final continuation pcont nonterm"
        ),
        axes=ROW,
        make=lambda x: 1.0 - x["terminated"],
        says="1 where the task goes on, else 0",
        doc="1 - terminated",
    ),
    Argument(
        role="alive",
        names=("done_mask", "done_masks"),
        axes=ROW,
        kind="flag",
        make=lambda x: x["terminated"],
        says="whether the task ended with the step",
        doc="terminated",
    ),
)
DISCOUNTS = Argument(
    role="discounts",
    names=("discounts", "discount_t", "discount", "gammas"),
    axes=ROW,
    make=lambda x: x["gamma"] * (1.0 - x["terminated"]),
    bars=("terminated", "alive"),
    says="gamma for each row, 0 where the task ended",
    doc="gamma (1 - terminated)",
)
GAMMA = Argument(
    role="gamma",
    names=("gamma", "discount", "discount_factor", "g", "gam", "disc", "df", "discount_rate"),
    doc="discount",
)
NO_GAMMA = Absent(
    roles=("gamma", "discounts", "target", "shifted"),
    ways=fixed_at("gamma", 0.99, 0.9, 0.95, 1.0, 0.98, 0.995).ways,
)
NO_FLAGS = Absent(
    roles=("terminated", "alive", "discounts", "target", "shifted"),
    ways={"no task ends with its step": lambda x: {**x, "terminated": np.zeros_like(x["terminated"])}},
    batch_tells=True,
)
LAYOUTS = (
    Layout(name="row"),
    Layout(name="row,1", says="arrays of one number a row lie (row, 1)", trailing=ROW),
    Layout(name="one", says="one row at a time", loop="row", unless=SEVERAL),
)
FREE_LAYOUTS = LAYOUTS[:2]
"""For losses: a mean over rows cannot be had row by row."""


def smaller(left: Any, right: Any) -> Any:
    """Return the smaller of two, NumPy or torch."""
    return left.minimum(right) if hasattr(left, "detach") else np.minimum(left, right)


def exponential(value: Any) -> Any:
    """Return exp, NumPy or torch."""
    return value.exp() if hasattr(value, "detach") else np.exp(value)


def mean_over_pairs(left: Any, right: Any) -> Any:
    """Return each of the left less each of the right, (n, n): what (n, 1) - (n,) broadcasts to."""
    return np.reshape(left, (-1, 1)) - np.reshape(right, (1, -1))


def tensors(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return inputs with arrays as torch tensors of double precision."""
    import torch

    return {
        name: torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray | np.generic) else value
        for name, value in inputs.items()
    }
