"""The bank tests itself: lines, names, texts that differ; the halves and the rules of its benchmark."""

import ast
import importlib
import json
import sys
from collections.abc import Iterator
from math import comb
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelwright.doctor.causes import known_causes
from modelwright.faults.plant import Fault, plant, programs

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
BANK = {program.name: program for program in programs()}
FAULTS = [(program.name, fault.name) for program in BANK.values() for fault in program.faults]
NAMES = {name for _, name in FAULTS}


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """The parts of the benchmark, by name."""
    sys.path.insert(0, str(BENCHMARKS))
    parts = ("mutant", "label", "statistics", "rows", "execute", "detection", "overhead", "page")
    try:
        found = {name: importlib.import_module(f"doctor_bank.{name}") for name in parts}
        yield SimpleNamespace(**found, points_at=importlib.import_module("doctor_peers.points_at"))
    finally:
        sys.path.remove(str(BENCHMARKS))


def fault_of(program: str, name: str) -> Fault:
    return next(fault for fault in BANK[program].faults if fault.name == name)


# ---- the bank ----


@pytest.mark.parametrize("name", BANK)
def test_what_is_planted_changes_the_program_and_not_only_its_text(name: str) -> None:
    program = BANK[name]
    texts = {"base": program.source}
    texts |= {fault.name: plant(program.source, fault.edits) for fault in program.faults}
    texts |= {variant.name: plant(program.source, variant.edits) for variant in program.variants}
    trees = {each: ast.dump(ast.parse(text)) for each, text in texts.items()}
    assert len(set(trees.values())) == len(trees)


@pytest.mark.parametrize(("program", "name"), FAULTS)
def test_exactly_one_line_is_the_one_to_be_led_to(program: str, name: str) -> None:
    fault = fault_of(program, name)
    text = plant(BANK[program].source, fault.edits)
    assert sum(fault.line in line for line in text.splitlines()) == 1


def test_other_names_of_a_fault_are_names_that_the_bank_or_the_doctor_knows() -> None:
    also = {other for program, name in FAULTS for other in fault_of(program, name).also}
    assert also <= NAMES | set(known_causes())


def test_there_are_enough_programs_faults_and_families() -> None:
    families = {fault_of(*each).family for each in FAULTS}
    assert families == {"data", "supervised", "value-based", "policy-gradient"}
    assert len(NAMES) >= 115
    assert len(BANK) >= 20
    assert sum(1 + len(program.variants) for program in BANK.values()) * 3 >= 299


def test_every_program_takes_a_seed_and_ends_with_its_score() -> None:
    for program in BANK.values():
        assert '"--seed"' in program.source or "seed: int" in program.source, program.name
        assert '{"score"' in program.source.rstrip().rpartition("json.dumps")[2], program.name


# ---- the halves ----


def test_programs_of_each_family_are_held_out(bench: Any) -> None:
    assert set(BANK) >= bench.mutant.TUNING
    held_out = [each for name, each in BANK.items() if bench.mutant.half_of(name) == "held-out"]
    assert len(held_out) >= 0.3 * len(BANK)  # programs are opened once the doctor was judged on them
    assert {each.family for each in held_out} == {each.family for each in BANK.values()}


def test_a_text_has_the_key_of_its_own_words(bench: Any) -> None:
    texts = bench.mutant.mutants(["digits_mlp"])
    program = BANK["digits_mlp"]
    assert [each.kind for each in texts].count("base") == 1
    assert len(texts) == 1 + len(program.faults) + len(program.variants)
    assert len({each.key for each in texts}) == len(texts)
    assert all(len(each.lines) == 1 for each in texts if each.kind == "fault")


# ---- the statistics ----


@pytest.mark.parametrize("pairs", range(1, 9))
def test_when_every_pair_is_worse_the_sign_flip_test_has_the_least_p_there_is(bench: Any, pairs: int) -> None:
    worse = [0.1 + 0.01 * number for number in range(pairs)]
    assert bench.statistics.sign_flip_p(worse) == 2**-pairs
    assert bench.statistics.sign_flip_p([-each for each in worse]) == 1.0
    assert bench.statistics.sign_flip_p([-each for each in worse], two_sided=True) == 2 ** (1 - pairs)


@pytest.mark.parametrize(("pairs", "worse"), [(5, 4), (6, 5), (8, 5), (9, 9)])
def test_with_differences_of_one_size_the_sign_flip_test_is_the_binomial_sign_test(
    bench: Any, pairs: int, worse: int
) -> None:
    differences = [0.25] * worse + [-0.25] * (pairs - worse)
    tail = sum(comb(pairs, count) for count in range(worse, pairs + 1)) / 2**pairs
    assert bench.statistics.sign_flip_p(differences) == tail


def test_a_pair_that_ties_halves_what_the_others_can_show(bench: Any) -> None:
    assert bench.statistics.sign_flip_p([0.1, 0.2, 0.3, 0.4, 0.0]) == 1 / 16
    assert bench.statistics.sign_flip_p([0.0] * 5) == 1.0


@pytest.mark.parametrize("runs", [59, 299, 441])
def test_without_an_alarm_the_bound_is_the_closed_form(bench: Any, runs: int) -> None:
    assert bench.statistics.rate_bound(0, runs) == pytest.approx(1 - 0.05 ** (1 / runs), rel=1e-9)
    assert bench.statistics.rate_bound(runs, runs) == 1.0


def test_at_the_bound_so_few_alarms_have_the_chance_that_is_left(bench: Any) -> None:
    rate = bench.statistics.rate_bound(3, 200)
    chance = sum(comb(200, k) * rate**k * (1 - rate) ** (200 - k) for k in range(4))
    assert chance == pytest.approx(0.05, rel=1e-9)


def test_299_healthy_runs_without_an_alarm_bound_the_rate_by_one_in_a_hundred(bench: Any) -> None:
    assert bench.statistics.rate_bound(0, 299) <= 0.01 < bench.statistics.rate_bound(0, 298)


# ---- labels ----


def runs(*scores: float | None, trace: str = "") -> dict[str, dict[str, Any]]:
    return {
        str(at): {"score": score, "trace": trace or f"{score}"} for at, score in enumerate(scores, start=1)
    }


def test_a_fault_that_prints_the_same_is_equivalent_and_one_that_is_always_worse_harmful(bench: Any) -> None:
    base = runs(0.9, 0.91, 0.92, 0.93, 0.94)
    assert bench.label.label("x", base, base).state == "equivalent"
    assert bench.label.label("x", base, runs(0.8, 0.9, 0.9, 0.9, 0.9)).state == "harmful"
    assert bench.label.label("x", base, runs(0.8, 0.9, 0.9, 0.93, 0.9)).state == "active"
    assert bench.label.label("x", base, runs(0.95, 0.95, 0.95, 0.95, 0.95)).state == "active"


def test_four_seeds_are_too_few_to_call_a_fault_harmful(bench: Any) -> None:
    found = bench.label.label("x", runs(0.9, 0.91, 0.92, 0.93, 0.94), runs(0.1, 0.1, 0.1, 0.1))
    assert (found.state, found.seeds, found.p) == ("active", 4, 1 / 16)


def test_a_fault_is_settled_where_five_seeds_can_no_more_call_it_harmful(bench: Any) -> None:
    base = runs(0.9, 0.91, 0.92, 0.93, 0.94)
    assert not bench.label.label("x", base, runs(0.1, 0.1)).settled
    assert bench.label.label("x", base, runs(0.1, 0.91)).settled
    assert bench.label.label("x", base, runs(0.1, 0.95)).settled
    assert bench.label.label("x", base, runs(0.1, 0.1, 0.1, 0.1, 0.1)).settled
    assert not bench.label.label("x", base, runs(0.9, 0.91)).settled, "the same so far"
    assert not bench.label.label("evaluated-on-training-rows", base, runs(0.95, 0.95)).settled
    assert bench.label.label("evaluated-on-training-rows", base, runs(0.95, 0.9)).settled


def test_a_run_without_a_score_is_worse_than_any_other(bench: Any) -> None:
    found = bench.label.label("x", runs(0.9, 0.9, 0.9, 0.9, 0.9), runs(None, None, None, None, None))
    assert (found.state, found.broken) == ("harmful", 5)
    once = bench.label.label("x", runs(0.9, 0.9, 0.9, 0.9, 0.9), runs(None, 0.91, 0.91, 0.91, 0.91))
    assert once.state == "active"


def test_a_score_that_rises_is_harm_only_where_the_fault_is_in_the_measuring(bench: Any) -> None:
    base, above = runs(0.8, 0.8, 0.8, 0.8, 0.8), runs(0.9, 0.91, 0.92, 0.93, 0.94)
    below = runs(0.7, 0.71, 0.72, 0.73, 0.74)
    assert bench.label.label("evaluated-on-training-rows", base, above).state == "harmful"
    assert bench.label.label("evaluated-on-training-rows", base, below).state == "harmful"
    assert bench.label.label("zero-grad-missing", base, above).state == "active"


def test_faults_that_print_the_same_are_one(bench: Any) -> None:
    found = bench.label.alike({"a": runs(1, 2), "b": runs(1, 2, 3), "c": runs(1, 3)})
    assert found == {"a": {"b"}, "b": {"a"}, "c": frozenset()}


def test_faults_that_falsify_the_score_are_names_of_the_bank(bench: Any) -> None:
    assert bench.label.MEASURING <= NAMES


# ---- judging ----


def row(*findings: list[Any]) -> dict[str, Any]:
    return {"findings": list(findings)}


def test_what_needs_no_action_is_no_detection_and_the_first_cause_of_the_first_finding_counts(
    bench: Any,
) -> None:
    (text,) = (
        each for each in bench.mutant.mutants(["digits_mlp"]) if each.name == "batches-sorted-by-label"
    )
    (line,) = text.lines
    info = ["k", "info", [["batches-sorted-by-label", line]]]
    other = ["k", "warning", [["dead-relu", 1], ["not-shuffled", 2]], 7]
    right = ["k", "severe", [["not-shuffled", line - 2]]]
    nothing = bench.detection.judge(row(info), text)
    assert (nothing.detected, nothing.first, nothing.three) == (False, False, False)
    third = bench.detection.judge(row(info, other), text)
    assert (third.detected, third.first, third.three, third.updates) == (True, False, True, 7)
    first = bench.detection.judge(row(right, other), text)
    assert (first.first, first.line, first.is_near) == (True, False, True)
    assert bench.detection.judge(row(["k", "severe", []], right), text).first is False
    assert bench.detection.judge(row(other), text, {"dead-relu"}).first is True


def test_a_score_that_is_no_number_is_none(bench: Any) -> None:
    assert bench.execute.score_in('a\n{"score": 0.5}\nwarning: late\n') == 0.5
    assert bench.execute.score_in('{"score": NaN}\n') is None
    assert bench.execute.score_in("nothing\n") is None


def test_rows_are_kept_once_sorted_and_in_place_of_older_ones(bench: Any, tmp_path: Path) -> None:
    rows = bench.rows.Rows(tmp_path / "doctor_x.jsonl", ("program", "seed"))
    for program, seed, value in (("b", 1, 1), ("a", 2, 2), ("b", 1, 3)):
        rows.put({"program": program, "seed": seed, "value": value})
    lines = [json.loads(line) for line in (tmp_path / "doctor_x.jsonl").read_text().splitlines()]
    assert [(each["program"], each["value"]) for each in lines] == [("a", 2), ("b", 3)]


def test_what_rules_of_peers_point_at_are_names_of_the_bank(bench: Any) -> None:
    tables = bench.points_at.TABLES
    pointed = {name for table in tables.values() for names in table.values() for name in names}
    assert pointed <= NAMES | set(known_causes())
    assert len(pointed) > 20
    assert bench.points_at.points_at("deep-checker", "program-raised") == ()


def test_what_makes_programs_longer_are_settings_of_theirs(bench: Any) -> None:
    longer = [name for name in BANK if bench.overhead.lasts(name, 4)]
    assert len(longer) > 0.8 * len(BANK)
    for name in longer:
        after = bench.overhead.longer(name, 4)
        assert after
        for setting, value in zip(after[::2], after[1::2], strict=True):
            field = setting.removeprefix("--").replace("-", "_")
            assert f'"{setting}"' in BANK[name].source or f"{field}: int =" in BANK[name].source
            assert int(value) > 0
    assert bench.overhead.longer(longer[0], 1) == []


def test_the_cost_of_more_time_leaves_out_what_does_not_grow(bench: Any) -> None:
    short = [{"seconds": {"plain": 10.0 + each, "watched": 12.0 + each}} for each in (-1, 0, 1)]
    long = [{"seconds": {"plain": 40.0 + each, "watched": 43.5 + each}} for each in (-1, 0, 1)]
    assert bench.page.of_more_time(short, long) == pytest.approx(31.5 / 30)
    assert bench.page.of_more_time(short, []) is None
