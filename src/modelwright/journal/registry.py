"""Promises made before the first trial, and their amendments."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from modelwright.base.errors import BadValue, Corrupted, NotPermitted
from modelwright.journal.database import Database
from modelwright.journal.entry import ENTRY_COLUMNS, Entry, body_text, check_name, read_entry
from modelwright.journal.ledger import Ledger
from modelwright.journal.registration import Registration

__all__ = ["read_registrations", "register_design"]


def register_design(
    connection: sqlite3.Connection,
    ledger: Ledger,
    name: str,
    design: str,
    body: Mapping[str, Any],
    *,
    amends: str | None,
    reason: str | None,
) -> tuple[Entry, bool]:
    """Register, inside a write transaction; see `Journal.register`. The flag says whether it wrote."""
    check_name("name of an experiment", name)
    check_name("design hash", design)
    body_text(body)
    row = connection.execute(
        "SELECT design, sequence FROM registration WHERE name = ? ORDER BY sequence DESC LIMIT 1", (name,)
    ).fetchone()
    if row is not None and row[0] == design:
        found = connection.execute(
            f"SELECT {ENTRY_COLUMNS} FROM entry WHERE sequence = ?", (row[1],)
        ).fetchone()
        return read_entry(found), False
    if row is None and (amends is not None or reason is not None):
        raise NotPermitted(
            "An amendment follows a registration of the same name",
            got=f"{name} is not registered",
            next_step="register it without amends and reason",
        )
    if row is not None and (amends is None or not (reason or "").strip()):
        raise NotPermitted(
            f"The design of {name} is registered and stands",
            got=f"design {design[:12]}, registered is {row[0][:12]}",
            next_step="run the registered design, or amend it openly: amends=<its whole hash>, reason=<why>",
        )
    if row is not None and amends != row[0]:
        raise BadValue(
            "An amendment names the whole hash of the design that it replaces", got=amends, nearest=row[0]
        )
    kind = "design.registered" if row is None else "design.amended"
    record = {"name": name, "amends": amends, "reason": reason, "body": body}
    return ledger.append(connection, kind, record, design=design), True


def read_registrations(database: Database, name: str | None) -> list[Registration]:
    """Return registrations, oldest name first, each followed by its amendments."""
    where, values = ("WHERE name = ?", (name,)) if name is not None else ("", ())
    rows = database.rows(
        "SELECT sequence, time, name, design, amends, reason, body, "
        "min(sequence) OVER (PARTITION BY name) AS first "
        f"FROM registration {where} ORDER BY first, sequence",
        values,
    )
    return [
        Registration(
            sequence=row[0],
            time=row[1],
            name=row[2],
            design=row[3],
            amends=row[4],
            reason=row[5],
            body=_body(row[0], row[6]),
        )
        for row in rows
    ]


def _body(sequence: int, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise Corrupted(
            "A registration's body is JSON",
            got=f"registration {sequence}: {error}",
            next_step="run modelwright verify",
        ) from error
