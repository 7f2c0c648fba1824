"""Prioritised replay and three-step returns on a small grid with a key and a door."""

import argparse
import json
from collections import deque
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit


@dataclass
class Config:
    seed: int = 0
    steps: int = 7_500
    episode_limit: int = 40
    capacity: int = 3_000
    batch_size: int = 64
    start_learning: int = 500
    update_every: int = 2
    sync_every: int = 250
    n_step: int = 3
    gamma: float = 0.95
    lr: float = 1e-3
    alpha: float = 0.6
    beta_start: float = 0.4
    eps_decay_steps: int = 4_500
    eps_final: float = 0.05


class KeyDoor(gym.Env):
    """Fetch the key, then walk to the door."""

    moves = ((-1, 0), (1, 0), (0, -1), (0, 1))

    def __init__(self, size=5):
        self.size = size
        self.observation_space = spaces.Box(-1.0, 1.0, (5,), np.float32)
        self.action_space = spaces.Discrete(4)

    def _obs(self):
        to_key = (self.key - self.agent) / (self.size - 1)
        to_door = (self.door - self.agent) / (self.size - 1)
        return np.array([*to_key, *to_door, float(self.has_key)], dtype=np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        cells = self.np_random.choice(self.size**2, 3, replace=False)
        self.agent, self.key, self.door = (np.array(divmod(int(c), self.size)) for c in cells)
        self.has_key = False
        return self._obs(), {}

    def step(self, action):
        self.agent = np.clip(self.agent + self.moves[int(action)], 0, self.size - 1)
        reward, terminated = -0.02, False
        if not self.has_key and (self.agent == self.key).all():
            self.has_key = True
            reward += 0.2
        if self.has_key and (self.agent == self.door).all():
            reward += 1.0
            terminated = True
        return self._obs(), reward, terminated, False, {}


class PrioritizedReplay:
    def __init__(self, cfg, obs_dim, rng):
        self.cfg, self.rng = cfg, rng
        self.obs = np.zeros((cfg.capacity, obs_dim), np.float32)
        self.next_obs = np.zeros((cfg.capacity, obs_dim), np.float32)
        self.action = np.zeros(cfg.capacity, np.int64)
        self.reward = np.zeros(cfg.capacity, np.float32)
        self.discount = np.zeros(cfg.capacity, np.float32)
        self.priority = np.zeros(cfg.capacity, np.float64)
        self.max_priority = 1.0
        self.count = 0

    def __len__(self):
        return min(self.count, self.cfg.capacity)

    def push(self, obs, action, reward, next_obs, discount):
        i = self.count % self.cfg.capacity
        self.obs[i], self.next_obs[i] = obs, next_obs
        self.action[i], self.reward[i], self.discount[i] = action, reward, discount
        self.priority[i] = self.max_priority
        self.count += 1

    def sample(self, beta):
        scaled = self.priority[: len(self)] ** self.cfg.alpha
        prob = scaled / scaled.sum()
        idx = self.rng.choice(len(self), self.cfg.batch_size, p=prob)
        weights = (len(self) * prob[idx]) ** -beta
        weights = (weights / weights.max()).astype(np.float32)
        fields = (self.obs, self.action, self.reward, self.next_obs, self.discount)
        return idx, torch.from_numpy(weights), [torch.from_numpy(f[idx]) for f in fields]

    def update(self, idx, td_error):
        self.priority[idx] = np.abs(td_error) + 1e-3
        self.max_priority = max(self.max_priority, self.priority[idx].max())


def n_step_transition(window, last_obs, terminated, gamma):
    """First state and action of the window, its discounted reward, and how to bootstrap."""
    total = sum(gamma**k * reward for k, (_, _, reward) in enumerate(window))
    obs, action, _ = window[0]
    discount = gamma ** len(window) * (1.0 - terminated)
    return obs, action, total, last_obs, discount


def mlp(inputs, outputs, hidden=96):
    return torch.nn.Sequential(
        torch.nn.Linear(inputs, hidden),
        torch.nn.ReLU(),
        torch.nn.Linear(hidden, hidden),
        torch.nn.ReLU(),
        torch.nn.Linear(hidden, outputs),
    )


def learn(net, frozen, opt, replay, beta):
    idx, weights, (obs, action, reward, next_obs, discount) = replay.sample(beta)
    with torch.no_grad():
        best = net(next_obs).argmax(dim=1)
        bootstrap = frozen(next_obs)[torch.arange(len(best)), best]
        target = reward + discount * bootstrap
    q = net(obs)[torch.arange(len(action)), action]
    td = target - q
    loss = (weights * torch.nn.functional.huber_loss(q, target, reduction="none")).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    replay.update(idx, td.detach().numpy())
    return loss.item(), td.abs().mean().item()


def evaluate(cfg, net, episodes=60):
    env = TimeLimit(KeyDoor(), cfg.episode_limit)
    returns = np.zeros(episodes)
    for episode in range(episodes):
        obs, _ = env.reset(seed=90_000 + episode)
        over = False
        while not over:
            with torch.no_grad():
                action = net(torch.from_numpy(obs)).argmax().item()
            obs, reward, terminated, truncated, _ = env.step(action)
            returns[episode] += reward
            over = terminated or truncated
    return returns.mean()


def train(cfg):
    torch.set_num_threads(1)
    torch.manual_seed(cfg.seed)
    rng = np.random.default_rng(cfg.seed)
    env = TimeLimit(KeyDoor(), cfg.episode_limit)
    net, frozen = mlp(5, 4), mlp(5, 4)
    frozen.load_state_dict(net.state_dict())
    opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
    replay = PrioritizedReplay(cfg, 5, rng)
    window = deque(maxlen=cfg.n_step)
    returns, episode_return = deque(maxlen=100), 0.0

    obs, _ = env.reset(seed=cfg.seed)
    for t in range(1, cfg.steps + 1):
        epsilon = max(cfg.eps_final, 1.0 - (1.0 - cfg.eps_final) * t / cfg.eps_decay_steps)
        if rng.random() < epsilon:
            action = int(rng.integers(4))
        else:
            with torch.no_grad():
                action = net(torch.from_numpy(obs)).argmax().item()
        next_obs, reward, terminated, truncated, _ = env.step(action)
        episode_return += reward
        window.append((obs, action, reward))
        if terminated or truncated:
            while window:
                replay.push(*n_step_transition(window, next_obs, terminated, cfg.gamma))
                window.popleft()
            returns.append(episode_return)
            episode_return = 0.0
            obs, _ = env.reset()
        else:
            if len(window) == cfg.n_step:
                replay.push(*n_step_transition(window, next_obs, False, cfg.gamma))
            obs = next_obs

        if t >= cfg.start_learning and t % cfg.update_every == 0:
            beta = cfg.beta_start + (1.0 - cfg.beta_start) * t / cfg.steps
            loss, td = learn(net, frozen, opt, replay, beta)
            if t % 1000 == 0:
                print(f"{t:6d} loss={loss:.5f} td={td:.4f} eps={epsilon:.2f} return={np.mean(returns):.3f}")
        if t % cfg.sync_every == 0:
            frozen.load_state_dict(net.state_dict())
    return net


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, value in vars(Config()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    config = Config(**vars(parser.parse_args()))
    trained = train(config)
    print(json.dumps({"score": round(float(evaluate(config, trained)), 4)}))
