"""Experience as it is gathered, and the orders in which it is gone through."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from staged import Staged, Tampered, by_rules

from modelwright.algorithms import a2c, ppo
from modelwright.algorithms.control.begin import begin
from modelwright.algorithms.control.episodes import Episodes
from modelwright.algorithms.control.noise import Noise
from modelwright.algorithms.control.observations import Encoder
from modelwright.algorithms.control.rollout import Shuffle, collect, take
from modelwright.base.errors import BadValue
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.simulation import Transition
from modelwright.data.environments.space import Box, Discrete, within
from modelwright.data.environments.vector_simulation import VectorSimulation

SEEDS = derive_seeds("rollout", 4)


def vector(mode):
    """Return copies of CartPole that are cut off early and begin again in this mode."""

    def made():
        return gymnasium.make("CartPole-v1", max_episode_steps=12)

    return VectorSimulation(
        "CartPole-v1", lambda rows: SyncVectorEnv([made] * rows, autoreset_mode=mode), SEEDS[:2], 3
    )


@pytest.mark.parametrize("mode", AutoresetMode)
def test_the_successor_is_where_the_action_led_in_every_mode_of_beginning_again(mode):
    simulation, rng = vector(mode), np.random.default_rng(0)
    rollout = collect(simulation, 80, lambda seen: rng.integers(2, size=seen.shape[:2]), Episodes(2, 3))
    # A policy that always goes right falls before it is cut off.
    more = collect(simulation, 60, lambda seen: np.ones(seen.shape[:2], np.int64), Episodes(2, 3))
    simulation.close()
    one, kinds = gymnasium.make("CartPole-v1").unwrapped, set()
    one.reset(seed=0)
    for part in (rollout, more):
        assert part.valid.all() == (mode != AutoresetMode.NEXT_STEP)
        for at in zip(*np.nonzero(part.valid), strict=True):
            one.state, one.steps_beyond_terminated = part.observation[at].astype(np.float64), None
            wanted, reward, terminated, *_ = one.step(int(part.action[at]))
            np.testing.assert_allclose(part.successor[at], wanted, atol=1e-5)
            assert part.reward[at] == reward
            assert bool(part.terminated[at]) == terminated
            kinds.add((bool(part.terminated[at]), bool(part.ended[at])))
        ended = part.ended[:, :-1]
        # The step after the end of an episode acts on the start of the next, or is the one that is ignored.
        begun = np.abs(part.observation[:, 1:]).max(axis=-1) <= 0.05
        assert (begun | ~part.valid[:, 1:])[ended].all()
    assert kinds == {(False, False), (True, True), (False, True)}


def test_a_rollout_goes_on_where_the_last_one_stopped():
    simulation = Environment(name="CartPole-v1").simulate(SEEDS, 2)
    episodes = Episodes(4, 2)
    first, second = (
        collect(simulation, 7, lambda seen: np.ones(seen.shape[:2], np.int64), episodes) for _ in range(2)
    )
    assert first.observation.shape == (4, 7, 2, 4)
    going = ~first.ended[:, -1]
    assert going.any()
    assert np.array_equal(first.successor[:, -1][going], second.observation[:, 0][going])
    assert episodes.metrics()["environment_steps"].tolist() == [28.0] * 4


def test_values_are_kept_as_wanted_and_done_at_the_bounds():
    done = []
    simulation = Environment(name="Pendulum-v1").simulate(SEEDS[:2], 1)
    watched = Tampered(simulation, lambda found, steps: found)
    watched.step = lambda action: done.append(action) or simulation.step(action)
    wanted = np.array([[[7.0]], [[np.nan]]], np.float32)
    rollout = collect(watched, 2, lambda seen: wanted, Episodes(2, 1))
    assert np.array_equal(rollout.action[:, 0], wanted, equal_nan=True)
    assert done[0].tolist() == [[[2.0]], [[0.0]]]


def test_what_is_no_number_becomes_one_within_the_bounds_and_numbers_of_actions_stay():
    space = Box(low=np.array([1.0, -2.0], np.float32), high=np.array([3.0, np.inf], np.float32))
    wanted = np.array([[[np.nan, np.nan], [9.0, 9.0], [-9.0, -np.inf]]], np.float32)
    assert within(space, wanted).tolist() == [[[1.0, 0.0], [3.0, 9.0], [1.0, 0.0]]]
    numbers = np.array([[1, 0]])
    assert within(Discrete(n=2), numbers) is numbers


@pytest.mark.parametrize("count", [1, 3, 4, 12])
def test_minibatches_are_a_partition_in_another_order_each_time(count):
    valid = np.ones((2, 4, 3), np.bool_)
    shuffle = Shuffle([seed.generator("m") for seed in SEEDS[:2]], valid)
    for _ in range(3):
        parts = shuffle.minibatches(count)
        assert [part.shape for part in parts] == [(2, 12 // count)] * count
        whole = np.concatenate(parts, axis=1)
        assert np.array_equal(np.sort(whole, axis=1), np.tile(np.arange(12), (2, 1)))
    left = np.concatenate(shuffle.minibatches(5), axis=1)
    assert left.shape == (2, 10)
    assert all(len(set(row)) == 10 for row in left.tolist())
    assert shuffle.in_order().tolist() == [list(range(12))] * 2


def test_steps_that_never_happened_are_never_drawn_and_change_nothing_for_other_seeds():
    valid = np.ones((3, 6, 2), np.bool_)
    valid[1, [1, 3, 5]] = False
    holes = np.flatnonzero(~valid[1].ravel())

    def drawn(places):
        shuffle = Shuffle([SEEDS[place].generator("m") for place in places], valid[places])
        return [np.concatenate([shuffle.in_order(), *shuffle.minibatches(3)], axis=1) for _ in range(20)]

    together = drawn([0, 1, 2])
    counts = np.zeros(12)
    for rows in together:
        assert not set(holes) & set(rows[1].tolist())
        counts += np.bincount(rows[1], minlength=12)
    assert (np.delete(counts, holes) >= 40).all()
    for place in range(3):
        for alone, rows in zip(drawn([place]), together, strict=True):
            assert np.array_equal(alone[0], rows[place])
    with pytest.raises(BadValue, match="did not ignore"):
        Shuffle([SEEDS[0].generator("m")], np.zeros((1, 1, 1), np.bool_))


def test_rows_are_taken_of_each_seeds_own():
    values = torch.arange(2 * 5 * 3.0).reshape(2, 5, 3)
    rows = np.array([[4, 0], [1, 1]])
    vectors, numbers = take([values, values[..., 0]], rows)
    assert torch.equal(vectors, torch.stack([values[0][[4, 0]], values[1][[1, 1]]]))
    assert torch.equal(numbers, vectors[..., 0])


@pytest.mark.parametrize("module", [a2c, ppo])
def test_the_ignored_steps_of_one_seed_change_no_bit_of_another(module):
    """Also where a seed has none of its own, and in its vital signs."""
    inner = Environment(name="CartPole-v1")

    def stage(seeds, copies):
        place = list(seeds).index(SEEDS[1]) if SEEDS[1] in seeds else None

        def change(found, steps):
            valid = np.ones_like(found.terminated)
            if place is not None:
                valid[place] = steps % 3 > 0
                found.reward = found.reward.copy()
                found.reward[place] += np.where(valid[place], 0.0, 1e6)
            return Transition(
                observation=found.observation,
                successor=found.successor,
                reward=found.reward,
                # An ignored step comes after an end.
                terminated=found.terminated | ((place is not None) & (steps % 3 == 2)) & ~valid.all(),
                truncated=found.truncated,
                valid=valid,
            )

        return Tampered(inner.simulate(seeds, copies), change)

    environment = Staged(name="staged", make=stage)
    settings = {"total_steps": 96, "copies": 2, "rollout": 8, "width": 5}
    settings |= {"report_every": 1} if module is a2c else {"minibatches": 3}
    config = module.Config(**settings)

    def bits(seeds, place):
        found = list(module.train(environment, seeds, config))
        signs = [each[place].tobytes() for step in found for each in step.metrics.values()]
        return signs + [each[place].tobytes() for each in found[-1].policy.state().values()]

    assert bits((SEEDS[0],), 0) == bits(SEEDS[:3], 0)
    last = list(module.train(environment, SEEDS[:2], config))[-1]
    assert last.metrics["environment_steps"].tolist() == [96.0, 64.0]
    assert "value_target_max" in last.metrics


def test_episodes_are_counted_one_by_one():
    episodes, rng = Episodes(2, 3), np.random.default_rng(0)
    gained, length = np.zeros((2, 3)), np.zeros((2, 3), int)
    ever, steps = [[], []], np.zeros(2)
    for _ in range(5):
        new = [[], []]
        for _ in range(40):
            reward, valid = rng.normal(size=(2, 3)), rng.random((2, 3)) < 0.9
            terminated, truncated = (valid & (rng.random((2, 3)) < 0.1) for _ in range(2))
            none = np.zeros((2, 3))
            episodes.add(
                Transition(
                    observation=none,
                    successor=none,
                    reward=reward,
                    terminated=terminated,
                    truncated=truncated,
                    valid=valid,
                )
            )
            steps += valid.sum(axis=1)
            for seed, copy in np.ndindex(2, 3):
                if valid[seed, copy]:
                    gained[seed, copy] += reward[seed, copy]
                    length[seed, copy] += 1
                if terminated[seed, copy] or truncated[seed, copy]:
                    new[seed].append((gained[seed, copy], length[seed, copy]))
                    gained[seed, copy], length[seed, copy] = 0.0, 0
        found = episodes.metrics()
        for seed in range(2):
            ever[seed] += [one for one, _ in new[seed]]
            wanted = (steps[seed], *np.mean(new[seed], axis=0), np.mean(ever[seed][-100:]))
            got = [
                found[name][seed]
                for name in ("environment_steps", "episode_return", "episode_length", "return_100")
            ]
            np.testing.assert_allclose(got, wanted)
    again = episodes.metrics()
    assert np.isnan(again["episode_return"]).all()
    assert np.array_equal(again["return_100"], found["return_100"])


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_noise_is_each_seeds_own_stream_whatever_is_drawn_at_once(kind):
    whole = Noise(SEEDS, "n", (2, 3), kind, block=4)
    alone = Noise(SEEDS[2:3], "n", (2, 3), kind, block=256)
    generator = SEEDS[2].generator("n")
    for _ in range(11):
        drawn = whole.draw()
        assert np.array_equal(drawn[2:3], alone.draw())
        make = generator.random if kind == "uniform" else generator.standard_normal
        assert np.array_equal(drawn[2], make((2, 3), np.float32))
        kept = drawn.copy()
    whole.draw()
    whole.draw()
    assert np.array_equal(kept, drawn)


def test_numbers_of_states_become_rows_of_the_unit_matrix():
    encode = Encoder("x", Discrete(n=4))
    assert encode(np.array([[[2, 0]], [[1, 3]]])).tolist() == [
        [[0, 0, 1, 0], [1, 0, 0, 0]],
        [[0, 1, 0, 0], [0, 0, 0, 1]],
    ]
    box = Encoder("x", Box.of(-1, 1, (3,)))
    seen = np.arange(12.0).reshape(1, 2, 2, 3)
    assert torch.equal(box(seen), torch.arange(12.0).reshape(1, 4, 3))
    with pytest.raises(BadValue, match="no images"):
        Encoder("x", Box.of(0, 1, (3, 8, 8)))


@pytest.mark.parametrize("high", [-1.0, 3e38])
def test_bounds_without_room_between_them_are_refused(high):
    class Narrow:
        observation_space = Box.of(-1, 1, (2,))
        action_space = Box(low=np.array([-1.0, -3e38], np.float32), high=np.array([high, high], np.float32))

        def begin(self, generator):
            return np.zeros(2)

        def observe(self, state):
            return state.astype(np.float32)

    if high < 0:
        Narrow.action_space = Box(
            low=np.array([-1.0, -2.0], np.float32), high=np.array([-1.0, 2.0], np.float32)
        )
    with (
        pytest.raises(BadValue, match="room between"),
        begin("sac", by_rules(Narrow()), SEEDS, 1, actions=Box),
    ):
        pass
