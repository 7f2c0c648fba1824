"""A script under watch in a process of its own: its words, its end, and what is said of it."""

from pathlib import Path

import pytest

from modelwright.base.errors import BadValue, SourceMissing
from modelwright.base.finding import Severity
from modelwright.lab.checkup.page import page_of
from modelwright.lab.checkup.script import Checkup, check_script

FAULTY = """
import torch

layer = torch.nn.Linear(3, 1)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
for _ in range(5):
    loss = layer(torch.ones(4, 3)).square().mean()
    loss.backward()
    optimizer.step()
"""


def check(folder: Path, text: str, *words: str) -> Checkup:
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(text)
    return check_script([str(folder / "train.py"), *words])


def test_the_page_leads_from_a_finding_to_its_line_and_says_how_to_mend(tmp_path: Path) -> None:
    found = check(tmp_path, FAULTY)
    assert [each.kind for each in found.findings] == ["gradients-kept-across-steps"]
    assert (found.steps, found.is_well, found.exit_status) == (5, False, 0)
    page = page_of(found)
    assert "train.py:8: loss.backward()" in page
    assert "mend: call optimizer.zero_grad()" in page
    assert "not checked: learning by acting" in page


@pytest.mark.parametrize("folder", ["plain", "modelwright"])
def test_an_error_is_placed_in_the_script_whatever_its_folder_is_called(folder: str, tmp_path: Path) -> None:
    found = check(tmp_path / folder, "import json\n\njson.loads('{')\n")
    (finding,) = found.findings
    assert (finding.kind, finding.severity) == ("program-raised", Severity.SEVERE)
    assert (finding.causes[0].file, finding.causes[0].line) == (str(tmp_path / folder / "train.py"), 3)
    assert found.exit_status == 1


def test_words_after_the_script_are_its_own_and_its_exit_status_is_kept(tmp_path: Path) -> None:
    text = "import sys\nassert sys.argv[1:] == ['--json', 'x']\nassert __name__ == '__main__'\nsys.exit(4)\n"
    found = check(tmp_path, text, "--json", "x")
    assert (found.findings, found.exit_status) == ((), 4)
    assert found.unchecked == ("learning: neither torch nor an estimator of scikit-learn is used",)


def test_an_end_without_a_word_is_told(tmp_path: Path) -> None:
    found = check(tmp_path, "import os\nos.kill(os.getpid(), 9)\n")
    (finding,) = found.findings
    assert finding.kind == "program-killed"
    assert "SIGKILL" in finding.title


def test_a_script_that_is_not_there_and_a_module_without_a_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match=r"none\.py"):
        check_script([str(tmp_path / "none.py")])
    with pytest.raises(BadValue, match="-m names a module"):
        check_script(["-m"])
