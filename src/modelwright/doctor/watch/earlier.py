"""What there was before a watch began: parameters of which nobody saw how they got their values."""

import gc
import weakref
from typing import Any

import torch
from torch import nn

from modelwright.doctor.watch.sensor import Scene

__all__ = ["note_earlier"]

_FEWEST = 64
"""Numbers of a weight from which its values tell that they were drawn and never changed."""


_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def note_earlier(scene: Scene) -> None:
    """Take parameters that exist already for loaded, but those that still are as layers draw them.

    A linear layer or convolution draws from +-1/sqrt(inputs), evenly. One step of learning takes some of its
    numbers out of these bounds.

    Args:
        scene: Its `loaded` and `drawn` are added to.
    """
    known: set[int] = set()
    fresh: dict[int, Any] = {}
    parameters, layers = _kinds_of(nn.Parameter), _kinds_of(*_LAYERS)
    kinds = parameters | layers
    # Of a process's million objects, few are looked at.
    for each in [each for each in gc.get_objects() if type(each) in kinds]:
        try:
            if type(each) in parameters:
                known.add(id(each))
            else:
                fresh.update((id(found), weakref.ref(found)) for found in _fresh(each))
        except Exception:  # an object that is half made, or odd on purpose
            continue
    scene.loaded |= known - set(fresh)
    scene.drawn |= fresh


def _kinds_of(*classes: type) -> set[type]:
    """Return classes and all that derive from them."""
    found = set(classes)
    for each in classes:
        found |= _kinds_of(*each.__subclasses__())
    return found


def _fresh(module: Any) -> list[Any]:
    """Return a layer's parameters where they are as it draws them."""
    weight = vars(module).get("_parameters", {}).get("weight")
    if (
        weight is None
        or weight.numel() < _FEWEST
        or weight.device.type != "cpu"
        or not weight.is_floating_point()
    ):
        return []
    with torch.no_grad():
        rows = weight.detach().reshape(weight.shape[0], -1)
        bound = rows.shape[1] ** -0.5
        scaled = rows.abs() / bound
        # Evenly drawn: the mean size is half the bound, give or take its error (six of them).
        even = abs(float(scaled.mean()) - 0.5) < 6 * (1 / 12 / rows.numel()) ** 0.5
        whole = float(scaled.max()) <= 1.0 + 1e-6
    return [each for each in module._parameters.values() if each is not None] if even and whole else []
