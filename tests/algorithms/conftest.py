"""Real data in the shape that learners see."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.model_selection import train_test_split

from modelwright.base.seed import Seed, derive_seeds
from modelwright.data.experience import Experience
from modelwright.data.source import Source, load_dataset

SETS = {
    "digits": (load_digits, (1, 8, 8)),
    "wine": (load_wine, None),
    "cancer": (load_breast_cancer, None),
    "diabetes": (load_diabetes, None),
    "text": (lambda: text(), None),
}


@dataclass(frozen=True)
class Given:
    """Training rows, seeds and held-out rows of a cohort."""

    experience: Experience
    seeds: tuple[Seed, ...]
    held_out: tuple[np.ndarray, ...]

    def part(self, places: list[int]) -> "Given":
        experience = Experience(
            features=self.experience.features,
            target=self.experience.target,
            rows=tuple(self.experience.rows[place] for place in places),
            task=self.experience.task,
            classes=self.experience.classes,
            columns=self.experience.columns,
        )
        return Given(
            experience,
            tuple(self.seeds[place] for place in places),
            tuple(self.held_out[place] for place in places),
        )

    def tests(self) -> list[np.ndarray]:
        return [self.experience.features[rows] for rows in self.held_out]


def text() -> SimpleNamespace:
    """Return windows of the manual that ships inside CPython, with the character after each."""
    dataset = load_dataset(Source(kind="text", name="python_manual", length=16, windows=800), root=Path())
    return SimpleNamespace(data=dataset.features, target=dataset.target, target_names=dataset.classes)


def make(name: str, count: int, *, ragged: bool = False, shape: tuple[int, ...] | None = None) -> Given:
    loader, images = SETS[name]
    bunch = loader()
    features = bunch.data.astype(np.float32)
    shape = shape or images
    if shape is not None:
        features = features[:, : int(np.prod(shape))].reshape(-1, *shape)
    regression = name == "diabetes"
    splits = [
        train_test_split(
            np.arange(len(features)),
            test_size=0.25,
            stratify=None if name in ("diabetes", "text") else bunch.target,
            random_state=place,
        )
        for place in range(count)
    ]
    rows = [train[: len(train) - 3 * place] if ragged else train for place, (train, _) in enumerate(splits)]
    experience = Experience(
        features=features,
        target=bunch.target.astype(np.float64 if regression else np.int64),
        rows=tuple(rows),
        task="regression" if regression else "classification",
        classes=() if regression else tuple(str(each) for each in bunch.target_names),
        columns=() if shape else tuple(f"x{place}" for place in range(features.shape[1])),
    )
    return Given(experience, derive_seeds("test", count), tuple(test for _, test in splits))


@pytest.fixture(scope="session")
def given() -> Callable[..., Given]:
    """Return a maker of cohorts on scikit-learn's bundled data."""
    return make
