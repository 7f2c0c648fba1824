"""A run is executed again from its record; each answer and each cause comes from a real repetition."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rerun_project import Elsewhere, frozen_package, named, record, record_project, write_project, write_rows

import modelwright
from modelwright.base.errors import SourceMissing, UnknownName
from modelwright.lab.lineage.answer import RerunAnswer
from modelwright.lab.lineage.comparison import Sameness
from modelwright.lab.project import Project
from modelwright.lab.rerun.rerun import rerun_run

BITWISE, NUMERICALLY = Sameness.BITWISE_EQUAL, Sameness.NUMERICALLY_EQUAL
STATISTICALLY, DIFFERENT = Sameness.STATISTICALLY_EQUAL, Sameness.DIFFERENT


@pytest.fixture(scope="module", autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("package")
    with frozen_package(folder):
        yield folder / "modelwright"


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take back what loading a learner appends to the import path: here a copy of another test's project."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "/project" not in entry])


@pytest.fixture(scope="module")
def lines(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return record_project(tmp_path_factory.mktemp("lines") / "project")


@pytest.fixture
def project(lines: Project, tmp_path: Path) -> Project:
    shutil.copytree(lines.root, tmp_path / "project")
    return Project.find(tmp_path / "project", journal=Path(".modelwright"))


def because(answer: RerunAnswer) -> str:
    """Return the reason that the answer's sentence gives."""
    return answer.sentence.partition("most likely because of ")[2]


# ---- the four answers ----


def test_a_sound_run_repeats_to_the_last_bit_and_nothing_differs(project: Project) -> None:
    answer = rerun_run("lines-plain-00", project)
    assert answer.sameness is BITWISE
    assert named(answer) == []
    assert answer.comparison.numbers == 8  # loss and test_rmse at four updates
    assert answer.learnt.same
    assert answer.next_check == ""


def test_what_a_repetition_showed_is_entered_in_the_journal(project: Project) -> None:
    answer = rerun_run("lines-plain-01", project, changes={"rate": 0.05}, threads=2)
    with project.open_journal(read_only=True) as journal:
        (entry,) = journal.entries(kind="rerun")
        assert entry.run == journal.run("lines-plain-01").run
        assert entry.body == {
            **answer.record(),
            "asked": {"changes": {"rate": 0.05}, "here": False, "threads": 2},
        }
        assert journal.verify().ok


def test_a_learner_that_draws_from_the_global_state_repeats_because_each_trial_has_its_own(
    project: Project,
) -> None:
    assert rerun_run("lines-worldly-02", project).sameness is BITWISE


@pytest.mark.slow
def test_another_order_of_sums_is_numerically_equal_and_threads_are_named(project: Project) -> None:
    answer = rerun_run("lines-parted-00", project, threads=7)
    assert answer.sameness is NUMERICALLY
    assert 0 < answer.comparison.largest_relative < 1e-5
    assert named(answer) == [("environment", "threads")]
    assert because(answer).startswith("environment: threads of numerical libraries were 1 and are 7")
    assert rerun_run("lines-parted-00", project).sameness is BITWISE
    assert rerun_run("lines-plain-00", project, threads=2).sameness is BITWISE


@pytest.mark.slow
def test_the_same_change_is_not_numerically_equal_to_a_stricter_design(tmp_path: Path) -> None:
    variants = ("parted", "plain")
    project = record_project(tmp_path / "strict", variants=variants, tolerance=1e-12, seeds=3)
    answer = rerun_run("lines-parted-00", project, threads=7)
    # Two other seeds are too few to say that the score is a usual one.
    assert answer.sameness is DIFFERENT
    assert "2 other seeds of the variant have a score on record, and it takes 3" in answer.sentence


def test_a_learner_with_a_little_noise_of_its_own_is_statistically_equal_and_named_nondeterministic(
    project: Project,
) -> None:
    answer = rerun_run("lines-noisy-01", project)
    assert answer.sameness is STATISTICALLY
    assert answer.other_seeds == 4
    assert "it departs at test_rmse, update 3" in answer.sentence
    assert "nondeterminism" in answer.sentence
    assert named(answer) == []
    assert answer.interval is not None
    assert answer.interval[0] < answer.score_now < answer.interval[1]
    assert answer.score_now != answer.score_recorded


@pytest.mark.slow
def test_a_learner_that_draws_from_the_clock_is_found_out_at_its_first_update(project: Project) -> None:
    answer = rerun_run("lines-timed-01", project)
    assert answer.sameness is STATISTICALLY
    assert "it departs at loss, update 1" in answer.sentence
    assert "nondeterminism" in answer.sentence
    assert "clocks" in answer.next_check
    assert "beside 4 other seeds" in answer.next_check


def test_a_result_that_no_seed_had_is_different_and_no_cause_is_made_up(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWAY", "3")
    answer = rerun_run("lines-swayed-00", project)
    assert answer.sameness is DIFFERENT
    assert named(answer) == []
    assert "outside" in answer.sentence
    assert "nondeterminism" in answer.sentence


@pytest.mark.slow
def test_a_sway_inside_the_spread_of_seeds_is_statistically_equal_and_one_outside_is_not(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = rerun_run("lines-swayed-00", project)
    assert answer.sameness is BITWISE
    with project.open_journal(read_only=True) as journal:
        scores = [row.score for row in journal.runs(variant="swayed") if row.seed_index != 0]
    reach = 3.182446305 * float(np.std(np.array(scores), ddof=1)) * 2**0.5  # t of 0.975 at 3 degrees
    verdicts: dict[Sameness, float] = {}
    for sway in (0.05, 9.0):
        monkeypatch.setenv("SWAY", str(sway))
        answer = rerun_run("lines-swayed-00", project)
        inside = abs(answer.score_now - answer.score_recorded) <= reach
        assert answer.sameness is (STATISTICALLY if inside else DIFFERENT)
        verdicts[answer.sameness] = sway
    assert set(verdicts) == {STATISTICALLY, DIFFERENT}


def test_a_run_that_diverged_diverges_again_bit_for_bit(project: Project) -> None:
    answer = rerun_run("lines-diverging-00", project)
    assert answer.sameness is BITWISE
    assert np.isnan(answer.score_now)
    assert answer.record()["score_now"] == "nan"


# ---- the five causes, one at a time ----


def test_code_recorded_source_is_restored_and_the_edited_one_is_named(project: Project) -> None:
    path = project.root / "settings.py"
    path.write_text(path.read_text().replace("1.0", "1.5"))
    assert named(rerun_run("lines-plain-00", project)) == []
    assert rerun_run("lines-plain-00", project).sameness is BITWISE
    answer = rerun_run("lines-plain-00", project, here=True)
    assert answer.sameness in (STATISTICALLY, DIFFERENT)
    assert named(answer) == [("code", "settings.py")]
    assert because(answer).startswith("code: file settings.py changed")
    assert "it departs at loss, update 2" in answer.sentence


def test_code_that_did_not_run_ranks_behind_code_that_did(project: Project) -> None:
    (project.root / "notes.py").write_text("# edited too\n")
    (project.root / "learners.py").write_text(
        (project.root / "learners.py").read_text().replace("rate *", "2 * rate *")
    )
    answer = rerun_run("lines-plain-00", project, here=True)
    assert named(answer) == [("code", "learners.py"), ("code", "notes.py")]
    (project.root / "learners.py").unlink()
    with pytest.raises(SourceMissing, match="learner's file must exist"):
        rerun_run("lines-plain-00", project, here=True)
    assert rerun_run("lines-plain-00", project).sameness is BITWISE


def test_code_of_modelwright_itself_is_named(
    project: Project, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(package, tmp_path / "other" / "modelwright")
    metric = tmp_path / "other" / "modelwright" / "base" / "metric.py"
    text = metric.read_text()
    assert text.count("np.sqrt(np.mean(") == 1
    metric.write_text(text.replace("np.sqrt(np.mean(", "5 * np.sqrt(np.mean("))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "other"), *sys.path])
    answer = rerun_run("lines-plain-00", project)
    assert answer.sameness is DIFFERENT
    assert answer.score_now == pytest.approx(5 * answer.score_recorded)
    assert named(answer) == [("code", "modelwright/base/metric.py")]
    assert because(answer).startswith("code: file modelwright/base/metric.py changed")


def test_config_a_changed_setting_is_named(project: Project) -> None:
    answer = rerun_run("lines-plain-00", project, changes={"rate": 1.9})
    assert answer.sameness in (STATISTICALLY, DIFFERENT)
    assert named(answer) == [("config", "variant.rate")]
    assert because(answer).startswith("config: variant.rate was 0.1 and is 1.9")
    assert "Put variant.rate back" in answer.next_check
    same = rerun_run("lines-plain-00", project, changes={"rate": 0.1})
    assert (same.sameness, named(same)) == (BITWISE, [])
    with pytest.raises(modelwright.errors.Misuse, match="rate"):
        rerun_run("lines-plain-00", project, changes={"ratte": 0.5})


def test_data_an_edited_file_is_named_with_both_hashes(project: Project) -> None:
    write_rows(project.root / "rows.csv", shift=9.0)
    answer = rerun_run("lines-plain-00", project)
    assert answer.sameness is DIFFERENT
    first = answer.differences[0]
    assert (first.side, first.what) == ("data", "identity")
    assert {side for side, _ in named(answer)} == {"data"}
    with project.open_journal(read_only=True) as journal:
        registered = journal.registrations("lines")[0].body["data"]
    assert first.recorded == registered
    assert first.now != registered
    assert because(answer).startswith(
        f"data: the identity of the data's rows was {registered[:12]} and is {first.now[:12]}"
    )


def test_data_another_file_with_the_same_rows_changes_nothing(project: Project) -> None:
    path = project.root / "rows.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    answer = rerun_run("lines-plain-00", project)
    assert answer.sameness is BITWISE
    assert set(named(answer)) == {("data", "origin.bytes"), ("data", "origin.sha256")}
    assert "That holds although" in answer.sentence


def test_data_a_deleted_file_is_a_clear_error_that_says_what_was_there(project: Project) -> None:
    path = project.root / "rows.csv"
    size = path.stat().st_size
    path.rename(project.root / "row.csv")
    with pytest.raises(SourceMissing, match="data file exists") as raised:
        rerun_run("lines-plain-00", project)
    assert raised.value.nearest == "row.csv"
    assert f"recorded with a data file of {size} bytes, sha256" in " ".join(raised.value.__notes__)


def test_data_a_file_that_cannot_be_used_any_more_names_data(project: Project) -> None:
    path = project.root / "rows.csv"
    path.write_text(path.read_text().replace("a,b,c,y", "a,b,c,z"))
    with pytest.raises(modelwright.errors.Misuse, match="column") as raised:
        rerun_run("lines-plain-00", project)
    assert "The data differ from the record" in " ".join(raised.value.__notes__)


def test_environment_another_version_of_a_library_is_named(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "fake" / "numpy-9.9.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 9.9.9\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "fake"), *sys.path])
    equal = rerun_run("lines-plain-00", project)
    assert equal.sameness is BITWISE
    assert f"environment: distribution numpy was {np.__version__} and is 9.9.9" in equal.sentence
    monkeypatch.setenv("SWAY", "9")
    answer = rerun_run("lines-swayed-00", project)
    assert (answer.sameness, named(answer)) == (DIFFERENT, [("environment", "numpy")])


def test_environment_a_variable_that_changes_numbers_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX2")
    answer = rerun_run("lines-swayed-00", project)
    assert (answer.sameness, named(answer)) == (DIFFERENT, [("environment", "DNNL_MAX_CPU_ISA")])
    assert because(answer).startswith("environment: variable DNNL_MAX_CPU_ISA was not set and is AVX2")


def test_hardware_another_processor_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Elsewhere(hardware={"cpu": "Another processor", "flags": ("avx", "avx512_vnni_x")})
    project = record_project(tmp_path / "far", executor=other, variants=("plain", "swayed"))
    equal = rerun_run("lines-plain-00", project)
    assert (equal.sameness, named(equal)) == (BITWISE, [("hardware", "cpu"), ("hardware", "cpu flags")])
    monkeypatch.setenv("SWAY", "9")
    answer = rerun_run("lines-swayed-00", project)
    assert answer.sameness is DIFFERENT
    assert because(answer).startswith("hardware: cpu was Another processor and is")


def test_all_that_differ_are_named_the_likeliest_first(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(project.root / "rows.csv", shift=9.0)
    (project.root / "settings.py").write_text("SCALE = 1.1\n")
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    answer = rerun_run("lines-plain-00", project, changes={"rate": 0.3}, here=True)
    sides = [side for side, _ in named(answer)]
    assert sides == sorted(sides, key=["config", "data", "code", "environment", "hardware"].index)
    assert set(sides) == {"config", "data", "code", "environment"}
    assert answer.differences[0].what == "variant.rate"


# ---- tables from Python ----


@pytest.mark.slow
def test_a_table_from_python_is_passed_again(tmp_path: Path) -> None:
    import pandas as pd

    project = write_project(tmp_path / "project")
    frame = pd.read_csv(project.root / "rows.csv")
    source: dict[str, Any] = {"kind": "frame", "name": "table", "target": "y"}
    pair = ("plain", "worldly")
    record(project, name="framed", variants=pair, seeds=3, data=source, frames={"table": frame})
    answer = rerun_run("framed-plain-00", project, frames={"table": frame})
    assert (answer.sameness, named(answer)) == (BITWISE, [])
    with pytest.raises(SourceMissing, match="passed from Python") as raised:
        rerun_run("framed-plain-00", project)
    assert "frames={'table': table}" in str(raised.value)
    changed = rerun_run("framed-plain-00", project, frames={"table": frame.assign(y=frame["y"] + 5)})
    assert changed.differences[0].what == "identity"


@pytest.mark.slow
def test_an_amended_design_s_seeds_count_where_they_were_trained_alike(project: Project) -> None:
    record(project, seeds=6, amend="one more")
    answer = rerun_run("lines-noisy-05", project)
    assert answer.other_seeds == 5


def test_an_unknown_run_is_answered_with_the_nearest(project: Project) -> None:
    with pytest.raises(UnknownName) as raised:
        rerun_run("lines-plane-00", project)
    assert str(raised.value.nearest).startswith("lines-plain-0")
