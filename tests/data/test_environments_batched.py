"""Our rows of environments beside Gymnasium's copies: every number equal, alone and in company."""

import gymnasium
import numpy as np
import pytest

from modelwright.base.seed import derive_seeds
from modelwright.data.environments.batched import BatchedSimulation, copy_generator
from modelwright.data.environments.environment import BATCHED, Environment
from modelwright.data.environments.space import Discrete

SEEDS, COPIES = derive_seeds("beside", 4), 5
STEPS = 100_000
LONG = (
    "Acrobot-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
    "FrozenLake8x8-v1",
    "Taxi-v4",
)


def act(name, space, observation, step, rng):
    """Return random actions, some of them beyond a box; for a while those that lead to the task's end."""
    lead = observation.shape[:2]
    if step % 2500 < 400:
        if name == "MountainCar-v0":
            return np.where(observation[..., 1] > 0, 2, 0)
        if name == "MountainCarContinuous-v0":
            return np.sign(observation[..., 1:2]).astype(np.float32)
        if name == "Acrobot-v1":
            return np.where(observation[..., 4] > 0, 2, 0)
        if name == "CliffWalking-v1":  # up, right along the cliff, down
            row, column = np.divmod(observation, 12)
            return np.where(column == 11, 2, np.where(row == 3, 0, 1))
    if isinstance(space, Discrete):
        return rng.integers(space.n, size=lead)
    return (1.5 * rng.uniform(space.low, space.high, (*lead, *space.shape))).astype(np.float32)


def gymnasium_copies(name):
    made = []
    for seed in SEEDS:
        for copy in range(COPIES):
            one = gymnasium.make(name, disable_env_checker=True)
            one.unwrapped.np_random = copy_generator(seed, copy)
            made.append(one)
    return made


@pytest.mark.parametrize("steps", [10_000, pytest.param(STEPS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", BATCHED)
def test_rows_step_as_gymnasiums_copies_do_for_a_hundred_thousand_steps(name, steps):
    ours, theirs = Environment(name=name).simulate(SEEDS, COPIES), gymnasium_copies(name)
    assert isinstance(ours, BatchedSimulation)
    first = np.stack([one.reset()[0] for one in theirs])
    assert np.array_equal(ours.observation.reshape(first.shape), first)
    assert ours.observation.dtype == theirs[0].observation_space.dtype
    rng, terminated, truncated = np.random.default_rng(1), 0, 0
    for step in range(steps // len(theirs)):
        action = act(name, ours.action_space, ours.observation, step, rng)
        found = ours.step(action)
        rows = action.reshape(len(theirs), *ours.action_space.shape)
        wanted = [one.step(int(row) if row.ndim == 0 else row) for one, row in zip(theirs, rows, strict=True)]
        seen, reward, ended, cut = (np.array(part) for part in list(zip(*wanted, strict=True))[:4])
        assert np.array_equal(found.successor.reshape(seen.shape), seen)
        assert np.array_equal(found.reward.ravel(), reward.astype(np.float64))
        assert np.array_equal(found.terminated.ravel(), ended)
        assert np.array_equal(found.truncated.ravel(), cut)
        over = np.flatnonzero(ended | cut)
        for row in over:
            seen[row] = theirs[row].reset()[0]
        assert np.array_equal(found.observation.reshape(seen.shape), seen)
        terminated, truncated = terminated + ended.sum(), truncated + cut.sum()
    if steps == STEPS:  # the ends of episodes were compared too, by either way where chance leads to both
        assert terminated + truncated >= 10
        assert terminated > 0 or name == "Pendulum-v1"
        assert truncated > 0 or name not in LONG


@pytest.mark.parametrize("name", [*BATCHED, "probe-merge", "probe-continuous"])
@pytest.mark.parametrize("company", [1, 5, 64])
def test_a_seeds_numbers_do_not_depend_on_its_company(name, company):
    def episode(seeds, place):
        simulation, rng = Environment(name=name).simulate(seeds), np.random.default_rng(3)
        space, seen = simulation.action_space, []
        for _ in range(300):
            one = rng.integers(space.n) if isinstance(space, Discrete) else rng.uniform(-1, 1, space.shape)
            action = np.broadcast_to(one, (len(seeds), 1, *space.shape))
            found = simulation.step(np.array(action))
            seen.append((found.observation[place], found.successor[place], found.reward[place]))
        return [np.stack(part).tobytes() for part in zip(*seen, strict=True)]

    seeds = derive_seeds("company", 64)
    assert episode(seeds[6:7], 0) == episode((*seeds[:company], seeds[6]), company)


@pytest.mark.parametrize("name", [name for name in BATCHED if "Cliff" not in name])
def test_both_ways_to_make_it_give_the_same_numbers(name):
    rows = Environment(name=name).simulate(SEEDS, 2)
    plain = Environment(name=name, batched=False).simulate(SEEDS, 2)
    rng, space = np.random.default_rng(2), rows.action_space
    assert np.array_equal(rows.observation, plain.observation)
    for _ in range(220):
        if isinstance(space, Discrete):
            action = rng.integers(space.n, size=(4, 2))
        else:
            action = rng.uniform(space.low, space.high, (4, 2, *space.shape)).astype(np.float32)
        one, other = rows.step(action), plain.step(action)
        for part in ("observation", "successor", "reward", "terminated", "truncated"):
            assert np.array_equal(getattr(one, part), getattr(other, part)), part
            assert getattr(one, part).dtype == getattr(other, part).dtype


@pytest.mark.parametrize("name", BATCHED)
def test_spaces_and_limits_are_gymnasiums(name):
    rows = Environment(name=name).simulate(SEEDS[:1])
    plain = Environment(name=name, batched=False).simulate(SEEDS[:1])
    for ours, theirs in (
        (rows.observation_space, plain.observation_space),
        (rows.action_space, plain.action_space),
    ):
        if isinstance(ours, Discrete):
            assert ours == theirs
        else:
            assert ours.dtype == theirs.dtype
            assert np.array_equal(ours.low, theirs.low)
            assert np.array_equal(ours.high, theirs.high)
    assert BATCHED[name].time_limit == gymnasium.spec(name).max_episode_steps


def test_another_time_limit_truncates_there():
    simulation = Environment(name="Pendulum-v1", time_limit=7).simulate(SEEDS[:2], 3)
    cut = [simulation.step(np.zeros((2, 3, 1))).truncated.all() for _ in range(21)]
    assert np.flatnonzero(cut).tolist() == [6, 13, 20]


def test_equal_seeds_are_equal_other_seeds_are_not_and_global_state_is_untouched():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002

    def first(seed, copies=2):
        return Environment(name="CartPole-v1").simulate([seed], copies).observation

    assert np.array_equal(first(SEEDS[0]), first(SEEDS[0]))
    assert not np.array_equal(first(SEEDS[0]), first(SEEDS[1]))
    assert not np.array_equal(first(SEEDS[0])[:, 0], first(SEEDS[0])[:, 1])
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002


def test_arrays_of_a_step_are_not_changed_by_later_steps():
    for name in ("CartPole-v1", "FrozenLake-v1", "probe-pixels", "probe-continuous"):
        simulation = Environment(name=name).simulate(SEEDS, 3)
        shape = (4, 3, *simulation.action_space.shape)
        kept = [simulation.step(np.zeros(shape, np.int64 if len(shape) == 2 else np.float32))]
        copies = [(kept[0].observation.copy(), kept[0].successor.copy(), kept[0].reward.copy())]
        for _ in range(50):
            simulation.step(np.zeros(shape, np.int64 if len(shape) == 2 else np.float32))
        for step, (observation, successor, reward) in zip(kept, copies, strict=True):
            assert np.array_equal(step.observation, observation)
            assert np.array_equal(step.successor, successor)
            assert np.array_equal(step.reward, reward)
