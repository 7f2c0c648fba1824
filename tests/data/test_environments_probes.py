"""The values that probes claim are those of their rules, found by other means; and exact models are exact."""

import gymnasium
import numpy as np
import pytest

from modelwright.base.errors import BadValue
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.probes import PROBES
from modelwright.data.environments.space import Discrete
from modelwright.data.environments.tabular import Tabular, gymnasium_table
from modelwright.data.environments.tabular_model import Outcomes, read_outcomes

SEEDS = derive_seeds("probes", 2)
TABLES = [name for name in PROBES if isinstance(PROBES[name].dynamics, Tabular)]


def best_values(model, gamma, sweeps):
    values = np.zeros(len(model.terminal))
    for _ in range(sweeps):
        values = (model.expected_reward + gamma * model.probability @ values).max(axis=1)
    return values


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("name", TABLES)
def test_values_of_probes_are_what_value_iteration_finds(name, gamma):
    probe = PROBES[name]
    found = best_values(probe.dynamics.outcomes.model(), gamma, 2000)[: len(probe.observations)]
    assert np.allclose(probe.values(gamma), found, rtol=0, atol=1e-12)
    actions = probe.action_values(gamma)
    assert np.allclose(actions.max(axis=1), found, rtol=0, atol=1e-12)
    assert np.array_equal(actions.argmax(axis=1), probe.optimal_action)


@pytest.mark.parametrize("gamma", [0.5, 0.9])
@pytest.mark.parametrize("name", PROBES)
def test_values_of_probes_are_the_returns_of_their_best_actions_as_stepped(name, gamma):
    """Bootstrapped where an episode is truncated and not where it terminates, as every learner must."""
    probe = PROBES[name]
    simulation = Environment(name=name).simulate(SEEDS, 8)
    kinds = [seen.tobytes() for seen in probe.observations]
    values, met = probe.values(gamma), set()
    for _ in range(40):
        at = np.array([[kinds.index(one.tobytes()) for one in row] for row in simulation.observation])
        found = simulation.step(probe.optimal_action[at])
        after = np.array([[kinds.index(one.tobytes()) for one in row] for row in found.successor])
        wanted = found.reward + gamma * np.where(found.terminated, 0.0, values[after])
        assert np.allclose(values[at], wanted, rtol=0, atol=1e-12)
        assert found.truncated.any() == (name == "probe-time-limit")
        met |= set(at.ravel().tolist())
    assert met == set(range(len(kinds)))  # every state was seen


def test_each_way_to_take_an_end_wrongly_gives_the_time_limits_probe_other_values():
    gamma, probe = 0.9, PROBES["probe-time-limit"]
    simulation = Environment(name=probe.name).simulate(SEEDS, 64)
    right = probe.values(gamma)

    def learn(worth):
        values = np.zeros(2)
        for _ in range(300):
            at = (simulation.observation[..., 0] > 0).astype(int)
            found = simulation.step(np.zeros((2, 64), np.int64))
            target = found.reward + gamma * worth(values, found)
            values = np.array([target[at == state].mean() for state in (0, 1)])
        return values

    def see(values, observation):
        return values[(observation[..., 0] > 0).astype(int)]

    assert np.allclose(learn(lambda v, f: ~f.terminated * see(v, f.successor)), right, atol=1e-6)
    assert np.allclose(learn(lambda v, f: ~f.ended * see(v, f.successor)), [1, 1])
    assert np.allclose(learn(lambda v, f: see(v, f.successor)), [10, 10], atol=1e-6)
    assert learn(lambda v, f: ~f.terminated * see(v, f.observation))[1] < 8


def test_the_continuous_probe_pays_best_for_its_best_action():
    probe = PROBES["probe-continuous"]
    state = np.repeat(probe.observations.astype(np.float64), 401, axis=0)
    tried = np.tile(np.linspace(-1, 1, 401), 2)[:, None]
    reward = probe.dynamics.advance(state, tried, ())[1].reshape(2, 401)
    assert np.allclose(tried[:401, 0][reward.argmax(axis=1)], probe.optimal_action[:, 0])
    assert np.array_equal(reward.max(axis=1), probe.values(0.9))
    assert probe.action_values(0.9) is None


def test_the_pixels_probe_is_the_backpropagation_probe_in_pictures():
    pictures, numbers = PROBES["probe-pixels"], PROBES["probe-backpropagation"]
    space = Environment(name="probe-pixels").simulate(SEEDS).observation_space
    assert space.dtype == np.uint8
    assert space.shape == pictures.observations.shape[1:]
    assert sorted(np.unique(pictures.observations).tolist()) == [0, 255]
    assert (pictures.observations.sum(axis=(1, 2, 3)) == 16 * 255).all()
    assert np.array_equal(pictures.values(0.9), numbers.values(0.9))
    one, other = (Environment(name=probe.name).simulate(SEEDS, 9) for probe in (pictures, numbers))
    for _ in range(20):
        action = np.zeros((2, 9), np.int64)
        assert np.array_equal(one.step(action).reward, other.step(action).reward)


def test_states_that_the_merging_probe_calls_the_same_are_and_others_are_not():
    probe = PROBES["probe-merge"]
    table = probe.dynamics.outcomes
    for one, other in probe.same:
        assert np.array_equal(table.reward[one], table.reward[other])
        assert np.array_equal(table.next[one], table.next[other])
    assert not np.array_equal(table.reward[0], table.reward[2])
    assert not np.array_equal(probe.observations[0], probe.observations[1])


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("FrozenLake-v1", 0.7441902878),
        ("FrozenLake8x8-v1", 0.9132201502),
        ("CliffWalking-v1", -13),
        ("Taxi-v4", 7.93),
    ],
)
def test_the_best_return_within_the_limit_is_the_documented_one(name, best):
    model = gymnasium_table(name).outcomes.model()
    values = best_values(model, 1.0, gymnasium.spec(name).max_episode_steps or 1000)
    assert model.initial @ values == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalkingSlippery-v1", "Taxi-v4"])
def test_a_model_says_how_often_what_happens(name):
    """Compared with how often it happened, and with Gymnasium's own table."""
    model = gymnasium_table(name).outcomes.model()
    assert np.allclose(model.probability.sum(axis=2), 1)
    assert model.initial.sum() == pytest.approx(1)
    assert (model.reward[model.probability == 0] == 0).all()
    ends = np.flatnonzero(model.terminal)
    assert (model.probability[ends, :, ends] == 1).all()
    assert (model.expected_reward[ends] == 0).all()
    simulation = Environment(name=name).simulate(SEEDS, 256)
    actions, states = simulation.action_space.n, len(model.initial)
    count, total = np.zeros((states, actions, states)), np.zeros((states, actions))
    rng = np.random.default_rng(0)
    for _ in range(300):
        state, action = simulation.observation, rng.integers(actions, size=(2, 256))
        found = simulation.step(action)
        np.add.at(count, (state, action, found.successor), 1)
        np.add.at(total, (state, action), found.reward)
        assert np.array_equal(model.terminal[found.successor], found.terminated)
    tried = count.sum(axis=2)
    error = np.abs(count - tried[..., None] * model.probability)
    spread = np.sqrt(tried[..., None] * model.probability * (1 - model.probability))
    assert (error <= 6 * spread + 1e-9).all()
    known = tried > 1000 if name != "Taxi-v4" else tried > 20
    assert known.any()
    off = np.abs(total / np.maximum(tried, 1) - model.expected_reward)
    assert (off[known] < (0.1 if name == "FrozenLake-v1" else 9)).all()
    table = gymnasium.make(name).unwrapped.P
    for state in np.flatnonzero(~model.terminal)[:40]:
        for action in range(actions):
            mean = sum(each[0] * each[2] for each in table[state][action])
            assert model.expected_reward[state, action] == pytest.approx(mean)


def test_a_model_is_read_of_any_environment_with_a_table_and_of_no_other():
    smooth = gymnasium.make("FrozenLake-v1", is_slippery=False)
    model = read_outcomes(smooth).model()
    assert sorted(np.unique(model.probability).tolist()) == [0, 1]
    with pytest.raises(BadValue, match=r"table `P`.*CartPoleEnv.*FrozenLake-v1"):
        read_outcomes(gymnasium.make("CartPole-v1"))


def test_a_table_whose_states_do_not_say_whether_it_ends_has_no_model():
    table = Outcomes(
        probability=np.ones((1, 2, 1)),
        next=np.zeros((1, 2, 1), np.int64),
        reward=np.ones((1, 2, 1)),
        ended=np.array([[[True], [False]]]),
        initial=np.ones(1),
    )
    with pytest.raises(BadValue, match="state 0, which does both"):
        table.model()


def test_probes_are_nine_and_each_says_what_it_shows():
    assert len(PROBES) == 9
    for name, probe in PROBES.items():
        assert name == probe.name
        assert probe.shows
        assert (probe.time_limit is not None) == (name == "probe-time-limit")
        simulation = Environment(name=name).simulate(SEEDS)
        assert simulation.observation_space.shape == probe.observations.shape[1:]
        assert simulation.observation.dtype == probe.observations.dtype
        assert isinstance(simulation.action_space, Discrete) == (probe.action_values(0.5) is not None)
