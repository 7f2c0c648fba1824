"""The rule by which scores are judged, its error rates, and what foreign weights are worth."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from modelwright.practice.judgement import MILD, Yardstick, judge_runs, judge_weights, work_differs
from modelwright.practice.trace import Failure, Trace, read_score


def trace(seed: int, score: float, **more: Any) -> Trace:
    fields: dict[str, Any] = {
        "last": {"score": score},
        "lines": (),
        "counts": {"optimizer steps": 100},
        "shapes": (),
        "weights": "",
        "seconds": 1.0,
    }
    return Trace(seed=seed, score=score, **(fields | more))


def by_seed(scores: list[float], **more: Any) -> Mapping[int, Trace]:
    return {seed: trace(seed, score, **more) for seed, score in enumerate(scores)}


SOUND = by_seed([0.90, 0.92, 0.91, 0.89, 0.93, 0.90])
YARD = Yardstick(gap=0.3, spread=0.015)


def test_scores_as_the_sound_ones_pass_and_others_do_not_in_either_direction() -> None:
    same = [trace(seed, (SOUND[seed].score or 0) + shift) for seed, shift in enumerate([0.01, -0.02] * 3)]
    assert not judge_runs(YARD, same, SOUND)
    for shift, word in ((-0.2, "worse"), (0.2, "better"), (0.05, "better")):
        moved = [trace(seed, (SOUND[seed].score or 0) + shift) for seed in SOUND]
        (reason,) = judge_runs(YARD, moved, SOUND)
        assert word in reason


def test_one_score_at_every_seed_is_told_from_a_sound_program_that_has_one_too() -> None:
    flat = [trace(seed, 0.908) for seed in SOUND]
    assert any("same score at every seed" in reason for reason in judge_runs(YARD, flat, SOUND))
    best = by_seed([200.0] * 6)
    assert not judge_runs(Yardstick(gap=150, spread=0.0), list(best.values()), best)


@pytest.mark.parametrize(("steps", "told"), [(100, False), (80, False), (50, True), (0, True), (200, True)])
def test_work_is_held_to_the_sound_programs(steps: int, told: bool) -> None:
    runs = [trace(0, 0.9, counts={"optimizer steps": steps})]
    assert bool(work_differs(runs, [SOUND[0]])) is told


def test_a_broken_program_without_a_score_counts_as_chance() -> None:
    yard = Yardstick.of({0: 0.9, 1: 0.8}, {0: None, 1: None}, 0.1)
    assert yard.gap == pytest.approx(0.75)
    assert not yard.is_mild
    assert Yardstick.of({0: 0.9, 1: 0.8}, {0: 0.88, 1: 0.82}, 0.1).is_mild


def test_weights_that_are_worth_less_than_is_said_are_told() -> None:
    runs = list(SOUND.values())[:3]
    assert not judge_weights(YARD, runs, SOUND, dict.fromkeys(range(3), (0.9, 0.9)))
    (reason,) = judge_weights(YARD, runs, SOUND, dict.fromkeys(range(3), (0.6, 0.9)))
    assert "scores 0.6 when the sound program measures it" in reason
    told = [trace(seed, 1.1) for seed in range(3)]
    (reason,) = judge_weights(YARD, told, SOUND, dict.fromkeys(range(3), (0.9, 0.9)))
    assert "its measurement is not the sound one" in reason


def test_a_measure_that_differs_for_the_sound_program_too_is_no_fault() -> None:
    # A mean over training beside one at its end: both say 0.2 more than their last weights are worth.
    runs = list(SOUND.values())[:3]
    measured = {run.seed: ((run.score or 0) - 0.2, (run.score or 0) - 0.2) for run in runs}
    assert not judge_weights(YARD, runs, SOUND, measured)


def test_sound_mends_by_another_way_are_seldom_turned_away_and_broken_ones_seldom_pass() -> None:
    # The mildest fault that is drawn: its effect is 2.5 spreads. Neither run shares anything with the other.
    rng = np.random.default_rng(0)
    yard = Yardstick(gap=MILD, spread=1.0)
    again = rng.normal(size=(20_000, 6)) - rng.normal(size=(20_000, 6))
    turned_away = np.mean([not yard.admits(row) for row in again])
    passed = np.mean([yard.admits(row - MILD) for row in again])
    assert turned_away < 0.06
    assert passed < 0.02
    wide = Yardstick(gap=5.0, spread=1.0)
    assert np.mean([not wide.admits(row) for row in again]) < 0.04
    assert np.mean([wide.admits(row - 5.0) for row in again]) < 0.0005


def test_runs_are_the_same_by_result_work_and_weights() -> None:
    one = trace(0, 0.9, shapes=(1,), weights="a", lines=("x",))
    assert one.is_exactly(trace(0, 0.9, shapes=(1,), weights="a", lines=("x", "more")))
    assert not one.is_exactly(trace(0, 0.9, shapes=(1,), weights="b"))
    assert not one.is_exactly(trace(0, 0.9, shapes=(1,), weights="a", counts={"optimizer steps": 0}))
    assert not one.is_exactly(trace(0, 0.9, shapes=(1,), weights="a", failure=Failure(what="no")))
    plain = trace(0, 0.9, lines=("x", "y"))
    assert trace(0, 0.9, lines=("x", "mine", "y")).is_exactly(plain)
    assert not trace(0, 0.9, lines=("x",)).is_exactly(plain)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('a\n{"score": 0.5}\n', 0.5),
        ('{"score": 1}', 1.0),
        ('{"score": NaN}', None),
        ('{"score": true}', None),
        ('{"score": "0.5"}', None),
        ('{"score": 0.5}\nbye', None),
        ("[0.5]", None),
        ("", None),
    ],
)
def test_a_score_is_a_finite_number_on_the_last_line(text: str, score: float | None) -> None:
    assert read_score(text)[0] == score
