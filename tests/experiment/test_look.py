import json

import numpy as np
import pytest

from modelwright.base.errors import BadValue, NotPermitted, UnknownName
from modelwright.experiment.correction import SharedRule, build_shared_rule
from modelwright.experiment.look import Look, evaluate_look
from modelwright.experiment.question import Question
from modelwright.experiment.rule import Rule
from modelwright.experiment.verdict import Outcome

QUESTION = Question(hypothesis="better", metric="accuracy", margin=0.0, smallest_effect=0.02)
PAIRS = [("convnet", "logistic"), ("forest", "logistic")]


def rule(comparisons: int = 1) -> SharedRule:
    it = Rule(kind="group_sequential", looks=(4, 8, 12), spending="pocock")
    return build_shared_rule(it, comparisons=comparisons, correction="holm", seeds=12, alpha=0.05)


def results(seeds: int, **gains: float) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0).normal(0, 0.05, (3, 12))
    base = {"logistic": noise[0] + 0.5, "convnet": noise[1] + 0.5, "forest": noise[2] + 0.5}
    return {name: (values + gains.get(name, 0.0))[:seeds] for name, values in base.items()}


def test_a_clear_gain_stops_at_the_first_look() -> None:
    look = evaluate_look(QUESTION, rule(), PAIRS[:1], results(4, convnet=1.0), index=0)
    assert look.stop
    assert look.why == "Every comparison is decided."
    assert look.comparisons()[0].outcome is Outcome.SUPPORTED
    assert look.comparisons()[0].seeds_used == 4
    assert look.means == pytest.approx(
        {name: values.mean() for name, values in results(4, convnet=1.0).items() if name != "forest"}
    )


def test_a_metric_that_is_minimized_turns_the_difference() -> None:
    question = Question(hypothesis="better", metric="rmse", smallest_effect=0.1)
    look = evaluate_look(question, rule(), PAIRS[:1], results(4, convnet=1.0), index=0)
    assert look.readings[0].outcome is Outcome.REFUTED
    assert look.readings[0].interval.estimate < 0


def test_an_open_comparison_goes_on_and_is_inconclusive_when_all_seeds_are_spent() -> None:
    look: Look | None = None
    for index, seeds in enumerate((4, 8, 12)):
        look = evaluate_look(
            QUESTION, rule(), PAIRS[:1], results(seeds, convnet=0.012), index=index, previous=look
        )
        assert look.stop == (seeds == 12)
        if not look.stop:
            assert look.why == f"The comparison is open; the next look is at {seeds + 4} seeds."
            assert look.readings[0].says.startswith("open: the interval from")
            with pytest.raises(NotPermitted, match="when the stopping rule says so"):
                look.comparisons()
            spent = look.comparisons(budget_spent=True)
            assert (spent[0].outcome, spent[0].seeds_used) == (Outcome.INCONCLUSIVE, seeds)
    assert look is not None
    assert look.why == "The comparison is open and all 12 seeds are spent."
    assert look.comparisons()[0].outcome is Outcome.INCONCLUSIVE


def test_a_decided_comparison_stays_decided_without_further_results() -> None:
    first = evaluate_look(QUESTION, rule(2), PAIRS, results(4, convnet=1.0), index=0)
    assert first.readings[0].outcome is Outcome.SUPPORTED
    assert not first.stop
    assert first.why == "1 of 2 comparisons are open; the next look is at 8 seeds."
    later = {name: values for name, values in results(8).items() if name != "convnet"}
    second = evaluate_look(QUESTION, rule(2), PAIRS, later, index=1, previous=first)
    assert second.readings[0] == first.readings[0]
    assert second.readings[1].look == 1
    assert set(second.means) == {"forest", "logistic"}


def test_looks_come_in_turn_and_end_when_the_rule_says_so() -> None:
    first = evaluate_look(QUESTION, rule(), PAIRS[:1], results(4, convnet=0.012), index=0)
    with pytest.raises(NotPermitted, match="in turn"):
        evaluate_look(QUESTION, rule(), PAIRS[:1], results(12), index=2, previous=first)
    with pytest.raises(NotPermitted, match="in turn"):
        evaluate_look(QUESTION, rule(), PAIRS[:1], results(8), index=1)
    with pytest.raises(NotPermitted, match="3 looks are registered"):
        evaluate_look(QUESTION, rule(), PAIRS[:1], results(12), index=3, previous=first)
    over = evaluate_look(QUESTION, rule(), PAIRS[:1], results(4, convnet=1.0), index=0)
    with pytest.raises(NotPermitted, match="no look after"):
        evaluate_look(QUESTION, rule(), PAIRS[:1], results(8), index=1, previous=over)


def test_results_that_do_not_fit_the_look_are_refused() -> None:
    with pytest.raises(BadValue, match="one result of convnet for each of 4 seeds"):
        evaluate_look(QUESTION, rule(), PAIRS[:1], results(5), index=0)
    with pytest.raises(UnknownName, match="Nearest: logistic"):
        evaluate_look(QUESTION, rule(), [("convnet", "logistc")], results(4), index=0)
    broken = results(4)
    broken["convnet"][2] = np.nan
    with pytest.raises(BadValue, match="seed index 2"):
        evaluate_look(QUESTION, rule(), PAIRS[:1], broken, index=0)


def test_comparisons_are_those_that_were_planned() -> None:
    with pytest.raises(BadValue, match="2 comparisons for a rule of 1"):
        evaluate_look(QUESTION, rule(), PAIRS, results(4), index=0)
    first = evaluate_look(QUESTION, rule(), PAIRS[:1], results(4, convnet=0.012), index=0)
    with pytest.raises(BadValue, match="stay the same"):
        evaluate_look(QUESTION, rule(), [("forest", "logistic")], results(8), index=1, previous=first)


def test_a_look_comes_back_from_json_as_it_was() -> None:
    look = evaluate_look(QUESTION, rule(2), PAIRS, results(4, convnet=1.0), index=0)
    assert Look.from_record(json.loads(json.dumps(look.record()))) == look
