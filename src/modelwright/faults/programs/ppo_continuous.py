"""PPO with a Gaussian policy on a small hovercraft that has to reach a moving berth."""

import argparse
import json

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from torch import nn
from torch.distributions import Normal


class Hovercraft(gym.Env):
    """A point mass in the plane, pushed by two thrusters; it succeeds when it is at the berth and slow."""

    def __init__(self):
        self.action_space = spaces.Box(-1.0, 1.0, shape=(2,), dtype=np.float32)
        self.observation_space = spaces.Box(-np.inf, np.inf, shape=(6,), dtype=np.float32)
        self.position = np.zeros(2)
        self.velocity = np.zeros(2)
        self.berth = np.zeros(2)
        self.drift = np.zeros(2)

    def _observe(self):
        gap = self.berth - self.position
        return np.concatenate([gap, self.velocity, self.drift * 10.0]).astype(np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.position = self.np_random.uniform(-1.0, 1.0, size=2)
        self.berth = self.np_random.uniform(-1.0, 1.0, size=2)
        self.drift = self.np_random.uniform(-0.03, 0.03, size=2)
        self.velocity = np.zeros(2)
        return self._observe(), {}

    def step(self, action):
        thrust = np.clip(action, -1.0, 1.0)
        self.velocity = 0.9 * self.velocity + 0.04 * thrust
        self.position = self.position + self.velocity
        self.berth = self.berth + self.drift
        self.drift = np.where(np.abs(self.berth) > 1.0, -np.sign(self.berth) * np.abs(self.drift), self.drift)
        gap = float(np.linalg.norm(self.berth - self.position))
        speed = float(np.linalg.norm(self.velocity - self.drift))
        docked = gap < 0.1 and speed < 0.06
        reward = -gap - 0.05 * float(np.square(thrust).sum()) + (5.0 if docked else 0.0)
        return self._observe(), reward, docked, False, {}


def make_env(max_steps):
    return lambda: gym.wrappers.TimeLimit(Hovercraft(), max_steps)


def mlp(out, gain):
    layers = [nn.Linear(6, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, out)]
    for layer, scale in ((layers[0], 2**0.5), (layers[2], 2**0.5), (layers[4], gain)):
        nn.init.orthogonal_(layer.weight, scale)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = mlp(2, gain=0.01)
        self.log_std = nn.Parameter(torch.full((2,), -0.3))
        self.value = mlp(1, gain=1.0)

    def policy(self, obs):
        return Normal(self.mean(obs), self.log_std.exp())

    def v(self, obs):
        return self.value(obs).squeeze(-1)


def collect(envs, net, obs, horizon):
    """Play `horizon` steps in every copy; the arrays of the batch are (time, copy, ...)."""
    keys = ("obs", "act", "logp", "rew", "value", "next_value", "terminated", "ended")
    batch = {key: [] for key in keys}
    for _ in range(horizon):
        x = torch.as_tensor(obs)
        with torch.no_grad():
            dist = net.policy(x)
            action = dist.sample()
            logp = dist.log_prob(action).sum(-1)
            value = net.v(x)
        next_obs, reward, terminated, truncated, info = envs.step(action.numpy())
        ended = terminated | truncated
        # The vector resets a copy at once; the value of what follows needs the observation before that.
        successor = next_obs.copy()
        for i in np.flatnonzero(ended):
            successor[i] = info["final_obs"][i]
        with torch.no_grad():
            next_value = net.v(torch.as_tensor(successor))
        row = (x, action, logp, reward, value, next_value, terminated, ended)
        for key, item in zip(keys, row):
            batch[key].append(torch.as_tensor(item, dtype=torch.float32))
        obs = next_obs
    return {key: torch.stack(items) for key, items in batch.items()}, obs


def gae(batch, gamma, lam):
    """Generalised advantages: no value follows a termination, and no sum crosses the end of an episode."""
    delta = batch["rew"] + gamma * batch["next_value"] * (1 - batch["terminated"]) - batch["value"]
    advantages = torch.zeros_like(delta)
    running = torch.zeros(delta.shape[1])
    for t in reversed(range(len(delta))):
        running = delta[t] + gamma * lam * (1 - batch["ended"][t]) * running
        advantages[t] = running
    return advantages


def update(net, optimizer, batch, args):
    """Several passes of minibatches over the batch."""
    advantages = gae(batch, args.gamma, args.lam)
    returns = (advantages + batch["value"]).flatten()
    advantages = advantages.flatten()
    obs, act, old_logp = batch["obs"].flatten(0, 1), batch["act"].flatten(0, 1), batch["logp"].flatten()
    for _ in range(args.epochs):
        for idx in torch.randperm(len(obs)).split(args.minibatch):
            dist = net.policy(obs[idx])
            logp = dist.log_prob(act[idx]).sum(-1)
            ratio = (logp - old_logp[idx]).exp()
            adv = advantages[idx]
            adv = (adv - adv.mean()) / (adv.std() + 1e-8)
            clipped = ratio.clamp(1 - args.clip, 1 + args.clip)
            policy_loss = -torch.min(ratio * adv, clipped * adv).mean()
            value_loss = 0.5 * (net.v(obs[idx]) - returns[idx]).pow(2).mean()
            entropy = dist.entropy().sum(-1).mean()
            loss = policy_loss + args.vf_coef * value_loss - args.ent_coef * entropy
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), args.max_grad_norm)
            optimizer.step()
    return policy_loss.item(), value_loss.item(), entropy.item()


@torch.no_grad()
def evaluate(net, max_steps, episodes=50):
    """Mean return of the mean action, and the share of episodes that end at the berth."""
    env = make_env(max_steps)()
    returns, docked = [], 0
    for episode in range(episodes):
        obs, _ = env.reset(seed=90_000 + episode)
        terminated = truncated = False
        total = 0.0
        while not (terminated or truncated):
            obs, reward, terminated, truncated, _ = env.step(net.mean(torch.as_tensor(obs)).numpy())
            total += reward
        returns.append(total)
        docked += terminated
    return float(np.mean(returns)), docked / episodes


def main(args):
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    envs = gym.vector.SyncVectorEnv(
        [make_env(args.max_steps) for _ in range(args.copies)],
        autoreset_mode=gym.vector.AutoresetMode.SAME_STEP,
    )
    net = ActorCritic()
    optimizer = torch.optim.Adam(net.parameters(), lr=args.lr, eps=1e-5)
    obs, _ = envs.reset(seed=[args.seed * 1000 + i for i in range(args.copies)])
    for iteration in range(args.iterations):
        for group in optimizer.param_groups:
            group["lr"] = args.lr * (1 - iteration / args.iterations)
        batch, obs = collect(envs, net, obs, args.horizon)
        losses = update(net, optimizer, batch, args)
        if iteration % 10 == 0:
            print(
                f"iteration {iteration:3d}  reward per step {batch['rew'].mean():.3f}"
                f"  docked {int(batch['terminated'].sum())}  policy {losses[0]:.4f}"
                f"  value {losses[1]:.4f}  entropy {losses[2]:.3f}"
            )
    envs.close()
    mean_return, docked = evaluate(net, args.max_steps)
    print(f"mean return {mean_return:.2f}, docked {docked:.2f}")
    print(json.dumps({"score": mean_return}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--horizon", type=int, default=64)
    parser.add_argument("--max-steps", type=int, default=60)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--gamma", type=float, default=0.98)
    parser.add_argument("--lam", type=float, default=0.92)
    parser.add_argument("--clip", type=float, default=0.2)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--minibatch", type=int, default=128)
    parser.add_argument("--vf-coef", type=float, default=0.5)
    parser.add_argument("--ent-coef", type=float, default=0.002)
    parser.add_argument("--max-grad-norm", type=float, default=0.5)
    main(parser.parse_args())
