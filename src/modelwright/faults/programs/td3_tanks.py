"""TD3 on the levels of two coupled water tanks."""

import argparse
import copy
import json

import gymnasium as gym
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

device = torch.device("cpu")


class TwoTanks(gym.Env):
    """Pumps fill two tanks that leak into each other; a tank that overflows ends the episode."""

    def __init__(self, horizon=60):
        self.horizon = horizon
        self.observation_space = gym.spaces.Box(0.0, 1.5, (4,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        self.level = self.np_random.uniform(0.1, 0.9, 2)
        self.goal = self.np_random.uniform(0.3, 0.85, 2)
        return self._state(), {}

    def _state(self):
        return np.concatenate([self.level, self.goal]).astype(np.float32)

    def step(self, action):
        self.t += 1
        inflow = 0.08 * (np.asarray(action, dtype=float) + 1.0)
        between = 0.05 * (self.level[0] - self.level[1])
        outflow = 0.1 * np.sqrt(self.level)
        self.level = np.maximum(self.level + inflow - outflow + np.array([-between, between]), 0.0)
        self.level += self.np_random.normal(0.0, 0.004, 2)
        self.level = np.maximum(self.level, 0.0)
        terminated = bool(self.level.max() > 1.0)
        reward = 1.0 - 2.0 * float(np.abs(self.level - self.goal).sum()) - 4.0 * terminated
        return self._state(), reward, terminated, self.t >= self.horizon, {}


class Actor(nn.Module):
    def __init__(self, state_dim, action_dim, max_action):
        super().__init__()
        self.l1 = nn.Linear(state_dim, 64)
        self.l2 = nn.Linear(64, 64)
        self.l3 = nn.Linear(64, action_dim)
        self.max_action = max_action

    def forward(self, state):
        a = F.relu(self.l1(state))
        a = F.relu(self.l2(a))
        return self.max_action * torch.tanh(self.l3(a))


class Critic(nn.Module):
    def __init__(self, state_dim, action_dim):
        super().__init__()
        self.l1 = nn.Linear(state_dim + action_dim, 64)
        self.l2 = nn.Linear(64, 64)
        self.l3 = nn.Linear(64, 1)
        self.l4 = nn.Linear(state_dim + action_dim, 64)
        self.l5 = nn.Linear(64, 64)
        self.l6 = nn.Linear(64, 1)

    def forward(self, state, action):
        sa = torch.cat([state, action], 1)
        q1 = self.l3(F.relu(self.l2(F.relu(self.l1(sa)))))
        q2 = self.l6(F.relu(self.l5(F.relu(self.l4(sa)))))
        return q1, q2

    def Q1(self, state, action):
        sa = torch.cat([state, action], 1)
        return self.l3(F.relu(self.l2(F.relu(self.l1(sa)))))


class ReplayBuffer:
    def __init__(self, state_dim, action_dim, rng, max_size=2000):
        self.max_size = max_size
        self.ptr = 0
        self.size = 0
        self.rng = rng
        self.state = np.zeros((max_size, state_dim))
        self.action = np.zeros((max_size, action_dim))
        self.next_state = np.zeros((max_size, state_dim))
        self.reward = np.zeros((max_size, 1))
        self.not_done = np.zeros((max_size, 1))

    def add(self, state, action, next_state, reward, done):
        self.state[self.ptr] = state
        self.action[self.ptr] = action
        self.next_state[self.ptr] = next_state
        self.reward[self.ptr] = reward
        self.not_done[self.ptr] = 1.0 - done
        self.ptr = (self.ptr + 1) % self.max_size
        self.size = min(self.size + 1, self.max_size)

    def sample(self, batch_size):
        ind = self.rng.integers(0, self.size, size=batch_size)
        return (
            torch.FloatTensor(self.state[ind]).to(device),
            torch.FloatTensor(self.action[ind]).to(device),
            torch.FloatTensor(self.next_state[ind]).to(device),
            torch.FloatTensor(self.reward[ind]).to(device),
            torch.FloatTensor(self.not_done[ind]).to(device),
        )


class TD3:
    def __init__(self, state_dim, action_dim, max_action):
        self.actor = Actor(state_dim, action_dim, max_action).to(device)
        self.actor_target = copy.deepcopy(self.actor)
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=3e-4)
        self.critic = Critic(state_dim, action_dim).to(device)
        self.critic_target = copy.deepcopy(self.critic)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=1e-3)
        self.max_action = max_action
        self.discount = 0.95
        self.tau = 0.01
        self.policy_noise = 0.2
        self.noise_clip = 0.5
        self.policy_freq = 2
        self.total_it = 0

    def select_action(self, state):
        state = torch.FloatTensor(state.reshape(1, -1)).to(device)
        return self.actor(state).detach().cpu().numpy().flatten()

    def train(self, replay_buffer, batch_size=64):
        self.total_it += 1
        state, action, next_state, reward, not_done = replay_buffer.sample(batch_size)

        with torch.no_grad():
            noise = (torch.randn_like(action) * self.policy_noise).clamp(-self.noise_clip, self.noise_clip)
            next_action = (self.actor_target(next_state) + noise).clamp(-self.max_action, self.max_action)
            target_Q1, target_Q2 = self.critic_target(next_state, next_action)
            target_Q = torch.min(target_Q1, target_Q2)
            target_Q = reward + not_done * self.discount * target_Q

        current_Q1, current_Q2 = self.critic(state, action)
        critic_loss = F.mse_loss(current_Q1, target_Q) + F.mse_loss(current_Q2, target_Q)
        self.critic_optimizer.zero_grad()
        critic_loss.backward()
        self.critic_optimizer.step()

        if self.total_it % self.policy_freq == 0:
            actor_loss = -self.critic.Q1(state, self.actor(state)).mean()
            self.actor_optimizer.zero_grad()
            actor_loss.backward()
            self.actor_optimizer.step()

            for param, target_param in zip(
                self.critic.parameters(), self.critic_target.parameters(), strict=True
            ):
                target_param.data.copy_(self.tau * param.data + (1 - self.tau) * target_param.data)
            for param, target_param in zip(
                self.actor.parameters(), self.actor_target.parameters(), strict=True
            ):
                target_param.data.copy_(self.tau * param.data + (1 - self.tau) * target_param.data)
        return critic_loss.item(), current_Q1.mean().item()


def eval_policy(policy, seed, eval_episodes=20):
    eval_env = TwoTanks()
    avg_reward = 0.0
    for episode in range(eval_episodes):
        state, _ = eval_env.reset(seed=seed + episode)
        done = False
        while not done:
            state, reward, terminated, truncated, _ = eval_env.step(policy.select_action(state))
            avg_reward += reward
            done = terminated or truncated
    return avg_reward / eval_episodes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--start-timesteps", default=500, type=int)
    parser.add_argument("--steps", default=3000, type=int)
    parser.add_argument("--expl-noise", default=0.2, type=float)
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    env = TwoTanks()
    env.action_space.seed(args.seed)
    max_action = float(env.action_space.high[0])
    policy = TD3(4, 2, max_action)
    replay_buffer = ReplayBuffer(4, 2, rng)

    state, _ = env.reset(seed=args.seed)
    episode_reward, episode_num, episode_rewards = 0.0, 0, []
    for t in range(args.steps):
        if t < args.start_timesteps:
            action = env.action_space.sample()
        else:
            noise = rng.normal(0, max_action * args.expl_noise, size=2)
            action = (policy.select_action(state) + noise).clip(-max_action, max_action)

        next_state, reward, terminated, truncated, _ = env.step(action)
        replay_buffer.add(state, action, next_state, reward, float(terminated))
        state = next_state
        episode_reward += reward

        if t >= args.start_timesteps:
            critic_loss, q = policy.train(replay_buffer)
        if terminated or truncated:
            episode_rewards.append(episode_reward)
            if t >= args.start_timesteps and episode_num % 10 == 0:
                mean = np.mean(episode_rewards[-10:])
                print(
                    f"T: {t + 1} Episode: {episode_num} Reward: {mean:.3f} Q: {q:.3f} Loss: {critic_loss:.5f}"
                )
            state, _ = env.reset()
            episode_reward = 0.0
            episode_num += 1
    print(json.dumps({"score": eval_policy(policy, 6000), "episodes": episode_num}))


if __name__ == "__main__":
    main()
