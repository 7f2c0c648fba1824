"""Inputs of targets, and the mistakes that any target r + gamma (1 - terminated) V' invites."""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelwright.algorithms.scrutiny.subject import (
    Case,
    Inputs,
    Mistake,
    Options,
    Outputs,
    mistake,
    of_inputs,
)

__all__ = ["discount", "of_value", "reduced", "target_mistakes", "target_rows"]


def discount(x: Inputs) -> Any:
    """Return gamma (1 - terminated)."""
    return x["gamma"] * (1.0 - x["terminated"])


def target_rows(generator: np.random.Generator, **arrays: tuple[int, ...]) -> list[Case]:
    """Return rows; `arrays` gives the further axes of each input."""

    def batch(rows: int, actions: int, **given: Any) -> Inputs:
        made: Inputs = {
            name: generator.standard_normal((rows, *(actions for _ in axes))) + 0.5
            for name, axes in arrays.items()
        }
        return {
            "rewards": generator.standard_normal(rows),
            "terminated": generator.random(rows) < 0.4,
            "truncated": generator.random(rows) < 0.3,
            "gamma": 0.9,
            **made,
            **given,
        }

    half = np.arange(6) % 2 == 0
    first = next(iter(arrays))
    tied = batch(4, 3)
    for name in arrays:
        tied[name] = np.ones_like(tied[name])
    cases = [
        ("general", batch(6, 4, terminated=half)),
        ("general", batch(5, 3)),
        ("none terminated", batch(7, 2, terminated=np.zeros(7, bool))),
        ("general", batch(32, 6, gamma=0.99)),
        ("all terminated", batch(4, 3, terminated=np.ones(4, bool))),
        *((f"terminated at row {at} of 4", batch(4, 3, terminated=np.arange(4) == at)) for at in range(4)),
        ("batch one", batch(1, 3, terminated=np.zeros(1, bool))),
        ("batch one", batch(1, 3, terminated=np.ones(1, bool))),
        ("one action", batch(4, 1)),
        ("gamma 0", batch(4, 3, gamma=0.0)),
        ("gamma 1", batch(4, 3, gamma=1.0)),
        ("equal values", tied),
        (
            "all values negative",
            batch(5, 3, **{first: -1.0 - generator.random((5, *(3 for _ in arrays[first])))}),
        ),
        ("extreme rewards", batch(5, 3, rewards=np.array([1e6, -1e6, 0.0, 1.0, -1.0]))),
    ]
    return [Case(name=name, inputs=x, screening=at < 3) for at, (name, x) in enumerate(cases)]


def target_mistakes(
    value: Callable[[Inputs], Any], reference: Callable[[Inputs, Options], Outputs], maths: str
) -> tuple[Mistake, ...]:
    """Return the mistakes that any target r + gamma (1 - terminated) V' invites; `value` makes V'."""

    def wrong(make: Callable[[Inputs, Any], Any]) -> Callable[[Inputs, Options], Outputs]:
        return lambda x, o: {"target": make(x, value(x))}

    return (
        *mistake(
            "done-ignored",
            "The value that follows termination is counted: the target has no mask.",
            maths,
            wrong(lambda x, v: x["rewards"] + x["gamma"] * v),
        ),
        *mistake(
            "mask-inverted",
            "The mask is inverted: done is used where 1 - done belongs.",
            maths,
            wrong(lambda x, v: x["rewards"] + x["gamma"] * x["terminated"] * v),
        ),
        *mistake(
            "truncation-as-termination",
            "A step at which the episode was cut off is taken for terminal.",
            "only termination ends the bootstrap",
            wrong(lambda x, v: x["rewards"] + x["gamma"] * (1.0 - (x["terminated"] | x["truncated"])) * v),
            wrong(lambda x, v: x["rewards"] + x["gamma"] * (1.0 - x["truncated"]) * v),
        ),
        *mistake(
            "gamma-missing",
            "The next value is not discounted.",
            maths,
            wrong(lambda x, v: x["rewards"] + (1.0 - x["terminated"]) * v),
        ),
        *mistake(
            "gamma-squared",
            "Gamma is applied twice.",
            maths,
            wrong(lambda x, v: x["rewards"] + x["gamma"] ** 2 * (1.0 - x["terminated"]) * v),
        ),
        *mistake(
            "reward-masked",
            "The mask takes away the reward too.",
            "only the next value is masked: r + gamma (1 - terminated) V'",
            wrong(lambda x, v: (1.0 - x["terminated"]) * (x["rewards"] + x["gamma"] * v)),
        ),
        *mistake(
            "reward-discounted",
            "The reward is discounted too.",
            maths,
            wrong(lambda x, v: x["gamma"] * (x["rewards"] + (1.0 - x["terminated"]) * v)),
        ),
        *mistake(
            "reward-missing",
            "The reward is missing.",
            maths,
            wrong(lambda x, v: x["gamma"] * (1.0 - x["terminated"]) * v),
        ),
        *mistake(
            "done-off-by-one",
            "The mask is that of another row.",
            maths,
            wrong(lambda x, v: x["rewards"] + x["gamma"] * (1.0 - np.roll(x["terminated"], 1)) * v),
            wrong(lambda x, v: x["rewards"] + x["gamma"] * (1.0 - np.roll(x["terminated"], -1)) * v),
        ),
        *mistake(
            "shape-broadcast",
            "Shapes (n,) and (n, 1) are mixed: the target is a table of every row with every row.",
            "give rewards, masks and values one shape before they are added",
            wrong(lambda x, v: np.reshape(x["rewards"], (-1, 1)) + discount(x) * v),
            wrong(lambda x, v: x["rewards"] + np.reshape(discount(x) * v, (-1, 1))),
        ),
        *mistake(
            "wrong-sign",
            "A sign is wrong.",
            maths,
            wrong(lambda x, v: x["rewards"] - discount(x) * v),
            wrong(lambda x, v: -x["rewards"] + discount(x) * v),
        ),
        *mistake(
            "reward-off-by-one",
            "The reward of another row is used.",
            maths,
            of_inputs(reference, lambda x: {"rewards": np.roll(x["rewards"], 1)}),
            of_inputs(reference, lambda x: {"rewards": np.roll(x["rewards"], -1)}),
        ),
    )


def reduced(values: Any, how: Callable[..., Any]) -> Any:
    """Return what is made of the values of each row's actions."""
    return how(values, axis=-1)


def of_value(make: Callable[[Inputs], Any]) -> Callable[[Inputs, Options], Outputs]:
    """Return a target with another next value."""
    return lambda x, o: {"next_value": make(x), "target": x["rewards"] + discount(x) * make(x)}
