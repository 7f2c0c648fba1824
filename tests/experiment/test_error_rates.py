"""A reduced run of benchmarks/error_rates.py, so that a rule that errs too often fails here first."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark_module() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("error_rates", BENCHMARKS / "error_rates.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


def test_rules_err_at_most_as_planned_on_results_of_four_shapes(benchmark_module: ModuleType) -> None:
    it = benchmark_module
    shapes = it.UNBOUNDED | it.BOUNDED
    chosen = ("normal", "skewed: lognormal", "two peaks, 6 sd apart", "bounded: accuracy on 360 rows")
    rules = [
        it._sequential(range(3, 11), "pocock"),
        it._sequential(range(3, 31, 3), "lan_demets_obrien_fleming"),
        it._sequential((7, 8, 9), "lan_demets_pocock", "sign_flip"),
    ]
    for name in chosen:
        for rule in rules:
            cell = it.measure_errors(rule, name, shapes[name], 2_000)
            assert cell.passes, cell
    for name in it.BOUNDED:
        assert it.measure_errors(it.betting_rules()[1], name, it.BOUNDED[name], 2_000).passes


def test_the_measurement_can_fail(benchmark_module: ModuleType) -> None:
    it = benchmark_module
    peeking = it.measure_errors(it.naive_rule(10), "normal", it.UNBOUNDED["normal"], 2_000)
    assert not peeking.passes
    assert peeking.worst > 0.05
    lopsided = it.LOPSIDED["candidate fails on 1 seed in 10"]
    few = it._sequential(range(3, 31, 3), "lan_demets_pocock")
    assert it.measure_errors(few, "candidate fails", lopsided, 2_000).false_supported > 0.2
    bets = it.measure_errors(it.betting_rules()[2], "candidate fails", lopsided, 2_000)
    assert bets.passes


def test_at_least_three_seeds_in_ten_are_saved_at_twice_the_smallest_effect(
    benchmark_module: ModuleType,
) -> None:
    it = benchmark_module
    for looks, effect in (((4, 6, 8, 10), 1.2), ((6, 12, 18, 24, 30), 0.62)):
        cell = it.measure_saving(it._sequential(looks, "lan_demets_pocock"), effect, 2_000)
        assert cell.passes, cell
        assert 0.7 < cell.power < 0.95
        assert cell.savings[0] < cell.savings[2]


def test_cells_depend_on_nothing_but_their_name(benchmark_module: ModuleType) -> None:
    it = benchmark_module
    rule = it.planned(it.Rule(), 5)
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the state that must stay untouched
    first = it.measure_errors(rule, "normal", it.UNBOUNDED["normal"], 500)
    assert first == it.measure_errors(rule, "normal", it.UNBOUNDED["normal"], 500)
    other = it.measure_errors(rule, "another name", it.UNBOUNDED["normal"], 500)
    assert (first.false_supported, first.false_refuted) != (other.false_supported, other.false_refuted)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
