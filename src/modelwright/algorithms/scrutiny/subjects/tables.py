"""One update of a table of action values.

    Q(s, a) += alpha (r + gamma (1 - terminated) max_b Q(s', b) - Q(s, a))     Q-learning
    Q(s, a) += alpha (r + gamma (1 - terminated) Q(s', a') - Q(s, a))          SARSA

Source: Sutton and Barto, equations 6.8 and 6.7.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelwright.algorithms.q_learning import q_learning_target
from modelwright.algorithms.sarsa import sarsa_target
from modelwright.algorithms.scrutiny.subject import (
    Absent,
    Argument,
    Case,
    Inputs,
    Mistake,
    Options,
    Outputs,
    Reference,
    Subject,
    fixed_at,
    mistake,
    words,
)

__all__ = ["SUBJECTS"]

_TABLE = ("state", "action")


def _next_max(x: Inputs) -> Any:
    return x["q"][x["next_state"]].max()


def _next_taken(x: Inputs) -> Any:
    return x["q"][x["next_state"], x["next_action"]]


def _updated(x: Inputs, target: Any, **changed: Any) -> Outputs:
    """Return the table and its parts for a target; another step size, place or sign where told."""
    part = {"alpha": x["alpha"], "state": x["state"], "action": x["action"], "sign": 1.0, **changed}
    q = x["q"].copy()
    error = target - q[part["state"], part["action"]]
    q[part["state"], part["action"]] += part["sign"] * part["alpha"] * error
    return {"target": target, "td_error": error, "value": q[part["state"], part["action"]], "q": q}


def _target(x: Inputs, value: Any, *, mask: Any = None, gamma: Any = None) -> Any:
    mask = 1.0 - float(x["terminated"]) if mask is None else mask
    return x["rewards"] + (x["gamma"] if gamma is None else gamma) * mask * value


def _q_learning(x: Inputs, options: Options) -> Outputs:
    next_q = x["q"][x["next_state"]]
    target = q_learning_target(np.array(x["rewards"]), np.array(x["terminated"]), next_q, x["gamma"])
    return _updated(x, target)


def _sarsa(x: Inputs, options: Options) -> Outputs:
    target = sarsa_target(
        np.array(x["rewards"]), np.array(x["terminated"]), np.array(_next_taken(x)), x["gamma"]
    )
    return _updated(x, target)


def _mistakes(value: Callable[[Inputs], Any], maths: str) -> tuple[Mistake, ...]:
    def of(make: Callable[[Inputs, Any], Outputs]) -> Callable[[Inputs, Options], Outputs]:
        return lambda x, o: make(x, value(x))

    return (
        *mistake(
            "done-ignored",
            "The value that follows termination is counted.",
            maths,
            of(lambda x, v: _updated(x, _target(x, v, mask=1.0))),
        ),
        *mistake(
            "mask-inverted",
            "The mask is inverted: done is used where 1 - done belongs.",
            maths,
            of(lambda x, v: _updated(x, _target(x, v, mask=float(x["terminated"])))),
        ),
        *mistake(
            "alpha-gamma-swapped",
            "The step size and the discount are swapped.",
            maths,
            of(lambda x, v: _updated(x, _target(x, v, gamma=x["alpha"]), alpha=x["gamma"])),
        ),
        *mistake(
            "gamma-missing",
            "The next value is not discounted.",
            maths,
            of(lambda x, v: _updated(x, _target(x, v, gamma=1.0))),
        ),
        *mistake(
            "alpha-missing",
            "The step size is missing: the entry becomes the target.",
            maths,
            of(lambda x, v: _updated(x, _target(x, v), alpha=1.0)),
        ),
        *mistake(
            "old-value-not-subtracted",
            "Q(s, a) is not subtracted from the target.",
            maths,
            of(lambda x, v: _moved(x, x["alpha"] * _target(x, v))),
            of(lambda x, v: _moved(x, x["alpha"] * _target(x, v) - x["q"][x["state"], x["action"]])),
        ),
        *mistake(
            "wrong-sign",
            "The step goes away from the target.",
            maths,
            of(lambda x, v: _updated(x, _target(x, v), sign=-1.0)),
        ),
        *mistake(
            "weights-swapped",
            "The old value is weighed with alpha and the target with 1 - alpha.",
            "Q <- (1 - alpha) Q + alpha target",
            of(lambda x, v: _updated(x, _target(x, v), alpha=1.0 - x["alpha"])),
        ),
        *mistake(
            "next-entry-updated",
            "The entry of the next state is updated.",
            maths,
            of(lambda x, v: _updated(x, _target(x, v), state=x["next_state"])),
        ),
        *mistake(
            "own-state-for-next",
            "The value of the state itself stands for that of the next.",
            maths,
            lambda x, o: _updated(x, _target(x, value({**x, "next_state": x["state"]}))),
        ),
        *mistake(
            "reward-missing",
            "The reward is missing.",
            maths,
            of(lambda x, v: _updated(x, _target(x, v) - x["rewards"])),
        ),
        *mistake(
            "reward-discounted",
            "The reward is discounted, or masked, too.",
            maths,
            of(lambda x, v: _updated(x, x["gamma"] * _target(x, v, gamma=1.0))),
            of(lambda x, v: _updated(x, (1.0 - float(x["terminated"])) * _target(x, v))),
        ),
        *mistake(
            "whole-row-updated",
            "Every action of the state is updated, or the axes are swapped.",
            maths,
            of(_whole_row),
        ),
        *mistake(
            "mean-in-place-of-max",
            "The next values are averaged over actions.",
            maths,
            lambda x, o: _updated(x, _target(x, x["q"][x["next_state"]].mean())),
        ),
        *mistake(
            "min-in-place-of-max",
            "The smallest next value is taken.",
            maths,
            lambda x, o: _updated(x, _target(x, x["q"][x["next_state"]].min())),
        ),
        *mistake(
            "wrong-axis",
            "The largest value of the whole table, or of a column, is taken.",
            maths,
            lambda x, o: _updated(x, _target(x, x["q"].max())),
            lambda x, o: _updated(x, _target(x, x["q"][:, x["action"]].max())),
        ),
        *mistake(
            "argmax-in-place-of-max",
            "The number of the best action is taken for its value.",
            maths,
            lambda x, o: _updated(x, _target(x, float(x["q"][x["next_state"]].argmax()))),
        ),
        *mistake(
            "own-action-for-next",
            "The action just taken stands for the next one.",
            maths,
            lambda x, o: _updated(x, _target(x, x["q"][x["next_state"], x["action"]])),
        ),
    )


def _moved(x: Inputs, step: Any) -> Outputs:
    q = x["q"].copy()
    q[x["state"], x["action"]] += step
    return {"q": q, "value": q[x["state"], x["action"]]}


def _whole_row(x: Inputs, value: Any) -> Outputs:
    q = x["q"].copy()
    q[x["state"]] += x["alpha"] * (_target(x, value) - q[x["state"]])
    return {"q": q}


def _cases(generator: np.random.Generator) -> list[Case]:
    def step(states: int, actions: int, **given: Any) -> Inputs:
        return {
            "q": generator.standard_normal((states, actions)) + 0.5,
            "state": int(generator.integers(states)),
            "action": int(generator.integers(actions)),
            "rewards": float(generator.standard_normal()),
            "next_state": int(generator.integers(states)),
            "next_action": int(generator.integers(actions)),
            "terminated": False,
            "alpha": 0.3,
            "gamma": 0.9,
            **given,
        }

    cases = [
        ("general", step(5, 3, state=1, next_state=3, action=0, next_action=2)),
        ("terminated", step(5, 3, state=1, next_state=2, action=2, next_action=1, terminated=True)),
        ("general", step(4, 6, state=0, next_state=3, action=5, next_action=1, alpha=0.1, gamma=0.8)),
        *(("general", step(6, 4)) for _ in range(4)),
        ("same state", step(4, 2, state=2, next_state=2)),
        ("one action", step(4, 1)),
        ("one state", step(1, 3)),
        ("empty table", step(4, 3, q=np.zeros((4, 3)))),
        ("equal values", step(4, 3, q=np.ones((4, 3)))),
        ("negative values", step(4, 3, q=-1.0 - generator.random((4, 3)))),
        ("gamma 0", step(4, 3, gamma=0.0)),
        ("gamma 1", step(4, 3, gamma=1.0)),
        ("alpha 1", step(4, 3, alpha=1.0)),
        ("extreme reward", step(4, 3, rewards=1e6)),
    ]
    return [Case(name=name, inputs=x, screening=at < 3) for at, (name, x) in enumerate(cases)]


def _consistent(x: Inputs) -> Inputs | None:
    states, actions = x["q"].shape
    places = (
        x["state"] < states,
        x["next_state"] < states,
        x["action"] < actions,
        x["next_action"] < actions,
    )
    return x if all(places) else None


def _argument(role: str, names: tuple[str, ...], doc: str, kind: Any = "number", axes: Any = ()) -> Argument:
    return Argument(role=role, names=names, doc=doc, kind=kind, axes=axes)


_ARGUMENTS = (
    _argument(
        "q",
        ("q", "q_table", "qtable", "table", "q_values", "q_tab", "qt", "q_sa", "action_values"),
        "Q",
        axes=_TABLE,
    ),
    _argument(
        "state", words("state s obs observation s_t st cur_state old_state current_state"), "s", "index"
    ),
    _argument("action", ("action", "a", "a_t", "act", "at", "current_action"), "a", "index"),
    _argument("rewards", ("reward", "r", "rew", "r_t", "rewards", "rwd"), "r"),
    _argument(
        "next_state",
        words("next_state s_next s2 next_obs s_prime new_state sp s1 ns next_s s_ s_tp1 state_next state2"),
        "s'",
        "index",
    ),
    _argument(
        "next_action",
        words("next_action a_next a2 a_prime new_action ap a1 na next_a action_next action2"),
        "a'",
        "index",
    ),
    _argument(
        "terminated",
        ("terminated", "done", "terminal", "d", "is_terminal", "end", "term", "finished"),
        "whether the task ended",
        "flag",
    ),
    Argument(
        role="alive",
        names=("not_done", "mask", "alive", "cont", "nonterminal"),
        doc="1 - terminated",
        make=lambda x: 1.0 - float(x["terminated"]),
        says="1 where the task goes on, else 0",
    ),
    _argument("alpha", ("alpha", "lr", "learning_rate", "step_size", "eta", "al", "rate"), "step size"),
    _argument("gamma", ("gamma", "discount", "discount_factor", "g", "df"), "discount"),
)
_Q_LEARNING = "Q(s, a) += alpha (r + gamma (1 - terminated) max_b Q(s', b) - Q(s, a))"
_SARSA = "Q(s, a) += alpha (r + gamma (1 - terminated) Q(s', a') - Q(s, a))"


def _subject(
    name: str,
    title: str,
    maths: str,
    value: Callable[[Inputs], Any],
    reference: Reference,
    other: tuple[Mistake, ...],
) -> Subject:
    return Subject(
        name=name,
        title=title,
        equation=maths,
        axes={"q": _TABLE},
        arguments=tuple(each for each in _ARGUMENTS if name == "sarsa:update" or each.role != "next_action"),
        outputs={"target": (), "td_error": (), "value": (), "q": _TABLE},
        single=("q", "td_error", "value"),
        orders=(("q", "td_error"), ("td_error", "q"), ("target", "td_error")),
        names={"delta": "td_error", "q_table": "q", "error": "td_error"},
        absences=(
            Absent(
                roles=("terminated", "alive"),
                ways={"the step does not end the task": lambda x: {**x, "terminated": False}},
            ),
            fixed_at("alpha", 0.1, 0.5, 0.01, 1.0),
            fixed_at("gamma", 0.99, 0.9, 0.95, 1.0),
        ),
        reference=reference,
        mistakes=(*other, *_mistakes(value, maths)),
        cases=_cases,
        in_place={"q": "q"},
        consistent=_consistent,
    )


SUBJECTS = (
    _subject(
        "q_learning:update",
        "one update of a table of Q by Q-learning",
        _Q_LEARNING,
        _next_max,
        _q_learning,
        (),
    ),
    _subject(
        "sarsa:update",
        "one update of a table of Q by SARSA",
        _SARSA,
        _next_taken,
        _sarsa,
        tuple(
            mistake(
                "max-in-place-of-next-action",
                "The best next action counts, not the one taken: this is Q-learning.",
                _SARSA,
                lambda x, o: _updated(x, _target(x, _next_max(x))),
            )
        ),
    ),
)
