"""Advantages with mean 0 and deviation 1.

(A - mean(A)) / (std(A) + 1e-8), the deviation over n - 1
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelwright.algorithms.ppo import standardised
from modelwright.algorithms.scrutiny.subject import (
    Argument,
    Case,
    Choice,
    Inputs,
    Layout,
    Options,
    Outputs,
    Reference,
    Subject,
    mistake,
    words,
)

__all__ = ["SUBJECTS"]


def _normalize(x: Inputs, options: Options) -> Outputs:
    advantages = x["advantages"]
    if options["deviation"] == "n":
        spread = advantages - advantages.mean()
        return {"advantages": spread / (advantages.std() + 1e-8)}
    import torch

    rows = torch.from_numpy(np.ascontiguousarray(advantages.reshape(1, -1)))
    with np.errstate(all="ignore"):
        found = standardised(rows).numpy().reshape(advantages.shape)
    # The learner's own has single precision: the same in double, where it agrees.
    double = advantages - advantages.mean()
    double = double / (advantages.std(ddof=1) + 1e-8) if advantages.size > 1 else found + np.nan
    agrees = np.allclose(found, double, rtol=1e-4, atol=1e-5, equal_nan=True)
    return {"advantages": double if agrees else found}


def _advantages(generator: np.random.Generator) -> list[Case]:
    draw = generator.standard_normal
    cases = [
        ("general", draw((6, 3)) * 3.0 + 1.0 + np.arange(3)),
        ("general", draw((4, 5)) + np.arange(4)[:, None]),
        ("general", draw((16, 2)) * np.array([0.5, 5.0])),
        ("all equal", np.full((4, 2), 3.0)),
        ("all zero", np.zeros((4, 2))),
        ("two rows", draw((2, 1))),
        ("one column", draw((5, 1))),
        ("one row", draw((1, 5))),
        ("extreme", draw((4, 2)) * 1e6),
        ("all negative", -1.0 - generator.random((5, 2))),
    ]
    return [
        Case(name=name, inputs={"advantages": each}, screening=at < 3)
        for at, (name, each) in enumerate(cases)
    ]


_NORMAL = "(A - mean(A)) / (std(A) + 1e-8)"


def _centred(a: Any, axis: int | None = None) -> Any:
    return a - a.mean(axis=axis, keepdims=axis is not None)


def _standard(x: Inputs, axis: int | None = None, freedom: int = 1) -> Outputs:
    a = x["advantages"]
    if axis is not None and (a.ndim <= axis or a.shape[axis] <= freedom):
        return {"advantages": a + np.nan}
    return {
        "advantages": _centred(a, axis) / (a.std(axis=axis, ddof=freedom, keepdims=axis is not None) + 1e-8)
    }


def _made(make: Callable[[Any], Any]) -> Reference:
    return lambda x, o: {"advantages": make(x["advantages"])}


def _freedom(a: Any) -> int:
    return 1 if a.size > 1 else 0


_MISTAKES = (
    *mistake(
        "wrong-axis",
        "The mean and deviation are those of one axis, not of the whole batch.",
        _NORMAL,
        *(
            (lambda x, o, axis=axis, freedom=freedom: _standard(x, axis, freedom))
            for axis in (0, 1)
            for freedom in (1, 0)
        ),
    ),
    *mistake(
        "population-deviation",
        "The deviation is that of a population, over n, the reference's over n - 1; both are in use. "
        "Where it is meant, say --convention deviation=n.",
        "std(A) = sqrt(sum (A - mean)^2 / (n - 1))",
        lambda x, o: _standard(x, None, 0),
    ),
    *mistake(
        "variance-for-deviation",
        "It is divided by the variance.",
        _NORMAL,
        _made(lambda a: _centred(a) / (a.var(ddof=_freedom(a)) + 1e-8)),
        _made(lambda a: _centred(a) / (a.var() + 1e-8)),
    ),
    *mistake(
        "no-epsilon",
        "Equal advantages are divided by a deviation of zero.",
        _NORMAL,
        _made(lambda a: _centred(a) / a.std(ddof=_freedom(a))),
        _made(lambda a: _centred(a) / a.std()),
    ),
    *mistake(
        "mean-not-subtracted",
        "The mean is not subtracted.",
        _NORMAL,
        _made(lambda a: a / (a.std(ddof=_freedom(a)) + 1e-8)),
        _made(lambda a: a / (a.std() + 1e-8)),
    ),
    *mistake(
        "not-scaled",
        "It is not divided by the deviation.",
        _NORMAL,
        _made(_centred),
    ),
    *mistake(
        "scaled-to-range",
        "The numbers are scaled to a range, or to a norm.",
        _NORMAL,
        _made(lambda a: (a - a.min()) / (a.max() - a.min() + 1e-8)),
        _made(lambda a: a / (np.abs(a).max() + 1e-8)),
        _made(lambda a: a / (np.linalg.norm(a) + 1e-8)),
    ),
    *mistake(
        "mean-added",
        "The mean is added.",
        _NORMAL,
        _made(lambda a: (a + a.mean()) / (a.std(ddof=_freedom(a)) + 1e-8)),
        _made(lambda a: (a + a.mean()) / (a.std() + 1e-8)),
    ),
    *mistake(
        "brackets-missing",
        "Only the mean is divided: brackets are missing.",
        _NORMAL,
        _made(lambda a: a - a.mean() / (a.std(ddof=_freedom(a)) + 1e-8)),
        _made(lambda a: a - a.mean() / (a.std() + 1e-8)),
    ),
)

SUBJECTS = (
    Subject(
        name="ppo:normalize",
        title="advantages with mean 0 and deviation 1",
        equation="(A - mean(A)) / (std(A) + 1e-8), std over n - 1",
        axes={"advantages": ("row", "column")},
        arguments=(
            Argument(
                role="advantages",
                names=words(
                    "advantages advantage adv advs a x values gae returns b_advantages mb_advantages arr "
                    "tensor data array z"
                ),
                axes=("row", "column"),
                doc="A",
            ),
        ),
        outputs={"advantages": ("row", "column")},
        single=("advantages",),
        names=dict.fromkeys(("adv", "advantage", "normalized"), "advantages"),
        layouts=(
            Layout(name="row,column"),
            Layout(
                name="row",
                says="one row of numbers at a time",
                loop="column",
                unless=r"axis|dim\s*=|keepdim|(?:mean|std|var)\([^()]*\b[01]\s*[,)]",
            ),
        ),
        choices={
            "deviation": Choice(
                values={"n-1": "", "n": "the deviation is that of the population, over n"}, asked=("n",)
            )
        },
        reference=_normalize,
        mistakes=_MISTAKES,
        cases=_advantages,
    ),
)
