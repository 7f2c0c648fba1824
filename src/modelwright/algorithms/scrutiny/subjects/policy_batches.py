"""The inputs on which losses of policies are compared."""

from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.subject import Case, Inputs

__all__ = ["policy_cases"]


def _batch(generator: np.random.Generator, rows: int, **given: Any) -> Inputs:
    old = -1.0 - generator.random(rows)
    value = generator.standard_normal(rows)
    return {
        "log_prob": old + 0.4 * generator.standard_normal(rows),
        "old_log_prob": old,
        "advantages": generator.standard_normal(rows) + 0.3,
        "value": value,
        "old_value": value + 0.5 * generator.standard_normal(rows),
        "returns": generator.standard_normal(rows) + 1.0,
        "entropy": generator.random(rows) + 0.2,
        "clip": 0.2,
        "value_coefficient": 0.5,
        "entropy_coefficient": 0.01,
        **given,
    }


def policy_cases(generator: np.random.Generator) -> list[Case]:
    """Return batches: plain, of either sign, extreme, and small."""
    same = _batch(generator, 6)
    far = np.array([3.0, -3.0, 8.0, -8.0, 20.0, -20.0])
    cases = [
        ("general", _batch(generator, 8)),
        ("general", _batch(generator, 5, clip=0.1, value_coefficient=0.7, entropy_coefficient=0.05)),
        ("general", _batch(generator, 64)),
        ("positive advantages", _batch(generator, 6, advantages=0.1 + generator.random(6))),
        ("negative advantages", _batch(generator, 6, advantages=-0.1 - generator.random(6))),
        ("ratio of one", {**same, "log_prob": same["old_log_prob"].copy()}),
        ("extreme ratios", {**same, "log_prob": same["old_log_prob"] + far}),
        ("extreme advantages", _batch(generator, 4, advantages=np.array([1e6, -1e6, 1.0, -1.0]))),
        ("extreme values", _batch(generator, 4, value=np.array([1e4, -1e4, 3.0, -3.0]))),
        ("no entropy weight", _batch(generator, 4, entropy_coefficient=0.0)),
        ("batch two", _batch(generator, 2)),
        ("batch one", _batch(generator, 1)),
    ]
    return [Case(name=name, inputs=x, screening=at < 3) for at, (name, x) in enumerate(cases)]
