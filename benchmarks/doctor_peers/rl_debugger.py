"""The checks of RLDebugger (RLExplorer, 2024), written anew from their description.

Thresholds are those of its settings. Its checks of networks are TheDeepChecker's; what is here are its
checks of learning by acting. It is called by its user's loop with what it needs; here it listens to a
program that knows nothing of it, which leaves out what only the loop can hand over: the exploration rate,
Q-targets (which it holds to the numbers of its caller), the divergence of policies and the uncertainty by
dropout. The entropy of actions is that of the last hundred actions of each environment.
"""

from collections import Counter, defaultdict, deque
from typing import Any, ClassVar

import numpy as np
import torch

from modelwright.doctor.watch.sensor import Scene

from .peer import Peer

__all__ = ["RLDebugger"]

_WINDOW = 100
_LOW_ENTROPY = 0.3
_STAGNATION = 1e-3
_SAME_ACTION = 0.8
_RANGE = 10.0
_SAME_STATES = 500
_EPISODES = 20
_GAIN = 0.25
_CLOSE = 0.01
_STEPS = 300
_EARLY, _LATE = 0.2, 0.8


class RLDebugger(Peer):
    """Looks at actions, states, rewards, episodes and target networks."""

    points_at: ClassVar[dict[str, tuple[str, ...]]] = {
        "action-entropy-starts-low": (
            "exploration-ends-at-once",
            "entropy-sign-flipped",
            "target-entropy-sign",
        ),
        "action-entropy-stays": ("exploration-not-decaying", "learning-rate-too-low"),
        "actions-stay-the-same": (
            "entropy-sign-flipped",
            "exploration-ends-at-once",
            "temperature-loss-sign",
        ),
        "states-not-normalised": ("inputs-not-scaled", "observation-not-scaled"),
        "states-stay-the-same": ("observation-not-advanced", "observation-aliased"),
        "resets-are-equal": ("observation-aliased",),
        "reward-stays": ("learning-rate-too-low", "reward-sign-flipped", "exploration-not-decaying"),
        "episodes-stay-long": ("reward-sign-flipped",),
        "target-network-never-updated": ("target-never-updated",),
        "target-network-equals-main": ("target-aliases-online", "target-updated-every-step"),
    }

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._actions: dict[int, deque[Any]] = defaultdict(lambda: deque(maxlen=_WINDOW))
        self._entropies: list[float] = []
        self._commonest: list[float] = []
        self._returns: list[float] = []
        self._lengths: list[tuple[int, bool]] = []
        self._running: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._last: dict[int, tuple[Any, int]] = {}
        self._resets: list[bytes] = []
        self._outside = self._seen = 0
        self._pairs: dict[int, tuple[Any, Any, Any, list[bool]]] = {}

    # ---- what environments tell ----

    def on_environment_reset(self, environment: Any, observation: Any) -> None:
        """See `Sensor`."""
        if len(self._resets) < 50:
            self._resets.append(np.asarray(observation).tobytes())

    def on_environment_step(self, environment: Any, action: Any, answer: tuple[Any, ...]) -> None:
        """See `Sensor`."""
        observation, reward, terminated, truncated, _ = answer
        count = int(getattr(environment, "num_envs", 1))
        state = (
            np.asarray(observation, dtype=np.float64) if not isinstance(observation, dict) else np.zeros(1)
        )
        self._state(id(environment), state)
        rewards = np.broadcast_to(np.asarray(reward, dtype=np.float64).reshape(-1), (count,))
        ends = np.broadcast_to(np.asarray(terminated).reshape(-1), (count,))
        cuts = np.broadcast_to(np.asarray(truncated).reshape(-1), (count,))
        actions = np.asarray(action)
        for at in range(count):
            if np.issubdtype(actions.dtype, np.integer) and actions.size == count:
                self._action(id(environment) + at, int(actions.reshape(-1)[at]))
            running = self._running[id(environment) + at]
            running[0] += float(rewards[at])
            running[1] += 1
            if ends[at] or cuts[at]:
                self._returns.append(running[0])
                self._lengths.append((int(running[1]), bool(cuts[at])))
                running[:] = [0.0, 0.0]

    def _state(self, environment: int, state: Any) -> None:
        self._seen += 1
        self._outside += bool(np.abs(state).max(initial=0.0) > _RANGE)
        before, count = self._last.get(environment, (None, 0))
        same = before is not None and before.shape == state.shape and bool((before == state).all())
        self._last[environment] = (state, count + 1 if same else 0)
        if count + 1 >= _SAME_STATES:
            self.alarm("states-stay-the-same")

    def _action(self, environment: int, action: int) -> None:
        window = self._actions[environment]
        window.append(action)
        if len(window) < _WINDOW or len(self._entropies) > 200_000:
            return
        if self._seen % 50 == 0:
            shares = np.array(list(Counter(window).values())) / _WINDOW
            most = max(2, len(set(window)))
            self._entropies.append(float(-(shares * np.log(shares)).sum() / np.log(most)))
            self._commonest.append(float(shares.max()))

    # ---- target networks ----

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        if not self.scene.environments or not self.scene.close:
            return
        held = {id(each) for group in optimizer.param_groups for each in group["params"]}
        for root in self.scene.roots:
            own = list(root.parameters())
            if not own or id(own[0]) in held or id(root) in self._pairs:
                continue
            for other in self.scene.roots:
                theirs = list(other.parameters())
                alike = type(other) is type(root) and [each.shape for each in theirs] == [
                    e.shape for e in own
                ]
                if other is not root and alike and id(theirs[0]) in held:
                    self._pairs[id(root)] = (root, other, own[0].detach().clone(), [])
                    break
        for root, other, _, equal in self._pairs.values():
            mine, theirs = next(root.parameters()), next(other.parameters())
            if id(theirs) in held:
                equal.append(bool(torch.equal(mine, theirs)))

    # ---- the end ----

    def end(self) -> None:
        """See `Peer`."""
        if not self.scene.environments:
            return
        for root, _, first, equal in self._pairs.values():
            if self.scene.steps >= _STEPS and torch.equal(next(root.parameters()), first):
                self.alarm("target-network-never-updated")
            elif len(equal) >= 10 and all(equal):
                self.alarm("target-network-equals-main")
        if self._outside > 0.01 * self._seen:
            self.alarm("states-not-normalised")
        if len(self._resets) >= 10 and len(set(self._resets)) == 1:
            self.alarm("resets-are-equal")
        self._end_actions()
        self._end_rewards()

    def _end_actions(self) -> None:
        count = len(self._entropies)
        if count < 20:
            return
        early, late = self._entropies[: int(_EARLY * count)], self._entropies[int(_LATE * count) :]
        if np.mean(early) < _LOW_ENTROPY:
            self.alarm("action-entropy-starts-low")
        if np.mean(late) > np.mean(early) - _STAGNATION:
            self.alarm("action-entropy-stays")
        if np.mean(self._commonest[int(_LATE * count) :]) > _SAME_ACTION:
            self.alarm("actions-stay-the-same")

    def _end_rewards(self) -> None:
        count = len(self._returns)
        if count < 2 * _EPISODES:
            return
        returns = np.asarray(self._returns)
        early, late = returns[: int(_EARLY * count)], returns[int(_LATE * count) :]
        spread = float(returns.max() - returns.min())
        solved = late.mean() >= returns.max() - 0.1 * max(spread, 1e-9)
        if spread == 0 or (not solved and late.mean() - early.mean() < _GAIN * float(early.std())):
            self.alarm("reward-stays")
        if not solved and float(late[-_EPISODES:].std()) <= _CLOSE * max(abs(float(late.mean())), 1e-9):
            self.alarm("reward-stays")
        ends = self._lengths[int(_LATE * count) :]
        if all(cut for _, cut in ends) and not all(cut for _, cut in self._lengths) and not solved:
            self.alarm("episodes-stay-long")
