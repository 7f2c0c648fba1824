"""What goes in: the scale of inputs, and the order of labels in the stream of batches."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.base.finding import Finding, Severity
from modelwright.doctor.causes import cause
from modelwright.doctor.watch.place import Place
from modelwright.doctor.watch.sensor import Call, Operation, Scene, Sensor

__all__ = ["Batches"]

_ENOUGH = 6
"""Batches before anything is said."""

_LARGE, _SMALL = 30.0, 1e-3
"""Root mean square of inputs that a network of usual layers and first values learns badly from."""

_BYTE = 1 / 255
"""Largest number of pixels that were divided by 255 twice."""

_SAME, _SOME_ROWS = 0.01, 8
"""How much rows of a batch differ, over the size of their numbers; and rows from which that can be said."""

_FEW = 0.5
"""Share of the classes that a batch in random order would hold, below which the order is no chance."""

_MOST = 4096
_LEVELS, _MOST_LEVEL, _WHOLE = 8, 64, 1e-3
"""Levels of pixels from none to the most, how large that is where it was not 255, and how whole they are."""


class Batches(Sensor):
    """Reads inputs and targets while the watch looks closely."""

    operations = frozenset({"cross_entropy", "nll_loss"})

    by_phase = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._sizes: list[float] = []
        self._last_sizes: dict[tuple[int, int], int] = {}
        self._spreads: list[float] = []
        self._reach = np.array([np.inf, 0.0])
        self._levels: set[int] | None = set()
        self._place: Place | None = None
        self._model = ""
        self._labels: list[NDArray[np.int64]] = []
        self._classes = 0
        self._last: Any = None
        self._order_place: Place | None = None

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if (
            self.scene.environments
            or call.depth
            or not call.grad
            or not call.args
            or _normalises(call.module)
        ):
            return
        given = call.args[0]
        if (
            not hasattr(given, "is_floating_point")
            or not given.is_floating_point()
            or given.grad_fn is not None
        ):
            return
        if given.numel():
            values = given.detach().reshape(-1)[:_MOST].double()
            self._note_size(call, float(values.square().mean().sqrt()))
            low, high = values.aminmax()
            self._note_levels(values, float(low), float(high))
            self._reach = np.array([min(self._reach[0], float(low)), max(self._reach[1], float(high))])
            if given.dim() > 1 and len(given) >= _SOME_ROWS:
                rows = given.detach().reshape(len(given), -1)[:, : _MOST // 16].double()
                apart = float(rows.std(dim=0).mean())
                self._spreads.append(apart / max(1e-30, float(rows.square().mean().sqrt())))
            self._place, self._model = call.place, type(call.module).__name__

    def _note_levels(self, values: Any, low: float, high: float) -> None:
        """Keep which multiples of 1/255 come, until another number does."""
        if self._levels is None:
            return
        times = values * 255
        if (
            low < 0
            or high * 255 > _MOST_LEVEL + _WHOLE
            or bool(((times - times.round()).abs() > _WHOLE).any())
        ):
            self._levels = None
            return
        self._levels.update(times.round().unique().int().tolist())

    def _note_size(self, call: Call, size: float) -> None:
        """Keep of a model's inputs in one step the size nearest to one: beginnings and edges may be zeros."""
        key = call.step, id(call.module)
        at = self._last_sizes.get(key)
        if at is None:
            self._last_sizes = {known: at for known, at in self._last_sizes.items() if known[0] == call.step}
            self._last_sizes[key] = len(self._sizes)
            self._sizes.append(size)
        elif _off(size) < _off(self._sizes[at]):
            self._sizes[at] = size

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        given, target = operation.argument(0, "input"), operation.argument(1, "target")
        if not given.requires_grad or target.dim() != 1 or target.is_floating_point() or target is self._last:
            return
        self._last = target
        self._classes = int(given.shape[1]) if given.dim() == 2 else 0
        self._labels.append(target.detach().cpu().numpy().copy())
        self._order_place = operation.place

    def findings(self) -> Iterable[Finding]:
        """Return inputs out of scale, and batches of few classes each."""
        if self.scene.environments:
            return
        yield from self._scale()
        yield from self._order()

    def _scale(self) -> Iterable[Finding]:
        if len(self._sizes) < _ENOUGH:
            return
        size = float(np.median(self._sizes))
        if not np.isfinite(size):
            return
        if _SMALL <= size <= _LARGE and not (self._reach[0] >= 0 and self._reach[1] <= _BYTE * (1 + 1e-6)):
            told = list(self._all_but_the_same(size))
            yield from told or self._of_fewer_levels(size)
            return
        word = "large" if size > 1 else "small"
        yield Finding(
            kind="inputs-out-of-scale",
            severity=Severity.WARNING,
            title=f"Inputs of {self._model} are {word}: "
            f"their root mean square is {size:.3g}, and layers expect about 1.",
            evidence={"root_mean_square": size, "batches": len(self._sizes)},
            causes=(
                cause("inputs-not-scaled", self._place),
                cause("wrong-normalisation-constants", self._place),
            ),
            next_check="print mean and deviation of the tensor that enters the model; scale it "
            "with constants of the training rows",
            subject=self._model,
        )

    def _all_but_the_same(self, size: float) -> Iterable[Finding]:
        if len(self._spreads) < _ENOUGH or not 0 < max(self._spreads) < _SAME:
            return
        apart = float(np.median(self._spreads))
        yield Finding(
            kind="inputs-out-of-scale",
            severity=Severity.WARNING,
            title=f"Inputs of {self._model} are all but the same: rows differ by {apart:.2%} of the size of "
            "their numbers.",
            evidence={
                "root_mean_square": size,
                "difference_over_size": self._spreads[:40],
                "least_and_largest": self._reach.tolist(),
            },
            causes=(
                cause("wrong-normalisation-constants", self._place),
                cause("inputs-not-scaled", self._place),
            ),
            next_check="print mean and deviation of the tensor that enters the model; constants of data "
            "from 0 to 255 do not fit data from 0 to 1",
            subject=self._model,
        )

    def _of_fewer_levels(self, size: float) -> Iterable[Finding]:
        """All of the pixels are k/255, and every k comes up to a most that is far from 255."""
        levels = self._levels or set[int]()
        most = max(levels, default=0)
        if most < _LEVELS or len(levels) <= most:
            return
        yield Finding(
            kind="inputs-out-of-scale",
            severity=Severity.WARNING,
            title=f"Inputs of {self._model} are whole numbers from 0 to {most}, divided by 255: "
            f"none is larger than {most / 255:.3g}.",
            evidence={"root_mean_square": size, "largest_times_255": most, "levels": len(levels)},
            causes=(
                cause("wrong-normalisation-constants", self._place),
                cause("inputs-not-scaled", self._place),
            ),
            next_check=f"divide by the largest number that the data can hold: {most}, it seems",
            subject=self._model,
        )

    def _order(self) -> Iterable[Finding]:
        batches = [labels for labels in self._labels if len(labels) >= 4]
        if len(batches) < _ENOUGH or self._classes < 2:
            return
        pooled = np.concatenate(batches)
        _, counts = np.unique(pooled, return_counts=True)
        share = counts / counts.sum()
        found = np.array([len(np.unique(labels)) for labels in batches])
        expected = np.array([(1 - (1 - share) ** len(labels)).sum() for labels in batches])
        alone = len(counts) == 1 and self._classes >= 3
        if not alone and (len(counts) < 2 or found.sum() > _FEW * expected.sum()):
            return
        yield Finding(
            kind="batches-of-few-classes",
            severity=Severity.SEVERE,
            title=f"Batches hold {found.mean():.1f} classes each, and in random order would hold "
            f"{max(expected.mean(), 1.0 + alone):.1f}: rows come sorted by label.",
            evidence={
                "classes": self._classes,
                "classes_in_each_batch": found[:60].tolist(),
                "expected_in_random_order": float(expected.mean()),
                "batches": len(batches),
            },
            causes=(
                cause("batches-sorted-by-label", self._order_place),
                cause("not-shuffled", self._order_place),
            ),
            next_check="shuffle training rows at each epoch: DataLoader(..., shuffle=True)",
        )


def _normalises(model: Any) -> bool:
    """Return whether the first layer that has numbers of its own brings inputs to scale, or looks them up."""
    for module in model.modules():
        if module._parameters or module._buffers:
            return "Norm" in type(module).__name__ or "Embedding" in type(module).__name__
    return False


def _off(size: float) -> float:
    """Return how far a size is from one, in either direction."""
    return abs(math.log(size)) if size > 0 and math.isfinite(size) else math.inf
