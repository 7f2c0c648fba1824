"""Gymnasium's vector environments as a `Simulation`, whichever way they begin the next episode.

A vector environment resets its rows by itself, in one of three modes (Gymnasium 1.1 and later), and what it
answers to a step means something else in each:

    mode        the step that ends an episode answers      the step after it
    NEXT_STEP   the last observation                       ignores the action, answers the first observation
                                                           of the next episode with reward 0
    SAME_STEP   the first observation of the next          is the first of the next episode
                episode; the last one is in
                info["final_obs"]
    DISABLED    the last observation                       must not come before a reset of these rows

Here the true last observation is `Transition.successor` in all three, and the step that NEXT_STEP ignores is
marked as not valid.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from modelwright.base.errors import BadValue, WorkerLost
from modelwright.base.seed import Seed
from modelwright.data.environments.checked_environment import calling
from modelwright.data.environments.gymnasium_space import give_action, read_observation, read_space
from modelwright.data.environments.relay import Relayed
from modelwright.data.environments.simulation import Transition
from modelwright.data.environments.space import Box, action_rows

__all__ = ["Seeding", "VectorSimulation"]

Seeding = Literal["rows", "whole"]
_BITS = 32  # environments in C take seeds of 31 bits


class VectorSimulation:
    """A `Simulation` made of vector environments.

    Args:
        name: For messages.
        make: Makes a vector environment of so many rows.
        seeds: One per seed of the cohort.
        copies: Copies per seed.
        seeding: `rows` where each row has a random source of its own: one vector environment holds all seeds,
            and row k of a seed is reset with its stream `environment/k`, as a plain copy is. `whole` where
            rows share a source: then each seed has a vector environment to itself, or its numbers would
            depend on its company.

    Raises:
        BadValue: where a vector environment does not say in which mode it resets, or answers what its spaces
            do not allow; at each step too.
        WorkerLost: where it raises, or one of its processes ends.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[int], Any],
        seeds: Sequence[Seed],
        copies: int,
        seeding: Seeding = "rows",
    ) -> None:
        self._name, self._lead = name, (len(seeds), copies)
        self._parts: list[Any] = []
        try:
            if seeding == "rows":
                self._parts = [make(len(seeds) * copies)]
                starts: list[Any] = [
                    [seed.integer(f"environment/{k}") for seed in seeds for k in range(copies)]
                ]
            else:
                for _ in seeds:
                    self._parts.append(make(copies))
                starts = [seed.integer("environment") >> _BITS for seed in seeds]
            one = self._parts[0]
            self._mode = one.metadata.get("autoreset_mode")
            if not isinstance(self._mode, AutoresetMode):
                raise BadValue(
                    f"The vector environment {name} says how it begins episodes, in metadata",
                    got=repr(self._mode),
                    nearest=", ".join(str(mode) for mode in AutoresetMode),
                )
            self.observation_space = read_space(one.single_observation_space, name, "observation")
            self.action_space = read_space(one.single_action_space, name, "action")
            self._given = one.single_action_space
            self._rows = len(seeds) * copies // len(self._parts)
            firsts = [self._ask("reset()", part.reset, seed=start)[0] for part, start in self._with(starts)]
            self.observation = self._shaped(self._checked(firsts, "reset()"))
        except BaseException:
            self.close()
            raise
        self._ignored = np.zeros(len(seeds) * copies, np.bool_)

    def step(self, action: NDArray[Any]) -> Transition:
        """See `Simulation`."""
        rows = action_rows(action, self.action_space, self._lead)
        if isinstance(self.action_space, Box):
            rows = give_action(rows, self._given)
        taken = np.split(rows, len(self._parts))
        answers = [self._ask("step()", part.step, mine) for part, mine in self._with(taken)]
        for answer in answers:
            if not isinstance(answer, tuple) or len(cast("tuple[Any, ...]", answer)) != 5:
                raise BadValue(
                    f"step() of the vector environment {self._name} returns (observations, rewards, "
                    "terminations, truncations, infos)",
                    got=f"{len(answer)} answers" if isinstance(answer, tuple) else type(answer).__name__,
                )
        seen = self._checked([answer[0] for answer in answers], "step()")
        reward = self._flat([answer[1] for answer in answers], np.float64, "reward")
        terminated = self._flat([answer[2] for answer in answers], np.bool_, "terminated")
        truncated = self._flat([answer[3] for answer in answers], np.bool_, "truncated")
        if not np.isfinite(reward).all():
            raise BadValue(
                f"A reward of {self._name} is a finite number",
                got=repr(reward[~np.isfinite(reward)][0]),
                next_step="mend the environment: one such reward makes every value after it meaningless",
            )
        ended = terminated | truncated
        successor, observation, valid = seen, seen, None
        if self._mode == AutoresetMode.NEXT_STEP:
            if self._ignored.any():
                valid = (~self._ignored).reshape(self._lead)
            self._ignored = ended
        elif ended.any() and self._mode == AutoresetMode.SAME_STEP:
            successor = seen.copy()
            for row in np.flatnonzero(ended):
                successor[row] = self._final(answers[row // self._rows][4], int(row) % self._rows)
        elif ended.any():
            observation = self._reset(ended, seen)
        self.observation = self._shaped(observation)
        return Transition(
            observation=self.observation,
            successor=self.observation if successor is observation else self._shaped(successor),
            reward=reward.reshape(self._lead),
            terminated=terminated.reshape(self._lead),
            truncated=truncated.reshape(self._lead),
            valid=valid,
        )

    def close(self) -> None:
        """End processes and let go of everything."""
        parts, self._parts = self._parts, []
        for part in parts:
            with contextlib.suppress(Exception):
                part.close()

    def _with(self, values: Sequence[Any]) -> Any:
        return zip(self._parts, values, strict=True)

    def _ask(self, what: str, method: Callable[..., Any], *values: Any, **more: Any) -> Any:
        try:
            return calling(self._name, what, lambda: method(*values, **more))
        except WorkerLost as lost:
            # Its other processes wait for answers that will not come.
            self.close()
            if isinstance(lost.__cause__, Relayed):
                raise lost.__cause__.error from lost.__cause__
            if isinstance(lost.__cause__, EOFError | ConnectionError):
                raise WorkerLost(
                    f"A process of {self._name} ended without a word in {what}",
                    got=type(lost.__cause__).__name__,
                    next_step="run it with environment.vector=null to see where",
                ) from lost.__cause__
            raise

    def _reset(self, ended: NDArray[np.bool_], seen: NDArray[Any]) -> NDArray[Any]:
        """Return observations with those of new episodes where one ended."""
        masks = np.split(ended, len(self._parts))
        found = [
            self._ask("reset()", part.reset, options={"reset_mask": mask})[0] if mask.any() else old
            for (part, mask), old in zip(self._with(masks), np.split(seen, len(self._parts)), strict=True)
        ]
        return self._checked(found, "reset()")

    def _final(self, info: Any, row: int) -> NDArray[Any]:
        finals = info.get("final_obs")
        if finals is None or finals[row] is None:
            raise BadValue(
                f"{self._name} gives the last observation of an episode in info['final_obs'], as mode "
                "SAME_STEP must",
                got=f"info with {sorted(map(str, info))}",
                next_step="without it nothing right can be learnt from the end of an episode",
            )
        return read_observation(finals[row], self.observation_space, self._name, "final_obs")

    def _checked(self, parts: Sequence[Any], where: str) -> NDArray[Any]:
        """Return a copy of observations as rows; vector environments may reuse theirs."""
        space, rows = self.observation_space, (self._rows,)
        return np.concatenate([read_observation(part, space, self._name, where, rows) for part in parts])

    def _flat(self, parts: Sequence[Any], kind: type, what: str) -> NDArray[Any]:
        arrays = [np.asarray(part) for part in parts]
        kinds = "b" if kind is np.bool_ else "fiub"
        for each in arrays:
            if each.shape != (self._rows,) or each.dtype.kind not in kinds:
                words = "True or False" if kinds == "b" else "one number"
                raise BadValue(
                    f"{what} of the vector environment {self._name} is {words} for each of {self._rows} rows",
                    got=f"shape {each.shape} and type {each.dtype}",
                )
        return np.concatenate(arrays).astype(kind)

    def _shaped(self, rows: NDArray[Any]) -> NDArray[Any]:
        return rows.reshape(*self._lead, *self.observation_space.shape)
