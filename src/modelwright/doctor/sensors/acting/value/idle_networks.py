"""Networks that are brought up to date again and again, and never asked anything."""

from collections import Counter
from typing import Any

from modelwright.doctor.watch.sensor import Operation, Scene

__all__ = ["IdleNetworks"]

_WRITES = ("copy_", "lerp_", "mul_", "add_", "sub_")
_MOST = 4000


class IdleNetworks:
    """Remembers which tensors are written to outside of optimizers.

    Args:
        scene: What all sensors know.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._written: dict[int, tuple[int, ...]] = {}

    def heard(self, operation: Operation) -> None:
        """Take note of an operation that writes."""
        if operation.name in _WRITES and self._scene.steps and operation.args and not operation.inside:
            self._wrote(operation.args[0])

    def loaded(self, module: Any) -> None:
        """Take note that a state was loaded."""
        if self._scene.steps:
            for parameter in module.parameters():
                self._wrote(parameter)

    def _wrote(self, tensor: Any) -> None:
        if getattr(tensor, "is_leaf", False) and tensor.numel() and len(self._written) < _MOST:
            self._written[tensor.data_ptr()] = tuple(tensor.shape)

    def has(self, shapes: list[tuple[int, ...]]) -> bool:
        """Return whether a network of these shapes is written to that no optimizer holds and nobody calls."""
        used = {parameter.data_ptr() for parameter in self._scene.learning()}
        used |= {parameter.data_ptr() for root in self._scene.roots for parameter in root.parameters()}
        idle = Counter(shape for pointer, shape in self._written.items() if pointer not in used)
        return bool(shapes) and not Counter(shapes) - idle
