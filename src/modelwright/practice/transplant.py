"""Weights of one program in another, which does not learn: what they are worth by the other's own measure."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Transplant"]


class Transplant:
    """Gives networks weights that came from elsewhere, and keeps optimizers from changing them.

    The networks of a program get the states in the order in which they are first called, where names and
    shapes fit. A state is put back whenever the program changed it: a best epoch that it restores, running
    averages of batch normalisation.

    Args:
        states: Weights by network.

    Attributes:
        missed: Whether some network found no weights that fit.
    """

    def __init__(self, states: Sequence[Mapping[str, Any]]) -> None:
        self._waiting = list(states)
        self._given: dict[int, tuple[Any, Mapping[str, Any], int]] = {}
        self._kept: list[tuple[Any, Any]] = []
        self._depth = 0
        self.missed = False

    def begin(self) -> None:
        """Listen, from now on."""
        from torch.nn.modules.module import (
            register_module_forward_hook,
            register_module_forward_pre_hook,
        )
        from torch.optim.optimizer import (
            register_optimizer_step_post_hook,
            register_optimizer_step_pre_hook,
        )

        register_optimizer_step_pre_hook(self._without_gradients)
        register_optimizer_step_post_hook(self._with_gradients)
        register_module_forward_pre_hook(self._called)
        register_module_forward_hook(self._returned, always_call=True)

    def _without_gradients(self, optimizer: Any, *_: Any) -> None:
        # An optimizer leaves parameters alone that have no gradient, weight decay and momentum included.
        self._kept = [(each, each.grad) for group in optimizer.param_groups for each in group["params"]]
        for parameter, _gradient in self._kept:
            parameter.grad = None

    def _with_gradients(self, *_: Any) -> None:
        for parameter, gradient in self._kept:
            parameter.grad = gradient
        self._kept = []

    def _called(self, module: Any, _: Any) -> None:
        self._depth += 1
        if self._depth > 1 or next(module.parameters(), None) is None:
            return
        known = self._given.get(id(module))
        if known is None:
            state = self._take(module)
            if state is None:
                self.missed = True
                return
        else:
            _, state, version = known
            if version == _version(module):
                return
        import torch

        with torch.no_grad():
            for name, tensor in module.state_dict(keep_vars=True).items():
                tensor.data.copy_(state[name])
        self._given[id(module)] = (module, state, _version(module))

    def _take(self, module: Any) -> Mapping[str, Any] | None:
        own = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        for state in self._waiting:
            if own == {name: tuple(tensor.shape) for name, tensor in state.items()}:
                self._waiting.remove(state)
                return state
        return None

    def _returned(self, *_: Any) -> None:
        self._depth = max(0, self._depth - 1)


def _version(module: Any) -> int:
    return sum(tensor._version for tensor in (*module.parameters(), *module.buffers()))
