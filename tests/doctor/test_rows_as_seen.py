"""What a policy learns from is read where rows are not those of single environments."""

from pathlib import Path

import pytest
from policies import VECTOR
from watched import every_second_slow, plant, run_watched

_MAKE = "envs = gymnasium.vector.SyncVectorEnv([Corridor] * 4, autoreset_mode=MODE)\n"
_SQUASHED = (
    _MAKE,
    """

class Squashed(gymnasium.vector.VectorRewardWrapper):
    def rewards(self, reward):
        return np.tanh(3 * reward)


envs = Squashed(gymnasium.vector.SyncVectorEnv([Corridor] * 4, autoreset_mode=MODE))
""",
)
_AT_ONCE = (
    _MAKE,
    """

class Corridors(gymnasium.vector.VectorEnv):
    num_envs = 4
    metadata = {"autoreset_mode": MODE}
    single_observation_space = Corridor.observation_space
    single_action_space = Corridor.action_space

    def reset(self, *, seed=None, options=None):
        self.draws = np.random.default_rng(seed)
        self.place, self.steps = self.draws.uniform(-1, 1, 4), np.zeros(4, int)
        return self.seen(), {}

    def seen(self):
        return np.stack([self.place, np.ones(4)], 1).astype(np.float32)

    def step(self, actions):
        self.place = self.place + 0.4 * np.clip(actions.sum(1), -1, 1) + self.draws.normal(0, 0.1, 4)
        self.steps += 1
        reward, last = self.place - 0.1, self.seen()
        terminated, truncated = np.abs(self.place) > 1.5, self.steps == LIMIT
        over = terminated | truncated
        self.place = np.where(over, self.draws.uniform(-1, 1, 4), self.place)
        self.steps[over] = 0
        return self.seen(), reward, terminated, truncated, {"final_obs": last}


envs = Corridors()
""",
)
_SCALED = [
    (
        "now = torch.as_tensor(envs.reset(seed=0)[0])",
        """
summed, squares, count = np.zeros(2), np.ones(2), 1.0


def scaled(rows):
    global summed, squares, count
    summed, squares, count = summed + rows.sum(0), squares + (rows**2).sum(0), count + len(rows)
    mean = summed / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.01))
    return torch.as_tensor(((rows - mean) / deviation).astype(np.float32))


now = scaled(envs.reset(seed=0)[0])""",
    ),
    ('torch.as_tensor(info["final_obs"][i])', 'scaled(info["final_obs"][i][None])'),
    ("now = torch.as_tensor(after)", "now = scaled(after)"),
]
_STACKED = [
    ("self.critic = nn.Sequential(nn.Linear(2, 16)", "self.critic = nn.Sequential(nn.Linear(4, 16)"),
    ("self.actor = nn.Sequential(nn.Linear(2, 16)", "self.actor = nn.Sequential(nn.Linear(4, 16)"),
    (
        "now = torch.as_tensor(envs.reset(seed=0)[0])",
        "now = torch.as_tensor(envs.reset(seed=0)[0]).repeat(1, 2)",
    ),
    (
        'agent.critic(torch.as_tensor(info["final_obs"][i]))',
        'agent.critic(torch.cat([now[i, 2:], torch.as_tensor(info["final_obs"][i])]))',
    ),
    (
        "now = torch.as_tensor(after)",
        "new = torch.as_tensor(after)\n        "
        "now = torch.cat([torch.where(ended[:, None] > 0, new, now[:, 2:]), new], 1)",
    ),
]
_STYLES = {
    "rewards changed for all rows": [_SQUASHED],
    "all rows at once": [_AT_ONCE],
    "observations scaled by hand": _SCALED,
    "frames stacked by hand": _STACKED,
}
_FAULTS = {
    "bootstrap-missing": [("following = agent.critic(now).squeeze(-1)", "following = torch.zeros(4)")],
    "terminal-mask-missing": [("GAMMA * going * following", "GAMMA * following")],
}


@pytest.mark.parametrize("style", _STYLES)
def test_a_healthy_program_is_silent(style: str, tmp_path: Path) -> None:
    assert run_watched(plant(VECTOR, *_STYLES[style]), tmp_path).findings == []


@pytest.mark.parametrize("fault", every_second_slow(_FAULTS))
@pytest.mark.parametrize("style", _STYLES)
def test_advantages_are_held_to_what_the_program_saw(style: str, fault: str, tmp_path: Path) -> None:
    told = run_watched(plant(VECTOR, *_STYLES[style], *_FAULTS[fault]), tmp_path)
    assert told.kinds[0] == "advantages-differ-from-experience"
    assert told.first_cause[0] == fault
