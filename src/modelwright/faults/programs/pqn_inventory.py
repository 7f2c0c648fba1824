"""Parallel Q-learning without replay and without a target network, on a shop's inventory.

Sixty-four shops are simulated at once in NumPy. The shops never close: an episode is cut after 40 days
only to start from a fresh stock, and the agent does not see the day's number.
"""

import argparse
import json

import numpy as np
import torch
from torch import nn


class Shops:
    """A batch of shops that order goods every day."""

    season = np.array([1.0, 2.0, 5.0, 4.0])
    capacity = 15
    orders = np.array([0, 2, 4, 6, 8])

    def __init__(self, num_shops, horizon, seed):
        self.n, self.horizon = num_shops, horizon
        self.rngs = [np.random.default_rng([seed, shop]) for shop in range(num_shops)]
        self.stock = np.zeros(num_shops)
        self.weekday = np.zeros(num_shops, dtype=int)
        self.age = np.zeros(num_shops, dtype=int)
        self.state = np.zeros((num_shops, 5), dtype=np.float32)

    def _open(self, shop):
        self.stock[shop] = self.rngs[shop].integers(0, self.capacity + 1)
        self.weekday[shop] = self.rngs[shop].integers(4)
        self.age[shop] = 0

    def _observe(self):
        self.state[:, 0] = self.stock / self.capacity
        self.state[:, 1:] = np.eye(4, dtype=np.float32)[self.weekday]
        return self.state

    def reset(self):
        """Fresh stock everywhere."""
        for shop in range(self.n):
            self._open(shop)
        return self._observe().copy()

    def step(self, actions):
        """One day: order, sell, pay. Returns also the observation before any restart."""
        ordered = self.orders[actions]
        self.stock = np.minimum(self.stock + ordered, self.capacity)
        demand = np.array(
            [rng.poisson(self.season[d]) for rng, d in zip(self.rngs, self.weekday, strict=True)]
        )
        sold = np.minimum(self.stock, demand)
        self.stock = self.stock - sold
        rewards = 1.0 * sold - 0.15 * self.stock - 1.0 * (demand - sold) - 0.5 * (ordered > 0)
        self.weekday = (self.weekday + 1) % 4
        self.age += 1
        final_obs = self._observe().copy()
        truncated = self.age >= self.horizon
        for shop in np.flatnonzero(truncated):
            self._open(shop)
        return self._observe().copy(), rewards.astype(np.float32), truncated, final_obs


class QNet(nn.Module):
    """A multilayer perceptron with layer normalisation, which stands in for a target network."""

    def __init__(self, inputs, actions, width=64):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(inputs, width),
            nn.LayerNorm(width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.ReLU(),
        )
        self.head = nn.Linear(width, actions)

    def forward(self, x):
        """Action values."""
        return self.head(self.body(x))


def evaluate(net, seed, days=40):
    """Mean profit of a shop over some days, with greedy orders."""
    shops = Shops(100, days + 1, seed)
    obs, profit = shops.reset(), 0.0
    for _ in range(days):
        with torch.no_grad():
            actions = net(torch.from_numpy(obs)).argmax(1).numpy()
        obs, rewards, _, _ = shops.step(actions)
        profit += float(rewards.mean())
    return profit


def main():
    """Alternate between a short rollout in all shops and one pass over it."""
    ap = argparse.ArgumentParser()
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--steps", type=int, default=350, help="rollouts")
    opt = ap.parse_args()
    num_shops, rollout_length, minibatches, gamma = 64, 8, 4, 0.95

    torch.set_num_threads(1)
    torch.manual_seed(opt.seed)
    rng = np.random.default_rng(opt.seed)
    shops = Shops(num_shops, horizon=40, seed=opt.seed)
    net = QNet(5, len(Shops.orders))
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)

    obs, restarts = shops.reset(), 0
    for it in range(opt.steps):
        epsilon = max(0.05, 1.0 - it / (0.5 * opt.steps))
        storage = []
        for _ in range(rollout_length):
            with torch.no_grad():
                greedy = net(torch.from_numpy(obs)).argmax(1).numpy()
            explore = rng.random(num_shops) < epsilon
            actions = np.where(explore, rng.integers(len(Shops.orders), size=num_shops), greedy)
            next_obs, rewards, truncated, final_obs = shops.step(actions)
            storage.append((obs, actions, rewards, final_obs))
            obs = next_obs
            restarts += int(truncated.sum())

        b_obs, b_act, b_rew, b_next = (
            torch.from_numpy(np.concatenate(x)) for x in zip(*storage, strict=True)
        )
        losses = []
        for mb in torch.randperm(len(b_obs)).chunk(minibatches):
            with torch.no_grad():
                target = b_rew[mb] + gamma * net(b_next[mb]).max(dim=1).values
            chosen = net(b_obs[mb]).gather(1, b_act[mb, None])[:, 0]
            loss = 0.5 * (chosen - target).square().mean()
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            adam.step()
            losses.append(loss.item())
        if (it + 1) % 50 == 0:
            print(
                f"rollout {it + 1:4d} restarts {restarts} eps {epsilon:.2f} loss {np.mean(losses):.4f} "
                f"q {chosen.mean().item():.3f} profit/day {b_rew.mean().item():.3f}"
            )

    print(json.dumps({"score": evaluate(net, opt.seed + 777)}))


if __name__ == "__main__":
    main()
