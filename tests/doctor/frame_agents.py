"""An agent in plain PyTorch that stacks its last three observations, sound unless a mistake is named."""

from typing import Any

import numpy as np
import torch
from agents import DQN, network
from gymnasium.wrappers import FrameStackObservation
from torch import Tensor, nn

__all__ = ["StackedDQN"]

_FRAMES = 3


class _Looks(nn.Module):
    """Makes of (..., frame, number) what the network is given."""

    def __init__(self, mistake: str) -> None:
        super().__init__()
        self.mistake = mistake
        whole = mistake not in ("frame-order-lost", "memory-not-used")
        self.net = network(2, 5 * _FRAMES if whole else 5)

    def forward(self, frames: Tensor) -> Tensor:
        if self.mistake == "frame-order-lost":
            return self.net(frames.sum(dim=-2))
        if self.mistake == "memory-not-used":
            return self.net(frames[..., -1, :])
        if self.mistake == "observations-merged":
            frames = frames.round()
        return self.net(frames.flatten(-2))


class StackedDQN(DQN):
    """Q-learning on the last three observations."""

    def __init__(self, environment: Any, gamma: float, mistake: str = "") -> None:
        super().__init__(
            FrameStackObservation(environment, _FRAMES, padding_type="zero"), gamma, mistake="none"
        )
        self.shown = mistake
        self.q, self.target = _Looks(mistake), _Looks(mistake)
        self.target.load_state_dict(self.q.state_dict())
        self.optimizer = torch.optim.Adam(self.q.parameters(), lr=3e-3)
        self.begin()

    def begin(self) -> None:
        self.seen = [np.zeros(5, np.float32)] * _FRAMES

    def act(self, observation: Any) -> int:
        return super().act(self.stacked(observation))

    def value(self, observation: Any) -> Tensor:
        return super().value(self.stacked(observation))

    def stacked(self, observation: Any) -> Any:
        """Return frames: those of learning are stacked already, those that it is asked about one by one."""
        if np.ndim(observation) == 2:
            return observation
        self.seen = [*self.seen[1:], observation]
        newest_first = self.shown == "frames-in-another-order"
        return np.stack([*self.seen[:-2], *self.seen[:-3:-1]] if newest_first else self.seen)
