"""The rules of TheDeepChecker (Braiek and Khomh, TOSEM 2022), written anew from their description.

Thresholds are those of its settings. It is given a network, a loss and data by its user; here it listens
to a program that knows nothing of it, which leaves out what needs the loss as a function: the gradient by
finite differences, the fit of one small batch, corrupted labels. First biases are not judged, since
PyTorch draws them at random, and PyTorch's own first weights are taken for as right as those of He,
Glorot and LeCun. Rules about the fall of the loss are made for one small batch; here they are held to the
whole run, where they are milder.
"""

import math
from collections import defaultdict
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.stats import f as f_distribution
from torch import nn

from modelwright.doctor.watch.sensor import Call, Operation, Scene

from .loss_curve import points
from .peer import Peer

__all__ = ["DeepChecker"]

_RATE = ("learning-rate-too-high", "learning-rate-too-low")
_FIRST = ("initialisation-too-large", "initialisation-too-small", "constant-initialisation")
_PATIENCE = 5
_ALPHA = 0.1
_PERPLEXITY = 0.5
_DEAD, _DEAD_SHARE = 1e-5, 0.5
_SATURATED = 0.85
_DEVIATIONS = (0.5, 2.0)
_WEIGHT_SHARE = 0.95
_VANISHING, _EXPLODING = 1e-6, 1e6
_UPDATES = (-4.0, -1.0)
_FALL = 0.05
_SMOOTH = 0.5
_MOST_ROWS = 64


class DeepChecker(Peer):
    """Looks at weights, activations, gradients and updates while the watch looks closely."""

    points_at: ClassVar[dict[str, tuple[str, ...]]] = {
        "data-range": ("inputs-not-scaled", "wrong-normalisation-constants", "missing-value-code"),
        "label-balance": (
            "accuracy-under-imbalance",
            "batches-sorted-by-label",
            "label-shift-between-splits",
        ),
        "first-weights": _FIRST,
        "equal-weights": ("constant-initialisation",),
        "first-loss": ("softmax-before-cross-entropy", *_FIRST, "log-softmax-missing"),
        "rows-depend-on-each-other": ("softmax-over-wrong-axis", "batch-statistics-in-evaluation"),
        "dead-activations": ("dead-relu", "learning-rate-too-high", "initialisation-too-large"),
        "saturated-activations": ("saturated-activations", "inputs-not-scaled", *_FIRST),
        "activations-deviate": _FIRST,
        "dead-weights": ("weight-decay-too-high", "graph-detached"),
        "weights-diverge": ("learning-rate-too-high",),
        "vanishing-gradients": ("saturated-activations", "initialisation-too-small", "graph-detached"),
        "exploding-gradients": (
            "learning-rate-too-high",
            "initialisation-too-large",
            "loss-summed-over-batch",
        ),
        "updates-too-small": ("learning-rate-too-low", "parameters-missing-from-optimizer", "graph-detached"),
        "updates-too-large": ("learning-rate-too-high",),
        "loss-not-finite": ("learning-rate-too-high",),
        "loss-does-not-fall": (*_RATE, "zero-grad-after-backward", "optimizer-holds-old-parameters"),
        "loss-diverges": ("learning-rate-too-high", "loss-sign-flipped"),
        "loss-fluctuates": ("learning-rate-too-high", "zero-grad-missing", "batches-sorted-by-label"),
    }

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._roots: set[int] = set()
        self._tested: set[int] = set()
        self._losses: list[float] = []
        self._before: dict[int, Any] = {}
        self._strikes: dict[tuple[str, int], int] = defaultdict(int)
        self._active: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
        self._order: dict[int, int] = {}
        self._class_losses = 0

    def strike(self, rule: str, what: int, broken: bool) -> None:
        """Raise an alarm where a rule is broken five times running."""
        key = (rule, what)
        self._strikes[key] = self._strikes[key] + 1 if broken else 0
        if self._strikes[key] >= _PATIENCE:
            self.alarm(rule)

    # ---- before learning ----

    def on_call(self, call: Call) -> None:
        """See `Sensor`."""
        if call.depth or not call.args or not isinstance(call.args[0], torch.Tensor):
            return
        inputs = call.args[0].detach()
        if id(call.module) not in self._roots:
            self._roots.add(id(call.module))
            if call.step == 0:
                self._first_weights(call.module)
                self._range(inputs)
        if not call.training and not call.grad and id(call.module) not in self._tested:
            self._tested.add(id(call.module))
            self._rows(call, inputs)

    def _range(self, inputs: Any) -> None:
        if not inputs.dtype.is_floating_point or inputs.numel() < 2:
            return
        is_small = float(inputs.abs().max()) <= 1.0
        is_standard = abs(float(inputs.mean())) <= 0.5 and 0.5 <= float(inputs.std()) <= 2.0
        if not (is_small or is_standard):
            self.alarm("data-range")

    def _first_weights(self, root: Any) -> None:
        for module in root.modules():
            if not isinstance(module, nn.Linear | nn.Conv2d) or module.weight.numel() < 8:
                continue
            weight = module.weight.detach().double()
            inward = weight[0].numel()
            outward = weight.shape[0] * (weight[0][0].numel() if weight.dim() > 2 else 1)
            variance = float(weight.var())
            if variance == 0.0:
                self.alarm("equal-weights")
                continue
            wanted = (2 / inward, 2 / (inward + outward), 1 / inward, 1 / (3 * inward))
            if not any(_is_variance(variance, each, weight.numel()) for each in wanted):
                self.alarm("first-weights")

    def _rows(self, call: Call, inputs: Any) -> None:
        """A row's output is the same in whatever company it is computed."""
        if len(call.args) != 1 or not isinstance(call.output, torch.Tensor) or len(inputs) < 2:
            return
        if len(call.output) != len(inputs):
            return
        half = max(1, min(len(inputs) // 2, _MOST_ROWS))
        with torch.random.fork_rng([]):
            alone, again = call.module(inputs[:half]), call.module(inputs[:half])
        if not torch.equal(alone, again):
            return  # it draws random numbers
        if not torch.allclose(alone, call.output[:half], rtol=1e-3, atol=1e-4, equal_nan=True):
            self.alarm("rows-depend-on-each-other")

    # ---- while it learns ----

    def on_operation(self, operation: Operation) -> None:
        """See `Sensor`."""
        name = operation.name.rstrip("_")
        if name == "cross_entropy" and not operation.inside:
            self._classes(operation)
        if name not in ("relu", "tanh", "sigmoid") or not operation.inside:
            return
        out = operation.result.detach()
        if out.dim() < 2 or not operation.result.requires_grad:
            return
        units = int(out.shape[1] if out.dim() == 4 else out.shape[-1])
        at = self._order[operation.step] = self._order.get(operation.step, 0) + 1
        rows = out.transpose(1, -1).reshape(-1, units) if out.dim() == 4 else out.reshape(-1, units)
        kept = self._active[name, operation.place, units, at]
        kept.append(rows[:_MOST_ROWS].clone())
        del kept[:-10]
        if len(kept) == 10:
            self._activations(name, torch.cat(kept), id(kept))

    def _classes(self, operation: Operation) -> None:
        logits, targets = operation.argument(0, "input"), operation.argument(1, "target")
        if self._class_losses or targets is None or targets.dtype.is_floating_point or logits.dim() != 2:
            return
        self._class_losses = classes = int(logits.shape[1])
        loss = float(operation.result.detach().mean())
        if not 0 <= loss <= 2.0 * math.log(classes):
            self.alarm("first-loss")
        shares = torch.bincount(targets.clamp_min(0), minlength=classes).double() / len(targets)
        entropy = -float((shares[shares > 0] * shares[shares > 0].log()).sum())
        if math.exp(entropy) / classes < _PERPLEXITY:
            self.alarm("label-balance")

    def _activations(self, name: str, rows: Any, what: int) -> None:
        if name == "relu":
            tops = rows.abs().quantile(0.95, dim=0)
            self.strike("dead-activations", what, float((tops < _DEAD).double().mean()) > _DEAD_SHARE)
        else:
            level = rows.abs() if name == "tanh" else (2 * rows - 1).abs()
            full = float((level.mean(dim=0) > _SATURATED).double().mean())
            self.strike("saturated-activations", what, full > _DEAD_SHARE)
        low, high = _DEVIATIONS
        self.strike("activations-deviate", what, not low <= float(rows.std()) <= high)

    def on_backward(self, loss: Any) -> None:
        """See `Sensor`."""
        if loss.numel() == 1:
            self._losses.append(float(loss.detach()))
            if not math.isfinite(self._losses[-1]):
                self.alarm("loss-not-finite")

    def on_step_begin(self, optimizer: Any) -> None:
        """See `Sensor`."""
        self._before = {}
        if not self.scene.close:
            return
        for weight in _weights(optimizer):
            self._before[id(weight)] = weight.detach().clone()
            if weight.grad is not None:
                size = float(weight.grad.abs().mean())
                self.strike("vanishing-gradients", id(weight), size < _VANISHING)
                self.strike("exploding-gradients", id(weight), not size <= _EXPLODING)

    def on_step_end(self, optimizer: Any) -> None:
        """See `Sensor`."""
        for weight in _weights(optimizer) if self._before else ():
            before, now = self._before.get(id(weight)), weight.detach()
            if before is None:
                continue
            change, size = float((now - before).abs().mean()), float(before.abs().mean())
            ratio = math.log10(change / size) if change > 0 and size > 0 else -math.inf
            self.strike("updates-too-small", id(weight), ratio < _UPDATES[0])
            self.strike("updates-too-large", id(weight), ratio > _UPDATES[1])
            dead = float((now.abs() < _DEAD).double().mean())
            self.strike("dead-weights", id(weight), dead > _WEIGHT_SHARE)
            self.strike("weights-diverge", id(weight), not size < 1e8)
        self._before = {}

    def end(self) -> None:
        """See `Peer`."""
        curve = points(self._losses)
        if len(curve) < 10 or not np.isfinite(curve).all():
            return
        scale = abs(float(curve[0]))
        if curve[-5:].mean() > curve[0] - _FALL * scale:
            self.alarm("loss-does-not-fall")
        if curve[-5:].mean() > curve.min() + 2 * scale:
            self.alarm("loss-diverges")
        moves = np.sign(np.diff(curve))
        if float((moves[1:] == moves[:-1]).mean()) < _SMOOTH:
            self.alarm("loss-fluctuates")


def _is_variance(variance: float, wanted: float, count: int) -> bool:
    """Return whether an F-test lets a variance of `count` numbers be the wanted one."""
    ratio = variance / wanted
    tail = float(f_distribution.cdf(ratio, count - 1, 1e9))
    return _ALPHA / 2 <= tail <= 1 - _ALPHA / 2


def _weights(optimizer: Any) -> list[Any]:
    return [each for group in optimizer.param_groups for each in group["params"] if each.dim() >= 2]
