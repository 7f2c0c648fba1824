"""A single SELECT, through DuckDB over files, frames or a database file, or through SQLite."""

import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelwright.base.errors import BadValue, SourceMissing
from modelwright.data.table import ArrowTable, file_origin

__all__ = ["read_query"]

_READING = (
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
)


def read_query(
    query: str, *, database: Path | None, root: Path, frames: Mapping[str, Any]
) -> tuple[ArrowTable, dict[str, Any]]:
    """Return what a SELECT gives. Databases open read-only and other statements are refused.

    Rows come in the query's own order; without ORDER BY no order is promised, and the origin says so.

    Args:
        query: One SELECT in DuckDB's dialect, or SQLite's where the database is SQLite's.
        database: A DuckDB or SQLite file; None for DuckDB over files that the query names and over `frames`.
        root: Where relative file names in the query start.
        frames: Frames that the query may name as tables.

    Raises:
        SourceMissing: where the database is not there or is none.
        BadValue: where the query is anything but one SELECT, or it fails.
    """
    if database is None:
        table, version = _duckdb(query, None, root, frames)
        return table, {
            "kind": "sql",
            "query": query,
            "files": _named_files(query, root),
            **version,
            **_order(query),
        }
    origin = file_origin(database)
    with database.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"SQLite format 3\0"):
        table, version = _sqlite(query, database)
    elif head[8:12] == b"DUCK":
        table, version = _duckdb(query, database, root, frames)
    else:
        raise BadValue("data.path of an SQL query is a DuckDB or SQLite file", got=database.name)
    return table, {"kind": "sql", "query": query, "path": database.name, **origin, **version, **_order(query)}


def _order(query: str) -> dict[str, Any]:
    return {"ordered": re.search(r"\border\s+by\b", query, re.IGNORECASE) is not None}


def _duckdb(
    query: str, database: Path | None, root: Path, frames: Mapping[str, Any]
) -> tuple[ArrowTable, dict[str, Any]]:
    import duckdb

    settings: dict[str, Any] = {
        "threads": 1,  # one thread keeps the order of rows that no ORDER BY fixes
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
    }
    try:
        connection = duckdb.connect(
            ":memory:" if database is None else str(database), read_only=database is not None, config=settings
        )
    except duckdb.Error as error:
        raise SourceMissing(
            "A DuckDB file opens read-only",
            got=f"{database.name if database else 'in memory'}: {_head(error)}",
            next_step="close the program that has it open for writing, or export it again",
        ) from error
    with connection:
        try:
            statements = connection.extract_statements(query)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
                raise _not_a_select(kinds)
            connection.execute("SET file_search_path = ?", [str(root)])
            for name, frame in frames.items():
                connection.register(name, frame)
            table = connection.sql(query).to_arrow_table()
        except duckdb.CatalogException as error:
            raise BadValue("The query names tables and columns that exist", got=_head(error)) from error
        except duckdb.Error as error:
            raise BadValue("The query runs", got=_head(error), next_step="mend data.query") from error
    return table, {"version": f"duckdb {duckdb.__version__}"}


def _sqlite(query: str, database: Path) -> tuple[ArrowTable, dict[str, Any]]:
    import pyarrow as pa

    connection = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
    refused: list[int] = []

    def permit(action: int, *_: object) -> int:
        if action in _READING:
            return sqlite3.SQLITE_OK
        refused.append(action)
        return sqlite3.SQLITE_DENY

    connection.set_authorizer(permit)
    try:
        cursor = connection.execute(query)
        if cursor.description is None:
            raise _not_a_select(query)
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        if refused or "one statement" in str(error):
            raise _not_a_select(query) from error
        raise BadValue("The query runs", got=str(error), next_step="mend data.query") from error
    finally:
        connection.close()
    columns: list[Any] = []
    for place, name in enumerate(names):
        try:
            columns.append(pa.array([row[place] for row in rows]))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise BadValue("A column holds one type of value", got=f"{name}: {_head(error)}") from error
    return pa.Table.from_arrays(columns, names=names), {"version": f"sqlite {sqlite3.sqlite_version}"}


def _not_a_select(got: str) -> BadValue:
    return BadValue(
        "data.query is a single SELECT; data are read, never changed",
        got=got[:200],
        next_step="prepare tables beforehand, or use WITH ... SELECT",
    )


def _named_files(query: str, root: Path) -> list[dict[str, Any]]:
    """Return the files that quoted texts of the query name, each with its hash; patterns are expanded."""
    found: dict[Path, None] = {}
    for text in re.findall(r"'((?:[^']|'')+)'|\"((?:[^\"]|\"\")+)\"", query):
        name = (text[0] or text[1]).replace("''", "'")
        try:
            given = Path(name)
            if given.is_absolute():
                matches = sorted(Path(given.anchor).glob(str(given.relative_to(given.anchor))))
            else:
                matches = sorted(root.glob(name))
        except (ValueError, OSError, NotImplementedError, IndexError):
            continue
        found.update(dict.fromkeys(match for match in matches if match.is_file()))
    return [{"path": path.name, **file_origin(path)} for path in found]


def _head(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
