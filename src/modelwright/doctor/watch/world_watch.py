"""What a watch hears of worlds of a program's own: classes with `reset` and `step`, not Gymnasium's."""

import inspect
import random
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.watch.imports import ImportNotice
from modelwright.doctor.watch.patch import Patches
from modelwright.doctor.watch.place import is_users
from modelwright.doctor.watch.watch import Watch
from modelwright.doctor.watch.world_answers import (
    WorldAnswer,
    names_of_answer,
    read_answer,
    read_observation,
)

__all__ = ["WorldWatch"]

_LIBRARIES = ("torch", "gymnasium", "gym", "sklearn", "lightning", "pytorch_lightning", "enum")
_MOST_ROWS = 1024
_MOST_WORLDS = 1024
_MOST_LOOKS = 64


class _Row:
    """Stands for one of the worlds that step side by side; known by its identity."""


class _World:
    """One object, and its worlds."""

    __slots__ = ("age", "asleep", "first", "here", "rows")

    def __init__(self, here: Any, first: NDArray[Any]) -> None:
        self.here = here  # keeps it alive: an identity is not used twice
        self.first = first
        self.rows: list[_Row] = []
        self.age = np.zeros(0, np.int64)
        self.asleep = False


class WorldWatch:
    """Listens to classes of the user's that answer as worlds do, from when they are first found.

    Args:
        watch: Is told.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._hooks = Patches()
        self._notice = ImportNotice({"torch": self._with_torch})
        self._patches = Patches()
        self._met: set[type] = set()
        self._left: set[type] = set()
        self._names: dict[type, list[str] | None] = {}
        self._worlds: dict[int, _World] = {}
        self._own = self._looks = 0
        self._depth = 0

    def start(self) -> None:
        """Begin to look for worlds: where a program sets a seed, and where it makes an optimizer."""
        self._notice.start()
        self._hooks.replace(random, "seed", self._before)
        self._hooks.replace(np.random, "seed", self._before)
        self._hooks.replace(np.random, "default_rng", self._before)

    def _with_torch(self) -> None:
        torch = sys.modules["torch"]
        self._hooks.replace(torch, "manual_seed", self._before)
        self._hooks.replace(torch.optim.Optimizer, "__init__", self._before)

    def stop(self) -> None:
        """Put everything back."""
        self._notice.stop()
        self._patches.undo()
        self._hooks.undo()

    def _before(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def heard(*args: Any, **kwargs: Any) -> Any:
            if self._watch.listens and self._looks < _MOST_LOOKS:
                self._looks += 1
                self._look()
            return method(*args, **kwargs)

        return heard

    def _look(self) -> None:
        """Find classes of the user's modules that have both methods."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if not isinstance(file, str) or not is_users(file):
                continue
            for kind in list(vars(module).values()):
                if isinstance(kind, type) and kind not in self._met:
                    self._met.add(kind)
                    step = getattr(kind, "step", None)
                    if step is not None and _is_world(kind):
                        self._names[kind] = names_of_answer(step)
                        self._patches.replace(kind, "step", self._step)
                        self._patches.replace(kind, "reset", self._reset)

    def _reset(self, reset: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(reset)
        def heard(world: Any, *args: Any, **kwargs: Any) -> Any:
            if self._depth or not self._watch.listens or type(world) in self._left:
                return reset(world, *args, **kwargs)
            self._depth += 1
            try:
                answer = reset(world, *args, **kwargs)
            finally:
                self._depth -= 1
            observation = read_observation(answer)
            known = self._worlds.get(id(world))
            if observation is not None and known is not None and known.rows:
                known.age[:] = 0
                if not known.asleep:
                    self._began(known, observation if observation.shape == known.first.shape else None)
            elif observation is not None and len(self._worlds) < _MOST_WORLDS:
                self._worlds[id(world)] = _World(world, observation.copy())
            return answer

        return heard

    def _step(self, step: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(step)
        def heard(world: Any, *args: Any, **kwargs: Any) -> Any:
            if self._depth or not self._watch.listens or type(world) in self._left:
                return step(world, *args, **kwargs)
            count = self._watch.scene.experience.count
            self._depth += 1
            try:
                answer = step(world, *args, **kwargs)
            finally:
                self._depth -= 1
            if count != self._watch.scene.experience.count or count != self._own:
                self._left.add(type(world))  # Gymnasium's are inside, or beside it
                return answer
            self._told(world, args[0] if args else next(iter(kwargs.values()), None), answer)
            return answer

        return heard

    def _told(self, world: Any, action: Any, answer: Any) -> None:
        watch, scene = self._watch, self._watch.scene
        known = self._worlds.get(id(world))
        if known is None:
            return
        updated, rests = watch.rest.weigh(watch), scene.resting
        scene.begins = scene.steps > 0
        began = time.perf_counter()
        read = read_answer(answer, self._names.get(type(world)))
        if read is None or len(read.rewards) > _MOST_ROWS or not self._is_like(known, read):
            self._left.add(type(world))
            return
        if not known.rows:
            known.rows = [_Row() for _ in read.rewards]
            known.age = np.zeros(len(known.rows), np.int64)
            scene.environments = True
            self._began(known, known.first)
        known.age += 1
        if read.many:
            known.age[read.terminated | read.truncated] = 0
        if not known.asleep and not rests:
            self._stepped(known, action, read)
        elif not rests:
            for row, shown, age in zip(known.rows, read.shown, known.age.tolist(), strict=True):
                scene.experience.passed(id(row), shown, age)
            scene.experience.hear_again()
        else:
            scene.experience.unheard += len(known.rows)
        known.asleep = rests
        watch.seconds += time.perf_counter() - began
        if known.asleep:
            return
        if updated or scene.close:
            watch.tell("on_acting", known.rows[-1])
        watch.tell("on_environment_step", known.rows[-1], action, answer)

    def _is_like(self, known: _World, read: WorldAnswer) -> bool:
        """Return whether an answer is as the ones before, with an observation as the first one."""
        whole = read.shown if read.many else read.shown[0]
        return whole.shape == known.first.shape and len(known.rows) in (0, len(read.rewards))

    def _began(self, world: _World, observations: Any) -> None:
        if observations is None:
            return
        rows = observations.reshape(len(world.rows), -1)
        for row, observation in zip(world.rows, rows, strict=True):
            self._watch.scene.experience.began(id(row), observation)
            self._watch.tell("on_environment_reset", row, observation)

    def _stepped(self, world: _World, action: Any, read: WorldAnswer) -> None:
        experience = self._watch.scene.experience
        experience.ends_are_clear &= read.clear
        experience.can_end = read.can_end
        given: Any = action.detach().cpu().numpy() if hasattr(action, "detach") else action
        actions = np.asarray(given)
        if read.many and actions.shape[:1] != read.rewards.shape:
            actions = np.zeros((len(read.rewards), 0))
        experience.round = experience.count
        for at, row in enumerate(world.rows):
            experience.stepped(
                id(row),
                actions[at] if read.many else actions,
                read.following[at],
                read.rewards[at],
                read.terminated[at],
                read.truncated[at],
            )
            if read.many and (read.terminated[at] or read.truncated[at]):
                experience.began(id(row), read.shown[at])
                if not np.isnan(read.shown[at]).any():
                    self._watch.tell("on_environment_reset", row, read.shown[at])
        self._own = experience.count


def _is_world(kind: type) -> bool:
    """Return whether a class is the user's, and has `reset` and a `step` that is given an action."""
    if any(str(getattr(each, "__module__", "")).split(".")[0] in _LIBRARIES for each in kind.__mro__):
        return False
    step, reset = getattr(kind, "step", None), getattr(kind, "reset", None)
    if not (inspect.isfunction(step) and inspect.isfunction(reset) and is_users(step.__code__.co_filename)):
        return False
    return step.__code__.co_argcount >= 2
