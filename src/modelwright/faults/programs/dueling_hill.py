"""Dueling double DQN with three-step returns drives a weak car up a hill (MountainCar-v0).

The energy of the car is used as a potential; reported are the steps that it needs, without the shaping.
"""

import argparse
import json
import math
import random
from collections import deque, namedtuple

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim

BATCH_SIZE = 64
GAMMA = 0.99
N_STEP = 3
EPS_START = 0.9
EPS_END = 0.05
EPS_DECAY = 1500
TAU = 0.01
LR = 2e-3
WARM_UP = 600
MEMORY = 20000

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward", "discount"))


class EnergyShaping(gym.Wrapper):
    """Adds the discounted difference of the car's energy to the reward."""

    def potential(self, obs):
        return 100.0 * (math.sin(3 * obs[0]) / 3 + 200.0 * obs[1] ** 2)

    def reset(self, **kwargs):
        obs, info = self.env.reset(**kwargs)
        self.last = self.potential(obs)
        return obs, info

    def step(self, action):
        obs, reward, terminated, truncated, info = self.env.step(action)
        now = self.potential(obs)
        reward += GAMMA * now - self.last
        self.last = now
        return obs, reward, terminated, truncated, info


class ReplayMemory:
    def __init__(self, capacity):
        self.memory = deque(maxlen=capacity)

    def push(self, *args):
        self.memory.append(Transition(*args))

    def sample(self, batch_size):
        return random.sample(self.memory, batch_size)


class DuelingDQN(nn.Module):
    def __init__(self, n_observations, n_actions):
        super().__init__()
        self.register_buffer("center", torch.tensor([-0.3, 0.0]))
        self.register_buffer("width", torch.tensor([0.9, 0.07]))
        self.layer1 = nn.Linear(n_observations, 64)
        self.layer2 = nn.Linear(64, 64)
        self.value = nn.Linear(64, 1)
        self.advantage = nn.Linear(64, n_actions)

    def forward(self, x):
        x = (x - self.center) / self.width
        x = F.relu(self.layer1(x))
        x = F.relu(self.layer2(x))
        advantage = self.advantage(x)
        return self.value(x) + advantage - advantage.mean(dim=1, keepdim=True)


def select_action(state, steps_done, n_actions):
    eps_threshold = EPS_END + (EPS_START - EPS_END) * math.exp(-1.0 * steps_done / EPS_DECAY)
    if random.random() > eps_threshold:
        with torch.no_grad():
            return policy_net(state).max(1).indices.view(1, 1)
    return torch.tensor([[random.randrange(n_actions)]], dtype=torch.long)


def n_step_transition(window, next_state):
    reward = sum(GAMMA**k * r for k, (_, _, r) in enumerate(window))
    state, action, _ = window[0]
    return state, action, next_state, torch.tensor([reward]), torch.tensor([GAMMA ** len(window)])


def optimize_model():
    batch = Transition(*zip(*memory.sample(BATCH_SIZE)))

    # Compute a mask of non-final states and concatenate the batch elements
    non_final_mask = torch.tensor([s is not None for s in batch.next_state], dtype=torch.bool)
    non_final_next_states = torch.cat([s for s in batch.next_state if s is not None])
    state_batch = torch.cat(batch.state)
    action_batch = torch.cat(batch.action)
    reward_batch = torch.cat(batch.reward).float()
    discount_batch = torch.cat(batch.discount)

    state_action_values = policy_net(state_batch).gather(1, action_batch)
    # The online network selects, the target network evaluates
    next_state_values = torch.zeros(BATCH_SIZE)
    with torch.no_grad():
        next_actions = policy_net(non_final_next_states).argmax(1, keepdim=True)
        next_values = target_net(non_final_next_states).gather(1, next_actions)
        next_state_values[non_final_mask] = next_values.squeeze(1)
    expected_state_action_values = reward_batch + discount_batch * next_state_values

    loss = F.smooth_l1_loss(state_action_values, expected_state_action_values.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 10)
    optimizer.step()

    # θ' ← τ θ + (1 − τ) θ'
    for target_param, param in zip(target_net.parameters(), policy_net.parameters()):
        target_param.data.copy_(TAU * param.data + (1.0 - TAU) * target_param.data)
    return loss.item()


def steps_to_flag(n_episodes):
    test_env = gym.make("MountainCar-v0")
    needed = []
    for i in range(n_episodes):
        obs, _ = test_env.reset(seed=5000 + i)
        steps, over = 0, False
        while not over:
            with torch.no_grad():
                action = policy_net(torch.tensor(obs).unsqueeze(0)).argmax().item()
            obs, _, terminated, truncated, _ = test_env.step(action)
            steps, over = steps + 1, terminated or truncated
        needed.append(steps)
    return float(np.mean(needed))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=45)
    opt = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(opt.seed)
    torch.manual_seed(opt.seed)

    env = EnergyShaping(gym.make("MountainCar-v0"))
    n_actions = env.action_space.n
    policy_net = DuelingDQN(2, n_actions)
    target_net = DuelingDQN(2, n_actions)
    target_net.load_state_dict(policy_net.state_dict())
    optimizer = optim.Adam(policy_net.parameters(), lr=LR)
    memory = ReplayMemory(MEMORY)

    steps_done = 0
    durations, losses = [], [0.0]
    for i_episode in range(opt.episodes):
        state, info = env.reset(seed=opt.seed * 1000 + i_episode)
        state = torch.tensor(state, dtype=torch.float32).unsqueeze(0)
        window = deque()
        done, length = False, 0
        while not done:
            action = select_action(state, steps_done, n_actions)
            observation, reward, terminated, truncated, _ = env.step(action.item())
            steps_done += 1
            length += 1
            done = terminated or truncated
            observation = torch.tensor(observation, dtype=torch.float32).unsqueeze(0)
            # Only the flag ends the task; at the limit of 200 steps the value goes on
            next_state = None if terminated else observation

            window.append((state, action, float(reward)))
            if len(window) == N_STEP:
                memory.push(*n_step_transition(window, next_state))
                window.popleft()
            state = observation
            if steps_done >= WARM_UP and steps_done % 2 == 0:
                losses.append(optimize_model())
        while window:
            memory.push(*n_step_transition(window, next_state))
            window.popleft()
        durations.append(length)
        if (i_episode + 1) % 10 == 0:
            means = f"duration {np.mean(durations[-10:]):.1f}  loss {np.mean(losses[-1000:]):.4f}"
            print(f"episode {i_episode + 1}  steps {steps_done}  {means}")

    print(json.dumps({"score": -steps_to_flag(20), "steps": steps_done}))
