"""Registration: a design is promised before its first trial, and what is changed later is said.

A name has one chain of promises. The first is the registration; each later one is an amendment with a
reason, of the design, or of the data or code that the design did not name. Seeds derive from the first design
for good, so no amendment can draw better ones. An amendment that is made before anything of the results could
be seen leaves the experiment confirmatory; after that, only what was concluded before it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelwright.base.errors import NotPermitted, UnknownName, Untrusted
from modelwright.base.fingerprint import canonical_json
from modelwright.journal.journal import Journal
from modelwright.journal.registration import Registration
from modelwright.journal.run_row import RunRow
from modelwright.lab.standing import AMENDMENT

if TYPE_CHECKING:
    from modelwright.lab.prepare import Prepared  # brings the learners; a record is shown without them

__all__ = ["Promise", "changed_settings", "promise_design", "read_promise", "seeds_root"]

_GROUNDS = {"data": "the data's content", "environment": "the environment"}
"""What is learnt from, by the word under which a change of it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What is registered now, and how it came to be.

    Attributes:
        design: Hash of the present design.
        first: Hash of the first design under the name.
        deviations: One text for each amendment that was made after results were in, the first with what
            stays confirmatory; empty as long as everything does.
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
        # Not ==, for which 1, 1.0 and true are one: learners tell them apart.
        if key in before and key in now and canonical_json(old) == canonical_json(new):
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changes += changed_settings(old, new, f"{place}{key}.")
        else:
            changes.append(f"{place}{key}: {old} -> {new}")
    return changes


def promise_design(journal: Journal, prepared: "Prepared", *, amend: str | None = None) -> Promise:
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
    ground = "environment" if "environment" in now["design"] else "data"
    changes = changed_settings(
        {"design": last.body["design"], ground: current["data"], "code": current["code"]},
        {"design": now["design"], ground: now["data"], "code": now["code"]},
    )
    if not changes:
        if amend is not None:
            raise NotPermitted(
                "An amendment changes something",
                got="the registered design, data and code",
                next_step="leave out --amend",
            )
        return read_promise(journal, name)
    shown = "; ".join(_short(change) for change in changes[:4]) + ("; ..." if len(changes) > 4 else "")
    if amend is None:
        raise NotPermitted(
            f"{name} is registered since {last.time[:16]} as {last.design[:12]} and stays as it is",
            got=shown,
            next_step="run it as registered, amend it with --amend 'reason' (the verdict will say so), or "
            f"register a new experiment with name={name}-2",
        )
    if not any(character.isalpha() for character in amend):
        raise NotPermitted("An amendment has a reason in words", got=amend, next_step="--amend 'reason'")
    design = prepared.design.hash
    body = {**now, "changes": changes, "results_before": len(_results(journal, last))}
    returns = any(design == item.design for item in registered[:-1])
    if design == last.design or returns:
        # Also for a return to a design of before: what was looked at under it then stands no longer.
        journal.append(AMENDMENT, {**body, "name": name, "reason": amend, "returns": returns}, design=design)
    if design != last.design:
        journal.register(name, design, body, amends=last.design, reason=amend)
    return read_promise(journal, name)


def read_promise(journal: Journal, name: str) -> Promise:
    """Return what is registered under a name that is registered.

    Raises:
        UnknownName: where nothing is.
    """
    registered = journal.registrations(name)
    if not registered:
        raise UnknownName("registered experiment", name, {item.name for item in journal.registrations()})
    steps: list[tuple[int, str, Mapping[str, Any]]] = [
        (item.sequence, str(item.reason), item.body) for item in registered[1:]
    ]
    for design in dict.fromkeys(item.design for item in registered):
        steps += [
            (entry.sequence, str(entry.body["reason"]), entry.body)
            for entry in journal.entries(kind=AMENDMENT, design=design)
            if not entry.body.get("returns")  # its registration speaks for it
        ]
    steps.sort(key=lambda step: step[0])
    deviations: list[str] = []
    for sequence, reason, body in steps:
        if not body["results_before"]:
            continue
        changes = "; ".join(_short(change) for change in body["changes"][:4])
        text = f"Amended after {body['results_before']} results were in ('{reason}'): {changes}"
        if not deviations:
            text += f". Confirmatory is what came before: {_concluded(journal, registered, sequence)}"
        deviations.append(text)
    return Promise(
        design=registered[-1].design,
        first=registered[0].design,
        deviations=tuple(deviations),
        amendments=tuple(
            {"reason": reason, "changes": body["changes"], "results_before": body["results_before"]}
            for _, reason, body in steps
        ),
    )


def _concluded(journal: Journal, registered: Sequence[Registration], sequence: int) -> str:
    """Say what had been concluded when the entry of this number was made."""
    design = [item.design for item in registered if item.sequence < sequence][-1]
    found = {
        kind: [entry for entry in journal.entries(kind=kind, design=design) if entry.sequence < sequence]
        for kind in ("look", "verdict")
    }
    looks = [int(entry.body["seeds"]) for entry in found["look"]]
    if found["verdict"]:
        return f"the verdict {found['verdict'][-1].body['outcome']} on {looks[-1]} seeds"
    if looks:
        return f"the looks at {', '.join(map(str, looks))} seeds, which came to no verdict"
    return "nothing, for no look had been taken"


def _current(journal: Journal, last: Registration) -> dict[str, Any]:
    """Return data and code as last promised under this design."""
    body: Mapping[str, Any] = last.body
    for entry in journal.entries(kind=AMENDMENT, design=last.design):
        body = entry.body
    return {"data": body["data"], "code": body["code"]}


def _results(journal: Journal, last: Registration) -> list[str]:
    """Return the runs of which a result could be seen, finished or not."""
    design = last.body["design"]
    # Training losses are no results; what a learner reports by itself may be, as are returns while it learns.
    telling = bool(design["question"]["reported"]) or "environment" in design
    return [row.run for row in journal.runs(experiment=last.name) if _is_seen(journal, row, telling)]


def _is_seen(journal: Journal, row: RunRow, telling: bool) -> bool:
    if row.status == "finished":
        return True
    ends = journal.entries(kind="run.finished", run=row.run)
    if ends and ends[-1].body["body"].get("reason") == "diverged":
        return True
    try:
        names = set(journal.read_metrics(row.run, prefix=True).column("metric").to_pylist())
    except Untrusted:
        return True  # who knows what was there
    return any(telling or name.startswith("test_") for name in names)


def _short(change: str) -> str:
    for ground, words in _GROUNDS.items():
        if change.startswith(f"{ground}:"):
            return f"{words} changed"
    if change.startswith("code."):
        return f"the code of {change[5:].partition(':')[0]} changed"
    change = change.removeprefix("design.")
    return change if len(change) < 120 else change[:117] + "..."
