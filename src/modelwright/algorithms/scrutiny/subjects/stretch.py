"""Stretches of experience, and the ways in which functions of returns are told of them.

Inputs: `rewards`, `values`, `terminated`, `truncated` (step, copy); `last_value` (copy,), the value of the
observation after the last step; `final_values` (step, copy), the value of the true last observation where an
episode ends with the step; `start` (copy,), whether the first step begins an episode; `gamma`, `lam`.
"""

from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.subject import (
    Axes,
    Case,
    Inputs,
    Layout,
)

__all__ = ["AXES", "LAYOUTS", "before", "ended", "next_values", "stretches"]

_BOTH: Axes = ("step", "copy")
AXES: dict[str, Axes] = {
    **dict.fromkeys(("rewards", "values", "terminated", "truncated", "final_values"), _BOTH),
    "last_value": ("copy",),
    "start": ("copy",),
}
LAYOUTS = (
    Layout(name="step,copy"),
    Layout(name="step", says="one stretch at a time, arrays (step,)", loop="copy", spare=True),
    Layout(
        name="copy,step",
        says="arrays lie (copy, step); were (step, copy) meant, say --layout step,copy",
        first="copy",
    ),
    Layout(name="step,copy,1", says="arrays lie (step, copy, 1)", trailing=_BOTH),
    Layout(name="copy,step,1", says="arrays lie (copy, step, 1)", first="copy", trailing=_BOTH),
)


def ended(x: Inputs) -> Any:
    """Return whether the episode ended with the step, (step, copy)."""
    return x["terminated"] | x["truncated"]


def next_values(x: Inputs) -> Any:
    """Return V of the true next observation, (step, copy)."""
    following = np.concatenate([x["values"][1:], x["last_value"][None]])
    return np.where(ended(x), x["final_values"], following)


def before(x: Inputs) -> Any:
    """Return whether the step before ended an episode, (step, copy)."""
    return np.concatenate([x["start"][None], ended(x)[:-1]])


def stretches(generator: np.random.Generator) -> list[Case]:
    """Return stretches of every kind: dones at every place, none, all, lengths of one, extremes."""

    def stretch(steps: int, copies: int, **given: Any) -> Inputs:
        shape = (steps, copies)
        made: Inputs = {
            "rewards": generator.standard_normal(shape),
            "values": generator.standard_normal(shape),
            "last_value": generator.standard_normal(copies) + 2.0,
            "final_values": generator.standard_normal(shape) + 1.0,
            "terminated": np.zeros(shape, bool),
            "truncated": np.zeros(shape, bool),
            "start": generator.random(copies) < 0.5,
            "gamma": 0.9,
            "lam": 0.7,
        }
        return {**made, **given}

    def random(steps: int, copies: int, share: float) -> Any:
        return generator.random((steps, copies)) < share

    def single(steps: int, at: int) -> Any:
        return np.arange(steps)[:, None] == np.full((1, 2), at)

    mixed = np.zeros((6, 4), bool)
    mixed[2, 0] = mixed[5, 1] = mixed[0, 2] = mixed[3, 2] = mixed[4, 2] = True
    cases = [
        ("general", stretch(6, 4, terminated=mixed)),
        ("general", stretch(5, 3, terminated=random(5, 3, 0.3), gamma=0.8, lam=0.95)),
        ("no done", stretch(4, 2)),
        ("general", stretch(9, 3, terminated=random(9, 3, 0.25), gamma=0.99, lam=0.95)),
        *((f"done at step {at} of 5", stretch(5, 2, terminated=single(5, at))) for at in range(5)),
        ("all done", stretch(4, 3, terminated=np.ones((4, 3), bool))),
        ("length one", stretch(1, 3)),
        ("length one", stretch(1, 3, terminated=np.ones((1, 3), bool))),
        ("length two", stretch(2, 2, terminated=single(2, 0))),
        ("batch one", stretch(7, 1, terminated=random(7, 1, 0.3))),
        ("batch one, length one", stretch(1, 1)),
        ("gamma 0", stretch(4, 2, terminated=random(4, 2, 0.3), gamma=0.0)),
        ("gamma 1", stretch(4, 3, terminated=random(4, 3, 0.3), gamma=1.0)),
        ("lambda 0", stretch(4, 3, terminated=random(4, 3, 0.3), lam=0.0)),
        ("lambda 1", stretch(4, 3, terminated=random(4, 3, 0.3), lam=1.0)),
        (
            "extreme rewards",
            stretch(6, 3, terminated=random(6, 3, 0.2), rewards=random(6, 3, 0.5) * 2e6 - 1e6),
        ),
        ("no reward", stretch(4, 3, terminated=random(4, 3, 0.3), rewards=np.zeros((4, 3)))),
        ("long", stretch(128, 2, terminated=random(128, 2, 0.05), gamma=0.99, lam=0.95)),
    ]
    for steps, copies in ((6, 3), (5, 2), (7, 1), (1, 2)):
        cut = random(steps, copies, 0.35)
        cut[-1, 0] = True
        over = random(steps, copies, 0.3) & ~cut
        cases.append(("cut off", stretch(steps, copies, terminated=over, truncated=cut)))
    screening = (0, 1, 2, len(cases) - 4)
    corners = ("gamma 0", "lambda 0")
    return [
        Case(name=name, inputs=x, screening=at in screening, corner=name in corners)
        for at, (name, x) in enumerate(cases)
    ]
