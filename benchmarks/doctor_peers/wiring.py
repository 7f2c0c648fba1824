"""Runs peers on one text of a program and keeps their alarms.

`loss-curve`, `deep-checker` and `rl-debugger` listen together in one run (`child.py`): none changes a
number. `lightning` has runs of its own (`lightning_checks.py`); `traincheck` learns from the programs as
they are and has a script of its own (`traincheck_peer.py`), since it is installed elsewhere.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from doctor_bank.execute import execute
from doctor_bank.mutant import Mutant
from doctor_bank.rows import Row
from modelwright.base.fingerprint import sha256_hex

__all__ = ["PEERS", "examine_peers", "peers_key", "words_of"]

LISTENING = ("loss-curve", "deep-checker", "rl-debugger")
PEERS = (*LISTENING, "lightning")
_HERE = Path(__file__).parent


def examine_peers(mutant: Mutant, seed: int, wanted: Sequence[str]) -> list[Row]:
    """Return a row of each wanted peer."""
    rows: list[Row] = []
    listening = [name for name in wanted if name in LISTENING]
    if listening:
        told, seconds = _told(mutant, seed, _HERE / "child.py", ",".join(listening))
        failed = [str(each.get("error", ""))[:120] for each in told.get("failed", ())]
        for name in listening:
            found = told.get("peers", {}).get(name, {"alarms": [], "steps": None})
            alarms = [*found["alarms"], *(["program-raised"] if told.get("raised") else [])]
            rows.append(_row(mutant, seed, name, alarms, found["steps"], seconds) | _failure(failed))
    if "lightning" in wanted:
        told, seconds = _told(mutant, seed, _HERE / "lightning_checks.py", "all")
        rows.append(_row(mutant, seed, "lightning", told.get("alarms", []), None, seconds))
    return rows


def peers_key() -> str:
    """Return twelve hexadecimal digits of the hash of the peers' code."""
    return sha256_hex(b"".join(file.read_bytes() for file in sorted(_HERE.glob("*.py"))))[:12]


def words_of(peer: str) -> tuple[str, ...]:
    """Return words before a script's path that run it under one peer, whose alarms are thrown away."""
    if peer == "lightning":
        return (str(_HERE / "lightning_checks.py"), os.devnull, "anomaly")
    return (str(_HERE / "child.py"), os.devnull, peer)


def _failure(failed: list[str]) -> Row:
    return {"failed": failed} if failed else {}


def _row(
    mutant: Mutant, seed: int, peer: str, alarms: Sequence[str], steps: int | None, seconds: float
) -> Row:
    head = {"program": mutant.program.name, "name": mutant.name, "kind": mutant.kind, "seed": seed}
    taken = {"alarms": list(alarms), "steps": steps, "seconds": round(seconds, 2)}
    return head | {"peer": peer, "key": mutant.key, "code": peers_key()} | taken


def _told(mutant: Mutant, seed: int, child: Path, words: str) -> tuple[dict[str, Any], float]:
    with tempfile.TemporaryDirectory(prefix="bench-peer-") as folder:
        record = Path(folder) / "record.json"
        done = execute(mutant, seed, (str(child), str(record), words))
        told: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
    if not told:
        told = {"raised": done.err.strip()[-200:] or f"status {done.status}"}
    return told, done.seconds
