"""Deep Q-learning on a mountain: a car with a weak engine swings itself out of a valley."""

import argparse
import json
import math
import random
from collections import deque, namedtuple
from itertools import count

import gymnasium as gym
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

BATCH_SIZE = 64  # number of transitions sampled from the replay memory
GAMMA = 0.97  # discount factor
EPS_START = 0.9
EPS_END = 0.05
EPS_DECAY = 2000  # higher means a slower decay of epsilon
TAU = 0.01  # update rate of the target network
LR = 1e-3

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--num-episodes", type=int, default=180)
args = parser.parse_args()
torch.set_num_threads(1)


class MountainEnv(gym.Env):
    """Each action (left, nothing, right) lasts four ticks and costs 1; the summit ends the episode."""

    def __init__(self):
        self.observation_space = gym.spaces.Box(-2.0, 2.0, (2,), np.float32)
        self.action_space = gym.spaces.Discrete(3)
        self.observation = np.zeros(2, dtype=np.float32)  # made once, filled anew at every step

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.position = self.np_random.uniform(-1.1, 0.3)
        self.velocity = 0.0
        return self._observe(), {}

    def _observe(self):
        self.observation[0] = (self.position + 0.3) / 0.9
        self.observation[1] = self.velocity / 0.07
        return self.observation

    def step(self, action):
        for _ in range(4):
            self.velocity += 0.0015 * (action - 1) - 0.0025 * math.cos(3 * self.position)
            self.velocity = min(max(self.velocity, -0.07), 0.07)
            self.position += self.velocity
            if self.position < -1.2:
                self.position, self.velocity = -1.2, 0.0
            if self.position >= 0.5:
                return self._observe(), -1.0, True, False, {}
        return self._observe(), -1.0, False, False, {}


Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


class ReplayMemory:
    def __init__(self, capacity):
        self.memory = deque(maxlen=capacity)

    def push(self, *args):
        """Save a transition"""
        self.memory.append(Transition(*args))

    def sample(self, batch_size):
        return random.sample(self.memory, batch_size)

    def __len__(self):
        return len(self.memory)


class DQN(nn.Module):
    def __init__(self, n_observations, n_actions):
        super().__init__()
        self.layer1 = nn.Linear(n_observations, 64)
        self.layer2 = nn.Linear(64, 64)
        self.layer3 = nn.Linear(64, n_actions)

    def forward(self, x):
        x = F.relu(self.layer1(x))
        x = F.relu(self.layer2(x))
        return self.layer3(x)


random.seed(args.seed)
torch.manual_seed(args.seed)
env = gym.wrappers.TimeLimit(MountainEnv(), max_episode_steps=60)
env.action_space.seed(args.seed)

n_observations, n_actions = env.observation_space.shape[0], int(env.action_space.n)
policy_net = DQN(n_observations, n_actions)
target_net = DQN(n_observations, n_actions)
target_net.load_state_dict(policy_net.state_dict())

optimizer = optim.AdamW(policy_net.parameters(), lr=LR, amsgrad=True)
memory = ReplayMemory(10000)


def select_action(state, steps_done):
    sample = random.random()
    eps_threshold = EPS_END + (EPS_START - EPS_END) * math.exp(-1.0 * steps_done / EPS_DECAY)
    if sample > eps_threshold:
        with torch.no_grad():
            # max(1) gives the largest value of each row; its index is the action with the larger return
            return policy_net(state).max(1).indices.view(1, 1)
    return torch.tensor([[env.action_space.sample()]], dtype=torch.long)


def optimize_model():
    if len(memory) < BATCH_SIZE:
        return
    transitions = memory.sample(BATCH_SIZE)
    # Transpose the batch: from a list of Transitions to a Transition of lists.
    batch = Transition(*zip(*transitions))

    # A final state would've been the one after which the episode ended
    non_final_mask = torch.tensor([s is not None for s in batch.next_state], dtype=torch.bool)
    non_final_next_states = torch.cat([s for s in batch.next_state if s is not None])
    state_batch = torch.cat(batch.state)
    action_batch = torch.cat(batch.action)
    reward_batch = torch.cat(batch.reward)
    # Q(s_t, a) of the actions which were taken
    state_action_values = policy_net(state_batch).gather(1, action_batch)

    # V(s_{t+1}) of the "older" target_net, or 0 if the state was final
    next_state_values = torch.zeros(BATCH_SIZE)
    with torch.no_grad():
        next_state_values[non_final_mask] = target_net(non_final_next_states).max(1).values
    expected_state_action_values = (next_state_values * GAMMA) + reward_batch

    criterion = nn.SmoothL1Loss()
    loss = criterion(state_action_values, expected_state_action_values.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()


steps_done = 0
episode_durations = []
for i_episode in range(args.num_episodes):
    observation, info = env.reset(seed=args.seed if i_episode == 0 else None)
    state = torch.tensor(observation).unsqueeze(0)
    for t in count():
        action = select_action(state, steps_done)
        steps_done += 1
        observation, reward, terminated, truncated, _ = env.step(action.item())
        reward = torch.tensor([reward], dtype=torch.float32)
        done = terminated or truncated
        next_state = None if terminated else torch.tensor(observation).unsqueeze(0)
        memory.push(state, action, next_state, reward)
        state = next_state

        # Perform one step of the optimization (on the policy network)
        optimize_model()
        # Soft update of the target network's weights
        target_dict = target_net.state_dict()
        for key, weight in policy_net.state_dict().items():
            target_dict[key] = weight * TAU + target_dict[key] * (1 - TAU)
        target_net.load_state_dict(target_dict)
        if done:
            episode_durations.append(t + 1)
            break
    if (i_episode + 1) % 20 == 0:
        print(f"Episode {i_episode + 1}: mean duration {np.mean(episode_durations[-20:]):.1f}")

test_env = gym.wrappers.TimeLimit(MountainEnv(), max_episode_steps=60)
durations = []
for i in range(40):
    observation, info = test_env.reset(seed=1000 + i)
    for t in count():
        with torch.no_grad():
            action = policy_net(torch.tensor(observation).unsqueeze(0)).max(1).indices
        observation, _, terminated, truncated, _ = test_env.step(action.item())
        if terminated or truncated:
            durations.append(t + 1)
            break
print(json.dumps({"score": -float(np.mean(durations)), "steps": steps_done}))
