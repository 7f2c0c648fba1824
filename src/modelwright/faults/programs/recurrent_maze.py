"""A recurrent actor-critic in a T-maze: the sign at the entrance says where to turn at the end."""

import argparse
import json

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

AHEAD, LEFT, RIGHT = 0, 1, 2


class TMaze(gym.Env):
    """Walk ahead to the junction, then turn to the side of the sign, which is seen only at the start."""

    def __init__(self, limit=20):
        self.observation_space = gym.spaces.Box(0.0, 1.0, (4,), np.float32)
        self.action_space = gym.spaces.Discrete(3)
        self.limit = limit

    def _see(self):
        at_start, at_end = self.place == 0, self.place == self.length
        sign = [float(at_start and self.side == LEFT), float(at_start and self.side == RIGHT)]
        return np.array([*sign, float(at_end), float(not at_end)], dtype=np.float32)

    def reset(self, *, seed=None, options=None):
        """A corridor of random length."""
        super().reset(seed=seed)
        self.length = int(self.np_random.integers(3, 7))
        self.side = int(self.np_random.choice([LEFT, RIGHT]))
        self.place, self.clock = 0, 0
        return self._see(), {}

    def step(self, action):
        """Turning inside the corridor and walking on at its end only cost time."""
        self.clock += 1
        reward, terminated = -0.02, False
        if self.place == self.length:
            if action != AHEAD:
                reward = 1.0 if action == self.side else -1.0
                terminated = True
        elif action == AHEAD:
            self.place += 1
        return self._see(), reward, terminated, not terminated and self.clock >= self.limit, {}


class Copies:
    """Several mazes in a list, restarted as soon as they end."""

    def __init__(self, number, seed):
        self.envs = [TMaze() for _ in range(number)]
        self.seen = np.stack([env.reset(seed=seed * 997 + i)[0] for i, env in enumerate(self.envs)])
        self.scores = np.zeros(number)
        self.history = []

    def step(self, actions):
        """Rewards, terminations, truncations, and what was seen last in each copy."""
        rewards, terminated, truncated, last = [], [], [], []
        for i, env in enumerate(self.envs):
            seen, reward, term, trunc, _ = env.step(int(actions[i]))
            rewards.append(reward)
            terminated.append(term)
            truncated.append(trunc)
            last.append(seen)
            self.scores[i] += reward
            if term or trunc:
                self.history.append(self.scores[i])
                self.scores[i] = 0.0
                seen, _ = env.reset()
            self.seen[i] = seen
        return torch.tensor(rewards), torch.tensor(terminated), torch.tensor(truncated), np.stack(last)


class RecurrentAgent(nn.Module):
    """Gated recurrent unit with a policy and a value on top."""

    def __init__(self, inputs, actions, size):
        super().__init__()
        self.size = size
        self.encoder = nn.Linear(inputs, size)
        self.cell = nn.GRUCell(size, size)
        self.policy = nn.Linear(size, actions)
        self.value = nn.Linear(size, 1)

    def initial(self, batch):
        """The state before anything was seen."""
        return torch.zeros(batch, self.size)

    def forward(self, seen, state):
        """Log-probabilities, values and the new state."""
        state = self.cell(torch.relu(self.encoder(seen)), state)
        return F.log_softmax(self.policy(state), dim=-1), self.value(state).squeeze(-1), state


def rollout(agent, copies, state, length):
    """Act for some steps and keep the graph."""
    record = []
    for _ in range(length):
        logp, value, state = agent(torch.tensor(copies.seen), state)
        action = torch.multinomial(logp.detach().exp(), 1).squeeze(1)
        reward, terminated, truncated, last = copies.step(action.numpy())
        beyond = torch.zeros_like(value)
        if truncated.any():
            with torch.no_grad():
                _, cut_value, _ = agent(torch.from_numpy(last), state)
            beyond = torch.where(truncated, cut_value, beyond)
        done = terminated | truncated
        state = state * (~done).float().unsqueeze(1)
        record.append((logp, action, value, reward, done, beyond))
    return record, state


def losses(record, next_value, gamma):
    """Policy, value and entropy terms of a rollout."""
    policy_loss, value_loss, entropy = 0.0, 0.0, 0.0
    ret = next_value
    for logp, action, value, reward, done, beyond in reversed(record):
        ret = reward + gamma * torch.where(done, beyond, ret)
        advantage = ret - value
        taken = logp.gather(1, action[:, None])[:, 0]
        policy_loss = policy_loss - (advantage.detach() * taken).mean()
        value_loss = value_loss + advantage.square().mean()
        entropy = entropy - (logp.exp() * logp).sum(dim=1).mean()
    n = len(record)
    return policy_loss / n, value_loss / n, entropy / n


@torch.no_grad()
def examine(agent, episodes, seed):
    """Mean return of the most likely actions."""
    env, total = TMaze(), 0.0
    for i in range(episodes):
        seen, _ = env.reset(seed=seed + i)
        state, over = agent.initial(1), False
        while not over:
            logp, _, state = agent(torch.from_numpy(seen)[None], state)
            seen, reward, terminated, truncated, _ = env.step(logp.argmax().item())
            total += reward
            over = terminated or truncated
    return total / episodes


def learn(seed, steps, gamma=0.97, entropy_weight=0.01, length=16):
    """Train an agent."""
    torch.manual_seed(seed)
    agent = RecurrentAgent(4, 3, 32)
    optimizer = torch.optim.Adam(agent.parameters(), lr=4e-3)
    copies = Copies(16, seed)
    state = agent.initial(16)
    for update in range(1, steps + 1):
        record, state = rollout(agent, copies, state.detach(), length)
        with torch.no_grad():
            _, next_value, _ = agent(torch.tensor(copies.seen), state)
        policy_loss, value_loss, entropy = losses(record, next_value, gamma)
        optimizer.zero_grad()
        (policy_loss + 0.5 * value_loss - entropy_weight * entropy).backward()
        grad_norm = nn.utils.clip_grad_norm_(agent.parameters(), 1.0)
        optimizer.step()
        if update % 50 == 0:
            print(
                f"[{update}] score {np.mean(copies.history[-200:]):.3f} value loss {value_loss.item():.4f} "
                f"entropy {entropy.item():.3f} gradient {grad_norm.item():.3f}"
            )
    return agent


if __name__ == "__main__":
    torch.set_num_threads(1)
    p = argparse.ArgumentParser()
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--steps", type=int, default=300, help="updates")
    arguments = p.parse_args()
    result = learn(arguments.seed, arguments.steps)
    print(json.dumps({"score": examine(result, 200, 4242)}))
