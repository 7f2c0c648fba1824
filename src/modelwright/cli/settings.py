"""`modelwright help TOPIC`: the settings of a design, of the launch and of each learner, with their rules."""

import re
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, cast

from modelwright.algorithms import LEARNERS
from modelwright.cli.command import open_console, print_json

__all__ = ["TOPICS", "find_topic", "show_settings"]

TOPICS: Mapping[str, str] = MappingProxyType(
    {
        "design": "modelwright.experiment.design:Design",
        "question": "modelwright.experiment.question:Question",
        "data": "modelwright.data.source:Source",
        "split": "modelwright.data.split:SplitPlan",
        "environment": "modelwright.data.environments.environment:Environment",
        "evaluation": "modelwright.experiment.evaluation:Evaluation",
        "rule": "modelwright.experiment.rule:Rule",
        "budget": "modelwright.experiment.design:Budget",
        "launch": "modelwright.lab.launch:Launch",
        **{name: f"{module}:Config" for name, module in LEARNERS.items()},
    }
)
"""What has settings -> the class that declares them."""

_BOUNDS = (("low", "at least"), ("high", "at most"), ("above", "above"), ("below", "below"))


def find_topic(*texts: str | None) -> str:
    """Return what a message is about: the last topic that the first of the texts names, else `design`."""
    for text in texts:
        named = [word for word in re.findall(r"\w+", text or "") if word in TOPICS]
        if named:
            return named[-1]
    return "design"


def show_settings(topic: str, *, as_json: bool) -> None:
    """Print the settings of a topic.

    Args:
        topic: One of `TOPICS`.
        as_json: Print one JSON object instead of a table.
    """
    rows = _rows(topic)
    if as_json:
        print_json({"topic": topic, "settings": rows})
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("setting", no_wrap=True)
    for title in ("default", "rule", "what it is"):
        table.add_column(title, overflow="fold", min_width=len(title))
    for row in rows:
        default = "required" if row["required"] else _brief(row)
        table.add_row(*(Text(cell) for cell in (row["name"], default, _rule(row), row["doc"])))
    console = open_console()
    console.print(Text(_heading(topic), style="bold"))
    console.print(table)


def _rows(topic: str) -> list[dict[str, Any]]:
    from modelwright.base.fingerprint import jsonable
    from modelwright.base.setting import Settings, describe_settings

    module, _, name = TOPICS[topic].partition(":")
    rows = describe_settings(getattr(import_module(module), name))
    for row in rows:
        # A group of settings has a topic of its own.
        if isinstance(row["default"], Settings):
            row["default"] = jsonable(row["default"])
    return cast("list[dict[str, Any]]", jsonable(rows))


def _heading(topic: str) -> str:
    if topic in LEARNERS:
        return f"Settings of the learner {topic}, given as variants.NAME.SETTING=VALUE"
    if topic in ("design", "launch"):
        return f"Settings of {'a design' if topic == 'design' else 'the launch'}, given as SETTING=VALUE"
    return f"Settings of {topic}, given as {topic}.SETTING=VALUE"


def _rule(row: Mapping[str, Any]) -> str:
    if row["choices"]:
        return ", ".join(choice or "(empty)" for choice in row["choices"])
    return " and ".join(f"{word} {row[key]:g}" for key, word in _BOUNDS if row[key] is not None) or "-"


def _brief(row: Mapping[str, Any]) -> str:
    default = row["default"]
    if isinstance(default, Mapping):
        return f"(help {row['name']})"
    if default is None:
        return "null"
    if isinstance(default, bool):
        return str(default).lower()
    return "(empty)" if default in ("", []) else str(default)
