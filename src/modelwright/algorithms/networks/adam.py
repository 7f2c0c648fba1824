"""Adam for packed parameters: PyTorch's fused kernel without what `torch.optim.Adam` does around each step.

    m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2                                           (1)
    w <- w - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)                                (2)

Source: Kingma and Ba 2015, algorithm 1.
"""

import torch

from modelwright.algorithms.networks.weights import Weights

__all__ = ["Adam"]

_fused_adam = torch.ops.aten._fused_adam_.default

# Where a unit is dead, (1) lets its moments fall until they are denormal, and a processor is many times
# slower on those. Moments below these change no parameter: they are set to zero before they get there.
_SWEPT_EVERY, _SMALLEST_MEAN, _SMALLEST_SQUARE = 64, 1e-30, 1e-36


class Adam:
    """Moments of the gradients of packed parameters, and the rule that uses them.

    Attributes:
        rate: Size of a step; may be changed between steps.

    Args:
        weights: What is changed; its gradient is read at each step.
        rate: Size of a step.
        eps: Added to the root of the second moment.
    """

    def __init__(self, weights: Weights, rate: float, *, eps: float = 1e-8) -> None:
        self.rate = rate
        self._weights, self._eps = weights, eps
        self._mean, self._square = torch.zeros_like(weights.packed), torch.zeros_like(weights.packed)
        self._steps = torch.zeros(())
        self._taken = 0

    def step(self) -> None:
        """Change the parameters by equations (1) and (2)."""
        self._taken += 1
        if self._taken % _SWEPT_EVERY == 0:
            self._mean.copy_(torch.hardshrink(self._mean, _SMALLEST_MEAN))
            self._square.copy_(torch.hardshrink(self._square, _SMALLEST_SQUARE))
        self._steps += 1.0
        _fused_adam(
            [self._weights.packed],
            [self._weights.gradient],
            [self._mean],
            [self._square],
            [],
            [self._steps],
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.rate,
            weight_decay=0.0,
            eps=self._eps,
            maximize=False,
        )
