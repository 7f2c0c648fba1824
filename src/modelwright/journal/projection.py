"""Tables that follow from the ledger: which entry changes which row.

Everything here can be rebuilt by replaying the entries in order, and `verify` does so.
"""

import json
import sqlite3
from collections.abc import Collection
from typing import Any

from modelwright.base.errors import Corrupted
from modelwright.base.fingerprint import canonical_json
from modelwright.journal.entry import ENTRY_COLUMNS, Entry, read_entry

__all__ = ["KINDS", "PROJECTIONS", "apply_entry", "rebuild_projections", "replay"]

KINDS = (
    "design.registered",
    "design.amended",
    "run.started",
    "run.finished",
    "metrics.started",
    "metrics.stored",
    "artefact.stored",
)
"""Kinds of entries that the journal writes itself."""

PROJECTIONS: tuple[str, ...] = ("run", "cohort", "artefact", "registration")
"""The tables, each with the identity of a row in its first column."""


def apply_entry(connection: sqlite3.Connection, entry: Entry) -> None:
    """Change the rows that `entry` speaks of.

    Raises:
        Corrupted: where a body lacks what its kind must have, which this journal never writes.
    """
    body: Any = entry.body
    try:
        if entry.kind in ("design.registered", "design.amended"):
            values = (entry.sequence, entry.time, body["name"], entry.design, body["amends"], body["reason"])
            connection.execute(
                "INSERT INTO registration VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*values, canonical_json(body["body"])),
            )
        elif entry.kind == "run.started":
            connection.execute(
                "INSERT INTO run (run, trial, design, experiment, variant, seed_index, status, started, "
                "started_sequence) VALUES (?, ?, ?, ?, ?, ?, 'running', ?, ?)",
                (
                    *(entry.run, body["trial"], entry.design, body["experiment"], body["variant"]),
                    *(body["seed_index"], entry.time, entry.sequence),
                ),
            )
        elif entry.kind == "run.finished":
            connection.execute(
                "UPDATE run SET status = ?, score = ?, finished = ?, finished_sequence = ? WHERE run = ?",
                (body["status"], body["score"], entry.time, entry.sequence, entry.run),
            )
        elif entry.kind == "metrics.started":
            connection.execute(
                "UPDATE run SET cohort = ? WHERE run IN (SELECT value FROM json_each(?))",
                (body["cohort"], json.dumps(list(body["runs"]))),
            )
            connection.execute(
                "INSERT INTO cohort (cohort, started_sequence) VALUES (?, ?)",
                (body["cohort"], entry.sequence),
            )
        elif entry.kind == "metrics.stored":
            connection.execute(
                "UPDATE cohort SET stored_sequence = ?, path = ?, sha256 = ?, rows = ? WHERE cohort = ?",
                (entry.sequence, body["path"], body["sha256"], body["rows"], body["cohort"]),
            )
        elif entry.kind == "artefact.stored":
            connection.execute(
                "INSERT INTO artefact VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (body["sha256"], body["size"], entry.sequence),
            )
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Corrupted(
            f"An entry {entry.kind} has the fields of its kind",
            got=f"entry {entry.sequence}: {error!r}",
            next_step="run modelwright verify",
        ) from error


def replay(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    *,
    registrations: bool,
    without: Collection[int] = (),
) -> None:
    """Apply the entries of `source`, in order, to the empty tables of `target`.

    Args:
        source: Holds the ledger.
        target: Where the rows are made; may be the same connection.
        registrations: Whether to make those too; in a journal they are immutable and stay as they are.
        without: Numbers of entries to leave out.
    """
    kinds = [kind for kind in KINDS if registrations or not kind.startswith("design.")]
    marks = ", ".join("?" * len(kinds))
    rows = source.execute(
        f"SELECT {ENTRY_COLUMNS} FROM entry WHERE kind IN ({marks}) ORDER BY sequence", kinds
    ).fetchall()
    for row in rows:
        if row[0] not in without:
            apply_entry(target, read_entry(row))


def rebuild_projections(connection: sqlite3.Connection) -> None:
    """Make the lists of runs, cohorts and artefacts anew, inside a write transaction."""
    for table in ("run", "cohort", "artefact"):
        connection.execute(f"DELETE FROM {table}")
    replay(connection, connection, registrations=False)
