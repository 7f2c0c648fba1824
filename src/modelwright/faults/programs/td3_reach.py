"""TD3 after the authors' implementation, on a puck that is pushed over a tilted table to a mark."""

import argparse
import copy
import json

import gymnasium as gym
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class TiltedTable(gym.Env):
    """Force (x, y) in [-2, 2] on a puck; the mark ends the episode, and so does falling off, at a price."""

    observation_space = gym.spaces.Box(-4.0, 4.0, (6,), np.float32)
    action_space = gym.spaces.Box(-2.0, 2.0, (2,), np.float32)

    def _state(self):
        return np.concatenate([self.mark - self.puck, self.puck, self.speed]).astype(np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.puck, self.mark = self.np_random.uniform(-0.7, 0.7, (2, 2))
        self.speed = np.zeros(2)
        return self._state(), {}

    def step(self, action):
        force = np.clip(action, -2.0, 2.0)
        self.speed = 0.9 * self.speed + 0.1 * (force - np.array([0.0, 1.2]))
        self.puck = self.puck + 0.1 * self.speed
        distance = float(np.linalg.norm(self.mark - self.puck))
        reached, fallen = distance < 0.12, bool(np.abs(self.puck).max() > 1.0)
        reward = -distance - 0.02 * float(np.square(force).sum()) + 5.0 * reached - 20.0 * fallen
        return self._state(), reward, reached or fallen, False, {}


class Actor(nn.Module):
    def __init__(self, state_dim, action_dim, max_action):
        super().__init__()
        self.l1 = nn.Linear(state_dim, 64)
        self.l2 = nn.Linear(64, 64)
        self.l3 = nn.Linear(64, action_dim)
        self.max_action = max_action

    def forward(self, state):
        a = F.relu(self.l2(F.relu(self.l1(state))))
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
        q2 = F.relu(self.l5(F.relu(self.l4(torch.cat([state, action], 1)))))
        return self.Q1(state, action), self.l6(q2)

    def Q1(self, state, action):
        q1 = F.relu(self.l2(F.relu(self.l1(torch.cat([state, action], 1)))))
        return self.l3(q1)


class ReplayBuffer:
    def __init__(self, state_dim, action_dim, max_size=int(2e4)):
        self.max_size, self.ptr, self.size = max_size, 0, 0
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
        ind = np.random.randint(0, self.size, size=batch_size)
        columns = (self.state, self.action, self.next_state, self.reward, self.not_done)
        return tuple(torch.FloatTensor(column[ind]) for column in columns)


class TD3:
    def __init__(self, state_dim, action_dim, max_action, discount, tau):
        self.actor = Actor(state_dim, action_dim, max_action)
        self.actor_target = copy.deepcopy(self.actor)
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=1e-3)
        self.critic = Critic(state_dim, action_dim)
        self.critic_target = copy.deepcopy(self.critic)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=1e-3)
        self.max_action, self.discount, self.tau = max_action, discount, tau
        self.policy_noise, self.noise_clip = 0.1 * max_action, 0.25 * max_action
        self.policy_freq, self.total_it = 2, 0

    def select_action(self, state):
        state = torch.FloatTensor(state.reshape(1, -1))
        return self.actor(state).detach().numpy().flatten()

    def train(self, replay_buffer, batch_size):
        self.total_it += 1
        state, action, next_state, reward, not_done = replay_buffer.sample(batch_size)
        with torch.no_grad():
            # Select action according to policy and add clipped noise
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

        # Delayed policy updates
        if self.total_it % self.policy_freq == 0:
            actor_loss = -self.critic.Q1(state, self.actor(state)).mean()
            self.actor_optimizer.zero_grad()
            actor_loss.backward()
            self.actor_optimizer.step()
            # Update the frozen target models
            for param, target_param in zip(self.critic.parameters(), self.critic_target.parameters()):
                target_param.data.copy_(self.tau * param.data + (1 - self.tau) * target_param.data)
            for param, target_param in zip(self.actor.parameters(), self.actor_target.parameters()):
                target_param.data.copy_(self.tau * param.data + (1 - self.tau) * target_param.data)


def eval_policy(policy, seed, eval_episodes=20):
    eval_env = gym.wrappers.TimeLimit(TiltedTable(), 40)
    avg_reward = 0.0
    for episode in range(eval_episodes):
        (state, _), done = eval_env.reset(seed=seed + episode), False
        while not done:
            state, reward, terminated, truncated, _ = eval_env.step(policy.select_action(state))
            done = terminated or truncated
            avg_reward += reward / eval_episodes
    return avg_reward


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--start_timesteps", default=1000, type=int)  # steps of the initial random policy
    parser.add_argument("--eval_freq", default=2000, type=int)
    parser.add_argument("--max_timesteps", default=8000, type=int)
    parser.add_argument("--expl_noise", default=0.15, type=float)  # std of Gaussian exploration noise
    parser.add_argument("--batch_size", default=100, type=int)
    parser.add_argument("--discount", default=0.97, type=float)
    parser.add_argument("--tau", default=0.01, type=float)
    args = parser.parse_args()
    torch.set_num_threads(1)

    env = gym.wrappers.TimeLimit(TiltedTable(), 40)
    env.action_space.seed(args.seed)
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    state_dim, action_dim = env.observation_space.shape[0], env.action_space.shape[0]
    max_action = float(env.action_space.high[0])
    policy = TD3(state_dim, action_dim, max_action, args.discount, args.tau)
    replay_buffer = ReplayBuffer(state_dim, action_dim)

    state, _ = env.reset(seed=args.seed)
    for t in range(args.max_timesteps):
        if t < args.start_timesteps:
            action = env.action_space.sample()
        else:
            noise = np.random.normal(0, max_action * args.expl_noise, size=action_dim)
            action = (policy.select_action(state) + noise).clip(-max_action, max_action)
        next_state, reward, terminated, truncated, _ = env.step(action)
        # A time limit is not the end of the task: the target still bootstraps there
        replay_buffer.add(state, action, next_state, reward, float(terminated))
        state = env.reset()[0] if terminated or truncated else next_state
        if t >= args.start_timesteps:
            policy.train(replay_buffer, args.batch_size)
        if (t + 1) % args.eval_freq == 0:
            print(f"T: {t + 1} Evaluation over 20 episodes: {eval_policy(policy, 100):.3f}")
    print(json.dumps({"score": eval_policy(policy, 10_000)}))
