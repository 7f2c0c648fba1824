"""The table of the doctor beside its peers, each on the same texts."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from doctor_peers.points_at import points_at

from .detection import alarms
from .evidence import Case, Evidence
from .rows import Row
from .statistics import rate_bound

__all__ = ["peer_lines"]

NAMES = {
    "doctor": "Modelwright's doctor",
    "loss-curve": "somebody who watches the loss",
    "deep-checker": "rules of TheDeepChecker",
    "rl-debugger": "checks of RLDebugger, with TheDeepChecker's",
    "lightning": "PyTorch Lightning's own checks",
    "traincheck": "TrainCheck 0.2.0",
}
ADDED = {"rl-debugger": "deep-checker"}
"""RLDebugger's checks of networks are TheDeepChecker's: its row is both."""
WIRED = {
    "loss-curve": "hears the value of each loss at every `backward`, by the line that calls it.",
    "deep-checker": "hears what the sensors hear; without gradients by finite differences, the fit of "
    "one small batch and corrupted labels, which need the loss as a function.",
    "rl-debugger": "hears environments and networks; without exploration rate, Q-targets, divergence of "
    "policies and dropout, which its user's loop has to hand over.",
    "lightning": "anomaly detection is on; validation before training is the program's own run, whether it "
    "raises; one batch of each `DataLoader` again and again, where the program has one and does not act.",
    "traincheck": "learns from two good runs of each program, drops what a third breaks, on shortened runs.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What somebody said of a text.

    Attributes:
        alarmed: Whether anything was wrong.
        right: Whether the fault is among what is pointed at.
    """

    alarmed: bool
    right: bool


def peer_lines(evidence: Evidence) -> Iterator[str]:
    """Yield the lines of the section about peers."""
    yield ""
    yield "## Peers on the same bank"
    yield ""
    yield (
        "All at seed 1, on the texts on which both the doctor and the peer were run; the doctor's figures "
        "on the same texts stand beside the peer's. A peer's cause is right where the description of *any* "
        "rule that raised an alarm speaks of the fault, a doctor's where its *first* cause is it. How each "
        "peer was wired to programs that know nothing of it, and what that leaves out, is in "
        "`benchmarks/doctor_peers/`."
    )
    yield ""
    yield (
        "| peer | faults | found | the doctor | cause right | the doctor | healthy runs | alarms | at most "
        "| the doctor | time over unwatched |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    said = _said_by_peers(evidence)
    for peer, name in NAMES.items():
        if peer == "doctor":
            continue
        yield _line(name, peer, said.get(peer, {}), evidence)
    yield ""
    for peer, how in WIRED.items():
        yield f"- {NAMES[peer]}: {how}{_unanswered(peer, evidence)}"


def _line(name: str, peer: str, said: dict[tuple[str, str], _Told], evidence: Evidence) -> str:
    cases = [
        each
        for each in evidence.cases
        if each.judged is not None and each.state != "equivalent" and _mark(each) in said
    ]
    healthy = {(row["program"], row["name"]): row for row in evidence.healthy if row["seed"] == 1}
    shared = [mark for mark in healthy if mark in said]
    theirs = [said[_mark(each)] for each in cases]
    ours = [each.judged for each in cases if each.judged is not None]
    false = sum(said[mark].alarmed for mark in shared)
    own = sum(bool(alarms(healthy[mark])) for mark in shared)
    return (
        f"| {name} | {len(cases)} | {_share(sum(each.alarmed for each in theirs), len(cases))} "
        f"| {_share(sum(each.detected for each in ours), len(cases))} "
        f"| {_share(sum(each.right for each in theirs), len(cases))} "
        f"| {_share(sum(each.first for each in ours), len(cases))} | {len(shared)} | {false} "
        f"| {f'{rate_bound(false, len(shared)):.0%}' if shared else '-'} | {own} | {_cost(peer, evidence)} |"
    )


def _unanswered(peer: str, evidence: Evidence) -> str:
    """Return how often it gave no answer, and why most often."""
    failed = [row["failed"][0] for row in evidence.peers if row["peer"] == peer and row.get("failed")]
    if not failed:
        return ""
    commonest, count = Counter(failed).most_common(1)[0]
    return f" No whole answer for {len(failed)} texts; most often ({count}): {commonest}."


def _share(count: int, of: int) -> str:
    return f"{count} = {count / of:.0%}" if of else "-"


def _mark(case: Case) -> tuple[str, str]:
    return case.mutant.program.name, case.mutant.name


def _cost(peer: str, evidence: Evidence) -> str:
    ratios = [
        row["seconds"][peer] / row["seconds"]["plain"] for row in evidence.overhead if peer in row["seconds"]
    ]
    return f"{median(ratios) - 1:+.0%} (n = {len(ratios)})" if ratios else "-"


def _said_by_peers(evidence: Evidence) -> dict[str, dict[tuple[str, str], _Told]]:
    also = {_mark(each): each for each in evidence.cases}
    found: dict[str, dict[tuple[str, str], Row]] = {}
    for row in evidence.peers:
        if row["seed"] == 1:
            found.setdefault(row["peer"], {})[row["program"], row["name"]] = row
    said: dict[str, dict[tuple[str, str], _Told]] = {}
    for peer, rows in found.items():
        for mark, row in rows.items():
            raised = [(peer, rule) for rule in row["alarms"]]
            if peer in ADDED:
                second = found.get(ADDED[peer], {}).get(mark)
                if second is None:
                    continue
                raised += [(ADDED[peer], rule) for rule in second["alarms"]]
            names = {name for each in raised for name in points_at(*each)}
            case = also.get(mark)
            wanted: set[str] = set()
            if case is not None and case.mutant.fault is not None:
                wanted = {case.mutant.name, *case.mutant.fault.also, *case.others}
            said.setdefault(peer, {})[mark] = _Told(alarmed=bool(raised), right=bool(names & wanted))
    return said
