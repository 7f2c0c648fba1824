"""Categorical DQN (C51) on Acrobot in one file; the replay buffer is Stable-Baselines3's."""

import argparse
import json
import random
from collections import deque
from dataclasses import dataclass, fields

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from torch import nn, optim


@dataclass
class Args:
    seed: int = 1
    env_id: str = "Acrobot-v1"
    total_timesteps: int = 8000
    learning_rate: float = 5e-4
    n_atoms: int = 51
    v_min: float = -100.0
    v_max: float = 0.0
    buffer_size: int = 8000
    gamma: float = 0.98
    target_network_frequency: int = 100
    batch_size: int = 64
    start_e: float = 1.0
    end_e: float = 0.05
    exploration_fraction: float = 0.4
    learning_starts: int = 1000
    train_frequency: int = 2


def parse_args():
    parser = argparse.ArgumentParser()
    for field in fields(Args):
        parser.add_argument("--" + field.name.replace("_", "-"), type=field.type, default=field.default)
    return Args(**vars(parser.parse_args()))


class HeightReward(gym.Wrapper):
    """A step costs the less the higher the tip is; as before, nothing once it is above the line."""

    def step(self, action):
        obs, reward, termination, truncation, info = self.env.step(action)
        height = -obs[0] - (obs[0] * obs[2] - obs[1] * obs[3])
        return obs, reward * (1.0 - 0.5 * float(height)), termination, truncation, info


def make_env(env_id):
    def thunk():
        return HeightReward(gym.wrappers.RecordEpisodeStatistics(gym.make(env_id)))

    return thunk


class QNetwork(nn.Module):
    def __init__(self, env, n_atoms=51, v_min=-10.0, v_max=10.0):
        super().__init__()
        self.env = env
        self.n_atoms = n_atoms
        self.register_buffer("atoms", torch.linspace(v_min, v_max, steps=n_atoms))
        self.n = int(env.single_action_space.n)
        self.network = nn.Sequential(
            nn.Linear(int(np.prod(env.single_observation_space.shape)), 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, self.n * n_atoms),
        )

    def get_action(self, x, action=None):
        logits = self.network(x)
        # probability mass function for each action
        pmfs = torch.softmax(logits.view(len(x), self.n, self.n_atoms), dim=2)
        q_values = (pmfs * self.atoms).sum(2)
        if action is None:
            action = torch.argmax(q_values, 1)
        return action, pmfs[torch.arange(len(x)), action]


def linear_schedule(start_e: float, end_e: float, duration: int, t: int):
    slope = (end_e - start_e) / duration
    return max(slope * t + start_e, end_e)


def evaluate(model, env_id, eval_episodes, seed, epsilon=0.05):
    env = gym.make(env_id)
    env.action_space.seed(seed)
    total = 0.0
    for episode in range(eval_episodes):
        (obs, _), over = env.reset(seed=seed + episode), False
        while not over:
            if random.random() < epsilon:
                action = env.action_space.sample()
            else:
                with torch.no_grad():
                    action, _ = model.get_action(torch.Tensor(obs).unsqueeze(0))
            obs, reward, termination, truncation, _ = env.step(int(action))
            total, over = total + float(reward), termination or truncation
    return total / eval_episodes


if __name__ == "__main__":
    args = parse_args()
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    mode = gym.vector.AutoresetMode.SAME_STEP
    envs = gym.vector.SyncVectorEnv([make_env(args.env_id)], autoreset_mode=mode)
    envs.single_action_space.seed(args.seed)
    q_network = QNetwork(envs, n_atoms=args.n_atoms, v_min=args.v_min, v_max=args.v_max)
    optimizer = optim.Adam(q_network.parameters(), lr=args.learning_rate, eps=0.01 / args.batch_size)
    target_network = QNetwork(envs, n_atoms=args.n_atoms, v_min=args.v_min, v_max=args.v_max)
    target_network.load_state_dict(q_network.state_dict())

    rb = ReplayBuffer(
        args.buffer_size,
        envs.single_observation_space,
        envs.single_action_space,
        "cpu",
        handle_timeout_termination=False,
    )
    recent_returns = deque([-500.0], maxlen=10)

    obs, _ = envs.reset(seed=args.seed)
    for global_step in range(args.total_timesteps):
        duration = args.exploration_fraction * args.total_timesteps
        epsilon = linear_schedule(args.start_e, args.end_e, duration, global_step)
        if random.random() < epsilon:
            actions = np.array([envs.single_action_space.sample() for _ in range(envs.num_envs)])
        else:
            with torch.no_grad():
                actions, _ = q_network.get_action(torch.Tensor(obs))
            actions = actions.numpy()

        next_obs, rewards, terminations, truncations, infos = envs.step(actions)
        if "final_info" in infos:
            recent_returns.extend(infos["final_info"]["episode"]["r"].tolist())
        # save data to replay buffer; handle `final_obs`
        real_next_obs = next_obs.copy()
        for idx, over in enumerate(terminations | truncations):
            if over:
                real_next_obs[idx] = infos["final_obs"][idx]
        rb.add(obs, real_next_obs, actions, rewards, terminations, [{}])
        obs = next_obs

        # ALGO LOGIC: training.
        if global_step > args.learning_starts:
            if global_step % args.train_frequency == 0:
                data = rb.sample(args.batch_size)
                with torch.no_grad():
                    _, next_pmfs = target_network.get_action(data.next_observations)
                    next_atoms = data.rewards + args.gamma * target_network.atoms * (1 - data.dones)
                    # projection
                    delta_z = target_network.atoms[1] - target_network.atoms[0]
                    tz = next_atoms.clamp(args.v_min, args.v_max)
                    b = (tz - args.v_min) / delta_z
                    lower = b.floor().clamp(0, args.n_atoms - 1)
                    upper = b.ceil().clamp(0, args.n_atoms - 1)
                    # where b is an integer, lower and upper are one atom and it takes everything
                    d_m_l = (upper + (lower == upper).float() - b) * next_pmfs
                    d_m_u = (b - lower) * next_pmfs
                    target_pmfs = torch.zeros_like(next_pmfs)
                    target_pmfs.scatter_add_(1, lower.long(), d_m_l)
                    target_pmfs.scatter_add_(1, upper.long(), d_m_u)

                _, old_pmfs = q_network.get_action(data.observations, data.actions.flatten())
                loss = (-(target_pmfs * old_pmfs.clamp(min=1e-5, max=1 - 1e-5).log()).sum(-1)).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

                if global_step % 1000 == 0:
                    old_val = (old_pmfs * q_network.atoms).sum(1)
                    print(
                        f"global_step={global_step} epsilon={epsilon:.2f} loss={loss.item():.4f} "
                        f"q_values={old_val.mean().item():.2f} return={np.mean(recent_returns):.1f}"
                    )

            # update target network
            if global_step % args.target_network_frequency == 0:
                target_network.load_state_dict(q_network.state_dict())

    envs.close()
    score = evaluate(q_network, args.env_id, eval_episodes=10, seed=10_000)
    print(json.dumps({"score": score, "timesteps": args.total_timesteps}))
