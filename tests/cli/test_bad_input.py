"""A table of wrong requests, over all commands.

Each is answered with the rule, what it got, the nearest right thing where there is one, and the next step;
with an exit status of its family and no traceback; the same as JSON; and without a trace in the journal.
"""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from modelwright.cli import COMMANDS
from modelwright.lab.project import Project

Said = Any
Call = Callable[[Path, Sequence[str]], Said]
MISUSE, WORLD, UNTRUSTED = 2, 3, 4
ROWS = "a,b,y\n" + "".join(f"{at},{at * 7 % 11},{'pq'[at % 2]}\n" for at in range(40))


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """A wrong request.

    Attributes:
        words: What is typed.
        rule: Words of the rule.
        got: Words of what it got.
        nearest: The nearest right thing, `*` for what follows; None where there is none: then no such line.
        next: Words of the next step; where left out, any will do.
        status: Exit status.
        files: Path -> content of files written first; None makes a folder.
        finished: Whether `digits` ran before.
    """

    words: tuple[str, ...]
    rule: str
    got: str
    nearest: str | None = None
    next: str = ""
    status: int = MISUSE
    files: dict[str, str | bytes | None] = field(default_factory=dict)
    finished: bool = False


def wrong(*words: str, rule: str, got: str, **more: Any) -> Any:
    marks = [pytest.mark.slow] if more.pop("slow", False) else []
    return pytest.param(
        Wrong(words=words, rule=rule, got=got, **more), id=" ".join(words) or "empty", marks=marks
    )


def own(data: str, more: str = "", **files: str | bytes | None) -> dict[str, str | bytes | None]:
    """Return the files of a project with an experiment `own` on data of its own."""
    text = (
        "question: {hypothesis: Naive Bayes beats guessing., metric: accuracy, smallest_effect: 0.02}\n"
        f"data: {data}\n"
        "variants:\n"
        "  one: {learner: sklearn.naive_bayes.GaussianNB}\n"
        "  two: {learner: sklearn.dummy.DummyClassifier}\n"
        f"seeds: 3\n{more}\n"
    )
    return {
        "experiments/own.yaml": text,
        **{name.replace("__", "."): content for name, content in files.items()},
    }


CSV = "{kind: csv, path: rows.csv, target: y}"
RUN = ("run", "digits")
NEW_JOURNAL = "modelwright run digits makes one"

# fmt: off
NAMES = [
    wrong("rnu", "digits", rule="No command", got="rnu", nearest="run",
          next="choose one of: compare, doctor, examine"),
    wrong("--journal", "x", "list", rule="command comes first", got="--journal",
          nearest="modelwright list --journal x"),
    wrong("run", "digts", rule="No experiment", got="digts", nearest="digits",
          next="write experiments/digts.yaml"),
    wrong("plan", "digts", rule="No experiment", got="digts", nearest="digits", next="choose one of"),
    wrong(*RUN, "--ammend", "why", rule="No option of modelwright run", got="--ammend", nearest="--amend",
          next="modelwright run --help"),
    wrong("list", "--lmit=3", rule="No option of modelwright list", got="--lmit", nearest="--limit"),
    wrong(*RUN, "seed=3", rule="No setting of a design", got="seed", nearest="seeds"),
    wrong(*RUN, "question.metrc=accuracy", rule="No setting of question", got="metrc", nearest="metric"),
    wrong(*RUN, "rule.lokos=[3,4]", rule="No setting of rule", got="lokos", nearest="looks"),
    wrong(*RUN, "split.tset=0.2", rule="No setting of split", got="tset", nearest="test"),
    wrong(*RUN, "variants.logistic.lerning_rate=1", rule="No setting of", got="lerning_rate",
          nearest="learning_rate"),
    wrong(*RUN, "question.metric=acuracy", rule="No metric", got="acuracy", nearest="accuracy"),
    wrong(*RUN, "variants.logistic.learner=logistic_regresion", rule="No learner", got="logistic_regresion",
          nearest="logistic_regression", next="file.py:function"),
    wrong(*RUN, "compare=[[convnet,logistik]]", rule="No variant", got="logistik", nearest="logistic"),
    wrong(*RUN, "variants.logistic={learner: sklearn.svm.SVCC}", rule="No class or module in sklearn.svm",
          got="SVCC", nearest="SVC"),
    wrong(*RUN, "variants.logistic={learner: sklern.svm.SVC}", rule="package sklern must be installed",
          got="no module sklern", nearest="sklearn", status=WORLD),
    wrong(*RUN, "+variants.svm={learner: sklearn.svm.SVC, kernl: rbf}", "~variants.logistic",
          "compare=[[convnet,svm]]", rule="No argument of sklearn.svm.SVC", got="kernl",
          nearest="kernel"),
    wrong(*RUN, "data.name=wines", rule="bundled with scikit-learn", got="wines", nearest="wine"),
    wrong(*RUN, "data.kind=sklern", rule="data.kind", got="sklern", nearest="sklearn"),
    wrong("run", "own", rule="No column", got="yy", nearest="y",
          files=own("{kind: csv, path: rows.csv, target: yy}", rows__csv=ROWS)),
    wrong("run", "own", rule="No column", got="patient", next="a, b, y",
          files=own("{kind: csv, path: rows.csv, target: y, group: patient}", "split: {kind: grouped}",
          rows__csv=ROWS)),
    wrong(*RUN, "split.kind=stratifyed", rule="split.kind", got="stratifyed", nearest="stratified"),
    wrong(*RUN, "scope=other_split", rule="scope", got="other_split", nearest="other_splits"),
    wrong(*RUN, "rule.spending=pocok", rule="rule.spending", got="pocok", nearest="pocock"),
    wrong(*RUN, "rule.kind=sequential", rule="rule.kind", got="sequential", nearest="group_sequential"),
    wrong(*RUN, "correction=holms", rule="correction", got="holms", nearest="holm"),
    wrong(*RUN, "accept=[diverged]", rule="kind of finding to accept", got="diverged",
          nearest="diverged-trial"),
    wrong(*RUN, "executor=kubernetes", rule="executor", got="kubernetes", next="choose one of: local, ray"),
    wrong(*RUN, "executor=raye", rule="executor", got="raye", nearest="ray"),
    wrong("help", "rnu", rule="No command, group of settings or kind of finding", got="rnu", nearest="run"),
    wrong("help", "run", "plan", rule="about one thing", got="run plan", nearest="modelwright help run"),
    wrong("scrutinize", "mine.py:gae", rule="needs FUNCTION and SUBJECT", got="no SUBJECT",
          nearest="modelwright scrutinize mine.py:gae ppo:gae"),
    wrong("scrutinize", "torch.nn.functional:relu", "ppo:gea", rule="No subject", got="ppo:gea",
          nearest="ppo:gae"),
    wrong("doctor", rule="needs SCRIPT", got="no SCRIPT", nearest="modelwright doctor train.py"),
    wrong("doctor", "-m", rule="-m names a module", got="nothing", nearest="-m package.train"),
    wrong("doctor", "--jsn", "train.py", rule="No option of modelwright doctor", got="--jsn",
          nearest="--json"),
    wrong("doctor", "--journal", "x", "train.py", rule="No option of modelwright doctor", got="--journal",
          nearest="--json"),
    wrong("examine", "model:make", "--journal", "x", rule="No option of modelwright exam", got="--journal",
          nearest="--json"),
    wrong("scrutinize", "--journal", "x", rule="No option of modelwright scrutinize", got="--journal",
          nearest="--json"),
    wrong("doctor", "trian.py", rule="script to be watched is a file", got="trian.py",
          next="give its path", status=3),
    wrong("practice", rule="needs ACTION", got="no ACTION", nearest="modelwright practice start*"),
    wrong("practice", "strat", rule="No action of modelwright practice", got="strat", nearest="start"),
    wrong("practice", "start", "--program", "digit_mlp", rule="No program of drills", got="digit_mlp",
          nearest="digits_mlp"),
    wrong("practice", "start", "--program", "digits_mlp", "--fault", "zero-grad-mising",
          rule="No fault of digits_mlp", got="zero-grad-mising", nearest="zero-grad-missing"),
    wrong("practice", "start", "--family", "valuebased", rule="No family of faults", got="valuebased",
          nearest="value-based"),
    wrong("practice", "start", "--difficulty", "4", rule="--difficulty is 1, 2 or 3", got="4",
          nearest="--difficulty 2"),
    wrong("practice", "start", "digits_mlp", rule="takes no more words", got="digits_mlp",
          nearest="modelwright practice start"),
    wrong("practice", "check", "--family", "data", rule="--family goes with start", got="practice check",
          nearest="modelwright practice start --family data"),
    wrong("practice", "hint", "--page", rule="--page goes with progress", got="practice hint",
          nearest="modelwright practice progress --page"),
    wrong("practice", "check", rule="project has a journal", got="no /", next="modelwright practice start",
          status=WORLD),
    wrong("examine", rule="needs FACTORY", got="no FACTORY", nearest="modelwright examine model.py:make"),
    wrong("examine", "model.py", rule="named file.py:make", got="model.py", nearest="model.py:make"),
    wrong("examine", "mdel.py:make", rule="factory's file must exist", got="mdel.py", nearest="*",
          status=WORLD),
    wrong("examine", "model.py:make", "--seconds", "0", rule="--seconds is a number", got="0",
          nearest="--seconds 90"),
    wrong("export", "mlfow", rule="No tracker", got="mlfow", nearest="mlflow"),
    wrong("list", "--status", "finnished", rule="status of a run", got="finnished", nearest="finished"),
]

VALUES = [
    wrong(*RUN, "seeds=0", rule="seeds must be a number at least 2", got="0", nearest="2",
          next="modelwright help design"),
    wrong(*RUN, "seeds=many", rule="seeds must be a whole number", got="many"),
    wrong(*RUN, "seeds=[1,2]", rule="seeds must be a whole number", got="[1, 2]"),
    wrong(*RUN, "seeds=3.5", rule="seeds must be a whole number", got="3.5"),
    wrong(*RUN, "split.test=1.5", rule="split.test is a share below 1 or a whole count", got="1.5"),
    wrong(*RUN, "split.test=100000", rule="leave rows to train on", got="100000", nearest="split.test=35",
          next="modelwright help split"),
    wrong(*RUN, "alpha=0.9", rule="alpha must be a number above 0 and below 0.5", got="0.9"),
    wrong(*RUN, "power=1", rule="power must be a number above 0 and below 1", got="1"),
    wrong(*RUN, "question.smallest_effect=0", rule="question.smallest_effect must be a number above 0",
          got="0", next="modelwright help question"),
    wrong(*RUN, "question.margin=nan", rule="question.margin must be a finite number", got="nan"),
    wrong(*RUN, "question.margin=inf", rule="question.margin must be a finite number", got="inf"),
    wrong(*RUN, "question.margin=2", rule="margin lies within the metric's range", got="2"),
    wrong(*RUN, "question.hypothesis=", rule="hypothesis", got="''", next="question.hypothesis"),
    wrong(*RUN, "variants.logistic.learning_rate=-1", rule="learning_rate must be a number above 0", got="-1",
          next="modelwright help"),
    wrong(*RUN, "variants.logistic.learning_rate=nan", rule="finite", got="nan"),
    wrong(*RUN, "variants.logistic.learning_rate=fast", rule="learning_rate must be a number", got="fast"),
    wrong(*RUN, "variants.logistic.updates=0", rule="updates must be a number at least 1", got="0",
          nearest="1"),
    wrong(*RUN, "budget.seconds=-1", rule="budget.seconds must be a number above 0", got="-1",
          next="modelwright help budget"),
    wrong(*RUN, "workers=0", rule="workers must be a number at least 1", got="0", nearest="1",
          next="modelwright help launch"),
    wrong(*RUN, "tolerance=-1", rule="tolerance must be a number at least 0", got="-1", nearest="0"),
    wrong(*RUN, "question.metric=rmse", rule="rmse is a metric of regression", got="rmse",
          nearest="accuracy"),
    wrong(*RUN, "rule.looks=[3,5]", rule="last look is at all 4 seeds", got="[3, 5]", nearest="[3, 4]"),
    wrong(*RUN, "rule.looks=[4,3]", rule="looks grow", got="(4, 3)", nearest="(3, 4)"),
    wrong(*RUN, "rule.looks=4", rule="rule.looks is a list", got="4", nearest="rule.looks=[4]"),
    wrong(*RUN, "rule.looks=[2,4]", rule="needs at least 3 seeds at every look", got="look 1 at 2 seeds",
          nearest="a first look at 3 seeds"),
    wrong(*RUN, "rule.test=sign_flip", rule="sign-flip test of 3 seeds cannot reach a level below 0.125",
          got="look 1 at 3 seeds", nearest="look 1 at 6 seeds", next="plan look 1 at 6 seeds"),
    wrong(*RUN, "rule.kind=fixed", rule="fixed rule does not use", got="4", next="leave out"),
    wrong(*RUN, "scope=this_test_set", rule="one split for all seeds", got="split.fixed=false",
          nearest="split.fixed=true"),
    wrong(*RUN, "~variants.logistic", rule="at least two variants", got="convnet"),
    wrong(*RUN, "+variants.third={learner: mlp}", rule="Every variant is part of a comparison", got="third"),
    wrong(*RUN, "seeds", rule="override is name=value", got="seeds", nearest="seeds=..."),
    wrong(*RUN, "seeds=4,8", rule="override gives one value", got="seeds=4,8", nearest="seeds=[4,8]"),
    wrong(*RUN, "question.hypothesis=a: b's", rule="Hydra's grammar", got="a: b's",
          nearest="question.hypothesis='a: b\\'s'"),
    wrong(*RUN, "--pilot", "3", rule="No option of modelwright run", got="--pilot"),
    wrong("plan", "digits", "--pilot", "0", rule="--pilot is a whole number, at least 1", got="0",
          nearest="--pilot 1"),
    wrong("plan", "digits", "--pilot", "1", rule="at least 2 seeds", got="1", next="raise --pilot"),
    wrong("plan", "digits", "--pilot", "few", rule="--pilot is a whole number", got="few",
          nearest="--pilot 1"),
    wrong("list", "--limit", "0", rule="--limit is a whole number, at least 1", got="0", nearest="--limit 1"),
    wrong("list", "--limit", "-1", rule="--limit is a whole number, at least 1", got="-1",
          nearest="--limit 1"),
    wrong("list", "--limit", "abc", rule="--limit is a whole number, at least 1", got="abc",
          nearest="--limit 1"),
    wrong("list", "--available", "--runs", rule="what can be run", got="--available and --runs",
          nearest="modelwright list --available"),
]

WORDS = [
    wrong("run", rule="modelwright run needs NAME", got="no NAME", nearest="modelwright run digits"),
    wrong("plan", rule="modelwright plan needs NAME", got="no NAME", nearest="modelwright plan digits"),
    wrong("compare", "digits", rule="compare needs OTHER", got="no OTHER",
          nearest="modelwright compare digits-convnet-00 digits-convnet-01",
          next="modelwright compare --help"),
    wrong("query", rule="query needs SQL", got="no SQL",
          nearest='modelwright query "SELECT variant, avg(score) FROM run GROUP BY variant"'),
    wrong(*RUN, "--amend", rule="is asked as its help says", got="expected one argument",
          nearest="modelwright run digits"),
    wrong("list", "digits", rule="list takes no more words", got="digits", nearest="modelwright list"),
    wrong("show", "digits", "twin", rule="show takes no more words", got="twin",
          nearest="modelwright show digits"),
    wrong("verify", "digits", rule="verify takes no more words", got="digits", nearest="modelwright verify"),
    wrong("rerun", "digits-convnet-00", "width", rule="change is SETTING=VALUE", got="width",
          nearest="width=..."),
    wrong("rerun", "digits-convnet-00", "--threads", "0", rule="--threads is a whole number, at least 1",
          got="0", nearest="--threads 1"),
    wrong("list", "--journal", "", rule="--journal names a folder", got="''",
          nearest="--journal .modelwright"),
]

FILES = [
    wrong("run", "gone.yaml", rule="file exists", got="gone.yaml", status=WORLD,
          next="modelwright run gone.yaml"),
    wrong("run", "digts.yaml", rule="file exists", got="digts.yaml", nearest="digits.yaml", status=WORLD,
          files={"digits.yaml": "seeds: 3\n"}),
    wrong("run", "folder.yaml", rule="file exists", got="is a folder", status=WORLD,
          files={"folder.yaml": None}),
    wrong("run", "own", rule="YAML", got="line 2", next="mend that line",
          files={"experiments/own.yaml": "seeds: [1,\nname: 2"}),
    wrong("run", "own", rule="text in UTF-8", got="byte 0xff in line 1",
          files={"experiments/own.yaml": b"\xff\xfe\x00bad\x80"}),
    wrong("run", "own", rule="says what the design is", got="own.yaml is empty",
          files={"experiments/own.yaml": ""}),
    wrong("run", "own", rule="question", got="nothing", files={"experiments/own.yaml": "seeds: 3\n"}),
    wrong("run", "own", rule="data file exists", got="rows.csv", status=WORLD, files=own(CSV)),
    wrong("run", "own", rule="data file exists", got="a folder", status=WORLD,
          files=own(CSV, rows__csv=None)),
    wrong("run", "own", rule="has rows", got="rows.csv is empty", files=own(CSV, rows__csv="")),
    wrong("run", "own", rule="has rows", got="only a header", files=own(CSV, rows__csv="a,b,y\n")),
    wrong("run", "own", rule="Every row has a target", got="y is missing in 1 of 40 rows", next="drop_rows",
          files=own(CSV, rows__csv=ROWS.replace("\n5,2,q", "\n5,2,"))),
    wrong("run", "own", rule="whole Parquet file", got="rows.parquet", next="again",
          files=own("{kind: parquet, path: rows.parquet, target: y}", rows__parquet=b"PAR1" + bytes(40))),
    wrong("run", "own", rule="needs data with a group column", got="none is named", next="split.kind=random",
          files=own(CSV, "split: {kind: grouped}", rows__csv=ROWS)),
    wrong(*RUN, "variants.logistic={learner: 'mine.py:train'}", rule="learner's file must exist",
          got="mine.py", nearest="model.py", status=WORLD),
    wrong(*RUN, "variants.logistic={learner: 'mine.py:train'}", rule="No function in mine.py", got="train",
          nearest="tain", files={"mine.py": "def tain(features, target, seed):\n    yield {}\n"}),
    wrong(*RUN, "variants.logistic={learner: 'mine.py:train'}", rule="must import without an error",
          got="SyntaxError", next="mend", files={"mine.py": "def train(features target):\n    pass\n"}),
    wrong(*RUN, "variants.logistic={learner: 'mine.py:train'}", rule="must import without an error",
          got="mine.py, line 2", files={"mine.py": "import os\nundefined\n"}),
    wrong(*RUN, "variants.logistic={learner: 'mine.py:train'}", rule="must import without an error",
          got="SystemExit", files={"mine.py": "raise SystemExit\n"}),
    wrong(*RUN, "--journal", "rows.csv", rule="journal is a folder", got="which is a file"),
    wrong("verify", "--journal", "experiments", rule="There is a journal in this folder", got="experiments",
          status=WORLD),
]

NOTHING = [
    wrong(*words, rule="has a journal once something ran", got=".modelwright", status=WORLD, next=NEW_JOURNAL)
    for words in (
        ("list",),
        ("show", "digits"),
        ("compare", "digits", "twin"),
        ("findings",),
        ("query", "SELECT 1"),
        ("verify",),
        ("report", "digits"),
        ("export", "mlflow"),
        ("rerun", "digits-convnet-00"),
        ("verify", "--journal", "elsewhere/.modelwright"),
    )
] + [
    wrong(*RUN, "--amend", "why", rule="amendment changes something registered", got="not registered yet",
          next="leave out --amend")
]

RECORD = [
    wrong(*RUN, "seeds=6", "rule.looks=[3,6]", rule="stays as it is", got="seeds: 4 -> 6", next="--amend"),
    wrong(*RUN, "variants.logistic.updates=30", rule="stays as it is", got="20 -> 30", next="--amend"),
    wrong(*RUN, "--amend", "no change", rule="amendment changes something", got="registered design",
          next="leave out --amend"),
    wrong(*RUN, "seeds=6", "rule.looks=[3,6]", "--amend", "", rule="amendment has a reason", got="''",
          next="--amend 'reason'"),
    wrong("list", "--experiment", "digts", rule="No experiment on record", got="digts", nearest="digits"),
    wrong("list", "--variant", "convnett", rule="No variant on record", got="convnett", nearest="convnet"),
    wrong("show", "digts", rule="No experiment, design or run", got="digts", nearest="digits",
          next="modelwright list"),
    wrong("show", "digits-convnet-99", rule="No experiment, design or run", got="digits-convnet-99",
          nearest="digits-convnet-0*"),
    wrong("show", "digits-convnet", rule="fits one run only", got="digits-convnet-00",
          next="type more of it"),
    wrong("show", "", rule="No experiment, design or run", got="''", next="modelwright list"),
    wrong("compare", "digits", "twyn", rule="No experiment, design or run", got="twyn", nearest="twin"),
    wrong("compare", "digits", "digits-convnet-00", rule="run is compared with a run",
          got="digits and digits-", next="modelwright list"),
    wrong("compare", "digits", "digits", rule="Two different things", got="twice", next="modelwright list"),
    wrong("findings", "treees", rule="No experiment on record", got="treees", nearest="trees"),
    wrong("report", "digts", rule="No registered experiment", got="digts", nearest="digits"),
    wrong("export", "mlflow", "digts", rule="No experiment on record", got="digts", nearest="digits"),
    wrong("export", "mlflow", "digits", "--to", "nonsense://x", rule="MLflow takes what is exported",
          got="nonsense://x", next="look at the address", status=WORLD, slow=True),
    wrong("rerun", "digts-convnet-00", rule="No run", got="digts-convnet-00", next="modelwright list --runs",
          nearest="digits-convnet-0*"),
    wrong("rerun", "digits-conv", rule="fits one run only", got="digits-conv: digits-convnet-00",
          next="type more of it"),
    wrong("query", "", rule="one SELECT", got="0 statements"),
    wrong("query", "SELEC 1", rule="SQL that DuckDB understands", got="SELEC", next="the tables are"),
    wrong("query", "SELECT * FROM runs", rule="No table of the journal", got="runs", nearest="run"),
    wrong("query", "SELECT varaint FROM run", rule="SQL that DuckDB understands", got='"variant"'),
    wrong("query", "DELETE FROM run", rule="A question only reads", got="DELETE", next="SELECT"),
    wrong("query", "SELECT 1; SELECT 2", rule="one SELECT", got="2 statements"),
    wrong("query", "SELECT * FROM read_csv('rows.csv')", rule="reads the journal only", got="rows.csv",
          next="ask over entry"),
]
# fmt: on
for row in RECORD:
    object.__setattr__(row.values[0], "finished", True)

TABLE = [*NAMES, *VALUES, *WORDS, *FILES, *NOTHING, *RECORD]


def prepared(row: Wrong, finished: Path, new_project: Path) -> Path:
    """Return the folder to ask in, with the row's files."""
    if row.finished:
        assert not row.files
        return finished
    for name, content in row.files.items():
        place = new_project / name
        if content is None:
            place.unlink(missing_ok=True)
            place.mkdir(parents=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)
    if "rows.csv" not in row.files and "experiments/own.yaml" in row.files:
        (new_project / "rows.csv").unlink()
    return new_project


def state(root: Path) -> tuple[int, str | None]:
    """Return number and hash of the journal's newest entry; (0, None) where there is no journal."""
    project = Project.find(root)
    if not project.journal_folder.exists():
        return 0, None
    with project.open_journal(read_only=True) as journal:
        verification = journal.verify()
        assert verification.ok
        return verification.entries, verification.head if verification.entries else None


def parts(error: str) -> dict[str, str]:
    """Return what a printed error says by part; notes are left out."""
    found: dict[str, str] = {}
    part = ""
    for line in error.splitlines():
        if line.startswith("modelwright: "):
            part = "rule"
            found[part] = line.removeprefix("modelwright: ")
        elif line[2:11].strip() in ("got", "nearest", "next") and line[:2] == "  ":
            part = line[2:11].strip()
            found[part] = line[11:]
        elif line.startswith(" " * 11):
            found[part] += "\n" + line[11:]
    return found


def holds(expected: str | None, said: str | None) -> bool:
    if expected is None or said is None or not expected.endswith("*"):
        return expected == said
    return said.startswith(expected[:-1])


@pytest.mark.parametrize("row", TABLE)
def test_wrong_input_names_the_rule_what_it_got_the_nearest_and_the_next_step(
    row: Wrong, finished: Path, new_project: Path, call: Call, trains_here: None
) -> None:
    root = prepared(row, finished, new_project)
    before = state(root)

    said = call(root, row.words)
    text = parts(said.err)
    assert said.status == row.status, said
    assert "Traceback" not in said.err
    assert said.out == ""
    assert row.rule in text["rule"]
    assert row.got in text["got"]
    assert holds(row.nearest, text.get("nearest"))
    assert row.next in text["next"]
    assert text["next"].strip()

    first = row.words[0] if row.words else ""
    passes_on = first in COMMANDS and COMMANDS[first].passes_on
    words = [first, "--json", *row.words[1:]] if passes_on else [*row.words, "--json"]
    machine = call(root, words)
    record = json.loads(machine.out)
    assert machine.status == row.status
    assert set(record) == {"error", "rule", "got", "nearest", "next_step", "notes"}
    assert record["rule"].rstrip(".") == text["rule"].rstrip(".")
    if row.words[-1] != "--amend":  # there --json stands where the reason is missing
        assert record["got"].strip() == text["got"]
        assert record["next_step"].removesuffix(" --json") == text["next"]
    assert (record["nearest"] or "").removesuffix(" --json") == text.get("nearest", "")
    assert "modelwright: " not in machine.err

    assert state(root) == before


def test_the_table_is_as_large_as_promised_and_asks_every_command() -> None:
    rows = [row.values[0] for row in TABLE]
    assert len(rows) >= 100
    assert len({row.words for row in rows}) >= 95
    assert {row.words[0] for row in rows} >= set(COMMANDS)


# ---- what cannot be trusted ----


def rewrite(folder: Path) -> None:
    """Change a number of a look, as somebody could who opens the database."""
    with contextlib.closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        changed = connection.execute(
            "UPDATE entry SET body = replace(body, '\"decision\":', '\"decisive\":') WHERE kind = 'look'"
        )
        assert changed.rowcount


def cut(folder: Path) -> None:
    file = folder / "journal.db"
    file.write_bytes(file.read_bytes()[:5000])


def overwrite(folder: Path) -> None:
    (folder / "journal.db").write_bytes(b"no database at all " * 500)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (rewrite, ("verify",)),
        (rewrite, RUN),
        (cut, ("verify",)),
        (cut, ("show", "digits")),
        (overwrite, ("list",)),
        (overwrite, RUN),
    ],
)
def test_a_spoilt_record_is_not_trusted(
    spoil: Callable[[Path], None], words: tuple[str, ...], finished: Path, tmp_path: Path, call: Call
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(finished, root)
    spoil(root / ".modelwright")
    said = call(root, words)
    assert said.status == UNTRUSTED
    assert "Traceback" not in said.err + said.out
    if (spoil, words[0]) == (rewrite, "verify"):
        assert "Entry" in said.out
        assert "is broken" in said.out
        assert json.loads(call(root, [*words, "--json"]).out)["ok"] is False
    else:
        text = parts(said.err)
        assert text["rule"]
        assert text["got"]
        assert text["next"]


def test_an_option_of_a_script_is_not_taken_for_ours(new_project: Path, call: Call) -> None:
    said = call(new_project, ["doctor", "trian.py", "--json"])
    assert said.status == WORLD
    assert said.out == ""
    assert "trian.py" in parts(said.err)["got"]


# ---- as a process of its own ----


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (("rnu",), MISUSE, "nearest  run"),
        ((*RUN, "seeds=0"), MISUSE, "nearest  2"),
        (("list",), WORLD, "next     modelwright run digits"),
    ],
)
def test_a_process_ends_with_the_status_and_the_words(
    words: tuple[str, ...], status: int, expected: str, new_project: Path, apart: Callable[..., Said]
) -> None:
    said = apart(new_project, words)
    assert said.status == status
    assert expected in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_a_fault_of_our_own_is_told_from_a_wrong_request(
    new_project: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(root: Path) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("modelwright.lab.compose.list_experiments", fail)
    said = call(new_project, ["list", "--available", "--json"])
    assert said.status == 70
    assert json.loads(said.out)["error"] == "Fault"
    assert "planted" in said.err
    assert "fault of Modelwright" in said.err
