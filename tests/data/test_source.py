"""Every route into a dataset, and what happens to input that is no good."""

import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyarrow import parquet

from modelwright.base.errors import BadValue, ModelwrightError, SourceMissing, UnknownName
from modelwright.base.fingerprint import canonical_json
from modelwright.data.dataset import Dataset
from modelwright.data.source import Source, load_dataset

FRAME = pd.DataFrame(
    {
        "age": [31, 45, 27, 60, 33, 51],
        "dose": [0.1, 0.25, 1e-7, -3.5, 0.0, 12.75],
        "site": ["north", "south", "north", "east", "south", "north"],
        "smoker": [True, False, False, True, True, False],
        "day": pd.to_datetime(
            ["2024-01-01", "2024-01-02", "2024-01-02", "2024-02-01", "2024-03-01", "2024-03-05"]
        ),
        "patient": [7, 7, 8, 8, 9, 9],
        "fell_ill": ["yes", "no", "no", "yes", "no", "yes"],
    }
)
ROLES: dict[str, Any] = {"target": "fell_ill", "group": "patient", "time": "day"}


def of_frame(frame: Any, **fields: Any) -> Dataset:
    return load_dataset(Source(kind="frame", name="t", **fields), root=Path(), frames={"t": frame})


def of_text(folder: Path, text: str, **fields: Any) -> Dataset:
    (folder / "t.csv").write_text(text)
    return load_dataset(Source(kind="csv", path="t.csv", **fields), root=folder)


def test_the_same_values_have_one_identity_on_every_route(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(FRAME, preserve_index=False)
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    FRAME.to_csv(tmp_path / "wide.csv", index=False, sep=";", encoding="utf-16")
    parquet.write_table(table, tmp_path / "t.parquet")
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=2, compression="gzip")
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.register("frame", FRAME)
        connection.execute("CREATE TABLE t AS SELECT * FROM frame")
    connection = sqlite3.connect(tmp_path / "t.sqlite")
    FRAME.assign(day=FRAME.day.astype(str)).to_sql("t", connection, index=False)
    connection.close()
    coded = table.set_column(2, "site", table.column("site").dictionary_encode())
    chunks = pa.concat_tables([coded.slice(0, 1), coded.slice(1)])
    routes = {
        "frame": of_frame(FRAME, **ROLES),
        "arrow": of_frame(table, **ROLES),
        "dictionary, chunked": of_frame(chunks, **ROLES),
        "categorical": of_frame(
            FRAME.astype({"site": "category", "age": "float32", "patient": "int8"}), **ROLES
        ),
        "reindexed": of_frame(FRAME.set_index(pd.Index(range(100, 106))), **ROLES),
        "csv": load_dataset(Source(kind="csv", path="t.csv", **ROLES), root=tmp_path),
        "csv, other dress": load_dataset(
            Source(kind="csv", path="wide.csv", separator=";", encoding="utf-16", **ROLES), root=tmp_path
        ),
        "parquet": load_dataset(Source(kind="parquet", path="t.parquet", **ROLES), root=tmp_path),
        "row groups": load_dataset(Source(kind="parquet", path="rows.parquet", **ROLES), root=tmp_path),
        "duckdb": load_dataset(
            Source(kind="sql", path="t.duckdb", query="SELECT * FROM t ORDER BY rowid", **ROLES),
            root=tmp_path,
        ),
        "sqlite": load_dataset(
            Source(kind="sql", path="t.sqlite", query="SELECT * FROM t ORDER BY rowid", **ROLES),
            root=tmp_path,
        ),
        "sql over a file": load_dataset(
            Source(kind="sql", query="SELECT * FROM 't.parquet'", **ROLES), root=tmp_path
        ),
        "sql over a frame": load_dataset(
            Source(kind="sql", query="SELECT * FROM mine", **ROLES), root=tmp_path, frames={"mine": FRAME}
        ),
    }
    assert {name: dataset.identity for name, dataset in routes.items()} == dict.fromkeys(
        routes, routes["frame"].identity
    )


def test_columns_become_what_they_are_for() -> None:
    dataset = of_frame(FRAME, **ROLES)
    assert dataset.columns == ("age", "dose", "site=east", "site=north", "site=south", "smoker")
    assert dataset.features.dtype == np.float32
    assert dataset.features[:, 3].tolist() == [1, 0, 1, 0, 0, 1]
    assert dataset.features[:, 5].tolist() == [1, 0, 0, 1, 1, 0]
    assert dataset.classes == ("no", "yes")
    assert dataset.target.tolist() == [1, 0, 0, 1, 0, 1]
    assert dataset.groups is not None
    assert dataset.groups.tolist() == ["7", "7", "8", "8", "9", "9"]
    assert dataset.times is not None
    assert dataset.times.dtype == "datetime64[us]"
    assert [step["name"] for step in dataset.transformations] == ["one_hot"]


@pytest.mark.parametrize(
    ("name", "rows", "shape", "task"),
    [
        ("digits", 1797, (1, 8, 8), "classification"),
        ("diabetes", 442, (10,), "regression"),
        ("iris", 150, (4,), "classification"),
        ("wine", 178, (13,), "classification"),
        ("breast_cancer", 569, (30,), "classification"),
    ],
)
def test_bundled_sets_hold_what_scikit_learn_bundles(
    name: str, rows: int, shape: tuple[int, ...], task: str
) -> None:
    from sklearn import datasets

    options = {"scaled": False} if name == "diabetes" else {}
    features, target = getattr(datasets, f"load_{name}")(return_X_y=True, **options)
    dataset = load_dataset(Source(kind="sklearn", name=name), root=Path())
    assert dataset.features.shape == (rows, *shape)
    assert dataset.task == task
    np.testing.assert_array_equal(dataset.table(), features.astype(np.float32))
    if task == "regression":
        np.testing.assert_array_equal(dataset.target, target)
    else:  # the same classes, perhaps in another order
        assert len({*zip(dataset.target.tolist(), target.tolist(), strict=True)}) == len(np.unique(target))
    assert len(dataset.origin["sha256"]) == 64
    assert dataset.origin["version"].startswith("scikit-learn ")


def test_the_target_s_kind_is_derived_as_documented() -> None:
    features = pd.DataFrame({"x": np.arange(100.0)})
    kinds = {
        "text": (np.resize(["a", "b"], 100), "classification"),
        "flags": (np.resize([True, False], 100), "classification"),
        "few whole numbers": (np.arange(100) % 20, "classification"),
        "whole floats": ((np.arange(100) % 3).astype(float), "classification"),
        "many whole numbers": (np.arange(100) % 21, "regression"),
        "fractions": (np.arange(100) % 3 / 2, "regression"),
    }
    for target, task in kinds.values():
        assert of_frame(features.assign(y=target), target="y").task == task
    few = pd.DataFrame({"x": range(6), "y": [1, 2, 3, 4, 5, 6]})
    assert of_frame(few, target="y").task == "regression"
    assert (
        of_frame(features.assign(y=np.arange(100) % 21), target="y", task="classification").task
        == "classification"
    )
    assert of_frame(features.assign(y=[1.0, 2.0] * 50), target="y").classes == ("1", "2")


def test_missing_values_are_treated_as_asked_and_never_filled_with_a_statistic(tmp_path: Path) -> None:
    text = "a,b,c,y\n1,?,red,0\n2,5, ?,1\n,6,blue,0\n4,7,red,1\n"
    options: dict[str, Any] = {"target": "y", "task": "classification", "missing": ("?", "")}
    kept = of_text(tmp_path, text, **options)
    assert kept.columns == ("a", "b", "c=blue", "c=red", "c=(missing)")
    assert np.isnan(kept.features).sum(axis=0).tolist() == [1, 1, 0, 0, 0]
    assert kept.features[:, 4].tolist() == [0, 1, 0, 0]
    marked = of_text(tmp_path, text, **options, when_missing="indicator")
    assert marked.columns[:4] == ("a", "a is missing", "b", "b is missing")
    assert marked.features[:, :4].tolist() == [[1, 0, 0, 1], [2, 0, 5, 0], [0, 1, 6, 0], [4, 0, 7, 0]]
    dropped = of_text(tmp_path, text, **options, when_missing="drop_rows", features=("a", "b"))
    assert dropped.features.tolist() == [[2, 5], [4, 7]]
    assert dropped.transformations[-1]["rows"] == [4, 2]
    with pytest.raises(BadValue, match="a is missing in 1 of 4 rows"):
        of_text(tmp_path, text, **options, when_missing="refuse")
    coded = of_text(tmp_path, text, **options, categorical="ordinal")
    assert coded.features[:, 2].tolist() == [1, 2, 0, 1]


def test_a_number_that_stands_for_missing_is_missing_on_every_route(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, -999.0, 3.0, 4.0], "y": [0, 1, 0, 1]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    one = of_frame(frame, target="y", missing=("-999",))
    two = load_dataset(Source(kind="csv", path="t.csv", target="y", missing=("-999",)), root=tmp_path)
    assert np.isnan(one.features[1, 0])
    assert one.identity == two.identity


def test_duplicates_are_dropped_on_request_and_counted() -> None:
    frame = pd.DataFrame({"x": [1, 1, 1, 2, np.nan, np.nan], "y": [0, 0, 1, 1, 1, 1]})
    dataset = of_frame(frame, target="y", duplicates="drop")
    assert dataset.target.tolist() == [0, 1, 1, 1]
    assert dataset.transformations[-1]["name"] == "drop_duplicates"
    assert dataset.transformations[-1]["rows"] == [6, 4]
    assert len(of_frame(frame, target="y")) == 6


def test_files_without_a_header_get_names() -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        dataset = of_text(Path(folder), "1,2,0\n3,4,1\n1,5,0\n2,2,1", header=False, target="column_3")
        assert dataset.columns == ("column_1", "column_2")
        assert len(dataset) == 4
        named = of_text(Path(folder), "1,2,0\n3,4,1\n", header=False, columns=("a", "b", "y"), target="y")
        assert named.columns == ("a", "b")


def test_quoted_cells_may_hold_separators_and_line_ends(tmp_path: Path) -> None:
    dataset = of_text(tmp_path, 'x,"the, name",y\r\n1,"a\nb",0\r\n2,"c,""d""",1\r\n', target="y")
    assert dataset.columns == ("x", "the, name=a\nb", 'the, name=c,"d"')


def test_an_image_is_shaped_and_must_fit() -> None:
    frame = pd.DataFrame(np.arange(48.0).reshape(4, 12)).assign(y=[0, 1, 0, 1])
    dataset = of_frame(frame, target="y", image=(3, 2, 2))
    assert dataset.features.shape == (4, 3, 2, 2)
    assert dataset.columns == ()
    assert dataset.feature_names[:2] == ("pixel_0_0_0", "pixel_0_0_1")
    with pytest.raises(BadValue, match="8 numbers for 12 columns"):
        of_frame(frame, target="y", image=(2, 2, 2))


def test_the_chain_of_transformations_tells_what_was_done() -> None:
    frame = pd.DataFrame(
        {"x": [1, 1, np.nan, 4], "c": ["a", "a", "b", "b"], "id": range(4), "y": [0, 0, 1, 1]}
    )
    dataset = of_frame(frame, target="y", drop=("id",), when_missing="drop_rows", duplicates="drop")
    assert [(step["name"], step["rows"], step["columns"]) for step in dataset.transformations] == [
        ("select_columns", [4, 4], [3, 2]),
        ("drop_rows", [4, 3], [2, 2]),
        ("drop_duplicates", [3, 2], [2, 2]),
        ("one_hot", [2, 2], [2, 3]),
    ]
    canonical_json({"origin": dataset.origin, "steps": dataset.transformations})


def test_times_are_read_from_dates_and_numbers(tmp_path: Path) -> None:
    rows = "1,0\n2,1\n3,0\n"
    for cells, fields in [
        (["2024-01-01", "2024-01-02T10:00:00", "2024-01-03 11:30:00+01:00"], {}),
        (["01/01/2024", "02/01/2024", "03/01/2024"], {"time_format": "%d/%m/%Y"}),
    ]:
        text = "when,x,y\n" + "".join(
            f"{cell},{row}\n" for cell, row in zip(cells, rows.split(), strict=True)
        )
        dataset = of_text(tmp_path, text, target="y", time="when", task="classification", **fields)
        assert dataset.times is not None
        assert (np.diff(dataset.times) > np.timedelta64(0, "us")).all()
    numbers = of_text(tmp_path, "when,x,y\n1.5,1,0\n2,2,1\n3,4,0\n", target="y", time="when")
    assert numbers.times is not None
    assert numbers.times.tolist() == [1.5, 2, 3]


CSV_FAULTS: list[tuple[str, str, dict[str, Any], str]] = [
    ("an empty file", "", {}, "is empty"),
    ("only a header", "x,y\n", {}, "only a header"),
    ("one column", "y\n1\n2\n", {}, "at least one feature column"),
    ("a line too short", "x,y\n1,2\n3\n", {}, "as many cells as the first"),
    ("a line too long", "x,y\n1,2\n3,4,5\n", {}, "as many cells as the first"),
    ("names twice", "x,x,y\n1,2,0\n3,4,1\n", {}, "x more than once"),
    ("a gap in the target", "x,y\n1,0\n2,\n3,1\n", {}, "y is missing in 1 of 3 rows"),
    ("an infinite target", "x,y\n1,0.5\n2,inf\n", {}, "finite number"),
    ("an infinite feature", "x,y\ninf,0\n2,1\n", {}, "x is infinite in 1 rows"),
    (
        "text where numbers are asked for",
        "x,y\nred,0\n2,1\n",
        {"categorical": "refuse"},
        "x holds text, e.g. 2, red",
    ),
    ("too large for float32", "x,y\n1e39,0\n2,1\n", {}, "fits float32"),
    ("a gap in the group", "x,g,y\n1,a,0\n2,,1\n", {"group": "g"}, "g is missing in 1 rows"),
    ("times that do not parse", "x,t,y\n1,soon,0\n2,later,1\n", {"time": "t"}, "ISO 8601"),
    ("impossible dates", "x,t,y\n1,2024-02-30,0\n2,2024-01-01,1\n", {"time": "t"}, "ISO 8601"),
    ("text as regression target", "x,y\n1,a\n2,b\n", {"task": "regression"}, "y holds text"),
    (
        "an identifier as classes",
        "x,y\n" + "".join(f"{i},id{i}\n" for i in range(30)),
        {},
        "30 different values",
    ),
    ("gaps in every row", "x,z,y\n1,,0\n,2,1\n", {"when_missing": "drop_rows"}, "a gap in every row"),
    ("free text", "x,y\n" + "".join(f"word{i},{i % 2}\n" for i in range(1001)), {}, "at most 1000 different"),
    ("names that do not fit", "x,y\n1,0\n", {"columns": ("a", "b", "c")}, "3 names for 2 columns"),
    ("no feature left", "x,y\n1,0\n2,1\n", {"group": "x"}, "at least one feature"),
]


@pytest.mark.parametrize(
    ("text", "fields", "message"), [row[1:] for row in CSV_FAULTS], ids=[row[0] for row in CSV_FAULTS]
)
def test_a_bad_csv_file_gets_a_clear_error(
    text: str, fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadValue, match=message):
        of_text(tmp_path, text, target="y", **fields)


def test_a_missing_file_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("x,y\n1,2\n")
    with pytest.raises(SourceMissing, match=r"Nearest: patients\.csv"):
        load_dataset(Source(kind="csv", path="patient.csv", target="y"), root=tmp_path)
    with pytest.raises(SourceMissing, match="a folder"):
        load_dataset(Source(kind="parquet", path=".", target="y"), root=tmp_path)


def test_a_missing_column_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="Nearest: fell_ill"):
        of_frame(FRAME, target="fellill")
    with pytest.raises(UnknownName, match="Nearest: dose"):
        of_frame(FRAME, target="fell_ill", features=("doze",))
    with pytest.raises(UnknownName, match="Nearest: mine"):
        load_dataset(Source(kind="frame", name="mien", target="y"), root=Path(), frames={"mine": FRAME})


def test_wrong_encodings_and_broken_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("name,y\nMünchen,0\nKöln,1\n".encode("latin-1"))
    with pytest.raises(BadValue, match="text in utf-8"):
        load_dataset(Source(kind="csv", path="t.csv", target="y"), root=tmp_path)
    read = load_dataset(Source(kind="csv", path="t.csv", target="y", encoding="latin-1"), root=tmp_path)
    assert read.columns == ("name=Köln", "name=München")
    with pytest.raises(BadValue, match="names an encoding"):
        load_dataset(Source(kind="csv", path="t.csv", target="y", encoding="latin-one"), root=tmp_path)
    (tmp_path / "bom.csv").write_bytes("x,y\n1,0\n2,1\n".encode("utf-8-sig"))
    assert load_dataset(Source(kind="csv", path="bom.csv", target="y"), root=tmp_path).columns == ("x",)
    parquet.write_table(pa.table({"x": range(1000), "y": [0, 1] * 500}), tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    for broken in (content[:-20], content[: len(content) // 2], b"", b"x,y\n1,2\n"):
        (tmp_path / "broken.parquet").write_bytes(broken)
        with pytest.raises(BadValue, match="whole Parquet file"):
            load_dataset(Source(kind="parquet", path="broken.parquet", target="y"), root=tmp_path)
    with pytest.raises(ModelwrightError):
        load_dataset(Source(kind="csv", path="t.parquet", target="y"), root=tmp_path)


def test_frames_that_are_no_tables_of_plain_columns_are_refused() -> None:
    mixed = pd.DataFrame({"x": [1, "two", 3.0], "y": [0, 1, 0]}, dtype=object)
    with pytest.raises(BadValue, match="column x"):
        of_frame(mixed, target="y")
    twice = pd.DataFrame([[1, 2, 0], [3, 4, 1]], columns=["x", "x", "y"])
    with pytest.raises(BadValue, match="more than once"):
        of_frame(twice, target="y")
    with pytest.raises(BadValue, match="pandas or Arrow table"):
        of_frame([1, 2, 3], target="y")
    with pytest.raises(BadValue, match="l: list"):
        of_frame(pa.table({"l": [[1], [2]], "y": [0, 1]}), target="y")
    with pytest.raises(BadValue, match="day holds times"):
        of_frame(FRAME, target="fell_ill")
    with pytest.raises(BadValue, match="Data have rows"):
        of_frame(FRAME.iloc[:0], **ROLES)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "csv", "target": "y"}, "needs data.path"),
        ({"kind": "csv", "path": "t.csv"}, "needs data.target"),
        (
            {"kind": "csv", "path": "t.csv", "target": "y", "query": "SELECT 1"},
            "query means nothing for kind csv",
        ),
        ({"kind": "parquet", "path": "t", "target": "y", "header": False}, "header means nothing"),
        ({"kind": "sklearn", "name": "linnerud"}, "bundled"),
        ({"kind": "json", "path": "t", "target": "y"}, "choice for data.kind"),
        ({"kind": "csv", "path": "t", "target": "y", "features": "age"}, r"Nearest: data.features=\[age\]"),
        ({"kind": "csv", "path": "t", "target": "y", "features": ("y",)}, "target column is no feature"),
        ({"kind": "csv", "path": "t", "target": "y", "group": "y"}, "one role"),
        ({"kind": "csv", "path": "t", "target": "y", "features": ("a",), "drop": ("a",)}, "used or dropped"),
        ({"kind": "csv", "path": "t", "target": "y", "separator": "||"}, "one character"),
        ({"kind": "csv", "path": "t", "target": "y", "image": (8, 8)}, "channel, height, width"),
        ({"kind": "csv", "path": "t", "target": "y", "image": (0, 8, 8)}, "at least 1"),
        ({"kind": "csv", "path": "t", "target": "y", "time_format": "%Y"}, "goes with data.time"),
    ],
)
def test_a_source_is_checked_before_anything_is_read(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelwrightError, match=message):
        Source(**fields)


def test_a_source_given_lists_has_the_identity_of_one_given_tuples() -> None:
    one = Source(kind="csv", path="t", target="y", features=["a", "b"])  # pyright: ignore[reportArgumentType]
    assert one == Source(kind="csv", path="t", target="y", features=("a", "b"))
    assert canonical_json(one)


QUERIES: list[tuple[str, str]] = [
    ("DROP TABLE t", "single SELECT"),
    ("SELECT 1; SELECT 2", "single SELECT"),
    ("", "single SELECT"),
    ("INSERT INTO t VALUES (1, 2)", "single SELECT"),
    ("UPDATE t SET x = 1", "single SELECT"),
    ("CREATE TABLE u AS SELECT 1", "single SELECT"),
    ("WITH a AS (SELECT 1) INSERT INTO t SELECT 1, 2", "single SELECT"),
    ("PRAGMA journal_mode=delete", "single SELECT"),
    ("SELEC x FROM t", "query runs|single SELECT"),
    ("SELECT nothing FROM t", "nothing"),
    ("SELECT * FROM nowhere", "nowhere"),
]


@pytest.fixture
def databases(tmp_path: Path) -> list[Path]:
    with duckdb.connect(str(tmp_path / "d.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT i AS x, i % 2 AS y FROM range(20) r(i)")
    other = sqlite3.connect(tmp_path / "d.sqlite")
    other.execute("CREATE TABLE t (x INTEGER, y INTEGER)")
    other.executemany("INSERT INTO t VALUES (?, ?)", [(i, i % 2) for i in range(20)])
    other.commit()
    other.close()
    return [tmp_path / "d.duckdb", tmp_path / "d.sqlite"]


@pytest.mark.parametrize(("query", "message"), QUERIES)
def test_a_query_reads_and_does_nothing_else(query: str, message: str, databases: list[Path]) -> None:
    for path in databases:
        before = path.read_bytes()
        with pytest.raises(BadValue, match=message):
            load_dataset(Source(kind="sql", path=path.name, query=query or " ", target="y"), root=path.parent)
        assert path.read_bytes() == before


def test_a_query_cannot_write_files(tmp_path: Path) -> None:
    for query in (
        "COPY (SELECT 1 AS x, 2 AS y) TO 'out.csv'",
        "ATTACH 'new.duckdb'",
        "EXPORT DATABASE 'out'",
    ):
        with pytest.raises(BadValue, match="single SELECT"):
            load_dataset(Source(kind="sql", query=query, target="y"), root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_query_sees_the_frames_given_by_name_and_no_other_variable(tmp_path: Path) -> None:
    for name in ("frame", "frames", "secret"):
        source = Source(kind="sql", query=f"SELECT * FROM {name}", target="fell_ill")
        with pytest.raises(BadValue, match=name):
            load_dataset(source, root=tmp_path, frames={"mine": FRAME})


def test_a_select_with_side_effects_finds_the_database_read_only(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "d.duckdb")) as connection:
        connection.execute("CREATE SEQUENCE s")
    source = Source(kind="sql", path="d.duckdb", query="SELECT nextval('s') AS x, 1 AS y", target="y")
    with pytest.raises(BadValue, match="read-only"):
        load_dataset(source, root=tmp_path)


def test_the_origin_of_a_query_names_its_files(tmp_path: Path, databases: list[Path]) -> None:
    for part in ("a", "b"):
        (tmp_path / f"part_{part}.csv").write_text("x,y\n1,0\n2,1\n3,0\n")
    query = "SELECT * FROM read_csv('part_*.csv')"
    dataset = load_dataset(Source(kind="sql", query=query, target="y"), root=tmp_path)
    assert [file["path"] for file in dataset.origin["files"]] == ["part_a.csv", "part_b.csv"]
    assert dataset.origin["ordered"] is False
    stored = load_dataset(
        Source(kind="sql", path="d.duckdb", query="SELECT * FROM t ORDER BY x", target="y"), root=tmp_path
    )
    assert len(stored.origin["sha256"]) == 64
    assert stored.origin["ordered"] is True


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.db").write_text("no database at all, just a few words")
    with pytest.raises(BadValue, match="DuckDB or SQLite file"):
        load_dataset(Source(kind="sql", path="t.db", query="SELECT 1", target="y"), root=tmp_path)


cells = st.floats(allow_nan=False, allow_infinity=False, width=32)


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(cells, cells, st.booleans()), min_size=2, max_size=12),
    place=st.integers(min_value=0),
    value=cells,
)
def test_any_changed_cell_changes_the_identity_and_the_route_never_does(
    rows: list[tuple[float, float, bool]], place: int, value: float, tmp_path: Path
) -> None:
    frame = pd.DataFrame(rows, columns=["a", "b", "y"])
    options: dict[str, Any] = {"target": "y"}
    identity = of_frame(frame, **options).identity
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    assert load_dataset(Source(kind="csv", path="t.csv", **options), root=tmp_path).identity == identity
    assert (
        load_dataset(Source(kind="parquet", path="t.parquet", **options), root=tmp_path).identity == identity
    )
    row, column = place % len(frame), (place // len(frame)) % 2
    changed = frame.copy()
    changed.iloc[row, column] = value
    same = bool(np.float32(frame.iloc[row, column]) == np.float32(value))
    assert (of_frame(changed, **options).identity == identity) is same
    flipped = frame.copy()
    flipped.loc[row, "y"] = not flipped.loc[row, "y"]
    assert of_frame(flipped, **options).identity != identity
