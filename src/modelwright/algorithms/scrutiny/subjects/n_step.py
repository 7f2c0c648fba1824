"""n-step targets, of one stretch or at every step of it.

    target_t = sum_{k < m} gamma^k r_{t+k} + gamma^m V(s_{t+m})   unless terminated
    m = min(n, steps to the end of the episode, steps to the end of the stretch)

Source: Sutton and Barto, equation 7.1.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from modelwright.algorithms.control.returns import n_step_returns
from modelwright.algorithms.scrutiny.subject import (
    Absent,
    Argument,
    Case,
    Choice,
    Inputs,
    Options,
    Outputs,
    Subject,
    mistake,
    words,
)
from modelwright.algorithms.scrutiny.subjects.stretch import (
    AXES,
    LAYOUTS,
    before,
    ended,
    next_values,
    stretches,
)
from modelwright.algorithms.scrutiny.subjects.stretch_arguments import (
    ARGUMENTS,
    NO_FLAGS,
    NO_GAMMA,
    WINDOW_DONES,
)

__all__ = ["SUBJECTS"]

_BOTH = ("step", "copy")


def _windows(x: Inputs, make: Callable[[Any, Any, Any, float], tuple[Any, Any, Any]]) -> tuple[Any, Any, Any]:
    """Return what `make` says of the stretch from each step on: return, steps, whether terminated."""
    rewards = x["rewards"]
    flat = [np.reshape(each, (len(rewards), -1)) for each in (rewards, x["terminated"], ended(x))]
    found: list[tuple[Any, Any, Any]] = []
    for at in range(len(rewards)):
        reward, terminated, over = (each[at : at + x["n"]].T for each in flat)
        found.append(make(reward, terminated, over, x["gamma"]))
    total, steps, stopped = (np.stack(each).reshape(rewards.shape) for each in zip(*found, strict=True))
    return total, steps, stopped


def _targets(x: Inputs, total: Any, steps: Any, terminated: Any, **changed: Any) -> Outputs:
    part = {"gamma": x["gamma"], "following": next_values(x), "power": steps, "alive": ~terminated, **changed}
    last = np.arange(len(total)).reshape(-1, *(1 for _ in total.shape[1:])) + steps - 1
    value = np.take_along_axis(part["following"], np.minimum(last, len(total) - 1), axis=0)
    target = total + np.asarray(part["gamma"], float) ** part["power"] * part["alive"] * value
    discount = np.asarray(part["gamma"], float) ** part["power"] * part["alive"]
    return {"reward": total, "steps": steps, "terminated": terminated, "discount": discount, "target": target}


def _shown(x: Inputs, found: Outputs, options: Options) -> Outputs:
    """Return the outputs as the function gives them: of the first step alone, or of full windows only."""
    if x["windows"]:
        return {f"first_{name}": each[0] for name, each in found.items()} | found
    if options["ends"] == "full" and len(found["target"]) >= x["n"]:
        found = {name: each[: len(each) - x["n"] + 1] for name, each in found.items()}
    return {f"first_{name}": each[0] for name, each in found.items()} | found


def _n_step(x: Inputs, options: Options) -> Outputs:
    return _shown(x, _targets(x, *_windows(x, n_step_returns)), options)


def _wrong(
    make: Callable[[Any, Any, Any, float], tuple[Any, Any, Any]] = n_step_returns,
    **changes: Callable[[Inputs, Any], Any],
) -> Callable[[Inputs, Options], Outputs]:
    """Return targets of other windows or of other parts; a change is given inputs and steps."""

    def outputs(x: Inputs, options: Options) -> Outputs:
        total, steps, terminated = _windows(x, make)
        changed = {name: change(x, steps) for name, change in changes.items()}
        return _shown(x, _targets(x, total, steps, terminated, **changed), options)

    return outputs


def _changed(change: Callable[[Inputs], Inputs]) -> Callable[[Inputs, Options], Outputs]:
    return lambda x, o: _n_step({**x, **change(x)}, o)


def _crossing(reward: Any, terminated: Any, over: Any, gamma: float) -> tuple[Any, Any, Any]:
    """Return sums that go on into the next episode."""
    count = reward.shape[1]
    return (
        (gamma ** np.arange(count) * reward).sum(axis=1),
        np.full(len(reward), count),
        terminated.any(axis=1),
    )


def _plain_sum(reward: Any, terminated: Any, over: Any, gamma: float) -> tuple[Any, Any, Any]:
    total, steps, stopped = n_step_returns(reward, terminated, over, 1.0)
    return total, steps, stopped


def _cut_early(reward: Any, terminated: Any, over: Any, gamma: float) -> tuple[Any, Any, Any]:
    """Return sums that leave out the reward with which the episode ends."""
    total, steps, stopped = n_step_returns(np.where(over, 0.0, reward), terminated, over, gamma)
    return total, steps, stopped


def _cut_late(reward: Any, terminated: Any, over: Any, gamma: float) -> tuple[Any, Any, Any]:
    later = np.concatenate([np.zeros_like(over[:, :1]), over[:, :-1]], axis=1)
    total, steps, _ = n_step_returns(reward, later, later, gamma)
    return total, steps, terminated.any(axis=1)


def _reversed(reward: Any, terminated: Any, over: Any, gamma: float) -> tuple[Any, Any, Any]:
    _, steps, stopped = n_step_returns(reward, terminated, over, gamma)
    place = np.arange(reward.shape[1])
    power = np.where(place < steps[:, None], gamma ** (steps[:, None] - 1.0 - place), 0.0)
    return (power * reward).sum(axis=1), steps, stopped


_LINE = "target_t = sum_{k < m} gamma^k r_{t+k} + gamma^m V(s_{t+m}) unless terminated"
_MISTAKES = (
    *mistake(
        "bootstrap-discount",
        "The value is discounted with gamma, or with another power than gamma^m.",
        _LINE,
        _wrong(power=lambda x, steps: 1),
        _wrong(power=lambda x, steps: steps - 1),
        _wrong(power=lambda x, steps: steps + 1),
        _wrong(power=lambda x, steps: 0),
        _wrong(power=lambda x, steps: x["n"]),
    ),
    *mistake(
        "crosses-episodes",
        "Rewards of the next episode are counted.",
        _LINE,
        _wrong(_crossing),
        _wrong(_crossing, alive=lambda x, steps: 1.0),
        _changed(
            lambda x: {
                "terminated": np.zeros_like(x["terminated"]),
                "truncated": np.zeros_like(x["truncated"]),
            }
        ),
    ),
    *mistake(
        "bootstraps-after-termination",
        "The value is counted although the task has ended.",
        _LINE,
        _wrong(alive=lambda x, steps: 1.0),
    ),
    *mistake(
        "only-last-done",
        "Only the flag of one step of the window is looked at.",
        "the window ends with the first step that ends the episode",
        lambda x, o: _one_flag(x, o, -1),
        lambda x, o: _one_flag(x, o, 0),
    ),
    *mistake(
        "terminal-reward-missing",
        "The reward with which the episode ends is left out.",
        _LINE,
        _wrong(_cut_early),
    ),
    *mistake(
        "done-off-by-one",
        "The done mask is off by one: the window ends one step late, or early.",
        _LINE,
        _wrong(_cut_late),
        _changed(lambda x: {"terminated": before(x), "truncated": np.zeros_like(x["truncated"])}),
        _changed(lambda x: {"terminated": np.roll(x["terminated"], -1, axis=0)}),
    ),
    *mistake(
        "mask-inverted",
        "The mask is inverted.",
        _LINE,
        _changed(lambda x: {"terminated": ~x["terminated"]}),
        _wrong(alive=lambda x, steps: 1.0 * _windows(x, n_step_returns)[2]),
    ),
    *mistake(
        "gamma-missing",
        "Rewards are not discounted.",
        _LINE,
        _wrong(_plain_sum),
        _changed(lambda x: {"gamma": 1.0}),
    ),
    *mistake(
        "missing-bootstrap",
        "The value after the window is missing.",
        _LINE,
        _wrong(alive=lambda x, steps: 0.0),
        _wrong(
            alive=lambda x, steps: np.where(
                np.arange(len(steps)).reshape(-1, *(1 for _ in steps.shape[1:])) + steps < len(steps),
                ~_windows(x, n_step_returns)[2],
                False,
            )
        ),
    ),
    *mistake(
        "n-off-by-one",
        "The window has a step too many or too few.",
        "m <= n",
        lambda x, o: _n_step({**x, "n": x["n"] + 1}, o),
        lambda x, o: _n_step({**x, "n": max(1, x["n"] - 1)}, o),
    ),
    *mistake(
        "wrong-value",
        "The value is that of another step.",
        _LINE,
        _wrong(following=lambda x, steps: x["values"]),
        _wrong(following=lambda x, steps: np.roll(next_values(x), -1, axis=0)),
    ),
    *mistake(
        "discounted-in-reverse",
        "The last reward of the window is discounted least.",
        _LINE,
        _wrong(_reversed),
    ),
)


def _one_flag(x: Inputs, options: Options, at: int) -> Outputs:
    def make(reward: Any, terminated: Any, over: Any, gamma: float) -> tuple[Any, Any, Any]:
        total, steps, _ = _crossing(reward, terminated, over, gamma)
        return total, steps, terminated[:, at]

    return _wrong(make)(x, options)


def _cases(generator: np.random.Generator) -> list[Case]:
    cases: list[Case] = []
    for at, case in enumerate(stretches(generator)):
        if case.inputs["rewards"].shape[0] <= 16:
            n = (3, 2, 3, 4, 1, 2, 5)[at % 7]
            cases.append(replace(case, inputs={**case.inputs, "n": n, "windows": False}))
    return cases


def _window(x: Inputs) -> Inputs:
    """Return a stretch that is one window."""
    return {**x, "n": len(x["rewards"]), "windows": True}


_NO_VALUE = Absent(
    roles=("next_value", "next_values", "values"),
    ways={"what follows the window is not its matter": lambda x: x},
)

SUBJECTS = (
    Subject(
        name="returns:n_step",
        title="n-step targets, of one stretch or at every step",
        equation=_LINE,
        axes=AXES,
        arguments=(
            *ARGUMENTS["rewards"],
            *(
                replace(each, bars=("next_value",)) if each.bars == ("last_done", "starts") else each
                for each in ARGUMENTS["next_values"][:1]
            ),
            *ARGUMENTS["next_value"],
            *ARGUMENTS["values"][:2],
            *ARGUMENTS["dones"][:3],
            *ARGUMENTS["terminated"][:1],
            *WINDOW_DONES,
            *ARGUMENTS["truncated"],
            *ARGUMENTS["alive"],
            *ARGUMENTS["discounts"],
            *ARGUMENTS["gamma"],
            Argument(
                role="n",
                names=words("n n_step n_steps nstep steps n_steps_return horizon multi_step num_steps"),
                kind="plain",
                doc="n",
            ),
        ),
        outputs={
            **dict.fromkeys(("reward", "steps", "terminated", "discount", "target"), _BOTH),
            **{
                f"first_{name}": ("copy",) for name in ("reward", "steps", "terminated", "discount", "target")
            },
        },
        single=("target", "first_target", "first_reward", "reward"),
        orders=(
            ("first_reward", "first_terminated"),
            ("first_reward", "first_steps"),
            ("first_reward", "first_discount"),
            ("reward", "discount"),
            ("first_reward", "first_steps", "first_terminated"),
            ("first_reward", "first_discount", "first_terminated"),
        ),
        names={**dict.fromkeys(("returns", "targets", "g"), "target")},
        layouts=LAYOUTS,
        choices={
            "ends": Choice(
                values={"short": "", "full": "only windows of n steps: the last n - 1 steps have no target"},
                needs=("n",),
            )
        },
        absences=(
            NO_FLAGS,
            NO_GAMMA,
            _NO_VALUE,
            Absent(roles=("n",), ways={"one window: n is the length of the stretch": _window}),
        ),
        reference=_n_step,
        mistakes=_MISTAKES,
        cases=_cases,
    ),
)
