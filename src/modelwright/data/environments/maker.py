"""One environment made by its name: Gymnasium's, ALE's, or anybody's own by its place."""

import contextlib
import inspect
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium

from modelwright.base.errors import BadValue, SourceMissing, UnknownName
from modelwright.data.environments.atari import Atari, show_as_atari
from modelwright.data.environments.checked_environment import CheckedEnvironment, calling
from modelwright.data.locate import locate_function

__all__ = ["Maker"]

_ATARI = "ALE/"
_EXTRAS = {
    "gymnasium.envs.box2d": ("Box2D", "box2d"),
    "gymnasium.envs.mujoco": ("MuJoCo", "mujoco"),
    "ale_py": ("the Arcade Learning Environment", "atari"),
}
_OWN = "an environment of yours is named mine.py:make or package.module:make"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Makes environments; can be sent to another process.

    Attributes:
        name: Gymnasium's name, or the place of a function or class that gives an environment.
        settings: Arguments for it.
        time_limit: Steps after which an episode is truncated; None for the environment's own limit.
        atari: How it is shown, for games of Atari's; None for as it is.
        own: Whether the name is a place.
        names: Names that exist beside Gymnasium's, to find the nearest.
    """

    name: str
    settings: Mapping[str, Any]
    time_limit: int | None
    atari: Atari | None
    own: bool
    names: tuple[str, ...] = ()

    def __call__(self) -> CheckedEnvironment:
        """Make one.

        Raises:
            UnknownName: for a name that nobody knows, with the nearest.
            BadValue: for settings that it cannot be made with, and for what is no environment.
            SourceMissing: where a file, or a package that it needs, is not there.
            WorkerLost: where it raises while it is made.
        """
        made: Any = self._own() if self.own else self._registered(dict(self.settings))
        try:
            return CheckedEnvironment(made, self.name)
        except BaseException:
            with contextlib.suppress(Exception):
                made.close()
            raise

    def vector(self, copies: int) -> Any:
        """Make one vector environment by its own entry point, for those that have one.

        Raises:
            BadValue: where it has none.
        """
        if self._find().vector_entry_point is None:
            raise BadValue(
                f"{self.name} has a vector environment of its own",
                got="none",
                nearest="environment.vector=sync",
            )
        more = {} if self.time_limit is None else {"max_episode_steps": self.time_limit}
        with self._refusing():
            return gymnasium.make_vec(
                self.name,
                num_envs=copies,
                vectorization_mode="vector_entry_point",
                **more,
                **self.settings,
            )

    def _own(self) -> Any:
        function, _ = locate_function(self.name, root=Path(), what="environment")
        self._check_settings(function)
        made: Any = calling(self.name, "making it", lambda: function(**self.settings))
        if self.time_limit is None or not isinstance(made, gymnasium.Env):
            return made
        inner: Any = made
        while isinstance(inner, gymnasium.Wrapper):
            limit = getattr(inner, "_max_episode_steps", None)
            if isinstance(limit, int) and limit < self.time_limit:
                raise BadValue(
                    f"environment.time_limit is within the limit that {self.name} has itself",
                    got=f"{self.time_limit}, and {limit} there",
                    nearest=f"{limit}",
                    next_step="make it without a limit: gymnasium.make(..., max_episode_steps=-1)",
                )
            inner = inner.env
        return gymnasium.wrappers.TimeLimit(made, self.time_limit)

    def _check_settings(self, function: Any) -> None:
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            return
        try:
            signature.bind(**self.settings)
        except TypeError as error:
            raise BadValue(
                f"environment.settings are arguments of {self.name}{signature}",
                got=f"{dict(self.settings)}: {error}",
            ) from error

    def _registered(self, settings: dict[str, Any]) -> Any:
        self._find()
        more = {} if self.time_limit is None else {"max_episode_steps": self.time_limit}
        if self.atari is not None:
            # One frame a step, because the wrappers skip and merge frames themselves.
            settings = {"frameskip": 1, "repeat_action_probability": self.atari.sticky, **settings}
        with self._refusing():
            # What Gymnasium's own checker would look at once is looked at in every step by ours.
            made = gymnasium.make(self.name, disable_env_checker=True, **more, **settings)
            return made if self.atari is None else show_as_atari(made, self.atari)

    def _find(self) -> Any:
        """Return what Gymnasium knows of the name, once the package that brings it has told."""
        if self.name.startswith(_ATARI):
            try:
                import_module("ale_py")
            except ModuleNotFoundError as error:
                raise self._missing("atari", error) from error
        module, _, bare = self.name.rpartition(":")
        if module:  # Gymnasium's way to name what an import registers
            try:
                import_module(module)
            except ModuleNotFoundError as error:
                raise SourceMissing(f"The package {module} is installed", got=str(error)) from error
        try:
            spec = gymnasium.spec(bare)
        except (gymnasium.error.UnregisteredEnv, gymnasium.error.Error) as error:
            raise UnknownName(
                "environment", self.name, {*gymnasium.registry, *self.names}, next_step=f"correct it; {_OWN}"
            ) from error
        if self.atari is not None and not str(spec.entry_point).startswith("ale_py"):
            raise BadValue(
                "environment.atari is for games of Atari's",
                got=f"environment.name={self.name}",
                nearest="ALE/Pong-v5",
            )
        return spec

    @contextlib.contextmanager
    def _refusing(self) -> Generator[None]:
        try:
            yield
        except (gymnasium.error.DependencyNotInstalled, ModuleNotFoundError) as error:
            entry = str(gymnasium.spec(self.name.rpartition(":")[2]).entry_point)
            extra = next((extra for start, (_, extra) in _EXTRAS.items() if entry.startswith(start)), None)
            raise self._missing(extra, error) from error
        except Exception as error:  # environments complain of their arguments in every way there is
            raise BadValue(
                f"{self.name} can be made with its settings",
                got=f"{type(error).__name__}: {error}".splitlines()[0] + f", with {dict(self.settings)}",
            ) from error

    def _missing(self, extra: str | None, error: Exception) -> SourceMissing:
        what = next((word for word, each in _EXTRAS.values() if each == extra), "a package")
        return SourceMissing(
            f"{self.name} needs {what}, which is not installed",
            got=str(error).strip().splitlines()[0],
            next_step=f"pip install 'modelwright[{extra}]'" if extra else "install the package that it needs",
        )
