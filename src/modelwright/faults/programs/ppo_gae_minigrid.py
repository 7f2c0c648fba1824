"""PPO with GAE on a small grid: fetch the key, keep off the lava, leave through the exit."""

import argparse
import json
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

GRID = ("#######", "#K    #", "#  #~ #", "#     #", "#~ #  #", "#K   X#", "#######")
CELLS = [(r, c) for r, row in enumerate(GRID) for c, mark in enumerate(row) if mark != "#"]
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))


class KeyRoom(gym.Env):
    """The key lies at one of the K; 0.5 for the key, then 1 at the exit X; -1 for lava."""

    observation_space = gym.spaces.Box(0.0, 1.0, (3 * len(CELLS),), np.float32)
    action_space = gym.spaces.Discrete(len(MOVES))
    max_steps = 40

    def _obs(self) -> np.ndarray:
        obs = np.zeros(self.observation_space.shape, dtype=np.float32)
        obs[CELLS.index(self.agent) + self.has_key * len(CELLS)] = 1.0  # a plane without key, one with
        obs[CELLS.index(self.key) + 2 * len(CELLS)] = 1.0
        return obs

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        starts, keys = ([(r, c) for r, c in CELLS if GRID[r][c] == mark] for mark in (" ", "K"))
        self.agent = starts[self.np_random.integers(len(starts))]
        self.key = keys[self.np_random.integers(len(keys))]
        self.has_key, self.steps = False, 0
        return self._obs(), {}

    def step(self, action):
        self.steps += 1
        row, col = self.agent[0] + MOVES[action][0], self.agent[1] + MOVES[action][1]
        if GRID[row][col] != "#":
            self.agent = (row, col)
        mark = GRID[self.agent[0]][self.agent[1]]
        reward, terminated = -0.01, False
        if self.agent == self.key and not self.has_key:
            self.has_key, reward = True, 0.5
        elif mark == "~":
            reward, terminated = -1.0, True
        elif mark == "X" and self.has_key:
            reward, terminated = 1.0, True
        return self._obs(), reward, terminated, self.steps >= self.max_steps, {}


@dataclass
class PPOConfig:
    seed: int = 0
    num_envs: int = 16
    rollout_length: int = 64
    num_updates: int = 80
    epochs: int = 4
    minibatch_size: int = 256
    lr: float = 3e-3
    gamma: float = 0.97
    lam: float = 0.95
    clip_eps: float = 0.2
    entropy_coef: float = 0.02


class ActorCritic(nn.Module):
    def __init__(self, obs_dim: int, num_actions: int):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(obs_dim, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.policy_head = nn.Linear(64, num_actions)
        self.value_head = nn.Linear(64, 1)
        nn.init.orthogonal_(self.policy_head.weight, gain=0.01)

    def forward(self, obs: torch.Tensor) -> tuple[Categorical, torch.Tensor]:
        features = self.trunk(obs)
        return Categorical(logits=self.policy_head(features)), self.value_head(features).squeeze(-1)


def compute_gae(rewards, values, dones, last_value, gamma, lam):
    """Advantages and returns, all of shape (T, N); dones[t] tells that the episode ended with step t."""
    advantages = torch.zeros_like(rewards)
    gae, next_value = torch.zeros_like(last_value), last_value
    for t in reversed(range(len(rewards))):
        not_done = 1.0 - dones[t]
        delta = rewards[t] + gamma * not_done * next_value - values[t]
        gae = delta + gamma * lam * not_done * gae
        advantages[t] = gae
        next_value = values[t]
    return advantages, advantages + values


class RolloutBuffer:
    def __init__(self, length: int, num_envs: int, obs_dim: int):
        self.obs = torch.zeros(length, num_envs, obs_dim)
        self.actions = torch.zeros(length, num_envs, dtype=torch.long)
        self.log_probs, self.values, self.rewards, self.dones = torch.zeros(4, length, num_envs)

    def minibatches(self, advantages: torch.Tensor, returns: torch.Tensor, size: int):
        obs = self.obs.flatten(0, 1)
        rows = [x.flatten() for x in (self.actions, self.log_probs, self.values, advantages, returns)]
        for idx in torch.randperm(len(obs)).split(size):
            yield obs[idx], *(row[idx] for row in rows)


class PPO:
    def __init__(self, cfg: PPOConfig):
        self.cfg = cfg
        mode = gym.vector.AutoresetMode.SAME_STEP
        self.envs = gym.vector.SyncVectorEnv([KeyRoom] * cfg.num_envs, autoreset_mode=mode)
        obs_dim = self.envs.single_observation_space.shape[0]
        self.model = ActorCritic(obs_dim, int(self.envs.single_action_space.n))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=cfg.lr, eps=1e-5)
        self.buffer = RolloutBuffer(cfg.rollout_length, cfg.num_envs, obs_dim)
        self.obs = torch.from_numpy(self.envs.reset(seed=cfg.seed)[0])
        self.global_step = 0

    @torch.no_grad()
    def collect(self):
        for t in range(self.cfg.rollout_length):
            dist, value = self.model(self.obs)
            action = dist.sample()
            next_obs, reward, terminated, truncated, info = self.envs.step(action.numpy())
            timed_out = np.flatnonzero(truncated & ~terminated)
            if len(timed_out) > 0:  # cut off by the time limit: what would have followed is estimated
                final_obs = torch.from_numpy(np.stack(info["final_obs"][timed_out]))
                reward[timed_out] += self.cfg.gamma * self.model(final_obs)[1].numpy()
            self.buffer.obs[t], self.buffer.actions[t] = self.obs, action
            self.buffer.log_probs[t], self.buffer.values[t] = dist.log_prob(action), value
            self.buffer.rewards[t] = torch.from_numpy(reward)
            self.buffer.dones[t] = torch.from_numpy(terminated | truncated)
            self.obs = torch.from_numpy(next_obs)
            self.global_step += self.cfg.num_envs
        return self.model(self.obs)[1]

    def update(self, last_value: torch.Tensor):
        cfg, buf = self.cfg, self.buffer
        advantages, returns = compute_gae(buf.rewards, buf.values, buf.dones, last_value, cfg.gamma, cfg.lam)
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        for _ in range(cfg.epochs):
            for batch in buf.minibatches(advantages, returns, cfg.minibatch_size):
                obs, action, old_log_prob, old_value, adv, ret = batch
                dist, value = self.model(obs)
                ratio = (dist.log_prob(action) - old_log_prob).exp()
                clipped_ratio = ratio.clamp(1 - cfg.clip_eps, 1 + cfg.clip_eps)
                policy_loss = -torch.min(ratio * adv, clipped_ratio * adv).mean()
                value_clipped = old_value + (value - old_value).clamp(-cfg.clip_eps, cfg.clip_eps)
                value_loss = torch.max((value - ret) ** 2, (value_clipped - ret) ** 2).mean()
                entropy = dist.entropy().mean()
                loss = policy_loss + 0.5 * value_loss - cfg.entropy_coef * entropy
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
                self.optimizer.step()
        return value_loss.item(), entropy.item()

    def learn(self):
        for update in range(self.cfg.num_updates):
            frac = max(0.0, 1.0 - update / self.cfg.num_updates)
            self.optimizer.param_groups[0]["lr"] = frac * self.cfg.lr
            value_loss, entropy = self.update(self.collect())
            if (update + 1) % 10 == 0:
                ended = int(self.buffer.dones.sum())
                print(f"step {self.global_step} ended {ended} value {value_loss:.4f} entropy {entropy:.3f}")


@torch.no_grad()
def evaluate(model: ActorCritic, episodes: int = 100) -> float:
    env, total = KeyRoom(), 0.0
    for episode in range(episodes):
        (obs, _), done = env.reset(seed=50_000 + episode), False
        while not done:
            action = model(torch.from_numpy(obs).unsqueeze(0))[0].sample().item()
            obs, reward, terminated, truncated, _ = env.step(action)
            total, done = total + reward, terminated or truncated
    return total / episodes


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    cfg = PPOConfig(seed=parser.parse_args().seed)
    torch.set_num_threads(1)
    torch.manual_seed(cfg.seed)
    agent = PPO(cfg)
    agent.learn()
    print(json.dumps({"score": evaluate(agent.model), "steps": agent.global_step}))
