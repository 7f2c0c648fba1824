"""Numbers per seed that tell how learning goes, each computed from that seed's own values alone.

Sums run in float64 over rows of one layout, so that no bit of them depends on the company.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelwright.algorithms.control.distributions import Categorical, DiagonalNormal
from modelwright.algorithms.networks.weights import seed_norm

__all__ = [
    "explained_variance",
    "policy_signs",
    "row_max",
    "row_mean",
    "spread",
    "standardised",
    "update_ratio",
]


_DIVERGED = np.errstate(over="ignore", invalid="ignore")
"""Infinities and what is no number are what a seed that has diverged has to show; they are no surprise."""


@_DIVERGED
def row_mean(values: Tensor | NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of each seed's values (seed, ...), (seed,)."""
    return _rows(values).mean(axis=1)


def row_max(values: Tensor | NDArray[Any]) -> NDArray[np.float64]:
    """Return the largest of each seed's values (seed, ...), (seed,)."""
    return _rows(values).max(axis=1)


@_DIVERGED
def spread(name: str, values: Tensor | NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Return mean, standard deviation, smallest and largest of each seed's values, as `NAME_mean` ..."""
    rows = _rows(values)
    return {
        f"{name}_mean": rows.mean(axis=1),
        f"{name}_std": rows.std(axis=1),
        f"{name}_min": rows.min(axis=1),
        f"{name}_max": rows.max(axis=1),
    }


@_DIVERGED
def explained_variance(predicted: NDArray[Any], target: NDArray[Any]) -> NDArray[np.float64]:
    """Return 1 - var(target - predicted) / var(target) of each seed, NaN where targets do not vary."""
    error, wanted = _rows(target - predicted).var(axis=1), _rows(target).var(axis=1)
    return np.where(wanted > 0, 1.0 - error / np.where(wanted > 0, wanted, 1.0), np.nan)


def policy_signs(
    policy: Categorical | DiagonalNormal, entropy: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return what tells how far a policy has made up its mind.

    Args:
        policy: For one batch.
        entropy: (seed,) its mean over the batch.

    Returns:
        `relative_entropy`, the part of the largest possible, NaN where there is one action; or of values
        `action_std`, the mean deviation: a density has no largest entropy.
    """
    if isinstance(policy, DiagonalNormal):
        return {"action_std": row_mean(policy.log_deviation.detach().exp())}
    largest = policy.largest_entropy()
    return {"relative_entropy": entropy / largest if largest > 0 else np.full_like(entropy, np.nan)}


def update_ratio(before: Tensor, after: Tensor) -> NDArray[np.float64]:
    """Return norm(after - before) / norm(before) of each seed's packed parameters, NaN where all are zero."""
    size = seed_norm(before)
    return seed_norm(after - before) / np.where(size > 0, size, np.nan)


@_DIVERGED
def standardised(advantage: Tensor) -> Tensor:
    """Return each seed's advantages (seed, row) with mean 0 and standard deviation 1."""
    rows = advantage.numpy().astype(np.float64)
    rows = (rows - rows.mean(axis=1, keepdims=True)) / (rows.std(axis=1, ddof=1, keepdims=True) + 1e-8)
    return torch.from_numpy(rows.astype(np.float32))


def _rows(values: Tensor | NDArray[Any]) -> NDArray[np.float64]:
    found = values.detach().numpy() if isinstance(values, Tensor) else values
    return np.ascontiguousarray(found.reshape(len(found), -1), np.float64)
