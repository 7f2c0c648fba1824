"""PPO with a Gaussian policy that heats three rooms, with normalised observations and rewards."""

import argparse
import copy
import json
import math

import gymnasium as gym
import numpy as np
import torch
from gymnasium.wrappers import TimeLimit
from torch import nn
from torch.distributions import Normal


class Rooms(gym.Env):
    """Keep three rooms at their set points; the house is given up when a room freezes or boils."""

    def __init__(self):
        self.observation_space = gym.spaces.Box(-50.0, 100.0, (7,), np.float64)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (3,), np.float32)

    def _obs(self):
        return np.concatenate([self.rooms, self.wanted, [self.outside]])

    def reset(self, *, seed=None, options=None):
        """Start near the outside temperature."""
        super().reset(seed=seed)
        self.outside = self.np_random.uniform(-5.0, 10.0)
        self.wanted = self.np_random.uniform(17.0, 23.0, 3)
        self.rooms = self.np_random.uniform(10.0, 16.0, 3)
        return self._obs(), {}

    def step(self, action):
        """A quarter of an hour."""
        power = np.clip(action, -1.0, 1.0)
        neighbours = np.roll(self.rooms, 1) + np.roll(self.rooms, -1) - 2 * self.rooms
        leak = 0.06 * (self.outside - self.rooms)
        self.rooms = self.rooms + leak + 0.05 * neighbours + 2.5 * power + self.np_random.normal(0, 0.1, 3)
        error = np.abs(self.rooms - self.wanted)
        reward = -error.sum() - 0.2 * np.square(power).sum()
        terminated = bool((self.rooms < 2.0).any() or (self.rooms > 40.0).any())
        if terminated:
            reward -= 300.0
        return self._obs(), float(reward), terminated, False, {}


class RunningMoments:
    """Mean and variance over all that was seen."""

    def __init__(self, shape):
        self.mean, self.var, self.count = np.zeros(shape), np.ones(shape), 1e-4

    def update(self, batch):
        """Merge a batch (first axis) into the moments."""
        n, mean, var = len(batch), batch.mean(axis=0), batch.var(axis=0)
        delta, total = mean - self.mean, self.count + n
        m2 = self.var * self.count + var * n + delta**2 * self.count * n / total
        self.mean = self.mean + delta * n / total
        self.var, self.count = m2 / total, total


class ObservationNormalizer:
    """Standard scores of observations, clipped."""

    def __init__(self, size):
        self.moments = RunningMoments(size)
        self.training = True

    def __call__(self, obs):
        if self.training:
            self.moments.update(obs)
        scaled = (obs - self.moments.mean) / np.sqrt(self.moments.var + 1e-8)
        return torch.as_tensor(np.clip(scaled, -10, 10), dtype=torch.float32)


class RewardScaler:
    """Divide rewards by the standard deviation of the discounted return."""

    def __init__(self, num_envs, gamma):
        self.moments = RunningMoments(())
        self.returns = np.zeros(num_envs)
        self.gamma = gamma

    def __call__(self, rewards, ended):
        self.returns = self.returns * self.gamma + rewards
        self.moments.update(self.returns)
        self.returns[ended] = 0.0
        return np.clip(rewards / np.sqrt(self.moments.var + 1e-8), -10, 10)


class GaussianActorCritic(nn.Module):
    """Mean of the action, a standard deviation free of the state, and a value."""

    def __init__(self, obs_size, act_size):
        super().__init__()
        self.mean = nn.Sequential(nn.Linear(obs_size, 64), nn.Tanh(), nn.Linear(64, act_size))
        self.log_std = nn.Parameter(torch.full((act_size,), -0.5))
        self.value = nn.Sequential(
            nn.Linear(obs_size, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)
        )

    def distribution(self, obs):
        """The policy at a batch of observations."""
        return Normal(self.mean(obs), self.log_std.exp(), validate_args=False)

    def log_prob(self, obs, act):
        """Joint log-probability of actions, and the entropy."""
        dist = self.distribution(obs)
        return dist.log_prob(act).sum(-1), dist.entropy().sum(-1)


def gae(rewards, values, next_values, terminated, ended, gamma, lam):
    """Generalised advantages; arrays of shape (steps, envs)."""
    advantages = torch.zeros_like(rewards)
    carry = torch.zeros(rewards.shape[1])
    for t in range(len(rewards) - 1, -1, -1):
        delta = rewards[t] + gamma * next_values[t] * (1 - terminated[t]) - values[t]
        carry = delta + gamma * lam * (1 - ended[t]) * carry
        advantages[t] = carry
    return advantages


def collect(envs, model, normalizer, scaler, current, length):
    """Step all copies; `current` holds their normalised observations."""
    rows = {k: [] for k in ("obs", "act", "logp", "rew", "term", "ended", "next")}
    for _ in range(length):
        with torch.no_grad():
            action = model.distribution(current).sample()
            logp, _ = model.log_prob(current, action)
        reached, fresh, rewards, terms, ended = [], [], [], [], []
        for env, a in zip(envs, action.numpy(), strict=True):
            obs, reward, terminated, truncated, _ = env.step(np.clip(a, -1.0, 1.0))
            reached.append(obs)
            rewards.append(reward)
            terms.append(terminated)
            ended.append(terminated or truncated)
            fresh.append(env.reset()[0] if ended[-1] else obs)
        ended = np.array(ended)
        upcoming = normalizer(np.array(fresh))
        normalizer.training = False
        last = normalizer(np.array(reached))
        normalizer.training = True
        scaled = scaler(np.array(rewards), ended)
        rows["obs"].append(current)
        rows["act"].append(action)
        rows["logp"].append(logp)
        rows["rew"].append(torch.as_tensor(scaled, dtype=torch.float32))
        rows["term"].append(torch.as_tensor(terms, dtype=torch.float32))
        rows["ended"].append(torch.as_tensor(ended, dtype=torch.float32))
        rows["next"].append(last)
        current = upcoming
    return current, {k: torch.stack(v) for k, v in rows.items()}


def improve(model, opt, data, cfg):
    """Some epochs of clipped policy optimisation."""
    with torch.no_grad():
        values = model.value(data["obs"]).squeeze(-1)
        next_values = model.value(data["next"]).squeeze(-1)
    adv = gae(data["rew"], values, next_values, data["term"], data["ended"], cfg.gamma, cfg.lam)
    target = (adv + values).flatten()
    adv = adv.flatten()
    obs, act, logp = data["obs"].flatten(0, 1), data["act"].flatten(0, 1), data["logp"].flatten()
    for _ in range(cfg.epochs):
        for idx in torch.randperm(len(obs)).split(cfg.minibatch):
            new_logp, entropy = model.log_prob(obs[idx], act[idx])
            ratio = torch.exp(new_logp - logp[idx])
            a = (adv[idx] - adv[idx].mean()) / (adv[idx].std() + 1e-8)
            surrogate = torch.min(ratio * a, ratio.clamp(1 - cfg.clip, 1 + cfg.clip) * a)
            value_loss = (model.value(obs[idx]).squeeze(-1) - target[idx]).pow(2).mean()
            loss = -surrogate.mean() + 0.5 * value_loss - cfg.entropy * entropy.mean()
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            opt.step()
    return value_loss.item(), entropy.mean().item(), (ratio - 1).abs().mean().item()


def evaluate(model, normalizer, episodes, limit):
    """Mean raw return of the mean action, with the statistics left as they are."""
    normalizer = copy.deepcopy(normalizer)
    normalizer.training = False
    env = TimeLimit(Rooms(), limit)
    totals = []
    for i in range(episodes):
        obs, _ = env.reset(seed=31_000 + i)
        totals.append(0.0)
        over = False
        while not over:
            with torch.no_grad():
                action = model.mean(normalizer(obs[None]))[0].numpy()
            obs, reward, terminated, truncated, _ = env.step(action)
            totals[-1] += reward
            over = terminated or truncated
    return float(np.mean(totals))


def main():
    """Train for a number of iterations, then evaluate."""
    ap = argparse.ArgumentParser()
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--steps", type=int, default=36, help="iterations of 1024 transitions")
    ap.add_argument("--gamma", type=float, default=0.95)
    ap.add_argument("--lam", type=float, default=0.9)
    ap.add_argument("--clip", type=float, default=0.2)
    ap.add_argument("--entropy", type=float, default=0.0)
    ap.add_argument("--epochs", type=int, default=6)
    ap.add_argument("--minibatch", type=int, default=128)
    ap.add_argument("--lr", type=float, default=3e-3)
    ap.add_argument("--limit", type=int, default=50)
    cfg = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(cfg.seed)

    envs = [TimeLimit(Rooms(), cfg.limit) for _ in range(8)]
    model = GaussianActorCritic(7, 3)
    opt = torch.optim.Adam(model.parameters(), lr=cfg.lr, eps=1e-5)
    schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda i: max(0.05, 1.0 - i / cfg.steps))
    normalizer, scaler = ObservationNormalizer(7), RewardScaler(len(envs), cfg.gamma)
    first = [env.reset(seed=cfg.seed * 100 + i)[0] for i, env in enumerate(envs)]
    current = normalizer(np.array(first))
    for it in range(cfg.steps):
        current, data = collect(envs, model, normalizer, scaler, current, 128)
        value_loss, entropy, moved = improve(model, opt, data, cfg)
        schedule.step()
        if it % 5 == 4:
            unit = math.sqrt(scaler.moments.var)
            print(
                f"it {it + 1:3d} reward/step {data['rew'].mean().item() * unit:8.3f} value {value_loss:.4f} "
                f"entropy {entropy:.3f} ratio-1 {moved:.4f} lr {schedule.get_last_lr()[0]:.1e}"
            )
    print(json.dumps({"score": evaluate(model, normalizer, 20, cfg.limit)}))


if __name__ == "__main__":
    main()
