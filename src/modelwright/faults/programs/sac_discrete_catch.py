"""Soft actor-critic for discrete actions: a cart catches balls that the wind carries sideways."""

import argparse
import json
import random

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Adam


class WindyCatch(gym.Env):
    """A ball falls from 10 to 0 while it drifts; +1 if the cart is below it, -1 if not; two misses end it."""

    observation_space = gym.spaces.Box(-2.0, 2.0, (5,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cart, self.misses = 0.0, 0
        self._throw()
        return self._obs(), {}

    def _throw(self):
        self.ball = np.array([self.np_random.uniform(-4, 4), 10.0])
        self.drift = self.np_random.uniform(-0.6, 0.6)

    def _obs(self):
        x, height = self.ball
        return np.array([self.cart / 5, x / 5, height / 5 - 1, self.drift, self.misses], dtype=np.float32)

    def step(self, action):
        self.cart = float(np.clip(self.cart + 0.7 * (action - 1), -5, 5))
        self.ball += (self.drift, -1.0)
        if abs(self.ball[0]) > 5:
            self.drift = -self.drift
        reward = 0.0
        if self.ball[1] <= 0:
            reward = 1.0 if abs(self.ball[0] - self.cart) < 1.0 else -1.0
            self.misses += reward < 0
            self._throw()
        return self._obs(), reward, self.misses >= 2, False, {}


class ReplayMemory:
    def __init__(self, capacity):
        self.capacity, self.position = capacity, 0
        self.buffer = []

    def push(self, state, action, reward, next_state, mask):
        if len(self.buffer) < self.capacity:
            self.buffer.append(None)
        self.buffer[self.position] = (state, action, reward, next_state, mask)
        self.position = (self.position + 1) % self.capacity

    def sample(self, batch_size):
        batch = random.sample(self.buffer, batch_size)
        return [np.stack(column) for column in zip(*batch)]


def net(num_inputs, num_outputs, hidden_dim):
    layers = [nn.Linear(num_inputs, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, hidden_dim), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden_dim, num_outputs))


class TwinQ(nn.Module):
    def __init__(self, num_inputs, num_actions, hidden_dim):
        super().__init__()
        self.q1, self.q2 = (net(num_inputs, num_actions, hidden_dim) for _ in range(2))

    def forward(self, state):
        return self.q1(state), self.q2(state)


def soft_update(target, source, tau):
    for target_param, param in zip(target.parameters(), source.parameters()):
        target_param.data.copy_(target_param.data * (1.0 - tau) + param.data * tau)


class SAC:
    def __init__(self, num_inputs, num_actions, args):
        self.gamma, self.tau = args.gamma, args.tau
        self.critic = TwinQ(num_inputs, num_actions, args.hidden_size)
        self.critic_target = TwinQ(num_inputs, num_actions, args.hidden_size)
        self.critic_target.load_state_dict(self.critic.state_dict())
        self.critic_optim = Adam(self.critic.parameters(), lr=args.lr)
        self.policy = net(num_inputs, num_actions, args.hidden_size)
        self.policy_optim = Adam(self.policy.parameters(), lr=args.lr)
        # entropy of the policy is steered towards a part of that of uniform actions
        self.target_entropy = args.entropy_ratio * np.log(num_actions)
        self.log_alpha = torch.tensor(np.log(0.1), dtype=torch.float32, requires_grad=True)
        self.alpha_optim = Adam([self.log_alpha], lr=args.lr)

    def action_probs(self, state):
        log_probs = F.log_softmax(self.policy(state), dim=-1)
        return log_probs.exp(), log_probs

    def select_action(self, state, evaluate=False):
        with torch.no_grad():
            probs, _ = self.action_probs(torch.FloatTensor(state).unsqueeze(0))
        return int(probs.argmax(1)) if evaluate else int(torch.multinomial(probs, 1))

    def update_parameters(self, memory, batch_size):
        batch = memory.sample(batch_size)
        state_batch, next_state_batch = torch.FloatTensor(batch[0]), torch.FloatTensor(batch[3])
        action_batch = torch.LongTensor(batch[1]).unsqueeze(1)
        reward_batch = torch.FloatTensor(batch[2]).unsqueeze(1)
        mask_batch = torch.FloatTensor(batch[4]).unsqueeze(1)
        alpha = self.log_alpha.exp().detach()

        with torch.no_grad():
            next_probs, next_log_probs = self.action_probs(next_state_batch)
            qf1_next, qf2_next = self.critic_target(next_state_batch)
            min_qf_next = torch.min(qf1_next, qf2_next) - alpha * next_log_probs
            next_value = (next_probs * min_qf_next).sum(dim=1, keepdim=True)
            next_q_value = reward_batch + mask_batch * self.gamma * next_value
        qf1, qf2 = self.critic(state_batch)
        qf1, qf2 = qf1.gather(1, action_batch), qf2.gather(1, action_batch)
        qf_loss = F.mse_loss(qf1, next_q_value) + F.mse_loss(qf2, next_q_value)
        self.critic_optim.zero_grad()
        qf_loss.backward()
        self.critic_optim.step()
        probs, log_probs = self.action_probs(state_batch)
        with torch.no_grad():
            min_qf_pi = torch.min(*self.critic(state_batch))
        policy_loss = (probs * (alpha * log_probs - min_qf_pi)).sum(dim=1).mean()
        self.policy_optim.zero_grad()
        policy_loss.backward()
        self.policy_optim.step()
        entropy = -(probs * log_probs).sum(dim=1).detach()
        alpha_loss = (self.log_alpha.exp() * (entropy - self.target_entropy)).mean()
        self.alpha_optim.zero_grad()
        alpha_loss.backward()
        self.alpha_optim.step()
        soft_update(self.critic_target, self.critic, self.tau)
        return qf_loss.item(), policy_loss.item(), entropy.mean().item(), alpha.item()


def play(env, agent, episodes, seed):
    total = 0.0
    for episode in range(episodes):
        (state, _), done = env.reset(seed=seed + episode), False
        while not done:
            state, reward, terminated, truncated, _ = env.step(agent.select_action(state, evaluate=True))
            total, done = total + reward, terminated or truncated
    return total / episodes


parser = argparse.ArgumentParser()
parser.add_argument("--gamma", type=float, default=0.95)
parser.add_argument("--tau", type=float, default=0.01)
parser.add_argument("--lr", type=float, default=2e-3)
parser.add_argument("--entropy_ratio", type=float, default=0.3)
parser.add_argument("--seed", type=int, default=123456)
parser.add_argument("--batch_size", type=int, default=64)
parser.add_argument("--num_steps", type=int, default=6500)
parser.add_argument("--hidden_size", type=int, default=64)
parser.add_argument("--start_steps", type=int, default=500, help="Steps sampling random actions")
parser.add_argument("--replay_size", type=int, default=3000)
args = parser.parse_args()

torch.set_num_threads(1)
torch.manual_seed(args.seed)
random.seed(args.seed)
env = gym.wrappers.TimeLimit(WindyCatch(), 150)
env.action_space.seed(args.seed)
agent = SAC(env.observation_space.shape[0], int(env.action_space.n), args)
memory = ReplayMemory(args.replay_size)

total_numsteps, i_episode = 0, 0
while total_numsteps < args.num_steps:
    i_episode, episode_reward, done = i_episode + 1, 0.0, False
    state, _ = env.reset(seed=args.seed + i_episode)
    while not done:
        warm = total_numsteps < args.start_steps
        action = env.action_space.sample() if warm else agent.select_action(state)
        if not warm and total_numsteps % 2 == 0:  # one update per two steps is enough
            losses = agent.update_parameters(memory, args.batch_size)
        next_state, reward, terminated, truncated, _ = env.step(action)
        total_numsteps, episode_reward = total_numsteps + 1, episode_reward + reward
        done = terminated or truncated
        # Ignore the "done" signal if it comes from hitting the time horizon.
        memory.push(state, action, reward, next_state, 0.0 if terminated else 1.0)
        state = next_state
        if total_numsteps % 1000 == 0:
            print(f"steps {total_numsteps} reward {episode_reward:.1f} losses {np.round(losses, 3).tolist()}")
print(json.dumps({"score": play(env, agent, 12, 10_000), "episodes": i_episode}))
