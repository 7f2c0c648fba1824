"""What a dataset promises: an identity over every cell, rows that nobody can change, training rows only."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelwright.base.errors import BadValue
from modelwright.base.seed import derive_seeds
from modelwright.data.dataset import Dataset
from modelwright.data.split import SplitPlan, make_split

ROWS = 20_000


def plain(**changes: Any) -> Dataset:
    draw = np.random.default_rng(0)
    fields: dict[str, Any] = {
        "name": "plain",
        "features": draw.normal(size=(ROWS, 3)).astype(np.float32),
        "target": draw.integers(0, 2, size=ROWS),
        "task": "classification",
        "classes": ("no", "yes"),
        "columns": ("a", "b", "c"),
        "groups": draw.integers(0, 50, size=ROWS).astype(str),
        "times": np.arange(ROWS),
        "parts": np.where(np.arange(ROWS) < 15_000, "train", "test"),
    }
    return Dataset(**(fields | changes))


def changed(array: np.ndarray[Any, Any], place: Any, value: Any) -> np.ndarray[Any, Any]:
    copy = array.copy()
    copy[place] = value
    return copy


CHANGES: dict[str, Callable[[Dataset], dict[str, Any]]] = {
    "the last cell": lambda d: {"features": changed(d.features, (-1, -1), d.features[-1, -1] + 1e-3)},
    "the smallest step of a float": lambda d: {
        "features": changed(d.features, (12_345, 1), np.nextafter(d.features[12_345, 1], np.float32(9)))
    },
    "a value lost": lambda d: {"features": changed(d.features, (0, 0), np.nan)},
    "two rows exchanged": lambda d: {"features": d.features[[1, 0, *range(2, ROWS)]]},
    "two columns exchanged": lambda d: {"features": np.ascontiguousarray(d.features[:, [1, 0, 2]])},
    "two names exchanged": lambda d: {"columns": ("b", "a", "c")},
    "a name": lambda d: {"columns": ("a", "b", "c ")},
    "one target": lambda d: {"target": changed(d.target, 19_999, 1 - d.target[19_999])},
    "a class name": lambda d: {"classes": ("no", "maybe")},
    "a class that nobody has": lambda d: {"classes": ("no", "yes", "zzz")},
    "the task": lambda d: {"task": "regression", "target": d.target.astype(np.float64), "classes": ()},
    "one group": lambda d: {"groups": changed(d.groups, 5, "7" if d.groups[5] != "7" else "8")},  # type: ignore[index]
    "no groups": lambda d: {"groups": None},
    "groups as parts": lambda d: {"groups": d.parts, "parts": d.groups},
    "one time": lambda d: {"times": changed(d.times, 77, 78)},  # type: ignore[arg-type]
    "times of another type": lambda d: {"times": d.times.astype("datetime64[us]")},  # type: ignore[union-attr]
    "one part": lambda d: {"parts": changed(d.parts, 0, "test")},  # type: ignore[arg-type]
    "fewer rows": lambda d: {
        name: getattr(d, name)[:-1] for name in ("features", "target", "groups", "times", "parts")
    },
    "an image": lambda d: {"features": d.features.reshape(ROWS, 1, 1, 3), "columns": ()},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_identity_changes_with(change: Callable[[Dataset], dict[str, Any]]) -> None:
    dataset = plain()
    assert plain(**change(dataset)).identity != dataset.identity


def test_the_identity_does_not_depend_on_name_origin_or_how_a_value_is_spelt() -> None:
    dataset = plain()
    zeros = changed(dataset.features, (0, 0), 0.0)
    other_nan = np.array([0x7FC12345], dtype=np.uint32).view(np.float32)[0]
    assert (
        plain(name="x", origin={"kind": "csv"}, transformations=({"name": "s"},)).identity == dataset.identity
    )
    assert plain(features=zeros).identity == plain(features=changed(zeros, (0, 0), -0.0)).identity
    one, other = changed(zeros, (0, 0), np.nan), changed(zeros, (0, 0), other_nan)
    assert plain(features=one).identity == plain(features=other).identity
    assert plain(groups=dataset.groups.astype("<U30")).identity == dataset.identity  # type: ignore[union-attr]


def test_the_identity_is_the_same_in_any_process_and_release() -> None:
    script = (
        "import numpy as np; from modelwright.data.dataset import Dataset;"
        "rows = np.arange(6, dtype=np.float32).reshape(3, 2);"
        "print(Dataset(name='x', features=rows, target=np.array([0, 1, 1]), task='classification',"
        " classes=('a', 'b'), columns=('p', 'q')).identity)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {"81ae3de5b262e916de4cbc98fc113301cfe0e2a085010b714f2c815a8f8dfb5b\n"}


def test_arrays_of_a_dataset_cannot_be_changed() -> None:
    dataset = plain()
    for array in (dataset.features, dataset.target, dataset.groups, dataset.times, dataset.parts):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]


def test_a_cohort_sees_the_training_rows_of_its_own_splits_only() -> None:
    dataset = plain()
    splits = [make_split(dataset, SplitPlan(), seed) for seed in derive_seeds("x", 3)]
    experience = dataset.experience(splits)
    for place, split in enumerate(splits):
        features, target = experience.of(place)
        np.testing.assert_array_equal(features, dataset.features[split.train])
        np.testing.assert_array_equal(target, dataset.target[split.train])
    with pytest.raises(BadValue, match="made for"):
        plain(columns=("x", "y", "z")).experience(splits)


def test_a_frame_shows_classes_by_name_and_dodges_taken_names() -> None:
    dataset = plain(columns=("target", "b", "time"))
    frame = dataset.frame()
    assert list(frame.columns) == ["target", "b", "time", "target_", "group", "time_", "part"]
    assert set(frame["target_"]) == {"no", "yes"}
    image = plain(features=plain().features.reshape(ROWS, 1, 1, 3), columns=())
    assert list(image.frame().columns)[:3] == ["pixel_0_0_0", "pixel_0_0_1", "pixel_0_0_2"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": np.zeros((ROWS, 3))}, "float32"),
        ({"features": np.zeros((3, ROWS), dtype=np.float32).T}, "C order"),
        ({"features": np.zeros((0, 3), dtype=np.float32)}, "at least one row"),
        ({"columns": ("a", "b")}, "one name"),
        ({"columns": ("a", "b", "b")}, "differ"),
        ({"columns": ()}, "have names"),
        ({"target": np.zeros(5, dtype=np.int64)}, "one value per row"),
        ({"target": np.full(ROWS, 2)}, "names one of the classes"),
        ({"target": np.zeros(ROWS), "task": "regression"}, "without classes"),
        ({"target": np.full(ROWS, np.nan), "task": "regression", "classes": ()}, "finite"),
        ({"target": np.zeros(ROWS)}, "int64"),
        ({"times": np.arange(4)}, "times has one value per row"),
    ],
)
def test_a_dataset_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadValue, match=message):
        plain(**changes)


def test_a_dataset_can_be_made_from_another() -> None:
    dataset = plain()
    assert replace(dataset, name="other").identity == dataset.identity


def test_importing_the_room_loads_no_heavy_library() -> None:
    script = (
        "import sys; import modelwright.data.source, modelwright.data.checks;"
        "print([m for m in ('pandas', 'pyarrow', 'duckdb', 'sklearn', 'torch', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == "[]"
