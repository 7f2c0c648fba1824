"""From facts to one HTML file that needs nothing else."""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from modelwright.base.finding import Severity
from modelwright.doctor.causes import known_causes
from modelwright.doctor.kinds import KINDS as OF_DOCTOR
from modelwright.doctor.report import evidence_of
from modelwright.lab.finding_page import manual_of
from modelwright.lab.ground.ground import measured_name
from modelwright.lab.page.curve_panel import make_panels
from modelwright.lab.page.effect import make_effects
from modelwright.lab.page.facts import Facts
from modelwright.lab.page.number import general, show_count, show_time
from modelwright.lab.page.origin_table import describe_origin, describe_usage
from modelwright.lab.page.setting_table import describe_design, design_text, variant_rows
from modelwright.lab.page.trial_table import MOST_ROWS, trial_rows, trial_traces
from modelwright.lab.trial_findings import OF_RESULTS

__all__ = ["render_page"]

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_PALETTE = 6
_MANY = 8
_HASH = re.compile(r"\b([0-9a-f]{40,64})\b")
SYMBOLS = {
    "supported": "✓",
    "refuted": "✕",
    "equivalent": "≈",
    "inconclusive": "?",
    "invalid": "!",
    "open": "…",
}
"""A sign for each outcome, so that none is told by colour alone."""


def render_page(facts: Facts) -> str:
    """Return the report as HTML. Equal facts give equal text.

    All text from outside is escaped; only the page's own style and script run, held by a content security
    policy that also forbids every request.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(general=general, moment=show_time, hashes=_mark_hashes, evidence=_evidence)
    script = _source("script.html.j2")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"
    return environment.get_template("report.html.j2").render(
        style=Markup(_source("style.html.j2")),
        script=Markup(script),
        policy=policy,
        count=show_count,
        **_context(facts),
    )


def _mark_hashes(text: str) -> Markup:
    """Return escaped text with long hexadecimal names set in a face in which they can be compared."""
    parts = _HASH.split(text)
    return Markup("").join(
        Markup('<span class="mono">{}</span>').format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def _evidence(value: Any) -> str:
    """Return a piece of evidence: many numbers are drawn, few are written out."""
    if isinstance(value, list) and len(cast("list[Any]", value)) >= _MANY:
        return evidence_of(cast("list[Any]", value))
    return json.dumps(value) if isinstance(value, list | Mapping) else general(value)


def _source(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _context(facts: Facts) -> dict[str, Any]:
    design = facts.design
    classes = {name: f"c-v{place % _PALETTE}" for place, name in enumerate(facts.variants)}
    outcome = facts.verdict.outcome.value if facts.verdict else "open"
    severe = [
        item for item in facts.findings if item.severity is Severity.SEVERE and item.kind not in design.accept
    ]
    rows = trial_rows(facts, classes)
    return {
        "facts": facts,
        "design": design,
        "question": design.question,
        "variants": facts.variants,
        "classes": classes,
        "outcome": outcome,
        "symbols": SYMBOLS,
        "headline": _headline(facts),
        "effects": make_effects(facts, classes),
        "panels": make_panels(facts.curves, classes, measured_name(design.question)),
        "one_step": bool(facts.curves) and all(len(curve.updates) == 1 for curve in facts.curves),
        "registered": describe_design(design, facts.scope_inflation),
        "settings": variant_rows(design, facts.variants),
        "design_text": design_text(design),
        "severe": len(severe),
        "found_by_checks": any(item.kind not in (*OF_DOCTOR, *OF_RESULTS) for item in facts.findings),
        "found_by_doctor": any(item.kind in OF_DOCTOR for item in facts.findings),
        "known_causes": known_causes(),
        "manual_of": manual_of,
        "diverged": sum(trial.diverged for trial in facts.used.values()),
        "worst": design.question.worst,
        "trials": rows,
        "traces": trial_traces(facts),
        "trials_left_out": max(0, len(facts.trials) - MOST_ROWS),
        "origins": [(origin, describe_origin(origin)) for origin in facts.origins],
        "usage": describe_usage(facts.usage, len(facts.trials)),
        "example": rows[0].run if rows else "",
    }


def _headline(facts: Facts) -> str:
    """Return the verdict without its first word, which the page shows as a badge; or where things stand."""
    if facts.verdict is not None:
        first, _, rest = facts.verdict.sentence.partition(" ")
        same = first.rstrip(":").lower() == facts.verdict.outcome.value
        return rest if same else facts.verdict.sentence
    most = show_count(facts.design.seeds, "seed")
    if facts.looks:
        look = facts.looks[-1]
        return f"No verdict yet: {look.seeds} of at most {most} of each variant looked at. {look.why}"
    counts = Counter(trial.row.status for trial in facts.trials)
    done = ", ".join(f"{counts[status]} {status}" for status in sorted(counts)) or "none has started"
    return f"No verdict yet: a design of at most {most} is registered, no look is taken. Trials: {done}."
