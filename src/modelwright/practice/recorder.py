"""What a program did, beside what it printed: how much it learnt from, and with which weights it ended."""

import hashlib
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

__all__ = ["Recorder"]

_MOST_NETWORKS = 16


class Recorder:
    """Counts work and remembers networks; draws nothing, changes nothing.

    Attributes:
        counts: Optimizer steps, environment steps and fits so far.
    """

    def __init__(self) -> None:
        self.counts = {"optimizer steps": 0, "environment steps": 0, "fits": 0}
        self._networks: list[Any] = []
        self._seen: set[int] = set()
        self._depth = 0

    def listen_to_torch(self) -> None:
        """Count steps of optimizers, and remember each module that is called from outside of any other."""
        from torch.nn.modules.module import (
            register_module_forward_hook,
            register_module_forward_pre_hook,
        )
        from torch.optim.optimizer import register_optimizer_step_post_hook

        register_optimizer_step_post_hook(lambda *_: self._count("optimizer steps"))
        register_module_forward_pre_hook(self._called)
        register_module_forward_hook(self._returned, always_call=True)

    def listen_to_environments(self) -> None:
        """Count steps of environments that `gymnasium.make` makes."""
        from gymnasium.wrappers import OrderEnforcing

        _wrap(OrderEnforcing, "step", lambda: self._count("environment steps"))

    def listen_to_estimators(self) -> None:
        """Count fits of scikit-learn's estimators."""
        from sklearn.base import BaseEstimator

        _wrap(BaseEstimator, "_validate_params", lambda: self._count("fits"))

    def networks(self) -> list[Mapping[str, Any]]:
        """Return the states of the networks, in the order of their first calls."""
        return [network.state_dict() for network in self._networks]

    def _count(self, what: str) -> None:
        self.counts[what] += 1

    def _called(self, module: Any, _: Any) -> None:
        self._depth += 1
        if self._depth > 1 or id(module) in self._seen or len(self._networks) >= _MOST_NETWORKS:
            return
        if next(module.parameters(), None) is not None:
            self._seen.add(id(module))
            self._networks.append(module)

    def _returned(self, *_: Any) -> None:
        self._depth = max(0, self._depth - 1)


def _wrap(kind: type, name: str, tell: Callable[[], None]) -> None:
    inner = getattr(kind, name)

    @wraps(inner)
    def told(*args: Any, **kwargs: Any) -> Any:
        tell()
        return inner(*args, **kwargs)

    setattr(kind, name, told)


def shapes_of(states: list[Mapping[str, Any]]) -> list[list[Any]]:
    """Return names and shapes of each state's tensors; equal where weights of one fit into the other."""
    return [
        [[name, list(getattr(tensor, "shape", ()))] for name, tensor in state.items()] for state in states
    ]


def digest_of(states: list[Mapping[str, Any]]) -> str:
    """Return the sha256 of all numbers of the states."""
    found = hashlib.sha256()
    for state in states:
        for name, tensor in state.items():
            found.update(name.encode())
            if hasattr(tensor, "detach"):
                found.update(tensor.detach().cpu().contiguous().flatten().view(-1).numpy().tobytes())
    return found.hexdigest()
