"""What a watch hears of PyTorch: optimizers, gradients, schedules, modes, models and, at times, operations.

It replaces methods while it lasts and uses hooks that torch offers. Steps, losses and their order are heard
always; modules and operations only while the watch looks closely: during the first steps, later during ever
rarer ones, and when models are first called without gradients.
"""

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import nn
from torch.compiler import is_compiling
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from modelwright.doctor.watch.end_looks import EndLooks
from modelwright.doctor.watch.operation_mode import OperationMode, innermost_mode, is_transforming
from modelwright.doctor.watch.patch import Patches
from modelwright.doctor.watch.place import place_of_caller
from modelwright.doctor.watch.sensor import Call, Operation
from modelwright.doctor.watch.tensors import as_read
from modelwright.doctor.watch.torch_calls import replace_calls
from modelwright.doctor.watch.watch import Watch

__all__ = ["TorchWatch"]

_FIRST = 24
"""Steps that are looked at closely at the beginning, and when another optimizer begins."""

_GROWTH = 1.25
"""After them, a look of two steps begins when the number of steps has grown by this factor."""

_LOOK_STEPS = 2

_FIRST_ROLLOUTS, _ROLLOUT_GROWTH = 4, 1.2
"""Of stretches of acting, updates after these are looked at, and later ever rarer ones."""

_SLOWER = ((0.06, 2.5), (0.03, 1.5))
"""Where sensors took more than this share of the time, later looks become rarer by this factor at least."""

_LONG_STRETCH = 16
"""Steps of environments from which on a look at the update after them puts off those that steps call for."""

_FEWEST_STEPS, _MANY_EVENTS = 8, 8_000
"""Where environments step, a look ends after so many steps that needed so many events."""

_MOST_EVENTS = 30_000
"""Modules called and operations done, after which a look ends though no step was taken."""

_FIRST_EVALUATIONS, _MOST_EVALUATIONS = 2000, 40
"""Calls of models without gradients that are looked at closely in each of the first two stretches of them,
so that what is computed between acting and learning is heard, too; and in a later or a costly one."""


class TorchWatch:
    """Instruments torch for a watch.

    Args:
        watch: Is told.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._scene = watch.scene
        self._patches = Patches()
        self._handles: list[Any] = []
        self._hooks: list[Any] = []
        self._mode = OperationMode(watch, self._heard)
        self._stack: list[Any] = []
        self._depth = 0
        self._events = self._looked_from = 0
        self._acts_cost = False
        self._until = self._next_look = _FIRST
        self._evaluations, self._acted_before = 0, (0, -1)
        self._rollouts = 0.0
        self._next_rollout = 1.0
        self._first_rollouts = float(_FIRST_ROLLOUTS)
        self._stretches_heard = 0
        self._learners: tuple[int, set[int]] = 0, set()
        self._end_looks = EndLooks(watch.scene.experience)
        self._root_kinds: set[type] = set()
        self._stepped: set[int] = set()

    # ---- begin and end ----

    def start(self) -> None:
        """Begin to listen."""
        replace_calls(self._watch, self._patches, self._mode)
        self._handles = [
            register_optimizer_step_pre_hook(self._step_begins),
            register_optimizer_step_post_hook(self._step_ends),
        ]
        self._watch.live = True
        self._watch.at_pause.append(self._pause)
        self._listen_to_modules(True)

    def _pause(self, paused: bool) -> None:
        """Take what hears every operation out of the way of others, and put it back."""
        if self._scene.close:
            if paused:
                self._mode.take_out()
            else:
                self._mode.__enter__()

    def stop(self) -> None:
        """Put everything back."""
        self._watch.stop()
        self._watch.at_pause.clear()
        self._scene.close = False
        self._mode.take_out()
        self._listen_to_modules(False)
        for handle in self._handles:
            handle.remove()
        self._patches.undo()

    # ---- looking closely ----

    def _look(self, closely: bool) -> None:
        if closely is self._scene.close:
            return
        if closely:
            self._events, self._looked_from = 0, self._scene.steps
            self._listen_to_modules(True)
            self._mode.__enter__()
        elif innermost_mode() is self._mode:
            self._mode.__exit__(None, None, None)
            self._listen_to_modules(False)
            self._stack.clear()
        else:
            return  # the program is inside of a mode of its own: later
        self._scene.close = closely
        self._watch.tell("on_close", closely)

    def _listen_to_modules(self, listen: bool) -> None:
        if listen and not self._hooks:
            register = nn.modules.module
            self._hooks = [
                register.register_module_forward_pre_hook(self._module_begins),
                register.register_module_forward_hook(self._module_ends, with_kwargs=True, always_call=True),
            ]
        elif not listen:
            for hook in self._hooks:
                hook.remove()
            self._hooks = []

    def _follow(self) -> None:
        """Listen to the thread that learns, where nothing was learnt in the one that the watch began in."""
        if self._scene.steps or self._stack or self._depth or not self._watch.live:
            return
        if type(threading.current_thread()).__name__ != "_DummyThread" and self._watch.move():
            self._scene.close = False  # each thread has modes of its own

    def _module_begins(self, module: Any, args: Any) -> None:
        if is_compiling() or is_transforming():
            return
        if not self._watch.listens and torch.is_grad_enabled() and module.training:
            self._follow()
        if not self._watch.listens:
            return
        if not self._stack:
            self._meet(module)
            if not self._scene.close and torch.is_grad_enabled() and self._scene.steps < self._until:
                self._look(True)
        self._stack.append(module)

    def _module_ends(self, module: Any, args: Any, kwargs: Any, output: Any = None) -> None:
        if is_compiling() or is_transforming() or not self._stack or not self._watch.listens:
            return
        while self._stack and self._stack.pop() is not module:
            pass
        if not self._scene.close or kwargs is None:  # of a call that raised, torch tells less
            return
        depth = len(self._stack)
        if not depth and next(module.parameters(), None) is None:
            return  # a loss, or a single nonlinearity: no model
        self._watch.tell(
            "on_call",
            Call(
                module=module,
                args=as_read((*args, *kwargs.values())),
                output=output,
                depth=depth,
                root=self._stack[0] if depth else module,
                training=module.training,
                grad=torch.is_grad_enabled(),
                place=None if depth else place_of_caller(2),
                step=self._scene.steps,
                keywords=tuple(kwargs),
            ),
        )
        self._count()

    def _meet(self, module: Any) -> None:
        """Know a model that is called as a whole, and from now on hear when its class is called."""
        if next(module.parameters(), None) is None:
            return
        if not any(module is root for root in self._scene.roots):
            self._scene.roots.append(module)
        kind = type(module)
        if kind in self._root_kinds or isinstance(module, torch.jit.ScriptModule):
            return
        self._root_kinds.add(kind)
        self._patches.replace(kind, "forward", self._wrap_forward)

    def _wrap_forward(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(forward)
        def heard(module: Any, *args: Any, **kwargs: Any) -> Any:
            if self._depth or not self._watch.live or is_transforming():
                return forward(module, *args, **kwargs)
            was_close = self._scene.close
            if self._scene.resting and not was_close:
                self._scene.begins = False
                self._evaluations += not torch.is_grad_enabled()
                return forward(module, *args, **kwargs)
            if not torch.is_grad_enabled():
                self._evaluated(args)
            elif self._watch.listens:
                self._learns(module, args, was_close)
            self._depth = 1
            if self._scene.close and not was_close:
                self._stack.append(module)  # its own hook was passed already
            try:
                output = forward(module, *args, **kwargs)
            except BaseException:
                self._stack.clear()
                raise
            finally:
                self._depth = 0
            self._scene.begins = False
            if self._watch.listens:
                self._watch.tell("on_forward", module, as_read((*args, *kwargs.values())), output)
            if self._scene.close and not was_close:
                self._module_ends(module, args, kwargs, output)
            return output

        return heard

    def _evaluated(self, args: tuple[Any, ...]) -> None:
        """A model is called without gradients: look at the first few stretches of such calls."""
        self._evaluations += 1
        if self._scene.close:
            first = self._scene.asked < 2 and not self._acts_cost
            most = _FIRST_EVALUATIONS if first else _MOST_EVALUATIONS
            if self._evaluations > most:
                self._look(False)
        elif self._evaluations <= _MOST_EVALUATIONS and self._scene.asked < 4 and self._watch.listens:
            self._look(True)
        elif self._watch.listens:
            self._look_at_end(args)

    def _learns(self, module: Any, args: tuple[Any, ...], close: bool) -> None:
        """A model is called with gradients: some learn after others have taken all their steps."""
        if self._learners[0] != self._scene.experience.count:
            self._learners = self._scene.experience.count, set()
        another = bool(self._learners[1]) and id(module) not in self._learners[1]
        self._learners[1].add(id(module))
        if close:
            return
        self._updated_after_acting(args)
        if another and self._rollouts <= self._first_rollouts and not self._scene.close:
            self._until = max(self._until, self._scene.steps + 1)
            self._look(True)

    def _updated_after_acting(self, args: tuple[Any, ...]) -> None:
        """A model is called with gradients: look at the first update after some stretches of acting."""
        now = self._scene.experience.count, self._scene.steps
        if now[0] == self._acted_before[0] or now[1] == self._acted_before[1]:
            return
        acted, self._acted_before = now[0] - self._acted_before[0], now
        self._rollouts += 1
        if self._scene.experience.stretches != self._stretches_heard:  # what is heard anew is looked at anew
            self._stretches_heard = self._scene.experience.stretches
            few = self._watch.share > _SLOWER[0][0]
            self._first_rollouts = self._rollouts + (1 if few else _FIRST_ROLLOUTS)
            self._next_rollout = self._rollouts
        if self._rollouts >= self._next_rollout:
            grown = self._rollouts * self._growth(_ROLLOUT_GROWTH)
            self._next_rollout = self._rollouts + 1 if self._rollouts < self._first_rollouts else grown
            self._until = max(self._until, self._scene.steps + _LOOK_STEPS)
            if acted >= _LONG_STRETCH:
                self._put_off()
            self._look(True)
        self._look_at_end(args)

    def _look_at_end(self, args: tuple[Any, ...]) -> None:
        steps = self._end_looks.begins(args, self._scene.steps, self._scene.close)
        if steps:
            self._until = max(self._until, self._scene.steps + steps)
            self._look(True)

    def _put_off(self) -> None:
        """Put off the next look of those that come after some number of steps."""
        steps = self._scene.steps
        self._next_look = int(max(steps + _FIRST, steps * self._growth(_GROWTH)))

    def _growth(self, growth: float) -> float:
        """Return the factor by which a count grows until the next look."""
        return next((slower for share, slower in _SLOWER if self._watch.share > share), growth)

    @property
    def _has_seen_enough(self) -> bool:
        """Whether this look may end."""
        if not self._scene.environments or self._events < _MANY_EVENTS:
            return self._scene.steps >= self._until
        return self._scene.steps - self._looked_from >= min(_FEWEST_STEPS, self._until - self._looked_from)

    def _count(self) -> None:
        self._events += 1
        if self._events > _MOST_EVENTS:
            self._acts_cost |= self._evaluations > _MOST_EVALUATIONS
            self._look(False)

    def _heard(self, name: str, function: Any, args: Any, kwargs: Any, result: Any) -> None:
        """Tell of an operation."""
        place = place_of_caller(3)
        self._scene.origins.note(name, args, result, place)
        self._watch.tell(
            "on_operation",
            Operation(
                name=name,
                args=args,
                kwargs=kwargs,
                result=result,
                place=place,
                inside=bool(self._stack),
                step=self._scene.steps,
                root=self._stack[0] if self._stack else None,
                function=function,
            ),
        )
        self._count()

    # ---- steps ----

    def _step_begins(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._follow()
        if not self._watch.listens:
            return None
        self._mode.quiet = True
        # Where gradients are computed in a closure, the step begins after it (Lightning always does so).
        if len(args) > 1 and callable(args[1]):
            return (args[0], self._closure(optimizer, args[1]), *args[2:]), kwargs
        if callable(kwargs.get("closure")):
            return args, {**kwargs, "closure": self._closure(optimizer, kwargs["closure"])}
        self._begin_step(optimizer)
        return None

    def _begin_step(self, optimizer: Any) -> None:
        if not any(optimizer is each for each in self._scene.optimizers):
            self._scene.optimizers.append(optimizer)  # made before the watch began
            self._watch.tell("on_optimizer", optimizer)
        self._watch.tell("on_step_begin", optimizer)
        if self._scene.close:
            self._scene.saw("step", place_of_caller(3))

    def _closure(self, optimizer: Any, closure: Callable[..., Any]) -> Callable[..., Any]:
        begun = False

        @wraps(closure)
        def heard(*args: Any, **kwargs: Any) -> Any:
            nonlocal begun
            before, self._mode.quiet = self._mode.quiet, False
            try:
                return closure(*args, **kwargs)
            finally:
                self._mode.quiet = before
                if not begun and self._watch.listens:
                    self._begin_step(optimizer)
                begun = True

        return heard

    def _step_ends(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._mode.quiet = False
        if not self._watch.listens:
            return
        scene = self._scene
        scene.steps += 1
        scene.begins = True
        self._watch.tell("on_step_end", optimizer)
        if id(optimizer) not in self._stepped:
            # What begins anew, fine-tuning for example, is looked at anew; of many, ever fewer.
            self._stepped.add(id(optimizer))
            if len(self._stepped) <= 2 * _FIRST_ROLLOUTS or len(self._stepped).bit_count() == 1:
                self._until = max(self._until, scene.steps + _FIRST)
                self._look(True)
        scene.asked += self._evaluations > 0
        self._evaluations = 0
        if scene.close and self._has_seen_enough:
            self._until = scene.steps
            self._look(False)
        if not scene.close and scene.steps >= self._next_look:
            self._until = scene.steps + _LOOK_STEPS
            self._put_off()
            self._look(True)
