"""One appended record of the ledger, and the hash that chains it to the one before."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from modelwright.base.errors import BadValue, Corrupted, ModelwrightError
from modelwright.base.fingerprint import canonical_json, sha256_hex

__all__ = [
    "ENTRY_COLUMNS",
    "GENESIS",
    "Entry",
    "body_text",
    "check_name",
    "entry_hash",
    "read_entry",
    "wrong_entry",
]

GENESIS = "0" * 64
"""What the first entry of a ledger gives as the hash of its predecessor."""

ENTRY_COLUMNS = "sequence, time, kind, design, run, body, previous, hash"
"""The table's columns, in the order of the fields."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]*")
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What happened, as it was written.

    Attributes:
        sequence: Place in the ledger, from 1 without gaps. It orders entries; time does not.
        time: ISO 8601 in UTC with microseconds, from the clock of the machine that wrote it.
        kind: What sort of thing happened, e.g. `run.started`.
        design: Hash of the design that it belongs to, if any.
        run: Identity of the run that it belongs to, if any.
        body: The record itself, JSON types only; the journal does not interpret it.
        previous: Hash of the entry before.
        hash: sha256 of the canonical JSON of all the other fields.
    """

    sequence: int
    time: str
    kind: str
    design: str | None
    run: str | None
    body: Mapping[str, Any]
    previous: str
    hash: str


def check_name(what: str, name: object) -> str:
    """Return `name` if it can stand as an identifier in the ledger and in file names.

    Raises:
        BadValue: where it cannot.
    """
    if not isinstance(name, str) or len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise BadValue(
            f"A {what} is 1 to {_LONGEST} letters, digits and . _ : + -, and starts with a letter or digit",
            got=name,
        )
    return name


def body_text(body: object) -> str:
    """Return the canonical JSON of an entry's body.

    Raises:
        BadValue: where it is not a mapping, or holds something without a canonical JSON form (NaN too).
    """
    if not isinstance(body, Mapping):
        raise BadValue("An entry's body is a mapping with text keys", got=f"a {type(body).__name__}")
    try:
        text = canonical_json(body)
        text.encode()
    except (UnicodeEncodeError, ValueError, RecursionError) as error:
        raise BadValue("An entry's body has a canonical JSON form in UTF-8", got=str(error)) from error
    return text


def entry_hash(
    *, sequence: int, time: str, kind: str, design: str | None, run: str | None, body: str, previous: str
) -> str:
    """Return an entry's hash; `body` is its canonical JSON text."""
    # Keys in sorted order: the text equals canonical_json of the whole record without parsing the body again.
    quote = partial(json.dumps, ensure_ascii=False)
    text = (
        f'{{"body":{body},"design":{quote(design)},"kind":{quote(kind)},"previous":{quote(previous)},'
        f'"run":{quote(run)},"sequence":{sequence},"time":{quote(time)}}}'
    )
    return sha256_hex(text.encode())


def read_entry(row: tuple[Any, ...]) -> Entry:
    """Return the entry that a row of the table holds, columns as in `ENTRY_COLUMNS`.

    Raises:
        Corrupted: where the body is not JSON.
    """
    sequence, time, kind, design, run, body, previous, digest = row
    try:
        parsed = json.loads(body)
    except (ValueError, TypeError, RecursionError) as error:
        raise Corrupted(
            "An entry's body is JSON", got=f"entry {sequence}: {error}", next_step="run modelwright verify"
        ) from error
    return Entry(
        sequence=sequence,
        time=time,
        kind=kind,
        design=design,
        run=run,
        body=parsed,
        previous=previous,
        hash=digest,
    )


def wrong_entry(row: tuple[Any, ...]) -> str | None:
    """Return what is wrong with an entry by itself, wherever it stands; columns as in `ENTRY_COLUMNS`."""
    sequence, time, kind, design, run, body, link, digest = row
    texts = {"time": time, "kind": kind, "body": body, "previous": link, "hash": digest}
    texts |= {name: value for name, value in (("design", design), ("run", run)) if value is not None}
    for name, value in texts.items():
        if not isinstance(value, str):
            return f"its {name} is no text"
    found = entry_hash(
        sequence=sequence, time=time, kind=kind, design=design, run=run, body=body, previous=link
    )
    if found != digest:
        return f"its content gives the hash {found[:12]}..., stored is {digest[:12]}..."
    try:
        if canonical_json(json.loads(body)) != body:
            return "its body is not canonical JSON"
    except (ValueError, RecursionError, ModelwrightError) as error:
        return f"its body is not JSON: {error}"
    return None
