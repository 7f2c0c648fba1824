"""Help is quick, whole and true: every command, every argument, and every example is executed."""

import json
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from modelwright.base.setting import describe_settings
from modelwright.cli import COMMANDS, main
from modelwright.cli.settings import TOPICS, find_topic

Call = Callable[[Path, Sequence[str]], Any]

HEAVY = (
    "duckdb",
    "hydra",
    "mlflow",
    "numpy",
    "pandas",
    "pyarrow",
    "ray",
    "rich",
    "scipy",
    "sklearn",
    "torch",
)
EXAMPLES = [(name, example) for name, command in COMMANDS.items() for example in command.examples]
LONG = (
    *("modelwright rerun", "modelwright export", "modelwright practice start"),
    *("modelwright practice hint", "modelwright practice give-up", "modelwright examine --json"),
)
WARNING = "ignore:.*:DeprecationWarning"  # MLflow's own libraries warn of their futures


# ---- quick ----


def test_help_comes_in_under_three_tenths_of_a_second() -> None:
    def seconds() -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "modelwright", "--help"], check=True, capture_output=True)
        return time.perf_counter() - begun

    seconds()  # the first one may write byte code
    # A machine that is busy with something else gets three tries.
    medians = []
    for _ in range(3):
        medians.append(statistics.median(seconds() for _ in range(5)))
        if medians[-1] < 0.3:
            return
    pytest.fail(f"medians of 5 calls: {medians}")


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "--help"], ["help", "query"], ["rnu"], ["list", "--lmit"]]
)
def test_help_and_wrong_words_load_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\n"
        "from modelwright.cli import main\n"
        f"main({words!r})\n"
        f"print('LOADED', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


# ---- whole ----


def test_help_can_be_asked_for_in_every_usual_way(tmp_path: Path, call: Call) -> None:
    ways = ([], ["--help"], ["-h"], ["help"])
    pages = [call(tmp_path, words) for words in ways]
    assert {page.out for page in pages} == {pages[0].out}
    assert [page.status for page in pages] == [0] * len(ways)
    for name, command in COMMANDS.items():
        assert f"  {name:9} {command.help}\n" in pages[0].out
    assert "modelwright run digits" in pages[0].out


def test_the_version_is_that_of_the_package(tmp_path: Path, call: Call) -> None:
    assert call(tmp_path, ["--version"]).out == f"modelwright {version('modelwright')}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_with_every_argument_and_an_example(
    name: str, tmp_path: Path, call: Call
) -> None:
    pages = [call(tmp_path, words) for words in ([name, "--help"], [name, "-h"], ["help", name])]
    assert [page.status for page in pages] == [0, 0, 0]
    assert len({page.out for page in pages}) == 1
    page = " ".join(pages[0].out.split())
    command = COMMANDS[name]
    assert command.help.casefold() in page.casefold()
    assert " ".join(command.about.split()) in page
    for example in command.examples:
        assert example in page
        assert example.startswith(f"modelwright {name}")
    actions = command.parser(name)._actions
    options = {option for action in actions for option in action.option_strings}
    assert "--json" in options
    assert ("--journal" in options) == (name not in ("doctor", "examine", "scrutinize"))
    for action in actions:
        assert action.help, f"{action.dest} has no help"
        assert " ".join(action.help.split()) in page
        assert action.option_strings or str(action.metavar).isupper()


def test_help_is_readable_on_a_narrow_terminal(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    page = call(tmp_path, ["help", "run"]).out
    about = page[page.index("\nRun an") : page.index("\npositional")]
    examples = page.partition("\nexample")[2]
    assert max(map(len, about.splitlines())) <= 40
    assert "\n  modelwright run digits\n" in examples  # never cut: it is what one types next


# ---- settings ----


@pytest.mark.parametrize("topic", TOPICS)
def test_every_setting_is_listed_with_its_default_rule_and_meaning(
    topic: str, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    module, _, name = TOPICS[topic].partition(":")
    fields = describe_settings(getattr(__import__(module, fromlist=[name]), name))
    page = call(tmp_path, ["help", topic]).out
    record = json.loads(call(tmp_path, ["help", topic, "--json"]).out)
    assert record["topic"] == topic
    assert [row["name"] for row in record["settings"]] == [field["name"] for field in fields]
    for field in fields:
        line = next(line for line in page.splitlines() if line.startswith(f"{field['name']} "))
        assert " ".join(field["doc"].split()) in " ".join(line.split())
        assert ("required" in line) == field["required"]
        for choice in field["choices"] or ():
            assert choice in line


def test_a_message_is_about_the_last_topic_that_it_names() -> None:
    assert find_topic("question.margin must be a finite number") == "question"
    assert find_topic("variants.convnet.width must be a number", None) == "convnet"
    assert find_topic("Test rows are few", "split.test=9 of 5 rows") == "split"
    assert find_topic("seeds must be a whole number", "many") == "design"


# ---- true ----


@pytest.fixture(scope="module")
def desk(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which examples may write."""
    root = tmp_path_factory.mktemp("desk") / "project"
    shutil.copytree(finished, root)
    (root / "train.py").write_text("print('trained')\n")
    return root


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(
            example,
            marks=[
                *([pytest.mark.slow] if example.startswith(LONG) else []),
                *([pytest.mark.filterwarnings(WARNING)] if "export mlflow" in example else []),
            ],
        )
        for _, example in EXAMPLES
    ],
)
def test_every_example_works(example: str, desk: Path, call: Call, trains_here: None) -> None:
    program, *words = shlex.split(example)
    assert program == "modelwright"
    said = call(desk, words)
    assert said.status == 0, said
    assert said.err == ""
    assert said.out.strip()


def test_an_example_that_does_not_work_would_be_seen(desk: Path, call: Call) -> None:
    assert call(desk, shlex.split("show digits-convnet-77")).status != 0


@pytest.mark.parametrize(
    "words", [["list"], ["list", "--runs"], ["show", "digits"], ["show", "digits-convnet-00"]]
)
def test_a_glance_at_the_record_takes_less_than_a_second_of_a_processor(
    words: list[str], finished: Path
) -> None:
    # Processor time, because other processes on the machine lengthen the other kind.
    code = (
        "import os, sys, time\n"
        "from modelwright.cli import main\n"
        f"assert main({words!r}) == 0\n"
        "print(time.process_time(), file=sys.stderr)"
    )
    spent = [
        float(
            subprocess.run(
                [sys.executable, "-c", code], cwd=finished, capture_output=True, text=True, check=True
            ).stderr
        )
        for _ in range(2)
    ]
    assert min(spent) < 1.0


def test_main_takes_its_words_from_the_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["modelwright", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("modelwright ")
