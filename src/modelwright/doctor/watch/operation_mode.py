"""The mode of torch through which single operations are heard."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch._C._functorch import peek_interpreter_stack  # pyright: ignore[reportPrivateUsage]
from torch.compiler import is_compiling
from torch.overrides import TorchFunctionMode

from modelwright.doctor.watch.tensors import is_readable
from modelwright.doctor.watch.watch import Watch

__all__ = ["OperationMode", "innermost_mode", "is_transforming"]

_PROPERTIES: dict[Any, str] = {
    getattr(torch.Tensor, name): name for name in ("data", "T", "mT", "H", "mH", "real")
}
"""Those that compute a tensor."""

_TRACED = frozenset({"FakeTensor", "FunctionalTensor"})
"""Classes of the tensors without numbers with which torch.compile follows a program."""


class OperationMode(TorchFunctionMode):
    """Hears every operation that Python asks of torch, but those inside of backward and of optimizers.

    Those inside of `torch.func`, and of tensors whose numbers do not lie in memory, are left out.

    Args:
        watch: Whether it listens.
        tell: Is told of name, function, arguments, those by name, and result.

    Attributes:
        quiet: Nothing is told meanwhile.
    """

    def __init__(self, watch: Watch, tell: Callable[[str, Any, Any, Any, Any], None]) -> None:
        super().__init__()
        self._watch = watch
        self._tell = tell
        self.quiet = False

    def take_out(self) -> None:
        """End it also where other modes, of the program or of a second watch, were begun since."""
        above: list[Any] = []
        while (innermost := innermost_mode()) is not None:
            torch.overrides._pop_mode()  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
            if innermost is not self:
                above.append(innermost)
        for each in reversed(above):
            torch.overrides._push_mode(each)  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        # What torch.compile reads here it would make part of the program.
        if is_compiling() or is_transforming():
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
        if self.quiet or not self._watch.listens or type(result).__name__ in _TRACED:
            return result
        name = getattr(func, "__name__", "")
        if name == "__get__":
            name = _PROPERTIES.get(func.__self__, "")
            if not name:
                return result
        elif name in ("__set__", "__len__", "size", "dim", "backward"):
            return result
        if all(is_readable(each) for each in (result, *args, *kwargs.values())):
            self._tell(name, func, args, kwargs, result)
        return result


def innermost_mode() -> Any:
    """Return the mode that hears operations first; None where there is none."""
    stack = torch.overrides._get_current_function_mode_stack()  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    return stack[-1] if stack else None


def is_transforming() -> bool:
    """Return whether a transform of `torch.func` follows the program: its tensors have no numbers to read."""
    if is_compiling():
        return False
    return peek_interpreter_stack() is not None  # pyright: ignore[reportUnnecessaryComparison]
