"""Methods of torch that are replaced while a watch lasts: they do what they did, and tell of it."""

import weakref
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Subset
from torch.utils.data.dataloader import _BaseDataLoaderIter  # pyright: ignore[reportPrivateUsage]

from modelwright.doctor.watch.patch import Patches
from modelwright.doctor.watch.place import place_of_caller
from modelwright.doctor.watch.watch import Watch

__all__ = ["Quiet", "replace_calls"]


_DRAWING = (
    *("uniform_", "normal_", "trunc_normal_", "orthogonal_", "sparse_"),
    *("xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_"),
)

_OF_ACTIONS = ("MultivariateNormal", "Bernoulli", "Beta", "Dirichlet", "Laplace", "Poisson")
"""Distributions that are listened to where environments are stepped; others ask those that always are."""


class Quiet(Protocol):
    """What must not tell of operations for a while."""

    quiet: bool


def replace_calls(watch: Watch, patches: Patches, mode: Quiet) -> None:
    """Replace methods of optimizers, schedulers, modules, scalers and loaders.

    Args:
        watch: Is told.
        patches: Puts them back.
        mode: Is made quiet while torch works by itself.
    """
    calls = _Calls(watch, mode)
    patches.replace(torch.autograd, "backward", calls.backward)
    patches.replace(torch.optim.Optimizer, "__init__", calls.made("on_optimizer"))
    patches.replace(torch.optim.Optimizer, "zero_grad", calls.zero)
    patches.replace(nn.Module, "zero_grad", calls.module_zero)
    patches.replace(nn.Module, "train", calls.train)
    patches.replace(nn.Module, "state_dict", calls.state)
    patches.replace(nn.Module, "load_state_dict", calls.load)
    patches.replace(torch, "save", calls.save)
    patches.replace(torch, "load", calls.read)
    for name in _DRAWING:
        patches.replace(nn.init, name, calls.draw)
    for place in (nn.utils, nn.utils.clip_grad):
        patches.replace(place, "clip_grad_norm_", calls.clip)
        patches.replace(place, "clip_grad_value_", calls.clip)
    for kind in (lr_scheduler.LRScheduler, lr_scheduler.ReduceLROnPlateau):
        patches.replace(kind, "__init__", calls.made("on_scheduler"))
        patches.replace(kind, "step", calls.schedule)
    patches.replace(torch.amp.GradScaler, "__init__", calls.noted("scaler made"))
    patches.replace(torch.amp.GradScaler, "unscale_", calls.scaler("unscale"))
    patches.replace(torch.amp.GradScaler, "step", calls.scaler("step"))
    for kind in (torch.distributions.Categorical, torch.distributions.Normal):
        patches.replace(kind, "entropy", calls.distribution("entropy"))
        patches.replace(kind, "log_prob", calls.distribution("log_prob"))
    for name in _OF_ACTIONS:
        kind = getattr(torch.distributions, name)
        patches.replace(kind, "entropy", calls.distribution("entropy", acting=True))
        patches.replace(kind, "log_prob", calls.distribution("log_prob", acting=True))
    for kind in (torch.distributions.Distribution, torch.distributions.Normal):
        patches.replace(kind, "sample", calls.sample)
    for place in (torch.distributions, torch.distributions.kl):
        patches.replace(place, "kl_divergence", calls.distribution("divergence"))
    patches.replace(_BaseDataLoaderIter, "__next__", calls.batch)
    for kind in (DataLoader, Subset):
        patches.replace(kind, "__init__", calls.part)
    patches.replace(torch.cuda.CUDAGraph, "capture_begin", calls.recorded(True))
    patches.replace(torch.cuda.CUDAGraph, "capture_end", calls.recorded(False))


class _Calls:
    """Wraps one method each."""

    def __init__(self, watch: Watch, mode: Quiet) -> None:
        self._watch = watch
        self._scene = watch.scene
        self._mode = mode
        self._making = 0

    def backward(self, backward: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(backward)
        def heard(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            if self._watch.listens:
                loss = tensors if isinstance(tensors, torch.Tensor) else next(iter(tensors), None)
                if isinstance(loss, torch.Tensor):
                    self._backward_begins(loss)
            before, self._mode.quiet = self._mode.quiet, True
            try:
                return backward(tensors, *args, **kwargs)
            finally:
                self._mode.quiet = before

        return heard

    def _backward_begins(self, loss: torch.Tensor) -> None:
        scene = self._scene
        if loss.numel() == 1:
            scene.hear_loss(loss)
        if scene.close:
            scene.saw("backward", place_of_caller(3))
            scene.saw("loss", scene.place_of_loss(loss))
        self._watch.tell("on_backward", loss)

    def recorded(self, begins: bool) -> Callable[[Any], Any]:
        """Hear nothing while work of a GPU is recorded: nothing may be read then."""

        def wrap(method: Callable[..., None]) -> Callable[..., None]:
            @wraps(method)
            def heard(*args: Any, **kwargs: Any) -> None:
                if begins:
                    self._watch.pause(True)
                try:
                    method(*args, **kwargs)
                finally:
                    if not begins:
                        self._watch.pause(False)

            return heard

        return wrap

    def made(self, event: str) -> Callable[[Any], Any]:
        def wrap(initialise: Callable[..., None]) -> Callable[..., None]:
            @wraps(initialise)
            def heard(made: Any, *args: Any, **kwargs: Any) -> None:
                self._making += 1
                try:
                    initialise(made, *args, **kwargs)
                finally:
                    self._making -= 1
                if self._watch.listens and not self._making:
                    self._scene.saw(event, place_of_caller(2))
                    if event == "on_optimizer":
                        self._scene.optimizers.append(made)
                        if self._scene.steps:
                            self._watch.begin_phase()
                    self._watch.tell(event, made)

            return heard

        return wrap

    def noted(self, what: str) -> Callable[[Any], Any]:
        def wrap(method: Callable[..., None]) -> Callable[..., None]:
            @wraps(method)
            def heard(made: Any, *args: Any, **kwargs: Any) -> None:
                method(made, *args, **kwargs)
                if self._watch.listens:
                    self._scene.saw(what, place_of_caller(2))

            return heard

        return wrap

    def zero(self, zero: Callable[..., None]) -> Callable[..., None]:
        @wraps(zero)
        def heard(optimizer: Any, *args: Any, **kwargs: Any) -> None:
            zero(optimizer, *args, **kwargs)
            if self._watch.listens:
                if self._scene.close:
                    self._scene.saw("zero", place_of_caller(2))
                self._watch.tell("on_zero", (self._inner(optimizer),))

        return heard

    def _inner(self, optimizer: Any) -> Any:
        """Return the optimizer that steps where this one only passes on to it, as Lightning's do."""
        groups = optimizer.param_groups
        return next((each for each in self._scene.optimizers if each.param_groups is groups), optimizer)

    def module_zero(self, zero: Callable[..., None]) -> Callable[..., None]:
        @wraps(zero)
        def heard(module: Any, *args: Any, **kwargs: Any) -> None:
            zero(module, *args, **kwargs)
            if self._watch.listens:
                own = {id(each) for each in module.parameters()}
                cleared = [
                    each
                    for each in self._scene.optimizers
                    if all(id(p) in own for group in each.param_groups for p in group["params"])
                ]
                if self._scene.close:
                    self._scene.saw("zero", place_of_caller(2))
                self._watch.tell("on_zero", cleared)

        return heard

    def train(self, train: Callable[..., Any]) -> Callable[..., Any]:
        depth = 0

        @wraps(train)
        def heard(module: Any, mode: bool = True) -> Any:
            nonlocal depth
            depth += 1
            try:
                return train(module, mode)
            finally:
                depth -= 1
                if not depth and self._watch.listens:
                    self._scene.saw("train" if mode else "eval", place_of_caller(2))

        return heard

    def state(self, state: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(state)
        def heard(module: Any, *args: Any, **kwargs: Any) -> Any:
            # Those of its parts are asked with what was gathered so far.
            if not args and not kwargs and self._watch.listens:
                self._scene.saw("state", place_of_caller(2))
            return state(module, *args, **kwargs)

        return heard

    def save(self, save: Callable[..., None]) -> Callable[..., None]:
        @wraps(save)
        def heard(*args: Any, **kwargs: Any) -> None:
            save(*args, **kwargs)
            if self._watch.listens:
                self._scene.saw("save", place_of_caller(2))

        return heard

    def load(self, load: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(load)
        def heard(module: Any, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
            if self._watch.listens:
                self._scene.saw("load", place_of_caller(2))
                self._watch.tell("on_load", module, state_dict)
            answer = load(module, state_dict, *args, **kwargs)
            # A model that learns already began with other values: the best of its own, for example.
            learns = self._scene.roots if self._scene.steps else ()
            known = {id(each) for root in learns for each in root.parameters()}
            self._scene.loaded.update({id(each) for each in module.parameters()} - known)
            return answer

        return heard

    def read(self, read: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(read)
        def heard(*args: Any, **kwargs: Any) -> Any:
            found = read(*args, **kwargs)
            if self._watch.listens and isinstance(found, nn.Module):
                self._scene.loaded.update(id(each) for each in found.parameters())
            return found

        return heard

    def draw(self, draw: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(draw)
        def heard(*args: Any, **kwargs: Any) -> Any:
            drawn = draw(*args, **kwargs)
            if self._watch.listens and isinstance(drawn, nn.Parameter):
                self._scene.drawn[id(drawn)] = weakref.ref(drawn)
            return drawn

        return heard

    def clip(self, clip: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(clip)
        def heard(parameters: Any, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(parameters, torch.Tensor):
                parameters = list(parameters)
            before, self._mode.quiet = self._mode.quiet, True
            try:
                norm = clip(parameters, *args, **kwargs)
            finally:
                self._mode.quiet = before
            limit = args[0] if args else kwargs.get("max_norm", kwargs.get("clip_value"))
            if self._watch.listens and limit is not None:
                if self._scene.close:
                    self._scene.saw("clip", place_of_caller(2))
                self._watch.tell("on_clip", parameters, float(limit), norm)
            return norm

        return heard

    def schedule(self, step: Callable[..., Any]) -> Callable[..., Any]:
        depth = 0

        @wraps(step)
        def heard(scheduler: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal depth
            depth += 1
            try:
                return step(scheduler, *args, **kwargs)
            finally:
                depth -= 1
                # Its first step a scheduler takes by itself, while it is made.
                if not depth and not self._making and self._watch.listens:
                    self._scene.saw("schedule", place_of_caller(2))
                    self._scene.measured = args[0] if args else kwargs.get("metrics")
                    self._watch.tell("on_schedule", scheduler)

        return heard

    def scaler(self, what: str) -> Callable[[Any], Any]:
        def wrap(method: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(method)
            def heard(scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
                if self._watch.listens and scaler.is_enabled():
                    self._scene.saw(f"scaler {what}", place_of_caller(2))
                    if self._scene.close:
                        self._scene.scale = float(scaler.get_scale())
                    self._watch.tell("on_scaler", what, optimizer)
                return method(scaler, optimizer, *args, **kwargs)

            return heard

        return wrap

    def distribution(self, what: str, acting: bool = False) -> Callable[[Any], Any]:
        def wrap(method: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(method)
            def heard(distribution: Any, *args: Any, **kwargs: Any) -> Any:
                result = method(distribution, *args, **kwargs)
                heard = self._scene.environments or not acting
                if heard and self._scene.close and self._watch.listens:
                    place = place_of_caller(2)
                    self._watch.tell("on_distribution", what, result, place)
                    if what == "log_prob" and args:
                        self._watch.tell("on_log_prob", distribution, args[0], result, place)
                return result

            return heard

        return wrap

    def sample(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def heard(distribution: Any, *args: Any, **kwargs: Any) -> Any:
            result = method(distribution, *args, **kwargs)
            if self._scene.close and self._watch.listens and torch.is_grad_enabled():
                self._watch.tell("on_sample", distribution, result, place_of_caller(2))
            return result

        return heard

    def batch(self, following: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(following)
        def heard(iterator: Any) -> Any:
            batch = following(iterator)
            if self._watch.listens:
                self._watch.tell("on_batch", iterator, batch)
            return batch

        return heard

    def part(self, initialise: Callable[..., None]) -> Callable[..., None]:
        @wraps(initialise)
        def heard(made: Any, *args: Any, **kwargs: Any) -> None:
            initialise(made, *args, **kwargs)
            if self._watch.listens:
                self._watch.tell("on_part", made)

        return heard
