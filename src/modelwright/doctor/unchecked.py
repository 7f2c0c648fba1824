"""What a watch could not look at, in words."""

import sys
from collections.abc import Iterator

from modelwright.doctor.watch.sensor import Scene

__all__ = ["unchecked_words"]


def unchecked_words(scene: Scene) -> Iterator[str]:
    """Yield what was not checked, and why."""
    if "torch" not in sys.modules:
        if not scene.estimations:
            yield "learning: neither torch nor an estimator of scikit-learn is used"
    elif not scene.steps:
        if not scene.estimations:
            yield "learning: no optimizer of torch took a step"
    elif not scene.roots and not scene.losses:
        yield "layers, losses and gradients: no module of torch was called, no loss asked for gradients"
    elif not scene.environments:
        yield "learning by acting: no environment of Gymnasium was stepped"
    if scene.environments and not scene.experience.transitions:
        yield "targets: environments are stepped in other processes"
