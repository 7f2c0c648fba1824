"""Environments that keep to the interface and still go wrong: shared worlds, odd spaces, odd tables."""

import gymnasium
import numpy as np
import pytest

from modelwright.algorithms import c51, dqn, sac
from modelwright.algorithms.control.observations import Encoder
from modelwright.base.errors import BadValue, WorkerLost
from modelwright.base.seed import derive_seeds
from modelwright.data.environments.checked_environment import CheckedEnvironment
from modelwright.data.environments.environment import Environment
from modelwright.data.environments.exact_model import exact_model
from modelwright.data.environments.gymnasium_simulation import GymnasiumSimulation
from modelwright.data.environments.space import Discrete

SEEDS = derive_seeds("odd", 3)


class Walk(gymnasium.Env):
    """Counts its steps; ends after five."""

    action_space = gymnasium.spaces.Discrete(4)  # of the class, as many have it

    def __init__(self, observation=None, action=None):
        self.observation_space = observation or gymnasium.spaces.Box(-9, 9, (1,), np.float32)
        if action is not None:
            self.action_space = action
        self.taken = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._seen(), {}

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is outside"
        self.taken.append(action)
        self.steps += 1
        return self._seen(), 1.0, self.steps == 5, False, {}

    def _seen(self):
        return np.full(self.observation_space.shape, self.steps, self.observation_space.dtype)


def simulate(make, copies=1):
    return GymnasiumSimulation(lambda: CheckedEnvironment(make(), "mine"), SEEDS, copies)


def test_one_world_for_all_copies_is_refused_and_one_after_another_is_not():
    one = Walk()
    with pytest.raises(BadValue, match=r"mine makes a new environment at each call.*the same Walk twice"):
        simulate(lambda: one)
    first = CheckedEnvironment(one, "mine")
    with pytest.raises(BadValue, match="a new environment"):
        CheckedEnvironment(gymnasium.wrappers.TimeLimit(one, 3), "mine")
    first.close()
    CheckedEnvironment(one, "mine")


def test_draws_from_a_space_of_the_class_do_not_depend_on_company(tmp_path, monkeypatch):
    (tmp_path / "classy.py").write_text(
        "import gymnasium, numpy as np\n"
        "class Classy(gymnasium.Env):\n"
        "    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)\n"
        "    action_space = gymnasium.spaces.Discrete(1000)\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        return np.zeros(1, np.float32), {}\n"
        "    def step(self, action):\n"
        "        return np.zeros(1, np.float32), 0.0, False, False, {}\n"
    )
    monkeypatch.chdir(tmp_path)
    environment = Environment(name="classy.py:Classy")

    def draws(seeds):
        made = [environment.make(seed) for seed in seeds]
        return [[int(each.action_space.sample()) for each in made] for _ in range(6)]

    alone, among = draws(SEEDS[:1]), draws(SEEDS)
    assert [row[0] for row in among] == [row[0] for row in alone]


@pytest.mark.parametrize("kind", [np.int32, np.uint8, np.bool_])
def test_a_box_of_whole_actions_is_refused(kind):
    space = gymnasium.spaces.Box(0, 1, (1,), kind)
    with pytest.raises(BadValue, match=r"Actions of mine in a Box are real numbers.*Discrete"):
        simulate(lambda: Walk(action=space))


@pytest.mark.parametrize("what", ["observation", "action"])
def test_a_box_without_numbers_is_refused(what):
    space = gymnasium.spaces.Box(-1, 1, (0,), np.float32)
    with pytest.raises(BadValue, match=f"The {what} space of mine holds at least one number"):
        simulate(lambda: Walk(**{what: space}))


def test_actions_at_a_bound_are_at_the_bound_in_the_type_of_the_space():
    made = []

    def make():
        made.append(Walk(action=gymnasium.spaces.Box(-0.1, 0.1, (2,), np.float64)))
        return made[-1]

    simulation = simulate(make)
    high = np.float32(0.1)
    assert float(high) > 0.1
    simulation.step(np.tile(np.array([high, -high]), (3, 1, 1)))
    simulation.step(np.full((3, 1, 2), np.float32(0.05)))
    assert made[0].taken[0].tolist() == [0.1, -0.1]
    assert made[0].taken[1].tolist() == [float(np.float32(0.05))] * 2


@pytest.mark.parametrize("what", ["observation", "action"])
def test_copies_of_other_spaces_are_refused(what):
    sizes = iter(range(1, 9))

    def make():
        size = next(sizes)
        if what == "action":
            return Walk(action=gymnasium.spaces.Discrete(size + 1))
        return Walk(observation=gymnasium.spaces.Box(-9, 9, (size,), np.float32))

    with pytest.raises(BadValue, match=f"Copies of mine have one {what} space"):
        simulate(make)


def test_a_space_that_changes_between_episodes_is_refused():
    walk = Walk()
    checked = CheckedEnvironment(walk, "mine")
    checked.reset()
    walk.action_space = gymnasium.spaces.Discrete(5)
    with pytest.raises(BadValue, match="mine keeps its spaces"):
        checked.reset()


@pytest.mark.parametrize("kind", [np.int64, np.float64, np.bool_])
def test_a_checked_environment_declares_what_it_gives(kind):
    box = gymnasium.spaces.Box(0, 1 if kind is np.bool_ else 9, (2,), kind)
    checked = CheckedEnvironment(Walk(observation=box), "mine")
    seen = checked.reset()[0]
    assert checked.observation_space.dtype == np.float32
    assert checked.observation_space.contains(seen)
    vector = gymnasium.vector.SyncVectorEnv(
        [lambda: CheckedEnvironment(Walk(observation=box), "mine")] * 2,
        autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP,
    )
    assert vector.reset()[0].dtype == np.float32


@pytest.mark.parametrize(
    ("error", "words"), [(SystemExit(0), "raised SystemExit in step"), (KeyError(), "Got no message")]
)
def test_an_environment_that_leaves_the_program_or_says_nothing_is_told(error, words):
    class Leaving(Walk):
        def step(self, action):
            raise error

    with pytest.raises(WorkerLost, match=words):
        simulate(Leaving).step(np.zeros((3, 1), np.int64))


def test_a_reset_without_seed_is_told_how_it_is_called():
    class Old(Walk):
        def reset(self):
            return np.zeros(1), {}

    with pytest.raises(
        WorkerLost, match=r"called as Gymnasium calls it, reset\(seed=\.\.\., options=\.\.\.\)"
    ):
        simulate(Old)


@pytest.mark.parametrize("reward", [10**400, np.complex64(1 + 1j), 1j])
def test_rewards_that_are_no_floats_are_refused(reward):
    class Paying(Walk):
        def step(self, action):
            return np.zeros(1, np.float32), reward, False, False, {}

    with pytest.raises(BadValue, match="A reward of mine is"):
        simulate(Paying).step(np.zeros((3, 1), np.int64))


def test_a_masked_observation_is_copied_as_a_plain_array():
    class Masked(Walk):
        def _seen(self):
            return np.ma.masked_array(np.ones(1, np.float32))

    assert type(CheckedEnvironment(Masked(), "mine").reset()[0]) is np.ndarray


def test_a_limit_beyond_the_one_inside_is_refused(tmp_path, monkeypatch):
    (tmp_path / "inner.py").write_text(
        "import gymnasium\ndef make():\n    return gymnasium.make('CartPole-v1')\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadValue, match=r"environment.time_limit is within the limit.*5000, and 500 there"):
        Environment(name="inner.py:make", time_limit=5000).simulate(SEEDS)
    Environment(name="inner.py:make", time_limit=50).simulate(SEEDS).close()


TABLE = """
import gymnasium, numpy as np

class Table(gymnasium.Env):
    def __init__(self):
        self.observation_space = gymnasium.spaces.Discrete(2)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.initial_state_distrib = [1.0, 0.0]
        self.P = {s: {a: [(1.0, a, float(a), a == 1)] for a in range(2)} for s in range(2)}
        FAULT
    def reset(self, *, seed=None, options=None):
        return 0, {}
    def step(self, action):
        return 0, 0.0, False, False, {}
"""


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("self.P[0][0] = [(0.5, 0, 1.0, False)]", r"Probabilities of P\[0\]\[0\].*0.5"),
        ("self.P[0][0] = [(1.5, 0, 1.0, False), (-0.5, 1, 0.0, False)]", "from 0 to 1, and 1 together"),
        ("del self.P[1][0]", "State 1 of the table P has every action from 0 to 1"),
        ("del self.P[1]", "The table P has every state from 0 to 1"),
        ("self.P = {1: self.P[0], 2: self.P[1]}", "every state from 0 to 1.*missing or beyond: 0, 2"),
        ("self.P[0][1] = []", r"P\[0\]\[1\] lists \(probability, next state, reward, ended\)"),
        ("self.P[0][1] = [(1.0, 1, 1.0)]", "lists"),
        ("self.P = [self.P[0], self.P[1]]", "The table P maps numbers of states.*a list"),
        ("self.P[0][1] = [(1.0, 7, 1.0, True)]", "leads to states from 0 to 1.*7"),
        ("self.P[0][1] = [(1.0, -1, 1.0, True)]", "leads to states from 0 to 1.*-1"),
        ("self.P[0][1] = [(1.0, 1, float('nan'), True)]", "Rewards of P.*finite"),
        ("self.initial_state_distrib = [1.0, 2.0]", "initial_state_distrib holds a probability.*sum 3"),
        ("self.initial_state_distrib = [1.0]", "initial_state_distrib"),
        ("self.initial_state_distrib = [float('nan'), 1.0]", "initial_state_distrib"),
        ("self.observation_space = gymnasium.spaces.Discrete(3)", "every state from 0 to 2"),
        ("self.action_space = gymnasium.spaces.Discrete(3)", "every action from 0 to 2"),
        ("self.observation_space = gymnasium.spaces.Box(0, 1, (1,))", "numbers states and actions"),
        ("self.P[0][1] = [('a', 1, 1.0, True)]", "Probabilities of P.*'a'"),
        ("self.P[0][1] = [(1.0, 'b', 1.0, True)]", "leads to states from 0 to 1.*'b'"),
        ("self.P[0][1] = [(1.0, float('nan'), 1.0, True)]", "leads to states from 0 to 1.*nan"),
        ("self.P[0][1] = [(1.0, 1, None, True)]", "Rewards of P.*None"),
        ("self.P[0][1] = [(1.0, 1, [1.0], True)]", "Rewards of P"),
        ("self.initial_state_distrib = ['x', 1.0]", "initial_state_distrib.*'x'"),
        ("self.initial_state_distrib = [[1.0], [1, 2]]", "initial_state_distrib"),
    ],
)
def test_a_table_that_is_no_table_is_refused(fault, words, tmp_path, monkeypatch):
    (tmp_path / "odd_table.py").write_text(TABLE.replace("FAULT", fault))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadValue, match=f"(?s){words}"):
        exact_model(Environment(name="odd_table.py:Table"))


def test_the_table_itself_is_read(tmp_path, monkeypatch):
    (tmp_path / "odd_table.py").write_text(TABLE.replace("FAULT", "pass"))
    monkeypatch.chdir(tmp_path)
    assert exact_model(Environment(name="odd_table.py:Table")).probability.shape == (2, 2, 2)


def test_stretches_longer_than_what_is_stored_are_refused_at_once():
    with pytest.raises(BadValue, match=r"n_step steps of every copy .*an update after 70 steps of each copy"):
        dqn.Config(n_step=71, learning_starts=64, train_every=10)
    dqn.Config(n_step=70, learning_starts=64, train_every=10)
    dqn.Config(copies=8, learning_starts=4)
    with pytest.raises(BadValue, match="an update after 10 steps"):
        dqn.Config(copies=8, n_step=11, learning_starts=64, train_every=5)


@pytest.mark.parametrize(
    "bounds", [{"v_max": 1e39}, {"v_min": 1e8, "v_max": 1e8 + 1}, {"v_min": 1.0, "v_max": 1.0}]
)
def test_a_grid_without_room_in_float32_is_refused(bounds):
    with pytest.raises(BadValue, match="points of c51's grid rise"):
        c51.Config(**bounds)


def test_states_too_many_for_a_network_are_refused():
    with pytest.raises(BadValue, match="dqn reads the number of a state as one of at most 10,000 inputs"):
        Encoder("dqn", Discrete(n=10**10))


def test_a_range_wider_than_float32_is_told(tmp_path, monkeypatch):
    (tmp_path / "wide.py").write_text(
        "import gymnasium, numpy as np\n"
        "class Wide(gymnasium.Env):\n"
        "    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)\n"
        "    action_space = gymnasium.spaces.Box(-3e38, 3e38, (1,), np.float32)\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        return np.zeros(1, np.float32), {}\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadValue, match="rescale ranges wider than float32 holds"):
        next(sac.train(Environment(name="wide.py:Wide"), SEEDS, sac.Config()))


@pytest.mark.parametrize("settings", [{"capacity": 10**13}, {"hidden": (10**7, 10**7)}, {"capacity": 10**19}])
def test_settings_beyond_the_memory_are_told(settings):
    config = dqn.Config(**{"total_steps": 10**19, "learning_starts": 64, "n_step": 1, **settings})
    with pytest.raises(BadValue, match="dqn with its settings fits into memory"):
        next(dqn.train(Environment(name="CartPole-v1"), SEEDS, config))
