"""An experiment or a run as a page of text."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from modelwright.lab.lineage.usage import Usage
from modelwright.lab.show.listing import finding_page
from modelwright.lab.show.shown import ShownExperiment, ShownRun
from modelwright.lab.watch.live_page import comparison_block
from modelwright.lab.wording import (
    OUTCOME_STYLES,
    clean,
    describe_change,
    describe_decision,
    describe_ground,
    describe_question,
    shorten_path,
)

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

__all__ = ["energy_texts", "flat_settings", "render_shown"]

_LIBRARIES = ("torch", "numpy", "scikit-learn")
_MOST_METRICS = 24


def render_shown(shown: ShownExperiment | ShownRun) -> "RenderableType":
    """Return the page of an experiment or a run."""
    return _ExperimentPage(shown) if isinstance(shown, ShownExperiment) else _run_page(shown)


def flat_settings(settings: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Return nested settings with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat.update(flat_settings(value, f"{place}{name}."))  # pyright: ignore[reportUnknownArgumentType]
        else:
            flat[f"{place}{name}"] = value
    return flat


def energy_texts(usage: Usage) -> list[str]:
    """Return each energy with its label, never without."""
    return [f"{energy.joules:.3g} J ({energy.label})" for energy in usage.energy]


def _facts(rows: Iterable[tuple[str, "RenderableType"]]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, Text(value) if isinstance(value, str) else value)
    return grid


def _heading(text: str) -> "RenderableType":
    from rich.text import Text

    return Text(f"\n{text}", style="bold")


class _ExperimentPage:
    """Drawn when printed, because bars need the console's width."""

    def __init__(self, shown: ShownExperiment) -> None:
        self._shown = shown

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        shown = self._shown
        design, verdict = shown.design, shown.verdict
        yield Text.assemble((shown.name, "bold"), "  ", (clean(design.question.hypothesis), "italic"))
        if verdict is None:
            yield Text("\nNo verdict yet.", style="dim")
        else:
            yield Text("\n" + clean(verdict.sentence), style=OUTCOME_STYLES[verdict.outcome.value])
            yield Text(verdict.speaks_of)
            for limit in verdict.does_not_show:
                yield Text(limit, style="dim")
            if verdict.confirmatory:
                yield Text("Confirmatory: everything went as registered before the first run.")
            for deviation in verdict.deviations:
                yield Text(f"Exploratory: {clean(deviation)}", style="yellow")
        if shown.looks:
            yield _heading("Looks")
            for candidate, baseline in design.compare:
                yield from comparison_block(console, design.question, shown.looks, candidate, baseline)
            yield Text.assemble((f"look {len(shown.looks)}: ", "bold"), describe_decision(shown.looks[-1]))
        if shown.findings:
            yield _heading("Findings")
            for row in shown.findings:
                yield finding_page(row)
        if shown.amendments:
            yield _heading("Amendments")
            for item in shown.amendments:
                changes = "; ".join(describe_change(change) for change in item["changes"])
                yield Text(
                    f"after {item['results_before']} results: {clean(item['reason'])} ({clean(changes)})"
                )
        yield _heading("Design")
        yield _facts(self._design_facts())

    def _design_facts(self) -> Iterable[tuple[str, str]]:
        shown, design = self._shown, self._shown.design
        yield "question", describe_question(design.question)
        yield "rule", shown.rule
        yield "scope", design.scope.replace("_", " ")
        (ground, words), parted = describe_ground(design)
        yield ground, f"{words}, {shown.data[:16]}"
        yield parted
        for name, variant in design.variants.items():
            settings = {key: value for key, value in flat_settings(variant).items() if key != "learner"}
            text = ", ".join(f"{key}={value}" for key, value in settings.items())
            yield name, clean(f"{variant['learner']}  {text}")
        yield "runs", ", ".join(f"{count} {status}" for status, count in shown.runs.items()) or "none"
        yield "registered", f"{shown.registered[:19].replace('T', ' ')} UTC"
        superseded = f", superseded by {shown.superseded_by[:12]}" if shown.superseded_by else ""
        yield "hash", shown.design_hash + superseded
        if shown.report is not None:
            yield "report", shorten_path(shown.report)


def _run_page(shown: ShownRun) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    row = shown.row
    parts: list[RenderableType] = [
        Text.assemble(
            (row.run, "bold"), f"  {row.status}", ("" if row.score is None else f"  {row.score:.6g}")
        ),
    ]
    if shown.reason:
        parts.append(Text(clean(shown.reason), style="red"))
    parts.append(_facts(_run_facts(shown)))
    if shown.metrics:
        parts.append(_heading("Last value of each metric"))
        parts.append(_facts(_metric_facts(shown.metrics)))
    parts += [_heading("Configuration"), _facts((k, str(v)) for k, v in flat_settings(shown.config).items())]
    parts += [_heading("Lineage"), _facts(_lineage_facts(shown))]
    if shown.reruns:
        parts += [_heading("Repetitions"), *(Text(clean(sentence)) for sentence in shown.reruns)]
    return Group(*parts)


def _run_facts(shown: ShownRun) -> Iterable[tuple[str, str]]:
    row, usage = shown.row, shown.usage
    yield "experiment", f"{row.experiment}, variant {row.variant}, seed {row.seed_index}"
    end = f" to {row.finished[11:19]}" if row.finished else ""
    yield "when", f"{row.started[:19].replace('T', ' ')}{end} UTC"
    if shown.updates is not None:
        yield "updates", f"{shown.updates:,}"
    if usage is not None:
        company = f", shared by {shown.shared_by} seeds" if shown.shared_by > 1 else ""
        yield "time", f"{usage.wall_seconds:.3g} s, {usage.cpu_seconds:.3g} CPU s{company}"
        yield "memory", f"{usage.peak_memory / 2**20:,.0f} MiB at most {usage.peak_memory_basis}"
        if usage.gpu_seconds:
            yield "GPU", f"{usage.gpu_seconds:.3g} s"
        for text in energy_texts(usage):
            yield "energy", text
    yield "seed", shown.seed
    yield _ground_words(shown)[1], shown.split
    if shown.state is not None:
        yield "state", f"{shown.state} (artefact)"


def _ground_words(shown: ShownRun) -> tuple[str, str]:
    """Return what the run learned from, and what part of it one seed was measured on."""
    acted = shown.lineage is not None and "split" not in shown.lineage.data
    return ("environment", "evaluation") if acted else ("data", "split")


def _metric_facts(metrics: Mapping[str, float | None]) -> Iterable[tuple[str, str]]:
    for at, (name, value) in enumerate(metrics.items()):
        if at == _MOST_METRICS:
            yield "...", f"{len(metrics) - at} more"
            return
        yield clean(name), "not a number" if value is None else f"{value:.6g}"


def _lineage_facts(shown: ShownRun) -> Iterable[tuple[str, str]]:
    yield "trial", shown.row.trial
    yield "design", shown.row.design
    yield _ground_words(shown)[0], shown.data
    yield "code", f"{shown.code} (the learner's files)"
    lineage = shown.lineage
    if lineage is None:
        yield "source", "its record cannot be read: modelwright verify"
        return
    source = lineage.source
    if source.kind == "git":
        changed = {True: " and uncommitted changes", False: ", clean", None: ""}[source.dirty]
        yield "source", f"commit {source.commit or '(none)'}{changed}, tree {source.tree}"
    else:
        count = len(source.files)
        yield "source", f"{count} file{'s' * (count != 1)}, archive {source.archive_sha256}, not in git"
    yield "modelwright", f"{lineage.package.version}, {lineage.package.identity[:16]}"
    versions = {item.name: item.version for item in lineage.environment.distributions}
    libraries = [f"{name} {versions[name]}" for name in _LIBRARIES if name in versions]
    yield "Python", ", ".join([lineage.environment.python, *libraries])
    hardware = lineage.hardware
    gpus = "".join(f", {gpu.name}" for gpu in hardware.gpus)
    yield "machine", f"{hardware.cpu}, {hardware.logical_cores} threads{gpus}, {lineage.environment.system}"
