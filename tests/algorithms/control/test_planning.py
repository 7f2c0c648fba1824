"""Value and policy iteration against linear programming, linear equations and each other."""

from importlib import import_module

import numpy as np
import pytest
from scipy.optimize import linprog
from staged import chain

from modelwright.algorithms import policy_iteration, value_iteration
from modelwright.algorithms.control.planning import action_values, greedy
from modelwright.algorithms.policy_iteration import evaluate_policy, iterate_policies
from modelwright.algorithms.value_iteration import iterate_values
from modelwright.base.errors import BadValue, UnknownName
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.exact_model import exact_model
from modelwright.data.environments.tabular_model import TabularModel

SEEDS = derive_seeds("planning", 3)
LAKE = Environment(name="FrozenLake-v1")


def random_model(seed: int, states: int = 9, actions: int = 3) -> TabularModel:
    """Return a model with sparse random transitions; its last state is terminal."""
    draw = np.random.default_rng(seed)
    probability = draw.dirichlet(np.full(states, 0.3), (states, actions))
    reward = draw.normal(size=(states, actions, states)) * (probability > 0)
    terminal = np.arange(states) == states - 1
    probability[-1], reward[-1] = terminal, 0.0
    initial = draw.dirichlet(np.ones(states)) * ~terminal
    return TabularModel(
        probability=probability, reward=reward, terminal=terminal, initial=initial / initial.sum()
    )


def by_linear_programming(model: TabularModel, gamma: float) -> np.ndarray:
    """Return V*: the least V with V(s) >= r(s, a) + gamma P(s, a) V for all s and a."""
    states, actions = model.expected_reward.shape
    mean = np.zeros((states, actions))
    for s in range(states):
        for a in range(actions):
            mean[s, a] = sum(model.probability[s, a, t] * model.reward[s, a, t] for t in range(states))
    rows = gamma * model.probability - np.eye(states)[:, None, :]
    found = linprog(np.ones(states), rows.reshape(-1, states), -mean.ravel(), bounds=(None, None))
    assert found.success
    return found.x


def last(steps):
    *_, step = steps
    return step


MODELS = [random_model(seed) for seed in range(4)]


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("model", [*MODELS, "FrozenLake-v1", "FrozenLake8x8-v1"])
def test_both_find_the_values_that_linear_programming_finds(model, gamma):
    model = exact_model(Environment(name=model)) if isinstance(model, str) else model
    expected = by_linear_programming(model, gamma)
    by_values = last(iterate_values(model, 2, value_iteration.Config(gamma=gamma))).policy.state()
    by_policies = last(iterate_policies(model, 2, policy_iteration.Config(gamma=gamma))).policy.state()
    np.testing.assert_allclose(by_values["value"][0], expected, atol=2e-7)
    np.testing.assert_allclose(by_policies["value"][1], expected, atol=2e-7)
    # Of equally good actions each may choose another, but never a worse one.
    q = action_values(model, expected, gamma)
    for found in (by_values, by_policies):
        chosen = q[np.arange(len(q)), found["action"][0]]
        np.testing.assert_allclose(chosen, q.max(axis=1), atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_values_solve_the_equations_of_the_policy_that_is_greedy_by_them(model):
    found = last(iterate_values(model, 1, value_iteration.Config(gamma=0.9))).policy.state()
    states, action = np.arange(9), found["action"][0]
    moves, rewards = np.zeros((9, 9)), np.zeros(9)
    for state in states:
        moves[state] = model.probability[state, action[state]]
        rewards[state] = model.probability[state, action[state]] @ model.reward[state, action[state]]
    closed = np.linalg.inv(np.eye(9) - 0.9 * moves) @ rewards
    np.testing.assert_allclose(found["value"][0], closed, atol=1e-7)
    np.testing.assert_allclose(evaluate_policy(model, action, 0.9), closed, atol=1e-10)
    np.testing.assert_array_equal(greedy(action_values(model, closed, 0.9)), action)


@pytest.mark.parametrize("model", MODELS)
def test_the_bound_holds_at_every_sweep_and_is_what_ends_them(model):
    expected = by_linear_programming(model, 0.9)
    config = value_iteration.Config(gamma=0.9, tolerance=1e-4, evaluate_every=1)
    steps = list(iterate_values(model, 1, config))
    errors = np.array([np.abs(step.policy.state()["value"][0] - expected).max() for step in steps])
    bounds = np.array([step.metrics["error_bound"][0] for step in steps])
    assert (errors <= bounds + 1e-7).all()
    assert (errors[1:] <= 0.9 * errors[:-1] + 1e-7).all()
    assert bounds[-1] <= 1e-4 < bounds[-2]
    for step in steps:
        assert step.metrics["error_bound"][0] == pytest.approx(9 * step.metrics["bellman_error"][0])


@pytest.mark.parametrize("model", MODELS)
def test_no_policy_is_worse_than_the_one_before_in_any_state(model):
    steps = list(iterate_policies(model, 1, policy_iteration.Config(gamma=0.95)))
    values = np.array([step.policy.state()["value"][0] for step in steps])
    assert (np.diff(values, axis=0) >= -1e-9).all()
    changes = [step.metrics["policy_changes"][0] for step in steps]
    assert changes[-1] == 0
    assert min(changes[:-1]) > 0
    assert steps[-1].metrics["bellman_error"][0] < 1e-9 < steps[0].metrics["bellman_error"][0]
    np.testing.assert_allclose([step.metrics["value_start"][0] for step in steps], values @ model.initial)


def test_the_first_policy_is_that_of_the_first_action_everywhere():
    first = next(iter(iterate_policies(MODELS[0], 1, policy_iteration.Config(gamma=0.95))))
    expected = evaluate_policy(MODELS[0], np.zeros(9, np.int64), 0.95)
    np.testing.assert_array_equal(first.policy.state()["value"][0], expected)


def test_the_cliff_costs_thirteen_steps_without_discount():
    cliff = Environment(name="CliffWalking-v1")
    found = last(value_iteration.train(cliff, SEEDS, value_iteration.Config(gamma=1.0)))
    np.testing.assert_array_equal(found.metrics["value_start"], -13.0)
    assert np.isnan(found.metrics["error_bound"]).all()


def reaches_goal(model: TabularModel, action: np.ndarray, steps: int) -> float:
    """Return the probability that a policy is at the goal, the last state, after so many steps."""
    moves = model.probability[np.arange(len(action)), action]
    return float((model.initial @ np.linalg.matrix_power(moves, steps))[-1])


def test_the_lake_is_crossed_as_often_as_is_known():
    model = exact_model(LAKE)
    for learner in (value_iteration, policy_iteration):
        step = last(learner.train(LAKE, SEEDS, learner.Config(gamma=0.999)))
        action = step.policy.state()["action"][0]
        assert reaches_goal(model, action, 100) == pytest.approx(0.74, abs=0.005)
        assert reaches_goal(model, action, 10_000) == pytest.approx(14 / 17)  # 0.8235


def test_actions_that_are_equally_good_do_not_flicker():
    table = chain([[(0, 0.1), (0, 0.1)]], [1.0])
    steps = list(iterate_values(table.model(), 1, value_iteration.Config(gamma=0.9)))
    assert len(steps) > 100
    assert all(step.metrics["policy_changes"][0] == 0 for step in steps[1:])
    assert greedy(np.array([[0.1 + 0.2, 0.3], [0.3, 0.1 + 0.2]])).tolist() == [0, 0]


def test_settings_of_the_environment_count():
    firm = Environment(name="FrozenLake-v1", settings={"is_slippery": False})
    found = last(policy_iteration.train(firm, SEEDS, policy_iteration.Config(gamma=0.9)))
    np.testing.assert_allclose(found.metrics["value_start"], 0.9**5)


def test_sweeps_and_iterations_end_where_asked():
    assert len(list(iterate_values(MODELS[0], 1, value_iteration.Config(sweeps=7)))) == 7
    assert len(list(iterate_policies(MODELS[0], 1, policy_iteration.Config(iterations=1)))) == 1
    offered = list(iterate_values(MODELS[0], 1, value_iteration.Config(sweeps=7, evaluate_every=3)))
    assert [step.update for step in offered if step.policy is not None] == [3, 6, 7]


@pytest.mark.parametrize("name", ["value_iteration", "policy_iteration"])
@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (Environment(name="CartPole-v1"), "numbered state"),
        (Environment(name="Pendulum-v1"), "discrete actions"),
        (Environment(name="probe-policy"), "numbered state"),
        (Environment(name="Blackjack-v1"), "."),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_an_environment_without_a_table_is_refused(name, environment, words):
    module = import_module(f"modelwright.algorithms.{name}")
    with pytest.raises((BadValue, UnknownName), match=words):
        next(iter(module.train(environment, SEEDS, module.Config())))


def test_policy_iteration_needs_a_discount():
    with pytest.raises(BadValue, match="below 1"):
        policy_iteration.Config(gamma=1.0)
