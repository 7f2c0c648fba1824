"""Q-learning and SARSA against a naive twin that learns from the same steps, and against exact values."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from staged import Staged, Tampered, by_rules, chain, numbered

from modelwright.algorithms import q_learning, sarsa, value_iteration
from modelwright.algorithms.value_iteration import iterate_values
from modelwright.base.errors import BadValue
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.batched import BatchedSimulation
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.exact_model import exact_model
from modelwright.data.environments.probes import PROBES
from modelwright.data.environments.tabular import Tabular, gymnasium_table

SEEDS = derive_seeds("tables", 8)
BOTH = pytest.mark.parametrize("module", [q_learning, sarsa], ids=["q_learning", "sarsa"])
PROBED = [name for name in PROBES if name not in ("probe-continuous", "probe-pixels")]


def last(steps):
    *_, step = steps
    return step


class Watched:
    """A simulation that keeps what was done and what followed."""

    def __init__(self, inner, log):
        self._inner, self._log = inner, log

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def step(self, action):
        before = self._inner.observation.copy()
        found = self._inner.step(action)
        self._log.append((before, action.copy(), found))
        return found


def watched(rules, limit, log):
    return Staged(
        name="watched",
        make=lambda seeds, copies: Watched(BatchedSimulation(rules, seeds, copies, limit), log),
    )


def naive(module, log, seed, config, states, actions, epsilons):
    """Learn one seed's table number by number; also check that what was done was greedy or random."""
    q = [[config.initial_value] * actions for _ in range(states)]
    count = [[0] * actions for _ in range(states)]
    errors, greedy, known = [], 0, q
    for place, (before, action, found) in enumerate(log):
        # Q-learning acts by what it knows now, SARSA chose before its last update.
        before_that, known = known, [row[:] for row in q]
        acted_by = known if module is q_learning else before_that
        targets = []
        for copy in range(config.copies):
            s, a = int(before[seed, copy]), int(action[seed, copy])
            greedy += a == max(range(actions), key=acted_by[s].__getitem__)
            y = float(found.reward[seed, copy])
            after = q[int(found.successor[seed, copy])]
            if not found.terminated[seed, copy]:
                if module is q_learning:
                    y += config.gamma * max(after)
                elif found.truncated[seed, copy]:
                    epsilon = epsilons[place]
                    y += config.gamma * ((1 - epsilon) * max(after) + epsilon * sum(after) / actions)
                else:
                    # What comes next is on record; after the very last step nobody knows.
                    following = None if place + 1 == len(log) else log[place + 1][1][seed, copy]
                    y = None if following is None else y + config.gamma * after[following]
            targets.append((s, a, y))
        for s, a, y in targets:
            if y is None:
                continue
            count[s][a] += 1
            errors.append(abs(y - q[s][a]))
            alpha = 1 / count[s][a] if config.step_size is None else config.step_size
            q[s][a] += alpha * (y - q[s][a])
    return np.array(q), np.array(count), errors, greedy / (len(log) * config.copies)


@BOTH
@pytest.mark.parametrize("limit", [7, None])
@pytest.mark.parametrize(("copies", "step_size"), [(1, 0.3), (3, None)])
def test_tables_are_those_of_a_naive_twin(module, limit, copies, step_size):
    log = []
    config = module.Config(
        total_steps=600 * copies,
        copies=copies,
        step_size=step_size,
        gamma=0.9,
        initial_value=0.5,
        explore_first=0.8,
        explore_last=0.2,
        explore_share=0.5,
        report_every=600,
    )
    step = last(module.train(watched(gymnasium_table("FrozenLake-v1"), limit, log), SEEDS[:3], config))
    # epsilon of a round is that with which its last actions were drawn.
    passed = [min(1.0, (place + 1) * copies / (0.5 * config.total_steps)) for place in range(600)]
    epsilons = [0.8 - 0.6 * each for each in passed]
    for seed in range(3):
        q, count, errors, greedy = naive(module, log, seed, config, 16, 4, epsilons)
        state = step.policy.state()
        # SARSA's last action was never done: the twin leaves the last step out.
        loose = np.zeros_like(q, bool)
        if module is sarsa:
            for copy in range(copies):
                loose[log[-1][0][seed, copy], log[-1][1][seed, copy]] = True
        np.testing.assert_allclose(state["q"][seed][~loose], q[~loose], rtol=1e-12)
        np.testing.assert_array_equal(state["updates"][seed][~loose], count[~loose])
        assert state["updates"][seed].sum() == 600 * copies
        assert step.metrics["td_error"][seed] == pytest.approx(np.mean(errors), rel=0.02)
        # Half of the rounds fall from 0.8 to 0.2, and a quarter of random actions are the greedy one.
        assert greedy == pytest.approx(1 - 0.35 * 0.75, abs=0.06)
        seen = state["updates"][seed] > 0
        assert step.metrics["visits"][seed] == seen.mean()
        assert step.metrics["q_mean"][seed] == pytest.approx(state["q"][seed][seen].mean())
        assert step.metrics["q_max"][seed] == state["q"][seed][seen].max()
        assert step.metrics["q_min"][seed] == state["q"][seed][seen].min()


@BOTH
def test_the_update_ratio_is_that_of_the_table_since_the_last_report(module):
    config = module.Config(total_steps=400, report_every=100, evaluate_every=1, initial_value=1.0)
    tables, ratios = [np.ones((2, 16, 4))], []
    for step in module.train(Environment(name="FrozenLake-v1"), SEEDS[:2], config):
        tables.append(step.policy.state()["q"])
        ratios.append(step.metrics["update_ratio"])
    for before, after, ratio in zip(tables, tables[1:], ratios, strict=False):
        for seed in range(2):
            expected = np.linalg.norm(after[seed] - before[seed]) / np.linalg.norm(before[seed])
            assert ratio[seed] == pytest.approx(expected)


@BOTH
@pytest.mark.parametrize("probe", PROBED)
def test_probes_are_learnt_to_their_exact_values(module, probe):
    config = module.Config(
        total_steps=1200,
        copies=3,
        gamma=0.5,
        step_size=0.5,
        explore_last=0.0,
        explore_share=0.9,
    )
    policy = last(module.train(numbered(probe), SEEDS[:3], config)).policy
    expected = PROBES[probe].action_values(0.5)
    found = policy.state()
    best = PROBES[probe].optimal_action
    seen = found["updates"] > 0
    states = np.arange(len(best))
    for seed in range(3):
        # What is done in the end is worth what it should be; other actions only where they were tried.
        np.testing.assert_allclose(found["q"][seed][states, best], expected[states, best], atol=1e-3)
        if module is q_learning:
            np.testing.assert_allclose(found["q"][seed][seen[seed]], expected[seen[seed]], atol=1e-3)
    acted = policy.act(np.tile(states, (3, 1)))
    np.testing.assert_array_equal(acted, np.tile(best, (3, 1)))


CHAIN = chain(
    # Going right costs a little and pays at the end; standing still and turning back do not.
    [[(0, 0.0), (1, -0.1)], [(0, 0.2), (2, -0.1)], [(1, 0.2), (3, -0.1)], [(2, 0.2), (None, 2.0)]],
    [1.0, 0.0, 0.0, 0.0],
)


@pytest.mark.parametrize("step_size", [0.5, 1.0])
def test_q_learning_finds_the_exact_values_of_a_chain(step_size):
    best = last(iterate_values(CHAIN.model(), 1, value_iteration.Config(gamma=0.9))).policy.state()
    config = q_learning.Config(
        total_steps=6000, gamma=0.9, step_size=step_size, explore_first=1.0, explore_last=1.0
    )
    found = last(q_learning.train(by_rules(Tabular(CHAIN)), SEEDS, config)).policy.state()
    for seed in range(8):
        np.testing.assert_allclose(found["q"][seed, :4], best["q"][0, :4], atol=1e-6)


def test_sarsa_finds_the_values_of_the_policy_that_explores():
    # With random actions throughout, SARSA's table is that of the uniform policy: linear equations.
    model = CHAIN.model()
    moves, rewards = model.probability.mean(axis=1), model.expected_reward.mean(axis=1)
    value = np.linalg.solve(np.eye(5) - 0.9 * moves, rewards)
    expected = model.expected_reward + 0.9 * model.probability @ value
    config = sarsa.Config(
        total_steps=25_000, copies=10, gamma=0.9, step_size=0.02, explore_first=1.0, explore_last=1.0
    )
    found = last(sarsa.train(by_rules(Tabular(CHAIN)), SEEDS, config)).policy.state()
    best = last(iterate_values(model, 1, value_iteration.Config(gamma=0.9))).policy.state()["q"][0]
    np.testing.assert_allclose(found["q"].mean(axis=0)[:4], expected[:4], atol=0.06)
    assert np.abs(best[:4] - expected[:4]).max() > 0.5


def crossed(model, q, steps=100):
    """Return the probability that the greedy policy of a table is at the goal after so many steps."""
    action = q.argmax(axis=1)
    moves = model.probability[np.arange(len(action)), action]
    return float((model.initial @ np.linalg.matrix_power(moves, steps))[-1])


def test_q_learning_crosses_the_lake_as_often_as_the_optimal_policy():
    lake = Environment(name="FrozenLake-v1")
    model = exact_model(lake)
    best = last(iterate_values(model, 1, value_iteration.Config(gamma=0.99))).policy.state()["q"][0]
    config = q_learning.Config(
        total_steps=60_000, copies=10, step_size=0.05, explore_last=0.1, initial_value=1.0
    )
    found = last(q_learning.train(lake, SEEDS, config)).policy.state()["q"]
    shares = np.array([crossed(model, q) for q in found])
    optimum = crossed(model, best)
    assert optimum == pytest.approx(0.74, abs=0.005)
    # Shares are exact, and so is the interval: all seeds have found the best policy.
    np.testing.assert_allclose(shares, optimum, atol=1e-9)


def test_near_a_cliff_sarsa_keeps_away_and_q_learning_goes_along_the_edge():
    """Example 6.6 of Sutton and Barto: epsilon 0.1, no discount."""
    cliff = Environment(name="CliffWalking-v1")
    shared = {"gamma": 1.0, "step_size": 0.5, "explore_first": 0.1, "explore_last": 0.1}
    found, gained = {}, {}
    for module in (q_learning, sarsa):
        config = module.Config(total_steps=10_000, report_every=10_000, **shared)
        step = last(module.train(cliff, SEEDS[:4], config))
        found[module], gained[module] = step.policy, step.metrics["return_100"]
    assert (gained[sarsa] > gained[q_learning]).all()
    assert -35 < gained[sarsa].mean() < -20  # the figure in the book: about -25
    assert -65 < gained[q_learning].mean() < -40  # and about -50
    paths = {module: [walk(policy, seed) for seed in range(4)] for module, policy in found.items()}
    for path in paths[q_learning]:
        assert sum(state in range(24, 36) for state in path) >= 11
    for path in paths[sarsa]:
        # Of the squares beside the cliff only those at both ends.
        assert sum(state in range(25, 35) for state in path) <= 3


def walk(policy, seed):
    """Return the states that the greedy policy passes, start and goal left out."""
    row, column, states = 3, 0, []
    for _ in range(60):
        here = np.full((4, 1), row * 12 + column)
        move = int(policy.act(here)[seed, 0])
        row, column = row + (-1, 0, 1, 0)[move], column + (0, 1, 0, -1)[move]
        row, column = min(max(row, 0), 3), min(max(column, 0), 11)
        if (row, column) == (3, 11):
            return states
        states.append(row * 12 + column)
    return states


@BOTH
def test_what_never_happened_is_not_learnt(module):
    def ignored(found, step):
        return replace(found, valid=np.full(found.reward.shape, step % 2 == 1))

    stage = Staged(
        name="ignored",
        make=lambda seeds, copies: Tampered(numbered("probe-pairing").simulate(seeds, copies), ignored),
    )
    step = last(module.train(stage, SEEDS[:2], module.Config(total_steps=100)))
    assert step.policy.state()["updates"].sum(axis=(1, 2)).tolist() == [50, 50]
    assert step.metrics["environment_steps"].tolist() == [50, 50]


@pytest.mark.parametrize("name", ["q_learning", "sarsa"])
def test_a_table_needs_numbered_states_and_at_least_a_step_of_each_copy(name):
    module = import_module(f"modelwright.algorithms.{name}")
    with pytest.raises(BadValue, match=r"numbered state.*dqn or ppo"):
        next(iter(module.train(Environment(name="CartPole-v1"), SEEDS, module.Config())))
    with pytest.raises(BadValue, match="at least one step"):
        module.Config(total_steps=3, copies=4)
    with pytest.raises(BadValue, match="step_size"):
        module.Config(step_size=0.0)
