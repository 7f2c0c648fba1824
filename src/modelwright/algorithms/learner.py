"""From a variant, as a design names it, to a learner.

A variant is a mapping with the key `learner` and the learner's settings beside it. `learner` is

- a name of ours: `mlp`;
- a scikit-learn class, or any importable class with `fit` and `predict`, by its dotted name:
  `sklearn.ensemble.RandomForestClassifier`;
- a function of the user's: `mine.py:train` (a file, relative to the project's root) or
  `package.module:train`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

from modelwright.algorithms import LEARNERS, REINFORCEMENT
from modelwright.base.configure import configure
from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.fingerprint import fingerprint, jsonable, sha256_hex
from modelwright.base.seed import Seed
from modelwright.base.setting import Settings
from modelwright.base.step import Step
from modelwright.data.environments.environment import Environment
from modelwright.data.experience import Experience
from modelwright.data.sources import imported_files

__all__ = ["Learner", "build_learner", "complete_config", "source_files", "source_identity"]


_CHOICES = f"{', '.join(LEARNERS)}, a class such as sklearn.svm.SVC, or file.py:function"


class Learner(Protocol):
    """Anything that trains a cohort; the caller owns the loop."""

    @property
    def learns_from(self) -> Literal["rows", "environment", "either"]:
        """What it is given: training rows, or an environment to act in."""
        ...

    def train(self, experience: Experience | Environment, seeds: Sequence[Seed]) -> Iterator[Step]:
        """Train all seeds and yield after each update, or group of updates.

        Args:
            experience: Training rows, one array of row numbers per seed; or the environment.
            seeds: One per array; everything random is drawn from their named streams.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Native:
    """A learner of this room: its module and its configuration."""

    name: str
    config: Settings

    @property
    def learns_from(self) -> Literal["rows", "environment"]:
        return "environment" if self.name in REINFORCEMENT else "rows"

    def train(self, experience: Experience | Environment, seeds: Sequence[Seed]) -> Iterator[Step]:
        return import_module(LEARNERS[self.name]).train(experience, seeds, self.config)

    def complete(self) -> dict[str, Any]:
        return {"learner": self.name, **jsonable(self.config)}

    def sources(self, root: Path) -> tuple[Path, ...]:
        file = import_module(LEARNERS[self.name]).__file__
        assert file is not None
        return imported_files(Path(file), root=root)


def complete_config(variant: Mapping[str, Any], *, root: Path) -> dict[str, Any]:
    """Return the complete configuration of a variant: every setting by name, defaults filled in, as JSON
    types.

    Completing a complete configuration changes nothing.

    Args:
        variant: `learner` and its settings.
        root: The project's directory; files are named relative to it.

    Raises:
        UnknownName: for a learner or a setting that does not exist, with the nearest that does.
        BadValue: for a value outside its rule.
        SourceMissing: where a package or file is not there.
    """
    return _resolve(variant, root).complete()


def build_learner(variant: Mapping[str, Any], *, root: Path) -> Learner:
    """Return the learner that a variant names. Arguments and errors as in `complete_config`."""
    return _resolve(variant, root)


def source_files(variant: Mapping[str, Any], *, root: Path) -> tuple[Path, ...]:
    """Return the files whose content decides what the learner computes, sorted; installed packages are
    left out.

    Files of Modelwright and files under `root` are followed through their imports. Arguments and errors as in
    `complete_config`.
    """
    return _resolve(variant, root).sources(root)


def source_identity(variant: Mapping[str, Any], *, root: Path, more: Sequence[Path] = ()) -> str:
    """Return the sha256 of the learner's source files and their names; see `source_files`.

    Args:
        variant: As in `complete_config`.
        root: As in `complete_config`.
        more: Files that belong to it besides, such as those of its environment.
    """
    # Names without folders: a project that moves keeps its trials.
    files = {*source_files(variant, root=root), *more}
    return fingerprint(sorted((file.name, sha256_hex(file.read_bytes())) for file in files))


def _resolve(variant: Mapping[str, Any], root: Path) -> Any:
    name = variant.get("learner")
    if not isinstance(name, str) or not name:
        raise BadValue(
            "A variant names its learner",
            got=dict(variant),
            next_step=f"set learner to one of {_CHOICES}",
        )
    settings = {key: value for key, value in variant.items() if key != "learner"}
    if name in LEARNERS:
        config = configure(import_module(LEARNERS[name]).Config, settings, where=name)
        return _Native(name=name, config=config)
    if ":" in name:
        from modelwright.algorithms.outside.generator import Generator

        return Generator(name, settings, root=root)
    if "." in name:
        from modelwright.algorithms.outside.estimator import Estimator

        return Estimator(name, settings)
    raise UnknownName(
        "learner",
        name,
        LEARNERS,
        next_step=f"choose one of {_CHOICES}",
    )
