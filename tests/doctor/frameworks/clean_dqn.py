"""DQN in one file, in the manner of CleanRL, with the replay buffer of Stable-Baselines3."""

import hashlib
import random

import gymnasium as gym
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from stable_baselines3.common.buffers import ReplayBuffer


class QNetwork(nn.Module):
    def __init__(self, env):
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(np.array(env.single_observation_space.shape).prod(), 120), nn.ReLU(),
            nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, env.single_action_space.n),
        )  # fmt: skip

    def forward(self, x):
        return self.network(x)


random.seed(1)
np.random.seed(1)
torch.manual_seed(1)
envs = gym.vector.SyncVectorEnv(
    [lambda: gym.wrappers.RecordEpisodeStatistics(gym.make("CartPole-v1"))],
    autoreset_mode=gym.vector.AutoresetMode.SAME_STEP,
)
q_network = QNetwork(envs)
optimizer = optim.Adam(q_network.parameters(), lr=2.5e-4)
target_network = QNetwork(envs)
target_network.load_state_dict(q_network.state_dict())
rb = ReplayBuffer(
    2000, envs.single_observation_space, envs.single_action_space, "cpu", handle_timeout_termination=False
)
envs.single_action_space.seed(1)
obs, _ = envs.reset(seed=1)
for global_step in range(6000):
    epsilon = max(1.0 - 0.95 * global_step / 3000, 0.05)
    if random.random() < epsilon:
        actions = np.array([envs.single_action_space.sample() for _ in range(envs.num_envs)])
    else:
        actions = torch.argmax(q_network(torch.Tensor(obs)), dim=1).cpu().numpy()
    next_obs, rewards, terminations, truncations, infos = envs.step(actions)
    real_next_obs = next_obs.copy()
    for idx, trunc in enumerate(truncations):
        if trunc:
            real_next_obs[idx] = infos["final_obs"][idx]
    rb.add(obs, real_next_obs, actions, rewards, terminations, infos)
    obs = next_obs
    if global_step > 500:
        if global_step % 5 == 0:
            data = rb.sample(64)
            with torch.no_grad():
                target_max, _ = target_network(data.next_observations).max(dim=1)
                td_target = data.rewards.flatten() + 0.99 * target_max * (1 - data.dones.flatten())
            old_val = q_network(data.observations).gather(1, data.actions).squeeze()
            loss = F.mse_loss(td_target, old_val)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if global_step % 250 == 0:
            for target_param, q_param in zip(
                target_network.parameters(), q_network.parameters(), strict=True
            ):
                target_param.data.copy_(1.0 * q_param.data + (1.0 - 1.0) * target_param.data)
envs.close()
state = b"".join(each.detach().numpy().tobytes() for each in q_network.state_dict().values())
print("RESULT", hashlib.sha256(state).hexdigest())
