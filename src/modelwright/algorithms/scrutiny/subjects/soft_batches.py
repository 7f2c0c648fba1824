"""Inputs of the losses of soft actor-critic."""

from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.subject import Case, Inputs

__all__ = ["soft_cases"]


def soft_batch(generator: np.random.Generator, rows: int, **given: Any) -> Inputs:
    """Return rows of critics' values, log probabilities and rewards."""
    normal = generator.standard_normal
    return {
        "q1": normal(rows),
        "q2": normal(rows) + 0.3,
        "rewards": normal(rows),
        "terminated": generator.random(rows) < 0.4,
        "truncated": generator.random(rows) < 0.3,
        "next_q1": normal(rows) + 0.5,
        "next_q2": normal(rows) + 0.5,
        "next_log_prob": normal(rows) - 1.0,
        "log_prob": normal(rows) - 1.0,
        "alpha": 0.3,
        "gamma": 0.9,
        "log_alpha": np.asarray(-1.3),
        "target_entropy": -3.0,
        "critics": 2,
        **given,
    }


def soft_cases(generator: np.random.Generator) -> list[Case]:
    """Return rows of every kind."""
    rows = np.arange(4)
    cases = [
        ("general", soft_batch(generator, 6, terminated=np.arange(6) % 2 == 0)),
        ("general", soft_batch(generator, 5, alpha=0.7, log_alpha=np.asarray(0.4), target_entropy=-1.0)),
        ("general", soft_batch(generator, 32, gamma=0.99)),
        ("all terminated", soft_batch(generator, 4, terminated=rows >= 0)),
        ("none terminated", soft_batch(generator, 4, terminated=rows < 0)),
        *(
            (f"terminated at row {at} of 4", soft_batch(generator, 4, terminated=rows == at))
            for at in range(4)
        ),
        ("batch one", soft_batch(generator, 1)),
        ("small temperature", soft_batch(generator, 4, alpha=1e-3, log_alpha=np.asarray(-7.0))),
        ("temperature of one", soft_batch(generator, 4, alpha=1.0, log_alpha=np.asarray(0.0))),
        (
            "equal critics",
            {**(x := soft_batch(generator, 4)), "q2": x["q1"].copy(), "next_q2": x["next_q1"].copy()},
        ),
        (
            "extreme log probabilities",
            soft_batch(generator, 4, next_log_prob=rows * 50.0 - 90, log_prob=90 - rows * 50.0),
        ),
        ("extreme rewards", soft_batch(generator, 4, rewards=np.array([1e5, -1e5, 0.0, 1.0]))),
    ]
    return [Case(name=name, inputs=x, screening=at < 3) for at, (name, x) in enumerate(cases)]
