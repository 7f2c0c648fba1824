"""What is on record about an experiment or a run, as pandas frames for a notebook."""

import html
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwright.base.finding import Finding
from modelwright.experiment.design import Design
from modelwright.experiment.look import Look
from modelwright.experiment.verdict import Verdict
from modelwright.journal.journal import Journal
from modelwright.journal.run_row import RunRow
from modelwright.lab.project import Project
from modelwright.lab.show.shown import ShownExperiment, find_identity, show
from modelwright.lab.wording import describe_difference, describe_question

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Loaded", "load"]

_TRIALS = (
    *("run", "variant", "seed", "score", "status", "seconds", "cpu_seconds", "updates"),
    *("started", "finished", "reason", "trial"),
)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """An experiment's record, read once; frames are made when they are first asked for.

    `load` of a single run gives its experiment, with `trials` and `metrics` of that run only.

    Attributes:
        name: Name of the experiment.
        design: Its design.
        verdict: None while open.
        look_list: Every look, as objects; `looks` has them as a frame.
        finding_list: Every finding, as objects; `findings` has them as a frame.
    """

    name: str
    design: Design
    verdict: Verdict | None
    look_list: tuple[Look, ...]
    finding_list: tuple[Finding, ...]
    _experiment: ShownExperiment
    _rows: tuple[RunRow, ...]
    _ends: dict[str, dict[str, Any]]
    _series: tuple[tuple[RunRow, Any], ...]

    @cached_property
    def trials(self) -> "pd.DataFrame":
        """One row per run, by variant and seed: run, variant, seed, score (NaN where there is none), status,
        seconds and cpu_seconds (of its cohort, divided by its runs), updates, started, finished, reason
        (why it has no score) and trial."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for row in self._rows:
            end = self._ends.get(row.run, {})
            usage, share = end.get("usage") or {}, end.get("shared_by", 1)
            rows.append(
                {
                    "run": row.run,
                    "variant": row.variant,
                    "seed": row.seed_index,
                    "score": row.score,
                    "status": row.status,
                    "seconds": usage["wall_seconds"] / share if usage else None,
                    "cpu_seconds": usage["cpu_seconds"] / share if usage else None,
                    "updates": end.get("updates"),
                    "started": row.started,
                    "finished": row.finished,
                    "reason": end.get("reason"),
                    "trial": row.trial,
                }
            )
        frame = pd.DataFrame(rows, columns=list(_TRIALS))
        for name in ("score", "seconds", "cpu_seconds"):
            frame[name] = frame[name].astype("float64")
        frame["updates"] = frame["updates"].astype("Int64")
        for name in ("started", "finished"):
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
        frame["variant"] = pd.Categorical(frame["variant"], categories=self._variants())
        return frame.sort_values(["variant", "seed", "started"], ignore_index=True)

    @cached_property
    def metrics(self) -> "pd.DataFrame":
        """One row per number: run, variant, seed, update, metric, value. Ready for `pivot` and `groupby`."""
        import pandas as pd

        columns = ["run", "variant", "seed", "update", "metric", "value"]
        parts: list[pd.DataFrame] = []
        for row, table in self._series:
            part = table.to_pandas()
            part["run"], part["variant"], part["seed"] = row.run, row.variant, row.seed_index
            part["metric"] = part["metric"].astype("str")
            parts.append(part[columns])
        if not parts:
            return pd.DataFrame({name: [] for name in columns})
        frame = pd.concat(parts, ignore_index=True)
        for name, categories in (("run", None), ("metric", None), ("variant", self._variants())):
            frame[name] = pd.Categorical(frame[name], categories=categories)
        return frame

    @cached_property
    def looks(self) -> "pd.DataFrame":
        """One row per look and comparison: look (from 1), seeds, candidate, baseline, their means,
        difference, low, high, level, outcome (`open` while open), decision. A comparison has no row after
        the look that decided it."""
        import pandas as pd

        rows = [
            {
                "look": look.index + 1,
                "seeds": look.seeds,
                "candidate": reading.candidate,
                "baseline": reading.baseline,
                "candidate_mean": look.means[reading.candidate],
                "baseline_mean": look.means[reading.baseline],
                "difference": reading.interval.estimate,
                "low": reading.interval.low,
                "high": reading.interval.high,
                "level": reading.interval.level,
                "outcome": reading.outcome.value if reading.outcome else "open",
                "decision": look.decision,
            }
            for look in self.look_list
            for reading in look.readings
            if reading.look == look.index
        ]
        names = "look seeds candidate baseline candidate_mean baseline_mean difference low high level outcome"
        return pd.DataFrame(rows, columns=[*names.split(), "decision"])

    @cached_property
    def findings(self) -> "pd.DataFrame":
        """One row per finding: kind, severity, accepted, subject, title, next_check, causes, evidence."""
        import pandas as pd

        rows = [
            {
                "kind": row.finding.kind,
                "severity": row.finding.severity.value,
                "accepted": row.accepted,
                "subject": row.finding.subject,
                "title": row.finding.title,
                "next_check": row.finding.next_check,
                "causes": [cause.what for cause in row.finding.causes],
                "evidence": dict(row.finding.evidence),
            }
            for row in self._experiment.findings
        ]
        names = "kind severity accepted subject title next_check causes evidence"
        return pd.DataFrame(rows, columns=names.split())

    @cached_property
    def comparisons(self) -> "pd.DataFrame":
        """One row per comparison as it stands: candidate, baseline, difference, low, high, level, outcome,
        look (from 1) and seeds; empty before the first look."""
        import pandas as pd

        rows = [
            {
                "candidate": reading.candidate,
                "baseline": reading.baseline,
                "difference": reading.interval.estimate,
                "low": reading.interval.low,
                "high": reading.interval.high,
                "level": reading.interval.level,
                "outcome": reading.outcome.value
                if reading.outcome
                else ("open" if self.verdict is None else "inconclusive"),
                "look": reading.look + 1,
                "seeds": reading.seeds,
            }
            for reading in (self.look_list[-1].readings if self.look_list else ())
        ]
        names = "candidate baseline difference low high level outcome look seeds"
        return pd.DataFrame(rows, columns=names.split())

    def _variants(self) -> list[str]:
        """Return the design's variants in its order, then those that an amendment dropped."""
        return list(dict.fromkeys([*self.design.variants, *(row.variant for row in self._rows)]))

    @property
    def amendments(self) -> tuple[dict[str, Any], ...]:
        """Reason, changes and results seen before, for every amendment."""
        return tuple(dict(item) for item in self._experiment.amendments)

    @property
    def report(self) -> Path | None:
        """The report's file, None where there is none."""
        return self._experiment.report

    def __repr__(self) -> str:
        verdict = "no verdict yet" if self.verdict is None else self.verdict.sentence
        return f"<{self.name}: {verdict} {len(self._rows)} runs, {len(self.look_list)} looks>"

    def _repr_html_(self) -> str:
        verdict = "No verdict yet." if self.verdict is None else self.verdict.sentence
        readings = self.look_list[-1].readings if self.look_list else ()
        rows = "".join(
            f"<tr><td>{html.escape(f'{item.candidate} over {item.baseline}')}</td>"
            f"<td>{html.escape(describe_difference(item.interval))}</td><td>{item.seeds} seeds</td></tr>"
            for item in readings
        )
        return (
            f"<div><b>{html.escape(self.name)}</b> <i>{html.escape(self.design.question.hypothesis)}</i><br>"
            f"{html.escape(describe_question(self.design.question))}"
            f"<table>{rows}</table><b>{html.escape(verdict)}</b><br>"
            f"<small>{len(self._rows)} runs, {len(self.look_list)} looks, {len(self.finding_list)} findings: "
            "see .trials .metrics .looks .findings .comparisons</small></div>"
        )


def load(name_or_run: str, *, project: Project | None = None) -> Loaded:
    """Return what is on record about an experiment, or about one run.

    Args:
        name_or_run: Name of an experiment, a design's hash or a run, the last two also by how they begin.
        project: Where it is on record; the present folder if left out.

    Raises:
        SourceMissing: where the project has no journal.
        UnknownName: where nothing is called so, with the nearest.
        Corrupted: where metrics are damaged.
    """
    with (project or Project.find()).open_journal(read_only=True) as journal:
        found = find_identity(journal, name_or_run)
        one = found if isinstance(found, RunRow) else None
        experiment = show(journal, found.design)
        assert isinstance(experiment, ShownExperiment)
        return _read(journal, experiment, one)


def _read(journal: Journal, experiment: ShownExperiment, one: RunRow | None) -> Loaded:
    rows = (one,) if one is not None else tuple(journal.runs(experiment=experiment.name, order="started"))
    wanted = {row.run for row in rows}
    ends = {
        str(entry.run): dict(entry.body["body"])
        for entry in journal.entries(kind="run.finished")
        if entry.run in wanted
    }
    return Loaded(
        name=experiment.name,
        design=experiment.design,
        verdict=experiment.verdict,
        look_list=experiment.looks,
        finding_list=tuple(row.finding for row in experiment.findings),
        _experiment=experiment,
        _rows=rows,
        _ends=ends,
        _series=tuple((row, journal.read_metrics(row.run)) for row in rows if row.cohort is not None),
    )
