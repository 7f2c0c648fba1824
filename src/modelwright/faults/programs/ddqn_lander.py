"""Double DQN lands a probe: an agent with act, remember and replay."""

import argparse
import copy
import json
import random
from collections import deque

import gymnasium as gym
import numpy as np
import torch
from gymnasium.wrappers import TimeLimit
from torch import nn

torch.set_num_threads(1)


class Lander(gym.Env):
    """Touch down softly near the mark; actions are drift, left, right and main engine."""

    def __init__(self):
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = gym.spaces.Discrete(4)

    def _get_obs(self):
        return np.array([self.x, self.height, 5 * self.vx, 5 * self.vh], dtype=np.float32)

    def reset(self, *, seed=None, options=None):
        """High up, somewhat off the mark."""
        super().reset(seed=seed)
        self.x = self.np_random.uniform(-0.5, 0.5)
        self.height = self.np_random.uniform(0.8, 1.2)
        self.vx, self.vh = self.np_random.normal(0.0, 0.01, 2)
        return self._get_obs(), {}

    def step(self, action):
        """One burn. All rewards are costs."""
        self.vx += {1: -0.015, 2: 0.015}.get(action, 0.0)
        self.vh += 0.02 if action == 3 else -0.02
        self.x += self.vx
        self.height += self.vh
        reward, terminated = -0.1, False
        if self.height <= 0.0:
            reward -= 100.0 * self.vh**2 + 8.0 * self.x**2
            terminated = True
        elif abs(self.x) > 1.2 or self.height > 1.6:
            reward -= 10.0
            terminated = True
        return self._get_obs(), float(reward), terminated, False, {}


class DoubleDQNAgent:
    """Two networks, a memory and an epsilon."""

    def __init__(self, state_size, action_size):
        self.state_size = state_size
        self.action_size = action_size
        self.memory = deque(maxlen=10000)
        self.gamma = 0.98
        self.epsilon = 1.0
        self.epsilon_min = 0.05
        self.epsilon_decay = 0.99
        self.batch_size = 64
        self.warm_up = 500
        self.tau = 0.01
        self.online = self._build_model()
        self.target = copy.deepcopy(self.online)
        self.optimizer = torch.optim.Adam(self.online.parameters(), lr=1e-3)
        self.criterion = nn.SmoothL1Loss()

    def _build_model(self):
        return nn.Sequential(
            nn.Linear(self.state_size, 64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, self.action_size),
        )

    def act(self, state):
        """Epsilon-greedy action."""
        if random.random() <= self.epsilon:
            return random.randrange(self.action_size)
        with torch.no_grad():
            return int(self.online(torch.from_numpy(state).unsqueeze(0)).argmax(dim=1))

    def remember(self, state, action, reward, next_state, terminal):
        """Put a transition into the memory."""
        self.memory.append((state, action, reward, next_state, terminal))

    def replay(self):
        """One gradient step on a random minibatch."""
        if len(self.memory) < self.warm_up:
            return None
        minibatch = random.sample(self.memory, self.batch_size)
        states, actions, rewards, next_states, terminals = zip(*minibatch, strict=True)
        states = torch.from_numpy(np.stack(states))
        next_states = torch.from_numpy(np.stack(next_states))
        actions = torch.tensor(actions).unsqueeze(1)
        rewards = torch.tensor(rewards, dtype=torch.float32).unsqueeze(1)
        terminals = torch.tensor(terminals, dtype=torch.float32).unsqueeze(1)

        with torch.no_grad():
            best_actions = self.online(next_states).argmax(dim=1, keepdim=True)
            next_q = self.target(next_states).gather(1, best_actions)
            targets = rewards + self.gamma * next_q * (1.0 - terminals)

        q_values = self.online(states).gather(1, actions)
        loss = self.criterion(q_values, targets)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.online.parameters(), 10.0)
        self.optimizer.step()
        self.update_target()
        return loss.item()

    @torch.no_grad()
    def update_target(self):
        """Move the target network towards the online one."""
        for target_param, param in zip(self.target.parameters(), self.online.parameters(), strict=True):
            target_param.copy_(self.tau * param + (1.0 - self.tau) * target_param)

    def end_episode(self):
        """Explore a little less in the next episode."""
        self.epsilon = max(self.epsilon_min, self.epsilon * self.epsilon_decay)


def main():
    """Train and report the last episodes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=8000)
    args = parser.parse_args()

    random.seed(args.seed)
    torch.manual_seed(args.seed)
    env = TimeLimit(Lander(), max_episode_steps=60)
    agent = DoubleDQNAgent(env.observation_space.shape[0], int(env.action_space.n))

    state, _ = env.reset(seed=args.seed)
    episode_return, losses, episode, history = 0.0, [], 0, []
    for step in range(1, args.steps + 1):
        action = agent.act(state)
        next_state, reward, terminated, truncated, _ = env.step(action)
        agent.remember(state, action, reward, next_state, terminated)
        state = next_state
        episode_return += reward
        if step % 2 == 0:
            loss = agent.replay()
            if loss is not None:
                losses.append(loss)
        if terminated or truncated:
            episode += 1
            history.append(episode_return)
            if episode % 25 == 0:
                mean_loss = np.mean(losses) if losses else float("nan")
                print(
                    f"episode {episode:3d}  step {step:6d}  return {np.mean(history[-25:]):7.2f}  "
                    f"epsilon {agent.epsilon:.3f}  loss {mean_loss:.5f}"
                )
                losses = []
            agent.end_episode()
            episode_return = 0.0
            state, _ = env.reset()

    env.close()
    print(json.dumps({"score": float(np.mean(history[-50:])), "episodes": episode}))


if __name__ == "__main__":
    main()
