"""Windows of characters: against naive slicing, with the identity and the checks of other data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwright.base.errors import BadValue, ModelwrightError, SourceMissing, UnknownName
from modelwright.base.finding import Severity
from modelwright.base.seed import derive_seeds
from modelwright.data.checks import check_data
from modelwright.data.dataset import Dataset
from modelwright.data.source import Source, load_dataset
from modelwright.data.split import SplitPlan, make_split

TEXT = "the quick brown fox jumps over the lazy dog — twice!\nthe quick brown fox sleeps."


def load(root: Path, **fields: Any) -> Dataset:
    return load_dataset(Source(kind="text", **fields), root=root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "fox.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


def read(dataset: Dataset) -> list[str]:
    """Return every row with its target as text again."""
    letters = [str(eval(name)) for name in dataset.classes]
    return [
        "".join(letters[int(place)] for place in (*row, target))
        for row, target in zip(dataset.features, dataset.target, strict=True)
    ]


@pytest.mark.parametrize("length", [1, 5, 16])
@pytest.mark.parametrize("stride", [None, 1, 7])
@pytest.mark.parametrize("windows", [None, 2, 4])
def test_rows_are_the_windows_that_slicing_gives(
    length: int, stride: int | None, windows: int | None, root: Path
) -> None:
    dataset = load(root, path="fox.txt", length=length, stride=stride, windows=windows)
    step = stride or length
    expected = [
        TEXT[at : at + length + 1]
        for at in range(0, len(TEXT), step)
        if len(TEXT[at : at + length + 1]) == length + 1
    ][:windows]
    assert read(dataset) == expected
    assert dataset.times is not None
    assert dataset.times.tolist() == [at * step + length for at in range(len(expected))]
    used = TEXT[: (len(expected) - 1) * step + length + 1]
    assert [eval(name) for name in dataset.classes] == sorted(set(used))
    assert dataset.features.dtype == np.float32
    assert dataset.task == "classification"
    assert dataset.columns[-1] == "back_1"
    assert len(dataset.columns) == length


def test_the_origin_names_the_file_and_the_identity_follows_the_characters(root: Path) -> None:
    first = load(root, path="fox.txt", length=5)
    (root / "dos.txt").write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    again = load(root, path="dos.txt", length=5)
    assert again.identity == first.identity
    assert again.origin["sha256"] != first.origin["sha256"]
    assert first.origin["kind"] == "text"
    assert first.origin["path"] == "fox.txt"
    (root / "cat.txt").write_text(TEXT.replace("fox sleeps", "cat sleeps"), encoding="utf-8")
    assert load(root, path="cat.txt", length=5).identity != first.identity
    assert load(root, path="fox.txt", length=5, stride=4).identity != first.identity
    (step,) = first.transformations
    assert step["arguments"] == {"length": 5, "stride": 5, "characters": 76, "alphabet": 30}


def test_the_manual_of_python_holds_every_paragraph_once(tmp_path: Path) -> None:
    from pydoc_data.topics import topics

    dataset = load(tmp_path, name="python_manual", length=64)
    text = "".join(line[:-1] for line in read(dataset))
    whole = "".join(topics[key] for key in sorted(topics))
    assert text[:500] == whole[:500]
    paragraphs = text.split("\n\n")
    assert len(set(paragraphs)) == len(paragraphs) < len(whole.split("\n\n"))
    assert len(text) > 200_000
    assert dataset.origin["version"].startswith("cpython 3.")


@pytest.mark.parametrize(
    "fields",
    [{}, {"length": 32}, {"length": 16, "stride": 3, "windows": 3000}, {"length": 2, "windows": 3000}],
    ids=str,
)
def test_checks_raise_no_alarm_on_the_manual_parted_in_time(fields: Mapping[str, Any]) -> None:
    dataset = load(Path(), name="python_manual", **fields)
    splits = [make_split(dataset, SplitPlan(kind="time"), seed) for seed in derive_seeds("text", 2)]
    for finding in check_data(dataset, splits, seed=derive_seeds("checks", 1)[0]):
        # Topics in the order of their names do drift.
        assert finding.severity is Severity.INFO or finding.kind == "train-test-differ", finding


def test_checks_find_rows_dealt_without_regard_to_time_and_pages_that_stand_twice(tmp_path: Path) -> None:
    whole = load(tmp_path, name="python_manual", length=32)
    plain = "".join(line[:-1] for line in read(whole))[:64_000]
    (tmp_path / "twice.txt").write_text(plain + plain[:6400] + plain[32_000:40_000], encoding="utf-8")
    dataset = load(tmp_path, path="twice.txt", length=32)
    for kind, found in (("random", "time-overlap"), ("time", "duplicate-rows-across-split")):
        split = make_split(dataset, SplitPlan(kind=kind), derive_seeds("text", 1)[0])
        severe = {
            finding.kind
            for finding in check_data(dataset, [split], seed=derive_seeds("checks", 1)[0])
            if finding.severity is Severity.SEVERE
        }
        assert found in severe


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({}, BadValue, "needs data.name or data.path"),
        ({"name": "python_manual", "path": "fox.txt"}, BadValue, "not both"),
        ({"name": "python_manul"}, UnknownName, "Nearest: python_manual"),
        ({"path": "fix.txt"}, SourceMissing, "Nearest: fox.txt"),
        ({"path": "latin.txt"}, BadValue, "UTF-8"),
        ({"path": "empty.txt"}, BadValue, "0 characters"),
        ({"path": "same.txt", "length": 2}, BadValue, "two different characters"),
        ({"path": "fox.txt", "length": 81}, BadValue, "80 characters for windows of 81"),
        ({"path": "fox.txt", "length": 60}, BadValue, "lower data.length"),
        ({"path": "fox.txt", "length": 0}, BadValue, "at least 1"),
        ({"path": "fox.txt", "stride": 0}, BadValue, "at least 1"),
        ({"path": "fox.txt", "windows": 1}, BadValue, "at least 2"),
        ({"path": "fox.txt", "target": "y"}, BadValue, "target means nothing for kind text"),
        ({"path": "fox.txt", "task": "regression"}, BadValue, "task means nothing for kind text"),
        ({"path": "fox.txt", "duplicates": "drop"}, BadValue, "duplicates means nothing for kind text"),
        ({"path": "fox.txt", "encoding": "latin-1"}, BadValue, "encoding means nothing for kind text"),
    ],
    ids=str,
)
def test_what_is_no_text_gets_a_clear_answer(
    fields: dict[str, Any], kind: type[ModelwrightError], message: str, root: Path
) -> None:
    (root / "latin.txt").write_bytes("größer als je".encode("latin-1") * 9)
    (root / "empty.txt").write_text("")
    (root / "same.txt").write_text("a" * 50)
    with pytest.raises(kind, match=message):
        load(root, **fields)


def test_windows_mean_nothing_for_other_kinds() -> None:
    with pytest.raises(BadValue, match="windows means nothing for kind sklearn"):
        Source(kind="sklearn", name="wine", windows=100)
