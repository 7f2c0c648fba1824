"""Learn again from a captured program's first weights and batches, with one setting changed."""

import math
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from modelwright.doctor.watch.capture import Capture, copies_of
from modelwright.doctor.watch.tape import Tape
from modelwright.doctor.watch.tensors import is_readable

__all__ = ["Change", "Twins"]

_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


@dataclass(frozen=True, slots=True)
class Change:
    """What is done differently.

    Attributes:
        rate: Factor of every learning rate.
        clip: Whether gradients are clipped as they were.
        decay: Whether weights decay as they did.
        dropout: Whether units are dropped as they were.
        scaled: Whether inputs, rows of numbers, are brought to mean 0 and deviation 1.
    """

    rate: float = 1.0
    clip: bool = True
    decay: bool = True
    dropout: bool = True
    scaled: bool = False


class Twins:
    """Learns again on copies, from batches of the first steps, and measures on those of later ones.

    Args:
        capture: What was collected.
        clip: Limit of the gradients' norm that the program clips to; None where it does not.
        scale: What the program multiplies its loss by, and divides its gradients by before it uses them.
    """

    def __init__(self, capture: Capture, clip: float | None, scale: float = 1.0) -> None:
        self._capture = capture
        self._clip = clip
        self._scale = scale
        later = max(1, len(capture.steps) // 3)
        self._learn = capture.steps[: len(capture.steps) - later]
        self._measure = [tape for tapes in capture.steps[-later:] for tape in tapes][:24]
        self._scales = _scales([tapes[0] for tapes in self._learn])

    @property
    def can_scale(self) -> bool:
        """Whether inputs are rows of numbers that can be brought to scale."""
        return self._scales is not None

    def loss_of(self, copies: dict[int, Any], *, scaled: bool = False) -> float:
        """Return the mean loss of weights on batches that were not learnt from."""
        models = [copies[id(model)] for model in self._capture.models]
        before = [(part, part.training) for model in models for part in model.modules()]
        for part, _ in before:
            if isinstance(part, _DROPOUTS):
                part.eval()
        with torch.no_grad(), _chance_kept():
            values = [float(tape.play(copies, inputs=self._inputs(tape, scaled))) for tape in self._measure]
        for part, training in before:
            part.training = training
        return float(np.mean(values)) if np.isfinite(values).all() else math.inf

    def _inputs(self, tape: Tape, scaled: bool) -> list[Any] | None:
        if not scaled or self._scales is None or not tape.inputs:
            return None
        mean, deviation = self._scales
        return [(tape.inputs[0] - mean) / deviation, *tape.inputs[1:]]

    def first_loss(self) -> float:
        """Return the loss of the first weights."""
        return self.loss_of(copies_again(self._capture))

    def last_loss(self) -> float:
        """Return the loss of the weights that the program has now."""
        return self.loss_of(copies_of(self._capture.models))

    def train(self, change: Change, steps: int, seconds: float) -> tuple[float, int]:
        """Return the loss after learning, and the steps that were taken in the time.

        Args:
            change: What is done differently.
            steps: Steps to take.
            seconds: Time of the processor after which no more are taken.
        """
        with _chance_kept():
            torch.manual_seed(0)
            copies = copies_again(self._capture)
            models = [copies[id(model)] for model in self._capture.models]
            _prepare(models, change)
            optimizer = self._optimizer(copies, change)
            ends, taken = time.process_time() + seconds, 0
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            while taken < steps and time.process_time() < ends:
                optimizer.zero_grad(set_to_none=True)
                for tape in self._learn[taken % len(self._learn)]:
                    tape.play(copies, inputs=self._inputs(tape, change.scaled)).backward()
                for each in parameters if self._scale != 1.0 else ():
                    if each.grad is not None:
                        each.grad /= self._scale
                if self._clip is not None and change.clip:
                    nn.utils.clip_grad_norm_(parameters, self._clip)
                optimizer.step()
                taken += 1
            return self.loss_of(copies, scaled=change.scaled), taken

    def _optimizer(self, copies: dict[int, Any], change: Change) -> Any:
        recipe = self._capture.recipe
        assert recipe is not None
        groups: list[dict[str, Any]] = []
        for settings, members, rate in zip(recipe.groups, recipe.members, self._capture.rates, strict=True):
            own = {**settings, "lr": rate * change.rate}
            if "weight_decay" in own and not change.decay:
                own["weight_decay"] = 0.0
            groups.append({**own, "params": [copies[each] for each in members if each in copies]})
        return recipe.kind([group for group in groups if group["params"]], lr=groups[0]["lr"])


def copies_again(capture: Capture) -> dict[int, Any]:
    """Return fresh copies of the first weights, under the ids of the program's own."""
    firsts = [capture.copies[id(model)] for model in capture.models]
    again = copies_of(firsts)
    return {key: again[id(first)] for key, first in capture.copies.items()}


def _prepare(models: Sequence[Any], change: Change) -> None:
    if not change.dropout:
        for part in (part for model in models for part in model.modules()):
            if isinstance(part, _DROPOUTS):
                part.p = 0.0


def _scales(tapes: Sequence[Tape]) -> tuple[Any, Any] | None:
    """Return mean and deviation of each column, where the first input is rows of numbers.

    Of pictures and sequences it is one mean and one deviation of all their numbers.
    """
    rows = [tape.inputs[0] for tape in tapes if tape.inputs]
    if not rows or any(not isinstance(x, torch.Tensor) or not is_readable(x) for x in rows):
        return None
    if any(not x.is_floating_point() for x in rows):
        return None
    if any(x.dim() < 2 or x.shape[1:] != rows[0].shape[1:] for x in rows):
        return None
    pooled = torch.cat(rows)
    if pooled.dim() > 2:
        return pooled.mean(), pooled.std().clamp_min(1e-6)
    return pooled.mean(dim=0), pooled.std(dim=0).clamp_min(1e-6)


@contextmanager
def _chance_kept() -> Generator[None]:
    """Leave the streams of random numbers as they were."""
    with torch.random.fork_rng(devices=[]):
        yield
