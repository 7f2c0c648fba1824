"""Finding runs in the list of runs."""

from modelwright.base.errors import BadValue, UnknownName
from modelwright.journal.database import Database
from modelwright.journal.run_row import RUN_COLUMNS, RunRow

__all__ = ["find_run", "list_runs"]

_ORDERS = {
    "started": "started_sequence",
    "finished": "finished_sequence",
    **{name: name for name in ("run", "experiment", "variant", "seed_index", "status", "score")},
}
_STATUSES = ("running", "finished", "failed", "interrupted")
_NAMES_TO_COMPARE = 1000


def list_runs(
    database: Database,
    *,
    experiment: str | None,
    design: str | None,
    variant: str | None,
    status: str | None,
    trial: str | None,
    order: str,
    limit: int | None,
    offset: int,
) -> list[RunRow]:
    """Return the runs that fit every given field; see `Journal.runs`."""
    if status is not None and status not in _STATUSES:
        raise UnknownName("status of a run", status, _STATUSES)
    column = _ORDERS.get(order.removeprefix("-"))
    if column is None:
        raise UnknownName("order of runs", order, [*_ORDERS, *(f"-{name}" for name in _ORDERS)])
    if (limit is not None and limit < 0) or offset < 0:
        raise BadValue("limit and offset are at least 0", got=f"limit={limit}, offset={offset}")
    given = {"experiment": experiment, "design": design, "variant": variant, "status": status, "trial": trial}
    wanted = {name: value for name, value in given.items() if value is not None}
    where = " WHERE " + " AND ".join(f"{name} = ?" for name in wanted) if wanted else ""
    direction = "DESC" if order.startswith("-") else "ASC"
    ties = "" if column == "started_sequence" else f" NULLS LAST, started_sequence {direction}"
    sql = f"SELECT {RUN_COLUMNS} FROM run{where} ORDER BY {column} {direction}{ties} LIMIT ? OFFSET ?"
    with database.reading() as connection:
        rows = connection.execute(sql, (*wanted.values(), -1 if limit is None else limit, offset))
        return list(map(RunRow._make, rows))


def find_run(database: Database, prefix: str) -> RunRow:
    """Return the run of this identity, or the only one that begins so.

    Raises:
        UnknownName: where none does, with the nearest.
        BadValue: where several do, or `prefix` is empty.
    """
    if not prefix:
        raise BadValue("A run is named by its identity or by how it begins", got="an empty text")
    exact = database.rows(f"SELECT {RUN_COLUMNS} FROM run WHERE run = ?", (prefix,))
    rows = exact or database.rows(
        f"SELECT {RUN_COLUMNS} FROM run WHERE run >= ? AND run < ? ORDER BY run LIMIT 6",
        (prefix, prefix + chr(0x10FFFF)),
    )
    if not rows:
        recent = database.rows(
            f"SELECT run FROM run ORDER BY started_sequence DESC LIMIT {_NAMES_TO_COMPARE}"
        )
        raise UnknownName("run", prefix, [row[0] for row in recent])
    if len(rows) > 1:
        shown = ", ".join(row[0] for row in rows[:5]) + (" and more" if len(rows) > 5 else "")
        raise BadValue(
            "A run's beginning fits one run only", got=f"{prefix}: {shown}", next_step="type more of it"
        )
    return RunRow._make(rows[0])
