"""TD3 in one file, in the manner of CleanRL, on Pendulum, which only ever is cut."""

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
        size = np.array(env.single_observation_space.shape).prod() + np.prod(env.single_action_space.shape)
        self.fc1, self.fc2, self.fc3 = nn.Linear(size, 64), nn.Linear(64, 64), nn.Linear(64, 1)

    def forward(self, x, a):
        x = torch.cat([x, a], 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Actor(nn.Module):
    def __init__(self, env):
        super().__init__()
        self.fc1, self.fc2 = (
            nn.Linear(np.array(env.single_observation_space.shape).prod(), 64),
            nn.Linear(64, 64),
        )
        self.fc_mu = nn.Linear(64, np.prod(env.single_action_space.shape))
        high, low = env.single_action_space.high, env.single_action_space.low
        self.register_buffer("action_scale", torch.tensor((high - low) / 2.0, dtype=torch.float32))
        self.register_buffer("action_bias", torch.tensor((high + low) / 2.0, dtype=torch.float32))

    def forward(self, x):
        x = torch.tanh(self.fc_mu(F.relu(self.fc2(F.relu(self.fc1(x))))))
        return x * self.action_scale + self.action_bias


random.seed(1)
np.random.seed(1)
torch.manual_seed(1)
envs = gym.vector.SyncVectorEnv(
    [lambda: gym.wrappers.RecordEpisodeStatistics(gym.make("Pendulum-v1"))],
    autoreset_mode=gym.vector.AutoresetMode.SAME_STEP,
)
actor, qf1, qf2 = Actor(envs), QNetwork(envs), QNetwork(envs)
qf1_target, qf2_target, target_actor = QNetwork(envs), QNetwork(envs), Actor(envs)
target_actor.load_state_dict(actor.state_dict())
qf1_target.load_state_dict(qf1.state_dict())
qf2_target.load_state_dict(qf2.state_dict())
q_optimizer = optim.Adam([*qf1.parameters(), *qf2.parameters()], lr=1e-3)
actor_optimizer = optim.Adam(actor.parameters(), lr=1e-3)
rb = ReplayBuffer(
    5000, envs.single_observation_space, envs.single_action_space, "cpu", handle_timeout_termination=False
)
envs.single_action_space.seed(1)
obs, _ = envs.reset(seed=1)
for global_step in range(1500):
    if global_step < 300:
        actions = np.array([envs.single_action_space.sample() for _ in range(envs.num_envs)])
    else:
        with torch.no_grad():
            actions = actor(torch.Tensor(obs))
            actions += torch.normal(0, actor.action_scale * 0.1)
            actions = actions.numpy().clip(envs.single_action_space.low, envs.single_action_space.high)
    next_obs, rewards, terminations, truncations, infos = envs.step(actions)
    real_next_obs = next_obs.copy()
    for idx, trunc in enumerate(truncations):
        if trunc:
            real_next_obs[idx] = infos["final_obs"][idx]
    rb.add(obs, real_next_obs, actions, rewards, terminations, infos)
    obs = next_obs
    if global_step > 300:
        data = rb.sample(64)
        with torch.no_grad():
            noise = (torch.randn_like(data.actions) * 0.2).clamp(-0.5, 0.5) * target_actor.action_scale
            next_actions = (target_actor(data.next_observations) + noise).clamp(-2.0, 2.0)
            first = qf1_target(data.next_observations, next_actions)
            second = qf2_target(data.next_observations, next_actions)
            smaller = torch.min(first, second)
            next_q_value = data.rewards.flatten() + (1 - data.dones.flatten()) * 0.99 * smaller.view(-1)
        qf1_loss = F.mse_loss(qf1(data.observations, data.actions).view(-1), next_q_value)
        qf2_loss = F.mse_loss(qf2(data.observations, data.actions).view(-1), next_q_value)
        q_optimizer.zero_grad()
        (qf1_loss + qf2_loss).backward()
        q_optimizer.step()
        if global_step % 2 == 0:
            actor_loss = -qf1(data.observations, actor(data.observations)).mean()
            actor_optimizer.zero_grad()
            actor_loss.backward()
            actor_optimizer.step()
            for online, target in ((actor, target_actor), (qf1, qf1_target), (qf2, qf2_target)):
                for param, target_param in zip(online.parameters(), target.parameters(), strict=True):
                    target_param.data.copy_(0.005 * param.data + (1 - 0.005) * target_param.data)
envs.close()
state = b"".join(each.detach().numpy().tobytes() for each in [*actor.parameters(), *qf1.parameters()])
print("RESULT", hashlib.sha256(state).hexdigest())
