"""DQN from pixels: catch falling balls on an 6x6 screen with stacked frames and a small convolutional net."""

import argparse
import collections
import json

import gymnasium as gym
import numpy as np
import torch
from torch import nn

SIDE = 6


class Catch(gym.Env):
    """Balls fall slantwise and bounce off the walls; the paddle catches them. Three balls an episode."""

    def __init__(self):
        self.observation_space = gym.spaces.Box(0, 255, (SIDE, SIDE), np.uint8)
        self.action_space = gym.spaces.Discrete(3)
        self.screen = np.zeros((SIDE, SIDE), dtype=np.uint8)

    def _throw(self):
        self.row, self.col = 0, int(self.np_random.integers(SIDE))
        self.drift = int(self.np_random.choice([-1, 1]))

    def _draw(self):
        self.screen[:] = 0
        self.screen[self.row, self.col] = 255
        self.screen[SIDE - 1, self.paddle] = 128
        return self.screen

    def reset(self, *, seed=None, options=None):
        """A new game."""
        super().reset(seed=seed)
        self.paddle, self.balls = SIDE // 2, 3
        self._throw()
        return self._draw(), {}

    def step(self, action):
        """Actions: left, stay, right."""
        self.paddle = min(max(self.paddle + int(action) - 1, 0), SIDE - 1)
        if not 0 <= self.col + self.drift < SIDE:
            self.drift = -self.drift
        self.col += self.drift
        self.row += 1
        reward = 0.0
        if self.row == SIDE - 1:
            reward = 1.0 if self.col == self.paddle else -1.0
            self.balls -= 1
            self._throw()
        return self._draw(), reward, self.balls == 0, False, {}


class FrameStack(gym.Wrapper):
    """The last frames as channels, the oldest first."""

    def __init__(self, env, depth=2):
        super().__init__(env)
        self.frames = collections.deque(maxlen=depth)
        self.depth = depth
        self.observation_space = gym.spaces.Box(0, 255, (depth, SIDE, SIDE), np.uint8)

    def reset(self, **kwargs):
        """Fill the stack with the first frame."""
        frame, info = self.env.reset(**kwargs)
        for _ in range(self.depth):
            self.frames.append(frame.copy())
        return np.stack(self.frames), info

    def step(self, action):
        """Push the newest frame."""
        frame, reward, terminated, truncated, info = self.env.step(action)
        self.frames.append(frame.copy())
        return np.stack(self.frames), reward, terminated, truncated, info


class ConvQ(nn.Module):
    """Two convolutions and a hidden layer."""

    def __init__(self, depth, actions):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(depth, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, stride=1, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.head = nn.Sequential(nn.Linear(16 * 3 * 3, 64), nn.ReLU(), nn.Linear(64, actions))

    def forward(self, screens):
        """Values from raw screens in 0..255."""
        return self.head(self.features(screens.float() / 255.0))


class Replay:
    """Screens kept as bytes in a ring."""

    def __init__(self, capacity, depth, rng):
        self.capacity, self.rng = capacity, rng
        self.screens = np.empty((capacity, depth, SIDE, SIDE), np.uint8)
        self.next_screens = np.empty((capacity, depth, SIDE, SIDE), np.uint8)
        self.actions = np.empty(capacity, np.int64)
        self.rewards = np.empty(capacity, np.float32)
        self.terminals = np.empty(capacity, np.float32)
        self.index, self.filled = 0, 0

    def store(self, screen, action, reward, next_screen, terminal):
        """Overwrite the oldest entry."""
        i = self.index
        self.screens[i] = screen
        self.next_screens[i] = next_screen
        self.actions[i], self.rewards[i], self.terminals[i] = action, reward, terminal
        self.index = (i + 1) % self.capacity
        self.filled = min(self.filled + 1, self.capacity)

    def draw(self, n):
        """A uniform batch as tensors."""
        rows = self.rng.integers(0, self.filled, n)
        columns = (self.screens, self.actions, self.rewards, self.next_screens, self.terminals)
        return [torch.from_numpy(c[rows]) for c in columns]


class Trainer:
    """Environment, networks and the loop."""

    def __init__(self, seed, total_steps):
        torch.manual_seed(seed)
        self.seed, self.total_steps = seed, total_steps
        self.rng = np.random.default_rng(seed)
        self.env = FrameStack(Catch())
        self.q = ConvQ(self.env.depth, 3)
        self.q_target = ConvQ(self.env.depth, 3)
        self.q_target.load_state_dict(self.q.state_dict())
        self.q_target.requires_grad_(False)
        self.opt = torch.optim.Adam(self.q.parameters(), lr=1e-3)
        self.replay = Replay(3000, self.env.depth, self.rng)
        self.gamma = 0.95

    def epsilon(self, step):
        """Linear from one to 0.05 over the first part of the run."""
        return max(0.05, 1.0 - 0.95 * step / (0.4 * self.total_steps))

    def act(self, screen, epsilon):
        """Epsilon-greedy."""
        if self.rng.random() < epsilon:
            return int(self.rng.integers(3))
        with torch.no_grad():
            return int(self.q(torch.from_numpy(screen)[None]).argmax(1).item())

    def learn(self):
        """One gradient step."""
        screens, actions, rewards, next_screens, terminals = self.replay.draw(32)
        q = self.q(screens)[torch.arange(len(actions)), actions]
        q_next = self.q_target(next_screens).max(1)[0]
        y = rewards + self.gamma * (1 - terminals) * q_next
        loss = nn.functional.mse_loss(q, y)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item(), q.mean().item()

    def fit(self):
        """The whole training."""
        scores, score = collections.deque(maxlen=50), 0.0
        screen, _ = self.env.reset(seed=self.seed)
        for step in range(1, self.total_steps + 1):
            action = self.act(screen, self.epsilon(step))
            next_screen, reward, terminated, truncated, _ = self.env.step(action)
            self.replay.store(screen, action, reward, next_screen, terminated)
            screen = next_screen
            score += reward
            if terminated or truncated:
                scores.append(score)
                score = 0.0
                screen, _ = self.env.reset()
            if step >= 500 and step % 2 == 0:
                loss, mean_q = self.learn()
            if step % 200 == 0:
                self.q_target.load_state_dict(self.q.state_dict())
            if step % 1000 == 0:
                print(f"{step} score {np.mean(scores):+.2f} loss {loss:.4f} q {mean_q:+.3f}")

    def test(self, games=40):
        """Mean score of greedy games."""
        env = FrameStack(Catch())
        total = 0.0
        for game in range(games):
            screen, _ = env.reset(seed=50_000 + game)
            over = False
            while not over:
                screen, reward, terminated, truncated, _ = env.step(self.act(screen, 0.0))
                total += reward
                over = terminated or truncated
        return total / games


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-s", "--seed", type=int, default=0)
    parser.add_argument("-n", "--steps", type=int, default=6500)
    ns = parser.parse_args()
    torch.set_num_threads(1)
    trainer = Trainer(ns.seed, ns.steps)
    trainer.fit()
    print(json.dumps({"score": trainer.test()}))
