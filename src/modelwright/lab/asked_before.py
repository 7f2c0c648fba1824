"""Experiments on record that asked the same: a verdict is one of several draws then."""

from collections.abc import Mapping
from typing import Any

from modelwright.base.finding import Cause, Finding, Severity
from modelwright.base.fingerprint import canonical_json
from modelwright.journal.journal import Journal
from modelwright.lab.standing import standing_entries

__all__ = ["ASKED_BEFORE", "find_asked_before"]

ASKED_BEFORE = "asked-before"
"""Kind of the finding for a question that another experiment on record asked of the same variants."""


def find_asked_before(journal: Journal, name: str) -> list[Finding]:
    """Return a warning where experiments registered before this one asked the same.

    The same is: metric and direction, data and split or environment and evaluation, and the same settings
    of the variants, whatever they are called. Each such experiment draws seeds of its own, so whoever asks
    until the answer pleases errs more often than any one verdict says.

    Args:
        journal: The record, with this experiment registered.
        name: The experiment.
    """
    own, *_ = journal.registrations(name)
    what = _asked(own.body)
    before: dict[str, str] = {}
    for registration in journal.registrations():
        if registration.name == name or registration.sequence > own.sequence:
            continue
        if _asked(registration.body) == what:
            verdicts = standing_entries(journal, registration.design, "verdict")
            before[registration.name] = verdicts[-1].body["outcome"] if verdicts else "open"
    if not before:
        return []
    shown = ", ".join(f"{other} ({outcome})" for other, outcome in list(before.items())[:5])
    return [
        Finding(
            kind=ASKED_BEFORE,
            severity=Severity.WARNING,
            title=f"The same was asked before: {shown}{', ...' if len(before) > 5 else ''}.",
            evidence={"experiments": before},
            causes=(
                Cause(what="an experiment is repeated on seeds of its own, which is sound if all are told"),
                Cause(what="an answer did not please, and the next one may be chance"),
            ),
            next_check="tell all of their verdicts together, and ask anew with a smaller alpha",
            subject=name,
        )
    ]


def _asked(body: Mapping[str, Any]) -> str:
    design = body["design"]
    question = {key: design["question"].get(key) for key in ("metric", "direction", "reported")}
    parted = design.get("split") or design["evaluation"]
    variants = sorted(canonical_json(variant) for variant in design["variants"].values())
    return canonical_json({"question": question, "data": body["data"], "split": parted, "variants": variants})
