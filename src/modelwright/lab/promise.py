"""Registration: a design is promised before its first trial, and what is changed later is said.

A name has one chain of promises. The first is the registration; each later one is an amendment with a reason,
of the design, or of the data or code that the design did not name. Seeds derive from the first design for good,
so no amendment can draw better ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.base.errors import NotPermitted
from modelwright.journal.journal import Journal
from modelwright.journal.registration import Registration
from modelwright.lab.prepare import Prepared
from modelwright.lab.standing import AMENDMENT

__all__ = ["Promise", "changed_settings", "promise_design", "seeds_root"]

@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What is registered now, and how it came to be.

    Attributes:
        design: Hash of the present design.
        first: Hash of the first design under the name.
        deviations: One sentence for each amendment that was made after results were in; empty as long as
            everything is confirmatory.
        amendments: All of them: reason, what changed, results seen before.
    """

    design: str
    first: str
    deviations: tuple[str, ...]
    amendments: tuple[Mapping[str, Any], ...]


def seeds_root(journal: Journal, name: str) -> str | None:
    """Return the hash that seeds of this experiment derive from, None where it is not registered yet."""
    registered = journal.registrations(name)
    return str(registered[0].body["root"]) if registered else None


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any], place: str = "") -> list[str]:
    """Return one text for each setting that differs, `rule.looks: [4, 8] -> [4, 6, 8]`."""
    changes: list[str] = []
    for key in sorted(set(before) | set(now)):
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changes += changed_settings(old, new, f"{place}{key}.")
        else:
            changes.append(f"{place}{key}: {old} -> {new}")
    return changes


def promise_design(journal: Journal, prepared: Prepared, *, amend: str | None = None) -> Promise:
    """Register the design, or hold it against what is registered under its name.

    Args:
        journal: The ledger.
        prepared: The design with its data and code.
        amend: Reason for a change; without one a change is refused.

    Raises:
        NotPermitted: for a change without a reason, and for a reason without a change.
    """
    name, now = prepared.design.name, prepared.registration()
    registered = journal.registrations(name)
    if not registered:
        if amend is not None:
            raise NotPermitted(
                "An amendment changes something registered",
                got=f"{name} is not registered yet",
                next_step="leave out --amend",
            )
        journal.register(name, prepared.design.hash, now)
        return read_promise(journal, name)
    last = registered[-1]
    current = _current(journal, last)
    changes = changed_settings(
        {"design": last.body["design"], **current},
        {"design": now["design"], "data": now["data"], "code": now["code"]},
    )
    if not changes:
        if amend is not None:
            raise NotPermitted(
                "An amendment changes something", got="the registered design, data and code", next_step="leave out --amend"
            )
        return read_promise(journal, name)
    shown = "; ".join(_short(change) for change in changes[:4]) + ("; ..." if len(changes) > 4 else "")
    if amend is None:
        raise NotPermitted(
            f"{name} is registered since {last.time[:16]} as {last.design[:12]} and stays as it is",
            got=shown,
            next_step=f"run it as registered, amend it with --amend 'reason' (the verdict will say so), or register "
            f"a new experiment with name={name}-2",
        )
    if not amend.strip():
        raise NotPermitted("An amendment has a reason", got="an empty one", next_step="--amend 'reason'")
    body = {**now, "changes": changes, "results_before": _results(journal, name)}
    if prepared.design.hash == last.design:
        journal.append(AMENDMENT, {**body, "name": name, "reason": amend}, design=last.design)
    elif any(prepared.design.hash == item.design for item in registered):
        raise NotPermitted(
            "An amendment leads to a design that was not registered under this name before",
            got=f"the design {prepared.design.hash[:12]}",
            next_step=f"register it anew with name={name}-2",
        )
    else:
        journal.register(name, prepared.design.hash, body, amends=last.design, reason=amend)
    return read_promise(journal, name)


def read_promise(journal: Journal, name: str) -> Promise:
    """Return what is registered under a name that is registered."""
    registered = journal.registrations(name)
    steps: list[tuple[int, str, Mapping[str, Any]]] = [
        (item.sequence, str(item.reason), item.body) for item in registered[1:]
    ]
    for item in registered:
        for entry in journal.entries(kind=AMENDMENT, design=item.design):
            steps.append((entry.sequence, entry.body["reason"], entry.body))
    steps.sort(key=lambda step: step[0])
    amendments = [
        {"reason": reason, "changes": body["changes"], "results_before": body["results_before"]}
        for _, reason, body in steps
    ]
    return Promise(
        design=registered[-1].design,
        first=registered[0].design,
        deviations=tuple(
            f"Amended after {item['results_before']} results were in ('{item['reason']}'): "
            + "; ".join(_short(change) for change in item["changes"][:4])
            for item in amendments
            if item["results_before"]
        ),
        amendments=tuple(amendments),
    )


def _current(journal: Journal, last: Registration) -> dict[str, Any]:
    """Return data and code as last promised under this design."""
    body: Mapping[str, Any] = last.body
    for entry in journal.entries(kind=AMENDMENT, design=last.design):
        body = entry.body
    return {"data": body["data"], "code": body["code"]}


def _results(journal: Journal, name: str) -> int:
    return sum(run.status in ("finished", "failed") for run in journal.runs(experiment=name))


def _short(change: str) -> str:
    change = change.removeprefix("design.")
    if change.startswith(("data:", "code.")):
        what = "the data's content" if change.startswith("data:") else f"the code of {change[5:].split(':')[0]}"
        return f"{what} changed"
    return change if len(change) < 120 else change[:117] + "..."
