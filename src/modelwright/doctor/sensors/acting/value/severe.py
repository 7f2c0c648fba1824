"""Findings of identities that do not hold: severe, with one cause."""

from collections.abc import Mapping
from typing import Any

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place

__all__ = ["severe"]


def severe(
    kind: str, name: str, title: str, evidence: Mapping[str, Any], check: str, place: Place | None
) -> Finding:
    """Return a finding of a kind, with the cause of a name at a place."""
    return Finding(
        kind=kind,
        severity=Severity.SEVERE,
        title=title,
        evidence=evidence,
        causes=(cause(name, place),),
        next_check=check,
    )
