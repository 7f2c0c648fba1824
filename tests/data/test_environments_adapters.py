"""Plain copies and vector environments in all modes tell the same true story of an episode's end."""

from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from modelwright.base.errors import BadValue, WorkerLost
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.checked_environment import CheckedEnvironment
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.gymnasium_simulation import GymnasiumSimulation
from modelwright.data.environments.relay import relaying
from modelwright.data.environments.vector_simulation import VectorSimulation

SEEDS, COPIES = derive_seeds("adapters", 3), 2
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


class Counting(gymnasium.Env):
    """Observes (episode, step in it, what ended the one before); the seed says how the first one ends.

    Episodes end by termination, by truncation, and by both at once, in turns, after 2, 3 and 4 steps. The
    reward is 100 times the episode plus the step that was acted in, plus the action. One buffer holds all
    observations, as some environments do to save time.
    """

    observation_space = gymnasium.spaces.Box(-1e6, 1e6, (3,), np.float32)
    action_space = gymnasium.spaces.Discrete(3)

    def __init__(self):
        self.episode, self.count, self.first = -1, 0, 0
        self.buffer = np.zeros(3, np.float32)

    def seen(self):
        self.buffer[:] = self.episode, self.count, (self.first + self.episode) % 3
        return self.buffer

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.first = seed % 3
        self.episode, self.count = self.episode + 1, 0
        return self.seen(), {}

    def step(self, action):
        reward = 100.0 * self.episode + self.count + 0.25 * action
        self.count += 1
        way = (self.first + self.episode) % 3
        over = self.count == way + 2
        return self.seen(), reward, over and way != 1, over and way != 0, {}


def counting():
    return CheckedEnvironment(Counting(), "counting")


def cart_pole():
    made = gymnasium.make("CartPole-v1", max_episode_steps=13, disable_env_checker=True)
    return CheckedEnvironment(made, "CartPole-v1")


def simulations(make):
    yield "plain", GymnasiumSimulation(make, SEEDS, COPIES)
    for kind in (SyncVectorEnv, AsyncVectorEnv):
        for mode in MODES:

            def vector(rows, kind=kind, mode=mode):
                return kind([make] * rows, autoreset_mode=mode)

            yield f"{kind.__name__} {mode.name}", VectorSimulation("mine", vector, SEEDS, COPIES)


def story(simulation, steps):
    """Return for each row what is stored of each step, acted by what is seen alone."""
    rows = [[] for _ in range(len(SEEDS) * COPIES)]
    try:
        for _ in range(steps):
            seen = simulation.observation
            action = np.abs(np.rint(seen.sum(axis=-1) * 37)).astype(np.int64) % 2
            found = simulation.step(action)
            valid = np.ones_like(found.terminated) if found.valid is None else found.valid
            for row, place in enumerate(np.ndindex(action.shape)):
                if valid[place]:
                    rows[row].append(
                        (
                            seen[place].tobytes(),
                            int(action[place]),
                            float(found.reward[place]),
                            found.successor[place].tobytes(),
                            bool(found.terminated[place]),
                            bool(found.truncated[place]),
                        )
                    )
            assert np.array_equal(simulation.observation, found.observation)
    finally:
        simulation.close()
    return rows


@pytest.mark.parametrize("make", [counting, cart_pole])
def test_the_same_is_stored_in_every_mode_and_in_the_plain_adapter(make):
    stories = {name: story(simulation, 150) for name, simulation in simulations(make)}
    plain = stories.pop("plain")
    ends = [step[4:] for row in plain for step in row]
    assert {(True, False), (False, True), (False, False)} <= set(ends)
    assert (True, True) in ends or make is cart_pole
    assert len(stories) == 6
    for name, rows in stories.items():
        for mine, wanted in zip(rows, plain, strict=True):
            assert len(mine) >= 100, name  # NEXT_STEP loses a step for each episode
            assert mine == wanted[: len(mine)], name


def test_what_is_stored_of_a_counting_environment_is_right():
    for row in story(GymnasiumSimulation(counting, SEEDS, COPIES), 60):
        episode, count = 0, 0
        for seen, action, reward, successor, terminated, truncated in row:
            before, after = np.frombuffer(seen, np.float32), np.frombuffer(successor, np.float32)
            way = int(before[2])
            assert before[:2].tolist() == [episode, count]
            assert reward == 100.0 * episode + count + 0.25 * action
            assert after.tolist() == [episode, count + 1, way]  # of the same episode, even at its end
            over = count + 1 == way + 2
            assert (terminated, truncated) == (over and way != 1, over and way != 0)
            episode, count = (episode + 1, 0) if over else (episode, count + 1)


def test_a_step_that_only_begins_an_episode_is_marked():
    def vector(rows):
        return SyncVectorEnv([counting] * rows, autoreset_mode=AutoresetMode.NEXT_STEP)

    simulation = VectorSimulation("mine", vector, SEEDS[:1], 1)
    ended_before, marked = False, 0
    for _ in range(30):
        found = simulation.step(np.ones((1, 1), np.int64))
        valid = True if found.valid is None else bool(found.valid[0, 0])
        assert valid != ended_before
        ended_before, marked = bool(found.ended[0, 0]), marked + (not valid)
    assert marked >= 5


@pytest.mark.parametrize("mode", MODES)
def test_arrays_of_a_step_are_copies_though_the_vector_environment_reuses_its_own(mode):
    def vector(rows):
        return SyncVectorEnv([counting] * rows, copy=False, autoreset_mode=mode)

    simulation = VectorSimulation("mine", vector, SEEDS, COPIES)
    kept = [simulation.step(np.zeros((3, 2), np.int64)) for _ in range(1)]
    before = [(step.observation.copy(), step.successor.copy()) for step in kept]
    for _ in range(9):
        simulation.step(np.zeros((3, 2), np.int64))
    for step, (observation, successor) in zip(kept, before, strict=True):
        assert np.array_equal(step.observation, observation)
        assert np.array_equal(step.successor, successor)


@pytest.mark.parametrize("vector", [None, "sync", "async"])
def test_settings_choose_the_adapter_and_not_the_numbers(vector):
    plain = Environment(name="Acrobot-v1", batched=False, time_limit=9).simulate(SEEDS, COPIES)
    other = Environment(name="Acrobot-v1", batched=False, time_limit=9, vector=vector).simulate(SEEDS, COPIES)
    for _ in range(40):
        action = np.ones((3, 2), np.int64)
        one, two = plain.step(action), other.step(action)
        assert np.array_equal(one.observation, two.observation)
        assert np.array_equal(one.successor, two.successor)
        assert np.array_equal(one.truncated, two.truncated)
    other.close()
    other.close()  # a second time does nothing


def test_a_vector_environment_of_its_own_keeps_seeds_apart():
    environment = Environment(name="CartPole-v1", vector="own", time_limit=9)
    alone = environment.simulate(SEEDS[1:2], COPIES)
    among = environment.simulate(SEEDS, COPIES)
    for _ in range(40):
        one, two = alone.step(np.ones((1, 2), np.int64)), among.step(np.ones((3, 2), np.int64))
        assert np.array_equal(one.observation[0], two.observation[1])
        assert np.array_equal(one.reward[0], two.reward[1])
    assert not np.array_equal(among.observation[0], among.observation[1])


def test_vector_own_is_refused_where_there_is_none():
    with pytest.raises(BadValue, match=r"vector environment of its own.*vector=sync"):
        Environment(name="Acrobot-v1", vector="own").simulate(SEEDS)


def test_one_process_at_a_time_gives_the_same_numbers():
    found = [
        Environment(name="CartPole-v1", vector="async", workers=workers).simulate(SEEDS[:1], 3)
        for workers in (None, 1)
    ]
    steps = [[one.step(np.ones((1, 3), np.int64)).successor for _ in range(20)] for one in found]
    assert np.array_equal(*steps)
    for one in found:
        one.close()


def act_often(simulation):
    for _ in range(9):
        simulation.step(np.zeros((3, 2), np.int64))


class Silent(SyncVectorEnv):
    """Says nothing about how it begins episodes, as vector environments before Gymnasium 1.1."""

    def __init__(self, rows):
        super().__init__([counting] * rows)
        self.metadata = {}


class Forgetful(SyncVectorEnv):
    """Of mode SAME_STEP, but without the last observation."""

    def __init__(self, rows):
        super().__init__([counting] * rows, autoreset_mode=AutoresetMode.SAME_STEP)

    def step(self, actions):
        *found, info = super().step(actions)
        info.pop("final_obs", None)
        return (*found, info)


class Bent(SyncVectorEnv):
    """Changes one part of what a step answers."""

    def __init__(self, rows, part, value):
        super().__init__([counting] * rows, autoreset_mode=AutoresetMode.SAME_STEP)
        self.part, self.value = part, value

    def step(self, actions):
        found = list(super().step(actions))
        found[self.part] = self.value
        return tuple(found)


def test_a_vector_environment_that_does_not_say_its_mode_is_refused():
    with pytest.raises(BadValue, match="how it begins episodes"):
        VectorSimulation("mine", Silent, SEEDS, COPIES)


def test_a_lost_last_observation_is_refused():
    simulation = VectorSimulation("mine", Forgetful, SEEDS, COPIES)
    with pytest.raises(BadValue, match="final_obs"):
        act_often(simulation)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        (0, np.full((6, 3), np.nan), "finite numbers"),
        (0, np.full((6, 3), 1e300), "within float32"),
        (0, np.zeros((6, 4)), r"shape \(6, 3\)"),
        (0, np.full((6, 3), "a"), r"shape \(6, 3\)"),
        (1, np.full(6, np.inf), "finite number"),
        (1, np.zeros((6, 1)), "one number for each of 6 rows"),
        (2, np.zeros(6), "True or False"),
        (3, [False], "True or False for each"),
    ],
)
def test_a_vector_environment_that_breaks_the_interface_is_refused(part, value, message):
    simulation = VectorSimulation("mine", partial(Bent, part=part, value=value), SEEDS, COPIES)
    with pytest.raises(BadValue, match=message):
        simulation.step(np.zeros((3, 2), np.int64))


class Raising(Counting):
    def step(self, action):
        if self.episode == 1:
            raise ZeroDivisionError("out of fuel")
        return super().step(action)


class Dying(Counting):
    def step(self, action):
        import os

        os._exit(3)


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
@pytest.mark.filterwarnings("ignore")  # Gymnasium also says so on its own
def test_a_row_that_raises_is_named(kind):
    def vector(rows):
        return kind([partial(relaying, lambda: CheckedEnvironment(Raising(), "mine"))] * rows)

    simulation = VectorSimulation("mine", vector, SEEDS, COPIES)
    with pytest.raises(WorkerLost, match=r"mine raised ZeroDivisionError.*out of fuel.*adapters.py, line"):
        act_often(simulation)
    simulation.close()


@pytest.mark.filterwarnings("ignore")
def test_a_process_that_ends_without_a_word_is_noticed():
    def vector(rows):
        return AsyncVectorEnv([lambda: CheckedEnvironment(Dying(), "mine")] * rows)

    simulation = VectorSimulation("mine", vector, SEEDS[:1], 2)
    with pytest.raises(WorkerLost, match="ended without a word"):
        simulation.step(np.zeros((1, 2), np.int64))
    simulation.close()
