import duckdb
import numpy as np
import pandas as pd
import pytest

from modelwright.base.errors import BadValue, NotPermitted, UnknownName
from modelwright.journal.journal import Journal


@pytest.fixture
def filled(journal, start):
    journal.register("digits", "d" * 64, {"metric": "accuracy"})
    start(journal, "r0", "r1", "r2")
    writer = journal.metric_writer(["r0", "r1"])
    for update in (1, 2, 3):
        writer.write(update, {"loss": np.array([1.0, 2.0]) / update})
    files = writer.finish()
    journal.finish_run("r0", status="finished", score=0.5, body={"k": [1, 2]}, metrics=files["r0"])
    live = journal.metric_writer(["r2"])
    live.write(7, {"loss": np.array([np.nan])})
    return journal


def test_every_view_answers(filled):
    runs = filled.query("SELECT run, score, status FROM run ORDER BY run")
    assert runs["run"].tolist() == ["r0", "r1", "r2"]
    assert runs["score"].tolist()[0] == 0.5
    assert runs["score"].isna().tolist() == [False, True, True]
    assert filled.query("SELECT body->>'$.metric' AS m FROM registration")["m"].tolist() == ["accuracy"]
    kinds = filled.query("SELECT kind, count(*) AS n FROM entry GROUP BY kind ORDER BY kind")
    by_hand = {}
    for entry in filled.entries():
        by_hand[entry.kind] = by_hand.get(entry.kind, 0) + 1
    assert dict(zip(kinds["kind"], kinds["n"], strict=True)) == by_hand


def test_metrics_of_finished_and_of_live_runs_are_one_view(filled):
    found = filled.query("SELECT run, update, metric, value FROM metric ORDER BY run, update")
    assert found["run"].tolist() == ["r0"] * 3 + ["r1"] * 3 + ["r2"]
    assert found["value"].tolist()[:6] == [1.0, 1 / 2, 1 / 3, 2.0, 1.0, 2 / 3]
    assert np.isnan(found["value"].tolist()[6])


def test_views_join(filled):
    found = filled.query(
        "SELECT r.experiment, max(m.value) AS top FROM run r JOIN metric m USING (run) "
        "WHERE r.status = 'finished' GROUP BY ALL"
    )
    assert found.to_dict("records") == [{"experiment": "digits", "top": 1.0}]


def test_an_empty_journal_answers_with_empty_views(journal):
    for view in ("entry", "registration", "run", "metric"):
        assert len(journal.query(f"SELECT * FROM {view}")) == 0
    assert journal.query("SELECT 1 AS one")["one"].tolist() == [1]


def test_a_reader_may_ask(filled, folder):
    with Journal.open(folder, read_only=True) as reader:
        assert reader.query("SELECT count(*) AS n FROM run")["n"].tolist() == [3]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM run",
        "CREATE TABLE t (i INT)",
        "INSERT INTO run VALUES (1)",
        "COPY (SELECT 1) TO 'out.csv'",
        "ATTACH 'x.db'",
        "SET threads = 1",
        "INSTALL sqlite",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/hostname')",
        "PRAGMA database_list",
    ],
)
def test_a_question_neither_writes_nor_reads_elsewhere(filled, sql):
    with pytest.raises((NotPermitted, BadValue, UnknownName)):
        filled.query(sql)
    assert filled.verify().ok


def test_a_variable_of_the_callers_is_no_table(filled):
    frame = pd.DataFrame({"secret": [1]})  # noqa: F841
    assert duckdb.sql("SELECT * FROM frame").fetchall() == [(1,)]  # DuckDB alone would find it
    with pytest.raises(UnknownName):
        filled.query("SELECT * FROM frame")


@pytest.mark.parametrize("sql", ["", "SELEC 1", "SELECT nothing FROM run", "SELECT 1; SELECT 2", "SELECT 1/"])
def test_a_question_that_is_not_understood_names_the_tables(filled, sql):
    with pytest.raises(BadValue) as error:
        filled.query(sql)
    assert "SELECT" in str(error.value) or "entry, registration, run, metric" in str(error.value)


def test_a_table_that_does_not_exist_is_answered_with_the_nearest(filled):
    with pytest.raises(UnknownName, match="Nearest: run"):
        filled.query("SELECT * FROM runz")


def test_a_folder_with_a_quote_in_its_name_can_be_asked(tmp_path, start):
    with Journal.open(tmp_path / "it's a journal") as journal:
        start(journal, "r0")
        writer = journal.metric_writer(["r0"])
        writer.write(1, {"it's": np.ones(1)})
        writer.finish()
        assert journal.query("SELECT value FROM metric")["value"].tolist() == [1.0]


def test_a_damaged_segment_is_told_when_asking_and_the_rest_is_answered(filled, folder):
    filled._metrics.flush()
    (segment,) = (folder / "segments").rglob("*.segment")
    segment.write_bytes(segment.read_bytes()[:-5])
    with pytest.warns(RuntimeWarning, match="lacks metrics"):
        found = filled.query("SELECT run FROM metric")
    assert len(found) == 6
