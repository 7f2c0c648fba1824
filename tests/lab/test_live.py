import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from modelwright.base.finding import Finding, Severity
from modelwright.experiment.design import Design
from modelwright.experiment.look import Look, evaluate_look
from modelwright.experiment.verdict import Verdict, judge
from modelwright.lab.project import Project
from modelwright.lab.run import run_design
from modelwright.lab.watch.live import LiveView, make_view
from modelwright.lab.watch.plain import PlainView
from modelwright.lab.wording import clean, describe_finding

NAMES = ("forest", "boosting", "logistic", "nearest_neighbours")
LEAK = Finding(
    kind="feature-equals-target", severity=Severity.SEVERE, title="leak is the target itself.", subject="leak"
)
CONSTANT = Finding(kind="constant-column", severity=Severity.INFO, title="3 of 64 features are constant.")


class Terminal(io.StringIO):
    """Looks like a terminal to whoever asks."""

    def isatty(self) -> bool:
        return True


class HandClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> Any:
        raise NotImplementedError


def terminal(width: int = 80, height: int = 24, **more: Any) -> Console:
    return Console(file=Terminal(), force_terminal=True, width=width, height=height, highlight=False, **more)


def seen(console: Console) -> str:
    """Return everything that was written, without the terminal's codes."""
    text = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x1b]*\x1b\\", "", text)


class Story:
    """An experiment of one to three comparisons with made-up results, told to a view."""

    def __init__(self, comparisons: int, tmp_path: Path, **more: Any) -> None:
        names = NAMES[: comparisons + 1]
        self.design = Design.from_mapping(
            {
                "name": "story",
                "question": {
                    "hypothesis": "A forest names a wine's cultivar more often than the others.",
                    "metric": "accuracy",
                    "margin": 0.01,
                    "smallest_effect": 0.02,
                },
                "data": {"kind": "sklearn", "name": "wine"},
                "variants": {name: {"learner": "mlp"} for name in names},
                "compare": [["forest", name] for name in names[1:]],
                "seeds": 16,
                "rule": {"kind": "group_sequential", "looks": [4, 8, 12, 16]},
                **more,
            }
        )
        self.rule = self.design.shared_rule()
        self.prepared: Any = SimpleNamespace(
            design=self.design, rule=self.rule, project=Project.find(tmp_path, journal=Path(".modelwright"))
        )
        random = np.random.default_rng(1)
        means = (0.93, 0.93, 0.9, 0.7)
        self.results = {name: random.normal(mean, 0.02, 16) for name, mean in zip(names, means, strict=False)}

    def looks(self) -> list[Look]:
        looks: list[Look] = []
        for index, seeds in enumerate(self.rule.looks):
            previous = looks[-1] if looks else None
            results = {name: values[:seeds] for name, values in self.results.items()}
            looks.append(
                evaluate_look(
                    self.design.question,
                    self.rule,
                    self.design.compare,
                    results,
                    index=index,
                    previous=previous,
                )
            )
            if looks[-1].stop:
                break
        return looks

    def verdict(self, *reasons: str) -> Verdict:
        return judge(
            self.design.question,
            self.looks()[-1].comparisons(),
            scope="other_splits",
            assumption="the differences are close to normal",
            reasons=reasons,
        )

    def tell(self, view: Any, *findings: Finding, accepted: bool = False, report: Path | None = None) -> None:
        view.opened(self.prepared, resumed=False)
        for finding in findings:
            view.found(finding, accepted=accepted)
        done = 0
        for look in self.looks():
            if look.index == 1:
                view.reused("forest", 4)
            for count in range(done, look.seeds + 1):
                progress = dict.fromkeys(look.means, (count, look.seeds))
                view.trained(progress, updates=dict.fromkeys(look.means, 100 * count))
            if look.index == 2:
                view.lost("forest", "killed by SIGKILL")
            view.looked(look)
            done = look.seeds
        reasons = [
            finding.title for finding in findings if finding.severity is Severity.SEVERE and not accepted
        ]
        view.judged(self.verdict(*reasons), report)


# ---- which view ----


def test_a_terminal_gets_the_live_view_and_a_pipe_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert isinstance(make_view(terminal()), LiveView)
    assert isinstance(make_view(Console(file=io.StringIO())), PlainView)
    # Colours that are forced into a log do not make it a terminal.
    assert isinstance(make_view(Console(file=io.StringIO(), force_terminal=True)), PlainView)


def test_ci_and_dumb_terminals_get_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert isinstance(make_view(terminal()), PlainView)
    monkeypatch.delenv("CI")
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_view(Console(file=Terminal(), force_terminal=True)), PlainView)


# ---- plain lines ----


def test_plain_lines_tell_every_event_of_a_real_experiment_in_order(
    tmp_path: Path, small_design: Design, here: Any
) -> None:
    written = io.StringIO()
    project = Project.find(tmp_path, journal=Path(".modelwright"))
    result = run_design(small_design, project, executor=here, view=PlainView(written))
    lines = written.getvalue().splitlines()
    assert [line.partition(":")[0] for line in lines if not line.startswith("trials")] == [
        *("experiment", "hypothesis", "metric", "rule"),
        *("look 1 of 2", "look 1 of 2", "look 1 of 2", "look 2 of 2", "look 2 of 2", "look 2 of 2"),
        *("verdict", "scope", "report", "next", "next", "next", "next"),
    ]
    trials = [line for line in lines if line.startswith("trials")]
    assert trials[0] == "trials: bayes 0 of 3, softmax 0 of 3"
    assert trials[-1] == "trials: bayes 4 of 4, softmax 4 of 4"
    assert len(trials) == len(set(trials))
    assert f"verdict: {result.verdict.sentence}" in lines
    assert f"report: {result.report}" in lines
    first = result.looks[0].readings[0].interval
    assert (
        f"{first.show(first.estimate)} ({first.show(first.low)} to {first.show(first.high)})"
        in written.getvalue()
    )
    assert "next: modelwright rerun small-bayes-00" in written.getvalue()

    again = io.StringIO()
    run_design(small_design, project, executor=here, view=PlainView(again))
    assert "experiment: small, going on where it stopped" in again.getvalue()
    assert "reused: 3 trials of bayes on record already: identical, not run again" in again.getvalue()
    assert "reused: 1 trial of softmax" in again.getvalue()


def test_plain_lines_hold_no_control_characters_whatever_a_column_is_called(tmp_path: Path) -> None:
    written = io.StringIO()
    nasty = Finding(
        kind="constant-column",
        severity=Severity.WARNING,
        title="the column a\x1b[2J\nb\u202e\x07 is constant.",
    )
    Story(2, tmp_path).tell(PlainView(written), nasty)
    assert not [sign for sign in written.getvalue() if not sign.isprintable() and sign != "\n"]
    assert r"warning: the column a\x1b[2J b\x202e\x07 is constant. (constant-column)" in written.getvalue()


def test_plain_lines_reach_a_file_that_knows_ascii_only(tmp_path: Path) -> None:
    raw = io.BytesIO()
    written = io.TextIOWrapper(raw, encoding="ascii")
    umlaut = Finding(kind="constant-column", severity=Severity.INFO, title="Größe is constant.")
    Story(1, tmp_path).tell(PlainView(written), umlaut)
    assert rb"Gr\xf6\xdfe is constant." in raw.getvalue()


def test_a_reader_that_goes_away_does_not_stop_the_experiment(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "from test_live import CONSTANT, PlainView, Story\n"
        f"story = Story(1, Path({str(tmp_path)!r}))\n"
        "sys.stdin.readline()\n"
        "story.tell(PlainView(), *[CONSTANT] * 20)\n"
        "Path('done').write_text('yes')\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.write(b"go\n")
    process.stdin.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0, complaint
    assert complaint == b""
    assert (tmp_path / "done").read_text() == "yes"


# ---- findings ----


def test_a_severe_finding_announces_an_invalid_verdict_unless_the_design_accepts_it(tmp_path: Path) -> None:
    for view_of in (
        lambda: (console := terminal(), LiveView(console)),
        lambda: (console := Console(file=io.StringIO()), PlainView(console.file)),
    ):
        console, view = view_of()
        Story(1, tmp_path).tell(view, CONSTANT, LEAK)
        text = " ".join(seen(console).split())
        assert "the verdict will be invalid" in text
        assert "modelwright findings story" in text
        console, view = view_of()
        Story(1, tmp_path).tell(view, CONSTANT, LEAK, accepted=True)
        text = " ".join(seen(console).split())
        assert "The design accepts it." in text
        assert "the verdict will be invalid" not in text
        assert "modelwright findings story" not in text
    assert "invalid" not in describe_finding(CONSTANT, accepted=False)


def test_clean_keeps_letters_of_every_script_and_no_control_character() -> None:
    assert clean("Größe\tin  cm\n温度 ½") == "Größe in cm 温度 ½"
    assert clean("a\x00b\x9bc") == r"a\x00b\x9bc"


# ---- the live page ----


@pytest.mark.parametrize("comparisons", [1, 2, 3])
def test_the_last_page_holds_every_look_the_verdict_the_report_and_what_to_try(
    comparisons: int, tmp_path: Path
) -> None:
    console = terminal(height=20)
    story = Story(comparisons, tmp_path)
    with LiveView(console) as view:
        story.tell(view, CONSTANT, report=tmp_path / "reports" / "story.html")
    page = seen(console)
    last = page[page.rindex("story  A forest") :]
    for look in story.looks():
        for reading in look.readings:
            if reading.look == look.index:
                shown = reading.interval.show
                assert f"{shown(reading.interval.estimate)} ({shown(reading.interval.low)} to" in last
    for reading in story.looks()[-1].readings:
        assert f"{reading.candidate} over {reading.baseline}" in last
        assert reading.says in last
    together = " ".join(last.split())
    assert story.verdict().sentence in together
    assert story.verdict().speaks_of in together
    assert f"Report {tmp_path}/reports/story.html" in together
    for command in ("show story", "rerun story-forest-00", "verify", "list"):
        assert f"modelwright {command}" in together
    assert "reused" in last
    assert "lost" in last


@pytest.mark.parametrize("comparisons", [1, 2, 3])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 16), (50, 24), (120, 50), (40, 20)])
def test_the_page_fits_the_screen_at_every_moment_and_always_says_what_is_going_on(
    comparisons: int, width: int, height: int, tmp_path: Path
) -> None:
    console = terminal(width, height)
    view = LiveView(console, clock=HandClock())
    story = Story(comparisons, tmp_path)
    page = view._page
    moments = 0

    def check() -> None:
        nonlocal moments
        moments += 1
        lines = console.render_lines(page.draw(console, seconds=75.0), pad=False)
        texts = ["".join(segment.text for segment in line) for line in lines]
        assert len(texts) < height
        assert all(len(text) <= width for text in texts)
        if page.looks and width >= 80 and height >= 24:  # nothing that counts is cropped
            decision = f"look {len(page.looks)} of 4: {'stop' if page.looks[-1].stop else 'go on'}"
            assert any(decision in text for text in texts)
        if page.doing:
            assert texts[-1].rstrip().endswith("1:15")

    class Watched:
        def __getattr__(self, name: str) -> Any:
            def told(*values: Any, **more: Any) -> None:
                getattr(view, name)(*values, **more)
                if name != "judged":  # then everything is shown, however long
                    check()

            return told

    story.tell(Watched(), CONSTANT, LEAK)
    assert moments > 10


def test_narrow_terminals_keep_the_bar_and_give_up_the_means(tmp_path: Path) -> None:
    wide, narrow = terminal(100), terminal(60)
    for console in (wide, narrow):
        with LiveView(console) as view:
            Story(1, tmp_path).tell(view)
    assert re.search(r"seeds +forest +boosting +difference", seen(wide))
    assert not re.search(r"seeds +forest", seen(narrow))
    assert "●" in seen(narrow)


def test_the_report_is_a_link_on_a_terminal_and_a_path_elsewhere(tmp_path: Path) -> None:
    report = tmp_path / "a folder" / "story.html"
    console = terminal()
    Story(1, tmp_path).tell(LiveView(console), report=report)
    assert f"{report.as_uri()}\x1b\\" in console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert str(report) in seen(console)
    plain = terminal(no_color=True, color_system=None)
    Story(1, tmp_path).tell(LiveView(plain), report=report)
    assert "\x1b]8;" not in plain.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert str(report) in seen(plain)


def test_the_terminal_is_put_right_when_the_experiment_fails(tmp_path: Path) -> None:
    console = terminal()
    view = LiveView(console)

    def fail() -> None:
        with view:
            view.opened(Story(1, tmp_path).prepared, resumed=True)
            raise RuntimeError("no disk")

    with pytest.raises(RuntimeError, match="no disk"):
        fail()
    written = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert "\x1b[?25l" in written
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
    assert "going on where an earlier call stopped" in written
    view.close()


def test_a_real_experiment_is_shown_live(
    tmp_path: Path, small_project: Project, small_design: Design, here: Any
) -> None:
    shutil.copytree(small_project.root, tmp_path / "copy")
    console = terminal()
    project = Project.find(tmp_path / "copy", journal=Path(".modelwright"))
    with LiveView(console) as view:
        result = run_design(small_design, project, executor=here, view=view)
    page = " ".join(seen(console).split())
    assert result.verdict.sentence in page
    assert "look 2 of 2: stop: The comparison is open and all 4 seeds are spent." in page
    assert page.count("bayes over softmax") >= 2


def test_commands_name_a_journal_that_they_would_not_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELWRIGHT_JOURNAL", raising=False)
    monkeypatch.chdir(tmp_path)
    story = Story(1, tmp_path)
    written = io.StringIO()
    story.tell(PlainView(written))
    assert "--journal" not in written.getvalue()
    story.prepared.project = Project.find(tmp_path, journal=Path("a journal"))
    story.tell(PlainView(written))
    assert "modelwright show story --journal 'a journal'" in written.getvalue()
