"""PPO with invalid actions masked: fill a knapsack item by item."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

ITEMS = 8


class Knapsack(gym.Env):
    """Each action packs one item. The episode ends when nothing fits any more."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(0.0, 10.0, (3 * ITEMS + 1,), np.float32)
        self.action_space = gym.spaces.Discrete(ITEMS)

    def action_mask(self) -> np.ndarray:
        """Items that are left and fit."""
        return ~self.packed & (self.weights <= self.room)

    def _obs(self) -> np.ndarray:
        shown = np.where(self.packed, 0.0, 1.0)
        parts = [self.values * shown, self.weights * shown, self.action_mask(), [self.room]]
        return np.concatenate(parts).astype(np.float32)

    def reset(self, *, seed=None, options=None):
        """Draw items and their values."""
        super().reset(seed=seed)
        self.values = self.np_random.uniform(0.05, 1.0, ITEMS)
        self.weights = self.np_random.uniform(0.1, 0.6, ITEMS)
        self.packed = np.zeros(ITEMS, dtype=bool)
        self.room = 1.0
        return self._obs(), {"mask": self.action_mask()}

    def step(self, action):
        """Pack an item; a forbidden one spoils the rest of the episode."""
        if not self.action_mask()[action]:
            return self._obs(), -1.0, True, False, {"mask": self.action_mask()}
        self.packed[action] = True
        self.room -= self.weights[action]
        mask = self.action_mask()
        return self._obs(), float(self.values[action]), not mask.any(), False, {"mask": mask}


def masked_log_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Log-probabilities with nothing on forbidden actions."""
    return torch.log_softmax(logits.masked_fill(~mask, -1e9), dim=-1)


class ActorCritic(nn.Module):
    """Separate networks for scores of items and for the value."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        n = 3 * ITEMS + 1
        self.actor = nn.Sequential(nn.Linear(n, width), nn.ReLU(), nn.Linear(width, ITEMS))
        self.critic = nn.Sequential(nn.Linear(n, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, obs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Masked log-probabilities and values."""
        return masked_log_softmax(self.actor(obs), mask), self.critic(obs).squeeze(-1)


@dataclass
class Rollout:
    """What one round of acting leaves behind, one list entry a step."""

    obs: list[Tensor] = field(default_factory=list)
    masks: list[Tensor] = field(default_factory=list)
    actions: list[Tensor] = field(default_factory=list)
    log_probs: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    rewards: list[Tensor] = field(default_factory=list)
    dones: list[Tensor] = field(default_factory=list)


class PPO:
    """Trainer."""

    def __init__(self, seed: int, num_envs: int = 16, horizon: int = 32) -> None:
        torch.manual_seed(seed)
        self.horizon = horizon
        self.gamma, self.lam, self.clip_range = 0.99, 0.95, 0.2
        self.n_epochs, self.batch_size, self.target_kl = 4, 128, 0.05
        self.value_coef, self.entropy_coef = 0.5, 0.01
        self.model = ActorCritic()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-3)
        self.envs = [Knapsack() for _ in range(num_envs)]
        starts = [env.reset(seed=10_000 * seed + i) for i, env in enumerate(self.envs)]
        self.obs = torch.from_numpy(np.stack([obs for obs, _ in starts]))
        self.mask = torch.from_numpy(np.stack([info["mask"] for _, info in starts]))

    def _advance(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        obs, masks, rewards, dones = [], [], [], []
        for env, action in zip(self.envs, actions.tolist(), strict=True):
            o, reward, terminated, _, info = env.step(action)
            if terminated:
                o, info = env.reset()
            obs.append(o)
            masks.append(info["mask"])
            rewards.append(reward)
            dones.append(float(terminated))
        self.obs = torch.from_numpy(np.stack(obs))
        self.mask = torch.from_numpy(np.stack(masks))
        return torch.tensor(rewards), torch.tensor(dones)

    @torch.no_grad()
    def collect(self) -> tuple[Rollout, Tensor]:
        """Act in all copies; returns the rollout and the value after its last step."""
        out = Rollout()
        for _ in range(self.horizon):
            log_probs, value = self.model(self.obs, self.mask)
            action = torch.multinomial(log_probs.exp(), 1).squeeze(-1)
            out.obs.append(self.obs)
            out.masks.append(self.mask)
            out.actions.append(action)
            out.log_probs.append(log_probs.gather(-1, action.unsqueeze(-1)).squeeze(-1))
            out.values.append(value)
            reward, done = self._advance(action)
            out.rewards.append(reward)
            out.dones.append(done)
        return out, self.model(self.obs, self.mask)[1]

    def advantages(self, roll: Rollout, last_value: Tensor) -> Tensor:
        """Generalised advantage estimates, shape (steps, copies)."""
        result: list[Tensor] = []
        running = torch.zeros_like(last_value)
        next_value = last_value
        for reward, value, done in zip(
            reversed(roll.rewards), reversed(roll.values), reversed(roll.dones), strict=True
        ):
            alive = 1.0 - done
            delta = reward + self.gamma * alive * next_value - value
            running = delta + self.gamma * self.lam * alive * running
            result.append(running)
            next_value = value
        return torch.stack(result[::-1])

    def update(self, roll: Rollout, advantages: Tensor) -> dict[str, float]:
        """Epochs of minibatches, stopped early when the policy moved far."""
        obs, masks = torch.cat(roll.obs), torch.cat(roll.masks)
        actions, old_log_probs = torch.cat(roll.actions), torch.cat(roll.log_probs)
        returns = (advantages + torch.stack(roll.values)).flatten()
        advantages = advantages.flatten()
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        stats: dict[str, float] = {}
        for epoch in range(self.n_epochs):
            for index in torch.randperm(len(obs)).split(self.batch_size):
                log_probs, values = self.model(obs[index], masks[index])
                chosen = log_probs.gather(-1, actions[index].unsqueeze(-1)).squeeze(-1)
                ratio = (chosen - old_log_probs[index]).exp()
                gain = torch.minimum(
                    advantages[index] * ratio,
                    advantages[index] * ratio.clamp(1 - self.clip_range, 1 + self.clip_range),
                )
                entropy = -(log_probs.exp() * log_probs).sum(-1).mean()
                value_loss = (values - returns[index]).pow(2).mean()
                loss = -gain.mean() + self.value_coef * value_loss - self.entropy_coef * entropy
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
                self.optimizer.step()
            kl = ((ratio - 1) - ratio.log()).mean().item()
            stats = {
                "value_loss": value_loss.item(),
                "entropy": entropy.item(),
                "kl": kl,
                "epochs": epoch + 1,
            }
            if kl > self.target_kl:
                break
        return stats

    def train(self, iterations: int) -> None:
        """Collect and update."""
        for i in range(iterations):
            roll, last_value = self.collect()
            stats = self.update(roll, self.advantages(roll, last_value))
            if (i + 1) % 10 == 0:
                ended = torch.stack(roll.dones).sum().item()
                stats["value packed"] = torch.stack(roll.rewards).sum().item() / ended
                print(i + 1, " ".join(f"{key} {value:.4f}" for key, value in stats.items()))

    @torch.no_grad()
    def score(self, games: int = 200) -> float:
        """Mean value packed by the best-rated item."""
        env, packed = Knapsack(), 0.0
        for game in range(games):
            obs, info = env.reset(seed=600_000 + game)
            over = False
            while not over:
                log_probs, _ = self.model(torch.from_numpy(obs)[None], torch.from_numpy(info["mask"])[None])
                obs, reward, over, _, info = env.step(int(log_probs.argmax()))
                packed += reward
        return packed / games


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=80, help="iterations")
    args = parser.parse_args()
    torch.set_num_threads(1)
    ppo = PPO(args.seed)
    ppo.train(args.steps)
    print(json.dumps({"score": ppo.score()}))
