"""DDPG (deep deterministic policy gradient) on Pendulum-v1, with a tensor replay memory and soft targets."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclasses.dataclass
class Config:
    seed: int = 1
    total_steps: int = 5000
    warmup_steps: int = 500
    episode_length: int = 150
    memory_capacity: int = 20_000
    batch_size: int = 64
    update_every: int = 2
    hidden_size: int = 64
    discount: float = 0.98
    tau: float = 0.02
    actor_lr: float = 1e-3
    critic_lr: float = 2e-3
    noise_std: float = 0.2
    eval_episodes: int = 12


class ReplayMemory:
    """Fixed-size storage of transitions in preallocated tensors; the oldest rows are overwritten."""

    def __init__(self, capacity: int, obs_dim: int, act_dim: int, generator: torch.Generator) -> None:
        self.capacity = capacity
        self.generator = generator
        self.cursor = 0
        self.count = 0
        self.obs = torch.zeros(capacity, obs_dim)
        self.act = torch.zeros(capacity, act_dim)
        self.rew = torch.zeros(capacity, 1)
        self.next_obs = torch.zeros(capacity, obs_dim)
        self.terminal = torch.zeros(capacity, 1)

    def push(self, obs: Tensor, act: Tensor, rew: float, next_obs: Tensor, terminal: bool) -> None:
        self.obs[self.cursor] = obs
        self.act[self.cursor] = act
        self.rew[self.cursor] = rew
        self.next_obs[self.cursor] = next_obs
        self.terminal[self.cursor] = float(terminal)
        self.cursor = (self.cursor + 1) % self.capacity
        self.count = min(self.count + 1, self.capacity)

    def sample(self, batch_size: int) -> tuple[Tensor, ...]:
        rows = torch.randint(self.count, (batch_size,), generator=self.generator)
        return self.obs[rows], self.act[rows], self.rew[rows], self.next_obs[rows], self.terminal[rows]


class Actor(nn.Module):
    """Deterministic policy whose torque lies within the limit of the motor."""

    def __init__(self, obs_dim: int, act_dim: int, hidden: int, limit: float) -> None:
        super().__init__()
        self.limit = limit
        self.body = nn.Sequential(nn.Linear(obs_dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, act_dim)

    def forward(self, obs: Tensor) -> Tensor:
        return self.limit * torch.tanh(self.head(self.body(obs)))


class Critic(nn.Module):
    def __init__(self, obs_dim: int, act_dim: int, hidden: int) -> None:
        super().__init__()
        inputs = obs_dim + act_dim
        self.body = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, 1)

    def forward(self, obs: Tensor, act: Tensor) -> Tensor:
        return self.head(self.body(torch.cat([obs, act], dim=-1)))


class Agent:
    """Holds the networks, their slow copies and both optimisers."""

    def __init__(self, obs_dim: int, act_dim: int, limit: float, cfg: Config) -> None:
        self.cfg = cfg
        self.limit = limit
        self.actor = Actor(obs_dim, act_dim, cfg.hidden_size, limit)
        self.critic = Critic(obs_dim, act_dim, cfg.hidden_size)
        self.slow_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.slow_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.actor_optim = torch.optim.Adam(self.actor.parameters(), lr=cfg.actor_lr)
        self.critic_optim = torch.optim.Adam(self.critic.parameters(), lr=cfg.critic_lr)

    @torch.no_grad()
    def act(self, obs: Tensor, explore: bool = False) -> Tensor:
        action = self.actor(obs)
        if explore:
            action = action + self.cfg.noise_std * self.limit * torch.randn_like(action)
            action = action.clamp(-self.limit, self.limit)
        return action

    def learn(self, batch: tuple[Tensor, ...]) -> tuple[float, float]:
        obs, act, rew, next_obs, terminal = batch

        with torch.no_grad():
            next_value = self.slow_critic(next_obs, self.slow_actor(next_obs))
            target = rew + self.cfg.discount * (1.0 - terminal) * next_value
        critic_loss = F.mse_loss(self.critic(obs, act), target)
        self.critic_optim.zero_grad()
        critic_loss.backward()
        self.critic_optim.step()

        actor_loss = -self.critic(obs, self.actor(obs)).mean()
        self.actor_optim.zero_grad()
        actor_loss.backward()
        self.actor_optim.step()

        self.follow(self.slow_actor, self.actor)
        self.follow(self.slow_critic, self.critic)
        return critic_loss.item(), actor_loss.item()

    def follow(self, slow: nn.Module, fast: nn.Module) -> None:
        """Move a slow network a small step towards the trained one."""
        with torch.no_grad():
            for slow_param, param in zip(slow.parameters(), fast.parameters(), strict=True):
                slow_param.lerp_(param, self.cfg.tau)


def to_tensor(obs: np.ndarray) -> Tensor:
    """Cosine, sine and angular velocity, all within -1 and 1."""
    return torch.as_tensor(obs / np.array([1.0, 1.0, 8.0]), dtype=torch.float32)


def evaluate(agent: Agent, cfg: Config) -> float:
    """Mean return of the policy without noise, from fixed starts."""
    env = gym.make("Pendulum-v1", max_episode_steps=cfg.episode_length)
    total = 0.0
    for episode in range(cfg.eval_episodes):
        obs, _ = env.reset(seed=50_000 + episode)
        over = False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(agent.act(to_tensor(obs)).numpy())
            total += float(reward)
            over = terminated or truncated
    env.close()
    return total / cfg.eval_episodes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for field in dataclasses.fields(Config):
        kind = type(field.default)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    cfg = Config(**vars(parser.parse_args()))

    torch.set_num_threads(1)
    torch.manual_seed(cfg.seed)
    env = gym.make("Pendulum-v1", max_episode_steps=cfg.episode_length)
    env.action_space.seed(cfg.seed)
    obs_dim, act_dim = env.observation_space.shape[0], env.action_space.shape[0]
    agent = Agent(obs_dim, act_dim, float(env.action_space.high[0]), cfg)
    memory = ReplayMemory(cfg.memory_capacity, obs_dim, act_dim, torch.Generator().manual_seed(cfg.seed))

    raw_obs, _ = env.reset(seed=cfg.seed)
    obs, episode_return, losses = to_tensor(raw_obs), 0.0, (0.0, 0.0)
    for step in range(1, cfg.total_steps + 1):
        if step <= cfg.warmup_steps:
            action = torch.from_numpy(env.action_space.sample())
        else:
            action = agent.act(obs, explore=True)
        raw_obs, reward, terminated, truncated, _ = env.step(action.numpy())
        next_obs = to_tensor(raw_obs)
        # The clock ends an episode here; the pendulum itself would swing on, so only terminated is kept.
        memory.push(obs, action, float(reward), next_obs, terminated)
        obs = next_obs
        episode_return += float(reward)

        if terminated or truncated:
            print(
                f"step {step:5d}  return {episode_return:8.1f}  critic {losses[0]:.3f}  actor {losses[1]:.3f}"
            )
            raw_obs, _ = env.reset()
            obs, episode_return = to_tensor(raw_obs), 0.0

        if step > cfg.warmup_steps and step % cfg.update_every == 0:
            losses = agent.learn(memory.sample(cfg.batch_size))

    env.close()
    print(json.dumps({"score": evaluate(agent, cfg)}))


if __name__ == "__main__":
    main()
