"""What a policy says about actions: a probability for each, or a normal density around a mean.

Arrays lead with (seed, batch).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

__all__ = ["Categorical", "DiagonalNormal"]

_LOG_TAU = math.log(2.0 * math.pi)


@dataclass(frozen=True, eq=False)
class Categorical:
    """A choice among n actions.

    Attributes:
        logits: (seed, batch, n); probabilities are softmax(logits).
    """

    logits: Tensor

    @cached_property
    def log_pi(self) -> Tensor:
        """log pi of every action, (seed, batch, n)."""
        return torch.log_softmax(self.logits, dim=-1)

    def log_prob(self, action: Tensor) -> Tensor:
        """Return log pi(a), (seed, batch), of action numbers (seed, batch)."""
        return self.log_pi.gather(-1, action[..., None])[..., 0]

    def entropy(self) -> Tensor:
        """Return -sum_a pi(a) log pi(a) in nats, (seed, batch)."""
        return -(self.log_pi.exp() * self.log_pi).sum(dim=-1)

    @np.errstate(invalid="ignore")  # of a seed that has diverged
    def sample(self, uniform: Tensor) -> Tensor:
        """Return action numbers (seed, batch) for numbers (seed, batch) uniform in [0, 1)."""
        # For the few rows of an acting policy NumPy takes a fraction of torch's time.
        logits = self.logits.numpy()
        sums = np.exp(logits - logits.max(axis=-1, keepdims=True)).cumsum(axis=-1)
        return torch.from_numpy((sums <= uniform.numpy()[..., None] * sums[..., -1:]).sum(axis=-1))

    def mode(self) -> Tensor:
        """Return the most probable action numbers, (seed, batch)."""
        return self.logits.argmax(dim=-1)

    def largest_entropy(self) -> float:
        """Return log n."""
        return math.log(self.logits.shape[-1])


@dataclass(frozen=True, slots=True, eq=False)
class DiagonalNormal:
    """A normal density with independent components.

    Attributes:
        mean: (seed, batch, action).
        log_deviation: (seed, batch, action), or (seed, 1, action) where it is the same everywhere.
    """

    mean: Tensor
    log_deviation: Tensor

    def log_prob(self, action: Tensor) -> Tensor:
        """Return the log density (seed, batch) at (seed, batch, action): the sum over components."""
        z = (action - self.mean) / self.log_deviation.exp()
        return (-0.5 * z.square() - self.log_deviation - 0.5 * _LOG_TAU).sum(dim=-1)

    def entropy(self) -> Tensor:
        """Return the differential entropy in nats, (seed, batch)."""
        each = self.log_deviation + (0.5 + 0.5 * _LOG_TAU)
        return each.expand_as(self.mean).sum(dim=-1)

    def sample(self, normal: Tensor) -> Tensor:
        """Return actions (seed, batch, action) for standard normal numbers of that shape."""
        return self.mean + self.log_deviation.exp() * normal

    def mode(self) -> Tensor:
        """Return the mean."""
        return self.mean
