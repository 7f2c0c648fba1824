"""From findings to causes: closed forms on small tables, calibration on simulated ones, abstention."""

from dataclasses import dataclass
from math import log2

import numpy as np
import pytest

from modelwright.base.errors import BadValue, Corrupted
from modelwright.base.finding import Cause, Finding, Severity
from modelwright.doctor.causes import known_causes
from modelwright.doctor.diagnosis.alike import alike
from modelwright.doctor.diagnosis.diagnosis import diagnose
from modelwright.doctor.diagnosis.likelihoods import HEALTHY, UNKNOWN, Likelihoods, outcomes_of
from modelwright.doctor.diagnosis.posterior import posterior, prior
from modelwright.doctor.diagnosis.probe_choice import choose_probe

SMALL = Likelihoods(
    runs={"one": 9, "other": 9, HEALTHY: 100},
    seen={"one": {"a/one": 9, "b/one": 1}, "other": {"b/one": 9}, HEALTHY: {}},
)


def finding(kind: str, severity: Severity, *causes: str) -> Finding:
    named = tuple(Cause(what=name, name=name) for name in causes)
    return Finding(kind=kind, severity=severity, title=kind, causes=named)


def test_rates_are_smoothed_towards_those_of_all_faults() -> None:
    a, b = (9 + 1) / (18 + 2), (10 + 1) / (18 + 2)
    assert SMALL.rows == ("one", "other", HEALTHY, UNKNOWN)
    expected = [[(9 + a) / 10, (1 + b) / 10], [a / 10, (9 + b) / 10], [a / 101, b / 101], [a, b]]
    assert SMALL.table(["a/one", "b/one"]) == pytest.approx(np.array(expected))


def test_the_posterior_is_bayes_rule_by_hand() -> None:
    a, b = 0.5, 0.55
    before = {"one": 0.2, "other": 0.2, HEALTHY: 0.5, UNKNOWN: 0.1}
    assert prior(SMALL) == pytest.approx(before)
    weights = {
        "one": 0.2 * (9 + a) / 10 * (1 - (1 + b) / 10),
        "other": 0.2 * a / 10 * (1 - (9 + b) / 10),
        HEALTHY: 0.5 * a / 101 * (1 - b / 101),
        UNKNOWN: 0.1 * a * (1 - b),
    }
    expected = {name: weight / sum(weights.values()) for name, weight in weights.items()}
    told = posterior(SMALL, ["a/one"])
    assert told == pytest.approx(expected)
    assert next(iter(told)) == "one"


def test_what_was_expected_and_not_found_counts_against_a_fault() -> None:
    told = posterior(SMALL, ["b/one"])
    assert next(iter(told)) == "other"
    assert told["one"] < 0.01


def test_nothing_found_is_healthy() -> None:
    assert next(iter(posterior(SMALL, []))) == HEALTHY


def test_what_fits_no_fault_is_unknown_and_no_cause_is_named() -> None:
    strange = [finding("strange", Severity.WARNING, "one"), finding("stranger", Severity.WARNING, "one")]
    told = diagnose(strange, SMALL)
    assert next(iter(told.probabilities)) == UNKNOWN
    assert told.abstains
    assert not diagnose([finding("a", Severity.WARNING, "one")], SMALL).abstains


def simulated(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], list[str]]:
    names = [f"o{at}/c" for at in range(8)]
    return {f"f{at}": rng.choice([0.02, 0.9], 8, p=[0.7, 0.3]) for at in range(10)}, names


def test_probabilities_are_as_often_right_as_they_say() -> None:
    rng = np.random.default_rng(0)
    said, right = [], []
    for _ in range(12):
        rates, names = simulated(rng)
        runs = dict.fromkeys(rates, 60) | {HEALTHY: 600}
        seen = {
            fault: {
                name: int(times) for name, times in zip(names, rng.binomial(60, rate), strict=True) if times
            }
            for fault, rate in rates.items()
        }
        table = Likelihoods(runs=runs, seen={**seen, HEALTHY: {names[0]: 1}})
        before = prior(table)
        for _ in range(60):
            rows = [row for row in before if row != UNKNOWN]
            weights = np.array([before[row] for row in rows])
            truth = rows[int(rng.choice(len(rows), p=weights / weights.sum()))]
            rate = rates[truth] if truth in rates else np.r_[1 / 600, np.zeros(7)]
            told = posterior(
                table, [name for name, yes in zip(names, rng.random(8) < rate, strict=True) if yes]
            )
            first = next(iter(told))
            said.append(told[first])
            right.append(first == truth)
    sure, hits = np.array(said), np.array(right)
    for low, high in ((0.0, 0.6), (0.6, 0.9), (0.9, 1.01)):
        among = (sure >= low) & (sure < high)
        assert among.sum() > 20
        error = 3 * (0.25 / among.sum()) ** 0.5
        assert hits[among].mean() == pytest.approx(sure[among].mean(), abs=error)


def test_a_table_of_other_faults_is_wrong_about_them() -> None:
    """The same measure on a table whose rows were moved by one: it is not calibrated."""
    rng = np.random.default_rng(0)
    rates, names = simulated(rng)
    faults = list(rates)
    wrong = dict(zip(faults, [*faults[1:], faults[0]], strict=True))
    seen = {
        f: {n: int(60 * r) for n, r in zip(names, rates[wrong[f]], strict=True) if r > 0.02} for f in faults
    }
    table = Likelihoods(runs=dict.fromkeys(faults, 60) | {HEALTHY: 60}, seen={**seen, HEALTHY: {}})
    hits = 0
    for truth in faults:
        yes = [name for name, rate in zip(names, rates[truth], strict=True) if rate > 0.5]
        hits += next(iter(posterior(table, yes))) == truth
    assert hits <= 2


def test_faults_with_the_same_row_are_one_set() -> None:
    table = Likelihoods(
        runs={"p": 4, "q": 8, "r": 4, "s": 90},
        seen={"p": {"x/p": 4}, "q": {"x/p": 8}, "r": {"x/p": 3}, "s": {}},
    )
    assert alike(table) == (frozenset({"p", "q"}),)
    assert alike(table, near=0.3) == (frozenset({"p", "q", "r"}),)
    told = diagnose([finding("x", Severity.WARNING, "p")], table)
    assert set(told.likeliest) == {"p", "q"}


def test_severe_findings_come_first_and_guesses_never_before_them() -> None:
    table = Likelihoods(
        runs={"guess": 50, "exact": 50, HEALTHY: 50},
        seen={"guess": {"odd/exact": 50, "odd/guess": 45, "sure/exact": 40}, "exact": {}, HEALTHY: {}},
    )
    odd = finding("odd", Severity.WARNING, "exact", "guess")
    told = diagnose(
        [
            finding("note", Severity.INFO),
            odd,
            finding("odd", Severity.WARNING, "guess"),
            finding("sure", Severity.SEVERE, "exact", "guess"),
        ],
        table,
    )
    assert [each.kind for each in told.findings] == ["sure", "odd", "odd", "note"]
    assert [each.name for each in told.findings[0].causes] == ["exact", "guess"]
    assert next(iter(told.probabilities)) == "guess"
    reordered = next(each for each in told.findings if len(each.causes) == 2 and each.kind == "odd")
    assert [each.name for each in reordered.causes] == ["guess", "exact"]


def test_without_a_table_sensors_keep_their_order() -> None:
    empty = Likelihoods(runs={}, seen={})
    given = [finding(kind, Severity.WARNING, kind, "z") for kind in "cab"]
    told = diagnose(given, empty)
    assert list(told.findings) == given
    assert told.abstains
    assert diagnose([], empty).findings == ()


def test_a_severe_cause_that_the_table_does_not_know_stays_before_one_that_it_finds_unlikely() -> None:
    table = Likelihoods(
        runs={"known": 50, "rest": 50, HEALTHY: 50},
        seen={"known": {"k/known": 50, "l/known": 50}, "rest": {"k/known": 20}, HEALTHY: {}},
    )
    told = diagnose(
        [finding("new", Severity.SEVERE, "novel"), finding("k", Severity.SEVERE, "known")],
        table,
    )
    assert told.probabilities["known"] < told.probabilities[UNKNOWN]
    assert [each.kind for each in told.findings] == ["new", "k"]


def test_what_only_says_how_learning_went_comes_after_what_says_why() -> None:
    went = finding("nothing-learnt", Severity.WARNING, "learning-rate-too-high")
    why = finding("learns-better-otherwise", Severity.WARNING, "weight-decay-too-high")
    told = diagnose([went, why], Likelihoods(runs={}, seen={}))
    assert [each.kind for each in told.findings] == ["learns-better-otherwise", "nothing-learnt"]


def test_information_is_no_outcome() -> None:
    told = [
        finding("a", Severity.INFO, "x"),
        finding("b", Severity.WARNING),
        finding("c", Severity.SEVERE, "y"),
    ]
    assert outcomes_of(told) == {"b/", "c/y"}


def test_what_is_kept_is_what_is_read() -> None:
    assert Likelihoods.from_record(SMALL.record()) == SMALL
    with pytest.raises(Corrupted):
        Likelihoods.from_record({"one": {"runs": 1, "seen": {"a/": 2}}})


def test_the_measured_table_speaks_of_causes_that_are_known() -> None:
    table = Likelihoods.measured()
    named = {outcome.split("/")[1] for outcome in table.outcomes} - {""}
    assert named <= set(known_causes())


@dataclass(frozen=True)
class Facts:
    name: str
    seconds: float
    outcomes: dict[str, tuple[float, ...]]


def test_the_probe_that_tells_most_for_its_time_is_chosen() -> None:
    weights = {"p": 0.5, "q": 0.25, UNKNOWN: 0.25}
    whole = Facts("whole", 10.0, {"p": (1, 0, 0), "q": (0, 1, 0), "other": (0, 0, 1)})
    half = Facts("half", 2.0, {"p": (1, 0), "other": (0, 1)})
    noisy = Facts("noisy", 1.0, {"p": (0.9, 0.1), "other": (0.1, 0.9)})
    idle = Facts("idle", 0.1, {"other": (0.5, 0.5)})
    told = choose_probe(weights, [whole, half, noisy, idle])
    assert [each.name for each in told] == ["noisy", "half", "whole"]
    bits = {each.name: each.bits for each in told}
    noise = 1 + 0.9 * log2(0.9) + 0.1 * log2(0.1)
    assert bits == pytest.approx({"whole": 1.5, "half": 1.0, "noisy": noise})
    assert told[1].bits_a_second == pytest.approx(0.5)


@pytest.mark.parametrize(
    "probe",
    [
        Facts("free", 0.0, {"other": (1.0,)}),
        Facts("silent", 1.0, {"p": (1.0,)}),
        Facts("odd", 1.0, {"p": (1.0,), "other": (0.5, 0.5)}),
        Facts("wrong", 1.0, {"other": (0.5, 0.4)}),
    ],
)
def test_a_probe_that_makes_no_sense_is_refused(probe: Facts) -> None:
    with pytest.raises(BadValue):
        choose_probe({"p": 0.5, "q": 0.5}, [probe])
