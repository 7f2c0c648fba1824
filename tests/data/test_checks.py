"""First checks of data: honest data pass, each planted fault is found, on real data."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelwright.base.errors import BadValue
from modelwright.base.finding import Finding, Severity
from modelwright.base.seed import derive_seeds
from modelwright.data.checks import KINDS, check_data
from modelwright.data.dataset import Dataset
from modelwright.data.leak import check_leaks
from modelwright.data.shift import SHIFT_LEVEL, check_shift, measure_shift
from modelwright.data.source import Source, load_dataset
from modelwright.data.split import Split, SplitPlan, make_split

SEEDS = derive_seeds("checks", 30)
FILES = Path(os.environ.get("MODELWRIGHT_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
ADULT = (
    *(
        "age",
        "workclass",
        "fnlwgt",
        "education",
        "education_num",
        "marital_status",
        "occupation",
        "relationship",
    ),
    *("race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country", "income"),
)
BUNDLED = ("digits", "diabetes", "wine", "breast_cancer", "iris")
SOURCES: dict[str, dict[str, Any]] = {
    **{name: {"kind": "sklearn", "name": name} for name in BUNDLED},
    "red": {"kind": "csv", "path": "winequality-red.csv", "header": False, "target": "column_12"},
    "white": {
        "kind": "csv",
        "path": "winequality-white.csv",
        "header": False,
        "target": "column_12",
        "task": "regression",
    },
    "adult": {
        "kind": "csv",
        "path": "adult-train.csv",
        "header": False,
        "columns": ADULT,
        "target": "income",
        "missing": ("?",),
    },
    "elec": {"kind": "csv", "path": "elec.csv", "target": "class"},
    "elec in time": {
        "kind": "sql",
        "query": "SELECT *, row_number() OVER () AS step FROM read_csv('elec.csv')",
        "target": "class",
        "time": "step",
    },
}
REAL = ("iris", "breast_cancer", "diabetes", "digits", "red", "adult", "elec")


@cache
def real(name: str) -> Dataset:
    source = Source(**SOURCES[name])
    if source.path and not (FILES / source.path).is_file():
        pytest.skip(f"{source.path} is not in {FILES}; set MODELWRIGHT_DATA to its folder")
    if source.kind == "sql" and not (FILES / "elec.csv").is_file():
        pytest.skip(f"elec.csv is not in {FILES}; set MODELWRIGHT_DATA to its folder")
    return load_dataset(source, root=FILES)


def changed(dataset: Dataset, **changes: Any) -> Dataset:
    """Return a copy as a flat table."""
    fields: dict[str, Any] = {
        "name": dataset.name,
        "features": dataset.table().copy(),
        "target": dataset.target.copy(),
        "task": dataset.task,
        "classes": dataset.classes,
        "columns": dataset.feature_names,
        "groups": dataset.groups,
        "times": dataset.times,
        "transformations": dataset.transformations,
    }
    return Dataset(**(fields | changes))


def with_column(dataset: Dataset, values: Any, name: str = "planted") -> Dataset:
    table = np.column_stack([dataset.table(), np.asarray(values, dtype=np.float32)])
    return changed(dataset, features=np.ascontiguousarray(table), columns=(*dataset.feature_names, name))


def splits_of(dataset: Dataset, kind: str = "random", count: int = 1, **plan: Any) -> list[Split]:
    return [make_split(dataset, SplitPlan(kind=kind, **plan), seed) for seed in SEEDS[:count]]


def counted(dataset: Dataset, splits: list[Split] | None = None) -> dict[str, Finding]:
    """Return what counting alone finds, by kind."""
    return found(dataset, splits, budget_s=0)


def found(dataset: Dataset, splits: list[Split] | None = None, budget_s: float = 120) -> dict[str, Finding]:
    findings = check_data(dataset, splits or splits_of(dataset), seed=SEEDS[0], budget_s=budget_s)
    for finding in findings:
        assert finding.kind in KINDS
        assert finding.title.endswith(".")
        assert finding.causes
        assert finding.next_check
    return {finding.kind: finding for finding in findings}


def frame(rows: int = 200, **columns: Any) -> Dataset:
    draw = np.random.default_rng(5)
    table = pd.DataFrame(
        {"a": draw.normal(size=rows), "b": draw.normal(size=rows), "y": draw.integers(0, 2, rows)}
    )
    roles = {role: role for role in ("group", "time", "part") if role in columns}
    source = Source(kind="frame", name="t", target="y", task="classification", **roles)
    return load_dataset(source, root=Path(), frames={"t": table.assign(**columns)})


def regression(rows: int, target: Any, **columns: Any) -> Dataset:
    draw = np.random.default_rng(5)
    table = pd.DataFrame({"a": draw.normal(size=rows), "b": draw.normal(size=rows), "y": target})
    source = Source(kind="frame", name="t", target="y", task="regression")
    return load_dataset(source, root=Path(), frames={"t": table.assign(**columns)})


def leaks(dataset: Dataset, root: int = 0) -> dict[str, Finding]:
    return {finding.kind: finding for finding in check_leaks(dataset, np.random.default_rng(root))}


# honest data ------------------------------------------------------------


@pytest.mark.parametrize("name", SOURCES)
def test_honest_data_raise_no_severe_alarm(name: str) -> None:
    dataset = real(name)
    splits = splits_of(dataset, "time" if dataset.times is not None else "random", count=30)
    severe = [finding for finding in found(dataset, splits).values() if finding.severity is Severity.SEVERE]
    assert severe == []


def test_the_published_split_of_adult_looks_dealt_at_random() -> None:
    if not (FILES / "adult-test.csv").is_file():
        pytest.skip(f"adult-test.csv is not in {FILES}; set MODELWRIGHT_DATA to its folder")
    names = ", ".join(f"'{name}'" for name in ADULT)
    read = f"read_csv('adult-{{}}.csv', header = false, all_varchar = true, names = [{names}])"
    query = (
        f"SELECT *, 'train' AS part FROM {read.format('train')} UNION ALL "
        f"SELECT * REPLACE (rtrim(income, '.') AS income), 'test' AS part FROM {read.format('test')}"
    )
    source = Source(kind="sql", query=query, target="income", part="part", missing=("?",))
    dataset = load_dataset(source, root=FILES)
    splits = splits_of(dataset, "column", count=2)
    assert len(splits[0].test) == 16_281
    kinds = found(dataset, splits)
    assert "train-test-differ" not in kinds
    assert all(finding.severity is not Severity.SEVERE for finding in kinds.values())
    assert kinds["missing-values"].severity is Severity.INFO


def test_small_clean_data_have_no_findings_at_all() -> None:
    assert found(frame()) == {}


# gaps ------------------------------------------------------------


@pytest.mark.parametrize("name", ["iris", "diabetes", "breast_cancer", "adult"])
def test_missing_values_are_found(name: str) -> None:
    dataset = real(name)
    table = dataset.table().copy()
    table[3:8, 1] = np.nan
    finding = counted(changed(dataset, features=table))["missing-values"]
    assert finding.severity is Severity.WARNING
    assert finding.evidence["columns"] == {dataset.feature_names[1]: 5}
    assert finding.evidence["rows_with_gaps"] == 5


@pytest.mark.parametrize("code", [-999, -1, 0, 9999, 99999])
@pytest.mark.parametrize(
    ("name", "column"), [("diabetes", 3), ("wine", 12), ("breast_cancer", 0), ("white", 8)]
)
def test_a_number_that_stands_for_missing_is_found(name: str, column: int, code: float) -> None:
    dataset = real(name)
    table = dataset.table().copy()
    values = table[:, column]
    if values.min() - np.percentile(values, 75) + np.percentile(values, 25) < code < values.max():
        pytest.skip("the code lies among the column's own values")
    rows = np.random.default_rng(0).choice(len(table), max(2, len(table) // 50), replace=False)
    table[rows, column] = code
    kinds = counted(changed(dataset, features=table))
    assert kinds["disguised-missing"].evidence["columns"][dataset.feature_names[column]]["code"] == code


def test_a_text_that_stands_for_missing_is_found() -> None:
    dataset = frame(colour=np.resize(["red", "?", "blue"], 200))
    assert counted(dataset)["disguised-missing"].evidence["columns"] == {"colour": {"code": "?"}}
    unsure = frame(colour=np.resize(["red", "unknown"], 200))
    assert counted(unsure)["disguised-missing"].severity is Severity.INFO


def test_rows_that_were_dropped_are_counted() -> None:
    table = pd.DataFrame({"x": [1.0, np.nan] * 40 + list(range(120)), "y": [0, 1] * 100})
    dataset = load_dataset(
        Source(kind="frame", name="t", target="y", when_missing="drop_rows"), root=Path(), frames={"t": table}
    )
    finding = counted(dataset)["rows-dropped"]
    assert (finding.severity, finding.evidence["before"], finding.evidence["after"]) == (
        Severity.WARNING,
        200,
        160,
    )


# quality ------------------------------------------------------------


@pytest.mark.parametrize("name", ["iris", "diabetes", "breast_cancer", "red"])
def test_idle_columns_are_found(name: str) -> None:
    dataset = real(name)
    assert counted(with_column(dataset, np.full(len(dataset), 3)))["constant-column"].subject == "planted"
    again = counted(with_column(dataset, dataset.table()[:, 2]))["duplicate-column"]
    assert again.evidence["pairs"] == [[dataset.feature_names[2], "planted"]]
    assert (
        counted(with_column(dataset, np.arange(len(dataset)) * 2 + 7))["row-number-column"].subject
        == "planted"
    )


@pytest.mark.parametrize("name", ["iris", "diabetes", "breast_cancer"])
def test_scaling_over_all_rows_is_found(name: str) -> None:
    from sklearn.preprocessing import StandardScaler

    dataset = real(name)
    scaled = StandardScaler().fit_transform(dataset.table()).astype(np.float32)
    finding = counted(changed(dataset, features=np.ascontiguousarray(scaled)))["standardized-over-all-rows"]
    assert finding.evidence["count"] == dataset.table().shape[1]


def test_scikit_learn_s_own_scaling_of_diabetes_is_found() -> None:
    from sklearn.datasets import load_diabetes

    dataset = changed(real("diabetes"), features=load_diabetes().data.astype(np.float32))
    assert counted(dataset)["standardized-over-all-rows"].evidence["count"] == 10


def test_targets_that_say_little_are_found() -> None:
    still = frame(y=np.full(200, 1))
    assert counted(still)["constant-target"].severity is Severity.SEVERE
    rare = frame(y=(np.arange(200) % 50 == 0).astype(int))
    assert counted(rare)["class-imbalance"].evidence["majority"] == pytest.approx(0.98)


def test_labels_that_contradict_one_another_are_counted() -> None:
    dataset = real("iris")
    table, target = dataset.table().copy(), dataset.target.copy()
    table[100:110] = table[:10]
    finding = counted(changed(dataset, features=table, target=target))["conflicting-labels"]
    assert finding.severity is Severity.WARNING
    assert finding.evidence["rows"] >= 20


def test_identifiers_that_do_not_fit_a_float_are_found() -> None:
    dataset = frame(number=np.arange(200) + 2_000_000_000)
    assert counted(dataset)["precision-lost"].subject == "number"


@pytest.mark.parametrize("rows", [5000, 20_000])
def test_measurements_in_floating_point_lose_nothing_that_counts(rows: int) -> None:
    for root in range(5):
        values = np.random.default_rng(root).normal(size=rows)
        assert "precision-lost" not in counted(frame(rows, values=values))


# misread ------------------------------------------------------------


def written(tmp_path: Path, texts: Any, **fields: Any) -> Dataset:
    """Return data of a CSV file with the texts as a column `m`."""
    draw = np.random.default_rng(0)
    table = pd.DataFrame({"m": texts, "x": draw.normal(size=len(texts))})
    table["y"] = draw.integers(0, 2, len(texts))
    table.to_csv(tmp_path / "t.csv", index=False)
    return load_dataset(Source(**({"kind": "csv", "path": "t.csv", "target": "y"} | fields)), root=tmp_path)


NUMBERS = [f"{value:.2f}" for value in np.random.default_rng(3).normal(size=400)]


@pytest.mark.parametrize("categorical", ["one_hot", "ordinal"])
def test_an_odd_cell_among_numbers_is_named(tmp_path: Path, categorical: str) -> None:
    dataset = written(tmp_path, [*NUMBERS[:7], "x", *NUMBERS[7:], ""], categorical=categorical)
    finding = counted(dataset)["numbers-read-as-text"]
    assert (finding.severity, finding.subject) == (Severity.WARNING, "m")
    assert finding.evidence["odd_cells"] == ["x"]
    assert finding.evidence["share"] == pytest.approx(400 / 401)


@pytest.mark.parametrize("pattern", ["{:.2f}%", "${:.2f}", "{:.2f} €"])
def test_numbers_that_are_written_otherwise_are_told(tmp_path: Path, pattern: str) -> None:
    dataset = written(tmp_path, [pattern.format(abs(float(number))) for number in NUMBERS])
    assert counted(dataset)["numbers-read-as-text"].evidence["odd_cells"] == []


def test_decimal_commas_and_thousands_are_told(tmp_path: Path) -> None:
    for texts in ([number.replace(".", ",") for number in NUMBERS], [f"{n:,}" for n in range(900, 1300)]):
        assert counted(written(tmp_path, texts))["numbers-read-as-text"].subject == "m"


@pytest.mark.parametrize("pattern", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%y", "%Y-%m-%dT%H:%M:%SZ", "%d %b %Y"])
def test_dates_that_became_categories_are_told(tmp_path: Path, pattern: str) -> None:
    dates = pd.date_range("2024-01-05", periods=200).strftime(pattern)
    finding = counted(written(tmp_path, [*dates, "soon"]))["dates-read-as-text"]
    assert (finding.subject, finding.evidence["odd_cells"]) == ("m", ["soon"])


@pytest.mark.parametrize(
    "levels",
    [
        *[("red", "green"), ("1", "2", "many"), ("1-5", "6-10", "11-20"), ("10.0.0.1", "10.0.0.2")],
        *[("A1", "B2"), ("v1.2", "v1.3"), ("<10", ">10"), (".", "-"), ("may", "march"), ("1", "2", "3")],
    ],
)
def test_categories_are_no_misread_numbers(tmp_path: Path, levels: tuple[str, ...]) -> None:
    kinds = counted(written(tmp_path, np.resize(levels, 300)))
    assert not {"numbers-read-as-text", "dates-read-as-text"} & set(kinds)


def test_an_odd_cell_in_the_target_is_told(tmp_path: Path) -> None:
    marks = [*np.resize(["1", "2", "3"], 299), "x"]
    finding = counted(written(tmp_path, marks, target="m"))["numbers-read-as-text"]
    assert (finding.subject, finding.evidence["odd_cells"]) == ("target", ["x"])
    assert "numbers-read-as-text" not in counted(written(tmp_path, marks[:-1], target="m"))


def test_the_refusal_of_too_many_texts_names_the_odd_cell(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="broken") as refusal:
        written(tmp_path, [*(f"{place / 7:.4f}" for place in range(1500)), "broken"])
    assert "data.missing" in str(refusal.value)
    with pytest.raises(BadValue, match=r"data\.time"):
        written(tmp_path, pd.date_range("2000-01-01", periods=1500).strftime("%Y-%m-%d"))


# overlap ------------------------------------------------------------


def published(dataset: Dataset, copies: int, draw: np.random.Generator) -> tuple[Dataset, list[Split]]:
    """Return data whose published training part holds copies of test rows."""
    tested = np.sort(draw.choice(len(dataset), len(dataset) // 5, replace=False))
    rows = np.concatenate([np.arange(len(dataset)), draw.choice(tested, copies, replace=False)])
    parts = np.full(len(rows), "train")
    parts[tested] = "test"
    shuffled = draw.permutation(len(rows))
    copied = changed(
        dataset,
        features=np.ascontiguousarray(dataset.table()[rows][shuffled]),
        target=dataset.target[rows][shuffled],
        parts=parts[shuffled],
    )
    return copied, splits_of(copied, "column")


@pytest.mark.parametrize("name", REAL)
def test_test_rows_copied_into_the_training_part_are_severe(name: str) -> None:
    dataset = real(name)
    copied, splits = published(dataset, max(10, len(dataset) // 25), np.random.default_rng(0))
    finding = counted(copied, splits)["duplicate-rows-across-split"]
    assert finding.severity is Severity.SEVERE
    assert finding.evidence["share"] >= 0.15
    assert finding.evidence["p_value"] <= 0.005


@pytest.mark.parametrize("name", REAL)
def test_a_block_of_rows_that_repeats_earlier_ones_is_severe(name: str) -> None:
    dataset = real(name)
    rows = np.concatenate([np.arange(len(dataset)), np.arange(max(20, len(dataset) // 20))])
    joined = changed(
        dataset, features=np.ascontiguousarray(dataset.table()[rows]), target=dataset.target[rows]
    )
    finding = counted(joined)["duplicate-rows-across-split"]
    assert finding.severity is Severity.SEVERE
    assert finding.evidence["longest_block"] >= 20


def test_twins_of_real_life_are_a_warning_and_a_few_of_them_are_no_matter() -> None:
    assert counted(real("red"))["duplicate-rows-across-split"].severity is Severity.WARNING
    assert counted(real("adult"))["duplicate-rows-across-split"].severity is Severity.INFO


def test_twins_that_few_values_explain_are_no_leak() -> None:
    draw = np.random.default_rng(0)
    coarse = {name: draw.integers(0, 2, 400) for name in ("a", "b", "c", "d")}
    dataset = frame(400, **coarse)
    finding = counted(dataset)["duplicate-rows-across-split"]
    assert finding.evidence["share"] > 0.9
    assert finding.severity is Severity.WARNING


def test_rows_copied_all_over_are_severe_where_memory_could_answer() -> None:
    dataset = real("breast_cancer")
    rows = np.random.default_rng(0).permutation(np.r_[: len(dataset), : int(0.45 * len(dataset))])
    doubled = changed(
        dataset, features=np.ascontiguousarray(dataset.table()[rows]), target=dataset.target[rows]
    )
    finding = counted(doubled)["duplicate-rows-across-split"]
    assert finding.severity is Severity.SEVERE
    assert finding.evidence["longest_block"] < 20
    assert finding.evidence["p_value"] > 0.005


@pytest.mark.parametrize("name", ["iris", "diabetes", "digits", "red"])
def test_groups_and_times_on_both_sides_are_severe(name: str) -> None:
    dataset = real(name)
    grouped = changed(dataset, groups=(np.arange(len(dataset)) // 3).astype(str))
    overlap = counted(grouped)["group-overlap"]
    assert overlap.severity is Severity.SEVERE
    assert 0.5 < overlap.evidence["share_of_test_rows"] <= 1
    assert "group-overlap" not in counted(grouped, splits_of(grouped, "grouped"))
    timed = changed(dataset, times=np.arange(len(dataset)))
    late = counted(timed)["time-overlap"]
    assert late.severity is Severity.SEVERE
    assert late.evidence["share_of_pairs"] == pytest.approx(0.5, abs=0.15)
    assert "time-overlap" not in counted(timed, splits_of(timed, "time"))


def test_classes_that_one_side_lacks_are_found() -> None:
    target = np.resize([0, 1, 2], 200)
    dataset = frame(y=target)
    rows = np.arange(200)
    sides = (rows[target < 2], rows[target == 2])
    untaught = [Split(train=sides[0], test=sides[1], plan=SplitPlan(), dataset=dataset.identity)]
    untested = [Split(train=sides[1], test=sides[0], plan=SplitPlan(), dataset=dataset.identity)]
    assert counted(dataset, untaught)["class-missing-from-train"].severity is Severity.SEVERE
    assert counted(dataset, untaught)["class-missing-from-test"].severity is Severity.WARNING
    assert counted(dataset, untested)["class-missing-from-train"].severity is Severity.SEVERE


def test_a_small_test_set_is_found() -> None:
    dataset = frame()
    assert counted(dataset, splits_of(dataset, test=29))["small-test-set"].evidence["test_rows"] == 29
    assert "small-test-set" not in counted(dataset, splits_of(dataset, test=30))


def test_a_small_test_set_is_told_in_the_terms_of_its_task() -> None:
    dataset = frame()
    classes = counted(dataset, splits_of(dataset, test=20))["small-test-set"]
    assert "moves accuracy by 5.0%" in classes.title
    assert classes.evidence["standard_error_at_half"] == pytest.approx((0.25 / 20) ** 0.5)
    values = changed(dataset, task="regression", classes=(), target=dataset.features[:, 0].astype(np.float64))
    finding = counted(values, splits_of(values, test=20))["small-test-set"]
    assert "accuracy" not in finding.title
    assert "moves the RMSE by about 16%" in finding.title
    errors = np.random.default_rng(1).normal(size=(20_000, 20))
    rmse = np.sqrt(np.square(errors).mean(axis=1))
    told = finding.evidence["relative_standard_error_of_rmse"]
    assert told == pytest.approx(rmse.std() / rmse.mean(), rel=0.03)


def test_every_split_is_counted_not_the_first_alone() -> None:
    dataset = changed(real("iris"), groups=np.arange(150).astype(str))
    assert "group-overlap" not in counted(dataset, splits_of(dataset, count=30))
    groups = np.arange(150).astype(str)
    splits = splits_of(dataset, count=30)
    groups[splits[-1].test[0]] = groups[splits[-1].train[0]]
    last = changed(dataset, groups=groups)
    again = [Split(train=s.train, test=s.test, plan=s.plan, dataset=last.identity) for s in splits]
    assert counted(last, again)["group-overlap"].evidence["splits_with_overlap"] >= 1


# leaks ------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
def test_a_copy_of_the_target_is_severe(name: str) -> None:
    dataset = real(name)
    draw = np.random.default_rng(0)
    if dataset.task == "classification":
        copies = [draw.permutation(len(dataset.classes))[dataset.target]]
    else:
        copies = [7 - 3 * dataset.target, np.exp(dataset.target / dataset.target.std())]
    for copy in copies:
        finding = found(with_column(dataset, copy))["feature-equals-target"]
        assert finding.severity is Severity.SEVERE
        assert finding.subject == "planted"


@pytest.mark.parametrize(
    "name",
    ["diabetes", "red", "elec", *(pytest.param(name, marks=pytest.mark.slow) for name in ("white", "adult"))],
)
def test_a_feature_that_nearly_determines_the_target_is_severe(name: str) -> None:
    dataset = real(name)
    draw = np.random.default_rng(0)
    if dataset.task == "classification":
        flipped = np.where(
            draw.random(len(dataset)) < 0.02,
            draw.integers(0, len(dataset.classes), len(dataset)),
            dataset.target,
        )
        proxies = [flipped, dataset.target + 0.1 * draw.normal(size=len(dataset))]
    else:
        noise = draw.normal(size=len(dataset)) * dataset.target.std()
        proxies = [dataset.target + 0.01 * noise, dataset.target + 0.05 * noise]
    for proxy in proxies:
        finding = found(with_column(dataset, proxy))["feature-nearly-determines-target"]
        assert finding.severity is Severity.SEVERE
        assert finding.subject == "planted"


def test_a_text_that_names_the_class_is_found_behind_its_one_hot_columns() -> None:
    draw = np.random.default_rng(0)
    table = pd.DataFrame({"x": draw.normal(size=300), "y": np.resize(["low", "mid", "high"], 300)})
    table["code"] = table["y"].map({"low": "C", "mid": "A", "high": "B"})
    dataset = load_dataset(Source(kind="frame", name="t", target="y"), root=Path(), frames={"t": table})
    assert found(dataset)["feature-equals-target"].subject == "code"


def test_a_gap_that_tells_the_class_is_found() -> None:
    target = np.random.default_rng(1).integers(0, 2, 200)
    dataset = frame(y=target, dose=np.where(target == 1, np.nan, np.random.default_rng(2).normal(size=200)))
    kinds = found(dataset)
    assert kinds["feature-nearly-determines-target"].subject == "dose"


def test_a_strong_feature_among_strong_features_is_a_warning() -> None:
    kinds = found(real("iris"))
    assert kinds["feature-dominates-target"].subject.startswith("petal")
    assert kinds["feature-dominates-target"].severity is Severity.WARNING


@pytest.mark.slow
def test_a_perfect_feature_is_no_leak_where_others_do_as_well() -> None:
    iris = real("iris")
    setosa = changed(iris, target=(iris.target == 0).astype(np.int64), classes=("other", "setosa"))
    for root in range(20):
        kinds = leaks(setosa, root)
        assert kinds["feature-dominates-target"].evidence["score"] >= 0.98
        assert "feature-nearly-determines-target" not in kinds


def test_a_total_of_other_columns_is_found() -> None:
    draw = np.random.default_rng(0)
    table = pd.DataFrame(draw.normal(size=(300, 4)), columns=list("abcd"))
    table["total"] = table[["a", "b", "c"]].sum(axis=1)
    dataset = load_dataset(Source(kind="frame", name="t", target="total"), root=Path(), frames={"t": table})
    kinds = found(dataset)
    assert kinds["features-determine-target"].severity is Severity.WARNING
    assert set(kinds["features-determine-target"].evidence["largest_terms"][:3]) == {"a", "b", "c"}


@pytest.mark.parametrize(("rows", "positives"), [(20_000, 10), (20_000, 40), (3_000, 3), (20_000, 1)])
def test_a_copy_of_a_rare_class_is_found(rows: int, positives: int) -> None:
    target = np.random.default_rng(0).permutation(np.arange(rows) < positives).astype(int)
    kinds = found(frame(rows, y=target, flag=target), budget_s=600)
    assert kinds["feature-equals-target"].severity is Severity.SEVERE
    assert kinds["feature-equals-target"].subject == "flag"


@pytest.mark.parametrize(("rows", "positives"), [(20_000, 10), (20_000, 40), (3_000, 8)])
def test_a_feature_that_nearly_tells_a_rare_class_is_found(rows: int, positives: int) -> None:
    draw = np.random.default_rng(0)
    target = draw.permutation(np.arange(rows) < positives).astype(int)
    flag = np.where(draw.random(rows) < 0.005, 1, target)
    kinds = leaks(frame(rows, y=target, flag=flag))
    assert kinds["feature-nearly-determines-target"].severity is Severity.SEVERE


@pytest.mark.parametrize(("rows", "positives"), [(20_000, 10), (3_000, 3), (400, 2), (400, 1)])
def test_honest_features_beside_a_rare_class_are_no_leak(rows: int, positives: int) -> None:
    for root in range(5):
        draw = np.random.default_rng(root)
        target = draw.permutation(np.arange(rows) < positives).astype(int)
        noise = {f"n{place}": draw.normal(size=rows) for place in range(5)}
        flags = {f"f{place}": (draw.random(rows) < 0.01).astype(int) for place in range(5)}
        assert leaks(frame(rows, y=target, **noise, **flags), root) == {}


@pytest.mark.parametrize("share", [0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.0015])
def test_a_copy_of_a_target_that_is_nearly_always_zero_is_severe(share: float) -> None:
    draw = np.random.default_rng(0)
    rows = 20_000 if share < 0.005 else 4000
    target = np.where(draw.random(rows) < share, draw.gamma(2, size=rows), 0)
    kinds = leaks(regression(rows, target, leak=target))
    assert kinds["feature-equals-target"].severity is Severity.SEVERE
    assert kinds["feature-equals-target"].subject == "leak"
    above = leaks(regression(rows, target, leak=(target > 0).astype(int)))
    assert "feature-equals-target" not in above  # it lacks the amount


@pytest.mark.parametrize("share", [0.2, 0.1, 0.05, 0.02])
def test_a_near_copy_of_a_target_that_is_nearly_always_zero_is_severe(share: float) -> None:
    draw = np.random.default_rng(0)
    rows = 4000
    target = np.where(draw.random(rows) < share, draw.gamma(2, size=rows), 0)
    noisy = target * (1 + 0.02 * draw.normal(size=rows))
    assert leaks(regression(rows, target, leak=noisy))["feature-nearly-determines-target"].subject == "leak"


def test_a_target_that_one_row_alone_makes_no_constant_is_scored() -> None:
    target = np.zeros(20_000)
    target[7] = 3.5
    assert leaks(regression(len(target), target)) == {}
    assert leaks(regression(len(target), target, leak=target)).keys() == {"feature-equals-target"}


@pytest.mark.parametrize("rows", [30, 90, 3000])
@pytest.mark.parametrize("copy", ["twice", "inverted", "logarithm"])
def test_a_copy_of_a_target_whose_values_all_differ_is_the_target(rows: int, copy: str) -> None:
    draw = np.random.default_rng(rows)
    target = draw.normal(size=rows)
    leak = {"twice": 2 * target, "inverted": -target, "logarithm": np.log(target - target.min() + 1)}[copy]
    assert leaks(regression(rows, target, leak=leak))["feature-equals-target"].subject == "leak"


def test_equality_that_chance_gives_is_no_finding() -> None:
    for root in range(20):
        draw = np.random.default_rng(root)
        target = draw.permutation(np.arange(10) % 2)
        flags = np.stack([draw.permutation(target) for _ in range(150)], axis=1)
        columns = tuple(f"f{place}" for place in range(150))
        dataset = changed(frame(10, y=target), features=flags.astype(np.float32), columns=columns)
        assert "feature-equals-target" not in leaks(dataset, root)


def white_classes() -> Dataset:
    fields: dict[str, Any] = {**SOURCES["white"], "task": "classification"}
    source = Source(**fields)
    real("white")
    return load_dataset(source, root=FILES)


def with_dummies(dataset: Dataset, labels: Any, classes: Any) -> Dataset:
    for label in classes:
        dataset = with_column(dataset, labels == label, f"is {label}")
    return dataset


@pytest.mark.parametrize("left_out", [0, 1])
def test_dummies_of_the_target_are_severe(left_out: int) -> None:
    dataset = white_classes()
    labels = range(left_out, len(dataset.classes))
    kinds = leaks(with_dummies(dataset, dataset.target, labels))
    assert kinds["features-equal-target"].severity is Severity.SEVERE
    assert kinds["features-equal-target"].evidence["count"] == len(labels)
    assert leaks(dataset) == {}


def test_dummies_with_mistakes_and_a_single_dummy_are_severe() -> None:
    dataset = white_classes()
    draw = np.random.default_rng(0)
    labels = np.where(draw.random(len(dataset)) < 0.02, draw.integers(0, 7, len(dataset)), dataset.target)
    assert leaks(with_dummies(dataset, labels, range(7)))["feature-determines-class"].severity == "severe"
    single = leaks(with_dummies(dataset, dataset.target, [4]))["feature-determines-class"]
    assert (single.severity, single.evidence["class"]) == (Severity.SEVERE, dataset.classes[4])
    turned = leaks(with_column(dataset, dataset.target != 4, "is another"))["feature-determines-class"]
    assert (turned.severity, turned.subject) == (Severity.SEVERE, "is another")


def test_a_flag_of_a_class_that_others_tell_as_well_is_a_warning() -> None:
    iris = real("iris")
    kinds = leaks(with_column(iris, iris.table()[:, 2] < 2.5, "short"))
    assert kinds["feature-determines-class"].severity is Severity.WARNING
    assert {finding.severity for finding in kinds.values()} == {Severity.WARNING}


def test_an_outcome_put_together_from_flags_is_found() -> None:
    draw = np.random.default_rng(0)
    kind = draw.integers(0, 4, 1000)
    at_home, away = (kind == 0).astype(int), (kind == 1).astype(int)
    finding = leaks(frame(1000, y=at_home + away, at_home=at_home, away=away))["features-determine-target"]
    assert set(finding.evidence["largest_terms"]) == {"at_home", "away"}


@pytest.mark.parametrize("copies", [2, 5])
def test_copies_do_not_hide_one_another(copies: int) -> None:
    dataset, draw = real("adult"), np.random.default_rng(0)
    for number in range(copies):
        flipped = dataset.target ^ (draw.random(len(dataset)) < 0.02)
        dataset = with_column(dataset, flipped, f"copy {number}")
    findings = list(check_leaks(dataset, np.random.default_rng(1)))
    assert [finding.kind for finding in findings] == ["feature-nearly-determines-target"] * copies


def test_dummies_and_copies_do_not_hide_one_another() -> None:
    dataset, draw = white_classes(), np.random.default_rng(0)
    labels = np.where(draw.random(len(dataset)) < 0.02, draw.integers(0, 7, len(dataset)), dataset.target)
    kinds = leaks(with_column(with_dummies(dataset, dataset.target, [2, 3, 4]), labels, "copy"))
    assert kinds["feature-determines-class"].severity is Severity.SEVERE
    assert kinds["feature-nearly-determines-target"].subject == "copy"


def test_many_noise_features_over_few_rows_raise_no_leak() -> None:
    draw = np.random.default_rng(0)
    for _ in range(10):
        table = pd.DataFrame(draw.normal(size=(14, 300))).assign(y=np.resize([0, 1], 14))
        dataset = load_dataset(
            Source(kind="frame", name="t", target="y", task="classification"),
            root=Path(),
            frames={"t": table},
        )
        assert not {kind for kind in found(dataset) if kind.startswith("feature-")}


# shift ------------------------------------------------------------


def unit(dataset: Dataset, rows: Any, draw: np.random.Generator) -> dict[str, Any]:
    table = dataset.table().copy()
    table[rows, widest(dataset)] *= 1000
    return {"features": table}


def moved(dataset: Dataset, rows: Any, draw: np.random.Generator) -> dict[str, Any]:
    table = dataset.table().copy()
    table[rows, widest(dataset)] += table[:, widest(dataset)].std()
    return {"features": table}


def exchanged(dataset: Dataset, rows: Any, draw: np.random.Generator) -> dict[str, Any]:
    table = dataset.table().copy()
    table[rows] = np.roll(table[rows], 1, axis=1)
    return {"features": table}


def relabelled(dataset: Dataset, rows: Any, draw: np.random.Generator) -> dict[str, Any]:
    target = dataset.target.copy()
    target[rows] = draw.permutation(target[rows])
    return {"target": target}


def widest(dataset: Dataset) -> int:
    return int(np.argmax([len(np.unique(column)) for column in dataset.table().T]))


@pytest.mark.parametrize("change", [unit, moved, exchanged, relabelled])
@pytest.mark.parametrize("name", REAL)
def test_test_rows_of_another_kind_are_severe(
    name: str, change: Callable[[Dataset, Any, np.random.Generator], dict[str, Any]]
) -> None:
    dataset = real(name)
    split = splits_of(dataset, count=1)[0]
    other = changed(dataset, **change(dataset, split.test, np.random.default_rng(0)))
    again = Split(train=split.train, test=split.test, plan=SplitPlan(), dataset=other.identity)
    finding = found(other, [again])["train-test-differ"]
    assert finding.severity is Severity.SEVERE
    if change in (unit, moved):
        assert next(iter(finding.evidence["columns"])) == dataset.feature_names[widest(dataset)]


def test_drift_is_a_warning_where_the_split_is_in_time() -> None:
    dataset = real("elec in time")
    finding = found(dataset, splits_of(dataset, "time"))["train-test-differ"]
    assert finding.severity is Severity.WARNING
    assert finding.evidence["auc"] > 0.8


def test_drift_that_tells_every_row_is_still_a_warning_in_time() -> None:
    draw = np.random.default_rng(0)
    dataset = frame(400, a=np.arange(400) + draw.normal(size=400), time=np.arange(400))
    finding = found(dataset, splits_of(dataset, "time"))["train-test-differ"]
    assert finding.evidence["columns"]["a"] == 1
    assert finding.severity is Severity.WARNING


def test_a_slight_difference_between_sides_that_should_be_alike_is_a_warning() -> None:
    plain = frame(4000)
    split = splits_of(plain)[0]
    values = np.random.default_rng(0).normal(size=4000)
    values[split.test] += 0.25
    dataset = frame(4000, a=values)
    again = Split(train=split.train, test=split.test, plan=SplitPlan(), dataset=dataset.identity)
    finding = found(dataset, [again])["train-test-differ"]
    assert finding.severity is Severity.WARNING
    assert 0.5 < finding.evidence["columns"]["a"] < 0.6


def test_published_parts_that_differ_are_severe_only_where_they_hardly_overlap() -> None:
    draw = np.random.default_rng(0)
    part = np.where(np.arange(400) % 4 == 0, "test", "train")
    slight = frame(400, a=draw.normal(size=400) + (part == "test"), part=part)
    assert found(slight, splits_of(slight, "column"))["train-test-differ"].severity is Severity.WARNING
    grave = frame(400, a=draw.normal(size=400) + 8 * (part == "test"), part=part)
    assert found(grave, splits_of(grave, "column"))["train-test-differ"].severity is Severity.SEVERE


def null_p_values(make: Callable[[np.random.Generator], tuple[Dataset, Split]], runs: int) -> Iterator[float]:
    for run in range(runs):
        draw = np.random.default_rng([7, run])
        shift = measure_shift(*make(draw), draw)
        assert shift is not None
        assert shift.p_value == min(1, 2 * min(shift.classifier_p_value, shift.column_p_value))
        yield shift.p_value


def of_rows(draw: np.random.Generator, rows: int, columns: int) -> Dataset:
    table = draw.normal(size=(rows, columns)).astype(np.float32)
    table[:, -1] = table[:, -1] > 1.5
    return Dataset(
        name="null",
        features=table,
        target=(table[:, 0] + draw.normal(size=rows) > 0).astype(np.int64),
        task="classification",
        classes=("a", "b"),
        columns=tuple(f"c{place}" for place in range(columns)),
    )


def dealt_by_row(draw: np.random.Generator) -> tuple[Dataset, Split]:
    dataset = of_rows(draw, 120, 6)
    tested = np.sort(draw.choice(120, 30, replace=False))
    rest = np.setdiff1d(np.arange(120), tested)
    return dataset, Split(train=rest, test=tested, plan=SplitPlan(), dataset=dataset.identity)


def dealt_by_group(draw: np.random.Generator) -> tuple[Dataset, Split]:
    """Rows of a group are nearly alike, so dealing rows would be the wrong null."""
    dataset = of_rows(draw, 160, 6)
    table = np.repeat(dataset.table()[:20], 8, axis=0) + 0.1 * draw.normal(size=(160, 6)).astype(np.float32)
    dataset = changed(dataset, features=table, groups=np.repeat(np.arange(20), 8).astype(str))
    groups = draw.choice(20, 6, replace=False)
    tested = np.flatnonzero(np.isin(np.repeat(np.arange(20), 8), groups))
    rest = np.setdiff1d(np.arange(160), tested)
    return dataset, Split(train=rest, test=tested, plan=SplitPlan(kind="grouped"), dataset=dataset.identity)


@pytest.mark.parametrize("make", [dealt_by_row, dealt_by_group])
def test_alike_sides_are_seldom_told_apart_in_a_short_run(make: Any) -> None:
    p_values = np.fromiter(null_p_values(make, 60), float)
    assert np.count_nonzero(p_values <= 0.05) <= 6  # 3 are expected


@pytest.mark.slow
@pytest.mark.parametrize("make", [dealt_by_row, dealt_by_group])
def test_alike_sides_are_told_apart_no_more_often_than_the_level(make: Any) -> None:
    runs = 2000
    p_values = np.fromiter(null_p_values(make, runs), float)
    for level in (SHIFT_LEVEL, 0.02, 0.05):
        allowed = level * runs + 3 * np.sqrt(level * runs)
        assert np.count_nonzero(p_values <= level) <= allowed
    assert np.count_nonzero(p_values <= 0.05) >= 0.2 * 0.05 * runs  # the check can fail at all


@pytest.mark.slow
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes"])
def test_honest_data_are_called_shifted_in_at_most_one_experiment_in_a_hundred(name: str) -> None:
    dataset = real(name)
    runs, alarms = 400, 0
    for root in range(runs):
        for number, seed in enumerate(derive_seeds(f"honest {root}", 3)):
            split = make_split(dataset, SplitPlan(), seed)
            if list(check_shift(dataset, split, seed.generator(f"check {number}"), checked=3)):
                alarms += 1
                break
    assert alarms <= 0.01 * runs + 2  # 2 are expected at the level of 0.5%


@pytest.mark.slow
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits", "red", "elec"])
def test_honest_data_are_never_called_leaking(name: str) -> None:
    for root in range(20):
        kinds = {finding.kind for finding in check_leaks(real(name), np.random.default_rng(root))}
        assert kinds <= {"feature-dominates-target"}


# the whole ------------------------------------------------------------


class Ticking:
    """A clock on which each look takes a second."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> Any:
        raise AssertionError("durations need no date")

    def monotonic(self) -> float:
        self.seconds += 1
        return self.seconds


@pytest.mark.parametrize(("budget", "left"), [(0.5, 2), (1.5, 1), (2.5, 1), (3.5, 0)])
def test_what_the_budget_left_unchecked_is_said(budget: float, left: int) -> None:
    dataset = frame()
    splits = splits_of(dataset, count=2)
    findings = check_data(dataset, splits, seed=SEEDS[0], budget_s=budget, clock=Ticking())
    said = [finding for finding in findings if finding.kind == "checks-incomplete"]
    assert len(said) == (left > 0)
    if said:
        assert said[0].severity is Severity.INFO
        assert len(said[0].evidence["not_checked"]) == left


def test_checks_draw_from_the_seed_alone() -> None:
    dataset = real("iris")
    state = np.random.get_state()[1].tolist()  # noqa: NPY002  # type: ignore[index]
    one, again = (check_data(dataset, splits_of(dataset), seed=SEEDS[3]) for _ in range(2))
    assert [finding.record() for finding in one] == [finding.record() for finding in again]
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002  # type: ignore[index]


def test_findings_come_gravest_first_and_survive_a_record() -> None:
    dataset = with_column(changed(real("iris"), groups=np.resize(["a", "b"], 150)), real("iris").target)
    findings = check_data(dataset, splits_of(dataset), seed=SEEDS[0])
    order = [Severity.SEVERE, Severity.WARNING, Severity.INFO]
    assert [order.index(finding.severity) for finding in findings] == sorted(
        order.index(finding.severity) for finding in findings
    )
    assert [Finding.from_record(finding.record()) for finding in findings] == list(findings)


def test_splits_of_other_data_are_refused() -> None:
    with pytest.raises(BadValue, match="same data"):
        check_data(real("iris"), splits_of(real("wine")), seed=SEEDS[0])
    with pytest.raises(BadValue, match="same data"):
        check_data(real("iris"), [], seed=SEEDS[0])


def test_every_kind_of_finding_is_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text()
    missing = [kind for kind in KINDS if f"[`{kind}`](../src/modelwright/findings/{kind}.md)" not in page]
    assert missing == []
