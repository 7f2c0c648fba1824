"""Advantage actor-critic on CartPole: several copies, n steps, one trunk."""

import argparse
import json

import gymnasium as gym
import numpy as np
import torch
from torch import nn

NUM_ENVS = 8
N_STEPS = 8
GAMMA = 0.98
VALUE_COEF = 0.5
ENTROPY_COEF = 0.01
MAX_GRAD_NORM = 0.5
TIME_LIMIT = 200


class ActorCritic(nn.Module):
    """A trunk with a policy head and a value head."""

    def __init__(self, obs_dim, n_actions):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(obs_dim, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.pi = nn.Linear(64, n_actions)
        self.v = nn.Linear(64, 1)

    def forward(self, obs):
        """Logits and values."""
        h = self.trunk(obs)
        return self.pi(h), self.v(h).squeeze(-1)


def to_tensor(observations):
    """A list of observations as one tensor."""
    return torch.as_tensor(np.stack(observations), dtype=torch.float32)


def compute_returns(rewards, terminations, cuts, next_values):
    """n-step returns; all arguments have shape (steps, envs)."""
    returns = torch.zeros_like(rewards)
    ahead = next_values[-1]
    for t in reversed(range(len(rewards))):
        ahead = torch.where(cuts[t], next_values[t], ahead)
        ahead = rewards[t] + GAMMA * (1.0 - terminations[t]) * ahead
        returns[t] = ahead
    return returns


def evaluate(model, episodes, seed):
    """Mean return of the most likely action."""
    env = gym.make("CartPole-v1", max_episode_steps=TIME_LIMIT)
    total = 0.0
    for i in range(episodes):
        obs, _ = env.reset(seed=seed + i)
        over = False
        while not over:
            with torch.no_grad():
                logits, _ = model(torch.as_tensor(obs))
            obs, reward, terminated, truncated, _ = env.step(int(logits.argmax()))
            total += reward
            over = terminated or truncated
    return total / episodes


def main(seed, updates):
    """Collect, learn, repeat."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    envs = [gym.make("CartPole-v1", max_episode_steps=TIME_LIMIT) for _ in range(NUM_ENVS)]
    model = ActorCritic(4, 2)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3, alpha=0.99, eps=1e-5)

    observations = [env.reset(seed=seed * 1000 + i)[0] for i, env in enumerate(envs)]
    lengths = np.zeros(NUM_ENVS)
    finished = []
    for update in range(1, updates + 1):
        obs_b, act_b, rew_b, term_b, cut_b, next_b = [], [], [], [], [], []
        for _ in range(N_STEPS):
            obs_t = to_tensor(observations)
            with torch.no_grad():
                logits, _ = model(obs_t)
                actions = torch.multinomial(logits.softmax(dim=-1), 1).squeeze(-1)
            rewards, terms, cuts, successors = [], [], [], []
            for i, env in enumerate(envs):
                nxt, reward, terminated, truncated, _ = env.step(actions[i].item())
                successors.append(nxt)
                rewards.append(reward)
                terms.append(float(terminated))
                cuts.append(terminated or truncated)
                lengths[i] += 1
                if terminated or truncated:
                    finished.append(lengths[i])
                    lengths[i] = 0
                    nxt, _ = env.reset()
                observations[i] = nxt
            obs_b.append(obs_t)
            act_b.append(actions)
            rew_b.append(torch.tensor(rewards, dtype=torch.float32))
            term_b.append(torch.tensor(terms))
            cut_b.append(torch.tensor(cuts))
            next_b.append(to_tensor(successors))

        with torch.no_grad():
            _, next_values = model(torch.stack(next_b))
            returns = compute_returns(
                torch.stack(rew_b), torch.stack(term_b), torch.stack(cut_b), next_values
            )

        logits, values = model(torch.stack(obs_b))
        log_probs = logits.log_softmax(dim=-1)
        chosen = log_probs.gather(-1, torch.stack(act_b).unsqueeze(-1)).squeeze(-1)
        advantages = returns - values
        entropy = -(log_probs.exp() * log_probs).sum(dim=-1).mean()
        actor_loss = -(advantages.detach() * chosen).mean()
        critic_loss = advantages.pow(2).mean()
        loss = actor_loss + VALUE_COEF * critic_loss - ENTROPY_COEF * entropy

        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
        optimizer.step()

        if update % 100 == 0:
            recent = np.mean(finished[-50:]) if finished else float("nan")
            print(
                f"update {update}: actor {actor_loss.item():+.4f} critic {critic_loss.item():.4f} "
                f"entropy {entropy.item():.3f} episodes {len(finished)} length {recent:.1f}"
            )

    print(json.dumps({"score": evaluate(model, 15, seed=70_000)}))


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--steps", type=int, default=900, help="number of updates")
    a = ap.parse_args()
    main(a.seed, a.steps)
