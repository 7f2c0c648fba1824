"""Small agents with a memory: one is given its state, one holds it, one is told where episodes begin."""

__all__ = ["CELL", "HOLDER", "LAYER"]

_ENVIRONMENT = """
import gymnasium
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical


class Signs(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Discrete(2)

    def see(self):
        shown = self.sign if self.clock == 0 else 0.0
        return np.array([shown, self.noise, 1.0], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.sign, self.clock = float(self.np_random.choice([-1, 1])), 0
        self.noise = self.np_random.uniform(-1, 1)
        self.end = self.np_random.integers(2, 6)
        return self.see(), {}

    def step(self, action):
        self.clock += 1
        self.noise = self.np_random.uniform(-1, 1)
        over = self.clock >= self.end
        reward = (1.0 if (action == 1) == (self.sign > 0) else -1.0) if over else self.noise / 10
        return self.see(), reward, over, False, {}


torch.manual_seed(0)
"""

CELL = (
    _ENVIRONMENT
    + """

class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 16)
        self.policy, self.value = nn.Linear(16, 2), nn.Linear(16, 1)

    def forward(self, seen, state):
        state = self.cell(seen, state)
        return torch.log_softmax(self.policy(state), 1), self.value(state)[:, 0], state


envs = [Signs() for _ in range(6)]
seen = np.stack([env.reset(seed=i)[0] for i, env in enumerate(envs)])
agent = Agent()
optimizer = torch.optim.Adam(agent.parameters(), lr=1e-2)
state = torch.zeros(6, 16)
losses = []
for update in range(12):
    kept = []
    state = state.detach()
    for _ in range(10):
        logs, value, state = agent(torch.tensor(seen), state)
        actions = torch.multinomial(logs.detach().exp(), 1)
        rewards, ends = torch.zeros(6), torch.zeros(6)
        for i, env in enumerate(envs):
            seen[i], rewards[i], ended, cut, _ = env.step(int(actions[i]))
            ends[i] = float(ended)
            if ended or cut:
                seen[i], _ = env.reset()
        state = state * (1 - ends)[:, None]
        kept.append((logs, actions, value, rewards, ends))
    with torch.no_grad():
        total = agent(torch.tensor(seen), state)[1]
    policy_loss = value_loss = entropy = 0.0
    for logs, actions, value, rewards, ends in reversed(kept):
        total = rewards + 0.9 * (1 - ends) * total
        gain = total - value
        policy_loss = policy_loss - (gain.detach() * logs.gather(1, actions)[:, 0]).mean()
        value_loss = value_loss + gain.pow(2).mean()
        entropy = entropy - (logs.exp() * logs).sum(1).mean()
    loss = policy_loss + 0.5 * value_loss - 0.01 * entropy
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
model = agent
"""
)
"""Advantage actor-critic that keeps the graph of several steps, in six environments."""

HOLDER = (
    _ENVIRONMENT
    + """

class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.LSTM(3, 16), nn.Linear(16, 2)
        self.forget()

    def forget(self):
        self.memory = None

    def forward(self, seen):
        out, self.memory = self.layer(seen.view(1, 1, -1), self.memory)
        return Categorical(logits=self.head(out[0, 0]))


env, agent, losses = Signs(), Agent(), []
optimizer = torch.optim.Adam(agent.parameters(), lr=1e-2)
for episode in range(60):
    seen, _ = env.reset(seed=episode)
    agent.forget()
    logs, rewards, over = [], [], False
    while not over:
        policy = agent(torch.from_numpy(seen))
        action = policy.sample()
        seen, reward, ended, cut, _ = env.step(int(action))
        logs.append(policy.log_prob(action))
        rewards.append(reward)
        over = ended or cut
    agent.memory = tuple(each.detach() for each in agent.memory)
    returns = np.cumsum(rewards[::-1])[::-1].copy()
    loss = -(torch.stack(logs) * torch.tensor(returns)).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
model = agent
"""
)
"""REINFORCE whose agent holds its state."""

LAYER = (
    _ENVIRONMENT
    + """

class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 16), nn.ReLU())
        self.lstm = nn.LSTM(16, 16)
        self.actor, self.critic = nn.Linear(16, 2), nn.Linear(16, 1)

    def remember(self, seen, state, begins):
        hidden = self.body(seen).reshape(-1, state[0].shape[1], 16)
        outputs = []
        for h, d in zip(hidden, begins.reshape(-1, state[0].shape[1])):
            keep = (1.0 - d).view(1, -1, 1)
            h, state = self.lstm(h[None], (keep * state[0], keep * state[1]))
            outputs.append(h)
        return torch.flatten(torch.cat(outputs), 0, 1), state

    def act(self, seen, state, begins, action=None):
        hidden, state = self.remember(seen, state, begins)
        policy = Categorical(logits=self.actor(hidden))
        action = policy.sample() if action is None else action
        return action, policy.log_prob(action), policy.entropy(), self.critic(hidden)[:, 0], state


envs = gymnasium.vector.SyncVectorEnv([Signs] * 4, autoreset_mode="SameStep")
agent, losses = Agent(), []
optimizer = torch.optim.Adam(agent.parameters(), lr=3e-3)
seen = torch.from_numpy(envs.reset(seed=0)[0])
begins = torch.zeros(4)
state = (torch.zeros(1, 4, 16), torch.zeros(1, 4, 16))
for update in range(10):
    kept, first = [], (state[0].clone(), state[1].clone())
    for _ in range(16):
        with torch.no_grad():
            action, log, _, value, state = agent.act(seen, state, begins)
        row = seen, action, log, value, begins
        following, reward, ended, cut, _ = envs.step(action.numpy())
        kept.append((*row, torch.tensor(reward, dtype=torch.float32), torch.tensor(ended | cut).float()))
        seen, begins = torch.from_numpy(following), torch.tensor(ended | cut).float()
    with torch.no_grad():
        following = agent.act(seen, state, begins)[3]
    advantages, running = [], torch.zeros(4)
    for _, _, _, value, _, reward, over in reversed(kept):
        running = reward + 0.95 * (1 - over) * following - value + 0.9 * (1 - over) * running
        following = value
        advantages.insert(0, running)
    advantage = torch.cat(advantages)
    target = advantage + torch.cat([each[3] for each in kept])
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    rows, actions, old, starts = (torch.cat([each[at] for each in kept]) for at in (0, 1, 2, 4))
    for epoch in range(3):
        _, log, entropy, value, _ = agent.act(rows, first, starts, actions)
        ratio = (log - old).exp()
        gain = torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
        loss = -gain + 0.5 * (value - target).pow(2).mean() - 0.01 * entropy.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
model = agent
"""
)
"""Proximal policy optimisation in a vector environment; the agent is told where episodes begin."""
