"""Copies experiments to MLflow, for teams that live there. The journal stays the record; MLflow holds a copy.

Each experiment becomes an MLflow experiment with one parent run for each of its designs (what was asked,
every look, the verdict, the report) and under it one run per run of the journal. What was exported carries
the tag `modelwright.run`, so that exporting again adds what is new and nothing twice.
"""

import contextlib
import logging
import os
import re
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelwright.base.errors import SourceMissing, StoreFailed, UnknownName
from modelwright.journal.journal import Journal
from modelwright.lab.export.mlflow_copy import ExportSummary, MlflowCopy
from modelwright.lab.project import Project
from modelwright.lab.show.listing import current_designs

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["ExportSummary", "export_mlflow"]


def export_mlflow(
    project: Project,
    name: str | None = None,
    *,
    destination: str = "sqlite:///mlflow.db",
    console: "Console | None" = None,
) -> ExportSummary:
    """Copy an experiment, or all of them, to an MLflow tracking store.

    Numbers that are not numbers go over as MLflow stores them: NaN as NaN, an infinity as the largest float.

    Args:
        project: Where they are on record.
        name: The experiment; all if left out.
        destination: MLflow's tracking URI; a relative SQLite file lies in the project's folder.
        console: Shows progress where it is a terminal; standard error if left out.

    Raises:
        SourceMissing: where MLflow is not installed, or the project has no journal.
        UnknownName: where no experiment has the name, with the nearest.
        StoreFailed: where MLflow's store cannot be reached or refuses.
    """
    address = _address(destination, project.root)
    with project.open_journal(read_only=True) as journal:
        known = current_designs(journal)
        if name is not None and name not in known:
            raise UnknownName("experiment on record", name, known)
        names = tuple(known) if name is None else (name,)
        summary = ExportSummary(destination=address, experiments=names)
        with _quiet_mlflow(), _progress(console, journal, names) as advance:
            from mlflow import MlflowClient

            try:
                client = MlflowClient(tracking_uri=address)
                for one in names:
                    MlflowCopy(journal, client, summary, advance, address).experiment(known[one])
            except _refusals() as error:
                raise StoreFailed(
                    "MLflow takes what is exported",
                    got=str(error).splitlines()[0],
                    next_step="look at the address, then export again: nothing is written twice",
                ) from error
    return summary


def _refusals() -> tuple[type[Exception], ...]:
    """Return what MLflow and what it stands on raise where a store refuses."""
    from mlflow.exceptions import MlflowException

    try:
        from sqlalchemy.exc import SQLAlchemyError
    except ModuleNotFoundError:  # a slim MLflow speaks to servers only
        return MlflowException, OSError
    return MlflowException, OSError, SQLAlchemyError


@contextlib.contextmanager
def _quiet_mlflow() -> Generator[None]:
    """Import MLflow, and keep its own and alembic's chatter off the screen."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # an export calls nobody else
    try:
        import mlflow  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ModuleNotFoundError as error:
        raise SourceMissing(
            "Exporting to MLflow needs MLflow",
            got=str(error),
            next_step="pip install 'modelwright[mlflow]'",
        ) from error
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic", "alembic.runtime.migration")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _progress(
    console: "Console | None", journal: Journal, names: Sequence[str]
) -> Generator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = console or Console(stderr=True)
    total = sum(len(journal.runs(experiment=name)) for name in names)
    columns = (TextColumn("exporting to MLflow"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("export", total=total)
        yield lambda: progress.advance(task)


def _address(destination: str, root: Path) -> str:
    """Let relative SQLite files lie in the project, wherever the command is called."""
    file = re.fullmatch(r"sqlite:///(?!/)(.+)", destination)
    return f"sqlite:///{(root / file[1]).resolve()}" if file else destination
