"""Small programs that learn by policy gradients: many environments in PPO's way, and one in REINFORCE's."""

__all__ = ["EPISODES", "VECTOR"]

_CORRIDOR = """
import gymnasium
import numpy as np
import torch
from torch import nn


class Corridor(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9, 9, (2,))
    action_space = gymnasium.spaces.Box(-1, 1, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.uniform(-1, 1), 0
        return np.array([self.place, 1.0], np.float32), {}

    def step(self, action):
        self.place += 0.4 * float(np.clip(np.sum(action), -1, 1)) + self.np_random.normal(0, 0.1)
        self.steps += 1
        observation = np.array([self.place, 1.0], np.float32)
        return observation, float(self.place) - 0.1, abs(self.place) > 1.5, self.steps == LIMIT, {}


torch.manual_seed(0)
"""

VECTOR = (
    "LIMIT = 9"
    + _CORRIDOR
    + """
MODE = gymnasium.vector.AutoresetMode.SAME_STEP
envs = gymnasium.vector.SyncVectorEnv([Corridor] * 4, autoreset_mode=MODE)


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
        self.actor = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
        self.log_std = nn.Parameter(torch.full((2,), -0.5))

    def act(self, x, action=None):
        policy = torch.distributions.Normal(self.actor(x), self.log_std.exp())
        if action is None:
            action = policy.sample()
        return action, policy.log_prob(action).sum(-1), policy.entropy().sum(-1), self.critic(x).squeeze(-1)


agent = Agent()
optimizer = torch.optim.Adam(agent.parameters(), lr=3e-3)
T, GAMMA, LAMBDA = 24, 0.97, 0.9
now = torch.as_tensor(envs.reset(seed=0)[0])
for iteration in range(6):
    obs, actions, log_probs, rewards, ends, values, nexts = [], [], [], [], [], [], []
    for step in range(T):
        with torch.no_grad():
            action, log_prob, _, value = agent.act(now)
        after, reward, terminated, truncated, info = envs.step(action.numpy())
        ended = torch.as_tensor(terminated | truncated).float()
        reward = torch.as_tensor(reward).float()
        for i in np.flatnonzero(truncated & ~terminated):
            with torch.no_grad():
                reward[i] += GAMMA * agent.critic(torch.as_tensor(info["final_obs"][i])).item()
        for part, new in zip(
            (obs, actions, log_probs, rewards, ends, values), (now, action, log_prob, reward, ended, value)
        ):
            part.append(new)
        now = torch.as_tensor(after)
    with torch.no_grad():
        following = agent.critic(now).squeeze(-1)
        total, advantages = torch.zeros(4), torch.zeros(T, 4)
        for t in reversed(range(T)):
            going = 1.0 - ends[t]
            delta = rewards[t] + GAMMA * going * following - values[t]
            total = delta + GAMMA * LAMBDA * going * total
            advantages[t], following = total, values[t]
        returns = advantages + torch.stack(values)
    obs, actions, log_probs = torch.cat(obs), torch.cat(actions), torch.cat(log_probs)
    advantages, returns = advantages.flatten(), returns.flatten()
    for epoch in range(2):
        for rows in torch.randperm(T * 4).split(T * 2):
            _, new_log_prob, entropy, value = agent.act(obs[rows], actions[rows])
            log_ratio = new_log_prob - log_probs[rows]
            ratio = log_ratio.exp()
            a = advantages[rows]
            a = (a - a.mean()) / (a.std() + 1e-8)
            bounded = torch.clamp(ratio, 0.8, 1.2)
            policy_loss = -torch.min(ratio * a, bounded * a).mean()
            value_loss = (value - returns[rows]).pow(2).mean()
            loss = policy_loss + 0.5 * value_loss - 0.01 * entropy.mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()
"""
)

EPISODES = (
    "LIMIT = 8"
    + _CORRIDOR
    + """
env = Corridor()
policy = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
critic = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam([*policy.parameters(), *critic.parameters()], lr=3e-3)
for update in range(8):
    kept, all_returns, states = [], [], []
    for episode in range(4):
        state, _ = env.reset(seed=update * 10 + episode)
        rewards, over = [], False
        while not over:
            states.append(state)
            log_probs = policy(torch.as_tensor(state)).log_softmax(-1)
            action = torch.multinomial(log_probs.exp().detach(), 1).item()
            kept.append(log_probs[action])
            state, reward, terminated, truncated, _ = env.step([2 * action - 1, 0])
            rewards.append(reward)
            over = terminated or truncated
        ahead = 0.0 if terminated else critic(torch.as_tensor(state)).item()
        returns = []
        for reward in rewards[::-1]:
            ahead = reward + 0.95 * ahead
            returns.append(ahead)
        all_returns += returns[::-1]
    goals = torch.tensor(all_returns)
    values = critic(torch.as_tensor(np.array(states))).squeeze(-1)
    weights = goals - values.detach()
    policy_loss = -(torch.stack(kept) * weights).sum()
    loss = policy_loss + (values - goals).pow(2).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
)
