"""Two runs, or two experiments, side by side: what differs between them and in what they gave."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelwright.base.errors import BadValue, NotPermitted
from modelwright.base.fingerprint import jsonable
from modelwright.journal.journal import Journal
from modelwright.journal.registration import Registration
from modelwright.journal.run_row import RunRow
from modelwright.lab.lineage.comparison import MetricComparison, Sameness, compare_metrics
from modelwright.lab.lineage.difference import Difference, Side
from modelwright.lab.lineage.explanation import explain
from modelwright.lab.promise import changed_settings
from modelwright.lab.show.shown import ShownExperiment, find_identity, read_lineage, show, started_record
from modelwright.lab.wording import OUTCOME_STYLES, clean, describe_change, describe_difference

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["ComparedExperiments", "ComparedRuns", "compare", "render_compared"]

_SETTINGS_OF_A_TRIAL = ("seed", "split", "data", "code")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRuns:
    """Two runs.

    Attributes:
        first: One.
        second: The other.
        same_trial: Whether both executed the same trial, so that equal results are to be expected.
        parts: Part of the trial (`config`, `seed`, `split`, `data`, `code`) -> whether it is the same.
        differences: What differs in configuration, data, code, environment and hardware, the likeliest
            reason for another number first; `recorded` is the first run's, `now` the second's.
        missing: Why lineages could not be compared; empty where they were.
        metrics: The series, number by number; None where neither run has any.
    """

    first: RunRow
    second: RunRow
    same_trial: bool
    parts: dict[str, bool]
    differences: tuple[Difference, ...]
    missing: str
    metrics: MetricComparison | None

    def record(self) -> dict[str, Any]:
        """Return the comparison as JSON types."""
        return {
            "kind": "runs",
            "first": self.first._asdict(),
            "second": self.second._asdict(),
            "same_trial": self.same_trial,
            "parts": self.parts,
            "differences": [item.record() for item in self.differences],
            "missing": self.missing,
            "metrics": None if self.metrics is None else self.metrics.record(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedExperiments:
    """Two experiments, or two designs of one.

    Attributes:
        first: One.
        second: The other.
        settings: `seeds: 4 -> 8` for each setting of the design that differs, without the name.
        data: Whether both rest on the same rows, by content.
        differences: What else differs between their last runs: code, data, environment, hardware.
        missing: Why lineages could not be compared; empty where they were.
    """

    first: ShownExperiment
    second: ShownExperiment
    settings: tuple[str, ...]
    data: bool
    differences: tuple[Difference, ...]
    missing: str

    def record(self) -> dict[str, Any]:
        """Return the comparison as JSON types."""
        return {
            "kind": "experiments",
            "first": _brief_record(self.first),
            "second": _brief_record(self.second),
            "settings": list(self.settings),
            "same_data": self.data,
            "differences": [item.record() for item in self.differences],
            "missing": self.missing,
        }


def _brief_record(shown: ShownExperiment) -> dict[str, Any]:
    return {
        "name": shown.name,
        "design_hash": shown.design_hash,
        "verdict": None if shown.verdict is None else shown.verdict.record(),
        "last_look": shown.looks[-1].record() if shown.looks else None,
        "looks": len(shown.looks),
    }


def compare(journal: Journal, first: str, second: str) -> ComparedRuns | ComparedExperiments:
    """Return how two runs, or two experiments, differ.

    Args:
        journal: The record.
        first: An experiment, a design's hash or a run, as in `find_identity`.
        second: Another one of the same sort.

    Raises:
        UnknownName: where nothing is called so, with the nearest.
        NotPermitted: for a run and an experiment, and for one thing twice.
    """
    one, other = find_identity(journal, first), find_identity(journal, second)
    if isinstance(one, RunRow) and isinstance(other, RunRow):
        _require_two(one.run, other.run)
        return _compare_runs(journal, one, other)
    if isinstance(one, RunRow) or isinstance(other, RunRow):
        raise NotPermitted(
            "A run is compared with a run and an experiment with an experiment",
            got=f"{first} and {second}",
            next_step="modelwright list --runs names runs, modelwright list experiments",
        )
    _require_two(one.design, other.design)
    return _compare_experiments(journal, one, other)


def _require_two(one: str, other: str) -> None:
    if one == other:
        raise NotPermitted(
            "Two different things are compared",
            got=f"{one} twice",
            next_step="modelwright list --runs names runs, modelwright list experiments",
        )


def _compare_runs(journal: Journal, one: RunRow, other: RunRow) -> ComparedRuns:
    started = [started_record(journal, row.run) for row in (one, other)]
    lineages = [read_lineage(journal, record) for record in started]
    differences: tuple[Difference, ...] = ()
    missing = _unreadable((one.run, other.run), lineages)
    if lineages[0] is not None and lineages[1] is not None:
        differences = explain(lineages[0], lineages[1])
    tables = [journal.read_metrics(row.run, prefix=True) for row in (one, other)]
    parts = {"config": started[0]["config"] == started[1]["config"]}
    parts |= {name: started[0][name] == started[1][name] for name in _SETTINGS_OF_A_TRIAL}
    metrics = compare_metrics(*tables, tolerance=_tolerance(journal, one)) if any(map(len, tables)) else None
    return ComparedRuns(
        first=one,
        second=other,
        same_trial=one.trial == other.trial,
        parts=parts,
        differences=differences,
        missing=missing,
        metrics=metrics,
    )


def _unreadable(names: Sequence[str], lineages: Sequence[object]) -> str:
    lost = [name for name, lineage in zip(names, lineages, strict=True) if lineage is None]
    return f"the lineage of {' and '.join(lost)} cannot be read: modelwright verify" if lost else ""


def _tolerance(journal: Journal, row: RunRow) -> float:
    for registration in journal.registrations(row.experiment):
        if registration.design == row.design:
            return float(registration.body["design"]["tolerance"])
    raise BadValue(
        "A run's design is registered", got=f"no {row.design[:12]}", next_step="modelwright verify"
    )


def _compare_experiments(journal: Journal, one: Registration, other: Registration) -> ComparedExperiments:
    designs = [{**item.body["design"], "name": None} for item in (one, other)]
    differences: tuple[Difference, ...] = ()
    missing = ""
    runs = [journal.runs(design=item.design, limit=1) for item in (one, other)]
    if all(runs):
        names = [rows[0].run for rows in runs]
        lineages = [read_lineage(journal, started_record(journal, name)) for name in names]
        missing = _unreadable(names, lineages)
        if lineages[0] is not None and lineages[1] is not None:
            # What designs say is compared as designs; the last runs may be of different variants.
            found = explain(lineages[0], lineages[1])
            differences = tuple(item for item in found if item.side is not Side.CONFIG)
    else:
        idle = [item.name for item, rows in zip((one, other), runs, strict=True) if not rows]
        missing = f"nothing has run under this design of {' and '.join(idle)}"
    shown = [show(journal, item.design) for item in (one, other)]
    assert isinstance(shown[0], ShownExperiment)
    assert isinstance(shown[1], ShownExperiment)
    return ComparedExperiments(
        first=shown[0],
        second=shown[1],
        settings=tuple(changed_settings(jsonable(designs[0]), jsonable(designs[1]))),
        data=one.body["data"] == other.body["data"],
        differences=differences,
        missing=missing,
    )


# ---- pages ----


def render_compared(compared: ComparedRuns | ComparedExperiments) -> "RenderableType":
    """Return the page of a comparison."""
    from rich.console import Group

    parts = _runs_parts(compared) if isinstance(compared, ComparedRuns) else _experiments_parts(compared)
    return Group(*parts, *_difference_parts(compared.differences, compared.missing))


def _table(*titles: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _runs_parts(compared: ComparedRuns) -> "list[RenderableType]":
    from rich.text import Text

    rows = compared.first, compared.second
    table = _table("", *(row.run for row in rows))
    for name in ("experiment", "variant", "seed_index", "status", "score", "started"):
        table.add_row(Text(name, style="dim"), *(_shown(getattr(row, name)) for row in rows))
    alike = [name for name, same in compared.parts.items() if same]
    unlike = [name for name, same in compared.parts.items() if not same]
    sentences = [f"The same: {', '.join(alike) or 'nothing'}. Different: {', '.join(unlike) or 'nothing'}."]
    if compared.metrics is not None:
        sentences.append(_metrics_sentence(compared.metrics))
    if compared.same_trial:
        sentences.append("Both executed the same trial: their results should be equal.")
    return [table, Text(""), *(Text(sentence) for sentence in sentences)]


def _metrics_sentence(metrics: MetricComparison) -> str:
    if metrics.sameness is Sameness.BITWISE_EQUAL:
        return (
            f"Their metrics are equal bit for bit: {metrics.numbers:,} numbers of {metrics.metrics} metrics."
        )
    assert metrics.first is not None
    first = metrics.first
    return (
        f"Their metrics differ at {metrics.unequal:,} of {metrics.numbers:,} places, first in {first.metric} "
        f"at update {first.update}: {_shown(first.recorded)} and {_shown(first.now)}; the largest relative "
        f"difference is {metrics.largest_relative:.3g}."
    )


def _experiments_parts(compared: ComparedExperiments) -> "list[RenderableType]":
    from rich.text import Text

    both = compared.first, compared.second
    table = _table("", *(shown.name for shown in both))
    outcomes = ["open" if shown.verdict is None else shown.verdict.outcome.value for shown in both]
    table.add_row(
        Text("verdict", style="dim"), *(Text(word, style=OUTCOME_STYLES[word]) for word in outcomes)
    )
    table.add_row(Text("seeds", style="dim"), *(str(s.looks[-1].seeds if s.looks else 0) for s in both))
    table.add_row(Text("looks", style="dim"), *(str(len(shown.looks)) for shown in both))
    for pair in dict.fromkeys(pair for shown in both for pair in shown.design.compare):
        table.add_row(Text(" over ".join(pair), style="dim"), *(_effect(shown, pair) for shown in both))
    table.add_row(Text("design", style="dim"), *(shown.design_hash[:12] for shown in both))
    parts: list[RenderableType] = [table, Text("")]
    if compared.settings:
        parts.append(Text("Settings that differ", style="bold"))
        parts += [Text(f"  {describe_change(change)}") for change in compared.settings]
    else:
        parts.append(Text("The designs differ in their names only."))
    parts.append(Text("The data are the same." if compared.data else "The data are not the same."))
    return parts


def _effect(shown: ShownExperiment, pair: tuple[str, str]) -> str:
    for reading in shown.looks[-1].readings if shown.looks else ():
        if (reading.candidate, reading.baseline) == pair:
            return describe_difference(reading.interval)
    return "-"


def _difference_parts(differences: Sequence[Difference], missing: str) -> "list[RenderableType]":
    from rich.text import Text

    parts: list[RenderableType] = [Text("")]
    if missing:
        return [*parts, Text(missing, style="yellow")]
    if not differences:
        return [*parts, Text("Nothing else that is recorded differs: code, data, environment and hardware.")]
    parts.append(Text("Lineage, the likeliest reason for another number first", style="bold"))
    for item in differences[:30]:
        parts.append(Text.assemble((f"  {item.side.value:12}", "dim"), clean(item.sentence)))
    if len(differences) > 30:
        parts.append(Text(f"  ... and {len(differences) - 30} more; --json has all", style="dim"))
    return parts


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
