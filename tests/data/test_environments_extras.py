"""Environments that extras bring; skipped where they are not installed."""

import gymnasium
import numpy as np
import pytest

from modelwright.base.seed import derive_seeds
from modelwright.data.environments.atari import Atari
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.space import Box, Discrete

SEEDS = derive_seeds("extras", 2)


def need(package, extra):
    pytest.importorskip(package, reason=f"{package} is not installed; pip install 'modelwright[{extra}]'")


@pytest.mark.filterwarnings("ignore")  # of Box2D's and MuJoCo's own
@pytest.mark.parametrize("how", [{}, {"vector": "sync"}, {"vector": "async"}])
@pytest.mark.parametrize(
    ("name", "package", "extra", "sight", "ways"),
    [
        ("LunarLander-v3", "Box2D", "box2d", (8,), 4),
        ("HalfCheetah-v5", "mujoco", "mujoco", (17,), (6,)),
        ("Hopper-v5", "mujoco", "mujoco", (11,), (3,)),
        ("Walker2d-v5", "mujoco", "mujoco", (17,), (6,)),
    ],
)
def test_physics_is_gymnasiums_number_for_number(name, package, extra, sight, ways, how):
    need(package, extra)
    simulation = Environment(name=name, **how).simulate(SEEDS, 1)
    theirs = gymnasium.make(name)
    seen, _ = theirs.reset(seed=SEEDS[1].integer("environment/0"))
    assert simulation.observation_space.shape == sight
    space = simulation.action_space
    assert (space.n if isinstance(space, Discrete) else space.shape) == ways
    rng, ended = np.random.default_rng(0), 0
    try:
        for _ in range(300):
            assert np.array_equal(simulation.observation[1, 0], seen.astype(np.float32))
            if isinstance(space, Discrete):
                one = rng.integers(space.n)
            else:
                one = rng.uniform(space.low, space.high).astype(np.float32)
            found = simulation.step(np.array(np.broadcast_to(one, (2, 1, *space.shape))))
            seen, reward, terminated, truncated, _ = theirs.step(one)
            assert found.reward[1, 0] == float(reward)
            assert np.array_equal(found.successor[1, 0], seen.astype(np.float32))
            assert (found.terminated[1, 0], found.truncated[1, 0]) == (terminated, truncated)
            if terminated or truncated:
                seen, ended = theirs.reset()[0], ended + 1
    finally:
        simulation.close()
    assert ended > 0 or name == "HalfCheetah-v5"


@pytest.mark.filterwarnings("ignore")
def test_pong_is_shown_as_its_agents_see_it():
    need("ale_py", "atari")
    need("cv2", "atari")
    simulation = Environment(name="ALE/Pong-v5", atari=True).simulate(SEEDS, 1)
    space = simulation.observation_space
    assert isinstance(space, Box)
    assert (space.shape, space.dtype) == ((4, 84, 84), np.uint8)
    assert simulation.action_space == Discrete(n=6)
    rewards, previous = [], simulation.observation
    for _ in range(150):
        found = simulation.step(np.zeros((2, 1), np.int64))
        assert found.observation.dtype == np.uint8
        assert np.array_equal(found.successor[:, :, :3], previous[:, :, 1:])  # three frames of four stay
        previous = found.observation
        rewards.append(found.reward)
    assert set(np.unique(rewards)) == {-1.0, 0.0}  # who stands still loses points
    again = Environment(name="ALE/Pong-v5", atari=Atari()).simulate(SEEDS[1:], 1)
    for _ in range(150):
        again.step(np.zeros((1, 1), np.int64))
    assert np.array_equal(again.observation[0], simulation.observation[1])
    simulation.close()
    again.close()


@pytest.mark.filterwarnings("ignore")
def test_settings_of_atari_do_what_they_say():
    need("ale_py", "atari")
    need("cv2", "atari")
    shape = Environment(name="ALE/Breakout-v5", atari=Atari(stack=2, size=42)).simulate(SEEDS[:1])
    assert shape.observation.shape == (1, 1, 2, 42, 42)

    def episode(**changes):
        game = Environment(name="ALE/Breakout-v5", atari=Atari(**changes)).simulate(SEEDS[:1])
        rng, length, score = np.random.default_rng(1), 0, []
        for _ in range(600):
            found = game.step(rng.integers(game.action_space.n, size=(1, 1)))
            length, score = length + 1, [*score, float(found.reward[0, 0])]
            if found.terminated.any():
                break
        return length, score

    assert episode(end_with_life=True)[0] < episode()[0]
    assert episode(sticky=0.9)[1] != episode()[1]
    assert max(episode(clip_reward=True)[1]) == 1.0


@pytest.mark.filterwarnings("ignore")
def test_the_arcades_own_vector_environment_keeps_seeds_apart_and_the_last_picture():
    need("ale_py", "atari")
    environment = Environment(
        name="ALE/Breakout-v5", vector="own", settings={"episodic_life": True, "use_fire_reset": True}
    )
    alone, among = environment.simulate(SEEDS[1:], 2), environment.simulate(SEEDS, 2)
    rng, ended = np.random.default_rng(0), 0
    for _ in range(300):
        action = rng.integers(4, size=(1, 2))
        one, two = alone.step(action), among.step(np.concatenate([action, action]))
        assert np.array_equal(one.observation[0], two.observation[1])
        assert np.array_equal(one.reward[0], two.reward[1])
        ended += int(one.ended.sum())
    assert ended > 0
    alone.close()
    among.close()
