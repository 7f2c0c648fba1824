"""What a watch hears of vector environments that are more than a list of single ones.

Their rows are heard as the program sees them: of environments that compute all rows at once, of those whose
rows are in other processes, and of those inside of wrappers that change observations or rewards of all rows.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from modelwright.doctor.watch.patch import Patches
from modelwright.doctor.watch.watch import Watch

__all__ = ["VectorWatch"]

_THAT_ONLY_TELL = frozenset({"RecordEpisodeStatistics", "RecordVideo", "DictInfoToList", "HumanRendering"})
_MOST_ROWS = 1024


class _Row:
    """Stands for one row; known by its identity."""


class _Rows:
    """The rows of one vector environment."""

    __slots__ = ("age", "begin", "here", "of")

    def __init__(self, here: Any, count: int) -> None:
        self.here = here  # keeps it alive: an identity is not used twice
        self.of = [_Row() for _ in range(count)]
        self.begin = np.ones(count, np.bool_)
        self.age = np.zeros(count, np.int64)


class VectorWatch:
    """Listens to vector environments as wholes.

    Args:
        watch: Is told.
        mute: Called with whether single environments inside are not to be heard now.
    """

    def __init__(self, watch: Watch, mute: Callable[[bool], None]) -> None:
        self._watch = watch
        self._mute = mute
        self._patches = Patches()
        self._inside = False
        self._known: dict[int, _Rows | None] = {}

    def start(self) -> None:
        """Begin to listen."""
        for kind in _kinds(gymnasium.vector.VectorEnv):
            self._wrap(kind)
        self._patches.replace(gymnasium.vector.VectorEnv, "__init_subclass__", self._later)

    def stop(self) -> None:
        """Put everything back."""
        self._patches.undo()

    def _wrap(self, kind: type) -> None:
        for name, wrap in (("step", self._step), ("reset", self._reset)):
            if name in vars(kind):
                self._patches.replace(kind, name, wrap)

    def _later(self, prepare: Callable[..., None]) -> Any:
        def heard(kind: Any, **kwargs: Any) -> None:
            own = getattr(prepare, "__func__", None)
            if own is not None:
                own(kind, **kwargs)
            else:
                super(gymnasium.vector.VectorEnv, kind).__init_subclass__(**kwargs)
            if self._watch.live:
                self._wrap(kind)

        return classmethod(heard)

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the outermost method, with what is inside unheard."""
        self._inside = True
        self._mute(True)
        try:
            return method(*args, **kwargs)
        finally:
            self._inside = False
            self._mute(False)

    def _reset(self, reset: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(reset)
        def heard(environment: Any, *args: Any, **kwargs: Any) -> Any:
            copies = getattr(getattr(environment, "unwrapped", None), "copy", True)
            self._watch.scene.experience.reuses_memory |= copies is False
            if self._inside or not self._watch.listens or not _as_rows(environment):
                return reset(environment, *args, **kwargs)
            answer = self._call(reset, environment, *args, **kwargs)
            shown = answer[0] if isinstance(answer, tuple) and answer else None
            known = self._known.get(id(environment))
            if not isinstance(shown, np.ndarray) or not 0 < len(shown) <= _MOST_ROWS:
                self._known[id(environment)] = None
                return answer
            if known is None or len(known.of) != len(shown):
                known = self._known[id(environment)] = _Rows(environment, len(shown))
            options = kwargs.get("options")
            mask = options.get("reset_mask") if isinstance(options, dict) else None
            chosen = np.ones(len(shown), np.bool_) if mask is None else np.asarray(mask, np.bool_)
            known.begin &= ~chosen
            known.age[chosen] = 0
            self._began(known, shown, chosen)
            return answer

        return heard

    def _step(self, step: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(step)
        def heard(environment: Any, *args: Any, **kwargs: Any) -> Any:
            known = self._known.get(id(environment))
            if self._inside or known is None or not self._watch.live:
                return step(environment, *args, **kwargs)
            answer = self._call(step, environment, *args, **kwargs)
            if not self._watch.listens or type(answer) is not tuple or len(answer) != 5:
                return answer
            action = args[0] if args else next(iter(kwargs.values()), None)
            began = time.perf_counter()
            self._told(known, action, answer)
            self._watch.seconds += time.perf_counter() - began
            return answer

        return heard

    def _told(self, known: _Rows, action: Any, answer: tuple[Any, ...]) -> None:
        shown, rewards, terminated, truncated, info = answer
        count = len(known.of)
        actions = np.asarray(action.detach().cpu().numpy() if hasattr(action, "detach") else action)
        shapes = [np.shape(each)[:1] for each in (shown, rewards, terminated, truncated, actions)]
        if any(shape != (count,) for shape in shapes):
            return
        watch, experience = self._watch, self._watch.scene.experience
        watch.scene.environments = True
        updated = watch.rest.weigh(watch)
        rests = watch.scene.resting
        watch.scene.begins = watch.scene.steps > 0
        known.age = np.where(known.begin, 0, known.age + 1)
        ended = np.asarray(terminated, np.bool_) | np.asarray(truncated, np.bool_)
        mode = str(getattr(known.here.metadata.get("autoreset_mode"), "value", ""))
        if rests:
            for row, each, age in zip(known.of, shown, known.age.tolist(), strict=True):
                experience.passed(id(row), each, age)
        else:
            following = _following(shown, ended, info) if mode == "SameStep" else shown
            stepped = ~known.begin
            experience.round = experience.count
            for at in np.flatnonzero(stepped).tolist():
                experience.stepped(
                    id(known.of[at]), actions[at], following[at], rewards[at], terminated[at], truncated[at]
                )
            self._began(known, shown, known.begin)
        known.begin = ended if mode == "NextStep" else np.zeros(count, np.bool_)
        if mode == "SameStep":
            known.age[ended] = 0
            if not rests:
                self._began(known, shown, ended)
        if rests:
            return
        if updated or watch.scene.close:
            watch.tell("on_acting", known.of[-1])
        for at in range(count):
            own = shown[at], rewards[at], terminated[at], truncated[at], {}
            watch.tell("on_environment_step", known.of[at], actions[at], own)

    def _began(self, known: _Rows, shown: NDArray[Any], chosen: NDArray[np.bool_]) -> None:
        for at in np.flatnonzero(chosen).tolist():
            self._watch.scene.experience.began(id(known.of[at]), shown[at])
            self._watch.tell("on_environment_reset", known.of[at], shown[at])


def _as_rows(environment: Any) -> bool:
    """Return whether single environments inside are none, or not what the program sees."""
    while isinstance(environment, gymnasium.vector.VectorWrapper):
        if type(environment).__name__ not in _THAT_ONLY_TELL:
            return True
        environment = environment.env
    return not isinstance(environment, gymnasium.vector.SyncVectorEnv)


def _following(shown: NDArray[Any], ended: NDArray[np.bool_], info: Any) -> NDArray[Any]:
    """Return what was seen after each step, the true one where an episode ended."""
    last: Any = info.get("final_obs", info.get("final_observation")) if isinstance(info, dict) else None
    following = shown.copy()
    for at in np.flatnonzero(ended).tolist():
        if last is not None and last[at] is not None:
            following[at] = last[at]
    return following


def _kinds(kind: type) -> list[type]:
    found = [kind]
    for each in kind.__subclasses__():
        found += _kinds(each)
    return list(dict.fromkeys(found))
