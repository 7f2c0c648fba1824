"""Agents without networks, fast enough for many tries: Q-learning, and an actor with a critic."""

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["ActorCritic", "Frames", "QLearning", "tabular"]


def tabular(kind: type, mistake: str = "", **more: Any) -> Callable[..., Any]:
    """Return a factory of agents of a kind, with a mistake."""

    def make(environment: Any, gamma: float = 0.99) -> Any:
        return kind(environment, gamma, mistake, **more)

    return make


class _Learner:
    """Steps an environment whose observations are the rows of a unit matrix."""

    def __init__(self, environment: Any, gamma: float, mistake: str, *, scale: float = 1.0) -> None:
        self.env, self.gamma, self.mistake, self.scale = environment, gamma, mistake, scale
        self.random = np.random.default_rng(3)
        self.observation = environment.reset(seed=1)[0]
        self.rate = 0.5
        self.q = self.random.normal(0, 0.1, (5, 2))

    def learn(self, steps: int) -> None:
        for _ in range(steps):
            at = int(np.argmax(self.observation))
            action = self.choose(at)
            after, reward, terminated, truncated, _ = self.env.step(action)
            ended = terminated or truncated
            self.observation = self.env.reset()[0] if ended else after
            shown = self.observation if self.mistake == "next-observation-after-reset" else after
            end = terminated or (truncated and self.mistake == "truncation-as-terminal")
            if self.mistake == "terminated-truncated-swapped":
                end = truncated
            weight = {"terminal-mask-missing": 1.0, "done-mask-inverted": float(end)}.get(
                self.mistake, 1.0 - end
            )
            if self.mistake == "bootstrap-missing":
                weight = 0.0
            if self.mistake == "gamma-off":
                weight *= self.gamma
            sign = -1.0 if self.mistake == "reward-sign-flipped" else 1.0
            self.rate = max(0.03, self.rate * 0.999)
            self.update(at, action, sign * self.scale * reward, self.gamma * weight, int(np.argmax(shown)))

    def choose(self, at: int) -> int:
        raise NotImplementedError

    def update(self, at: int, action: int, reward: float, weight: float, after: int) -> None:
        raise NotImplementedError


class QLearning(_Learner):
    """A table of values of actions."""

    def choose(self, at: int) -> int:
        return int(self.random.integers(2)) if self.random.random() < 0.3 else int(self.q[at].argmax())

    def update(self, at: int, action: int, reward: float, weight: float, after: int) -> None:
        if self.mistake == "gathered-wrong-action":
            action = 1 - action
        follows = self.q[after].min() if self.mistake == "smallest" else self.q[after].max()
        self.q[at, action] += self.rate * (reward + weight * follows - self.q[at, action])

    def act(self, observation: Any) -> int:
        row = self.q[int(np.argmax(observation))]
        return int(row.argmin() if self.mistake == "greedy-inverted" else row.argmax())

    def value(self, observation: Any) -> Any:
        return self.q[int(np.argmax(observation))]


class ActorCritic(_Learner):
    """A table of preferences and one of values."""

    def __init__(self, environment: Any, gamma: float, mistake: str, **more: Any) -> None:
        super().__init__(environment, gamma, mistake, **more)
        self.values, self.preferences = self.random.normal(0, 0.1, 5), np.zeros((5, 2))

    def chances(self, at: int) -> Any:
        raised = np.exp(self.preferences[at] - self.preferences[at].max())
        return raised / raised.sum()

    def choose(self, at: int) -> int:
        return int(self.random.random() < self.chances(at)[1])

    def update(self, at: int, action: int, reward: float, weight: float, after: int) -> None:
        error = reward + weight * self.values[after] - self.values[at]
        self.values[at] += self.rate * error
        sign = -1.0 if self.mistake == "policy-loss-sign" else 1.0
        slope = np.eye(2)[action] - self.chances(at)
        self.preferences[at] = np.clip(self.preferences[at] + sign * 0.3 * error * slope, -3, 3)

    def act(self, observation: Any) -> int:
        return self.choose(int(np.argmax(observation)))

    def value(self, observation: Any) -> float:
        return float(self.values[int(np.argmax(observation))])


class Frames:
    """A table of values of the last observations together; acts at random."""

    def __init__(self, environment: Any, gamma: float, mistake: str = "", *, length: int = 3) -> None:
        self.env, self.gamma, self.mistake, self.length = environment, gamma, mistake, length
        self.random = np.random.default_rng(3)
        self.values: dict[Any, float] = {}
        self.rate = 0.5

    def begin(self) -> None:
        self.seen: list[Any] = []

    def act(self, observation: Any) -> int:
        return int(self.random.integers(2))

    def value(self, observation: Any) -> float:
        self.seen.append(observation)
        return self.known(self.key(self.seen, acting=True))

    def known(self, key: Any) -> float:
        return self.values.setdefault(key, self.random.normal(0, 0.1))

    def key(self, seen: list[Any], *, acting: bool = False) -> Any:
        frames = [tuple(np.round(each, 0 if self.mistake == "observations-merged" else 3)) for each in seen]
        frames = [frames[0]] * self.length + frames
        frames = frames[-1:] if self.mistake == "memory-not-used" else frames[-self.length :]
        if self.mistake == "frame-order-lost":
            return tuple(sorted(frames))
        if self.mistake == "frames-in-another-order" and acting:
            return (*frames[:-2], frames[-1], frames[-2])
        return tuple(frames)

    def learn(self, steps: int) -> None:
        seen = [self.env.reset()[0]]
        for _ in range(steps):
            after, reward, terminated, truncated, _ = self.env.step(self.random.integers(2))
            at, follows = self.key(seen), self.key([*seen, after])
            target = reward + self.gamma * (0.0 if terminated else self.known(follows))
            self.rate = max(0.03, self.rate * 0.999)
            self.values[at] = self.known(at) + self.rate * (target - self.known(at))
            seen = [self.env.reset()[0]] if terminated or truncated else [*seen, after]
