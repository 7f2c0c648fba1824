"""Dropout as a function that is not told whether the model is in training, and so drops in evaluation too."""

import linecache
import re
from collections import Counter
from collections.abc import Iterable

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Operation, Scene, Sensor

__all__ = ["FunctionalDropout"]

_NAMES = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
_CALLED = re.compile(r"(?:\bF|functional|\btorch)\.\w*dropout\w*\(")
_LINES = 4


class FunctionalDropout(Sensor):
    """Looks at calls inside of models that are in evaluation mode."""

    operations = frozenset(_NAMES)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._seen: Counter[Place] = Counter()

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        root, place = operation.root, operation.place
        if place is None or not operation.inside or getattr(root, "training", True):
            return
        drops = operation.argument(1, "p", 0.5), operation.argument(2, "training", True)
        if drops[0] and drops[1] and _is_not_told(place):
            self._seen[place] += 1

    def findings(self) -> Iterable[Finding]:
        """Return places where something was dropped in evaluation mode."""
        for place, calls in self._seen.items():
            yield Finding(
                kind="dropout-in-evaluation-mode",
                severity=Severity.WARNING,
                title="Dropout goes on in evaluation mode: it is not told of the model's mode.",
                evidence={"calls_in_evaluation_mode": calls},
                causes=(cause("dropout-always-on", place),),
                next_check="pass training=self.training to the function, or use nn.Dropout",
                subject=str(place),
            )


def _is_not_told(place: Place) -> bool:
    """Return whether the line calls the function, and nothing there speaks of training."""
    lines = [linecache.getline(place.file, place.line + at) for at in range(_LINES)]
    call = _CALLED.search(lines[0])
    return call is not None and "train" not in _until_closed("".join(lines)[call.start() :])


def _until_closed(text: str) -> str:
    """Return a call's text up to its closing bracket."""
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == ")" and depth == 0:
            return text[:at]
    return text
