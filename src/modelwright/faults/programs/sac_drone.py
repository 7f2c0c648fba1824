"""Soft actor-critic that holds a drone over a landing mark."""

import argparse
import json
import math
import random

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from torch import nn

LOG_STD_MIN, LOG_STD_MAX = -5, 2
EPISODE_LIMIT = 50


class DroneEnv(gym.Env):
    """A drone in the plane with wind; it is lost when it leaves the field."""

    def __init__(self):
        self.observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = spaces.Box(-2.0, 2.0, (2,), np.float32)

    def _observation(self):
        return np.concatenate([self.position, self.velocity]).astype(np.float32)

    def reset(self, *, seed=None, options=None):
        """Somewhere in the field, slowly moving."""
        super().reset(seed=seed)
        self.position = self.np_random.uniform(-1.0, 1.0, 2)
        self.velocity = self.np_random.uniform(-0.2, 0.2, 2)
        self.elapsed = 0
        return self._observation(), {}

    def step(self, action):
        """A tenth of a second."""
        wind = self.np_random.normal([0.3, 0.0], 0.2)
        self.velocity = 0.95 * self.velocity + 0.1 * (np.clip(action, -2.0, 2.0) + wind)
        self.position = self.position + 0.2 * self.velocity
        self.elapsed += 1
        distance = float(np.linalg.norm(self.position))
        reward = 1.0 - distance - 0.02 * float(np.square(action).sum())
        terminated = distance > 2.0
        truncated = self.elapsed >= EPISODE_LIMIT
        return self._observation(), reward, terminated, truncated, {}


class Memory:
    """Transitions in growing lists, sampled by random indices."""

    def __init__(self):
        self.data = []

    def put(self, *transition):
        """Add (obs, action, reward, next_obs, terminated)."""
        self.data.append(transition)

    def batch(self, size):
        """Tensors of a random batch."""
        chosen = random.choices(self.data, k=size)
        return (
            torch.as_tensor(np.array(column), dtype=torch.float32) for column in zip(*chosen, strict=True)
        )


def net(n_in, n_out):
    """Two hidden layers."""
    return nn.Sequential(nn.Linear(n_in, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, n_out))


class Actor(nn.Module):
    """Squashed Gaussian policy."""

    def __init__(self, obs_dim, act_dim, low, high):
        super().__init__()
        self.body = net(obs_dim, 2 * act_dim)
        self.register_buffer("scale", torch.as_tensor((high - low) / 2))
        self.register_buffer("shift", torch.as_tensor((high + low) / 2))

    def forward(self, obs):
        """Mean and log standard deviation before squashing."""
        mean, log_std = self.body(obs).chunk(2, dim=-1)
        return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)

    def sample(self, obs):
        """An action and its log-probability."""
        mean, log_std = self(obs)
        gaussian = torch.distributions.Normal(mean, log_std.exp(), validate_args=False)
        raw = gaussian.rsample()
        squashed = torch.tanh(raw)
        log_prob = gaussian.log_prob(raw)
        log_prob = log_prob - torch.log(self.scale * (1 - squashed.pow(2)) + 1e-6)
        return squashed * self.scale + self.shift, log_prob.sum(dim=-1)

    @torch.no_grad()
    def best(self, obs):
        """The mode, for evaluation."""
        mean, _ = self(obs)
        return torch.tanh(mean) * self.scale + self.shift


class Critic(nn.Module):
    """Action value."""

    def __init__(self, obs_dim, act_dim):
        super().__init__()
        self.body = net(obs_dim + act_dim, 1)

    def forward(self, obs, act):
        """Value of each pair."""
        return self.body(torch.cat([obs, act], dim=-1)).squeeze(-1)


def run(seed, steps, gamma=0.97, tau=0.01, batch_size=64, start=500, lr=1e-3):
    """Train, with a report every 500 steps; returns the actor."""
    env = DroneEnv()
    env.action_space.seed(seed)
    act_dim = env.action_space.shape[0]
    actor = Actor(4, act_dim, env.action_space.low, env.action_space.high)
    critic1, critic2 = Critic(4, act_dim), Critic(4, act_dim)
    target1, target2 = Critic(4, act_dim), Critic(4, act_dim)
    target1.load_state_dict(critic1.state_dict())
    target2.load_state_dict(critic2.state_dict())
    critic_params = [*critic1.parameters(), *critic2.parameters()]
    critic_opt = torch.optim.Adam(critic_params, lr=lr)
    actor_opt = torch.optim.Adam(actor.parameters(), lr=lr)
    log_alpha = torch.full((1,), math.log(0.2), requires_grad=True)
    alpha_opt = torch.optim.Adam([log_alpha], lr=lr)
    target_entropy = -float(act_dim)

    memory, returns, total = Memory(), [], 0.0
    obs, _ = env.reset(seed=seed)
    for step in range(1, steps + 1):
        if step <= start:
            action = env.action_space.sample()
        else:
            with torch.no_grad():
                action = actor.sample(torch.from_numpy(obs))[0].numpy()
        next_obs, reward, terminated, truncated, _ = env.step(action)
        memory.put(obs, action, reward, next_obs, terminated)
        total += reward
        obs = next_obs
        if terminated or truncated:
            returns.append(total)
            total = 0.0
            obs, _ = env.reset()
        if step <= start or step % 2:
            continue

        o, a, r, o2, term = memory.batch(batch_size)
        alpha = log_alpha.detach().exp()
        with torch.no_grad():
            a2, logp2 = actor.sample(o2)
            q_next = torch.min(target1(o2, a2), target2(o2, a2)) - alpha * logp2
            y = r + gamma * (1 - term) * q_next
        critic_loss = F.mse_loss(critic1(o, a), y) + F.mse_loss(critic2(o, a), y)
        critic_opt.zero_grad()
        critic_loss.backward()
        critic_opt.step()

        pi, logp = actor.sample(o)
        actor_loss = (alpha * logp - torch.min(critic1(o, pi), critic2(o, pi))).mean()
        actor_opt.zero_grad()
        actor_loss.backward()
        actor_opt.step()

        alpha_loss = -(log_alpha.exp() * (logp.detach() + target_entropy)).mean()
        alpha_opt.zero_grad()
        alpha_loss.backward()
        alpha_opt.step()

        with torch.no_grad():
            for slow, fast in ((target1, critic1), (target2, critic2)):
                for p_slow, p_fast in zip(slow.parameters(), fast.parameters(), strict=True):
                    p_slow.lerp_(p_fast, tau)

        if step % 500 == 0:
            print(
                f"{step:5d} | return {np.mean(returns[-10:]):8.2f} | q {y.mean().item():7.2f} | critic "
                f"{critic_loss.item():8.4f} | alpha {alpha.item():.4f} | entropy {-logp.mean().item():6.2f}"
            )
    return actor


def assess(actor, episodes=20):
    """Mean return without noise."""
    env = DroneEnv()
    scores = []
    for k in range(episodes):
        obs, _ = env.reset(seed=8_000 + k)
        score, stop = 0.0, False
        while not stop:
            obs, reward, terminated, truncated, _ = env.step(actor.best(torch.from_numpy(obs)).numpy())
            score += reward
            stop = terminated or truncated
        scores.append(score)
    return float(np.mean(scores))


if __name__ == "__main__":
    cli = argparse.ArgumentParser()
    cli.add_argument("--seed", type=int, default=0)
    cli.add_argument("--steps", type=int, default=2200)
    given = cli.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    random.seed(given.seed)
    trained_actor = run(given.seed, given.steps)
    print(json.dumps({"score": assess(trained_actor)}))
