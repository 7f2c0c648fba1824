"""Lists of what is on record: experiments, runs, findings. Reads a journal and changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelwright.base.errors import UnknownName
from modelwright.base.finding import Finding, Severity
from modelwright.base.fingerprint import jsonable
from modelwright.doctor.causes import known_causes
from modelwright.experiment.verdict import Verdict
from modelwright.journal.journal import Journal
from modelwright.journal.registration import Registration
from modelwright.journal.run_row import RunRow
from modelwright.lab.finding_page import find_page
from modelwright.lab.standing import AMENDMENT, standing_findings
from modelwright.lab.wording import OUTCOME_STYLES, SEVERITY_STYLES, clean

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = [
    "ListedExperiment",
    "ListedFinding",
    "current_designs",
    "finding_page",
    "list_experiments_on_record",
    "list_findings",
    "list_runs",
    "render_rows",
]

_STATUS_STYLES = {"finished": "green", "running": "cyan", "failed": "red", "interrupted": "yellow"}
_NAME_WIDTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedExperiment:
    """One line of the list of experiments.

    Attributes:
        name: Name of the experiment.
        design: Hash of its present design.
        outcome: The verdict's outcome; `open` where there is none yet.
        confirmatory: Whether everything went as registered; None while open.
        metric: What decides.
        effects: `candidate over baseline` -> mean difference, at the verdict or else at the last look.
        seeds: Seeds that the last look used, 0 before the first.
        looks: Looks taken under the present design.
        amendments: How often what is registered was changed.
        date: When it was registered first, ISO 8601 in UTC.
    """

    name: str
    design: str
    outcome: str
    confirmatory: bool | None
    metric: str
    effects: Mapping[str, float]
    seeds: int
    looks: int
    amendments: int
    date: str

    def record(self) -> dict[str, Any]:
        """Return the line as JSON types."""
        return jsonable(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFinding:
    """A finding and whose it is.

    Attributes:
        experiment: Name of the experiment.
        design: Hash of its present design.
        time: When it was found, ISO 8601 in UTC.
        finding: What was found.
        accepted: Whether the design accepts its kind.
    """

    experiment: str
    design: str
    time: str
    finding: Finding
    accepted: bool

    def record(self) -> dict[str, Any]:
        """Return the finding's own record with the experiment's beside it."""
        return {
            "experiment": self.experiment,
            "design": self.design,
            "time": self.time,
            "accepted": self.accepted,
            **self.finding.record(),
        }


def current_designs(journal: Journal) -> dict[str, list[Registration]]:
    """Return each experiment's registrations, the present design last, the oldest experiment first."""
    found: dict[str, list[Registration]] = {}
    for registration in journal.registrations():
        found.setdefault(registration.name, []).append(registration)
    return found


def list_experiments_on_record(journal: Journal) -> list[ListedExperiment]:
    """Return every registered experiment, the newest first."""
    # Read once for all experiments; each design's entries before its last amendment stand no longer.
    silent: dict[str, int] = {}
    since: dict[str, int] = {}
    for entry in journal.entries(kind=AMENDMENT):
        silent[str(entry.design)] = silent.get(str(entry.design), 0) + 1
        since[str(entry.design)] = entry.sequence
    looks: dict[str, list[Mapping[str, Any]]] = {}
    verdicts: dict[str, Verdict] = {}
    for entry in (*journal.entries(kind="look"), *journal.entries(kind="verdict")):
        design = str(entry.design)
        if entry.sequence < since.get(design, 0):
            continue
        if entry.kind == "look":
            looks.setdefault(design, []).append(entry.body)
        else:
            verdicts[design] = Verdict.from_record(entry.body)
    rows: list[ListedExperiment] = []
    for name, chain in current_designs(journal).items():
        last = chain[-1]
        taken, verdict = looks.get(last.design, []), verdicts.get(last.design)
        ends: Sequence[Any] = taken[-1]["readings"] if taken else ()
        rows.append(
            ListedExperiment(
                name=name,
                design=last.design,
                outcome="open" if verdict is None else verdict.outcome.value,
                confirmatory=None if verdict is None else verdict.confirmatory,
                metric=last.body["design"]["question"]["metric"],
                effects={
                    f"{end['candidate']} over {end['baseline']}": end["interval"]["estimate"] for end in ends
                },
                seeds=taken[-1]["seeds"] if taken else 0,
                looks=len(taken),
                amendments=len(chain) - 1 + sum(silent.get(item.design, 0) for item in chain),
                date=chain[0].time,
            )
        )
    return rows[::-1]


def list_runs(
    journal: Journal,
    *,
    experiment: str | None = None,
    variant: str | None = None,
    status: str | None = None,
    order: str = "-started",
    limit: int | None = None,
) -> list[RunRow]:
    """Return the runs that fit every given field.

    Args:
        journal: The record.
        experiment: Name of the experiment.
        variant: Name of the variant.
        status: running, finished, failed or interrupted.
        order: As in `Journal.runs`.
        limit: At most so many.

    Raises:
        UnknownName: for an experiment, variant, status or order that is not there, with the nearest.
    """
    rows = journal.runs(experiment=experiment, variant=variant, status=status, order=order, limit=limit)
    if not rows and (experiment is not None or variant is not None):
        _explain_nothing(journal, experiment, variant)
    return rows


def _explain_nothing(journal: Journal, experiment: str | None, variant: str | None) -> None:
    """Tell a name that does not exist from one without such runs."""
    known = current_designs(journal)
    if experiment is not None and experiment not in known:
        raise UnknownName("experiment on record", experiment, known)
    chains = known.values() if experiment is None else (known[experiment],)
    variants = {
        name for chain in chains for registration in chain for name in registration.body["design"]["variants"]
    }
    if variant is not None and variant not in variants:
        raise UnknownName("variant on record", variant, variants)


def list_findings(journal: Journal, name: str | None = None) -> list[ListedFinding]:
    """Return what was found under the present design of one experiment, or of all; severe ones first.

    Raises:
        UnknownName: for an experiment that is not on record, with the nearest.
    """
    known = current_designs(journal)
    if name is not None and name not in known:
        raise UnknownName("experiment on record", name, known)
    rows: list[ListedFinding] = []
    for experiment in known if name is None else (name,):
        last = known[experiment][-1]
        for time, finding in standing_findings(journal, last.design):
            rows.append(
                ListedFinding(
                    experiment=experiment,
                    design=last.design,
                    time=time,
                    finding=finding,
                    accepted=finding.kind in last.body["design"]["accept"],
                )
            )
    order = list(reversed(Severity))
    return sorted(rows, key=lambda row: (row.experiment, order.index(row.finding.severity)))


# ---- pages ----


def render_rows(
    rows: Sequence[Any], *, nothing: str = "Nothing on record fits. Start with: modelwright run digits"
) -> "RenderableType":
    """Return a list of experiments, runs or findings as a table, or the words for `nothing`."""
    from rich.text import Text

    if not rows:
        return Text(nothing)
    if isinstance(rows[0], ListedExperiment):
        return _experiments(rows)
    return _runs(rows) if isinstance(rows[0], RunRow) else _findings(rows)


def _table(names: Sequence[str], *titles: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for at, title in enumerate(titles):
        # Names in the first column are what one types next: long ones are folded, and none is ever cut.
        widest = max(map(len, names)) if at == 0 else 0
        width = max(len(title), min(widest, _NAME_WIDTH))
        table.add_column(title, overflow="fold", min_width=width)
    return table


def _experiments(rows: Sequence[ListedExperiment]) -> "RenderableType":
    from rich.text import Text

    table = _table(
        [row.name for row in rows],
        "experiment",
        "verdict",
        "effect",
        "seeds",
        "looks",
        "registered",
        "design",
    )
    for row in rows:
        outcome = Text(row.outcome, style=OUTCOME_STYLES[row.outcome])
        if row.confirmatory is False and row.outcome != "invalid":
            outcome.append(" *", style="yellow")
        effects = [f"{effect:+.3g}" for effect in row.effects.values()]
        shown = ", ".join(effects[:2]) + (", ..." if len(effects) > 2 else "")
        cells = (str(row.seeds), str(row.looks), row.date[:10], row.design[:8])
        table.add_row(row.name, outcome, shown or "-", *cells)
    if any(row.confirmatory is False and row.outcome != "invalid" for row in rows):
        from rich.console import Group

        return Group(table, Text("* amended after results were in: exploratory in part", style="dim"))
    return table


def _runs(rows: Sequence[RunRow]) -> "RenderableType":
    from rich.text import Text

    table = _table([row.run for row in rows], "run", "variant", "seed", "status", "score", "started")
    for row in rows:
        table.add_row(
            row.run,
            row.variant,
            str(row.seed_index),
            Text(row.status, style=_STATUS_STYLES[row.status]),
            "-" if row.score is None else f"{row.score:.6g}",
            row.started[:16].replace("T", " "),
        )
    return table


def _findings(rows: Sequence[ListedFinding]) -> "RenderableType":
    from rich.console import Group
    from rich.padding import Padding

    return Group(*(Padding(finding_page(row, with_experiment=True), (0, 0, 1, 0)) for row in rows))


def finding_page(row: ListedFinding, *, with_experiment: bool = False) -> "RenderableType":
    """Return a finding with evidence, causes in order and the next check."""
    from rich.text import Text

    finding = row.finding
    text = Text.assemble((finding.severity.value, SEVERITY_STYLES[finding.severity]))
    text.append(f"  {finding.kind}", style="bold")
    if finding.subject:
        text.append(f"  {clean(finding.subject)}")
    if with_experiment:
        text.append(f"  in {row.experiment}", style="dim")
    if row.accepted:
        text.append("  accepted by the design", style="dim")
    text.append(f"\n  {clean(finding.title)}")
    shown = ", ".join(
        f"{clean(key).replace('_', ' ')} {_brief(value)}" for key, value in finding.evidence.items()
    )
    if shown:
        text.append(f"\n  evidence: {shown}", style="dim")
    for at, cause in enumerate(finding.causes):
        place = f" ({cause.file}:{cause.line})" if cause.file else ""
        text.append(f"\n  {'likely' if at == 0 else '    or'}: {clean(cause.what)}{place}")
        if cause.name in known_causes():
            text.append(f"\n    mend: {known_causes()[cause.name].mend}", style="dim")
    if finding.next_check:
        text.append(f"\n    next: {clean(finding.next_check)}")
    if find_page(finding.kind) is not None:
        text.append(f"\n    more: {finding.page}", style="dim")
    return text


def _brief(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    shown = clean(str(value))
    return shown if len(shown) <= 60 else shown[:57] + "..."
