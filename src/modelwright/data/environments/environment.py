"""What a design names when experience is made rather than read, and what a reinforcement learner is given."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from modelwright.base.errors import BadValue
from modelwright.base.fingerprint import fingerprint, sha256_hex
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings, setting
from modelwright.data.environments.atari import Atari
from modelwright.data.environments.batched import BatchedSimulation, Dynamics
from modelwright.data.environments.simulation import Simulation
from modelwright.data.locate import locate_function
from modelwright.data.sources import imported_files

__all__ = ["BATCHED", "Environment", "Rules"]

_HERE = "modelwright.data.environments"
_PROBE = "probe-"


class Rules(NamedTuple):
    """Where our own rules of an environment are.

    Attributes:
        place: `module:name` of what makes them.
        time_limit: Steps after which an episode is truncated; None for no limit.
        arguments: What it is called with.
    """

    place: str
    time_limit: int | None
    arguments: tuple[str, ...] = ()


def _table(name: str, time_limit: int | None) -> Rules:
    return Rules(f"{_HERE}.tabular:gymnasium_table", time_limit, (name,))


BATCHED: Mapping[str, Rules] = MappingProxyType(
    {
        "CartPole-v1": Rules(f"{_HERE}.cart_pole:CartPole", 500),
        "Acrobot-v1": Rules(f"{_HERE}.acrobot:Acrobot", 500),
        "MountainCar-v0": Rules(f"{_HERE}.mountain_car:MountainCar", 200),
        "MountainCarContinuous-v0": Rules(f"{_HERE}.mountain_car_continuous:MountainCarContinuous", 999),
        "Pendulum-v1": Rules(f"{_HERE}.pendulum:Pendulum", 200),
        "FrozenLake-v1": _table("FrozenLake-v1", 100),
        "FrozenLake8x8-v1": _table("FrozenLake8x8-v1", 200),
        "CliffWalking-v1": _table("CliffWalking-v1", None),
        "CliffWalkingSlippery-v1": _table("CliffWalkingSlippery-v1", None),
        "Taxi-v4": _table("Taxi-v4", 200),
    }
)
"""Name -> our own rules; each steps as Gymnasium's of that name does, number for number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment(Settings):
    """An environment by name, and how it is made.

    Names are ours (`BATCHED`, and the probes of `probes.py`), else Gymnasium's, else the place of a function
    or class of yours that gives a `gymnasium.Env`: `mine.py:make`, `package.module:make`.
    """

    PLACE: ClassVar[str] = "environment"

    name: str = setting(
        doc="Name of the environment, for example CartPole-v1, or the place of your own, mine.py:make."
    )
    settings: Mapping[str, Any] = setting(
        factory=dict, doc="Arguments with which it is made; with any, Gymnasium's own is taken."
    )
    time_limit: int | None = setting(
        None, doc="Steps after which an episode is truncated; null for the environment's own limit.", low=1
    )
    batched: bool = setting(
        True, doc="Whether our own version of it is taken where there is one; the numbers are the same."
    )
    vector: str | None = setting(
        None,
        doc="How copies that have no version of ours are stepped: null for one by one, sync and async for "
        "Gymnasium's vector environments (async gives each copy a process), own for the environment's own.",
        choices=("sync", "async", "own"),
    )
    workers: int | None = setting(
        None, doc="With vector=async, how many processes step at a time; null for all.", low=1
    )
    atari: Atari | bool | None = setting(
        None, doc="Whether, or how, a game of Atari's is shown as its agents see it: uint8 (4, 84, 84)."
    )

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if isinstance(self.atari, bool):
            object.__setattr__(self, "atari", Atari() if self.atari else None)
        if not self.name.strip():
            raise BadValue("environment.name names an environment", got=self.name, nearest="CartPole-v1")
        if self.workers is not None and self.vector != "async":
            raise BadValue("environment.workers is for environment.vector=async", got=f"vector={self.vector}")
        self._check_place()

    def _check_place(self) -> None:
        limit = self.time_limit
        own = {"settings": self.settings, "time_limit": limit, "vector": self.vector, "atari": self.atari}
        given = [name for name, value in own.items() if value]
        if self.name.startswith(_PROBE) and given:
            raise BadValue(f"{self.name} is always the same and has no {given[0]}", got=own[given[0]])
        if self.vector == "own" and (self.atari or self.is_own):
            raise BadValue(
                "environment.vector=own is for names of Gymnasium's, and goes without environment.atari",
                got=f"environment.name={self.name}",
                next_step="give the vector environment's own settings in environment.settings",
            )
        if self.atari is not None and self.is_own:
            raise BadValue("environment.atari is for names such as ALE/Pong-v5", got=self.name)

    @property
    def is_own(self) -> bool:
        """Whether the name is the place of somebody's own; Gymnasium's `module:Name-v0` is not."""
        where, _, part = self.name.rpartition(":")
        return bool(where) and part.isidentifier()

    @property
    def _rules(self) -> Rules | None:
        plain = self.batched and not self.settings and self.vector is None and self.atari is None
        return BATCHED.get(self.name) if plain else None

    def at(self, root: Path) -> "Environment":
        """Return the same with a file of its name made absolute, so that it can be made from anywhere.

        Args:
            root: The project's directory.
        """
        where, _, part = self.name.rpartition(":")
        if not self.is_own or not where.endswith(".py"):
            return self
        return dataclasses.replace(self, name=f"{(root / where).resolve()}:{part}")

    def simulate(self, seeds: Sequence[Seed], copies: int = 1) -> Simulation:
        """Start copies of it for every seed, each at the beginning of an episode.

        A file in its name is sought from the working directory; see `at`.

        Args:
            seeds: One per seed of the cohort; copy k draws from the stream `environment/k`.
            copies: Copies per seed, at least 1.

        Raises:
            UnknownName: for a name that nobody knows, with the nearest.
            BadValue: for an environment that breaks Gymnasium's interface, or whose spaces are of a kind that
                no learner here can use.
            SourceMissing: where a file or a package that it needs is not there.
            WorkerLost: where the environment raises.
        """
        if copies < 1 or not seeds:
            raise BadValue(
                "A simulation has at least one seed and one copy per seed",
                got=f"{len(seeds)} seeds, {copies} copies",
            )
        found = self._dynamics()
        if found is not None:
            dynamics, limit = found
            return BatchedSimulation(dynamics, seeds, copies, self.time_limit or limit)
        from modelwright.data.environments.gymnasium_simulation import GymnasiumSimulation

        make = self._maker()
        if self.vector is None:
            return GymnasiumSimulation(make, seeds, copies)
        from modelwright.data.environments.vector_simulation import VectorSimulation

        if self.vector == "own":
            return VectorSimulation(self.name, make.vector, seeds, copies, "whole")
        return VectorSimulation(self.name, partial(self._vector, make), seeds, copies)

    def make(self, seed: Seed) -> Any:
        """Return one `gymnasium.Env` for a loop that is not ours; what it answers is checked.

        Its first `reset` that names no seed of its own, and its `action_space.sample`, are the seed's.

        Args:
            seed: Its streams are `environment/0` and `environment/action`.

        Raises:
            UnknownName, BadValue, SourceMissing, WorkerLost: as `simulate`.
        """
        made = self._maker()()
        made.reset(seed=seed.integer("environment/0"))
        made.action_space.seed(seed.integer("environment/action"))
        return made

    def sources(self, root: Path) -> tuple[Path, ...]:
        """Return the files that decide what it does, apart from installed packages.

        Args:
            root: The project's directory.
        """
        starts = [f"{_HERE}.maker", f"{_HERE}.gymnasium_simulation"]
        if self.vector is not None:
            starts = [f"{_HERE}.maker", f"{_HERE}.vector_simulation"]
        if self._rules is not None:
            starts = [f"{_HERE}.batched", self._rules.place.partition(":")[0]]
        if self.name.startswith(_PROBE):
            starts = [f"{_HERE}.probes"]
        files = {
            file
            for start in starts
            for file in imported_files(Path(str(import_module(start).__file__)), root=root)
        }
        return tuple(sorted({*files, *self._own_files(root)}))

    def identity(self, root: Path) -> str:
        """Return one hash of all that tells it from another.

        It covers its settings, the versions of the distributions that make it, and the content of somebody's
        own files. What Modelwright's own files decide is in `sources`.

        Args:
            root: The project's directory.
        """
        from modelwright.data.environments.provider import provider_versions

        content = [sha256_hex(file.read_bytes()) for file in self._own_files(root)]
        versions = {} if self.name.startswith(_PROBE) else provider_versions(self.name, own=self.is_own)
        return fingerprint({"environment": self, "versions": versions, "files": content})

    def _own_files(self, root: Path) -> tuple[Path, ...]:
        if not self.is_own:
            return ()
        _, file = locate_function(self.name, root=root, what="environment")
        return imported_files(file, root=root)

    def _dynamics(self) -> tuple[Dynamics, int | None] | None:
        """Return our rules and their limit, or None where there are none."""
        if self.name.startswith(_PROBE):
            from modelwright.data.environments.probes import PROBES

            if self.name in PROBES:
                return PROBES[self.name].dynamics, PROBES[self.name].time_limit
        rules = self._rules
        if rules is None:
            return None
        module, _, kind = rules.place.partition(":")
        return getattr(import_module(module), kind)(*rules.arguments), rules.time_limit

    def _maker(self) -> Any:
        from modelwright.data.environments.maker import Maker
        from modelwright.data.environments.probes import PROBES

        return Maker(
            name=self.name,
            settings=dict(self.settings),
            time_limit=self.time_limit,
            atari=self.atari if isinstance(self.atari, Atari) else None,
            own=self.is_own,
            names=(*BATCHED, *PROBES),
        )

    def _vector(self, make: Any, rows: int) -> Any:
        from gymnasium import vector

        mode = vector.AutoresetMode.SAME_STEP
        if self.vector == "sync":
            return vector.SyncVectorEnv([make] * rows, autoreset_mode=mode)
        from modelwright.data.environments.relay import relaying

        makers = [partial(relaying, make)] * rows
        return vector.AsyncVectorEnv(makers, autoreset_mode=mode, max_concurrency=self.workers)
