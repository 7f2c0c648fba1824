import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.base.errors import BadValue
from modelwright.experiment.interval import Interval
from modelwright.experiment.question import Question
from modelwright.experiment.sentence import seeds_to_decide
from modelwright.experiment.verdict import Comparison, Outcome, Scope, Verdict, decide, judge, overall_outcome

QUESTION = Question(hypothesis="better", metric="accuracy", margin=0.01, smallest_effect=0.01)
LOWER = Question(hypothesis="better", metric="rmse", margin=0.0, smallest_effect=1.0)


def interval(low: float, high: float, estimate: float | None = None) -> Interval:
    return Interval(
        low=low, high=high, level=0.95, estimate=(low + high) / 2 if estimate is None else estimate
    )


def comparison(outcome: Outcome, low: float, high: float, candidate: str = "convnet") -> Comparison:
    return Comparison(
        candidate=candidate,
        baseline="logistic",
        interval=interval(low, high),
        outcome=outcome,
        look=1,
        seeds_used=8,
    )


def judged(
    *comparisons: Comparison, question: Question = QUESTION, scope: Scope = "this_test_set", **more: object
) -> Verdict:
    return judge(question, comparisons, scope=scope, assumption="the differences are normal", **more)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.011, 0.02, Outcome.SUPPORTED),
        (0.01, 0.02, None),
        (-0.009, 0.009, Outcome.EQUIVALENT),
        (-0.01, 0.009, Outcome.REFUTED),
        (-0.03, -0.02, Outcome.REFUTED),
        (-0.02, 0.01, None),
        (-0.02, 0.02, None),
    ],
)
def test_an_interval_decides_by_where_the_whole_of_it_lies(
    low: float, high: float, outcome: Outcome | None
) -> None:
    assert decide(interval(low, high), 0.01, 0.01) is outcome


def test_a_sure_gain_that_is_too_small_to_matter_still_supports_a_claim_without_margin() -> None:
    assert decide(interval(0.001, 0.004), 0.0, 0.01) is Outcome.SUPPORTED


def test_an_equal_pair_is_equivalent_before_it_is_refuted() -> None:
    assert decide(interval(-0.004, 0.004), 0.01, 0.01) is Outcome.EQUIVALENT


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(-0.5, 0.5), st.floats(0.01, 0.5), st.floats(0, 0.3))
def test_a_narrower_interval_never_contradicts_a_decision(
    low: float, width: float, margin: float, smallest: float, cut: float
) -> None:
    wide = decide(interval(low, low + width), margin, smallest)
    narrow = decide(interval(low + cut * width, low + width * (1 - cut)), margin, smallest)
    if wide is Outcome.SUPPORTED:
        assert narrow is wide
    if wide is Outcome.EQUIVALENT:
        assert narrow in (wide, Outcome.SUPPORTED)
    if wide is Outcome.REFUTED:
        assert narrow in (Outcome.REFUTED, Outcome.EQUIVALENT)


def test_a_smallest_effect_of_nought_is_refused() -> None:
    with pytest.raises(BadValue, match="smallest effect"):
        decide(interval(0, 1), 0.0, 0.0)


@pytest.mark.parametrize(
    ("outcomes", "whole"),
    [
        ("supported supported", "supported"),
        ("supported refuted", "refuted"),
        ("inconclusive refuted", "refuted"),
        ("equivalent equivalent", "equivalent"),
        ("equivalent supported", "inconclusive"),
        ("inconclusive supported", "inconclusive"),
        ("invalid supported", "invalid"),
        ("invalid refuted", "invalid"),
    ],
)
def test_several_comparisons_make_one_outcome(outcomes: str, whole: str) -> None:
    assert overall_outcome([Outcome(word) for word in outcomes.split()]) == whole


def test_a_verdict_without_comparisons_is_refused() -> None:
    with pytest.raises(BadValue, match="at least one comparison"):
        overall_outcome([])


@pytest.mark.parametrize(
    ("question", "item", "sentence"),
    [
        (
            QUESTION,
            comparison(Outcome.SUPPORTED, 0.0153, 0.0271),
            "Supported: convnet beats logistic on accuracy by 0.0212 (95% interval 0.0153 to 0.0271, "
            "8 seeds), more than the margin 0.01.",
        ),
        (
            QUESTION,
            comparison(Outcome.REFUTED, -0.02, 0.004),
            "Refuted: convnet does not beat logistic on accuracy by more than the margin 0.01: "
            "the gain is -0.008 (95% interval -0.020 to 0.004, 8 seeds).",
        ),
        (
            QUESTION,
            comparison(Outcome.EQUIVALENT, -0.004, 0.004),
            "Equivalent: convnet and logistic differ on accuracy by less than 0.01, the smallest "
            "effect that matters: "
            "the gain is 0.0000 (95% interval -0.0040 to 0.0040, 8 seeds).",
        ),
        (
            LOWER,
            comparison(Outcome.SUPPORTED, 1.0, 3.0),
            "Supported: convnet beats logistic on rmse (lower is better) by 2.0 (95% interval 1.0 to 3.0, "
            "8 seeds), more than the margin 0.",
        ),
    ],
)
def test_a_verdict_is_one_plain_sentence_with_its_numbers(
    question: Question, item: Comparison, sentence: str
) -> None:
    shown = judged(item, question=question).sentence
    assert shown == sentence


def test_an_allowed_loss_is_not_called_a_win() -> None:
    question = Question(hypothesis="no worse", metric="accuracy", margin=-0.02, smallest_effect=0.01)
    sentence = judged(comparison(Outcome.SUPPORTED, -0.015, 0.001), question=question).sentence
    assert "beats" not in sentence
    assert "above the margin -0.02" in sentence


def test_a_spent_budget_says_what_would_settle_it() -> None:
    # Half-width 0.02 at 8 seeds; the estimate 0.03 is 0.02 above the margin ... a hair short of it.
    near = judged(comparison(Outcome.INCONCLUSIVE, 0.009, 0.049))
    assert "a new experiment of about 9 seeds would settle it" in near.sentence
    far = judged(comparison(Outcome.INCONCLUSIVE, -0.05, 0.07))
    assert "settles neither the margin 0.01 nor equivalence within 0.01" in far.sentence
    # Estimate 0.01 is on the margin and on the smallest effect: nothing will settle it.
    assert "no practical number of seeds would settle it" in far.sentence


@pytest.mark.parametrize("width", [0.0, 5e-324, 1e-200, 1e-9])
def test_a_hair_thin_interval_needs_one_seed_more(width: float) -> None:
    found = seeds_to_decide(interval(0.0, width), seeds=8, margin=0.5, smallest_effect=0.1)
    assert found == 9


def test_more_seeds_cannot_settle_what_overlapping_training_sets_leave_open() -> None:
    item = comparison(Outcome.INCONCLUSIVE, -0.03, 0.09)
    assert "about 69 seeds" not in judged(item, scope_inflation=1.0, scope="new_data").sentence
    assert "more data might" in judged(item, scope_inflation=1.0, scope="new_data").sentence
    assert "new experiment of about" in judged(item).sentence


def test_an_invalid_verdict_gives_its_reasons_instead_of_a_result() -> None:
    verdict = judged(comparison(Outcome.SUPPORTED, 0.02, 0.03), reasons=["duplicate rows across the split."])
    assert verdict.outcome is Outcome.INVALID
    assert verdict.sentence == "Invalid: duplicate rows across the split. The numbers are no evidence."
    assert not verdict.confirmatory
    assert verdict.comparisons[0].outcome is Outcome.SUPPORTED


def test_a_deviation_makes_the_verdict_exploratory_and_is_kept() -> None:
    item = comparison(Outcome.SUPPORTED, 0.02, 0.03)
    assert judged(item).confirmatory
    verdict = judged(item, deviations=["the margin was amended from 0.02 to 0.01"])
    assert not verdict.confirmatory
    assert verdict.deviations == ("the margin was amended from 0.02 to 0.01",)
    assert verdict.outcome is Outcome.SUPPORTED


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("this_test_set", "this test set"),
        ("other_splits", "other random splits"),
        ("new_data", "new data from"),
    ],
)
def test_a_verdict_says_what_it_speaks_of_and_what_it_does_not_show(scope: Scope, words: str) -> None:
    verdict = judged(comparison(Outcome.SUPPORTED, 0.02, 0.03), scope=scope)
    assert words in verdict.speaks_of
    limits = " ".join(verdict.does_not_show)
    for part in (
        "other than accuracy",
        "margins other than 0.01",
        "why",
        "data",
        "the differences are normal",
    ):
        assert part in limits


def test_several_comparisons_are_all_in_the_sentence() -> None:
    verdict = judged(
        comparison(Outcome.SUPPORTED, 0.02, 0.03),
        comparison(Outcome.REFUTED, -0.02, 0.004, candidate="forest"),
    )
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.sentence == (
        "Refuted over 2 comparisons on accuracy (margin 0.01, smallest effect 0.01): "
        "supported convnet over logistic 0.0250 (95% interval 0.0200 to 0.0300, 8 seeds); "
        "refuted forest over logistic -0.008 (95% interval -0.020 to 0.004, 8 seeds)."
    )


@given(
    st.sampled_from(["supported", "refuted", "equivalent", "inconclusive"]),
    st.floats(-5, 5),
    st.floats(0, 4),
    st.booleans(),
)
def test_a_verdict_comes_back_from_json_as_it_was(
    word: str, low: float, width: float, deviates: bool
) -> None:
    deviations = ["looked twice"] if deviates else []
    verdict = judged(comparison(Outcome(word), low, low + width), deviations=deviations)
    assert Verdict.from_record(json.loads(json.dumps(verdict.record()))) == verdict
