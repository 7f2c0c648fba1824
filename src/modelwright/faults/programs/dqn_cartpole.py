"""DQN on CartPole in a single file, with a NumPy replay buffer and a hard target update."""

import argparse
import json
import random
from collections import deque

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim


def parse_args():
    """Command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--env-id", default="CartPole-v1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8000, help="total timesteps of the experiment")
    parser.add_argument("--max-episode-steps", type=int, default=200)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--buffer-size", type=int, default=4000)
    parser.add_argument("--gamma", type=float, default=0.98)
    parser.add_argument("--target-frequency", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--start-e", type=float, default=1.0)
    parser.add_argument("--end-e", type=float, default=0.05)
    parser.add_argument("--exploration-fraction", type=float, default=0.4)
    parser.add_argument("--learning-starts", type=int, default=500)
    parser.add_argument("--train-frequency", type=int, default=2)
    return parser.parse_args()


def make_env(env_id, max_episode_steps):
    """A function that makes the environment, for the vector API."""

    def thunk():
        env = gym.make(env_id, max_episode_steps=max_episode_steps)
        return gym.wrappers.RecordEpisodeStatistics(env)

    return thunk


class QNetwork(nn.Module):
    """Action values of an observation."""

    def __init__(self, env):
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(int(np.prod(env.single_observation_space.shape)), 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, int(env.single_action_space.n)),
        )

    def forward(self, x):
        """Values of all actions."""
        return self.network(x)


class ReplayBuffer:
    """A ring of transitions."""

    def __init__(self, size, obs_shape, rng):
        self.observations = np.zeros((size, *obs_shape), dtype=np.float32)
        self.next_observations = np.zeros((size, *obs_shape), dtype=np.float32)
        self.actions = np.zeros((size, 1), dtype=np.int64)
        self.rewards = np.zeros((size, 1), dtype=np.float32)
        self.dones = np.zeros((size, 1), dtype=np.float32)
        self.size, self.pos, self.full, self.rng = size, 0, False, rng

    def add(self, obs, next_obs, action, reward, done):
        """Store one transition."""
        self.observations[self.pos] = obs
        self.next_observations[self.pos] = next_obs
        self.actions[self.pos] = action
        self.rewards[self.pos] = reward
        self.dones[self.pos] = done
        self.pos += 1
        if self.pos == self.size:
            self.full = True
            self.pos = 0

    def sample(self, batch_size):
        """A batch drawn uniformly."""
        upper = self.size if self.full else self.pos
        idx = self.rng.integers(0, upper, size=batch_size)
        arrays = (self.observations, self.actions, self.next_observations, self.rewards, self.dones)
        return tuple(torch.from_numpy(array[idx]) for array in arrays)


def linear_schedule(start_e, end_e, duration, t):
    """Epsilon at step t."""
    slope = (end_e - start_e) / duration
    return max(slope * t + start_e, end_e)


def evaluate(args, q_network, episodes=15):
    """Mean return of the greedy policy."""
    env = gym.make(args.env_id, max_episode_steps=args.max_episode_steps)
    returns = []
    for episode in range(episodes):
        obs, _ = env.reset(seed=10_000 + episode)
        episode_return, done = 0.0, False
        while not done:
            with torch.no_grad():
                action = int(q_network(torch.as_tensor(obs)).argmax())
            obs, reward, terminated, truncated, _ = env.step(action)
            episode_return += float(reward)
            done = terminated or truncated
        returns.append(episode_return)
    env.close()
    return float(np.mean(returns))


if __name__ == "__main__":
    args = parse_args()
    torch.set_num_threads(1)
    random.seed(args.seed)
    torch.manual_seed(args.seed)

    envs = gym.vector.SyncVectorEnv(
        [make_env(args.env_id, args.max_episode_steps)],
        autoreset_mode=gym.vector.AutoresetMode.SAME_STEP,
    )
    envs.action_space.seed(args.seed)

    q_network = QNetwork(envs)
    optimizer = optim.Adam(q_network.parameters(), lr=args.learning_rate)
    target_network = QNetwork(envs)
    target_network.load_state_dict(q_network.state_dict())
    rb = ReplayBuffer(args.buffer_size, envs.single_observation_space.shape, np.random.default_rng(args.seed))
    recent = deque(maxlen=20)

    obs, _ = envs.reset(seed=args.seed)
    for global_step in range(args.steps):
        epsilon = linear_schedule(
            args.start_e, args.end_e, args.exploration_fraction * args.steps, global_step
        )
        if random.random() < epsilon:
            actions = envs.action_space.sample()
        else:
            with torch.no_grad():
                actions = q_network(torch.as_tensor(obs)).argmax(dim=1).numpy()

        next_obs, rewards, terminations, truncations, infos = envs.step(actions)

        real_next_obs = next_obs.copy()
        for idx in np.flatnonzero(np.logical_or(terminations, truncations)):
            real_next_obs[idx] = infos["final_obs"][idx]
            recent.append(float(infos["final_info"]["episode"]["r"][idx]))
        rb.add(obs[0], real_next_obs[0], actions[0], rewards[0], terminations[0])
        obs = next_obs

        if global_step > args.learning_starts:
            if global_step % args.train_frequency == 0:
                b_obs, b_actions, b_next_obs, b_rewards, b_dones = rb.sample(args.batch_size)
                with torch.no_grad():
                    target_max, _ = target_network(b_next_obs).max(dim=1)
                    td_target = b_rewards.flatten() + args.gamma * target_max * (1 - b_dones.flatten())
                old_val = q_network(b_obs).gather(1, b_actions).squeeze(1)
                loss = F.mse_loss(old_val, td_target)

                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

                if global_step % 1000 == 0:
                    print(
                        f"step {global_step} epsilon {epsilon:.2f} loss {loss.item():.4f} "
                        f"q {old_val.mean().item():.3f} return {np.mean(recent):.1f}"
                    )

            if global_step % args.target_frequency == 0:
                target_network.load_state_dict(q_network.state_dict())

    envs.close()
    score = evaluate(args, q_network)
    print(json.dumps({"score": score, "steps": args.steps}))
