"""The tests that are too long for every day, run once, with what they measured.

Run as `python benchmarks/long_tests.py`; it writes `benchmarks/results/long_tests.md` and ends with pytest's
status.
"""

import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
MEASURED = "measured: "
RESULT = ROOT / "benchmarks" / "results" / "long_tests.md"
PYTEST = [
    "-m",
    "slow",
    "-p",
    "no:cacheprovider",
    "-o",
    "junit_logging=system-out",
    "-o",
    "console_output_style=count",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One test, or all cases of one.

    Attributes:
        room: The folder of tests.
        name: The sentence that its name is.
        cases: Number of cases.
        bad: How cases ended that did not pass.
        seconds: Seconds of all cases.
        said: What it measured, in words.
    """

    room: str
    name: str
    cases: int
    bad: tuple[str, ...]
    seconds: float
    said: tuple[str, ...]


def read_report(file: Path) -> list[Ended]:
    """Return the tests of a JUnit report, cases of one test together, in its order."""
    cases: dict[tuple[str, str], list[ElementTree.Element]] = {}
    for case in ElementTree.parse(file).getroot().iter("testcase"):
        room = case.get("classname", "").split(".")[1]
        cases.setdefault((room, case.get("name", "").partition("[")[0]), []).append(case)
    return [
        Ended(
            room=room,
            name=name.removeprefix("test_").replace("_", " "),
            cases=len(group),
            bad=tuple(
                kind
                for case in group
                for kind in ("failure", "error", "skipped")
                if case.find(kind) is not None
            ),
            seconds=sum(float(case.get("time", 0)) for case in group),
            said=tuple(line for case in group for line in said_in(case)),
        )
        for (room, name), group in cases.items()
    ]


def said_in(case: ElementTree.Element) -> list[str]:
    """Return what a test printed after `measured: `."""
    lines = (case.findtext("system-out") or "").splitlines()
    return [line.removeprefix(MEASURED) for line in lines if line.startswith(MEASURED)]


def write_page(tests: list[Ended]) -> str:
    """Return the results as Markdown."""
    bad = sum(len(test.bad) for test in tests)
    minutes = sum(test.seconds for test in tests) / 60
    lines = [
        "# Long tests",
        "",
        "Made by `python benchmarks/long_tests.py`: the tests marked `slow`, which `make test` leaves out.",
        "",
        f"Machine: {platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
        f"{sum(test.cases for test in tests)} cases in {minutes:.0f} minutes; "
        f"{f'{bad} did not pass' if bad else 'all passed'}.",
        "",
        "| room | test | cases | result | seconds |",
        "|---|---|--:|---|--:|",
        *(
            f"| {test.room} | {test.name} | {test.cases} | {', '.join(test.bad) or 'passed'} "
            f"| {test.seconds:.0f} |"
            for test in tests
        ),
        "",
        "What they measured:",
        "",
        *(f"- {test.name}: {line}" for test in tests for line in test.said),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the tests and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", *PYTEST, f"--junitxml={report}", *sys.argv[1:]]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
        if report.exists():
            RESULT.write_text(write_page(read_report(report)), encoding="utf-8")
            print(f"written: {RESULT}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
