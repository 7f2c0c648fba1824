"""Everything about a design that can be known before a trial runs, checked as a whole."""

import dataclasses
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelwright.algorithms import LEARNERS, REINFORCEMENT, SUPERVISED
from modelwright.algorithms.learner import (
    Learner,
    build_learner,
    complete_config,
    source_files,
    source_identity,
)
from modelwright.base.errors import BadValue, ModelwrightError, UnknownName
from modelwright.base.fingerprint import fingerprint
from modelwright.base.metric import METRICS, find_metric
from modelwright.base.seed import Seed, derive_seeds
from modelwright.data.checks import KINDS
from modelwright.data.dataset import Dataset
from modelwright.data.locate import locate_class
from modelwright.data.source import load_dataset
from modelwright.doctor.kinds import KINDS as OF_DOCTOR
from modelwright.experiment.correction import SharedRule
from modelwright.experiment.design import Design
from modelwright.lab.ground.episodes import Episodes
from modelwright.lab.ground.ground import Ground, Part
from modelwright.lab.ground.rows import Rows
from modelwright.lab.project import Project
from modelwright.lab.trial_findings import DIVERGED, OF_RESULTS

__all__ = ["Prepared", "Trial", "complete_design", "prepare_design"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A planned cell: variant x seed.

    Attributes:
        variant: Name of the variant.
        index: Number of the seed, from 0.
        seed: The seed.
        part: Its rows, or its episodes; every variant has the same at this seed.
        address: sha256 of all that decides the result: configuration, the learner's code, rows and content
            of the data or the environment, seed, metric. Two trials with one address are one trial.
    """

    variant: str
    index: int
    seed: Seed
    part: Part
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A design that is ready to run.

    Attributes:
        design: With the complete configuration of every variant.
        project: Where it runs.
        ground: Its data, or its environment.
        rule: Its stopping rule.
        scope_inflation: n_test / n_train where the design speaks of new data, else 0.
        code: Variant -> sha256 of the source files that decide what its learner computes, those of the
            environment among them.
        code_files: Variant -> those files.
        root: Hash that seeds derive from: the first design registered under the name.
    """

    design: Design
    project: Project
    ground: Ground
    rule: SharedRule
    scope_inflation: float
    code: Mapping[str, str]
    code_files: Mapping[str, tuple[Path, ...]]
    root: str
    _parts: tuple[Part, ...] = field(repr=False)

    def seed(self, index: int) -> Seed:
        """Return the seed of this number."""
        return derive_seeds(self.root, 1, start=index)[0]

    @property
    def parts(self) -> tuple[Part, ...]:
        """What each seed learns from and is measured on."""
        return self._parts

    def trial(self, variant: str, index: int) -> Trial:
        """Return the trial of a variant and a seed number."""
        seed, part = self.seed(index), self._parts[index]
        question = self.design.question
        address = fingerprint(
            {
                "config": self.design.variants[variant],
                "code": self.code[variant],
                "split": part.identity,
                "seed": seed.key,
                "metric": [question.metric, question.reported],
            }
        )
        return Trial(variant=variant, index=index, seed=seed, part=part, address=address)

    def registration(self) -> dict[str, Any]:
        """Return what is registered: the design, the seeds' root, and what follows from data and code."""
        return {
            "design": self.design.record(),
            "root": self.root,
            "data": self.ground.identity,
            "code": dict(self.code),
            "scope_inflation": self.scope_inflation,
        }


def complete_design(design: Design, *, root: Path) -> Design:
    """Return the design with every variant's complete configuration.

    Raises:
        UnknownName, BadValue, SourceMissing: for a learner or a setting that is wrong.
    """
    variants: dict[str, Mapping[str, Any]] = {}
    for name, variant in design.variants.items():
        with _named(name):
            variants[name] = complete_config(variant, root=root)
    return dataclasses.replace(design, variants=variants)


def prepare_design(
    design: Design, project: Project, *, root: str | None = None, frames: Mapping[str, Any] | None = None
) -> Prepared:
    """Check a design as a whole: learners, data or environment, splits, metric, rule.

    Args:
        design: The design.
        project: Where paths are relative to.
        root: Hash that seeds derive from; left out, the complete design's own.
        frames: Tables given from Python, by the names that designs use.

    Raises:
        Misuse: for anything in it that cannot be right.
        SourceMissing: for data or code that are not there.
    """
    _check_accepted(design)
    design = complete_design(design, root=project.root)
    if design.scope != "new_data":
        design.shared_rule()  # refuse an impossible plan before the data are read
    ground = _open_ground(design, project, frames or {})
    if isinstance(ground, Rows):
        _check_metric(design, ground.dataset)
    base = root or design.hash
    parts = _all_parts(design, ground, base)
    inflation = ground.inflation(parts) if design.scope == "new_data" else 0.0
    rule = design.shared_rule(scope_inflation=inflation)
    for name, variant in design.variants.items():
        # What is printed by code of the user's has no place among our own words.
        with _named(name), redirect_stdout(sys.stderr):
            _check_learner(variant, design, ground, parts[0], project.root)
    files = {
        name: tuple(sorted({*source_files(variant, root=project.root), *ground.sources()}))
        for name, variant in design.variants.items()
    }
    return Prepared(
        design=design,
        project=project,
        ground=ground,
        rule=rule,
        scope_inflation=inflation,
        code={
            name: source_identity(variant, root=project.root, more=ground.sources())
            for name, variant in design.variants.items()
        },
        code_files=files,
        root=base,
        _parts=parts,
    )


def _open_ground(design: Design, project: Project, frames: Mapping[str, Any]) -> Ground:
    if design.data is not None and design.split is not None:
        return Rows(dataset=load_dataset(design.data, root=project.root, frames=frames), plan=design.split)
    assert design.environment is not None
    assert design.evaluation is not None
    return Episodes.of(design.environment, design.evaluation, project.root)


def _all_parts(design: Design, ground: Ground, root: str) -> tuple[Part, ...]:
    seeds = derive_seeds(root, design.seeds)
    if design.split is None or design.split.shared:
        return (ground.part(seeds[0], root),) * len(seeds)
    return tuple(ground.part(seed, root) for seed in seeds)


def _check_metric(design: Design, dataset: Dataset) -> None:
    if design.question.reported:
        return
    metric = find_metric(design.question.metric)
    if metric.task != dataset.task:
        fitting = [each.name for each in METRICS if each.task == dataset.task]
        raise BadValue(
            f"{metric.name} is a metric of {metric.task}, "
            f"and the target of {dataset.name} is one of {dataset.task}",
            got=metric.name,
            nearest=fitting[0],
            next_step=f"choose one of {', '.join(fitting)}, or set data.task",
        )


def _check_learner(
    variant: Mapping[str, Any], design: Design, ground: Ground, part: Part, root: Path
) -> None:
    """Refuse a learner that cannot learn here, or cannot be measured by this metric.

    Our own learners do one update on the first seed's part, which is thrown away: that is where they say what
    they demand. A class is judged by its kind. A function of the user's can only be tried.
    """
    name, question = str(variant["learner"]), design.question
    learner = build_learner(variant, root=root)
    _check_experience(name, learner, ground)
    if not question.reported and not getattr(learner, "probabilistic", True):
        metric = find_metric(question.metric)
        if metric.probabilities:
            raise BadValue(
                f"{metric.name} is a metric of probabilities, and {name} predicts classes only",
                got=f"no predict_proba in {name}",
                nearest="accuracy",
                next_step="choose a metric of classes, or a learner (or setting of it) with probabilities",
            )
    if name in LEARNERS:
        seed = derive_seeds(f"{design.name}/check", 1)
        step = next(learner.train(ground.experience((part,)), seed))
        if question.reported and question.metric not in step.metrics:
            raise UnknownName(f"metric reported by {name}", question.metric, step.metrics)
    elif ":" not in name and isinstance(ground, Rows):
        _check_kind(name, ground.dataset)


def _check_experience(name: str, learner: Learner, ground: Ground) -> None:
    """Refuse a learner of rows in an environment, and one that acts on rows."""
    if learner.learns_from in ("either", ground.kind):
        return
    fitting = list(REINFORCEMENT if ground.kind == "environment" else SUPERVISED)
    if ground.kind == "environment":
        raise BadValue(
            f"{name} learns from rows of data, and this design has an environment",
            got=f"{name} in {ground.name}",
            nearest="ppo",
            next_step=f"choose one of {', '.join(fitting)}, a function of yours that asks for environment, "
            "or name data instead",
        )
    raise BadValue(
        f"{name} learns by acting in an environment, and this design has rows of data",
        got=f"{name} on {ground.name}",
        nearest=fitting[0],
        next_step=f"choose one of {', '.join(fitting)}, or name an environment: environment.name=CartPole-v1",
    )


def _check_kind(name: str, dataset: Dataset) -> None:
    from sklearn.base import ClassifierMixin, RegressorMixin

    made: type[Any] = locate_class(name)
    bases = set(made.__mro__)
    own, other = ClassifierMixin, RegressorMixin
    if dataset.task == "regression":
        own, other = other, own
    if other in bases and own not in bases:
        kind = "regressor" if dataset.task == "classification" else "classifier"
        raise BadValue(
            f"A {dataset.task} target needs an estimator for {dataset.task}",
            got=f"{name}, a {kind}",
            next_step="choose another class, or set data.task",
        )


@contextmanager
def _named(variant: str) -> Generator[None, None, None]:
    try:
        yield
    except ModelwrightError as error:
        error.add_note(f"In variants.{variant}.")
        raise


def _check_accepted(design: Design) -> None:
    known = (*KINDS, *OF_RESULTS, *OF_DOCTOR)
    for kind in design.accept:
        if kind not in known:
            raise UnknownName("kind of finding to accept", kind, known)
    if DIVERGED in design.accept and design.question.worst is None:
        raise BadValue(
            "A diverged trial can be accepted where the metric has a worst value to count it as",
            got=f"accept={DIVERGED} with {design.question.metric}",
            next_step="mend the learner, or give question.low and question.high",
        )
