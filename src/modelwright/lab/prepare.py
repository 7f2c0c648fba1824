"""Everything about a design that can be known before a trial runs, checked as a whole."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelwright.algorithms.learner import complete_config, source_files, source_identity
from modelwright.base.errors import BadValue, ModelwrightError, UnknownName
from modelwright.base.fingerprint import fingerprint
from modelwright.base.metric import METRICS, find_metric
from modelwright.base.seed import Seed, derive_seeds
from modelwright.data.checks import KINDS
from modelwright.data.dataset import Dataset
from modelwright.data.source import load_dataset
from modelwright.data.split import Split, make_split
from modelwright.experiment.correction import SharedRule
from modelwright.experiment.design import Design
from modelwright.lab.project import Project
from modelwright.lab.trial_findings import DIVERGED, EQUAL_DIFFERENCES

__all__ = ["Prepared", "Trial", "complete_design", "fixed_split_seed", "prepare_design"]

@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A planned cell: variant x seed.

    Attributes:
        variant: Name of the variant.
        index: Number of the seed, from 0.
        seed: The seed.
        split: Its rows; every variant has the same at this seed.
        address: sha256 of all that decides the result: configuration, the learner's code, rows and content
            of the data, seed, metric. Two trials with one address are one trial.
    """

    variant: str
    index: int
    seed: Seed
    split: Split
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A design that is ready to run.

    Attributes:
        design: With the complete configuration of every variant.
        project: Where it runs.
        dataset: Its data.
        rule: Its stopping rule.
        scope_inflation: n_test / n_train where the design speaks of new data, else 0.
        code: Variant -> sha256 of the source files that decide what its learner computes.
        code_files: Variant -> those files.
        root: Hash that seeds derive from: the first design registered under the name.
    """

    design: Design
    project: Project
    dataset: Dataset
    rule: SharedRule
    scope_inflation: float
    code: Mapping[str, str]
    code_files: Mapping[str, tuple[Path, ...]]
    root: str
    _splits: dict[int, Split] = field(default_factory=dict[int, Split], repr=False)

    def seed(self, index: int) -> Seed:
        """Return the seed of this number."""
        return derive_seeds(self.root, 1, start=index)[0]

    def split(self, index: int) -> Split:
        """Return the rows of the seed of this number."""
        shared = self.design.split.shared
        place = 0 if shared else index
        if place not in self._splits:
            seed = fixed_split_seed(self.root) if shared else self.seed(index)
            self._splits[place] = make_split(self.dataset, self.design.split, seed)
        return self._splits[place]

    def trial(self, variant: str, index: int) -> Trial:
        """Return the trial of a variant and a seed number."""
        seed, split = self.seed(index), self.split(index)
        question = self.design.question
        address = fingerprint(
            {
                "config": self.design.variants[variant],
                "code": self.code[variant],
                "split": split.identity,
                "seed": seed.key,
                "metric": [question.metric, question.reported],
            }
        )
        return Trial(variant=variant, index=index, seed=seed, split=split, address=address)

    def registration(self) -> dict[str, Any]:
        """Return what is registered beside the design: identities of data and code, and the seeds' root."""
        return {
            "design": self.design.record(),
            "root": self.root,
            "data": self.dataset.identity,
            "code": dict(self.code),
        }


def fixed_split_seed(root: str) -> Seed:
    """Return the seed of the one split that all seeds share, where a design fixes it."""
    return derive_seeds(f"{root}/fixed-split", 1)[0]


def complete_design(design: Design, *, root: Path) -> Design:
    """Return the design with every variant's complete configuration.

    Raises:
        UnknownName, BadValue, SourceMissing: for a learner or a setting that is wrong.
    """
    variants: dict[str, Mapping[str, Any]] = {}
    for name, variant in design.variants.items():
        try:
            variants[name] = complete_config(variant, root=root)
        except ModelwrightError as error:
            error.add_note(f"In variants.{name}.")
            raise
    return dataclasses.replace(design, variants=variants)


def prepare_design(
    design: Design, project: Project, *, root: str | None = None, frames: Mapping[str, Any] | None = None
) -> Prepared:
    """Check a design as a whole: learners, data, splits, metric, rule.

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
    dataset = load_dataset(design.data, root=project.root, frames=frames or {})
    question = design.question
    if not question.reported and find_metric(question.metric).task != dataset.task:
        fitting = [metric.name for metric in METRICS if metric.task == dataset.task]
        raise BadValue(
            f"{question.metric} is a metric of {find_metric(question.metric).task}, "
            f"and the target of {dataset.name} is one of {dataset.task}",
            got=question.metric,
            nearest=fitting[0],
            next_step=f"choose one of {', '.join(fitting)}, or set data.task",
        )
    base = root or design.hash
    first = make_split(
        dataset, design.split, fixed_split_seed(base) if design.split.shared else derive_seeds(base, 1)[0]
    )
    inflation = len(first.test) / len(first.train) if design.scope == "new_data" else 0.0
    files = {name: source_files(variant, root=project.root) for name, variant in design.variants.items()}
    return Prepared(
        design=design,
        project=project,
        dataset=dataset,
        rule=design.shared_rule(scope_inflation=inflation),
        scope_inflation=inflation,
        code={name: source_identity(variant, root=project.root) for name, variant in design.variants.items()},
        code_files=files,
        root=base,
    )


def _check_accepted(design: Design) -> None:
    known = (*KINDS, DIVERGED, EQUAL_DIFFERENCES)
    for kind in design.accept:
        if kind not in known:
            raise UnknownName("kind of finding to accept", kind, known)
    low, high = design.question.bounds
    if DIVERGED in design.accept and (low if design.question.sign > 0 else high) is None:
        raise BadValue(
            "A diverged trial can be accepted where the metric has a worst value to count it as",
            got=f"accept={DIVERGED} with {design.question.metric}",
            next_step="mend the learner, or give question.low and question.high",
        )
