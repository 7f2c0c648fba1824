"""What a watch hears of Gymnasium: every reset and step of an environment, as the program sees it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import gymnasium

from modelwright.doctor.watch.patch import Patches
from modelwright.doctor.watch.watch import Watch

__all__ = ["GymWatch"]

_METHODS = ("step", "reset")


class GymWatch:
    """Listens to environments of every class, those that are defined later included.

    An environment inside of wrappers is heard once, at the outermost.

    Args:
        watch: Is told.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._patches = Patches()
        self._depth = 0
        self._ends: list[tuple[Any, bool, bool]] = []

    def start(self) -> None:
        """Begin to listen."""
        for kind in _kinds(gymnasium.Env):
            self._wrap(kind)
        self._patches.replace(gymnasium.Env, "__init_subclass__", self._later)
        for name in ("__init__", "__setstate__"):  # environments in other processes send their spaces
            self._patches.replace(gymnasium.Space, name, self._space)

    def stop(self) -> None:
        """Put everything back."""
        self._patches.undo()

    def _later(self, prepare: Callable[..., None]) -> Any:
        def heard(kind: Any, **kwargs: Any) -> None:
            own = getattr(prepare, "__func__", None)  # of a watch that began before
            if own is not None:
                own(kind, **kwargs)
            else:
                super(gymnasium.Env, kind).__init_subclass__(**kwargs)
            if self._watch.live:
                self._wrap(kind)

        return classmethod(heard)

    def _wrap(self, kind: type) -> None:
        for name in _METHODS:
            if name in vars(kind):
                self._patches.replace(kind, name, self._step if name == "step" else self._reset)

    def _space(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def heard(*args: Any, **kwargs: Any) -> Any:
            if self._watch.listens:
                self._watch.scene.environments = True
            return method(*args, **kwargs)

        return heard

    def _step(self, step: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(step)
        def heard(environment: Any, action: Any, *args: Any, **kwargs: Any) -> Any:
            if self._depth or not self._watch.live:
                answer = step(environment, action, *args, **kwargs)
                if (
                    self._depth
                    and isinstance(answer, tuple)
                    and len(answer) == 5
                    and (answer[2] or answer[3])
                ):
                    self._ends.append((environment, bool(answer[2]), bool(answer[3])))
                return answer
            self._depth = 1
            self._ends.clear()
            try:
                answer = step(environment, action, *args, **kwargs)
            finally:
                self._depth = 0
            if self._watch.listens and isinstance(answer, tuple) and len(answer) == 5:
                observation, reward, terminated, truncated, _ = answer
                scene = self._watch.scene
                scene.environments = True
                scene.experience.stepped(id(environment), action, observation, reward, terminated, truncated)
                if self._ends:
                    ends = [*self._ends, (environment, bool(terminated), bool(truncated))]
                    self._watch.tell("on_episode_end", ends)
                self._watch.tell("on_environment_step", environment, action, answer)
            return answer

        return heard

    def _reset(self, reset: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(reset)
        def heard(environment: Any, *args: Any, **kwargs: Any) -> Any:
            if self._depth or not self._watch.live:
                return reset(environment, *args, **kwargs)
            self._depth = 1
            try:
                answer = reset(environment, *args, **kwargs)
            finally:
                self._depth = 0
            if self._watch.listens and isinstance(answer, tuple) and len(answer) == 2:
                self._watch.scene.experience.began(id(environment), answer[0])
                self._watch.tell("on_environment_reset", environment, answer[0])
            return answer

        return heard


def _kinds(kind: type) -> list[type]:
    found = [kind]
    for each in kind.__subclasses__():
        found += _kinds(each)
    return list(dict.fromkeys(found))
