"""Questions in DuckDB's SQL over everything that the journal holds.

DuckDB runs in memory and sees copies: `entry`, `registration` and `run` as tables, `metric` as the
finished cohorts' Parquet files together with the segments of live and interrupted ones. Nothing outside
the journal's metric files can be read, and nothing can be written.
"""

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwright.base.errors import BadValue, NotPermitted, UnknownName
from modelwright.journal.database import Database
from modelwright.journal.metric_file import empty_table, run_table
from modelwright.journal.metric_store import MetricStore
from modelwright.journal.segment import read_segments

if TYPE_CHECKING:
    import pandas

__all__ = ["answer_query"]

_TEXT, _WHOLE, _REAL = "VARCHAR", "BIGINT", "DOUBLE"
_TABLES: dict[str, dict[str, str]] = {
    "entry": {
        "sequence": _WHOLE,
        "time": _TEXT,
        "kind": _TEXT,
        "design": _TEXT,
        "run": _TEXT,
        "body": "JSON",
        "previous": _TEXT,
        "hash": _TEXT,
    },
    "registration": {
        "sequence": _WHOLE,
        "time": _TEXT,
        "name": _TEXT,
        "design": _TEXT,
        "amends": _TEXT,
        "reason": _TEXT,
        "body": "JSON",
    },
    "run": {
        "run": _TEXT,
        "trial": _TEXT,
        "design": _TEXT,
        "experiment": _TEXT,
        "variant": _TEXT,
        "seed_index": _WHOLE,
        "status": _TEXT,
        "score": _REAL,
        "started": _TEXT,
        "finished": _TEXT,
        "cohort": _TEXT,
        "started_sequence": _WHOLE,
        "finished_sequence": _WHOLE,
    },
}
_VIEWS = (*_TABLES, "metric")


def answer_query(folder: Path, database: Database, metrics: MetricStore, sql: str) -> "pandas.DataFrame":
    """Answer one SELECT; see `Journal.query`.

    Raises:
        UnknownName: for a table that does not exist, with the nearest.
        BadValue: where the text is not one statement that DuckDB understands.
        NotPermitted: where it is not a SELECT, or reaches outside.
    """
    import duckdb

    with duckdb.connect(":memory:") as connection:
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1:
                raise BadValue("A question is one SELECT", got=f"{len(statements)} statements")
            if statements[0].type != duckdb.StatementType.SELECT:
                raise NotPermitted(
                    "A question only reads", got=statements[0].type.name, next_step="ask with SELECT"
                )
            # A view that is used is named; loading one that is only mentioned does no harm.
            words = set(re.findall(r"\w+", sql.lower()))
            for name in words & set(_TABLES):
                _load(connection, database, name)
            if "metric" in words:
                _load_metrics(connection, folder, database, metrics)
            connection.execute("SET allowed_directories = [?]", [str((folder / "metrics").absolute())])
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            return connection.execute(sql).df()
        except duckdb.PermissionException as error:
            raise NotPermitted(
                "A question reads the journal only", got=str(error), next_step=f"ask over {', '.join(_VIEWS)}"
            ) from error
        except duckdb.Error as error:
            if unknown := re.search(r"Table with name (\S+) does not exist", str(error)):
                raise UnknownName("table of the journal", unknown[1], _VIEWS) from error
            raise BadValue(
                "A question is SQL that DuckDB understands",
                got=str(error),
                next_step=f"the tables are {', '.join(_VIEWS)}; docs/journal.md lists their columns",
            ) from error


def _load(connection: Any, database: Database, name: str) -> None:
    import pyarrow as pa

    columns = _TABLES[name]
    types = {_TEXT: pa.string(), "JSON": pa.string(), _WHOLE: pa.int64(), _REAL: pa.float64()}
    rows = database.rows(f"SELECT {', '.join(columns)} FROM {name}")
    held = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    table = pa.table(
        {
            column: pa.array(values, types[kind])
            for (column, kind), values in zip(columns.items(), held, strict=True)
        }
    )
    connection.register(f"loaded_{name}", table)
    chosen = ", ".join(f"{column}::{kind} AS {column}" for column, kind in columns.items())
    connection.execute(f"CREATE VIEW {name} AS SELECT {chosen} FROM loaded_{name}")


def _load_metrics(connection: Any, folder: Path, database: Database, metrics: MetricStore) -> None:
    import pyarrow as pa

    metrics.flush()
    rows = database.rows("SELECT cohort, path FROM cohort ORDER BY started_sequence")
    live: list[Any] = [empty_table().add_column(0, "run", pa.array([], pa.string()))]
    for cohort in (row[0] for row in rows if row[1] is None):
        runs = metrics.members(cohort)
        blocks, damage = read_segments(metrics.segment_folder(cohort), len(runs))
        if damage is not None:
            warnings.warn(f"the answer lacks metrics: {damage}", RuntimeWarning, stacklevel=5)
        for seed, run in enumerate(runs if blocks else ()):
            table = run_table(blocks, seed)
            live.append(table.add_column(0, "run", pa.array([run] * len(table), pa.string())))
    plain = pa.schema(
        [("run", pa.string()), ("update", pa.int64()), ("metric", pa.string()), ("value", pa.float64())]
    )
    connection.register("live_metric", pa.concat_tables([table.cast(plain) for table in live]))
    files = [str((folder / row[1]).absolute()) for row in rows if row[1] is not None]
    stored = (
        f" UNION ALL SELECT run, update, metric, value FROM read_parquet([{', '.join(map(_quoted, files))}])"
        if files
        else ""
    )
    connection.execute(f"CREATE VIEW metric AS SELECT run, update, metric, value FROM live_metric{stored}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
