"""What is printed, for machines and for people: one JSON object and nothing else, or plain text anywhere."""

import io
import json
import math
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from modelwright.cli import COMMANDS, main
from modelwright.cli.answer import Answer
from modelwright.cli.command import print_json

Call = Callable[[Path, Sequence[str]], Any]

QUESTION = "SELECT variant, avg(score) AS mean FROM run GROUP BY variant ORDER BY variant"
KEYS = {
    ("run", "digits"): {"name", "design", "verdict", "looks", "findings", "report", "trained"},
    ("plan", "digits"): {"name", "design", "rule", "needed", "prospects", "seconds"},
    ("list",): {"experiments", "more"},
    ("list", "--runs"): {"runs", "more"},
    ("list", "--available"): {"available"},
    ("show", "digits"): {"kind", "name", "verdict", "looks", "findings", "design"},
    ("show", "trees-deep-00"): {"kind", "run", "config", "metrics", "lineage"},
    ("compare", "digits", "twin"): {"kind", "first", "second", "settings", "differences"},
    ("compare", "trees-deep-00", "trees-stump-00"): {"kind", "first", "second", "parts", "metrics"},
    ("findings",): {"findings"},
    ("query", QUESTION): {"columns", "rows", "notes"},
    ("verify",): {"ok", "entries", "damages", "head"},
    ("report", "digits"): {"report"},
    ("scrutinize",): {"subjects", "aliases"},
    ("scrutinize", "torch.nn.functional:cross_entropy", "layers:cross_entropy"): {"outcome", "cases"},
    ("practice", "progress"): {"weeks", "lines", "drills", "open", "doubtful"},
    ("doctor", "-m", "this"): {"findings", "checked", "unchecked", "steps"},
}
"""What each command's object holds, at least."""
LONG = {
    ("examine", "model.py:make"): {"findings", "checked", "unchecked", "about"},
    ("rerun", "digits-convnet-00"): {"sameness", "sentence", "differences"},
    ("export", "mlflow", "digits", "--to", "sqlite:///copy.db"): {"destination", "written"},
}
WARNING = "ignore:.*:DeprecationWarning"  # MLflow's own libraries warn of their futures
LOOKS = [
    *(words for words in KEYS if words[0] not in ("run", "plan", "report")),
    pytest.param(("examine", "model.py:make"), marks=pytest.mark.slow),
]


def strict(text: str) -> Any:
    """Read one JSON document, and refuse what only Python takes for JSON."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


# ---- for machines ----


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        *KEYS.items(),
        *(
            pytest.param(
                words,
                keys,
                marks=[
                    pytest.mark.slow,
                    *([pytest.mark.filterwarnings(WARNING)] if words[:2] == ("export", "mlflow") else []),
                ],
            )
            for words, keys in LONG.items()
        ),
    ],
)
def test_every_command_prints_one_json_object_and_nothing_else(
    words: tuple[str, ...], keys: set[str], finished: Path, call: Call, trains_here: None
) -> None:
    said = call(finished, [words[0], "--json", *words[1:]])
    assert said.status == 0, said
    record = strict(said.out)
    assert isinstance(record, dict)
    assert keys <= set(record)
    assert said.out.startswith("{\n")
    assert said.out.endswith("\n}\n")
    assert words[0] in ("run",) or said.err == ""


def test_every_command_is_among_them() -> None:
    assert {words[0] for words in (*KEYS, *LONG)} == set(COMMANDS)


def test_text_and_json_agree(finished: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")

    def both(*words: str) -> tuple[str, Any]:
        return call(finished, words).out, strict(call(finished, [*words, "--json"]).out)

    text, record = both("list")
    assert [row["name"] for row in record["experiments"]] == ["trees", "twin", "digits"]
    lines = text.splitlines()[1:]
    for row, line in zip(record["experiments"], lines, strict=True):
        assert line.split()[:2] == [row["name"], row["outcome"]]
        assert row["design"][:8] in line
    text, record = both("list", "--runs", "--experiment", "digits")
    assert len(record["runs"]) == len(text.splitlines()) - 1 == 8
    for row, line in zip(record["runs"], text.splitlines()[1:], strict=True):
        assert line.split()[:4] == [row["run"], row["variant"], str(row["seed_index"]), row["status"]]
        assert float(line.split()[4]) == pytest.approx(row["score"], rel=1e-5)
    text, record = both("show", "digits")
    assert record["verdict"]["sentence"] in text
    assert record["design_hash"] in text
    assert record["rule"] in text
    text, record = both("show", "digits-convnet-00")
    assert record["run"] in text
    assert record["seed"] in text
    text, record = both("compare", "digits", "twin")
    assert record["settings"] == []
    assert "differ in their names only" in text
    text, record = both("findings", "trees")
    assert [row["kind"] for row in record["findings"]] == re.findall(
        r"^(?:severe|warning|info)  (\S+)", text, re.M
    )
    assert any(row["severity"] == "severe" for row in record["findings"])
    text, record = both("findings", "digits")
    assert record["findings"] or text == "No findings about digits.\n"
    text, record = both("query", QUESTION)
    for row, line in zip(record["rows"], text.splitlines()[1:], strict=True):
        name, mean = line.split()
        assert name == row["variant"]
        assert float(mean) == pytest.approx(row["mean"], rel=1e-5)
    text, record = both("verify")
    assert record["head"] in text
    assert record["ok"] is True
    text, record = both("report", "digits")
    assert text == record["report"] + "\n"
    text, record = both("list", "--available")
    assert [row["name"] for row in record["available"]] == [line.split()[0] for line in text.splitlines()]


def test_what_a_run_goes_through_is_told_on_standard_error(
    new_project: Path, call: Call, trains_here: None
) -> None:
    said = call(new_project, ["run", "digits", "--json"])
    record = strict(said.out)
    assert record["trained"] == 4 * 2
    assert "look 1 of 2" in said.err
    assert f"verdict: {record['verdict']['sentence']}" in said.err
    assert "\x1b" not in said.err


def test_numbers_that_json_lacks_are_null(finished: Path, call: Call) -> None:
    sql = (
        "SELECT 'NaN'::DOUBLE AS nan, 'inf'::DOUBLE AS inf, '-inf'::FLOAT AS low, NULL::INTEGER AS none, "
        "NULL::VARCHAR AS text, 0.5 AS half, NULL::TIMESTAMP AS never"
    )
    record = strict(call(finished, ["query", sql, "--json"]).out)
    assert record["rows"] == [
        {"nan": None, "inf": None, "low": None, "none": None, "text": None, "half": 0.5, "never": None}
    ]
    run = strict(call(finished, ["show", "trees-deep-00", "--json"]).out)
    assert None in run["metrics"].values()  # scikit-learn's trees have no count of iterations


def test_values_of_sql_have_a_form_in_json(finished: Path, call: Call) -> None:
    sql = (
        "SELECT TIMESTAMP '2026-01-31 09:05:00' AS at, DATE '2026-01-31' AS day, 3 AS n, true AS yes, "
        "'é' AS text, [1, 2] AS list, {'a': 1, 'b': 'x'} AS struct, 'ab'::BLOB AS bytes, 12::HUGEINT huge, "
        "1.25::DECIMAL(6, 2) AS exact, 1 AS n"
    )
    row = strict(call(finished, ["query", sql, "--json"]).out)["rows"][0]
    assert row.pop("at") == "2026-01-31T09:05:00"
    assert row.pop("day").startswith("2026-01-31")
    assert row == {
        "n": 3,
        "yes": True,
        "text": "é",
        "list": [1, 2],
        "struct": {"a": 1, "b": "x"},
        "bytes": "6162",
        "huge": 12,
        "exact": 1.25,
        "n_1": 1,
    }


def test_an_answer_without_rows_names_its_columns(finished: Path, call: Call) -> None:
    sql = "SELECT run, score FROM run WHERE false"
    assert call(finished, ["query", sql]).out == "No rows (run, score).\n"
    assert strict(call(finished, ["query", sql, "--json"]).out) == {
        "columns": ["run", "score"],
        "rows": [],
        "notes": [],
    }


def test_an_answer_keeps_its_notes() -> None:
    answer = Answer(pd.DataFrame({"x": [1.5, math.nan]}), ["some are missing"])
    assert answer.record() == {
        "columns": ["x"],
        "rows": [{"x": 1.5}, {"x": None}],
        "notes": ["some are missing"],
    }


def test_json_never_holds_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [math.nan, (math.inf, 1.5)], "b": {"c": -math.inf, "d": "NaN"}})
    assert strict(capsys.readouterr().out) == {"a": [None, [None, 1.5]], "b": {"c": None, "d": "NaN"}}


# ---- for people, anywhere ----


class Terminal(io.TextIOWrapper):
    """Standard output of another encoding."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)

    def text(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_a_terminal_without_unicode_is_served(
    words: tuple[str, ...], finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    sentence = "é ≤ 日本"
    monkeypatch.setattr(sys, "stdout", terminal := Terminal("ascii"))
    monkeypatch.setattr(sys, "stderr", Terminal("ascii"))
    assert main(list(words)) == 0
    assert terminal.text().isascii()
    monkeypatch.setattr(sys, "stdout", terminal := Terminal("ascii"))
    assert main(["query", f"SELECT '{sentence}' AS said", "--json"]) == 0
    assert strict(terminal.text())["rows"] == [{"said": sentence}]
    monkeypatch.setattr(sys, "stdout", terminal := Terminal("ascii"))
    assert main(["query", f"SELECT '{sentence}' AS said"]) == 0
    assert "\\xe9" in terminal.text()


@pytest.mark.parametrize("columns", ["1", "20", "40", "200"])
@pytest.mark.parametrize("words", [*LOOKS, ("help", "rule"), ("help", "run")], ids=" ".join)
def test_no_terminal_is_too_narrow(
    words: tuple[str, ...], columns: str, finished: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    said = call(finished, words)
    assert said.status == 0
    assert said.out.strip()
    assert "\x1b" not in said.out


def test_names_are_folded_and_never_cut(finished: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    runs = strict(call(finished, ["list", "--runs", "--json"]).out)["runs"]
    text = call(finished, ["list", "--runs"]).out
    for row in runs:
        assert row["run"] in text


@pytest.mark.parametrize("name", ["NO_COLOR", "TERM"])
def test_colours_can_be_refused(name: str, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    coloured = _on_terminal(finished, ["list"])
    assert "\x1b[32m" in coloured or "\x1b[33m" in coloured or "\x1b[1;31m" in coloured
    monkeypatch.delenv("FORCE_COLOR")
    plain = _on_terminal(finished, ["list"], **{name: "1" if name == "NO_COLOR" else "dumb"})
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", plain)


def _on_terminal(root: Path, words: list[str], **environment: str) -> str:
    """Return what a terminal is sent."""
    keeper, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment}
    process = subprocess.Popen(
        [sys.executable, "-m", "modelwright", *words],
        cwd=root,
        stdout=terminal,
        stderr=terminal,
        env=environment,
    )
    os.close(terminal)
    text = _drain(keeper)
    assert process.wait(60) == 0
    return text


def _drain(keeper: int) -> str:
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(keeper, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(keeper)
    return b"".join(parts).decode()


def test_progress_is_shown_to_whoever_watches_and_keeps_out_of_the_answer(finished: Path) -> None:
    keeper, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "modelwright", "verify", "--json"],
        cwd=finished,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(terminal)
    watched = _drain(keeper)
    assert process.stdout is not None
    with process.stdout as stream:
        assert strict(stream.read().decode())["ok"] is True
    assert process.wait(60) == 0
    assert "recomputing every hash" in watched


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["list", "--runs"],
        ["show", "digits", "--json"],
        ["query", "SELECT a.run, b.value FROM metric a, metric b LIMIT 20000", "--json"],
        ["rnu", "--json"],
    ],
    ids=" ".join,
)
def test_a_reader_that_goes_away_hears_no_complaint(words: list[str], finished: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "modelwright", *words],
        cwd=finished,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # before anything is written
    with process.stderr as stream:
        assert stream.read() == b""
    assert process.wait(60) == 0


def test_a_full_disk_behind_the_output_is_named(finished: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "modelwright", "list"],
            cwd=finished,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 3
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_closed_output_is_no_fault(finished: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m modelwright list >&-"],
        cwd=finished,
        stderr=subprocess.PIPE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
