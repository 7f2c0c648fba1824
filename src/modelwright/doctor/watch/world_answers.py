"""What an answer of a world of a program's own says: observations, rewards, ends; of one or of many."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["WorldAnswer", "names_of_answer", "read_answer", "read_observation"]

_MOST_PARTS = 8
_LAST_OF_EPISODES = ("final_obs", "final_observation", "terminal_observation")
_FROM_A_GPU = 100_000


@dataclass(slots=True)
class WorldAnswer:
    """One answer; every attribute but `many` is (world, ...).

    Attributes:
        shown: What the program sees next.
        following: What really followed; not a number where nobody says, after an end.
        rewards: What was got.
        terminated, truncated: Whether an episode ended, or was cut; mere "done" is `truncated`.
        clear: Whether it is said which of the two.
        can_end: Whether an end is told of at all, and not only cuts.
        many: Whether it is of many worlds that step side by side, and begin anew by themselves.
    """

    shown: NDArray[Any]
    following: NDArray[Any]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    clear: bool
    can_end: bool
    many: bool


def names_of_answer(step: Callable[..., Any]) -> list[str] | None:
    """Return the text of each part that a method returns last; None where it cannot be read."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(step)))
    except (OSError, TypeError, SyntaxError):
        return None
    given = [each.value for each in ast.walk(tree) if isinstance(each, ast.Return)]
    tuples = [each for each in given if isinstance(each, ast.Tuple)]
    return [ast.unparse(each).lower() for each in tuples[-1].elts] if tuples else None


def read_observation(observation: Any) -> NDArray[Any] | None:
    """Return an observation's numbers, also where a mapping stands beside it; None where there are none."""
    if isinstance(observation, tuple) and len(observation) == 2 and isinstance(observation[1], dict):  # pyright: ignore[reportUnknownArgumentType]
        observation = observation[0]  # pyright: ignore[reportUnknownVariableType]
    return _array(observation)


def read_answer(answer: Any, names: Sequence[str] | None) -> WorldAnswer | None:
    """Return what an answer says; None where it is not that of a world.

    Args:
        answer: What `step` gave.
        names: See `names_of_answer`.
    """
    if type(answer) is not tuple or not 2 <= len(answer) <= _MOST_PARTS:
        return None
    shown, rewards = _array(answer[0]), _array(answer[1])
    if shown is None or rewards is None or rewards.dtype == np.bool_ or rewards.ndim > 2:
        return None
    many = rewards.size > 1 or rewards.ndim > 0
    if many and (shown.shape[:1] != rewards.shape[:1] or rewards.size != len(rewards)):
        return None
    shape = rewards.shape
    ends: list[tuple[str, NDArray[np.bool_]]] = []
    following = shown
    for at, part in enumerate(answer[2:], start=2):
        numbers = _array(part)
        if numbers is None:
            continue
        if numbers.dtype == np.bool_ and numbers.shape == shape:
            ends.append((names[at] if names and len(names) == len(answer) else "", numbers.reshape(-1)))
        elif many and numbers.shape == shown.shape and numbers.dtype == shown.dtype and shown.ndim > 1:
            following = numbers
        elif numbers.size == rewards.size and not isinstance(part, int | float) and not ends:
            return None  # ends in a code that is not known, perhaps
    if not ends or len(ends) > 2:
        return None
    terminated, truncated, clear, can_end = _told_apart(ends)
    if not many:
        shown = following = shown[None]
    ended = terminated | truncated
    last = _last_seen(answer, shown, ended) if many and following is shown else None
    if last is not None:
        following = shown.copy()
        following[ended] = last
    elif many and following is shown:
        following = shown.astype(np.float32)
        following[ended] = np.nan
        shown = following  # nobody says whether these begin anew by themselves
    elif not np.array_equal(following[~ended], shown[~ended]):
        return None
    gained = rewards.reshape(-1).astype(np.float64)
    return WorldAnswer(shown, following, gained, terminated, truncated, clear, can_end, many)


def _last_seen(answer: tuple[Any, ...], shown: NDArray[Any], ended: NDArray[np.bool_]) -> NDArray[Any] | None:
    """Return what was seen last in the worlds that ended, where a mapping of the answer tells."""
    told = next((each for each in answer[2:] if isinstance(each, Mapping)), None)
    if told is None:
        return None
    mapping = cast("Mapping[Any, Any]", told)
    last = next((_array(mapping[name]) for name in _LAST_OF_EPISODES if name in mapping), None)
    if last is None or last.dtype != shown.dtype:
        return None
    if last.shape == shown.shape:
        return last[ended]
    return last if last.shape == (int(ended.sum()), *shown.shape[1:]) else None


def _told_apart(ends: list[tuple[str, NDArray[np.bool_]]]) -> tuple[Any, Any, bool, bool]:
    """Return ends, cuts, whether it is clear which is which, and whether there are ends at all.

    By their names where they have some; of two, the first is the end, as Gymnasium has it.
    """
    cut = [any(word in name for word in ("trunc", "timeout", "time_limit", "timed_out")) for name, _ in ends]
    flags = [each for _, each in ends]
    none = np.zeros_like(flags[0])
    if len(flags) == 2:
        last, first = (flags[1], flags[0]) if cut == [True, False] else (flags[0], flags[1])
        return last, first, True, True
    named = "termin" in ends[0][0]
    if named and not cut[0]:
        return flags[0], none, True, True
    clear = cut[0] and not named
    return none, flags[0], clear, not clear


def _array(given: Any) -> NDArray[Any] | None:
    if hasattr(given, "detach"):
        if given.device.type != "cpu" and given.numel() > _FROM_A_GPU:
            return None
        given = given.detach().cpu().numpy()
    if isinstance(given, np.ndarray | np.generic | bool | int | float):
        numbers = np.asarray(given)
    elif isinstance(given, tuple | list) and given and all(isinstance(each, int | float) for each in given):  # pyright: ignore[reportUnknownVariableType]
        numbers = np.asarray(given, np.float64)
    else:
        return None
    return numbers if numbers.dtype.kind in "biuf" else None
