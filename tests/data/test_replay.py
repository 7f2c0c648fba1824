"""Replays against a list of what happened: rings, stretches of n steps, priorities, holes."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pytest
from scipy import stats

from modelwright.base.errors import BadValue
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.simulation import Transition
from modelwright.data.environments.space import Box, Discrete
from modelwright.data.prioritised_replay import PrioritisedReplay, SumTree
from modelwright.data.replay import Replay

SEEDS = derive_seeds("replay", 2)
COPIES = 2


@dataclass
class Shapes:
    """As much of a simulation as a replay looks at."""

    observation: np.ndarray
    action_space: Any = field(default_factory=lambda: Discrete(n=5))


def shapes(copies: int = COPIES) -> Shapes:
    return Shapes(np.zeros((len(SEEDS), copies, 1), np.float32))


def happened(steps: int, *, copies: int = COPIES, invalid: bool = False, seed: int = 0) -> list[Any]:
    """Return steps whose observations are numbers that are never used twice."""
    draw, number = np.random.default_rng(seed), iter(range(1, 10_000_000))
    lead = (len(SEEDS), copies)

    def fresh() -> np.ndarray:
        return np.array([next(number) for _ in range(lead[0] * lead[1])], np.float32).reshape(*lead, 1)

    log, observation, ended = [], fresh(), np.zeros(lead, bool)
    for _ in range(steps):
        valid = ~ended if invalid else None
        successor = fresh()
        live = np.ones(lead, bool) if valid is None else valid
        terminated, truncated = (draw.random(lead) < 0.1) & live, (draw.random(lead) < 0.1) & live
        ended = terminated | truncated
        after = np.where(ended[..., None], fresh(), successor)
        found = Transition(
            observation=after,
            successor=successor,
            reward=draw.normal(size=lead),
            terminated=terminated,
            truncated=truncated,
            valid=valid,
        )
        log.append((observation, draw.integers(5, size=lead), found))
        observation = after
    return log


def stretch(log: list[Any], seed: int, copy: int, at: int, n: int) -> dict[str, Any]:
    """Return by a loop what a stretch from step `at` must say."""
    rewards, successor, ended = [], None, False
    for _, _, found in log[at : at + n]:
        rewards.append(found.reward[seed, copy])
        if not ended:
            successor = found.successor[seed, copy, 0]
            terminated = found.terminated[seed, copy]
        ended = ended or bool(found.ended[seed, copy])
    return {"rewards": rewards, "successor": successor, "terminated": terminated, "ended": ended}


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("steps", [3, 9, 10, 11, 37])
@pytest.mark.parametrize("copies", [1, 3])
def test_what_is_drawn_is_what_happened(n: int, steps: int, copies: int) -> None:
    log = happened(steps, copies=copies)
    replay = Replay(shapes(copies), SEEDS, 10 * copies + copies // 2, n_step=n)
    for entry in log:
        replay.add(*entry)
    assert replay.size == min(steps, 10) * copies
    drawn = replay.sample(400)
    age = replay.age(drawn.rows)
    starts = {log[at][0][s, c, 0]: (at, s, c) for at in range(steps) for s in range(2) for c in range(copies)}
    begun = [set(), set()]
    for seed in range(2):
        for row in range(400):
            at, owner, copy = starts[drawn.observation[seed, row, 0]]
            begun[seed].add((at, copy))
            assert owner == seed
            assert max(0, steps - 10) <= at <= steps - n
            expected = stretch(log, seed, copy, at, n)
            assert drawn.action[seed, row] == log[at][1][seed, copy]
            np.testing.assert_array_equal(drawn.reward[seed, row], np.float32(expected["rewards"]))
            assert drawn.successor[seed, row, 0] == expected["successor"]
            stop = int(np.argmax(drawn.ended[seed, row])) if expected["ended"] else n - 1
            assert drawn.ended[seed, row].any() == expected["ended"]
            assert drawn.terminated[seed, row, stop] == expected["terminated"]
            assert age[seed, row] == (steps - 1 - at) * copies
    # Each stretch that is stored whole is found, none else.
    assert all(len(each) == (min(steps, 10) - n + 1) * copies for each in begun)


def test_the_successor_of_an_ended_episode_is_its_last_observation_and_not_the_next_first() -> None:
    log = happened(60)
    replay = Replay(shapes(), SEEDS, 200)
    for entry in log:
        replay.add(*entry)
    drawn = replay.sample(500)
    firsts = {float(v) for _, _, found in log for v in found.observation[found.ended].ravel()}
    lasts = {float(v) for _, _, found in log for v in found.successor[found.ended].ravel()}
    seen = {float(v) for v in drawn.successor[drawn.ended[..., 0]].ravel()}
    assert seen <= lasts
    assert not seen & firsts
    assert len(seen) > 20
    # Truncation is an end, but no termination.
    assert (drawn.ended & ~drawn.terminated).any()


@pytest.mark.parametrize("n", [1, 2])
def test_steps_that_never_happened_are_never_drawn(n: int) -> None:
    log = happened(80, invalid=True)
    fake = {float(o[s, c, 0]) for o, _, f in log for s, c in zip(*np.nonzero(~f.valid), strict=True)}
    assert len(fake) > 20
    for kind in (Replay, PrioritisedReplay):
        replay = kind(shapes(), SEEDS, 60, n_step=n)
        for entry in log:
            replay.add(*entry)
        drawn = replay.sample(2000) if kind is Replay else replay.sample(2000, 1.0)[0]
        assert not fake & set(drawn.observation.ravel().tolist())
        # What follows an end within a stretch does not count, so nothing ignored does either.
        alive = np.cumsum(drawn.ended, axis=2) - drawn.ended == 0
        assert not fake & set(drawn.successor.ravel().tolist())
        assert alive[..., 0].all()


@pytest.mark.parametrize(("steps", "n"), [(15, 1), (50, 1), (50, 3)])
def test_draws_are_uniform(steps: int, n: int) -> None:
    replay = Replay(shapes(), SEEDS, 40, n_step=n)
    for entry in happened(steps):
        replay.add(*entry)
    drawn = replay.sample(8000)
    cells = (min(steps, 20) - n + 1) * COPIES
    for seed in range(2):
        counts = list(Counter(drawn.rows[seed].tolist()).values())
        assert len(counts) == cells
        assert stats.chisquare(counts).pvalue > 1e-4
    assert not np.array_equal(drawn.rows[0], drawn.rows[1])


def test_draws_are_uniform_among_steps_that_happened() -> None:
    replay = Replay(shapes(), SEEDS, 40)
    for entry in happened(50, invalid=True):
        replay.add(*entry)
    counts = list(Counter(replay.sample(8000).rows[0].tolist()).values())
    assert stats.chisquare(counts).pvalue > 1e-4


def test_a_seed_draws_the_same_alone() -> None:
    log = happened(30)
    whole, alone = Replay(shapes(), SEEDS, 40), Replay(Shapes(np.zeros((1, 2, 1), np.float32)), SEEDS[1:], 40)
    for observation, action, found in log:
        whole.add(observation, action, found)
        given = [each.name for each in fields(Transition) if each.init and each.name != "valid"]
        part = Transition(**{name: getattr(found, name)[1:] for name in given})
        alone.add(observation[1:], action[1:], part)
    np.testing.assert_array_equal(whole.sample(50).rows[1], alone.sample(50).rows[0])


def test_values_of_actions_and_pixels_keep_their_type() -> None:
    shown = Shapes(np.zeros((2, 2, 3, 4), np.uint8), action_space=Box.of(-1, 1, (2,)))
    replay = Replay(shown, SEEDS, 8)
    pixels = np.arange(48, dtype=np.uint8).reshape(2, 2, 3, 4)
    action = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 2, 2)
    none = np.zeros((2, 2), bool)
    found = Transition(
        observation=pixels, successor=pixels + 100, reward=np.ones((2, 2)), terminated=none, truncated=none
    )
    replay.add(pixels, action, found)
    drawn = replay.sample(20)
    assert drawn.observation.dtype == drawn.successor.dtype == np.uint8
    assert drawn.action.shape == (2, 20, 2)
    for seed in range(2):
        for row in range(20):
            copy = int(drawn.rows[seed, row])
            np.testing.assert_array_equal(drawn.observation[seed, row], pixels[seed, copy])
            np.testing.assert_array_equal(drawn.successor[seed, row], pixels[seed, copy] + 100)
            np.testing.assert_array_equal(drawn.action[seed, row], action[seed, copy])


def test_too_small_and_too_early_are_refused() -> None:
    with pytest.raises(BadValue, match=r"at least 3 steps of each copy.*Nearest: 6"):
        Replay(shapes(), SEEDS, 5, n_step=3)
    for kind in (Replay, PrioritisedReplay):
        replay = kind(shapes(), SEEDS, 20, n_step=3)
        for entry in happened(2):
            replay.add(*entry)
        with pytest.raises(BadValue, match="Drawing needs 3 stored steps"):
            replay.sample(4, *([1.0] if kind is PrioritisedReplay else []))
    with pytest.raises(BadValue, match="alpha"):
        PrioritisedReplay(shapes(), SEEDS, 20, alpha=1.5)


@pytest.mark.parametrize("leaves", [1, 2, 5, 8, 13])
def test_a_tree_of_sums_is_a_list_that_is_added_up(leaves: int) -> None:
    draw, tree, numbers = np.random.default_rng(leaves), SumTree(3, leaves), np.zeros((3, leaves))
    for _ in range(40):
        rows = draw.integers(leaves, size=(3, 4))
        values = draw.choice([0.0, 0.5, 2.0, 7.0], (3, 4))
        tree.set(rows, values)
        for seed in range(3):
            for row, value in zip(rows[seed], values[seed], strict=True):
                numbers[seed, row] = value
        np.testing.assert_allclose(tree.total, numbers.sum(axis=1))
        np.testing.assert_array_equal(tree.get(rows), np.take_along_axis(numbers, rows, axis=1))
        if not (tree.total > 0).all():
            continue
        wanted = draw.random((3, 50)) * tree.total[:, None]
        found = tree.find(wanted)
        for seed in range(3):
            below = np.cumsum(numbers[seed])
            for place, sum_ in zip(found[seed], wanted[seed], strict=True):
                assert place == int(np.argmax(below > sum_))
    # At the very end of the sum, and beyond it by rounding, still a number that is not zero.
    tree.set(np.tile(np.arange(leaves), (3, 1)), np.eye(1, leaves).repeat(3, axis=0))
    assert (tree.find(tree.total[:, None]) == 0).all()


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
def test_draws_follow_priorities_and_weights_undo_them(n: int, alpha: float) -> None:
    replay = PrioritisedReplay(shapes(), SEEDS, 20, n_step=n, alpha=alpha)
    for entry in happened(27):
        replay.add(*entry)
    cells = (10 - n + 1) * COPIES
    every = replay.sample(5000, 0.0)[0].rows
    rows = np.stack([np.unique(each) for each in every])
    assert rows.shape == (2, cells)
    error = np.random.default_rng(0).normal(size=rows.shape) * 3
    replay.prioritise(rows, error)
    expected = (np.abs(error) + 1e-6) ** alpha
    expected /= expected.sum(axis=1, keepdims=True)
    drawn, weight = replay.sample(20_000, 0.7)
    for seed in range(2):
        counts = np.array([(drawn.rows[seed] == row).sum() for row in rows[seed]])
        # Draws are stratified: closer to what is expected than independent ones would be.
        np.testing.assert_allclose(counts / 20_000, expected[seed], atol=2e-4)
        place = np.searchsorted(rows[seed], drawn.rows[seed])
        raw = (replay.size * expected[seed][place]) ** -0.7
        np.testing.assert_allclose(weight[seed], raw / raw.max(), rtol=1e-5)
    assert weight.dtype == np.float32
    assert 0 < weight.min() <= weight.max() == 1


def test_a_new_step_has_the_largest_priority_and_the_overwritten_none() -> None:
    log = happened(14)
    replay = PrioritisedReplay(shapes(), SEEDS, 20, alpha=1.0)
    for entry in log[:10]:
        replay.add(*entry)
    rows = np.tile(np.arange(20), (2, 1))
    replay.prioritise(rows, np.full((2, 20), 0.5) * np.array([[1.0], [4.0]]))
    for entry in log[10:]:
        replay.add(*entry)
    drawn, _ = replay.sample(40_000, 1.0)
    for seed, (low, high) in enumerate([(0.5, 1.0), (2.0, 2.0)]):
        total = 12 * low + 8 * high
        for row in range(20):
            expected = (high if row < 8 else low) / total
            assert (drawn.rows[seed] == row).mean() == pytest.approx(expected, abs=1e-3)


def test_an_error_that_is_no_number_counts_as_the_largest() -> None:
    replay = PrioritisedReplay(shapes(), SEEDS, 20, alpha=1.0)
    for entry in happened(10):
        replay.add(*entry)
    rows = np.tile(np.arange(20), (2, 1))
    error = np.ones((2, 20))
    error[0, :3] = np.nan, np.inf, -4.0
    replay.prioritise(rows, error)
    drawn, _ = replay.sample(10_000, 1.0)
    shares = [(drawn.rows[0] == row).mean() for row in range(4)]
    np.testing.assert_allclose(shares, np.array([1, 1, 4, 1]) / 23, atol=1e-3)
