"""Settings as tables: what is registered, and in what the variants differ."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from modelwright.experiment.design import Design
from modelwright.lab.page.number import general, show_count, show_seconds
from modelwright.lab.wording import describe_ground

__all__ = ["SettingRow", "describe_design", "design_text", "variant_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """One setting of the variants.

    Attributes:
        name: Dotted name.
        values: One text per variant, empty where it has no such setting.
        differs: Whether the variants that have it do not agree, or some have it not.
    """

    name: str
    values: tuple[str, ...]
    differs: bool


def variant_rows(design: Design, variants: Sequence[str]) -> tuple[SettingRow, ...]:
    """Return every setting of the variants side by side: the learner, then what differs, then the rest."""
    flat = {name: dict(_flatten(design.variants[name])) for name in variants}
    names = sorted({key for settings in flat.values() for key in settings})
    rows = [
        SettingRow(
            name=name,
            values=tuple(flat[variant].get(name, "") for variant in variants),
            differs=len({flat[variant].get(name) for variant in variants}) > 1,
        )
        for name in names
    ]
    return tuple(sorted(rows, key=lambda row: (row.name != "learner", not row.differs, row.name)))


def _flatten(settings: Mapping[str, Any], place: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            found += _flatten(cast("Mapping[str, Any]", value), f"{place}{key}.")
        elif isinstance(value, Mapping | list | tuple):
            found.append((f"{place}{key}", json.dumps(value, ensure_ascii=False, default=dict)))
        else:
            found.append((f"{place}{key}", general(value)))
    return found


def describe_design(design: Design, scope_inflation: float = 0.0) -> list[tuple[str, str]]:
    """Return what is registered as (name, words), without the variants.

    Args:
        design: The design.
        scope_inflation: n_test / n_train where it speaks of new data, else 0.
    """
    question, rule = design.question, design.shared_rule(scope_inflation=scope_inflation)
    direction = "more is better" if question.sign > 0 else "less is better"
    low, high = question.bounds
    source = "computed from predictions on held-out rows"
    if question.reported or question.is_of_episodes:
        source = "reported by the learner" if question.reported else "computed from fresh episodes"
    bounds = "" if low is None and high is None else f", from {general(low)} to {general(high)}"
    rows = [
        ("metric", f"{question.metric}: {direction}{bounds}; {source}"),
        ("margin", f"{question.margin:g}: the claim is a gain above it"),
        ("smallest effect", f"{question.smallest_effect:g}: differences within it do not matter"),
        (
            "comparisons",
            "; ".join(f"{candidate} against {baseline}" for candidate, baseline in design.compare),
        ),
        ("scope", design.scope.replace("_", " ")),
        ("seeds", f"at most {design.seeds} of each variant, paired"),
        ("stopping rule", rule.name),
        ("", rule.description),
        ("it assumes", rule.assumption),
        ("error rate", f"{design.alpha:g} for any false claim, half on each side"),
        ("power", f"{design.power:g} wanted at an effect of {question.margin + question.smallest_effect:g}"),
        *describe_ground(design),
        ("accepted findings", ", ".join(design.accept) or "none"),
        ("doctor", "watches from the first step" if design.watch else "does not watch"),
        (
            "budget",
            "none" if design.budget.seconds is None else f"{show_seconds(design.budget.seconds)} of training",
        ),
        ("tolerance of reruns", f"{design.tolerance:g} relative"),
    ]
    if len(design.compare) > 1:
        shared = f"{design.correction.capitalize()} over {show_count(len(design.compare), 'comparison')}"
        rows.insert(9, ("correction", shared))
    return rows


def design_text(design: Design) -> str:
    """Return the whole design as YAML."""
    import yaml

    return yaml.safe_dump(design.record(), sort_keys=False, allow_unicode=True, width=100)
