"""REINFORCE with a learned baseline on CartPole, episode by episode."""

import argparse
import json

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

parser = argparse.ArgumentParser(description="REINFORCE with baseline")
parser.add_argument("--gamma", type=float, default=0.99, metavar="G")
parser.add_argument("--seed", type=int, default=543, metavar="N")
parser.add_argument("--episodes", "--steps", type=int, default=160, metavar="N")
parser.add_argument("--batch-episodes", type=int, default=4, metavar="N")
parser.add_argument("--log-interval", type=int, default=20, metavar="N")
args = parser.parse_args()

torch.set_num_threads(1)
torch.manual_seed(args.seed)
env = gym.make("CartPole-v1", max_episode_steps=200)


class Policy(nn.Module):
    """Preferences for the two actions."""

    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 64)
        self.affine2 = nn.Linear(64, 2)

    def forward(self, x):
        """Probabilities of the actions for a batch of states."""
        scores = self.affine2(torch.tanh(self.affine1(x)))
        return torch.softmax(scores, dim=1)


policy = Policy()
baseline = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 1))
policy_optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
baseline_optimizer = torch.optim.Adam(baseline.parameters(), lr=1e-2)


def select_action(state):
    """Draw an action, and keep its log-probability and entropy."""
    probs = policy(torch.from_numpy(state).unsqueeze(0))
    m = Categorical(probs, validate_args=False)
    action = m.sample()
    return action.item(), m.log_prob(action), m.entropy()


def discounted_returns(rewards, bootstrap):
    """Return that follows each step."""
    R = bootstrap
    returns = []
    for r in reversed(rewards):
        R = r + args.gamma * R
        returns.insert(0, R)
    return returns


def play_episode(state):
    """One episode with the current policy."""
    states, rewards, log_probs, entropies = [], [], [], []
    while True:
        states.append(state)
        action, log_prob, entropy = select_action(state)
        state, reward, terminated, truncated, _ = env.step(action)
        rewards.append(reward)
        log_probs.append(log_prob)
        entropies.append(entropy)
        if terminated or truncated:
            break
    last_value = 0.0
    if not terminated:
        with torch.no_grad():
            last_value = baseline(torch.from_numpy(state)).item()
    return states, rewards, log_probs, entropies, last_value


def finish_batch(states, returns, log_probs, entropies):
    """Update the policy and the baseline from some episodes."""
    states = torch.from_numpy(np.array(states))
    returns = torch.tensor(returns)
    values = baseline(states).squeeze(-1)
    advantages = returns - values.detach()
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    log_probs = torch.cat(log_probs)

    policy_loss = -(log_probs * advantages).mean() - 0.01 * torch.cat(entropies).mean()
    policy_optimizer.zero_grad()
    policy_loss.backward()
    policy_optimizer.step()

    for _ in range(5):
        value_loss = nn.functional.mse_loss(baseline(states).squeeze(-1), returns)
        baseline_optimizer.zero_grad()
        value_loss.backward()
        baseline_optimizer.step()
    return policy_loss.item(), value_loss.item()


def main():
    """Train."""
    episode_returns = []
    batch = ([], [], [], [])
    state, _ = env.reset(seed=args.seed)
    for i_episode in range(1, args.episodes + 1):
        states, rewards, log_probs, entropies, last_value = play_episode(state)
        returns = discounted_returns(rewards, last_value)
        for part, new in zip(batch, (states, returns, log_probs, entropies), strict=True):
            part.extend(new)
        episode_returns.append(sum(rewards))
        state, _ = env.reset()
        if i_episode % args.batch_episodes == 0:
            policy_loss, value_loss = finish_batch(*batch)
            batch = ([], [], [], [])
        if i_episode % args.log_interval == 0:
            print(
                f"Episode {i_episode}\tLast return: {episode_returns[-1]:.0f}\t"
                f"Average return: {np.mean(episode_returns[-args.log_interval :]):.2f}\t"
                f"Policy loss: {policy_loss:.4f}\tValue loss: {value_loss:.2f}"
            )
    print(json.dumps({"score": float(np.mean(episode_returns[-40:])), "episodes": args.episodes}))


if __name__ == "__main__":
    main()
