"""The report of an experiment: one HTML file that opens anywhere and needs no network."""

from pathlib import Path

from modelwright.lab.page.facts import collect_facts
from modelwright.lab.page.whole_file import write_whole
from modelwright.lab.project import Project

__all__ = ["write_report"]


def write_report(project: Project, name: str) -> Path:
    """Write an experiment's report and return its file, `<journal>/reports/<name>.html`.

    The journal is only read, also where it is damaged: what cannot be read is said on the page. An experiment
    without a verdict has a report too. The file appears whole or not at all.

    Args:
        project: Where the journal is.
        name: Name of the experiment.

    Raises:
        SourceMissing: where the project has no journal.
        UnknownName: where no experiment of this name is registered.
        StoreFailed: where the disk refuses the file.
    """
    from modelwright.lab.page.render import render_page

    with project.open_journal(read_only=True) as journal:
        facts = collect_facts(journal, name)
    return write_whole(
        render_page(facts),
        project.reports / f"{facts.name}.html",
        what="the report",
        next_step=f"free space or mend the permissions, then modelwright report {name}",
    )
