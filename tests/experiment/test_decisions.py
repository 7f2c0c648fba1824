import numpy as np
import pytest

from modelwright.experiment.decisions import decide_many
from modelwright.experiment.rule import Rule, build_rule
from modelwright.experiment.verdict import Outcome, decide

RULES = [
    Rule(),
    Rule(kind="group_sequential", looks=(3, 4, 5, 6, 8, 10), spending="lan_demets_pocock"),
    Rule(kind="group_sequential", looks=(7, 8, 9, 10), test="sign_flip", spending="lan_demets_pocock"),
    Rule(kind="confidence_sequence", low=-0.2, high=0.5),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.kind}-{rule.test}")
@pytest.mark.parametrize("effect", [0.0, 0.1, 0.3])
def test_many_decisions_are_those_of_the_intervals_one_by_one(rule: Rule, effect: float) -> None:
    it = build_rule(rule, seeds=10, alpha=0.1)
    generator = np.random.default_rng(5)
    d = np.clip(
        effect + generator.normal(0, 0.1, (30, 10)) * generator.choice([0.2, 1.5], (30, 1)), -0.2, 0.5
    )
    found = decide_many(it, d, margin=0.1, smallest_effect=0.15)
    seen: set[Outcome] = set()
    for row in range(30):
        for look, seeds in enumerate(it.looks):
            outcome = decide(it.interval(d[row, :seeds], look), 0.1, 0.15)
            if outcome is not None:
                break
        seen.add(outcome or Outcome.INCONCLUSIVE)
        assert found.seeds[row] == seeds
        assert found.supported[row] == (outcome is Outcome.SUPPORTED)
        assert found.equivalent[row] == (outcome is Outcome.EQUIVALENT)
        assert found.refuted[row] == (outcome is Outcome.REFUTED)
    assert sum(found.share(outcome) for outcome in Outcome) == pytest.approx(1.0)
    if effect > 0.1:
        assert Outcome.SUPPORTED in seen


def test_shares_count_each_outcome_once() -> None:
    it = build_rule(Rule(), seeds=5, alpha=0.05)
    d = np.array([[9.0, 9.1, 9, 9, 9], [-9, -9.1, -9, -9, -9], [0.01, 0, 0, 0, 0], [50, -50, 0, 1, 2]])
    found = decide_many(it, d, margin=1.0, smallest_effect=1.0)
    for outcome in (Outcome.SUPPORTED, Outcome.REFUTED, Outcome.EQUIVALENT, Outcome.INCONCLUSIVE):
        assert found.share(outcome) == 0.25
    assert found.share(Outcome.INVALID) == 0
