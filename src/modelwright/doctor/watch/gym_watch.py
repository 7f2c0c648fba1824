"""What a watch hears of Gymnasium: every reset and step of an environment, as the program sees it."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import gymnasium

from modelwright.doctor.watch.patch import Patches
from modelwright.doctor.watch.vector_watch import VectorWatch
from modelwright.doctor.watch.watch import Watch

__all__ = ["GymWatch"]

_METHODS = ("step", "reset")


class GymWatch:
    """Listens to environments of every class, those that are defined later included.

    An environment inside of wrappers is heard once, at the outermost. Where steps are so quick that hearing
    them takes a share of the time that a user would notice, some stretches between updates are not heard.

    Args:
        watch: Is told.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._patches = Patches()
        self._depth = 0
        self._ends: list[tuple[Any, bool, bool]] = []
        self._vectors = VectorWatch(watch, self._mute)

    def start(self) -> None:
        """Begin to listen."""
        for kind in _kinds(gymnasium.Env):
            self._wrap(kind)
        self._patches.replace(gymnasium.Env, "__init_subclass__", self._later)
        for name in ("__init__", "__setstate__"):  # environments in other processes send their spaces
            self._patches.replace(gymnasium.Space, name, self._space)
        self._vectors.start()

    def stop(self) -> None:
        """Put everything back."""
        self._vectors.stop()
        self._patches.undo()

    def _mute(self, muted: bool) -> None:
        """Hear no environment inside of a vector environment that is heard as a whole."""
        self._depth = int(muted)
        self._ends.clear()

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
        watch, scene, rest = self._watch, self._watch.scene, self._watch.rest
        experience = scene.experience

        @wraps(step)
        def heard(environment: Any, *args: Any, **kwargs: Any) -> Any:
            if self._depth:
                answer = step(environment, *args, **kwargs)
                if not scene.resting and type(answer) is tuple and len(answer) == 5:
                    self._inner(environment, answer)
                return answer
            if not watch.live:
                return step(environment, *args, **kwargs)
            updated = rest.weigh(watch)
            scene.begins = scene.steps > 0
            self._depth = 1
            try:
                answer = step(environment, *args, **kwargs)
            finally:
                self._depth = 0
            if type(answer) is not tuple or len(answer) != 5:
                return answer
            if scene.resting:
                experience.passed(id(environment), answer[0])
            elif watch.listens:
                action = args[0] if args else next(iter(kwargs.values()), None)
                self._tell(environment, action, answer, updated or scene.close)
            return answer

        return heard

    def _inner(self, environment: Any, answer: tuple[Any, ...]) -> None:
        """Take note that an environment inside of wrappers ended an episode."""
        if answer[2] is not False or answer[3] is not False:
            terminated, truncated = bool(answer[2]), bool(answer[3])
            if terminated or truncated:
                self._ends.append((environment, terminated, truncated))

    def _tell(self, environment: Any, action: Any, answer: tuple[Any, ...], acting: bool) -> None:
        began = time.perf_counter()
        observation, reward, terminated, truncated, _ = answer
        watch, scene = self._watch, self._watch.scene
        scene.environments = True
        scene.experience.round = scene.experience.count
        scene.experience.stepped(id(environment), action, observation, reward, terminated, truncated)
        watch.seconds += time.perf_counter() - began
        if self._ends:
            watch.tell("on_episode_end", [*self._ends, (environment, bool(terminated), bool(truncated))])
            self._ends.clear()
        if acting:
            watch.tell("on_acting", environment)
        watch.tell("on_environment_step", environment, action, answer)

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
