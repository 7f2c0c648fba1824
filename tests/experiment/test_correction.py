import numpy as np
import pytest

from modelwright.base.errors import BadValue, UnknownName
from modelwright.experiment.correction import SharedRule, build_shared_rule
from modelwright.experiment.look import Look, evaluate_look
from modelwright.experiment.question import Question
from modelwright.experiment.rule import Rule, build_rule
from modelwright.experiment.spending import SPENDINGS
from modelwright.experiment.verdict import Outcome

SEQUENTIAL = Rule(kind="group_sequential", looks=(5, 8, 12), spending="pocock")
FLIPS = Rule(kind="group_sequential", looks=(9, 12), test="sign_flip")
BETS = Rule(kind="confidence_sequence", looks=(6, 12), low=-8.0, high=8.0)


def shared(rule: Rule, comparisons: int, correction: str) -> SharedRule:
    return build_shared_rule(rule, comparisons=comparisons, correction=correction, seeds=12, alpha=0.05)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("rule", [Rule(), SEQUENTIAL, FLIPS, BETS])
@pytest.mark.parametrize("correction", ["bonferroni", "holm"])
def test_one_comparison_has_the_plain_interval(rule: Rule, correction: str) -> None:
    d = np.random.default_rng(0).normal(0.5, 1.0, 12)
    plain = build_rule(rule, seeds=12, alpha=0.05)
    last = len(plain.looks) - 1
    assert shared(rule, 1, correction).interval(d, last) == plain.interval(d, last)
    assert shared(rule, 1, correction).name == plain.name


@pytest.mark.parametrize("rule", [Rule(), SEQUENTIAL, FLIPS, BETS])
def test_holm_raises_only_the_lower_limit_and_only_step_by_step(rule: Rule) -> None:
    d = np.random.default_rng(1).normal(0.5, 1.0, 12)
    it, equal = shared(rule, 3, "holm"), shared(rule, 3, "bonferroni")
    last = len(it.looks) - 1
    steps = [it.interval(d, last, supported=r) for r in (0, 1, 2, 3)]
    assert steps[0] == equal.interval(d, last)
    assert steps[0].low < steps[1].low < steps[2].low == steps[3].low
    assert len({step.high for step in steps}) == 1
    assert steps[2].low == pytest.approx(build_rule(rule, seeds=12, alpha=0.05).interval(d, last).low)
    assert all(equal.interval(d, last, supported=r) == steps[0] for r in range(4))
    assert steps[2].level == pytest.approx(1 - (0.05 + 0.05 / 3) / 2)


@pytest.mark.parametrize("test", ["t", "sign_flip"])
@pytest.mark.parametrize("spending", SPENDINGS)
def test_what_a_smaller_level_rules_out_a_larger_one_has_ruled_out_by_then(spending: str, test: str) -> None:
    # The nesting that Holm's step down rests on, experiment by experiment.
    looks = (9, 10, 12) if spending != "obrien_fleming" or test == "t" else (11, 12)
    options = {"kind": "group_sequential", "looks": looks, "spending": spending, "test": test}
    d = np.random.default_rng(2).standard_t(3, size=(300, 12))
    careful, bold = (build_rule(Rule(**options), seeds=12, alpha=alpha) for alpha in (0.06, 0.15))  # pyright: ignore[reportArgumentType]
    for effect in (-1.0, -0.5, 0.0):
        early = np.logical_or.accumulate(careful.beyond(d, effect), axis=1)
        late = np.logical_or.accumulate(bold.beyond(d, effect), axis=1)
        assert early.any()
        assert (early <= late).all()


QUESTION = Question(hypothesis="better", metric="accuracy", margin=0.0, smallest_effect=0.4)


def run(rule: SharedRule, effects: list[float], generator: np.random.Generator) -> Look:
    base = generator.standard_normal((len(effects) + 1, 12))
    results = {f"arm{at}": base[at] + effect for at, effect in enumerate(effects)}
    results["base"] = base[-1]
    pairs = [(name, "base") for name in list(results)[:-1]]
    look: Look | None = None
    for index, seeds in enumerate(rule.looks):
        now = {name: values[:seeds] for name, values in results.items()}
        look = evaluate_look(QUESTION, rule, pairs, now, index=index, previous=look)
        if look.stop:
            break
    assert look is not None
    return look


@pytest.mark.parametrize("effects", [[0.0, 0.0, 0.0], [6.0, 0.0, 0.0], [6.0, 6.0, 0.0]])
def test_any_false_claim_at_all_is_made_at_most_as_often_as_planned(effects: list[float]) -> None:
    # A true effect of 0 equals the margin: "supported" and "refuted" are false. Arms share the baseline.
    rule = shared(SEQUENTIAL, 3, "holm")
    generator = np.random.default_rng(17)
    experiments, false = 1_000, 0
    for _ in range(experiments):
        outcomes = [reading.outcome for reading in run(rule, effects, generator).readings]
        wrong = [
            outcome in (Outcome.SUPPORTED, Outcome.REFUTED)
            if effect == 0
            else outcome is not Outcome.SUPPORTED
            for effect, outcome in zip(effects, outcomes, strict=True)
            if outcome is not None
        ]
        false += any(wrong)
    assert false / experiments <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / experiments)


def test_a_supported_comparison_hands_its_share_to_the_others_at_the_same_look() -> None:
    generator = np.random.default_rng(23)
    holm, equal = shared(Rule(), 2, "holm"), shared(Rule(), 2, "bonferroni")
    gained = 0
    for _ in range(400):
        seed = int(generator.integers(2**31))
        with_holm = run(holm, [9.0, 1.1], np.random.default_rng(seed)).readings[1].outcome
        without = run(equal, [9.0, 1.1], np.random.default_rng(seed)).readings[1].outcome
        if without is Outcome.SUPPORTED:
            assert with_holm is Outcome.SUPPORTED
        gained += with_holm is Outcome.SUPPORTED and without is not Outcome.SUPPORTED
    assert gained > 10


def test_wrong_corrections_and_counts_are_refused() -> None:
    with pytest.raises(UnknownName, match="bonferroni"):
        shared(Rule(), 2, "bonferoni")
    with pytest.raises(BadValue, match="at least one comparison"):
        shared(Rule(), 0, "holm")
    with pytest.raises(BadValue, match="look 1"):
        # Each of 20 comparisons is left a level that 9 seeds of signs cannot reach.
        shared(FLIPS, 20, "holm")
