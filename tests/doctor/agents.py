"""Agents in plain PyTorch as people write them, sound unless a mistake is named."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["DQN", "PPO", "TD3", "Reinforce", "factory"]


def factory(kind: type, mistake: str = "", **more: Any) -> Callable[..., Any]:
    """Return a factory of agents of a kind, with a mistake."""

    def make(environment: Any, gamma: float = 0.99) -> Any:
        return kind(environment, gamma, mistake, **more)

    return make


def network(outputs: int, inputs: int = 5) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs))


def tensor(values: Any) -> Tensor:
    return torch.as_tensor(np.array(values), dtype=torch.float32)


class DQN:
    """Q-learning with a memory and a target network; `n` steps."""

    def __init__(self, environment: Any, gamma: float, mistake: str = "", n: int = 1) -> None:
        self.env, self.gamma, self.mistake, self.n = environment, gamma, mistake, n
        self.q, self.target = network(2), network(2)
        self.target.load_state_dict(self.q.state_dict())
        self.optimizer = torch.optim.Adam(self.q.parameters(), lr=3e-3)
        self.memory: list[tuple[Any, ...]] = []
        self.waiting: list[tuple[Any, ...]] = []
        self.steps = 0
        self.observation = environment.reset(seed=1)[0]

    def act(self, observation: Any) -> int:
        with torch.no_grad():
            values = self.q(tensor(observation))
        return int(values.argmin() if self.mistake == "greedy-inverted" else values.argmax())

    def value(self, observation: Any) -> Tensor:
        return self.q(tensor(observation))

    def learn(self, steps: int) -> None:
        for _ in range(steps):
            self.steps += 1
            random = np.random.random() < max(0.2, 1 - self.steps / 300)  # noqa: NPY002
            action = self.env.action_space.sample() if random else self.act(self.observation)
            after, reward, terminated, truncated, _ = self.env.step(action)
            ended = terminated or truncated
            follows = self.env.reset()[0] if ended else after
            shown = follows if self.mistake == "next-observation-after-reset" else after
            self.waiting.append((self.observation, action, reward))
            while self.waiting and (ended or len(self.waiting) == self.n):
                self.keep(shown, terminated, truncated)
            self.observation = follows
            if len(self.memory) >= 64 and self.steps % 2 == 0:
                self.update()
            if self.steps % 50 == 0 and self.mistake != "target-never-updated":
                self.target.load_state_dict(self.q.state_dict())

    def keep(self, after: Any, terminated: bool, truncated: bool) -> None:
        reward = sum(self.gamma**i * row[2] for i, row in enumerate(self.waiting))
        power = 1 if self.mistake == "discount-power-wrong" else len(self.waiting)
        end = terminated
        if self.mistake == "truncation-as-terminal":
            end = terminated or truncated
        if self.mistake == "terminated-truncated-swapped":
            end = truncated
        weight = {"terminal-mask-missing": 1.0, "done-mask-inverted": float(end)}.get(self.mistake, 1.0 - end)
        if self.mistake == "reward-sign-flipped":
            reward = -reward
        self.memory.append((*self.waiting[0][:2], reward, self.gamma**power * weight, after))
        self.waiting.pop(0)

    def update(self) -> None:
        rows = [self.memory[i] for i in np.random.randint(len(self.memory), size=32)]  # noqa: NPY002
        seen, action, reward, weight, after = (tensor(each) for each in zip(*rows, strict=True))
        with torch.no_grad():
            follows = self.target(after).max(dim=1).values
            if self.mistake == "gamma-off":
                weight = weight * self.gamma
            target = reward + weight * follows
        index = action.long()[:, None]
        if self.mistake == "gathered-wrong-action":
            index = 1 - index
        loss = functional.mse_loss(self.q(seen).gather(1, index)[:, 0], target)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class PPO:
    """Proximal policy optimisation with generalised advantages; numbered actions, or forces."""

    def __init__(self, environment: Any, gamma: float, mistake: str = "") -> None:
        self.env, self.gamma, self.mistake = environment, gamma, mistake
        self.forces = not hasattr(environment.action_space, "n")
        self.policy, self.critic = network(2), network(1)
        self.spread = nn.Parameter(torch.full((2,), -1.0))
        self.parameters = [*self.policy.parameters(), *self.critic.parameters(), self.spread]
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-2)
        self.observation = environment.reset(seed=1)[0]

    def distribution(self, seen: Tensor) -> Any:
        out = self.policy(seen)
        if self.forces:
            return torch.distributions.Independent(torch.distributions.Normal(out, self.spread.exp()), 1)
        return torch.distributions.Categorical(logits=out)

    def act(self, observation: Any) -> Any:
        with torch.no_grad():
            out = self.policy(tensor(observation))
        return out.numpy() if self.forces else int(out.argmax())

    def value(self, observation: Any) -> float:
        return self.critic(tensor(observation)).item()

    def learn(self, steps: int) -> None:
        for _ in range(max(1, steps // 64)):
            self.round()

    def round(self) -> None:
        rows: list[tuple[Any, ...]] = []
        for _ in range(64):
            with torch.no_grad():
                spread = self.distribution(tensor(self.observation))
                action = spread.sample()
                log_probability = spread.log_prob(action)
            taken = np.clip(action.numpy(), -1, 1) if self.forces else int(action)
            after, reward, terminated, truncated, _ = self.env.step(taken)
            ended = terminated or truncated
            follows = self.env.reset()[0] if ended else after
            rows.append(
                (self.observation, action.numpy(), log_probability, reward, terminated, ended, after, follows)
            )
            self.observation = follows
        seen, action, before, reward, terminated, ended, after, follows = (
            tensor(each) for each in zip(*rows, strict=True)
        )
        advantage, target = self.advantages(seen, reward, terminated, ended, after, follows)
        if self.mistake == "policy-loss-sign":
            advantage = -advantage
        for _ in range(8):
            spread = self.distribution(seen)
            ratio = (spread.log_prob(action) - before).exp()
            objective = torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()
            loss = -objective + 0.5 * functional.mse_loss(self.critic(seen)[:, 0], target)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    @torch.no_grad()
    def advantages(
        self, seen: Tensor, reward: Tensor, terminated: Tensor, ended: Tensor, after: Tensor, follows: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.mistake == "reward-sign-flipped":
            reward = -reward
        value = self.critic(seen)[:, 0]
        next_value = self.critic(follows if self.mistake == "next-observation-after-reset" else after)[:, 0]
        on, chain = 1 - terminated, 1 - ended
        if self.mistake == "truncation-as-terminal":
            on = chain
        if self.mistake == "terminal-mask-missing":
            on, chain, next_value = torch.ones_like(on), torch.ones_like(on), self.critic(follows)[:, 0]
        if self.mistake == "gae-done-off-by-one":
            on = chain = torch.cat([torch.ones(1), chain[:-1]])
            next_value = self.critic(follows)[:, 0]
        if self.mistake == "bootstrap-missing":
            next_value = torch.zeros_like(value)
        gamma = self.gamma**2 if self.mistake == "gamma-off" else self.gamma
        delta = reward + gamma * on * next_value - value
        found, running = torch.zeros_like(delta), torch.zeros(())
        for at in reversed(range(len(delta))):
            running = delta[at] + gamma * 0.95 * chain[at] * running
            found[at] = running
        return found, found + value


class Reinforce:
    """Policy gradient with a learnt baseline, an update an episode; cut episodes end with the value."""

    def __init__(self, environment: Any, gamma: float, mistake: str = "") -> None:
        self.env, self.gamma, self.mistake = environment, gamma, mistake
        self.policy, self.baseline = network(2), network(1)
        self.optimizer = torch.optim.Adam([*self.policy.parameters(), *self.baseline.parameters()], lr=1e-2)
        self.left = 0

    def act(self, observation: Any) -> int:
        return int(torch.distributions.Categorical(logits=self.policy(tensor(observation))).sample())

    def value(self, observation: Any) -> float:
        return self.baseline(tensor(observation)).item()

    def learn(self, steps: int) -> None:
        self.left += steps
        while self.left > 0:
            self.left -= self.episode()

    def episode(self) -> int:
        rows: list[tuple[Any, ...]] = []
        observation, ended, terminated = self.env.reset()[0], False, False
        while not ended:
            action = self.act(observation)
            after, reward, terminated, truncated, _ = self.env.step(action)
            rows.append((observation, action, -reward if self.mistake == "reward-sign-flipped" else reward))
            observation, ended = after, terminated or truncated
        bootstraps = not terminated and self.mistake != "truncation-as-terminal"
        running = self.value(observation) if bootstraps else 0.0
        returns: list[float] = []
        for row in reversed(rows):
            running = row[2] + self.gamma * running
            returns.insert(0, running)
        if self.mistake == "returns-in-wrong-order":
            returns.reverse()
        seen, action, _ = (tensor(each) for each in zip(*rows, strict=True))
        target, value = tensor(returns), self.baseline(seen)[:, 0]
        spread = torch.distributions.Categorical(logits=self.policy(seen))
        sign = -1.0 if self.mistake == "policy-loss-sign" else 1.0
        gain = sign * (spread.log_prob(action) * (target - value).detach()).mean()
        loss = -gain - 0.01 * spread.entropy().mean() + functional.mse_loss(value, target)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return len(rows)


class TD3:
    """Two critics, a policy of forces, targets that follow slowly."""

    def __init__(self, environment: Any, gamma: float, mistake: str = "") -> None:
        self.env, self.gamma, self.mistake = environment, gamma, mistake
        self.policy = nn.Sequential(network(2), nn.Tanh())
        self.critics = nn.ModuleList([network(1, 7), network(1, 7)])
        self.slow_policy = nn.Sequential(network(2), nn.Tanh())
        self.slow_critics = nn.ModuleList([network(1, 7), network(1, 7)])
        self.slow_policy.load_state_dict(self.policy.state_dict())
        self.slow_critics.load_state_dict(self.critics.state_dict())
        self.policy_optimizer = torch.optim.Adam(self.policy.parameters(), lr=1e-3)
        self.critic_optimizer = torch.optim.Adam(self.critics.parameters(), lr=3e-3)
        self.memory: list[tuple[Any, ...]] = []
        self.steps = 0
        self.observation = environment.reset(seed=1)[0]

    def act(self, observation: Any) -> Any:
        with torch.no_grad():
            return self.policy(tensor(observation)).numpy()

    def value(self, observation: Any, action: Any) -> float:
        both = torch.cat([tensor(observation), tensor(action)])
        return float(min(each(both) for each in self.critics))

    def learn(self, steps: int) -> None:
        for _ in range(steps):
            self.steps += 1
            action = self.act(self.observation) + np.random.normal(0, 0.3, 2)  # noqa: NPY002
            action = self.env.action_space.sample() if self.steps < 200 else np.clip(action, -1, 1)
            after, reward, terminated, truncated, _ = self.env.step(action.astype(np.float32))
            ended = terminated or truncated
            mask = {"terminal-mask-missing": 1.0, "truncation-as-terminal": 1.0 - ended}
            weight = self.gamma * mask.get(self.mistake, 1.0 - terminated)
            reward = -reward if self.mistake == "reward-sign-flipped" else reward
            self.memory.append((self.observation, action, reward, weight, after))
            self.observation = self.env.reset()[0] if ended else after
            if len(self.memory) >= 100:
                self.update()

    def update(self) -> None:
        rows = [self.memory[i] for i in np.random.randint(len(self.memory), size=64)]  # noqa: NPY002
        seen, action, reward, weight, after = (tensor(each) for each in zip(*rows, strict=True))
        with torch.no_grad():
            noise = (torch.randn_like(action) * 0.1).clamp(-0.2, 0.2)
            both = torch.cat([after, (self.slow_policy(after) + noise).clamp(-1, 1)], dim=1)
            follows = torch.min(*(each(both)[:, 0] for each in self.slow_critics))
            target = reward + weight * follows
        if self.mistake == "critic-sees-wrong-action":
            action = self.policy(seen).detach()
        both = torch.cat([seen, action], dim=1)
        loss = sum(functional.mse_loss(each(both)[:, 0], target) for each in self.critics)
        self.critic_optimizer.zero_grad()
        loss.backward()  # pyright: ignore[reportAttributeAccessIssue]
        self.critic_optimizer.step()
        if self.steps % 2:
            return
        gain = self.critics[0](torch.cat([seen, self.policy(seen)], dim=1)).mean()
        self.policy_optimizer.zero_grad()
        (gain if self.mistake == "policy-loss-sign" else -gain).backward()
        self.policy_optimizer.step()
        with torch.no_grad():
            for fast, slow in ((self.policy, self.slow_policy), (self.critics, self.slow_critics)):
                for one, other in zip(fast.parameters(), slow.parameters(), strict=True):
                    other.lerp_(one, 0.01)
