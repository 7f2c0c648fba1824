import os
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is a development dependency")
nbclient = pytest.importorskip("nbclient", reason="nbclient is a development dependency")

TOUR = Path(__file__).parents[2] / "docs" / "tour.ipynb"

# Jupyter's own libraries warn of their futures.
pytestmark = pytest.mark.filterwarnings("ignore")


def text_of(cell: Any) -> str:
    parts: list[str] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            parts.append(output.text)
        elif "data" in output:
            parts.extend(str(value) for value in output.data.values())
    return "".join(parts)


def test_the_tour_is_committed_without_outputs_and_small() -> None:
    notebook = nbformat.read(TOUR, as_version=4)
    nbformat.validate(notebook)
    assert TOUR.stat().st_size < 60_000
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.slow
def test_the_tour_runs_from_start_to_end_and_shows_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELWRIGHT_JOURNAL", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TOUR.parents[1] / "src")]))
    notebook = nbformat.read(TOUR, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = [text_of(cell) for cell in notebook.cells if cell.cell_type == "code"]
    everything = "\n".join(shown)
    for expected in (
        "Nearest: accuracy",
        "A fixed design needs",
        "experiment: cultivars",
        "look 1 of 3",
        "verdict: ",
        "<svg",
        "feature-equals-target",
        "Invalid: ",
        "stays as it is",
        "Confirmatory: False",
        "('the bill is written after the outcome')",
        "the same bit for bit",
        "Every hash of the record holds: True",
    ):
        assert expected in everything, expected
    assert not list(tmp_path.glob("modelwright-tour-*"))
